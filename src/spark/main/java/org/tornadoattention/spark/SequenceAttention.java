package org.tornadoattention.spark;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.Function0;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.storage.StorageLevel;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionPart;
import org.tornadoattention.AttentionPart.Range;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.AttentionSums;
import org.tornadoattention.Gradients;
import org.tornadoattention.tensor.Tensor;

/**
 * Attention over a sequence that is too long for a device: keys and values are in the partitions of an RDD, each task
 * computes all queries that see its keys, and the partial results are merged by their log-sum-exps in a tree.
 *
 * <pre>{@code
 * AttentionShape whole = new AttentionShape(1, 16, 16, 1_000_000, 1_000_000, 128);
 * SequenceAttention attention = SequenceAttention.of(whole, AttentionOptions::causal, TaskDevice.gpu(Backend.CUDA));
 * AttentionResult result = attention.forward(q, keyValues);
 * try (SequenceGradients gradients = attention.backward(q, result, dOut, keyValues)) {
 *     gradients.keyValues().map(…);
 * }
 * }</pre>
 *
 * <p>Spark merges results as they come, so that two runs may differ by rounding. What a lost executor computed is
 * computed again. Queries and the result are on the driver, and on each executor for as long as a call takes.
 */
public final class SequenceAttention {

    /** Spark's own default. */
    private static final int DEPTH = 2;

    private final AttentionShape whole;
    private final Function0<AttentionOptions> options;
    private final TaskDevice device;
    private final int depth;

    private SequenceAttention(AttentionShape whole, Function0<AttentionOptions> options, TaskDevice device, int depth) {
        this.whole = whole;
        this.options = options;
        this.device = device;
        this.depth = depth;
    }

    /**
     * Attention of one problem.
     *
     * @param whole its sizes; {@code seqK} is that of all parts together
     * @param options makes the options, on the driver and on each executor, such as {@code AttentionOptions::causal}
     * @param device where tasks compute
     * @return attention that merges in a tree of depth 2
     * @throws IllegalArgumentException if the options do not fit the sizes, or cannot be divided by keys: those that
     *     {@link AttentionPart#of} refuses, and sinks and a bias, whose gradients are sums over parts
     */
    public static SequenceAttention of(AttentionShape whole, Function0<AttentionOptions> options, TaskDevice device) {
        Objects.requireNonNull(whole, "whole");
        Objects.requireNonNull(options, "options");
        Objects.requireNonNull(device, "device");
        AttentionOptions made = made(options);
        if (made.sinks().isPresent() || made.bias().isPresent()) {
            throw new IllegalArgumentException(
                    "The options have sinks or a bias, whose gradients are sums over parts: leave them out, or use DistributedAttention on one host.");
        }
        if (whole.seqK() > 1) {
            AttentionPart.of(
                    whole, made, batch(whole), heads(whole), new Range(0, 1)); // which refuses what cannot be divided
        }
        return new SequenceAttention(whole, options, device, DEPTH);
    }

    /**
     * Another depth of the tree in which results are merged.
     *
     * @param levels 1: the driver merges all; 2 or more: executors merge before that, which it takes where partitions
     *     are many
     * @return attention that merges so
     * @throws IllegalArgumentException if it is not positive
     */
    public SequenceAttention withDepth(int levels) {
        if (levels < 1) {
            throw new IllegalArgumentException("The depth is %d: it must be 1 or more.".formatted(levels));
        }
        return new SequenceAttention(whole, options, device, levels);
    }

    private static AttentionOptions made(Function0<AttentionOptions> options) {
        try {
            return options.call();
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IllegalArgumentException("The options could not be made: " + e.getMessage(), e);
        }
    }

    private static Range batch(AttentionShape whole) {
        return new Range(0, whole.batch());
    }

    private static Range heads(AttentionShape whole) {
        return new Range(0, whole.kvHeads());
    }

    /**
     * Computes attention.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}, of the type of the keys
     * @param keyValues parts that have each key once, in any order
     * @return output of the type of q and log-sum-exp in F32, in new tensors
     * @throws IllegalArgumentException if q is not shaped like the problem, or a key is missing or there twice
     */
    public AttentionResult forward(Tensor q, JavaRDD<KeyValues> keyValues) {
        requireShape("q", q, whole.queryShape());
        requirePartitions(keyValues);
        Broadcast<TensorBytes> queries = broadcast(keyValues, q);
        try {
            Task task = new Task(whole, options, device);
            PartialOutput all = keyValues
                    .mapPartitions(parts -> task.forward(parts, queries.value().tensor()))
                    .treeReduce(PartialOutput::plus, depth);
            all.keys.requireAll(whole.seqK());
            return all.sums.result(q.dtype());
        } finally {
            queries.destroy();
        }
    }

    /**
     * The gradients of a loss with respect to q, k and v, from its gradient with respect to the output.
     *
     * @param q queries of the forward pass
     * @param result what {@link #forward} gave
     * @param dOut gradient with respect to the output, of its shape and type
     * @param keyValues parts of the forward pass
     * @return gradients; close them to free what executors keep for them
     * @throws IllegalArgumentException if a tensor is not shaped like the problem, or a key is missing or there twice
     */
    public SequenceGradients backward(Tensor q, AttentionResult result, Tensor dOut, JavaRDD<KeyValues> keyValues) {
        requireShape("q", q, whole.queryShape());
        requireShape("output", result.output(), whole.outputShape());
        requireShape("dOut", dOut, whole.outputShape());
        requirePartitions(keyValues);
        Broadcast<TensorBytes> queries = broadcast(keyValues, q);
        Broadcast<TensorBytes> outputs = broadcast(keyValues, result.output());
        Broadcast<TensorBytes> logSumExps = broadcast(keyValues, result.logSumExp());
        Broadcast<TensorBytes> outputGradients = broadcast(keyValues, dOut);
        Task task = new Task(whole, options, device);
        JavaRDD<PartGradients> gradients = keyValues
                .mapPartitions(parts -> task.backward(
                        parts,
                        queries.value().tensor(),
                        outputs.value().tensor(),
                        logSumExps.value().tensor(),
                        outputGradients.value().tensor()))
                .persist(StorageLevel.MEMORY_AND_DISK_SER());
        SequenceGradients kept;
        List<Broadcast<TensorBytes>> inputs = List.of(queries, outputs, logSumExps, outputGradients);
        try {
            PartialQueryGradient dQ = gradients.mapPartitions(task::sum).treeReduce(PartialQueryGradient::plus, depth);
            dQ.keys.requireAll(whole.seqK());
            kept = new SequenceGradients(dQ.result(q.dtype()), gradients, inputs);
        } catch (Throwable e) { // Spark throws what it does not declare
            gradients.unpersist();
            inputs.forEach(Broadcast::destroy);
            throw e;
        }
        return kept;
    }

    private static Broadcast<TensorBytes> broadcast(JavaRDD<KeyValues> near, Tensor tensor) {
        return JavaSparkContext.fromSparkContext(near.context()).broadcast(TensorBytes.of(tensor));
    }

    private static void requirePartitions(JavaRDD<KeyValues> keyValues) {
        Objects.requireNonNull(keyValues, "keyValues");
        if (keyValues.getNumPartitions() == 0) {
            throw new IllegalArgumentException("The RDD has no partitions: there must be a part for each key.");
        }
    }

    private static void requireShape(String name, Tensor tensor, int[] shape) {
        Objects.requireNonNull(tensor, name);
        if (!Arrays.equals(tensor.shape(), shape)) {
            throw new IllegalArgumentException(
                    "%s is %s: in this problem it is %s.".formatted(name, tensor, Arrays.toString(shape)));
        }
    }

    /** What executors do; it travels without the RDDs. */
    private record Task(AttentionShape whole, Function0<AttentionOptions> options, TaskDevice device)
            implements Serializable {

        private AttentionPart part(KeyValues given, AttentionOptions all) {
            Range keys = new Range(given.from(), given.to());
            AttentionPart part = AttentionPart.of(whole, all, batch(whole), heads(whole), keys);
            int[] keyShape = whole.keyShape();
            int[] valueShape = whole.valueShape();
            keyShape[2] = keys.length();
            valueShape[2] = keys.length();
            requireShape("A part's keys", given.keys(), keyShape);
            requireShape("A part's values", given.values(), valueShape);
            return part;
        }

        Iterator<PartialOutput> forward(Iterator<KeyValues> parts, Tensor q) {
            if (!parts.hasNext()) {
                return Collections.emptyIterator();
            }
            AttentionOptions all = made(options);
            PartialOutput partial = new PartialOutput(new AttentionSums(whole));
            try (Attentions.Lease lease = Attentions.on(device.find())) {
                while (parts.hasNext()) {
                    KeyValues given = parts.next();
                    AttentionPart part = part(given, all);
                    partial.keys.add(given);
                    if (!part.isEmpty()) {
                        AttentionResult result = lease.attention()
                                .forward(part.queriesOf(q), given.keys(), given.values(), part.options(all));
                        partial.sums.add(part, result);
                    }
                }
            }
            return List.of(partial).iterator();
        }

        Iterator<PartGradients> backward(
                Iterator<KeyValues> parts, Tensor q, Tensor output, Tensor logSumExp, Tensor dOut) {
            AttentionOptions all = made(options);
            List<PartGradients> gradients = new ArrayList<>();
            if (!parts.hasNext()) {
                return gradients.iterator();
            }
            try (Attentions.Lease lease = Attentions.on(device.find())) {
                while (parts.hasNext()) {
                    KeyValues given = parts.next();
                    AttentionPart part = part(given, all);
                    Gradients own;
                    if (part.isEmpty()) {
                        own = Gradients.of(
                                part.queriesOf(q),
                                Tensor.allocate(q.dtype(), given.keys().shape()),
                                Tensor.allocate(q.dtype(), given.values().shape()));
                    } else {
                        AttentionResult forward = AttentionResult.of(
                                part.queriesOf(q),
                                given.keys(),
                                given.values(),
                                part.options(all),
                                part.queriesOf(output),
                                part.queriesOf(logSumExp));
                        own = lease.attention().backward(forward, part.queriesOf(dOut));
                    }
                    gradients.add(new PartGradients(
                            part, TensorBytes.of(own.dQ()), KeyValues.of(given.from(), own.dK(), own.dV())));
                }
            }
            return gradients.iterator();
        }

        Iterator<PartialQueryGradient> sum(Iterator<PartGradients> parts) {
            if (!parts.hasNext()) {
                return Collections.emptyIterator();
            }
            PartialQueryGradient partial = new PartialQueryGradient(whole);
            while (parts.hasNext()) {
                PartGradients own = parts.next();
                partial.keys.add(own.keyValues);
                if (!own.part.isEmpty()) {
                    partial.add(own.part, own.dQ.tensor());
                }
            }
            return List.of(partial).iterator();
        }
    }

    /** The problem and where it is computed. */
    @Override
    public String toString() {
        return "SequenceAttention of %s on %s".formatted(whole, device);
    }
}
