package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Collection;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.choice.AttentionKernel;

/** The {@linkplain AttentionGrid field's grids}, by every kernel that claims the case, against the oracle. */
@Tag("second-tier")
class AttentionGridTest {

    static Stream<Arguments> grid() {
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

    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("grid")
    void isAccurate(AttentionCase problem, AttentionKernel kernel) {
        problem.assertAccurate(problem.run(kernel));
    }

    static Stream<Arguments> nothing() {
        return AttentionGrid.withKernels(AttentionGrid.nothing());
    }

    @ParameterizedTest(name = "{0}, {1}")
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
        assertThat(grid().map(AttentionGridTest::kernelAndType))
                .containsAll(claimed(List.of(AttentionKernel.values())))
                .hasSizeGreaterThan(200);
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
