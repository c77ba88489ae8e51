package org.tornadoattention.tensor;

import static org.tornadoattention.internal.Arguments.required;

import java.util.Arrays;
import java.util.Locale;

/**
 * The element types that attention computes with: IEEE binary32, IEEE binary16 and bfloat16.
 *
 * <p>All conversions from a wider type round to nearest, ties to even, as the hardware does. NaN stays NaN, and values
 * past the largest finite one become infinite.
 */
public enum DType {
    /** IEEE binary32: 24 bits of significand, held in a TornadoVM {@code FloatArray}. */
    F32(4, 24),
    /** IEEE binary16: 11 bits of significand, held in a TornadoVM {@code HalfFloatArray}. */
    F16(2, 11),
    /** bfloat16: 8 bits of significand and the range of F32, held as raw bits in a TornadoVM {@code ShortArray}. */
    BF16(2, 8);

    private final int byteSize;
    private final int precision;

    DType(int byteSize, int precision) {
        this.byteSize = byteSize;
        this.precision = precision;
    }

    /** {@return the bytes that one element takes} */
    public int byteSize() {
        return byteSize;
    }

    /**
     * The type with this name, in capitals or not.
     *
     * @param name such as {@code f16}
     * @return the type
     * @throws IllegalArgumentException naming the known ones
     */
    public static DType parse(String name) {
        required(name, "name");
        return Arrays.stream(values())
                .filter(dtype -> dtype.name().equals(name.toUpperCase(Locale.ROOT)))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(
                        "There is no type '%s': choose one of f32, f16, bf16.".formatted(name)));
    }

    /**
     * The largest relative error of rounding a number in the type's normal range: half a unit in the last place,
     * 2<sup>-24</sup>, 2<sup>-11</sup> and 2<sup>-8</sup>.
     *
     * @return a power of two
     */
    public double unitRoundoff() {
        return Math.scalb(1.0, -precision);
    }

    /**
     * {@return the value of this type that is nearest to {@code value}, ties to even}
     *
     * @param value any number, infinity or NaN
     */
    public float round(float value) {
        return switch (this) {
            case F32 -> value;
            case F16 -> Float.float16ToFloat(Float.floatToFloat16(value));
            case BF16 -> bfloat16ToFloat(floatToBFloat16(value));
        };
    }

    /**
     * {@return the stored bits of {@code value} rounded to this type, in the low {@code 8 * byteSize()} bits}
     *
     * @param value any number, infinity or NaN
     */
    public int encode(float value) {
        return switch (this) {
            case F32 -> Float.floatToRawIntBits(value);
            case F16 -> Float.floatToFloat16(value) & 0xFFFF;
            case BF16 -> floatToBFloat16(value) & 0xFFFF;
        };
    }

    /**
     * {@return the value whose stored bits are the low {@code 8 * byteSize()} bits of {@code bits}; exact for all
     * types}
     *
     * @param bits higher ones are ignored
     */
    public float decode(int bits) {
        return switch (this) {
            case F32 -> Float.intBitsToFloat(bits);
            case F16 -> Float.float16ToFloat((short) bits);
            case BF16 -> bfloat16ToFloat((short) bits);
        };
    }

    static short floatToBFloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        // Adding half of the dropped part, and one more when the kept part is odd, carries exactly when RNE rounds up.
        int rounded = (bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16;
        // A NaN could carry into infinity or lose all of its payload: keep its upper bits and make it quiet.
        int quietNaN = (bits >>> 16) | 0x40;
        return (short) ((bits & 0x7FFFFFFF) > 0x7F800000 ? quietNaN : rounded);
    }

    static float bfloat16ToFloat(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }
}
