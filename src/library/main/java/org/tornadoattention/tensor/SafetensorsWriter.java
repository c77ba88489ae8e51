package org.tornadoattention.tensor;

import static org.tornadoattention.internal.Arguments.required;

import com.fasterxml.jackson.core.JsonEncoding;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.tornadoattention.file.ResultFile;
import org.tornadoattention.file.UnusableFileException;

/**
 * Puts a safetensors file together and writes it in one go.
 *
 * <pre>{@code
 * new SafetensorsWriter()
 *         .metadata("causal", "True")
 *         .tensor("o", output)
 *         .ints("key_lengths", lengths, lengths.length)
 *         .writeTo(Path.of("out.safetensors"));
 * }</pre>
 *
 * <p>Tensors with wider elements come first, those of one width in the order in which they were added: so each begins
 * at a multiple of its element size, in a file without holes, as the format asks. The file appears whole or not at all:
 * it is written under another name in the same directory and then moved over what was there.
 */
public final class SafetensorsWriter {
    private static final int CHUNK_BYTES = 1 << 20;
    private static final int ALIGNMENT = 8;

    private final Map<String, String> metadata = new LinkedHashMap<>();
    private final Map<String, Content> contents = new LinkedHashMap<>();

    /** One tensor's type, shape and elements in native byte order. */
    private record Content(String type, int[] shape, MemorySegment elements, int elementSize) {}

    /** An empty file: no tensor, no metadata. */
    public SafetensorsWriter() {}

    /**
     * Adds or replaces one string under {@code __metadata__}.
     *
     * @param key any; what it had before is replaced
     * @param value its text
     * @return this writer
     */
    public SafetensorsWriter metadata(String key, String value) {
        required(key, "key");
        required(value, "value");
        metadata.put(Objects.requireNonNull(key, "key"), Objects.requireNonNull(value, "value"));
        return this;
    }

    /**
     * Adds a tensor. Its elements are read when the file is written.
     *
     * @param name a name that was not given yet
     * @param tensor what is written, as it is when the file is
     * @return this writer
     * @throws IllegalArgumentException if the name is taken or {@code __metadata__}
     */
    public SafetensorsWriter tensor(String name, Tensor tensor) {
        required(name, "name");
        required(tensor, "tensor");
        MemorySegment elements = tensor.memory().asSlice(0, tensor.byteSize());
        return add(
                name,
                new Content(
                        SafetensorsEntry.typeOf(tensor.dtype()),
                        tensor.shape(),
                        elements,
                        tensor.dtype().byteSize()));
    }

    /**
     * Adds whole numbers as I32, in row-major order. A copy is made.
     *
     * @param name a name that was not given yet
     * @param values the elements in row-major order
     * @param shape dimensions, outermost first; their product is the number of values
     * @return this writer
     * @throws IllegalArgumentException if the name is taken, or the shape has not as many elements as {@code values}
     */
    public SafetensorsWriter ints(String name, int[] values, int... shape) {
        required(name, "name");
        required(values, "values");
        required(shape, "shape");
        long size = Arrays.stream(shape).asLongStream().reduce(1, Math::multiplyExact);
        if (size != values.length) {
            throw new IllegalArgumentException("Shape %s has %d elements, but %d values are given for '%s'."
                    .formatted(Arrays.toString(shape), size, values.length, name));
        }
        MemorySegment elements = MemorySegment.ofArray(values.clone());
        return add(name, new Content("I32", shape.clone(), elements, Integer.BYTES));
    }

    private SafetensorsWriter add(String name, Content content) {
        Objects.requireNonNull(name, "name");
        if (name.equals(SafetensorsHeader.METADATA)) {
            throw new IllegalArgumentException(
                    "A tensor cannot be called '%s': the format keeps that name for itself.".formatted(name));
        }
        if (contents.putIfAbsent(name, content) != null) {
            throw new IllegalArgumentException(
                    "There is a tensor '%s' already: give each a name of its own.".formatted(name));
        }
        return this;
    }

    /**
     * Writes the file, replacing one that is there. A symbolic link is followed and stays.
     *
     * @param path the file, which is replaced
     * @throws SafetensorsException if the directory does not exist, the target is not a regular file, or there is no
     *     permission
     * @throws IOException if writing fails; then what was there before is still there
     */
    public void writeTo(Path path) throws IOException {
        required(path, "path");
        try {
            ResultFile.at(path).write(this::writeTo);
        } catch (UnusableFileException fault) {
            throw new SafetensorsException(path, fault.problem(), fault);
        }
    }

    /**
     * Writes the file's bytes to a channel.
     *
     * @param channel gets all bytes; it stays open
     * @throws IOException if the channel cannot be written
     */
    public void writeTo(WritableByteChannel channel) throws IOException {
        required(channel, "channel");
        List<Map.Entry<String, Content>> inFileOrder = inFileOrder();
        writeFully(channel, header(inFileOrder));
        for (Map.Entry<String, Content> entry : inFileOrder) {
            writeElements(channel, entry.getValue());
        }
    }

    /** Widest elements first, so that each tensor begins at a multiple of its element size without a hole before it. */
    private List<Map.Entry<String, Content>> inFileOrder() {
        return contents.entrySet().stream()
                .sorted(Comparator.comparing(entry -> -entry.getValue().elementSize()))
                .toList();
    }

    private ByteBuffer header(List<Map.Entry<String, Content>> inFileOrder) throws IOException {
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        try (JsonGenerator json = new JsonFactory().createGenerator(text, JsonEncoding.UTF8)) {
            json.writeStartObject();
            if (!metadata.isEmpty()) {
                json.writeObjectFieldStart(SafetensorsHeader.METADATA);
                for (Map.Entry<String, String> entry : metadata.entrySet()) {
                    json.writeStringField(entry.getKey(), entry.getValue());
                }
                json.writeEndObject();
            }
            long offset = 0;
            for (Map.Entry<String, Content> entry : inFileOrder) {
                Content content = entry.getValue();
                long end = offset + content.elements().byteSize();
                json.writeObjectFieldStart(entry.getKey());
                json.writeStringField("dtype", content.type());
                json.writeFieldName("shape");
                json.writeArray(content.shape(), 0, content.shape().length);
                json.writeFieldName("data_offsets");
                json.writeArray(new long[] {offset, end}, 0, 2);
                json.writeEndObject();
                offset = end;
            }
            json.writeEndObject();
        }
        // Spaces at the end of the header keep the first tensor on a multiple of 8 bytes.
        int length = Math.ceilDiv(text.size(), ALIGNMENT) * ALIGNMENT;
        byte[] padded = Arrays.copyOf(text.toByteArray(), length);
        Arrays.fill(padded, text.size(), length, (byte) ' ');
        return ByteBuffer.allocate(Long.BYTES + length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(length)
                .put(padded)
                .flip();
    }

    private static void writeElements(WritableByteChannel channel, Content content) throws IOException {
        MemorySegment elements = content.elements();
        ByteBuffer buffer = ByteBuffer.allocateDirect((int) Math.min(CHUNK_BYTES, elements.byteSize()));
        for (long offset = 0; offset < elements.byteSize(); offset += buffer.capacity()) {
            long bytes = Math.min(buffer.capacity(), elements.byteSize() - offset);
            MemorySegment chunk = MemorySegment.ofBuffer(buffer.clear());
            if (content.elementSize() == Short.BYTES) {
                MemorySegment.copy(
                        elements,
                        ValueLayout.JAVA_SHORT_UNALIGNED,
                        offset,
                        chunk,
                        ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN),
                        0,
                        bytes / Short.BYTES);
            } else {
                MemorySegment.copy(
                        elements,
                        ValueLayout.JAVA_INT_UNALIGNED,
                        offset,
                        chunk,
                        ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN),
                        0,
                        bytes / Integer.BYTES);
            }
            writeFully(channel, buffer.limit((int) bytes));
        }
    }

    private static void writeFully(WritableByteChannel channel, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }
}
