package org.tornadoattention.decode;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tornadoattention.choice.Launch;
import org.tornadoattention.choice.LaunchedTile;
import org.tornadoattention.choice.WarpGroupSplitTile;
import org.tornadoattention.choice.WarpSplitTile;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.forge.Arguments;
import org.tornadoattention.forge.Kernel;
import org.tornadoattention.forge.KernelLauncher;
import org.tornadoattention.kernel.AppendTokens;
import org.tornadoattention.kernel.CommitTokens;
import org.tornadoattention.kernel.MergePartials;
import org.tornadoattention.kernel.QuantizeTokens;
import org.tornadoattention.kernel.ReadPositions;
import org.tornadoattention.kernel.WarpMergePartials;
import org.tornadoattention.kernel.WidenCache;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.HalfPairs;
import org.tornadoattention.kernel.parts.Int8Pairs;
import org.tornadoattention.kernel.parts.KeySplit;
import org.tornadoattention.kernel.parts.ShortPairs;
import org.tornadoattention.kernel.parts.Storage;
import org.tornadoattention.plan.DeviceStorage;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** Turns a step of inference into the tasks append, attention and merge. */
final class InferenceTasks {

    private static final Kernel APPEND = Kernel.of(AppendTokens.class);
    private static final Kernel QUANTIZE = Kernel.of(QuantizeTokens.class);
    private static final Kernel WIDEN = Kernel.of(WidenCache.class);
    private static final Kernel COMMIT = Kernel.of(CommitTokens.class);
    private static final Kernel POSITIONS = Kernel.of(ReadPositions.class);
    private static final Kernel MERGE = Kernel.of(MergePartials.class);
    private static final Kernel MERGE_OF_CHUNK = Kernel.of(WarpMergePartials.class);

    private static final int GROUP_SIZE = 128;

    private static final float LARGEST_HALF = 65504f;

    /** Arrays of a caller's that tell where queries stand, which another kernel reads. */
    private static final List<String> PLACES = List.of("positions", "validRows", "keyLengths", "blockTable");

    /** The same, and what the merge writes. */
    private static final List<String> PLACES_AND_OUTPUT =
            List.of("positions", "validRows", "keyLengths", "blockTable", "output", "logSumExp");

    private final KernelLauncher launcher;
    private final String name;
    private final StepShape shape;
    private final ComputeDevice device;
    private final int features;

    private InferenceTasks(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            StepShape shape,
            Arguments arrays,
            ComputeDevice device) {
        this.name = name;
        this.shape = shape;
        this.device = device;
        this.features = DeviceStorage.features(shape.dtype(), device);
        this.launcher = new KernelLauncher(
                graph,
                grids,
                arrays.with("heads", shape.heads())
                        .with("kvHeads", shape.kvHeads())
                        .with("group", shape.group())
                        .with("headDim", shape.headDim())
                        .with("seqQ", shape.seqQ())
                        .with("pageSize", shape.pageSize())
                        .with("pagesPerSequence", shape.pagesPerSequence())
                        .with("rotaryDim", shape.rotaryDim())
                        .with("features", features));
    }

    /** Appends the three tasks {@code name-append}, {@code name-attention} and {@code name-merge}. */
    static void append(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            StepShape shape,
            LaunchedTile tile,
            InferenceArrays arrays,
            ComputeDevice device) {
        Arguments arguments = arguments(arrays).withFunctions(shape.functions().form(), arrays.captured());
        InferenceTasks tasks = new InferenceTasks(graph, grids, name, shape, arguments, device);
        if (tile instanceof WarpGroupSplitTile chunk) {
            tasks.appendTokens(arrays, Features.UNSCALED);
            Arguments kept = arguments;
            if (arrays.wide().isPresent()) {
                InferenceArrays.Wide wide = arrays.wide().get();
                tasks.quantizeTokens(arrays);
                tasks.widen(arrays, wide);
                kept = arguments.with("key", wide.key()).with("value", wide.value());
            }
            Arguments overCache = ChunkTasks.overCache(kept, shape, chunk, arrays.captured(), device);
            int terms = (shape.alibi() ? Features.ALIBI : 0) | (shape.sinks() ? Features.SINKS : 0);
            new InferenceTasks(graph, grids, name, shape, overCache, device).chunk(chunk, 0, terms);
            tasks.mergeOfChunk(tile.splits());
            return;
        }
        tasks.appendTokens(arrays, 0);
        if (shape.type().isQuantized()) {
            tasks.quantizeTokens(arrays);
        }
        if (tile instanceof WarpSplitTile warps && warps.mergesParts()) {
            Arguments merged =
                    withArrivals(arguments, graph, shape, tile).answering(KeySplit.class, Map.of("isMerged", 1));
            new InferenceTasks(graph, grids, name, shape, merged, device).attention(tile, Optional.empty(), PLACES);
            return;
        }
        tasks.attention(tile, tasks.coding().or(() -> tasks.pairs(tile, arrays.key())), PLACES_AND_OUTPUT);
        tasks.merge(tile.splits());
    }

    /** With a count of the groups of each tile that are done with their part, so that the last one merges them. */
    static Arguments withArrivals(Arguments arguments, TaskGraph graph, StepShape shape, LaunchedTile tile) {
        IntArray arrivals = new IntArray(Math.multiplyExact(shape.tiles(tile.rows()), shape.kvHeads()));
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, arrivals);
        return arguments.with("arrivals", arrivals);
    }

    /**
     * Appends the tasks of a step without queries, {@code name-append} and {@code name-commit}.
     *
     * @param receipt {@code [1]}, gets the step's number
     */
    static void appendTokens(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            StepShape shape,
            InferenceArrays arrays,
            FloatArray receipt,
            ComputeDevice device) {
        InferenceTasks tasks = new InferenceTasks(graph, grids, name, shape, arguments(arrays), device);
        tasks.appendTokens(arrays, 0);
        if (shape.type().isQuantized()) {
            tasks.quantizeTokens(arrays);
        }
        tasks.commit(receipt);
    }

    private void commit(FloatArray receipt) {
        launcher.task(name + "-commit", COMMIT)
                .with("receipt", receipt)
                .with("batch", shape.sequences())
                .overElements(shape.sequences(), groupSize(GROUP_SIZE / 4));
    }

    /** Appends the task {@code name-merge} alone. */
    static void appendMerge(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            StepShape shape,
            int parts,
            FloatArray partials,
            TornadoNativeArray output,
            FloatArray logSumExp,
            IntArray sequences,
            IntArray step,
            ComputeDevice device) {
        Arguments arrays = Arguments.none()
                .with("partials", partials)
                .with("output", output)
                .with("logSumExp", logSumExp)
                .with("sequences", sequences)
                .with("step", step);
        new InferenceTasks(graph, grids, name, shape, arrays, device).merge(parts);
    }

    /**
     * Appends attention over a pool of a caller's, {@code name-positions} and {@code name-attention}, whose parts wait
     * to be merged.
     *
     * @param evenRows whether all rows of the pool begin at even elements, so that pairs can be read as words
     */
    static void appendPool(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            StepShape shape,
            LaunchedTile tile,
            Arguments arguments,
            boolean evenRows,
            ComputeDevice device) {
        InferenceTasks tasks = new InferenceTasks(graph, grids, name, shape, arguments, device);
        tasks.positions(true);
        Object key = arguments.given("key");
        Optional<Class<?>> bits = key instanceof ShortArray ? Optional.of(ShortPairs.class) : tasks.coding();
        tasks.attention(tile, bits.or(() -> evenRows ? tasks.pairs(tile, key) : Optional.empty()), PLACES_AND_OUTPUT);
    }

    /** Appends attention over a pool of a caller's as one task, {@code name-attention}. */
    static void appendWhole(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            StepShape shape,
            LaunchedTile tile,
            Arguments arguments,
            ComputeDevice device) {
        new InferenceTasks(graph, grids, name, shape, arguments, device).attention(tile, Optional.empty(), List.of());
    }

    /** Appends {@code name-positions}, which makes queries and where they stand ready. */
    static void appendPositions(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            StepShape shape,
            Arguments arguments,
            ComputeDevice device) {
        boolean withQueries = ((int) arguments.given("given") & ReadPositions.KEYS_ONLY) == 0;
        new InferenceTasks(graph, grids, name, shape, arguments, device).positions(withQueries);
    }

    /** Appends attention of chunks over a pool, {@code name-attention}, whose parts wait to be merged. */
    static void appendChunk(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            StepShape shape,
            WarpGroupSplitTile tile,
            int staying,
            Arguments arguments,
            int headFeatures,
            ComputeDevice device) {
        new InferenceTasks(graph, grids, name, shape, arguments, device).chunk(tile, staying, headFeatures);
    }

    /**
     * @param staying groups that stay for all tiles of queries, or 0
     * @param added bits of {@link Features}
     */
    private void chunk(WarpGroupSplitTile tile, int staying, int added) {
        Launch launch = tile.launch();
        KernelLauncher.Task task = launcher.task(name + launch.suffix(), Kernel.of(launch.owner(), launch.method()));
        launch.numbers().forEach(task::with);
        long queryTiles = (long) shape.sequences() * shape.heads() * Math.ceilDiv(shape.seqQ(), tile.rows());
        task.with("features", launch.features(features) | added)
                .with("staying", staying)
                .groups(staying > 0 ? staying : queryTiles * tile.splits(), tile.groupSize(shape.headDim()));
    }

    private void positions(boolean withQueries) {
        long pages = (long) shape.sequences() * shape.pagesPerSequence();
        long elements = withQueries ? Math.max((long) shape.queryRows() * shape.headDim(), pages) : pages;
        launcher.task(name + "-positions", POSITIONS).overElements(elements, groupSize(GROUP_SIZE));
    }

    /** Appends {@code name-merge} of all parts of such attention. */
    static void appendPoolMerge(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            StepShape shape,
            int parts,
            Arguments arguments,
            ComputeDevice device) {
        new InferenceTasks(graph, grids, name, shape, arguments, device).merge(parts);
    }

    private static Arguments arguments(InferenceArrays arrays) {
        return Arguments.none()
                .with("newQuery", arrays.newQuery())
                .with("newKey", arrays.newKey())
                .with("newValue", arrays.newValue())
                .with("query", arrays.query())
                .with("key", arrays.key())
                .with("value", arrays.value())
                .with("partials", arrays.partials())
                .with("output", arrays.output())
                .with("logSumExp", arrays.logSumExp())
                .with("sequences", arrays.sequences())
                .with("step", arrays.step())
                .with("numbers", arrays.numbers())
                .with("rotary", arrays.rotary())
                .with("scales", arrays.scales());
    }

    private void appendTokens(InferenceArrays arrays, int added) {
        int rows = appends() ? shape.heads() + 2 * shape.kvHeads() : shape.heads();
        launcher.task(name + "-append", APPEND)
                .with("key", appends() ? arrays.key() : arrays.unusedKey())
                .with("value", appends() ? arrays.value() : arrays.unusedValue())
                .with("features", appendFeatures() | added | (shape.type().isQuantized() ? Features.QUERIES_ONLY : 0))
                .overElements((long) shape.tokens() * rows * Math.ceilDiv(shape.headDim(), 2), groupSize(GROUP_SIZE));
    }

    /**
     * Whether the first kernel writes the cache. Where it does not, it must not have it as an argument: TornadoVM sees
     * the statement that would write, and does not bring the array to the device.
     */
    private boolean appends() {
        return shape.seqQ() > 0 && !shape.type().isQuantized();
    }

    private int appendFeatures() {
        return features | (shape.interleaved() ? Features.INTERLEAVED : 0);
    }

    private void quantizeTokens(InferenceArrays arrays) {
        int groupSize = groupSize(GROUP_SIZE / 2);
        KernelLauncher.Task task = launcher.task(name + "-quantize", QUANTIZE);
        coding().ifPresent(bytes -> task.replacing(Storage.class, bytes));
        task.with("cachedKey", arrays.key())
                .with("cachedValue", arrays.value())
                .with("groupSize", groupSize)
                .with("features", appendFeatures())
                .groups((long) shape.sequences() * shape.kvHeads() * 2, groupSize);
    }

    private void widen(InferenceArrays arrays, InferenceArrays.Wide wide) {
        KernelLauncher.Task task = launcher.task(name + "-widen", WIDEN);
        coding().ifPresent(bytes -> task.replacing(Storage.class, bytes));
        long rows = (long) shape.sequences() * shape.kvHeads() * shape.pageSize() * shape.pagesPerSequence();
        task.with("cachedKey", arrays.key())
                .with("cachedValue", arrays.value())
                .with("wideKey", wide.key())
                .with("wideValue", wide.value())
                .with("largest", shape.dtype() == DType.F16 ? LARGEST_HALF : Float.MAX_VALUE)
                .overElements(rows * shape.headDim() / 2, groupSize(GROUP_SIZE));
    }

    /** What stands in for {@link Storage}, to which bytes are FP8 numbers, where they are others. */
    private Optional<Class<?>> coding() {
        return shape.type() == CacheType.INT8 ? Optional.of(Int8Pairs.class) : Optional.empty();
    }

    /**
     * What stands in for {@link Storage} where the kernel and the compiler read two 16-bit floats of a cache as a word.
     */
    private Optional<Class<?>> pairs(LaunchedTile tile, Object key) {
        return tile.readsThroughStorage() && key instanceof HalfFloatArray && readsHalfPairs(device.backend())
                ? Optional.of(HalfPairs.class)
                : Optional.empty();
    }

    /** @param left arrays that other kernels of the step have and this one does without */
    private void attention(LaunchedTile tile, Optional<Class<?>> pairs, List<String> left) {
        Launch launch = tile.launch();
        KernelLauncher.Task task = launcher.task(name + launch.suffix(), Kernel.of(launch.owner(), launch.method()));
        launch.numbers().forEach(task::with);
        pairs.ifPresent(reading -> task.replacing(Storage.class, reading));
        if (tile instanceof WarpSplitTile) {
            left.forEach(array -> task.with(array, null));
        }
        int ofStep = (shape.type().isQuantized() ? Features.SCALED : 0) | (shape.sinks() ? Features.SINKS : 0);
        if (ofStep != 0) {
            task.with("features", features | ofStep);
        }
        task.with("splits", tile.splits())
                .with("rows", tile.rows())
                .groups(
                        (long) shape.tiles(tile.rows()) * (shape.kvHeads() / tile.headsOfGroup()) * tile.splits(),
                        tile.groupSize(shape.headDim()));
    }

    /** Appends {@code name-merge} of the parts of chunks over a pool. */
    static void appendChunkMerge(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            StepShape shape,
            int parts,
            Arguments arguments,
            ComputeDevice device) {
        new InferenceTasks(graph, grids, name, shape, arguments, device).mergeOfChunk(parts);
    }

    /** Where there are warp groups there are warps, each of which merges a row of few parts. */
    private void mergeOfChunk(int splits) {
        if (splits > WarpMergePartials.MOST_PARTS) {
            merge(splits);
            return;
        }
        long rows = (long) shape.tokens() * shape.heads();
        launcher.task(name + "-merge", MERGE_OF_CHUNK)
                .with("splits", splits)
                .groups(Math.ceilDiv(rows, WarpMergePartials.ROWS), WarpMergePartials.GROUP);
    }

    private void merge(int splits) {
        int groupSize = groupSize(Math.clamp(shape.headDim(), 32, GROUP_SIZE));
        launcher.task(name + "-merge", MERGE)
                .with("splits", splits)
                .with("groupSize", groupSize)
                .groups((long) shape.tokens() * shape.heads(), groupSize);
    }

    private int groupSize(int wanted) {
        return (int) Math.min(wanted, device.maxGroupSize());
    }

    /** Which compilers read two 16-bit floats as a word. */
    private static boolean readsHalfPairs(Backend backend) {
        return backend == Backend.CUDA || backend == Backend.SIMULATOR;
    }
}
