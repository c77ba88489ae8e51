package org.tornadoattention.embeddings;

import org.tornadoattention.intrinsic.Warp;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * What an encoder computes on a device besides attention and matrix products. Rows are tokens, matrices {@code [rows,
 * width]} in F32.
 */
final class EncoderKernels {

    /** Work-items of a group that normalises a row. */
    static final int ROW_GROUP = 32;

    /** Work-items of a group that makes a vector of a sequence. */
    static final int POOL_GROUP = 128;

    /** What a length is at least, so that nothing is divided by 0 where there is no sequence. */
    private static final float SHORTEST = 1e-30f;

    private EncoderKernels() {}

    /** Looks up both parts of the embeddings, which {@link #addAndNormalise} adds. */
    static void embed(
            IntArray tokens,
            IntArray positions,
            FloatArray words,
            FloatArray places,
            FloatArray x,
            FloatArray added,
            int width) {
        for (@Parallel int i = 0; i < x.getSize(); i++) {
            int row = i / width;
            int column = i % width;
            x.set(i, words.get(tokens.get(row) * width + column));
            added.set(i, places.get(positions.get(row) * width + column));
        }
    }

    /** {@code x = layerNorm(x + added)}: a group of {@link #ROW_GROUP} work-items for each row. */
    static void addAndNormalise(
            KernelContext context,
            FloatArray x,
            FloatArray added,
            FloatArray scale,
            FloatArray shift,
            int width,
            float epsilon) {
        float[] sums = context.allocateFloatLocalArray(ROW_GROUP);
        int item = context.localIdx;
        int at = context.groupIdx * width;
        float sum = 0f;
        for (int i = item; i < width; i += ROW_GROUP) {
            float value = x.get(at + i) + added.get(at + i);
            x.set(at + i, value);
            sum += value;
        }
        sums[item] = sum;
        context.localBarrier();
        float mean = 0f;
        for (int i = 0; i < ROW_GROUP; i++) {
            mean += sums[i];
        }
        mean = mean / width;
        context.localBarrier();
        float squares = 0f;
        for (int i = item; i < width; i += ROW_GROUP) {
            float difference = x.get(at + i) - mean;
            squares += difference * difference;
        }
        sums[item] = squares;
        context.localBarrier();
        float variance = 0f;
        for (int i = 0; i < ROW_GROUP; i++) {
            variance += sums[i];
        }
        float factor = 1f / TornadoMath.sqrt(variance / width + epsilon);
        for (int i = item; i < width; i += ROW_GROUP) {
            x.set(at + i, (x.get(at + i) - mean) * factor * scale.get(i) + shift.get(i));
        }
    }

    /** Work-items of a group of {@link #addAndNormaliseByWarps}, a warp for each row. */
    static final int WARPS_GROUP = 256;

    /** Elements of a row that a warp reads at once. */
    private static final int STEP = 256;

    /**
     * As {@link #addAndNormalise}, a warp for each row, with the result rounded to F16 too, as products read it; the
     * width is a multiple of 8.
     */
    static void addAndNormaliseByWarps(
            KernelContext context,
            FloatArray x,
            FloatArray added,
            FloatArray scale,
            FloatArray shift,
            ShortArray narrow,
            int width,
            float epsilon) {
        Warp.requireGroupSize(WARPS_GROUP);
        float[] own = new float[(width + STEP - 1) / STEP * 8];
        float[] other = new float[8];
        int[] packed = new int[4];
        int lane = context.localIdx % 32;
        int at = (context.groupIdx * (WARPS_GROUP / 32) + context.localIdx / 32) * width;
        float sum = 0f;
        for (int i = 0; i < (width + STEP - 1) / STEP; i++) {
            int column = i * STEP + lane * 8;
            if (column < width) {
                Warp.loadFour(own, 8 * i, x, at + column);
                Warp.loadFour(own, 8 * i + 4, x, at + column + 4);
                Warp.loadFour(other, 0, added, at + column);
                Warp.loadFour(other, 4, added, at + column + 4);
                for (int j = 0; j < 8; j++) {
                    own[8 * i + j] += other[j];
                    sum += own[8 * i + j];
                }
            }
        }
        float mean = sumOfWarp(sum) / width;
        float squares = 0f;
        for (int i = 0; i < (width + STEP - 1) / STEP; i++) {
            if (i * STEP + lane * 8 < width) {
                for (int j = 0; j < 8; j++) {
                    float difference = own[8 * i + j] - mean;
                    squares += difference * difference;
                }
            }
        }
        float factor = 1f / TornadoMath.sqrt(sumOfWarp(squares) / width + epsilon);
        for (int i = 0; i < (width + STEP - 1) / STEP; i++) {
            int column = i * STEP + lane * 8;
            if (column < width) {
                for (int j = 0; j < 8; j++) {
                    other[j] = (own[8 * i + j] - mean) * factor * Warp.load(scale, column + j)
                            + Warp.load(shift, column + j);
                }
                for (int j = 0; j < 4; j++) {
                    packed[j] = Warp.pack(Warp.F16, other[2 * j], other[2 * j + 1]);
                }
                Warp.storeFour(x, at + column, other, 0);
                Warp.storeFour(x, at + column + 4, other, 4);
                Warp.storeEight(narrow, at + column, packed, 0);
            }
        }
    }

    private static float sumOfWarp(float value) {
        float sum = value + Warp.shuffleXor(value, 16);
        sum = sum + Warp.shuffleXor(sum, 8);
        sum = sum + Warp.shuffleXor(sum, 4);
        sum = sum + Warp.shuffleXor(sum, 2);
        return sum + Warp.shuffleXor(sum, 1);
    }

    /** As {@link #split}, of F16's bits, eight elements for each work-item. */
    static void splitBits(
            KernelContext context,
            ShortArray projected,
            HalfFloatArray q,
            HalfFloatArray k,
            HalfFloatArray v,
            int width) {
        int[] packed = new int[4];
        int i = 8 * context.globalIdx;
        if (i < q.getSize()) {
            int at = i / width * 3 * width + i % width;
            Warp.loadEight(packed, 0, projected, at, 0, 0);
            Warp.storeEight(q, i, packed, 0);
            Warp.loadEight(packed, 0, projected, at + width, 0, 0);
            Warp.storeEight(k, i, packed, 0);
            Warp.loadEight(packed, 0, projected, at + 2 * width, 0, 0);
            Warp.storeEight(v, i, packed, 0);
        }
    }

    /** Takes queries, keys and values of a row apart. */
    static void split(FloatArray projected, FloatArray q, FloatArray k, FloatArray v, int width) {
        for (@Parallel int i = 0; i < q.getSize(); i++) {
            int at = i / width * 3 * width + i % width;
            q.set(i, projected.get(at));
            k.set(i, projected.get(at + width));
            v.set(i, projected.get(at + 2 * width));
        }
    }

    /** As {@link #split}, two elements for each work-item, rounded to F16; where there are tensor cores. */
    static void splitToHalf(
            KernelContext context,
            FloatArray projected,
            HalfFloatArray q,
            HalfFloatArray k,
            HalfFloatArray v,
            int width) {
        int i = 2 * context.globalIdx;
        if (i < q.getSize()) {
            int at = i / width * 3 * width + i % width;
            Warp.store(q, i, Warp.pack(Warp.F16, projected.get(at), projected.get(at + 1)), 2);
            Warp.store(k, i, Warp.pack(Warp.F16, projected.get(at + width), projected.get(at + width + 1)), 2);
            Warp.store(v, i, Warp.pack(Warp.F16, projected.get(at + 2 * width), projected.get(at + 2 * width + 1)), 2);
        }
    }

    /** F16 as its bits, two elements for each work-item. */
    static void bits(KernelContext context, HalfFloatArray narrow, ShortArray bits) {
        int i = 2 * context.globalIdx;
        if (i < bits.getSize()) {
            Warp.store(
                    bits,
                    i,
                    Warp.pack(Warp.F16, Warp.load(Warp.F16, narrow, i), Warp.load(Warp.F16, narrow, i + 1)),
                    2);
        }
    }

    /** F16 as F32. */
    static void widen(HalfFloatArray narrow, FloatArray wide) {
        for (@Parallel int i = 0; i < wide.getSize(); i++) {
            wide.set(i, narrow.get(i).getFloat32());
        }
    }

    /**
     * The mean of each sequence's rows, or its first row, made of length 1: a group of {@link #POOL_GROUP} work-items
     * for each.
     *
     * @param offsets where each sequence begins; those that are not there begin where the last one ends
     * @param vectors {@code [sequences, width]}
     * @param lengths what the vectors' lengths were, {@code [sequences]}
     * @param first 1 to take the first row alone
     */
    static void pool(
            KernelContext context,
            FloatArray x,
            IntArray offsets,
            FloatArray vectors,
            FloatArray lengths,
            int width,
            int first) {
        float[] sums = context.allocateFloatLocalArray(POOL_GROUP);
        int item = context.localIdx;
        int sequence = context.groupIdx;
        int from = offsets.get(sequence);
        int to = offsets.get(sequence + 1);
        int end = first == 1 ? TornadoMath.min(to, from + 1) : to;
        float count = TornadoMath.max(1, end - from);
        float squares = 0f;
        for (int i = item; i < width; i += POOL_GROUP) {
            float sum = 0f;
            for (int row = from; row < end; row++) {
                sum += x.get(row * width + i);
            }
            float mean = sum / count;
            vectors.set(sequence * width + i, mean);
            squares += mean * mean;
        }
        sums[item] = squares;
        context.localBarrier();
        float total = 0f;
        for (int i = 0; i < POOL_GROUP; i++) {
            total += sums[i];
        }
        float length = TornadoMath.max(SHORTEST, TornadoMath.sqrt(total));
        for (int i = item; i < width; i += POOL_GROUP) {
            vectors.set(sequence * width + i, vectors.get(sequence * width + i) / length);
        }
        if (item == 0) {
            lengths.set(sequence, length);
        }
    }
}
