package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Collection;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.choice.AttentionKernel;

/**
 * The {@linkplain AttentionGrid field's grids}, by every kernel that claims the case, against the oracle; the JVM's own
 * is tried in {@link AttentionGridOnJvmTest}, since vectors want the second tier of compiling.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Order(1)
class AttentionGridTest {

    /** Whether a kernel is tried here. */
    boolean tries(AttentionKernel kernel) {
        return kernel != AttentionKernel.VECTOR;
    }

    /** By default rows that show each pair of values, here or where gradients are computed, which hold results too. */
    Stream<Arguments> grid() {
        List<Arguments> table = ofAllKernels().filter(this::tries).toList();
        return AttentionGrid.FULL
                ? table.stream()
                : Stream.concat(
                        AttentionGrid.covering()
                                .beside(GradientGridTest.rows(this::tries).toList())
                                .choose(table)
                                .stream(),
                        AttentionGrid.dearOneOfTheDay().filter(this::tries));
    }

    private boolean tries(Arguments row) {
        return tries((AttentionKernel) row.get()[1]);
    }

    /** The table, here and there. */
    static Stream<Arguments> ofAllKernels() {
        Stream<Arguments> cases = AttentionGrid.withKernels(Stream.of(
                        AttentionGrid.headDims(),
                        AttentionGrid.smallOnesOfEachHeadDim(),
                        AttentionGrid.sequenceLengths(),
                        AttentionGrid.headsAndBatches(),
                        AttentionGrid.windows(),
                        AttentionGrid.softcaps(),
                        AttentionGrid.softcapsThatHardlyBite(),
                        AttentionGrid.alibi(),
                        AttentionGrid.keyLengths(),
                        AttentionGrid.largeScores(),
                        AttentionGrid.rowsWithoutKeys(),
                        AttentionGrid.combinations())
                .flatMap(problems -> problems));
        return Stream.of(cases, AttentionGrid.wholeTilesOfEachHeadDim(), AttentionGrid.severalTiles())
                .flatMap(all -> all);
    }

    @ParameterizedTest(name = "{0}, {1}", allowZeroInvocations = true)
    @MethodSource("grid")
    void isAccurate(AttentionCase problem, AttentionKernel kernel) {
        problem.assertAccurate(problem.run(kernel));
    }

    Stream<Arguments> nothing() {
        return AttentionGrid.withKernels(AttentionGrid.nothing())
                .filter(arguments -> tries((AttentionKernel) arguments.get()[1]));
    }

    @ParameterizedTest(name = "{0}, {1}", allowZeroInvocations = true)
    @MethodSource("nothing")
    void nothingToComputeIsZeroAndLaunchesNothing(AttentionCase problem, AttentionKernel kernel) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = problem.run(attention);
            assertThat(result.execution()).isEmpty();
            assertThat(result.output().shape()).isEqualTo(problem.shape().queryShape());
            assertThat(result.output().toFloatArray())
                    .isEqualTo(new float[result.output().numberOfElements()]);
            assertThat(result.logSumExp().shape()).isEqualTo(problem.shape().logSumExpShape());
            for (float lse : result.logSumExp().toFloatArray()) {
                assertThat(lse).isEqualTo(Float.NEGATIVE_INFINITY);
            }
            assertThat(attention.statistics().plans()).isZero();
        }
    }

    @Test
    void theGridCoversEveryKernelAndType() {
        AttentionGrid.assumeAllKernels();
        List<AttentionKernel> here =
                Stream.of(AttentionKernel.values()).filter(this::tries).toList();
        assertThat(Stream.concat(grid(), GradientGridTest.rows(this::tries)).map(AttentionGridTest::kernelAndType))
                .containsAll(claimed(here))
                .hasSizeGreaterThan(100);
    }

    static String kernelAndType(Arguments arguments) {
        return arguments.get()[1] + " " + ((AttentionCase) arguments.get()[0]).dtype();
    }

    /** What kernels that run on the device say that they take. */
    static List<String> claimed(Collection<AttentionKernel> kernels) {
        List<String> claimed = kernels.stream()
                .filter(kernel -> kernel.supports(TestDevice.of(kernel)))
                .flatMap(kernel -> kernel.spec().dtypes().stream().map(dtype -> kernel + " " + dtype))
                .toList();
        assertThat(claimed).isNotEmpty();
        return claimed;
    }
}
