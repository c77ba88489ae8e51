package org.tornadoattention.decode;

import java.util.List;
import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.PlanStatistics;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.plan.Plans;
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
    private final Plans plans = new Plans(CAPACITY);

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
        plans.run(
                RaggedPlan.class,
                shape,
                () -> new RaggedPlan(shape, kernel, device),
                plan -> plan.execute(q, k, v, queryOffsets, keyOffsets, options, o, lse));
    }

    /** Merges parts: tensors of one shape whose last dimension is headDim, and their log-sum-exps. */
    public void merge(List<Tensor> outputs, List<Tensor> logSumExps, Tensor o, Tensor lse) {
        MergePlan.Problem problem =
                new MergePlan.Problem(lse.numberOfElements(), o.dimension(o.rank() - 1), outputs.size(), o.dtype());
        plans.run(
                MergePlan.class,
                problem,
                () -> new MergePlan(problem, device),
                plan -> plan.execute(outputs, logSumExps, o, lse));
    }

    /** Calls that found their plan, calls that had to build one, and plans held now. */
    public PlanStatistics statistics() {
        return plans.statistics();
    }

    /** Closes all plans. */
    @Override
    public void close() {
        plans.close();
    }
}
