package org.tornadoattention;

import java.util.Arrays;
import java.util.Optional;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.plan.AttentionKernel;
import org.tornadoattention.plan.AttentionProblem;
import org.tornadoattention.plan.KernelChoice;
import org.tornadoattention.plan.PlanCache;
import org.tornadoattention.plan.PlanStatistics;
import org.tornadoattention.plan.TileShape;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;

/**
 * Exact attention on one device: {@code softmax(scale · Q Kᵀ + mask) V} and its log-sum-exp, without the score matrix
 * ever being stored.
 *
 * <pre>{@code
 * try (FlashAttention attention = FlashAttention.create()) {
 *     AttentionResult result = attention.forward(q, k, v, AttentionOptions.causal());
 * }
 * }</pre>
 *
 * <p>Each problem (shape, type, mask, scale, softcap) is compiled once and its plan kept; later calls compile nothing
 * and allocate nothing on the device. An instance may be shared by threads; calls run one after another.
 */
public final class FlashAttention implements AutoCloseable {

    private final ComputeDevice device;
    private final PlanCache plans;
    private boolean closed;

    private FlashAttention(ComputeDevice device, Optional<AttentionKernel> kernel, Optional<TileShape> tile) {
        this.device = device;
        this.plans = new PlanCache(device, kernel, tile);
    }

    /** Attention on the best device here: a GPU if there is one. */
    public static FlashAttention create() {
        return on(Devices.best());
    }

    /** Attention on a device of {@link Devices#all()}, with the best kernel for each problem. */
    public static FlashAttention on(ComputeDevice device) {
        requireGiven("device", device, "take one of Devices.all(), or use FlashAttention.create()");
        return new FlashAttention(device, Optional.empty(), Optional.empty());
    }

    /** Attention on a device with one kernel for all problems. */
    public static FlashAttention on(ComputeDevice device, AttentionKernel kernel) {
        requireGiven("device", device, "take one of Devices.all(), or use FlashAttention.create()");
        requireGiven("kernel", kernel, "leave it out for the best one");
        return new FlashAttention(device, Optional.of(kernel), Optional.empty());
    }

    /**
     * Attention on a device with one kernel and one tile for all problems: to see what a tile does. A tile that is too
     * large for the device or a head dimension raises an {@link UnsupportedOnDeviceException} when it is used.
     */
    public static FlashAttention on(ComputeDevice device, AttentionKernel kernel, TileShape tile) {
        requireGiven("device", device, "take one of Devices.all(), or use FlashAttention.create()");
        requireGiven("kernel", kernel, "take AttentionKernel.TILED");
        requireGiven("tile", tile, "leave it out for the best one");
        return new FlashAttention(device, Optional.of(kernel), Optional.of(tile));
    }

    /** {@link #forward(Tensor, Tensor, Tensor, AttentionOptions)} with the default options. */
    public AttentionResult forward(Tensor q, Tensor k, Tensor v) {
        return forward(q, k, v, AttentionOptions.defaults());
    }

    /**
     * Computes attention.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the same type; {@code kvHeads} divides {@code heads}
     * @param v values, shaped like the keys
     * @param options scale, mask, softcap, ALiBi, key lengths
     * @return output of the type of q and log-sum-exp in F32, in new tensors
     * @throws IllegalArgumentException if shapes, types or options do not fit; nothing was compiled then
     * @throws IllegalStateException if this instance is closed
     * @throws UnsupportedOnDeviceException if the device lacks what the kernel needs
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public synchronized AttentionResult forward(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        requireOpen();
        AttentionShape shape = AttentionShape.of(q, k, v, options);
        AttentionProblem problem = AttentionProblem.of(shape, q.dtype(), options);
        Tensor output = Tensor.allocate(q.dtype(), shape.queryShape());
        Tensor logSumExp = Tensor.allocate(DType.F32, shape.logSumExpShape());
        if (problem.isTrivial()) {
            logSumExp.fill(Float.NEGATIVE_INFINITY);
            return new AttentionResult(q, k, v, output, logSumExp, options, Optional.empty());
        }
        return new AttentionResult(
                q,
                k,
                v,
                output,
                logSumExp,
                options,
                Optional.of(plans.execute(problem, q, k, v, options, output, logSumExp)));
    }

    /**
     * Appends attention to a task graph of yours, as the task {@code name} over the tensors' own arrays. The graph decides
     * what is transferred and when: q, k and v may come from tasks before it and the output go to tasks after it without
     * leaving the device. Run the graph on {@link #device()} and with {@code gridScheduler}.
     *
     * <p>TornadoVM reports a failed launch on standard error only; where that matters, fill {@code logSumExp} with NaN,
     * transfer it in and look at it afterwards. {@link #forward} does so by itself.
     *
     * @param taskGraph graph to append to, not yet frozen by {@code snapshot()}
     * @param gridScheduler gets the grid of the task
     * @param name task name, unique in the graph; the kernel {@code standard} appends three tasks whose names begin so
     * @param output tensor for the output, shaped and typed like q
     * @param logSumExp F32 tensor {@code [batch, heads, seqQ]}
     * @return the kernel that was chosen
     * @throws IllegalArgumentException if shapes, types or options do not fit, or there is nothing to compute
     * @throws UnsupportedOnDeviceException if the device lacks what the kernel needs
     */
    public synchronized KernelChoice appendTo(
            TaskGraph taskGraph,
            GridScheduler gridScheduler,
            String name,
            Tensor q,
            Tensor k,
            Tensor v,
            Tensor output,
            Tensor logSumExp,
            AttentionOptions options) {
        requireOpen();
        requireGiven("taskGraph", taskGraph, "give the graph that the task is for");
        requireGiven("gridScheduler", gridScheduler, "give the scheduler that the plan will be run with");
        requireGiven("name", name, "give the task a name, unique in its graph");
        AttentionShape shape = AttentionShape.of(q, k, v, options);
        requireShape("output", output, q.dtype(), shape.queryShape());
        requireShape("logSumExp", logSumExp, DType.F32, shape.logSumExpShape());
        return plans.append(taskGraph, gridScheduler, name, q, k, v, output, logSumExp, options);
    }

    private static void requireGiven(String name, Object argument, String advice) {
        if (argument == null) {
            throw new IllegalArgumentException("%s is null: %s.".formatted(name, advice));
        }
    }

    private static void requireShape(String name, Tensor tensor, DType dtype, int... shape) {
        if (tensor == null || tensor.dtype() != dtype || !Arrays.equals(tensor.shape(), shape)) {
            throw new IllegalArgumentException("%s is %s: it must be %s %s; make it with Tensor.allocate."
                    .formatted(name, tensor, dtype, Arrays.toString(shape)));
        }
    }

    /** Which kernel {@link #forward} takes for these inputs on this device, and why. */
    public KernelChoice choose(AttentionShape shape, DType dtype, AttentionOptions options) {
        return plans.choose(AttentionProblem.of(shape, dtype, options));
    }

    /** The device that everything runs on. */
    public ComputeDevice device() {
        return device;
    }

    /** Calls that found a compiled plan, calls that had to build one, and plans held. */
    public synchronized PlanStatistics statistics() {
        return plans.statistics();
    }

    /** Frees all memory on the device. Closing twice does nothing. */
    @Override
    public synchronized void close() {
        closed = true;
        plans.close();
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("This FlashAttention is closed: create a new one.");
        }
    }
}
