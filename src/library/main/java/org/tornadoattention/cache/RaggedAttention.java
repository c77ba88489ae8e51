package org.tornadoattention.cache;

import static org.tornadoattention.internal.Arguments.required;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Gradients;
import org.tornadoattention.PlanStatistics;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.decode.InferencePlans;
import org.tornadoattention.decode.RaggedGraphTasks;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.function.UserFunctions;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import org.tornadoattention.vector.VectorBackward;
import org.tornadoattention.vector.VectorForward;
import org.tornadoattention.vector.VectorMerge;
import org.tornadoattention.vector.Workers;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Attention over sequences of different lengths, packed one behind the other without padding, and the merge of
 * attention over parts of the keys. Plans are kept for rounded sizes: batches of nearly the same size, however it is
 * divided, share one.
 */
public final class RaggedAttention implements AutoCloseable {

    private static final int WIDEST_HEAD = 256;

    private final ComputeDevice device;
    private final InferencePlans plans;
    private final Optional<DecodeKernel> kernel;
    private final Optional<Workers> threads;
    private boolean closed;

    /**
     * On a device, with the best kernel for each batch, without plans yet.
     *
     * @param device one of {@link Devices#all()}
     * @throws IllegalArgumentException if it is null
     */
    public RaggedAttention(ComputeDevice device) {
        this.device = required(device, "device", "take one of Devices.all()");
        kernel = Optional.empty();
        plans = new InferencePlans(device, kernel);
        threads = device.isJvm() ? Optional.of(Workers.of(device)) : Optional.empty();
    }

    /**
     * On a device, by one kernel, without plans yet.
     *
     * @param device one of {@link Devices#all()}
     * @param kernel the kernel; a batch that it does not take is refused
     * @throws IllegalArgumentException if something is null
     */
    public RaggedAttention(ComputeDevice device, DecodeKernel kernel) {
        this.device = required(device, "device", "take one of Devices.all()");
        required(kernel, "kernel", "leave it out for the best one");
        if (device.isJvm() && kernel != DecodeKernel.VECTOR) {
            throw new UnsupportedOnDeviceException(
                    device, "the kernel " + kernel.id() + ", which is for task graphs", "leave the kernel out");
        }
        this.kernel = Optional.of(kernel);
        plans = new InferencePlans(device, this.kernel);
        threads = device.isJvm() ? Optional.of(Workers.of(device)) : Optional.empty();
    }

    /**
     * Attention of each sequence's queries over its own keys.
     *
     * @param q queries {@code [tokens, heads, headDim]}
     * @param k keys {@code [keyTokens, kvHeads, headDim]}, of the same type
     * @param v values, shaped like the keys
     * @param queryOffsets where each sequence begins in q, rising from 0 to {@code tokens}: one more than sequences
     * @param keyOffsets likewise in k; a sequence may have no queries, or no keys
     * @param options mask (aligned to each sequence's own end), scale, softcap, ALiBi; neither key lengths nor dropout
     * @return output like q and log-sum-exp F32 {@code [tokens, heads]}, in new tensors
     * @throws IllegalArgumentException if shapes, types, offsets or options do not fit
     * @throws IllegalStateException if this instance is closed
     * @throws UnsupportedOnDeviceException if the device lacks what the kernel needs
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public synchronized AttentionResult forward(
            Tensor q, Tensor k, Tensor v, IntArray queryOffsets, IntArray keyOffsets, AttentionOptions options) {
        requireOpen();
        requireFitting(q, k, v, queryOffsets, keyOffsets, options);
        Tensor output = Tensor.allocate(q.dtype(), q.shape());
        Tensor logSumExp = Tensor.allocate(DType.F32, q.dimension(0), q.dimension(1));
        if (q.dimension(0) > 0) {
            threads.ifPresentOrElse(
                    workers -> VectorForward.runRagged(
                            workers,
                            options,
                            q,
                            k,
                            v,
                            queryOffsets.toHeapArray(),
                            keyOffsets.toHeapArray(),
                            output,
                            logSumExp),
                    () -> plans.ragged(q, k, v, queryOffsets, keyOffsets, options, output, logSumExp));
        }
        return AttentionResult.of(output, logSumExp);
    }

    /**
     * Begins to add attention over packed sequences to a task graph of the caller's: for each layer of a model,
     * {@link RaggedTasks#append}, and before each execution {@link RaggedTasks#divide}, which says where sequences
     * begin. The graph serves any division of its tokens, and compiles nothing anew.
     *
     * @param taskGraph graph to append to
     * @param gridScheduler gets the grids of the tasks
     * @param q queries of the shape and type that all layers have, {@code [tokens, heads, headDim]}, with tokens that
     *     there is room for
     * @param k keys likewise, {@code [keyTokens, kvHeads, headDim]}
     * @param sequences that there is room for, 1 or more
     * @param options mask, scale, softcap, ALiBi and sinks; neither key lengths nor dropout nor functions nor a bias
     * @return what appends the tasks
     * @throws IllegalArgumentException if shapes, types or options do not fit, or the head dimension is odd
     * @throws IllegalStateException if this instance is closed
     * @throws UnsupportedOnDeviceException if the device runs no task graphs, or lacks what the kernel needs
     */
    public synchronized RaggedTasks tasks(
            TaskGraph taskGraph,
            GridScheduler gridScheduler,
            Tensor q,
            Tensor k,
            int sequences,
            AttentionOptions options) {
        requireOpen();
        required(taskGraph, "taskGraph", "give the graph that the tasks are to be part of");
        required(gridScheduler, "gridScheduler", "give the one that the graph is executed with");
        required(q, "q", "give a tensor [tokens, heads, headDim]");
        required(k, "k", "give a tensor [tokens, kvHeads, headDim]");
        if (sequences < 1) {
            throw new IllegalArgumentException("There is room for %d sequences: give 1 or more.".formatted(sequences));
        }
        IntArray queryOffsets = IntArray.fromElements(0, q.dimension(0));
        IntArray keyOffsets = IntArray.fromElements(0, k.dimension(0));
        requireFitting(q, k, k, queryOffsets, keyOffsets, options);
        if (device.isJvm()) {
            throw new UnsupportedOnDeviceException(
                    device, "task graphs", "take a device of TornadoVM's, or Devices.bestForTaskGraphs()");
        }
        if (!UserFunctions.of(options).isEmpty()) {
            throw new IllegalArgumentException(
                    "The options are %s: functions and a bias are not for task graphs of packed sequences; use forward."
                            .formatted(options));
        }
        if (q.dtype() == DType.BF16 || q.dtype() == DType.F16 && !device.halfFloats()) {
            throw new IllegalArgumentException("q is %s, which %s does not read in place: use F32%s."
                    .formatted(q, device, device.halfFloats() ? " or F16" : ""));
        }
        if (q.dimension(2) % 2 != 0) {
            throw new IllegalArgumentException(
                    "The head dimension is %d: keys are read in place in pairs, so it must be even."
                            .formatted(q.dimension(2)));
        }
        return new RaggedTasks(
                new RaggedGraphTasks(taskGraph, gridScheduler, q, k, sequences, options, kernel, device),
                q,
                k,
                sequences);
    }

    /**
     * The gradients of {@link #forward}, the same bits in every run.
     *
     * @param q as given to forward, as are k, v, the offsets and the options
     * @param k keys
     * @param v values
     * @param queryOffsets where each sequence begins in q
     * @param keyOffsets where each sequence begins in k
     * @param options what was computed
     * @param result what forward returned
     * @param dOut the gradient with respect to the output, of its shape and type
     * @return the gradients of q, k and v, and of the bias and the sinks where there are any, in new tensors
     * @throws IllegalArgumentException if shapes, types, offsets or options do not fit, or a score function has no
     *     derivative
     * @throws IllegalStateException if this instance is closed
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public synchronized Gradients backward(
            Tensor q,
            Tensor k,
            Tensor v,
            IntArray queryOffsets,
            IntArray keyOffsets,
            AttentionOptions options,
            AttentionResult result,
            Tensor dOut) {
        requireOpen();
        required(result, "result", "give what forward returned");
        required(dOut, "dOut", "give one number for each element of the output " + result.output())
                .requireContiguous();
        requireFitting(q, k, v, queryOffsets, keyOffsets, options);
        if (!Arrays.equals(result.output().shape(), q.shape())
                || !Arrays.equals(dOut.shape(), q.shape())
                || result.output().dtype() != q.dtype()
                || dOut.dtype() != q.dtype()) {
            throw new IllegalArgumentException(
                    "q is %s, the output %s and dOut %s: they must be alike.".formatted(q, result.output(), dOut));
        }
        return threads.map(workers -> VectorBackward.runRagged(
                        workers, q, k, v, queryOffsets.toHeapArray(), keyOffsets.toHeapArray(), result, dOut, options))
                .orElseGet(() -> plans.raggedBackward(q, k, v, queryOffsets, keyOffsets, options, result, dOut));
    }

    private void requireFitting(
            Tensor q, Tensor k, Tensor v, IntArray queryOffsets, IntArray keyOffsets, AttentionOptions options) {
        required(q, "q", "give a tensor [tokens, heads, headDim]");
        required(k, "k", "give a tensor [tokens, kvHeads, headDim]");
        required(v, "v", "give a tensor [tokens, kvHeads, headDim]");
        required(queryOffsets, "queryOffsets", "give where each sequence begins in q, and where the last one ends");
        required(keyOffsets, "keyOffsets", "give where each sequence begins in k, and where the last one ends");
        required(options, "options", "use AttentionOptions.causal()");
        requirePacked("q", q, "heads");
        requirePacked("k", k, "kvHeads");
        requirePacked("v", v, "kvHeads");
        if (q.dtype() != k.dtype()
                || q.dtype() != v.dtype()
                || !Arrays.equals(k.shape(), v.shape())
                || q.dimension(2) != k.dimension(2)) {
            throw new IllegalArgumentException(
                    "q is %s, k %s and v %s: they must be of one type and head dimension, k and v of one shape."
                            .formatted(q, k, v));
        }
        if (options.hasDropout()) {
            throw new IllegalArgumentException(
                    "The options have dropout, which ragged batches do not have: use withoutDropout(), or FlashAttention.forward in training.");
        }
        if (options.hasKeyLengths()) {
            throw new IllegalArgumentException(
                    "The options are %s: the offsets give the lengths here; use options without key lengths."
                            .formatted(options));
        }
        int sequences = requireOffsets("query", queryOffsets, q.dimension(0));
        if (requireOffsets("key", keyOffsets, k.dimension(0)) != sequences) {
            throw new IllegalArgumentException("There are %d query offsets and %d key offsets: give as many of both."
                    .formatted(queryOffsets.getSize(), keyOffsets.getSize()));
        }
        new AttentionShape(
                        sequences,
                        q.dimension(1),
                        k.dimension(1),
                        InferencePlans.longest(queryOffsets),
                        InferencePlans.longest(keyOffsets),
                        q.dimension(2))
                .requireFitting(options);
        if (q.dimension(2) > WIDEST_HEAD) {
            throw new IllegalArgumentException(
                    "The head dimension is %d: ragged batches have heads of 1 to %d elements."
                            .formatted(q.dimension(2), WIDEST_HEAD));
        }
    }

    /**
     * Merges attention of the same queries over parts of the keys into attention over all of them.
     *
     * @param parts one or more, with outputs of one shape and type
     * @return output and log-sum-exp of all keys, in new tensors; a query that saw no key in any part has 0 and −∞
     * @throws IllegalArgumentException if there are no parts, one is null, or their shapes or types differ
     * @throws IllegalStateException if this instance is closed
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public synchronized AttentionResult merge(List<AttentionResult> parts) {
        requireOpen();
        required(parts, "parts", "give at least one result");
        if (parts.isEmpty()) {
            throw new IllegalArgumentException("There are no parts to merge: give at least one.");
        }
        Tensor first =
                required(parts.getFirst(), "parts[0]", "give results only").output();
        int[] rows = Arrays.copyOf(first.shape(), first.rank() - 1);
        for (int i = 0; i < parts.size(); i++) {
            AttentionResult part = required(parts.get(i), "parts[" + i + "]", "give results only");
            if (part.output().dtype() != first.dtype()
                    || !Arrays.equals(part.output().shape(), first.shape())) {
                throw new IllegalArgumentException(
                        "parts[%d] has the output %s, parts[0] %s: parts must have one shape and type."
                                .formatted(i, part.output(), first));
            }
        }
        Tensor output = Tensor.allocate(first.dtype(), first.shape());
        Tensor logSumExp = Tensor.allocate(DType.F32, rows);
        if (first.numberOfElements() > 0) {
            List<Tensor> outputs = parts.stream().map(AttentionResult::output).toList();
            List<Tensor> logarithms =
                    parts.stream().map(AttentionResult::logSumExp).toList();
            threads.ifPresentOrElse(
                    workers -> VectorMerge.run(workers, outputs, logarithms, output, logSumExp),
                    () -> plans.merge(outputs, logarithms, output, logSumExp));
        }
        return AttentionResult.of(output, logSumExp);
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("This RaggedAttention is closed: create a new one.");
        }
    }

    private static void requirePacked(String name, Tensor tensor, String headAxis) {
        if (tensor.rank() != 3) {
            throw new IllegalArgumentException(
                    "%s is %s: it must be [tokens, %s, headDim].".formatted(name, tensor, headAxis));
        }
        tensor.requireContiguous();
    }

    /** The number of sequences. */
    static int requireOffsets(String name, IntArray offsets, int tokens) {
        int size = offsets.getSize();
        boolean fits = size >= 2 && offsets.get(0) == 0 && offsets.get(size - 1) == tokens;
        for (int i = 1; fits && i < size; i++) {
            fits = offsets.get(i) >= offsets.get(i - 1);
        }
        if (!fits) {
            throw new IllegalArgumentException(
                    "The %s offsets are %s: they must rise from 0 to the %d tokens, one more than there are sequences."
                            .formatted(name, Arrays.toString(offsets.toHeapArray()), tokens));
        }
        return size - 1;
    }

    /**
     * Calls that found a compiled plan, calls that had to build one, and plans held.
     *
     * @return the numbers so far
     */
    public synchronized PlanStatistics statistics() {
        return plans.statistics();
    }

    /**
     * The device that everything runs on.
     *
     * @return the device
     */
    public ComputeDevice device() {
        return device;
    }

    /** The device and the plans held. */
    @Override
    public synchronized String toString() {
        return "RaggedAttention on %s, %s"
                .formatted(device, closed ? "closed" : statistics().plans() + " plans");
    }

    /** Frees all memory on the device. Closing twice does nothing. */
    @Override
    public synchronized void close() {
        closed = true;
        plans.close();
        threads.ifPresent(Workers::close);
    }
}
