package org.tornadoattention.plan;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * What the tasks of one backward pass read and write.
 *
 * @param forward the arrays of the forward pass
 * @param outputGradient like the output
 * @param logSumExpGradient {@code [batch, heads, seqQ]}, one unused element where there is none
 * @param queryGradient like query
 * @param keyGradient like key
 * @param valueGradient like value
 * @param rowTerms {@code [batch, heads, seqQ, 2]}: L and D of each query
 * @param hasLogSumExpGradient whether there is a gradient on the log-sum-exp
 * @param biasGradient F32, like the bias, where its gradient is computed
 * @param sinkGradient {@code [heads]}, where it is computed
 */
record BackwardArrays(
        AttentionArrays forward,
        TornadoNativeArray outputGradient,
        FloatArray logSumExpGradient,
        TornadoNativeArray queryGradient,
        TornadoNativeArray keyGradient,
        TornadoNativeArray valueGradient,
        FloatArray rowTerms,
        boolean hasLogSumExpGradient,
        Optional<Tensor> biasGradient,
        Optional<Tensor> sinkGradient) {

    /** The arrays of these tensors as the device's kernels take them, with slopes and lengths sized but not filled. */
    static BackwardArrays of(
            AttentionProblem problem,
            BackwardTensors tensors,
            FloatArray rowTerms,
            List<TornadoNativeArray> captured,
            boolean halfFloats) {
        return new BackwardArrays(
                AttentionArrays.of(
                        problem,
                        tensors.q(),
                        tensors.k(),
                        tensors.v(),
                        tensors.output(),
                        tensors.logSumExp(),
                        captured,
                        halfFloats),
                DeviceStorage.seenInPlace(tensors.dOut(), halfFloats),
                tensors.dLse().map(Tensor::floatArray).orElseGet(() -> new FloatArray(1)),
                DeviceStorage.seenInPlace(tensors.dQ(), halfFloats),
                DeviceStorage.seenInPlace(tensors.dK(), halfFloats),
                DeviceStorage.seenInPlace(tensors.dV(), halfFloats),
                rowTerms,
                tensors.dLse().isPresent(),
                tensors.dBias(),
                tensors.dSinks());
    }

    /** What tasks read, beside what they make themselves. */
    List<Object> inputs() {
        List<Object> inputs = new ArrayList<>(List.of(
                forward.query(),
                forward.key(),
                forward.value(),
                forward.output(),
                forward.logSumExp(),
                outputGradient,
                logSumExpGradient,
                forward.headTerms(),
                forward.keyLengths()));
        inputs.addAll(forward.captured());
        return inputs;
    }
}
