package org.tornadoattention.cache;

import static org.tornadoattention.internal.Arguments.required;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Mask;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.choice.SplitTile;
import org.tornadoattention.decode.PoolInputs;
import org.tornadoattention.decode.PoolTasks;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.function.UserFunctions;
import org.tornadoattention.internal.Arguments;
import org.tornadoattention.tensor.ByteTensor;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Strided;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Keys and values in arrays of the caller's, for attention as tasks of the caller's graph
 * ({@code FlashAttention.appendTo}): contiguous or in pages, which other tasks of the caller's fill.
 *
 * <pre>{@code
 * // One array for all layers, [layer, context, kvDim]; a layer begins at element layer * context * kvDim.
 * int[] shape = {1, kvHeads, context, headDim};
 * int[] strides = {context * kvDim, headDim, kvDim, 1};
 * Tensor keys = Tensor.view(keyCache, layer * context * kvDim, shape, strides);
 * KeyValuePool pool = KeyValuePool.of(keys, values, positionHolder);
 *
 * // Pages [page, pageSize, kvDim], and blockTable[slot][position / pageSize].
 * int[] shape = {pages, kvHeads, pageSize, headDim};
 * int[] strides = {pageSize * kvDim, headDim, kvDim, 1};
 * KeyValuePool pool = KeyValuePool.of(Tensor.view(keyPool, 0, shape, strides), Tensor.view(valuePool, 0, shape, strides), positions)
 *         .withBlockTable(blockTable, pagesPerSequence)
 *         .withValidRows(rows);
 * }</pre>
 *
 * <p>What changes from one execution to the next stands in the IntArrays, which the device reads: one compiled graph
 * serves every chunk of a prompt and every step after it. The caller's graph brings these arrays, keys and values to
 * the device, and transfers what the host changes at each execution.
 *
 * <p>Query i of sequence b stands at key position {@code positions[b] + i}; a causal mask and windows count from there,
 * and no query sees a key from {@code lengths[b]} on, or, without lengths, from {@code positions[b] + validRows[b]} on.
 * The keys and values of the queries' own tokens must be in the pool when the task runs. Rows from {@code validRows[b]}
 * on are neither read nor written.
 *
 * <p>Immutable; the arrays may change.
 */
public final class KeyValuePool {

    private final PoolInputs inputs;

    private KeyValuePool(PoolInputs inputs) {
        this.inputs = inputs;
    }

    /**
     * Keys and values of which each sequence has the page of its own number: contiguous caches, one sequence behind the
     * other.
     *
     * @param keys pages {@code [pages, kvHeads, pageSize, headDim]}, any view with a last stride of 1; headDim is even,
     *     at most {@link AttentionShape#MAX_HEAD_DIM}
     * @param values of the keys' shape and type, in another array or in the same
     * @param positions for each sequence, the key position of its first query; it may be longer than there are
     *     sequences
     * @return a pool without a block table
     * @throws IllegalArgumentException if something is null, or shapes or types do not fit
     */
    public static KeyValuePool of(Tensor keys, Tensor values, IntArray positions) {
        required(keys, "keys", "give pages [pages, kvHeads, pageSize, headDim], or a view of an array as such");
        required(values, "values", "give pages like the keys");
        required(positions, "positions", "give an array with the position of each sequence's first query");
        requireAlike(keys, values, keys.dtype() == values.dtype());
        return of(keys, values, Optional.empty(), positions);
    }

    /**
     * Quantised keys and values: bytes with a scale for each head of each page, which the caller's tasks write. A key's
     * element is its byte, read as the type says, times {@code scales[page, kvHead, 0]}, a value's its byte times
     * {@code scales[page, kvHead, 1]}; pages of one token have scales for each token. Queries and output have types of
     * their own. {@link DecodeKernel#SPLIT_KEY} computes them all.
     *
     * @param type {@link CacheType#E4M3} or {@link CacheType#INT8}, of which −128 is NaN
     * @param keys pages {@code [pages, kvHeads, pageSize, headDim]}, any view with a last stride of 1; headDim is even,
     *     at most {@link AttentionShape#MAX_HEAD_DIM}
     * @param values of the keys' shape, in another array or in the same
     * @param scales {@code [pages, kvHeads, 2]}, which the caller's graph brings to the device
     * @param positions for each sequence, the key position of its first query; it may be longer than there are
     *     sequences
     * @return a pool without a block table
     * @throws IllegalArgumentException if something is null, or types, shapes or sizes do not fit
     */
    public static KeyValuePool ofQuantized(
            CacheType type, ByteTensor keys, ByteTensor values, FloatArray scales, IntArray positions) {
        required(type, "type", "choose E4M3 or INT8");
        required(keys, "keys", "give pages [pages, kvHeads, pageSize, headDim]");
        required(values, "values", "give pages like the keys");
        required(scales, "scales", "give an array [pages, kvHeads, 2]");
        required(positions, "positions", "give an array with the position of each sequence's first query");
        if (!type.isQuantized()) {
            throw new IllegalArgumentException(
                    "The type is %s: bytes are E4M3 or INT8; use of(keys, values, positions) otherwise."
                            .formatted(type));
        }
        requireAlike(keys, values, true);
        int pageScales = 2 * keys.dimension(1);
        if (scales.getSize() / pageScales < keys.dimension(0)) {
            throw new IllegalArgumentException(
                    "There are %,d scales for keys %s: there must be two for each head of each page, %,d."
                            .formatted(scales.getSize(), keys, (long) keys.dimension(0) * pageScales));
        }
        return of(keys, values, Optional.of(new PoolInputs.Bytes(type, scales, Optional.empty())), positions);
    }

    private static void requireAlike(Strided keys, Strided values, boolean oneType) {
        int[] shape = keys.shape();
        if (shape.length != 4
                || IntStream.of(shape).anyMatch(length -> length == 0)
                || !oneType
                || !Arrays.equals(shape, values.shape())) {
            throw new IllegalArgumentException(
                    "keys are %s and values %s: they must be alike, [pages, kvHeads, pageSize, headDim], and not empty."
                            .formatted(keys, values));
        }
        if (shape[3] % 2 != 0 || shape[3] > AttentionShape.MAX_HEAD_DIM) {
            throw new IllegalArgumentException("keys are %s: the head dimension must be even, from 2 to %d."
                    .formatted(keys, AttentionShape.MAX_HEAD_DIM));
        }
    }

    private static KeyValuePool of(Strided keys, Strided values, Optional<PoolInputs.Bytes> bytes, IntArray positions) {
        return new KeyValuePool(new PoolInputs(
                keys,
                values,
                bytes,
                positions,
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                1,
                Optional.empty(),
                0,
                PoolInputs.Wanted.NOTHING));
    }

    /**
     * This pool with a page table: key j of sequence b is token {@code j % pageSize} of page {@code table[b *
     * pagesPerSequence + j / pageSize]}. Pages may be in any order and shared. What stands past a sequence's last key
     * is not read.
     *
     * @param table {@code [sequences, pagesPerSequence]}, numbers of pages
     * @param pagesPerSequence pages of a sequence at most, 1 or more
     * @return a pool like this one
     * @throws IllegalArgumentException if something does not fit
     */
    public KeyValuePool withBlockTable(IntArray table, int pagesPerSequence) {
        required(table, "table", "leave it out where each sequence has one page");
        int pageSize = inputs.pageSize();
        if (pagesPerSequence < 1 || (long) pagesPerSequence * pageSize > AttentionShape.MAX_POSITIONS / 2) {
            throw new IllegalArgumentException(
                    "A sequence of %,d pages of %,d tokens: pages must be 1 or more, and tokens at most %,d."
                            .formatted(pagesPerSequence, pageSize, AttentionShape.MAX_POSITIONS / 2));
        }
        return new KeyValuePool(inputs.withPages(Optional.of(table), pagesPerSequence, inputs.prefix()));
    }

    /**
     * This pool with a prefix that all sequences share and that is computed once for all of them: its keys are the
     * first of each sequence, and the block table has the pages of those behind it. Its pages are whole but for the
     * last one, which other sequences' tokens may not share. Positions and lengths count the prefix too.
     *
     * @param table pages of the prefix, in order
     * @param pages of the prefix at most, 1 or more
     * @param length one number: keys of the prefix, 0 or more; no sequence has a query before its end
     * @return a pool like this one
     * @throws IllegalArgumentException if something does not fit
     */
    public KeyValuePool withSharedPrefix(IntArray table, int pages, IntArray length) {
        required(table, "table", "leave the prefix out where sequences share none");
        required(length, "length", "give an array of one number");
        if (pages < 1
                || table.getSize() < pages
                || length.getSize() < 1
                || (long) pages * inputs.pageSize() > AttentionShape.MAX_POSITIONS / 2) {
            throw new IllegalArgumentException(
                    "A prefix of %,d pages with a table of %,d and %,d lengths: there must be 1 page or more, each with a place in the table, and a length."
                            .formatted(pages, table.getSize(), length.getSize()));
        }
        PoolInputs.Prefix prefix = new PoolInputs.Prefix(table, pages, length);
        return new KeyValuePool(inputs.withPages(inputs.blockTable(), inputs.pagesPerSequence(), Optional.of(prefix)));
    }

    /**
     * This pool with a number of queries for each sequence: the last chunk of a prompt has fewer than others, and a
     * sequence that waits has none.
     *
     * @param rows for each sequence, the queries from the first on that count; what is past the tensor's is cut off
     * @return a pool like this one
     * @throws IllegalArgumentException if it is null
     */
    public KeyValuePool withValidRows(IntArray rows) {
        required(rows, "rows", "leave them out where all queries count");
        return new KeyValuePool(inputs.withRows(Optional.of(rows), inputs.lengths()));
    }

    /**
     * This pool with a number of keys for each sequence, where the last query does not stand on the last key.
     *
     * @param lengths for each sequence, its keys; what is past the capacity is cut off
     * @return a pool like this one
     * @throws IllegalArgumentException if it is null
     */
    public KeyValuePool withLengths(IntArray lengths) {
        required(lengths, "lengths", "leave them out where the last query stands on the last key");
        return new KeyValuePool(inputs.withRows(inputs.validRows(), Optional.of(lengths)));
    }

    /**
     * This pool in batch-invariant mode: the keys of each sequence are divided at multiples of a fixed number of them,
     * and tiles do not depend on how many sequences or queries there are. A sequence's results have the same bits
     * whoever else is in the batch and however its prompt was cut into chunks. It costs scratch memory of
     * {@code capacity / keys} outputs for each query. Chunks go through the kernel of single tokens then; where
     * {@link #withKernel} asks for {@link DecodeKernel#WARP_GROUP} at every step, single tokens go through that of
     * chunks.
     *
     * @param keys of a part, 1 or more, rounded up to whole tiles
     * @return a pool like this one
     * @throws IllegalArgumentException if it is below 1
     */
    public KeyValuePool withFixedSplits(int keys) {
        if (keys < 1) {
            throw new IllegalArgumentException("A fixed split has %d keys: there must be 1 or more.".formatted(keys));
        }
        return new KeyValuePool(inputs.withDivision(keys, inputs.wanted()));
    }

    /**
     * This pool with attention by this kernel, on devices that have what it needs. Without, chunks of 16 queries and
     * more of F16 or BF16 keys are computed by {@link DecodeKernel#WARP_GROUP} where the device has warp groups, fewer
     * queries over such keys by {@link DecodeKernel#WARP_SPLIT_KEY} where it has tensor cores, all else by
     * {@link DecodeKernel#SPLIT_KEY}. Of a pool with a shared prefix warp groups compute the prefix alone.
     *
     * @param kernel one of these three
     * @return a pool like this one
     * @throws IllegalArgumentException if it is another
     */
    public KeyValuePool withKernel(DecodeKernel kernel) {
        required(kernel, "kernel", "leave it out for the best one");
        if (kernel == DecodeKernel.VECTOR) {
            throw new IllegalArgumentException("The kernel %s takes no pools: choose %s, %s or %s."
                    .formatted(
                            kernel.id(),
                            DecodeKernel.SPLIT_KEY.id(),
                            DecodeKernel.WARP_SPLIT_KEY.id(),
                            DecodeKernel.WARP_GROUP.id()));
        }
        return new KeyValuePool(inputs.withDivision(
                inputs.fixedSplit(),
                new PoolInputs.Wanted(Optional.of(kernel), inputs.wanted().splits())));
    }

    /**
     * This pool with the keys of each sequence, however many it has, split into this many parts, which work-groups
     * attend to side by side.
     *
     * @param splits 1 or more, or 0 to choose for the device
     * @return a pool like this one
     * @throws IllegalArgumentException if it is negative
     */
    public KeyValuePool withSplits(int splits) {
        if (splits < 0) {
            throw new IllegalArgumentException(
                    "%d splits: it must be 1 or more, or 0 to choose for the device.".formatted(splits));
        }
        return new KeyValuePool(inputs.withDivision(
                inputs.fixedSplit(), new PoolInputs.Wanted(inputs.wanted().kernel(), splits)));
    }

    /**
     * This pool of bytes with a copy of its keys and values in another type, which each execution writes and attends
     * to: for chunks of many queries, whose kernel on tensor cores ({@link DecodeKernel#WARP_GROUP}) reads F16 or BF16.
     * Few queries are faster without. Pools whose attention runs one after the other, such as those of all layers, may
     * share the copy; the caller's graph brings it to the device once.
     *
     * @param keys {@code [batch, kvHeads, capacity, headDim]}, no view; rows past a sequence's keys are left as they
     *     are
     * @param values of the keys' shape and type, in another array
     * @return a pool like this one
     * @throws IllegalArgumentException if something is null, or this is no pool of bytes
     */
    public KeyValuePool withWideCopy(Tensor keys, Tensor values) {
        required(keys, "keys", "leave the copy out where kernels are to read bytes");
        required(values, "values", "give a tensor like the keys");
        if (inputs.bytes().isEmpty()) {
            throw new IllegalArgumentException(
                    "The keys are %s: a wide copy is for pools of bytes; leave it out.".formatted(inputs.keys()));
        }
        return new KeyValuePool(inputs.with(new PoolInputs.Wide(keys, values)));
    }

    /** {@return tokens that a sequence may have, those of a shared prefix not counted} */
    public int capacity() {
        return inputs.pageSize() * inputs.pagesPerSequence();
    }

    /**
     * Appends attention over this pool to a graph, as {@code FlashAttention.appendTo} does for its own device.
     *
     * @param device that runs the graph
     * @param graph the caller's
     * @param grids get the grids of the tasks
     * @param name beginning of the tasks' names, unique in the graph
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param output like q
     * @param logSumExp F32 {@code [batch, heads, seqQ]}
     * @param options scale, mask, softcap, ALiBi, sinks, functions
     * @return how the kernel divides its work
     * @throws IllegalArgumentException if shapes, types or options do not fit
     * @throws UnsupportedOnDeviceException if the device lacks what the kernel needs
     */
    public SplitTile appendTo(
            ComputeDevice device,
            TaskGraph graph,
            GridScheduler grids,
            String name,
            Tensor q,
            Tensor output,
            Tensor logSumExp,
            AttentionOptions options) {
        required(device, "device", "take one of Devices.all()");
        required(graph, "graph", "give the graph that the tasks are for");
        required(grids, "grids", "give the scheduler that the plan will be run with");
        required(name, "name", "give the tasks a name, unique in their graph");
        required(q, "q", "give queries [batch, heads, seqQ, headDim]");
        required(output, "output", "make it with Tensor.allocate");
        required(logSumExp, "logSumExp", "make it with Tensor.allocate");
        required(options, "options", "use AttentionOptions.causal()");
        if (inputs.fixedSplit() > 0 && inputs.wanted().splits() > 0) {
            throw new IllegalArgumentException(
                    "The pool has fixed splits of %,d keys and a number of splits, %d: leave one of them out."
                            .formatted(inputs.fixedSplit(), inputs.wanted().splits()));
        }
        requireFitting(q, options);
        inputs.bytes().flatMap(PoolInputs.Bytes::wide).ifPresent(wide -> requireCopy(wide, q));
        requireWritten(q, output, logSumExp);
        return PoolTasks.append(graph, grids, name, q, inputs, output, logSumExp, options, device);
    }

    private void requireFitting(Tensor q, AttentionOptions options) {
        Strided keys = inputs.keys();
        if (q.rank() != 4
                || q.numberOfElements() == 0
                || q.headDim() != inputs.headDim()
                || q.heads() % inputs.kvHeads() != 0) {
            throw new IllegalArgumentException(
                    "q is %s and the pool %s: q must be [batch, heads, seqQ, headDim], not empty, with the pool's head dimension and a multiple of its heads."
                            .formatted(q, keys));
        }
        if (options.hasKeyLengths()) {
            throw new IllegalArgumentException(
                    "The options have key lengths, but the pool has its sequences' lengths: use withoutKeyLengths().");
        }
        if (options.hasDropout()) {
            throw new IllegalArgumentException(
                    "The options have dropout, which caches do not have: use withoutDropout(), or FlashAttention.forward in training.");
        }
        boolean fromTheEnd = !UserFunctions.of(options).isEmpty()
                || options.hasAlibi()
                || options.mask().left() != Mask.UNBOUNDED;
        if (inputs.prefix().isPresent() && fromTheEnd) {
            throw new IllegalArgumentException(
                    "The options are %s: over a shared prefix, all queries are computed at once, wherever they stand; leave out windows to the left, ALiBi, bias and functions, or the prefix."
                            .formatted(options));
        }
        new AttentionShape(q.batch(), q.heads(), inputs.kvHeads(), capacity(), capacity(), q.headDim())
                .requireFitting(options);
        requireSize("positions", inputs.positions(), q.batch());
        inputs.validRows().ifPresent(rows -> requireSize("valid rows", rows, q.batch()));
        inputs.lengths().ifPresent(lengths -> requireSize("lengths", lengths, q.batch()));
        if (inputs.blockTable().isPresent()) {
            int pages = Math.multiplyExact(q.batch(), inputs.pagesPerSequence());
            requireSize("the block table", inputs.blockTable().get(), pages);
        } else if (inputs.pages() < q.batch()) {
            throw new IllegalArgumentException(
                    "q is %s and the pool %s: without a block table there must be a page for each sequence."
                            .formatted(q, keys));
        }
    }

    private void requireCopy(PoolInputs.Wide wide, Tensor q) {
        int[] shape = {q.batch(), inputs.kvHeads(), capacity(), inputs.headDim()};
        if (!Arrays.equals(wide.keys().shape(), shape)
                || !Arrays.equals(wide.values().shape(), shape)
                || wide.keys().dtype() != wide.values().dtype()) {
            throw new IllegalArgumentException(
                    "The wide copy is %s and %s: keys and values must be of one type and %s, [batch, kvHeads, capacity, headDim]."
                            .formatted(wide.keys(), wide.values(), Arrays.toString(shape)));
        }
        if (inputs.prefix().isPresent()) {
            throw new IllegalArgumentException(
                    "The pool has a wide copy and a shared prefix, which is in no sequence's pages: leave one of them out.");
        }
        wide.keys().requireContiguous();
        wide.values().requireContiguous();
    }

    private static void requireSize(String what, IntArray array, int least) {
        if (array.getSize() < least) {
            throw new IllegalArgumentException("There are %,d numbers for %s: this batch needs %,d or more."
                    .formatted(array.getSize(), what, least));
        }
    }

    private void requireWritten(Tensor q, Tensor output, Tensor logSumExp) {
        int[] rows = Arrays.copyOf(q.shape(), 3);
        if (!Arrays.equals(output.shape(), q.shape())
                || logSumExp.dtype() != DType.F32
                || !Arrays.equals(logSumExp.shape(), rows)) {
            throw new IllegalArgumentException(
                    "output is %s and log-sum-exp %s: they must be shaped like q, %s, and F32%s."
                            .formatted(output, logSumExp, q, Arrays.toString(rows)));
        }
        Map<String, MemorySegment> written = new LinkedHashMap<>();
        written.put("output", output.array().getSegment());
        written.put("logSumExp", logSumExp.memory());
        inputs.bytes().flatMap(PoolInputs.Bytes::wide).ifPresent(wide -> {
            written.put("the wide copy's keys", wide.keys().memory());
            written.put("the wide copy's values", wide.values().memory());
        });
        Map<String, MemorySegment> read = new LinkedHashMap<>();
        read.put("q", q.array().getSegment());
        read.put("keys", inputs.keys().array().getSegment());
        read.put("values", inputs.values().array().getSegment());
        inputs.bytes().ifPresent(bytes -> read.put("scales", bytes.scales().getSegment()));
        Arguments.requireApart(written, read);
    }
}
