package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.BFloat16;
import uk.ac.manchester.tornado.api.types.FP8;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.vectors.Half2;

/** The small floating-point formats, over all their bit patterns. */
class NumberFormatTest {

    @Test
    void halvesRoundToNearestEven() {
        for (int bits = 0; bits < 1 << 16; bits++) {
            HalfFloat half = new HalfFloat((short) bits);
            assertThat(half.getHalfFloatValue()).isEqualTo((short) bits);
            if (!Float.isNaN(half.getFloat32())) {
                assertThat(new HalfFloat(half.getFloat32()).getHalfFloatValue()).isEqualTo((short) bits);
            }
        }
        assertThat(new HalfFloat(1f + 0x1p-11f).getFloat32()).isEqualTo(1f);
        assertThat(new HalfFloat(1f + 3 * 0x1p-11f).getFloat32()).isEqualTo(1f + 0x1p-9f);
        assertThat(new HalfFloat(65520f).getFloat32()).isInfinite();
        assertThat(HalfFloat.add(new HalfFloat(1f), new HalfFloat(2f)).getFloat32())
                .isEqualTo(3f);
        assertThat(HalfFloat.sub(new HalfFloat(1f), new HalfFloat(2f)).getFloat32())
                .isEqualTo(-1f);
        assertThat(HalfFloat.mult(new HalfFloat(3f), new HalfFloat(2f)).getFloat32())
                .isEqualTo(6f);
        assertThat(HalfFloat.div(new HalfFloat(3f), new HalfFloat(2f)).getFloat32())
                .isEqualTo(1.5f);
        assertThat(Half2.dot(Half2.fromFloats(1f, 2f), Half2.fromFloats(3f, 4f)).getFloat32())
                .isEqualTo(11f);
        assertThat(TornadoMath.max(new HalfFloat(-1f), new HalfFloat(-2f)).getFloat32())
                .isEqualTo(-1f);
    }

    @Test
    void brainFloatsRoundToNearestWithTiesAwayFromZero() {
        for (int bits = 0; bits < 1 << 16; bits++) {
            float value = BFloat16.bf16ToFloat((short) bits);
            assertThat(Float.floatToRawIntBits(value)).isEqualTo(bits << 16);
            if (!Float.isNaN(value) && value != 0f) {
                assertThat(BFloat16.bf16FromFloat(value)).isEqualTo((short) bits);
            }
        }
        Random random = new Random(3);
        for (int i = 0; i < 100_000; i++) {
            float value = Float.intBitsToFloat(random.nextInt());
            if (Float.isFinite(value)) {
                assertNearest(value, BFloat16.bf16ToFloat(BFloat16.bf16FromFloat(value)), bf16Below(value));
            }
        }
        assertThat(BFloat16.bf16ToFloat(BFloat16.bf16FromFloat(1f + 0x1p-8f))).isEqualTo(1f + 0x1p-7f);
        assertThat(BFloat16.bf16ToFloat(BFloat16.bf16FromFloat(-1f - 0x1p-8f))).isEqualTo(-1f - 0x1p-7f);
        assertThat(BFloat16.bf16ToFloat(BFloat16.bf16FromFloat(Float.MAX_VALUE)))
                .isInfinite();
        assertThat(BFloat16.bf16FromFloat(Float.NaN)).isEqualTo((short) 0x7FC0);
        assertThat(BFloat16.bf16FromFloat(-0f)).isZero();
        assertThat(BFloat16.bf16ToFloat((short) 0x7F7F)).isEqualTo(BFloat16.BF16_MAX);
    }

    private static float bf16Below(float value) {
        return Float.intBitsToFloat(Float.floatToRawIntBits(value) & 0xFFFF0000);
    }

    private static void assertNearest(float value, float rounded, float towardsZero) {
        float awayFromZero = Float.intBitsToFloat(Float.floatToRawIntBits(towardsZero) + 0x10000);
        double down = Math.abs((double) value - towardsZero);
        double up = Float.isInfinite(awayFromZero) ? down : Math.abs((double) awayFromZero - value);
        if (!Float.isInfinite(awayFromZero)) {
            assertThat(rounded).isEqualTo(down < up ? towardsZero : awayFromZero);
        }
    }

    @Test
    void e4m3HasNoInfinity() {
        for (int bits = 0; bits < 256; bits++) {
            float value = FP8.e4m3ToFloat((byte) bits);
            int magnitude = bits & 0x7F;
            if (magnitude == 0x7F) {
                assertThat(value).isNaN();
                continue;
            }
            double expected = magnitude < 8
                    ? magnitude / 8.0 * Math.pow(2, -6)
                    : (1 + magnitude % 8 / 8.0) * Math.pow(2, magnitude / 8 - 7);
            assertThat(Math.abs(value)).isEqualTo((float) expected);
            if (magnitude != 0) {
                assertThat(FP8.e4m3FromFloat(value)).isEqualTo((byte) bits);
            }
        }
        assertThat(FP8.e4m3ToFloat(FP8.e4m3FromFloat(1e9f))).isEqualTo(FP8.E4M3_MAX);
        assertThat(FP8.e4m3ToFloat(FP8.e4m3FromFloat(Float.NEGATIVE_INFINITY))).isEqualTo(-FP8.E4M3_MAX);
        assertThat(FP8.e4m3ToFloat(FP8.e4m3FromFloat(Float.NaN))).isNaN();
        assertThat(FP8.e4m3ToFloat(FP8.e4m3FromFloat(1.0625f))).as("a tie").isEqualTo(1.125f);
        assertThat(FP8.e4m3ToFloat(FP8.e4m3FromFloat(0x1p-10f)))
                .as("a subnormal tie")
                .isEqualTo(0x1p-9f);
        assertThat(FP8.e4m3ToFloat(FP8.e4m3FromFloat(0x1p-11f))).isZero();
    }

    @Test
    void e5m2IsASmallIeeeFormat() {
        for (int bits = 0; bits < 256; bits++) {
            float value = FP8.e5m2ToFloat((byte) bits);
            float half = Float.float16ToFloat((short) (bits << 8));
            assertThat(value).isEqualTo(Float.valueOf(half));
            if (!Float.isNaN(value) && value != 0f) {
                assertThat(FP8.e5m2FromFloat(value)).isEqualTo((byte) bits);
            }
        }
        assertThat(FP8.e5m2ToFloat(FP8.e5m2FromFloat(61439f))).isEqualTo(FP8.E5M2_MAX);
        assertThat(FP8.e5m2ToFloat(FP8.e5m2FromFloat(61440f))).isInfinite();
        assertThat(FP8.e5m2ToFloat(FP8.e5m2FromFloat(-1.125f))).as("a tie").isEqualTo(-1.25f);
    }

    @Test
    void mathematics() {
        assertThat(TornadoMath.exp(1f)).isEqualTo((float) Math.E);
        assertThat(TornadoMath.log2(8f)).isEqualTo(3f);
        assertThat(TornadoMath.clamp(5, 1, 3)).isEqualTo(3);
        assertThat(TornadoMath.clamp(-5f, -1f, 3f)).isEqualTo(-1f);
        assertThat(TornadoMath.fract(2.25f)).isEqualTo(0.25f);
        assertThat(TornadoMath.tanh(0f)).isZero();
        assertThat(TornadoMath.pow(2.0, 10.0)).isEqualTo(1024.0);
        assertThat(TornadoMath.abs((short) -3)).isEqualTo((short) 3);
        assertThat(TornadoMath.min((byte) 3, (byte) -3)).isEqualTo((byte) -3);
    }
}
