package org.tornadoattention.decode;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Gradients;
import org.tornadoattention.PlanStatistics;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.plan.FunctionProof;
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
    private final FunctionProof proof;

    /**
     * An empty cache.
     *
     * @param kernel of attention, or empty for the best
     */
    public InferencePlans(ComputeDevice device, Optional<DecodeKernel> kernel) {
        this.device = device;
        this.kernel = kernel;
        this.proof = new FunctionProof(device);
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
        RaggedShape shape = RaggedShape.roomFor(queryOffsets.getSize() - 1, q, k, options);
        proof.findTiles(options);
        plans.run(
                RaggedPlan.class,
                shape,
                () -> {
                    proof.require(problem(q, k, queryOffsets, keyOffsets, options), options, false);
                    return new RaggedPlan(shape, kernel, device);
                },
                plan -> plan.execute(q, k, v, queryOffsets, keyOffsets, options, o, lse));
    }

    /**
     * The gradients of attention over packed sequences.
     *
     * @param result what {@link #ragged} gave for the same tensors, offsets and options
     * @param dOut the gradient with respect to the output
     */
    public Gradients raggedBackward(
            Tensor q,
            Tensor k,
            Tensor v,
            IntArray queryOffsets,
            IntArray keyOffsets,
            AttentionOptions options,
            AttentionResult result,
            Tensor dOut) {
        RaggedShape shape = RaggedShape.roomFor(queryOffsets.getSize() - 1, q, k, options);
        shape.functions().requireDerivative();
        AttentionProblem longest = problem(q, k, queryOffsets, keyOffsets, options);
        RaggedBackwardPlan.Problem problem = new RaggedBackwardPlan.Problem(
                shape,
                longest.windowLeft(),
                longest.windowRight(),
                longest.scale(),
                longest.softcap(),
                longest.alibi(),
                options.bias().map(bias -> Arrays.stream(bias.shape()).boxed().toList()));
        proof.findTiles(options);
        return plans.use(
                RaggedBackwardPlan.class,
                problem,
                () -> {
                    proof.require(longest, options, true);
                    return new RaggedBackwardPlan(problem, device);
                },
                plan -> plan.execute(q, k, v, queryOffsets, keyOffsets, options, result, dOut));
    }

    /** The longest of the sequences that offsets divide tokens into. */
    public static int longest(IntArray offsets) {
        int longest = 0;
        for (int sequence = 1; sequence < offsets.getSize(); sequence++) {
            longest = Math.max(longest, offsets.get(sequence) - offsets.get(sequence - 1));
        }
        return longest;
    }

    /** The problem of sequences as long as the longest. */
    private static AttentionProblem problem(
            Tensor q, Tensor k, IntArray queryOffsets, IntArray keyOffsets, AttentionOptions options) {
        AttentionShape shape = new AttentionShape(
                queryOffsets.getSize() - 1,
                q.dimension(1),
                k.dimension(1),
                longest(queryOffsets),
                longest(keyOffsets),
                q.dimension(2));
        return AttentionProblem.of(shape, q.dtype(), options);
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
        try (proof) {
            plans.close();
        }
    }
}
