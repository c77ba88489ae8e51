package org.tornadoattention.tensor;

import static org.tornadoattention.internal.Arguments.required;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;

/**
 * A safetensors file opened for reading.
 *
 * <p>Opening reads and checks the header: every tensor's type, shape and byte range, that the ranges cover the file
 * without overlaps or holes, and nothing else is read or allocated. Tensors are read when asked for, each into memory
 * of its own, so they outlive the file. {@link SafetensorsWriter} writes files.
 *
 * <pre>{@code
 * try (Safetensors file = Safetensors.open(Path.of("qkv.safetensors"))) {
 *     Tensor q = file.tensor("q");
 * }
 * }</pre>
 *
 * <p>All faults, of the file or of a request that it cannot serve, are {@link SafetensorsException}s that name the file
 * and the tensor. An opened file may be read by one thread at a time.
 */
public final class Safetensors implements AutoCloseable {
    private static final int CHUNK_BYTES = 1 << 20;
    private static final List<String> WHOLE_NUMBERS =
            List.of("BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64");
    private static final ValueLayout.OfInt STORED_INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort STORED_SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path path;
    private final FileChannel channel;
    private final SafetensorsHeader header;

    private Safetensors(Path path, FileChannel channel, SafetensorsHeader header) {
        this.path = path;
        this.channel = channel;
        this.header = header;
    }

    /**
     * Opens a file and checks its header.
     *
     * @param path the file
     * @return the file's header, checked; tensors are read when asked for
     * @throws SafetensorsException if there is no such file, it may not be read, or it is not a sound safetensors file
     * @throws IOException if reading fails
     */
    public static Safetensors open(Path path) throws IOException {
        required(path, "path");
        if (Files.isDirectory(path)) {
            throw new SafetensorsException(path, "this is a directory: name a file in it");
        }
        // Opening a pipe would wait for its other end, and a device has no size to check against.
        if (Files.exists(path) && !Files.isRegularFile(path)) {
            throw new SafetensorsException(path, "this is not a regular file");
        }
        FileChannel channel;
        try {
            channel = FileChannel.open(path, StandardOpenOption.READ);
        } catch (NoSuchFileException fault) {
            throw new SafetensorsException(path, "there is no such file: check the path", fault);
        } catch (AccessDeniedException fault) {
            throw new SafetensorsException(path, "no permission to read this file", fault);
        }
        try {
            return new Safetensors(path, channel, SafetensorsHeader.read(path, channel));
        } catch (IOException | RuntimeException | Error fault) {
            channel.close();
            throw fault;
        }
    }

    /** {@return the file that was opened} */
    public Path path() {
        return path;
    }

    /** {@return the strings under {@code __metadata__}, in the file's order; unmodifiable} */
    public Map<String, String> metadata() {
        return header.metadata();
    }

    /** {@return all tensors by name, in the header's order; unmodifiable} */
    public Map<String, SafetensorsEntry> entries() {
        return header.entries();
    }

    /**
     * {@return whether the file has a tensor of that name}
     *
     * @param name a tensor's name
     */
    public boolean contains(String name) {
        required(name, "name");
        return header.entries().containsKey(name);
    }

    /**
     * What the file says of one tensor.
     *
     * @param name a tensor's name
     * @return its type, shape and place
     * @throws SafetensorsException if it has none of that name
     */
    public SafetensorsEntry entry(String name) throws SafetensorsException {
        required(name, "name");
        SafetensorsEntry entry = header.entries().get(name);
        if (entry == null) {
            List<String> present = header.entries().keySet().stream()
                    .limit(20)
                    .map(SafetensorsException::quoted)
                    .toList();
            throw new SafetensorsException(path, name, "the file has no such tensor; it has " + present);
        }
        return entry;
    }

    /**
     * Reads an F32, F16 or BF16 tensor.
     *
     * @param name a tensor's name
     * @return a new tensor of the file's type and shape
     * @throws SafetensorsException if there is no such tensor, it is of another type, or it has more elements than a
     *     {@link Tensor} holds
     * @throws IOException if reading fails
     */
    public Tensor tensor(String name) throws IOException {
        SafetensorsEntry entry = entry(name);
        DType dtype = entry.dtype()
                .orElseThrow(() -> new SafetensorsException(
                        path,
                        name,
                        "it is of type %s: only F32, F16 and BF16 make a tensor"
                                .formatted(SafetensorsException.quoted(entry.type()))));
        int[] shape = intShape(entry);
        Tensor tensor = Tensor.allocate(dtype, shape);
        MemorySegment target = tensor.array().getSegment();
        readChunks(entry, (chunk, offset) -> {
            long count = chunk.byteSize() / dtype.byteSize();
            if (dtype == DType.F32) {
                MemorySegment.copy(chunk, STORED_INT, 0, target, ValueLayout.JAVA_INT, offset, count);
            } else {
                MemorySegment.copy(chunk, STORED_SHORT, 0, target, ValueLayout.JAVA_SHORT, offset, count);
            }
        });
        return tensor;
    }

    /**
     * Reads whole numbers (BOOL, I8, U8, I16, U16, I32, U32, I64 or U64), in row-major order.
     *
     * @param name a tensor's name
     * @return its elements in row-major order
     * @throws SafetensorsException if there is no such tensor, it is of another type, or a number is no {@code int}
     * @throws IOException if reading fails
     */
    public int[] ints(String name) throws IOException {
        SafetensorsEntry entry = entry(name);
        if (!WHOLE_NUMBERS.contains(entry.type())) {
            throw new SafetensorsException(
                    path,
                    name,
                    "it is of type %s, not one of %s"
                            .formatted(SafetensorsException.quoted(entry.type()), WHOLE_NUMBERS));
        }
        ByteBuffer stored = ByteBuffer.wrap(bytes(name)).order(ByteOrder.LITTLE_ENDIAN);
        int[] numbers = new int[(int) entry.numberOfElements()];
        for (int i = 0; i < numbers.length; i++) {
            long number = switch (entry.type()) {
                case "I8" -> stored.get();
                case "I16" -> stored.getShort();
                case "U16" -> stored.getShort() & 0xFFFF;
                case "I32" -> stored.getInt();
                case "U32" -> stored.getInt() & 0xFFFFFFFFL;
                case "I64", "U64" -> stored.getLong();
                default -> stored.get() & 0xFF;
            };
            // A U64 of 2^63 or more reads as a negative long, which is out of range whatever it is.
            if (number != (int) number || (number < 0 && entry.type().equals("U64"))) {
                throw new SafetensorsException(
                        path, name, "element %d is outside the range of a 32-bit int".formatted(i));
            }
            numbers[i] = (int) number;
        }
        return numbers;
    }

    /**
     * Reads floating-point numbers (F64, F32, F16 or BF16), in row-major order, widened exactly.
     *
     * @param name a tensor's name
     * @return its elements in row-major order
     * @throws SafetensorsException if there is no such tensor, or it is of another type
     * @throws IOException if reading fails
     */
    public double[] doubles(String name) throws IOException {
        SafetensorsEntry entry = entry(name);
        if (entry.type().equals("F64")) {
            double[] numbers = new double[(int) entry.numberOfElements()];
            ByteBuffer.wrap(bytes(name))
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .asDoubleBuffer()
                    .get(numbers);
            return numbers;
        }
        float[] values = tensor(name).toFloatArray();
        double[] numbers = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            numbers[i] = values[i];
        }
        return numbers;
    }

    /**
     * Reads the bytes of a tensor of any type as they are stored: little-endian, row-major.
     *
     * @param name a tensor's name
     * @return its elements as they are stored, little-endian
     * @throws SafetensorsException if there is no such tensor, or it has more bytes than an array holds
     * @throws IOException if reading fails
     */
    public byte[] bytes(String name) throws IOException {
        SafetensorsEntry entry = entry(name);
        if (entry.byteSize() > Tensor.MAX_ELEMENTS) {
            throw new SafetensorsException(
                    path, name, "it has %,d bytes, more than a Java array holds".formatted(entry.byteSize()));
        }
        byte[] bytes = new byte[(int) entry.byteSize()];
        readChunks(
                entry,
                (chunk, offset) -> MemorySegment.copy(
                        chunk, ValueLayout.JAVA_BYTE, 0, bytes, (int) offset, (int) chunk.byteSize()));
        return bytes;
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }

    private int[] intShape(SafetensorsEntry entry) throws SafetensorsException {
        try {
            int[] shape = entry.shape().stream().mapToInt(Math::toIntExact).toArray();
            if (entry.numberOfElements() <= Tensor.MAX_ELEMENTS) {
                return shape;
            }
        } catch (ArithmeticException tooLong) {
            // Said below, in the same words.
        }
        throw new SafetensorsException(
                path,
                entry.name(),
                "shape %s has more elements than the %,d that a tensor holds"
                        .formatted(entry.shape(), Tensor.MAX_ELEMENTS));
    }

    private void readChunks(SafetensorsEntry entry, ChunkConsumer consumer) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocateDirect((int) Math.min(CHUNK_BYTES, entry.byteSize()));
        for (long offset = 0; offset < entry.byteSize(); offset += buffer.capacity()) {
            buffer.clear().limit((int) Math.min(buffer.capacity(), entry.byteSize() - offset));
            long position = header.dataStart() + entry.byteOffset() + offset;
            while (buffer.hasRemaining()) {
                int count = channel.read(buffer, position + buffer.position());
                if (count < 0) {
                    throw new SafetensorsException(path, entry.name(), "the file became shorter while it was read");
                }
            }
            consumer.accept(MemorySegment.ofBuffer(buffer.flip()), offset);
        }
    }

    /** What is done to the bytes that begin {@code offset} bytes into a tensor. */
    @FunctionalInterface
    private interface ChunkConsumer {
        void accept(MemorySegment chunk, long offset);
    }
}
