package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.Storage.load;

import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.kernel.parts.RowTerms;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * What the backward kernels need of each query besides its vectors: its log-sum-exp L and {@code D = rowsum(dO ∘ O)}.
 *
 * <p>Source: Dao et al., <i>FlashAttention</i> (2022), appendix B.2: {@code dS = P ∘ (dP - D)}. A gradient that arrives
 * on the log-sum-exp adds {@code dL · P} to dS, which is the same as taking dL from D.
 *
 * <p><b>Arrays.</b> output and outputGradient {@code [batch, heads, seqQ, headDim]}, logSumExp and logSumExpGradient
 * {@code [batch, heads, seqQ]}, rowTerms {@code [batch, heads, seqQ, 2]}: L, then D.
 *
 * <p><b>Grid.</b> {@code batch * heads * seqQ} work-items in one dimension, groups of any size. No local memory.
 * <b>Device.</b> Any. <b>Not done here.</b> Neighbouring work-items read rows apart from each other; it is O(seqQ) work
 * beside the O(seqQ · seqK) of the other kernels.
 */
public final class BackwardRowTerms {

    private BackwardRowTerms() {}

    /**
     * Computes the terms of every row. A query that saw no key gets terms that make its P and dS 0.
     *
     * @param heads query heads, and seqQ queries of each: where views lie
     * @param parts in how many interleaved parts the kernel that uses D sums dP: where one key has all the probability,
     *     dP and D are the same sum, and only in the same order do they cancel
     * @param features {@code LSE_GRADIENT}, {@code F16_BITS} and {@code NATIVE_BF16}, added
     */
    public static void rowTerms(
            @Element FloatArray output,
            @Element FloatArray outputGradient,
            FloatArray logSumExp,
            FloatArray logSumExpGradient,
            FloatArray rowTerms,
            @Constant int heads,
            @Constant int seqQ,
            int valueDim,
            int parts,
            int features) {
        for (@Parallel int row = 0; row < logSumExp.getSize(); row++) {
            int outputAt = row * valueDim;
            int gradientAt = row * valueDim;
            if (Layout.isStrided()) {
                int batchHead = row / seqQ;
                outputAt = Layout.output(batchHead / heads, batchHead % heads, row % seqQ);
                gradientAt = Layout.outputGradient(batchHead / heads, batchHead % heads, row % seqQ);
            }
            float d = 0f;
            for (int part = 0; part < parts; part++) {
                float sum = 0f;
                for (int x = part; x < valueDim; x += parts) {
                    sum += load(outputGradient, gradientAt + x, features) * load(output, outputAt + x, features);
                }
                d += sum;
            }
            if ((features & Features.LSE_GRADIENT) != 0) {
                d = d - logSumExpGradient.get(row);
            }
            RowTerms.set(rowTerms, row, logSumExp.get(row), d);
        }
    }
}
