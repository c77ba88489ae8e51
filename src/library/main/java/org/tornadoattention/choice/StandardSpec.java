package org.tornadoattention.choice;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.tensor.DType;

/** {@link org.tornadoattention.kernel.StandardAttention} and its gradients. */
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
    public Backward backward() {
        return Backward.Own.untiled();
    }

    @Override
    public Traffic traffic() {
        return Traffic.STORED_SCORES;
    }

    /** S and P, or P and dS. */
    @Override
    public List<Long> scratchBytes(AttentionShape shape, Optional<Tile> tile) {
        long scores = Math.multiplyExact(shape.scoreElements(), (long) Float.BYTES);
        return List.of(scores, scores);
    }

    @Override
    public boolean writesOutputApart() {
        return true;
    }
}
