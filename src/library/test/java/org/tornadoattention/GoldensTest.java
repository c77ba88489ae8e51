package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.Backward;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.GoldenCase;
import org.tornadoattention.tensor.DType;

/** PyTorch's float64 answers, by every kernel that claims the case. */
@Order(1)
class GoldensTest {

    private static final Path DIRECTORY = Path.of("src/library/test/resources/goldens");

    /** Of the day: each golden, and each kernel with each of its types. */
    static Stream<Arguments> goldensOfTheDay() throws IOException {
        return CoveringArray.today(goldens(), 1, 2);
    }

    private static Stream<Arguments> goldens() throws IOException {
        return files().stream().flatMap(file -> {
            GoldenCase golden = load(file);
            return Arrays.stream(AttentionKernel.values())
                    .filter(kernel -> kernel.supports(golden.q().dtype()) && TestDevice.tries(kernel))
                    .filter(kernel -> kernel.supports(golden.q().dimension(3)))
                    .filter(kernel -> AttentionGrid.FULL
                            || !isLarge(golden)
                            || !TestDevice.of(kernel).isSimulator()
                            || kernel == AttentionKernel.ONLINE)
                    .map(kernel ->
                            Arguments.of(golden.name(), kernel, golden.q().dtype()));
        });
    }

    /** Whether simulated kernels, but for the quickest, would take seconds for it. */
    private static boolean isLarge(GoldenCase golden) {
        return (long) golden.q().dimension(2)
                        * golden.k().dimension(2)
                        * golden.q().dimension(3)
                > 1 << 23;
    }

    private static List<Path> files() throws IOException {
        try (Stream<Path> files = Files.list(DIRECTORY)) {
            return files.filter(file -> file.toString().endsWith(".safetensors"))
                    .sorted()
                    .toList();
        }
    }

    private static GoldenCase load(Path file) {
        try {
            return GoldenCase.load(file);
        } catch (IOException e) {
            throw new AssertionError(file + " cannot be read", e);
        }
    }

    /**
     * What kernels one after the other are held against: the oracle, which says how far they may be off, takes its
     * time.
     */
    private static Checked last;

    private record Checked(GoldenCase golden, AccuracyCheck check) {

        static Checked of(String name) {
            if (last == null || !last.golden.name().equals(name)) {
                GoldenCase golden = load(DIRECTORY.resolve(name + ".safetensors"));
                last = new Checked(golden, golden.check());
            }
            return last;
        }
    }

    @Tag("both-tiers")
    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("goldensOfTheDay")
    void isAccurate(String name, AttentionKernel kernel, DType dtype) {
        Checked checked = Checked.of(name);
        GoldenCase golden = checked.golden;
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = attention.forward(golden.q(), golden.k(), golden.v(), golden.options());
            assertThat(checked.check.ofProducts(kernel.isFp8()).forward(result.output(), result.logSumExp()))
                    .allMatch(Comparison::passed);
            // Gradients of another kernel's are that kernel's case.
            golden.gradients()
                    .filter(_ -> kernel.spec().backward() instanceof Backward.Own)
                    .ifPresent(
                            expected -> assertThat(checked.check.gradients(attention.backward(result, expected.dO())))
                                    .allMatch(Comparison::passed));
        }
    }

    @Test
    void mostGoldensHaveGradients() throws IOException {
        assertThat(files().stream().filter(file -> load(file).gradients().isPresent()))
                .hasSizeGreaterThan(20);
    }

    @Tag("both-tiers")
    @Test
    void everyKernelHasGoldens() throws IOException {
        assertThat(goldensOfTheDay().map(arguments -> arguments.get()[1]).distinct())
                .containsExactlyInAnyOrderElementsOf(Arrays.stream(AttentionKernel.values())
                        .filter(TestDevice::tries)
                        .toList());
    }
}
