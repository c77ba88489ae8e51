package org.tornadoattention.vector;

import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.LSHL;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.stream.LongStream;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;
import org.tornadoattention.tensor.DType;

/**
 * {@link Streams} on vectors of 512 bits, whose 32 registers hold sixteen sums.
 *
 * <p>Four keys of different quarters of a tile, a group, are read at a time: as a rule they lie in different pages,
 * which memory brings side by side. A vector holds the scores of a group with four rows, a block.
 */
final class VectorStreams implements Streams {

    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_512;
    private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_512;
    private static final VectorSpecies<Short> SHORTS = ShortVector.SPECIES_512;
    private static final int LENGTH = SPECIES.length();
    private static final long BYTES = SPECIES.vectorByteSize();
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final boolean FMA = Fused.FAST;

    /** Keys of a group. */
    private static final int GROUP = TilePlaces.GROUP;
    /** Scores of all groups of a tile with a block of rows, and room for the maxima before and after. */
    private static final int BLOCK = (ForwardTile.KEYS / GROUP + 2) * LENGTH;

    private static final int BASES = BLOCK - LENGTH;

    /** Values that are read for all columns before others are: memory brings the next ones meanwhile. */
    private static final int TOGETHER = 16;

    private static final float LEAST_EXPONENT = -127f;
    /** As in {@link VectorLanes}. */
    private static final float ROUNDER = 0x1.8p23f + 127;

    private static final int SIGNIFICAND_BITS = 23;

    /** The upper halves of ints. */
    private static final int UPPER = 0xffff_0000;
    /** Sign, exponent and significand of an upper F16 that was moved to where F32 has them. */
    private static final int HALF = 0x8fff_e000;
    /** The ratio of the biases. */
    private static final float TO_HALF = 0x1p112f;
    /** Two F16 without their signs. */
    private static final int MAGNITUDES = 0x7fff_7fff;
    /** The least magnitude of F16 that is not finite. */
    private static final int INFINITY = 0x7c00;

    private static final VectorShuffle<Float> SWAP_1 = swap(1);
    private static final VectorShuffle<Float> SWAP_2 = swap(2);
    private static final VectorShuffle<Float> SWAP_4 = swap(4);
    private static final VectorShuffle<Float> SWAP_8 = swap(8);
    private static final VectorMask<Float> MASK_4 = mask(4);
    private static final VectorMask<Float> MASK_8 = mask(8);

    /** Bring the rows of a block, which lie side by side, to all keys of a group. */
    private static final VectorShuffle<Float> FIRST_ROWS = rows(0);

    private static final VectorShuffle<Float> NEXT_ROWS = rows(Lanes.ROWS);

    /** Lanes of a group that are where the rows of a block lie. */
    private static final VectorMask<Float> FIRST_LANES = VectorMask.fromLong(SPECIES, 0b1111);

    private static final VectorMask<Float> NEXT_LANES = VectorMask.fromLong(SPECIES, 0b1111_0000);

    /** Elements of the sums of a group and a block, lane by lane. */
    private static final int SUMS = GROUP * Lanes.ROWS * LENGTH;

    /** Sums of all groups of a tile with a block: a call among their steps would make the JIT check memory in each. */
    private final float[] sums = new float[ForwardTile.KEYS / GROUP * SUMS];

    /** Where the values of a tile begin that is not whole, without those behind the last. */
    private final long[] some = new long[ForwardTile.KEYS];

    /** Scores and what becomes of them: of each block, each group and each of its keys those of four rows. */
    private final float[] scores = new float[FewRows.MOST / Lanes.ROWS * BLOCK];

    /** Those of a block without the keys that are behind the last. */
    private final float[] weights = new float[ForwardTile.KEYS * Lanes.ROWS];

    /** Queries: of each block, what a step takes. */
    private float[] queries = new float[0];

    private final float[] ones = new float[FewRows.MOST];

    /** The values that are read next, where some are expected. */
    private TilePlaces expected;

    private int expectedTile;

    /** What was read of them, which nobody needs: Java has no prefetch. */
    private int touched;

    /** The greatest magnitudes of F16, lane by lane. */
    private final short[] greatest = new short[2 * LENGTH];

    VectorStreams() {
        Arrays.fill(ones, 1);
    }

    private static VectorShuffle<Float> swap(int distance) {
        return VectorShuffle.fromOp(SPECIES, lane -> lane ^ distance);
    }

    private static VectorShuffle<Float> rows(int first) {
        return VectorShuffle.fromOp(SPECIES, lane -> first + lane % Lanes.ROWS);
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
    public long bytes() {
        return Float.BYTES * ((long) sums.length + scores.length + weights.length)
                + Short.BYTES * (long) greatest.length
                + Long.BYTES * (long) some.length;
    }

    @Override
    public boolean takes(StoredRows rows) {
        return rows.width() % (4 * LENGTH) == 0 && (rows.dtype() == DType.F32 || ORDER == ByteOrder.LITTLE_ENDIAN);
    }

    @Override
    public boolean mayRefuse(DType dtype) {
        return dtype == DType.F16;
    }

    @Override
    public void apart(DType dtype, float[] rows, int count) {
        move(dtype, rows, count, false);
    }

    @Override
    public void together(DType dtype, float[] rows, int count) {
        move(dtype, rows, count, true);
    }

    private void move(DType dtype, float[] rows, int count, boolean back) {
        for (int from = 0; dtype != DType.F32 && from < count; from += 2 * LENGTH) {
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

    /**
     * A step takes four vectors, or of 16 bits twice four: for the even elements and the odd ones. The lanes of each
     * belong to all four rows in turn, so that sums of its lanes are of one row where pairs and fours of them were
     * added.
     */
    @Override
    public void load(DType dtype, float[] q, int width, int rows) {
        if (queries.length < rows * width) {
            queries = new float[rows * width];
        }
        int parts = dtype == DType.F32 ? 1 : 2;
        int to = 0;
        for (int block = 0; block < rows; block += Lanes.ROWS) {
            for (int dim = 0; dim < width; dim += parts * LENGTH) {
                for (int row = block; row < block + Lanes.ROWS; row++) {
                    for (int part = 0; part < parts; part++) {
                        for (int lane = 0; lane < LENGTH; lane++) {
                            int of = row ^ lane % Lanes.ROWS;
                            queries[to++] = q[of * width + dim + parts * lane + part];
                        }
                    }
                }
            }
        }
    }

    @Override
    public void expect(TilePlaces values, int tile) {
        values.turnTo(tile);
        expected = values;
        expectedTile = tile;
    }

    /**
     * What F32 reads ahead: where nothing as wide is expected, keys that are read anyway. Of 16 bits, each line takes
     * so much arithmetic that it only costs time.
     */
    private TilePlaces ahead(TilePlaces keys) {
        TilePlaces next = expected;
        expected = null;
        boolean wide = next != null
                && next.groups() == keys.groups()
                && next.rows().width() * next.rows().dtype().byteSize()
                        >= keys.rows().width() * keys.rows().dtype().byteSize();
        return wide ? next : keys;
    }

    @Override
    public boolean dots(TilePlaces keys, int tile, int rows) {
        StoredRows k = keys.rows();
        int count = keys.count();
        int groups = keys.groups();
        keys.turnTo(tile);
        TilePlaces next = k.dtype() == DType.F32 ? ahead(keys) : keys;
        long base = keys.base(tile);
        long nextBase = next == keys ? base : next.base(expectedTile);
        Arrays.fill(greatest, (short) 0);
        int elements = Lanes.ROWS * k.width();
        int together = keys.areSideBySide() && next.areSideBySide() ? groups : 1;
        for (int block = 0; block < rows / Lanes.ROWS; block++) {
            int from = block * elements;
            int end = from + elements;
            int to = block * BLOCK;
            for (int group = 0; group < groups; group += together) {
                switch (k.dtype()) {
                    case F32 -> dotsF32(keys, base, next, nextBase, group, together, from, end, to);
                    case BF16 -> dotsBf16(keys, base, group, together, from, end, to);
                    case F16 -> dotsF16(keys, base, group, together, from, end, to);
                }
            }
            for (int i = 0; i < GROUP * groups && count < GROUP * groups; i++) {
                if (key(i, groups) >= count) {
                    Arrays.fill(scores, to + i * Lanes.ROWS, to + (i + 1) * Lanes.ROWS, Float.NEGATIVE_INFINITY);
                }
            }
        }
        return k.dtype() != DType.F16 || isFinite();
    }

    /** The key that is read as number {@code i}, whose scores with a block are at {@code i * ROWS}. */
    private static int key(int i, int groups) {
        return i % GROUP * groups + i / GROUP;
    }

    /** Copies what belongs to a block's rows. */
    private static void copy(float[] source, int from, float[] target, int to) {
        for (int row = 0; row < Lanes.ROWS; row++) {
            target[to + row] = source[from + row];
        }
    }

    private boolean isFinite() {
        int most = 0;
        for (short magnitude : greatest) {
            most = Math.max(most, magnitude);
        }
        return most < INFINITY;
    }

    @Override
    public void spread(int count, float[] s, int width, int rows) {
        int groups = Math.ceilDiv(count, GROUP);
        for (int row = 0; row < rows; row += Lanes.ROWS) {
            int block = row / Lanes.ROWS * BLOCK;
            for (int i = 0; i < GROUP * groups; i++) {
                int key = key(i, groups);
                if (key < count) {
                    copy(scores, block + i * Lanes.ROWS, s, key * width + row);
                }
            }
        }
    }

    @Override
    public void gather(int count, float[] s, int width, int rows) {
        int groups = Math.ceilDiv(count, GROUP);
        for (int row = 0; row < rows; row += Lanes.ROWS) {
            int block = row / Lanes.ROWS * BLOCK;
            for (int i = 0; i < GROUP * groups; i++) {
                int key = key(i, groups);
                if (key < count) {
                    copy(s, key * width + row, scores, block + i * Lanes.ROWS);
                }
            }
        }
    }

    @Override
    public void softmax(int count, float[] max, float[] sum, float[] factors, int rows) {
        int groups = Math.ceilDiv(count, GROUP);
        for (int block = 0; block < rows / Lanes.ROWS; block++) {
            int at = block * BLOCK;
            raise(at, groups, max, block == 0);
            powers(at, groups + 1);
            sumUp(at, groups, sum, factors, block == 0);
        }
    }

    /** Raises maxima to the scores, by four chains side by side, and leaves those from before behind the scores. */
    private void raise(int at, int groups, float[] max, boolean first) {
        FloatVector all = FloatVector.fromArray(SPECIES, max, 0);
        FloatVector m0 = first ? all.rearrange(FIRST_ROWS) : all.rearrange(NEXT_ROWS);
        m0.intoArray(scores, at + groups * LENGTH);
        FloatVector m1 = m0;
        FloatVector m2 = m0;
        FloatVector m3 = m0;
        int i = 0;
        for (; i <= groups - 4; i += 4) {
            int from = at + i * LENGTH;
            FloatVector s0 = FloatVector.fromArray(SPECIES, scores, from);
            FloatVector s1 = FloatVector.fromArray(SPECIES, scores, from + LENGTH);
            FloatVector s2 = FloatVector.fromArray(SPECIES, scores, from + 2 * LENGTH);
            FloatVector s3 = FloatVector.fromArray(SPECIES, scores, from + 3 * LENGTH);
            m0 = m0.blend(s0, m0.lt(s0));
            m1 = m1.blend(s1, m1.lt(s1));
            m2 = m2.blend(s2, m2.lt(s2));
            m3 = m3.blend(s3, m3.lt(s3));
        }
        for (; i < groups; i++) {
            FloatVector s0 = FloatVector.fromArray(SPECIES, scores, at + i * LENGTH);
            m0 = m0.blend(s0, m0.lt(s0));
        }
        m0 = m0.blend(m1, m0.lt(m1));
        m2 = m2.blend(m3, m2.lt(m3));
        m0 = m0.blend(m2, m0.lt(m2));
        m1 = m0.rearrange(SWAP_4);
        m0 = m0.blend(m1, m0.lt(m1));
        m1 = m0.rearrange(SWAP_8);
        m0 = m0.blend(m1, m0.lt(m1));
        (first ? all.blend(m0, FIRST_LANES) : all.blend(m0, NEXT_LANES)).intoArray(max, 0);
        // A row that saw no key yet has −∞ − (−∞), which is to be 0.
        m0.blend(0f, m0.eq(Float.NEGATIVE_INFINITY)).intoArray(scores, at + BASES);
    }

    /** {@code x = 2^(x - base)}, as {@link VectorLanes} does. */
    private void powers(int at, int vectors) {
        FloatVector one = FloatVector.broadcast(SPECIES, 1);
        FloatVector c1 = FloatVector.broadcast(SPECIES, Exp2.C1);
        FloatVector c2 = FloatVector.broadcast(SPECIES, Exp2.C2);
        FloatVector c3 = FloatVector.broadcast(SPECIES, Exp2.C3);
        FloatVector c4 = FloatVector.broadcast(SPECIES, Exp2.C4);
        FloatVector c5 = FloatVector.broadcast(SPECIES, Exp2.C5);
        FloatVector c6 = FloatVector.broadcast(SPECIES, Exp2.C6);
        FloatVector base = FloatVector.fromArray(SPECIES, scores, at + BASES);
        for (int i = at; i < at + vectors * LENGTH; i += LENGTH) {
            FloatVector t = FloatVector.fromArray(SPECIES, scores, i).sub(base);
            t = t.blend(LEAST_EXPONENT, t.lt(LEAST_EXPONENT));
            FloatVector rounded = t.add(ROUNDER);
            FloatVector f = t.sub(rounded.sub(ROUNDER));
            FloatVector p = FMA ? f.fma(c6, c5) : f.mul(c6).add(c5);
            p = FMA ? p.fma(f, c4) : p.mul(f).add(c4);
            p = FMA ? p.fma(f, c3) : p.mul(f).add(c3);
            p = FMA ? p.fma(f, c2) : p.mul(f).add(c2);
            p = FMA ? p.fma(f, c1) : p.mul(f).add(c1);
            p = FMA ? p.fma(f, one) : p.mul(f).add(one);
            p.mul(rounded.reinterpretAsInts().lanewise(LSHL, SIGNIFICAND_BITS).reinterpretAsFloats())
                    .intoArray(scores, i);
        }
    }

    /** Adds the powers of the scores to sums; behind them is what the sums were made smaller by. */
    private void sumUp(int at, int groups, float[] sum, float[] factors, boolean first) {
        FloatVector even = FloatVector.zero(SPECIES);
        FloatVector odd = even;
        int i = 0;
        for (; i <= groups - 2; i += 2) {
            even = even.add(FloatVector.fromArray(SPECIES, scores, at + i * LENGTH));
            odd = odd.add(FloatVector.fromArray(SPECIES, scores, at + (i + 1) * LENGTH));
        }
        if (i < groups) {
            even = even.add(FloatVector.fromArray(SPECIES, scores, at + i * LENGTH));
        }
        even = even.add(odd);
        even = even.add(even.rearrange(SWAP_4));
        even = even.add(even.rearrange(SWAP_8));
        FloatVector factor = FloatVector.fromArray(SPECIES, scores, at + groups * LENGTH);
        FloatVector all = FloatVector.fromArray(SPECIES, sum, 0);
        FloatVector next = all.mul(factor).add(even);
        (first ? all.blend(next, FIRST_LANES) : all.blend(next, NEXT_LANES)).intoArray(sum, 0);
        FloatVector before = FloatVector.fromArray(SPECIES, factors, 0);
        (first ? before.blend(factor, FIRST_LANES) : before.blend(factor, NEXT_LANES)).intoArray(factors, 0);
    }

    @Override
    public boolean add(TilePlaces places, int tile, float[] o, float[] factors, int rows) {
        StoredRows values = places.rows();
        MemorySegment memory = values.memory();
        int stride = values.width();
        int count = places.count();
        int groups = places.groups();
        places.turnTo(tile);
        long base = places.base(tile);
        long[] order = places.order();
        if (count < GROUP * groups) {
            int used = 0;
            for (int i = 0; i < GROUP * groups; i++) {
                if (key(i, groups) < count) {
                    some[used++] = order[i];
                }
            }
            order = some;
        }
        Arrays.fill(greatest, (short) 0);
        for (int row = 0; row < rows; row += Lanes.ROWS) {
            boolean whole = count == GROUP * groups;
            float[] p = whole ? scores : weights;
            int from = whole ? row / Lanes.ROWS * BLOCK : 0;
            if (!whole) {
                weigh(row, count, groups);
            }
            for (int done = 0; done < count; done += TOGETHER) {
                int end = Math.min(done + TOGETHER, count);
                float[] f = done == 0 ? factors : ones;
                for (int column = 0; column < stride; column += 4 * LENGTH) {
                    long offset = base + (long) values.dtype().byteSize() * column;
                    int at = row * stride + column;
                    switch (values.dtype()) {
                        case F32 -> addF32(memory, order, offset, done, end, p, from, o, at, stride, f, row);
                        case BF16 -> addBf16(memory, order, offset, done, end, p, from, o, at, stride, f, row);
                        case F16 -> addF16(memory, order, offset, done, end, p, from, o, at, stride, f, row);
                    }
                }
            }
        }
        return values.dtype() != DType.F16 || isFinite();
    }

    /** Leaves out the keys behind the last, whose values 0 times infinity would become NaN. */
    private void weigh(int row, int count, int groups) {
        int block = row / Lanes.ROWS * BLOCK;
        int used = 0;
        for (int i = 0; i < GROUP * groups; i++) {
            if (key(i, groups) < count) {
                copy(scores, block + i * Lanes.ROWS, weights, Lanes.ROWS * used++);
            }
        }
    }

    /** Groups of F32 with a block of rows. */
    private void dotsF32(
            TilePlaces keys,
            long base,
            TilePlaces next,
            long nextBase,
            int group,
            int groups,
            int first,
            int end,
            int to) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        FloatVector s20 = zero, s21 = zero, s22 = zero, s23 = zero;
        FloatVector s30 = zero, s31 = zero, s32 = zero, s33 = zero;
        MemorySegment memory = keys.rows().memory();
        MemorySegment ahead = next.rows().memory();
        int read = 0;
        int at = GROUP * group;
        long[] k = keys.order();
        long k0 = base + k[at], k1 = base + k[at + 1], k2 = base + k[at + 2], k3 = base + k[at + 3];
        long[] n = next.order();
        long n0 = nextBase + n[at], n1 = nextBase + n[at + 1], n2 = nextBase + n[at + 2], n3 = nextBase + n[at + 3];
        int sum = 0;
        int from = first;
        // One loop over all steps of all groups: to begin one costs as much as a group's steps.
        int vectors = Lanes.ROWS;
        int steps = groups * (end - first) / (vectors * LENGTH);
        for (int step = 0; step < steps; step++) {
            long offset = BYTES * step;
            FloatVector x0 = FloatVector.fromMemorySegment(SPECIES, memory, k0 + offset, ORDER);
            FloatVector x1 = FloatVector.fromMemorySegment(SPECIES, memory, k1 + offset, ORDER);
            FloatVector x2 = FloatVector.fromMemorySegment(SPECIES, memory, k2 + offset, ORDER);
            FloatVector x3 = FloatVector.fromMemorySegment(SPECIES, memory, k3 + offset, ORDER);
            FloatVector y = FloatVector.fromArray(SPECIES, queries, from);
            s00 = FMA ? x0.fma(y, s00) : x0.mul(y).add(s00);
            s10 = FMA ? x1.fma(y, s10) : x1.mul(y).add(s10);
            s20 = FMA ? x2.fma(y, s20) : x2.mul(y).add(s20);
            s30 = FMA ? x3.fma(y, s30) : x3.mul(y).add(s30);
            y = FloatVector.fromArray(SPECIES, queries, from + LENGTH);
            s01 = FMA ? x0.fma(y, s01) : x0.mul(y).add(s01);
            s11 = FMA ? x1.fma(y, s11) : x1.mul(y).add(s11);
            s21 = FMA ? x2.fma(y, s21) : x2.mul(y).add(s21);
            s31 = FMA ? x3.fma(y, s31) : x3.mul(y).add(s31);
            y = FloatVector.fromArray(SPECIES, queries, from + 2 * LENGTH);
            s02 = FMA ? x0.fma(y, s02) : x0.mul(y).add(s02);
            s12 = FMA ? x1.fma(y, s12) : x1.mul(y).add(s12);
            s22 = FMA ? x2.fma(y, s22) : x2.mul(y).add(s22);
            s32 = FMA ? x3.fma(y, s32) : x3.mul(y).add(s32);
            y = FloatVector.fromArray(SPECIES, queries, from + 3 * LENGTH);
            s03 = FMA ? x0.fma(y, s03) : x0.mul(y).add(s03);
            s13 = FMA ? x1.fma(y, s13) : x1.mul(y).add(s13);
            s23 = FMA ? x2.fma(y, s23) : x2.mul(y).add(s23);
            s33 = FMA ? x3.fma(y, s33) : x3.mul(y).add(s33);
            read ^= ahead.get(ValueLayout.JAVA_INT_UNALIGNED, n0 + offset);
            read ^= ahead.get(ValueLayout.JAVA_INT_UNALIGNED, n1 + offset);
            read ^= ahead.get(ValueLayout.JAVA_INT_UNALIGNED, n2 + offset);
            read ^= ahead.get(ValueLayout.JAVA_INT_UNALIGNED, n3 + offset);
            from += vectors * LENGTH;
            if (from == end) {
                s00.intoArray(sums, sum);
                s01.intoArray(sums, sum + LENGTH);
                s02.intoArray(sums, sum + 2 * LENGTH);
                s03.intoArray(sums, sum + 3 * LENGTH);
                s10.intoArray(sums, sum + 4 * LENGTH);
                s11.intoArray(sums, sum + 5 * LENGTH);
                s12.intoArray(sums, sum + 6 * LENGTH);
                s13.intoArray(sums, sum + 7 * LENGTH);
                s20.intoArray(sums, sum + 8 * LENGTH);
                s21.intoArray(sums, sum + 9 * LENGTH);
                s22.intoArray(sums, sum + 10 * LENGTH);
                s23.intoArray(sums, sum + 11 * LENGTH);
                s30.intoArray(sums, sum + 12 * LENGTH);
                s31.intoArray(sums, sum + 13 * LENGTH);
                s32.intoArray(sums, sum + 14 * LENGTH);
                s33.intoArray(sums, sum + 15 * LENGTH);
                s00 = s01 = s02 = s03 = zero;
                s10 = s11 = s12 = s13 = zero;
                s20 = s21 = s22 = s23 = zero;
                s30 = s31 = s32 = s33 = zero;
                sum += SUMS;
                from = first;
            }
        }
        touched ^= read;
        addLanes(groups, to + group * LENGTH);
    }

    /** Groups of BF16 with a block of rows: the lower half of an int is an even element, the upper one an odd one. */
    private void dotsBf16(TilePlaces keys, long base, int group, int groups, int first, int end, int to) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        FloatVector s20 = zero, s21 = zero, s22 = zero, s23 = zero;
        FloatVector s30 = zero, s31 = zero, s32 = zero, s33 = zero;
        MemorySegment memory = keys.rows().memory();
        int at = GROUP * group;
        long[] k = keys.order();
        long k0 = base + k[at], k1 = base + k[at + 1], k2 = base + k[at + 2], k3 = base + k[at + 3];
        int sum = 0;
        int from = first;
        // One loop over all steps of all groups: to begin one costs as much as a group's steps.
        int vectors = 2 * Lanes.ROWS;
        int steps = groups * (end - first) / (vectors * LENGTH);
        for (int step = 0; step < steps; step++) {
            long offset = BYTES * step;
            IntVector w0 = IntVector.fromMemorySegment(INTS, memory, k0 + offset, ORDER);
            IntVector w1 = IntVector.fromMemorySegment(INTS, memory, k1 + offset, ORDER);
            IntVector w2 = IntVector.fromMemorySegment(INTS, memory, k2 + offset, ORDER);
            IntVector w3 = IntVector.fromMemorySegment(INTS, memory, k3 + offset, ORDER);
            FloatVector x0 = w0.lanewise(LSHL, Short.SIZE).reinterpretAsFloats();
            FloatVector x1 = w1.lanewise(LSHL, Short.SIZE).reinterpretAsFloats();
            FloatVector x2 = w2.lanewise(LSHL, Short.SIZE).reinterpretAsFloats();
            FloatVector x3 = w3.lanewise(LSHL, Short.SIZE).reinterpretAsFloats();
            FloatVector y = FloatVector.fromArray(SPECIES, queries, from);
            s00 = FMA ? x0.fma(y, s00) : x0.mul(y).add(s00);
            s10 = FMA ? x1.fma(y, s10) : x1.mul(y).add(s10);
            s20 = FMA ? x2.fma(y, s20) : x2.mul(y).add(s20);
            s30 = FMA ? x3.fma(y, s30) : x3.mul(y).add(s30);
            y = FloatVector.fromArray(SPECIES, queries, from + 2 * LENGTH);
            s01 = FMA ? x0.fma(y, s01) : x0.mul(y).add(s01);
            s11 = FMA ? x1.fma(y, s11) : x1.mul(y).add(s11);
            s21 = FMA ? x2.fma(y, s21) : x2.mul(y).add(s21);
            s31 = FMA ? x3.fma(y, s31) : x3.mul(y).add(s31);
            y = FloatVector.fromArray(SPECIES, queries, from + 4 * LENGTH);
            s02 = FMA ? x0.fma(y, s02) : x0.mul(y).add(s02);
            s12 = FMA ? x1.fma(y, s12) : x1.mul(y).add(s12);
            s22 = FMA ? x2.fma(y, s22) : x2.mul(y).add(s22);
            s32 = FMA ? x3.fma(y, s32) : x3.mul(y).add(s32);
            y = FloatVector.fromArray(SPECIES, queries, from + 6 * LENGTH);
            s03 = FMA ? x0.fma(y, s03) : x0.mul(y).add(s03);
            s13 = FMA ? x1.fma(y, s13) : x1.mul(y).add(s13);
            s23 = FMA ? x2.fma(y, s23) : x2.mul(y).add(s23);
            s33 = FMA ? x3.fma(y, s33) : x3.mul(y).add(s33);
            x0 = w0.and(UPPER).reinterpretAsFloats();
            x1 = w1.and(UPPER).reinterpretAsFloats();
            x2 = w2.and(UPPER).reinterpretAsFloats();
            x3 = w3.and(UPPER).reinterpretAsFloats();
            y = FloatVector.fromArray(SPECIES, queries, from + LENGTH);
            s00 = FMA ? x0.fma(y, s00) : x0.mul(y).add(s00);
            s10 = FMA ? x1.fma(y, s10) : x1.mul(y).add(s10);
            s20 = FMA ? x2.fma(y, s20) : x2.mul(y).add(s20);
            s30 = FMA ? x3.fma(y, s30) : x3.mul(y).add(s30);
            y = FloatVector.fromArray(SPECIES, queries, from + 3 * LENGTH);
            s01 = FMA ? x0.fma(y, s01) : x0.mul(y).add(s01);
            s11 = FMA ? x1.fma(y, s11) : x1.mul(y).add(s11);
            s21 = FMA ? x2.fma(y, s21) : x2.mul(y).add(s21);
            s31 = FMA ? x3.fma(y, s31) : x3.mul(y).add(s31);
            y = FloatVector.fromArray(SPECIES, queries, from + 5 * LENGTH);
            s02 = FMA ? x0.fma(y, s02) : x0.mul(y).add(s02);
            s12 = FMA ? x1.fma(y, s12) : x1.mul(y).add(s12);
            s22 = FMA ? x2.fma(y, s22) : x2.mul(y).add(s22);
            s32 = FMA ? x3.fma(y, s32) : x3.mul(y).add(s32);
            y = FloatVector.fromArray(SPECIES, queries, from + 7 * LENGTH);
            s03 = FMA ? x0.fma(y, s03) : x0.mul(y).add(s03);
            s13 = FMA ? x1.fma(y, s13) : x1.mul(y).add(s13);
            s23 = FMA ? x2.fma(y, s23) : x2.mul(y).add(s23);
            s33 = FMA ? x3.fma(y, s33) : x3.mul(y).add(s33);
            from += vectors * LENGTH;
            if (from == end) {
                s00.intoArray(sums, sum);
                s01.intoArray(sums, sum + LENGTH);
                s02.intoArray(sums, sum + 2 * LENGTH);
                s03.intoArray(sums, sum + 3 * LENGTH);
                s10.intoArray(sums, sum + 4 * LENGTH);
                s11.intoArray(sums, sum + 5 * LENGTH);
                s12.intoArray(sums, sum + 6 * LENGTH);
                s13.intoArray(sums, sum + 7 * LENGTH);
                s20.intoArray(sums, sum + 8 * LENGTH);
                s21.intoArray(sums, sum + 9 * LENGTH);
                s22.intoArray(sums, sum + 10 * LENGTH);
                s23.intoArray(sums, sum + 11 * LENGTH);
                s30.intoArray(sums, sum + 12 * LENGTH);
                s31.intoArray(sums, sum + 13 * LENGTH);
                s32.intoArray(sums, sum + 14 * LENGTH);
                s33.intoArray(sums, sum + 15 * LENGTH);
                s00 = s01 = s02 = s03 = zero;
                s10 = s11 = s12 = s13 = zero;
                s20 = s21 = s22 = s23 = zero;
                s30 = s31 = s32 = s33 = zero;
                sum += SUMS;
                from = first;
            }
        }
        addLanes(groups, to + group * LENGTH);
    }

    /** Groups of F16, likewise: exponent and significand as those of F32, times the ratio of the biases. */
    private void dotsF16(TilePlaces keys, long base, int group, int groups, int first, int end, int to) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        FloatVector s20 = zero, s21 = zero, s22 = zero, s23 = zero;
        FloatVector s30 = zero, s31 = zero, s32 = zero, s33 = zero;
        ShortVector greater = ShortVector.zero(SHORTS);
        MemorySegment memory = keys.rows().memory();
        int at = GROUP * group;
        long[] k = keys.order();
        long k0 = base + k[at], k1 = base + k[at + 1], k2 = base + k[at + 2], k3 = base + k[at + 3];
        int sum = 0;
        int from = first;
        // One loop over all steps of all groups: to begin one costs as much as a group's steps.
        int vectors = 2 * Lanes.ROWS;
        int steps = groups * (end - first) / (vectors * LENGTH);
        for (int step = 0; step < steps; step++) {
            long offset = BYTES * step;
            IntVector w0 = IntVector.fromMemorySegment(INTS, memory, k0 + offset, ORDER);
            IntVector w1 = IntVector.fromMemorySegment(INTS, memory, k1 + offset, ORDER);
            IntVector w2 = IntVector.fromMemorySegment(INTS, memory, k2 + offset, ORDER);
            IntVector w3 = IntVector.fromMemorySegment(INTS, memory, k3 + offset, ORDER);
            greater = greater.max(w0.and(MAGNITUDES).reinterpretAsShorts());
            greater = greater.max(w1.and(MAGNITUDES).reinterpretAsShorts());
            greater = greater.max(w2.and(MAGNITUDES).reinterpretAsShorts());
            greater = greater.max(w3.and(MAGNITUDES).reinterpretAsShorts());
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
            FloatVector y = FloatVector.fromArray(SPECIES, queries, from);
            s00 = FMA ? x0.fma(y, s00) : x0.mul(y).add(s00);
            s10 = FMA ? x1.fma(y, s10) : x1.mul(y).add(s10);
            s20 = FMA ? x2.fma(y, s20) : x2.mul(y).add(s20);
            s30 = FMA ? x3.fma(y, s30) : x3.mul(y).add(s30);
            y = FloatVector.fromArray(SPECIES, queries, from + 2 * LENGTH);
            s01 = FMA ? x0.fma(y, s01) : x0.mul(y).add(s01);
            s11 = FMA ? x1.fma(y, s11) : x1.mul(y).add(s11);
            s21 = FMA ? x2.fma(y, s21) : x2.mul(y).add(s21);
            s31 = FMA ? x3.fma(y, s31) : x3.mul(y).add(s31);
            y = FloatVector.fromArray(SPECIES, queries, from + 4 * LENGTH);
            s02 = FMA ? x0.fma(y, s02) : x0.mul(y).add(s02);
            s12 = FMA ? x1.fma(y, s12) : x1.mul(y).add(s12);
            s22 = FMA ? x2.fma(y, s22) : x2.mul(y).add(s22);
            s32 = FMA ? x3.fma(y, s32) : x3.mul(y).add(s32);
            y = FloatVector.fromArray(SPECIES, queries, from + 6 * LENGTH);
            s03 = FMA ? x0.fma(y, s03) : x0.mul(y).add(s03);
            s13 = FMA ? x1.fma(y, s13) : x1.mul(y).add(s13);
            s23 = FMA ? x2.fma(y, s23) : x2.mul(y).add(s23);
            s33 = FMA ? x3.fma(y, s33) : x3.mul(y).add(s33);
            x0 = w0.lanewise(ASHR, 3).and(HALF).reinterpretAsFloats().mul(TO_HALF);
            x1 = w1.lanewise(ASHR, 3).and(HALF).reinterpretAsFloats().mul(TO_HALF);
            x2 = w2.lanewise(ASHR, 3).and(HALF).reinterpretAsFloats().mul(TO_HALF);
            x3 = w3.lanewise(ASHR, 3).and(HALF).reinterpretAsFloats().mul(TO_HALF);
            y = FloatVector.fromArray(SPECIES, queries, from + LENGTH);
            s00 = FMA ? x0.fma(y, s00) : x0.mul(y).add(s00);
            s10 = FMA ? x1.fma(y, s10) : x1.mul(y).add(s10);
            s20 = FMA ? x2.fma(y, s20) : x2.mul(y).add(s20);
            s30 = FMA ? x3.fma(y, s30) : x3.mul(y).add(s30);
            y = FloatVector.fromArray(SPECIES, queries, from + 3 * LENGTH);
            s01 = FMA ? x0.fma(y, s01) : x0.mul(y).add(s01);
            s11 = FMA ? x1.fma(y, s11) : x1.mul(y).add(s11);
            s21 = FMA ? x2.fma(y, s21) : x2.mul(y).add(s21);
            s31 = FMA ? x3.fma(y, s31) : x3.mul(y).add(s31);
            y = FloatVector.fromArray(SPECIES, queries, from + 5 * LENGTH);
            s02 = FMA ? x0.fma(y, s02) : x0.mul(y).add(s02);
            s12 = FMA ? x1.fma(y, s12) : x1.mul(y).add(s12);
            s22 = FMA ? x2.fma(y, s22) : x2.mul(y).add(s22);
            s32 = FMA ? x3.fma(y, s32) : x3.mul(y).add(s32);
            y = FloatVector.fromArray(SPECIES, queries, from + 7 * LENGTH);
            s03 = FMA ? x0.fma(y, s03) : x0.mul(y).add(s03);
            s13 = FMA ? x1.fma(y, s13) : x1.mul(y).add(s13);
            s23 = FMA ? x2.fma(y, s23) : x2.mul(y).add(s23);
            s33 = FMA ? x3.fma(y, s33) : x3.mul(y).add(s33);
            from += vectors * LENGTH;
            if (from == end) {
                s00.intoArray(sums, sum);
                s01.intoArray(sums, sum + LENGTH);
                s02.intoArray(sums, sum + 2 * LENGTH);
                s03.intoArray(sums, sum + 3 * LENGTH);
                s10.intoArray(sums, sum + 4 * LENGTH);
                s11.intoArray(sums, sum + 5 * LENGTH);
                s12.intoArray(sums, sum + 6 * LENGTH);
                s13.intoArray(sums, sum + 7 * LENGTH);
                s20.intoArray(sums, sum + 8 * LENGTH);
                s21.intoArray(sums, sum + 9 * LENGTH);
                s22.intoArray(sums, sum + 10 * LENGTH);
                s23.intoArray(sums, sum + 11 * LENGTH);
                s30.intoArray(sums, sum + 12 * LENGTH);
                s31.intoArray(sums, sum + 13 * LENGTH);
                s32.intoArray(sums, sum + 14 * LENGTH);
                s33.intoArray(sums, sum + 15 * LENGTH);
                s00 = s01 = s02 = s03 = zero;
                s10 = s11 = s12 = s13 = zero;
                s20 = s21 = s22 = s23 = zero;
                s30 = s31 = s32 = s33 = zero;
                sum += SUMS;
                from = first;
            }
        }
        greater.max(ShortVector.fromArray(SHORTS, greatest, 0)).intoArray(greatest, 0);
        addLanes(groups, to + group * LENGTH);
    }

    /**
     * Scores of some groups: the sums of sixteen vectors' lanes, pairs of lanes first. Lanes of each are of four rows,
     * as queries are.
     */
    private void addLanes(int groups, int to) {
        for (int group = 0; group < groups; group++) {
            int at = group * SUMS;
            FloatVector a = FloatVector.fromArray(SPECIES, sums, at)
                    .add(FloatVector.fromArray(SPECIES, sums, at + LENGTH).rearrange(SWAP_1));
            FloatVector b = FloatVector.fromArray(SPECIES, sums, at + 2 * LENGTH)
                    .add(FloatVector.fromArray(SPECIES, sums, at + 3 * LENGTH).rearrange(SWAP_1));
            FloatVector c = FloatVector.fromArray(SPECIES, sums, at + 4 * LENGTH)
                    .add(FloatVector.fromArray(SPECIES, sums, at + 5 * LENGTH).rearrange(SWAP_1));
            FloatVector d = FloatVector.fromArray(SPECIES, sums, at + 6 * LENGTH)
                    .add(FloatVector.fromArray(SPECIES, sums, at + 7 * LENGTH).rearrange(SWAP_1));
            FloatVector e = FloatVector.fromArray(SPECIES, sums, at + 8 * LENGTH)
                    .add(FloatVector.fromArray(SPECIES, sums, at + 9 * LENGTH).rearrange(SWAP_1));
            FloatVector f = FloatVector.fromArray(SPECIES, sums, at + 10 * LENGTH)
                    .add(FloatVector.fromArray(SPECIES, sums, at + 11 * LENGTH).rearrange(SWAP_1));
            FloatVector g = FloatVector.fromArray(SPECIES, sums, at + 12 * LENGTH)
                    .add(FloatVector.fromArray(SPECIES, sums, at + 13 * LENGTH).rearrange(SWAP_1));
            FloatVector h = FloatVector.fromArray(SPECIES, sums, at + 14 * LENGTH)
                    .add(FloatVector.fromArray(SPECIES, sums, at + 15 * LENGTH).rearrange(SWAP_1));
            a = a.add(b.rearrange(SWAP_2));
            c = c.add(d.rearrange(SWAP_2));
            e = e.add(f.rearrange(SWAP_2));
            g = g.add(h.rearrange(SWAP_2));
            a = a.blend(c, MASK_4).add(c.blend(a, MASK_4).rearrange(SWAP_4));
            e = e.blend(g, MASK_4).add(g.blend(e, MASK_4).rearrange(SWAP_4));
            a = a.blend(e, MASK_8).add(e.blend(a, MASK_8).rearrange(SWAP_8));
            a.intoArray(scores, to + group * LENGTH);
        }
    }

    /** Four columns' vectors of values of F32, by four rows. */
    private void addF32(
            MemorySegment memory,
            long[] order,
            long offset,
            int begin,
            int end,
            float[] p,
            int first,
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
        for (int i = begin; i < end; i++) {
            long from = order[i] + offset;
            int at = first + i * Lanes.ROWS;
            FloatVector x0 = FloatVector.fromMemorySegment(SPECIES, memory, from, ORDER);
            FloatVector x1 = FloatVector.fromMemorySegment(SPECIES, memory, from + 1 * BYTES, ORDER);
            FloatVector x2 = FloatVector.fromMemorySegment(SPECIES, memory, from + 2 * BYTES, ORDER);
            FloatVector x3 = FloatVector.fromMemorySegment(SPECIES, memory, from + 3 * BYTES, ORDER);
            FloatVector y = FloatVector.broadcast(SPECIES, p[at]);
            s00 = FMA ? x0.fma(y, s00) : x0.mul(y).add(s00);
            s01 = FMA ? x1.fma(y, s01) : x1.mul(y).add(s01);
            s02 = FMA ? x2.fma(y, s02) : x2.mul(y).add(s02);
            s03 = FMA ? x3.fma(y, s03) : x3.mul(y).add(s03);
            y = FloatVector.broadcast(SPECIES, p[at + 1]);
            s10 = FMA ? x0.fma(y, s10) : x0.mul(y).add(s10);
            s11 = FMA ? x1.fma(y, s11) : x1.mul(y).add(s11);
            s12 = FMA ? x2.fma(y, s12) : x2.mul(y).add(s12);
            s13 = FMA ? x3.fma(y, s13) : x3.mul(y).add(s13);
            y = FloatVector.broadcast(SPECIES, p[at + 2]);
            s20 = FMA ? x0.fma(y, s20) : x0.mul(y).add(s20);
            s21 = FMA ? x1.fma(y, s21) : x1.mul(y).add(s21);
            s22 = FMA ? x2.fma(y, s22) : x2.mul(y).add(s22);
            s23 = FMA ? x3.fma(y, s23) : x3.mul(y).add(s23);
            y = FloatVector.broadcast(SPECIES, p[at + 3]);
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

    /**
     * Four columns' vectors of values of BF16: the lower half of an int is an even element, the upper one an odd one,
     * by four rows.
     */
    private void addBf16(
            MemorySegment memory,
            long[] order,
            long offset,
            int begin,
            int end,
            float[] p,
            int first,
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
        for (int i = begin; i < end; i++) {
            long from = order[i] + offset;
            int at = first + i * Lanes.ROWS;
            IntVector w0 = IntVector.fromMemorySegment(INTS, memory, from, ORDER);
            IntVector w1 = IntVector.fromMemorySegment(INTS, memory, from + BYTES, ORDER);
            FloatVector x0 = w0.lanewise(LSHL, Short.SIZE).reinterpretAsFloats();
            FloatVector x1 = w0.and(UPPER).reinterpretAsFloats();
            FloatVector x2 = w1.lanewise(LSHL, Short.SIZE).reinterpretAsFloats();
            FloatVector x3 = w1.and(UPPER).reinterpretAsFloats();
            FloatVector y = FloatVector.broadcast(SPECIES, p[at]);
            s00 = FMA ? x0.fma(y, s00) : x0.mul(y).add(s00);
            s01 = FMA ? x1.fma(y, s01) : x1.mul(y).add(s01);
            s02 = FMA ? x2.fma(y, s02) : x2.mul(y).add(s02);
            s03 = FMA ? x3.fma(y, s03) : x3.mul(y).add(s03);
            y = FloatVector.broadcast(SPECIES, p[at + 1]);
            s10 = FMA ? x0.fma(y, s10) : x0.mul(y).add(s10);
            s11 = FMA ? x1.fma(y, s11) : x1.mul(y).add(s11);
            s12 = FMA ? x2.fma(y, s12) : x2.mul(y).add(s12);
            s13 = FMA ? x3.fma(y, s13) : x3.mul(y).add(s13);
            y = FloatVector.broadcast(SPECIES, p[at + 2]);
            s20 = FMA ? x0.fma(y, s20) : x0.mul(y).add(s20);
            s21 = FMA ? x1.fma(y, s21) : x1.mul(y).add(s21);
            s22 = FMA ? x2.fma(y, s22) : x2.mul(y).add(s22);
            s23 = FMA ? x3.fma(y, s23) : x3.mul(y).add(s23);
            y = FloatVector.broadcast(SPECIES, p[at + 3]);
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

    /**
     * Four columns' vectors of values of F16, likewise: exponent and significand as those of F32, times the ratio of
     * the biases, by four rows.
     */
    private void addF16(
            MemorySegment memory,
            long[] order,
            long offset,
            int begin,
            int end,
            float[] p,
            int first,
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
        ShortVector greater = ShortVector.fromArray(SHORTS, greatest, 0);
        for (int i = begin; i < end; i++) {
            long from = order[i] + offset;
            int at = first + i * Lanes.ROWS;
            IntVector w0 = IntVector.fromMemorySegment(INTS, memory, from, ORDER);
            IntVector w1 = IntVector.fromMemorySegment(INTS, memory, from + BYTES, ORDER);
            greater = greater.max(w0.and(MAGNITUDES).reinterpretAsShorts());
            greater = greater.max(w1.and(MAGNITUDES).reinterpretAsShorts());
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
            FloatVector y = FloatVector.broadcast(SPECIES, p[at]);
            s00 = FMA ? x0.fma(y, s00) : x0.mul(y).add(s00);
            s01 = FMA ? x1.fma(y, s01) : x1.mul(y).add(s01);
            s02 = FMA ? x2.fma(y, s02) : x2.mul(y).add(s02);
            s03 = FMA ? x3.fma(y, s03) : x3.mul(y).add(s03);
            y = FloatVector.broadcast(SPECIES, p[at + 1]);
            s10 = FMA ? x0.fma(y, s10) : x0.mul(y).add(s10);
            s11 = FMA ? x1.fma(y, s11) : x1.mul(y).add(s11);
            s12 = FMA ? x2.fma(y, s12) : x2.mul(y).add(s12);
            s13 = FMA ? x3.fma(y, s13) : x3.mul(y).add(s13);
            y = FloatVector.broadcast(SPECIES, p[at + 2]);
            s20 = FMA ? x0.fma(y, s20) : x0.mul(y).add(s20);
            s21 = FMA ? x1.fma(y, s21) : x1.mul(y).add(s21);
            s22 = FMA ? x2.fma(y, s22) : x2.mul(y).add(s22);
            s23 = FMA ? x3.fma(y, s23) : x3.mul(y).add(s23);
            y = FloatVector.broadcast(SPECIES, p[at + 3]);
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
        greater.intoArray(greatest, 0);
    }
}
