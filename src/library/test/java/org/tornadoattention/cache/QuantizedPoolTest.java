package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Optional;
import java.util.Random;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.TestDevice;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.Tolerance;
import org.tornadoattention.tensor.ByteTensor;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import org.tornadoattention.vector.ByteCoding;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.ByteArray;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Bytes of a caller's in pages {@code [page, keys and values, pageSize, kvHeads * headDim]}, behind others in their
 * array, as the oracle has them: each byte times the scale of its page's head. What no sequence has is NaN.
 */
class QuantizedPoolTest {

    private static final AttentionOptions CAUSAL = AttentionOptions.causal();
    private static final int BATCH = 2;
    private static final int HEADS = 4;
    private static final int KV_HEADS = 2;
    private static final int FIRST = 5;

    static Stream<Arguments> pools() {
        UnaryOperator<KeyValuePool> asItIs = pool -> pool;
        return Stream.of(
                Arguments.of(CacheType.INT8, DType.F32, 20, 5, 16, 3, CAUSAL, asItIs),
                Arguments.of(CacheType.INT8, DType.BF16, 1, 6, 8, 2, CAUSAL.withWindow(9, 0), asItIs),
                Arguments.of(
                        CacheType.INT8,
                        DType.F32,
                        3,
                        1,
                        16,
                        40,
                        CAUSAL.withScore((s, b, h, i, j) -> s + 0.01f * j + 0.1f * h),
                        asItIs),
                Arguments.of(
                        CacheType.INT8, DType.F32, 2, 4, 16, 8, CAUSAL.withSoftcap(3), (UnaryOperator<KeyValuePool>)
                                pool -> pool.withFixedSplits(16)),
                Arguments.of(CacheType.E4M3, DType.F32, 20, 5, 16, 7, CAUSAL, asItIs),
                Arguments.of(CacheType.E4M3, DType.BF16, 1, 1, 32, 48, CAUSAL, asItIs));
    }

    @ParameterizedTest(name = "{0}, {1}, {2} queries, {3} pages of {5}, {4}, {6}")
    @MethodSource("pools")
    void isAsItsBytesTimesTheirScales(
            CacheType type,
            DType dtype,
            int seqQ,
            int pagesPerSequence,
            int headDim,
            int pageSize,
            AttentionOptions options,
            UnaryOperator<KeyValuePool> change)
            throws TornadoExecutionPlanException {
        isAccurate(
                type,
                dtype,
                seqQ,
                pagesPerSequence,
                headDim,
                pageSize,
                options,
                change,
                Optional.empty(),
                DecodeKernel.SPLIT_KEY);
    }

    /** Each execution writes what the bytes are, and kernels for other types attend to that. */
    @ParameterizedTest
    @CsvSource({"INT8, F32, F32, SPLIT_KEY", "INT8, F16, F16, WARP_GROUP", "E4M3, F32, BF16, WARP_GROUP"})
    void aWideCopyIsForKernelsOfOtherTypes(CacheType type, DType dtype, DType wide, DecodeKernel kernel)
            throws TornadoExecutionPlanException {
        assumeTrue(kernel != DecodeKernel.WARP_GROUP
                || TestDevice.get().extension().level().include(Intrinsics.WARP_GROUP));
        isAccurate(type, dtype, 20, 7, 16, 16, CAUSAL, pool -> pool.withKernel(kernel), Optional.of(wide), kernel);
    }

    private static void isAccurate(
            CacheType type,
            DType dtype,
            int seqQ,
            int pagesPerSequence,
            int headDim,
            int pageSize,
            AttentionOptions options,
            UnaryOperator<KeyValuePool> change,
            Optional<DType> wide,
            DecodeKernel kernel)
            throws TornadoExecutionPlanException {
        int pages = BATCH * pagesPerSequence + 1;
        int kvDim = KV_HEADS * headDim;
        int[] shape = {pages, KV_HEADS, pageSize, headDim};
        int[] strides = {2 * pageSize * kvDim, headDim, kvDim, 1};
        ByteArray array = new ByteArray(FIRST + pages * 2 * pageSize * kvDim);
        FloatArray scales = new FloatArray(pages * KV_HEADS * 2);
        scales.init(Float.NaN);
        IntArray positions = new IntArray(BATCH);
        IntArray rows = new IntArray(BATCH);
        IntArray table = new IntArray(BATCH * pagesPerSequence);
        for (int i = 0; i < table.getSize(); i++) {
            table.set(i, table.getSize() - i);
        }
        KeyValuePool pool = change.apply(KeyValuePool.ofQuantized(
                        type,
                        ByteTensor.view(array, FIRST, shape, strides),
                        ByteTensor.view(array, FIRST + pageSize * kvDim, shape, strides),
                        scales,
                        positions)
                .withBlockTable(table, pagesPerSequence)
                .withValidRows(rows));

        int[] copied = {BATCH, KV_HEADS, pageSize * pagesPerSequence, headDim};
        Tensor wideKeys = Tensor.allocate(wide.orElse(DType.F32), copied);
        Tensor wideValues = Tensor.allocate(wide.orElse(DType.F32), copied);
        wideKeys.fill(Float.NaN);
        wideValues.fill(Float.NaN);
        pool = wide.isPresent() ? pool.withWideCopy(wideKeys, wideValues) : pool;
        Tensor q = Tensor.random(dtype, 3, BATCH, HEADS, seqQ, headDim);
        Tensor output = Tensor.allocate(dtype, q.shape());
        Tensor logSumExp = Tensor.allocate(DType.F32, BATCH, HEADS, seqQ);
        TaskGraph graph = new TaskGraph("layer");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, q.array(), array, scales, positions, rows, table);
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, output.array(), logSumExp.array());
        if (wide.isPresent()) {
            graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, wideKeys.array(), wideValues.array());
        }
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            assertThat(attention
                            .appendTo(graph, grids, "attention", q, pool, output, logSumExp, options)
                            .kernel())
                    .isEqualTo(kernel);
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, output.array(), logSumExp.array());
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                plan.withDevice(attention.device().handle()).withGridScheduler(grids);
                int capacity = pageSize * pagesPerSequence;
                for (int step = 0; step < 3; step++) {
                    for (int b = 0; b < BATCH; b++) {
                        int length = Math.min(capacity, seqQ + (capacity - seqQ) * (step + b) / 3);
                        rows.set(b, b == 1 && step == 2 ? 0 : Math.max(1, seqQ - step));
                        positions.set(b, length - rows.get(b));
                    }
                    fill(type, array, scales, table, positions, rows, shape, step);
                    plan.execute();
                    for (int b = 0; b < BATCH; b++) {
                        int valid = rows.get(b);
                        if (valid > 0) {
                            Tensor[] cached = new Tensor[2];
                            for (int which = 0; which < 2; which++) {
                                cached[which] =
                                        gathered(type, array, scales, which, table, b, positions.get(b) + valid, shape);
                            }
                            DType multiplied = wide.orElse(DType.F32);
                            Tolerance tolerance = kernel == DecodeKernel.SPLIT_KEY
                                    ? CacheCase.rounded(dtype)
                                    : Tolerance.forward(multiplied);
                            assertThat(AccuracyCheck.of(
                                                    CacheCase.tokens(CacheCase.sequence(q, b), 0, valid)
                                                            .as(multiplied),
                                                    cached[0].as(multiplied),
                                                    cached[1].as(multiplied),
                                                    options)
                                            .forward(
                                                    CacheCase.tokens(CacheCase.sequence(output, b), 0, valid)
                                                            .as(DType.F32),
                                                    rowsOf(logSumExp, b, valid),
                                                    tolerance))
                                    .as("step %d, sequence %d", step, b)
                                    .allMatch(Comparison::passed);
                        }
                    }
                }
            }
        }
    }

    /** Bytes and scales of all tokens that sequences have; all else is NaN. */
    private static void fill(
            CacheType type,
            ByteArray array,
            FloatArray scales,
            IntArray table,
            IntArray positions,
            IntArray rows,
            int[] shape,
            int seed) {
        Random random = new Random(seed);
        for (int i = 0; i < array.getSize(); i++) {
            array.set(i, (byte) (type == CacheType.INT8 ? -128 : 127));
        }
        for (int b = 0; b < BATCH; b++) {
            int length = positions.get(b) + rows.get(b);
            for (int token = 0; token < length; token++) {
                for (int which = 0; which < 2; which++) {
                    for (int x = 0; x < KV_HEADS * shape[3]; x++) {
                        // Of E4M3 those up to 15 · 2; of INT8 all.
                        int magnitude = random.nextInt(type == CacheType.INT8 ? 128 : 0x60);
                        int bits = type == CacheType.INT8
                                ? random.nextBoolean() ? -magnitude : magnitude
                                : magnitude | (random.nextBoolean() ? 0x80 : 0);
                        array.set(place(table, b, token, which, x, shape), (byte) bits);
                    }
                }
                for (int head = 0; head < KV_HEADS; head++) {
                    int page = table.get(b * pagesOf(table) + token / shape[2]);
                    float unit = type == CacheType.INT8 ? 0x1p-6f : 0x1p-2f;
                    scales.set((page * KV_HEADS + head) * 2, unit * (1 + 0.01f * page));
                    scales.set((page * KV_HEADS + head) * 2 + 1, unit * (2 + 0.01f * page + head));
                }
            }
        }
    }

    private static int pagesOf(IntArray table) {
        return table.getSize() / BATCH;
    }

    /** Where an element of a token's keys or values lies. */
    private static int place(IntArray table, int b, int token, int which, int x, int... shape) {
        int page = table.get(b * pagesOf(table) + token / shape[2]);
        return FIRST + ((page * 2 + which) * shape[2] + token % shape[2]) * KV_HEADS * shape[3] + x;
    }

    private static Tensor gathered(
            CacheType type,
            ByteArray array,
            FloatArray scales,
            int which,
            IntArray table,
            int b,
            int length,
            int... shape) {
        ByteCoding coding = ByteCoding.of(type);
        Tensor gathered = Tensor.allocate(DType.F32, 1, KV_HEADS, length, shape[3]);
        for (int token = 0; token < length; token++) {
            int page = table.get(b * pagesOf(table) + token / shape[2]);
            for (int x = 0; x < KV_HEADS * shape[3]; x++) {
                int head = x / shape[3];
                float scale = scales.get((page * KV_HEADS + head) * 2 + which);
                float number = coding.decode(array.get(place(table, b, token, which, x, shape)));
                gathered.set(scale * number, 0, head, token, x % shape[3]);
            }
        }
        return gathered;
    }

    private static Tensor rowsOf(Tensor logSumExp, int b, int valid) {
        Tensor some = Tensor.allocate(DType.F32, 1, HEADS, valid);
        for (int at = 0; at < HEADS * valid; at++) {
            some.setFlat(at, logSumExp.get(b, at / valid, at % valid));
        }
        return some;
    }

    @Test
    void whatDoesNotFitIsSaid() {
        int[] shape = {3, KV_HEADS, 8, 16};
        int[] strides = {8 * KV_HEADS * 16, 16, KV_HEADS * 16, 1};
        ByteArray array = new ByteArray(3 * 8 * KV_HEADS * 16);
        ByteTensor bytes = ByteTensor.view(array, 0, shape, strides);
        FloatArray scales = new FloatArray(12);
        IntArray positions = new IntArray(2);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ByteTensor.view(array, 1, shape, strides))
                .withMessageContaining("must lie inside");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ByteTensor.view(array, 0, shape, new int[] {8 * KV_HEADS * 16, 15, KV_HEADS * 16, 1}))
                .withMessageContaining("overlaps itself");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> KeyValuePool.ofQuantized(CacheType.UNQUANTIZED, bytes, bytes, scales, positions))
                .withMessageContaining("bytes are E4M3 or INT8");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> KeyValuePool.ofQuantized(CacheType.INT8, bytes, bytes, new FloatArray(11), positions))
                .withMessageContaining("two for each head of each page, 12");
        Tensor few = Tensor.allocate(DType.F32, 2, KV_HEADS, 7, 16);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> KeyValuePool.of(few, few, positions).withWideCopy(few, few))
                .withMessageContaining("for pools of bytes");
        KeyValuePool pool = KeyValuePool.ofQuantized(CacheType.INT8, bytes, bytes, scales, positions)
                .withKernel(DecodeKernel.WARP_SPLIT_KEY);
        Tensor q = Tensor.allocate(DType.F32, 2, HEADS, 1, 16);
        Tensor logSumExp = Tensor.allocate(DType.F32, 2, HEADS, 1);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.appendTo(
                            new TaskGraph("layer"),
                            new GridScheduler(),
                            "attention",
                            q,
                            pool.withWideCopy(few, few.copy()),
                            q.copy(),
                            logSumExp,
                            CAUSAL))
                    .withMessageContaining("[2, 2, 8, 16], [batch, kvHeads, capacity, headDim]");
            assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                    .isThrownBy(() -> attention.appendTo(
                            new TaskGraph("layer"),
                            new GridScheduler(),
                            "attention",
                            q,
                            pool,
                            q.copy(),
                            logSumExp,
                            CAUSAL))
                    .withMessageContaining("an F16 or BF16 cache");
        }
    }
}
