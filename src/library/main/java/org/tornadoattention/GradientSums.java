package org.tornadoattention;

import java.util.Optional;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** The gradients of a whole problem from those of its parts, added in the order that they are given in. */
final class GradientSums {

    /** What parts have some of, so that gradients of the others are sums over parts. */
    enum Divided {
        NEITHER,
        KEYS,
        QUERIES
    }

    private final AttentionResult.Inputs inputs;
    private final Divided divided;
    private final Tensor dQ;
    private final Tensor dK;
    private final Tensor dV;
    private final Optional<Tensor> dBias;
    private final Optional<Tensor> dSinks;

    GradientSums(AttentionShape shape, AttentionResult.Inputs inputs, Divided divided) {
        this.inputs = inputs;
        this.divided = divided;
        DType dtype = inputs.q().dtype();
        dQ = Tensor.allocate(divided == Divided.KEYS ? DType.F32 : dtype, shape.queryShape());
        DType ofKeys = divided == Divided.QUERIES ? DType.F32 : dtype;
        dK = Tensor.allocate(ofKeys, shape.keyShape());
        dV = Tensor.allocate(ofKeys, shape.valueShape());
        dBias = inputs.options().bias().map(bias -> Tensor.allocate(DType.F32, bias.shape()));
        dSinks = inputs.options().sinks().map(sinks -> Tensor.allocate(DType.F32, sinks.shape()));
    }

    void add(AttentionPart part, Gradients gradients) {
        if (divided == Divided.KEYS) {
            addBlock(dQ, part.queryStart(dQ.rank()), gradients.dQ());
        } else {
            dQ.copyBlock(part.queryStart(dQ.rank()), gradients.dQ());
        }
        if (divided == Divided.QUERIES) {
            addBlock(dK, part.keyStart(dK.rank()), gradients.dK());
            addBlock(dV, part.keyStart(dV.rank()), gradients.dV());
        } else {
            dK.copyBlock(part.keyStart(dK.rank()), gradients.dK());
            dV.copyBlock(part.keyStart(dV.rank()), gradients.dV());
        }
        dBias.ifPresent(whole -> {
            AttentionPart.Range[] ranges = part.biasRanges(whole);
            int[] start = new int[ranges.length];
            for (int axis = 0; axis < start.length; axis++) {
                start[axis] = ranges[axis].from();
            }
            addBlock(whole, start, gradients.dBias().orElseThrow());
        });
        if (divided == Divided.NEITHER) {
            dSinks.ifPresent(whole -> addBlock(
                    whole, new int[] {part.heads().from()}, gradients.dSinks().orElseThrow()));
        }
    }

    /** Adds to a block of an F32 tensor. */
    private static void addBlock(Tensor whole, int[] start, Tensor block) {
        int[] end = start.clone();
        for (int axis = 0; axis < end.length; axis++) {
            end[axis] += block.dimension(axis);
        }
        float[] sum = whole.block(start, end).toFloatArray();
        float[] added = block.toFloatArray();
        for (int i = 0; i < sum.length; i++) {
            sum[i] += added[i];
        }
        whole.copyBlock(start, Tensor.of(DType.F32, sum, block.shape()));
    }

    /** The gradients; that of sinks needs no scores, so where parts have none it is computed of the rows alone. */
    Gradients gradients(AttentionResult result, Tensor dOut, Tensor dLse) {
        if (divided != Divided.NEITHER) {
            dSinks.ifPresent(sum -> sinkGradients(sum, result, dOut, dLse));
        }
        DType dtype = inputs.q().dtype();
        return Gradients.of(
                dQ.as(dtype),
                dK.as(dtype),
                dV.as(dtype),
                dBias.map(sum -> sum.as(inputs.options().bias().orElseThrow().dtype())),
                dSinks);
    }

    /** {@code dSink = Σ e^(sink - lse) · (dLse - dOut·output)} over the rows of a head. */
    private void sinkGradients(Tensor sum, AttentionResult result, Tensor dOut, Tensor dLse) {
        Tensor sinks = inputs.options().sinks().orElseThrow();
        float[] output = result.output().toFloatArray();
        float[] gradient = dOut.toFloatArray();
        int valueDim = result.output().headDim();
        double[] sums = new double[sinks.numberOfElements()];
        for (int row = 0; row < dLse.numberOfElements(); row++) {
            double term = dLse.getFlat(row);
            for (int d = row * valueDim; d < (row + 1) * valueDim; d++) {
                term -= (double) gradient[d] * output[d];
            }
            int head = row / dLse.dimension(2) % sums.length;
            sums[head] += Math.exp(sinks.getFlat(head) - result.logSumExp().getFlat(row)) * term;
        }
        for (int head = 0; head < sums.length; head++) {
            sum.setFlat(head, (float) sums[head]);
        }
    }
}
