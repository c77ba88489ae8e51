package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.Storage.first;
import static org.tornadoattention.kernel.parts.Storage.second;

import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.KeySplit;
import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.kernel.parts.Mending;
import org.tornadoattention.kernel.parts.Phase;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.Softcap;
import org.tornadoattention.kernel.parts.StepLayout;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Attention of few queries over many keys, at the speed of memory: the keys of each head are split among work-groups,
 * and the query heads that share a KV head are rows of one tile, so that a key and a value are read once for all of
 * them. The partial results are merged by {@link MergePartials}.
 *
 * <p>Source: Dao, Haziza, Massa and Sizov, <i>Flash-Decoding for long-context inference</i> (2023), with grouped heads
 * as rows and a page table as in FlashAttention's {@code flash_attn_with_kvcache}.
 *
 * <p><b>How it reads.</b> A group has {@code slots} rows of {@code lanes} work-items. The work-items of a slot share
 * one key at a time, each {@code dims} of its dimensions; {@link #KEYS} keys and their values are under way at once,
 * straight from global memory to registers. Each slot keeps a softmax of its own, and the slots meet once, at the end.
 *
 * <p><b>Arrays.</b> query F32 {@code [tokens, heads, headDim]}, scaled already. partials F32: {@code [tokens, heads,
 * splits, headDim]} normalised outputs, then {@code [tokens, heads, splits]} log-sum-exps, {@link Score#NO_SCORE} where
 * a split saw no key. key and value: pages {@code [pages, kvHeads, pageSize, rowStride]} if {@code pagesPerSequence >
 * 0}, otherwise packed {@code [tokens, kvHeads, rowStride]}, with {@link #rowStride} elements a row. For each sequence,
 * sequences holds keys before this step, keys now, keys of left padding, and its pages (packed: its first key token);
 * the last {@link #RECEIPTS} elements note the steps that ran. step holds window left and right (−1 for unbounded), 1
 * if there are ALiBi slopes, the number of the step, and for each sequence its first query token, its queries, its new
 * keys, and the tokens that follow its queries. numbers holds scale, softcap (0 for none), the slopes and the sinks of
 * the heads. scales {@code [pages, kvHeads, 2]} are what FP8 keys and values are multiplied by. Pages in a pool of a
 * caller's lie where {@link Layout} finds them.
 *
 * <p><b>Grid.</b> One dimension, {@code tiles * kvHeads * splits} groups of {@code lanes * slots} work-items; a
 * sequence has {@link #tiles} tiles. With {@code seqQ = 0} the sequences' query counts differ and tiles are dealt out
 * in order, up to one more a sequence than the queries need.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}.
 *
 * <p><b>Device.</b> Any that has work-groups and local memory.
 *
 * <p><b>Not done here.</b> No tensor cores: {@link WarpSplitKeyAttention}.
 */
public final class SplitKeyAttention {

    /** Keys that a slot loads at once. */
    public static final int KEYS = 4;

    /** Elements of a head from which on a slot's keys follow one another; below, those of neighbouring slots do. */
    private static final int LONG_ROWS = 128;

    private SplitKeyAttention() {}

    /** Elements from one key to the next: the head dimension, rounded up to a pair. */
    public static int rowStride(int headDim) {
        return (headDim + 1) / 2 * 2;
    }

    /** Work-items that share a key when each takes {@code dims} dimensions. */
    public static int lanes(int headDim, int dims) {
        return (rowStride(headDim) + dims - 1) / dims;
    }

    /** Bytes of local memory of a group. */
    public static int localMemoryBytes(int headDim, int rows, int dims, int slots) {
        int lanes = lanes(headDim, dims);
        int scores = rows * KEYS * slots;
        return Float.BYTES * (scores * (lanes + 1) + scores + 2 * rows * slots + rows * lanes * dims + rows);
    }

    /**
     * Computes one split of one tile; see the class for arrays, grid and memory.
     *
     * @param group query heads of a KV head
     * @param seqQ query tokens of each sequence, 0 if they differ
     * @param pagesPerSequence pages in a sequence's row of the table, 0 for packed keys
     * @param rows of a tile: pairs of a token and a query head
     * @param dims dimensions of a work-item, even
     * @param features {@code SCALED}, {@code SINKS} and how raw bits are to be read, added
     */
    public static void attention(
            KernelContext context,
            FloatArray query,
            @Element("cache") FloatArray key,
            @Element("cache") FloatArray value,
            FloatArray partials,
            IntArray sequences,
            IntArray step,
            FloatArray numbers,
            FloatArray scales,
            int kvHeads,
            int group,
            int headDim,
            int seqQ,
            int pageSize,
            int pagesPerSequence,
            int splits,
            int rows,
            int dims,
            int slots,
            int features) {
        int rowStride = (headDim + 1) / 2 * 2;
        int lanes = (rowStride + dims - 1) / dims;
        int tileKeys = KEYS * slots;
        int scoreCount = rows * KEYS * slots;
        int groupSize = lanes * slots;

        float[] sums = context.allocateFloatLocalArray(rows * KEYS * slots * ((rowStride + dims - 1) / dims + 1));
        float[] scores = context.allocateFloatLocalArray(rows * KEYS * slots);
        float[] slotMax = context.allocateFloatLocalArray(rows * slots);
        float[] slotSum = context.allocateFloatLocalArray(rows * slots);
        float[] outputs = context.allocateFloatLocalArray(rows * ((rowStride + dims - 1) / dims) * dims);
        float[] rowSum = context.allocateFloatLocalArray(rows);

        // Which sequence, KV head, split and rows.
        int item = context.localIdx;
        int lane = item % lanes;
        int slot = item / lanes;
        int split = context.groupIdx % splits;
        int kvHead = context.groupIdx / splits % kvHeads;
        int tile = context.groupIdx / splits / kvHeads;
        int sequence = KeySplit.sequence(step, tile, group, rows, seqQ);
        tile -= KeySplit.tilesBefore(step, sequence, group, rows, seqQ);
        int queryStart = StepLayout.queryStart(step, sequence);
        int queries = StepLayout.queries(step, sequence);
        int following = StepLayout.following(step, sequence);
        int firstRow = tile * rows;
        int rowsHere = TornadoMath.max(0, TornadoMath.min(rows, queries * group - firstRow));
        int state = StepLayout.state(sequence, pagesPerSequence);
        int length = StepLayout.length(sequences, state);
        int padding = StepLayout.padding(sequences, state);
        int table = StepLayout.table(state);

        // Query i stands at key position i + offset (bottom-right alignment); the tile sees keys firstKey ... lastKey,
        // and
        // this split of them from ... to.
        int windowLeft = StepLayout.windowLeft(step);
        int windowRight = StepLayout.windowRight(step);
        int offset = length - following - queries;
        int firstKey = padding;
        int lastKey = length - 1;
        if (windowLeft >= 0) {
            firstKey = TornadoMath.max(firstKey, firstRow / group + offset - windowLeft);
        }
        if (windowRight >= 0) {
            lastKey = TornadoMath.min(lastKey, (firstRow + rowsHere - 1) / group + offset + windowRight);
        }
        int chunk =
                (TornadoMath.max(0, lastKey - firstKey + 1) + splits * tileKeys - 1) / (splits * tileKeys) * tileKeys;
        int from = firstKey + split * chunk;
        int to = rowsHere > 0 ? TornadoMath.min(lastKey, from + chunk - 1) : from - 1;
        if (KeySplit.isFixed()) {
            // Parts and tiles of keys begin at places that no query moves: masked keys change no bit of a row.
            from = split * KeySplit.fixedKeys();
            to = rowsHere > 0 ? TornadoMath.min(lastKey, from + KeySplit.fixedKeys() - 1) : from - 1;
            from = TornadoMath.max(from, firstKey / tileKeys * tileKeys);
        }

        // Q in registers; m = -inf, l = 0, O = 0.
        float[] q = new float[rows * dims];
        float[] o = new float[rows * dims];
        float[] k = new float[KEYS * dims];
        float[] v = new float[KEYS * dims];
        float[] keyScale = new float[KEYS];
        float[] valueScale = new float[KEYS];
        float[] p = new float[KEYS];
        float[] max = new float[rows];
        float[] sum = new float[rows];
        for (int r = 0; r < rows; r++) {
            max[r] = Score.NO_SCORE;
            sum[r] = 0f;
            int row = TornadoMath.min(firstRow + r, TornadoMath.max(0, queries * group - 1));
            int at = ((queryStart + row / group) * kvHeads * group + kvHead * group + row % group) * headDim;
            for (int i = 0; i < dims; i++) {
                int x = 2 * (lane + i / 2 * lanes) + i % 2;
                q[r * dims + i] = 0f;
                o[r * dims + i] = 0f;
                if (x < headDim && rowsHere > 0) {
                    q[r * dims + i] = query.get(at + x);
                }
            }
        }
        int firstPage = sequences.get(table);

        for (int j0 = from; j0 <= to; j0 += tileKeys) {
            // Load k_j and v_j of this slot's keys; past the end, the last key once more.
            // spotless:off: a call in rows
            load(
                    key, value, scales, sequences, k, v, keyScale, valueScale, table, firstPage, j0, to, kvHead,
                    kvHeads, rowStride, pageSize, pagesPerSequence, lane, lanes, slot, slots, dims, features);
            // spotless:on

            // S = Q k_j, this work-item's dimensions of it
            for (int r = 0; r < rows; r++) {
                for (int u = 0; u < KEYS; u++) {
                    float s = 0f;
                    for (int i = 0; i < dims; i++) {
                        s += q[r * dims + i] * k[u * dims + i];
                    }
                    if ((features & Features.SCALED) != 0) {
                        s *= keyScale[u];
                    }
                    sums[((r * KEYS + u) * slots + slot) * (lanes + 1) + lane] = s;
                }
            }
            context.localBarrier();

            // ... and the sum over the lanes; softcap, ALiBi, mask
            // spotless:off: a call in rows
            score(
                    sums, scores, numbers, step, sequence, j0, to, firstRow, kvHead, group, lanes, tileKeys, scoreCount,
                    groupSize, item, rowStride, queries, offset, padding, pagesPerSequence, windowLeft, windowRight);
            // spotless:on
            context.localBarrier();

            // m' = max(m, s); P = e^(S - m'); l = e^(m - m') l + sum P; O = e^(m - m') O + P V
            for (int r = 0; r < rows; r++) {
                float newMax = max[r];
                for (int u = 0; u < KEYS; u++) {
                    newMax = TornadoMath.max(newMax, scores[(r * KEYS + u) * slots + slot]);
                }
                float correction = TornadoMath.exp(max[r] - newMax);
                // Above what hidden keys have, so that theirs is 0 without a branch where all so far are hidden.
                float seenMax = TornadoMath.max(newMax, Score.LEAST_SEEN);
                float added = 0f;
                for (int u = 0; u < KEYS; u++) {
                    float s = scores[(r * KEYS + u) * slots + slot];
                    float e = TornadoMath.exp(s - seenMax);
                    e = Functions.weight(e, s);
                    added += e;
                    p[u] = e;
                    if ((features & Features.SCALED) != 0) {
                        p[u] = e * valueScale[u];
                    }
                }
                max[r] = newMax;
                sum[r] = correction * sum[r] + added;
                for (int i = 0; i < dims; i++) {
                    float sumOfKeys = correction * o[r * dims + i];
                    for (int u = 0; u < KEYS; u++) {
                        sumOfKeys += p[u] * v[u * dims + i];
                    }
                    o[r * dims + i] = sumOfKeys;
                }
            }
        }

        // The slots meet: m = max m_slot, l = sum e^(m_slot - m) l_slot.
        for (int r = 0; r < rows; r++) {
            if (lane == 0) {
                slotMax[r * slots + slot] = max[r];
                slotSum[r * slots + slot] = sum[r];
            }
        }
        for (int at = item; at < rows * lanes * dims; at += groupSize) {
            outputs[at] = 0f;
        }
        context.localBarrier();
        meet(context, slotMax, slotSum, max, sum, o, outputs, rows, lanes, dims, slots, lane, slot);

        // O = O / l and L = m + ln l
        int heads = kvHeads * group;
        int logSumExps = partials.getSize() / (headDim + 1) * headDim;
        int parts = splits;
        int part = split;
        if (KeySplit.isOneOfSeveral()) {
            parts = KeySplit.allParts();
            part = split + KeySplit.partsBefore();
        }
        for (int r = 0; r < rows; r++) {
            if (item == 0) {
                rowSum[r] = sum[r] == 0f ? 0f : 1f / sum[r];
                if (r < rowsHere) {
                    int row = (queryStart + (firstRow + r) / group) * heads + kvHead * group + (firstRow + r) % group;
                    float lse = sum[r] == 0f ? Score.NO_SCORE : max[r] + TornadoMath.log(sum[r]);
                    // The first part has the sink.
                    if ((features & Features.SINKS) != 0) {
                        if (split == 0) {
                            float sink = StepLayout.sink(numbers, kvHead * group + (firstRow + r) % group);
                            float top = TornadoMath.max(max[r], sink);
                            float scaled = TornadoMath.exp(max[r] - top);
                            float total = scaled * sum[r] + TornadoMath.exp(sink - top);
                            rowSum[r] = scaled / total;
                            lse = top + TornadoMath.log(total);
                        }
                    }
                    partials.set(logSumExps + row * parts + part, lse);
                }
            }
        }
        context.localBarrier();
        for (int at = item; at < rowsHere * headDim; at += groupSize) {
            int r = at / headDim;
            int x = at % headDim;
            int row = (queryStart + (firstRow + r) / group) * heads + kvHead * group + (firstRow + r) % group;
            float normalized = rowSum[r] * outputs[r * lanes * dims + x];
            // What is not finite, once more: a row whose sum is NaN sees what makes it so.
            if (Mending.isMended(normalized, partials, logSumExps + row * parts + part) > 0) {
                // spotless:off: a call in rows
                normalized = mended(
                        query, key, value, partials.get(logSumExps + row * parts + part), sequences, step, numbers,
                        scales, table, firstPage, sequence, row, x, firstRow + r, kvHead, kvHeads, group, headDim,
                        rowStride, pageSize, pagesPerSequence, offset, padding, windowLeft, windowRight, from, to,
                        features);
                // spotless:on
            }
            partials.set((row * parts + part) * headDim + x, normalized);
        }

        // The step is over for the lengths too: what they are now is what they were before the next one.
        if (item == 0 && split == 0 && kvHead == 0 && tile == 0 && pagesPerSequence > 0) {
            sequences.set(state, length);
        }
        if (item == 0 && context.groupIdx == 0) {
            StepLayout.setAttended(sequences, step);
        }
    }

    /** Which of a tile's keys is a slot's {@code u}-th. */
    private static int keyOfTile(int slot, int u, int slots, int rowStride) {
        int key = u * slots + slot;
        if (rowStride >= LONG_ROWS) {
            key = slot * KEYS + u;
        }
        return key;
    }

    // spotless:off: parameters in rows
    /** The keys and values of a slot, as far as this lane has their dimensions, in registers. */
    @Phase
    private static void load(
            FloatArray key, FloatArray value, FloatArray scales, IntArray sequences, float[] k, float[] v,
            float[] keyScale, float[] valueScale, int table, int firstPage, int j0, int to, int kvHead, int kvHeads,
            int rowStride, int pageSize, int pagesPerSequence, int lane, int lanes, int slot, int slots, int dims,
            int features) {
        int checked = lanes * dims == rowStride ? 0 : 1; // a factor that leaves nothing to compare
        for (int u = 0; u < KEYS; u++) {
            int j = TornadoMath.min(j0 + keyOfTile(slot, u, slots, rowStride), to);
            int keyRow =
                    KeySplit.keyRow(sequences, table, firstPage, j, kvHead, kvHeads, pageSize, pagesPerSequence);
            int at = keyRow * rowStride + 2 * lane;
            int valueAt = at;
            if (Layout.isStrided()) {
                int page = KeySplit.page(sequences, table, firstPage, j, pageSize, pagesPerSequence);
                at = Layout.key(page, kvHead, j % pageSize) + 2 * lane;
                valueAt = Layout.value(page, kvHead, j % pageSize) + 2 * lane;
            }
            for (int i = 0; i < dims / 2; i++) {
                if (checked * 2 * (lane + i * lanes) < rowStride) {
                    k[u * dims + 2 * i] = first(key, at + 2 * i * lanes, features);
                    k[u * dims + 2 * i + 1] = second(key, at + 2 * i * lanes, features);
                    v[u * dims + 2 * i] = first(value, valueAt + 2 * i * lanes, features);
                    v[u * dims + 2 * i + 1] = second(value, valueAt + 2 * i * lanes, features);
                } else {
                    k[u * dims + 2 * i] = 0f;
                    k[u * dims + 2 * i + 1] = 0f;
                    v[u * dims + 2 * i] = 0f;
                    v[u * dims + 2 * i + 1] = 0f;
                }
            }
            if ((features & Features.SCALED) != 0) {
                keyScale[u] = scales.get(keyRow / pageSize * 2);
                valueScale[u] = scales.get(keyRow / pageSize * 2 + 1);
            }
        }
    }

    /** S of a tile, from what each lane has of it: the sum over the lanes; softcap, ALiBi, function, mask. */
    @Phase
    private static void score(
            float[] sums, float[] scores, FloatArray numbers, IntArray step, int sequence, int j0, int to, int firstRow,
            int kvHead, int group, int lanes, int tileKeys, int scoreCount, int groupSize, int item, int rowStride,
            int queries, int offset, int padding, int pagesPerSequence, int windowLeft, int windowRight) {
        for (int at = item; at < scoreCount; at += groupSize) {
            float s = 0f;
            for (int other = 0; other < lanes; other++) {
                s += sums[at * (lanes + 1) + other];
            }
            int ofTile = at % tileKeys;
            if (rowStride >= LONG_ROWS) {
                int slots = tileKeys / KEYS;
                ofTile = keyOfTile(ofTile % slots, ofTile / slots, slots, rowStride);
            }
            int j = j0 + ofTile;
            int row = firstRow + at / tileKeys;
            int position = row / group + offset;
            float softcap = StepLayout.softcap(numbers);
            if (softcap > 0f) {
                s = Softcap.apply(s, softcap);
            }
            if (StepLayout.alibi(step) != 0) {
                int head = kvHead * group + row % group;
                s = s - StepLayout.slope(numbers, head) * TornadoMath.abs(position - j);
            }
            if (Functions.arePresent()) {
                // In a cache, queries and keys count from the sequence's beginning; padding, rows and keys past the
                // end, and keys outside the window are not asked for.
                int i = TornadoMath.min(row / group, queries - 1);
                int stands = i + offset;
                if (pagesPerSequence > 0) {
                    i = TornadoMath.max(0, stands - padding);
                }
                int lastAsked = windowRight < 0 ? to : TornadoMath.min(to, stands + windowRight);
                int firstAsked = windowLeft < 0 ? j : stands - windowLeft;
                if (j <= lastAsked) {
                    if (j >= firstAsked) {
                        s = Functions.score(
                                s, sequence, kvHead * group + row % group, i, j - padding, stands - padding);
                    }
                }
            }
            // Bounds rather than conditions: TornadoVM loses a negation in those that mix && and ||.
            int last = windowRight < 0 ? to : TornadoMath.min(to, position + windowRight);
            int first = windowLeft < 0 ? j : position - windowLeft;
            if (j > last) {
                s = Score.NO_SCORE;
            }
            if (j < first) {
                s = Score.NO_SCORE;
            }
            scores[at] = s;
        }
    }

    /** The slots meet: m = max m_slot, l = sum e^(m_slot - m) l_slot, and one slot after the other adds its O. */
    @Phase
    private static void meet(
            KernelContext context, float[] slotMax, float[] slotSum, float[] max, float[] sum, float[] o,
            float[] outputs, int rows, int lanes, int dims, int slots, int lane, int slot) {
        for (int r = 0; r < rows; r++) {
            float m = Score.NO_SCORE;
            for (int other = 0; other < slots; other++) {
                m = TornadoMath.max(m, slotMax[r * slots + other]);
            }
            float l = 0f;
            for (int other = 0; other < slots; other++) {
                l += TornadoMath.exp(slotMax[r * slots + other] - m) * slotSum[r * slots + other];
            }
            float factor = TornadoMath.exp(max[r] - m);
            for (int i = 0; i < dims; i++) {
                o[r * dims + i] = factor * o[r * dims + i];
            }
            max[r] = m;
            sum[r] = l;
        }
        for (int turn = 0; turn < slots; turn++) {
            if (turn == slot) {
                for (int r = 0; r < rows; r++) {
                    for (int i = 0; i < dims; i++) {
                        int at = r * lanes * dims + 2 * (lane + i / 2 * lanes) + i % 2;
                        outputs[at] = outputs[at] + o[r * dims + i];
                    }
                }
            }
            context.localBarrier();
        }
    }

    /** An element of a row, once more from the keys of this split that the row sees: O = sum e^(s - L) v_j. */
    @Phase
    private static float mended(
            FloatArray query, FloatArray key, FloatArray value, float lse, IntArray sequences, IntArray step,
            FloatArray numbers, FloatArray scales, int table, int firstPage, int sequence, int row, int x, int ofTile,
            int kvHead, int kvHeads, int group, int headDim, int rowStride, int pageSize, int pagesPerSequence,
            int offset, int padding, int windowLeft, int windowRight, int from, int to, int features) {
        int position = ofTile / group + offset;
        int first = windowLeft < 0 ? from : TornadoMath.max(from, position - windowLeft);
        int last = windowRight < 0 ? to : TornadoMath.min(to, position + windowRight);
        float mended = 0f;
        int depth = Mending.depth(headDim, to);
        for (int j = first; j <= last; j++) {
            int keyRow = KeySplit.keyRow(sequences, table, firstPage, j, kvHead, kvHeads, pageSize, pagesPerSequence);
            int keyAt = keyRow * rowStride;
            int valueAt = keyAt;
            if (Layout.isStrided()) {
                int page = KeySplit.page(sequences, table, firstPage, j, pageSize, pagesPerSequence);
                keyAt = Layout.key(page, kvHead, j % pageSize);
                valueAt = Layout.value(page, kvHead, j % pageSize);
            }
            float s = 0f;
            for (int c = 0; c < depth; c++) {
                s += query.get(row * headDim + c) * element(key, keyAt, c, features);
            }
            float weight = 1f;
            if ((features & Features.SCALED) != 0) {
                s *= scales.get(keyRow / pageSize * 2);
                weight = scales.get(keyRow / pageSize * 2 + 1);
            }
            int head = kvHead * group + ofTile % group;
            s = Mending.scoreOfCache(s, numbers, StepLayout.alibi(step), head, position - j);
            int standing = position - padding;
            int i = pagesPerSequence > 0 ? TornadoMath.max(0, standing) : ofTile / group;
            s = Functions.score(s, sequence, head, i, j - padding, standing);
            weight *= TornadoMath.exp(s - lse);
            if (Functions.weight(1f, s) != 0f) {
                mended += weight * element(value, valueAt, x, features);
            }
        }
        return mended;
    }
    // spotless:on

    /** An element of a row that begins at an even one. */
    private static float element(FloatArray array, int row, int x, int features) {
        float element = first(array, row + x / 2 * 2, features);
        if (x % 2 == 1) {
            element = second(array, row + x / 2 * 2, features);
        }
        return element;
    }
}
