package org.tornadoattention.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.assertj.core.api.Assumptions.assumeThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** One fault a test: each is a clear exception that names the file, and nothing large is allocated to find it. */
class HostileSafetensorsTest {
    private static final long MOST_BYTES = 8_000_000;

    @TempDir
    Path directory;

    private static void assertRefused(Path file, String... messageParts) {
        ThreadMXBean thread = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long before = thread.getCurrentThreadAllocatedBytes();
        Throwable fault = catchThrowable(() -> Safetensors.open(file).close());
        long allocated = thread.getCurrentThreadAllocatedBytes() - before;
        assertThat(fault)
                .isInstanceOf(SafetensorsException.class)
                .hasMessageContaining(file.toString())
                .hasMessageContainingAll(messageParts);
        assertThat(fault.getMessage().length()).isLessThan(600);
        assertThat(allocated).isLessThan(MOST_BYTES);
    }

    static Stream<Arguments> headersForEightBytes() {
        return Stream.of(
                // JSON
                fault("", "does not begin with '{'"),
                fault("[]", "does not begin with '{'"),
                fault(" {}", "does not begin with '{'"),
                fault("null", "does not begin with '{'"),
                fault("{\"x\":", "not valid JSON"),
                fault("{\"x\":{\"dtype\":\"F32\",", "not valid JSON"),
                fault("{'x':1}", "not valid JSON"),
                fault("{\"x\":NaN}", "not valid JSON"),
                fault(x("F32", "[2]", "[0,8]") + "{}", "text after its closing '}'"),
                fault(x("F32", "[2]", "[0,8]") + "\0", "not valid JSON"),
                fault("{\"x\":{\"a\":" + "[".repeat(100_000), "not valid JSON", "depth"),
                fault("{\"x\":{\"dtype\":\"F32\",\"shape\":[" + "[".repeat(10_000), "'x'", "shape holds '['"),
                fault("{\"" + "n".repeat(100_000) + "\":1}", "not valid JSON", "exceeds the maximum allowed"),
                fault(x("F32", "[" + "9".repeat(5000) + "]", "[0,8]"), "not valid JSON", "Number value length"),
                // duplicates
                fault(
                        "{\"x\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
                                + "\"x\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}",
                        "Duplicate",
                        "'x'"),
                fault("{\"x\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}", "Duplicate", "'dtype'"),
                fault("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", "Duplicate", "'a'"),
                fault("{\"__metadata__\":{},\"__metadata__\":{}}", "Duplicate", "'__metadata__'"),
                // metadata
                fault("{\"__metadata__\":[]}", "__metadata__ must be an object"),
                fault("{\"__metadata__\":{\"a\":1}}", "__metadata__", "'a' is not a string"),
                fault("{\"__metadata__\":{\"a\":{}}}", "__metadata__", "'a' is not a string"),
                // entries
                fault("{\"x\":1}", "'x'", "must be an object"),
                fault("{\"x\":{}}", "'x'", "dtype is missing"),
                fault("{\"x\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", "'x'", "shape is missing"),
                fault("{\"x\":{\"dtype\":\"F32\",\"shape\":[2]}}", "'x'", "data_offsets is missing"),
                fault(x("F12", "[4294967296,4294967296]", "[0,8]"), "'x'", "does not take a whole number of bytes"),
                fault(x("F12", "[2]", "[4,8]"), "'x'", "hole"),
                fault("{\"x\":{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}}", "'x'", "must be a string"),
                // shapes
                fault(x("F32", "2", "[0,8]"), "'x'", "shape must be an array"),
                fault(x("F32", "null", "[0,8]"), "'x'", "shape must be an array"),
                fault(x("F32", "[-2]", "[0,8]"), "'x'", "shape holds '-2'"),
                fault(x("F32", "[2.0]", "[0,8]"), "'x'", "shape holds '2.0'"),
                fault(x("F32", "[\"2\"]", "[0,8]"), "'x'", "shape holds '2'"),
                fault(x("F32", "[9223372036854775808]", "[0,8]"), "'x'", "shape holds '9223372036854775808'"),
                fault(x("F32", "[" + "1,".repeat(99) + "2]", "[0,8]"), "'x'", "more than 64 numbers"),
                fault(x("F32", "[3]", "[0,8]"), "'x'", "takes 12 bytes", "[0, 8] hold 8"),
                fault(x("F32", "[1]", "[0,8]"), "'x'", "takes 4 bytes"),
                fault(
                        x("F32", "[4294967296,4294967296]", "[0,8]"),
                        "'x'",
                        "does not take a whole number of bytes below 2^60"),
                fault(
                        x("F32", "[4611686018427387904]", "[0,8]"),
                        "'x'",
                        "does not take a whole number of bytes below 2^60"),
                fault(x("F32", "[4294967296,2147483648,2]", "[0,0]"), "'x'", "does not take a whole number of bytes"),
                fault(x("F4", "[3]", "[0,8]"), "'x'", "does not take a whole number of bytes"),
                // offsets
                fault(x("F32", "[2]", "8"), "'x'", "data_offsets must be an array"),
                fault(x("F32", "[2]", "[8]"), "'x'", "begin and an end"),
                fault(x("F32", "[2]", "[0,8,8]"), "'x'", "more than 2 numbers"),
                fault(x("F32", "[2]", "[8,0]"), "'x'", "not before it"),
                fault(x("F32", "[2]", "[-8,0]"), "'x'", "data_offsets holds '-8'"),
                fault(x("F32", "[2]", "[0,1e9]"), "'x'", "data_offsets holds '1e9'"),
                fault(x("F32", "[2]", "[0,99999999999999999999]"), "'x'", "data_offsets holds"),
                fault(x("F32", "[3]", "[0,12]"), "'x'", "past the end of the file's 8 bytes"),
                fault(x("F32", "[2]", "[9223372036854775799,9223372036854775807]"), "'x'", "past the end"),
                fault(x("F32", "[250000000,1000000000]", "[0,1000000000000000000]"), "'x'", "past the end"),
                fault(x("F32", "[1]", "[0,4]"), "4 bytes follow the last tensor"),
                fault(x("F32", "[1]", "[4,8]"), "'x'", "hole"),
                fault("{}", "8 bytes follow the last tensor"),
                fault(two("[0,4]", "[0,4]"), "'b'", "begin at 0", "end at 4", "overlap"),
                fault(two("[0,4]", "[2,6]"), "'b'", "overlap"),
                fault(two("[4,8]", "[0,4]").replace("[4,8]", "[3,7]"), "'a'", "overlap"));
    }

    private static Arguments fault(String header, String... messageParts) {
        return arguments(header, messageParts);
    }

    private static String x(String type, String shape, String offsets) {
        return "{\"x\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":%s}}".formatted(type, shape, offsets);
    }

    private static String two(String first, String second) {
        return ("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":%s},"
                        + "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":%s}}")
                .formatted(first, second);
    }

    @ParameterizedTest(name = "{index} {1}")
    @MethodSource("headersForEightBytes")
    void faultyHeaders(String header, String[] messageParts) throws IOException {
        assertRefused(HostileFiles.write(directory, header, new byte[8]), messageParts);
    }

    @Test
    void soundHeadersAreTakenInAnyOrder() throws IOException {
        try (Safetensors file = Safetensors.open(HostileFiles.write(directory, two("[4,8]", "[0,4]"), new byte[8]))) {
            assertThat(file.entries().keySet()).containsExactly("a", "b");
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 7})
    void filesShorterThanTheHeadersLength(int size) throws IOException {
        Path file = Files.write(directory.resolve("short.safetensors"), new byte[size]);
        assertRefused(file, "%d bytes".formatted(size), "takes 8");
    }

    @ParameterizedTest
    @ValueSource(longs = {3, 100, 99_999_999})
    void headersPastTheEndOfTheFile(long length) throws IOException {
        Path file = HostileFiles.writeRaw(directory, length, "{}".getBytes(StandardCharsets.UTF_8), new byte[0]);
        assertRefused(file, "length is %d bytes".formatted(length), "only 2 follow", "truncated");
    }

    @ParameterizedTest
    @ValueSource(longs = {100_000_001, 1L << 40, Long.MAX_VALUE, -1, Long.MIN_VALUE})
    void headersThatAreTooLong(long length) throws IOException {
        Path file = HostileFiles.writeRaw(directory, length, "{}".getBytes(StandardCharsets.UTF_8), new byte[0]);
        assertRefused(file, Long.toUnsignedString(length), "at most 100,000,000");
    }

    @Test
    void aLongHeaderOfNothingIsNotReadWhole() throws IOException {
        Path file = HostileFiles.writeRaw(directory, 100_000_000, new byte[0], new byte[0]);
        try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
            sparse.setLength(200_000_000);
        }
        assertRefused(file, "not valid JSON");
    }

    @Test
    void anySoundFileCutOffAnywhereIsRefused() throws IOException {
        byte[] whole = Files.readAllBytes(HostileFiles.write(directory, two("[0,4]", "[4,8]"), new byte[8]));
        for (int size = 0; size < whole.length; size++) {
            assertRefused(
                    Files.write(directory.resolve("cut.safetensors"), Arrays.copyOf(whole, size)), "cut.safetensors");
        }
    }

    @Test
    void headersThatAreNotUtf8() throws IOException {
        byte[] header = x("F32", "[2]", "[0,8]").replace('x', '\u00ff').getBytes(StandardCharsets.ISO_8859_1);
        assertRefused(HostileFiles.write(directory, header, new byte[8]), "not valid UTF-8");
        byte[] utf16 = x("F32", "[2]", "[0,8]").getBytes(StandardCharsets.UTF_16LE);
        assertRefused(HostileFiles.write(directory, utf16, new byte[8]), "not valid JSON");
    }

    @Test
    void namesOfTensorsAreShownWithoutControlCharactersAndShortened() throws IOException {
        String name = "\\u001b[31m\\u202e" + "n".repeat(5000);
        Path file = HostileFiles.write(
                directory, x("F32", "[1]", "[0,8]").replace("\"x\"", "\"" + name + "\""), new byte[8]);
        assertRefused(file, "'?[31m?nnn", "…'");
    }

    @Test
    void missingFiles() {
        assertRefused(directory.resolve("missing.safetensors"), "there is no such file: check the path");
    }

    @Test
    void directories() {
        assertRefused(directory, "this is a directory");
    }

    @Test
    void devices() {
        assumeThat(Path.of("/dev/zero")).exists();
        assertRefused(Path.of("/dev/zero"), "not a regular file");
    }

    @Test
    void filesThatMayNotBeRead() throws IOException {
        Path file = HostileFiles.write(directory, "{}", new byte[0]);
        assumeThat(directory.getFileSystem().supportedFileAttributeViews()).contains("posix");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("---------"));
        assumeThat(Files.isReadable(file)).as("root may read everything").isFalse();
        assertRefused(file, "no permission to read");
    }

    @Test
    void tensorsThatAreTooLargeForAnArrayAreRefusedWhenAskedFor() throws IOException {
        long bytes = 1L << 32;
        String header = x("U8", "[%d]".formatted(bytes), "[0,%d]".formatted(bytes));
        Path file = HostileFiles.write(directory, header, new byte[0]);
        grow(file, bytes);
        try (Safetensors opened = Safetensors.open(file)) {
            assertThatExceptionOfType(SafetensorsException.class)
                    .isThrownBy(() -> opened.bytes("x"))
                    .withMessageContaining("'x'")
                    .withMessageContaining("4,294,967,296 bytes");
        }
        Path halves = HostileFiles.write(
                directory, header.replace("U8", "F16").replace("[" + bytes + "]", "[2147483648]"), new byte[0]);
        grow(halves, bytes);
        try (Safetensors opened = Safetensors.open(halves)) {
            assertThatExceptionOfType(SafetensorsException.class)
                    .isThrownBy(() -> opened.tensor("x"))
                    .withMessageContaining("'x'")
                    .withMessageContaining("2,147,483,631");
        }
    }

    @Test
    void filesThatShrinkAfterOpeningAreReported() throws IOException {
        Path file = HostileFiles.write(directory, x("F32", "[2]", "[0,8]"), new byte[8]);
        try (Safetensors opened = Safetensors.open(file)) {
            grow(file, -4);
            assertThatExceptionOfType(SafetensorsException.class)
                    .isThrownBy(() -> opened.tensor("x"))
                    .withMessageContaining("'x'")
                    .withMessageContaining("became shorter");
        }
    }

    private static void grow(Path file, long bytes) throws IOException {
        try (RandomAccessFile access = new RandomAccessFile(file.toFile(), "rw")) {
            access.setLength(access.length() + bytes);
        }
    }
}
