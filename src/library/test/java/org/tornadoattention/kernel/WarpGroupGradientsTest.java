package org.tornadoattention.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.CoveringArray;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Gradients;
import org.tornadoattention.Mask;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * All gradients in one kernel, with each kind of option. In the simulator a test of its own computes them, with its
 * work-items in a shuffled order.
 */
public class WarpGroupGradientsTest {

    private static final int LONGEST_SHARED = 16_384;

    private static AttentionShape shape(int heads, int kvHeads, int seqQ, int seqK, int headDim) {
        return new AttentionShape(1, heads, kvHeads, seqQ, seqK, headDim);
    }

    /** Of the day: each type, kind of row, mask, option and shape of a bias. */
    static Stream<Arguments> problemsOfTheDay() {
        return CoveringArray.ofEachValue(WarpGroupGradientsTest::values)
                .withCost(row -> ((AttentionShape) row.get()[0]).scoreElements())
                .ofTheDay(problems());
    }

    private static List<?> values(Arguments row) {
        AttentionShape shape = (AttentionShape) row.get()[0];
        DType dtype = (DType) row.get()[1];
        AttentionOptions options = (AttentionOptions) row.get()[2];
        return List.of(
                dtype,
                Math.ceilDiv(shape.headDim(), 64),
                shape.headDim() % 8,
                Integer.compare(shape.seqQ(), shape.seqK()),
                shape.heads() / shape.kvHeads(),
                // Whether each head has groups of its own: under a causal mask, or where keys are many, which costs
                // most.
                shape.heads() > shape.kvHeads()
                        && (options.mask().equals(Mask.causal()) || shape.seqK() > LONGEST_SHARED),
                options.mask(),
                options.keyLength(0, shape.seqK()) < shape.seqK(),
                options.hasSoftcap(),
                options.hasDropout(),
                options.bias().map(Tensor::dtype),
                options.bias().map(bias -> Math.min(2, bias.dimension(0)) + "x" + Math.min(2, bias.dimension(1))));
    }

    private static Stream<Arguments> problems() {
        AttentionOptions options = AttentionOptions.defaults();
        return Stream.of(
                Arguments.of(shape(1, 1, 150, 150, 64), DType.F16, options),
                Arguments.of(shape(2, 2, 100, 170, 32), DType.F16, options.withCausal()),
                Arguments.of(shape(2, 2, 200, 100, 64), DType.BF16, options.withCausal()),
                Arguments.of(
                        shape(2, 2, 140, 200, 40),
                        DType.F16,
                        options.withWindow(30, 20).withDropout(0.2, 5)),
                Arguments.of(
                        shape(2, 2, 70, 260, 48),
                        DType.F16,
                        options.withSoftcap(2)
                                .withAlibi(AttentionOptions.alibiSlopes(2))
                                .withKeyLengths(131)),
                Arguments.of(shape(1, 1, 65, 129, 128), DType.F16, options.withKeyLengths(0)),
                Arguments.of(shape(2, 1, 300, 256, 16), DType.F16, options),
                Arguments.of(shape(1, 1, 65, 64, 7), DType.BF16, options),
                // Each head has groups of its own where those of all heads that share keys do not run together.
                Arguments.of(shape(2, 1, 3, 16_448, 8), DType.F16, options),
                Arguments.of(shape(2, 2, 200, 270, 72), DType.F16, options.withCausal()),
                Arguments.of(shape(3, 1, 260, 270, 16), DType.F16, options.withCausal()),
                // Odd rows, in parts of 64 columns.
                Arguments.of(shape(2, 2, 70, 140, 97), DType.F16, options),
                Arguments.of(shape(4, 2, 70, 140, 71), DType.BF16, options.withCausal()),
                Arguments.of(
                        shape(4, 2, 130, 200, 72),
                        DType.BF16,
                        options.withCausal().withKeyLengths(150)),
                Arguments.of(shape(2, 2, 150, 136, 64), DType.F16, options.withBias(bias(DType.F16, 1, 1, 150, 136))),
                Arguments.of(
                        shape(4, 2, 70, 200, 40),
                        DType.BF16,
                        options.withSoftcap(2)
                                .withAlibi(AttentionOptions.alibiSlopes(4))
                                .withKeyLengths(131)
                                .withBias(bias(DType.BF16, 1, 4, 70, 200))),
                Arguments.of(shape(1, 1, 70, 136, 128), DType.BF16, options.withBias(bias(DType.F16, 1, 1, 70, 136))),
                Arguments.of(
                        shape(2, 2, 140, 136, 32),
                        DType.F16,
                        options.withCausal().withDropout(0.2, 5).withBias(bias(DType.F16, 1, 2, 140, 136))),
                // Several heads of each part add to the gradient of the bias.
                Arguments.of(
                        new AttentionShape(3, 2, 2, 130, 200, 32),
                        DType.F16,
                        options.withDropout(0.2, 5).withBias(bias(DType.F16, 1, 2, 130, 200))),
                Arguments.of(
                        new AttentionShape(2, 3, 3, 70, 72, 24),
                        DType.BF16,
                        options.withBias(bias(DType.BF16, 2, 1, 70, 72))));
    }

    private static Tensor bias(DType dtype, int batch, int heads, int queries, int keys) {
        return Tensor.random(dtype, 7, batch, heads, queries, keys);
    }

    /** What the problems are computed on. */
    protected ComputeDevice device() {
        return TestDevice.get();
    }

    /** Whether they are computed in this class. */
    protected boolean isHere() {
        return !device().isSimulator();
    }

    @ParameterizedTest
    @MethodSource("problemsOfTheDay")
    void areAccurateAndTheSameInEveryRun(AttentionShape shape, DType dtype, AttentionOptions options) {
        ComputeDevice device = device();
        assumeTrue(AttentionKernel.WARP_GROUP.supports(device));
        assumeTrue(
                isHere(), "SKIPPED: SimulatedWarpGroupGradientsTest computes them in the simulator, in another order");
        AttentionProblem problem = AttentionProblem.of(shape, dtype, options);
        KernelChoice choice = KernelChoice.chooseBackward(problem, device, Optional.of(AttentionKernel.WARP_GROUP));
        assertThat(choice.tiles()).as("tiles of one kernel").hasSize(1);

        Tensor q = Tensor.random(dtype, 1, shape.queryShape());
        Tensor k = Tensor.random(dtype, 2, shape.keyShape());
        Tensor v = Tensor.random(dtype, 3, shape.keyShape());
        Tensor dOut = Tensor.random(dtype, 4, shape.queryShape());
        try (FlashAttention attention = FlashAttention.on(device, AttentionKernel.WARP_GROUP)) {
            AttentionResult result = attention.forward(q, k, v, options);
            Gradients first = attention.backward(result, dOut);
            assertThat(AccuracyCheck.of(q, k, v, dOut, options).gradients(first))
                    .allMatch(Comparison::passed);
            Gradients second = attention.backward(result, dOut);
            for (List<Tensor> pair : List.of(
                    List.of(first.dQ(), second.dQ()),
                    List.of(first.dK(), second.dK()),
                    List.of(first.dV(), second.dV()))) {
                assertThat(pair.getFirst().toFloatArray())
                        .isEqualTo(pair.getLast().toFloatArray());
            }
            assertThat(first.dBias().map(Tensor::toFloatArray).orElse(new float[0]))
                    .isEqualTo(second.dBias().map(Tensor::toFloatArray).orElse(new float[0]));
        }
    }
}
