package org.tornadoattention.reference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Gradients;
import org.tornadoattention.Mask;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.SafetensorsException;
import org.tornadoattention.tensor.SafetensorsWriter;
import org.tornadoattention.tensor.Tensor;

class GoldenCaseTest {
    @TempDir
    Path directory;

    static Iterable<Path> goldens() throws IOException {
        return GoldenFiles.all();
    }

    @Test
    void allGoldensAreThere() throws IOException {
        assertThat(GoldenFiles.all()).hasSize(29);
    }

    /** F32 storage loses half a unit in the last place of each value; float64 itself next to nothing. */
    private static void assertWithinStorage(String name, double[] oracle, double[] stored) {
        assertThat(oracle).hasSameSizeAs(stored);
        double largest = 0;
        for (double value : stored) {
            largest = Math.max(largest, Double.isFinite(value) ? Math.abs(value) : 0);
        }
        for (int i = 0; i < stored.length; i++) {
            double bound = DType.F32.unitRoundoff() * Math.abs(stored[i]) + 1e-12 * Math.max(1, largest);
            boolean within = stored[i] == oracle[i] || Math.abs(stored[i] - oracle[i]) <= bound;
            assertThat(within)
                    .as("%s[%d]: oracle %s, golden %s", name, i, oracle[i], stored[i])
                    .isTrue();
        }
    }

    @ParameterizedTest
    @MethodSource("goldens")
    void theOracleAgreesToTheLastBitOfTheStorage(Path file) throws IOException {
        GoldenCase golden = GoldenCase.load(file);
        var forward = ReferenceAttention.forward(golden.q(), golden.k(), golden.v(), golden.options());
        assertWithinStorage("o", forward.output(), golden.expected().output());
        assertWithinStorage("lse", forward.logSumExp(), golden.expected().logSumExp());
        golden.gradients().ifPresent(gradients -> {
            var backward =
                    ReferenceAttention.backward(golden.q(), golden.k(), golden.v(), gradients.dO(), golden.options());
            assertWithinStorage("dq", backward.dQ(), gradients.expected().dQ());
            assertWithinStorage("dk", backward.dK(), gradients.expected().dK());
            assertWithinStorage("dv", backward.dV(), gradients.expected().dV());
        });
    }

    @ParameterizedTest
    @MethodSource("goldens")
    void naiveAttentionIsAsExactAsItsPrecision(Path file) throws IOException {
        GoldenCase golden = GoldenCase.load(file);
        DType dtype = golden.q().dtype();
        AttentionShape shape = golden.shape();
        var naive = NaiveAttention.forward(golden.q(), golden.k(), golden.v(), golden.options());
        Tensor output = Tensor.of(dtype, naive.output(), shape.queryShape());
        Tensor logSumExp = Tensor.of(naive.logSumExp(), shape.logSumExpShape());
        Comparison o = golden.check().forward(output, logSumExp).get(0);
        Comparison lse = golden.check().forward(output, logSumExp).get(1);
        // A score, a log-sum-exp and a sum are off by a few units in the last place of the largest of them, and
        // exp turns that into a relative error of P; P and the output are then rounded once each.
        double ofScores = 8 * DType.F32.unitRoundoff() * Math.max(1, largest(naive.logSumExp()));
        double ofOutput =
                (3 * dtype.unitRoundoff() + ofScores) * largest(golden.v().toFloatArray());
        assertThat(lse.maxError()).as("%s", lse).isLessThanOrEqualTo(ofScores);
        assertThat(o.maxError()).as("%s", o).isLessThanOrEqualTo(ofOutput);
        golden.gradients().ifPresent(gradients -> {
            var backward =
                    NaiveAttention.backward(golden.q(), golden.k(), golden.v(), gradients.dO(), golden.options());
            Gradients tensors = Gradients.of(
                    Tensor.of(backward.dQ(), shape.queryShape()),
                    Tensor.of(backward.dK(), shape.keyShape()),
                    Tensor.of(backward.dV(), shape.keyShape()));
            for (Comparison comparison : golden.check().gradients(tensors)) {
                assertThat(comparison.relativeError())
                        .as("%s", comparison)
                        .isLessThan(4 * dtype.unitRoundoff() + ofScores);
            }
        });
    }

    private static double largest(float[] values) {
        double largest = 0;
        for (float value : values) {
            largest = Math.max(largest, Float.isFinite(value) ? Math.abs(value) : 0);
        }
        return largest;
    }

    @Test
    void optionsComeFromTheFile() throws IOException {
        GoldenCase window = GoldenCase.load(GoldenFiles.DIRECTORY.resolve("window_causal_f32_60x90_d32.safetensors"));
        assertThat(window.name()).isEqualTo("window_causal_f32_60x90_d32");
        assertThat(window.options().mask()).isEqualTo(Mask.window(21, 0));
        assertThat(window.shape()).isEqualTo(new AttentionShape(1, 2, 2, 60, 90, 32));
        GoldenCase softcap = GoldenCase.load(GoldenFiles.DIRECTORY.resolve("softcap_bf16_64_d64.safetensors"));
        assertThat(softcap.options().softcap()).isEqualTo(20);
        assertThat(softcap.q().dtype()).isEqualTo(DType.BF16);
        GoldenCase alibi = GoldenCase.load(GoldenFiles.DIRECTORY.resolve("alibi_causal_f32_64_d32.safetensors"));
        assertThat(alibi.options().hasAlibi()).isTrue();
        assertThat(alibi.options().mask()).isEqualTo(Mask.causal());
        GoldenCase padded = GoldenCase.load(GoldenFiles.DIRECTORY.resolve("padded_f32_3x70_d32.safetensors"));
        assertThat(padded.options().hasKeyLengths()).isTrue();
        GoldenCase scale = GoldenCase.load(GoldenFiles.DIRECTORY.resolve("scale_f32_64_d16.safetensors"));
        assertThat(scale.options().scaleFor(16)).isEqualTo(0.5);
        GoldenCase forward = GoldenCase.load(GoldenFiles.DIRECTORY.resolve("mha_f16_512_d128_no_grad.safetensors"));
        assertThat(forward.gradients()).isEmpty();
    }

    private static SafetensorsWriter soundCase() {
        return new SafetensorsWriter()
                .tensor("q", Tensor.random(DType.F32, 1, 1, 2, 3, 4))
                .tensor("k", Tensor.random(DType.F32, 2, 1, 1, 5, 4))
                .tensor("v", Tensor.random(DType.F32, 3, 1, 1, 5, 4))
                .tensor("o", Tensor.allocate(DType.F32, 1, 2, 3, 4));
    }

    private void assertRefused(Consumer<SafetensorsWriter> change, String... parts) throws IOException {
        SafetensorsWriter writer = soundCase();
        change.accept(writer);
        Path file = directory.resolve("case.safetensors");
        writer.writeTo(file);
        assertThatExceptionOfType(SafetensorsException.class)
                .isThrownBy(() -> GoldenCase.load(file))
                .satisfies(fault ->
                        assertThat(fault).hasMessageContaining(file.toString()).hasMessageContainingAll(parts));
    }

    @Test
    void casesThatContradictThemselvesAreRefused() throws IOException {
        Tensor lse = Tensor.allocate(DType.F32, 1, 2, 3);
        assertRefused(file -> {}, "tensor 'lse'", "no such tensor");
        assertRefused(file -> file.tensor("lse", Tensor.allocate(DType.F32, 1, 2, 4)), "'lse'", "[1, 2, 4]");
        assertRefused(file -> file.tensor("lse", lse).metadata("heads", "3"), "heads = '3', but it is 2");
        assertRefused(file -> file.tensor("lse", lse).metadata("dtype", "f16"), "dtype = 'f16', but it is f32");
        assertRefused(file -> file.tensor("lse", lse).metadata("causal_alignment", "top-left"), "bottom-right");
        assertRefused(file -> file.tensor("lse", lse).metadata("causal", "maybe"), "causal = 'maybe'");
        assertRefused(file -> file.tensor("lse", lse).metadata("window_left", "x"), "window_left = 'x'");
        assertRefused(file -> file.tensor("lse", lse).metadata("window_left", "-2"), "left edge is -2");
        assertRefused(file -> file.tensor("lse", lse).metadata("scale", "NaN"), "scale is NaN");
        assertRefused(file -> file.tensor("lse", lse).metadata("softcap", "big"), "softcap = 'big'");
        assertRefused(file -> file.tensor("lse", lse).ints("key_lengths", new int[] {6}, 1), "only 5 keys");
        assertRefused(
                file -> file.tensor("lse", lse).tensor("do", Tensor.allocate(DType.F16, 1, 2, 3, 4)), "'do'", "F16");
        assertRefused(file -> file.tensor("lse", lse).tensor("do", Tensor.allocate(DType.F32, 1, 2, 3, 4)), "'dq'");
    }

    @Test
    void whatIsNotSaidIsPlainAttention() throws IOException {
        Path file = directory.resolve("plain.safetensors");
        soundCase().tensor("lse", Tensor.allocate(DType.F32, 1, 2, 3)).writeTo(file);
        assertThat(GoldenCase.load(file).options()).isEqualTo(AttentionOptions.defaults());
    }
}
