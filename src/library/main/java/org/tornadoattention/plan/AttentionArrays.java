package org.tornadoattention.plan;

import org.tornadoattention.AttentionOptions;
import org.tornadoattention.kernel.TiledFlashAttention;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * What the tasks of one attention read and write.
 *
 * @param query {@code [batch, heads, seqQ, headDim]}
 * @param key {@code [batch, kvHeads, seqK, headDim]}
 * @param value like key
 * @param output like query
 * @param logSumExp {@code [batch, heads, seqQ]}
 * @param alibiSlopes {@code [heads]}, one unused element where there are none
 * @param keyLengths {@code [batch]}, one unused element where there are none; then the words of dropout, if any
 */
record AttentionArrays(
        TornadoNativeArray query,
        TornadoNativeArray key,
        TornadoNativeArray value,
        TornadoNativeArray output,
        FloatArray logSumExp,
        FloatArray alibiSlopes,
        IntArray keyLengths) {

    /**
     * The arrays of these tensors as the device's kernels take them, with slopes, lengths and words sized but not filled.
     *
     * @param halfFloats whether the device's compiler takes 16-bit floats; without, F16 tensors are seen as raw bits
     */
    static AttentionArrays of(
            AttentionProblem problem,
            Tensor query,
            Tensor key,
            Tensor value,
            Tensor output,
            Tensor logSumExp,
            boolean halfFloats) {
        return new AttentionArrays(
                seen(query, halfFloats),
                seen(key, halfFloats),
                seen(value, halfFloats),
                seen(output, halfFloats),
                logSumExp.floatArray(),
                new FloatArray(problem.alibi() ? problem.shape().heads() : 1),
                new IntArray((problem.keyLengths() ? problem.shape().batch() : 1)
                        + (problem.dropout() ? TiledFlashAttention.DROPOUT_WORDS : 0)));
    }

    /** A tensor's array as kernels take it. */
    static TornadoNativeArray seen(Tensor tensor, boolean halfFloats) {
        return tensor.dtype() == DType.F16 && !halfFloats
                ? ShortArray.fromSegmentShallow(tensor.halfFloatArray().getSegmentWithHeader())
                : tensor.array();
    }

    /** Fills slopes, lengths and the words of dropout. */
    void fill(AttentionOptions options) {
        float[] slopes = options.alibiSlopes();
        for (int head = 0; head < slopes.length; head++) {
            alibiSlopes.set(head, slopes[head]);
        }
        int[] lengths = options.keyLengths();
        for (int entry = 0; entry < lengths.length; entry++) {
            keyLengths.set(entry, lengths[entry]);
        }
        if (options.hasDropout()) {
            reseed(options.dropout().seed());
            int words = keyLengths.getSize() - TiledFlashAttention.DROPOUT_WORDS;
            keyLengths.set(words + 2, options.dropout().offset());
            keyLengths.set(words + 3, options.dropout().threshold());
        }
    }

    /** Changes the seed of dropout, where there is any. */
    void reseed(long seed) {
        int words = keyLengths.getSize() - TiledFlashAttention.DROPOUT_WORDS;
        keyLengths.set(words, (int) seed);
        keyLengths.set(words + 1, (int) (seed >>> 32));
    }
}
