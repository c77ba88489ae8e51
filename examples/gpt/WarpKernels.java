package gpt;

import org.tornadoattention.intrinsic.Warp;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * What a GPT computes around products by warp groups: as {@link Kernels}, with what a product reads in BF16, as raw
 * bits. A warp has a row, or reads and writes 16 bytes at once; sizes are multiples of 8.
 */
final class WarpKernels {

    /** Work-items of a group. */
    static final int GROUP = 256;

    private static final int LANES = 32;
    /** Elements of a row that a warp reads at once. */
    private static final int STEP = 8 * LANES;

    private WarpKernels() {}

    /** Groups for a matrix, a warp for each row. */
    static int groups(int rows) {
        return Math.ceilDiv(rows, GROUP / LANES);
    }

    /** {@link Kernels#normalise} of F32 to BF16. */
    static void normalise(
            KernelContext context, FloatArray x, ShortArray y, FloatArray inverseDeviation, int rows, int width) {
        Warp.requireGroupSize(GROUP);
        float[] own = new float[(width + STEP - 1) / STEP * 8];
        int[] packed = new int[4];
        int lane = context.localIdx % LANES;
        // The last warps may have the last row again, and write the same
        int row = TornadoMath.min(context.groupIdx * (GROUP / LANES) + context.localIdx / LANES, rows - 1);
        float sum = 0f;
        for (int i = 0; i < (width + STEP - 1) / STEP; i++) {
            int column = i * STEP + lane * 8;
            if (column < width) {
                Warp.loadFour(own, 8 * i, x, row * width + column);
                Warp.loadFour(own, 8 * i + 4, x, row * width + column + 4);
                for (int j = 0; j < 8; j++) {
                    sum += own[8 * i + j];
                }
            }
        }
        float mean = sumOfWarp(sum) / width;
        float squares = 0f;
        for (int i = 0; i < (width + STEP - 1) / STEP; i++) {
            if (i * STEP + lane * 8 < width) {
                for (int j = 0; j < 8; j++) {
                    float d = own[8 * i + j] - mean;
                    squares += d * d;
                }
            }
        }
        float inverse = 1f / TornadoMath.sqrt(sumOfWarp(squares) / width + Kernels.VARIANCE_FLOOR);
        for (int i = 0; i < (width + STEP - 1) / STEP; i++) {
            int column = i * STEP + lane * 8;
            if (column < width) {
                for (int j = 0; j < 4; j++) {
                    float left = (own[8 * i + 2 * j] - mean) * inverse;
                    float right = (own[8 * i + 2 * j + 1] - mean) * inverse;
                    packed[j] = Warp.pack(Warp.BF16, left, right);
                }
                Warp.storeEight(y, row * width + column, packed, 0);
            }
        }
        inverseDeviation.set(row, inverse);
    }

    /** {@link Kernels#normaliseGradient} of BF16, added to dx, which is then rounded too. */
    static void normaliseGradient(
            KernelContext context,
            ShortArray dy,
            ShortArray y,
            FloatArray inverseDeviation,
            FloatArray dx,
            ShortArray rounded,
            int rows,
            int width) {
        Warp.requireGroupSize(GROUP);
        int[] ofDy = new int[(width + STEP - 1) / STEP * 4];
        int[] ofY = new int[(width + STEP - 1) / STEP * 4];
        float[] sums = new float[8];
        int[] packed = new int[4];
        int lane = context.localIdx % LANES;
        int row = TornadoMath.min(context.groupIdx * (GROUP / LANES) + context.localIdx / LANES, rows - 1);
        // Where rows are not a multiple of what a group has, a row must not be added twice
        int own = context.groupIdx * (GROUP / LANES) + context.localIdx / LANES;
        float sum = 0f;
        float sumWithY = 0f;
        for (int i = 0; i < (width + STEP - 1) / STEP; i++) {
            int column = i * STEP + lane * 8;
            if (column < width) {
                Warp.loadEight(ofDy, 4 * i, dy, row * width + column, 0, 0);
                Warp.loadEight(ofY, 4 * i, y, row * width + column, 0, 0);
                for (int j = 0; j < 4; j++) {
                    float left = Warp.unpack(Warp.BF16, ofDy[4 * i + j], 0);
                    float right = Warp.unpack(Warp.BF16, ofDy[4 * i + j], 1);
                    sum += left + right;
                    sumWithY += left * Warp.unpack(Warp.BF16, ofY[4 * i + j], 0)
                            + right * Warp.unpack(Warp.BF16, ofY[4 * i + j], 1);
                }
            }
        }
        float mean = sumOfWarp(sum) / width;
        float meanWithY = sumOfWarp(sumWithY) / width;
        float inverse = inverseDeviation.get(row);
        for (int i = 0; i < (width + STEP - 1) / STEP; i++) {
            int column = i * STEP + lane * 8;
            int inside = TornadoMath.min(width - column, rows - own);
            if (inside > 0) {
                int at = row * width + column;
                Warp.loadFour(sums, 0, dx, at);
                Warp.loadFour(sums, 4, dx, at + 4);
                for (int j = 0; j < 4; j++) {
                    float left = Warp.unpack(Warp.BF16, ofDy[4 * i + j], 0);
                    float right = Warp.unpack(Warp.BF16, ofDy[4 * i + j], 1);
                    sums[2 * j] += (left - mean - Warp.unpack(Warp.BF16, ofY[4 * i + j], 0) * meanWithY) * inverse;
                    sums[2 * j + 1] += (right - mean - Warp.unpack(Warp.BF16, ofY[4 * i + j], 1) * meanWithY) * inverse;
                    packed[j] = Warp.pack(Warp.BF16, sums[2 * j], sums[2 * j + 1]);
                }
                Warp.storeFour(dx, at, sums, 0);
                Warp.storeFour(dx, at + 4, sums, 4);
                Warp.storeEight(rounded, at, packed, 0);
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

    /**
     * {@link Kernels#adamW} with a gradient that is the sum of {@code parts}, or one part, which is the gradient itself
     * and is not written again, and with the value rounded for products; four elements for each work-item.
     */
    static void adamW(
            KernelContext context,
            FloatArray value,
            FloatArray partial,
            FloatArray gradient,
            FloatArray first,
            FloatArray second,
            ShortArray rounded,
            FloatArray schedule,
            int size,
            int parts) {
        Warp.requireGroupSize(GROUP);
        float[] g = new float[4];
        float[] w = new float[4];
        float[] m = new float[4];
        float[] v = new float[4];
        int i = 4 * context.globalIdx;
        if (i < size) {
            Warp.loadFour(w, 0, value, i);
            Warp.loadFour(m, 0, first, i);
            Warp.loadFour(v, 0, second, i);
            Warp.loadFour(g, 0, partial, i);
            if (parts > 1) {
                float[] more = new float[4];
                for (int part = 1; part < parts; part++) {
                    Warp.loadFour(more, 0, partial, part * size + i);
                    g[0] += more[0];
                    g[1] += more[1];
                    g[2] += more[2];
                    g[3] += more[3];
                }
                Warp.storeFour(gradient, i, g, 0);
            }
            float rate = schedule.get(0);
            float firstSum = schedule.get(1);
            float secondSum = schedule.get(2);
            float decay = schedule.get(3);
            for (int e = 0; e < 4; e++) {
                m[e] = Kernels.BETA_1 * m[e] + (1f - Kernels.BETA_1) * g[e];
                v[e] = Kernels.BETA_2 * v[e] + (1f - Kernels.BETA_2) * g[e] * g[e];
                float step = m[e] / firstSum / (TornadoMath.sqrt(v[e] / secondSum) + Kernels.DENOMINATOR_FLOOR);
                w[e] = w[e] - rate * (step + decay * w[e]);
            }
            Warp.storeFour(value, i, w, 0);
            Warp.storeFour(first, i, m, 0);
            Warp.storeFour(second, i, v, 0);
            Warp.store(rounded, i, Warp.pack(Warp.BF16, w[0], w[1]), 2);
            Warp.store(rounded, i + 2, Warp.pack(Warp.BF16, w[2], w[3]), 2);
        }
    }

    /** BF16 as F32, two elements for each work-item: for attention that has no BF16. */
    static void widen(KernelContext context, ShortArray narrow, FloatArray wide) {
        int i = 2 * context.globalIdx;
        if (i < wide.getSize()) {
            Warp.store(wide, i, Warp.load(Warp.BF16, narrow, i));
            Warp.store(wide, i + 1, Warp.load(Warp.BF16, narrow, i + 1));
        }
    }

    /** The other way. */
    static void narrow(KernelContext context, FloatArray wide, ShortArray narrow) {
        int i = 2 * context.globalIdx;
        if (i < narrow.getSize()) {
            Warp.store(narrow, i, Warp.pack(Warp.BF16, wide.get(i), wide.get(i + 1)), 2);
        }
    }
}
