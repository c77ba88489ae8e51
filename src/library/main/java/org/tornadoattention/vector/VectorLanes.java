package org.tornadoattention.vector;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.Optional;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;
import org.tornadoattention.kernel.parts.LargeScores;
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
    /**
     * A number that leaves no fraction when it is added, and puts a rounded one with F32's bias into the lowest bits.
     */
    private static final float ROUNDER = 0x1.8p23f + 127;

    private static final boolean FMA = Fused.FAST;

    private static final int SIGNIFICAND_BITS = 23;

    /** For what is rare; its powers are the same to the last bit. */
    private static final ScalarLanes PLAIN = new ScalarLanes();

    /** What is taken from the scores of each lane of a panel. */
    private final float[] bases = new float[4 * LENGTH];

    /** Sums of four keys by four rows, lane by lane. */
    private final float[] sums = new float[16 * LENGTH];

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

    @Override
    public int widest() {
        return VectorProducts.WIDEST;
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
        VectorProducts.product(
                a, aAt, aRow, aStep, b, bAt, bRow, c, cAt, cRow, rows, columns, depth, factors, factorsAt);
    }

    @Override
    public Optional<Streams> streams() {
        return LENGTH == BITS_OF_512 ? Optional.of(new VectorStreams()) : Optional.empty();
    }

    @Override
    public void dots(float[] k, float[] q, int stride, float[] s, int at, int width, int keys, int rows) {
        // Four by four sums need more registers than narrower vectors have.
        int together = LENGTH == BITS_OF_512 ? 4 : 2;
        for (int row = 0; row < rows; row += ROWS) {
            int key = 0;
            for (; key <= keys - together && together == 4; key += 4) {
                dotsOfFour(k, key * stride, q, row * stride, stride, sums);
                put(sums, 4, s, at + key * width + row, width);
            }
            for (; key < keys; key += 2) {
                dotsOfTwo(k, key * stride, q, row * stride, stride, sums);
                put(sums, 2, s, at + key * width + row, width);
            }
        }
    }

    /** Four keys by four rows. */
    private static void dotsOfFour(float[] k, int kAt, float[] q, int qAt, int stride, float[] sums) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        FloatVector s20 = zero, s21 = zero, s22 = zero, s23 = zero;
        FloatVector s30 = zero, s31 = zero, s32 = zero, s33 = zero;
        int k1 = kAt + stride;
        int k2 = k1 + stride;
        int k3 = k2 + stride;
        int q1 = qAt + stride;
        int q2 = q1 + stride;
        int q3 = q2 + stride;
        for (int i = 0; i < stride; i += LENGTH) {
            FloatVector x0 = FloatVector.fromArray(SPECIES, k, kAt + i);
            FloatVector x1 = FloatVector.fromArray(SPECIES, k, k1 + i);
            FloatVector x2 = FloatVector.fromArray(SPECIES, k, k2 + i);
            FloatVector x3 = FloatVector.fromArray(SPECIES, k, k3 + i);
            FloatVector y = FloatVector.fromArray(SPECIES, q, qAt + i);
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

    /** Two keys by four rows. */
    private static void dotsOfTwo(float[] k, int kAt, float[] q, int qAt, int stride, float[] sums) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        int k1 = kAt + stride;
        int q1 = qAt + stride;
        int q2 = q1 + stride;
        int q3 = q2 + stride;
        for (int i = 0; i < stride; i += LENGTH) {
            FloatVector x0 = FloatVector.fromArray(SPECIES, k, kAt + i);
            FloatVector x1 = FloatVector.fromArray(SPECIES, k, k1 + i);
            FloatVector y = FloatVector.fromArray(SPECIES, q, qAt + i);
            s00 = FMA ? x0.fma(y, s00) : x0.mul(y).add(s00);
            s10 = FMA ? x1.fma(y, s10) : x1.mul(y).add(s10);
            y = FloatVector.fromArray(SPECIES, q, q1 + i);
            s01 = FMA ? x0.fma(y, s01) : x0.mul(y).add(s01);
            s11 = FMA ? x1.fma(y, s11) : x1.mul(y).add(s11);
            y = FloatVector.fromArray(SPECIES, q, q2 + i);
            s02 = FMA ? x0.fma(y, s02) : x0.mul(y).add(s02);
            s12 = FMA ? x1.fma(y, s12) : x1.mul(y).add(s12);
            y = FloatVector.fromArray(SPECIES, q, q3 + i);
            s03 = FMA ? x0.fma(y, s03) : x0.mul(y).add(s03);
            s13 = FMA ? x1.fma(y, s13) : x1.mul(y).add(s13);
        }
        s00.intoArray(sums, 0);
        s01.intoArray(sums, LENGTH);
        s02.intoArray(sums, 2 * LENGTH);
        s03.intoArray(sums, 3 * LENGTH);
        s10.intoArray(sums, 4 * LENGTH);
        s11.intoArray(sums, 5 * LENGTH);
        s12.intoArray(sums, 6 * LENGTH);
        s13.intoArray(sums, 7 * LENGTH);
    }

    /** Sums that lie lane by lane: those of four rows for each key. */
    private static void put(float[] sums, int keys, float[] s, int at, int width) {
        for (int key = 0; key < keys; key++) {
            for (int row = 0; row < ROWS; row++) {
                s[at + key * width + row] = sum(FloatVector.fromArray(SPECIES, sums, (key * ROWS + row) * LENGTH));
            }
        }
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
            tanh(FloatVector.fromArray(SPECIES, s, at)).mul(bound).intoArray(s, at);
        }
    }

    @Override
    public void alibi(float[] s, int keys, int width, float[] slopes, float[] positions, int at) {
        for (int lane = 0; lane < width; lane += LENGTH) {
            FloatVector slope =
                    FloatVector.fromArray(SPECIES, slopes, at + lane).neg();
            FloatVector position = FloatVector.fromArray(SPECIES, positions, at + lane);
            for (int key = 0; key < keys; key++) {
                int i = key * width + lane;
                fma(position.sub(key).abs(), slope, FloatVector.fromArray(SPECIES, s, i))
                        .intoArray(s, i);
            }
        }
    }

    @Override
    public void mask(float[] s, int keys, int width, float[] from, float[] to, int at) {
        FloatVector unseen = broadcast(Float.NEGATIVE_INFINITY);
        for (int lane = 0; lane < width; lane += LENGTH) {
            FloatVector first = FloatVector.fromArray(SPECIES, from, at + lane);
            FloatVector end = FloatVector.fromArray(SPECIES, to, at + lane);
            for (int key = 0; key < keys; key++) {
                int i = key * width + lane;
                FloatVector index = broadcast(key);
                VectorMask<Float> hidden = index.lt(first).or(index.compare(VectorOperators.GE, end));
                FloatVector.fromArray(SPECIES, s, i).blend(unseen, hidden).intoArray(s, i);
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
        FloatVector one = FloatVector.broadcast(SPECIES, 1);
        FloatVector c1 = FloatVector.broadcast(SPECIES, Exp2.C1);
        FloatVector c2 = FloatVector.broadcast(SPECIES, Exp2.C2);
        FloatVector c3 = FloatVector.broadcast(SPECIES, Exp2.C3);
        FloatVector c4 = FloatVector.broadcast(SPECIES, Exp2.C4);
        FloatVector c5 = FloatVector.broadcast(SPECIES, Exp2.C5);
        FloatVector c6 = FloatVector.broadcast(SPECIES, Exp2.C6);
        for (int lane = 0; lane < width; lane += LENGTH) {
            FloatVector base = FloatVector.fromArray(SPECIES, bases, lane);
            FloatVector sum = FloatVector.zero(SPECIES);
            int i = from + lane;
            for (int key = 0; key < keys; key++) {
                // exp2, written out: a call that the JIT does not inline, for want of nodes, makes objects of vectors.
                FloatVector t = FloatVector.fromArray(SPECIES, x, i).sub(base);
                t = t.blend(LEAST_EXPONENT, t.lt(LEAST_EXPONENT));
                FloatVector rounded = t.add(ROUNDER);
                FloatVector f = t.sub(rounded.sub(ROUNDER));
                FloatVector p = FMA ? f.fma(c6, c5) : f.mul(c6).add(c5);
                p = FMA ? p.fma(f, c4) : p.mul(f).add(c4);
                p = FMA ? p.fma(f, c3) : p.mul(f).add(c3);
                p = FMA ? p.fma(f, c2) : p.mul(f).add(c2);
                p = FMA ? p.fma(f, c1) : p.mul(f).add(c1);
                p = FMA ? p.fma(f, one) : p.mul(f).add(one);
                p = p.mul(rounded.reinterpretAsInts()
                        .lanewise(VectorOperators.LSHL, SIGNIFICAND_BITS)
                        .reinterpretAsFloats());
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
            if (base.abs()
                    .lt(LargeScores.LEAST)
                    .or(base.eq(Float.NEGATIVE_INFINITY))
                    .not()
                    .anyTrue()) {
                // A row that is no number: what it does not see is 0 all the same. Or one of scores too large.
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
            FloatVector term = FloatVector.fromArray(SPECIES, terms, at + lane);
            for (int key = 0; key < keys; key++) {
                int i = key * width + lane;
                FloatVector probability = FloatVector.fromArray(SPECIES, p, i);
                // Of a hidden pair dP may be anything.
                FloatVector.fromArray(SPECIES, dP, i)
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
            FloatVector ratio = FloatVector.fromArray(SPECIES, s, at).mul(inverse);
            FloatVector gradient = FloatVector.fromArray(SPECIES, dS, at);
            // The score of a hidden pair may be anything.
            gradient.mul(broadcast(1).sub(ratio.mul(ratio)))
                    .add(0f)
                    .blend(0f, gradient.eq(0f))
                    .intoArray(dS, at);
        }
    }

    /** A sum of the numbers times 0. */
    @Override
    public boolean areFinite(float[] values, int from, int count) {
        int end = from + count;
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector even = zero;
        FloatVector odd = zero;
        int at = from;
        for (; at <= end - 2 * LENGTH; at += 2 * LENGTH) {
            even = FloatVector.fromArray(SPECIES, values, at).mul(zero).add(even);
            odd = FloatVector.fromArray(SPECIES, values, at + LENGTH).mul(zero).add(odd);
        }
        float rest = 0;
        for (; at < end; at++) {
            rest += values[at] * 0;
        }
        return rest == 0 && even.add(odd).eq(0f).allTrue();
    }

    @Override
    public void copyRows(
            MemorySegment memory,
            long from,
            long stride,
            int count,
            int width,
            float[] target,
            int at,
            int targetStride) {
        for (int i = 0; i < count; i++) {
            long row = from + i * stride;
            int to = at + i * targetStride;
            for (int j = 0; j < width; j += LENGTH) {
                FloatVector.fromMemorySegment(SPECIES, memory, row + (long) Float.BYTES * j, ByteOrder.nativeOrder())
                        .intoArray(target, to + j);
            }
        }
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

    /**
     * Exponent and significand as those of F32, times the ratio of the biases; what is not finite keeps its exponent.
     */
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

    /**
     * As {@link DType#encode}: a NaN keeps its upper bits and becomes quiet, since rounding could carry it into
     * infinity.
     */
    @Override
    public void narrowToBf16(float[] values, int at, int count, short[] bits) {
        int whole = count - count % LENGTH;
        for (int i = 0; i < whole; i += LENGTH) {
            IntVector x = FloatVector.fromArray(SPECIES, values, at + i).reinterpretAsInts();
            IntVector upper = x.lanewise(VectorOperators.LSHR, Short.SIZE);
            VectorMask<Integer> isNaN = x.and(Integer.MAX_VALUE).compare(VectorOperators.GT, 0x7F80_0000);
            IntVector rounded = x.add(upper.and(1)).add(0x7FFF).lanewise(VectorOperators.LSHR, Short.SIZE);
            ((ShortVector) rounded.blend(upper.or(0x40), isNaN).convertShape(VectorOperators.I2S, SHORTS, 0))
                    .intoArray(bits, i);
        }
        PLAIN.narrowToBf16(values, at, whole, count, bits);
    }

    @Override
    public void scale(float[] values, int at, int count, float factor) {
        for (int i = at; i < at + count; i += LENGTH) {
            FloatVector.fromArray(SPECIES, values, i).mul(factor).intoArray(values, i);
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

    @Override
    public void widenInt8(MemorySegment memory, long from, int count, float factor, float[] values, int at) {
        int whole = LENGTH < LEAST_BYTES ? 0 : count - count % LENGTH;
        for (int i = 0; i < whole; i += LENGTH) {
            IntVector numbers =
                    (IntVector) ByteVector.fromMemorySegment(BYTES, memory, from + i, ByteOrder.nativeOrder())
                            .convertShape(VectorOperators.B2I, INTS, 0);
            FloatVector widened = (FloatVector) numbers.convertShape(VectorOperators.I2F, SPECIES, 0);
            widened.mul(factor)
                    .blend(Float.NaN, numbers.eq(Byte.MIN_VALUE).cast(SPECIES))
                    .intoArray(values, at + i);
        }
        PLAIN.widenInt8(memory, from + whole, count - whole, factor, values, at + whole);
    }
}
