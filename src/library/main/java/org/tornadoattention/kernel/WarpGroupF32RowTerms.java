package org.tornadoattention.kernel;

import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.RowTerms;
import org.tornadoattention.kernel.parts.SplitTiles;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * {@link BackwardRowTerms} for F32 on asynchronous tensor cores: D is the diagonal of dO Oᵀ, by the products by which
 * {@link WarpGroupF32QueryGradient} and {@link WarpGroupF32KeyValueGradients} compute dP = dO Vᵀ. Where one key has all
 * the probability, its V is O, so that dP and D are the same sums and dP − D is 0; sums in another order differ by what
 * tensor cores cut off.
 *
 * <p><b>Arrays.</b> output in F32; the parts of dO as {@link SplitRows} writes them, and scales, of which its blocks'
 * begin at {@code firstScale}; the rest as {@link BackwardRowTerms}.
 *
 * <p><b>Grid.</b> One dimension, a group of {@link #GROUP_SIZE} work-items for each block of {@link SplitTiles#BLOCK}
 * queries of a head. <b>Local memory.</b> Two tiles of a block. <b>Device.</b> As {@link WarpGroupFlashAttention}.
 */
public final class WarpGroupF32RowTerms {

    /** Work-items of a group. */
    public static final int GROUP_SIZE = WarpGroup.LANES;

    private WarpGroupF32RowTerms() {}

    /**
     * Computes the terms of a block of rows.
     *
     * @param firstScale the first element of {@code scales} that is dO's
     * @param features {@code LSE_GRADIENT} of {@link Features}
     */
    public static void rowTerms(
            KernelContext context,
            FloatArray output,
            IntArray outputGradientParts,
            FloatArray scales,
            FloatArray logSumExp,
            FloatArray logSumExpGradient,
            FloatArray rowTerms,
            int seqQ,
            @Constant int headDim,
            @Constant int firstScale,
            @Constant int features) {
        Warp.requireGroupSize(GROUP_SIZE);
        int atOutput = SplitTiles.tileBytes(SplitTiles.BLOCK, headDim);
        int[] tile = context.allocateIntLocalArray((headDim + 63) / 64 * 128 * SplitTiles.BLOCK);
        float[] largest = context.allocateFloatLocalArray(GROUP_SIZE / 32);
        int item = context.localIdx;
        int blocks = SplitTiles.blocks(seqQ);
        int batchHead = context.groupIdx / blocks;
        int i0 = context.groupIdx % blocks * SplitTiles.BLOCK;
        int first = batchHead * seqQ + i0;
        int queries = TornadoMath.min(SplitTiles.BLOCK, seqQ - i0);

        // Load dO, and O in two parts.
        SplitTiles.load(tile, 0, SplitTiles.BLOCK, outputGradientParts, first, queries, headDim, item, GROUP_SIZE);
        context.asyncCopyCommit();
        float[] x = new float[SplitTiles.BLOCK * ((headDim + 15) / 16 * 16 / 4) / GROUP_SIZE * 4];
        SplitTiles.read(x, output, first, queries, headDim, item, GROUP_SIZE);
        int exponent = SplitTiles.exponent(SplitTiles.largestOfBlock(context, x, largest, headDim, item, GROUP_SIZE));
        SplitTiles.write(tile, atOutput, x, SplitTiles.power(0 - exponent), headDim, item, GROUP_SIZE);
        context.asyncCopyWaitGroup(0);
        WarpGroup.fenceLocalMemory();
        context.localBarrier();

        // dO O^T.
        float[] c = new float[SplitTiles.BLOCK / 2];
        for (int at = 0; at < SplitTiles.BLOCK / 2; at++) {
            c[at] = 0f;
        }
        WarpGroup.fence();
        SplitTiles.startProduct(c, tile, 0, SplitTiles.BLOCK, atOutput, SplitTiles.BLOCK, headDim);
        WarpGroup.commit();
        WarpGroup.await(0, c, SplitTiles.BLOCK / 2);

        // The lane that has an element of the diagonal writes its row's terms.
        int lane = item % 32;
        int row = item / 32 * 16 + lane / 4;
        float factor = SplitTiles.power(exponent) * scales.get(firstScale + context.groupIdx);
        for (int at = 0; at < SplitTiles.BLOCK / 2; at++) {
            int i = row + at / 2 % 2 * 8;
            if (at / 4 * 8 + lane % 4 * 2 + at % 2 == i) {
                if (i < queries) {
                    float d = c[at] * factor;
                    if ((features & Features.LSE_GRADIENT) != 0) {
                        d = d - logSumExpGradient.get(first + i);
                    }
                    RowTerms.set(rowTerms, first + i, logSumExp.get(first + i), d);
                }
            }
        }
    }
}
