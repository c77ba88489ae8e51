package org.tornadoattention;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.tensor.DType;

/**
 * A tile's rows and columns past the last query and key enter nothing, however large their scores: with slopes below 0
 * ALiBi's bias grows with the distance, and theirs is the largest. So it may be with a score function of the user's.
 */
class PaddedRowsTest {

    /** Of the day: each of the options, and each kernel with each of its types. */
    static Stream<Arguments> problemsOfTheDay() {
        return CoveringArray.ofEachValue(PaddedRowsTest::values)
                .withTuple(1, 2)
                .ofTheDay(Stream.of(problems(), hugeProblems(), functions()).flatMap(all -> all));
    }

    private static List<?> values(Arguments row) {
        AttentionCase problem = (AttentionCase) row.get()[0];
        return List.of(problem.options(), problem.dtype(), row.get()[1]);
    }

    private static Stream<Arguments> problems() {
        return Stream.of(
                        AttentionOptions.defaults().withAlibi(-1f),
                        AttentionOptions.causal().withAlibi(-1f),
                        AttentionOptions.defaults().withAlibi(-0.5f).withKeyLengths(61))
                .flatMap(options -> cases(new AttentionShape(1, 1, 1, 70, 100, 64), options));
    }

    private static Stream<Arguments> hugeProblems() {
        return cases(
                new AttentionShape(1, 1, 1, 20, 20, 16),
                AttentionOptions.defaults().withAlibi(-1e37f));
    }

    /** Scores that grow with the row, the column, and the distance between both. */
    private static Stream<Arguments> functions() {
        return Stream.of(
                        AttentionOptions.defaults().withScore((s, b, h, i, j) -> s + 1.5f * i),
                        AttentionOptions.defaults().withScore((s, b, h, i, j) -> s + 1.5f * j),
                        AttentionOptions.causal().withScore((s, b, h, i, j) -> s + Math.abs(i - j)),
                        AttentionOptions.defaults()
                                .withScore((s, b, h, i, j) -> s + Math.abs(i - j))
                                .withKeyLengths(61))
                .flatMap(options -> cases(new AttentionShape(1, 1, 1, 70, 100, 64), options))
                .filter(problem -> ((AttentionKernel) problem.get()[1]).spec().functions());
    }

    private static Stream<Arguments> cases(AttentionShape shape, AttentionOptions options) {
        return Arrays.stream(DType.values())
                .map(dtype -> AttentionCase.of(shape, dtype, options))
                .flatMap(problem -> problem.kernels().stream().map(kernel -> Arguments.of(problem, kernel)));
    }

    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("problemsOfTheDay")
    void enterNothing(AttentionCase problem, AttentionKernel kernel) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = problem.run(attention);
            problem.assertAccurate(result);
            if (!kernel.isFp8() && kernel != AttentionKernel.WARP_TF32) {
                problem.assertGradientsAccurate(attention, result);
            }
        }
    }
}
