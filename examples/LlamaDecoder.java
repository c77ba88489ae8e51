import java.util.ArrayList;
import java.util.List;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.inference.CacheOptions;
import org.tornadoattention.inference.KvCache;
import org.tornadoattention.inference.RotaryEmbedding;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * A decoder that feeds itself: the attention stack of a Llama, with random weights, token by token. All layers are one task
 * graph; of each layer {@code x = x + Wo attention(rope(Wq norm(x)), rope(Wk norm(x)), Wv norm(x))} with a key-value cache
 * that grows on the device. Nothing but the last layer's output leaves it.
 *
 * <p>{@code ./attention example LlamaDecoder} runs a toy; {@code ./attention example LlamaDecoder 32 32 8 128 1024} has the
 * shape of Llama 3 8B: layers, query heads, KV heads, head dimension, tokens.
 */
class LlamaDecoder {

    static final int GROUP = 64;

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

    /** {@code y = W x}, or with {@code add} {@code y = y + W x}: a row of W a group. */
    static void multiply(
            KernelContext context, FloatArray w, FloatArray x, FloatArray y, int columns, int groupSize, int add) {
        float[] partial = context.allocateFloatLocalArray(groupSize);
        int item = context.localIdx;
        int row = context.groupIdx;
        float sum = 0f;
        for (int i = item; i < columns; i += groupSize) {
            sum += w.get(row * columns + i) * x.get(i);
        }
        partial[item] = sum;
        context.localBarrier();
        if (item == 0) {
            float total = add == 1 ? y.get(row) : 0f;
            for (int other = 0; other < groupSize; other++) {
                total += partial[other];
            }
            y.set(row, total);
        }
    }

    static int number(String[] arguments, int index, int otherwise) {
        return arguments.length > index ? Integer.parseInt(arguments[index]) : otherwise;
    }

    static void main(String[] arguments) throws TornadoExecutionPlanException {
        int layers = number(arguments, 0, 2);
        int heads = number(arguments, 1, 4);
        int kvHeads = number(arguments, 2, 2);
        int headDim = number(arguments, 3, 16);
        int tokens = number(arguments, 4, 24);
        int model = heads * headDim;
        ComputeDevice device = Devices.best();
        System.out.printf(
                "%d layers of %d/%d heads x %d, %,d tokens, F32, on %s%n",
                layers, heads, kvHeads, headDim, tokens, device);

        FloatArray x = Tensor.random(DType.F32, 1, model).floatArray();
        FloatArray norm = new FloatArray(model);
        Tensor q = Tensor.allocate(DType.F32, 1, heads, 1, headDim);
        Tensor k = Tensor.allocate(DType.F32, 1, kvHeads, 1, headDim);
        Tensor v = Tensor.allocate(DType.F32, 1, kvHeads, 1, headDim);
        Tensor o = Tensor.allocate(DType.F32, 1, heads, 1, headDim);
        Tensor logSumExp = Tensor.allocate(DType.F32, 1, heads, 1);
        CacheOptions options = CacheOptions.of(DType.F32)
                .on(device)
                .withRotary(RotaryEmbedding.of(headDim, RotaryEmbedding.Style.INTERLEAVED)
                        .withBase(500_000));

        GridScheduler grids = new GridScheduler();
        TaskGraph graph = new TaskGraph("decoder")
                .transferToDevice(
                        DataTransferMode.FIRST_EXECUTION,
                        x,
                        norm,
                        q.array(),
                        k.array(),
                        v.array(),
                        o.array(),
                        logSumExp.array());
        List<KvCache> caches = new ArrayList<>();
        long weightBytes = 0;
        for (int layer = 0; layer < layers; layer++) {
            FloatArray wQ = weights(layer * 4L + 2, model, model);
            FloatArray wK = weights(layer * 4L + 3, kvHeads * headDim, model);
            FloatArray wV = weights(layer * 4L + 4, kvHeads * headDim, model);
            FloatArray wO = weights(layer * 4L + 5, model, model);
            weightBytes += 4L * (wQ.getSize() + wK.getSize() + wV.getSize() + wO.getSize());
            KvCache cache = KvCache.create(1, heads, kvHeads, headDim, tokens, options);
            caches.add(cache);

            String name = "layer" + layer;
            graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, wQ, wK, wV, wO);
            graph.task(name + "-norm", LlamaDecoder::normalise, new KernelContext(), x, norm, model, GROUP);
            grid(grids, name + "-norm", 1);
            multiplyTask(graph, grids, name + "-q", wQ, norm, q.floatArray(), model, 0);
            multiplyTask(graph, grids, name + "-k", wK, norm, k.floatArray(), model, 0);
            multiplyTask(graph, grids, name + "-v", wV, norm, v.floatArray(), model, 0);
            cache.appendTo(graph, grids, name, q, k, v, o, logSumExp, AttentionOptions.causal());
            multiplyTask(graph, grids, name + "-o", wO, o.floatArray(), x, model, 1);
        }
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, x);

        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(device.handle()).withGridScheduler(grids);
            plan.execute(); // compiles, and takes the weights to the device
            long start = System.nanoTime();
            for (int token = 1; token < tokens - 1; token++) {
                plan.execute();
            }
            double seconds = (System.nanoTime() - start) / 1e9;
            plan.withProfiler(ProfilerMode.SILENT);
            double kernelSeconds = plan.execute().getProfilerResult().getDeviceKernelTime() / 1e9;

            double cacheBytes = 2.0 * layers * kvHeads * headDim * 4 * tokens;
            System.out.printf("%.1f tokens/s%n", (tokens - 2) / seconds);
            System.out.printf(
                    "last token: %.3f ms in kernels, %.1f GB/s of weights and cache (%,.0f and %,.0f bytes)%n",
                    1e3 * kernelSeconds,
                    (weightBytes + cacheBytes) / kernelSeconds / 1e9,
                    (double) weightBytes,
                    cacheBytes);
            double squares = 0;
            for (int i = 0; i < model; i++) {
                squares += (double) x.get(i) * x.get(i);
            }
            System.out.printf("root mean square of x after %d tokens: %.6f%n", tokens, Math.sqrt(squares / model));
        }
        caches.forEach(KvCache::close);
    }

    static void multiplyTask(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            FloatArray w,
            FloatArray x,
            FloatArray y,
            int columns,
            int add) {
        graph.task(name, LlamaDecoder::multiply, new KernelContext(), w, x, y, columns, GROUP, add);
        grid(grids, name, w.getSize() / columns);
    }

    static void grid(GridScheduler grids, String name, int groups) {
        WorkerGrid1D grid = new WorkerGrid1D(groups * GROUP);
        grid.setLocalWork(GROUP, 1, 1);
        grids.addWorkerGrid("decoder." + name, grid);
    }

    /** Weights that keep the size of what they multiply. */
    static FloatArray weights(long seed, int rows, int columns) {
        FloatArray w = Tensor.random(DType.F32, seed, rows, columns).floatArray();
        for (int i = 0; i < w.getSize(); i++) {
            w.set(i, w.get(i) / (float) Math.sqrt(columns));
        }
        return w;
    }
}
