package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.plan.AttentionKernel;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

class BackwardTest {
    static Stream<Arguments> cases() {
        return Stream.concat(
                        Stream.concat(AttentionGrid.combinations(), AttentionGrid.keyLengths()),
                        Stream.concat(AttentionGrid.rowsWithoutKeys(), AttentionGrid.softcaps()))
                .flatMap(c -> c.kernels().stream().map(k -> Arguments.of(c, k)));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void gradients(AttentionCase problem, AttentionKernel kernel) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), kernel)) {
            AttentionResult result = problem.run(attention);
            Tensor dO = Tensor.random(
                    problem.dtype(), 3 * problem.seed() + 77, problem.shape().queryShape());
            assertThat(AccuracyCheck.of(result.q(), result.k(), result.v(), dO, result.options())
                            .gradients(attention.backward(result, dO)))
                    .as("%s", problem)
                    .allMatch(Comparison::passed);
        }
    }
}
