package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.IntPredicate;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.device.Backend;
import org.tornadoattention.reference.ReferenceAttention;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * NaN and ∞ do not reach what the mask hides them from, in the kernels that promise it: rows that do not see them have
 * the bits that they have where zeros stand there, and rows that do have what the oracle has. OpenCL's compiler flags
 * promise finite numbers, so nothing is asked of it.
 */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class UnseenValuesTest {

    private static final int BATCH = 2;
    private static final int HEADS = 2;
    private static final int QUERIES = 70;
    private static final int KEYS = 90;
    private static final int HEAD_DIM = 40;
    private static final AttentionShape SHAPE = new AttentionShape(BATCH, HEADS, 1, QUERIES, KEYS, HEAD_DIM);

    private static final int[] POISONED_KEYS = {3, 44, 84};
    private static final int[] POISONED_QUERIES = {1, 30, 66};
    private static final int COLUMN = 7;

    /** Every third pair is hidden, in every tile. */
    private static final AttentionOptions EVERY_THIRD_HIDDEN =
            AttentionOptions.defaults().withMask(Mask.of((b, h, i, j) -> (i + j) % 3 != 0));

    private static final double TOLERANCE = 0.05;

    /** The kernels that promise it, beside the JVM's own, which is tried in {@link UnseenValuesOnJvmTest}. */
    List<AttentionKernel> kernels() {
        return List.of(AttentionKernel.STANDARD, AttentionKernel.ONLINE, AttentionKernel.TILED);
    }

    /** What is poisoned. */
    enum Place {
        QUERY,
        KEY,
        VALUE,
        OUTPUT_GRADIENT
    }

    /** A mask, with what says whether a query of a batch entry sees a key. */
    enum Hiding {
        CAUSAL(AttentionOptions.causal(), -1, 0, KEYS, KEYS),
        WINDOW(AttentionOptions.defaults().withWindow(20, 5), 20, 5, KEYS, KEYS),
        LENGTHS(AttentionOptions.causal().withKeyLengths(KEYS, 61), -1, 0, KEYS, 61),
        /** A pair that dropout drops is seen. */
        DROPOUT(AttentionOptions.causal().withDropout(0.5, 7), -1, 0, KEYS, KEYS),
        /** The slope of a hidden score that is NaN is NaN. */
        SOFTCAP(AttentionOptions.causal().withSoftcap(5), -1, 0, KEYS, KEYS),
        LENGTHS_ONLY(AttentionOptions.defaults().withKeyLengths(61, KEYS), -1, -1, 61, KEYS);

        final AttentionOptions options;
        final int left;
        final int right;
        final int[] lengths;

        Hiding(AttentionOptions options, int left, int right, int... lengths) {
            this.options = options;
            this.left = left;
            this.right = right;
            this.lengths = lengths;
        }

        boolean sees(int batch, int query, int key) {
            int position = query + lengths[batch] - QUERIES;
            return key < lengths[batch]
                    && (left < 0 || key >= position - left)
                    && (right < 0 || key <= position + right);
        }
    }

    @BeforeEach
    void theBackendHasSpecialValues() {
        assumeTrue(TestDevice.get().backend() != Backend.OPENCL, "OpenCL promises its compiler finite numbers");
    }

    private Stream<Arguments> kernels(AttentionOptions options) {
        return Arrays.stream(DType.values())
                .flatMap(dtype -> AttentionCase.of(SHAPE, dtype, options).kernels().stream()
                        .filter(kernels()::contains)
                        .map(kernel -> Arguments.of(kernel, dtype)));
    }

    /** Of the day: each kernel with each of its types, each place behind each mask, and each value. */
    private static Stream<Arguments> ofTheDay(Stream<Arguments> table) {
        return CoveringArray.<Arguments>ofEachValue(row -> List.of(row.get()))
                .withTuple(0, 1)
                .withTuple(2, 3)
                .ofTheDay(table);
    }

    Stream<Arguments> forward() {
        return ofTheDay(kernels(AttentionOptions.causal())
                .flatMap(kernel -> Stream.of(Place.KEY, Place.VALUE, Place.QUERY)
                        .flatMap(place -> Stream.of(Hiding.values())
                                .flatMap(hiding -> Stream.of(Float.NaN, Float.POSITIVE_INFINITY)
                                        .filter(special -> Float.isNaN(special) || hiding == Hiding.WINDOW)
                                        .map(special -> Arguments.of(
                                                kernel.get()[0], kernel.get()[1], place, hiding, special))))));
    }

    Stream<Arguments> backward() {
        return ofTheDay(kernels(AttentionOptions.causal())
                .flatMap(kernel -> Stream.of(Place.values())
                        .flatMap(place -> Stream.of(
                                        Hiding.CAUSAL, Hiding.WINDOW, Hiding.LENGTHS, Hiding.DROPOUT, Hiding.SOFTCAP)
                                .flatMap(hiding -> Stream.of(Float.NaN, Float.POSITIVE_INFINITY)
                                        .filter(special -> Float.isNaN(special) || hiding == Hiding.WINDOW)
                                        .map(special -> Arguments.of(
                                                kernel.get()[0], kernel.get()[1], place, hiding, special))))));
    }

    private record Inputs(Tensor q, Tensor k, Tensor v, Tensor dO) {

        /** Random numbers, with a value in some rows of one of the tensors. */
        static Inputs with(DType dtype, Place place, float value) {
            Inputs inputs = new Inputs(
                    Tensor.random(dtype, 1, SHAPE.queryShape()),
                    Tensor.random(dtype, 2, SHAPE.keyShape()),
                    Tensor.random(dtype, 3, SHAPE.keyShape()),
                    Tensor.random(dtype, 4, SHAPE.queryShape()));
            Tensor poisoned = switch (place) {
                case QUERY -> inputs.q;
                case KEY -> inputs.k;
                case VALUE -> inputs.v;
                case OUTPUT_GRADIENT -> inputs.dO;
            };
            for (int batch = 0; batch < BATCH; batch++) {
                for (int row : ofQueries(place) ? POISONED_QUERIES : POISONED_KEYS) {
                    poisoned.set(value, batch, 0, row, COLUMN);
                }
            }
            return inputs;
        }
    }

    private static boolean ofQueries(Place place) {
        return place == Place.QUERY || place == Place.OUTPUT_GRADIENT;
    }

    /** Whether a query is poisoned, or sees a key that is. */
    private static boolean isPoisoned(Place place, Hiding hiding, int batch, int head, int query) {
        if (ofQueries(place)) {
            return head == 0
                    && contains(POISONED_QUERIES, query)
                    && IntStream.range(0, KEYS).anyMatch(key -> hiding.sees(batch, query, key));
        }
        return Arrays.stream(POISONED_KEYS).anyMatch(key -> hiding.sees(batch, query, key));
    }

    private static boolean contains(int[] rows, int row) {
        for (int other : rows) {
            if (other == row) {
                return true;
            }
        }
        return false;
    }

    @ParameterizedTest(name = "{0}, {1}, {2}, {3}, {4}")
    @MethodSource("forward")
    void reachNoRowOfTheOutputThatDoesNotSeeThem(
            AttentionKernel kernel, DType dtype, Place place, Hiding hiding, float special) {
        Inputs poisoned = Inputs.with(dtype, place, special);
        Inputs zeroed = Inputs.with(dtype, place, 0f);
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = attention.forward(poisoned.q, poisoned.k, poisoned.v, hiding.options);
            AttentionResult expected = attention.forward(zeroed.q, zeroed.k, zeroed.v, hiding.options);
            ReferenceAttention.Forward oracle =
                    ReferenceAttention.forward(poisoned.q, poisoned.k, poisoned.v, hiding.options);
            for (int batch = 0; batch < BATCH; batch++) {
                for (int head = 0; head < HEADS; head++) {
                    int b = batch;
                    int h = head;
                    IntPredicate reached = query -> isPoisoned(place, hiding, b, h, query);
                    check(special, result.output(), expected.output(), oracle.output(), b, h, reached);
                    check(special, result.logSumExp(), expected.logSumExp(), oracle.logSumExp(), b, h, reached);
                }
            }
        }
    }

    @ParameterizedTest(name = "{0}, {1}, {2}, {3}, {4}")
    @MethodSource("backward")
    void reachNoGradientOfWhatDoesNotSeeThem(
            AttentionKernel kernel, DType dtype, Place place, Hiding hiding, float special) {
        Inputs poisoned = Inputs.with(dtype, place, special);
        Inputs zeroed = Inputs.with(dtype, place, 0f);
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            Gradients result = gradients(attention, poisoned, hiding);
            Gradients expected = gradients(attention, zeroed, hiding);
            ReferenceAttention.Backward oracle =
                    ReferenceAttention.backward(poisoned.q, poisoned.k, poisoned.v, poisoned.dO, hiding.options);
            for (int batch = 0; batch < BATCH; batch++) {
                int b = batch;
                for (int head = 0; head < HEADS; head++) {
                    int h = head;
                    IntPredicate reached = query -> isPoisoned(place, hiding, b, h, query);
                    check(special, result.dQ(), expected.dQ(), oracle.dQ(), b, h, reached);
                }
                // A key's gradients come from the queries that see it.
                IntPredicate reached = key -> IntStream.range(0, HEADS * QUERIES)
                        .anyMatch(row -> hiding.sees(b, row % QUERIES, key)
                                && isPoisoned(place, hiding, b, row / QUERIES, row % QUERIES));
                check(special, result.dK(), expected.dK(), oracle.dK(), b, 0, reached);
                check(special, result.dV(), expected.dV(), oracle.dV(), b, 0, reached);
            }
        }
    }

    Stream<Arguments> functions() {
        return kernels(AttentionOptions.causal());
    }

    /** A score that is NaN hides nothing: what sees it is NaN too, not a number without it. */
    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("functions")
    void reachEveryRowThatAFunctionLetsSeeThem(AttentionKernel kernel, DType dtype) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            checkQueries(attention, dtype, Inputs::k);
        }
    }

    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("functions")
    void reachNothingThatAFunctionHidesThemFrom(AttentionKernel kernel, DType dtype) {
        Inputs zeroed = Inputs.with(dtype, Place.VALUE, 0f);
        Inputs poisonedGradient = Inputs.with(dtype, Place.VALUE, 0f);
        poisonedGradient.dO.set(Float.NaN, 0, 0, 66, COLUMN);
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            checkQueries(attention, dtype, Inputs::v);
            AttentionResult result = attention.forward(zeroed.q, zeroed.k, zeroed.v, EVERY_THIRD_HIDDEN);
            Gradients expected = attention.backward(result, zeroed.dO);
            Gradients actual = attention.backward(result, poisonedGradient.dO);
            checkEveryThird("dK of key", actual.dK(), expected.dK(), KEYS);
            checkEveryThird("dV of key", actual.dV(), expected.dV(), KEYS);
        }
    }

    /** Keys 3 and 84, or their values, are NaN, which queries 0, 3, 6 … do not see. */
    private static void checkQueries(FlashAttention attention, DType dtype, Function<Inputs, Tensor> keysOrValues) {
        Inputs finite = Inputs.with(dtype, Place.VALUE, 0f);
        Inputs poisoned = Inputs.with(dtype, Place.VALUE, 0f);
        for (int key : new int[] {3, 84}) {
            keysOrValues.apply(poisoned).set(Float.NaN, 0, 0, key, COLUMN);
        }
        AttentionResult result = attention.forward(poisoned.q, poisoned.k, poisoned.v, EVERY_THIRD_HIDDEN);
        AttentionResult expected = attention.forward(finite.q, finite.k, finite.v, EVERY_THIRD_HIDDEN);
        checkEveryThird("row", result.output(), expected.output(), QUERIES);
        Tensor dQ = attention.backward(result, poisoned.dO).dQ();
        checkEveryThird("dQ of row", dQ, attention.backward(expected, finite.dO).dQ(), QUERIES);
    }

    /** Every third row is as expected, and the others are NaN. */
    private static void checkEveryThird(String what, Tensor actual, Tensor expected, int rows) {
        for (int row = 0; row < rows; row++) {
            float value = actual.get(0, 0, row, COLUMN);
            if (row % 3 == 0) {
                assertThat(value).as("%s %d", what, row).isEqualTo(expected.get(0, 0, row, COLUMN));
            } else {
                assertThat(value).as("%s %d", what, row).isNaN();
            }
        }
    }

    private static Gradients gradients(FlashAttention attention, Inputs inputs, Hiding hiding) {
        AttentionResult result = attention.forward(inputs.q, inputs.k, inputs.v, hiding.options);
        return attention.backward(result, inputs.dO);
    }

    /** Rows that nothing reaches have the bits of the expected ones, the others what the oracle has. */
    private static void check(
            float special, Tensor actual, Tensor expected, double[] oracle, int batch, int head, IntPredicate reached) {
        int[] shape = actual.shape();
        int columns = shape.length == 4 ? shape[3] : 1;
        for (int row = 0; row < shape[2]; row++) {
            boolean isReached = reached.test(row);
            for (int column = 0; column < columns; column++) {
                int[] at = shape.length == 4 ? new int[] {batch, head, row, column} : new int[] {batch, head, row};
                float value = actual.get(at);
                double wanted = oracle[((batch * shape[1] + head) * shape[2] + row) * columns + column];
                Supplier<String> where = () -> "element %s: %s for %s".formatted(Arrays.toString(at), value, wanted);
                if (!isReached) {
                    assertThat(value + 0f).as(where).isEqualTo(expected.get(at) + 0f);
                } else {
                    // The oracle leaves out a key whose score is −∞; 0 times what made it so is NaN.
                    if (Float.isNaN(special) || Float.isFinite(value)) {
                        assertThat(Float.isFinite(value)).as(where).isEqualTo(Double.isFinite(wanted));
                    }
                    if (Double.isFinite(wanted) && Float.isFinite(value)) {
                        assertThat((double) value)
                                .as(where)
                                .isEqualTo(wanted, within(TOLERANCE * Math.max(1, Math.abs(wanted))));
                    }
                }
            }
        }
    }

    private static Offset<Double> within(double offset) {
        return Offset.offset(offset);
    }
}
