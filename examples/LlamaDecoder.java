//SOURCES jbang/Setup.java
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.cache.CacheOptions;
import org.tornadoattention.cache.KvCache;
import org.tornadoattention.cache.RotaryEmbedding;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.ImmutableTaskGraph;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;

/**
 * A decoder that feeds itself: the attention stack of a Llama, with random weights, token by token. Eight layers are
 * one task graph, since TornadoVM has 8 KiB for what a graph's tasks take; of each layer {@code x = x + Wo
 * attention(rope(Wq norm(x)), rope(Wk norm(x)), Wv norm(x))} with a key-value cache that grows on the device. Nothing
 * but the last layer's output leaves it. Where there are CUDA graphs, a second run has the layers as those.
 *
 * <p>{@code ./attention example LlamaDecoder} runs a toy; {@code ./attention example LlamaDecoder 32 32 8 128 1024 f16}
 * has the shape of Llama 3 8B: layers, query heads, KV heads, head dimension, tokens, type of weights and caches (f32
 * or f16).
 */
class LlamaDecoder {

    static final int GROUP = 64;
    static final int LAYERS_OF_A_GRAPH = 8;

    /** Random weights that fill all matrices, each from another place on: a prime. */
    static final int RANDOM_WEIGHTS = 999_983;

    record Size(int layers, int heads, int kvHeads, int headDim, int tokens, DType dtype) {

        int model() {
            return heads * headDim;
        }
    }

    /** {@code y = x / rms(x)}, in one group. */
    static void normalise(KernelContext context, FloatArray x, FloatArray y, int size, int groupSize) {
        float[] squares = context.allocateFloatLocalArray(groupSize);
        int item = context.localIdx;
        float sum = 0f;
        for (int i = item; i < size; i += groupSize) {
            sum += x.get(i) * x.get(i);
        }
        squares[item] = sum;
        context.localBarrier();
        sum = 0f;
        for (int other = 0; other < groupSize; other++) {
            sum += squares[other];
        }
        float scale = 1f / TornadoMath.sqrt(sum / size + 1e-5f);
        for (int i = item; i < size; i += groupSize) {
            y.set(i, scale * x.get(i));
        }
    }

    /** {@code y = W x}: a row of W a group. */
    static void multiply(KernelContext context, FloatArray w, FloatArray x, FloatArray y, int columns, int groupSize) {
        float[] partial = context.allocateFloatLocalArray(groupSize);
        float sum = 0f;
        for (int i = context.localIdx; i < columns; i += groupSize) {
            sum += w.get(context.groupIdx * columns + i) * x.get(i);
        }
        partial[context.localIdx] = sum;
        context.localBarrier();
        if (context.localIdx == 0) {
            float total = 0f;
            for (int other = 0; other < groupSize; other++) {
                total += partial[other];
            }
            y.set(context.groupIdx, total);
        }
    }

    /** {@code y = y + W x}. */
    static void multiplyAdd(
            KernelContext context, FloatArray w, FloatArray x, FloatArray y, int columns, int groupSize) {
        float[] partial = context.allocateFloatLocalArray(groupSize);
        float sum = 0f;
        for (int i = context.localIdx; i < columns; i += groupSize) {
            sum += w.get(context.groupIdx * columns + i) * x.get(i);
        }
        partial[context.localIdx] = sum;
        context.localBarrier();
        if (context.localIdx == 0) {
            float total = y.get(context.groupIdx);
            for (int other = 0; other < groupSize; other++) {
                total += partial[other];
            }
            y.set(context.groupIdx, total);
        }
    }

    /** {@link #multiply} with weights and result in F16. */
    static void multiplyF16(
            KernelContext context, HalfFloatArray w, FloatArray x, HalfFloatArray y, int columns, int groupSize) {
        float[] partial = context.allocateFloatLocalArray(groupSize);
        float sum = 0f;
        for (int i = context.localIdx; i < columns; i += groupSize) {
            sum += w.get(context.groupIdx * columns + i).getFloat32() * x.get(i);
        }
        partial[context.localIdx] = sum;
        context.localBarrier();
        if (context.localIdx == 0) {
            float total = 0f;
            for (int other = 0; other < groupSize; other++) {
                total += partial[other];
            }
            y.set(context.groupIdx, new HalfFloat(total));
        }
    }

    /** {@link #multiplyAdd} with weights and factor in F16. */
    static void multiplyAddF16(
            KernelContext context, HalfFloatArray w, HalfFloatArray x, FloatArray y, int columns, int groupSize) {
        float[] partial = context.allocateFloatLocalArray(groupSize);
        float sum = 0f;
        for (int i = context.localIdx; i < columns; i += groupSize) {
            sum += w.get(context.groupIdx * columns + i).getFloat32() * x.get(i).getFloat32();
        }
        partial[context.localIdx] = sum;
        context.localBarrier();
        if (context.localIdx == 0) {
            float total = y.get(context.groupIdx);
            for (int other = 0; other < groupSize; other++) {
                total += partial[other];
            }
            y.set(context.groupIdx, total);
        }
    }

    /** {@code y = x}, in one group. */
    static void copy(KernelContext context, FloatArray x, FloatArray y, int groupSize) {
        for (int i = context.localIdx; i < y.getSize(); i += groupSize) {
            y.set(i, x.get(i));
        }
    }

    static void main(String[] arguments) {
        Example.run(
                LlamaDecoder.class,
                "[LAYERS [HEADS [KV_HEADS [HEAD_DIM [TOKENS [TYPE]]]]]]",
                arguments,
                LlamaDecoder::decode);
    }

    static void decode(String[] arguments) throws TornadoExecutionPlanException {
        Size size = new Size(
                Example.number(arguments, 0, 2, 1),
                Example.number(arguments, 1, 4, 1),
                Example.number(arguments, 2, 2, 1),
                Example.number(arguments, 3, 16, 1),
                Example.number(arguments, 4, 24, 1),
                arguments.length > 5 ? DType.parse(arguments[5]) : DType.F32);
        ComputeDevice device = Devices.bestForTaskGraphs();
        System.out.printf(
                "%d layers of %d/%d heads x %d, %,d tokens, %s, on %s%n",
                size.layers, size.heads, size.kvHeads, size.headDim, size.tokens, size.dtype, device);
        decode(size, device, false);
        if (device.backend() == Backend.CUDA) {
            decode(size, device, true);
        }
    }

    static void decode(Size size, ComputeDevice device, boolean cudaGraph) throws TornadoExecutionPlanException {
        int model = size.model();
        int keyRows = size.kvHeads * size.headDim;
        DType dtype = size.dtype;
        FloatArray x = Tensor.random(DType.F32, 1, model).floatArray();
        FloatArray norm = new FloatArray(model);
        Tensor q = Tensor.allocate(dtype, 1, size.heads, 1, size.headDim);
        Tensor k = Tensor.allocate(dtype, 1, size.kvHeads, 1, size.headDim);
        Tensor v = Tensor.allocate(dtype, 1, size.kvHeads, 1, size.headDim);
        Tensor o = Tensor.allocate(dtype, 1, size.heads, 1, size.headDim);
        Tensor logSumExp = Tensor.allocate(DType.F32, 1, size.heads, 1);
        CacheOptions options = CacheOptions.of(dtype)
                .on(device)
                .withRotary(RotaryEmbedding.of(size.headDim, RotaryEmbedding.Style.INTERLEAVED)
                        .withBase(500_000));

        GridScheduler grids = new GridScheduler();
        List<TaskGraph> graphs = new ArrayList<>();
        FloatArray last = new FloatArray(model);
        Object[] activations = {x, norm, q.array(), k.array(), v.array(), o.array(), logSumExp.array()};
        List<KvCache> caches = new ArrayList<>();
        double weightBytes = 0;
        Tensor random = randomWeights(dtype, model);
        for (int layer = 0; layer < size.layers; layer++) {
            Tensor wQ = weights(random, 4 * layer, model, model);
            Tensor wK = weights(random, 4 * layer + 1, keyRows, model);
            Tensor wV = weights(random, 4 * layer + 2, keyRows, model);
            Tensor wO = weights(random, 4 * layer + 3, model, model);
            weightBytes += 2 * wQ.byteSize() + 2 * wK.byteSize();
            KvCache cache = KvCache.builder()
                    .batch(1)
                    .heads(size.heads, size.kvHeads)
                    .headDim(size.headDim)
                    .capacity(size.tokens)
                    .options(options)
                    .build();
            caches.add(cache);

            String name = "layer" + layer;
            if (layer % LAYERS_OF_A_GRAPH == 0) {
                TaskGraph next = new TaskGraph("decoder" + graphs.size());
                graphs.add(
                        layer == 0
                                ? next.transferToDevice(DataTransferMode.FIRST_EXECUTION, activations)
                                : next.consumeFromDevice("decoder0", activations));
            }
            TaskGraph graph = graphs.getLast();
            graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, wQ.array(), wK.array(), wV.array(), wO.array());
            graph.task(name + "-norm", LlamaDecoder::normalise, new KernelContext(), x, norm, model, GROUP);
            grid(graph, grids, name + "-norm", 1);
            multiplyTask(graph, grids, name + "-q", wQ, norm, q);
            multiplyTask(graph, grids, name + "-k", wK, norm, k);
            multiplyTask(graph, grids, name + "-v", wV, norm, v);
            cache.appendTo(graph, grids, name, q, k, v, o, logSumExp, AttentionOptions.causal());
            multiplyAddTask(graph, grids, name + "-o", wO, o, x);
        }
        graphs.getLast()
                .transferToDevice(DataTransferMode.FIRST_EXECUTION, last)
                .task("last", LlamaDecoder::copy, new KernelContext(), x, last, GROUP)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, last);
        grid(graphs.getLast(), grids, "last", 1);
        graphs.getFirst().persistOnDevice(activations);

        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(
                graphs.stream().map(TaskGraph::snapshot).toArray(ImmutableTaskGraph[]::new))) {
            plan.withDevice(device.handle()).withGridScheduler(grids);
            if (cudaGraph) {
                plan.withCUDAGraph();
            }
            step(plan, graphs.size()); // compiles, and takes the weights to the device
            long start = System.nanoTime();
            for (int token = 1; token < size.tokens - 1; token++) {
                step(plan, graphs.size());
            }
            double seconds = (System.nanoTime() - start) / 1e9;
            double cacheBytes = 2.0 * size.layers * keyRows * dtype.byteSize() * size.tokens;
            System.out.printf(
                    "%.1f tokens/s%s, %.1f GB/s of weights and cache (%,.0f and, at the end, %,.0f bytes)%n",
                    (size.tokens - 2) / seconds,
                    cudaGraph ? " as CUDA graphs" : "",
                    (weightBytes + cacheBytes / 2) * (size.tokens - 2) / seconds / 1e9,
                    weightBytes,
                    cacheBytes);
            if (cudaGraph) {
                step(plan, graphs.size());
            } else {
                double kernelSeconds = profiledStep(plan, graphs.size()) / 1e9;
                System.out.printf(
                        "last token: %.3f ms in kernels, %.1f GB/s%n",
                        1e3 * kernelSeconds, (weightBytes + cacheBytes) / kernelSeconds / 1e9);
            }
            double squares = 0;
            for (int i = 0; i < model; i++) {
                squares += (double) last.get(i) * last.get(i);
            }
            System.out.printf("root mean square of x after %d tokens: %.6f%n", size.tokens, Math.sqrt(squares / model));
        }
        caches.forEach(KvCache::close);
    }

    /** A token through all layers. */
    static void step(TornadoExecutionPlan plan, int graphs) {
        for (int graph = 0; graph < graphs; graph++) {
            plan.withGraph(graph).execute();
        }
    }

    /** The time that the kernels of a token take, in nanoseconds. */
    static long profiledStep(TornadoExecutionPlan plan, int graphs) {
        plan.withProfiler(ProfilerMode.SILENT);
        long time = 0;
        for (int graph = 0; graph < graphs; graph++) {
            time += plan.withGraph(graph).execute().getProfilerResult().getDeviceKernelTime();
        }
        return time;
    }

    static void multiplyTask(TaskGraph graph, GridScheduler grids, String name, Tensor w, FloatArray x, Tensor y) {
        int columns = w.dimension(1);
        if (w.dtype() == DType.F16) {
            HalfFloatArray weights = (HalfFloatArray) w.array();
            HalfFloatArray result = (HalfFloatArray) y.array();
            graph.task(name, LlamaDecoder::multiplyF16, new KernelContext(), weights, x, result, columns, GROUP);
        } else {
            graph.task(
                    name,
                    LlamaDecoder::multiply,
                    new KernelContext(),
                    w.floatArray(),
                    x,
                    y.floatArray(),
                    columns,
                    GROUP);
        }
        grid(graph, grids, name, w.dimension(0));
    }

    static void multiplyAddTask(TaskGraph graph, GridScheduler grids, String name, Tensor w, Tensor x, FloatArray y) {
        int columns = w.dimension(1);
        if (w.dtype() == DType.F16) {
            HalfFloatArray weights = (HalfFloatArray) w.array();
            HalfFloatArray factor = (HalfFloatArray) x.array();
            graph.task(name, LlamaDecoder::multiplyAddF16, new KernelContext(), weights, factor, y, columns, GROUP);
        } else {
            graph.task(
                    name,
                    LlamaDecoder::multiplyAdd,
                    new KernelContext(),
                    w.floatArray(),
                    x.floatArray(),
                    y,
                    columns,
                    GROUP);
        }
        grid(graph, grids, name, w.dimension(0));
    }

    static void grid(TaskGraph graph, GridScheduler grids, String name, int groups) {
        WorkerGrid1D grid = new WorkerGrid1D(groups * GROUP);
        grid.setLocalWork(GROUP, 1, 1);
        grids.addWorkerGrid(graph.getTaskGraphName() + "." + name, grid);
    }

    /** Weights that keep the size of what they multiply. */
    static Tensor randomWeights(DType dtype, int columns) {
        float[] weights = Tensor.random(DType.F32, 2, RANDOM_WEIGHTS).toFloatArray();
        for (int i = 0; i < weights.length; i++) {
            weights[i] /= (float) Math.sqrt(columns);
        }
        return Tensor.of(dtype, weights, RANDOM_WEIGHTS);
    }

    /** A matrix of them. */
    static Tensor weights(Tensor random, int number, int rows, int columns) {
        Tensor w = Tensor.allocate(random.dtype(), rows, columns);
        MemorySegment from = random.array().getSegment();
        MemorySegment to = w.array().getSegment();
        long at = (7919L * number) % RANDOM_WEIGHTS * random.dtype().byteSize();
        for (long done = 0; done < w.byteSize(); at = 0) {
            long part = Math.min(random.byteSize() - at, w.byteSize() - done);
            MemorySegment.copy(from, at, to, done, part);
            done += part;
        }
        return w;
    }
}
