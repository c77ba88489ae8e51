package org.tornadoattention.vector;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;
import org.tornadoattention.tensor.DType;

/** {@link Lanes} on {@code jdk.incubator.vector}, as wide as the JVM prefers. */
final class VectorLanes implements Lanes {

    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    private static final VectorSpecies<Short> SHORTS =
            VectorSpecies.of(short.class, VectorShape.forBitSize(SPECIES.vectorBitSize() / 2));
    private static final int LENGTH = SPECIES.length();
    private static final int BITS_OF_512 = 16;

    private static final float LEAST_EXPONENT = -127f;
    /** A number that leaves no fraction when it is added, and puts a rounded one with F32's bias into the lowest bits. */
    private static final float ROUNDER = 0x1.8p23f + 127;

    private static final int SIGNIFICAND_BITS = 23;

    /** Sums of a few rows, before they are added to what is there. */
    private final float[] sums = new float[ROWS * 4 * LENGTH];

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
    static FloatVector exp2(FloatVector x) {
        FloatVector t = x.blend(LEAST_EXPONENT, x.lt(LEAST_EXPONENT));
        FloatVector rounded = t.add(ROUNDER);
        FloatVector f = t.sub(rounded.sub(ROUNDER));
        FloatVector power = Exp2Polynomial.of(f);
        return power.mul(rounded.reinterpretAsInts()
                .lanewise(VectorOperators.LSHL, SIGNIFICAND_BITS)
                .reinterpretAsFloats());
    }

    /** {@code 2^f} for f from −1/2 to 1/2: the minimax polynomial of degree 6. */
    private static final class Exp2Polynomial {
        static FloatVector of(FloatVector f) {
            FloatVector p = fma(f, broadcast(Exp2.C6), broadcast(Exp2.C5));
            p = fma(p, f, broadcast(Exp2.C4));
            p = fma(p, f, broadcast(Exp2.C3));
            p = fma(p, f, broadcast(Exp2.C2));
            p = fma(p, f, broadcast(Exp2.C1));
            return fma(p, f, broadcast(1));
        }
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
            int vectors = Math.min(widest(), Integer.highestOneBit((columns - column) / LENGTH));
            for (int row = 0; row < rows; row += ROWS) {
                int from = aAt + row * aRow;
                int to = cAt + row * cRow + column;
                if (factors == null) {
                    sum(vectors, a, from, aRow, aStep, b, bAt + column, bRow, c, to, cRow, depth);
                } else {
                    sum(vectors, a, from, aRow, aStep, b, bAt + column, bRow, sums, 0, vectors * LENGTH, depth);
                    add(vectors * LENGTH, c, to, cRow, factors, factorsAt + row);
                }
            }
            column += vectors * LENGTH;
        }
    }

    /** {@code c[i] = factors[i] · c[i] + sums[i]}. In the loops of a sum it would be more than the JIT inlines. */
    private void add(int columns, float[] c, int cAt, int cRow, float[] factors, int factorsAt) {
        for (int row = 0; row < ROWS; row++) {
            FloatVector factor = broadcast(factors[factorsAt + row]);
            for (int column = 0; column < columns; column += LENGTH) {
                int at = cAt + row * cRow + column;
                fma(load(c, at), factor, load(sums, row * columns + column)).intoArray(c, at);
            }
        }
    }

    /** {@code c[i] = Σ_k a(i, k) · b[k]} for {@link #ROWS} rows and some vectors side by side. */
    private static void sum(
            int vectors,
            float[] a,
            int a0,
            int aRow,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int cAt,
            int cRow,
            int depth) {
        switch (vectors) {
            case 4 -> four(a, a0, aRow, aStep, b, bAt, bRow, c, cAt, cRow, depth);
            case 2 -> two(a, a0, aRow, aStep, b, bAt, bRow, c, cAt, cRow, depth);
            default -> one(a, a0, aRow, aStep, b, bAt, bRow, c, cAt, cRow, depth);
        }
    }

    /** Four rows by four vectors: named sums, since only local variables stay in registers. */
    private static void four(
            float[] a,
            int a0,
            int aRow,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int cAt,
            int cRow,
            int depth) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        FloatVector s20 = zero, s21 = zero, s22 = zero, s23 = zero;
        FloatVector s30 = zero, s31 = zero, s32 = zero, s33 = zero;
        int a1 = a0 + aRow;
        int a2 = a1 + aRow;
        int a3 = a2 + aRow;
        int at = 0;
        int from = bAt;
        for (int k = 0; k < depth; k++) {
            FloatVector b0 = load(b, from);
            FloatVector b1 = load(b, from + LENGTH);
            FloatVector b2 = load(b, from + 2 * LENGTH);
            FloatVector b3 = load(b, from + 3 * LENGTH);
            FloatVector x = broadcast(a[a0 + at]);
            s00 = fma(x, b0, s00);
            s01 = fma(x, b1, s01);
            s02 = fma(x, b2, s02);
            s03 = fma(x, b3, s03);
            x = broadcast(a[a1 + at]);
            s10 = fma(x, b0, s10);
            s11 = fma(x, b1, s11);
            s12 = fma(x, b2, s12);
            s13 = fma(x, b3, s13);
            x = broadcast(a[a2 + at]);
            s20 = fma(x, b0, s20);
            s21 = fma(x, b1, s21);
            s22 = fma(x, b2, s22);
            s23 = fma(x, b3, s23);
            x = broadcast(a[a3 + at]);
            s30 = fma(x, b0, s30);
            s31 = fma(x, b1, s31);
            s32 = fma(x, b2, s32);
            s33 = fma(x, b3, s33);
            at += aStep;
            from += bRow;
        }
        s00.intoArray(c, cAt);
        s01.intoArray(c, cAt + LENGTH);
        s02.intoArray(c, cAt + 2 * LENGTH);
        s03.intoArray(c, cAt + 3 * LENGTH);
        s10.intoArray(c, cAt + cRow);
        s11.intoArray(c, cAt + cRow + LENGTH);
        s12.intoArray(c, cAt + cRow + 2 * LENGTH);
        s13.intoArray(c, cAt + cRow + 3 * LENGTH);
        s20.intoArray(c, cAt + 2 * cRow);
        s21.intoArray(c, cAt + 2 * cRow + LENGTH);
        s22.intoArray(c, cAt + 2 * cRow + 2 * LENGTH);
        s23.intoArray(c, cAt + 2 * cRow + 3 * LENGTH);
        s30.intoArray(c, cAt + 3 * cRow);
        s31.intoArray(c, cAt + 3 * cRow + LENGTH);
        s32.intoArray(c, cAt + 3 * cRow + 2 * LENGTH);
        s33.intoArray(c, cAt + 3 * cRow + 3 * LENGTH);
    }

    /** Four rows by two vectors. */
    private static void two(
            float[] a,
            int a0,
            int aRow,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int cAt,
            int cRow,
            int depth) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero;
        FloatVector s10 = zero, s11 = zero;
        FloatVector s20 = zero, s21 = zero;
        FloatVector s30 = zero, s31 = zero;
        int a1 = a0 + aRow;
        int a2 = a1 + aRow;
        int a3 = a2 + aRow;
        int at = 0;
        int from = bAt;
        for (int k = 0; k < depth; k++) {
            FloatVector b0 = load(b, from);
            FloatVector b1 = load(b, from + LENGTH);
            FloatVector x = broadcast(a[a0 + at]);
            s00 = fma(x, b0, s00);
            s01 = fma(x, b1, s01);
            x = broadcast(a[a1 + at]);
            s10 = fma(x, b0, s10);
            s11 = fma(x, b1, s11);
            x = broadcast(a[a2 + at]);
            s20 = fma(x, b0, s20);
            s21 = fma(x, b1, s21);
            x = broadcast(a[a3 + at]);
            s30 = fma(x, b0, s30);
            s31 = fma(x, b1, s31);
            at += aStep;
            from += bRow;
        }
        s00.intoArray(c, cAt);
        s01.intoArray(c, cAt + LENGTH);
        s10.intoArray(c, cAt + cRow);
        s11.intoArray(c, cAt + cRow + LENGTH);
        s20.intoArray(c, cAt + 2 * cRow);
        s21.intoArray(c, cAt + 2 * cRow + LENGTH);
        s30.intoArray(c, cAt + 3 * cRow);
        s31.intoArray(c, cAt + 3 * cRow + LENGTH);
    }

    /** Four rows by one vector. */
    private static void one(
            float[] a,
            int a0,
            int aRow,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int cAt,
            int cRow,
            int depth) {
        FloatVector s0 = FloatVector.zero(SPECIES);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        int a1 = a0 + aRow;
        int a2 = a1 + aRow;
        int a3 = a2 + aRow;
        int at = 0;
        int from = bAt;
        for (int k = 0; k < depth; k++) {
            FloatVector b0 = load(b, from);
            s0 = fma(broadcast(a[a0 + at]), b0, s0);
            s1 = fma(broadcast(a[a1 + at]), b0, s1);
            s2 = fma(broadcast(a[a2 + at]), b0, s2);
            s3 = fma(broadcast(a[a3 + at]), b0, s3);
            at += aStep;
            from += bRow;
        }
        s0.intoArray(c, cAt);
        s1.intoArray(c, cAt + cRow);
        s2.intoArray(c, cAt + 2 * cRow);
        s3.intoArray(c, cAt + 3 * cRow);
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
        for (int lane = 0; lane < width; lane += LENGTH) {
            FloatVector old = load(max, at + lane);
            FloatVector now = old;
            for (int key = 0; key < keys; key++) {
                FloatVector score = load(s, key * width + lane);
                now = now.blend(score, now.lt(score));
            }
            now.intoArray(max, at + lane);
            // A lane that saw no key yet has −∞ − (−∞) below, which is to be 0.
            FloatVector base = now.blend(0f, now.eq(Float.NEGATIVE_INFINITY));
            FloatVector factor = exp2(old.sub(base));
            factor.intoArray(factors, at + lane);
            FloatVector added = FloatVector.zero(SPECIES);
            for (int key = 0; key < keys; key++) {
                FloatVector p = exp2(load(s, key * width + lane).sub(base));
                p.intoArray(s, key * width + lane);
                added = added.add(p);
            }
            fma(load(sum, at + lane), factor, added).intoArray(sum, at + lane);
        }
    }

    @Override
    public void probabilities(float[] s, int keys, int width, float[] logSumExp, int at) {
        for (int lane = 0; lane < width; lane += LENGTH) {
            FloatVector base = load(logSumExp, at + lane);
            for (int key = 0; key < keys; key++) {
                int i = key * width + lane;
                FloatVector score = load(s, i);
                // Where nothing is seen both are −∞, and the probability is 0.
                exp2(score.sub(base))
                        .blend(0f, score.eq(Float.NEGATIVE_INFINITY))
                        .intoArray(s, i);
            }
        }
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

    @Override
    public void widen(DType dtype, short[] bits, int count, float[] values, int at) {
        if (dtype == DType.F16) {
            ScalarLanes.widenHalves(bits, count, values, at);
            return;
        }
        int whole = count - count % LENGTH;
        for (int i = 0; i < whole; i += LENGTH) {
            ShortVector.fromArray(SHORTS, bits, i)
                    .convertShape(
                            VectorOperators.ZERO_EXTEND_S2I,
                            SPECIES.vectorShape().withLanes(int.class),
                            0)
                    .reinterpretAsInts()
                    .lanewise(VectorOperators.LSHL, Short.SIZE)
                    .reinterpretAsFloats()
                    .intoArray(values, at + i);
        }
        for (int i = whole; i < count; i++) {
            values[at + i] = DType.BF16.decode(bits[i]);
        }
    }
}
