package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.Storage.load;
import static org.tornadoattention.kernel.parts.Storage.store;

import org.tornadoattention.kernel.parts.DropoutMask;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.PartialSums;
import org.tornadoattention.kernel.parts.Placement;
import org.tornadoattention.kernel.parts.RowTerms;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.Unseen;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The gradient of attention with respect to the queries on plain arithmetic units: one work-group per tile of
 * {@code block} queries, K and V streamed through local memory in tiles of as many keys, P recomputed from the
 * log-sum-exp. {@link TiledKeyValueGradients} is the other half of the backward pass.
 *
 * <p>Source: Dao, <i>FlashAttention-2</i> (2023), algorithm 2, with a loop order of its own for dQ, so that no two groups
 * add to the same gradient: no atomics, and the same bits in every run.
 *
 * <p><b>Arrays.</b> query and queryGradient {@code [batch, heads, seqQ, headDim]}, outputGradient {@code [batch, heads, seqQ,
 * valueDim]}, key {@code [batch, kvHeads, seqK, headDim]}, value {@code [batch, kvHeads, seqK, valueDim]}, rowTerms of {@link BackwardRowTerms} {@code [batch, heads, seqQ, 2]}, headTerms
 * {@code [heads]}, keyLengths {@code [batch]} (keys) and the words of dropout. Arithmetic is F32 whatever the arrays
 * store.
 *
 * <p><b>Grid.</b> One dimension, {@code batch * heads * ceil(seqQ / block)} groups of {@link #groupSize} work-items.
 * {@code block} is a multiple of 8.
 *
 * <p><b>Local memory.</b> {@link #localMemoryBytes}: tiles of Q, dO, K and V, of S and dP, and two numbers a query. Where a
 * tile of S has fewer blocks than the group has work-items, several share a block, each with a part of the head dimension.
 *
 * <p><b>Device.</b> Any that has work-groups and local memory; no sub-groups, no atomics, no 64-bit floats.
 *
 * <p><b>Not done here.</b> Tensor cores; overlap of loads with arithmetic inside a group.
 */
public final class TiledQueryGradient {

    private TiledQueryGradient() {}

    /** Work-items in a group: each owns 8 rows by 4 dimensions of the gradient. */
    public static int groupSize(int headDim, int block) {
        return block / 8 * ((headDim + 3) / 4);
    }

    /** Work-items that share a block of S, each with a part of the head dimension. */
    public static int parts(int headDim, int block) {
        return Math.max(1, groupSize(headDim, block) / (block / 4 * (block / 4)));
    }

    /** Bytes of local memory that a group uses. */
    public static int localMemoryBytes(int headDim, int block) {
        int parts = parts(headDim, block);
        int stride = (headDim + 3) / 4 * 4 + 4;
        return Float.BYTES * (4 * block * stride + 2 * parts * block * (block + 4) + 2 * block);
    }

    /** Where an element of a tile lies in local memory: four unused elements a row keep columns apart in its banks. */
    private static int padded(int element, int paddedDim) {
        return element + element / paddedDim * 4;
    }

    /**
     * Computes one tile of dQ; see the class for arrays, grid and memory.
     *
     * @param block queries, and keys, in a tile
     * @param addedValueDim valueDim less headDim: where it is 0, nothing of it is left in the compiled kernel
     * @param addedWidestDim the larger of both, which tiles are made for, less headDim
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features as {@link TiledFlashAttention} has them
     */
    // spotless:off: register tiles are written in rows
    public static void queryGradient(
            KernelContext context,
            @Element FloatArray query,
            @Element FloatArray key,
            @Element FloatArray value,
            @Element FloatArray outputGradient,
            FloatArray rowTerms,
            @Element FloatArray queryGradient,
            FloatArray headTerms,
            IntArray keyLengths,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int headDim,
            @Constant int addedValueDim,
            @Constant int addedWidestDim,
            int block,
            int windowLeft,
            int windowRight,
            float scale,
            float softcap,
            int features) {
        int valueDim = headDim + addedValueDim;
        int widestDim = headDim + addedWidestDim;
        int paddedDim = (widestDim + 3) / 4 * 4;
        int stride = paddedDim + 4;
        int scoreStride = block + 4;
        int dimGroups = paddedDim / 4;
        int step = block / 8 * dimGroups; // work-items in the group: what each strides by
        int quarter = block / 4;
        int tileStep = quarter * stride;
        int scoreStep = quarter * scoreStride;
        int share = step / (quarter * quarter);
        int parts = share + 1 / (share + 1); // max(1, share), of which the compiler makes a constant

        float[] queryTile = context.allocateFloatLocalArray(block * ((widestDim + 3) / 4 * 4 + 4));
        float[] gradientTile = context.allocateFloatLocalArray(block * ((widestDim + 3) / 4 * 4 + 4));
        float[] keyTile = context.allocateFloatLocalArray(block * ((widestDim + 3) / 4 * 4 + 4));
        float[] valueTile = context.allocateFloatLocalArray(block * ((widestDim + 3) / 4 * 4 + 4));
        float[] scores = context.allocateFloatLocalArray(parts * block * (block + 4));
        float[] gradients = context.allocateFloatLocalArray(parts * block * (block + 4));
        float[] rowLse = context.allocateFloatLocalArray(block);
        float[] rowD = context.allocateFloatLocalArray(block);

        // Which tile of queries: the last tiles first, since under a causal mask they see the most keys.
        int item = context.localIdx;
        int batchHead = Placement.batchHead(context.groupIdx, seqQ, block);
        int i0 = Placement.firstQuery(context.groupIdx, seqQ, block);
        int head = batchHead % heads;
        int batch = batchHead / heads;
        int keyBase = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK * headDim;
        int valueBase = Placement.keyValueHead(batchHead, heads, kvHeads) * seqK * valueDim;
        int queryBase = (batchHead * seqQ + i0) * headDim;
        int outputBase = (batchHead * seqQ + i0) * valueDim;
        int rows = TornadoMath.min(block, seqQ - i0);

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

        // Load Q_i, dO_i, L_i and D_i; dQ = 0: 8 rows by 4 dimensions a work-item, in registers with names of their own,
        // since TornadoVM puts a private array in memory on some backends.
        for (int at = item; at < block * paddedDim; at += step) {
            int row = at / paddedDim;
            int x = at % paddedDim;
            float q = 0f;
            float d = 0f;
            if (row < rows && x < headDim) {
                q = load(query, queryBase + row * headDim + x, features);
                if (valueDim == headDim) {
                    d = load(outputGradient, outputBase + row * valueDim + x, features);
                }
            }
            if (valueDim != headDim) {
                if (row < rows && x < valueDim) {
                    d = load(outputGradient, outputBase + row * valueDim + x, features);
                }
            }
            queryTile[row * stride + x] = q;
            gradientTile[row * stride + x] = d;
        }
        for (int row = item; row < block; row += step) {
            float lse = RowTerms.ABOVE_ALL_SCORES;
            float d = 0f;
            if (row < rows) {
                lse = RowTerms.logSumExp(rowTerms, batchHead * seqQ + i0 + row);
                d = RowTerms.d(rowTerms, batchHead * seqQ + i0 + row);
            }
            rowLse[row] = lse;
            rowD[row] = d;
        }
        int firstRow = item / dimGroups * 8;
        int firstDim = item % dimGroups * 4;
        float g00 = 0f, g01 = 0f, g02 = 0f, g03 = 0f;
        float g10 = 0f, g11 = 0f, g12 = 0f, g13 = 0f;
        float g20 = 0f, g21 = 0f, g22 = 0f, g23 = 0f;
        float g30 = 0f, g31 = 0f, g32 = 0f, g33 = 0f;
        float g40 = 0f, g41 = 0f, g42 = 0f, g43 = 0f;
        float g50 = 0f, g51 = 0f, g52 = 0f, g53 = 0f;
        float g60 = 0f, g61 = 0f, g62 = 0f, g63 = 0f;
        float g70 = 0f, g71 = 0f, g72 = 0f, g73 = 0f;

        // What it joins every so many keys.
        float[] total = new float[PartialSums.areJoined() ? 32 : 0];
        if (PartialSums.areJoined()) {
            for (int at = 0; at < 32; at++) {
                total[at] = 0f;
            }
        }

        int j0 = Functions.nextKey(firstKey / block * block, block, batch, head, i0, rows, lastKey);
        for (; j0 <= lastKey; j0 = Functions.nextKey(j0 + block, block, batch, head, i0, rows, lastKey)) {
            // Load K_j and V_j, a whole tile sixteen elements at a time: a load takes hundreds of cycles, alone or in
            // company.
            int keys = TornadoMath.min(block, length - j0);
            context.localBarrier();
            if (keys == block && headDim == paddedDim && valueDim == headDim) {
                for (int at = item; at < block * paddedDim; at += 8 * step) {
                    int from = keyBase + j0 * headDim + at;
                    float k0 = load(key, from, features), k1 = load(key, from + step, features);
                    float v0 = load(value, from, features), v1 = load(value, from + step, features);
                    float k2 = load(key, from + 2 * step, features), k3 = load(key, from + 3 * step, features);
                    float v2 = load(value, from + 2 * step, features), v3 = load(value, from + 3 * step, features);
                    float k4 = load(key, from + 4 * step, features), k5 = load(key, from + 5 * step, features);
                    float v4 = load(value, from + 4 * step, features), v5 = load(value, from + 5 * step, features);
                    float k6 = load(key, from + 6 * step, features), k7 = load(key, from + 7 * step, features);
                    float v6 = load(value, from + 6 * step, features), v7 = load(value, from + 7 * step, features);
                    keyTile[padded(at, paddedDim)] = k0;
                    valueTile[padded(at, paddedDim)] = v0;
                    keyTile[padded(at + step, paddedDim)] = k1;
                    valueTile[padded(at + step, paddedDim)] = v1;
                    keyTile[padded(at + 2 * step, paddedDim)] = k2;
                    valueTile[padded(at + 2 * step, paddedDim)] = v2;
                    keyTile[padded(at + 3 * step, paddedDim)] = k3;
                    valueTile[padded(at + 3 * step, paddedDim)] = v3;
                    keyTile[padded(at + 4 * step, paddedDim)] = k4;
                    valueTile[padded(at + 4 * step, paddedDim)] = v4;
                    keyTile[padded(at + 5 * step, paddedDim)] = k5;
                    valueTile[padded(at + 5 * step, paddedDim)] = v5;
                    keyTile[padded(at + 6 * step, paddedDim)] = k6;
                    valueTile[padded(at + 6 * step, paddedDim)] = v6;
                    keyTile[padded(at + 7 * step, paddedDim)] = k7;
                    valueTile[padded(at + 7 * step, paddedDim)] = v7;
                }
            } else {
                for (int at = item; at < block * paddedDim; at += step) {
                    int row = at / paddedDim;
                    int x = at % paddedDim;
                    float k = 0f;
                    float v = 0f;
                    if (row < keys && x < headDim) {
                        k = load(key, keyBase + (j0 + row) * headDim + x, features);
                        if (valueDim == headDim) {
                            v = load(value, valueBase + (j0 + row) * valueDim + x, features);
                        }
                    }
                    if (valueDim != headDim) {
                        if (row < keys && x < valueDim) {
                            v = load(value, valueBase + (j0 + row) * valueDim + x, features);
                        }
                    }
                    keyTile[row * stride + x] = k;
                    valueTile[row * stride + x] = v;
                }
            }
            context.localBarrier();

            // S = Q_i K_j^T and dP = dO_i V_j^T, in blocks of 4 queries by 4 keys, stored transposed.
            for (int unit = item; unit < quarter * quarter * parts; unit += step) {
                int part = unit % parts;
                int across = unit / parts % quarter;
                int down = unit / parts / quarter;
                int q = down * stride;
                int k = across * stride;
                int s = part * block * scoreStride + across * scoreStride + down;
                float s00 = 0f, s01 = 0f, s02 = 0f, s03 = 0f;
                float s10 = 0f, s11 = 0f, s12 = 0f, s13 = 0f;
                float s20 = 0f, s21 = 0f, s22 = 0f, s23 = 0f;
                float s30 = 0f, s31 = 0f, s32 = 0f, s33 = 0f;
                float p00 = 0f, p01 = 0f, p02 = 0f, p03 = 0f;
                float p10 = 0f, p11 = 0f, p12 = 0f, p13 = 0f;
                float p20 = 0f, p21 = 0f, p22 = 0f, p23 = 0f;
                float p30 = 0f, p31 = 0f, p32 = 0f, p33 = 0f;
                for (int x = part; x < paddedDim; x += parts) {
                    float q0 = queryTile[q + 0 * tileStep + x]; float q1 = queryTile[q + 1 * tileStep + x];
                    float q2 = queryTile[q + 2 * tileStep + x]; float q3 = queryTile[q + 3 * tileStep + x];
                    float d0 = gradientTile[q + 0 * tileStep + x]; float d1 = gradientTile[q + 1 * tileStep + x];
                    float d2 = gradientTile[q + 2 * tileStep + x]; float d3 = gradientTile[q + 3 * tileStep + x];
                    float k0 = keyTile[k + 0 * tileStep + x]; float k1 = keyTile[k + 1 * tileStep + x];
                    float k2 = keyTile[k + 2 * tileStep + x]; float k3 = keyTile[k + 3 * tileStep + x];
                    float v0 = valueTile[k + 0 * tileStep + x]; float v1 = valueTile[k + 1 * tileStep + x];
                    float v2 = valueTile[k + 2 * tileStep + x]; float v3 = valueTile[k + 3 * tileStep + x];
                    s00 += q0 * k0; s01 += q0 * k1; s02 += q0 * k2; s03 += q0 * k3;
                    s10 += q1 * k0; s11 += q1 * k1; s12 += q1 * k2; s13 += q1 * k3;
                    s20 += q2 * k0; s21 += q2 * k1; s22 += q2 * k2; s23 += q2 * k3;
                    s30 += q3 * k0; s31 += q3 * k1; s32 += q3 * k2; s33 += q3 * k3;
                    p00 += d0 * v0; p01 += d0 * v1; p02 += d0 * v2; p03 += d0 * v3;
                    p10 += d1 * v0; p11 += d1 * v1; p12 += d1 * v2; p13 += d1 * v3;
                    p20 += d2 * v0; p21 += d2 * v1; p22 += d2 * v2; p23 += d2 * v3;
                    p30 += d3 * v0; p31 += d3 * v1; p32 += d3 * v2; p33 += d3 * v3;
                }
                scores[s + 0 * scoreStep + 0 * quarter] = s00; gradients[s + 0 * scoreStep + 0 * quarter] = p00;
                scores[s + 1 * scoreStep + 0 * quarter] = s01; gradients[s + 1 * scoreStep + 0 * quarter] = p01;
                scores[s + 2 * scoreStep + 0 * quarter] = s02; gradients[s + 2 * scoreStep + 0 * quarter] = p02;
                scores[s + 3 * scoreStep + 0 * quarter] = s03; gradients[s + 3 * scoreStep + 0 * quarter] = p03;
                scores[s + 0 * scoreStep + 1 * quarter] = s10; gradients[s + 0 * scoreStep + 1 * quarter] = p10;
                scores[s + 1 * scoreStep + 1 * quarter] = s11; gradients[s + 1 * scoreStep + 1 * quarter] = p11;
                scores[s + 2 * scoreStep + 1 * quarter] = s12; gradients[s + 2 * scoreStep + 1 * quarter] = p12;
                scores[s + 3 * scoreStep + 1 * quarter] = s13; gradients[s + 3 * scoreStep + 1 * quarter] = p13;
                scores[s + 0 * scoreStep + 2 * quarter] = s20; gradients[s + 0 * scoreStep + 2 * quarter] = p20;
                scores[s + 1 * scoreStep + 2 * quarter] = s21; gradients[s + 1 * scoreStep + 2 * quarter] = p21;
                scores[s + 2 * scoreStep + 2 * quarter] = s22; gradients[s + 2 * scoreStep + 2 * quarter] = p22;
                scores[s + 3 * scoreStep + 2 * quarter] = s23; gradients[s + 3 * scoreStep + 2 * quarter] = p23;
                scores[s + 0 * scoreStep + 3 * quarter] = s30; gradients[s + 0 * scoreStep + 3 * quarter] = p30;
                scores[s + 1 * scoreStep + 3 * quarter] = s31; gradients[s + 1 * scoreStep + 3 * quarter] = p31;
                scores[s + 2 * scoreStep + 3 * quarter] = s32; gradients[s + 2 * scoreStep + 3 * quarter] = p32;
                scores[s + 3 * scoreStep + 3 * quarter] = s33; gradients[s + 3 * scoreStep + 3 * quarter] = p33;
            }
            context.localBarrier();

            // Whether some query of the tile does not see some key of it: then such pairs are marked, where their score was.
            int unseen = Unseen.inTile(j0, block, everyLeft, everyRight, windowLeft, windowRight);
            if (Functions.weight(1f, Score.NO_SCORE) == 0f) {
                unseen = 1;
            }

            // P = exp(scale * S - L), dS = P (dP - D). The mask is an interval of keys.
            for (int pair = item; pair < block * block; pair += step) {
                int c = pair / block;
                int r = pair % block;
                int at = c * scoreStride + r;
                int position = i0 + r + offset;
                int j = j0 + c;
                int from = Window.firstInTile(position, j0, windowLeft);
                int to = Window.lastInTile(position, j0, keys, windowRight);
                float ds = 0f;
                float seen = 0f;
                if (c >= from && c <= to) {
                    float s = 0f;
                    float dp = 0f;
                    for (int part = 0; part < parts; part++) {
                        s += scores[part * block * scoreStride + at];
                        dp += gradients[part * block * scoreStride + at];
                    }
                    s = scale * s;
                    s = Score.capped(s, softcap);
                    float capSlope = Score.derivative(s, softcap);
                    s = Score.biased(s, slope, position - j, features);
                    int i = TornadoMath.min(i0 + r, seqQ - 1);
                    capSlope *= Functions.slope(s, batch, head, i, j, position);
                    s = Functions.score(s, batch, head, i, j, position);
                    float p = TornadoMath.exp(s - rowLse[r]);
                    dp *= DropoutMask.factor(seedLow, seedHigh, seedOffset, threshold, batchHead, i0 + r, j, features);
                    ds = Functions.weight(p * (dp - rowD[r]) * capSlope, s);
                    seen = Functions.weight(1f, s);
                }
                gradients[at] = ds;
                if (unseen > 0) {
                    scores[at] = seen == 0f ? Unseen.P : 0f;
                }
            }
            context.localBarrier();

            // dQ_i = dQ_i + dS K_j.
            // One loop or the other: as the branches of a condition PoCL compiles them wrongly.
            int marked = unseen > 0 ? block : 0;
            for (int j = 0; j < marked; j++) {
                int s = j * scoreStride + firstRow;
                int k = j * stride + firstDim;
                float s0 = gradients[s], s1 = gradients[s + 1], s2 = gradients[s + 2], s3 = gradients[s + 3];
                float s4 = gradients[s + 4], s5 = gradients[s + 5], s6 = gradients[s + 6], s7 = gradients[s + 7];
                float k0 = keyTile[k], k1 = keyTile[k + 1], k2 = keyTile[k + 2], k3 = keyTile[k + 3];
                if (scores[s] != Unseen.P) {
                    g00 += s0 * k0; g01 += s0 * k1; g02 += s0 * k2; g03 += s0 * k3;
                }
                if (scores[s + 1] != Unseen.P) {
                    g10 += s1 * k0; g11 += s1 * k1; g12 += s1 * k2; g13 += s1 * k3;
                }
                if (scores[s + 2] != Unseen.P) {
                    g20 += s2 * k0; g21 += s2 * k1; g22 += s2 * k2; g23 += s2 * k3;
                }
                if (scores[s + 3] != Unseen.P) {
                    g30 += s3 * k0; g31 += s3 * k1; g32 += s3 * k2; g33 += s3 * k3;
                }
                if (scores[s + 4] != Unseen.P) {
                    g40 += s4 * k0; g41 += s4 * k1; g42 += s4 * k2; g43 += s4 * k3;
                }
                if (scores[s + 5] != Unseen.P) {
                    g50 += s5 * k0; g51 += s5 * k1; g52 += s5 * k2; g53 += s5 * k3;
                }
                if (scores[s + 6] != Unseen.P) {
                    g60 += s6 * k0; g61 += s6 * k1; g62 += s6 * k2; g63 += s6 * k3;
                }
                if (scores[s + 7] != Unseen.P) {
                    g70 += s7 * k0; g71 += s7 * k1; g72 += s7 * k2; g73 += s7 * k3;
                }
            }
            for (int j = marked; j < block; j++) {
                int s = j * scoreStride + firstRow;
                int k = j * stride + firstDim;
                float s0 = gradients[s], s1 = gradients[s + 1], s2 = gradients[s + 2], s3 = gradients[s + 3];
                float s4 = gradients[s + 4], s5 = gradients[s + 5], s6 = gradients[s + 6], s7 = gradients[s + 7];
                float k0 = keyTile[k], k1 = keyTile[k + 1], k2 = keyTile[k + 2], k3 = keyTile[k + 3];
                g00 += s0 * k0; g01 += s0 * k1; g02 += s0 * k2; g03 += s0 * k3;
                g10 += s1 * k0; g11 += s1 * k1; g12 += s1 * k2; g13 += s1 * k3;
                g20 += s2 * k0; g21 += s2 * k1; g22 += s2 * k2; g23 += s2 * k3;
                g30 += s3 * k0; g31 += s3 * k1; g32 += s3 * k2; g33 += s3 * k3;
                g40 += s4 * k0; g41 += s4 * k1; g42 += s4 * k2; g43 += s4 * k3;
                g50 += s5 * k0; g51 += s5 * k1; g52 += s5 * k2; g53 += s5 * k3;
                g60 += s6 * k0; g61 += s6 * k1; g62 += s6 * k2; g63 += s6 * k3;
                g70 += s7 * k0; g71 += s7 * k1; g72 += s7 * k2; g73 += s7 * k3;
            }
            if (PartialSums.areJoined()) {
                if (PartialSums.endRun(j0, block)) {
                    int z = PartialSums.hiddenZero(rowLse[firstRow], Score.NO_SCORE, j0);
                    PartialSums.join(total, z + 0, g00, g01, g02, g03);
                    PartialSums.join(total, z + 4, g10, g11, g12, g13);
                    PartialSums.join(total, z + 8, g20, g21, g22, g23);
                    PartialSums.join(total, z + 12, g30, g31, g32, g33);
                    PartialSums.join(total, z + 16, g40, g41, g42, g43);
                    PartialSums.join(total, z + 20, g50, g51, g52, g53);
                    PartialSums.join(total, z + 24, g60, g61, g62, g63);
                    PartialSums.join(total, z + 28, g70, g71, g72, g73);
                    g00 = 0f; g01 = 0f; g02 = 0f; g03 = 0f; g10 = 0f; g11 = 0f; g12 = 0f; g13 = 0f;
                    g20 = 0f; g21 = 0f; g22 = 0f; g23 = 0f; g30 = 0f; g31 = 0f; g32 = 0f; g33 = 0f;
                    g40 = 0f; g41 = 0f; g42 = 0f; g43 = 0f; g50 = 0f; g51 = 0f; g52 = 0f; g53 = 0f;
                    g60 = 0f; g61 = 0f; g62 = 0f; g63 = 0f; g70 = 0f; g71 = 0f; g72 = 0f; g73 = 0f;
                }
            }
        }
        context.localBarrier();

        // dQ leaves through the query tile, so that neighbouring work-items write neighbouring elements.
        int y = firstRow * stride + firstDim;
        queryTile[y + 0 * stride + 0] = g00; queryTile[y + 0 * stride + 1] = g01; queryTile[y + 0 * stride + 2] = g02; queryTile[y + 0 * stride + 3] = g03;
        queryTile[y + 1 * stride + 0] = g10; queryTile[y + 1 * stride + 1] = g11; queryTile[y + 1 * stride + 2] = g12; queryTile[y + 1 * stride + 3] = g13;
        queryTile[y + 2 * stride + 0] = g20; queryTile[y + 2 * stride + 1] = g21; queryTile[y + 2 * stride + 2] = g22; queryTile[y + 2 * stride + 3] = g23;
        queryTile[y + 3 * stride + 0] = g30; queryTile[y + 3 * stride + 1] = g31; queryTile[y + 3 * stride + 2] = g32; queryTile[y + 3 * stride + 3] = g33;
        queryTile[y + 4 * stride + 0] = g40; queryTile[y + 4 * stride + 1] = g41; queryTile[y + 4 * stride + 2] = g42; queryTile[y + 4 * stride + 3] = g43;
        queryTile[y + 5 * stride + 0] = g50; queryTile[y + 5 * stride + 1] = g51; queryTile[y + 5 * stride + 2] = g52; queryTile[y + 5 * stride + 3] = g53;
        queryTile[y + 6 * stride + 0] = g60; queryTile[y + 6 * stride + 1] = g61; queryTile[y + 6 * stride + 2] = g62; queryTile[y + 6 * stride + 3] = g63;
        queryTile[y + 7 * stride + 0] = g70; queryTile[y + 7 * stride + 1] = g71; queryTile[y + 7 * stride + 2] = g72; queryTile[y + 7 * stride + 3] = g73;
        if (PartialSums.areJoined()) {
            for (int at = 0; at < 32; at++) {
                queryTile[y + at / 4 * stride + at % 4] += total[at];
            }
        }
        context.localBarrier();
        for (int at = item; at < block * paddedDim; at += step) {
            int row = at / paddedDim;
            int x = at % paddedDim;
            if (row < rows && x < headDim) {
                store(queryGradient, queryBase + row * headDim + x, scale * queryTile[row * stride + x], features);
            }
        }
    }
    // spotless:on
}
