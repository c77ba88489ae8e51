package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.Storage.load;
import static org.tornadoattention.kernel.parts.Storage.store;

import org.tornadoattention.kernel.parts.DropoutMask;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.kernel.parts.PartialSums;
import org.tornadoattention.kernel.parts.Placement;
import org.tornadoattention.kernel.parts.RowEnd;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.Unseen;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * FlashAttention-2's forward pass on plain arithmetic units: one work-group per tile of {@code blockQ} queries, K and V
 * streamed through local memory in tiles of {@code blockK} keys, the online softmax between two register-tiled matrix
 * products. S and P never leave the work-group.
 *
 * <p>Source: Dao, <i>FlashAttention-2</i> (2023), algorithm 1; the products are tiled over registers as in a blocked
 * SGEMM, because a work-item that reads both factors from local memory for each multiply-add is bound by that memory.
 *
 * <p><b>Arrays.</b> query {@code [batch, heads, seqQ, headDim]}, key {@code [batch, kvHeads, seqK, headDim]}, value
 * {@code [batch, kvHeads, seqK, valueDim]}, output {@code [batch, heads, seqQ, valueDim]}, logSumExp {@code [batch, heads,
 * seqQ]} (natural logarithm), headTerms of {@link HeadTerms},
 * keyLengths {@code [batch]} (keys) and the words of dropout. Arithmetic is F32 whatever the arrays store.
 *
 * <p><b>Grid.</b> One dimension, {@code batch * heads * ceil(seqQ / blockQ)} groups of {@code (blockQ / 8) *
 * (paddedDim / 8)} work-items, where {@code paddedDim} is widestDim rounded up to 8. {@code blockQ} is a multiple of 8,
 * {@code blockK} of 4, and {@code 4 * blockK} of {@code blockQ}.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}: the query tile, one tile shared by K and then V, the transposed
 * scores, and three numbers a query.
 *
 * <p><b>Device.</b> Any that has work-groups and local memory; no sub-groups, no atomics, no 64-bit floats.
 *
 * <p><b>Not done here.</b> No overlap of loads with arithmetic inside a group (several groups on one multiprocessor do
 * that), and no tensor cores.
 *
 * <p>There are forms for HalfFloatArrays and, for BF16 or F16 as raw bits, for ShortArrays, and for views, whose rows {@link
 * Layout} finds.
 */
public final class TiledFlashAttention {

    private TiledFlashAttention() {}

    /** Head dimension as the tiles see it: rounded up to a multiple of 8. */
    public static int paddedDim(int headDim) {
        return (headDim + 7) / 8 * 8;
    }

    /** Work-items in a group for this tile shape. */
    public static int groupSize(int headDim, int blockQ) {
        return (blockQ / 8) * (paddedDim(headDim) / 8);
    }

    /** Bytes of local memory that a group uses for this tile shape. */
    public static int localMemoryBytes(int headDim, int blockQ, int blockK) {
        int stride = paddedDim(headDim) + 4;
        return Float.BYTES * (blockQ * stride + blockK * stride + blockK * (blockQ + 4) + 3 * blockQ);
    }

    /** Where an element of a tile lies in local memory: four unused elements a row keep columns apart in its banks. */
    private static int padded(int element, int paddedDim) {
        return element + element / paddedDim * 4;
    }

    // spotless:off: register tiles are written in rows
    /** Joins a run of one of the eight rows' sums with their totals, and makes its maximum theirs. */
    private static void join(
            float[] total, int zero, int r, float max, float sum,
            float o0, float o1, float o2, float o3, float o4, float o5, float o6, float o7) {
        float alpha = TornadoMath.exp(total[zero + 72 + r] - max);
        int at = zero + 8 * r;
        total[at] = alpha * total[at] + o0; total[at + 1] = alpha * total[at + 1] + o1;
        total[at + 2] = alpha * total[at + 2] + o2; total[at + 3] = alpha * total[at + 3] + o3;
        total[at + 4] = alpha * total[at + 4] + o4; total[at + 5] = alpha * total[at + 5] + o5;
        total[at + 6] = alpha * total[at + 6] + o6; total[at + 7] = alpha * total[at + 7] + o7;
        total[zero + 64 + r] = alpha * total[zero + 64 + r] + sum;
        total[zero + 72 + r] = max;
    }

    /**
     * Computes one tile of queries; see the class for arrays, grid and memory.
     *
     * @param addedValueDim valueDim less headDim: where it is 0, nothing of it is left in the compiled kernel
     * @param addedWidestDim the larger of both, which tiles are made for, less headDim
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features {@code ALIBI}, {@code KEY_LENGTHS}, {@code DROPOUT}, {@code F16_BITS} and {@code NATIVE_BF16},
     *     added
     */
    public static void attention(
            KernelContext context,
            @Element("query") FloatArray query,
            @Element("keys") FloatArray key,
            @Element("keys") FloatArray value,
            @Element("output") FloatArray output,
            FloatArray logSumExp,
            FloatArray headTerms,
            IntArray keyLengths,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int headDim,
            @Constant int addedValueDim,
            @Constant int addedWidestDim,
            int blockQ,
            int blockK,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            int features) {
        int valueDim = headDim + addedValueDim;
        int widestDim = headDim + addedWidestDim;
        int paddedDim = (widestDim + 7) / 8 * 8;
        int half = paddedDim / 2;
        int stride = paddedDim + 4;
        int scoreStride = blockQ + 4;
        int dimGroups = paddedDim / 8;
        int step = (blockQ / 8) * dimGroups; // work-items in the group: what each strides by

        float[] queryTile = context.allocateFloatLocalArray(blockQ * (paddedDim + 4));
        float[] keyValueTile = context.allocateFloatLocalArray(blockK * (paddedDim + 4));
        float[] scores = context.allocateFloatLocalArray(blockK * (blockQ + 4));
        float[] rowMax = context.allocateFloatLocalArray(blockQ);
        float[] rowSum = context.allocateFloatLocalArray(blockQ);
        float[] correction = context.allocateFloatLocalArray(blockQ);

        // Which tile of queries: the last tiles first, since under a causal mask they see the most keys.
        int item = context.localIdx;
        int batchHead = Placement.batchHead(context.groupIdx, seqQ, blockQ);
        int i0 = Placement.firstQuery(context.groupIdx, seqQ, blockQ);
        int head = batchHead % heads;
        int batch = batchHead / heads;
        int keyValueHead = Placement.keyValueHead(batchHead, heads, kvHeads);
        int queryBase = (batchHead * seqQ + i0) * headDim;
        int outputBase = (batchHead * seqQ + i0) * valueDim;
        int keyBase = keyValueHead * seqK * headDim;
        int valueBase = keyValueHead * seqK * valueDim;
        int queryStride = headDim;
        int outputStride = valueDim;
        int keyStride = headDim;
        int valueStride = valueDim;
        if (Layout.isStrided()) {
            int kvHead = head / (heads / kvHeads);
            queryBase = Layout.query(batch, head, i0);
            outputBase = Layout.output(batch, head, i0);
            keyBase = Layout.key(batch, kvHead, 0);
            valueBase = Layout.value(batch, kvHead, 0);
            queryStride = Layout.queryRow();
            outputStride = Layout.outputRow();
            keyStride = Layout.keyRow();
            valueStride = Layout.valueRow();
        }
        int rows = TornadoMath.min(blockQ, seqQ - i0);

        int length = Window.length(keyLengths, batch, seqK, features);
        float slope = HeadTerms.slope(headTerms, head, features);

        int seedLow = DropoutMask.seedLow(keyLengths, features);
        int seedHigh = DropoutMask.seedHigh(keyLengths, features);
        int seedOffset = DropoutMask.offset(keyLengths, features);
        int threshold = DropoutMask.threshold(keyLengths, features);

        // Query i stands at key position i + offset (bottom-right alignment); the tile sees keys firstKey ... lastKey.
        int offset = length - seqQ;
        int firstKey = Window.firstKey(i0 + offset, windowLeft);
        int lastKey = Window.lastKey(i0 + rows - 1 + offset, length, windowRight);
        int everyLeft = Window.everyLeft(i0 + rows - 1 + offset, windowLeft);
        int everyRight = Window.everyRight(i0 + offset, length, windowRight);

        // Load Q_i; m = -inf, l = 0, O = 0.
        for (int at = item; at < blockQ * paddedDim; at += step) {
            int row = at / paddedDim;
            int x = at % paddedDim;
            float q = 0f;
            if (row < rows && x < headDim) {
                q = load(query, queryBase + row * queryStride + x, features);
            }
            queryTile[row * stride + x] = q;
        }
        for (int row = item; row < blockQ; row += step) {
            rowMax[row] = Score.NO_SCORE;
            rowSum[row] = 0f;
        }

        // This work-item's part of O: 8 rows by 8 dimensions, four in each half of the head. A register tile has to be
        // written out by name: TornadoVM puts a private array in memory on some backends.
        int firstRow = item / dimGroups * 8;
        int firstDim = item % dimGroups * 4;
        float o00 = 0f, o01 = 0f, o02 = 0f, o03 = 0f, o04 = 0f, o05 = 0f, o06 = 0f, o07 = 0f;
        float o10 = 0f, o11 = 0f, o12 = 0f, o13 = 0f, o14 = 0f, o15 = 0f, o16 = 0f, o17 = 0f;
        float o20 = 0f, o21 = 0f, o22 = 0f, o23 = 0f, o24 = 0f, o25 = 0f, o26 = 0f, o27 = 0f;
        float o30 = 0f, o31 = 0f, o32 = 0f, o33 = 0f, o34 = 0f, o35 = 0f, o36 = 0f, o37 = 0f;
        float o40 = 0f, o41 = 0f, o42 = 0f, o43 = 0f, o44 = 0f, o45 = 0f, o46 = 0f, o47 = 0f;
        float o50 = 0f, o51 = 0f, o52 = 0f, o53 = 0f, o54 = 0f, o55 = 0f, o56 = 0f, o57 = 0f;
        float o60 = 0f, o61 = 0f, o62 = 0f, o63 = 0f, o64 = 0f, o65 = 0f, o66 = 0f, o67 = 0f;
        float o70 = 0f, o71 = 0f, o72 = 0f, o73 = 0f, o74 = 0f, o75 = 0f, o76 = 0f, o77 = 0f;

        // What they join every so many keys: 64 totals of O, eight of l, and the maxima that these are relative to.
        float[] total = new float[PartialSums.areJoined() ? 80 : 0];
        if (PartialSums.areJoined()) {
            for (int at = 0; at < 80; at++) {
                total[at] = at < 72 ? 0f : Score.NO_SCORE;
            }
        }
        int joined = 0; // above 0 where all have joined the totals

        int j0 = Functions.nextKey(firstKey / blockK * blockK, blockK, batch, head, i0, rows, lastKey);
        for (; j0 <= lastKey; j0 = Functions.nextKey(j0 + blockK, blockK, batch, head, i0, rows, lastKey)) {
            // Load K_j, a whole tile sixteen elements at a time: a load takes hundreds of cycles, alone or in company.
            int keys = TornadoMath.min(blockK, length - j0);
            boolean wholeTile = keys == blockK && headDim == paddedDim;
            if (Layout.isStrided()) {
                wholeTile = false;
            }
            if (wholeTile) {
                for (int at = item; at < blockK * paddedDim; at += 16 * step) {
                    int from = keyBase + j0 * headDim + at;
                    float k0 = load(key, from, features), k1 = load(key, from + step, features);
                    float k2 = load(key, from + 2 * step, features), k3 = load(key, from + 3 * step, features);
                    float k4 = load(key, from + 4 * step, features), k5 = load(key, from + 5 * step, features);
                    float k6 = load(key, from + 6 * step, features), k7 = load(key, from + 7 * step, features);
                    float k8 = load(key, from + 8 * step, features), k9 = load(key, from + 9 * step, features);
                    float k10 = load(key, from + 10 * step, features), k11 = load(key, from + 11 * step, features);
                    float k12 = load(key, from + 12 * step, features), k13 = load(key, from + 13 * step, features);
                    float k14 = load(key, from + 14 * step, features), k15 = load(key, from + 15 * step, features);
                    keyValueTile[padded(at, paddedDim)] = k0;
                    keyValueTile[padded(at + step, paddedDim)] = k1;
                    keyValueTile[padded(at + 2 * step, paddedDim)] = k2;
                    keyValueTile[padded(at + 3 * step, paddedDim)] = k3;
                    keyValueTile[padded(at + 4 * step, paddedDim)] = k4;
                    keyValueTile[padded(at + 5 * step, paddedDim)] = k5;
                    keyValueTile[padded(at + 6 * step, paddedDim)] = k6;
                    keyValueTile[padded(at + 7 * step, paddedDim)] = k7;
                    keyValueTile[padded(at + 8 * step, paddedDim)] = k8;
                    keyValueTile[padded(at + 9 * step, paddedDim)] = k9;
                    keyValueTile[padded(at + 10 * step, paddedDim)] = k10;
                    keyValueTile[padded(at + 11 * step, paddedDim)] = k11;
                    keyValueTile[padded(at + 12 * step, paddedDim)] = k12;
                    keyValueTile[padded(at + 13 * step, paddedDim)] = k13;
                    keyValueTile[padded(at + 14 * step, paddedDim)] = k14;
                    keyValueTile[padded(at + 15 * step, paddedDim)] = k15;
                }
            } else {
                for (int at = item; at < blockK * paddedDim; at += step) {
                    int row = at / paddedDim;
                    int x = at % paddedDim;
                    float k = 0f;
                    if (row < keys && x < headDim) {
                        k = load(key, keyBase + (j0 + row) * keyStride + x, features);
                    }
                    keyValueTile[row * stride + x] = k;
                }
            }
            context.localBarrier();

            // S = scale * Q_i K_j^T, in blocks of 4 queries by 4 keys, stored transposed.
            int keyGroups = blockK / 4;
            int queryStep = blockQ / 4 * stride;
            int keyStep = keyGroups * stride;
            int scoreStep = keyGroups * scoreStride;
            int rowStep = blockQ / 4;
            for (int block = item; block < rowStep * keyGroups; block += step) {
                int q = block / keyGroups * stride;
                int k = block % keyGroups * stride;
                int s = block % keyGroups * scoreStride + block / keyGroups;
                float s00 = 0f, s01 = 0f, s02 = 0f, s03 = 0f;
                float s10 = 0f, s11 = 0f, s12 = 0f, s13 = 0f;
                float s20 = 0f, s21 = 0f, s22 = 0f, s23 = 0f;
                float s30 = 0f, s31 = 0f, s32 = 0f, s33 = 0f;
                for (int x = 0; x < paddedDim; x++) {
                    float q0 = queryTile[q + 0 * queryStep + x];
                    float q1 = queryTile[q + 1 * queryStep + x];
                    float q2 = queryTile[q + 2 * queryStep + x];
                    float q3 = queryTile[q + 3 * queryStep + x];
                    float k0 = keyValueTile[k + 0 * keyStep + x];
                    float k1 = keyValueTile[k + 1 * keyStep + x];
                    float k2 = keyValueTile[k + 2 * keyStep + x];
                    float k3 = keyValueTile[k + 3 * keyStep + x];
                    s00 += q0 * k0; s01 += q0 * k1; s02 += q0 * k2; s03 += q0 * k3;
                    s10 += q1 * k0; s11 += q1 * k1; s12 += q1 * k2; s13 += q1 * k3;
                    s20 += q2 * k0; s21 += q2 * k1; s22 += q2 * k2; s23 += q2 * k3;
                    s30 += q3 * k0; s31 += q3 * k1; s32 += q3 * k2; s33 += q3 * k3;
                }
                scores[s + 0 * scoreStep + 0 * rowStep] = scale * s00;
                scores[s + 1 * scoreStep + 0 * rowStep] = scale * s01;
                scores[s + 2 * scoreStep + 0 * rowStep] = scale * s02;
                scores[s + 3 * scoreStep + 0 * rowStep] = scale * s03;
                scores[s + 0 * scoreStep + 1 * rowStep] = scale * s10;
                scores[s + 1 * scoreStep + 1 * rowStep] = scale * s11;
                scores[s + 2 * scoreStep + 1 * rowStep] = scale * s12;
                scores[s + 3 * scoreStep + 1 * rowStep] = scale * s13;
                scores[s + 0 * scoreStep + 2 * rowStep] = scale * s20;
                scores[s + 1 * scoreStep + 2 * rowStep] = scale * s21;
                scores[s + 2 * scoreStep + 2 * rowStep] = scale * s22;
                scores[s + 3 * scoreStep + 2 * rowStep] = scale * s23;
                scores[s + 0 * scoreStep + 3 * rowStep] = scale * s30;
                scores[s + 1 * scoreStep + 3 * rowStep] = scale * s31;
                scores[s + 2 * scoreStep + 3 * rowStep] = scale * s32;
                scores[s + 3 * scoreStep + 3 * rowStep] = scale * s33;
            }
            context.localBarrier();

            // Load V_j over K_j.
            if (wholeTile && valueDim == headDim) {
                for (int at = item; at < blockK * paddedDim; at += 16 * step) {
                    int from = valueBase + j0 * valueDim + at;
                    float v0 = load(value, from, features), v1 = load(value, from + step, features);
                    float v2 = load(value, from + 2 * step, features), v3 = load(value, from + 3 * step, features);
                    float v4 = load(value, from + 4 * step, features), v5 = load(value, from + 5 * step, features);
                    float v6 = load(value, from + 6 * step, features), v7 = load(value, from + 7 * step, features);
                    float v8 = load(value, from + 8 * step, features), v9 = load(value, from + 9 * step, features);
                    float v10 = load(value, from + 10 * step, features), v11 = load(value, from + 11 * step, features);
                    float v12 = load(value, from + 12 * step, features), v13 = load(value, from + 13 * step, features);
                    float v14 = load(value, from + 14 * step, features), v15 = load(value, from + 15 * step, features);
                    keyValueTile[padded(at, paddedDim)] = v0;
                    keyValueTile[padded(at + step, paddedDim)] = v1;
                    keyValueTile[padded(at + 2 * step, paddedDim)] = v2;
                    keyValueTile[padded(at + 3 * step, paddedDim)] = v3;
                    keyValueTile[padded(at + 4 * step, paddedDim)] = v4;
                    keyValueTile[padded(at + 5 * step, paddedDim)] = v5;
                    keyValueTile[padded(at + 6 * step, paddedDim)] = v6;
                    keyValueTile[padded(at + 7 * step, paddedDim)] = v7;
                    keyValueTile[padded(at + 8 * step, paddedDim)] = v8;
                    keyValueTile[padded(at + 9 * step, paddedDim)] = v9;
                    keyValueTile[padded(at + 10 * step, paddedDim)] = v10;
                    keyValueTile[padded(at + 11 * step, paddedDim)] = v11;
                    keyValueTile[padded(at + 12 * step, paddedDim)] = v12;
                    keyValueTile[padded(at + 13 * step, paddedDim)] = v13;
                    keyValueTile[padded(at + 14 * step, paddedDim)] = v14;
                    keyValueTile[padded(at + 15 * step, paddedDim)] = v15;
                }
            } else {
                for (int at = item; at < blockK * paddedDim; at += step) {
                    int row = at / paddedDim;
                    int x = at % paddedDim;
                    float v = 0f;
                    if (row < keys && x < valueDim) {
                        v = load(value, valueBase + (j0 + row) * valueStride + x, features);
                    }
                    keyValueTile[row * stride + x] = v;
                }
            }

            // Whether some query of the tile does not see some key of it: then such pairs are marked.
            int unseen = Unseen.inTile(j0, blockK, everyLeft, everyRight, windowLeft, windowRight);
            if (Functions.weight(1f, Score.NO_SCORE) == 0f) {
                unseen = 1;
            }

            // Online softmax, a row a work-item: m' = max(m, max s), P = exp(s - m'), l = exp(m - m') l + sum P. A
            // mask is an interval of keys: the bounds of these loops, which cost nothing in tiles that it leaves whole.
            for (int row = item; row < blockQ; row += step) {
                int position = i0 + row + offset;
                int from = Window.firstInTile(position, j0, windowLeft);
                int to = Window.lastInTile(position, j0, keys, windowRight);
                float oldMax = rowMax[row];
                float max = oldMax;
                for (int c = from; c <= to; c++) {
                    float s = scores[c * scoreStride + row];
                    s = Score.of(s, softcap, slope, position - j0 - c, features);
                    s = Functions.score(s, batch, head, TornadoMath.min(i0 + row, seqQ - 1), j0 + c, position);
                    scores[c * scoreStride + row] = s;
                    max = TornadoMath.max(max, s);
                }
                float sum = 0f;
                for (int c = 0; c < blockK; c++) {
                    float p = 0f;
                    float seen = 0f;
                    if (c >= from && c <= to) {
                        float s = scores[c * scoreStride + row];
                        p = Functions.weight(TornadoMath.exp(s - max), s);
                        seen = Functions.weight(1f, s);
                    }
                    sum += p;
                    p *= DropoutMask.factor(seedLow, seedHigh, seedOffset, threshold, batchHead, i0 + row, j0 + c, features);
                    if (unseen > 0) {
                        if (seen == 0f) {
                            p = Unseen.P;
                        }
                    }
                    scores[c * scoreStride + row] = p;
                }
                float alpha = TornadoMath.exp(oldMax - max);
                rowMax[row] = max;
                if (PartialSums.areJoined()) {
                    if (joined > 0) {
                        rowSum[row] = 0f;
                    }
                }
                rowSum[row] = alpha * rowSum[row] + sum;
                correction[row] = alpha;
            }
            context.localBarrier();

            // O = diag(alpha) O + P V_j.
            float a0 = correction[firstRow], a1 = correction[firstRow + 1];
            float a2 = correction[firstRow + 2], a3 = correction[firstRow + 3];
            float a4 = correction[firstRow + 4], a5 = correction[firstRow + 5];
            float a6 = correction[firstRow + 6], a7 = correction[firstRow + 7];
            o00 *= a0; o01 *= a0; o02 *= a0; o03 *= a0; o04 *= a0; o05 *= a0; o06 *= a0; o07 *= a0;
            o10 *= a1; o11 *= a1; o12 *= a1; o13 *= a1; o14 *= a1; o15 *= a1; o16 *= a1; o17 *= a1;
            o20 *= a2; o21 *= a2; o22 *= a2; o23 *= a2; o24 *= a2; o25 *= a2; o26 *= a2; o27 *= a2;
            o30 *= a3; o31 *= a3; o32 *= a3; o33 *= a3; o34 *= a3; o35 *= a3; o36 *= a3; o37 *= a3;
            o40 *= a4; o41 *= a4; o42 *= a4; o43 *= a4; o44 *= a4; o45 *= a4; o46 *= a4; o47 *= a4;
            o50 *= a5; o51 *= a5; o52 *= a5; o53 *= a5; o54 *= a5; o55 *= a5; o56 *= a5; o57 *= a5;
            o60 *= a6; o61 *= a6; o62 *= a6; o63 *= a6; o64 *= a6; o65 *= a6; o66 *= a6; o67 *= a6;
            o70 *= a7; o71 *= a7; o72 *= a7; o73 *= a7; o74 *= a7; o75 *= a7; o76 *= a7; o77 *= a7;
            // One loop or the other: as the branches of a condition PoCL compiles them wrongly.
            int marked = unseen > 0 ? blockK : 0;
            for (int j = 0; j < marked; j++) {
                int p = j * scoreStride + firstRow;
                int v = j * stride + firstDim;
                float p0 = scores[p], p1 = scores[p + 1], p2 = scores[p + 2], p3 = scores[p + 3];
                float p4 = scores[p + 4], p5 = scores[p + 5], p6 = scores[p + 6], p7 = scores[p + 7];
                float v0 = keyValueTile[v], v1 = keyValueTile[v + 1];
                float v2 = keyValueTile[v + 2], v3 = keyValueTile[v + 3];
                float v4 = keyValueTile[v + half], v5 = keyValueTile[v + half + 1];
                float v6 = keyValueTile[v + half + 2], v7 = keyValueTile[v + half + 3];
                if (p0 != Unseen.P) {
                    o00 += p0 * v0; o01 += p0 * v1; o02 += p0 * v2; o03 += p0 * v3;
                    o04 += p0 * v4; o05 += p0 * v5; o06 += p0 * v6; o07 += p0 * v7;
                }
                if (p1 != Unseen.P) {
                    o10 += p1 * v0; o11 += p1 * v1; o12 += p1 * v2; o13 += p1 * v3;
                    o14 += p1 * v4; o15 += p1 * v5; o16 += p1 * v6; o17 += p1 * v7;
                }
                if (p2 != Unseen.P) {
                    o20 += p2 * v0; o21 += p2 * v1; o22 += p2 * v2; o23 += p2 * v3;
                    o24 += p2 * v4; o25 += p2 * v5; o26 += p2 * v6; o27 += p2 * v7;
                }
                if (p3 != Unseen.P) {
                    o30 += p3 * v0; o31 += p3 * v1; o32 += p3 * v2; o33 += p3 * v3;
                    o34 += p3 * v4; o35 += p3 * v5; o36 += p3 * v6; o37 += p3 * v7;
                }
                if (p4 != Unseen.P) {
                    o40 += p4 * v0; o41 += p4 * v1; o42 += p4 * v2; o43 += p4 * v3;
                    o44 += p4 * v4; o45 += p4 * v5; o46 += p4 * v6; o47 += p4 * v7;
                }
                if (p5 != Unseen.P) {
                    o50 += p5 * v0; o51 += p5 * v1; o52 += p5 * v2; o53 += p5 * v3;
                    o54 += p5 * v4; o55 += p5 * v5; o56 += p5 * v6; o57 += p5 * v7;
                }
                if (p6 != Unseen.P) {
                    o60 += p6 * v0; o61 += p6 * v1; o62 += p6 * v2; o63 += p6 * v3;
                    o64 += p6 * v4; o65 += p6 * v5; o66 += p6 * v6; o67 += p6 * v7;
                }
                if (p7 != Unseen.P) {
                    o70 += p7 * v0; o71 += p7 * v1; o72 += p7 * v2; o73 += p7 * v3;
                    o74 += p7 * v4; o75 += p7 * v5; o76 += p7 * v6; o77 += p7 * v7;
                }
            }
            for (int j = marked; j < blockK; j++) {
                int p = j * scoreStride + firstRow;
                int v = j * stride + firstDim;
                float p0 = scores[p], p1 = scores[p + 1], p2 = scores[p + 2], p3 = scores[p + 3];
                float p4 = scores[p + 4], p5 = scores[p + 5], p6 = scores[p + 6], p7 = scores[p + 7];
                float v0 = keyValueTile[v], v1 = keyValueTile[v + 1];
                float v2 = keyValueTile[v + 2], v3 = keyValueTile[v + 3];
                float v4 = keyValueTile[v + half], v5 = keyValueTile[v + half + 1];
                float v6 = keyValueTile[v + half + 2], v7 = keyValueTile[v + half + 3];
                o00 += p0 * v0; o01 += p0 * v1; o02 += p0 * v2; o03 += p0 * v3;
                o04 += p0 * v4; o05 += p0 * v5; o06 += p0 * v6; o07 += p0 * v7;
                o10 += p1 * v0; o11 += p1 * v1; o12 += p1 * v2; o13 += p1 * v3;
                o14 += p1 * v4; o15 += p1 * v5; o16 += p1 * v6; o17 += p1 * v7;
                o20 += p2 * v0; o21 += p2 * v1; o22 += p2 * v2; o23 += p2 * v3;
                o24 += p2 * v4; o25 += p2 * v5; o26 += p2 * v6; o27 += p2 * v7;
                o30 += p3 * v0; o31 += p3 * v1; o32 += p3 * v2; o33 += p3 * v3;
                o34 += p3 * v4; o35 += p3 * v5; o36 += p3 * v6; o37 += p3 * v7;
                o40 += p4 * v0; o41 += p4 * v1; o42 += p4 * v2; o43 += p4 * v3;
                o44 += p4 * v4; o45 += p4 * v5; o46 += p4 * v6; o47 += p4 * v7;
                o50 += p5 * v0; o51 += p5 * v1; o52 += p5 * v2; o53 += p5 * v3;
                o54 += p5 * v4; o55 += p5 * v5; o56 += p5 * v6; o57 += p5 * v7;
                o60 += p6 * v0; o61 += p6 * v1; o62 += p6 * v2; o63 += p6 * v3;
                o64 += p6 * v4; o65 += p6 * v5; o66 += p6 * v6; o67 += p6 * v7;
                o70 += p7 * v0; o71 += p7 * v1; o72 += p7 * v2; o73 += p7 * v3;
                o74 += p7 * v4; o75 += p7 * v5; o76 += p7 * v6; o77 += p7 * v7;
            }
            if (PartialSums.areJoined()) {
                joined = 0;
                if (PartialSums.endRun(j0, blockK)) {
                    joined = 1;
                    int z = PartialSums.hiddenZero(rowSum[firstRow], 0f, j0);
                    join(total, z, 0, rowMax[firstRow + 0], rowSum[firstRow + 0], o00, o01, o02, o03, o04, o05, o06, o07);
                    join(total, z, 1, rowMax[firstRow + 1], rowSum[firstRow + 1], o10, o11, o12, o13, o14, o15, o16, o17);
                    join(total, z, 2, rowMax[firstRow + 2], rowSum[firstRow + 2], o20, o21, o22, o23, o24, o25, o26, o27);
                    join(total, z, 3, rowMax[firstRow + 3], rowSum[firstRow + 3], o30, o31, o32, o33, o34, o35, o36, o37);
                    join(total, z, 4, rowMax[firstRow + 4], rowSum[firstRow + 4], o40, o41, o42, o43, o44, o45, o46, o47);
                    join(total, z, 5, rowMax[firstRow + 5], rowSum[firstRow + 5], o50, o51, o52, o53, o54, o55, o56, o57);
                    join(total, z, 6, rowMax[firstRow + 6], rowSum[firstRow + 6], o60, o61, o62, o63, o64, o65, o66, o67);
                    join(total, z, 7, rowMax[firstRow + 7], rowSum[firstRow + 7], o70, o71, o72, o73, o74, o75, o76, o77);
                    o00 = 0f; o01 = 0f; o02 = 0f; o03 = 0f; o04 = 0f; o05 = 0f; o06 = 0f; o07 = 0f;
                    o10 = 0f; o11 = 0f; o12 = 0f; o13 = 0f; o14 = 0f; o15 = 0f; o16 = 0f; o17 = 0f;
                    o20 = 0f; o21 = 0f; o22 = 0f; o23 = 0f; o24 = 0f; o25 = 0f; o26 = 0f; o27 = 0f;
                    o30 = 0f; o31 = 0f; o32 = 0f; o33 = 0f; o34 = 0f; o35 = 0f; o36 = 0f; o37 = 0f;
                    o40 = 0f; o41 = 0f; o42 = 0f; o43 = 0f; o44 = 0f; o45 = 0f; o46 = 0f; o47 = 0f;
                    o50 = 0f; o51 = 0f; o52 = 0f; o53 = 0f; o54 = 0f; o55 = 0f; o56 = 0f; o57 = 0f;
                    o60 = 0f; o61 = 0f; o62 = 0f; o63 = 0f; o64 = 0f; o65 = 0f; o66 = 0f; o67 = 0f;
                    o70 = 0f; o71 = 0f; o72 = 0f; o73 = 0f; o74 = 0f; o75 = 0f; o76 = 0f; o77 = 0f;
                }
            }
            context.localBarrier();
        }
        if (PartialSums.areJoined()) {
            if (item % dimGroups == 0) {
                for (int r = 0; r < 8; r++) {
                    int row = firstRow + r;
                    float since = joined > 0 ? 0f : rowSum[row];
                    rowSum[row] = since + TornadoMath.exp(total[72 + r] - rowMax[row]) * total[64 + r];
                }
            }
            context.localBarrier();
        }

        // O = O / l and L = m + ln l; a query that saw no key gets 0 and -infinity. O leaves through the query tile, so
        // that neighbouring work-items write neighbouring elements.
        for (int row = item; row < blockQ; row += step) {
            float sum = rowSum[row];
            float max = rowMax[row];
            float lse = RowEnd.logSumExp(max, sum, headTerms, head, features);
            correction[row] = RowEnd.inverse(max, sum, headTerms, head, features);
            if (row < rows) {
                logSumExp.set(batchHead * seqQ + i0 + row, lse);
            }
        }
        context.localBarrier();
        int y0 = firstRow * stride + firstDim, z0 = y0 + half;
        int y1 = (firstRow + 1) * stride + firstDim, z1 = y1 + half;
        int y2 = (firstRow + 2) * stride + firstDim, z2 = y2 + half;
        int y3 = (firstRow + 3) * stride + firstDim, z3 = y3 + half;
        int y4 = (firstRow + 4) * stride + firstDim, z4 = y4 + half;
        int y5 = (firstRow + 5) * stride + firstDim, z5 = y5 + half;
        int y6 = (firstRow + 6) * stride + firstDim, z6 = y6 + half;
        int y7 = (firstRow + 7) * stride + firstDim, z7 = y7 + half;
        queryTile[y0] = o00; queryTile[y0 + 1] = o01; queryTile[y0 + 2] = o02; queryTile[y0 + 3] = o03;
        queryTile[z0] = o04; queryTile[z0 + 1] = o05; queryTile[z0 + 2] = o06; queryTile[z0 + 3] = o07;
        queryTile[y1] = o10; queryTile[y1 + 1] = o11; queryTile[y1 + 2] = o12; queryTile[y1 + 3] = o13;
        queryTile[z1] = o14; queryTile[z1 + 1] = o15; queryTile[z1 + 2] = o16; queryTile[z1 + 3] = o17;
        queryTile[y2] = o20; queryTile[y2 + 1] = o21; queryTile[y2 + 2] = o22; queryTile[y2 + 3] = o23;
        queryTile[z2] = o24; queryTile[z2 + 1] = o25; queryTile[z2 + 2] = o26; queryTile[z2 + 3] = o27;
        queryTile[y3] = o30; queryTile[y3 + 1] = o31; queryTile[y3 + 2] = o32; queryTile[y3 + 3] = o33;
        queryTile[z3] = o34; queryTile[z3 + 1] = o35; queryTile[z3 + 2] = o36; queryTile[z3 + 3] = o37;
        queryTile[y4] = o40; queryTile[y4 + 1] = o41; queryTile[y4 + 2] = o42; queryTile[y4 + 3] = o43;
        queryTile[z4] = o44; queryTile[z4 + 1] = o45; queryTile[z4 + 2] = o46; queryTile[z4 + 3] = o47;
        queryTile[y5] = o50; queryTile[y5 + 1] = o51; queryTile[y5 + 2] = o52; queryTile[y5 + 3] = o53;
        queryTile[z5] = o54; queryTile[z5 + 1] = o55; queryTile[z5 + 2] = o56; queryTile[z5 + 3] = o57;
        queryTile[y6] = o60; queryTile[y6 + 1] = o61; queryTile[y6 + 2] = o62; queryTile[y6 + 3] = o63;
        queryTile[z6] = o64; queryTile[z6 + 1] = o65; queryTile[z6 + 2] = o66; queryTile[z6 + 3] = o67;
        queryTile[y7] = o70; queryTile[y7 + 1] = o71; queryTile[y7 + 2] = o72; queryTile[y7 + 3] = o73;
        queryTile[z7] = o74; queryTile[z7 + 1] = o75; queryTile[z7 + 2] = o76; queryTile[z7 + 3] = o77;
        if (PartialSums.areJoined()) {
            for (int at = 0; at < 64; at++) {
                int row = firstRow + at / 8;
                int to = row * stride + firstDim + at / 4 % 2 * half + at % 4;
                queryTile[to] += TornadoMath.exp(total[72 + at / 8] - rowMax[row]) * total[at];
            }
        }
        context.localBarrier();
        for (int at = item; at < blockQ * paddedDim; at += step) {
            int row = at / paddedDim;
            int x = at % paddedDim;
            if (row < rows && x < valueDim) {
                float o = queryTile[row * stride + x] * correction[row];
                store(output, outputBase + row * outputStride + x, o, features);
            }
        }
    }
    // spotless:on
}
