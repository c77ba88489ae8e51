package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.PinnedMemory;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * Tensors of the host that the caller gives for the output, and such as a device reads and writes itself: the bits are
 * those of any tensors, in each call.
 */
class HostTensorsTest {

    private static final AttentionShape SHAPE = new AttentionShape(2, 4, 2, 40, 52, 32);

    private static Tensor[] inputs(DType dtype, int seed) {
        return new Tensor[] {
            Tensor.random(dtype, seed, SHAPE.queryShape()),
            Tensor.random(dtype, seed + 1, SHAPE.keyShape()),
            Tensor.random(dtype, seed + 2, SHAPE.valueShape())
        };
    }

    private static void assertSame(AttentionResult result, AttentionResult expected) {
        assertThat(result.output().memory().mismatch(expected.output().memory()))
                .isEqualTo(-1);
        assertThat(result.logSumExp().memory().mismatch(expected.logSumExp().memory()))
                .isEqualTo(-1);
    }

    @ParameterizedTest
    @EnumSource(DType.class)
    void theOutputIsTheGivenTensor(DType dtype) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            Tensor[] in = inputs(dtype, 1);
            // The first queries see no key.
            AttentionOptions options = AttentionOptions.causal().withKeyLengths(7, 52);
            AttentionResult expected = attention.forward(in[0], in[1], in[2], options);
            Tensor output = Tensor.allocate(dtype, SHAPE.outputShape());
            output.fill(Float.NaN);
            AttentionResult result = attention.forward(in[0], in[1], in[2], options, output);
            assertThat(result.output()).isSameAs(output);
            assertSame(result, expected);
        }
    }

    @Test
    void withoutKeysTheGivenTensorIsZero() {
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            Tensor output = Tensor.allocate(DType.F32, 1, 2, 3, 4);
            output.fill(5);
            Tensor none = Tensor.allocate(DType.F32, 1, 2, 0, 4);
            AttentionResult result = attention.forward(
                    Tensor.random(DType.F32, 1, 1, 2, 3, 4), none, none, AttentionOptions.defaults(), output);
            assertThat(result.output().toFloatArray()).containsOnly(0f);
        }
    }

    @Test
    void outputsThatDoNotFitAreRefused() {
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            Tensor[] in = inputs(DType.F32, 1);
            Tensor wide = Tensor.allocate(DType.F32, 2, 4, 40, 64);
            Tensor view = Tensor.view(wide.floatArray(), 0, SHAPE.outputShape(), new int[] {10240, 2560, 64, 1});
            assertRefused(attention, in, null, "output is null");
            assertRefused(attention, in, Tensor.allocate(DType.F32, 2, 4, 40, 31), "it must be F32[2, 4, 40, 32]");
            assertRefused(attention, in, Tensor.allocate(DType.BF16, 2, 4, 40, 32), "it must be F32[2, 4, 40, 32]");
            assertRefused(attention, in, view, "is a view");
            assertRefused(attention, in, in[0], "output and q share memory");
        }
    }

    private static void assertRefused(FlashAttention attention, Tensor[] in, Tensor output, String message) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> attention.forward(in[0], in[1], in[2], AttentionOptions.defaults(), output))
                .withMessageContaining(message);
    }

    /** Which of the tensors are pinned: q, k, v, output. */
    @ParameterizedTest
    @CsvSource({"F32, 1111", "F16, 1111", "BF16, 1111", "F16, 1000", "F16, 0110", "F32, 0001"})
    void theDeviceReadsAndWritesPinnedTensorsItself(DType dtype, String pinned) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            Tensor[] given = new Tensor[4];
            int[][] shapes = {SHAPE.queryShape(), SHAPE.keyShape(), SHAPE.valueShape(), SHAPE.outputShape()};
            for (int i = 0; i < given.length; i++) {
                given[i] = pinned.charAt(i) == '1'
                        ? attention.allocatePinned(dtype, shapes[i])
                        : Tensor.allocate(dtype, shapes[i]);
            }
            AttentionOptions options = AttentionOptions.causal().withKeyLengths(48, 52);
            for (int call = 0; call < 4; call++) {
                Tensor[] in = inputs(dtype, 10 * call);
                for (int i = 0; i < in.length; i++) {
                    given[i].copyFrom(in[i]);
                }
                given[3].fill(Float.NaN);
                AttentionResult result = attention.forward(given[0], given[1], given[2], options, given[3]);
                assertThat(result.execution().orElseThrow().kernelTime()).isPositive();
                assertSame(result, attention.forward(in[0], in[1], in[2], options));
                for (int i = 0; i < in.length; i++) {
                    assertThat(given[i].memory().mismatch(in[i].memory())).isEqualTo(-1);
                }
            }
        }
    }

    /**
     * Some heads are computed while others travel: enough for two, three, four and eight pieces of an H200. A view
     * travels whole.
     */
    @ParameterizedTest
    @CsvSource({
        "F16, 2, 8, 4, 1200, 900, 128",
        "BF16, 3, 6, 3, 1500, 1700, 64",
        "F16, 1, 16, 16, 2200, 2200, 64",
        "F32, 1, 32, 8, 2200, 500, 32",
        "F16, 4, 16, 16, 1100, 600, 96"
    })
    void largeProblemsTravelInPieces(DType dtype, int batch, int heads, int kvHeads, int seqQ, int seqK, int headDim) {
        assumeTrue(TestDevice.get().backend() == Backend.CUDA, "Only there are tensors page-locked");
        AttentionShape shape = new AttentionShape(batch, heads, kvHeads, seqQ, seqK, headDim);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            Tensor q = attention.allocatePinned(dtype, shape.queryShape());
            Tensor k = attention.allocatePinned(dtype, shape.keyShape());
            Tensor v = attention.allocatePinned(dtype, shape.valueShape());
            Tensor o = attention.allocatePinned(dtype, shape.outputShape());
            AttentionOptions options = AttentionOptions.causal().withSoftcap(20);
            for (int call = 0; call < 4; call++) {
                q.copyFrom(Tensor.random(dtype, 10 * call, shape.queryShape()));
                k.copyFrom(Tensor.random(dtype, 10 * call + 1, shape.keyShape()));
                v.copyFrom(Tensor.random(dtype, 10 * call + 2, shape.valueShape()));
                o.fill(Float.NaN);
                AttentionResult result = attention.forward(q, k, v, options, o);
                assertThat(result.execution().orElseThrow().kernelTime()).isPositive();
                assertSame(result, attention.forward(viewOf(q), k, v, options));
                assertSame(result, attention.forward(q.copy(), k.copy(), v.copy(), options));
                Tensor ordinary = Tensor.allocate(dtype, shape.outputShape());
                ordinary.fill(Float.NaN);
                assertSame(result, attention.forward(q, k.copy(), v, options, ordinary));
                assertSame(result, attention.forward(q.copy(), k, v.copy(), options, o));
            }
        }
    }

    /** The same elements, one further on in an array. */
    private static Tensor viewOf(Tensor tensor) {
        int[] shape = tensor.shape();
        int[] strides = {shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1};
        Tensor longer = Tensor.allocate(tensor.dtype(), tensor.numberOfElements() + 1);
        Tensor view = switch (tensor.dtype()) {
            case F32 -> Tensor.view(longer.floatArray(), 1, shape, strides);
            case F16 -> Tensor.view(longer.halfFloatArray(), 1, shape, strides);
            case BF16 -> Tensor.view((ShortArray) longer.array(), 1, shape, strides);
        };
        return view.copyFrom(tensor);
    }

    /** A kernel whose output is brought to the device too, with what tells whether it was written. */
    @Test
    void kernelsThatWriteTheOutputApart() {
        assumeTrue(!TestDevice.get().isJvm());
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), AttentionKernel.STANDARD)) {
            Tensor[] in = inputs(DType.F32, 3);
            Tensor query =
                    attention.allocatePinned(DType.F32, SHAPE.queryShape()).copyFrom(in[0]);
            Tensor output = attention.allocatePinned(DType.F32, SHAPE.outputShape());
            AttentionOptions options = AttentionOptions.defaults();
            for (int call = 0; call < 3; call++) {
                output.fill(Float.NaN);
                assertSame(
                        attention.forward(query, in[1], in[2], options, output),
                        attention.forward(in[0], in[1], in[2], options));
            }
        }
    }

    @Test
    void pinnedTensorsAreTensorsOfZeros() {
        FlashAttention attention = FlashAttention.on(TestDevice.get());
        try (attention) {
            Tensor tensor = attention.allocatePinned(DType.F16, 2, 3, 5);
            assertThat(tensor.toString()).isEqualTo("F16[2, 3, 5]");
            assertThat(tensor.toFloatArray()).containsOnly(0f);
            assertThat(PinnedMemory.holds(tensor.memory()))
                    .isEqualTo(TestDevice.get().backend() == Backend.CUDA);
            assertThat(PinnedMemory.holds(Tensor.allocate(DType.F16, 2, 3, 5).memory()))
                    .isFalse();
            assertThat(attention.allocatePinned(DType.F16, 2, 0, 5).numberOfElements())
                    .isZero();
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.allocatePinned(DType.F16, 2, -1))
                    .withMessageContaining("negative dimension");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.allocatePinned(DType.F32, 1 << 20, 1 << 20))
                    .withMessageContaining("more than");
        }
        assertThatIllegalStateException()
                .isThrownBy(() -> attention.allocatePinned(DType.F16, 1))
                .withMessageContaining("is closed");
    }
}
