package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
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
 * NaN and ∞ do not reach what the mask hides them from in the kernels on tensor cores, whose products go over hidden pairs too: there
 * is what the oracle has, as there is in rows that see them. Batch entries have them in Q, K, V and dO, the first half of the heads
 * NaN and the other ∞.
 */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class UnseenOnTensorCoresTest {

    private static final int QUERIES = 40;
    private static final int KEYS = 50;
    private static final int COLUMN = 7;
    private static final int[] ROWS_OF_QUERIES = {1, 21};
    private static final int[] ROWS_OF_KEYS = {30, 47};

    /** A batch entry each. */
    private enum Place {
        QUERY,
        KEY,
        VALUE,
        OUTPUT_GRADIENT
    }

    private static final int BATCH = Place.values().length;

    /** What hides pairs. */
    enum Hiding {
        CAUSAL(AttentionOptions.causal(), 16, 2, 2),
        CAUSAL_WIDE(AttentionOptions.causal(), 72, 2, 2),
        WINDOW(AttentionOptions.defaults().withWindow(12, 3).withSoftcap(5), 16, 2, 2),
        LENGTHS(AttentionOptions.causal().withKeyLengths(50, 37, 50, 44), 20, 4, 2),
        DROPOUT(AttentionOptions.causal().withDropout(0.5, 7), 16, 2, 2),
        FUNCTION(AttentionOptions.defaults().withMask(Mask.of((b, h, i, j) -> (i + j) % 3 != 0)), 16, 2, 2),
        SCORE(
                AttentionOptions.causal()
                        .withScore((s, b, h, i, j) -> (i + j) % 3 != 0 ? 0.5f * s : Float.NEGATIVE_INFINITY),
                16,
                2,
                2),
        BLOCKS(
                AttentionOptions.defaults()
                        .withMask(Mask.blocks(
                                BlockMask.of((b, h, i, j) -> (i / 8 + j / 8) % 2 == 0, 1, 1, 40, 50, 16, 16))),
                16,
                2,
                2);

        final AttentionOptions options;
        final AttentionShape shape;

        Hiding(AttentionOptions options, int headDim, int heads, int kvHeads) {
            this.options = options;
            shape = new AttentionShape(BATCH, heads, kvHeads, QUERIES, KEYS, headDim);
        }

        boolean isOfFunctions() {
            return this == FUNCTION || this == SCORE || this == BLOCKS;
        }

        boolean sees(int batch, int query, int key) {
            int length = this == LENGTHS ? new int[] {50, 37, 50, 44}[batch] : KEYS;
            int position = query + length - QUERIES;
            boolean seen = this == FUNCTION
                    || this == BLOCKS
                    || key <= position + (this == WINDOW ? 3 : 0) && (this != WINDOW || key >= position - 12);
            return switch (this) {
                case FUNCTION, SCORE -> seen && (query + key) % 3 != 0;
                case BLOCKS -> seen && (query / 8 + key / 8) % 2 == 0;
                default -> seen;
            };
        }
    }

    private record Inputs(Tensor q, Tensor k, Tensor v, Tensor dO) {

        static Inputs of(Hiding hiding, DType dtype) {
            AttentionShape shape = hiding.shape;
            Inputs inputs = new Inputs(
                    Tensor.random(dtype, 1, shape.queryShape()),
                    Tensor.random(dtype, 2, shape.keyShape()),
                    Tensor.random(dtype, 3, shape.keyShape()),
                    Tensor.random(dtype, 4, shape.queryShape()));
            for (Place place : Place.values()) {
                Tensor tensor = List.of(inputs.q, inputs.k, inputs.v, inputs.dO).get(place.ordinal());
                for (int head = 0; head < tensor.heads(); head++) {
                    for (int row : rows(place)) {
                        tensor.set(special(head, tensor.heads()), place.ordinal(), head, row, COLUMN);
                    }
                }
            }
            return inputs;
        }
    }

    private static int[] rows(Place place) {
        return place == Place.KEY || place == Place.VALUE ? ROWS_OF_KEYS : ROWS_OF_QUERIES;
    }

    private static float special(int head, int heads) {
        return head < heads / 2 ? Float.NaN : Float.POSITIVE_INFINITY;
    }

    /** Whether a query has something that is not finite, or sees a key that has. */
    private static boolean isReached(Hiding hiding, int batch, int query) {
        Place place = Place.values()[batch];
        IntStream rows = IntStream.of(rows(place));
        return place == Place.KEY || place == Place.VALUE
                ? rows.anyMatch(key -> hiding.sees(batch, query, key))
                : rows.anyMatch(row -> row == query)
                        && IntStream.range(0, KEYS).anyMatch(key -> hiding.sees(batch, query, key));
    }

    static Stream<Arguments> kernels() {
        return Stream.of(
                        Arguments.of(AttentionKernel.TENSOR_CORE, DType.F16),
                        Arguments.of(AttentionKernel.TENSOR_CORE, DType.BF16),
                        Arguments.of(AttentionKernel.WARP, DType.F16),
                        Arguments.of(AttentionKernel.WARP, DType.BF16),
                        Arguments.of(AttentionKernel.WARP_TF32, DType.F32),
                        Arguments.of(AttentionKernel.WARP_GROUP, DType.F16),
                        Arguments.of(AttentionKernel.WARP_GROUP, DType.BF16),
                        Arguments.of(AttentionKernel.WARP_GROUP_FP8, DType.F16))
                .filter(kernel -> {
                    AttentionKernel which = (AttentionKernel) kernel.get()[0];
                    return which.supports(TestDevice.of(which));
                });
    }

    /** On the simulator, which takes its time, each kernel has the masks that its text tells apart, and other types one. */
    private static boolean takes(AttentionKernel kernel, DType dtype, Hiding hiding) {
        boolean functions = kernel == AttentionKernel.WARP || kernel == AttentionKernel.WARP_GROUP;
        boolean can = (functions || !hiding.isOfFunctions()) && (kernel.supportsDropout() || hiding != Hiding.DROPOUT);
        boolean few = TestDevice.of(kernel).backend() == Backend.SIMULATOR;
        boolean typical = switch (kernel) {
            case WARP -> hiding == Hiding.CAUSAL || hiding == Hiding.FUNCTION;
            case WARP_GROUP -> hiding != Hiding.SCORE;
            default -> hiding == Hiding.CAUSAL || hiding == Hiding.WINDOW;
        };
        return can && (!few || typical && (dtype != DType.BF16 || hiding == Hiding.CAUSAL));
    }

    static Stream<Arguments> problems() {
        return kernels()
                .flatMap(kernel -> Stream.of(Hiding.values())
                        .filter(hiding -> takes((AttentionKernel) kernel.get()[0], (DType) kernel.get()[1], hiding))
                        .map(hiding -> Arguments.of(kernel.get()[0], kernel.get()[1], hiding)));
    }

    @ParameterizedTest(name = "{0}, {1}, {2}")
    @MethodSource("problems")
    void reachNothingThatDoesNotSeeThem(AttentionKernel kernel, DType dtype, Hiding hiding) {
        Inputs inputs = Inputs.of(hiding, dtype);
        double tolerance = kernel.isFp8() ? 0.3 : 0.03;
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = attention.forward(inputs.q, inputs.k, inputs.v, hiding.options);
            ReferenceAttention.Forward oracle =
                    ReferenceAttention.forward(inputs.q, inputs.k, inputs.v, hiding.options);
            forEachHead(hiding.shape.heads(), (batch, head) -> {
                IntPredicate reached = query -> isReached(hiding, batch, query);
                check(tolerance, hiding, result.output(), oracle.output(), batch, head, reached);
                check(tolerance, hiding, result.logSumExp(), oracle.logSumExp(), batch, head, reached);
            });
            if (kernel == AttentionKernel.WARP_GROUP) {
                Gradients gradients = attention.backward(result, inputs.dO);
                ReferenceAttention.Backward backward =
                        ReferenceAttention.backward(inputs.q, inputs.k, inputs.v, inputs.dO, hiding.options);
                forEachHead(hiding.shape.heads(), (batch, head) -> {
                    IntPredicate reached = query -> isReached(hiding, batch, query);
                    check(tolerance, hiding, gradients.dQ(), backward.dQ(), batch, head, reached);
                });
                forEachHead(hiding.shape.kvHeads(), (batch, head) -> {
                    // A key's gradients come from the queries that see it.
                    IntPredicate reached = key -> IntStream.range(0, QUERIES)
                            .anyMatch(query -> hiding.sees(batch, query, key) && isReached(hiding, batch, query));
                    check(tolerance, hiding, gradients.dK(), backward.dK(), batch, head, reached);
                    check(tolerance, hiding, gradients.dV(), backward.dV(), batch, head, reached);
                });
            }
        }
    }

    private interface OfHead {
        void check(int batch, int head);
    }

    private static void forEachHead(int heads, OfHead ofHead) {
        for (int batch = 0; batch < BATCH; batch++) {
            for (int head = 0; head < heads; head++) {
                ofHead.check(batch, head);
            }
        }
    }

    /**
     * Finite is what is finite for the oracle. Rows that see an infinite score are left to IEEE: the oracle leaves out a key whose
     * score is −∞, and 0 times what made it so is NaN.
     */
    private static void check(
            double tolerance,
            Hiding hiding,
            Tensor actual,
            double[] oracle,
            int batch,
            int head,
            IntPredicate reached) {
        int[] shape = actual.shape();
        int columns = shape.length == 4 ? shape[3] : 1;
        boolean ofScores = batch == Place.QUERY.ordinal() || batch == Place.KEY.ordinal();
        boolean infinite = Float.isInfinite(special(head, shape[1]));
        for (int row = 0; row < shape[2]; row++) {
            for (int column = 0; column < columns; column++) {
                float value = shape.length == 4 ? actual.get(batch, head, row, column) : actual.get(batch, head, row);
                double wanted = oracle[((batch * shape[1] + head) * shape[2] + row) * columns + column];
                String where = "%s: batch %d, head %d, row %d, column %d: %s for %s"
                        .formatted(hiding, batch, head, row, column, value, wanted);
                if (!reached.test(row)) {
                    assertThat(wanted).as(where).isNotNaN();
                }
                if (!reached.test(row) || !(ofScores && infinite) || Float.isFinite(value)) {
                    assertThat(Float.isFinite(value)).as(where).isEqualTo(Double.isFinite(wanted));
                }
                if (Float.isFinite(value)) {
                    assertThat((double) value)
                            .as(where)
                            .isCloseTo(wanted, within(tolerance * Math.max(1, Math.abs(wanted))));
                }
            }
        }
    }
}
