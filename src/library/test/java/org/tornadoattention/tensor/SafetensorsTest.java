package org.tornadoattention.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsTest {
    @TempDir
    Path directory;

    private Path written(SafetensorsWriter writer) throws IOException {
        Path file = directory.resolve("written.safetensors");
        writer.writeTo(file);
        return file;
    }

    @ParameterizedTest
    @EnumSource
    void tensorsComeBackBitForBit(DType dtype) throws IOException {
        // More than one chunk of the reader, and not a multiple of it.
        Tensor large = Tensor.random(dtype, 1, 3, 200_003);
        Tensor small = Tensor.random(dtype, 2, 1, 2, 3, 4);
        Tensor empty = Tensor.allocate(dtype, 2, 0, 5);
        Tensor scalar = Tensor.of(dtype, new float[] {1.5f});
        Path file = written(new SafetensorsWriter()
                .tensor("large", large)
                .tensor("empty", empty)
                .tensor("small", small)
                .tensor("scalar", scalar));
        try (Safetensors read = Safetensors.open(file)) {
            assertThat(read.tensor("large").toFloatArray()).isEqualTo(large.toFloatArray());
            assertThat(read.tensor("small").toFloatArray()).isEqualTo(small.toFloatArray());
            assertThat(read.tensor("small").shape()).containsExactly(1, 2, 3, 4);
            assertThat(read.tensor("empty").shape()).containsExactly(2, 0, 5);
            assertThat(read.tensor("scalar").get()).isEqualTo(1.5f);
            assertThat(read.tensor("scalar").dtype()).isEqualTo(dtype);
            assertThat(read.doubles("small")).hasSize(24);
            assertThat(read.entries().keySet()).containsExactly("large", "empty", "small", "scalar");
        }
    }

    @Test
    void metadataNamesAndOrderComeBack() throws IOException {
        SafetensorsWriter writer = new SafetensorsWriter().metadata("z", "1").metadata("a", "\"quotes\" \\ 💡\n");
        for (String name : List.of("zebra", "", "ünï·cödé 💡", "a\"b\\c\n", "a")) {
            writer.tensor(name, Tensor.of(new float[] {name.length()}, 1));
        }
        try (Safetensors read = Safetensors.open(written(writer))) {
            assertThat(read.metadata().keySet()).containsExactly("z", "a");
            assertThat(read.metadata()).containsEntry("a", "\"quotes\" \\ 💡\n");
            assertThat(read.entries().keySet()).containsExactly("zebra", "", "ünï·cödé 💡", "a\"b\\c\n", "a");
            for (String name : read.entries().keySet()) {
                assertThat(read.tensor(name).getFlat(0)).isEqualTo(name.length());
            }
        }
    }

    @Test
    void headersArePaddedWithSpacesToEightBytes() throws IOException {
        for (int length = 1; length <= 16; length++) {
            byte[] bytes = Files.readAllBytes(written(
                    new SafetensorsWriter().tensor("n".repeat(length), Tensor.of(new float[] {1}, 1))));
            long header = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
            assertThat(header % 8).isZero();
            assertThat(bytes).hasSize((int) (8 + header + 4));
            assertThat(new String(bytes, 8, (int) header, StandardCharsets.UTF_8).stripTrailing())
                    .startsWith("{")
                    .endsWith("}");
        }
    }

    @Test
    void anEmptyFileIsAFile() throws IOException {
        try (Safetensors read = Safetensors.open(written(new SafetensorsWriter()))) {
            assertThat(read.entries()).isEmpty();
            assertThat(read.metadata()).isEmpty();
        }
    }

    @Test
    void writingReplacesWholeFilesAndLeavesNothingBehind() throws IOException {
        Path file = written(new SafetensorsWriter().tensor("old", Tensor.allocate(DType.F32, 1000)));
        try (Safetensors old = Safetensors.open(file)) {
            written(new SafetensorsWriter().tensor("new", Tensor.allocate(DType.F32, 1)));
            assertThat(old.tensor("old").numberOfElements()).isEqualTo(1000);
        }
        try (Safetensors read = Safetensors.open(file)) {
            assertThat(read.entries().keySet()).containsExactly("new");
        }
        try (Stream<Path> files = Files.list(directory)) {
            assertThat(files).containsExactly(file);
        }
    }

    @Test
    void writingThroughALinkReplacesItsTarget() throws IOException {
        Path file = written(new SafetensorsWriter());
        Path link = Files.createSymbolicLink(directory.resolve("link.safetensors"), file);
        new SafetensorsWriter().ints("lengths", new int[] {1, 2}, 2).writeTo(link);
        assertThat(link).isSymbolicLink();
        try (Safetensors read = Safetensors.open(file)) {
            assertThat(read.ints("lengths")).containsExactly(1, 2);
        }
    }

    @Test
    void writingToImpossiblePlacesSaysWhy() {
        assertThatExceptionOfType(SafetensorsException.class)
                .isThrownBy(() -> new SafetensorsWriter().writeTo(directory))
                .withMessageContaining(directory.toString())
                .withMessageContaining("name a file");
        assertThatExceptionOfType(SafetensorsException.class)
                .isThrownBy(() -> new SafetensorsWriter().writeTo(directory.resolve("no/such/o.safetensors")))
                .withMessageContaining("there is no directory");
        SafetensorsWriter writer = new SafetensorsWriter().tensor("o", Tensor.allocate(DType.F32, 1));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> writer.tensor("o", Tensor.allocate(DType.F32, 1)))
                .withMessageContaining("'o'");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> writer.tensor("__metadata__", Tensor.allocate(DType.F32, 1)));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> writer.ints("lengths", new int[3], 2))
                .withMessageContaining("'lengths'");
    }

    @Test
    void goldenFilesAreRead() throws IOException {
        Path file = Path.of("src/library/test/resources/goldens/padded_f32_3x70_d32.safetensors");
        try (Safetensors read = Safetensors.open(file)) {
            assertThat(read.ints("key_lengths")).containsExactly(70, 37, 1);
            assertThat(read.tensor("q")).hasToString("F32[3, 2, 70, 32]");
            assertThat(read.metadata()).containsEntry("seq_q", "70");
            assertThat(read.entry("key_lengths").type()).isEqualTo("I32");
            assertThat(read.entry("q").numberOfElements()).isEqualTo(3 * 2 * 70 * 32);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "BOOL, 01ff, 1 255",
        "U8, 01ff, 1 255",
        "I8, 01ff, 1 -1",
        "U16, 0100ffff, 1 65535",
        "I16, 0100feff, 1 -2",
        "U32, 01000000ffffff7f, 1 2147483647",
        "I32, 01000000ffffffff, 1 -1",
        "I64, 0100000000000000ffffffffffffffff, 1 -1",
        "U64, 0100000000000000ffffff7f00000000, 1 2147483647",
        "I32, 01000000ffffff80, 1 -2130706433",
    })
    void wholeNumbersOfEveryTypeAreRead(String type, String hex, String expected) throws IOException {
        byte[] data = java.util.HexFormat.of().parseHex(hex);
        int[] numbers =
                Stream.of(expected.split(" ")).mapToInt(Integer::parseInt).toArray();
        Path file = HostileFiles.write(directory, entry("n", type, "[2]", data.length), data);
        try (Safetensors read = Safetensors.open(file)) {
            assertThat(read.ints("n")).containsExactly(numbers);
            assertThat(read.bytes("n")).containsExactly(data);
        }
    }

    @ParameterizedTest
    @CsvSource({"U32, ffffffff", "I64, 0000008000000000", "I64, ffffff7fffffffff", "U64, ffffffffffffffff"})
    void numbersThatAreNoIntsAreRefused(String type, String hex) throws IOException {
        byte[] data = java.util.HexFormat.of().parseHex(hex);
        Path file = HostileFiles.write(directory, entry("n", type, "[1]", data.length), data);
        try (Safetensors read = Safetensors.open(file)) {
            assertThatExceptionOfType(SafetensorsException.class)
                    .isThrownBy(() -> read.ints("n"))
                    .withMessageContaining("'n'")
                    .withMessageContaining("element 0");
        }
    }

    @Test
    void doublesOfEveryTypeAreRead() throws IOException {
        byte[] data = ByteBuffer.allocate(16)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putDouble(Math.PI)
                .putDouble(-1)
                .array();
        Path file = HostileFiles.write(directory, entry("n", "F64", "[2]", 16), data);
        try (Safetensors read = Safetensors.open(file)) {
            assertThat(read.doubles("n")).containsExactly(Math.PI, -1);
        }
    }

    @Test
    void requestsThatTheFileCannotServeSayWhatItHas() throws IOException {
        Path file = HostileFiles.write(directory, entry("n", "I32", "[1]", 4), new byte[4]);
        try (Safetensors read = Safetensors.open(file)) {
            assertThat(read.contains("n")).isTrue();
            assertThat(read.contains("q")).isFalse();
            assertThatExceptionOfType(SafetensorsException.class)
                    .isThrownBy(() -> read.tensor("q"))
                    .withMessageContaining(file.toString())
                    .withMessageContaining("tensor 'q'")
                    .withMessageContaining("it has ['n']");
            assertThatExceptionOfType(SafetensorsException.class)
                    .isThrownBy(() -> read.tensor("n"))
                    .withMessageContaining("type 'I32': only F32, F16 and BF16");
        }
        Path floats = HostileFiles.write(directory, entry("x", "F32", "[1]", 4), new byte[4]);
        try (Safetensors read = Safetensors.open(floats)) {
            assertThatExceptionOfType(SafetensorsException.class)
                    .isThrownBy(() -> read.ints("x"))
                    .withMessageContaining("'x'")
                    .withMessageContaining("F32");
        }
    }

    /** What MLX writes by default; null is no metadata. */
    @Test
    void metadataMayBeNull() throws IOException {
        String header = "{\"__metadata__\":null,\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}";
        try (Safetensors read = Safetensors.open(HostileFiles.write(directory, header, new byte[] {7}))) {
            assertThat(read.metadata()).isEmpty();
            assertThat(read.ints("x")).containsExactly(7);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"F8_E4M3FNUZ", "F8_E5M2", "F12", "f32", "\\u001b[31m"})
    void aTypeThatNoTensorHasIsRefusedWhenAskedForAndNotBefore(String type) throws IOException {
        String header = "{\"w\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,3]},"
                + "\"q\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[3,7]}}";
        byte[] data = {1, 2, 3, 0, 0, (byte) 0x80, 0x3f};
        try (Safetensors read = Safetensors.open(HostileFiles.write(directory, header.formatted(type), data))) {
            assertThat(read.tensor("q").toFloatArray()).containsExactly(1f);
            assertThat(read.entry("w").dtype()).isEmpty();
            assertThat(read.bytes("w")).containsExactly(1, 2, 3);
            assertThatExceptionOfType(SafetensorsException.class)
                    .isThrownBy(() -> read.tensor("w"))
                    .withMessageContaining("tensor 'w': it is of type '")
                    .withMessageContaining("only F32, F16 and BF16 make a tensor")
                    .withMessageNotContaining("\u001b");
            assertThatExceptionOfType(SafetensorsException.class).isThrownBy(() -> read.ints("w"));
            assertThatExceptionOfType(SafetensorsException.class).isThrownBy(() -> read.doubles("w"));
        }
    }

    /** The format has no holes, so that wider elements come first, as the reference writer puts them. */
    @Test
    void eachTensorBeginsAtAMultipleOfItsElementSize() throws IOException {
        SafetensorsWriter writer = new SafetensorsWriter()
                .tensor("half", Tensor.of(DType.F16, new float[] {1, 2, 3}, 3))
                .tensor("single", Tensor.of(new float[] {4}, 1))
                .tensor("brain", Tensor.of(DType.BF16, new float[] {5}, 1))
                .ints("lengths", new int[] {6}, 1);
        try (Safetensors read = Safetensors.open(written(writer))) {
            assertThat(read.entries().keySet()).containsExactly("single", "lengths", "half", "brain");
            for (SafetensorsEntry entry : read.entries().values()) {
                assertThat(entry.byteOffset() % (entry.byteSize() / entry.numberOfElements()))
                        .as("%s", entry)
                        .isZero();
            }
            assertThat(read.tensor("half").toFloatArray()).containsExactly(1, 2, 3);
            assertThat(read.tensor("single").toFloatArray()).containsExactly(4);
            assertThat(read.tensor("brain").toFloatArray()).containsExactly(5);
            assertThat(read.ints("lengths")).containsExactly(6);
        }
    }

    @Test
    void unknownFieldsOfAnEntryAreSkipped() throws IOException {
        String header = "{\"x\":{\"dtype\":\"U8\",\"note\":[1,{\"a\":[]}],\"shape\":[1],\"data_offsets\":[0,1]}}";
        try (Safetensors read = Safetensors.open(HostileFiles.write(directory, header, new byte[] {7}))) {
            assertThat(read.ints("x")).containsExactly(7);
        }
    }

    private static String entry(String name, String type, String shape, int bytes) {
        return "{\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[0,%d]}}".formatted(name, type, shape, bytes);
    }
}
