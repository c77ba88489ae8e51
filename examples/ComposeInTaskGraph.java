//SOURCES jbang/Setup.java
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoProfilerResult;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * The attention block of a transformer as one task graph: {@code y = x + attention(x Wq, x Wk, x Wv) Wo}. The
 * projections and the residual are kernels of this file; q, k, v and o live and die on the device.
 */
class ComposeInTaskGraph {

    static final int TOKENS = 64;
    static final int HEADS = 4;
    static final int HEAD_DIM = 32;
    static final int MODEL = HEADS * HEAD_DIM;

    /** {@code y = x W}, from {@code [token, model]} to {@code [head, token, headDim]}. */
    static void project(FloatArray x, FloatArray w, FloatArray y, int tokens, int headDim, int model) {
        for (@Parallel int element = 0; element < y.getSize(); element++) {
            int token = element / headDim % tokens;
            int column = element / headDim / tokens * headDim + element % headDim;
            float sum = 0f;
            for (int i = 0; i < model; i++) {
                sum += x.get(token * model + i) * w.get(i * model + column);
            }
            y.set(element, sum);
        }
    }

    /** {@code y = x + o W}, from {@code [head, token, headDim]} back to {@code [token, model]}. */
    static void addProjected(
            FloatArray x, FloatArray o, FloatArray w, FloatArray y, int tokens, int headDim, int model) {
        for (@Parallel int element = 0; element < y.getSize(); element++) {
            int token = element / model;
            int column = element % model;
            float sum = x.get(element);
            for (int i = 0; i < model; i++) {
                int head = i / headDim;
                sum += o.get((head * tokens + token) * headDim + i % headDim) * w.get(i * model + column);
            }
            y.set(element, sum);
        }
    }

    static void main() throws TornadoExecutionPlanException {
        FloatArray x = Tensor.random(DType.F32, 1, TOKENS, MODEL).floatArray();
        FloatArray wQ = weights(2);
        FloatArray wK = weights(3);
        FloatArray wV = weights(4);
        FloatArray wO = weights(5);
        FloatArray y = new FloatArray(TOKENS * MODEL);

        Tensor q = Tensor.allocate(DType.F32, 1, HEADS, TOKENS, HEAD_DIM);
        Tensor k = Tensor.allocate(DType.F32, 1, HEADS, TOKENS, HEAD_DIM);
        Tensor v = Tensor.allocate(DType.F32, 1, HEADS, TOKENS, HEAD_DIM);
        Tensor o = Tensor.allocate(DType.F32, 1, HEADS, TOKENS, HEAD_DIM);
        Tensor logSumExp = Tensor.allocate(DType.F32, 1, HEADS, TOKENS);
        AttentionOptions options = AttentionOptions.causal();

        try (FlashAttention attention = FlashAttention.create()) {
            GridScheduler grids = new GridScheduler();
            TaskGraph graph = new TaskGraph("block")
                    .transferToDevice(DataTransferMode.FIRST_EXECUTION, wQ, wK, wV, wO)
                    .transferToDevice(DataTransferMode.EVERY_EXECUTION, x)
                    .task("q", ComposeInTaskGraph::project, x, wQ, q.floatArray(), TOKENS, HEAD_DIM, MODEL)
                    .task("k", ComposeInTaskGraph::project, x, wK, k.floatArray(), TOKENS, HEAD_DIM, MODEL)
                    .task("v", ComposeInTaskGraph::project, x, wV, v.floatArray(), TOKENS, HEAD_DIM, MODEL);
            KernelChoice choice = attention.appendTo(graph, grids, "attention", q, k, v, o, logSumExp, options);
            graph.task("out", ComposeInTaskGraph::addProjected, x, o.floatArray(), wO, y, TOKENS, HEAD_DIM, MODEL)
                    .transferToHost(DataTransferMode.EVERY_EXECUTION, y);

            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                plan.withDevice(attention.device().handle())
                        .withGridScheduler(grids)
                        .withProfiler(ProfilerMode.SILENT);
                plan.execute(); // compiles, and takes the weights to the device
                TornadoProfilerResult profile = plan.execute().getProfilerResult();

                System.out.printf("kernel %s on %s%n", choice.kernel().id(), attention.device());
                System.out.printf(
                        "x is %,d bytes and y too; copied in: %,d, copied out: %,d%n",
                        x.getNumBytesOfSegment(), profile.getTotalBytesCopyIn(), profile.getTotalBytesCopyOut());
            }
            System.out.printf("largest difference from the same steps one by one: %.1e%n", difference(attention, x, y));
        }
    }

    /** Weights that keep the size of what they multiply. */
    static FloatArray weights(long seed) {
        FloatArray w = Tensor.random(DType.F32, seed, MODEL, MODEL).floatArray();
        for (int i = 0; i < w.getSize(); i++) {
            w.set(i, w.get(i) / (float) Math.sqrt(MODEL));
        }
        return w;
    }

    /** A kernel is Java: called as a method, it runs on the host. */
    static float difference(FlashAttention attention, FloatArray x, FloatArray y) {
        Tensor q = Tensor.allocate(DType.F32, 1, HEADS, TOKENS, HEAD_DIM);
        Tensor k = Tensor.allocate(DType.F32, 1, HEADS, TOKENS, HEAD_DIM);
        Tensor v = Tensor.allocate(DType.F32, 1, HEADS, TOKENS, HEAD_DIM);
        FloatArray expected = new FloatArray(TOKENS * MODEL);
        project(x, weights(2), q.floatArray(), TOKENS, HEAD_DIM, MODEL);
        project(x, weights(3), k.floatArray(), TOKENS, HEAD_DIM, MODEL);
        project(x, weights(4), v.floatArray(), TOKENS, HEAD_DIM, MODEL);
        FloatArray o =
                attention.forward(q, k, v, AttentionOptions.causal()).output().floatArray();
        addProjected(x, o, weights(5), expected, TOKENS, HEAD_DIM, MODEL);

        float largest = 0f;
        for (int i = 0; i < y.getSize(); i++) {
            largest = Math.max(largest, Math.abs(y.get(i) - expected.get(i)));
        }
        return largest;
    }
}
