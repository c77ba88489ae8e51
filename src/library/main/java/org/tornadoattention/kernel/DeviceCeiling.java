package org.tornadoattention.kernel;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.enums.MMAShape;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * What a device can do at most when its kernels are written in Java: memory, multiply-adds and tensor cores, each kept
 * busy by a kernel that does nothing else. Attention is compared with these and not with a data sheet.
 *
 * <p><b>Grid.</b> One dimension. {@link #copy} and {@link #multiplyAdd} take a work-item an element of the array that
 * they write, in groups of any size; {@link #tensorCores} and {@link #warpGroups} take groups of 128 work-items, four
 * warps of 32.
 *
 * <p><b>Device.</b> Any for the first two; {@code tensorCores} needs a backend with matrix instructions,
 * {@code warpGroups} compute capability 9.0 and this project's intrinsics.
 */
public final class DeviceCeiling {

    /** Multiply-adds of a work-item in each step of {@link #multiplyAdd}. */
    public static final int CHAINS = 8;

    /** Operations of a warp in each step of {@link #tensorCores}: 8 products of 16×16 by 16×8. */
    public static final int TENSOR_OPERATIONS = CHAINS * 2 * 16 * 8 * 16;

    /** Elements that each warp of {@link #tensorCores} writes: 16 rows of 8 tiles of 8. */
    public static final int WARP_RESULT = 16 * 64;

    /** Operations of a group in each step of {@link #warpGroups}: 64×64 by 64×256. */
    public static final int WARP_GROUP_OPERATIONS = 2 * 64 * 64 * 256;

    /** Rows of 128 bytes of the tile that {@link #warpGroups} multiplies: 64 of A, 256 of B. */
    private static final int TILE_ROWS = 64 + 256;

    private static final int COLUMNS = 256;

    private DeviceCeiling() {}

    /** {@code to = from}: 4 bytes read and 4 written for each element. */
    public static void copy(FloatArray from, FloatArray to) {
        for (@Parallel int i = 0; i < to.getSize(); i++) {
            to.set(i, from.get(i));
        }
    }

    /**
     * {@code 2 * CHAINS * steps} operations for each element of the result: eight independent chains {@code a = a * x +
     * y}, so that none waits for another.
     *
     * @param x factors {@code [2]}, which the compiler must not know
     */
    public static void multiplyAdd(FloatArray x, FloatArray result, int steps) {
        for (@Parallel int i = 0; i < result.getSize(); i++) {
            float factor = x.get(0);
            float summand = x.get(1);
            float a0 = i;
            float a1 = i + 1;
            float a2 = i + 2;
            float a3 = i + 3;
            float a4 = i + 4;
            float a5 = i + 5;
            float a6 = i + 6;
            float a7 = i + 7;
            for (int step = 0; step < steps; step++) {
                a0 = a0 * factor + summand;
                a1 = a1 * factor + summand;
                a2 = a2 * factor + summand;
                a3 = a3 * factor + summand;
                a4 = a4 * factor + summand;
                a5 = a5 * factor + summand;
                a6 = a6 * factor + summand;
                a7 = a7 * factor + summand;
            }
            result.set(i, a0 + a1 + a2 + a3 + (a4 + a5 + a6 + a7));
        }
    }

    /**
     * {@code TENSOR_OPERATIONS * steps} operations for each warp: eight independent sums of products of F16 tiles, in
     * F32.
     *
     * @param result {@code [warps * 16, 64]}
     */
    public static void tensorCores(KernelContext context, FloatArray result, int steps) {
        int[] tile = context.allocateIntLocalArray(128);
        // Two halves an int, between 0.06 and 0.13: numbers as good as any, since what is multiplied costs power.
        tile[context.localIdx] = 0x2c002c00 + context.localIdx * 0x70005;
        context.localBarrier();
        HalfFloat[] a = context.mmaLoadA(tile, 16);
        HalfFloat[] b = context.mmaLoadB(tile, 16);
        float[] c0 = context.mmaFragment(0f);
        float[] c1 = context.mmaFragment(0f);
        float[] c2 = context.mmaFragment(0f);
        float[] c3 = context.mmaFragment(0f);
        float[] c4 = context.mmaFragment(0f);
        float[] c5 = context.mmaFragment(0f);
        float[] c6 = context.mmaFragment(0f);
        float[] c7 = context.mmaFragment(0f);
        for (int step = 0; step < steps; step++) {
            c0 = context.mma(a, b, c0, MMAShape.M16N8K16);
            c1 = context.mma(a, b, c1, MMAShape.M16N8K16);
            c2 = context.mma(a, b, c2, MMAShape.M16N8K16);
            c3 = context.mma(a, b, c3, MMAShape.M16N8K16);
            c4 = context.mma(a, b, c4, MMAShape.M16N8K16);
            c5 = context.mma(a, b, c5, MMAShape.M16N8K16);
            c6 = context.mma(a, b, c6, MMAShape.M16N8K16);
            c7 = context.mma(a, b, c7, MMAShape.M16N8K16);
        }
        int row = (context.groupIdx * 4 + context.localIdx / 32) * 16;
        context.mmaStore(c0, result, row, 0, 64);
        context.mmaStore(c1, result, row, 8, 64);
        context.mmaStore(c2, result, row, 16, 64);
        context.mmaStore(c3, result, row, 24, 64);
        context.mmaStore(c4, result, row, 32, 64);
        context.mmaStore(c5, result, row, 40, 64);
        context.mmaStore(c6, result, row, 48, 64);
        context.mmaStore(c7, result, row, 56, 64);
    }

    /**
     * {@code WARP_GROUP_OPERATIONS * steps} operations for each group: products of F16 tiles in local memory, in F32,
     * by asynchronous instructions.
     *
     * @param result an element for each work-item
     * @param steps 1 or more
     */
    public static void warpGroups(KernelContext context, FloatArray result, int steps) {
        Warp.requireGroupSize(WarpGroup.LANES);
        int[] tile = context.allocateIntLocalArray(TILE_ROWS * WarpGroup.ROW_BYTES / Integer.BYTES);
        for (int i = context.localIdx; i < TILE_ROWS * WarpGroup.ROW_BYTES / Integer.BYTES; i += WarpGroup.LANES) {
            tile[i] = 0x2c002c00 + i % 128 * 0x70005;
        }
        WarpGroup.fenceLocalMemory();
        context.localBarrier();
        int atB = 64 * WarpGroup.ROW_BYTES;
        float[] c = new float[COLUMNS / 2];
        for (int step = 0; step < steps; step++) {
            WarpGroup.fence();
            WarpGroup.multiply(Warp.F16, c, COLUMNS, tile, 0, atB, step > 0 ? 1 : 0);
            WarpGroup.multiply(Warp.F16, c, COLUMNS, tile, 32, atB + 32, 1);
            WarpGroup.multiply(Warp.F16, c, COLUMNS, tile, 64, atB + 64, 1);
            WarpGroup.multiply(Warp.F16, c, COLUMNS, tile, 96, atB + 96, 1);
            WarpGroup.commit();
            WarpGroup.await(0, c, COLUMNS / 2);
        }
        float sum = 0f;
        for (int i = 0; i < COLUMNS / 2; i++) {
            sum += c[i];
        }
        result.set(context.globalIdx, sum);
    }
}
