package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.Storage.load;
import static org.tornadoattention.kernel.parts.Storage.store;
import static org.tornadoattention.kernel.parts.Storage.storePair;

import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.StepLayout;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The first kernel of a step: appends new keys and values to a cache and makes the queries ready, with the rotary
 * embedding of both.
 *
 * <p>Source: Su et al., <i>RoFormer</i> (2021). A token's position is its place in its sequence, left padding not
 * counted.
 *
 * <p><b>Arrays.</b> newQuery {@code [batch, heads, seqQ, headDim]}, newKey and newValue {@code [batch, kvHeads, seqQ,
 * headDim]}; with {@code seqQ = 0} newQuery is {@code [tokens, heads, headDim]} and nothing is appended. query
 * {@code [tokens, heads, headDim]}, F32 or what tokens are, gets the queries times the scale. key, value, sequences,
 * step and numbers are those of {@link SplitKeyAttention}. rotary {@code [positions, rotaryDim / 2, 2]}: cosine and
 * sine.
 *
 * <p><b>Grid.</b> One dimension, at least one work-item for each two dimensions of each new row: {@code tokens * (heads
 * + 2 * kvHeads) * ceil(headDim / 2)}, or {@code tokens * heads * ceil(headDim / 2)} for packed tokens. No local
 * memory.
 *
 * <p><b>Device.</b> Any.
 */
public final class AppendTokens {

    private AppendTokens() {}

    /**
     * Does two dimensions of one row; see the class for arrays and grid.
     *
     * @param seqQ tokens of each sequence in the new tensors, 0 for packed tokens
     * @param rotaryDim dimensions that turn, even, 0 for none
     * @param features {@code INTERLEAVED}, {@code QUERIES_ONLY}, {@code UNSCALED} and how raw bits are to be read,
     *     added
     */
    public static void append(
            KernelContext context,
            @Element("tokens") FloatArray newQuery,
            @Element("tokens") FloatArray newKey,
            @Element("tokens") FloatArray newValue,
            @Element("queries") FloatArray query,
            @Element("cache") FloatArray key,
            @Element("cache") FloatArray value,
            IntArray sequences,
            IntArray step,
            FloatArray numbers,
            FloatArray rotary,
            int heads,
            int kvHeads,
            int headDim,
            int seqQ,
            int pageSize,
            int pagesPerSequence,
            int rotaryDim,
            int features) {
        int pairs = (headDim + 1) / 2;
        int rowsOfToken = seqQ > 0 && (features & Features.QUERIES_ONLY) == 0 ? heads + 2 * kvHeads : heads;
        int x = context.globalIdx % pairs * 2;
        int row = context.globalIdx / pairs % rowsOfToken;
        int token = context.globalIdx / pairs / rowsOfToken;

        if (context.globalIdx == 0) {
            StepLayout.setAppended(sequences, step);
        }
        if (seqQ == 0) {
            // Packed tokens.
            int at = (token * heads + row) * headDim + x;
            float scale = StepLayout.scale(numbers);
            if (at < query.getSize()) {
                store(query, at, scale * load(newQuery, at, features), features);
            }
            if (at + 1 < query.getSize() && x + 1 < headDim) {
                store(query, at + 1, scale * load(newQuery, at + 1, features), features);
            }
        } else {
            int batch = StepLayout.batch(step);
            int sequence = token / seqQ;
            int i = token % seqQ;
            if (sequence < batch) {
                int queries = StepLayout.queries(step, sequence);
                int newTokens = StepLayout.newTokens(step, sequence);
                int state = StepLayout.state(sequence, pagesPerSequence);
                int before = StepLayout.before(sequences, state);
                int padding = StepLayout.padding(sequences, state);

                int partner = partner(x, rotaryDim, features);
                int nextPartner = partner(x + 1, rotaryDim, features);
                boolean pair = x + 1 < headDim;
                if (row < heads && i < queries) {
                    // A query; the last one stands on the last token that has none following.
                    int position = before + newTokens - StepLayout.following(step, sequence) - queries + i - padding;
                    int at = ((sequence * heads + row) * seqQ + i) * headDim;
                    int to = ((StepLayout.queryStart(step, sequence) + i) * heads + row) * headDim + x;
                    float scale = (features & Features.UNSCALED) != 0 ? 1f : StepLayout.scale(numbers);
                    float q = load(newQuery, at + x, features);
                    float other = load(newQuery, at + partner, features);
                    store(query, to, scale * turned(q, other, x, position, rotary, rotaryDim, features), features);
                    if (pair) {
                        q = load(newQuery, at + x + 1, features);
                        other = load(newQuery, at + nextPartner, features);
                        store(
                                query,
                                to + 1,
                                scale * turned(q, other, x + 1, position, rotary, rotaryDim, features),
                                features);
                    }
                }
                int j = before + i;
                if (row >= heads && i < newTokens && j < pageSize * pagesPerSequence) {
                    // A key or a value, to its place in its page.
                    int kvHead = (row - heads) % kvHeads;
                    int page = sequences.get(StepLayout.table(state) + j / pageSize);
                    int at = ((sequence * kvHeads + kvHead) * seqQ + i) * headDim;
                    int to = ((page * kvHeads + kvHead) * pageSize + j % pageSize) * (pairs * 2) + x;
                    float second = 0f;
                    if (row < heads + kvHeads) {
                        float first = load(newKey, at + x, features);
                        float other = load(newKey, at + partner, features);
                        first = turned(first, other, x, j - padding, rotary, rotaryDim, features);
                        if (pair) {
                            second = load(newKey, at + x + 1, features);
                            other = load(newKey, at + nextPartner, features);
                            second = turned(second, other, x + 1, j - padding, rotary, rotaryDim, features);
                        }
                        storePair(key, to, first, second, features);
                    } else {
                        float first = load(newValue, at + x, features);
                        if (pair) {
                            second = load(newValue, at + x + 1, features);
                        }
                        storePair(value, to, first, second, features);
                    }
                }
                if (x == 0 && row == 0 && i == 0) {
                    sequences.set(state + 1, TornadoMath.min(before + newTokens, pageSize * pagesPerSequence));
                }
            }
        }
    }

    /** The dimension that turns together with x, or x itself. */
    static int partner(int x, int rotaryDim, int features) {
        int partner = x < rotaryDim / 2 ? x + rotaryDim / 2 : x - rotaryDim / 2;
        if ((features & Features.INTERLEAVED) != 0) {
            partner = x % 2 == 0 ? x + 1 : x - 1;
        }
        return x < rotaryDim ? partner : x;
    }

    /**
     * A dimension turned by its position: {@code a cos - b sin} for the first of a pair, {@code b cos + a sin}
     * otherwise.
     */
    static float turned(float value, float other, int x, int position, FloatArray rotary, int rotaryDim, int features) {
        float result = value;
        // Without an embedding a remainder by 0 would stay, and with it values that SPIR-V's compiler cannot load.
        if (rotaryDim > 0 && x < rotaryDim && position >= 0) {
            int half = rotaryDim / 2;
            int pair = x % half;
            boolean isFirst = x < half;
            if ((features & Features.INTERLEAVED) != 0) {
                pair = x / 2;
                isFirst = x % 2 == 0;
            }
            float cosine = rotary.get((position * half + pair) * 2);
            float sine = rotary.get((position * half + pair) * 2 + 1);
            result = isFirst ? value * cosine - other * sine : value * cosine + other * sine;
        }
        return result;
    }
}
