package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** The same call gives the same bits, again and again, on a full device as on an idle one. */
@Tag("several-carriers")
class DeterminismTest {

    private static Stream<Arguments> kernelsOf(AttentionShape shape) {
        return Arrays.stream(DType.values())
                .map(dtype -> AttentionCase.of(shape, dtype, AttentionOptions.causal()))
                .flatMap(problem -> problem.kernels().stream()
                        .filter(TestDevice::tries)
                        .map(kernel -> Arguments.of(problem, kernel)));
    }

    static Stream<Arguments> repeated() {
        return kernelsOf(new AttentionShape(1, 2, 1, 33, 49, 24));
    }

    @Tag("both-tiers")
    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("repeated")
    void repeatsAreEqualBitForBit(AttentionCase problem, AttentionKernel kernel) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel);
                FlashAttention another = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            assertSameBits(problem.run(attention), problem.run(another));
            assertRepeatsAreEqual(problem, attention, repeats(kernel));
        }
    }

    /**
     * Fewer in the simulator, where groups run in the order of their numbers on a few threads, and a race is a fault.
     */
    static int repeats(AttentionKernel kernel) {
        boolean simulated = TestDevice.of(kernel).isSimulator() && !AttentionGrid.FULL;
        return !simulated ? 50 : TestDevice.simulatesWarps(kernel) ? 4 : 6;
    }

    /** A batch of 60, of which the simulator computes 12, and 3 where it simulates warps. */
    static Stream<Arguments> crowded() {
        List<AttentionShape> shapes =
                AttentionGrid.FULL ? List.of(crowd(239, 1), crowd(799, 3), crowd(64, 128)) : List.of(crowd(9, 17));
        return shapes.stream().flatMap(DeterminismTest::kernelsOf).map(arguments -> {
            AttentionCase problem = (AttentionCase) arguments.get()[0];
            AttentionKernel kernel = (AttentionKernel) arguments.get()[1];
            return Arguments.of(problem.withBatch(crowd(kernel)), kernel);
        });
    }

    /** Batch entries at the same time. */
    static int crowd(AttentionKernel kernel) {
        boolean simulated = TestDevice.of(kernel).isSimulator() && !AttentionGrid.FULL;
        return !simulated ? 60 : TestDevice.simulatesWarps(kernel) ? 3 : 12;
    }

    private static AttentionShape crowd(int seqQ, int seqK) {
        return new AttentionShape(60, 4, 4, seqQ, seqK, 24);
    }

    @Tag("both-tiers")
    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("crowded")
    void noWorkGroupDisturbsAnother(AttentionCase problem, AttentionKernel kernel) {
        int repeats = AttentionGrid.FULL ? 250 : TestDevice.of(kernel).isSimulator() ? 3 : 5;
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            assertRepeatsAreEqual(problem, attention, repeats);
        }
    }

    private static void assertRepeatsAreEqual(AttentionCase problem, FlashAttention attention, int repeats) {
        Tensor q = problem.q();
        Tensor k = problem.k();
        Tensor v = problem.v();
        AttentionResult first = attention.forward(q, k, v, problem.options());
        for (int repeat = 1; repeat < repeats; repeat++) {
            assertSameBits(first, attention.forward(q, k, v, problem.options()));
        }
    }

    private static void assertSameBits(AttentionResult first, AttentionResult again) {
        assertSameBits(first.output(), again.output());
        assertSameBits(first.logSumExp(), again.logSumExp());
    }

    private static void assertSameBits(Tensor first, Tensor again) {
        assertThat(again.array().getSegment().mismatch(first.array().getSegment()))
                .isEqualTo(-1);
    }
}
