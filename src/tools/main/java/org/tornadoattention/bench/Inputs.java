package org.tornadoattention.bench;

import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Gradients;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * Gaussian, seeded inputs and room for the results of one problem. The next problem takes over the arrays where they
 * have the right size, as those of a preset with a constant number of tokens do.
 */
final class Inputs {

    private static final long SEED = 1;

    private final BenchCase measured;
    private final Tensor q;
    private final Tensor k;
    private final Tensor v;
    private final Tensor output;
    private final Tensor logSumExp;
    private @Nullable Tensor dO;
    private @Nullable SampledCheck check;

    private Inputs(BenchCase measured, Tensor q, Tensor k, Tensor v, Tensor output, Tensor logSumExp) {
        this.measured = measured;
        this.q = q;
        this.k = k;
        this.v = v;
        this.output = output;
        this.logSumExp = logSumExp;
    }

    /** The inputs of a problem, from those of the problem before where there is one. */
    static Inputs of(BenchCase measured, @Nullable Inputs before) {
        if (before != null && before.measured.equals(measured)) {
            return before;
        }
        AttentionShape shape = measured.shape();
        DType dtype = measured.dtype();
        Inputs alike = before != null && before.measured.dtype() == dtype ? before : null;
        Inputs inputs = new Inputs(
                measured,
                alike != null && fits(alike.q, shape.queryShape())
                        ? seenAs(alike.q, shape.queryShape())
                        : Tensor.random(dtype, SEED, shape.queryShape()),
                alike != null && fits(alike.k, shape.keyShape())
                        ? seenAs(alike.k, shape.keyShape())
                        : Tensor.random(dtype, SEED + 1, shape.keyShape()),
                alike != null && fits(alike.v, shape.valueShape())
                        ? seenAs(alike.v, shape.valueShape())
                        : Tensor.random(dtype, SEED + 2, shape.valueShape()),
                alike != null && fits(alike.output, shape.outputShape())
                        ? seenAs(alike.output, shape.outputShape())
                        : Tensor.allocate(dtype, shape.outputShape()),
                Tensor.allocate(DType.F32, shape.logSumExpShape()));
        if (alike != null && alike.dO != null && fits(alike.dO, shape.outputShape())) {
            inputs.dO = seenAs(alike.dO, shape.outputShape());
        }
        return inputs;
    }

    private static boolean fits(Tensor tensor, int[] shape) {
        long elements = 1;
        for (int length : shape) {
            elements *= length;
        }
        return elements == tensor.numberOfElements();
    }

    private static Tensor seenAs(Tensor tensor, int[] shape) {
        return switch (tensor.array()) {
            case FloatArray floats -> Tensor.wrap(floats, shape);
            case HalfFloatArray halves -> Tensor.wrap(halves, shape);
            case ShortArray bits -> Tensor.wrapBFloat16(bits, shape);
            default ->
                throw new IllegalStateException("No tensor of " + tensor.array().getClass());
        };
    }

    Tensor q() {
        return q;
    }

    Tensor k() {
        return k;
    }

    Tensor v() {
        return v;
    }

    /** The gradient with respect to the output. */
    Tensor dO() {
        if (dO == null) {
            dO = Tensor.random(measured.dtype(), SEED + 3, measured.shape().outputShape());
        }
        return dO;
    }

    /** New tensors for gradients, every element NaN. */
    Gradients poisonedGradients() {
        AttentionShape shape = measured.shape();
        Gradients gradients = Gradients.of(
                Tensor.allocate(measured.dtype(), shape.queryShape()),
                Tensor.allocate(measured.dtype(), shape.keyShape()),
                Tensor.allocate(measured.dtype(), shape.valueShape()));
        gradients.dQ().fill(Float.NaN);
        gradients.dK().fill(Float.NaN);
        gradients.dV().fill(Float.NaN);
        return gradients;
    }

    /** Room for the output, every element NaN. */
    Tensor poisonedOutput() {
        output.fill(Float.NaN);
        return output;
    }

    /** Room for the log-sum-exp, every element NaN. */
    Tensor poisonedLogSumExp() {
        logSumExp.fill(Float.NaN);
        return logSumExp;
    }

    /** What the results must be; the oracle runs at the first call. */
    SampledCheck check() {
        if (check == null) {
            check = new SampledCheck(measured, q, k, v);
        }
        return check;
    }
}
