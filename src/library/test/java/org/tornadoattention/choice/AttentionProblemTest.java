package org.tornadoattention.choice;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.tensor.DType;

class AttentionProblemTest {

    private static final AttentionShape SHAPE = new AttentionShape(2, 4, 2, 10, 30, 64);

    private static AttentionProblem problem(AttentionShape shape, AttentionOptions options) {
        return AttentionProblem.of(shape, DType.F32, options);
    }

    @Test
    void whatTravelsInArraysIsNoPartOfIt() {
        AttentionOptions options = AttentionOptions.causal();
        assertThat(problem(SHAPE, options.withAlibi(1, 2, 3, 4).withKeyLengths(1, 2)))
                .isEqualTo(problem(SHAPE, options.withAlibi(5, 6, 7, 8).withKeyLengths(3, 4)))
                .isNotEqualTo(problem(SHAPE, options.withAlibi(1, 2, 3, 4)))
                .isNotEqualTo(problem(SHAPE, options.withKeyLengths(1, 2)));
    }

    @Test
    void ofDropoutOnlyWhetherThereIsAny() {
        AttentionOptions options = AttentionOptions.causal();
        assertThat(problem(SHAPE, options.withDropout(0.1, 1, 2)))
                .isEqualTo(problem(SHAPE, options.withDropout(0.5, 3, 4)))
                .isNotEqualTo(problem(SHAPE, options));
        assertThat(problem(SHAPE, options.withDropout(0, 1))).isEqualTo(problem(SHAPE, options));
    }

    @Test
    void theDefaultScaleIsThatOfTheHeadDimension() {
        assertThat(problem(SHAPE, AttentionOptions.defaults()))
                .isEqualTo(problem(SHAPE, AttentionOptions.defaults().withScale(0.125)));
    }

    @ParameterizedTest
    @CsvSource({"-1, -1", "0, 9", "29, 0", "5, 7"})
    void windowsThatCutKeysOffKeepTheirEdges(int left, int right) {
        AttentionProblem problem = problem(SHAPE, AttentionOptions.defaults().withWindow(left, right));
        assertThat(problem.windowLeft()).isEqualTo(left);
        assertThat(problem.windowRight()).isEqualTo(right);
    }

    @ParameterizedTest
    @CsvSource({"30, 10", "40, 40", "2147483647, 2147483647", "2147483646, 2147483646"})
    void edgesPastEveryKeyAreNone(int left, int right) {
        AttentionProblem problem = problem(SHAPE, AttentionOptions.defaults().withWindow(left, right));
        assertThat(problem.windowLeft()).isEqualTo(-1);
        assertThat(problem.windowRight()).isEqualTo(-1);
    }

    @ParameterizedTest
    @CsvSource({"0, 2, 3, true", "2, 0, 3, true", "2, 3, 0, true", "1, 1, 1, false"})
    void nothingIsTrivial(int batch, int seqQ, int seqK, boolean trivial) {
        assertThat(problem(new AttentionShape(batch, 1, 1, seqQ, seqK, 8), AttentionOptions.defaults())
                        .isTrivial())
                .isEqualTo(trivial);
    }

    @Test
    void operationsAreCountedAsTheFieldDoes() {
        double all = 4.0 * 2 * 4 * 10 * 30 * 64;
        assertThat(problem(SHAPE, AttentionOptions.defaults()).flops()).isEqualTo(all);
        AttentionShape square = new AttentionShape(1, 1, 1, 100, 100, 64);
        assertThat(problem(square, AttentionOptions.causal()).flops()).isEqualTo(4.0 * 100 * 100 / 2 * 64);
        AttentionOptions window = AttentionOptions.defaults().withWindow(1, 1);
        assertThat(problem(square, window).flops()).isEqualTo(4.0 * (3 * 100 - 2) * 64);
    }
}
