package org.tornadoattention.choice;

import java.util.List;
import java.util.Set;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.tensor.DType;

/** The JVM's own engine, {@code org.tornadoattention.vector}: it has no launches. */
record VectorSpec() implements KernelSpec {

    @Override
    public String summary() {
        return "FlashAttention-2 on the JVM's vector units and all cores";
    }

    @Override
    public Set<DType> dtypes() {
        return Set.of(DType.values());
    }

    @Override
    public Capability capability() {
        return Capability.JVM;
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
        return Backward.Own.untiled(_ -> List.of(), _ -> List.of());
    }

    @Override
    public Traffic traffic() {
        return Traffic.EACH_TILE;
    }

    @Override
    public List<Launch> forward(Work work) {
        return List.of();
    }
}
