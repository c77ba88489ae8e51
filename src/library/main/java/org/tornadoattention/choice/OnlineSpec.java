package org.tornadoattention.choice;

import java.util.Set;
import org.tornadoattention.tensor.DType;

/** {@link org.tornadoattention.kernel.OnlineSoftmaxAttention} and its gradients. */
record OnlineSpec() implements KernelSpec {

    @Override
    public String summary() {
        return "online softmax, one row per work-item";
    }

    @Override
    public Set<DType> dtypes() {
        return Set.of(DType.F32);
    }

    @Override
    public Backward backward() {
        return Backward.Own.untiled();
    }

    @Override
    public Traffic traffic() {
        return Traffic.EACH_QUERY;
    }
}
