package org.tornadoattention.decode;

import java.util.List;
import java.util.Optional;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * What the tasks of one step read and write; the kernels say what each holds.
 *
 * @param newQuery queries as they come
 * @param newKey keys to append
 * @param newValue values to append
 * @param query queries made ready
 * @param key all keys
 * @param value all values
 * @param partials outputs and log-sum-exps of the splits
 * @param output merged output
 * @param logSumExp merged log-sum-exps
 * @param sequences lengths, padding and page tables
 * @param step what is new in this step
 * @param numbers scale, softcap, slopes and sinks
 * @param rotary cosines and sines
 * @param scales of FP8 pages
 * @param unusedKey in place of key for a first kernel that does not write it
 * @param unusedValue likewise; an array of its own, since TornadoVM never ends compiling a task that writes one twice
 * @param captured the arrays of functions, a plan's own or the caller's
 * @param wide where steps of many tokens write what the bytes of the cache are, if they do
 */
record InferenceArrays(
        TornadoNativeArray newQuery,
        TornadoNativeArray newKey,
        TornadoNativeArray newValue,
        TornadoNativeArray query,
        TornadoNativeArray key,
        TornadoNativeArray value,
        FloatArray partials,
        TornadoNativeArray output,
        FloatArray logSumExp,
        IntArray sequences,
        IntArray step,
        FloatArray numbers,
        FloatArray rotary,
        FloatArray scales,
        TornadoNativeArray unusedKey,
        TornadoNativeArray unusedValue,
        List<TornadoNativeArray> captured,
        Optional<Wide> wide) {

    /** Keys and values in 16 bits, in the same pages. */
    record Wide(TornadoNativeArray key, TornadoNativeArray value) {}

    /** Keeps a copy. */
    InferenceArrays {
        captured = List.copyOf(captured);
    }

    /** The same with other arrays for queries as they come, and made ready. */
    InferenceArrays withQueries(TornadoNativeArray otherNewQuery, TornadoNativeArray otherQuery) {
        return new InferenceArrays(
                otherNewQuery,
                newKey,
                newValue,
                otherQuery,
                key,
                value,
                partials,
                output,
                logSumExp,
                sequences,
                step,
                numbers,
                rotary,
                scales,
                unusedKey,
                unusedValue,
                captured,
                wide);
    }
}
