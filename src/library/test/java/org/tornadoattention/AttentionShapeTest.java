package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

class AttentionShapeTest {
    private static Tensor tensor(int... shape) {
        return Tensor.allocate(DType.F32, shape);
    }

    private static void assertRefused(Tensor q, Tensor k, Tensor v, AttentionOptions options, String... parts) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> AttentionShape.of(q, k, v, options))
                .satisfies(fault -> assertThat(fault).hasMessageContainingAll(parts));
    }

    private static void assertRefused(Tensor q, Tensor k, Tensor v, String... parts) {
        assertRefused(q, k, v, AttentionOptions.defaults(), parts);
    }

    @Test
    void sizesComeFromTheTensors() {
        AttentionShape shape = AttentionShape.of(
                tensor(2, 6, 5, 8), tensor(2, 3, 7, 8), tensor(2, 3, 7, 8), AttentionOptions.causal());
        assertThat(shape).isEqualTo(new AttentionShape(2, 6, 3, 5, 7, 8));
        assertThat(shape.groupSize()).isEqualTo(2);
        assertThat(shape.kvHead(3)).isEqualTo(1);
        assertThat(shape.queryShape()).containsExactly(2, 6, 5, 8);
        assertThat(shape.keyShape()).containsExactly(2, 3, 7, 8);
        assertThat(shape.logSumExpShape()).containsExactly(2, 6, 5);
        assertThat(shape.queryRows()).isEqualTo(60);
        assertThat(shape.scoreElements()).isEqualTo(420);
        assertThat(shape.hasNoQueries()).isFalse();
    }

    @Test
    void emptySequencesAndBatchesAreAllowed() {
        assertThat(AttentionShape.of(
                                tensor(2, 6, 0, 8), tensor(2, 3, 7, 8), tensor(2, 3, 7, 8), AttentionOptions.causal())
                        .hasNoQueries())
                .isTrue();
        AttentionShape.of(tensor(2, 6, 5, 8), tensor(2, 3, 0, 8), tensor(2, 3, 0, 8), AttentionOptions.causal());
        AttentionShape.of(tensor(0, 6, 5, 8), tensor(0, 3, 7, 8), tensor(0, 3, 7, 8), AttentionOptions.causal());
    }

    @Test
    void mismatchedTensorsAreNamed() {
        Tensor q = tensor(2, 6, 5, 8);
        Tensor k = tensor(2, 3, 7, 8);
        assertRefused(null, k, k, "q is null", "[batch, heads, seq, headDim]");
        assertRefused(q, null, k, "k is null");
        assertRefused(q, k, null, "v is null", "kvHeads");
        assertRefused(q, k, k, (AttentionOptions) null, "options is null", "AttentionOptions.defaults()");
        assertRefused(tensor(6, 5, 8), k, k, "q is F32[6, 5, 8]", "4 dimensions");
        assertRefused(q, tensor(1, 2, 3, 7, 8), k, "k is F32[1, 2, 3, 7, 8]");
        assertRefused(q, k.as(DType.F16), k, "F32, F16 and F32", "Tensor.as(DType)");
        assertRefused(q, k, tensor(2, 3, 6, 8), "k is F32[2, 3, 7, 8] and v is F32[2, 3, 6, 8]", "same shape");
        assertRefused(q, tensor(1, 3, 7, 8), tensor(1, 3, 7, 8), "batch");
        assertRefused(q, tensor(2, 3, 7, 4), tensor(2, 3, 7, 4), "head dimension");
        assertRefused(q, tensor(2, 4, 7, 8), tensor(2, 4, 7, 8), "6 query heads cannot share 4", "multiple");
        assertRefused(q, tensor(2, 0, 7, 8), tensor(2, 0, 7, 8), "0 key/value heads");
        assertRefused(tensor(2, 0, 5, 8), k, k, "0 query heads");
    }

    @ParameterizedTest
    @CsvSource({"0", "513", "1000"})
    void headDimensionsFrom1To512(int headDim) {
        Tensor tensor = tensor(1, 1, 1, headDim);
        assertRefused(tensor, tensor, tensor, "head dimension is " + headDim, "from 1 to 512");
        Tensor key = tensor(1, 1, 1, 8);
        assertRefused(key, key, tensor, "head dimension of the values is " + headDim, "from 1 to 512");
    }

    @Test
    void valuesHaveAHeadDimensionOfTheirOwn() {
        AttentionShape shape = AttentionShape.of(
                tensor(2, 6, 5, 8), tensor(2, 3, 7, 8), tensor(2, 3, 7, 12), AttentionOptions.defaults());
        assertThat(shape).isEqualTo(new AttentionShape(2, 6, 3, 5, 7, 8, 12));
        assertThat(shape.valueShape()).containsExactly(2, 3, 7, 12);
        assertThat(shape.outputShape()).containsExactly(2, 6, 5, 12);
        assertThat(shape.widestDim()).isEqualTo(12);
        assertThat(new AttentionShape(2, 6, 3, 5, 7, 8).valueDim()).isEqualTo(8);
    }

    @Test
    void optionsMustFit() {
        Tensor q = tensor(2, 6, 5, 8);
        Tensor k = tensor(2, 3, 7, 8);
        AttentionOptions options = AttentionOptions.defaults();
        assertRefused(q, k, k, options.withAlibi(1, 2, 3), "3 ALiBi slopes for 6 query heads", "alibiSlopes(6)");
        assertRefused(q, k, k, options.withKeyLengths(1, 2, 3), "3 key lengths for a batch of 2");
        assertRefused(q, k, k, options.withKeyLengths(7, 8), "batch entry 1 is 8", "only 7 keys", "from 0 to 7");
        AttentionShape.of(q, k, k, options.withKeyLengths(7, 0).withAlibi(AttentionOptions.alibiSlopes(6)));
    }

    @Test
    void negativeSizesAreRefused() {
        assertThatIllegalArgumentException().isThrownBy(() -> new AttentionShape(-1, 1, 1, 1, 1, 1));
        assertThatIllegalArgumentException().isThrownBy(() -> new AttentionShape(1, 1, 1, -1, 1, 1));
        assertThatIllegalArgumentException().isThrownBy(() -> new AttentionShape(1, 1, 1, 1, -1, 1));
    }

    @Test
    void whatADeviceLacksIsNamed() {
        ComputeDevice device = TestDevice.get();
        UnsupportedOnDeviceException fault =
                new UnsupportedOnDeviceException(device, "48 KB of local memory", "choose another device");
        assertThat(fault)
                .hasMessage("%s lacks 48 KB of local memory: choose another device.", device)
                .isInstanceOf(AttentionException.class);
        assertThat(fault.device()).isEqualTo(device);
        assertThat(fault.missingCapability()).isEqualTo("48 KB of local memory");
    }
}
