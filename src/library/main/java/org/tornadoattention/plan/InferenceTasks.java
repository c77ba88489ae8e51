package org.tornadoattention.plan;

import org.tornadoattention.choice.LaneSplitTile;
import org.tornadoattention.choice.SplitTile;
import org.tornadoattention.choice.WarpSplitTile;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.AppendTokens;
import org.tornadoattention.kernel.AppendTokensBits;
import org.tornadoattention.kernel.AppendTokensF16;
import org.tornadoattention.kernel.CommitTokens;
import org.tornadoattention.kernel.MergePartials;
import org.tornadoattention.kernel.MergePartialsBits;
import org.tornadoattention.kernel.MergePartialsF16;
import org.tornadoattention.kernel.QuantizeTokens;
import org.tornadoattention.kernel.QuantizeTokensBits;
import org.tornadoattention.kernel.QuantizeTokensF16;
import org.tornadoattention.kernel.SplitKeyAttention;
import org.tornadoattention.kernel.SplitKeyAttentionBits;
import org.tornadoattention.kernel.SplitKeyAttentionF16;
import org.tornadoattention.kernel.SplitKeyAttentionFp8;
import org.tornadoattention.kernel.SplitKeyAttentionHalfPairs;
import org.tornadoattention.kernel.WarpSplitKeyAttention;
import org.tornadoattention.kernel.WarpSplitKeyAttentionBits;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.tensor.DType;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task12;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task17;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task18;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task19;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task20;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * Turns a step of inference into the tasks append, attention and merge. Type parameters: T is the array of tokens and
 * output, C that of the cache.
 */
final class InferenceTasks {

    private static final int GROUP_SIZE = 128;

    private final TaskGraph graph;
    private final GridScheduler grids;
    private final String name;
    private final StepShape shape;
    private final SplitTile tile;
    private final InferenceArrays arrays;
    private final ComputeDevice device;
    private final int features;

    private InferenceTasks(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            StepShape shape,
            SplitTile tile,
            InferenceArrays arrays,
            ComputeDevice device) {
        this.graph = graph;
        this.grids = grids;
        this.name = name;
        this.shape = shape;
        this.tile = tile;
        this.arrays = arrays;
        this.device = device;
        this.features = features(shape.dtype(), device);
    }

    /** Appends the three tasks {@code name-append}, {@code name-attention} and {@code name-merge}. */
    static void append(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            StepShape shape,
            SplitTile tile,
            InferenceArrays arrays,
            ComputeDevice device) {
        InferenceTasks tasks = new InferenceTasks(graph, grids, name, shape, tile, arrays, device);
        tasks.appendTokens();
        if (shape.fp8()) {
            tasks.quantizeTokens();
        }
        tasks.attention();
        tasks.merge();
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
        InferenceTasks tasks = new InferenceTasks(graph, grids, name, shape, null, arrays, device);
        tasks.appendTokens();
        if (shape.fp8()) {
            tasks.quantizeTokens();
        }
        tasks.commit(receipt);
    }

    private void commit(FloatArray receipt) {
        String task = name + "-commit";
        graph.task(
                task,
                CommitTokens::commit,
                new KernelContext(),
                arrays.sequences(),
                arrays.step(),
                receipt,
                shape.sequences(),
                shape.pagesPerSequence());
        int groupSize = (int) Math.min(GROUP_SIZE / 4, device.maxGroupSize());
        grid(task, Math.ceilDiv(shape.sequences(), groupSize), groupSize);
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
        InferenceArrays arrays = new InferenceArrays(
                null, null, null, null, null, null, partials, output, logSumExp, sequences, step, null, null, null,
                null, null);
        new InferenceTasks(graph, grids, name, shape, new LaneSplitTile(1, 1, 1, parts), arrays, device).merge();
    }

    private void appendTokens() {
        switch (arrays.newQuery()) {
            case FloatArray _ -> appendTokens(FloatArray.class, FloatArray.class, AppendTokens::append);
            case HalfFloatArray _ -> appendTokens(HalfFloatArray.class, HalfFloatArray.class, AppendTokensF16::append);
            case ShortArray _ -> appendTokens(ShortArray.class, IntArray.class, AppendTokensBits::append);
            default -> throw unknown(arrays.newQuery());
        }
    }

    private <T extends TornadoNativeArray, C extends TornadoNativeArray> void appendTokens(
            Class<T> tokens,
            Class<C> cache,
            Task19<
                            KernelContext,
                            T,
                            T,
                            T,
                            FloatArray,
                            C,
                            C,
                            IntArray,
                            IntArray,
                            FloatArray,
                            FloatArray,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer>
                    kernel) {
        String task = name + "-append";
        graph.task(
                task,
                kernel,
                new KernelContext(),
                tokens.cast(arrays.newQuery()),
                tokens.cast(arrays.newKey()),
                tokens.cast(arrays.newValue()),
                arrays.query(),
                cache.cast(appends() ? arrays.key() : arrays.unusedKey()),
                cache.cast(appends() ? arrays.value() : arrays.unusedValue()),
                arrays.sequences(),
                arrays.step(),
                arrays.numbers(),
                arrays.rotary(),
                shape.heads(),
                shape.kvHeads(),
                shape.headDim(),
                shape.seqQ(),
                shape.pageSize(),
                shape.pagesPerSequence(),
                shape.rotaryDim(),
                appendFeatures() | (shape.fp8() ? Features.QUERIES_ONLY : 0));
        int rows = appends() ? shape.heads() + 2 * shape.kvHeads() : shape.heads();
        long items = (long) shape.tokens() * rows * Math.ceilDiv(shape.headDim(), 2);
        int groupSize = (int) Math.min(GROUP_SIZE, device.maxGroupSize());
        grid(task, Math.ceilDiv(items, groupSize), groupSize);
    }

    /**
     * Whether the first kernel writes the cache. Where it does not, it must not have it as an argument: TornadoVM sees the
     * statement that would write, and does not bring the array to the device.
     */
    private boolean appends() {
        return shape.seqQ() > 0 && !shape.fp8();
    }

    private int appendFeatures() {
        return features | (shape.interleaved() ? Features.INTERLEAVED : 0);
    }

    private void quantizeTokens() {
        switch (arrays.newKey()) {
            case FloatArray _ -> quantizeTokens(FloatArray.class, QuantizeTokens::append);
            case HalfFloatArray _ -> quantizeTokens(HalfFloatArray.class, QuantizeTokensF16::append);
            case ShortArray _ -> quantizeTokens(ShortArray.class, QuantizeTokensBits::append);
            default -> throw unknown(arrays.newKey());
        }
    }

    private <T extends TornadoNativeArray> void quantizeTokens(
            Class<T> tokens,
            Task17<
                            KernelContext,
                            T,
                            T,
                            ShortArray,
                            ShortArray,
                            FloatArray,
                            IntArray,
                            IntArray,
                            FloatArray,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer>
                    kernel) {
        String task = name + "-quantize";
        int groupSize = (int) Math.min(GROUP_SIZE / 2, device.maxGroupSize());
        graph.task(
                task,
                kernel,
                new KernelContext(),
                tokens.cast(arrays.newKey()),
                tokens.cast(arrays.newValue()),
                (ShortArray) arrays.key(),
                (ShortArray) arrays.value(),
                arrays.scales(),
                arrays.sequences(),
                arrays.step(),
                arrays.rotary(),
                shape.kvHeads(),
                shape.headDim(),
                shape.seqQ(),
                shape.pageSize(),
                shape.pagesPerSequence(),
                shape.rotaryDim(),
                groupSize,
                appendFeatures());
        grid(task, (long) shape.sequences() * shape.kvHeads() * 2, groupSize);
    }

    private void attention() {
        switch (tile) {
            case LaneSplitTile lanes -> attention(lanes);
            case WarpSplitTile warps -> attention(warps);
        }
    }

    private void attention(LaneSplitTile lanes) {
        switch (arrays.key()) {
            case FloatArray _ -> attention(lanes, FloatArray.class, SplitKeyAttention::attention);
            case HalfFloatArray _ ->
                attention(
                        lanes,
                        HalfFloatArray.class,
                        readsHalfPairs(device.backend())
                                ? SplitKeyAttentionHalfPairs::attention
                                : SplitKeyAttentionF16::attention);
            case IntArray _ -> attention(lanes, IntArray.class, SplitKeyAttentionBits::attention);
            case ShortArray _ -> attention(lanes, ShortArray.class, SplitKeyAttentionFp8::attention);
            default -> throw unknown(arrays.key());
        }
    }

    private <C extends TornadoNativeArray> void attention(
            LaneSplitTile lanes,
            Class<C> cache,
            Task20<
                            KernelContext,
                            FloatArray,
                            C,
                            C,
                            FloatArray,
                            IntArray,
                            IntArray,
                            FloatArray,
                            FloatArray,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer>
                    kernel) {
        String task = name + "-attention";
        graph.task(
                task,
                kernel,
                new KernelContext(),
                arrays.query(),
                cache.cast(arrays.key()),
                cache.cast(arrays.value()),
                arrays.partials(),
                arrays.sequences(),
                arrays.step(),
                arrays.numbers(),
                arrays.scales(),
                shape.kvHeads(),
                shape.group(),
                shape.headDim(),
                shape.seqQ(),
                shape.pageSize(),
                shape.pagesPerSequence(),
                lanes.splits(),
                lanes.rows(),
                lanes.dims(),
                lanes.slots(),
                features | (shape.fp8() ? Features.SCALED : 0));
        attentionGrid(task);
    }

    private void attention(WarpSplitTile warps) {
        switch (arrays.key()) {
            case HalfFloatArray _ -> attention(warps, HalfFloatArray.class, WarpSplitKeyAttention::attention);
            case IntArray _ -> attention(warps, IntArray.class, WarpSplitKeyAttentionBits::attention);
            default -> throw unknown(arrays.key());
        }
    }

    private <C extends TornadoNativeArray> void attention(
            WarpSplitTile warps,
            Class<C> cache,
            Task18<
                            KernelContext,
                            FloatArray,
                            C,
                            C,
                            FloatArray,
                            IntArray,
                            IntArray,
                            FloatArray,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer>
                    kernel) {
        String task = name + "-attention";
        graph.task(
                task,
                kernel,
                new KernelContext(),
                arrays.query(),
                cache.cast(arrays.key()),
                cache.cast(arrays.value()),
                arrays.partials(),
                arrays.sequences(),
                arrays.step(),
                arrays.numbers(),
                shape.kvHeads(),
                shape.group(),
                shape.headDim(),
                shape.seqQ(),
                shape.pageSize(),
                shape.pagesPerSequence(),
                warps.splits(),
                warps.rows(),
                warps.warps(),
                warps.stages());
        attentionGrid(task);
    }

    private void attentionGrid(String task) {
        grid(task, (long) shape.tiles(tile.rows()) * shape.kvHeads() * tile.splits(), tile.groupSize(shape.headDim()));
    }

    private void merge() {
        switch (arrays.output()) {
            case FloatArray _ -> merge(FloatArray.class, MergePartials::merge);
            case HalfFloatArray _ -> merge(HalfFloatArray.class, MergePartialsF16::merge);
            case ShortArray _ -> merge(ShortArray.class, MergePartialsBits::merge);
            default -> throw unknown(arrays.output());
        }
    }

    private <T extends TornadoNativeArray> void merge(
            Class<T> output,
            Task12<
                            KernelContext,
                            FloatArray,
                            T,
                            FloatArray,
                            IntArray,
                            IntArray,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer,
                            Integer>
                    kernel) {
        String task = name + "-merge";
        int groupSize = (int) Math.min(Math.clamp(shape.headDim(), 32, GROUP_SIZE), device.maxGroupSize());
        graph.task(
                task,
                kernel,
                new KernelContext(),
                arrays.partials(),
                output.cast(arrays.output()),
                arrays.logSumExp(),
                arrays.sequences(),
                arrays.step(),
                shape.heads(),
                shape.headDim(),
                shape.seqQ(),
                tile.splits(),
                groupSize,
                features);
        grid(task, (long) shape.tokens() * shape.heads(), groupSize);
    }

    /** Which compilers read two 16-bit floats as a word. */
    private static boolean readsHalfPairs(Backend backend) {
        return backend == Backend.CUDA || backend == Backend.SIMULATOR;
    }

    /** How raw bits are to be read and written; typed arrays ignore it. */
    static int features(DType dtype, ComputeDevice device) {
        return switch (dtype) {
            case F32 -> 0;
            case F16 -> Features.F16_BITS;
            case BF16 -> device.backend().hasBFloat16() ? Features.NATIVE_BF16 : 0;
        };
    }

    private void grid(String task, long groups, int groupSize) {
        WorkerGrid1D grid = new WorkerGrid1D(Math.toIntExact(groups * groupSize));
        grid.setLocalWork(groupSize, 1, 1);
        grids.addWorkerGrid(graph.getTaskGraphName() + "." + task, grid);
    }

    private static IllegalStateException unknown(TornadoNativeArray array) {
        return new IllegalStateException("No inference kernel reads " + array.getClass());
    }
}
