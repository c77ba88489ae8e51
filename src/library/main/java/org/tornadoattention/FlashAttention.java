package org.tornadoattention;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.inference.AttentionOutput;
import org.tornadoattention.inference.KeyValueCache;
import org.tornadoattention.inference.RaggedAttention;
import org.tornadoattention.plan.AttentionKernel;
import org.tornadoattention.plan.AttentionProblem;
import org.tornadoattention.plan.BackwardTensors;
import org.tornadoattention.plan.KernelChoice;
import org.tornadoattention.plan.PlanCache;
import org.tornadoattention.plan.PlanStatistics;
import org.tornadoattention.plan.Tile;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Exact attention on one device: {@code softmax(scale · Q Kᵀ + mask) V} and its log-sum-exp, without the score matrix
 * ever being stored.
 *
 * <pre>{@code
 * try (FlashAttention attention = FlashAttention.create()) {
 *     AttentionResult result = attention.forward(q, k, v, AttentionOptions.causal());
 *     Gradients gradients = attention.backward(result, dOut);
 * }
 * }</pre>
 *
 * <p>Each problem (shape, type, mask, scale, softcap) is compiled once and its plan kept; later calls compile nothing
 * and allocate nothing on the device. An instance may be shared by threads; calls run one after another.
 */
public final class FlashAttention implements AutoCloseable {

    private final ComputeDevice device;
    private final PlanCache plans;
    private final RaggedAttention ragged;
    private boolean closed;

    private FlashAttention(ComputeDevice device, Optional<AttentionKernel> kernel, Optional<Tile> tile) {
        this.device = device;
        this.plans = new PlanCache(device, kernel, tile);
        this.ragged = new RaggedAttention(device);
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
    public static FlashAttention on(ComputeDevice device, AttentionKernel kernel, Tile tile) {
        requireGiven("device", device, "take one of Devices.all(), or use FlashAttention.create()");
        requireGiven("kernel", kernel, "take the one that the tile is for");
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

    /**
     * The gradients of a loss with respect to q, k and v, from its gradient with respect to the output: {@link
     * #backward(AttentionResult, Tensor, Tensor)} where the loss does not look at the log-sum-exp.
     */
    public Gradients backward(AttentionResult result, Tensor dOut) {
        return backward(result, dOut, Optional.empty());
    }

    /**
     * The gradients of a loss with respect to q, k and v. P is computed again from q, k and the log-sum-exp, so that memory
     * beyond inputs and outputs is two numbers a query. The same inputs give the same bits.
     *
     * @param result what {@link #forward} gave, its tensors unchanged since
     * @param dOut gradient with respect to the output, of its shape and type
     * @param dLse gradient with respect to the log-sum-exp, F32 {@code [batch, heads, seqQ]}
     * @return gradients of the type of q, in new tensors
     * @throws IllegalArgumentException if shapes or types do not fit; nothing was compiled then
     * @throws IllegalStateException if this instance is closed
     * @throws UnsupportedOnDeviceException if the device lacks what the kernel needs
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public Gradients backward(AttentionResult result, Tensor dOut, Tensor dLse) {
        requireGiven("dLse", dLse, "leave it out where the loss does not depend on the log-sum-exp");
        return backward(result, dOut, Optional.of(dLse));
    }

    private synchronized Gradients backward(AttentionResult result, Tensor dOut, Optional<Tensor> dLse) {
        requireOpen();
        requireGiven("result", result, "give what forward returned");
        AttentionShape shape = result.shape();
        Gradients gradients = new Gradients(
                Tensor.allocate(result.q().dtype(), shape.queryShape()),
                Tensor.allocate(result.q().dtype(), shape.keyShape()),
                Tensor.allocate(result.q().dtype(), shape.keyShape()));
        BackwardTensors tensors = new BackwardTensors(
                result.q(),
                result.k(),
                result.v(),
                result.output(),
                result.logSumExp(),
                dOut,
                dLse,
                gradients.dQ(),
                gradients.dK(),
                gradients.dV(),
                result.options());
        requireFitting(shape, tensors);
        if (!AttentionProblem.of(shape, result.q().dtype(), result.options()).isTrivial()) {
            plans.executeBackward(tensors);
        }
        return gradients;
    }

    /**
     * Appends the backward pass to a task graph of yours, as tasks whose names begin with {@code name}, over the tensors' own
     * arrays: the counterpart of {@link #appendTo}, in the same graph or in another one. The output, the log-sum-exp and
     * their gradients may come from tasks before it, and the three gradients go to tasks after it, without leaving the
     * device.
     *
     * @param output what the forward pass gave, shaped and typed like q
     * @param logSumExp likewise, F32 {@code [batch, heads, seqQ]}
     * @param dOut gradient with respect to the output, shaped and typed like q
     * @param dQ tensor for the gradient with respect to q, shaped and typed like it; overwritten, not added to
     * @param dK likewise for k
     * @param dV likewise for v
     * @param options those of the forward pass
     * @return the kernel that was chosen
     * @throws IllegalArgumentException if shapes, types or options do not fit, or there is nothing to compute
     * @throws UnsupportedOnDeviceException if the device lacks what the kernel needs
     */
    public KernelChoice appendBackwardTo(
            TaskGraph taskGraph,
            GridScheduler gridScheduler,
            String name,
            Tensor q,
            Tensor k,
            Tensor v,
            Tensor output,
            Tensor logSumExp,
            Tensor dOut,
            Tensor dQ,
            Tensor dK,
            Tensor dV,
            AttentionOptions options) {
        return appendBackward(
                taskGraph,
                gridScheduler,
                name,
                new BackwardTensors(q, k, v, output, logSumExp, dOut, Optional.empty(), dQ, dK, dV, options));
    }

    /**
     * The same with a gradient that arrives on the log-sum-exp.
     *
     * @param dLse gradient with respect to the log-sum-exp, F32 {@code [batch, heads, seqQ]}
     */
    public KernelChoice appendBackwardTo(
            TaskGraph taskGraph,
            GridScheduler gridScheduler,
            String name,
            Tensor q,
            Tensor k,
            Tensor v,
            Tensor output,
            Tensor logSumExp,
            Tensor dOut,
            Tensor dLse,
            Tensor dQ,
            Tensor dK,
            Tensor dV,
            AttentionOptions options) {
        requireGiven("dLse", dLse, "leave it out where the loss does not depend on the log-sum-exp");
        return appendBackward(
                taskGraph,
                gridScheduler,
                name,
                new BackwardTensors(q, k, v, output, logSumExp, dOut, Optional.of(dLse), dQ, dK, dV, options));
    }

    /**
     * Changes the seed of all dropout that was appended to a task graph, from its next execution on: call it between two
     * steps of a training. Each task keeps its offset, so that layers with offsets of their own drop different pairs.
     *
     * @throws IllegalArgumentException if this instance appended nothing with dropout to it
     */
    public synchronized void reseed(TaskGraph taskGraph, long seed) {
        requireGiven("taskGraph", taskGraph, "give the graph that attention was appended to");
        plans.reseed(taskGraph, seed);
    }

    private synchronized KernelChoice appendBackward(
            TaskGraph taskGraph, GridScheduler gridScheduler, String name, BackwardTensors tensors) {
        requireOpen();
        requireGiven("taskGraph", taskGraph, "give the graph that the task is for");
        requireGiven("gridScheduler", gridScheduler, "give the scheduler that the plan will be run with");
        requireGiven("name", name, "give the tasks a name, unique in their graph");
        requireFitting(AttentionShape.of(tensors.q(), tensors.k(), tensors.v(), tensors.options()), tensors);
        return plans.appendBackward(taskGraph, gridScheduler, name, tensors);
    }

    private static void requireFitting(AttentionShape shape, BackwardTensors tensors) {
        DType dtype = tensors.q().dtype();
        requireShape("output", tensors.output(), dtype, shape.queryShape());
        requireShape("logSumExp", tensors.logSumExp(), DType.F32, shape.logSumExpShape());
        requireShape("dOut", tensors.dO(), dtype, shape.queryShape());
        tensors.dLse().ifPresent(dLse -> requireShape("dLse", dLse, DType.F32, shape.logSumExpShape()));
        requireShape("dQ", tensors.dQ(), dtype, shape.queryShape());
        requireShape("dK", tensors.dK(), dtype, shape.keyShape());
        requireShape("dV", tensors.dV(), dtype, shape.keyShape());
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

    /**
     * Attention over sequences of different lengths, packed one behind the other: {@link RaggedAttention#forward}.
     *
     * @param queryOffsets where each sequence begins in q, and the end of the last; lengths may change from call to call
     * @param keyOffsets likewise in k
     */
    public synchronized AttentionOutput forwardRagged(
            Tensor q, Tensor k, Tensor v, IntArray queryOffsets, IntArray keyOffsets, AttentionOptions options) {
        requireOpen();
        return ragged.forward(q, k, v, queryOffsets, keyOffsets, options);
    }

    /** Merges attention of the same queries over parts of the keys: {@link RaggedAttention#merge}. */
    public synchronized AttentionOutput merge(AttentionOutput... parts) {
        requireOpen();
        return ragged.merge(List.of(parts));
    }

    /** Attention of queries over a cache: {@link KeyValueCache#forward(Tensor, AttentionOptions)}, on its own device. */
    public AttentionOutput forward(Tensor q, KeyValueCache cache, AttentionOptions options) {
        requireGiven("cache", cache, "make one with KvCache.create");
        return cache.forward(q, options);
    }

    /** Which kernel {@link #forward} takes for these inputs on this device, and why. */
    public KernelChoice choose(AttentionShape shape, DType dtype, AttentionOptions options) {
        return plans.choose(AttentionProblem.of(shape, dtype, options));
    }

    /** Which kernel {@link #backward} takes for these inputs on this device, and why. */
    public KernelChoice chooseBackward(AttentionShape shape, DType dtype, AttentionOptions options) {
        return plans.chooseBackward(AttentionProblem.of(shape, dtype, options));
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
        ragged.close();
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("This FlashAttention is closed: create a new one.");
        }
    }
}
