package uk.ac.manchester.tornado.api.types;

import org.tornadoattention.simulator.engine.HalfSums;

/** An IEEE 754 half-precision float (binary16). Arithmetic is done in 32 bits and rounded once. */
public class HalfFloat {

    private final short halfFloatValue;

    /** Rounds {@code halfFloat} to the nearest half, ties to even. */
    public HalfFloat(float halfFloat) {
        this.halfFloatValue = Float.floatToFloat16(halfFloat);
    }

    /** Takes {@code halfFloat} as the bit pattern. */
    public HalfFloat(short halfFloat) {
        this.halfFloatValue = halfFloat;
    }

    /** Returns {@code a + b}. */
    public static HalfFloat add(HalfFloat a, HalfFloat b) {
        HalfFloat sum = new HalfFloat(a.getFloat32() + b.getFloat32());
        if (sum.halfFloatValue == a.halfFloatValue && b.getFloat32() != 0f && Float.isFinite(a.getFloat32())) {
            HalfSums.lost(a.getFloat32(), b.getFloat32());
        }
        return sum;
    }

    /** Returns {@code a - b}. */
    public static HalfFloat sub(HalfFloat a, HalfFloat b) {
        return new HalfFloat(a.getFloat32() - b.getFloat32());
    }

    /** Returns {@code a * b}. */
    public static HalfFloat mult(HalfFloat a, HalfFloat b) {
        return new HalfFloat(a.getFloat32() * b.getFloat32());
    }

    /** Returns {@code a / b}. */
    public static HalfFloat div(HalfFloat a, HalfFloat b) {
        return new HalfFloat(a.getFloat32() / b.getFloat32());
    }

    /** Returns the bit pattern. */
    public short getHalfFloatValue() {
        return halfFloatValue;
    }

    /** Returns the value as a 32-bit float. */
    public float getFloat32() {
        return Float.float16ToFloat(halfFloatValue);
    }

    @Override
    public String toString() {
        return "HalfFloat: " + getFloat32();
    }
}
