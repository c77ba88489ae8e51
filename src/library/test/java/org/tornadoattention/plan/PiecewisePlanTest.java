package org.tornadoattention.plan;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** How many pieces problems are divided into; {@code HostTensorsTest} has their results. */
class PiecewisePlanTest {

    private static final int UNITS_OF_AN_H200 = 132;

    private static int pieces(AttentionShape shape, AttentionOptions options) {
        return PiecewisePlan.pieces(AttentionProblem.of(shape, DType.F16, options), UNITS_OF_AN_H200);
    }

    @ParameterizedTest
    @CsvSource({
        "1, 16, 16, 16384, 128, 8",
        "8, 16, 16, 2048, 64, 8",
        // Eighths would not fill the multiprocessors.
        "2, 8, 8, 4096, 128, 4",
        // Seven heads of keys.
        "1, 28, 7, 8192, 128, 7",
        "1, 20, 5, 8192, 128, 5",
        "1, 32, 1, 8192, 128, 1",
        // Few bytes, few rows.
        "1, 2, 2, 4096, 64, 1",
        "1, 8, 8, 128, 64, 1",
    })
    void piecesHaveAsManyHeads(int batch, int heads, int kvHeads, int seq, int headDim, int pieces) {
        AttentionShape shape = new AttentionShape(batch, heads, kvHeads, seq, seq, headDim);
        assertThat(pieces(shape, AttentionOptions.causal())).isEqualTo(pieces);
    }

    private enum Difference {
        LENGTHS,
        SLOPES,
        SINKS,
        DROPOUT,
        BIAS
    }

    /** What tells heads or sequences apart by their position. */
    @ParameterizedTest
    @EnumSource(Difference.class)
    void headsThatDifferAreNotDivided(Difference difference) {
        AttentionOptions options = AttentionOptions.defaults();
        options = switch (difference) {
            case LENGTHS -> options.withKeyLengths(4000, 4096);
            case SLOPES -> options.withAlibi(new float[8]);
            case SINKS -> options.withSinks(Tensor.allocate(DType.F32, 8));
            case DROPOUT -> options.withDropout(0.1, 5);
            case BIAS -> options.withBias(Tensor.allocate(DType.F16, 1, 8, 1, 4096));
        };
        assertThat(pieces(new AttentionShape(2, 8, 8, 4096, 4096, 128), options))
                .isEqualTo(1);
    }
}
