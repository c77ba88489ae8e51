package org.tornadoattention.embeddings;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.cache.RaggedAttention;
import org.tornadoattention.cache.RaggedTasks;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.device.ReplayedPlan;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.kernel.MatrixProduct;
import org.tornadoattention.kernel.WarpGroupProduct;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * A whole encoder as one task graph: tokens go to the device, vectors come back, weights and rows stay there. A graph
 * has room for a power of two of tokens; those of a few sizes are kept.
 */
final class GraphEncoder implements Encoder {

    private static final int FEWEST_TOKENS = 256;
    private static final int PLANS = 4;
    /** Tokens for each sequence that there is room for. */
    private static final int TOKENS_OF_SEQUENCE = 16;

    private static final int GROUP_SIZE = 128;

    private final BertWeights weights;
    private final Pooling pooling;
    private final ComputeDevice device;
    private final boolean half;
    /** Whether products are those of warp groups, whose factors are in F16. */
    private final boolean warpGroups;

    private final RaggedAttention attention;
    private final int sequencesAtOnce;
    private final FloatArray words;
    private final FloatArray positions;
    private final DeviceNorm embeddingNorm;
    private final List<DeviceLayer> layers;
    private final Map<Integer, Plan> plans = new LinkedHashMap<>(PLANS, 0.75f, true);

    /**
     * A matrix {@code [depth, columns]} and what is added. For warp groups it is {@code [columns, depth]}, F16's bits,
     * and the other one has an element only.
     */
    private record DeviceDense(FloatArray matrix, ShortArray turned, FloatArray bias, int depth, int columns) {
        DeviceDense(BertWeights.Dense dense, boolean warpGroups) {
            this(
                    warpGroups ? new FloatArray(1) : FloatArray.fromArray(dense.matrix()),
                    warpGroups ? turned(dense) : new ShortArray(1),
                    FloatArray.fromArray(dense.bias()),
                    dense.depth(),
                    dense.columns());
        }

        private static ShortArray turned(BertWeights.Dense dense) {
            ShortArray turned = new ShortArray(dense.matrix().length);
            for (int k = 0; k < dense.depth(); k++) {
                for (int column = 0; column < dense.columns(); column++) {
                    float value = dense.matrix()[k * dense.columns() + column];
                    turned.set(column * dense.depth() + k, Float.floatToFloat16(value));
                }
            }
            return turned;
        }
    }

    private record DeviceNorm(FloatArray scale, FloatArray shift) {
        DeviceNorm(BertWeights.Norm norm) {
            this(FloatArray.fromArray(norm.scale()), FloatArray.fromArray(norm.shift()));
        }
    }

    private record DeviceLayer(
            DeviceDense queriesKeysValues,
            DeviceDense attentionOutput,
            DeviceNorm attentionNorm,
            DeviceDense intermediate,
            DeviceDense output,
            DeviceNorm outputNorm) {
        DeviceLayer(BertWeights.Layer layer, boolean warpGroups) {
            this(
                    new DeviceDense(layer.queriesKeysValues(), warpGroups),
                    new DeviceDense(layer.attentionOutput(), warpGroups),
                    new DeviceNorm(layer.attentionNorm()),
                    new DeviceDense(layer.intermediate(), warpGroups),
                    new DeviceDense(layer.output(), warpGroups),
                    new DeviceNorm(layer.outputNorm()));
        }
    }

    /**
     * An encoder on a device.
     *
     * @param type of products and attention: F32, or F16 on tensor cores with sums in F32
     * @param tokensPerBatch tokens of a call, but for a sequence that has more by itself
     */
    GraphEncoder(BertWeights weights, Pooling pooling, ComputeDevice device, DType type, int tokensPerBatch) {
        this.weights = weights;
        this.pooling = pooling;
        this.device = device;
        half = type == DType.F16;
        if (half && !device.extension().level().include(Intrinsics.WARP)) {
            throw new UnsupportedOnDeviceException(device, "products on tensor cores in F16", "use F32");
        }
        warpGroups = half
                && device.extension().level().include(Intrinsics.WARP_GROUP)
                && weights.width() % WarpGroupProduct.DEPTH == 0
                && weights.layers().getFirst().intermediate().columns() % WarpGroupProduct.DEPTH == 0;
        attention = new RaggedAttention(device);
        sequencesAtOnce = room(tokensPerBatch) / TOKENS_OF_SEQUENCE;
        words = FloatArray.fromArray(weights.words());
        positions = FloatArray.fromArray(weights.positions());
        embeddingNorm = new DeviceNorm(weights.embeddingNorm());
        layers = weights.layers().stream()
                .map(layer -> new DeviceLayer(layer, warpGroups))
                .toList();
    }

    private static int room(int tokens) {
        return Math.max(FEWEST_TOKENS, Integer.highestOneBit(Math.max(1, 2 * tokens - 1)));
    }

    @Override
    public int sequencesAtOnce() {
        return sequencesAtOnce;
    }

    @Override
    public synchronized Vectors encode(int[] tokens, int[] offsets) {
        int room = room(Math.max(tokens.length, TOKENS_OF_SEQUENCE * (offsets.length - 1)));
        if (!plans.containsKey(room) && plans.size() == PLANS) {
            Iterator<Plan> leastRecentlyUsed = plans.values().iterator();
            leastRecentlyUsed.next().close();
            leastRecentlyUsed.remove();
        }
        return plans.computeIfAbsent(room, Plan::new).encode(tokens, offsets);
    }

    @Override
    public synchronized void close() {
        plans.values().forEach(Plan::close);
        plans.clear();
        attention.close();
    }

    /** A graph for so many tokens. */
    private final class Plan {

        private final int rows;
        private final int sequences;
        private final IntArray tokens;
        private final IntArray places;
        private final IntArray offsets;
        private final FloatArray vectors;
        private final FloatArray lengths;
        private final TaskGraph graph = new TaskGraph("encoder");
        private final GridScheduler grids = new GridScheduler();
        /** In place of what products do not write. */
        private final ShortArray[] notWritten = {new ShortArray(8), new ShortArray(8), new ShortArray(8)};

        private final FloatArray notUsed = new FloatArray(8);

        private final RaggedTasks sharedAttention;
        private final Tensor q;
        private final Tensor k;
        private final Tensor v;
        private final Tensor attended;
        private final Tensor logSumExp;
        private final TornadoExecutionPlan plan;
        private Optional<ReplayedPlan> replayed = Optional.empty();

        Plan(int room) {
            rows = room;
            sequences = room / TOKENS_OF_SEQUENCE;
            int width = weights.width();
            int headDim = width / weights.heads();
            DType type = half ? DType.F16 : DType.F32;
            tokens = new IntArray(rows);
            places = new IntArray(rows);
            offsets = new IntArray(sequences + 1);
            vectors = new FloatArray(sequences * width);
            lengths = new FloatArray(sequences);
            q = Tensor.allocate(type, rows, weights.heads(), headDim);
            k = Tensor.allocate(type, rows, weights.heads(), headDim);
            v = Tensor.allocate(type, rows, weights.heads(), headDim);
            attended = Tensor.allocate(type, rows, weights.heads(), headDim);
            logSumExp = Tensor.allocate(DType.F32, rows, weights.heads());
            graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, tokens, places, offsets, lengths);
            stays(words, positions, vectors);
            stays((Object[]) notWritten);
            stays(notUsed);
            stays(q.array(), k.array(), v.array(), attended.array(), logSumExp.array());
            sharedAttention = attention.tasks(graph, grids, q, k, sequences, AttentionOptions.defaults());
            append(width);
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, vectors, lengths);
            plan = new TornadoExecutionPlan(graph.snapshot());
            plan.withDevice(device.handle()).withGridScheduler(grids);
        }

        private void append(int width) {
            FloatArray x = rows(width);
            FloatArray added = rows(width);
            graph.task("embed", EncoderKernels::embed, tokens, places, words, positions, x, added, width);
            grid("embed", x.getSize(), GROUP_SIZE);
            if (warpGroups) {
                appendByWarpGroups(x, added, width);
            } else {
                appendLayers(x, added, width);
            }
            graph.task(
                    "pool",
                    EncoderKernels::pool,
                    new KernelContext(),
                    x,
                    offsets,
                    vectors,
                    lengths,
                    width,
                    pooling == Pooling.FIRST ? 1 : 0);
            grid("pool", sequences * EncoderKernels.POOL_GROUP, EncoderKernels.POOL_GROUP);
        }

        /** What a product reads is F16, and was written so by the task before it. */
        private void appendByWarpGroups(FloatArray x, FloatArray added, int width) {
            ShortArray narrow = narrowRows(width);
            ShortArray projected = narrowRows(3 * width);
            ShortArray attendedBits = narrowRows(width);
            ShortArray inner = narrowRows(layers.getFirst().intermediate().columns());
            normaliseByWarps("embeddings-norm", x, added, embeddingNorm, narrow);
            for (int i = 0; i < layers.size(); i++) {
                DeviceLayer layer = layers.get(i);
                String name = "layer" + i + "-";
                narrowProduct(name + "qkv", narrow, layer.queriesKeysValues(), projected, MatrixProduct.BIAS);
                graph.task(
                        name + "split",
                        EncoderKernels::splitBits,
                        new KernelContext(),
                        projected,
                        q.halfFloatArray(),
                        k.halfFloatArray(),
                        v.halfFloatArray(),
                        width);
                grid(name + "split", q.numberOfElements() / 8, GROUP_SIZE);
                sharedAttention.append(name + "attention", q, k, v, attended, logSumExp);
                graph.task(
                        name + "bits",
                        EncoderKernels::bits,
                        new KernelContext(),
                        attended.halfFloatArray(),
                        attendedBits);
                grid(name + "bits", attendedBits.getSize() / 2, GROUP_SIZE);
                wideProduct(name + "out", attendedBits, layer.attentionOutput(), added);
                normaliseByWarps(name + "norm1", x, added, layer.attentionNorm(), narrow);
                narrowProduct(name + "up", narrow, layer.intermediate(), inner, MatrixProduct.BIAS_GELU);
                wideProduct(name + "down", inner, layer.output(), added);
                normaliseByWarps(name + "norm2", x, added, layer.outputNorm(), narrow);
            }
        }

        private void appendLayers(FloatArray x, FloatArray added, int width) {
            FloatArray projected = rows(3 * width);
            FloatArray heads = half ? rows(width) : attended.floatArray();
            normalise("embeddings-norm", x, added, embeddingNorm);
            FloatArray inner = rows(layers.getFirst().intermediate().columns());
            for (int i = 0; i < layers.size(); i++) {
                DeviceLayer layer = layers.get(i);
                String name = "layer" + i + "-";
                product(name + "qkv", x, layer.queriesKeysValues(), projected, MatrixProduct.BIAS);
                split(name + "split", projected, width);
                sharedAttention.append(name + "attention", q, k, v, attended, logSumExp);
                if (half) {
                    graph.task(name + "widen", EncoderKernels::widen, attended.halfFloatArray(), heads);
                    grid(name + "widen", heads.getSize(), GROUP_SIZE);
                }
                product(name + "out", heads, layer.attentionOutput(), added, MatrixProduct.BIAS);
                normalise(name + "norm1", x, added, layer.attentionNorm());
                product(name + "up", x, layer.intermediate(), inner, MatrixProduct.BIAS_GELU);
                product(name + "down", inner, layer.output(), added, MatrixProduct.BIAS);
                normalise(name + "norm2", x, added, layer.outputNorm());
            }
        }

        private FloatArray rows(int width) {
            FloatArray array = new FloatArray(Math.multiplyExact(rows, width));
            stays(array);
            return array;
        }

        /** What is transferred is freed with the plan. */
        private void stays(Object... arrays) {
            graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, arrays);
        }

        private void split(String task, FloatArray projected, int width) {
            if (half) {
                graph.task(
                        task,
                        EncoderKernels::splitToHalf,
                        new KernelContext(),
                        projected,
                        q.halfFloatArray(),
                        k.halfFloatArray(),
                        v.halfFloatArray(),
                        width);
                grid(task, q.numberOfElements() / 2, GROUP_SIZE);
            } else {
                graph.task(
                        task, EncoderKernels::split, projected, q.floatArray(), k.floatArray(), v.floatArray(), width);
                grid(task, q.numberOfElements(), GROUP_SIZE);
            }
        }

        private void normalise(String task, FloatArray x, FloatArray added, DeviceNorm norm) {
            stays(norm.scale(), norm.shift());
            graph.task(
                    task,
                    EncoderKernels::addAndNormalise,
                    new KernelContext(),
                    x,
                    added,
                    norm.scale(),
                    norm.shift(),
                    weights.width(),
                    (float) BertWeights.Norm.EPSILON);
            grid(task, rows * EncoderKernels.ROW_GROUP, EncoderKernels.ROW_GROUP);
        }

        private void normaliseByWarps(String task, FloatArray x, FloatArray added, DeviceNorm norm, ShortArray narrow) {
            stays(norm.scale(), norm.shift());
            graph.task(
                    task,
                    EncoderKernels::addAndNormaliseByWarps,
                    new KernelContext(),
                    x,
                    added,
                    norm.scale(),
                    norm.shift(),
                    narrow,
                    weights.width(),
                    (float) BertWeights.Norm.EPSILON);
            grid(task, rows * 32, EncoderKernels.WARPS_GROUP);
        }

        private ShortArray narrowRows(int width) {
            ShortArray array = new ShortArray(Math.multiplyExact(rows, width));
            stays(array);
            return array;
        }

        private void narrowProduct(String task, ShortArray a, DeviceDense dense, ShortArray c, int ending) {
            warpGroupProduct(task, a, dense, notUsed, c, WarpGroupProduct.NARROW, ending);
        }

        private void wideProduct(String task, ShortArray a, DeviceDense dense, FloatArray c) {
            warpGroupProduct(task, a, dense, c, notWritten[0], 0, MatrixProduct.BIAS);
        }

        private void warpGroupProduct(
                String task, ShortArray a, DeviceDense dense, FloatArray c, ShortArray narrow, int form, int ending) {
            stays(dense.turned(), dense.bias());
            int tile = WarpGroupProduct.tile(rows, dense.columns(), form, 1, device.computeUnits());
            graph.task(
                    task,
                    WarpGroupProduct::multiply,
                    new KernelContext(),
                    a,
                    dense.turned(),
                    a,
                    a,
                    dense.bias(),
                    c,
                    narrow,
                    notWritten[1],
                    notWritten[2],
                    rows,
                    dense.columns(),
                    dense.depth(),
                    tile,
                    1,
                    form,
                    ending,
                    Warp.F16,
                    rows,
                    dense.columns());
            int group = WarpGroupProduct.group(tile);
            grid(task, group * WarpGroupProduct.groups(rows, dense.columns(), tile, 1), group);
        }

        private void product(String task, FloatArray a, DeviceDense dense, FloatArray c, int ending) {
            stays(dense.matrix(), dense.bias());
            int depth = dense.depth();
            int columns = dense.columns();
            int groups = half ? MatrixProduct.groupsOnTensorCores(rows, columns, depth, depth, columns, 1) : 0;
            if (groups > 0) {
                graph.task(
                        task,
                        MatrixProduct::onTensorCores,
                        new KernelContext(),
                        a,
                        dense.matrix(),
                        dense.bias(),
                        c,
                        rows,
                        columns,
                        depth,
                        depth,
                        1,
                        columns,
                        1,
                        1,
                        ending,
                        Warp.F16);
                grid(task, MatrixProduct.GROUP * groups, MatrixProduct.GROUP);
            } else {
                graph.task(
                        task,
                        MatrixProduct::tiled,
                        new KernelContext(),
                        a,
                        dense.matrix(),
                        dense.bias(),
                        c,
                        rows,
                        columns,
                        depth,
                        depth,
                        1,
                        columns,
                        1,
                        1,
                        ending);
                grid(task, MatrixProduct.GROUP * MatrixProduct.groups(rows, columns, 1), MatrixProduct.GROUP);
            }
        }

        private void grid(String task, int workItems, int groupSize) {
            WorkerGrid1D grid = new WorkerGrid1D(Math.ceilDiv(workItems, groupSize) * groupSize);
            grid.setLocalWork(groupSize, 1, 1);
            grids.addWorkerGrid("encoder." + task, grid);
        }

        Vectors encode(int[] given, int[] division) {
            int count = division.length - 1;
            for (int row = 0; row < rows; row++) {
                tokens.set(row, row < given.length ? given[row] : 0);
                places.set(row, 0);
            }
            for (int sequence = 0; sequence < count; sequence++) {
                for (int row = division[sequence]; row < division[sequence + 1]; row++) {
                    places.set(row, row - division[sequence]);
                }
            }
            for (int sequence = 0; sequence <= sequences; sequence++) {
                offsets.set(sequence, division[Math.min(sequence, count)]);
            }
            IntArray exactly = IntArray.fromArray(division);
            sharedAttention.divide(exactly, exactly);
            lengths.init(Float.NaN); // so that a launch that failed without a word shows
            execute();
            float[][] unit = new float[count][weights.width()];
            float[] found = new float[count];
            MemorySegment.copy(lengths.getSegment(), ValueLayout.JAVA_FLOAT, 0, found, 0, count);
            long vectorBytes = (long) weights.width() * Float.BYTES;
            for (int sequence = 0; sequence < count; sequence++) {
                if (!Float.isFinite(found[sequence])) {
                    throw new AttentionException(
                            "The encoder's graph gave no vector on %s: see standard error for the driver's message."
                                    .formatted(device));
                }
                MemorySegment.copy(
                        vectors.getSegment(),
                        ValueLayout.JAVA_FLOAT,
                        sequence * vectorBytes,
                        unit[sequence],
                        0,
                        weights.width());
            }
            return new Vectors(unit, found);
        }

        /** On CUDA the driver is given again what the interpreter gave it once. */
        private void execute() {
            if (device.backend() != Backend.CUDA) {
                plan.execute();
            } else if (replayed.isEmpty()) {
                replayed = Optional.of(ReplayedPlan.of(plan, device));
            } else {
                replayed.get().execute();
            }
        }

        void close() {
            try {
                plan.close();
            } catch (TornadoExecutionPlanException e) {
                throw new IllegalStateException("TornadoVM could not free the device's memory.", e);
            }
        }
    }
}
