package org.tornadoattention.choice;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.kernel.StandardAttention;
import org.tornadoattention.kernel.StandardAttentionBackward;
import org.tornadoattention.tensor.DType;

/** {@link StandardAttention} and its gradients. */
record StandardSpec() implements KernelSpec {

    @Override
    public String summary() {
        return "three kernels, S and P stored";
    }

    @Override
    public Set<DType> dtypes() {
        return Set.of(DType.F32);
    }

    @Override
    public boolean onlyWhereAskedFor() {
        return true;
    }

    @Override
    public int widestHead() {
        return AttentionShape.MAX_HEAD_DIM;
    }

    @Override
    public boolean ownValueDim() {
        return true;
    }

    @Override
    public boolean functions() {
        return true;
    }

    @Override
    public Backward backward() {
        return Backward.Own.untiled(
                problem -> List.of(scores("probabilities", problem.shape()), scores("scoreGradients", problem.shape())),
                this::gradients);
    }

    @Override
    public Traffic traffic() {
        return Traffic.STORED_SCORES;
    }

    @Override
    public List<Scratch> scratch(AttentionShape shape, Optional<Tile> tile) {
        return List.of(scores("scores", shape), scores("probabilities", shape));
    }

    private static Scratch scores(String name, AttentionShape shape) {
        return Scratch.floats(name, shape.scoreElements());
    }

    @Override
    public List<Launch> forward(Work work) {
        AttentionShape shape = work.shape();
        int size = work.groupSize();
        return List.of(
                Launch.of("-scores", StandardAttention.class, "scores").overElements(shape.scoreElements(), size),
                Launch.of("-softmax", StandardAttention.class, "softmax")
                        .summing(shape.seqK())
                        .overElements(shape.queryRows(), size),
                Launch.of("-output", StandardAttention.class, "output")
                        .summing(shape.seqK())
                        .overElements(shape.queryRows() * shape.valueDim(), size));
    }

    private List<Launch> gradients(Work work) {
        AttentionShape shape = work.shape();
        int size = work.groupSize();
        List<Launch> launches = new ArrayList<>(List.of(
                work.rowTerms(1),
                Launch.of("-ds", StandardAttentionBackward.class, "scoreGradients")
                        .overElements(shape.scoreElements(), size),
                Launch.of("-dq", StandardAttentionBackward.class, "queryGradient")
                        .summing(shape.seqK())
                        .overElements(shape.queryRows() * shape.headDim(), size)));
        long keyElements = work.keyRows() * shape.headDim();
        if (shape.valueDim() == shape.headDim()) {
            launches.add(Launch.of("-dkdv", StandardAttentionBackward.class, "keyValueGradients")
                    .summing(work.queriesOfKey())
                    .overElements(keyElements, size));
        } else {
            launches.add(Launch.of("-dk", StandardAttentionBackward.class, "keyGradient")
                    .summing(work.queriesOfKey())
                    .overElements(keyElements, size));
            launches.add(Launch.of("-dv", StandardAttentionBackward.class, "keyGradient")
                    .with("scoreGradients", "probabilities")
                    .with("query", "outputGradient")
                    .with("keyGradient", "valueGradient")
                    .with("headDim", shape.valueDim())
                    .summing(work.queriesOfKey())
                    .overElements(work.keyRows() * shape.valueDim(), size));
        }
        return launches;
    }

    @Override
    public boolean writesOutputApart() {
        return true;
    }
}
