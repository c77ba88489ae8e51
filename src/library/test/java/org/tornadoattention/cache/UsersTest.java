package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.ImmutableTaskGraph;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Arrays as engines and model libraries in Java have them, element for element, with garbage where they have garbage.
 */
class UsersTest {

    private static final AttentionOptions CAUSAL = AttentionOptions.causal();
    private static final int HEADS = 4;
    private static final int KV_HEADS = 2;
    private static final int DIM = 16;
    private static final int Q_DIM = HEADS * DIM;
    private static final int KV_DIM = KV_HEADS * DIM;
    private static final int CONTEXT = 40;
    private static final int LAYERS = 3;

    private static Tensor filled(Tensor view, long seed) {
        return view.copyFrom(Tensor.random(view.dtype(), seed, view.shape()));
    }

    /** Rows of tokens, {@code [batch][tokens][width]}, whose heads begin at {@code first}. */
    private static Tensor rows(Tensor array, int first, int batch, int heads, int tokens, int width) {
        return PoolCase.view(
                array, first, new int[] {batch, heads, tokens, DIM}, new int[] {tokens * width, DIM, width, 1});
    }

    /** A layer of {@code [layer][contextLength][kvHeads * headSize]}: the key or the value cache of GPULlama3.java. */
    private static Tensor layer(Tensor cache, int layer) {
        return PoolCase.view(
                cache, layer * CONTEXT * KV_DIM, new int[] {1, KV_HEADS, CONTEXT, DIM}, new int[] {1, DIM, KV_DIM, 1});
    }

    /**
     * GPULlama3.java's decode: {@code wrapQ}, {@code wrapXb}, {@code wrapKeyCache}, {@code positionHolder}, of each
     * layer.
     */
    @ParameterizedTest
    @ValueSource(ints = {0, 2})
    void decodeOverOneArrayForAllLayers(int layer) {
        Tensor keyCache = PoolCase.garbage(DType.F32, LAYERS * CONTEXT * KV_DIM);
        Tensor valueCache = PoolCase.garbage(DType.F32, LAYERS * CONTEXT * KV_DIM);
        Tensor q = filled(rows(PoolCase.garbage(DType.F32, Q_DIM), 0, 1, HEADS, 1, Q_DIM), 1);
        Tensor xb = rows(PoolCase.garbage(DType.F32, Q_DIM), 0, 1, HEADS, 1, Q_DIM);
        AttentionOptions granite = CAUSAL.withScale(0.4);
        try (PoolCase decode = new PoolCase(q, layer(keyCache, layer), layer(valueCache, layer), xb, 0, 0, granite)) {
            for (int position = 0; position < 4; position++) {
                decode.positions.set(0, position);
                decode.write(0, 1, position, position + 1);
                decode.execute();
                decode.assertAccurate();
            }
        }
    }

    /**
     * Its batched prefill: {@code qkvResultBatch} with a token's q, k and v packed in a row, padded to more rows,
     * {@code batchStartPosHolder}, F32 caches, and {@code attnOutFP16}.
     */
    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F32", "F16"})
    void prefillOfPackedRows(DType output) {
        assumeTrue(TestDevice.get().halfFloats() || output != DType.F16);
        int padded = 16;
        int width = Q_DIM + 2 * KV_DIM;
        Tensor qkv = PoolCase.garbage(DType.F32, padded * width);
        Tensor keyCache = PoolCase.garbage(DType.F32, LAYERS * CONTEXT * KV_DIM);
        Tensor valueCache = PoolCase.garbage(DType.F32, LAYERS * CONTEXT * KV_DIM);
        Tensor out = PoolCase.garbage(output, padded * Q_DIM);
        Tensor q = rows(qkv, 0, 1, HEADS, padded, width);
        try (PoolCase prefill = new PoolCase(
                q, layer(keyCache, 1), layer(valueCache, 1), rows(out, 0, 1, HEADS, padded, Q_DIM), 0, 0, CAUSAL)) {
            int[] chunks = {16, 11, 16};
            int[] starts = {0, 16, 20};
            for (int chunk = 0; chunk < chunks.length; chunk++) {
                // As many rows as the chunk has tokens; the others keep what they had.
                filled(rows(qkv, 0, 1, HEADS, chunks[chunk], width), chunk);
                int tokens = Math.min(chunks[chunk], CONTEXT - starts[chunk]);
                prefill.positions.set(0, starts[chunk]);
                prefill.rows.set(0, tokens);
                prefill.write(0, 1, starts[chunk], starts[chunk] + tokens);
                prefill.execute();
                prefill.assertAccurate();
            }
        }
    }

    /** Its batched decode: {@code [slot][layer][ctx][kvDim]} and a position for each slot; some slots are idle. */
    @Test
    void slotsWithLayersInside() {
        int slots = 3;
        int[] shape = {slots, KV_HEADS, CONTEXT, DIM};
        int[] strides = {LAYERS * CONTEXT * KV_DIM, DIM, KV_DIM, 1};
        Tensor keys = PoolCase.garbage(DType.F32, slots * LAYERS * CONTEXT * KV_DIM);
        Tensor values = PoolCase.garbage(DType.F32, slots * LAYERS * CONTEXT * KV_DIM);
        int layer = 1;
        try (PoolCase decode = new PoolCase(
                filled(rows(PoolCase.garbage(DType.F32, slots * Q_DIM), 0, slots, HEADS, 1, Q_DIM), 1),
                PoolCase.view(keys, layer * CONTEXT * KV_DIM, shape, strides),
                PoolCase.view(values, layer * CONTEXT * KV_DIM, shape, strides),
                rows(PoolCase.garbage(DType.F32, slots * Q_DIM), 0, slots, HEADS, 1, Q_DIM),
                0,
                0,
                CAUSAL)) {
            int[] positions = {39, 0, 17};
            for (int slot = 0; slot < slots; slot++) {
                decode.positions.set(slot, positions[slot]);
                decode.write(slot, slot, 0, positions[slot] + 1);
            }
            decode.execute();
            decode.assertAccurate();
            decode.rows.set(1, 0);
            decode.execute();
            decode.assertAccurate();
        }
    }

    /** Gemma: heads of 256 with a window for each layer, and of 512, through the pool. */
    @ParameterizedTest
    @ValueSource(ints = {256, 512})
    void wideHeadsWithAWindow(int dim) {
        int[] cache = {1, 1, CONTEXT, dim};
        int[] row = {1, 2, 1, dim};
        try (PoolCase decode = new PoolCase(
                filled(PoolCase.view(PoolCase.garbage(DType.F32, 2 * dim), 0, row, new int[] {1, dim, 1, 1}), 1),
                PoolCase.view(PoolCase.garbage(DType.F32, CONTEXT * dim), 0, cache, new int[] {1, 1, dim, 1}),
                PoolCase.view(PoolCase.garbage(DType.F32, CONTEXT * dim), 0, cache, new int[] {1, 1, dim, 1}),
                PoolCase.view(PoolCase.garbage(DType.F32, 2 * dim), 0, row, new int[] {1, dim, 1, 1}),
                0,
                0,
                CAUSAL.withWindow(10, 0))) {
            decode.positions.set(0, 30);
            decode.write(0, 1, 0, 31);
            decode.execute();
            decode.assertAccurate();
        }
    }

    /** Jlama: KV pages {@code [layersPerPage, 2, contextPerPage, kvLength]} of BF16, keys and values in one array. */
    @Test
    void pagesOfLayersWithKeysAndValues() {
        int pages = 4;
        int perPage = 8;
        int page = LAYERS * 2 * perPage * KV_DIM;
        int[] shape = {pages, KV_HEADS, perPage, DIM};
        int[] strides = {page, DIM, KV_DIM, 1};
        Tensor array = PoolCase.garbage(DType.BF16, pages * page);
        int layer = 2;
        int first = layer * 2 * perPage * KV_DIM;
        try (PoolCase pool = new PoolCase(
                filled(rows(PoolCase.garbage(DType.F32, 5 * Q_DIM), 0, 1, HEADS, 5, Q_DIM), 1),
                PoolCase.view(array, first, shape, strides),
                PoolCase.view(array, first + perPage * KV_DIM, shape, strides),
                rows(PoolCase.garbage(DType.F32, 5 * Q_DIM), 0, 1, HEADS, 5, Q_DIM),
                3,
                0,
                CAUSAL)) {
            pool.deal(4);
            pool.positions.set(0, 14);
            pool.write(0, 1, 0, 19);
            pool.execute();
            pool.assertAccurate();
        }
    }

    /** Writes the keys and values of packed rows to their places of a layer, as {@code batch_rope_kv} does. */
    private static void storeRows(
            FloatArray qkv,
            FloatArray keyCache,
            FloatArray valueCache,
            IntArray start,
            IntArray rows,
            int layer,
            int padded) {
        for (@Parallel int row = 0; row < padded; row++) {
            if (row < rows.get(0)) {
                for (int x = 0; x < KV_DIM; x++) {
                    int from = row * (Q_DIM + 2 * KV_DIM) + Q_DIM + x;
                    int to = (layer * CONTEXT + start.get(0) + row) * KV_DIM + x;
                    keyCache.set(to, qkv.get(from) * (layer + 1));
                    valueCache.set(to, qkv.get(from + KV_DIM) - layer);
                }
            }
        }
    }

    /**
     * Its prefill as it is cut: one graph for each layer, whose task {@code batch_attention} comes after the one that
     * writes keys and values; the caches persist, and each layer consumes them from the graph before, by name.
     */
    @Test
    void oneGraphForEachLayer() throws TornadoExecutionPlanException {
        int padded = 8;
        int width = Q_DIM + 2 * KV_DIM;
        int layers = 2;
        Tensor qkv = PoolCase.garbage(DType.F32, padded * width);
        Tensor keyCache = PoolCase.garbage(DType.F32, LAYERS * CONTEXT * KV_DIM);
        Tensor valueCache = PoolCase.garbage(DType.F32, LAYERS * CONTEXT * KV_DIM);
        IntArray start = new IntArray(1);
        IntArray rows = new IntArray(1);
        Object[] caches = {keyCache.array(), valueCache.array()};
        List<Tensor> outputs = new ArrayList<>();
        List<Tensor> logSumExps = new ArrayList<>();
        List<ImmutableTaskGraph> graphs = new ArrayList<>();
        GridScheduler grids = new GridScheduler();
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            for (int layer = 0; layer < layers; layer++) {
                Tensor output = rows(PoolCase.garbage(DType.F32, padded * Q_DIM), 0, 1, HEADS, padded, Q_DIM);
                Tensor logSumExp = Tensor.allocate(DType.F32, 1, HEADS, padded);
                KeyValuePool pool = KeyValuePool.of(layer(keyCache, layer), layer(valueCache, layer), start)
                        .withValidRows(rows);
                TaskGraph graph = new TaskGraph("batchPrefillLayer_" + layer);
                if (layer == 0) {
                    graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, caches);
                } else {
                    graph.consumeFromDevice("batchPrefillLayer_" + (layer - 1), caches);
                }
                graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, qkv.array(), start, rows)
                        .transferToDevice(DataTransferMode.FIRST_EXECUTION, output.array(), logSumExp.array())
                        .task(
                                "batch_rope_kv",
                                UsersTest::storeRows,
                                qkv.floatArray(),
                                keyCache.floatArray(),
                                valueCache.floatArray(),
                                start,
                                rows,
                                layer,
                                padded);
                Tensor q = rows(qkv, 0, 1, HEADS, padded, width);
                attention.appendTo(graph, grids, "batch_attention", q, pool, output, logSumExp, CAUSAL);
                graphs.add(graph.transferToHost(DataTransferMode.EVERY_EXECUTION, output.array(), logSumExp.array())
                        .persistOnDevice(caches)
                        .snapshot());
                outputs.add(output);
                logSumExps.add(logSumExp);
            }
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graphs.toArray(ImmutableTaskGraph[]::new))) {
                plan.withDevice(attention.device().handle()).withGridScheduler(grids);
                Tensor written = Tensor.allocate(DType.F32, 1, 2 * KV_HEADS, CONTEXT, DIM);
                int position = 0;
                for (int tokens : new int[] {8, 5, 8}) {
                    Tensor chunk = filled(rows(qkv, 0, 1, HEADS + 2 * KV_HEADS, tokens, width), position);
                    written.copyBlock(
                            new int[] {0, 0, position, 0},
                            chunk.contiguous()
                                    .block(new int[] {0, HEADS, 0, 0}, new int[] {1, HEADS + 2 * KV_HEADS, tokens, DIM
                                    }));
                    start.set(0, position);
                    rows.set(0, tokens);
                    position += tokens;
                    for (int layer = 0; layer < layers; layer++) {
                        plan.withGraph(layer).execute();
                        Tensor q = chunk.contiguous().block(new int[4], new int[] {1, HEADS, tokens, DIM});
                        assertThat(AccuracyCheck.of(
                                                q,
                                                changed(written, 0, position, layer + 1, 0),
                                                changed(written, KV_HEADS, position, 1, -layer),
                                                CAUSAL)
                                        .forward(
                                                outputs.get(layer)
                                                        .contiguous()
                                                        .block(new int[4], new int[] {1, HEADS, tokens, DIM}),
                                                logSumExps.get(layer).block(new int[3], new int[] {1, HEADS, tokens})))
                                .as("layer %d, %d tokens from %d on", layer, tokens, position - tokens)
                                .allMatch(Comparison::passed);
                    }
                }
            }
        }
    }

    /** What a layer has of the tokens so far, of the heads from one on. */
    private static Tensor changed(Tensor written, int head, int tokens, float factor, float term) {
        Tensor part = written.block(new int[] {0, head, 0, 0}, new int[] {1, head + KV_HEADS, tokens, DIM});
        for (int i = 0; i < part.numberOfElements(); i++) {
            part.setFlat(i, part.getFlat(i) * factor + term);
        }
        return part;
    }

    /** Embedding models with many short texts a call: tokens of all texts packed, {@code [tokens][h * d]}. */
    @Test
    void manyShortTextsPacked() {
        assertPackedIsAccurate(TestDevice.get(), 20);
    }

    @Test
    @Tag("second-tier")
    void aThousandShortTextsPackedOnTheJvm() {
        assertPackedIsAccurate(Devices.jvm(Runnable::run, 1), 1000);
    }

    private static void assertPackedIsAccurate(ComputeDevice device, int texts) {
        Random random = new Random(texts);
        int[] offsets = new int[texts + 1];
        for (int text = 0; text < texts; text++) {
            offsets[text + 1] = offsets[text] + 1 + random.nextInt(9);
        }
        IntArray sequences = IntArray.fromArray(offsets);
        Tensor q = Tensor.random(DType.F32, 1, offsets[texts], 12, 32);
        Tensor k = Tensor.random(DType.F32, 2, offsets[texts], 12, 32);
        Tensor v = Tensor.random(DType.F32, 3, offsets[texts], 12, 32);
        try (RaggedAttention ragged = new RaggedAttention(device)) {
            AttentionOptions options = AttentionOptions.defaults();
            RaggedAttentionTest.assertAccurate(
                    q, k, v, sequences, sequences, options, ragged.forward(q, k, v, sequences, sequences, options));
        }
    }

    /** Embedding models, as of LangChain4j and DJL: {@code [b, n, h * d]}, 32 elements a head, no mask but lengths. */
    @Test
    void encodersWithLengths() throws TornadoExecutionPlanException {
        int batch = 3;
        int tokens = 21;
        int heads = 12;
        int dim = 32;
        int[] shape = {batch, heads, tokens, dim};
        int[] strides = {tokens * heads * dim, dim, heads * dim, 1};
        int size = batch * tokens * heads * dim;
        Tensor q = filled(PoolCase.view(Tensor.allocate(DType.F32, size), 0, shape, strides), 1);
        Tensor k = filled(PoolCase.view(Tensor.allocate(DType.F32, size), 0, shape, strides), 2);
        Tensor v = filled(PoolCase.view(Tensor.allocate(DType.F32, size), 0, shape, strides), 3);
        Tensor o = PoolCase.view(PoolCase.garbage(DType.F32, size), 0, shape, strides);
        Tensor lse = Tensor.allocate(DType.F32, batch, heads, tokens);
        AttentionOptions lengths = AttentionOptions.defaults().withKeyLengths(21, 4, 13);
        TaskGraph graph = new TaskGraph("encoder");
        GridScheduler grids = new GridScheduler();
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            graph.transferToDevice(
                    DataTransferMode.FIRST_EXECUTION, q.array(), k.array(), v.array(), o.array(), lse.array());
            attention.appendTo(graph, grids, "attention", q, k, v, o, lse, lengths);
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, o.array(), lse.array());
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                plan.withDevice(attention.device().handle())
                        .withGridScheduler(grids)
                        .execute();
            }
        }
        assertThat(AccuracyCheck.of(q.contiguous(), k.contiguous(), v.contiguous(), lengths)
                        .forward(o, lse))
                .allMatch(Comparison::passed);
    }
}
