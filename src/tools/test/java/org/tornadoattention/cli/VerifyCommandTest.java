package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.tensor.Safetensors;

class VerifyCommandTest {

    private static final Path SMALL = Invocation.GOLDENS.resolve("padded_f32_3x70_d32.safetensors");
    private static final Path HALF = Invocation.GOLDENS.resolve("mha_f16_64_d64.safetensors");

    @TempDir
    private Path directory;

    @Test
    void aLineForEachKernelWithTheErrorsOfOutputAndLogSumExp() {
        Invocation verify = Invocation.of(
                "verify", SMALL, "--backend", TestDevice.get().backend().id());
        assertThat(verify.exitCode()).isZero();
        assertThat(verify.err()).isEmpty();
        assertThat(verify.out().lines().toList())
                .satisfies(lines -> assertThat(lines.getFirst()).startsWith("Running on "))
                .filteredOn(line -> line.startsWith("padded_f32_3x70_d32") && !line.contains("warp-"))
                .hasSize(3)
                .allSatisfy(
                        line -> assertThat(line)
                                .containsPattern(
                                        "o \\S+ of \\S+  lse \\S+ of \\S+  dq \\S+ of \\S+  dk \\S+ of \\S+  dv \\S+ of \\S+  ok$"))
                .satisfiesExactly(
                        line -> assertThat(line).contains("standard"),
                        line -> assertThat(line).contains("online"),
                        line -> assertThat(line).contains("tiled"));
        if (AttentionKernel.WARP_TF32.supports(TestDevice.get())) {
            assertThat(verify.out().lines())
                    .anySatisfy(line ->
                            assertThat(line).containsPattern("warp-tf32 +o \\S+ of \\S+  lse \\S+ of \\S+  ok$"));
        }
        if (AttentionKernel.WARP_GROUP_F32.supports(TestDevice.get())) {
            assertThat(verify.out().lines())
                    .anySatisfy(line -> assertThat(line)
                            .containsPattern("warp-group-f32 +o \\S+ of \\S+  lse .* dv \\S+ of \\S+  ok$"));
        }
        assertThat(verify.out())
                .containsPattern("([345]) of \\1 checks are within tolerance \\(1 cases, 1 with gradients\\)");
    }

    @Test
    void directoriesAreSearched() throws IOException {
        Path deep = Files.createDirectories(directory.resolve("a/b"));
        Files.copy(SMALL, deep.resolve("one.safetensors"));
        Files.copy(SMALL, directory.resolve("two.safetensors"));
        Files.writeString(directory.resolve("README.md"), "not a case");
        Invocation verify = Invocation.of("verify", directory, "--kernel", "online");
        assertThat(verify.exitCode()).isZero();
        assertThat(verify.out()).contains("one ", "two ", "2 of 2 checks");
    }

    @Test
    void aWrongOutputFails() throws IOException {
        Invocation verify = Invocation.of("verify", corrupted("o"), SMALL, "-k", "online");
        assertThat(verify.exitCode()).isEqualTo(1);
        assertThat(verify.out()).containsPattern("wrong_o .*FAILED").contains("o: max error", "1 of 2 checks");
    }

    @Test
    void aWrongLogSumExpFails() throws IOException {
        Invocation verify = Invocation.of("verify", corrupted("lse"), "-k", "online");
        assertThat(verify.exitCode()).isEqualTo(1);
        assertThat(verify.out()).containsPattern("wrong_lse .*FAILED").contains("lse: max error", "0 of 1 checks");
    }

    @Test
    void aWrongGradientFails() throws IOException {
        Invocation verify = Invocation.of("verify", corrupted("dk"), "-k", "online");
        assertThat(verify.exitCode()).isEqualTo(1);
        assertThat(verify.out()).containsPattern("wrong_dk .*FAILED").contains("dk: max error", "0 of 1 checks");
    }

    @Test
    void aTruncatedFileIsAnErrorAndTheOthersAreStillVerified() throws IOException {
        Path truncated = directory.resolve("truncated.safetensors");
        byte[] bytes = Files.readAllBytes(SMALL);
        Files.write(truncated, Arrays.copyOf(bytes, bytes.length - 7));
        Invocation verify = Invocation.of("verify", truncated, SMALL, "-k", "online");
        assertThat(verify.exitCode()).isEqualTo(1);
        assertThat(verify.out()).contains("ERROR: " + truncated).contains("1 of 2 checks");
    }

    @Test
    void nothingComparedIsNotGood() {
        Invocation verify = Invocation.of("verify", HALF, "--kernel", "standard");
        assertThat(verify.exitCode()).isEqualTo(1);
        assertThat(verify.out()).contains("skipped: the kernel does not take F16", "0 of 0 checks", "1 skipped");
    }

    @Test
    void jsonHoldsTheVerdictsAndNothingElse() throws IOException {
        Invocation verify = Invocation.of("verify", "--json", corrupted("lse"), "-k", "online");
        assertThat(verify.exitCode()).isEqualTo(1);
        assertThat(verify.err()).startsWith("Running on ");
        JsonNode report = new ObjectMapper().readTree(verify.out());
        assertThat(report.path("passed").booleanValue()).isFalse();
        assertThat(report.path("platform").textValue()).isNotBlank();
        JsonNode check = report.path("checks").path(0);
        assertThat(check.path("kernel").textValue()).isEqualTo("online");
        assertThat(check.path("status").textValue()).isEqualTo("FAILED");
        assertThat(check.path("tensors").path(0).path("passed").booleanValue()).isTrue();
        assertThat(check.path("tensors").path(1).path("name").textValue()).isEqualTo("lse");
        assertThat(check.path("tensors").path(1).path("passed").booleanValue()).isFalse();
    }

    @Test
    void pathsThatLeadNowhereAreBadUsage() {
        Invocation missing = Invocation.of("verify", directory.resolve("none"));
        assertThat(missing.exitCode()).isEqualTo(2);
        assertThat(missing.err()).contains("There is no file or directory");
        Invocation empty = Invocation.of("verify", directory);
        assertThat(empty.exitCode()).isEqualTo(2);
        assertThat(empty.err()).contains("holds no .safetensors files");
    }

    /** A golden case with one wrong number in a tensor. */
    private Path corrupted(String tensor) throws IOException {
        byte[] bytes = Files.readAllBytes(SMALL);
        int dataStart;
        long offset;
        try (Safetensors file = Safetensors.open(SMALL)) {
            long all = file.entries().values().stream()
                    .mapToLong(entry -> entry.byteSize())
                    .sum();
            dataStart = (int) (bytes.length - all);
            offset = file.entry(tensor).byteOffset();
        }
        bytes[(int) (dataStart + offset + 3)] ^= 1; // an F32's exponent: 4 times as large, or as small
        return Files.write(directory.resolve("wrong_" + tensor + ".safetensors"), bytes);
    }
}
