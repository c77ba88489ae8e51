package org.tornadoattention.kernel.parts;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tornadoattention.tensor.DType;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/** The decoding and encoding of raw 16-bit floats by arithmetic, run as plain Java, against the tensor's own. */
class StorageTest {

    /** Magnitudes below this are stored as 0 in BF16, as documented. */
    private static final float BF16_FLUSHED_BELOW = 0x1p-100f;

    private static final int NEGATIVE_ZERO = 0x8000;

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F16", "BF16"})
    void everyPatternDecodesExactly(DType dtype) {
        ShortArray array = new ShortArray(1);
        for (int bits = 0; bits <= 0xffff; bits++) {
            array.set(0, (short) bits);
            float decoded = Storage.load(array, 0, features(dtype));
            assertThat(Float.compare(decoded, dtype.decode(bits)) == 0 || decoded == dtype.decode(bits))
                    .as("%s %04x decodes to %s", dtype, bits, decoded)
                    .isTrue();
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F16", "BF16"})
    void everyPatternEncodesToItself(DType dtype) {
        for (int bits = 0; bits <= 0xffff; bits++) {
            assertEncodes(dtype, dtype.decode(bits));
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F16", "BF16"})
    void randomFloatsRoundToNearestEven(DType dtype) {
        Random random = new Random(3);
        for (int n = 0; n < 200_000; n++) {
            assertEncodes(dtype, Float.intBitsToFloat(random.nextInt()));
            assertEncodes(dtype, (float) random.nextGaussian());
            // Exactly between two neighbours, where ties go to even
            float lower = dtype.decode(random.nextInt(0x7000));
            float upper = dtype.decode(dtype.encode(lower) + 1);
            assertEncodes(dtype, (lower + upper) / 2);
        }
    }

    @Test
    void tinyBFloat16ResultsAreStoredAsZero() {
        ShortArray array = new ShortArray(1);
        Storage.store(array, 0, BF16_FLUSHED_BELOW / 2, features(DType.BF16));
        assertThat(array.get(0)).isZero();
    }

    private static void assertEncodes(DType dtype, float value) {
        if (dtype == DType.BF16 && Math.abs(value) < BF16_FLUSHED_BELOW) {
            return;
        }
        ShortArray array = new ShortArray(1);
        Storage.store(array, 0, value, features(dtype));
        int expected = dtype.encode(value) & 0xffff;
        int encoded = array.get(0) & 0xffff;
        if (Float.isNaN(value)) {
            assertThat(dtype.decode(encoded)).isNaN();
        } else if (expected == NEGATIVE_ZERO) {
            assertThat(encoded & 0x7fff).as("%s %s", dtype, value).isZero();
        } else if (encoded != expected) {
            assertThat(encoded).as("%s %s", dtype, value).isEqualTo(expected);
        }
    }

    private static int features(DType dtype) {
        return dtype == DType.F16 ? Features.F16_BITS : 0;
    }
}
