package org.tornadoattention;

import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.plan.AttentionKernel;

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
            problem.assertAccurate(attention, result, problem.dO());
        }
    }
}
