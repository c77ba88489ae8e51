package org.tornadoattention.plan;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.PlanStatistics;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The plans for ragged batches and merges on one device, the least recently used closed when there are too many. Not
 * synchronised: its owner is.
 */
public final class InferencePlans implements AutoCloseable {

    private static final int CAPACITY = 8;

    private final ComputeDevice device;
    private final Optional<DecodeKernel> kernel;
    private final Map<Object, AutoCloseable> plans = new LinkedHashMap<>(CAPACITY, 0.75f, true);
    private long hits;
    private long misses;

    /**
     * An empty cache.
     *
     * @param kernel of attention, or empty for the best
     */
    public InferencePlans(ComputeDevice device, Optional<DecodeKernel> kernel) {
        this.device = device;
        this.kernel = kernel;
    }

    /**
     * Attention over packed sequences.
     *
     * @param q {@code [tokens, heads, headDim]}
     * @param k {@code [tokens, kvHeads, headDim]}
     * @param queryOffsets where each sequence begins in q, and the end of the last
     * @param keyOffsets likewise in k
     * @param o gets the output, shaped like q
     * @param lse gets the log-sum-exps {@code [tokens, heads]}
     */
    public void ragged(
            Tensor q,
            Tensor k,
            Tensor v,
            IntArray queryOffsets,
            IntArray keyOffsets,
            AttentionOptions options,
            Tensor o,
            Tensor lse) {
        RaggedShape shape = RaggedShape.roomFor(
                queryOffsets.getSize() - 1,
                q.dimension(0),
                k.dimension(0),
                q.dimension(1),
                k.dimension(1),
                q.dimension(2),
                q.dtype());
        RaggedPlan plan = (RaggedPlan) find(shape, () -> new RaggedPlan(shape, kernel, device));
        closingOnFailure(shape, () -> plan.execute(q, k, v, queryOffsets, keyOffsets, options, o, lse));
    }

    /** Merges parts: tensors of one shape whose last dimension is headDim, and their log-sum-exps. */
    public void merge(List<Tensor> outputs, List<Tensor> logSumExps, Tensor o, Tensor lse) {
        MergePlan.Key key =
                new MergePlan.Key(lse.numberOfElements(), o.dimension(o.rank() - 1), outputs.size(), o.dtype());
        MergePlan plan = (MergePlan) find(key, () -> new MergePlan(key, device));
        closingOnFailure(key, () -> plan.execute(outputs, logSumExps, o, lse));
    }

    private AutoCloseable find(Object key, Supplier<AutoCloseable> make) {
        AutoCloseable plan = plans.get(key);
        if (plan != null) {
            hits++;
            return plan;
        }
        misses++;
        while (plans.size() >= CAPACITY) {
            close(plans.remove(plans.keySet().iterator().next()));
        }
        AutoCloseable made = make.get();
        plans.put(key, made);
        return made;
    }

    /** A plan that failed is closed and forgotten. */
    private void closingOnFailure(Object key, Runnable execution) {
        try {
            execution.run();
        } catch (RuntimeException | Error e) {
            try {
                close(plans.remove(key));
            } catch (RuntimeException | Error closing) {
                e.addSuppressed(closing);
            }
            throw e;
        }
    }

    /** Calls that found their plan, calls that had to build one, and plans held now. */
    public PlanStatistics statistics() {
        return new PlanStatistics(hits, misses, plans.size());
    }

    /** Closes all plans. */
    @Override
    public void close() {
        plans.values().forEach(InferencePlans::close);
        plans.clear();
    }

    private static void close(AutoCloseable plan) {
        switch (plan) {
            case RaggedPlan ragged -> ragged.close();
            case MergePlan merge -> merge.close();
            default -> throw new IllegalStateException("An unknown plan " + plan);
        }
    }
}
