package org.tornadoattention.inference;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.plan.DecodeKernel;
import org.tornadoattention.plan.InferencePlans;
import org.tornadoattention.plan.PlanStatistics;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Attention over sequences of different lengths, packed one behind the other without padding, and the merge of attention
 * over parts of the keys. Plans are kept for rounded sizes: batches of nearly the same size, however it is divided, share
 * one.
 */
public final class RaggedAttention implements AutoCloseable {

    private final InferencePlans plans;

    /** On a device, without plans yet. */
    public RaggedAttention(ComputeDevice device) {
        plans = new InferencePlans(device, Optional.empty());
    }

    /** On a device, by one kernel, without plans yet. */
    public RaggedAttention(ComputeDevice device, DecodeKernel kernel) {
        plans = new InferencePlans(device, Optional.of(kernel));
    }

    /**
     * Attention of each sequence's queries over its own keys.
     *
     * @param q queries {@code [tokens, heads, headDim]}
     * @param k keys {@code [keyTokens, kvHeads, headDim]}, of the same type
     * @param v values, shaped like the keys
     * @param queryOffsets where each sequence begins in q, rising from 0 to {@code tokens}: one more than sequences
     * @param keyOffsets likewise in k; a sequence may have no queries, or no keys
     * @param options mask (aligned to each sequence's own end), scale, softcap, ALiBi
     * @return output like q, log-sum-exp {@code [tokens, heads]}
     * @throws IllegalArgumentException if shapes, types, offsets or options do not fit
     */
    public synchronized AttentionOutput forward(
            Tensor q, Tensor k, Tensor v, IntArray queryOffsets, IntArray keyOffsets, AttentionOptions options) {
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
        if (options == null || options.hasKeyLengths()) {
            throw new IllegalArgumentException(
                    "The options are %s: the offsets give the lengths here; use options without key lengths."
                            .formatted(options));
        }
        int sequences = requireOffsets("query", queryOffsets, q.dimension(0));
        if (requireOffsets("key", keyOffsets, k.dimension(0)) != sequences) {
            throw new IllegalArgumentException("There are %d query offsets and %d key offsets: give as many of both."
                    .formatted(queryOffsets.getSize(), keyOffsets.getSize()));
        }
        new AttentionShape(sequences, q.dimension(1), k.dimension(1), 1, 1, q.dimension(2)).requireFitting(options);
        Tensor output = Tensor.allocate(q.dtype(), q.shape());
        Tensor logSumExp = Tensor.allocate(DType.F32, q.dimension(0), q.dimension(1));
        if (q.dimension(0) > 0) {
            plans.ragged(q, k, v, queryOffsets, keyOffsets, options, output, logSumExp);
        }
        return new AttentionOutput(output, logSumExp);
    }

    /**
     * Merges attention of the same queries over parts of the keys into attention over all of them.
     *
     * @param parts one or more, with outputs of one shape and type
     * @return output and log-sum-exp of all keys; a query that saw no key in any part has 0 and −∞
     * @throws IllegalArgumentException if there are no parts, or their shapes or types differ
     */
    public synchronized AttentionOutput merge(List<AttentionOutput> parts) {
        if (parts.isEmpty()) {
            throw new IllegalArgumentException("There are no parts to merge: give at least one.");
        }
        Tensor first = parts.getFirst().output();
        int[] rows = Arrays.copyOf(first.shape(), first.rank() - 1);
        for (AttentionOutput part : parts) {
            if (part.output().dtype() != first.dtype()
                    || !Arrays.equals(part.output().shape(), first.shape())
                    || part.logSumExp().dtype() != DType.F32
                    || !Arrays.equals(part.logSumExp().shape(), rows)) {
                throw new IllegalArgumentException(
                        "A part has output %s and log-sum-exp %s beside a first output %s: parts must have one shape, and F32 log-sum-exps of it without the last dimension."
                                .formatted(part.output(), part.logSumExp(), first));
            }
        }
        Tensor output = Tensor.allocate(first.dtype(), first.shape());
        Tensor logSumExp = Tensor.allocate(DType.F32, rows);
        if (first.numberOfElements() > 0) {
            plans.merge(
                    parts.stream().map(AttentionOutput::output).toList(),
                    parts.stream().map(AttentionOutput::logSumExp).toList(),
                    output,
                    logSumExp);
        }
        return new AttentionOutput(output, logSumExp);
    }

    private static void requirePacked(String name, Tensor tensor, String headAxis) {
        if (tensor == null || tensor.rank() != 3) {
            throw new IllegalArgumentException(
                    "%s is %s: it must be [tokens, %s, headDim].".formatted(name, tensor, headAxis));
        }
    }

    /** The number of sequences. */
    private static int requireOffsets(String name, IntArray offsets, int tokens) {
        int size = offsets == null ? 0 : offsets.getSize();
        boolean fits = size >= 2 && offsets.get(0) == 0 && offsets.get(size - 1) == tokens;
        for (int i = 1; fits && i < size; i++) {
            fits = offsets.get(i) >= offsets.get(i - 1);
        }
        if (!fits) {
            throw new IllegalArgumentException(
                    "The %s offsets are %s: they must rise from 0 to the %d tokens, one more than there are sequences."
                            .formatted(name, offsets == null ? null : Arrays.toString(offsets.toHeapArray()), tokens));
        }
        return size - 1;
    }

    /** Calls that found a compiled plan, calls that had to build one, and plans held. */
    public synchronized PlanStatistics statistics() {
        return plans.statistics();
    }

    /** Frees all memory on the device. */
    @Override
    public synchronized void close() {
        plans.close();
    }
}
