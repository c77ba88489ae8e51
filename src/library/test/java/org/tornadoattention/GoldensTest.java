package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.GoldenCase;

/** PyTorch's float64 answers, by every kernel that claims the case. */
class GoldensTest {

    private static final Path DIRECTORY = Path.of("src/library/test/resources/goldens");

    static Stream<Arguments> goldens() throws IOException {
        return files().stream().flatMap(file -> {
            GoldenCase golden = load(file);
            return Arrays.stream(AttentionKernel.values())
                    .filter(kernel -> kernel.supports(golden.q().dtype()) && kernel.supports(TestDevice.of(kernel)))
                    .filter(kernel -> kernel.supports(golden.q().dimension(3)))
                    .filter(kernel -> AttentionGrid.FULL || !isLarge(golden) || !TestDevice.simulatesWarps(kernel))
                    .map(kernel -> Arguments.of(golden.name(), kernel));
        });
    }

    /** Whether simulated warps would take some ten seconds for it. */
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

    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("goldens")
    void isAccurate(String name, AttentionKernel kernel) {
        GoldenCase golden = load(DIRECTORY.resolve(name + ".safetensors"));
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = attention.forward(golden.q(), golden.k(), golden.v(), golden.options());
            assertThat(golden.check().ofProducts(kernel.isFp8()).forward(result.output(), result.logSumExp()))
                    .allMatch(Comparison::passed);
            golden.gradients()
                    .filter(any -> kernel.supportsBackward())
                    .ifPresent(expected -> assertThat(
                                    golden.check().gradients(attention.backward(result, expected.dO())))
                            .allMatch(Comparison::passed));
        }
    }

    @Test
    void mostGoldensHaveGradients() throws IOException {
        assertThat(files().stream().filter(file -> load(file).gradients().isPresent()))
                .hasSizeGreaterThan(20);
    }

    @Test
    void everyKernelHasGoldens() throws IOException {
        assertThat(goldens().map(arguments -> arguments.get()[1]).distinct())
                .containsExactlyInAnyOrderElementsOf(Arrays.stream(AttentionKernel.values())
                        .filter(kernel -> kernel.supports(TestDevice.of(kernel)))
                        .toList());
    }
}
