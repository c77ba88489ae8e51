package org.tornadoattention.choice;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.kernel.OnlineSoftmaxAttention;
import org.tornadoattention.kernel.OnlineSoftmaxBackward;
import org.tornadoattention.tensor.DType;

/** {@link OnlineSoftmaxAttention} and its gradients. */
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
    public Optional<String> objection(Views views, AttentionShape shape) {
        return Optional.empty();
    }

    @Override
    public Backward backward() {
        return Backward.Own.untiled(_ -> List.of(), OnlineSpec::gradients);
    }

    @Override
    public Traffic traffic() {
        return Traffic.EACH_QUERY;
    }

    @Override
    public List<Launch> forward(Work work) {
        return List.of(Launch.of("", OnlineSoftmaxAttention.class, "attention")
                .summing(work.shape().seqK())
                .overElements(work.shape().queryRows(), work.groupSize()));
    }

    private static List<Launch> gradients(Work work) {
        return List.of(
                work.rowTerms(OnlineSoftmaxBackward.PARTS),
                Launch.of("-dq", OnlineSoftmaxBackward.class, "queryGradient")
                        .summing(work.shape().seqK())
                        .overElements(work.shape().queryRows(), work.groupSize()),
                Launch.of("-dkdv", OnlineSoftmaxBackward.class, "keyValueGradients")
                        .summing(work.queriesOfKey())
                        .overElements(work.keyRows(), work.groupSize()));
    }
}
