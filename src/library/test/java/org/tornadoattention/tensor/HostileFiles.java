package org.tornadoattention.tensor;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Files put together byte by byte, sound or not. */
final class HostileFiles {
    private HostileFiles() {}

    static Path write(Path directory, String header, byte[] data) throws IOException {
        return write(directory, header.getBytes(StandardCharsets.UTF_8), data);
    }

    static Path write(Path directory, byte[] header, byte[] data) throws IOException {
        return writeRaw(directory, header.length, header, data);
    }

    static Path writeRaw(Path directory, long headerLength, byte[] header, byte[] data) throws IOException {
        Path file = Files.createTempFile(directory, "hostile", ".safetensors");
        return Files.write(
                file,
                ByteBuffer.allocate(Long.BYTES + header.length + data.length)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putLong(headerLength)
                        .put(header)
                        .put(data)
                        .array());
    }
}
