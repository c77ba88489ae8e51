package org.tornadoattention.plan;

import java.util.List;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.kernel.parts.DropoutMask;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.Window;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * What the tasks of one attention read and write.
 *
 * @param query {@code [batch, heads, seqQ, headDim]}
 * @param key {@code [batch, kvHeads, seqK, headDim]}
 * @param value {@code [batch, kvHeads, seqK, valueDim]}
 * @param output {@code [batch, heads, seqQ, valueDim]}
 * @param logSumExp {@code [batch, heads, seqQ]}
 * @param headTerms numbers of each query head, as {@link HeadTerms} lays them out
 * @param keyLengths {@code [batch]}, one unused element where there are none; then the words of dropout, if any
 * @param captured the arrays that functions captured
 */
record AttentionArrays(
        TornadoNativeArray query,
        TornadoNativeArray key,
        TornadoNativeArray value,
        TornadoNativeArray output,
        FloatArray logSumExp,
        FloatArray headTerms,
        IntArray keyLengths,
        List<TornadoNativeArray> captured) {

    /**
     * The arrays of these tensors as the device's kernels take them, with terms of heads, lengths and words sized but
     * not filled.
     *
     * @param captured the arrays of functions, a plan's own or the caller's
     * @param halfFloats whether the device's compiler takes 16-bit floats; without, F16 tensors are seen as raw bits
     */
    static AttentionArrays of(
            AttentionProblem problem,
            Tensor query,
            Tensor key,
            Tensor value,
            Tensor output,
            Tensor logSumExp,
            List<TornadoNativeArray> captured,
            boolean halfFloats) {
        return new AttentionArrays(
                DeviceStorage.seenInPlace(query, halfFloats),
                DeviceStorage.seenInPlace(key, halfFloats),
                DeviceStorage.seenInPlace(value, halfFloats),
                DeviceStorage.seenInPlace(output, halfFloats),
                logSumExp.floatArray(),
                new FloatArray(HeadTerms.size(problem.shape().heads(), problem.features())),
                new IntArray(Window.lengths(problem.shape().batch(), problem.features())
                        + DropoutMask.words(problem.features())),
                captured);
    }

    /** Fills the terms of heads, lengths, the words of dropout and a plan's own captured arrays. */
    void fill(AttentionProblem problem, AttentionOptions options) {
        float[] slopes = options.alibiSlopes();
        for (int head = 0; head < slopes.length; head++) {
            HeadTerms.setSlope(headTerms, head, slopes[head]);
        }
        options.sinks().ifPresent(sinks -> {
            for (int head = 0; head < sinks.numberOfElements(); head++) {
                HeadTerms.setSink(headTerms, head, sinks.getFlat(head), problem.features());
            }
        });
        int[] lengths = options.keyLengths();
        for (int entry = 0; entry < lengths.length; entry++) {
            keyLengths.set(entry, lengths[entry]);
        }
        CapturedArrays.fill(captured, options);
        if (options.hasDropout()) {
            DropoutMask.set(
                    keyLengths,
                    options.dropout().seed(),
                    options.dropout().offset(),
                    options.dropout().threshold());
        }
    }

    /** Changes the seed of dropout, where there is any. */
    void reseed(long seed) {
        DropoutMask.setSeed(keyLengths, seed);
    }
}
