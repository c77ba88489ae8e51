package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.Tolerance;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/** Attention over parts of arrays of the caller's, as they lie there. */
class ViewsTest {

    private static final int HEADS = 4;
    private static final int KV_HEADS = 2;
    private static final int TOKENS = 37;
    private static final int DIM = 24;
    private static final float GARBAGE = Float.NaN;

    /** Queries, keys, values and an output of the caller's. */
    record Given(Tensor q, Tensor k, Tensor v, Tensor output) {

        @Override
        public String toString() {
            return "%s, %s, %s".formatted(q, k, output);
        }
    }

    /** An array of garbage with room for {@code elements}. */
    private static Tensor garbage(DType dtype, int elements) {
        Tensor array = Tensor.allocate(dtype, elements);
        array.fill(GARBAGE);
        return array;
    }

    /** A view of an array, filled with normal numbers. */
    private static Tensor filled(Tensor array, long seed, int offset, int[] shape, int[] strides) {
        Tensor view = view(array, offset, shape, strides);
        return view.copyFrom(Tensor.random(array.dtype(), seed, shape));
    }

    private static Tensor view(Tensor array, int offset, int[] shape, int[] strides) {
        return switch (array.dtype()) {
            case F32 -> Tensor.view(array.floatArray(), offset, shape, strides);
            case F16 -> Tensor.view(array.halfFloatArray(), offset, shape, strides);
            case BF16 -> Tensor.view(array.bfloat16Bits(), offset, shape, strides);
        };
    }

    /** Heads interleaved in a token, {@code [batch, n, h, d]}, each tensor in an array of its own. */
    private static Given interleaved(DType query, DType keys, DType output) {
        int batch = 2;
        int[] queries = {batch, HEADS, TOKENS, DIM};
        int[] keyShape = {batch, KV_HEADS, TOKENS, DIM};
        int[] queryStrides = {TOKENS * HEADS * DIM, DIM, HEADS * DIM, 1};
        int[] keyStrides = {TOKENS * KV_HEADS * DIM, DIM, KV_HEADS * DIM, 1};
        return new Given(
                filled(garbage(query, batch * TOKENS * HEADS * DIM), 1, 0, queries, queryStrides),
                filled(garbage(keys, batch * TOKENS * KV_HEADS * DIM), 2, 0, keyShape, keyStrides),
                filled(garbage(keys, batch * TOKENS * KV_HEADS * DIM), 3, 0, keyShape, keyStrides),
                view(garbage(output, batch * TOKENS * HEADS * DIM), 0, queries, queryStrides));
    }

    /** A token's q, k and v packed in one row, in more rows than there are tokens. */
    private static Given packed(DType dtype, DType output) {
        int width = (HEADS + 2 * KV_HEADS) * DIM;
        Tensor rows = garbage(dtype, (TOKENS + 5) * width);
        int[] keyShape = {1, KV_HEADS, TOKENS, DIM};
        int[] strides = {1, DIM, width, 1};
        return new Given(
                filled(rows, 1, 0, new int[] {1, HEADS, TOKENS, DIM}, strides),
                filled(rows, 2, HEADS * DIM, keyShape, strides),
                filled(rows, 3, (HEADS + KV_HEADS) * DIM, keyShape, strides),
                view(garbage(output, (TOKENS + 5) * HEADS * DIM), 0, new int[] {1, HEADS, TOKENS, DIM}, new int[] {
                    1, DIM, HEADS * DIM, 1
                }));
    }

    /**
     * The second of three layers in one array of keys and one of values, {@code [layer, context, kvHeads * headDim]}.
     */
    private static Given layered(DType dtype, DType output) {
        int context = 64;
        int layer = context * KV_HEADS * DIM;
        int[] keyShape = {1, KV_HEADS, TOKENS, DIM};
        int[] keyStrides = {layer, DIM, KV_HEADS * DIM, 1};
        int[] queries = {1, HEADS, 5, DIM};
        int[] queryStrides = {1, DIM, HEADS * DIM, 1};
        return new Given(
                filled(garbage(DType.F32, 5 * HEADS * DIM + 7), 1, 7, queries, queryStrides),
                filled(garbage(dtype, 3 * layer), 2, layer, keyShape, keyStrides),
                filled(garbage(dtype, 3 * layer), 3, layer, keyShape, keyStrides),
                view(garbage(output, 5 * HEADS * DIM + 3), 3, queries, queryStrides));
    }

    static Stream<Arguments> layouts() {
        return Stream.of(
                Arguments.of(AttentionKernel.ONLINE, interleaved(DType.F32, DType.F32, DType.F32)),
                Arguments.of(AttentionKernel.ONLINE, packed(DType.F32, DType.F32)),
                Arguments.of(AttentionKernel.ONLINE, layered(DType.F32, DType.F32)),
                Arguments.of(AttentionKernel.TILED, interleaved(DType.F32, DType.F32, DType.F32)),
                Arguments.of(AttentionKernel.TILED, interleaved(DType.F16, DType.F16, DType.F16)),
                Arguments.of(AttentionKernel.TILED, interleaved(DType.BF16, DType.F16, DType.F32)),
                Arguments.of(AttentionKernel.TILED, packed(DType.F32, DType.F16)),
                Arguments.of(AttentionKernel.TILED, packed(DType.BF16, DType.BF16)),
                Arguments.of(AttentionKernel.TILED, layered(DType.F16, DType.F16)),
                Arguments.of(AttentionKernel.WARP_GROUP, interleaved(DType.F16, DType.F16, DType.F16)),
                Arguments.of(AttentionKernel.WARP_GROUP, packed(DType.BF16, DType.BF16)));
    }

    @ParameterizedTest
    @MethodSource("layouts")
    void aTaskReadsAndWritesThemInPlace(AttentionKernel kernel, Given given) throws TornadoExecutionPlanException {
        assumeTrue(
                TestDevice.get().halfFloats()
                        || Stream.of(given.q, given.k, given.output).noneMatch(tensor -> tensor.dtype() == DType.F16),
                "tasks over F16 are refused where the compiler has no 16-bit floats");
        assumeTrue(kernel != AttentionKernel.WARP_GROUP
                || TestDevice.get().extension().level().include(Intrinsics.WARP_GROUP));
        AttentionOptions options = AttentionOptions.causal().withWindow(20, 0).withSoftcap(9);
        Tensor logSumExp = Tensor.allocate(DType.F32, given.q.batch(), given.q.heads(), given.q.seqLength());
        TaskGraph graph = new TaskGraph("layer");
        GridScheduler grids = new GridScheduler();
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), kernel)) {
            transferOnce(graph, given.q, given.k, given.v, given.output, logSumExp);
            KernelChoice choice = attention.appendTo(
                    graph, grids, "attention", given.q, given.k, given.v, given.output, logSumExp, options);
            assertThat(choice.kernel()).isEqualTo(kernel);
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, given.output.array(), logSumExp.array());
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                plan.withDevice(attention.device().handle())
                        .withGridScheduler(grids)
                        .execute();
            }
        }
        // Tensor cores multiply what has the type of the tensors.
        boolean tensorCores = kernel == AttentionKernel.WARP_GROUP;
        DType multiplied = tensorCores ? given.k.dtype() : DType.F32;
        Tolerance tolerance = tensorCores ? Tolerance.forward(multiplied) : rounded(given.output.dtype());
        assertThat(AccuracyCheck.of(given.q.as(multiplied), given.k.as(multiplied), given.v.as(multiplied), options)
                        .forward(given.output, logSumExp, tolerance))
                .allMatch(Comparison::passed);
        // TornadoVM may leave on the host what a task only writes: what lies between is the device's own then.
        if (TestDevice.get().isSimulator()) {
            assertThat(touched(given.output)).isEqualTo(given.output.numberOfElements());
        }
    }

    /** What is computed in F32 from inputs that are exact, and rounded once. */
    static Tolerance rounded(DType output) {
        return switch (output) {
            case F32 -> Tolerance.forward(DType.F32);
            case F16 -> new Tolerance(2, 1e-5 + 0x1p-11);
            case BF16 -> new Tolerance(2, 1e-5 + 0x1p-8);
        };
    }

    private static void transferOnce(TaskGraph graph, Tensor... tensors) {
        Stream.of(tensors)
                .map(Tensor::array)
                .distinct()
                .forEach(array -> graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, array));
    }

    /** How many elements of a view's whole array are no longer garbage. */
    private static long touched(Tensor view) {
        int size = view.array().getSize();
        float[] all = view(new Whole(view).tensor(), 0, new int[] {size}, new int[] {1})
                .toFloatArray();
        long touched = 0;
        for (float element : all) {
            touched += Float.isNaN(element) ? 0 : 1;
        }
        return touched;
    }

    /** All of the array that a view is of. */
    private record Whole(Tensor view) {

        Tensor tensor() {
            int size = view.array().getSize();
            return switch (view.array()) {
                case FloatArray array -> Tensor.wrap(array, size);
                case HalfFloatArray array -> Tensor.wrap(array, size);
                case ShortArray array -> Tensor.wrapBFloat16(array, size);
                default -> throw new AssertionError(view);
            };
        }
    }

    static Stream<Arguments> gradients() {
        return Stream.of(
                Arguments.of(AttentionKernel.ONLINE, interleaved(DType.F32, DType.F32, DType.F32)),
                Arguments.of(AttentionKernel.ONLINE, packed(DType.F32, DType.F32)),
                Arguments.of(AttentionKernel.TILED, interleaved(DType.F32, DType.F32, DType.F32)),
                Arguments.of(AttentionKernel.TILED, packed(DType.F16, DType.F16)),
                Arguments.of(AttentionKernel.TILED, packed(DType.BF16, DType.BF16)));
    }

    /** Gradients of views, in views, have the bits of those of copies: they are the same sums in the same order. */
    @ParameterizedTest
    @MethodSource("gradients")
    void aBackwardTaskReadsAndWritesThemInPlace(AttentionKernel kernel, Given given)
            throws TornadoExecutionPlanException {
        DType dtype = given.q.dtype();
        assumeTrue(TestDevice.get().halfFloats() || dtype != DType.F16);
        AttentionOptions options =
                AttentionOptions.causal().withWindow(20, 0).withScore((s, b, h, i, j) -> s + 0.01f * j + 0.1f * h);
        int[] rows = given.q.shape();
        int[] keys = given.k.shape();
        Tensor dOut = filled(garbage(dtype, 3 + 2 * given.q.numberOfElements()), 5, 3, rows, rowsApart(rows));
        Tensor dQ = view(garbage(dtype, 3 + 2 * given.q.numberOfElements()), 3, rows, rowsApart(rows));
        Tensor dK = view(garbage(dtype, 5 + 2 * given.k.numberOfElements()), 4, keys, rowsApart(keys));
        Tensor dV = view(garbage(dtype, 5 + 2 * given.k.numberOfElements()), 5, keys, rowsApart(keys));
        TaskGraph graph = new TaskGraph("layer");
        GridScheduler grids = new GridScheduler();
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), kernel)) {
            AttentionResult result =
                    attention.forward(given.q.contiguous(), given.k.contiguous(), given.v.contiguous(), options);
            given.output.copyFrom(result.output());
            BackwardTensors tensors = BackwardTensors.builder()
                    .q(given.q)
                    .k(given.k)
                    .v(given.v)
                    .output(given.output)
                    .logSumExp(result.logSumExp())
                    .dOut(dOut)
                    .dQ(dQ)
                    .dK(dK)
                    .dV(dV)
                    .build();
            transferOnce(graph, given.q, given.k, given.v, given.output, result.logSumExp(), dOut, dQ, dK, dV);
            assertThat(attention
                            .appendBackwardTo(graph, grids, "gradients", tensors, options)
                            .kernel())
                    .isEqualTo(kernel);
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, dQ.array(), dK.array(), dV.array());
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                plan.withDevice(attention.device().handle())
                        .withGridScheduler(grids)
                        .execute();
            }
            Gradients ofCopies = attention.backward(result, dOut.contiguous());
            assertThat(dQ.toFloatArray()).isEqualTo(ofCopies.dQ().toFloatArray());
            assertThat(dK.toFloatArray()).isEqualTo(ofCopies.dK().toFloatArray());
            assertThat(dV.toFloatArray()).isEqualTo(ofCopies.dV().toFloatArray());
        }
        if (TestDevice.get().isSimulator()) {
            for (Tensor gradient : List.of(dQ, dK, dV)) {
                assertThat(touched(gradient)).isEqualTo(gradient.numberOfElements());
            }
        }
    }

    private static int[] packedStrides(Tensor tensor) {
        int[] shape = tensor.shape();
        return new int[] {shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1};
    }

    /** Heads interleaved in a token, twice as far apart as they need to be. */
    private static int[] rowsApart(int... shape) {
        int row = 2 * shape[1] * shape[3];
        return new int[] {shape[2] * row, 2 * shape[3], row, 1};
    }

    @ParameterizedTest
    @EnumSource
    void callsTakeViewsAsTheyTakeCopies(DType dtype) {
        Given given = interleaved(dtype, dtype, dtype);
        AttentionOptions options = AttentionOptions.causal();
        for (ComputeDevice device : List.of(TestDevice.get(), TestDevice.jvm())) {
            try (FlashAttention attention = FlashAttention.on(device)) {
                AttentionResult ofViews = attention.forward(given.q, given.k, given.v, options);
                AttentionResult ofCopies =
                        attention.forward(given.q.contiguous(), given.k.contiguous(), given.v.contiguous(), options);
                assertThat(ofViews.output().toFloatArray())
                        .isEqualTo(ofCopies.output().toFloatArray());
                Tensor dOut = given.output.copyFrom(Tensor.random(dtype, 4, given.output.shape()));
                assertThat(attention.backward(ofViews, dOut).dK().toFloatArray())
                        .isEqualTo(attention
                                .backward(ofCopies, dOut.contiguous())
                                .dK()
                                .toFloatArray());
            }
        }
    }

    @Test
    void whatTakesNoViewsSaysSo() {
        Given given = packed(DType.F32, DType.F32);
        Tensor logSumExp = Tensor.allocate(DType.F32, 1, HEADS, TOKENS);
        TaskGraph graph = new TaskGraph("layer");
        GridScheduler grids = new GridScheduler();
        AttentionOptions options = AttentionOptions.causal();
        try (FlashAttention standard = FlashAttention.on(TestDevice.get(), AttentionKernel.STANDARD);
                FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> standard.appendTo(
                            graph, grids, "a", given.q, given.k, given.v, given.output, logSumExp, options))
                    .withMessageContaining("standard takes contiguous tensors");
            Tensor inTheRows = view(
                    new Whole(given.q).tensor(), 0, given.q.shape(), new int[] {1, DIM, (HEADS + 2 * KV_HEADS) * DIM, 1
                    });
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.appendTo(
                            graph, grids, "a", given.q, given.k, given.v, inTheRows, logSumExp, options))
                    .withMessageContaining("share memory");
            Tensor apart = view(garbage(DType.F32, 2 * HEADS * TOKENS * DIM), 0, given.q.shape(), new int[] {
                1, 2 * TOKENS * DIM, 2 * DIM, 2
            });
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.appendTo(
                            graph, grids, "a", apart, given.k, given.v, given.output, logSumExp, options))
                    .withMessageContaining("the last stride must be 1");
            Tensor dOut = Tensor.allocate(DType.F32, 1, HEADS, TOKENS, DIM);
            Tensor both = garbage(DType.F32, 2 * given.k.numberOfElements());
            int half = given.k.numberOfElements();
            BackwardTensors tensors = BackwardTensors.builder()
                    .q(given.q)
                    .k(given.k)
                    .v(given.v)
                    .output(given.output)
                    .logSumExp(logSumExp)
                    .dOut(dOut)
                    .dQ(Tensor.allocate(DType.F32, given.q.shape()))
                    .dK(view(both, 0, given.k.shape(), packedStrides(given.k)))
                    .dV(view(both, half, given.k.shape(), packedStrides(given.k)))
                    .build();
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> standard.appendBackwardTo(graph, grids, "a", tensors, options))
                    .withMessageContaining("share memory");
            BackwardTensors ofOwnArrays = BackwardTensors.builder()
                    .q(given.q)
                    .k(given.k)
                    .v(given.v)
                    .output(given.output)
                    .logSumExp(logSumExp)
                    .dOut(dOut)
                    .dQ(Tensor.allocate(DType.F32, given.q.shape()))
                    .dK(Tensor.allocate(DType.F32, given.k.shape()))
                    .dV(Tensor.allocate(DType.F32, given.k.shape()))
                    .build();
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> standard.appendBackwardTo(graph, grids, "a", ofOwnArrays, options))
                    .withMessageContaining("standard takes contiguous tensors");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> options.withBias(given.q))
                    .withMessageContaining("is a view");
        }
    }
}
