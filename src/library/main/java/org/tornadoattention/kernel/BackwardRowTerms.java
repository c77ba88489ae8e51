package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.Storage.load;

import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * What the backward kernels need of each query besides its vectors: its log-sum-exp L and {@code D = rowsum(dO ∘ O)}.
 *
 * <p>Source: Dao et al., <i>FlashAttention</i> (2022), appendix B.2: {@code dS = P ∘ (dP - D)}. A gradient that arrives on
 * the log-sum-exp adds {@code dL · P} to dS, which is the same as taking dL from D.
 *
 * <p><b>Arrays.</b> output and outputGradient {@code [batch, heads, seqQ, headDim]}, logSumExp and logSumExpGradient
 * {@code [batch, heads, seqQ]}, rowTerms {@code [batch, heads, seqQ, 2]}: L, then D.
 *
 * <p><b>Grid.</b> {@code batch * heads * seqQ} work-items in one dimension, groups of any size. No local memory.
 * <b>Device.</b> Any. <b>Not done here.</b> Neighbouring work-items read rows apart from each other; it is O(seqQ) work
 * beside the O(seqQ · seqK) of the other kernels.
 *
 * <p>The 16-bit kernels are derived from this text as {@link TiledFlashAttention} tells.
 */
public final class BackwardRowTerms {

    /** Set in {@code features} when {@code logSumExpGradient} is used. */
    public static final int LSE_GRADIENT = 32;

    /** A log-sum-exp above every score, which makes P = exp(S - L) exactly 0, yet finite: see {@link TiledFlashAttention}. */
    static final float ABOVE_ALL_SCORES = 3.0e38f;

    private BackwardRowTerms() {}

    /**
     * Computes the terms of every row. A query that saw no key gets terms that make its P and dS 0.
     *
     * @param parts in how many interleaved parts the kernel that uses D sums dP: where one key has all the probability, dP
     *     and D are the same sum, and only in the same order do they cancel
     * @param features {@link #LSE_GRADIENT}, {@link TiledFlashAttention#F16_BITS} and
     *     {@link TiledFlashAttention#NATIVE_BF16}, added
     */
    public static void rowTerms(
            FloatArray output,
            FloatArray outputGradient,
            FloatArray logSumExp,
            FloatArray logSumExpGradient,
            FloatArray rowTerms,
            int headDim,
            int parts,
            int features) {
        for (@Parallel int row = 0; row < logSumExp.getSize(); row++) {
            float d = 0f;
            for (int part = 0; part < parts; part++) {
                float sum = 0f;
                for (int x = part; x < headDim; x += parts) {
                    sum += load(outputGradient, row * headDim + x, features)
                            * load(output, row * headDim + x, features);
                }
                d += sum;
            }
            if ((features & LSE_GRADIENT) != 0) {
                d = d - logSumExpGradient.get(row);
            }
            float lse = logSumExp.get(row);
            if (lse < -ABOVE_ALL_SCORES) {
                lse = ABOVE_ALL_SCORES;
                d = 0f;
            }
            rowTerms.set(2 * row, lse);
            rowTerms.set(2 * row + 1, d);
        }
    }
}
