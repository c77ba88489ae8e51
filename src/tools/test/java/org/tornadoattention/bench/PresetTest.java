package org.tornadoattention.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.tensor.DType;

class PresetTest {

    static Set<String> names() {
        return Preset.all().keySet();
    }

    @Test
    void thePaperIsThePapersGrid() {
        List<BenchCase> cases = Preset.named("paper").cases();
        assertThat(cases).hasSize(2 * 3 * 2 * 6 + 2 * 2 * 6).doesNotHaveDuplicates();
        assertThat(cases).allSatisfy(problem -> {
            AttentionShape shape = problem.shape();
            assertThat(shape.batch() * shape.seqQ()).isEqualTo(16384);
            assertThat(shape.heads() * shape.headDim()).isEqualTo(2048);
        });
        assertThat(cases).anySatisfy(problem -> assertThat(problem.pass()).isEqualTo(Direction.BACKWARD));
        assertThat(cases).anySatisfy(problem -> assertThat(problem.dtype()).isEqualTo(DType.F16));
    }

    @Test
    void theBackwardPassHasTwoAndAHalfTimesTheOperations() {
        AttentionShape shape = new AttentionShape(2, 3, 3, 5, 5, 7);
        double forward = new BenchCase(Direction.FORWARD, DType.F32, shape, false).flops();
        assertThat(forward).isEqualTo(4.0 * 2 * 3 * 5 * 5 * 7);
        assertThat(new BenchCase(Direction.BACKWARD, DType.F32, shape, false).flops())
                .isEqualTo(2.5 * forward);
        assertThat(new BenchCase(Direction.FORWARD, DType.F32, shape, true).flops())
                .isEqualTo(forward / 2);
    }

    @Test
    void anUnknownNameListsTheKnownOnes() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Preset.named("papper"))
                .withMessageContaining("quick, paper");
    }

    /** One file says what is measured, and both who read it understand the same. */
    @ParameterizedTest
    @MethodSource("names")
    void peersAreMeasuredOnTheSameProblems(String name) throws IOException, InterruptedException {
        Process python = start("python3", "bench/peers.py", "--preset", name, "--list");
        String text = new String(python.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(python.waitFor()).isZero();
        assertThat(text.lines())
                .containsExactlyElementsOf(Preset.named(name).cases().stream()
                        .map(BenchCase::toString)
                        .toList());
    }

    private static Process start(String... command) {
        try {
            return new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
        } catch (IOException e) {
            assumeTrue(false, "SKIPPED: no python3 here, so bench/peers.py was not compared with the presets");
            throw new IllegalStateException(e);
        }
    }
}
