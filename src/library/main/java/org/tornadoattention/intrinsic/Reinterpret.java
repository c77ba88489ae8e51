package org.tornadoattention.intrinsic;

/**
 * The bits of a number as one of another type, as calls for kernels: one instruction or none, where TornadoVM has no
 * name for it and its compilers know {@link Float#intBitsToFloat} nowhere.
 *
 * <p><b>Source.</b> OpenCL C, {@code as_float} and {@code as_int}; PTX ISA, {@code mov.b32}; CUDA C,
 * {@code __int_as_float} and {@code __float_as_int}.
 */
public final class Reinterpret {

    private Reinterpret() {}

    /**
     * {@return the float with these bits}
     *
     * @param bits the bits of an F32
     */
    public static float asFloat(int bits) {
        return Float.intBitsToFloat(bits);
    }

    /**
     * {@return the bits of a float}
     *
     * @param value a number; of a NaN, any bits of one
     */
    public static int asInt(float value) {
        return Float.floatToRawIntBits(value);
    }
}
