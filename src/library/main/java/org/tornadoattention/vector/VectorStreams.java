package org.tornadoattention.vector;

import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.LSHL;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.stream.LongStream;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;
import org.tornadoattention.tensor.DType;

/**
 * {@link Streams} on vectors of 512 bits, whose 32 registers hold sixteen sums.
 *
 * <p>Four keys that are a quarter of a tile apart are read at a time: as a rule they lie in different pages, which memory
 * brings side by side.
 */
final class VectorStreams implements Streams {

    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_512;
    private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_512;
    private static final int LENGTH = SPECIES.length();
    private static final long BYTES = SPECIES.vectorByteSize();
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final boolean FMA = Fused.FAST;

    /** The upper halves of ints. */
    private static final int UPPER = 0xffff_0000;
    /** Sign, exponent and significand of an upper F16 that was moved to where F32 has them. */
    private static final int HALF = 0x8fff_e000;
    /** The ratio of the biases. */
    private static final float TO_HALF = 0x1p112f;
    /** Two F16 without their signs. */
    private static final int MAGNITUDES = 0x7fff_7fff;
    /** One more in the exponents of two F16: all ones, infinity or NaN, carry into the sign. */
    private static final int ONE_MORE = 0x0400_0400;

    private static final int SIGNS = 0x8000_8000;

    private static final VectorShuffle<Float> SWAP_1 = swap(1);
    private static final VectorShuffle<Float> SWAP_2 = swap(2);
    private static final VectorShuffle<Float> SWAP_4 = swap(4);
    private static final VectorShuffle<Float> SWAP_8 = swap(8);
    private static final VectorMask<Float> MASK_1 = mask(1);
    private static final VectorMask<Float> MASK_2 = mask(2);
    private static final VectorMask<Float> MASK_4 = mask(4);
    private static final VectorMask<Float> MASK_8 = mask(8);

    /** Sums of four keys by four rows, lane by lane. */
    private final float[] sums = new float[4 * Lanes.ROWS * LENGTH];

    /** Where the values of a tile begin, in the order in which they are read, and what they are multiplied by. */
    private final long[] ordered = new long[ForwardTile.KEYS];

    private final float[] weights = new float[ForwardTile.KEYS * Lanes.ROWS];

    /** What carries of exponents there were, lane by lane. */
    private final int[] specials = new int[LENGTH];

    private static VectorShuffle<Float> swap(int distance) {
        return VectorShuffle.fromOp(SPECIES, lane -> lane ^ distance);
    }

    private static VectorMask<Float> mask(int bit) {
        return VectorMask.fromLong(
                SPECIES,
                LongStream.range(0, LENGTH)
                        .filter(lane -> (lane & bit) != 0)
                        .map(lane -> 1L << lane)
                        .sum());
    }

    @Override
    public boolean takes(StoredRows rows) {
        return rows.width() % (4 * LENGTH) == 0 && (rows.dtype() == DType.F32 || ORDER == ByteOrder.LITTLE_ENDIAN);
    }

    @Override
    public void apart(DType dtype, float[] rows, int at, int count) {
        move(dtype, rows, at, count, false);
    }

    @Override
    public void together(DType dtype, float[] rows, int at, int count) {
        move(dtype, rows, at, count, true);
    }

    private void move(DType dtype, float[] rows, int at, int count, boolean back) {
        for (int from = at; dtype != DType.F32 && from < at + count; from += 2 * LENGTH) {
            System.arraycopy(rows, from, sums, 0, 2 * LENGTH);
            for (int i = 0; i < LENGTH; i++) {
                if (back) {
                    rows[from + 2 * i] = sums[i];
                    rows[from + 2 * i + 1] = sums[LENGTH + i];
                } else {
                    rows[from + i] = sums[2 * i];
                    rows[from + LENGTH + i] = sums[2 * i + 1];
                }
            }
        }
    }

    @Override
    public boolean dots(StoredRows keys, long[] places, int count, float[] q, float[] s, int width, int rows) {
        MemorySegment memory = keys.memory();
        int dims = keys.width();
        int quarter = Math.ceilDiv(count, 4);
        Arrays.fill(specials, 0);
        for (int row = 0; row < rows; row += Lanes.ROWS) {
            for (int i = 0; i < quarter; i++) {
                // Those behind the last are the last once more.
                int i1 = Math.min(i + quarter, count - 1);
                int i2 = Math.min(i + 2 * quarter, count - 1);
                int i3 = Math.min(i + 3 * quarter, count - 1);
                long k0 = places[i];
                long k1 = places[i1];
                long k2 = places[i2];
                long k3 = places[i3];
                switch (keys.dtype()) {
                    case F32 -> dotsF32(memory, k0, k1, k2, k3, q, row * dims, dims);
                    case BF16 -> dotsBf16(memory, k0, k1, k2, k3, q, row * dims, dims);
                    case F16 -> dotsF16(memory, k0, k1, k2, k3, q, row * dims, dims);
                }
                sumUp();
                put(0, s, i * width + row);
                put(1, s, i1 * width + row);
                put(2, s, i2 * width + row);
                put(3, s, i3 * width + row);
            }
        }
        return isFinite();
    }

    private void put(int key, float[] s, int at) {
        for (int row = 0; row < Lanes.ROWS; row++) {
            s[at + row] = sums[key * Lanes.ROWS + row];
        }
    }

    private boolean isFinite() {
        int all = 0;
        for (int lane : specials) {
            all |= lane;
        }
        return (all & SIGNS) == 0;
    }

    @Override
    public boolean add(
            StoredRows values, long[] places, int count, float[] p, int width, float[] o, float[] factors, int rows) {
        MemorySegment memory = values.memory();
        int stride = values.width();
        int quarter = Math.ceilDiv(count, 4);
        int all = 4 * quarter;
        for (int i = 0; i < all; i++) {
            ordered[i] = places[Math.min((i & 3) * quarter + (i >> 2), count - 1)];
        }
        Arrays.fill(specials, 0);
        for (int row = 0; row < rows; row += Lanes.ROWS) {
            weigh(p, row, width, count, quarter);
            for (int column = 0; column < stride; column += 4 * LENGTH) {
                long offset = (long) values.dtype().byteSize() * column;
                int at = row * stride + column;
                switch (values.dtype()) {
                    case F32 -> addF32(memory, ordered, offset, weights, all, o, at, stride, factors, row);
                    case BF16 -> addBf16(memory, ordered, offset, weights, all, o, at, stride, factors, row);
                    case F16 -> addF16(memory, ordered, offset, weights, all, o, at, stride, factors, row);
                }
            }
        }
        return isFinite();
    }

    /** Puts the weights of four rows into the order in which values are read; those behind the last count nothing. */
    private void weigh(float[] p, int row, int width, int count, int quarter) {
        for (int i = 0; i < 4 * quarter; i++) {
            int key = (i & 3) * quarter + (i >> 2);
            for (int lane = 0; lane < Lanes.ROWS; lane++) {
                weights[i * Lanes.ROWS + lane] = key < count ? p[key * width + row + lane] : 0;
            }
        }
    }

    /** Four keys of F32, by four rows. */
    private void dotsF32(MemorySegment memory, long k0, long k1, long k2, long k3, float[] q, int q0, int dims) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        FloatVector s20 = zero, s21 = zero, s22 = zero, s23 = zero;
        FloatVector s30 = zero, s31 = zero, s32 = zero, s33 = zero;
        int q1 = q0 + dims;
        int q2 = q1 + dims;
        int q3 = q2 + dims;
        for (int i = 0; i < dims; i += LENGTH) {
            long at = (long) Float.BYTES * i;
            FloatVector x0 = FloatVector.fromMemorySegment(SPECIES, memory, k0 + at, ORDER);
            FloatVector x1 = FloatVector.fromMemorySegment(SPECIES, memory, k1 + at, ORDER);
            FloatVector x2 = FloatVector.fromMemorySegment(SPECIES, memory, k2 + at, ORDER);
            FloatVector x3 = FloatVector.fromMemorySegment(SPECIES, memory, k3 + at, ORDER);
            FloatVector y = FloatVector.fromArray(SPECIES, q, q0 + i);
            s00 = FMA ? x0.fma(y, s00) : x0.mul(y).add(s00);
            s10 = FMA ? x1.fma(y, s10) : x1.mul(y).add(s10);
            s20 = FMA ? x2.fma(y, s20) : x2.mul(y).add(s20);
            s30 = FMA ? x3.fma(y, s30) : x3.mul(y).add(s30);
            y = FloatVector.fromArray(SPECIES, q, q1 + i);
            s01 = FMA ? x0.fma(y, s01) : x0.mul(y).add(s01);
            s11 = FMA ? x1.fma(y, s11) : x1.mul(y).add(s11);
            s21 = FMA ? x2.fma(y, s21) : x2.mul(y).add(s21);
            s31 = FMA ? x3.fma(y, s31) : x3.mul(y).add(s31);
            y = FloatVector.fromArray(SPECIES, q, q2 + i);
            s02 = FMA ? x0.fma(y, s02) : x0.mul(y).add(s02);
            s12 = FMA ? x1.fma(y, s12) : x1.mul(y).add(s12);
            s22 = FMA ? x2.fma(y, s22) : x2.mul(y).add(s22);
            s32 = FMA ? x3.fma(y, s32) : x3.mul(y).add(s32);
            y = FloatVector.fromArray(SPECIES, q, q3 + i);
            s03 = FMA ? x0.fma(y, s03) : x0.mul(y).add(s03);
            s13 = FMA ? x1.fma(y, s13) : x1.mul(y).add(s13);
            s23 = FMA ? x2.fma(y, s23) : x2.mul(y).add(s23);
            s33 = FMA ? x3.fma(y, s33) : x3.mul(y).add(s33);
        }
        s00.intoArray(sums, 0);
        s01.intoArray(sums, LENGTH);
        s02.intoArray(sums, 2 * LENGTH);
        s03.intoArray(sums, 3 * LENGTH);
        s10.intoArray(sums, 4 * LENGTH);
        s11.intoArray(sums, 5 * LENGTH);
        s12.intoArray(sums, 6 * LENGTH);
        s13.intoArray(sums, 7 * LENGTH);
        s20.intoArray(sums, 8 * LENGTH);
        s21.intoArray(sums, 9 * LENGTH);
        s22.intoArray(sums, 10 * LENGTH);
        s23.intoArray(sums, 11 * LENGTH);
        s30.intoArray(sums, 12 * LENGTH);
        s31.intoArray(sums, 13 * LENGTH);
        s32.intoArray(sums, 14 * LENGTH);
        s33.intoArray(sums, 15 * LENGTH);
    }

    /** Four keys of BF16: the lower half of an int is an even element, the upper one an odd one, by four rows. */
    private void dotsBf16(MemorySegment memory, long k0, long k1, long k2, long k3, float[] q, int q0, int dims) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        FloatVector s20 = zero, s21 = zero, s22 = zero, s23 = zero;
        FloatVector s30 = zero, s31 = zero, s32 = zero, s33 = zero;
        int q1 = q0 + dims;
        int q2 = q1 + dims;
        int q3 = q2 + dims;
        for (int i = 0; i < dims; i += 2 * LENGTH) {
            long at = (long) Short.BYTES * i;
            IntVector w0 = IntVector.fromMemorySegment(INTS, memory, k0 + at, ORDER);
            IntVector w1 = IntVector.fromMemorySegment(INTS, memory, k1 + at, ORDER);
            IntVector w2 = IntVector.fromMemorySegment(INTS, memory, k2 + at, ORDER);
            IntVector w3 = IntVector.fromMemorySegment(INTS, memory, k3 + at, ORDER);
            FloatVector x0 = w0.lanewise(LSHL, Short.SIZE).reinterpretAsFloats();
            FloatVector x1 = w1.lanewise(LSHL, Short.SIZE).reinterpretAsFloats();
            FloatVector x2 = w2.lanewise(LSHL, Short.SIZE).reinterpretAsFloats();
            FloatVector x3 = w3.lanewise(LSHL, Short.SIZE).reinterpretAsFloats();
            FloatVector y = FloatVector.fromArray(SPECIES, q, q0 + i);
            s00 = FMA ? x0.fma(y, s00) : x0.mul(y).add(s00);
            s10 = FMA ? x1.fma(y, s10) : x1.mul(y).add(s10);
            s20 = FMA ? x2.fma(y, s20) : x2.mul(y).add(s20);
            s30 = FMA ? x3.fma(y, s30) : x3.mul(y).add(s30);
            y = FloatVector.fromArray(SPECIES, q, q1 + i);
            s01 = FMA ? x0.fma(y, s01) : x0.mul(y).add(s01);
            s11 = FMA ? x1.fma(y, s11) : x1.mul(y).add(s11);
            s21 = FMA ? x2.fma(y, s21) : x2.mul(y).add(s21);
            s31 = FMA ? x3.fma(y, s31) : x3.mul(y).add(s31);
            y = FloatVector.fromArray(SPECIES, q, q2 + i);
            s02 = FMA ? x0.fma(y, s02) : x0.mul(y).add(s02);
            s12 = FMA ? x1.fma(y, s12) : x1.mul(y).add(s12);
            s22 = FMA ? x2.fma(y, s22) : x2.mul(y).add(s22);
            s32 = FMA ? x3.fma(y, s32) : x3.mul(y).add(s32);
            y = FloatVector.fromArray(SPECIES, q, q3 + i);
            s03 = FMA ? x0.fma(y, s03) : x0.mul(y).add(s03);
            s13 = FMA ? x1.fma(y, s13) : x1.mul(y).add(s13);
            s23 = FMA ? x2.fma(y, s23) : x2.mul(y).add(s23);
            s33 = FMA ? x3.fma(y, s33) : x3.mul(y).add(s33);
            x0 = w0.and(UPPER).reinterpretAsFloats();
            x1 = w1.and(UPPER).reinterpretAsFloats();
            x2 = w2.and(UPPER).reinterpretAsFloats();
            x3 = w3.and(UPPER).reinterpretAsFloats();
            y = FloatVector.fromArray(SPECIES, q, q0 + i + LENGTH);
            s00 = FMA ? x0.fma(y, s00) : x0.mul(y).add(s00);
            s10 = FMA ? x1.fma(y, s10) : x1.mul(y).add(s10);
            s20 = FMA ? x2.fma(y, s20) : x2.mul(y).add(s20);
            s30 = FMA ? x3.fma(y, s30) : x3.mul(y).add(s30);
            y = FloatVector.fromArray(SPECIES, q, q1 + i + LENGTH);
            s01 = FMA ? x0.fma(y, s01) : x0.mul(y).add(s01);
            s11 = FMA ? x1.fma(y, s11) : x1.mul(y).add(s11);
            s21 = FMA ? x2.fma(y, s21) : x2.mul(y).add(s21);
            s31 = FMA ? x3.fma(y, s31) : x3.mul(y).add(s31);
            y = FloatVector.fromArray(SPECIES, q, q2 + i + LENGTH);
            s02 = FMA ? x0.fma(y, s02) : x0.mul(y).add(s02);
            s12 = FMA ? x1.fma(y, s12) : x1.mul(y).add(s12);
            s22 = FMA ? x2.fma(y, s22) : x2.mul(y).add(s22);
            s32 = FMA ? x3.fma(y, s32) : x3.mul(y).add(s32);
            y = FloatVector.fromArray(SPECIES, q, q3 + i + LENGTH);
            s03 = FMA ? x0.fma(y, s03) : x0.mul(y).add(s03);
            s13 = FMA ? x1.fma(y, s13) : x1.mul(y).add(s13);
            s23 = FMA ? x2.fma(y, s23) : x2.mul(y).add(s23);
            s33 = FMA ? x3.fma(y, s33) : x3.mul(y).add(s33);
        }
        s00.intoArray(sums, 0);
        s01.intoArray(sums, LENGTH);
        s02.intoArray(sums, 2 * LENGTH);
        s03.intoArray(sums, 3 * LENGTH);
        s10.intoArray(sums, 4 * LENGTH);
        s11.intoArray(sums, 5 * LENGTH);
        s12.intoArray(sums, 6 * LENGTH);
        s13.intoArray(sums, 7 * LENGTH);
        s20.intoArray(sums, 8 * LENGTH);
        s21.intoArray(sums, 9 * LENGTH);
        s22.intoArray(sums, 10 * LENGTH);
        s23.intoArray(sums, 11 * LENGTH);
        s30.intoArray(sums, 12 * LENGTH);
        s31.intoArray(sums, 13 * LENGTH);
        s32.intoArray(sums, 14 * LENGTH);
        s33.intoArray(sums, 15 * LENGTH);
    }

    /** Four keys of F16, likewise: exponent and significand as those of F32, times the ratio of the biases, by four rows. */
    private void dotsF16(MemorySegment memory, long k0, long k1, long k2, long k3, float[] q, int q0, int dims) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        FloatVector s20 = zero, s21 = zero, s22 = zero, s23 = zero;
        FloatVector s30 = zero, s31 = zero, s32 = zero, s33 = zero;
        IntVector special = IntVector.fromArray(INTS, specials, 0);
        int q1 = q0 + dims;
        int q2 = q1 + dims;
        int q3 = q2 + dims;
        for (int i = 0; i < dims; i += 2 * LENGTH) {
            long at = (long) Short.BYTES * i;
            IntVector w0 = IntVector.fromMemorySegment(INTS, memory, k0 + at, ORDER);
            IntVector w1 = IntVector.fromMemorySegment(INTS, memory, k1 + at, ORDER);
            IntVector w2 = IntVector.fromMemorySegment(INTS, memory, k2 + at, ORDER);
            IntVector w3 = IntVector.fromMemorySegment(INTS, memory, k3 + at, ORDER);
            special = special.or(w0.and(MAGNITUDES).add(ONE_MORE));
            special = special.or(w1.and(MAGNITUDES).add(ONE_MORE));
            special = special.or(w2.and(MAGNITUDES).add(ONE_MORE));
            special = special.or(w3.and(MAGNITUDES).add(ONE_MORE));
            FloatVector x0 = w0.lanewise(LSHL, Short.SIZE)
                    .lanewise(ASHR, 3)
                    .and(HALF)
                    .reinterpretAsFloats()
                    .mul(TO_HALF);
            FloatVector x1 = w1.lanewise(LSHL, Short.SIZE)
                    .lanewise(ASHR, 3)
                    .and(HALF)
                    .reinterpretAsFloats()
                    .mul(TO_HALF);
            FloatVector x2 = w2.lanewise(LSHL, Short.SIZE)
                    .lanewise(ASHR, 3)
                    .and(HALF)
                    .reinterpretAsFloats()
                    .mul(TO_HALF);
            FloatVector x3 = w3.lanewise(LSHL, Short.SIZE)
                    .lanewise(ASHR, 3)
                    .and(HALF)
                    .reinterpretAsFloats()
                    .mul(TO_HALF);
            FloatVector y = FloatVector.fromArray(SPECIES, q, q0 + i);
            s00 = FMA ? x0.fma(y, s00) : x0.mul(y).add(s00);
            s10 = FMA ? x1.fma(y, s10) : x1.mul(y).add(s10);
            s20 = FMA ? x2.fma(y, s20) : x2.mul(y).add(s20);
            s30 = FMA ? x3.fma(y, s30) : x3.mul(y).add(s30);
            y = FloatVector.fromArray(SPECIES, q, q1 + i);
            s01 = FMA ? x0.fma(y, s01) : x0.mul(y).add(s01);
            s11 = FMA ? x1.fma(y, s11) : x1.mul(y).add(s11);
            s21 = FMA ? x2.fma(y, s21) : x2.mul(y).add(s21);
            s31 = FMA ? x3.fma(y, s31) : x3.mul(y).add(s31);
            y = FloatVector.fromArray(SPECIES, q, q2 + i);
            s02 = FMA ? x0.fma(y, s02) : x0.mul(y).add(s02);
            s12 = FMA ? x1.fma(y, s12) : x1.mul(y).add(s12);
            s22 = FMA ? x2.fma(y, s22) : x2.mul(y).add(s22);
            s32 = FMA ? x3.fma(y, s32) : x3.mul(y).add(s32);
            y = FloatVector.fromArray(SPECIES, q, q3 + i);
            s03 = FMA ? x0.fma(y, s03) : x0.mul(y).add(s03);
            s13 = FMA ? x1.fma(y, s13) : x1.mul(y).add(s13);
            s23 = FMA ? x2.fma(y, s23) : x2.mul(y).add(s23);
            s33 = FMA ? x3.fma(y, s33) : x3.mul(y).add(s33);
            x0 = w0.lanewise(ASHR, 3).and(HALF).reinterpretAsFloats().mul(TO_HALF);
            x1 = w1.lanewise(ASHR, 3).and(HALF).reinterpretAsFloats().mul(TO_HALF);
            x2 = w2.lanewise(ASHR, 3).and(HALF).reinterpretAsFloats().mul(TO_HALF);
            x3 = w3.lanewise(ASHR, 3).and(HALF).reinterpretAsFloats().mul(TO_HALF);
            y = FloatVector.fromArray(SPECIES, q, q0 + i + LENGTH);
            s00 = FMA ? x0.fma(y, s00) : x0.mul(y).add(s00);
            s10 = FMA ? x1.fma(y, s10) : x1.mul(y).add(s10);
            s20 = FMA ? x2.fma(y, s20) : x2.mul(y).add(s20);
            s30 = FMA ? x3.fma(y, s30) : x3.mul(y).add(s30);
            y = FloatVector.fromArray(SPECIES, q, q1 + i + LENGTH);
            s01 = FMA ? x0.fma(y, s01) : x0.mul(y).add(s01);
            s11 = FMA ? x1.fma(y, s11) : x1.mul(y).add(s11);
            s21 = FMA ? x2.fma(y, s21) : x2.mul(y).add(s21);
            s31 = FMA ? x3.fma(y, s31) : x3.mul(y).add(s31);
            y = FloatVector.fromArray(SPECIES, q, q2 + i + LENGTH);
            s02 = FMA ? x0.fma(y, s02) : x0.mul(y).add(s02);
            s12 = FMA ? x1.fma(y, s12) : x1.mul(y).add(s12);
            s22 = FMA ? x2.fma(y, s22) : x2.mul(y).add(s22);
            s32 = FMA ? x3.fma(y, s32) : x3.mul(y).add(s32);
            y = FloatVector.fromArray(SPECIES, q, q3 + i + LENGTH);
            s03 = FMA ? x0.fma(y, s03) : x0.mul(y).add(s03);
            s13 = FMA ? x1.fma(y, s13) : x1.mul(y).add(s13);
            s23 = FMA ? x2.fma(y, s23) : x2.mul(y).add(s23);
            s33 = FMA ? x3.fma(y, s33) : x3.mul(y).add(s33);
        }
        s00.intoArray(sums, 0);
        s01.intoArray(sums, LENGTH);
        s02.intoArray(sums, 2 * LENGTH);
        s03.intoArray(sums, 3 * LENGTH);
        s10.intoArray(sums, 4 * LENGTH);
        s11.intoArray(sums, 5 * LENGTH);
        s12.intoArray(sums, 6 * LENGTH);
        s13.intoArray(sums, 7 * LENGTH);
        s20.intoArray(sums, 8 * LENGTH);
        s21.intoArray(sums, 9 * LENGTH);
        s22.intoArray(sums, 10 * LENGTH);
        s23.intoArray(sums, 11 * LENGTH);
        s30.intoArray(sums, 12 * LENGTH);
        s31.intoArray(sums, 13 * LENGTH);
        s32.intoArray(sums, 14 * LENGTH);
        s33.intoArray(sums, 15 * LENGTH);
        special.intoArray(specials, 0);
    }

    /** The sums of sixteen vectors' lanes, pairs of lanes first: those of four keys by four rows. */
    private void sumUp() {
        FloatVector x = FloatVector.fromArray(SPECIES, sums, 0);
        FloatVector y = FloatVector.fromArray(SPECIES, sums, LENGTH);
        FloatVector a = x.blend(y, MASK_1).add(y.blend(x, MASK_1).rearrange(SWAP_1));
        x = FloatVector.fromArray(SPECIES, sums, 2 * LENGTH);
        y = FloatVector.fromArray(SPECIES, sums, 3 * LENGTH);
        FloatVector b = x.blend(y, MASK_1).add(y.blend(x, MASK_1).rearrange(SWAP_1));
        x = FloatVector.fromArray(SPECIES, sums, 4 * LENGTH);
        y = FloatVector.fromArray(SPECIES, sums, 5 * LENGTH);
        FloatVector c = x.blend(y, MASK_1).add(y.blend(x, MASK_1).rearrange(SWAP_1));
        x = FloatVector.fromArray(SPECIES, sums, 6 * LENGTH);
        y = FloatVector.fromArray(SPECIES, sums, 7 * LENGTH);
        FloatVector d = x.blend(y, MASK_1).add(y.blend(x, MASK_1).rearrange(SWAP_1));
        x = FloatVector.fromArray(SPECIES, sums, 8 * LENGTH);
        y = FloatVector.fromArray(SPECIES, sums, 9 * LENGTH);
        FloatVector e = x.blend(y, MASK_1).add(y.blend(x, MASK_1).rearrange(SWAP_1));
        x = FloatVector.fromArray(SPECIES, sums, 10 * LENGTH);
        y = FloatVector.fromArray(SPECIES, sums, 11 * LENGTH);
        FloatVector f = x.blend(y, MASK_1).add(y.blend(x, MASK_1).rearrange(SWAP_1));
        x = FloatVector.fromArray(SPECIES, sums, 12 * LENGTH);
        y = FloatVector.fromArray(SPECIES, sums, 13 * LENGTH);
        FloatVector g = x.blend(y, MASK_1).add(y.blend(x, MASK_1).rearrange(SWAP_1));
        x = FloatVector.fromArray(SPECIES, sums, 14 * LENGTH);
        y = FloatVector.fromArray(SPECIES, sums, 15 * LENGTH);
        FloatVector h = x.blend(y, MASK_1).add(y.blend(x, MASK_1).rearrange(SWAP_1));
        a = a.blend(b, MASK_2).add(b.blend(a, MASK_2).rearrange(SWAP_2));
        c = c.blend(d, MASK_2).add(d.blend(c, MASK_2).rearrange(SWAP_2));
        e = e.blend(f, MASK_2).add(f.blend(e, MASK_2).rearrange(SWAP_2));
        g = g.blend(h, MASK_2).add(h.blend(g, MASK_2).rearrange(SWAP_2));
        a = a.blend(c, MASK_4).add(c.blend(a, MASK_4).rearrange(SWAP_4));
        e = e.blend(g, MASK_4).add(g.blend(e, MASK_4).rearrange(SWAP_4));
        a = a.blend(e, MASK_8).add(e.blend(a, MASK_8).rearrange(SWAP_8));
        a.intoArray(sums, 0);
    }

    /** Four columns' vectors of values of F32, by four rows. */
    private static void addF32(
            MemorySegment memory,
            long[] places,
            long offset,
            float[] weights,
            int count,
            float[] o,
            int o0,
            int stride,
            float[] factors,
            int row) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        FloatVector s20 = zero, s21 = zero, s22 = zero, s23 = zero;
        FloatVector s30 = zero, s31 = zero, s32 = zero, s33 = zero;
        for (int i = 0; i < count; i++) {
            long from = places[i] + offset;
            int at = i * Lanes.ROWS;
            FloatVector x0 = FloatVector.fromMemorySegment(SPECIES, memory, from, ORDER);
            FloatVector x1 = FloatVector.fromMemorySegment(SPECIES, memory, from + 1 * BYTES, ORDER);
            FloatVector x2 = FloatVector.fromMemorySegment(SPECIES, memory, from + 2 * BYTES, ORDER);
            FloatVector x3 = FloatVector.fromMemorySegment(SPECIES, memory, from + 3 * BYTES, ORDER);
            FloatVector y = FloatVector.broadcast(SPECIES, weights[at]);
            s00 = FMA ? x0.fma(y, s00) : x0.mul(y).add(s00);
            s01 = FMA ? x1.fma(y, s01) : x1.mul(y).add(s01);
            s02 = FMA ? x2.fma(y, s02) : x2.mul(y).add(s02);
            s03 = FMA ? x3.fma(y, s03) : x3.mul(y).add(s03);
            y = FloatVector.broadcast(SPECIES, weights[at + 1]);
            s10 = FMA ? x0.fma(y, s10) : x0.mul(y).add(s10);
            s11 = FMA ? x1.fma(y, s11) : x1.mul(y).add(s11);
            s12 = FMA ? x2.fma(y, s12) : x2.mul(y).add(s12);
            s13 = FMA ? x3.fma(y, s13) : x3.mul(y).add(s13);
            y = FloatVector.broadcast(SPECIES, weights[at + 2]);
            s20 = FMA ? x0.fma(y, s20) : x0.mul(y).add(s20);
            s21 = FMA ? x1.fma(y, s21) : x1.mul(y).add(s21);
            s22 = FMA ? x2.fma(y, s22) : x2.mul(y).add(s22);
            s23 = FMA ? x3.fma(y, s23) : x3.mul(y).add(s23);
            y = FloatVector.broadcast(SPECIES, weights[at + 3]);
            s30 = FMA ? x0.fma(y, s30) : x0.mul(y).add(s30);
            s31 = FMA ? x1.fma(y, s31) : x1.mul(y).add(s31);
            s32 = FMA ? x2.fma(y, s32) : x2.mul(y).add(s32);
            s33 = FMA ? x3.fma(y, s33) : x3.mul(y).add(s33);
        }
        int o1 = o0 + stride;
        int o2 = o1 + stride;
        int o3 = o2 + stride;
        float f = factors[row];
        FloatVector.fromArray(SPECIES, o, o0).mul(f).add(s00).intoArray(o, o0);
        FloatVector.fromArray(SPECIES, o, o0 + LENGTH).mul(f).add(s01).intoArray(o, o0 + LENGTH);
        FloatVector.fromArray(SPECIES, o, o0 + 2 * LENGTH).mul(f).add(s02).intoArray(o, o0 + 2 * LENGTH);
        FloatVector.fromArray(SPECIES, o, o0 + 3 * LENGTH).mul(f).add(s03).intoArray(o, o0 + 3 * LENGTH);
        f = factors[row + 1];
        FloatVector.fromArray(SPECIES, o, o1).mul(f).add(s10).intoArray(o, o1);
        FloatVector.fromArray(SPECIES, o, o1 + LENGTH).mul(f).add(s11).intoArray(o, o1 + LENGTH);
        FloatVector.fromArray(SPECIES, o, o1 + 2 * LENGTH).mul(f).add(s12).intoArray(o, o1 + 2 * LENGTH);
        FloatVector.fromArray(SPECIES, o, o1 + 3 * LENGTH).mul(f).add(s13).intoArray(o, o1 + 3 * LENGTH);
        f = factors[row + 2];
        FloatVector.fromArray(SPECIES, o, o2).mul(f).add(s20).intoArray(o, o2);
        FloatVector.fromArray(SPECIES, o, o2 + LENGTH).mul(f).add(s21).intoArray(o, o2 + LENGTH);
        FloatVector.fromArray(SPECIES, o, o2 + 2 * LENGTH).mul(f).add(s22).intoArray(o, o2 + 2 * LENGTH);
        FloatVector.fromArray(SPECIES, o, o2 + 3 * LENGTH).mul(f).add(s23).intoArray(o, o2 + 3 * LENGTH);
        f = factors[row + 3];
        FloatVector.fromArray(SPECIES, o, o3).mul(f).add(s30).intoArray(o, o3);
        FloatVector.fromArray(SPECIES, o, o3 + LENGTH).mul(f).add(s31).intoArray(o, o3 + LENGTH);
        FloatVector.fromArray(SPECIES, o, o3 + 2 * LENGTH).mul(f).add(s32).intoArray(o, o3 + 2 * LENGTH);
        FloatVector.fromArray(SPECIES, o, o3 + 3 * LENGTH).mul(f).add(s33).intoArray(o, o3 + 3 * LENGTH);
    }

    /** Four columns' vectors of values of BF16: the lower half of an int is an even element, the upper one an odd one, by four rows. */
    private static void addBf16(
            MemorySegment memory,
            long[] places,
            long offset,
            float[] weights,
            int count,
            float[] o,
            int o0,
            int stride,
            float[] factors,
            int row) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        FloatVector s20 = zero, s21 = zero, s22 = zero, s23 = zero;
        FloatVector s30 = zero, s31 = zero, s32 = zero, s33 = zero;
        for (int i = 0; i < count; i++) {
            long from = places[i] + offset;
            int at = i * Lanes.ROWS;
            IntVector w0 = IntVector.fromMemorySegment(INTS, memory, from, ORDER);
            IntVector w1 = IntVector.fromMemorySegment(INTS, memory, from + BYTES, ORDER);
            FloatVector x0 = w0.lanewise(LSHL, Short.SIZE).reinterpretAsFloats();
            FloatVector x1 = w0.and(UPPER).reinterpretAsFloats();
            FloatVector x2 = w1.lanewise(LSHL, Short.SIZE).reinterpretAsFloats();
            FloatVector x3 = w1.and(UPPER).reinterpretAsFloats();
            FloatVector y = FloatVector.broadcast(SPECIES, weights[at]);
            s00 = FMA ? x0.fma(y, s00) : x0.mul(y).add(s00);
            s01 = FMA ? x1.fma(y, s01) : x1.mul(y).add(s01);
            s02 = FMA ? x2.fma(y, s02) : x2.mul(y).add(s02);
            s03 = FMA ? x3.fma(y, s03) : x3.mul(y).add(s03);
            y = FloatVector.broadcast(SPECIES, weights[at + 1]);
            s10 = FMA ? x0.fma(y, s10) : x0.mul(y).add(s10);
            s11 = FMA ? x1.fma(y, s11) : x1.mul(y).add(s11);
            s12 = FMA ? x2.fma(y, s12) : x2.mul(y).add(s12);
            s13 = FMA ? x3.fma(y, s13) : x3.mul(y).add(s13);
            y = FloatVector.broadcast(SPECIES, weights[at + 2]);
            s20 = FMA ? x0.fma(y, s20) : x0.mul(y).add(s20);
            s21 = FMA ? x1.fma(y, s21) : x1.mul(y).add(s21);
            s22 = FMA ? x2.fma(y, s22) : x2.mul(y).add(s22);
            s23 = FMA ? x3.fma(y, s23) : x3.mul(y).add(s23);
            y = FloatVector.broadcast(SPECIES, weights[at + 3]);
            s30 = FMA ? x0.fma(y, s30) : x0.mul(y).add(s30);
            s31 = FMA ? x1.fma(y, s31) : x1.mul(y).add(s31);
            s32 = FMA ? x2.fma(y, s32) : x2.mul(y).add(s32);
            s33 = FMA ? x3.fma(y, s33) : x3.mul(y).add(s33);
        }
        int o1 = o0 + stride;
        int o2 = o1 + stride;
        int o3 = o2 + stride;
        float f = factors[row];
        FloatVector.fromArray(SPECIES, o, o0).mul(f).add(s00).intoArray(o, o0);
        FloatVector.fromArray(SPECIES, o, o0 + LENGTH).mul(f).add(s01).intoArray(o, o0 + LENGTH);
        FloatVector.fromArray(SPECIES, o, o0 + 2 * LENGTH).mul(f).add(s02).intoArray(o, o0 + 2 * LENGTH);
        FloatVector.fromArray(SPECIES, o, o0 + 3 * LENGTH).mul(f).add(s03).intoArray(o, o0 + 3 * LENGTH);
        f = factors[row + 1];
        FloatVector.fromArray(SPECIES, o, o1).mul(f).add(s10).intoArray(o, o1);
        FloatVector.fromArray(SPECIES, o, o1 + LENGTH).mul(f).add(s11).intoArray(o, o1 + LENGTH);
        FloatVector.fromArray(SPECIES, o, o1 + 2 * LENGTH).mul(f).add(s12).intoArray(o, o1 + 2 * LENGTH);
        FloatVector.fromArray(SPECIES, o, o1 + 3 * LENGTH).mul(f).add(s13).intoArray(o, o1 + 3 * LENGTH);
        f = factors[row + 2];
        FloatVector.fromArray(SPECIES, o, o2).mul(f).add(s20).intoArray(o, o2);
        FloatVector.fromArray(SPECIES, o, o2 + LENGTH).mul(f).add(s21).intoArray(o, o2 + LENGTH);
        FloatVector.fromArray(SPECIES, o, o2 + 2 * LENGTH).mul(f).add(s22).intoArray(o, o2 + 2 * LENGTH);
        FloatVector.fromArray(SPECIES, o, o2 + 3 * LENGTH).mul(f).add(s23).intoArray(o, o2 + 3 * LENGTH);
        f = factors[row + 3];
        FloatVector.fromArray(SPECIES, o, o3).mul(f).add(s30).intoArray(o, o3);
        FloatVector.fromArray(SPECIES, o, o3 + LENGTH).mul(f).add(s31).intoArray(o, o3 + LENGTH);
        FloatVector.fromArray(SPECIES, o, o3 + 2 * LENGTH).mul(f).add(s32).intoArray(o, o3 + 2 * LENGTH);
        FloatVector.fromArray(SPECIES, o, o3 + 3 * LENGTH).mul(f).add(s33).intoArray(o, o3 + 3 * LENGTH);
    }

    /** Four columns' vectors of values of F16, likewise: exponent and significand as those of F32, times the ratio of the biases, by four rows. */
    private void addF16(
            MemorySegment memory,
            long[] places,
            long offset,
            float[] weights,
            int count,
            float[] o,
            int o0,
            int stride,
            float[] factors,
            int row) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        FloatVector s20 = zero, s21 = zero, s22 = zero, s23 = zero;
        FloatVector s30 = zero, s31 = zero, s32 = zero, s33 = zero;
        IntVector special = IntVector.fromArray(INTS, specials, 0);
        for (int i = 0; i < count; i++) {
            long from = places[i] + offset;
            int at = i * Lanes.ROWS;
            IntVector w0 = IntVector.fromMemorySegment(INTS, memory, from, ORDER);
            IntVector w1 = IntVector.fromMemorySegment(INTS, memory, from + BYTES, ORDER);
            special = special.or(w0.and(MAGNITUDES).add(ONE_MORE));
            special = special.or(w1.and(MAGNITUDES).add(ONE_MORE));
            FloatVector x0 = w0.lanewise(LSHL, Short.SIZE)
                    .lanewise(ASHR, 3)
                    .and(HALF)
                    .reinterpretAsFloats()
                    .mul(TO_HALF);
            FloatVector x1 =
                    w0.lanewise(ASHR, 3).and(HALF).reinterpretAsFloats().mul(TO_HALF);
            FloatVector x2 = w1.lanewise(LSHL, Short.SIZE)
                    .lanewise(ASHR, 3)
                    .and(HALF)
                    .reinterpretAsFloats()
                    .mul(TO_HALF);
            FloatVector x3 =
                    w1.lanewise(ASHR, 3).and(HALF).reinterpretAsFloats().mul(TO_HALF);
            FloatVector y = FloatVector.broadcast(SPECIES, weights[at]);
            s00 = FMA ? x0.fma(y, s00) : x0.mul(y).add(s00);
            s01 = FMA ? x1.fma(y, s01) : x1.mul(y).add(s01);
            s02 = FMA ? x2.fma(y, s02) : x2.mul(y).add(s02);
            s03 = FMA ? x3.fma(y, s03) : x3.mul(y).add(s03);
            y = FloatVector.broadcast(SPECIES, weights[at + 1]);
            s10 = FMA ? x0.fma(y, s10) : x0.mul(y).add(s10);
            s11 = FMA ? x1.fma(y, s11) : x1.mul(y).add(s11);
            s12 = FMA ? x2.fma(y, s12) : x2.mul(y).add(s12);
            s13 = FMA ? x3.fma(y, s13) : x3.mul(y).add(s13);
            y = FloatVector.broadcast(SPECIES, weights[at + 2]);
            s20 = FMA ? x0.fma(y, s20) : x0.mul(y).add(s20);
            s21 = FMA ? x1.fma(y, s21) : x1.mul(y).add(s21);
            s22 = FMA ? x2.fma(y, s22) : x2.mul(y).add(s22);
            s23 = FMA ? x3.fma(y, s23) : x3.mul(y).add(s23);
            y = FloatVector.broadcast(SPECIES, weights[at + 3]);
            s30 = FMA ? x0.fma(y, s30) : x0.mul(y).add(s30);
            s31 = FMA ? x1.fma(y, s31) : x1.mul(y).add(s31);
            s32 = FMA ? x2.fma(y, s32) : x2.mul(y).add(s32);
            s33 = FMA ? x3.fma(y, s33) : x3.mul(y).add(s33);
        }
        int o1 = o0 + stride;
        int o2 = o1 + stride;
        int o3 = o2 + stride;
        float f = factors[row];
        FloatVector.fromArray(SPECIES, o, o0).mul(f).add(s00).intoArray(o, o0);
        FloatVector.fromArray(SPECIES, o, o0 + LENGTH).mul(f).add(s01).intoArray(o, o0 + LENGTH);
        FloatVector.fromArray(SPECIES, o, o0 + 2 * LENGTH).mul(f).add(s02).intoArray(o, o0 + 2 * LENGTH);
        FloatVector.fromArray(SPECIES, o, o0 + 3 * LENGTH).mul(f).add(s03).intoArray(o, o0 + 3 * LENGTH);
        f = factors[row + 1];
        FloatVector.fromArray(SPECIES, o, o1).mul(f).add(s10).intoArray(o, o1);
        FloatVector.fromArray(SPECIES, o, o1 + LENGTH).mul(f).add(s11).intoArray(o, o1 + LENGTH);
        FloatVector.fromArray(SPECIES, o, o1 + 2 * LENGTH).mul(f).add(s12).intoArray(o, o1 + 2 * LENGTH);
        FloatVector.fromArray(SPECIES, o, o1 + 3 * LENGTH).mul(f).add(s13).intoArray(o, o1 + 3 * LENGTH);
        f = factors[row + 2];
        FloatVector.fromArray(SPECIES, o, o2).mul(f).add(s20).intoArray(o, o2);
        FloatVector.fromArray(SPECIES, o, o2 + LENGTH).mul(f).add(s21).intoArray(o, o2 + LENGTH);
        FloatVector.fromArray(SPECIES, o, o2 + 2 * LENGTH).mul(f).add(s22).intoArray(o, o2 + 2 * LENGTH);
        FloatVector.fromArray(SPECIES, o, o2 + 3 * LENGTH).mul(f).add(s23).intoArray(o, o2 + 3 * LENGTH);
        f = factors[row + 3];
        FloatVector.fromArray(SPECIES, o, o3).mul(f).add(s30).intoArray(o, o3);
        FloatVector.fromArray(SPECIES, o, o3 + LENGTH).mul(f).add(s31).intoArray(o, o3 + LENGTH);
        FloatVector.fromArray(SPECIES, o, o3 + 2 * LENGTH).mul(f).add(s32).intoArray(o, o3 + 2 * LENGTH);
        FloatVector.fromArray(SPECIES, o, o3 + 3 * LENGTH).mul(f).add(s33).intoArray(o, o3 + 3 * LENGTH);
        special.intoArray(specials, 0);
    }
}
