package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;

/** Every mistake that a caller can make is found before anything is compiled, and the message says what to do. */
class CallerMistakesTest {

    private static final Tensor Q = f32(2, 6, 5, 16);
    private static final Tensor K = f32(2, 3, 7, 16);
    private static final AttentionOptions PLAIN = AttentionOptions.defaults();

    /**
     * What is given for the good arguments, and parts of the message that must come of it.
     *
     * @param mistake for the test's name
     */
    record Mistake(
            String mistake,
            Tensor q,
            Tensor k,
            Tensor v,
            AttentionOptions options,
            Tensor o,
            Tensor lse,
            List<String> said) {

        static Mistake inputs(String mistake, Tensor q, Tensor k, Tensor v, String... said) {
            return new Mistake(mistake, q, k, v, PLAIN, f32(2, 6, 5, 16), f32(2, 6, 5), List.of(said));
        }

        static Mistake options(String mistake, AttentionOptions options, String... said) {
            return new Mistake(mistake, Q, K, K, options, f32(2, 6, 5, 16), f32(2, 6, 5), List.of(said));
        }

        static Mistake outputs(String mistake, Tensor o, Tensor lse, String... said) {
            return new Mistake(mistake, Q, K, K, PLAIN, o, lse, List.of(said));
        }

        @Override
        public String toString() {
            return mistake;
        }
    }

    private static Tensor f32(int... shape) {
        return Tensor.allocate(DType.F32, shape);
    }

    static Stream<Mistake> ofInputs() {
        return Stream.of(
                Mistake.inputs("null q", null, K, K, "q is null", "[batch, heads, seq, headDim]"),
                Mistake.inputs("null k", Q, null, K, "k is null", "[batch, kvHeads, seq, headDim]"),
                Mistake.inputs("null v", Q, K, null, "v is null"),
                Mistake.inputs("rank 3", f32(6, 5, 16), K, K, "q is F32[6, 5, 16]", "4 dimensions", "use 1 for"),
                Mistake.inputs("types of k and v", Q, K, K.as(DType.F16), "F32, F32 and F16", "Tensor.as(DType)"),
                Mistake.inputs("k and v differ", Q, K, f32(2, 3, 8, 16), "F32[2, 3, 8, 16]", "same shape"),
                Mistake.inputs("batches differ", Q, f32(1, 3, 7, 16), f32(1, 3, 7, 16), "batch", "must be the same"),
                Mistake.inputs("head dims differ", Q, f32(2, 3, 7, 8), f32(2, 3, 7, 8), "head dimension", "the same"),
                Mistake.inputs("head dim 0", f32(2, 6, 5, 0), f32(2, 3, 7, 0), f32(2, 3, 7, 0), "is 0", "1 to 512"),
                Mistake.inputs(
                        "head dim 513", f32(2, 6, 5, 513), f32(2, 3, 7, 513), f32(2, 3, 7, 513), "is 513", "1 to 512"),
                Mistake.inputs("no heads", f32(2, 0, 5, 16), K, K, "0 query heads", "at least 1"),
                Mistake.inputs("no key heads", Q, f32(2, 0, 7, 16), f32(2, 0, 7, 16), "0 key/value", "at least 1"),
                Mistake.inputs(
                        "heads not a multiple", Q, f32(2, 4, 7, 16), f32(2, 4, 7, 16), "6 query heads", "multiple"),
                Mistake.options("null options", null, "options is null", "AttentionOptions.defaults()"),
                Mistake.options("too few slopes", PLAIN.withAlibi(1, 2), "2 ALiBi slopes for 6", "alibiSlopes(6)"),
                Mistake.options("too many lengths", PLAIN.withKeyLengths(1, 2, 3), "3 key lengths", "batch of 2"),
                Mistake.options("length too large", PLAIN.withKeyLengths(7, 8), "entry 1 is 8", "from 0 to 7"));
    }

    static Stream<Mistake> ofForward() {
        return Stream.concat(
                ofInputs(),
                Stream.of(Mistake.inputs(
                        "type of q", Q.as(DType.F16), K, K, "F16, F32 and F32", "one type", "Tensor.as(DType)")));
    }

    @ParameterizedTest
    @MethodSource("ofForward")
    void forwardSaysWhatToDo(Mistake mistake) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.forward(mistake.q, mistake.k, mistake.v, mistake.options))
                    .satisfies(e -> assertThat(e).hasMessageContainingAll(mistake.said.toArray(String[]::new)));
            assertThat(attention.statistics()).isEqualTo(new PlanStatistics(0, 0, 0));
        }
    }

    static Stream<Mistake> ofAppendTo() {
        return Stream.concat(
                ofInputs(),
                Stream.of(
                        Mistake.outputs("null output", null, f32(2, 6, 5), "output is null", "Tensor.allocate"),
                        Mistake.outputs("output's shape", f32(2, 6, 5, 8), f32(2, 6, 5), "output is F32[2, 6, 5, 8]"),
                        Mistake.outputs("null lse", Q, null, "logSumExp is null", "[2, 6, 5]"),
                        Mistake.outputs("lse's shape", Q, f32(2, 6, 5, 1), "logSumExp is F32[2, 6, 5, 1]"),
                        Mistake.outputs("lse's type", Q, f32(2, 6, 5).as(DType.F16), "logSumExp is F16", "F32")));
    }

    @ParameterizedTest
    @MethodSource("ofAppendTo")
    void appendToSaysWhatToDo(Mistake mistake) {
        assertRefused(mistake, new TaskGraph("graph"), new GridScheduler(), "attention");
    }

    @ParameterizedTest
    @MethodSource("ofPlaces")
    void appendToNeedsAPlaceToAppendTo(String said, TaskGraph graph, GridScheduler grids, String name) {
        assertRefused(Mistake.outputs(said, Q.copy(), f32(2, 6, 5), said), graph, grids, name);
    }

    static Stream<Arguments> ofPlaces() {
        return Stream.of(
                Arguments.of("taskGraph", null, new GridScheduler(), "attention"),
                Arguments.of("gridScheduler", new TaskGraph("g"), null, "attention"),
                Arguments.of("name", new TaskGraph("g"), new GridScheduler(), null));
    }

    private static void assertRefused(Mistake mistake, TaskGraph graph, GridScheduler grids, String name) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.appendTo(
                            graph,
                            grids,
                            name,
                            mistake.q,
                            mistake.k,
                            mistake.v,
                            mistake.o,
                            mistake.lse,
                            mistake.options))
                    .satisfies(e -> assertThat(e).hasMessageContainingAll(mistake.said.toArray(String[]::new)));
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"STANDARD", "ONLINE"})
    void aKernelThatDoesNotTakeTheTypeIsNamed(AttentionKernel kernel) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            UnaryOperator<Tensor> half = tensor -> tensor.as(DType.F16);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.forward(half.apply(Q), half.apply(K), half.apply(K)))
                    .withMessageContainingAll(kernel.id(), "F32 only", "F16", "choose tiled");
        }
    }

    @ParameterizedTest
    @MethodSource("ofDevices")
    void devicesAndKernelsMustBeGiven(String said, Runnable call) {
        assertThatIllegalArgumentException().isThrownBy(call::run).withMessageContaining(said);
    }

    static Stream<Arguments> ofDevices() {
        return Stream.of(
                Arguments.of("device", (Runnable) () -> FlashAttention.on(null)),
                Arguments.of("kernel", (Runnable) () -> FlashAttention.on(TestDevice.get(), null)));
    }
}
