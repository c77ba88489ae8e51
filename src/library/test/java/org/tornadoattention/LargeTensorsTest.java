package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tornadoattention.device.Backend;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;

/** A large output of a device of CUDA's is memory that nobody zeroed: all of it is written, and stays the caller's. */
class LargeTensorsTest {

    /** The first queries see no key. */
    private static final AttentionShape SHAPE = new AttentionShape(2, 8, 4, 2_500, 2_000, 128);

    @ParameterizedTest
    @EnumSource(DType.class)
    void outputsAreWrittenWhole(DType dtype) {
        assumeTrue(TestDevice.get().backend() == Backend.CUDA);
        List<AttentionResult> results = new ArrayList<>();
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            for (int seed = 0; seed < 3; seed++) {
                results.add(problem(dtype, seed).run(attention));
            }
        }
        for (int seed = 0; seed < 3; seed++) {
            AttentionCase problem = problem(dtype, seed);
            AttentionResult result = results.get(seed);
            assertThat(AccuracyCheck.of(problem.q(), problem.k(), problem.v(), problem.options())
                            .forward(result.output(), result.logSumExp()))
                    .allMatch(Comparison::passed);
        }
    }

    private static AttentionCase problem(DType dtype, int seed) {
        return AttentionCase.of(SHAPE, dtype, AttentionOptions.causal()).withSeed(seed);
    }
}
