package org.tornadoattention.kernel.parts;

/**
 * What the argument {@code features} of a kernel says: bits for what a problem has and for how arrays are to be read,
 * and two numbers of the tensor-core kernels. A kernel heeds those that its documentation names. TornadoVM makes a
 * constant of the argument, so a test of a bit costs nothing on the device.
 */
public final class Features {

    /** Each head has a slope of ALiBi among its {@link HeadTerms}. */
    public static final int ALIBI = 1;

    /** Each batch entry has a number of keys of its own: {@link Window#length}. */
    public static final int KEY_LENGTHS = 1 << 1;

    /** Some pairs of a query and a key are dropped: {@link DropoutMask}. */
    public static final int DROPOUT = 1 << 2;

    /** A {@code ShortArray} holds F16; otherwise it holds BF16. Other arrays ignore it. */
    public static final int F16_BITS = 1 << 3;

    /** The compiler turns a bfloat16 into a float in one instruction. */
    public static final int NATIVE_BF16 = 1 << 4;

    /** Cached keys and values are multiplied by the scales of their page. */
    public static final int SCALED = 1 << 5;

    /** Rotary embedding: dimensions 2i and 2i + 1 turn together; otherwise i and i + rotaryDim / 2. */
    public static final int INTERLEAVED = 1 << 6;

    /** Keys and values are appended by another kernel. */
    public static final int QUERIES_ONLY = 1 << 7;

    /** A gradient arrives on the log-sum-exp too. */
    public static final int LSE_GRADIENT = 1 << 8;

    /** Products of two words are put together from halves: {@link DropoutMask#wordOfInts}. */
    public static final int INT_PRODUCTS = 1 << 9;

    /** Each head has a sink among its {@link HeadTerms}. */
    public static final int SINKS = 1 << 10;

    /** Queries are made ready without the scale. */
    public static final int UNSCALED = 1 << 11;

    /** The compiler knows the intrinsics of warps. */
    public static final int INTRINSICS = 1 << 12;

    /** A {@code ShortArray} holds BF16, and the compiler knows {@link org.tornadoattention.intrinsic.Reinterpret}. */
    public static final int REINTERPRET = 1 << 13;

    private static final int WARPS_AT = 16;
    private static final int THRESHOLD_AT = 24;

    private Features() {}

    /**
     * How many warps share a tile, and by how much the running maximum may grow unnoticed.
     *
     * @param warps up to 255
     * @param threshold as an exponent of 2, up to 127
     */
    public static int warpShape(int warps, int threshold) {
        return warps << WARPS_AT | threshold << THRESHOLD_AT;
    }

    /** The warps of {@link #warpShape}. */
    public static int warps(int features) {
        return features >> WARPS_AT & 0xff;
    }

    /** The threshold of {@link #warpShape}. */
    public static int threshold(int features) {
        return features >> THRESHOLD_AT & 0xff;
    }
}
