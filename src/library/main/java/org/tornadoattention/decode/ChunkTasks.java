package org.tornadoattention.decode;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Mask;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.Capability;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.choice.Views;
import org.tornadoattention.choice.WarpGroupSplitTile;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.forge.Arguments;
import org.tornadoattention.function.FunctionForm;
import org.tornadoattention.function.UserFunctions;
import org.tornadoattention.kernel.parts.CachedKeys;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.kernel.parts.StepLayout;
import org.tornadoattention.plan.DeviceStorage;
import org.tornadoattention.plan.FunctionProof;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * Chunks of many queries over a pool of the caller's as the task attention of a graph of the caller's, and merge where
 * the keys are divided: by the kernel of warp groups, which reads queries, keys and where they stand in the caller's
 * arrays. Queries of another type than the keys are rounded first, by the task positions.
 */
record ChunkTasks(
        Tensor q,
        PoolInputs pool,
        Tensor output,
        Tensor logSumExp,
        AttentionOptions options,
        StepShape shape,
        Views views,
        WarpGroupSplitTile tile,
        ComputeDevice device) {

    /** Elements of a 16-byte copy. */
    private static final int CHUNK = 8;

    /** Whether the kernel takes a prefix that all sequences share, with queries in place. */
    static boolean takePrefix(Tensor q, PoolInputs pool, Views views) {
        boolean inRows = q.seqLength() == 1 || q.batch() == 1 || q.stride(0) == q.seqLength() * q.stride(2);
        return pool.fixedSplit() == 0
                && !pool.type().isQuantized()
                && q.dtype() == pool.keyType()
                && inRows
                && views.isMultiple("query", CHUNK)
                && views.isMultiple("key", CHUNK)
                && views.isMultiple("value", CHUNK);
    }

    /**
     * What the kernel takes over such a prefix, whose parts are the first of all.
     *
     * @param step what another kernel of the launch takes, with its lengths and pages
     * @param partials of all launches
     */
    static Arguments overPrefix(
            Arguments step,
            Tensor q,
            StepShape ofPrefix,
            WarpGroupSplitTile tile,
            int allParts,
            FloatArray partials,
            FloatArray numbers) {
        int row = q.stride(q.seqLength() == 1 ? 0 : 2);
        return step.with("query", DeviceStorage.seenInPlace(q, true))
                .with("output", null)
                .with("logSumExp", partials)
                .with("headTerms", numbers)
                .with("keyLengths", step.given("sequences"))
                .with("positions", null)
                .with("validRows", null)
                .with("seqK", ofPrefix.pageSize() * ofPrefix.pagesPerSequence())
                .with("scale", StepLayout.scale(numbers))
                .with("softcap", StepLayout.softcap(numbers))
                .answering(Layout.class, Map.of("queryBatch", 0, "queryRow", row))
                .answering(
                        CachedKeys.class,
                        answers(tile, allParts, ofPrefix.headDim(), ofPrefix.pageSize(), ofPrefix.pagesPerSequence()));
    }

    /**
     * Whether the kernel takes functions. Lists of a block mask's tiles and tiles of a bias it has in forward passes
     * alone.
     */
    static boolean takeFunctions(FunctionForm functions) {
        return !functions.hasNarrowBias() && !functions.leavesTilesOut();
    }

    /**
     * Whether the kernel takes a pool, arrays in these places and functions. Fixed parts it takes where it is asked
     * for: steps of all sizes must go through one kernel then, and single tokens are slow by this one.
     */
    static boolean take(PoolInputs pool, Views views, FunctionForm functions) {
        boolean asked =
                pool.wanted().kernel().filter(DecodeKernel.WARP_GROUP::equals).isPresent();
        return (pool.fixedSplit() == 0 || asked)
                && takeFunctions(functions)
                && !pool.type().isQuantized()
                && pool.prefix().isEmpty()
                && views.isMultiple("key", CHUNK)
                && views.isMultiple("value", CHUNK)
                && views.isMultiple("output", 2);
    }

    /**
     * What the kernel takes over a cache of this library's, whose steps say in arrays what window and scale they have.
     */
    static Arguments overCache(
            Arguments step,
            StepShape shape,
            WarpGroupSplitTile tile,
            List<TornadoNativeArray> captured,
            ComputeDevice device) {
        int page = shape.kvHeads() * shape.pageSize() * shape.headDim();
        Map<String, Integer> places = new HashMap<>(queriesInOrder(shape));
        for (String tensor : List.of("key", "value")) {
            places.put(tensor + "Offset", 0);
            places.put(tensor + "Batch", page);
            places.put(tensor + "Head", shape.pageSize() * shape.headDim());
            places.put(tensor + "Row", shape.headDim());
        }
        Map<String, Integer> answers = new HashMap<>(
                answers(tile, tile.splits(), shape.headDim(), shape.pageSize(), shape.pagesPerSequence()));
        answers.putAll(Map.of("areDivided", 1, "areStepsRead", 1));
        return step.withFunctions(form(shape, device), captured)
                .with("output", null)
                .with("logSumExp", step.given("partials"))
                .with("headTerms", step.given("numbers"))
                .with("keyLengths", step.given("sequences"))
                .with("seqK", shape.pageSize() * shape.pagesPerSequence())
                .with("windowLeft", Mask.UNBOUNDED)
                .with("windowRight", Mask.UNBOUNDED)
                .with("scale", 1f)
                .with("softcap", shape.softcap())
                .answering(Layout.class, places)
                .answering(CachedKeys.class, answers);
    }

    /** Where queries are that the first task made ready: {@code [batch, seqQ, heads, headDim]}. */
    private static Map<String, Integer> queriesInOrder(StepShape shape) {
        int row = shape.heads() * shape.headDim();
        return Map.of(
                "queryOffset", 0, "queryBatch", shape.seqQ() * row, "queryHead", shape.headDim(), "queryRow", row);
    }

    /** Whether TornadoVM inlines the functions into the kernel: it says so while a task is added. */
    boolean areFunctionsInlined() {
        if (shape.functions().isEmpty()) {
            return true;
        }
        try {
            append(new TaskGraph("trial"), new GridScheduler(), "trial");
            return true;
        } catch (RuntimeException | Error e) { // TornadoVM's internal errors are Errors
            if (FunctionProof.isOfInlining(e)) {
                return false;
            }
            throw e;
        }
    }

    /** What is said where the kernel was asked for and functions are not inlined. */
    static UnsupportedOnDeviceException tooLarge(ComputeDevice device) {
        return new UnsupportedOnDeviceException(
                device,
                "a compiler that inlines functions as large as these into the kernel",
                "leave the kernel out, or use shorter functions");
    }

    void append(TaskGraph graph, GridScheduler grids, String name) {
        FloatArray numbers = new FloatArray(StepLayout.numbersSize(shape.heads()));
        IntArray absent = new IntArray(1);
        IntArray header = new IntArray(StepLayout.HEADER);
        StepNumbers.fill(header, numbers, options, shape.headDim(), pool.capacity(), pool.capacity(), 0);
        int features = (options.hasAlibi() ? Features.ALIBI : 0) | (shape.sinks() ? Features.SINKS : 0);
        FloatArray headTerms = headTerms(features);
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, headTerms, absent);
        List<TornadoNativeArray> captured = UserFunctions.arrays(options);
        if (!captured.isEmpty()) {
            graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, captured.toArray());
        }
        Arguments all = Arguments.none()
                .withFunctions(form(shape, device), captured)
                .with("key", pool.keys().array())
                .with("value", pool.values().array())
                .with("output", DeviceStorage.seenInPlace(output, true))
                .with("logSumExp", logSumExp.floatArray())
                .with("headTerms", headTerms)
                .with("seqK", pool.capacity())
                .with("windowLeft", StepLayout.windowLeft(header))
                .with("windowRight", StepLayout.windowRight(header))
                .with("scale", StepLayout.scale(numbers))
                .with("softcap", StepLayout.softcap(numbers))
                .answering(Layout.class, views.numbers())
                .answering(
                        CachedKeys.class,
                        answers(tile, tile.splits(), shape.headDim(), pool.pageSize(), pool.pagesPerSequence()));
        if (pool.fixedSplit() > 0) {
            int fixedTiles = Math.ceilDiv(pool.fixedSplit(), tile.tile().blockK());
            all = all.answering(CachedKeys.class, Map.of("areFixed", 1, "fixedTiles", fixedTiles));
        }
        boolean inPlace = q.dtype() == pool.keyType() && views.isMultiple("query", CHUNK);
        all = inPlace ? inPlace(all, absent) : rounded(all, numbers, absent, graph, grids, name);
        Optional<FloatArray> partials = partials();
        Arguments attention = all;
        if (partials.isPresent()) {
            graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, partials.get());
            attention = all.with("output", null).with("logSumExp", partials.get());
        }
        boolean mayStay = inPlace
                && pool.fixedSplit() == 0
                && shape.functions().isEmpty()
                && CachedKeys.mayBeAhead(
                        tile.tile().blockK(), shape.headDim(), pool.pageSize(), pool.pagesPerSequence());
        int staying = mayStay
                ? tile.staying(
                        new AttentionShape(
                                shape.sequences(),
                                shape.heads(),
                                shape.kvHeads(),
                                shape.seqQ(),
                                pool.capacity(),
                                shape.headDim()),
                        device)
                : 0;
        InferenceTasks.appendChunk(graph, grids, name, shape, tile, staying, attention, features, device);
        if (partials.isPresent()) {
            InferenceTasks.appendChunkMerge(
                    graph, grids, name, shape, tile.splits(), all.with("partials", partials.get()), device);
        }
    }

    /** What the kernel takes that reads queries and where they stand in the caller's arrays. */
    private Arguments inPlace(Arguments all, IntArray absent) {
        return all.with("query", DeviceStorage.seenInPlace(q, true))
                .with("positions", pool.positions())
                .with("validRows", pool.validRows().orElse(absent))
                .with("lengths", pool.lengths().orElse(absent))
                .with("keyLengths", pool.blockTable().orElse(absent))
                .answering(
                        CachedKeys.class,
                        Map.of(
                                "arePlacesRead",
                                1,
                                "given",
                                PoolTasks.given(pool),
                                "areLengthsGiven",
                                pool.lengths().isPresent() ? 1 : 0,
                                "areInOrder",
                                pool.blockTable().isPresent() ? 0 : 1));
    }

    /** What it takes where the task {@code name-positions} rounds the queries first, without the scale. */
    private Arguments rounded(
            Arguments all, FloatArray numbers, IntArray absent, TaskGraph graph, GridScheduler grids, String name) {
        Tensor queries =
                Tensor.allocate(pool.keyType(), shape.sequences(), shape.seqQ(), shape.heads(), shape.headDim());
        Object query = DeviceStorage.seen(queries, true);
        numbers.set(0, 1f);
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, query, numbers);
        Arguments withSteps = PoolTasks.withSteps(all, shape, graph).with("query", query);
        InferenceTasks.appendPositions(
                graph,
                grids,
                name,
                shape,
                withSteps
                        .with("newQuery", DeviceStorage.seenInPlace(q, true))
                        .with("numbers", numbers)
                        .with("positions", pool.positions())
                        .with("validRows", pool.validRows().orElse(absent))
                        .with("keyLengths", pool.lengths().orElse(absent))
                        .with("blockTable", pool.blockTable().orElse(absent))
                        .with("prefixLength", absent)
                        .with("alibi", 0)
                        .with("given", PoolTasks.given(pool)),
                device);
        return withSteps
                .with("keyLengths", withSteps.given("sequences"))
                .answering(Layout.class, queriesInOrder(shape));
    }

    private static FunctionForm form(StepShape shape, ComputeDevice device) {
        FunctionForm form = shape.functions().form();
        return Capability.WARP.isKnownOn(device) ? form.withIntrinsics() : form;
    }

    private FloatArray headTerms(int features) {
        FloatArray headTerms = new FloatArray(HeadTerms.size(shape.heads(), features));
        for (int head = 0; head < shape.heads(); head++) {
            if (options.hasAlibi()) {
                HeadTerms.setSlope(headTerms, head, options.alibiSlope(head));
            }
            if (options.sinks().isPresent()) {
                HeadTerms.setSink(headTerms, head, options.sinks().get().getFlat(head), features);
            }
        }
        return headTerms;
    }

    private static Map<String, Integer> answers(
            WarpGroupSplitTile tile, int allParts, int headDim, int pageSize, int pagesPerSequence) {
        int keys = tile.tile().blockK();
        boolean ahead = CachedKeys.mayBeAhead(keys, headDim, pageSize, pagesPerSequence);
        return Map.of(
                "areAhead",
                ahead ? 1 : 0,
                "pagesOfWarp",
                ahead ? CachedKeys.pagesOfWarp(keys, pageSize, pagesPerSequence) : 1,
                "arePresent",
                1,
                "areDivided",
                allParts > 1 ? 1 : 0,
                "parts",
                tile.splits(),
                "allParts",
                allParts,
                "pageSize",
                pageSize,
                "pagesPerSequence",
                pagesPerSequence);
    }

    /** Outputs and log-sum-exps of the parts, where there are several. */
    private Optional<FloatArray> partials() {
        int rows = shape.queryRows();
        if (tile.splits() == 1) {
            return Optional.empty();
        }
        PoolTasks.requireRoom(rows, tile.splits(), shape.headDim(), device);
        return Optional.of(new FloatArray(rows * tile.splits() * (shape.headDim() + 1)));
    }
}
