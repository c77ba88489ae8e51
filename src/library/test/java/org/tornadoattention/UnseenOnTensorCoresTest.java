package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.reference.ReferenceAttention;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * NaN and ∞ do not reach what the mask hides them from in the kernels on tensor cores, whose products go over hidden
 * pairs too: there is what the oracle has, as there is in rows that see them. The first half of the heads has NaN and
 * the other ∞.
 */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class UnseenOnTensorCoresTest {

    private static final int QUERIES = 40;
    private static final int KEYS = 50;
    private static final int COLUMN = 7;

    /**
     * Where they are: of Q and dO in the first batch entry, of K and V in the second. Every mask hides those of an
     * entry from some rows.
     */
    private enum Place {
        QUERY(0, 0),
        OUTPUT_GRADIENT(0, 21),
        KEY(1, 45),
        VALUE(1, 30, 42);

        final int batch;
        final int[] rows;

        Place(int batch, int... rows) {
            this.batch = batch;
            this.rows = rows;
        }

        boolean isOfKeys() {
            return this == KEY || this == VALUE;
        }

        boolean isOfScores() {
            return this == QUERY || this == KEY;
        }

        /** Whether a query is one of its rows, or sees one. */
        boolean reaches(Hiding hiding, int batch, int query) {
            return batch == this.batch
                    && IntStream.of(rows)
                            .anyMatch(row -> isOfKeys()
                                    ? hiding.sees(batch, query, row)
                                    : row == query
                                            && IntStream.range(0, KEYS)
                                                    .anyMatch(key -> hiding.sees(batch, query, key)));
        }
    }

    private static final int BATCH = 2;
    private static final int[] LENGTHS = {37, 41};

    /** What hides pairs. */
    enum Hiding {
        CAUSAL(AttentionOptions.causal(), 16, 2, 2),
        CAUSAL_WIDE(AttentionOptions.causal(), 72, 2, 2),
        WINDOW(AttentionOptions.defaults().withWindow(12, 3).withSoftcap(5), 16, 2, 2),
        LENGTHS(AttentionOptions.causal().withKeyLengths(UnseenOnTensorCoresTest.LENGTHS), 20, 4, 2),
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
            int length = this == LENGTHS ? UnseenOnTensorCoresTest.LENGTHS[batch] : KEYS;
            int position = query + length - QUERIES;
            boolean seen = this == FUNCTION
                    || this == BLOCKS
                    || key <= position + (this == WINDOW ? 3 : 0) && (this != WINDOW || key >= position - 12);
            return switch (this) {
                case FUNCTION, SCORE -> seen && (query + key) % 3 != 0;
                case BLOCKS -> seen && (query / 8 + key / 8) % 2 == 0;
                default -> seen && key < length;
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
                Tensor tensor = switch (place) {
                    case QUERY -> inputs.q;
                    case KEY -> inputs.k;
                    case VALUE -> inputs.v;
                    case OUTPUT_GRADIENT -> inputs.dO;
                };
                for (int head = 0; head < tensor.heads(); head++) {
                    for (int row : place.rows) {
                        tensor.set(special(head, tensor.heads()), place.batch, head, row, COLUMN);
                    }
                }
            }
            return inputs;
        }
    }

    private static float special(int head, int heads) {
        return head < heads / 2 ? Float.NaN : Float.POSITIVE_INFINITY;
    }

    /** Whether a query has something that is not finite, or sees a key that has. */
    private static boolean isReached(Hiding hiding, int batch, int query) {
        return Stream.of(Place.values()).anyMatch(place -> place.reaches(hiding, batch, query));
    }

    /** Whether it makes the query's scores so. */
    private static boolean hasScores(Hiding hiding, int batch, int query) {
        return Stream.of(Place.values()).anyMatch(place -> place.isOfScores() && place.reaches(hiding, batch, query));
    }

    private static final AttentionKernel[] KERNELS = {
        AttentionKernel.TENSOR_CORE,
        AttentionKernel.WARP,
        AttentionKernel.WARP_TF32,
        AttentionKernel.WARP_GROUP,
        AttentionKernel.WARP_GROUP_F32,
        AttentionKernel.WARP_GROUP_FP8
    };

    /** Whether a test is worth the simulator's time: masks and types that a kernel's text tells apart. */
    private static boolean isTypical(AttentionKernel kernel, DType dtype, Hiding hiding) {
        boolean half = dtype == DType.F16;
        return switch (kernel) {
            case TENSOR_CORE ->
                hiding == (half ? Hiding.WINDOW : Hiding.CAUSAL) || hiding == Hiding.CAUSAL_WIDE && half;
            case WARP -> hiding == (half ? Hiding.FUNCTION : Hiding.CAUSAL);
            case WARP_GROUP ->
                switch (hiding) {
                    case CAUSAL, CAUSAL_WIDE, LENGTHS, DROPOUT, FUNCTION, BLOCKS -> half;
                    case WINDOW -> !half;
                    case SCORE -> false;
                };
            case WARP_GROUP_F32 -> hiding == Hiding.LENGTHS || hiding == Hiding.WINDOW;
            default -> hiding == Hiding.WINDOW;
        };
    }

    static Stream<Arguments> problems() {
        Stream<Arguments> table = Stream.of(KERNELS)
                .filter(kernel -> kernel.supports(TestDevice.of(kernel)))
                .flatMap(kernel -> kernel.spec().dtypes().stream()
                        .sorted()
                        .flatMap(dtype -> Stream.of(Hiding.values())
                                .filter(hiding -> takes(kernel, dtype, hiding))
                                .map(hiding -> Arguments.of(kernel, dtype, hiding))));
        return CoveringArray.today(table, 0, 1);
    }

    private static boolean takes(AttentionKernel kernel, DType dtype, Hiding hiding) {
        boolean functions = kernel == AttentionKernel.WARP || kernel == AttentionKernel.WARP_GROUP;
        boolean can = (functions || !hiding.isOfFunctions()) && (kernel.supportsDropout() || hiding != Hiding.DROPOUT);
        return can && (!TestDevice.of(kernel).isSimulator() || isTypical(kernel, dtype, hiding));
    }

    @ParameterizedTest(name = "{0}, {1}, {2}")
    @MethodSource("problems")
    void reachNothingThatDoesNotSeeThem(AttentionKernel kernel, DType dtype, Hiding hiding) {
        ComputeDevice device = TestDevice.of(kernel);
        boolean backward = kernel == AttentionKernel.WARP_GROUP || kernel == AttentionKernel.WARP_GROUP_F32;
        assumeTrue(
                !backward || device.extension().localMemoryBytes() > 200 << 10,
                "SKIPPED: the simulator's default local memory, for lack of tornado-config/simulator.args");
        for (int batch = 0; batch < BATCH; batch++) {
            int entry = batch;
            assertThat(IntStream.range(0, QUERIES)).anyMatch(query -> isReached(hiding, entry, query));
            assertThat(IntStream.range(0, QUERIES)).anyMatch(query -> !isReached(hiding, entry, query));
        }
        Inputs inputs = Inputs.of(hiding, dtype);
        double tolerance = kernel.isFp8() ? 0.3 : 0.03;
        try (FlashAttention attention = FlashAttention.on(device, kernel)) {
            AttentionResult result = attention.forward(inputs.q, inputs.k, inputs.v, hiding.options);
            ReferenceAttention.Forward oracle =
                    ReferenceAttention.forward(inputs.q, inputs.k, inputs.v, hiding.options);
            forEachHead(hiding.shape.heads(), (batch, head) -> {
                Reached reached = Reached.ofQueries(hiding, batch);
                check(tolerance, hiding, result.output(), oracle.output(), batch, head, reached);
                check(tolerance, hiding, result.logSumExp(), oracle.logSumExp(), batch, head, reached);
            });
            if (backward) {
                AttentionProblem problem = AttentionProblem.of(hiding.shape, dtype, hiding.options);
                assertThat(KernelChoice.chooseBackward(problem, device, Optional.of(kernel))
                                .kernel())
                        .isEqualTo(kernel);
                Gradients gradients = attention.backward(result, inputs.dO);
                ReferenceAttention.Backward wanted =
                        ReferenceAttention.backward(inputs.q, inputs.k, inputs.v, inputs.dO, hiding.options);
                forEachHead(hiding.shape.heads(), (batch, head) -> {
                    Reached reached = Reached.ofQueries(hiding, batch);
                    check(tolerance, hiding, gradients.dQ(), wanted.dQ(), batch, head, reached);
                });
                forEachHead(hiding.shape.kvHeads(), (batch, head) -> {
                    Reached reached = Reached.ofKeys(hiding, batch);
                    check(tolerance, hiding, gradients.dK(), wanted.dK(), batch, head, reached);
                    check(tolerance, hiding, gradients.dV(), wanted.dV(), batch, head, reached);
                });
            }
        }
    }

    /** Which rows have something that is not finite in what they are computed from, and which in their scores. */
    private record Reached(IntPredicate atAll, IntPredicate inScores) {

        static Reached ofQueries(Hiding hiding, int batch) {
            return new Reached(query -> isReached(hiding, batch, query), query -> hasScores(hiding, batch, query));
        }

        /** A key's gradients come from the queries that see it. */
        static Reached ofKeys(Hiding hiding, int batch) {
            Reached queries = ofQueries(hiding, batch);
            return new Reached(
                    key -> anySees(hiding, batch, key, queries.atAll),
                    key -> anySees(hiding, batch, key, queries.inScores));
        }

        private static boolean anySees(Hiding hiding, int batch, int key, IntPredicate which) {
            return IntStream.range(0, QUERIES).anyMatch(query -> hiding.sees(batch, query, key) && which.test(query));
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
     * Finite is what is finite for the oracle. Rows that see an infinite score are left to IEEE: the oracle leaves out
     * a key whose score is −∞, and 0 times what made it so is NaN.
     */
    private static void check(
            double tolerance, Hiding hiding, Tensor actual, double[] oracle, int batch, int head, Reached reached) {
        int[] shape = actual.shape();
        int columns = shape.length == 4 ? shape[3] : 1;
        boolean infinite = Float.isInfinite(special(head, shape[1]));
        for (int row = 0; row < shape[2]; row++) {
            boolean isLeft = infinite && reached.inScores.test(row);
            boolean isReached = reached.atAll.test(row);
            for (int column = 0; column < columns; column++) {
                float value = shape.length == 4 ? actual.get(batch, head, row, column) : actual.get(batch, head, row);
                double wanted = oracle[((batch * shape[1] + head) * shape[2] + row) * columns + column];
                String where = "%s: batch %d, head %d, row %d, column %d: %s for %s"
                        .formatted(hiding, batch, head, row, column, value, wanted);
                if (!isReached) {
                    assertThat(wanted).as(where).isNotNaN();
                }
                if (!isLeft || Float.isFinite(value)) {
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
