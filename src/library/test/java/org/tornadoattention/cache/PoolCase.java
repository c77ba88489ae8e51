package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.choice.SplitTile;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.Tolerance;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** A pool in arrays like an engine's, a graph with attention over it, and the oracle over what its tables say. */
final class PoolCase implements AutoCloseable {

    private static final int MOST_PREFIX_PAGES = 3;

    final int batch;
    final int heads;
    final int kvHeads;
    final int seqQ;
    final int headDim;
    final int pageSize;
    final int pagesPerSequence;
    final Tensor q;
    final Tensor keys;
    final Tensor values;
    final Tensor output;
    final Tensor logSumExp;
    final IntArray positions;
    final IntArray rows;
    final IntArray table;
    private final IntArray prefixTable;
    private final AttentionOptions options;
    private final FlashAttention attention;
    private final TornadoExecutionPlan plan;

    /** How the kernel divides its work. */
    final SplitTile tile;

    /**
     * @param pages of a sequence, 0 for no block table
     * @param fixedSplit keys of a part, 0 for none
     */
    PoolCase(Tensor q, Tensor keys, Tensor values, Tensor output, int pages, int fixedSplit, AttentionOptions options) {
        this(q, keys, values, output, pages, fixedSplit, options, Optional.empty(), Optional.empty());
    }

    /** @param prefixLength one number, of a prefix with pages of its own */
    private PoolCase(
            Tensor q,
            Tensor keys,
            Tensor values,
            Tensor output,
            int pages,
            int fixedSplit,
            AttentionOptions options,
            Optional<IntArray> prefixLength,
            Optional<UnaryOperator<KeyValuePool>> change) {
        this.q = q;
        this.keys = keys;
        this.values = values;
        this.output = output;
        this.options = options;
        batch = q.batch();
        heads = q.heads();
        kvHeads = keys.heads();
        seqQ = q.seqLength();
        headDim = q.headDim();
        pageSize = keys.seqLength();
        pagesPerSequence = Math.max(1, pages);
        logSumExp = Tensor.allocate(DType.F32, batch, heads, seqQ);
        positions = new IntArray(batch);
        rows = new IntArray(batch);
        rows.init(seqQ);
        table = new IntArray(batch * pagesPerSequence);
        for (int sequence = 0; sequence < batch; sequence++) {
            table.set(sequence * pagesPerSequence, sequence);
        }
        KeyValuePool pool = KeyValuePool.of(keys, values, positions).withValidRows(rows);
        pool = pages > 0 ? pool.withBlockTable(table, pages) : pool;
        pool = fixedSplit > 0 ? pool.withFixedSplits(fixedSplit) : pool;
        pool = change.isPresent() ? change.get().apply(pool) : pool;
        prefixTable = new IntArray(MOST_PREFIX_PAGES);
        if (prefixLength.isPresent()) {
            pool = pool.withSharedPrefix(prefixTable, MOST_PREFIX_PAGES, prefixLength.get());
        }
        attention = FlashAttention.on(TestDevice.get());
        TaskGraph graph = new TaskGraph("layer");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, output.array(), logSumExp.array());
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, distinct(q, keys, values));
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, positions, rows, table);
        prefixLength.ifPresent(length -> graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, prefixTable, length));
        tile = attention.appendTo(graph, grids, "attention", q, pool, output, logSumExp, options);
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, output.array(), logSumExp.array());
        plan = new TornadoExecutionPlan(graph.snapshot());
        plan.withDevice(attention.device().handle()).withGridScheduler(grids);
    }

    /**
     * Pages {@code [page, pageSize, kvHeads * headDim]} and rows {@code [token, heads * headDim]}, as engines have
     * them.
     */
    static PoolCase paged(
            DType query,
            DType cache,
            DType out,
            int batch,
            int seqQ,
            int pageSize,
            int pagesPerSequence,
            int fixedSplit,
            AttentionOptions options,
            IntArray... prefixLength) {
        return paged(
                query,
                cache,
                out,
                batch,
                seqQ,
                16,
                pageSize,
                pagesPerSequence,
                fixedSplit,
                options,
                Stream.of(prefixLength).findFirst(),
                Optional.empty());
    }

    /** The same, of chunks by the kernel of warp groups. */
    static PoolCase chunked(
            DType query,
            DType cache,
            DType out,
            int batch,
            int seqQ,
            int headDim,
            int pageSize,
            int pagesPerSequence,
            int splits,
            AttentionOptions options) {
        return paged(
                query,
                cache,
                out,
                batch,
                seqQ,
                headDim,
                pageSize,
                pagesPerSequence,
                0,
                options,
                Optional.empty(),
                Optional.of(pool -> pool.withKernel(DecodeKernel.WARP_GROUP).withSplits(splits)));
    }

    /** The same, of few queries on tensor cores. */
    static PoolCase decoded(
            DType query,
            DType cache,
            DType out,
            int batch,
            int seqQ,
            int headDim,
            int pageSize,
            int pagesPerSequence,
            int fixedSplit,
            AttentionOptions options,
            UnaryOperator<KeyValuePool> change,
            IntArray... prefixLength) {
        return paged(
                query,
                cache,
                out,
                batch,
                seqQ,
                headDim,
                pageSize,
                pagesPerSequence,
                fixedSplit,
                options,
                Stream.of(prefixLength).findFirst(),
                Optional.of(pool -> change.apply(pool.withKernel(DecodeKernel.WARP_SPLIT_KEY))));
    }

    private static PoolCase paged(
            DType query,
            DType cache,
            DType out,
            int batch,
            int seqQ,
            int headDim,
            int pageSize,
            int pagesPerSequence,
            int fixedSplit,
            AttentionOptions options,
            Optional<IntArray> prefixLength,
            Optional<UnaryOperator<KeyValuePool>> change) {
        int heads = 4;
        int kvHeads = 2;
        int pages = batch * pagesPerSequence + 3;
        int kvDim = kvHeads * headDim;
        int[] pageShape = {pages, kvHeads, pageSize, headDim};
        int[] pageStrides = {pageSize * kvDim, headDim, kvDim, 1};
        int[] rowShape = {batch, heads, seqQ, headDim};
        int[] rowStrides = {seqQ * heads * headDim, headDim, heads * headDim, 1};
        int all = pages * pageSize * kvDim;
        Tensor q = view(garbage(query, batch * seqQ * heads * headDim), 0, rowShape, rowStrides);
        return new PoolCase(
                q.copyFrom(Tensor.random(query, 1, rowShape)),
                view(garbage(cache, all), 0, pageShape, pageStrides),
                view(garbage(cache, all), 0, pageShape, pageStrides),
                view(garbage(out, batch * seqQ * heads * headDim), 0, rowShape, rowStrides),
                pagesPerSequence,
                fixedSplit,
                options,
                prefixLength,
                change);
    }

    /**
     * Writes some tokens of a sequence and attends from them.
     *
     * @param queries {@code [heads, tokens, headDim]} of the whole sequence
     * @param outputs like queries, gets theirs
     */
    void attend(Tensor queries, int sequence, int from, int to, float[] outputs) {
        int valid = to - from;
        positions.set(sequence, from);
        rows.set(sequence, valid);
        write(sequence, 7, from, to);
        for (int at = 0; at < heads * valid * headDim; at++) {
            int head = at / headDim / valid;
            int i = at / headDim % valid;
            q.set(queries.get(head, from + i, at % headDim), sequence, head, i, at % headDim);
        }
        execute();
        for (int at = 0; at < heads * valid * headDim; at++) {
            int head = at / headDim / valid;
            int i = at / headDim % valid;
            outputs[(head * queries.dimension(1) + from + i) * headDim + at % headDim] =
                    output.get(sequence, head, i, at % headDim);
        }
    }

    /** The arrays of tensors, each once. */
    static Object[] distinct(Tensor... tensors) {
        Set<TornadoNativeArray> arrays = Collections.newSetFromMap(new IdentityHashMap<>());
        Stream.of(tensors).map(Tensor::array).forEach(arrays::add);
        return arrays.toArray();
    }

    static Tensor garbage(DType dtype, int elements) {
        Tensor array = Tensor.allocate(dtype, elements);
        array.fill(Float.NaN);
        return array;
    }

    static Tensor view(Tensor array, int offset, int[] shape, int[] strides) {
        return switch (array.dtype()) {
            case F32 -> Tensor.view(array.floatArray(), offset, shape, strides);
            case F16 -> Tensor.view(array.halfFloatArray(), offset, shape, strides);
            case BF16 -> Tensor.view(array.bfloat16Bits(), offset, shape, strides);
        };
    }

    /** Gives each sequence pages of its own, in a random order; some sequences begin with the first one's pages. */
    void deal(long seed, int... shared) {
        List<Integer> pages =
                new ArrayList<>(IntStream.range(0, keys.batch()).boxed().toList());
        Collections.shuffle(pages, new Random(seed));
        for (int i = 0; i < batch * pagesPerSequence; i++) {
            table.set(i, pages.get(i));
        }
        for (int sequence = 1; sequence < shared.length; sequence++) {
            for (int page = 0; page < shared[sequence]; page++) {
                table.set(sequence * pagesPerSequence + page, table.get(page));
            }
        }
    }

    /** Gives a sequence another page, of those that nobody has, for one that it has not begun. */
    void exchange(int sequence, int place) {
        Set<Integer> dealt = Arrays.stream(table.toHeapArray()).boxed().collect(Collectors.toSet());
        int free = IntStream.range(0, keys.batch())
                .filter(page -> !dealt.contains(page))
                .findFirst()
                .orElseThrow();
        table.set(sequence * pagesPerSequence + place, free);
    }

    /** Writes the tokens of a prefix to the pages that no sequence was dealt. */
    void writePrefix(int content, int length) {
        Set<Integer> dealt = Arrays.stream(table.toHeapArray()).boxed().collect(Collectors.toSet());
        int[] free = IntStream.range(0, keys.batch())
                .filter(page -> !dealt.contains(page))
                .toArray();
        for (int page = 0; page < MOST_PREFIX_PAGES; page++) {
            prefixTable.set(page, free[page]);
        }
        for (int token = 0; token < length; token++) {
            put(prefixTable.get(token / pageSize), token % pageSize, content, token);
        }
    }

    /** Writes tokens {@code from} to {@code to}, the first of them at the beginning of the sequence's first page. */
    void writeBehind(int sequence, int content, int from, int to) {
        for (int token = from; token < to; token++) {
            int page = table.get(sequence * pagesPerSequence + (token - from) / pageSize);
            put(page, (token - from) % pageSize, content, token);
        }
    }

    private void put(int page, int place, int content, int token) {
        Tensor k = Tensor.random(DType.F32, 1000L * content + token, kvHeads, headDim);
        Tensor v = Tensor.random(DType.F32, -1000L * content - token - 1, kvHeads, headDim);
        for (int at = 0; at < kvHeads * headDim; at++) {
            keys.set(k.getFlat(at), page, at / headDim, place, at % headDim);
            values.set(v.getFlat(at), page, at / headDim, place, at % headDim);
        }
    }

    /** Writes tokens {@code from} to {@code to} of a sequence, which depend on the token's content only. */
    void write(int sequence, int content, int from, int to) {
        for (int token = from; token < to; token++) {
            put(table.get(sequence * pagesPerSequence + token / pageSize), token % pageSize, content, token);
        }
    }

    /** Writes what another pool has at a token of its first sequence. */
    void copyToken(PoolCase other, int from, int to) {
        int source = other.table.get(from / pageSize);
        int target = table.get(to / pageSize);
        for (int at = 0; at < kvHeads * headDim; at++) {
            int head = at / headDim;
            int x = at % headDim;
            keys.set(other.keys.get(source, head, from % pageSize, x), target, head, to % pageSize, x);
            values.set(other.values.get(source, head, from % pageSize, x), target, head, to % pageSize, x);
        }
    }

    /** Bytes that the plan has on the device. */
    long deviceBytes() {
        return plan.getCurrentDeviceMemoryUsage();
    }

    /** Has each execution be one CUDA graph, captured at the first. */
    PoolCase captured() {
        plan.withCUDAGraph();
        return this;
    }

    /** Has the plan tell what an execution compiles. */
    PoolCase profiled() {
        plan.withProfiler(ProfilerMode.SILENT);
        return this;
    }

    /**
     * Puts so many tokens behind each sequence's keys, the same ones in the first page, which is shared, and asks with
     * as many queries.
     */
    void chunk(int seed, int[] lengths, int[] valid) {
        for (int b = 0; b < batch; b++) {
            positions.set(b, lengths[b]);
            rows.set(b, valid[b]);
            write(b, 1, lengths[b], lengths[b] + valid[b]);
            lengths[b] += valid[b];
        }
        q.copyFrom(Tensor.random(q.dtype(), seed, q.shape()));
        execute();
        assertAccurate();
    }

    TornadoExecutionResult execute() {
        return plan.execute();
    }

    /** Holds each sequence's valid rows against the oracle over the keys that its table names. */
    void assertAccurate() {
        assertAccurate((_, _) -> options);
    }

    /** Likewise with options of the oracle's, by a sequence and where its first query stands. */
    void assertAccurate(BiFunction<Integer, Integer, AttentionOptions> ofOracle) {
        for (int b = 0; b < batch; b++) {
            int valid = Math.min(rows.get(b), seqQ);
            if (valid == 0) {
                continue;
            }
            int length = positions.get(b) + valid;
            Tensor ofSequence =
                    CacheCase.tokens(CacheCase.sequence(asMultiplied(q).contiguous(), b), 0, valid);
            assertThat(AccuracyCheck.of(
                                    ofSequence,
                                    asMultiplied(gathered(keys, b, length)),
                                    asMultiplied(gathered(values, b, length)),
                                    ofOracle.apply(b, positions.get(b)))
                            .forward(
                                    CacheCase.tokens(CacheCase.sequence(output.contiguous(), b), 0, valid),
                                    logSumExps(b, valid),
                                    rounded()))
                    .as("sequence %d of %d, %d queries on %d keys", b, batch, valid, length)
                    .allMatch(Comparison::passed);
        }
    }

    /** Tokens as the kernel multiplies them, so that the naive error is that of products of their type. */
    private Tensor asMultiplied(Tensor tokens) {
        return tokens.as(tile.kernel() == DecodeKernel.SPLIT_KEY ? DType.F32 : keys.dtype());
    }

    private Tensor gathered(Tensor pool, int sequence, int length) {
        Tensor gathered = Tensor.allocate(DType.F32, 1, kvHeads, length, headDim);
        for (int head = 0; head < kvHeads; head++) {
            for (int token = 0; token < length; token++) {
                int page = table.get(sequence * pagesPerSequence + token / pageSize);
                for (int x = 0; x < headDim; x++) {
                    gathered.set(pool.get(page, head, token % pageSize, x), 0, head, token, x);
                }
            }
        }
        return gathered;
    }

    private Tensor logSumExps(int sequence, int valid) {
        Tensor some = Tensor.allocate(DType.F32, 1, heads, valid);
        for (int head = 0; head < heads; head++) {
            for (int i = 0; i < valid; i++) {
                some.set(logSumExp.get(sequence, head, i), 0, head, i);
            }
        }
        return some;
    }

    /** What is computed in F32 from inputs that are exact, and rounded once. */
    private Tolerance rounded() {
        if (tile.kernel() != DecodeKernel.SPLIT_KEY) {
            boolean coarser = output.dtype() == DType.BF16 && keys.dtype() != DType.BF16;
            return coarser ? new Tolerance(2, 2e-4 + 0x1p-8) : Tolerance.forward(keys.dtype());
        }
        return CacheCase.rounded(output.dtype());
    }

    @Override
    public void close() {
        attention.close();
        try {
            plan.close();
        } catch (TornadoExecutionPlanException e) {
            throw new AssertionError(e);
        }
    }
}
