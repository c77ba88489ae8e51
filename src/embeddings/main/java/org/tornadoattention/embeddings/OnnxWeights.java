package org.tornadoattention.embeddings;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedInputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.WireFormat;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The weights of an ONNX file, found by the names of the operators that use them: exporters rename the weights of
 * products, and keep the operators' names.
 */
final class OnnxWeights {

    /**
     * A weight.
     *
     * @param shape its dimensions, outermost first
     * @param values in row-major order
     */
    record Weight(int[] shape, float[] values) {}

    private static final int FLOAT = 1;

    /** Fields of the messages ModelProto, GraphProto, NodeProto and TensorProto in onnx.proto. */
    private static final int MODEL_GRAPH = 7;

    private static final int GRAPH_NODE = 1;
    private static final int GRAPH_INITIALIZER = 5;
    private static final int NODE_INPUT = 1;
    private static final int NODE_NAME = 3;
    private static final int TENSOR_DIMS = 1;
    private static final int TENSOR_TYPE = 2;
    private static final int TENSOR_FLOATS = 4;
    private static final int TENSOR_NAME = 8;
    private static final int TENSOR_RAW = 9;

    private final Map<String, Weight> weights = new HashMap<>();

    /** What each operator reads. */
    private final Map<String, List<String>> nodes = new HashMap<>();

    private OnnxWeights() {}

    /**
     * Reads a file.
     *
     * @throws IOException if it cannot be read, or is no ONNX file
     */
    static OnnxWeights read(InputStream file) throws IOException {
        OnnxWeights read = new OnnxWeights();
        try {
            // The arrays of bytes are the file's own, not copied.
            CodedInputStream model = CodedInputStream.newInstance(file.readAllBytes());
            model.enableAliasing(true);
            model.setSizeLimit(Integer.MAX_VALUE);
            fields(model, (field, in) -> {
                if (field != MODEL_GRAPH) {
                    return false;
                }
                message(in, read::graphField);
                return true;
            });
        } catch (InvalidProtocolBufferException e) {
            throw new IOException("This is no ONNX file: " + e.getMessage(), e);
        }
        if (read.weights.isEmpty()) {
            throw new IOException("This is no ONNX file, or it has no F32 weights of its own.");
        }
        return read;
    }

    /** Whether a field was read; others are skipped. */
    @FunctionalInterface
    private interface Field {
        boolean read(int field, CodedInputStream in) throws IOException;
    }

    private static void fields(CodedInputStream in, Field field) throws IOException {
        for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
            if (!field.read(WireFormat.getTagFieldNumber(tag), in)) {
                in.skipField(tag);
            }
        }
    }

    private static void message(CodedInputStream in, Field field) throws IOException {
        int limit = in.pushLimit(in.readRawVarint32());
        fields(in, field);
        in.popLimit(limit);
    }

    private boolean graphField(int field, CodedInputStream in) throws IOException {
        if (field == GRAPH_NODE) {
            readNode(in);
        } else if (field == GRAPH_INITIALIZER) {
            readWeight(in);
        }
        return field == GRAPH_NODE || field == GRAPH_INITIALIZER;
    }

    private void readNode(CodedInputStream in) throws IOException {
        String[] name = {""};
        List<String> inputs = new ArrayList<>();
        message(in, (field, node) -> {
            if (field == NODE_INPUT) {
                inputs.add(node.readString());
            } else if (field == NODE_NAME) {
                name[0] = node.readString();
            }
            return field == NODE_INPUT || field == NODE_NAME;
        });
        nodes.put(name[0], inputs);
    }

    private void readWeight(CodedInputStream in) throws IOException {
        String[] name = {""};
        int[] type = {0};
        List<Integer> shape = new ArrayList<>();
        List<ByteString> bytes = new ArrayList<>();
        message(in, (field, tensor) -> {
            switch (field) {
                case TENSOR_DIMS -> readDimensions(tensor, shape);
                case TENSOR_TYPE -> type[0] = tensor.readInt32();
                case TENSOR_NAME -> name[0] = tensor.readString();
                case TENSOR_RAW, TENSOR_FLOATS -> bytes.add(tensor.readBytes()); // packed floats are the same bytes
                default -> {
                    return false;
                }
            }
            return true;
        });
        if (type[0] == FLOAT && bytes.size() == 1) {
            float[] values = new float[bytes.getFirst().size() / Float.BYTES];
            bytes.getFirst()
                    .asReadOnlyByteBuffer()
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .asFloatBuffer()
                    .get(values);
            weights.put(
                    name[0],
                    new Weight(shape.stream().mapToInt(Integer::intValue).toArray(), values));
        }
    }

    /** One number each, or packed together: the last tag says which. */
    private static void readDimensions(CodedInputStream in, List<Integer> shape) throws IOException {
        if (WireFormat.getTagWireType(in.getLastTag()) == WireFormat.WIRETYPE_VARINT) {
            shape.add(Math.toIntExact(in.readInt64()));
            return;
        }
        int limit = in.pushLimit(in.readRawVarint32());
        while (in.getBytesUntilLimit() > 0) {
            shape.add(Math.toIntExact(in.readInt64()));
        }
        in.popLimit(limit);
    }

    /**
     * The weight of this name.
     *
     * @throws IllegalArgumentException if the file has none
     */
    Weight named(String name) {
        Weight weight = weights.get(name);
        if (weight == null) {
            throw new IllegalArgumentException(
                    "The ONNX file has no F32 weight '%s': it is no BERT encoder that was exported from PyTorch."
                            .formatted(name));
        }
        return weight;
    }

    /**
     * The weight that an operator reads beside what other operators give it.
     *
     * @throws IllegalArgumentException if there is no such operator, or it reads no weight
     */
    Weight of(String operator) {
        List<String> inputs = nodes.getOrDefault(operator, List.of());
        return inputs.stream()
                .filter(weights::containsKey)
                .findFirst()
                .map(weights::get)
                .orElseThrow(() -> new IllegalArgumentException(
                        "The ONNX file has no operator '%s' with a weight in F32: it is no BERT encoder that was exported from PyTorch, or a quantised one."
                                .formatted(operator)));
    }

    /** Whether there is a weight of this name. */
    boolean has(String name) {
        return weights.containsKey(name);
    }
}
