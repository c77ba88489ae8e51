package org.tornadoattention.vector;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;
import org.tornadoattention.tensor.DType;

/** {@link Lanes} on {@code jdk.incubator.vector}, as wide as the JVM prefers. */
final class VectorLanes implements Lanes {

    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    private static final VectorSpecies<Short> SHORTS =
            VectorSpecies.of(short.class, VectorShape.forBitSize(SPECIES.vectorBitSize() / 2));
    private static final VectorSpecies<Integer> INTS = VectorSpecies.of(int.class, SPECIES.vectorShape());
    private static final int LENGTH = SPECIES.length();

    /** Bring lane {@code i + n} to lane {@code i}. */
    private static final VectorShuffle<Float> DOWN_1 = VectorShuffle.iota(SPECIES, 1, 1, true);

    private static final VectorShuffle<Float> DOWN_2 = VectorShuffle.iota(SPECIES, 2, 1, true);
    private static final VectorShuffle<Float> DOWN_4 = VectorShuffle.iota(SPECIES, 4, 1, true);
    private static final VectorShuffle<Float> DOWN_8 = VectorShuffle.iota(SPECIES, 8, 1, true);

    /** Bytes of the shortest vector. */
    private static final int LEAST_BYTES = 8;

    private static final VectorSpecies<Byte> BYTES =
            VectorSpecies.of(byte.class, VectorShape.forBitSize(Math.max(LEAST_BYTES, LENGTH) * Byte.SIZE));
    private static final int BITS_OF_512 = 16;

    private static final int LEAST_GATHERED = 8;

    private static final float LEAST_EXPONENT = -127f;
    /** A number that leaves no fraction when it is added, and puts a rounded one with F32's bias into the lowest bits. */
    private static final float ROUNDER = 0x1.8p23f + 127;

    private static final int SIGNIFICAND_BITS = 23;

    /** For what is rare; its powers are the same to the last bit. */
    private static final ScalarLanes PLAIN = new ScalarLanes();

    /** What is taken from the scores of each lane of a panel. */
    private final float[] bases = new float[4 * LENGTH];

    /** Where the rows begin whose elements become lanes. */
    private final int[] places = new int[LENGTH];

    @Override
    public Lanes another() {
        return new VectorLanes();
    }

    @Override
    public int length() {
        return LENGTH;
    }

    /** Four by four sums fit into 32 registers, four by two into 16. */
    @Override
    public int widest() {
        return LENGTH == BITS_OF_512 ? 4 : 2;
    }

    @Override
    public String description() {
        return SPECIES.vectorBitSize() + "-bit vectors";
    }

    /** {@code 2^x} for x up to 127, and 0 from −127 down; at most 2 units in the last place off. */
    private static FloatVector exp2(FloatVector x) {
        FloatVector t = x.blend(LEAST_EXPONENT, x.lt(LEAST_EXPONENT));
        FloatVector rounded = t.add(ROUNDER);
        FloatVector f = t.sub(rounded.sub(ROUNDER));
        FloatVector p = fma(f, broadcast(Exp2.C6), broadcast(Exp2.C5));
        p = fma(p, f, broadcast(Exp2.C4));
        p = fma(p, f, broadcast(Exp2.C3));
        p = fma(p, f, broadcast(Exp2.C2));
        p = fma(p, f, broadcast(Exp2.C1));
        p = fma(p, f, broadcast(1));
        return p.mul(rounded.reinterpretAsInts()
                .lanewise(VectorOperators.LSHL, SIGNIFICAND_BITS)
                .reinterpretAsFloats());
    }

    /** {@code tanh x}. */
    private static FloatVector tanh(FloatVector x) {
        FloatVector z = x.mul(x);
        FloatVector p = fma(z, broadcast(Exp2.T4), broadcast(Exp2.T3));
        p = fma(p, z, broadcast(Exp2.T2));
        p = fma(p, z, broadcast(Exp2.T1));
        p = fma(p, z, broadcast(Exp2.T0));
        FloatVector small = fma(p.mul(z), x, x);
        FloatVector size = x.abs();
        FloatVector u = exp2(size.mul(Exp2.TWICE_DOWN));
        FloatVector large = broadcast(1).sub(u).div(u.add(1));
        return large.blend(large.neg(), x.lt(0)).blend(small, size.lt(Exp2.TANH_SMALL));
    }

    private static FloatVector broadcast(float value) {
        return FloatVector.broadcast(SPECIES, value);
    }

    private static FloatVector fma(FloatVector x, FloatVector y, FloatVector z) {
        return Fused.FAST ? x.fma(y, z) : x.mul(y).add(z);
    }

    private static FloatVector load(float[] array, int at) {
        return FloatVector.fromArray(SPECIES, array, at);
    }

    @Override
    public void product(
            float[] a,
            int aAt,
            int aRow,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int cAt,
            int cRow,
            int rows,
            int columns,
            int depth,
            float[] factors,
            int factorsAt) {
        for (int column = 0; column < columns; ) {
            int left = (columns - column) / LENGTH;
            int vectors = left >= widest() ? widest() : left >= 2 ? 2 : 1;
            int at = bAt + column;
            int to = cAt + column;
            int row = 0;
            // What is left behind a multiple of twelve is one or two times four rows.
            for (; vectors > 1 && row < rows / 12 * 12; row += 6) {
                int from = aAt + row * aRow;
                int next = to + row * cRow;
                int factor = factorsAt + row;
                if (aStep == 1 && vectors == 4) {
                    alongSixByFour(a, from, aRow, b, at, bRow, c, next, cRow, depth, factors, factor);
                } else if (aStep == 1) {
                    alongSixByTwo(a, from, aRow, b, at, bRow, c, next, cRow, depth, factors, factor);
                } else if (vectors == 4) {
                    acrossSixByFour(a, from, aStep, b, at, bRow, c, next, cRow, depth, factors, factor);
                } else {
                    acrossSixByTwo(a, from, aStep, b, at, bRow, c, next, cRow, depth, factors, factor);
                }
            }
            for (; row < rows; row += ROWS) {
                for (int done = 0; done < vectors; done += 2) {
                    int from = aAt + row * aRow;
                    int next = to + row * cRow + done * LENGTH;
                    int factor = factorsAt + row;
                    four(
                            Math.min(2, vectors - done),
                            a,
                            from,
                            aRow,
                            aStep,
                            b,
                            at + done * LENGTH,
                            bRow,
                            c,
                            next,
                            cRow,
                            depth,
                            factors,
                            factor);
                }
            }
            column += vectors * LENGTH;
        }
    }

    /** Four rows by one vector or two. */
    private static void four(
            int vectors,
            float[] a,
            int aAt,
            int aRow,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int cAt,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        if (aStep == 1 && vectors == 2) {
            alongFourByTwo(a, aAt, aRow, b, bAt, bRow, c, cAt, cRow, depth, factors, factorsAt);
        } else if (aStep == 1) {
            alongFourByOne(a, aAt, aRow, b, bAt, bRow, c, cAt, cRow, depth, factors, factorsAt);
        } else if (vectors == 2) {
            acrossFourByTwo(a, aAt, aStep, b, bAt, bRow, c, cAt, cRow, depth, factors, factorsAt);
        } else {
            acrossFourByOne(a, aAt, aStep, b, bAt, bRow, c, cAt, cRow, depth, factors, factorsAt);
        }
    }

    /** Six rows that run along the sum by four vectors. */
    private static void alongSixByFour(
            float[] a,
            int a0,
            int aRow,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        FloatVector s20 = zero, s21 = zero, s22 = zero, s23 = zero;
        FloatVector s30 = zero, s31 = zero, s32 = zero, s33 = zero;
        FloatVector s40 = zero, s41 = zero, s42 = zero, s43 = zero;
        FloatVector s50 = zero, s51 = zero, s52 = zero, s53 = zero;
        int a1 = a0 + aRow;
        int a2 = a1 + aRow;
        int a3 = a2 + aRow;
        int a4 = a3 + aRow;
        int a5 = a4 + aRow;
        int from = bAt;
        for (int k = 0; k < depth; k++) {
            FloatVector b0 = load(b, from);
            FloatVector b1 = load(b, from + LENGTH);
            FloatVector b2 = load(b, from + 2 * LENGTH);
            FloatVector b3 = load(b, from + 3 * LENGTH);
            FloatVector x = broadcast(a[a0 + k]);
            s00 = fma(x, b0, s00);
            s01 = fma(x, b1, s01);
            s02 = fma(x, b2, s02);
            s03 = fma(x, b3, s03);
            x = broadcast(a[a1 + k]);
            s10 = fma(x, b0, s10);
            s11 = fma(x, b1, s11);
            s12 = fma(x, b2, s12);
            s13 = fma(x, b3, s13);
            x = broadcast(a[a2 + k]);
            s20 = fma(x, b0, s20);
            s21 = fma(x, b1, s21);
            s22 = fma(x, b2, s22);
            s23 = fma(x, b3, s23);
            x = broadcast(a[a3 + k]);
            s30 = fma(x, b0, s30);
            s31 = fma(x, b1, s31);
            s32 = fma(x, b2, s32);
            s33 = fma(x, b3, s33);
            x = broadcast(a[a4 + k]);
            s40 = fma(x, b0, s40);
            s41 = fma(x, b1, s41);
            s42 = fma(x, b2, s42);
            s43 = fma(x, b3, s43);
            x = broadcast(a[a5 + k]);
            s50 = fma(x, b0, s50);
            s51 = fma(x, b1, s51);
            s52 = fma(x, b2, s52);
            s53 = fma(x, b3, s53);
            from += bRow;
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        int c4 = c3 + cRow;
        int c5 = c4 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            s01 = FloatVector.fromArray(SPECIES, c, c0 + LENGTH).mul(f).add(s01);
            s02 = FloatVector.fromArray(SPECIES, c, c0 + 2 * LENGTH).mul(f).add(s02);
            s03 = FloatVector.fromArray(SPECIES, c, c0 + 3 * LENGTH).mul(f).add(s03);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            s11 = FloatVector.fromArray(SPECIES, c, c1 + LENGTH).mul(f).add(s11);
            s12 = FloatVector.fromArray(SPECIES, c, c1 + 2 * LENGTH).mul(f).add(s12);
            s13 = FloatVector.fromArray(SPECIES, c, c1 + 3 * LENGTH).mul(f).add(s13);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            s21 = FloatVector.fromArray(SPECIES, c, c2 + LENGTH).mul(f).add(s21);
            s22 = FloatVector.fromArray(SPECIES, c, c2 + 2 * LENGTH).mul(f).add(s22);
            s23 = FloatVector.fromArray(SPECIES, c, c2 + 3 * LENGTH).mul(f).add(s23);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
            s31 = FloatVector.fromArray(SPECIES, c, c3 + LENGTH).mul(f).add(s31);
            s32 = FloatVector.fromArray(SPECIES, c, c3 + 2 * LENGTH).mul(f).add(s32);
            s33 = FloatVector.fromArray(SPECIES, c, c3 + 3 * LENGTH).mul(f).add(s33);
            f = factors[factorsAt + 4];
            s40 = FloatVector.fromArray(SPECIES, c, c4).mul(f).add(s40);
            s41 = FloatVector.fromArray(SPECIES, c, c4 + LENGTH).mul(f).add(s41);
            s42 = FloatVector.fromArray(SPECIES, c, c4 + 2 * LENGTH).mul(f).add(s42);
            s43 = FloatVector.fromArray(SPECIES, c, c4 + 3 * LENGTH).mul(f).add(s43);
            f = factors[factorsAt + 5];
            s50 = FloatVector.fromArray(SPECIES, c, c5).mul(f).add(s50);
            s51 = FloatVector.fromArray(SPECIES, c, c5 + LENGTH).mul(f).add(s51);
            s52 = FloatVector.fromArray(SPECIES, c, c5 + 2 * LENGTH).mul(f).add(s52);
            s53 = FloatVector.fromArray(SPECIES, c, c5 + 3 * LENGTH).mul(f).add(s53);
        }
        s00.intoArray(c, c0);
        s01.intoArray(c, c0 + LENGTH);
        s02.intoArray(c, c0 + 2 * LENGTH);
        s03.intoArray(c, c0 + 3 * LENGTH);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LENGTH);
        s12.intoArray(c, c1 + 2 * LENGTH);
        s13.intoArray(c, c1 + 3 * LENGTH);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LENGTH);
        s22.intoArray(c, c2 + 2 * LENGTH);
        s23.intoArray(c, c2 + 3 * LENGTH);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LENGTH);
        s32.intoArray(c, c3 + 2 * LENGTH);
        s33.intoArray(c, c3 + 3 * LENGTH);
        s40.intoArray(c, c4);
        s41.intoArray(c, c4 + LENGTH);
        s42.intoArray(c, c4 + 2 * LENGTH);
        s43.intoArray(c, c4 + 3 * LENGTH);
        s50.intoArray(c, c5);
        s51.intoArray(c, c5 + LENGTH);
        s52.intoArray(c, c5 + 2 * LENGTH);
        s53.intoArray(c, c5 + 3 * LENGTH);
    }

    /** Six rows that run along the sum by two vectors. */
    private static void alongSixByTwo(
            float[] a,
            int a0,
            int aRow,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero;
        FloatVector s10 = zero, s11 = zero;
        FloatVector s20 = zero, s21 = zero;
        FloatVector s30 = zero, s31 = zero;
        FloatVector s40 = zero, s41 = zero;
        FloatVector s50 = zero, s51 = zero;
        int a1 = a0 + aRow;
        int a2 = a1 + aRow;
        int a3 = a2 + aRow;
        int a4 = a3 + aRow;
        int a5 = a4 + aRow;
        int from = bAt;
        for (int k = 0; k < depth; k++) {
            FloatVector b0 = load(b, from);
            FloatVector b1 = load(b, from + LENGTH);
            FloatVector x = broadcast(a[a0 + k]);
            s00 = fma(x, b0, s00);
            s01 = fma(x, b1, s01);
            x = broadcast(a[a1 + k]);
            s10 = fma(x, b0, s10);
            s11 = fma(x, b1, s11);
            x = broadcast(a[a2 + k]);
            s20 = fma(x, b0, s20);
            s21 = fma(x, b1, s21);
            x = broadcast(a[a3 + k]);
            s30 = fma(x, b0, s30);
            s31 = fma(x, b1, s31);
            x = broadcast(a[a4 + k]);
            s40 = fma(x, b0, s40);
            s41 = fma(x, b1, s41);
            x = broadcast(a[a5 + k]);
            s50 = fma(x, b0, s50);
            s51 = fma(x, b1, s51);
            from += bRow;
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        int c4 = c3 + cRow;
        int c5 = c4 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            s01 = FloatVector.fromArray(SPECIES, c, c0 + LENGTH).mul(f).add(s01);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            s11 = FloatVector.fromArray(SPECIES, c, c1 + LENGTH).mul(f).add(s11);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            s21 = FloatVector.fromArray(SPECIES, c, c2 + LENGTH).mul(f).add(s21);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
            s31 = FloatVector.fromArray(SPECIES, c, c3 + LENGTH).mul(f).add(s31);
            f = factors[factorsAt + 4];
            s40 = FloatVector.fromArray(SPECIES, c, c4).mul(f).add(s40);
            s41 = FloatVector.fromArray(SPECIES, c, c4 + LENGTH).mul(f).add(s41);
            f = factors[factorsAt + 5];
            s50 = FloatVector.fromArray(SPECIES, c, c5).mul(f).add(s50);
            s51 = FloatVector.fromArray(SPECIES, c, c5 + LENGTH).mul(f).add(s51);
        }
        s00.intoArray(c, c0);
        s01.intoArray(c, c0 + LENGTH);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LENGTH);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LENGTH);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LENGTH);
        s40.intoArray(c, c4);
        s41.intoArray(c, c4 + LENGTH);
        s50.intoArray(c, c5);
        s51.intoArray(c, c5 + LENGTH);
    }

    /** Four rows that run along the sum by two vectors. */
    private static void alongFourByTwo(
            float[] a,
            int a0,
            int aRow,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero;
        FloatVector s10 = zero, s11 = zero;
        FloatVector s20 = zero, s21 = zero;
        FloatVector s30 = zero, s31 = zero;
        int a1 = a0 + aRow;
        int a2 = a1 + aRow;
        int a3 = a2 + aRow;
        int from = bAt;
        for (int k = 0; k < depth; k++) {
            FloatVector b0 = load(b, from);
            FloatVector b1 = load(b, from + LENGTH);
            FloatVector x = broadcast(a[a0 + k]);
            s00 = fma(x, b0, s00);
            s01 = fma(x, b1, s01);
            x = broadcast(a[a1 + k]);
            s10 = fma(x, b0, s10);
            s11 = fma(x, b1, s11);
            x = broadcast(a[a2 + k]);
            s20 = fma(x, b0, s20);
            s21 = fma(x, b1, s21);
            x = broadcast(a[a3 + k]);
            s30 = fma(x, b0, s30);
            s31 = fma(x, b1, s31);
            from += bRow;
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            s01 = FloatVector.fromArray(SPECIES, c, c0 + LENGTH).mul(f).add(s01);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            s11 = FloatVector.fromArray(SPECIES, c, c1 + LENGTH).mul(f).add(s11);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            s21 = FloatVector.fromArray(SPECIES, c, c2 + LENGTH).mul(f).add(s21);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
            s31 = FloatVector.fromArray(SPECIES, c, c3 + LENGTH).mul(f).add(s31);
        }
        s00.intoArray(c, c0);
        s01.intoArray(c, c0 + LENGTH);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LENGTH);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LENGTH);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LENGTH);
    }

    /** Four rows that run along the sum by one vector. */
    private static void alongFourByOne(
            float[] a,
            int a0,
            int aRow,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero;
        FloatVector s10 = zero;
        FloatVector s20 = zero;
        FloatVector s30 = zero;
        int a1 = a0 + aRow;
        int a2 = a1 + aRow;
        int a3 = a2 + aRow;
        int from = bAt;
        for (int k = 0; k < depth; k++) {
            FloatVector b0 = load(b, from);
            FloatVector x = broadcast(a[a0 + k]);
            s00 = fma(x, b0, s00);
            x = broadcast(a[a1 + k]);
            s10 = fma(x, b0, s10);
            x = broadcast(a[a2 + k]);
            s20 = fma(x, b0, s20);
            x = broadcast(a[a3 + k]);
            s30 = fma(x, b0, s30);
            from += bRow;
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
        }
        s00.intoArray(c, c0);
        s10.intoArray(c, c1);
        s20.intoArray(c, c2);
        s30.intoArray(c, c3);
    }

    /** Six rows side by side by four vectors. */
    private static void acrossSixByFour(
            float[] a,
            int a0,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        FloatVector s20 = zero, s21 = zero, s22 = zero, s23 = zero;
        FloatVector s30 = zero, s31 = zero, s32 = zero, s33 = zero;
        FloatVector s40 = zero, s41 = zero, s42 = zero, s43 = zero;
        FloatVector s50 = zero, s51 = zero, s52 = zero, s53 = zero;
        int at = a0;
        int from = bAt;
        for (int k = 0; k < depth; k++) {
            FloatVector b0 = load(b, from);
            FloatVector b1 = load(b, from + LENGTH);
            FloatVector b2 = load(b, from + 2 * LENGTH);
            FloatVector b3 = load(b, from + 3 * LENGTH);
            FloatVector x = broadcast(a[at]);
            s00 = fma(x, b0, s00);
            s01 = fma(x, b1, s01);
            s02 = fma(x, b2, s02);
            s03 = fma(x, b3, s03);
            x = broadcast(a[at + 1]);
            s10 = fma(x, b0, s10);
            s11 = fma(x, b1, s11);
            s12 = fma(x, b2, s12);
            s13 = fma(x, b3, s13);
            x = broadcast(a[at + 2]);
            s20 = fma(x, b0, s20);
            s21 = fma(x, b1, s21);
            s22 = fma(x, b2, s22);
            s23 = fma(x, b3, s23);
            x = broadcast(a[at + 3]);
            s30 = fma(x, b0, s30);
            s31 = fma(x, b1, s31);
            s32 = fma(x, b2, s32);
            s33 = fma(x, b3, s33);
            x = broadcast(a[at + 4]);
            s40 = fma(x, b0, s40);
            s41 = fma(x, b1, s41);
            s42 = fma(x, b2, s42);
            s43 = fma(x, b3, s43);
            x = broadcast(a[at + 5]);
            s50 = fma(x, b0, s50);
            s51 = fma(x, b1, s51);
            s52 = fma(x, b2, s52);
            s53 = fma(x, b3, s53);
            at += aStep;
            from += bRow;
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        int c4 = c3 + cRow;
        int c5 = c4 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            s01 = FloatVector.fromArray(SPECIES, c, c0 + LENGTH).mul(f).add(s01);
            s02 = FloatVector.fromArray(SPECIES, c, c0 + 2 * LENGTH).mul(f).add(s02);
            s03 = FloatVector.fromArray(SPECIES, c, c0 + 3 * LENGTH).mul(f).add(s03);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            s11 = FloatVector.fromArray(SPECIES, c, c1 + LENGTH).mul(f).add(s11);
            s12 = FloatVector.fromArray(SPECIES, c, c1 + 2 * LENGTH).mul(f).add(s12);
            s13 = FloatVector.fromArray(SPECIES, c, c1 + 3 * LENGTH).mul(f).add(s13);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            s21 = FloatVector.fromArray(SPECIES, c, c2 + LENGTH).mul(f).add(s21);
            s22 = FloatVector.fromArray(SPECIES, c, c2 + 2 * LENGTH).mul(f).add(s22);
            s23 = FloatVector.fromArray(SPECIES, c, c2 + 3 * LENGTH).mul(f).add(s23);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
            s31 = FloatVector.fromArray(SPECIES, c, c3 + LENGTH).mul(f).add(s31);
            s32 = FloatVector.fromArray(SPECIES, c, c3 + 2 * LENGTH).mul(f).add(s32);
            s33 = FloatVector.fromArray(SPECIES, c, c3 + 3 * LENGTH).mul(f).add(s33);
            f = factors[factorsAt + 4];
            s40 = FloatVector.fromArray(SPECIES, c, c4).mul(f).add(s40);
            s41 = FloatVector.fromArray(SPECIES, c, c4 + LENGTH).mul(f).add(s41);
            s42 = FloatVector.fromArray(SPECIES, c, c4 + 2 * LENGTH).mul(f).add(s42);
            s43 = FloatVector.fromArray(SPECIES, c, c4 + 3 * LENGTH).mul(f).add(s43);
            f = factors[factorsAt + 5];
            s50 = FloatVector.fromArray(SPECIES, c, c5).mul(f).add(s50);
            s51 = FloatVector.fromArray(SPECIES, c, c5 + LENGTH).mul(f).add(s51);
            s52 = FloatVector.fromArray(SPECIES, c, c5 + 2 * LENGTH).mul(f).add(s52);
            s53 = FloatVector.fromArray(SPECIES, c, c5 + 3 * LENGTH).mul(f).add(s53);
        }
        s00.intoArray(c, c0);
        s01.intoArray(c, c0 + LENGTH);
        s02.intoArray(c, c0 + 2 * LENGTH);
        s03.intoArray(c, c0 + 3 * LENGTH);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LENGTH);
        s12.intoArray(c, c1 + 2 * LENGTH);
        s13.intoArray(c, c1 + 3 * LENGTH);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LENGTH);
        s22.intoArray(c, c2 + 2 * LENGTH);
        s23.intoArray(c, c2 + 3 * LENGTH);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LENGTH);
        s32.intoArray(c, c3 + 2 * LENGTH);
        s33.intoArray(c, c3 + 3 * LENGTH);
        s40.intoArray(c, c4);
        s41.intoArray(c, c4 + LENGTH);
        s42.intoArray(c, c4 + 2 * LENGTH);
        s43.intoArray(c, c4 + 3 * LENGTH);
        s50.intoArray(c, c5);
        s51.intoArray(c, c5 + LENGTH);
        s52.intoArray(c, c5 + 2 * LENGTH);
        s53.intoArray(c, c5 + 3 * LENGTH);
    }

    /** Six rows side by side by two vectors. */
    private static void acrossSixByTwo(
            float[] a,
            int a0,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero;
        FloatVector s10 = zero, s11 = zero;
        FloatVector s20 = zero, s21 = zero;
        FloatVector s30 = zero, s31 = zero;
        FloatVector s40 = zero, s41 = zero;
        FloatVector s50 = zero, s51 = zero;
        int at = a0;
        int from = bAt;
        for (int k = 0; k < depth; k++) {
            FloatVector b0 = load(b, from);
            FloatVector b1 = load(b, from + LENGTH);
            FloatVector x = broadcast(a[at]);
            s00 = fma(x, b0, s00);
            s01 = fma(x, b1, s01);
            x = broadcast(a[at + 1]);
            s10 = fma(x, b0, s10);
            s11 = fma(x, b1, s11);
            x = broadcast(a[at + 2]);
            s20 = fma(x, b0, s20);
            s21 = fma(x, b1, s21);
            x = broadcast(a[at + 3]);
            s30 = fma(x, b0, s30);
            s31 = fma(x, b1, s31);
            x = broadcast(a[at + 4]);
            s40 = fma(x, b0, s40);
            s41 = fma(x, b1, s41);
            x = broadcast(a[at + 5]);
            s50 = fma(x, b0, s50);
            s51 = fma(x, b1, s51);
            at += aStep;
            from += bRow;
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        int c4 = c3 + cRow;
        int c5 = c4 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            s01 = FloatVector.fromArray(SPECIES, c, c0 + LENGTH).mul(f).add(s01);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            s11 = FloatVector.fromArray(SPECIES, c, c1 + LENGTH).mul(f).add(s11);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            s21 = FloatVector.fromArray(SPECIES, c, c2 + LENGTH).mul(f).add(s21);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
            s31 = FloatVector.fromArray(SPECIES, c, c3 + LENGTH).mul(f).add(s31);
            f = factors[factorsAt + 4];
            s40 = FloatVector.fromArray(SPECIES, c, c4).mul(f).add(s40);
            s41 = FloatVector.fromArray(SPECIES, c, c4 + LENGTH).mul(f).add(s41);
            f = factors[factorsAt + 5];
            s50 = FloatVector.fromArray(SPECIES, c, c5).mul(f).add(s50);
            s51 = FloatVector.fromArray(SPECIES, c, c5 + LENGTH).mul(f).add(s51);
        }
        s00.intoArray(c, c0);
        s01.intoArray(c, c0 + LENGTH);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LENGTH);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LENGTH);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LENGTH);
        s40.intoArray(c, c4);
        s41.intoArray(c, c4 + LENGTH);
        s50.intoArray(c, c5);
        s51.intoArray(c, c5 + LENGTH);
    }

    /** Four rows side by side by two vectors. */
    private static void acrossFourByTwo(
            float[] a,
            int a0,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero;
        FloatVector s10 = zero, s11 = zero;
        FloatVector s20 = zero, s21 = zero;
        FloatVector s30 = zero, s31 = zero;
        int at = a0;
        int from = bAt;
        for (int k = 0; k < depth; k++) {
            FloatVector b0 = load(b, from);
            FloatVector b1 = load(b, from + LENGTH);
            FloatVector x = broadcast(a[at]);
            s00 = fma(x, b0, s00);
            s01 = fma(x, b1, s01);
            x = broadcast(a[at + 1]);
            s10 = fma(x, b0, s10);
            s11 = fma(x, b1, s11);
            x = broadcast(a[at + 2]);
            s20 = fma(x, b0, s20);
            s21 = fma(x, b1, s21);
            x = broadcast(a[at + 3]);
            s30 = fma(x, b0, s30);
            s31 = fma(x, b1, s31);
            at += aStep;
            from += bRow;
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            s01 = FloatVector.fromArray(SPECIES, c, c0 + LENGTH).mul(f).add(s01);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            s11 = FloatVector.fromArray(SPECIES, c, c1 + LENGTH).mul(f).add(s11);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            s21 = FloatVector.fromArray(SPECIES, c, c2 + LENGTH).mul(f).add(s21);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
            s31 = FloatVector.fromArray(SPECIES, c, c3 + LENGTH).mul(f).add(s31);
        }
        s00.intoArray(c, c0);
        s01.intoArray(c, c0 + LENGTH);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LENGTH);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LENGTH);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LENGTH);
    }

    /** Four rows side by side by one vector. */
    private static void acrossFourByOne(
            float[] a,
            int a0,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero;
        FloatVector s10 = zero;
        FloatVector s20 = zero;
        FloatVector s30 = zero;
        int at = a0;
        int from = bAt;
        for (int k = 0; k < depth; k++) {
            FloatVector b0 = load(b, from);
            FloatVector x = broadcast(a[at]);
            s00 = fma(x, b0, s00);
            x = broadcast(a[at + 1]);
            s10 = fma(x, b0, s10);
            x = broadcast(a[at + 2]);
            s20 = fma(x, b0, s20);
            x = broadcast(a[at + 3]);
            s30 = fma(x, b0, s30);
            at += aStep;
            from += bRow;
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
        }
        s00.intoArray(c, c0);
        s10.intoArray(c, c1);
        s20.intoArray(c, c2);
        s30.intoArray(c, c3);
    }

    @Override
    public void dots(float[] k, float[] q, int stride, float[] s, int width, int keys, int rows) {
        for (int row = 0; row < rows; row += ROWS) {
            for (int key = 0; key < keys; key += 2) {
                dots(k, key * stride, q, row * stride, stride, s, key * width + row, width);
            }
        }
    }

    /** Two keys by four rows. */
    private static void dots(float[] k, int kAt, float[] q, int qAt, int stride, float[] s, int at, int width) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        int q1 = qAt + stride;
        int q2 = q1 + stride;
        int q3 = q2 + stride;
        for (int i = 0; i < stride; i += LENGTH) {
            FloatVector k0 = load(k, kAt + i);
            FloatVector k1 = load(k, kAt + stride + i);
            FloatVector x = load(q, qAt + i);
            s00 = fma(k0, x, s00);
            s10 = fma(k1, x, s10);
            x = load(q, q1 + i);
            s01 = fma(k0, x, s01);
            s11 = fma(k1, x, s11);
            x = load(q, q2 + i);
            s02 = fma(k0, x, s02);
            s12 = fma(k1, x, s12);
            x = load(q, q3 + i);
            s03 = fma(k0, x, s03);
            s13 = fma(k1, x, s13);
        }
        s[at] = sum(s00);
        s[at + 1] = sum(s01);
        s[at + 2] = sum(s02);
        s[at + 3] = sum(s03);
        s[at + width] = sum(s10);
        s[at + width + 1] = sum(s11);
        s[at + width + 2] = sum(s12);
        s[at + width + 3] = sum(s13);
    }

    /** In one order always, which {@code reduceLanes} does not promise. */
    private static float sum(FloatVector x) {
        FloatVector sum = x;
        if (LENGTH > 8) {
            sum = sum.add(sum.rearrange(DOWN_8));
        }
        if (LENGTH > 4) {
            sum = sum.add(sum.rearrange(DOWN_4));
        }
        sum = sum.add(sum.rearrange(DOWN_2));
        return sum.add(sum.rearrange(DOWN_1)).lane(0);
    }

    @Override
    public void turn(float[] rows, int stride, int count, float[] target, int at, int width, int dims, float factor) {
        // Shorter vectors have no instruction for it everywhere.
        int whole = LENGTH < LEAST_GATHERED ? 0 : count - count % LENGTH;
        for (int row = 0; row < whole; row += LENGTH) {
            for (int lane = 0; lane < LENGTH; lane++) {
                places[lane] = (row + lane) * stride;
            }
            for (int dim = 0; dim < dims; dim++) {
                FloatVector.fromArray(SPECIES, rows, dim, places, 0)
                        .mul(factor)
                        .intoArray(target, at + dim * width + row);
            }
        }
        PLAIN.turn(rows, stride, whole, count, target, at, width, dims, factor);
    }

    @Override
    public void softcap(float[] s, int count, float bound) {
        for (int at = 0; at < count; at += LENGTH) {
            tanh(load(s, at)).mul(bound).intoArray(s, at);
        }
    }

    @Override
    public void alibi(float[] s, int keys, int width, float[] slopes, float[] positions, int at) {
        for (int lane = 0; lane < width; lane += LENGTH) {
            FloatVector slope = load(slopes, at + lane).neg();
            FloatVector position = load(positions, at + lane);
            for (int key = 0; key < keys; key++) {
                int i = key * width + lane;
                fma(position.sub(key).abs(), slope, load(s, i)).intoArray(s, i);
            }
        }
    }

    @Override
    public void mask(float[] s, int keys, int width, float[] from, float[] to, int at) {
        FloatVector unseen = broadcast(Float.NEGATIVE_INFINITY);
        for (int lane = 0; lane < width; lane += LENGTH) {
            FloatVector first = load(from, at + lane);
            FloatVector end = load(to, at + lane);
            for (int key = 0; key < keys; key++) {
                int i = key * width + lane;
                FloatVector index = broadcast(key);
                VectorMask<Float> hidden = index.lt(first).or(index.compare(VectorOperators.GE, end));
                load(s, i).blend(unseen, hidden).intoArray(s, i);
            }
        }
    }

    @Override
    public void softmax(float[] s, int keys, int width, float[] max, float[] sum, float[] factors, int at) {
        raise(s, keys, width, max, factors, at, bases);
        powers(factors, at, 1, width, bases, null, factors, at);
        powers(s, 0, keys, width, bases, sum, factors, at);
    }

    /**
     * Raises maxima to the scores of their lanes, by four chains side by side.
     *
     * @param before gets the maxima as they were
     * @param bases gets the maxima, or 0 for lanes that saw no key yet: −∞ − (−∞) is to be 0
     */
    private static void raise(float[] s, int keys, int width, float[] max, float[] before, int at, float[] bases) {
        for (int lane = 0; lane < width; lane += LENGTH) {
            FloatVector m0 = FloatVector.fromArray(SPECIES, max, at + lane);
            m0.intoArray(before, at + lane);
            FloatVector m1 = m0;
            FloatVector m2 = m0;
            FloatVector m3 = m0;
            int key = 0;
            int i = lane;
            for (; key <= keys - 4; key += 4) {
                FloatVector s0 = FloatVector.fromArray(SPECIES, s, i);
                FloatVector s1 = FloatVector.fromArray(SPECIES, s, i + width);
                FloatVector s2 = FloatVector.fromArray(SPECIES, s, i + 2 * width);
                FloatVector s3 = FloatVector.fromArray(SPECIES, s, i + 3 * width);
                m0 = m0.blend(s0, m0.lt(s0));
                m1 = m1.blend(s1, m1.lt(s1));
                m2 = m2.blend(s2, m2.lt(s2));
                m3 = m3.blend(s3, m3.lt(s3));
                i += 4 * width;
            }
            for (; key < keys; key++) {
                FloatVector score = FloatVector.fromArray(SPECIES, s, i);
                m0 = m0.blend(score, m0.lt(score));
                i += width;
            }
            m0 = m0.blend(m1, m0.lt(m1));
            m2 = m2.blend(m3, m2.lt(m3));
            m0 = m0.blend(m2, m0.lt(m2));
            m0.intoArray(max, at + lane);
            m0.blend(0f, m0.eq(Float.NEGATIVE_INFINITY)).intoArray(bases, lane);
        }
    }

    /**
     * {@code x = 2^(x - base)} in all lanes of all keys.
     *
     * @param sums become {@code factor · sum + Σ x}, or null
     */
    private static void powers(
            float[] x, int from, int keys, int width, float[] bases, float[] sums, float[] factors, int at) {
        for (int lane = 0; lane < width; lane += LENGTH) {
            FloatVector base = FloatVector.fromArray(SPECIES, bases, lane);
            FloatVector sum = FloatVector.zero(SPECIES);
            int i = from + lane;
            for (int key = 0; key < keys; key++) {
                // Called once: the JIT's limit of nodes has room for little more.
                FloatVector p = exp2(FloatVector.fromArray(SPECIES, x, i).sub(base));
                p.intoArray(x, i);
                sum = sum.add(p);
                i += width;
            }
            if (sums != null) {
                FloatVector.fromArray(SPECIES, sums, at + lane)
                        .mul(FloatVector.fromArray(SPECIES, factors, at + lane))
                        .add(sum)
                        .intoArray(sums, at + lane);
            }
        }
    }

    @Override
    public void probabilities(float[] s, int keys, int width, float[] logSumExp, int at) {
        for (int lane = 0; lane < width; lane += LENGTH) {
            FloatVector base = FloatVector.fromArray(SPECIES, logSumExp, at + lane);
            if (base.compare(VectorOperators.NE, base).anyTrue()) {
                // Of a row that is no number: what it does not see is 0 all the same.
                PLAIN.probabilities(s, keys, width, logSumExp, at);
                return;
            }
            // Where nothing is seen both are −∞, and the probability is 0.
            base.blend(0f, base.eq(Float.NEGATIVE_INFINITY)).intoArray(bases, lane);
        }
        powers(s, 0, keys, width, bases, null, bases, 0);
    }

    @Override
    public void scoreGradients(float[] p, float[] dP, int keys, int width, float[] terms, int at) {
        for (int lane = 0; lane < width; lane += LENGTH) {
            FloatVector term = load(terms, at + lane);
            for (int key = 0; key < keys; key++) {
                int i = key * width + lane;
                FloatVector probability = load(p, i);
                // Of a hidden pair dP may be anything.
                load(dP, i)
                        .sub(term)
                        .mul(probability)
                        .blend(0f, probability.eq(0f))
                        .intoArray(dP, i);
            }
        }
    }

    @Override
    public void softcapGradients(float[] dS, float[] s, int count, float bound) {
        float inverse = 1 / bound;
        for (int at = 0; at < count; at += LENGTH) {
            FloatVector ratio = load(s, at).mul(inverse);
            load(dS, at).mul(broadcast(1).sub(ratio.mul(ratio))).intoArray(dS, at);
        }
    }

    /** A sum of the numbers times 0. */
    @Override
    public boolean areFinite(float[] values, int count) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector even = zero;
        FloatVector odd = zero;
        int at = 0;
        for (; at <= count - 2 * LENGTH; at += 2 * LENGTH) {
            even = load(values, at).mul(zero).add(even);
            odd = load(values, at + LENGTH).mul(zero).add(odd);
        }
        float rest = 0;
        for (; at < count; at++) {
            rest += values[at] * 0;
        }
        return rest == 0 && even.add(odd).eq(0f).allTrue();
    }

    @Override
    public void widen(DType dtype, short[] bits, int from, int count, float[] values, int at) {
        int whole = count - count % LENGTH;
        if (dtype == DType.F16 && LENGTH >= LEAST_BYTES) {
            // The JVM makes vectors of that loop by itself, with an instruction that this API does not reach.
            PLAIN.widen(dtype, bits, from, count, values, at);
            return;
        }
        if (dtype == DType.F16) {
            widenHalves(bits, from, whole, values, at);
        } else {
            for (int i = 0; i < whole; i += LENGTH) {
                ((IntVector) ShortVector.fromArray(SHORTS, bits, from + i)
                                .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0))
                        .lanewise(VectorOperators.LSHL, Short.SIZE)
                        .reinterpretAsFloats()
                        .intoArray(values, at + i);
            }
        }
        for (int i = whole; i < count; i++) {
            values[at + i] = dtype.decode(bits[from + i]);
        }
    }

    /** Exponent and significand as those of F32, times the ratio of the biases; what is not finite keeps its exponent. */
    private static void widenHalves(short[] bits, int from, int count, float[] values, int at) {
        for (int i = 0; i < count; i += LENGTH) {
            IntVector half = (IntVector) ShortVector.fromArray(SHORTS, bits, from + i)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0);
            IntVector sign = half.and(0x8000).lanewise(VectorOperators.LSHL, 16);
            IntVector magnitude = half.and(0x7fff)
                    .lanewise(VectorOperators.LSHL, 13)
                    .reinterpretAsFloats()
                    .mul(0x1p112f)
                    .reinterpretAsInts();
            VectorMask<Integer> special = half.and(0x7c00).eq(0x7c00);
            magnitude
                    .blend(magnitude.or(0x7f800000), special)
                    .or(sign)
                    .reinterpretAsFloats()
                    .intoArray(values, at + i);
        }
    }

    /** As F16: exponent and significand as those of F32, times the ratio of the biases; all ones are NaN. */
    @Override
    public void widenE4M3(MemorySegment memory, long from, int count, float factor, float[] values, int at) {
        int whole = LENGTH < LEAST_BYTES ? 0 : count - count % LENGTH;
        for (int i = 0; i < whole; i += LENGTH) {
            IntVector bits = (IntVector) ByteVector.fromMemorySegment(BYTES, memory, from + i, ByteOrder.nativeOrder())
                    .convertShape(VectorOperators.ZERO_EXTEND_B2I, INTS, 0);
            IntVector sign = bits.and(0x80).lanewise(VectorOperators.LSHL, 24);
            VectorMask<Integer> special = bits.and(0x7f).eq(0x7f);
            bits.and(0x7f)
                    .lanewise(VectorOperators.LSHL, 20)
                    .reinterpretAsFloats()
                    .mul(0x1p120f)
                    .mul(factor)
                    .reinterpretAsInts()
                    .blend(0x7fc00000, special)
                    .or(sign)
                    .reinterpretAsFloats()
                    .intoArray(values, at + i);
        }
        PLAIN.widenE4M3(memory, from + whole, count - whole, factor, values, at + whole);
    }
}
