package org.tornadoattention.kernel.parts;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tornadoattention.tensor.DType;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/** The decoding and encoding of raw 16-bit floats, run as plain Java, against the tensor's own. */
class StorageTest {

    /** Magnitudes below this are stored as 0 in BF16, as documented. */
    private static final float BF16_FLUSHED_BELOW = 0x1p-100f;

    private static final int NEGATIVE_ZERO = 0x8000;

    private enum Way {
        F16(DType.F16, Features.F16_BITS),
        BF16_BY_ARITHMETIC(DType.BF16, 0),
        BF16_REINTERPRETED(DType.BF16, Features.REINTERPRET);

        private final DType dtype;
        private final int features;

        Way(DType dtype, int features) {
            this.dtype = dtype;
            this.features = features;
        }
    }

    @ParameterizedTest
    @EnumSource
    void everyPatternDecodesExactly(Way way) {
        ShortArray array = new ShortArray(1);
        for (int bits = 0; bits <= 0xffff; bits++) {
            array.set(0, (short) bits);
            float decoded = Storage.load(array, 0, way.features);
            assertThat(Float.compare(decoded, way.dtype.decode(bits)) == 0 || decoded == way.dtype.decode(bits))
                    .as("%s %04x decodes to %s", way, bits, decoded)
                    .isTrue();
        }
    }

    @ParameterizedTest
    @EnumSource
    void everyPatternEncodesToItself(Way way) {
        for (int bits = 0; bits <= 0xffff; bits++) {
            assertEncodes(way, way.dtype.decode(bits));
        }
    }

    @ParameterizedTest
    @EnumSource
    void randomFloatsRoundToNearestEven(Way way) {
        Random random = new Random(3);
        for (int n = 0; n < 200_000; n++) {
            assertEncodes(way, Float.intBitsToFloat(random.nextInt()));
            assertEncodes(way, (float) random.nextGaussian());
            // Exactly between two neighbours, where ties go to even
            float lower = way.dtype.decode(random.nextInt(0x7000));
            float upper = way.dtype.decode(way.dtype.encode(lower) + 1);
            assertEncodes(way, (lower + upper) / 2);
        }
    }

    @Test
    void tinyBFloat16ResultsAreStoredAsZero() {
        ShortArray array = new ShortArray(1);
        Storage.store(array, 0, BF16_FLUSHED_BELOW / 2, Way.BF16_BY_ARITHMETIC.features);
        assertThat(array.get(0)).isZero();
    }

    private static void assertEncodes(Way way, float value) {
        if (way == Way.BF16_BY_ARITHMETIC && Math.abs(value) < BF16_FLUSHED_BELOW) {
            return;
        }
        ShortArray array = new ShortArray(1);
        Storage.store(array, 0, value, way.features);
        int expected = way.dtype.encode(value) & 0xffff;
        int encoded = array.get(0) & 0xffff;
        if (Float.isNaN(value)) {
            assertThat(way.dtype.decode(encoded)).isNaN();
        } else if (expected == NEGATIVE_ZERO) {
            assertThat(encoded & 0x7fff).as("%s %s", way, value).isZero();
        } else if (encoded != expected) {
            assertThat(encoded).as("%s %s", way, value).isEqualTo(expected);
        }
    }
}
