package org.tornadoattention.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Locale;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class DTypeTest {
    private static final int PATTERNS = 1 << 16;

    /** The definition of the format, in float64. */
    private static double valueOf(DType dtype, int bits) {
        int fractionBits = dtype == DType.F16 ? 10 : 7;
        int exponentBits = 15 - fractionBits;
        int bias = (1 << (exponentBits - 1)) - 1;
        int exponent = bits >>> fractionBits & (1 << exponentBits) - 1;
        int fraction = bits & (1 << fractionBits) - 1;
        double sign = bits >>> 15 == 0 ? 1 : -1;
        if (exponent == (1 << exponentBits) - 1) {
            return fraction == 0 ? sign * Double.POSITIVE_INFINITY : Double.NaN;
        }
        return exponent == 0
                ? sign * Math.scalb((double) fraction, 1 - bias - fractionBits)
                : sign * Math.scalb((double) (fraction + (1 << fractionBits)), exponent - bias - fractionBits);
    }

    @ParameterizedTest
    @EnumSource(names = {"F16", "BF16"})
    void everyPatternDecodesToItsValueAndBack(DType dtype) {
        for (int bits = 0; bits < PATTERNS; bits++) {
            float value = dtype.decode(bits);
            double defined = valueOf(dtype, bits);
            if (Double.isNaN(defined)) {
                assertThat(value).as("bits %04x", bits).isNaN();
                assertThat(dtype.decode(dtype.encode(value)))
                        .as("bits %04x", bits)
                        .isNaN();
            } else if (Double.compare(value, defined) != 0 || dtype.encode(value) != bits) {
                assertThat(value).as("bits %04x", bits).isEqualTo((float) defined);
                assertThat(dtype.encode(value)).as("value %s", value).isEqualTo(bits);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F16", "BF16"})
    void numbersBetweenTwoPatternsGoToTheNearestAndTiesToTheEven(DType dtype) {
        int infinity = dtype == DType.F16 ? 0x7C00 : 0x7F80;
        for (int lower = 0; lower + 1 < infinity; lower++) {
            double below = valueOf(dtype, lower);
            double above = valueOf(dtype, lower + 1);
            float middle = (float) ((below + above) / 2);
            int even = lower % 2 == 0 ? lower : lower + 1;
            boolean right = dtype.encode(middle) == even
                    && dtype.encode(-middle) == (even | 0x8000)
                    && dtype.encode(Math.nextDown(middle)) == lower
                    && dtype.encode(Math.nextUp(middle)) == lower + 1;
            assertThat(right).as("between %s and %s", below, above).isTrue();
        }
    }

    @Test
    void numbersPastTheLargestBecomeInfinite() {
        assertThat(DType.F16.round(65519f)).isEqualTo(65504f);
        assertThat(DType.F16.round(65520f)).isInfinite();
        assertThat(DType.BF16.round(Float.MAX_VALUE)).isInfinite();
        assertThat(DType.BF16.round(0x1.fep127f)).isEqualTo(0x1.fep127f);
        assertThat(DType.BF16.round(Float.NEGATIVE_INFINITY)).isEqualTo(Float.NEGATIVE_INFINITY);
    }

    @Test
    void everyKindOfNaNStaysNaN() {
        for (int bits : new int[] {0x7F800001, 0x7FBFFFFF, 0x7FC00000, 0x7FFFFFFF, 0xFF800001, 0xFFFFFFFF}) {
            float value = Float.intBitsToFloat(bits);
            for (DType dtype : DType.values()) {
                assertThat(dtype.round(value)).as("%s of %08x", dtype, bits).isNaN();
            }
        }
    }

    @Test
    void roundingErrorIsAtMostTheUnitRoundoff() {
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < 100_000; i++) {
            float value = (float) Math.scalb(1 + random.nextDouble(), random.nextInt(-10, 10));
            for (DType dtype : DType.values()) {
                double error = Math.abs((double) dtype.round(value) - value);
                assertThat(error).isLessThanOrEqualTo(dtype.unitRoundoff() * value);
            }
        }
    }

    @Test
    void namesAndSizes() {
        for (DType dtype : DType.values()) {
            assertThat(DType.parse(dtype.name())).isEqualTo(dtype);
            assertThat(DType.parse(dtype.name().toLowerCase(Locale.ROOT))).isEqualTo(dtype);
        }
        assertThatIllegalArgumentException()
                .isThrownBy(() -> DType.parse("i32"))
                .withMessage("There is no type 'i32': choose one of f32, f16, bf16.");
        assertThat(DType.F32.byteSize()).isEqualTo(4);
        assertThat(DType.F16.byteSize()).isEqualTo(2);
        assertThat(DType.BF16.byteSize()).isEqualTo(2);
    }
}
