package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.cache.KeyValuePool;
import org.tornadoattention.cache.RaggedAttention;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.choice.SplitTile;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.internal.Arguments;
import org.tornadoattention.plan.Engine;
import org.tornadoattention.plan.PlanCache;
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
 * and allocate nothing on the device. An instance may be shared by threads; calls run one after another, so that one
 * may wait for another's compilation.
 *
 * <p>Source: Dao, Fu, Ermon, Rudra and Ré, <i>FlashAttention: Fast and Memory-Efficient Exact Attention with
 * IO-Awareness</i> (2022), algorithms 1 and 4, and Dao, <i>FlashAttention-2</i> (2023).
 */
public final class FlashAttention implements AutoCloseable {

    private final ComputeDevice device;
    private final Optional<AttentionKernel> kernel;
    private final Optional<Tile> tile;
    private final Engine engine;
    private final RaggedAttention ragged;
    private @Nullable PlanCache graphs;
    private boolean closed;

    private FlashAttention(ComputeDevice device, Optional<AttentionKernel> kernel, Optional<Tile> tile) {
        this.device = device;
        this.kernel = kernel;
        this.tile = tile;
        this.engine = Engine.of(device, kernel, tile);
        this.ragged = new RaggedAttention(device);
    }

    /** Of the JVM not before it is wanted: it computes where TornadoVM does not start, too. */
    private PlanCache graphs() {
        PlanCache made = graphs;
        if (made == null) {
            made = engine instanceof PlanCache plans
                    ? plans
                    : new PlanCache(Devices.forTaskGraphs(device), kernel, tile);
            graphs = made;
        }
        return made;
    }

    /**
     * Attention on the best device here: a GPU if there is one.
     *
     * @return attention without compiled plans yet; close it to free the device's memory
     * @throws IllegalStateException if the TornadoVM here would hide failures
     */
    public static FlashAttention create() {
        return on(Devices.best());
    }

    /**
     * Attention on a device, with the best kernel for each problem.
     *
     * @param device one of {@link Devices#all()}
     * @return attention without compiled plans yet; close it to free the device's memory
     * @throws IllegalArgumentException if it is null
     */
    public static FlashAttention on(ComputeDevice device) {
        required(device, "device", "take one of Devices.all(), or use FlashAttention.create()");
        return new FlashAttention(device, Optional.empty(), Optional.empty());
    }

    /**
     * Attention on a device with one kernel for all problems. It takes no ragged batches, which have kernels of their
     * own: {@link RaggedAttention}.
     *
     * @param device one of {@link Devices#all()}
     * @param kernel the kernel; a problem that it does not take is refused
     * @return attention without compiled plans yet; close it to free the device's memory
     * @throws IllegalArgumentException if something is null
     */
    public static FlashAttention on(ComputeDevice device, AttentionKernel kernel) {
        required(device, "device", "take one of Devices.all(), or use FlashAttention.create()");
        required(kernel, "kernel", "leave it out for the best one");
        return new FlashAttention(device, Optional.of(kernel), Optional.empty());
    }

    /**
     * Attention on a device with one kernel and one tile for all problems: to see what a tile does. A tile that is too
     * large for the device or a head dimension raises an {@link UnsupportedOnDeviceException} when it is used.
     *
     * @param device one of {@link Devices#all()}
     * @param kernel the kernel that the tile is for
     * @param tile the tile
     * @return attention without compiled plans yet; close it to free the device's memory
     * @throws IllegalArgumentException if something is null
     */
    public static FlashAttention on(ComputeDevice device, AttentionKernel kernel, Tile tile) {
        required(device, "device", "take one of Devices.all(), or use FlashAttention.create()");
        required(kernel, "kernel", "take the one that the tile is for");
        required(tile, "tile", "leave it out for the best one");
        return new FlashAttention(device, Optional.of(kernel), Optional.of(tile));
    }

    /**
     * {@link #forward(Tensor, Tensor, Tensor, AttentionOptions)} with the default options.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}
     * @param v values, shaped like the keys
     * @return output of the type of q and log-sum-exp in F32, in new tensors
     * @throws IllegalArgumentException if shapes or types do not fit; nothing was compiled then
     * @throws IllegalStateException if this instance is closed
     * @throws UnsupportedOnDeviceException if the device lacks what the kernel needs
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public AttentionResult forward(Tensor q, Tensor k, Tensor v) {
        return forward(q, k, v, AttentionOptions.defaults());
    }

    /**
     * Computes attention.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the same type; {@code kvHeads} divides {@code heads}
     * @param v values, shaped like the keys
     * @param options scale, mask, softcap, ALiBi, key lengths, dropout
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
        return forward(problem, q, k, v, options, allocate(problem, shape.outputShape()));
    }

    /**
     * Computes attention into a tensor of the caller's. With tensors of {@link #allocatePinned}, the second call of a
     * problem and those after it let the device read q, k and v and write the output without a copy in between.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the same type; {@code kvHeads} divides {@code heads}
     * @param v values, shaped like the keys
     * @param options scale, mask, softcap, ALiBi, key lengths, dropout
     * @param output tensor for the output, shaped and typed like q, no view; it overlaps no other
     * @return the output, which is this very tensor, and log-sum-exp in F32, in a new one
     * @throws IllegalArgumentException if shapes, types or options do not fit, or the output overlaps an input; nothing
     *     was compiled then
     * @throws IllegalStateException if this instance is closed
     * @throws UnsupportedOnDeviceException if the device lacks what the kernel needs
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public synchronized AttentionResult forward(Tensor q, Tensor k, Tensor v, AttentionOptions options, Tensor output) {
        requireOpen();
        AttentionShape shape = AttentionShape.of(q, k, v, options);
        AttentionProblem problem = AttentionProblem.of(shape, q.dtype(), options);
        required(output, "output", "make it with Tensor.allocate, or leave it out");
        requireShape("output", output, q.dtype(), shape.outputShape());
        output.requireContiguous();
        Arguments.requireApart(
                Map.of("output", output.array().getSegment()),
                Map.of(
                        "q", q.array().getSegment(),
                        "k", k.array().getSegment(),
                        "v", v.array().getSegment()));
        if (problem.isTrivial()) {
            output.fill(0);
        }
        return forward(problem, q, k, v, options, output);
    }

    /**
     * A new tensor of zeros whose memory this device's transfers read and write without a copy in between: page-locked,
     * on a GPU of CUDA's. It stays so while something refers to it, and is freed afterwards like any tensor's; take it
     * for tensors that are used again and again, since the system can move none of it out of the way. Where there is no
     * such memory, or too much is in use, it is {@link Tensor#allocate}'s.
     *
     * @param dtype type of the elements
     * @param shape dimensions, outermost first, each 0 or more
     * @return a tensor of zeros
     * @throws IllegalArgumentException if a dimension is negative or the shape has too many elements
     * @throws IllegalStateException if this instance is closed
     */
    public synchronized Tensor allocatePinned(DType dtype, int... shape) {
        requireOpen();
        required(dtype, "dtype", "choose F32, F16 or BF16");
        required(shape, "shape", "give its dimensions");
        return engine.allocatePinned(dtype, shape);
    }

    private AttentionResult forward(
            AttentionProblem problem, Tensor q, Tensor k, Tensor v, AttentionOptions options, Tensor output) {
        int[] rows = problem.shape().logSumExpShape();
        Tensor logSumExp = problem.isTrivial() ? Tensor.allocate(DType.F32, rows) : engine.allocate(DType.F32, rows);
        Optional<Execution> execution = Optional.empty();
        if (problem.isTrivial()) {
            fillWithoutKeys(logSumExp, options);
        } else {
            execution = Optional.of(engine.execute(problem, q, k, v, options, output, logSumExp));
        }
        return AttentionResult.of(new AttentionResult.Inputs(q, k, v, options), output, logSumExp, execution);
    }

    /**
     * Appends attention to a task graph of the caller's, as the task {@code name} over the tensors' own arrays. The
     * graph decides what is transferred and when: q, k and v may come from tasks before it and the output go to tasks
     * after it without leaving the device. Run the graph on {@link #device()} and with {@code gridScheduler}.
     *
     * <p>TornadoVM reports a failed launch on standard error only; where that matters, fill {@code logSumExp} with NaN,
     * transfer it in and look at it afterwards. {@link #forward} does so by itself.
     *
     * @param taskGraph graph to append to, before its {@code snapshot()}; refused afterwards
     * @param gridScheduler gets the grid of the task
     * @param name task name, unique in the graph; the kernel {@code standard} appends three tasks whose names begin so
     * @param q queries {@code [batch, heads, seqQ, headDim]}; this and the next three may be {@link Tensor#view views}
     *     over arrays of the caller's, with a last stride of 1
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the type of q or of another
     * @param v values, shaped and typed like the keys
     * @param output tensor for the output, shaped like q, of its type or of another; its array is none of the others'
     * @param logSumExp F32 tensor {@code [batch, heads, seqQ]}, no view; it overlaps no other
     * @param options scale, mask, softcap, ALiBi, key lengths, dropout; its seed can be changed with {@link #reseed}
     * @return the kernel that was chosen
     * @throws IllegalArgumentException if shapes, types or options do not fit, if a tensor that is written overlaps
     *     another one, or there is nothing to compute
     * @throws IllegalStateException if this instance is closed
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
        requireGraph(taskGraph, gridScheduler, name);
        AttentionShape shape = AttentionShape.ofTask(q, k, v, options);
        required(output, "output", "make it with Tensor.allocate");
        requireShape("output", output, output.dtype(), shape.outputShape());
        requireShape("logSumExp", logSumExp, DType.F32, shape.logSumExpShape());
        logSumExp.requireContiguous();
        Map<String, MemorySegment> written = new LinkedHashMap<>();
        written.put("output", output.array().getSegment());
        written.put("logSumExp", logSumExp.array().getSegment());
        Arguments.requireApart(
                written,
                Map.of(
                        "q", q.array().getSegment(),
                        "k", k.array().getSegment(),
                        "v", v.array().getSegment()));
        return graphs().append(taskGraph, gridScheduler, name, q, k, v, output, logSumExp, options);
    }

    /**
     * Appends attention over a pool of keys and values of the caller's to a task graph of the caller's, as the tasks
     * {@code name-positions}, {@code name-attention} and {@code name-merge}. The device reads where queries stand, how
     * many there are and which pages they see, so that one compiled graph serves every chunk of a prompt and every step
     * of decoding; an execution compiles nothing and allocates nothing.
     *
     * @param taskGraph graph to append to, after the tasks that write queries, keys and values; it brings their arrays
     *     and those of the pool to the device
     * @param gridScheduler gets the grids of the tasks
     * @param name beginning of the tasks' names, unique in the graph
     * @param q queries {@code [batch, heads, seqQ, headDim]}, maybe a view; of any type
     * @param pool keys and values, block table, positions, valid rows
     * @param output shaped like q, maybe a view; of any type; its array is none of those that are read
     * @param logSumExp F32 {@code [batch, heads, seqQ]}, no view; it overlaps no other
     * @param options mask, scale, softcap, ALiBi, sinks, functions; no key lengths, no dropout
     * @return how the kernel divides its work
     * @throws IllegalArgumentException if shapes, types or options do not fit, or something that is written overlaps
     *     another
     * @throws IllegalStateException if this instance is closed, or was made for one kernel
     * @throws UnsupportedOnDeviceException if the device lacks what the kernel needs
     */
    public synchronized SplitTile appendTo(
            TaskGraph taskGraph,
            GridScheduler gridScheduler,
            String name,
            Tensor q,
            KeyValuePool pool,
            Tensor output,
            Tensor logSumExp,
            AttentionOptions options) {
        requireOpen();
        requireNoKernel("takes no pools");
        requireGraph(taskGraph, gridScheduler, name);
        required(pool, "pool", "make it with KeyValuePool.of");
        return pool.appendTo(
                Devices.forTaskGraphs(device), taskGraph, gridScheduler, name, q, output, logSumExp, options);
    }

    /**
     * The gradients of a loss with respect to q, k and v, from its gradient with respect to the output:
     * {@link #backward(AttentionResult, Tensor, Tensor)} where the loss does not look at the log-sum-exp.
     *
     * @param result what {@link #forward} gave, its tensors unchanged since
     * @param dOut gradient with respect to the output, of its shape and type
     * @return gradients of the type of q, in new tensors
     * @throws IllegalArgumentException if shapes or types do not fit, or the result is not one of forward
     * @throws IllegalStateException if this instance is closed
     * @throws UnsupportedOnDeviceException if the device lacks what the kernel needs
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public Gradients backward(AttentionResult result, Tensor dOut) {
        return backward(result, dOut, Optional.empty());
    }

    /**
     * The gradients of a loss with respect to q, k and v. P is computed again from q, k and the log-sum-exp, so that
     * memory beyond inputs and outputs is two numbers per query. The same inputs give the same bits.
     *
     * @param result what {@link #forward} gave, its tensors unchanged since
     * @param dOut gradient with respect to the output, of its shape and type
     * @param dLse gradient with respect to the log-sum-exp, F32 {@code [batch, heads, seqQ]}
     * @return gradients of the type of q, in new tensors
     * @throws IllegalArgumentException if shapes or types do not fit, or the result is not one of forward; nothing was
     *     compiled then
     * @throws IllegalStateException if this instance is closed
     * @throws UnsupportedOnDeviceException if the device lacks what the kernel needs
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public Gradients backward(AttentionResult result, Tensor dOut, Tensor dLse) {
        required(dLse, "dLse", "leave it out where the loss does not depend on the log-sum-exp");
        return backward(result, dOut, Optional.of(dLse));
    }

    private synchronized Gradients backward(AttentionResult result, Tensor dOut, Optional<Tensor> dLse) {
        requireOpen();
        required(result, "result", "give what forward returned");
        required(dOut, "dOut", "give one number for each element of the output " + result.output());
        AttentionResult.Inputs inputs = result.inputs()
                .orElseThrow(() -> new IllegalArgumentException(
                        "The result (%s) is of a cache, a ragged batch or a merge, which have no backward pass: give what forward returned."
                                .formatted(result)));
        AttentionShape shape = AttentionShape.of(inputs.q(), inputs.k(), inputs.v(), inputs.options());
        DType dtype = inputs.q().dtype();
        AttentionOptions options = inputs.options();
        AttentionProblem problem = AttentionProblem.of(shape, dtype, options);
        BackwardTensors.Builder named = BackwardTensors.builder()
                .q(inputs.q())
                .k(inputs.k())
                .v(inputs.v())
                .output(result.output())
                .logSumExp(result.logSumExp())
                .dOut(dOut)
                .dQ(allocate(problem, shape.queryShape()))
                .dK(allocate(problem, shape.keyShape()))
                .dV(allocate(problem, shape.valueShape()));
        dLse.ifPresent(named::dLse);
        Optional<Tensor> dBias = options.bias().map(bias -> Tensor.allocate(DType.F32, bias.shape()));
        Optional<Tensor> dSinks = options.sinks().map(sinks -> Tensor.allocate(DType.F32, sinks.shape()));
        dBias.ifPresent(named::dBias);
        dSinks.ifPresent(named::dSinks);
        BackwardTensors tensors = named.build();
        tensors.requireFitting(shape, options);
        Optional<Execution> execution = Optional.empty();
        if (!problem.isTrivial()) {
            execution = Optional.of(engine.executeBackward(tensors, options));
        } else if (dSinks.isPresent() && dLse.isPresent()) {
            sumOverHeads(dLse.get(), dSinks.get());
        }
        return Gradients.of(
                        tensors.dQ(),
                        tensors.dK(),
                        tensors.dV(),
                        dBias.map(
                                tensor -> tensor.as(options.bias().orElseThrow().dtype())),
                        dSinks)
                .with(execution);
    }

    /** A tensor of the problem's type that its computation writes, or zeros where there is nothing to compute. */
    private Tensor allocate(AttentionProblem problem, int[] shape) {
        return problem.isTrivial() ? Tensor.allocate(problem.dtype(), shape) : engine.allocate(problem.dtype(), shape);
    }

    /**
     * Appends the backward pass to a task graph of the caller's, as tasks whose names begin with {@code name}, over the
     * tensors' own arrays: the counterpart of {@link #appendTo}, in the same graph or in another one. The output, the
     * log-sum-exp and their gradients may come from tasks before it, and the three gradients go to tasks after it,
     * without leaving the device.
     *
     * @param taskGraph graph to append to, before its {@code snapshot()}; refused afterwards
     * @param gridScheduler gets the grids of the tasks
     * @param name beginning of the tasks' names, unique in the graph
     * @param tensors what is read and what is written; all but the log-sum-exps and the gradients of options may be
     *     {@link Tensor#view views}, which {@code online} and {@code tiled} take; each gradient that is written has an
     *     array of its own
     * @param options those of the forward pass
     * @return the kernel that was chosen
     * @throws IllegalArgumentException if shapes, types or options do not fit, if a tensor that is written overlaps
     *     another one, or there is nothing to compute
     * @throws IllegalStateException if this instance is closed
     * @throws UnsupportedOnDeviceException if the device lacks what the kernel needs
     */
    public synchronized KernelChoice appendBackwardTo(
            TaskGraph taskGraph,
            GridScheduler gridScheduler,
            String name,
            BackwardTensors tensors,
            AttentionOptions options) {
        requireOpen();
        requireGraph(taskGraph, gridScheduler, name);
        required(tensors, "tensors", "name them with BackwardTensors.builder()");
        tensors.requireFitting(AttentionShape.of(tensors.q(), tensors.k(), tensors.v(), options), options);
        tensors.requireApart();
        return graphs().appendBackward(taskGraph, gridScheduler, name, tensors, options);
    }

    /**
     * Changes the seed of all dropout that was appended to a task graph, from its next execution on: call it between
     * two steps of a training. Each task keeps its offset, so that layers with offsets of their own drop different
     * pairs.
     *
     * @param taskGraph a graph that attention with dropout was appended to
     * @param seed the new seed
     * @throws IllegalArgumentException if this instance appended nothing with dropout to it
     * @throws IllegalStateException if this instance is closed
     */
    public synchronized void reseed(TaskGraph taskGraph, long seed) {
        requireOpen();
        required(taskGraph, "taskGraph", "give the graph that attention was appended to");
        graphs().reseed(taskGraph, seed);
    }

    /** The log-sum-exp where no query sees a key. */
    static void fillWithoutKeys(Tensor logSumExp, AttentionOptions options) {
        logSumExp.fill(Float.NEGATIVE_INFINITY);
        options.sinks().ifPresent(sinks -> {
            for (int row = 0; row < logSumExp.numberOfElements(); row++) {
                logSumExp.setFlat(row, sinks.getFlat(row / logSumExp.dimension(2) % logSumExp.dimension(1)));
            }
        });
    }

    /** Where no query sees a key, a sink is the log-sum-exp. */
    private static void sumOverHeads(Tensor dLse, Tensor dSinks) {
        for (int row = 0; row < dLse.numberOfElements(); row++) {
            int head = row / dLse.dimension(2) % dLse.dimension(1);
            dSinks.setFlat(head, dSinks.getFlat(head) + dLse.getFlat(row));
        }
    }

    private static void requireGraph(TaskGraph taskGraph, GridScheduler gridScheduler, String name) {
        required(taskGraph, "taskGraph", "give the graph that the task is for");
        required(gridScheduler, "gridScheduler", "give the scheduler that the plan will be run with");
        required(name, "name", "give the task a name, unique in its graph");
    }

    private static void requireShape(String name, Tensor tensor, DType dtype, int... shape) {
        if (tensor == null || tensor.dtype() != dtype || !Arrays.equals(tensor.shape(), shape)) {
            throw new IllegalArgumentException("%s is %s: it must be %s%s; make it with Tensor.allocate."
                    .formatted(name, tensor, dtype, Arrays.toString(shape)));
        }
    }

    /**
     * Attention over sequences of different lengths, packed one behind the other: {@link RaggedAttention#forward} on
     * this device.
     *
     * @param q queries {@code [tokens, heads, headDim]}
     * @param k keys {@code [keyTokens, kvHeads, headDim]}, of the same type
     * @param v values, shaped like the keys
     * @param queryOffsets where each sequence begins in q, rising from 0 to {@code tokens}: one more than sequences;
     *     lengths may change from call to call
     * @param keyOffsets likewise in k
     * @param options mask (aligned to each sequence's own end), scale, softcap, ALiBi; neither key lengths nor dropout
     * @return output like q and log-sum-exp F32 {@code [tokens, heads]}, in new tensors; it has no backward pass
     * @throws IllegalArgumentException if shapes, types, offsets or options do not fit
     * @throws IllegalStateException if this instance is closed, or was made for one kernel
     * @throws UnsupportedOnDeviceException if the device lacks what the kernel needs
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public synchronized AttentionResult forwardRagged(
            Tensor q, Tensor k, Tensor v, IntArray queryOffsets, IntArray keyOffsets, AttentionOptions options) {
        requireOpen();
        requireNoKernel("takes no ragged batches");
        return ragged.forward(q, k, v, queryOffsets, keyOffsets, options);
    }

    /**
     * Merges attention of the same queries over parts of the keys into attention over all of them:
     * {@link RaggedAttention#merge} on this device. The parts may be results of any method, on any device.
     *
     * @param parts one or more, with outputs of one shape and type
     * @return output and log-sum-exp of all keys, in new tensors; it has no backward pass
     * @throws IllegalArgumentException if there are no parts, one is null, or their shapes or types differ
     * @throws IllegalStateException if this instance is closed
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public synchronized AttentionResult merge(AttentionResult... parts) {
        requireOpen();
        required(parts, "parts", "give at least one result");
        return ragged.merge(Arrays.asList(parts));
    }

    /**
     * Which kernel {@link #forward} takes for a problem on this device, and why.
     *
     * @param shape the sizes
     * @param dtype the type of q, k and v
     * @param options what is computed
     * @return the kernel, its tile and the reason
     * @throws IllegalArgumentException if something is null or the options do not fit the sizes
     * @throws IllegalStateException if this instance is closed
     * @throws UnsupportedOnDeviceException if the device lacks what the kernel needs
     */
    public synchronized KernelChoice choose(AttentionShape shape, DType dtype, AttentionOptions options) {
        return engine.choose(problem(shape, dtype, options));
    }

    /**
     * Which kernel {@link #backward} takes for a problem on this device, and why.
     *
     * @param shape the sizes
     * @param dtype the type of q, k and v
     * @param options what is computed
     * @return the kernel, its tile and the reason
     * @throws IllegalArgumentException if something is null or the options do not fit the sizes
     * @throws IllegalStateException if this instance is closed
     * @throws UnsupportedOnDeviceException if the device lacks what the kernel needs
     */
    public synchronized KernelChoice chooseBackward(AttentionShape shape, DType dtype, AttentionOptions options) {
        return engine.chooseBackward(problem(shape, dtype, options));
    }

    private AttentionProblem problem(AttentionShape shape, DType dtype, AttentionOptions options) {
        requireOpen();
        required(shape, "shape", "take AttentionShape.of(q, k, v, options)");
        required(dtype, "dtype", "choose F32, F16 or BF16");
        required(options, "options", "use AttentionOptions.defaults()");
        shape.requireFitting(options);
        return AttentionProblem.of(shape, dtype, options);
    }

    /**
     * The device that everything runs on.
     *
     * @return the device
     */
    public ComputeDevice device() {
        return device;
    }

    /**
     * Calls that found a compiled plan, calls that had to build one, and plans held: of forward, backward, ragged
     * batches and merges together.
     *
     * @return the numbers so far
     */
    public synchronized PlanStatistics statistics() {
        return engine.statistics().plus(ragged.statistics());
    }

    /** Frees all memory on the device. Closing twice does nothing. */
    @Override
    public synchronized void close() {
        closed = true;
        engine.close();
        if (graphs != null) {
            graphs.close();
        }
        ragged.close();
    }

    private void requireNoKernel(String what) {
        if (kernel.isPresent()) {
            throw new IllegalStateException(
                    "This FlashAttention was made for the kernel %s, which %s: make one without a kernel, or a RaggedAttention with a decode kernel."
                            .formatted(kernel.get().id(), what));
        }
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("This FlashAttention is closed: create a new one.");
        }
    }

    /** The device, the kernel if it is the same for all problems, and the plans held. */
    @Override
    public synchronized String toString() {
        return "FlashAttention on %s%s, %s"
                .formatted(
                        device,
                        kernel.map(only -> " by the kernel " + only.id()).orElse(""),
                        closed ? "closed" : statistics().plans() + " plans");
    }
}
