package org.tornadoattention.vector;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.JavaProcess;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.vector.VectorEngineTest.Problem;

/** The engine at other widths than this machine's, and without the module, each in a JVM of its own. */
@Tag("second-tier")
class WidthsTest {

    private static final String MODULE = "jdk.incubator.vector";

    /** So long results are computed anew, so that interpreted and compiled code are compared. */
    private static final long NANOSECONDS = 300_000_000;

    private static final List<Problem> PROBLEMS = List.of(
            new Problem(new AttentionShape(1, 2, 1, 70, 90, 40), DType.F32, AttentionOptions.causal()),
            new Problem(new AttentionShape(1, 4, 2, 1, 600, 32), DType.F16, AttentionOptions.defaults()),
            new Problem(
                    new AttentionShape(1, 1, 1, 70, 66, 19),
                    DType.BF16,
                    AttentionOptions.defaults().withWindow(20, 3).withSoftcap(9).withAlibi(0.1f)));

    /** What runs in that JVM: says what computes, and checks results against the oracle and each other. */
    public static void main(String[] arguments) {
        System.out.println("computed by " + LaneChoice.description());
        for (Problem problem : PROBLEMS) {
            List<float[]> first = null;
            long end = System.nanoTime() + NANOSECONDS;
            do {
                VectorEngineTest.Results results = problem.run(LaneChoice.best(), Workers.of(Runnable::run, 1));
                List<float[]> numbers = results.numbers();
                if (first == null) {
                    first = numbers;
                    assertThat(problem.compare(results)).allMatch(Comparison::passed);
                }
                for (int i = 0; i < numbers.size(); i++) {
                    assertThat(numbers.get(i)).isEqualTo(first.get(i));
                }
            } while (System.nanoTime() < end);
        }
        System.out.println("all is right");
    }

    /** The compilers of a usual JVM: the first alone knows no vectors. */
    private static JavaProcess run(boolean module, String... options) {
        return JavaProcess.run(
                argument -> module || !argument.contains(MODULE),
                IntStream.rangeClosed(0, options.length)
                        .mapToObj(i -> i == 0 ? "-XX:TieredStopAtLevel=4" : options[i - 1])
                        .toList(),
                WidthsTest.class.getName());
    }

    @ParameterizedTest
    @CsvSource({"2, 256", "0, 128"})
    void narrowerVectors(int level, int bits) {
        assumeTrue(System.getProperty("os.arch").equals("amd64"), "another architecture has no -XX:UseAVX");
        assumeTrue(LaneChoice.best().length() * Float.SIZE >= bits, "this machine has no vectors of so many bits");
        JavaProcess process = run(true, "-XX:UseAVX=" + level);
        assertThat(process.output()).contains("computed by " + bits + "-bit vectors", "all is right");
        assertThat(process.exitCode()).isZero();
    }

    @Test
    void withoutTheModuleItSaysOnceHowToBeFaster() {
        JavaProcess process = run(false);
        assertThat(process.output())
                .contains("computed by plain loops", "all is right")
                .containsOnlyOnce("--add-modules " + MODULE);
        assertThat(process.exitCode()).isZero();
    }
}
