package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.CoveringArray;
import org.tornadoattention.Gradients;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * A window's edge may be any number where keys lie in pages, in a pool or packed: {@code WindowEdgesTest} for the rest
 * of what computes attention.
 */
class WindowEdgesInCachesTest {

    private static final int QUERIES = 13;
    private static final int KEYS = 8;
    private static final int HEADS = 2;
    private static final int HEAD_DIM = 16;

    private static final int[][] WINDOWS = {
        {-1, 7},
        {-1, 8},
        {-1, 12},
        {-1, Integer.MAX_VALUE - 1},
        {-1, Integer.MAX_VALUE},
        {7, 3},
        {8, 0},
        {Integer.MAX_VALUE - 1, 2},
        {2, Integer.MAX_VALUE - 1},
        {Integer.MAX_VALUE, Integer.MAX_VALUE},
        {1 << 30, 1 << 30}
    };

    static Stream<AttentionOptions> windows() {
        return Arrays.stream(WINDOWS).map(window -> AttentionOptions.defaults().withWindow(window[0], window[1]));
    }

    private static Stream<Arguments> with(Stream<?> others) {
        return CoveringArray.today(others.flatMap(other -> windows().map(options -> Arguments.of(other, options))));
    }

    static Stream<Arguments> devicesAndWindows() {
        return with(Stream.of(TestDevice.get(), TestDevice.jvm()));
    }

    /** More queries than keys, which begin in one page, over pages that were filled in two steps. */
    @ParameterizedTest
    @MethodSource("devicesAndWindows")
    void pagesTakeEveryEdge(ComputeDevice device, AttentionOptions options) {
        for (CacheType type : new CacheType[] {CacheType.UNQUANTIZED, CacheType.INT8}) {
            CacheOptions how = CacheOptions.of(DType.F32).on(device).withCacheType(type);
            Tensor q = Tensor.random(DType.F32, 1, 1, HEADS, QUERIES, HEAD_DIM);
            Tensor k = Tensor.random(DType.F32, 2, 1, 1, KEYS, HEAD_DIM);
            Tensor v = Tensor.random(DType.F32, 3, 1, 1, KEYS, HEAD_DIM);
            try (PagedKvCache cache = PagedKvCache.builder()
                    .sequences(1)
                    .heads(HEADS, 1)
                    .headDim(HEAD_DIM)
                    .pageSize(4)
                    .pages(3)
                    .capacity(KEYS)
                    .options(how)
                    .build()) {
                cache.append(CacheCase.tokens(k, 0, 3), CacheCase.tokens(v, 0, 3));
                cache.append(CacheCase.tokens(k, 3, KEYS), CacheCase.tokens(v, 3, KEYS));
                CacheCase.assertAccurate(cache, q, options, cache.forward(q, options));
            }
        }
    }

    static Stream<Arguments> kernelsAndWindows() {
        Intrinsics level = TestDevice.get().extension().level();
        return with(Stream.of(DecodeKernel.SPLIT_KEY, DecodeKernel.WARP_SPLIT_KEY, DecodeKernel.WARP_GROUP)
                .filter(kernel -> kernel == DecodeKernel.SPLIT_KEY
                        || level.include(kernel == DecodeKernel.WARP_GROUP ? Intrinsics.WARP_GROUP : Intrinsics.WARP)));
    }

    @ParameterizedTest
    @MethodSource("kernelsAndWindows")
    void aPoolTakesEveryEdge(DecodeKernel kernel, AttentionOptions options) {
        DType dtype = kernel == DecodeKernel.SPLIT_KEY ? DType.F32 : DType.F16;
        try (PoolCase pool = switch (kernel) {
            case WARP_SPLIT_KEY -> PoolCase.decoded(dtype, dtype, dtype, 2, 6, 16, 16, 2, 0, options, same -> same);
            case WARP_GROUP -> PoolCase.chunked(dtype, dtype, dtype, 2, 17, 16, 16, 2, 1, options);
            default -> PoolCase.paged(dtype, dtype, dtype, 2, 6, 16, 2, 16, options);
        }) {
            pool.deal(3);
            for (int b = 0; b < 2; b++) {
                // The first sequence fills its pages, the second has its queries alone.
                pool.positions.set(b, b == 0 ? 32 - pool.seqQ : 0);
                pool.write(b, b, 0, b == 0 ? 32 : pool.seqQ);
            }
            pool.execute();
            pool.assertAccurate();
        }
    }

    private record Packed(Tensor q, Tensor k, Tensor v, Tensor dOut, IntArray queryOffsets, IntArray keyOffsets) {

        static Packed random() {
            return new Packed(
                    Tensor.random(DType.F32, 1, QUERIES, HEADS, HEAD_DIM),
                    Tensor.random(DType.F32, 2, KEYS, 1, HEAD_DIM),
                    Tensor.random(DType.F32, 3, KEYS, 1, HEAD_DIM),
                    Tensor.random(DType.F32, 4, QUERIES, HEADS, HEAD_DIM),
                    IntArray.fromElements(0, QUERIES),
                    IntArray.fromElements(0, KEYS));
        }

        AccuracyCheck check(AttentionOptions options) {
            return AccuracyCheck.of(alone(q), alone(k), alone(v), alone(dOut), options);
        }
    }

    /** {@code [tokens, heads, …]} as {@code [1, heads, tokens, …]}. */
    private static Tensor alone(Tensor packed) {
        int[] shape = packed.shape();
        int width = shape.length == 3 ? shape[2] : 1;
        Tensor alone = shape.length == 3
                ? Tensor.allocate(packed.dtype(), 1, shape[1], shape[0], width)
                : Tensor.allocate(packed.dtype(), 1, shape[1], shape[0]);
        for (int at = 0; at < packed.numberOfElements(); at++) {
            int token = at / width / shape[1];
            int head = at / width % shape[1];
            alone.setFlat((head * shape[0] + token) * width + at % width, packed.getFlat(at));
        }
        return alone;
    }

    @ParameterizedTest
    @MethodSource("devicesAndWindows")
    void gradientsOfARaggedBatchTakeEveryEdge(ComputeDevice device, AttentionOptions options) {
        Packed packed = Packed.random();
        try (RaggedAttention ragged = new RaggedAttention(device)) {
            AttentionResult result =
                    ragged.forward(packed.q, packed.k, packed.v, packed.queryOffsets, packed.keyOffsets, options);
            Gradients gradients = ragged.backward(
                    packed.q, packed.k, packed.v, packed.queryOffsets, packed.keyOffsets, options, result, packed.dOut);
            AccuracyCheck check = packed.check(options);
            assertThat(check.forward(alone(result.output()), alone(result.logSumExp())))
                    .allMatch(Comparison::passed);
            assertThat(check.gradients(
                            Gradients.of(alone(gradients.dQ()), alone(gradients.dK()), alone(gradients.dV()))))
                    .allMatch(Comparison::passed);
        }
    }

    @ParameterizedTest
    @MethodSource("windows")
    void tasksOfARaggedBatchTakeEveryEdge(AttentionOptions options) throws TornadoExecutionPlanException {
        assumeTrue(!TestDevice.get().isJvm(), "the JVM's engine has no task graphs");
        Packed packed = Packed.random();
        Tensor output = Tensor.allocate(DType.F32, packed.q.shape());
        Tensor logSumExp = Tensor.allocate(DType.F32, QUERIES, HEADS);
        TaskGraph graph = new TaskGraph("packed");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(
                DataTransferMode.FIRST_EXECUTION,
                packed.q.array(),
                packed.k.array(),
                packed.v.array(),
                output.array(),
                logSumExp.array());
        try (RaggedAttention ragged = new RaggedAttention(TestDevice.get())) {
            RaggedTasks tasks = ragged.tasks(graph, grids, packed.q, packed.k, 1, options);
            tasks.append("attention", packed.q, packed.k, packed.v, output, logSumExp);
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, output.array(), logSumExp.array());
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                plan.withDevice(TestDevice.get().handle()).withGridScheduler(grids);
                tasks.divide(packed.queryOffsets, packed.keyOffsets);
                plan.execute();
            }
        }
        assertThat(packed.check(options).forward(alone(output), alone(logSumExp)))
                .allMatch(Comparison::passed);
    }
}
