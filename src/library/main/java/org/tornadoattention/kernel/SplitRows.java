package org.tornadoattention.kernel;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.kernel.parts.SplitTiles;
import org.tornadoattention.kernel.parts.WarpTiles;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Splits an F32 tensor into the pairs of 16-bit numbers that {@link WarpGroupF32FlashAttention} and its gradients
 * multiply: {@link SplitTiles}.
 *
 * <p><b>Arrays.</b> source {@code [batch, heads, seq, headDim]}, where rows from {@code keyLengths[batch]} on count as
 * 0; target {@code [batch, heads, seq, rowInts]} as {@link SplitTiles} says; scales, from {@code firstScale} on
 * {@code [batch, heads, blocks]}, the factor that gives a block's numbers back.
 *
 * <p><b>Grid.</b> One dimension, a group of {@link #GROUP_SIZE} work-items for each block of {@link SplitTiles#BLOCK}
 * rows. <b>Device.</b> As {@link WarpFlashAttention}.
 */
public final class SplitRows {

    /** Work-items of a group. */
    public static final int GROUP_SIZE = 256;

    private SplitRows() {}

    /**
     * Splits a block of rows.
     *
     * @param heads of the source
     * @param firstScale the first element of {@code scales} that is this tensor's
     * @param features {@code KEY_LENGTHS} of {@link org.tornadoattention.kernel.parts.Features}
     */
    public static void split(
            KernelContext context,
            FloatArray source,
            IntArray target,
            FloatArray scales,
            IntArray keyLengths,
            int heads,
            int seq,
            int headDim,
            int firstScale,
            int features) {
        Warp.requireGroupSize(GROUP_SIZE);
        float[] largest = context.allocateFloatLocalArray(GROUP_SIZE / 32);
        int item = context.localIdx;
        int paddedDim = WarpTiles.paddedDim(headDim);
        int quads = paddedDim / 4;
        int blocks = SplitTiles.blocks(seq);
        int batchHead = context.groupIdx / blocks;
        int first = context.groupIdx % blocks * SplitTiles.BLOCK;
        int length = Window.length(keyLengths, batchHead / heads, seq, features);
        int base = batchHead * seq + first;

        float[] x = new float[SplitTiles.BLOCK * ((headDim + 15) / 16 * 16 / 4) / GROUP_SIZE * 4];
        SplitTiles.read(x, source, base, length - first, headDim, item, GROUP_SIZE);
        int exponent = SplitTiles.exponent(SplitTiles.largestOfBlock(context, x, largest, headDim, item, GROUP_SIZE));
        float inverse = SplitTiles.power(0 - exponent);
        if (item == 0) {
            scales.set(firstScale + context.groupIdx, SplitTiles.power(exponent));
        }
        for (int i = 0; i < SplitTiles.BLOCK * quads / GROUP_SIZE; i++) {
            int row = (i * GROUP_SIZE + item) / quads;
            int quad = (i * GROUP_SIZE + item) % quads;
            if (first + row < seq) {
                int to = (base + row) * paddedDim + 2 * quad;
                for (int pair = 0; pair < 2; pair++) {
                    float a = x[4 * i + 2 * pair] * inverse;
                    float b = x[4 * i + 2 * pair + 1] * inverse;
                    int high = Warp.pack(Warp.F16, a, b);
                    target.set(to + pair, high);
                    target.set(to + paddedDim / 2 + pair, SplitTiles.rest(a, b, high));
                }
            }
        }
    }
}
