package org.tornadoattention.peers;

import java.util.Arrays;
import java.util.List;
import org.tornadoattention.AttentionShape;

/**
 * Attention as an ONNX model of one problem, written here byte by byte: inputs {@code q}, {@code k}, {@code v}, output
 * {@code o}, all F32. Field numbers are those of onnx.proto.
 */
final class OnnxAttention {

    private static final int IR_VERSION = 8;
    private static final int OPSET = 17;
    private static final int FLOAT = 1;
    private static final int INT32 = 6;

    private OnnxAttention() {}

    /**
     * The formula as a graph of MatMul, Mul, Add, Softmax and MatMul: all tensors {@code [batch, heads, seq, headDim]}.
     *
     * @param causal whether an additive mask, aligned to the bottom right, is part of it
     */
    static byte[] standard(AttentionShape shape, boolean causal) {
        Protobuf graph = new Protobuf()
                .message(1, node("Transpose", "", "kt", "k").message(5, integers("perm", 0, 1, 3, 2)))
                .message(1, node("MatMul", "", "dots", "q", "kt"))
                .message(1, node("Mul", "", "scores", "dots", "scale"));
        if (causal) {
            graph.message(1, node("Add", "", "masked", "scores", "mask"));
        }
        graph.message(1, node("Softmax", "", "p", causal ? "masked" : "scores").message(5, integer("axis", -1)))
                .message(1, node("MatMul", "", "o", "p", "v"))
                .text(2, "attention")
                .message(5, constant("scale", new int[0], (float) (1 / Math.sqrt(shape.headDim()))));
        if (causal) {
            graph.message(5, constant("mask", new int[] {shape.seqQ(), shape.seqK()}, mask(shape)));
        }
        return model(graph.message(11, tensor("q", shape.queryShape()))
                .message(11, tensor("k", shape.keyShape()))
                .message(11, tensor("v", shape.keyShape()))
                .message(12, tensor("o", shape.queryShape())));
    }

    /**
     * ONNX Runtime's own fused operator, MultiHeadAttention: all tensors {@code [batch, seq, heads * headDim]}, as many
     * queries as keys.
     */
    static byte[] fused(AttentionShape shape, boolean causal) {
        int[] flat = {shape.batch(), shape.seqQ(), shape.heads() * shape.headDim()};
        return model(new Protobuf()
                .message(
                        1,
                        node("MultiHeadAttention", "com.microsoft", "o", "q", "k", "v")
                                .message(5, integer("num_heads", shape.heads()))
                                .message(5, integer("unidirectional", causal ? 1 : 0)))
                .text(2, "attention")
                .message(11, tensor("q", flat))
                .message(11, tensor("k", flat))
                .message(11, tensor("v", flat))
                .message(12, tensor("o", flat)));
    }

    /**
     * Its operator of models that generate, GroupQueryAttention, without tokens before: causal always. Inputs are also
     * {@code lengths}, of each sequence the tokens less 1, and {@code longest}, all tokens; it gives what it keeps of
     * keys and values too.
     */
    static byte[] grouped(AttentionShape shape) {
        int[] flat = {shape.batch(), shape.seqQ(), shape.heads() * shape.headDim()};
        return model(new Protobuf()
                .message(
                        1,
                        node(
                                        "GroupQueryAttention",
                                        "com.microsoft",
                                        List.of("o", "keys", "values"),
                                        "q",
                                        "k",
                                        "v",
                                        "",
                                        "",
                                        "lengths",
                                        "longest")
                                .message(5, integer("num_heads", shape.heads()))
                                .message(5, integer("kv_num_heads", shape.kvHeads())))
                .text(2, "attention")
                .message(11, tensor("q", flat))
                .message(11, tensor("k", flat))
                .message(11, tensor("v", flat))
                .message(11, tensor("lengths", INT32, shape.batch()))
                .message(11, tensor("longest", INT32, 1))
                .message(12, tensor("o", flat))
                .message(12, tensor("keys", shape.keyShape()))
                .message(12, tensor("values", shape.keyShape())));
    }

    private static float[] mask(AttentionShape shape) {
        float[] mask = new float[shape.seqQ() * shape.seqK()];
        for (int i = 0; i < shape.seqQ(); i++) {
            int end = Math.clamp(i + 1L + shape.seqK() - shape.seqQ(), 0, shape.seqK());
            Arrays.fill(mask, i * shape.seqK() + end, (i + 1) * shape.seqK(), Float.NEGATIVE_INFINITY);
        }
        return mask;
    }

    private static byte[] model(Protobuf graph) {
        return new Protobuf()
                .integer(1, IR_VERSION)
                .text(2, "tornado-attention")
                .message(7, graph)
                .message(8, new Protobuf().text(1, "").integer(2, OPSET))
                .message(8, new Protobuf().text(1, "com.microsoft").integer(2, 1))
                .toByteArray();
    }

    private static Protobuf node(String operator, String domain, String output, String... inputs) {
        return node(operator, domain, List.of(output), inputs);
    }

    private static Protobuf node(String operator, String domain, List<String> outputs, String... inputs) {
        Protobuf node = new Protobuf();
        for (String input : inputs) {
            node.text(1, input);
        }
        for (String output : outputs) {
            node.text(2, output);
        }
        return node.text(3, outputs.getFirst()).text(4, operator).text(7, domain);
    }

    private static Protobuf integer(String name, long value) {
        return new Protobuf().text(1, name).integer(3, value).integer(20, 2);
    }

    private static Protobuf integers(String name, long... values) {
        Protobuf attribute = new Protobuf().text(1, name);
        for (long value : values) {
            attribute.integer(8, value);
        }
        return attribute.integer(20, 7);
    }

    private static Protobuf constant(String name, int[] shape, float... values) {
        Protobuf constant = new Protobuf();
        for (int length : shape) {
            constant.integer(1, length);
        }
        return constant.integer(2, FLOAT).text(8, name).bytes(9, Protobuf.littleEndian(values));
    }

    private static Protobuf tensor(String name, int[] shape) {
        return tensor(name, FLOAT, shape);
    }

    private static Protobuf tensor(String name, int type, int... shape) {
        Protobuf lengths = new Protobuf();
        for (int length : shape) {
            lengths.message(1, new Protobuf().integer(1, length));
        }
        Protobuf ofType = new Protobuf().integer(1, type).message(2, lengths);
        return new Protobuf().text(1, name).message(2, new Protobuf().message(1, ofType));
    }
}
