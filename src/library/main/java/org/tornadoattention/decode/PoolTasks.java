package org.tornadoattention.decode;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Mask;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.DecodeChoice;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.choice.LaneSplitTile;
import org.tornadoattention.choice.LaunchedTile;
import org.tornadoattention.choice.SplitProblem;
import org.tornadoattention.choice.SplitTile;
import org.tornadoattention.choice.Views;
import org.tornadoattention.choice.WarpGroupSplitTile;
import org.tornadoattention.choice.WarpSplitTile;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.forge.Arguments;
import org.tornadoattention.function.UserFunctions;
import org.tornadoattention.kernel.MergePartials;
import org.tornadoattention.kernel.ReadPositions;
import org.tornadoattention.kernel.parts.KeySplit;
import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.kernel.parts.StepLayout;
import org.tornadoattention.plan.DeviceStorage;
import org.tornadoattention.plan.FunctionProof;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * Attention over a pool of the caller's as the tasks positions, attention and merge of a graph of the caller's: the
 * device reads where queries stand, so that one compiled graph serves every chunk and every step.
 */
public final class PoolTasks {

    /** Queries that a tile of fixed parts is made for, however many there are. */
    private static final int FIXED_QUERIES = 8;

    /** Likewise where chunks are asked for. */
    private static final int FIXED_QUERIES_OF_CHUNK = 128;

    /** Elements of a 16-byte copy. */
    private static final int COPIED_AT_ONCE = 8;

    private PoolTasks() {}

    /**
     * Appends the tasks.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}, maybe a view
     * @param output like q, maybe a view
     * @param logSumExp F32 {@code [batch, heads, seqQ]}
     * @return how the kernel divides its work
     * @throws UnsupportedOnDeviceException if the device cannot read F16 arrays
     */
    public static SplitTile append(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            Tensor q,
            PoolInputs pool,
            Tensor output,
            Tensor logSumExp,
            AttentionOptions options,
            ComputeDevice device) {
        Optional<PoolInputs.Wide> wide = pool.bytes().flatMap(PoolInputs.Bytes::wide);
        Views views = Views.ofAll(q, pool.keys(), pool.values(), output);
        boolean halves = views.types().contains(DType.F16)
                || wide.stream().anyMatch(copy -> copy.keys().dtype() == DType.F16);
        if (halves && !device.halfFloats()) {
            throw new UnsupportedOnDeviceException(
                    device, "16-bit floats for HalfFloatArrays", "use F32 or BF16 tensors in task graphs here");
        }
        if (wide.isPresent()) {
            PoolInputs copy = WideCopy.append(graph, grids, name, q, pool, device);
            return append(graph, grids, name, q, copy, output, logSumExp, options, device);
        }
        prove(q, pool, options, device);
        StepShape shape = shape(q, pool, views, options);
        Optional<WarpGroupSplitTile> chunk = pool.prefix().isPresent()
                ? Optional.empty()
                : DecodeChoice.chunk(
                                problem(shape, pool)
                                        .withFunctions(!shape.functions().isEmpty()),
                                pool.wanted().kernel(),
                                pool.wanted().splits(),
                                ChunkTasks.take(pool, views, shape.functions().form()),
                                device)
                        .map(tile -> (WarpGroupSplitTile) withFixedParts(tile, shape, pool));
        if (chunk.isPresent()) {
            ChunkTasks tasks = new ChunkTasks(q, pool, output, logSumExp, options, shape, views, chunk.get(), device);
            if (tasks.areFunctionsInlined()) {
                tasks.append(graph, grids, name);
                return chunk.get();
            }
            if (pool.wanted().kernel().isPresent()) {
                throw ChunkTasks.tooLarge(device);
            }
        }
        Optional<StepShape> ofPrefix = pool.prefix().map(prefix -> ofPrefix(shape, prefix));
        LaunchedTile tile = tile(shape, pool, views, device);
        if (tile instanceof WarpSplitTile whole && pool.prefix().isEmpty() && whole.mergesParts()) {
            appendWhole(graph, grids, name, q, pool, output, logSumExp, options, shape, views, whole, device);
            return whole;
        }
        Optional<LaunchedTile> prefixTile = ofPrefix.map(prefix -> DecodeChoice.chunk(
                        problem(prefix, pool), pool.wanted().kernel(), 0, ChunkTasks.takePrefix(q, pool, views), device)
                .map(LaunchedTile.class::cast)
                .orElseGet(() -> tile(prefix, pool, views, device)));
        int parts = tile.splits() + prefixTile.map(LaunchedTile::splits).orElse(0);
        int rows = shape.queryRows();
        requireRoom(rows, parts, shape.headDim(), device);
        FloatArray query = new FloatArray(rows * shape.headDim());
        FloatArray partials = new FloatArray(rows * parts * (shape.headDim() + 1));
        FloatArray numbers = new FloatArray(StepLayout.numbersSize(shape.heads()));
        FloatArray unscaled = new FloatArray(1);
        IntArray absent = new IntArray(1);
        IntArray header = new IntArray(StepLayout.HEADER);
        StepNumbers.fill(header, numbers, options, shape.headDim(), pool.capacity(), pool.capacity(), 0);
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, query, partials, numbers, unscaled, absent);
        List<TornadoNativeArray> captured = UserFunctions.arrays(options);
        if (!captured.isEmpty()) {
            graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, captured.toArray());
        }
        Arguments all = Arguments.none()
                .with("newQuery", DeviceStorage.seenInPlace(q, true))
                .with("query", query)
                .with("key", pool.keys().array())
                .with("value", pool.values().array())
                .with("output", DeviceStorage.seenInPlace(output, true))
                .with("logSumExp", logSumExp.floatArray())
                .with("partials", partials)
                .with("numbers", numbers)
                .with("scales", pool.bytes().map(PoolInputs.Bytes::scales).orElse(unscaled))
                .with(
                        "prefixLength",
                        pool.prefix().map(PoolInputs.Prefix::length).orElse(absent))
                .answering(Layout.class, views.numbers());

        Arguments arguments = withSteps(all, shape, graph)
                .with("positions", pool.positions())
                .with("validRows", pool.validRows().orElse(absent))
                .with("keyLengths", pool.lengths().orElse(absent))
                .with("blockTable", pool.blockTable().orElse(absent))
                .with("windowLeft", StepLayout.windowLeft(header))
                .with("windowRight", StepLayout.windowRight(header))
                .with("alibi", StepLayout.alibi(header))
                .with("given", given(pool))
                .withFunctions(shape.functions().form(), captured)
                .answering(KeySplit.class, answers(tile, pool, parts - tile.splits(), parts));
        InferenceTasks.appendPool(graph, grids, name, shape, tile, arguments, views.isEven(), device);
        if (pool.prefix().isPresent()) {
            PoolInputs.Prefix prefix = pool.prefix().get();
            // Each query, which the tasks before made ready, stands behind the prefix and sees all of it.
            Arguments overPrefix = withSteps(all, ofPrefix.get(), graph)
                    .with("positions", prefix.length())
                    .with("validRows", absent)
                    .with("keyLengths", prefix.length())
                    .with("blockTable", prefix.table())
                    .with("windowLeft", Mask.UNBOUNDED)
                    .with("windowRight", Mask.UNBOUNDED)
                    .with("alibi", 0)
                    .with("given", ReadPositions.LENGTHS | ReadPositions.TABLE | ReadPositions.KEYS_ONLY);
            String prefixName = name + "-prefix";
            if (prefixTile.get() instanceof WarpGroupSplitTile whole) {
                Arguments toAttention =
                        ChunkTasks.overPrefix(overPrefix, q, ofPrefix.get(), whole, parts, partials, numbers);
                InferenceTasks.appendPositions(graph, grids, prefixName, ofPrefix.get(), overPrefix, device);
                InferenceTasks.appendChunk(graph, grids, prefixName, ofPrefix.get(), whole, 0, toAttention, 0, device);
            } else {
                InferenceTasks.appendPool(
                        graph,
                        grids,
                        prefixName,
                        ofPrefix.get(),
                        prefixTile.get(),
                        overPrefix.answering(KeySplit.class, answers(prefixTile.get(), pool, 0, parts)),
                        views.isEven(),
                        device);
            }
        }
        InferenceTasks.appendPoolMerge(graph, grids, name, shape, parts, arguments.with("validRows", null), device);
        return tile;
    }

    /** Attention as one task, which reads what the caller's arrays say and merges its parts itself. */
    private static void appendWhole(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            Tensor q,
            PoolInputs pool,
            Tensor output,
            Tensor logSumExp,
            AttentionOptions options,
            StepShape shape,
            Views views,
            WarpSplitTile tile,
            ComputeDevice device) {
        int rows = shape.queryRows();
        requireRoom(rows, tile.splits(), shape.headDim(), device);
        FloatArray partials = new FloatArray(rows * tile.splits() * (shape.headDim() + 1));
        FloatArray numbers = new FloatArray(StepLayout.numbersSize(shape.heads()));
        IntArray absent = new IntArray(1);
        IntArray header = new IntArray(StepLayout.HEADER);
        StepNumbers.fill(header, numbers, options, shape.headDim(), pool.capacity(), pool.capacity(), 0);
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, partials, numbers, absent);
        Map<String, Integer> answers = new HashMap<>(answers(tile, pool, 0, tile.splits()));
        answers.putAll(Map.of(
                "arePlacesRead",
                1,
                "isMerged",
                1,
                "windowLeft",
                StepLayout.windowLeft(header),
                "windowRight",
                StepLayout.windowRight(header),
                "alibi",
                StepLayout.alibi(header),
                "given",
                given(pool)));
        Arguments arguments = Arguments.none()
                .with("query", DeviceStorage.seenInPlace(q, true))
                .with("key", pool.keys().array())
                .with("value", pool.values().array())
                .with("output", DeviceStorage.seenInPlace(output, true))
                .with("logSumExp", logSumExp.floatArray())
                .with("partials", partials)
                .with("numbers", numbers)
                .with("positions", pool.positions())
                .with("validRows", pool.validRows().orElse(absent))
                .with("keyLengths", pool.lengths().orElse(absent))
                .with("blockTable", pool.blockTable().orElse(absent))
                .answering(Layout.class, views.numbers())
                .answering(KeySplit.class, answers);
        Arguments withArrivals = InferenceTasks.withArrivals(arguments, graph, shape, tile);
        InferenceTasks.appendWhole(graph, grids, name, shape, tile, withArrivals, device);
    }

    /**
     * Outputs and log-sum-exps of all parts must fit an array, and the weights of a row's parts a group's local memory.
     */
    static void requireRoom(int rows, int parts, int headDim, ComputeDevice device) {
        boolean fits = (double) rows * parts * (headDim + 1) <= Tensor.MAX_ELEMENTS
                && MergePartials.localMemoryBytes(parts) <= device.localMemoryBytes();
        if (!fits) {
            throw new IllegalArgumentException(
                    "%,d rows of queries in %,d parts of the keys need %,.0f numbers and %,d bytes of local memory to be merged, and there are %,d and %,d: take larger fixed splits, fewer queries at a time or a smaller capacity."
                            .formatted(
                                    rows,
                                    parts,
                                    (double) rows * parts * (headDim + 1),
                                    MergePartials.localMemoryBytes(parts),
                                    Tensor.MAX_ELEMENTS,
                                    device.localMemoryBytes()));
        }
    }

    /** Lengths, tables and queries of each sequence, which the device writes at each execution. */
    static Arguments withSteps(Arguments arguments, StepShape shape, TaskGraph graph) {
        IntArray sequences = new IntArray(StepLayout.sequencesSize(shape.sequences(), shape.pagesPerSequence()));
        IntArray step = new IntArray(StepLayout.stepSize(shape.sequences()));
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, sequences, step);
        return arguments.with("sequences", sequences).with("step", step);
    }

    /** All queries as those of one sequence over the prefix, which is read once for all of a tile. */
    private static StepShape ofPrefix(StepShape own, PoolInputs.Prefix prefix) {
        return new StepShape(
                1,
                own.tokens(),
                own.tokens(),
                own.heads(),
                own.kvHeads(),
                own.headDim(),
                own.pageSize(),
                prefix.pages(),
                0,
                false,
                own.dtype(),
                own.type());
    }

    private static void prove(Tensor q, PoolInputs pool, AttentionOptions options, ComputeDevice device) {
        try (FunctionProof proof = new FunctionProof(device)) {
            proof.findTiles(options);
            AttentionShape all = new AttentionShape(
                    q.batch(), q.heads(), pool.kvHeads(), pool.capacity(), pool.capacity(), q.headDim());
            proof.require(AttentionProblem.of(all, q.dtype(), options), options, false);
        }
    }

    private static StepShape shape(Tensor q, PoolInputs pool, Views views, AttentionOptions options) {
        return new StepShape(
                        q.batch(),
                        Math.multiplyExact(q.batch(), q.seqLength()),
                        q.seqLength(),
                        q.heads(),
                        pool.kvHeads(),
                        q.headDim(),
                        pool.pageSize(),
                        pool.pagesPerSequence(),
                        0,
                        false,
                        views.types().contains(DType.BF16) ? DType.BF16 : DType.F32,
                        pool.type())
                .with(UserFunctions.of(options), options.sinks().isPresent());
    }

    /** With fixed parts, a tile that depends on nothing that changes with the batch or the chunk. */
    private static LaunchedTile tile(StepShape shape, PoolInputs pool, Views views, ComputeDevice device) {
        boolean fixed = pool.fixedSplit() > 0;
        SplitProblem apart = new SplitProblem(
                        shape.group(),
                        shape.kvHeads(),
                        shape.headDim(),
                        fixed ? FIXED_QUERIES : shape.seqQ(),
                        fixed ? 1 : shape.sequences(),
                        capacity(shape),
                        pool.keyType(),
                        pool.type().isQuantized())
                .withFunctions(!shape.functions().isEmpty());
        SplitProblem problem =
                views.areHeadsTogether(shape.headDim()) ? apart.withHeadsTogether(shape.pageSize()) : apart;
        boolean copied = views.isMultiple("key", COPIED_AT_ONCE) && views.isMultiple("value", COPIED_AT_ONCE);
        // Warp groups take no more than a prefix.
        Optional<DecodeKernel> wanted = pool.wanted()
                .kernel()
                .map(kernel ->
                        kernel == DecodeKernel.WARP_GROUP && pool.prefix().isPresent()
                                ? DecodeKernel.WARP_SPLIT_KEY
                                : kernel);
        LaunchedTile tile = DecodeChoice.choose(
                problem,
                wanted.isEmpty() && !copied ? Optional.of(DecodeKernel.SPLIT_KEY) : wanted,
                pool.wanted().splits(),
                device);
        if (tile instanceof WarpSplitTile && !copied) {
            throw new UnsupportedOnDeviceException(
                    device,
                    "16-byte copies of rows that do not begin at multiples of %d elements, for the kernel %s"
                            .formatted(COPIED_AT_ONCE, DecodeKernel.WARP_SPLIT_KEY.id()),
                    "use the kernel " + DecodeKernel.SPLIT_KEY.id());
        }
        return withFixedParts(tile, shape, pool);
    }

    private static LaunchedTile withFixedParts(LaunchedTile tile, StepShape shape, PoolInputs pool) {
        if (pool.fixedSplit() == 0) {
            return tile;
        }
        int parts = Math.ceilDiv(capacity(shape), fixedKeys(tile, pool));
        return switch (tile) {
            case LaneSplitTile lanes -> lanes.withSplits(parts);
            case WarpSplitTile warps -> warps.withSplits(parts);
            case WarpGroupSplitTile chunks -> new WarpGroupSplitTile(chunks.tile(), parts);
        };
    }

    private static int capacity(StepShape shape) {
        return Math.multiplyExact(shape.pageSize(), shape.pagesPerSequence());
    }

    /** A step over the pool's own keys; with fixed parts, one that nothing of changes with the batch or the chunk. */
    private static SplitProblem problem(StepShape shape, PoolInputs pool) {
        boolean fixed = pool.fixedSplit() > 0;
        return new SplitProblem(
                shape.group(),
                shape.kvHeads(),
                shape.headDim(),
                fixed ? FIXED_QUERIES_OF_CHUNK : shape.seqQ(),
                fixed ? 1 : shape.sequences(),
                capacity(shape),
                pool.keyType(),
                pool.type().isQuantized());
    }

    /** Keys of a fixed part: whole tiles of them. */
    private static int fixedKeys(LaunchedTile tile, PoolInputs pool) {
        int tileKeys = switch (tile) {
            case LaneSplitTile lanes -> lanes.tileKeys();
            case WarpSplitTile warps -> warps.tileKeys();
            case WarpGroupSplitTile chunks -> chunks.tile().blockK();
        };
        return Math.ceilDiv(pool.fixedSplit(), tileKeys) * tileKeys;
    }

    /** What kernels know of parts: nothing where they are as in a cache of this library's. */
    private static Map<String, Integer> answers(LaunchedTile tile, PoolInputs pool, int partsBefore, int allParts) {
        Map<String, Integer> answers = new HashMap<>();
        if (pool.fixedSplit() > 0) {
            answers.putAll(Map.of("isFixed", 1, "fixedKeys", fixedKeys(tile, pool)));
        }
        if (pool.prefix().isPresent()) {
            answers.putAll(Map.of("isOneOfSeveral", 1, "partsBefore", partsBefore, "allParts", allParts));
        }
        return answers;
    }

    static int given(PoolInputs pool) {
        return (pool.validRows().isPresent() ? ReadPositions.ROWS : 0)
                | (pool.lengths().isPresent() ? ReadPositions.LENGTHS : 0)
                | (pool.blockTable().isPresent() ? ReadPositions.TABLE : 0)
                | (pool.prefix().isPresent() ? ReadPositions.PREFIX : 0);
    }
}
