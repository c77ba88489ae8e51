package org.tornadoattention.kernel;

import static org.tornadoattention.kernel.parts.Storage.load;
import static org.tornadoattention.kernel.parts.Storage.store;

import org.tornadoattention.kernel.parts.DropoutMask;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.PartialSums;
import org.tornadoattention.kernel.parts.RowTerms;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.Unseen;
import org.tornadoattention.kernel.parts.Window;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The gradients of attention with respect to keys and values on plain arithmetic units: one work-group per tile of
 * {@code block} keys, Q and dO of all query heads that read it streamed through local memory in tiles of as many queries,
 * P recomputed from the log-sum-exp. {@link TiledQueryGradient} is the other half of the backward pass.
 *
 * <p>Source: Dao, <i>FlashAttention-2</i> (2023), algorithm 2. The heads of a group are summed one after the other in
 * registers: no atomics, and the same bits in every run.
 *
 * <p><b>Arrays.</b> query {@code [batch, heads, seqQ, headDim]}, outputGradient {@code [batch, heads, seqQ, valueDim]}, key and
 * keyGradient {@code [batch, kvHeads, seqK, headDim]}, value and valueGradient {@code [batch, kvHeads, seqK, valueDim]}, rowTerms of {@link BackwardRowTerms} {@code [batch, heads, seqQ, 2]}, headTerms
 * {@code [heads]}, keyLengths {@code [batch]} (keys) and the words of dropout. Arithmetic is F32 whatever the arrays
 * store. A task takes 20 arguments, so the number of key and value heads is taken from the arrays' sizes.
 *
 * <p><b>Grid.</b> One dimension, {@code batch * kvHeads * ceil(seqK / block)} groups of
 * {@link TiledQueryGradient#groupSize} work-items. {@code block} is a multiple of 8.
 *
 * <p><b>Local memory.</b> {@link TiledQueryGradient#localMemoryBytes}.
 *
 * <p><b>Device.</b> Any that has work-groups and local memory; no sub-groups, no atomics, no 64-bit floats.
 *
 * <p><b>Not done here.</b> Tensor cores; overlap of loads with arithmetic inside a group.
 */
public final class TiledKeyValueGradients {

    private TiledKeyValueGradients() {}

    /** Where an element of a tile lies in local memory: four unused elements a row keep columns apart in its banks. */
    private static int padded(int element, int paddedDim) {
        return element + element / paddedDim * 4;
    }

    /**
     * Computes one tile of dK and dV; see the class for arrays, grid and memory.
     *
     * @param block keys, and queries, in a tile
     * @param addedValueDim valueDim less headDim: where it is 0, nothing of it is left in the compiled kernel
     * @param addedWidestDim the larger of both, which tiles are made for, less headDim
     * @param windowLeft keys that a query sees to the left of its own position, −1 for all
     * @param windowRight likewise to the right; 0 is causal
     * @param scale factor of q·k
     * @param softcap bound c of {@code c·tanh(s/c)}, 0 for none
     * @param features as {@link TiledFlashAttention} has them
     */
    // spotless:off: register tiles are written in rows
    public static void keyValueGradients(
            KernelContext context,
            @Element FloatArray query,
            @Element FloatArray key,
            @Element FloatArray value,
            @Element FloatArray outputGradient,
            FloatArray rowTerms,
            @Element FloatArray keyGradient,
            @Element FloatArray valueGradient,
            FloatArray headTerms,
            IntArray keyLengths,
            int heads,
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

        // Which tile of keys: the first tiles first, since under a causal mask the most queries see them.
        int item = context.localIdx;
        int tilesK = (seqK + block - 1) / block;
        int keyValueHead = context.groupIdx / tilesK;
        int j0 = context.groupIdx % tilesK * block;
        int group = query.getSize() / seqQ / (key.getSize() / seqK); // query heads that read this key/value head
        int firstHead = keyValueHead * group; // batch * heads + the first of them
        int batch = firstHead / heads;
        int keyBase = (keyValueHead * seqK + j0) * headDim;
        int valueBase = (keyValueHead * seqK + j0) * valueDim;

        int length = Window.length(keyLengths, batch, seqK, features);
        int keys = TornadoMath.min(block, length - j0);
        int seedLow = DropoutMask.seedLow(keyLengths, features);
        int seedHigh = DropoutMask.seedHigh(keyLengths, features);
        int seedOffset = DropoutMask.offset(keyLengths, features);
        int threshold = DropoutMask.threshold(keyLengths, features);

        // Query i stands at key position i + offset (bottom-right alignment); queries firstQuery ... lastQuery see the tile.
        int offset = length - seqQ;
        int firstQuery = Window.firstQuery(j0, offset, windowRight);
        int lastQuery = Window.lastQuery(j0 + keys - 1, j0, offset, seqQ, length, windowLeft);
        int everyFirst = Window.everyFirst(j0 + keys - 1, offset, windowRight);
        int everyLast = Window.everyLast(j0, offset, seqQ, windowLeft);

        // Load K_j and V_j; dK = dV = 0: 8 keys by 4 dimensions a work-item, in registers with names of their own, since
        // TornadoVM puts a private array in memory on some backends.
        for (int at = item; at < block * paddedDim; at += step) {
            int row = at / paddedDim;
            int x = at % paddedDim;
            float k = 0f;
            float v = 0f;
            if (row < keys && x < headDim) {
                k = load(key, keyBase + row * headDim + x, features);
                if (valueDim == headDim) {
                    v = load(value, valueBase + row * valueDim + x, features);
                }
            }
            if (valueDim != headDim) {
                if (row < keys && x < valueDim) {
                    v = load(value, valueBase + row * valueDim + x, features);
                }
            }
            keyTile[row * stride + x] = k;
            valueTile[row * stride + x] = v;
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
        float h00 = 0f, h01 = 0f, h02 = 0f, h03 = 0f;
        float h10 = 0f, h11 = 0f, h12 = 0f, h13 = 0f;
        float h20 = 0f, h21 = 0f, h22 = 0f, h23 = 0f;
        float h30 = 0f, h31 = 0f, h32 = 0f, h33 = 0f;
        float h40 = 0f, h41 = 0f, h42 = 0f, h43 = 0f;
        float h50 = 0f, h51 = 0f, h52 = 0f, h53 = 0f;
        float h60 = 0f, h61 = 0f, h62 = 0f, h63 = 0f;
        float h70 = 0f, h71 = 0f, h72 = 0f, h73 = 0f;

        // What they join every so many queries: 32 totals of dK, then those of dV.
        float[] total = new float[PartialSums.areJoined() ? 64 : 0];
        if (PartialSums.areJoined()) {
            for (int at = 0; at < 64; at++) {
                total[at] = 0f;
            }
        }

        for (int batchHead = firstHead; batchHead < firstHead + group; batchHead++) {
            int queryBase = batchHead * seqQ * headDim;
            int outputBase = batchHead * seqQ * valueDim;
            float slope = HeadTerms.slope(headTerms, batchHead % heads, features);
            int head = batchHead % heads;
            int i0 = Functions.nextQuery(firstQuery / block * block, block, batch, head, j0, keys, lastQuery);
            for (; i0 <= lastQuery; i0 = Functions.nextQuery(i0 + block, block, batch, head, j0, keys, lastQuery)) {
                // Load Q_i and dO_i, a whole tile sixteen elements at a time, and L_i and D_i.
                int rows = TornadoMath.min(block, seqQ - i0);
                context.localBarrier();
                if (rows == block && headDim == paddedDim && valueDim == headDim) {
                    for (int at = item; at < block * paddedDim; at += 8 * step) {
                        int from = queryBase + i0 * headDim + at;
                        float q0 = load(query, from, features), q1 = load(query, from + step, features);
                        float d0 = load(outputGradient, from, features), d1 = load(outputGradient, from + step, features);
                        float q2 = load(query, from + 2 * step, features), q3 = load(query, from + 3 * step, features);
                        float d2 = load(outputGradient, from + 2 * step, features), d3 = load(outputGradient, from + 3 * step, features);
                        float q4 = load(query, from + 4 * step, features), q5 = load(query, from + 5 * step, features);
                        float d4 = load(outputGradient, from + 4 * step, features), d5 = load(outputGradient, from + 5 * step, features);
                        float q6 = load(query, from + 6 * step, features), q7 = load(query, from + 7 * step, features);
                        float d6 = load(outputGradient, from + 6 * step, features), d7 = load(outputGradient, from + 7 * step, features);
                        queryTile[padded(at, paddedDim)] = q0;
                        gradientTile[padded(at, paddedDim)] = d0;
                        queryTile[padded(at + step, paddedDim)] = q1;
                        gradientTile[padded(at + step, paddedDim)] = d1;
                        queryTile[padded(at + 2 * step, paddedDim)] = q2;
                        gradientTile[padded(at + 2 * step, paddedDim)] = d2;
                        queryTile[padded(at + 3 * step, paddedDim)] = q3;
                        gradientTile[padded(at + 3 * step, paddedDim)] = d3;
                        queryTile[padded(at + 4 * step, paddedDim)] = q4;
                        gradientTile[padded(at + 4 * step, paddedDim)] = d4;
                        queryTile[padded(at + 5 * step, paddedDim)] = q5;
                        gradientTile[padded(at + 5 * step, paddedDim)] = d5;
                        queryTile[padded(at + 6 * step, paddedDim)] = q6;
                        gradientTile[padded(at + 6 * step, paddedDim)] = d6;
                        queryTile[padded(at + 7 * step, paddedDim)] = q7;
                        gradientTile[padded(at + 7 * step, paddedDim)] = d7;
                    }
                } else {
                    for (int at = item; at < block * paddedDim; at += step) {
                        int row = at / paddedDim;
                        int x = at % paddedDim;
                        float q = 0f;
                        float d = 0f;
                        if (row < rows && x < headDim) {
                            q = load(query, queryBase + (i0 + row) * headDim + x, features);
                            if (valueDim == headDim) {
                                d = load(outputGradient, outputBase + (i0 + row) * valueDim + x, features);
                            }
                        }
                        if (valueDim != headDim) {
                            if (row < rows && x < valueDim) {
                                d = load(outputGradient, outputBase + (i0 + row) * valueDim + x, features);
                            }
                        }
                        queryTile[row * stride + x] = q;
                        gradientTile[row * stride + x] = d;
                    }
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
                context.localBarrier();

                // S = Q_i K_j^T and dP = dO_i V_j^T, in blocks of 4 queries by 4 keys.
                for (int unit = item; unit < quarter * quarter * parts; unit += step) {
                    int part = unit % parts;
                    int across = unit / parts % quarter;
                    int down = unit / parts / quarter;
                    int q = down * stride;
                    int k = across * stride;
                    int s = part * block * scoreStride + down * scoreStride + across;
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
                    scores[s + 0 * scoreStep + 1 * quarter] = s01; gradients[s + 0 * scoreStep + 1 * quarter] = p01;
                    scores[s + 0 * scoreStep + 2 * quarter] = s02; gradients[s + 0 * scoreStep + 2 * quarter] = p02;
                    scores[s + 0 * scoreStep + 3 * quarter] = s03; gradients[s + 0 * scoreStep + 3 * quarter] = p03;
                    scores[s + 1 * scoreStep + 0 * quarter] = s10; gradients[s + 1 * scoreStep + 0 * quarter] = p10;
                    scores[s + 1 * scoreStep + 1 * quarter] = s11; gradients[s + 1 * scoreStep + 1 * quarter] = p11;
                    scores[s + 1 * scoreStep + 2 * quarter] = s12; gradients[s + 1 * scoreStep + 2 * quarter] = p12;
                    scores[s + 1 * scoreStep + 3 * quarter] = s13; gradients[s + 1 * scoreStep + 3 * quarter] = p13;
                    scores[s + 2 * scoreStep + 0 * quarter] = s20; gradients[s + 2 * scoreStep + 0 * quarter] = p20;
                    scores[s + 2 * scoreStep + 1 * quarter] = s21; gradients[s + 2 * scoreStep + 1 * quarter] = p21;
                    scores[s + 2 * scoreStep + 2 * quarter] = s22; gradients[s + 2 * scoreStep + 2 * quarter] = p22;
                    scores[s + 2 * scoreStep + 3 * quarter] = s23; gradients[s + 2 * scoreStep + 3 * quarter] = p23;
                    scores[s + 3 * scoreStep + 0 * quarter] = s30; gradients[s + 3 * scoreStep + 0 * quarter] = p30;
                    scores[s + 3 * scoreStep + 1 * quarter] = s31; gradients[s + 3 * scoreStep + 1 * quarter] = p31;
                    scores[s + 3 * scoreStep + 2 * quarter] = s32; gradients[s + 3 * scoreStep + 2 * quarter] = p32;
                    scores[s + 3 * scoreStep + 3 * quarter] = s33; gradients[s + 3 * scoreStep + 3 * quarter] = p33;
                }
                context.localBarrier();

                // Whether some query of the tile does not see some key of it: then such pairs are marked.
                int unseen = Unseen.inTile(i0, block, everyFirst, everyLast, windowLeft, windowRight);
                if ((features & Features.KEY_LENGTHS) != 0) {
                    unseen = TornadoMath.max(unseen, block - keys);
                }
                if (Functions.weight(1f, Score.NO_SCORE) == 0f) {
                    unseen = 1;
                }

                // P = exp(scale * S - L), dS = P (dP - D). The mask is an interval of keys.
                for (int pair = item; pair < block * block; pair += step) {
                    int r = pair / block;
                    int c = pair % block;
                    int at = r * scoreStride + c;
                    int position = i0 + r + offset;
                    int j = j0 + c;
                    int from = Window.firstInTile(position, j0, windowLeft);
                    int to = Window.lastInTile(position, j0, keys, windowRight);
                    float p = 0f;
                    float ds = 0f;
                    float seen = 0f;
                    if (r < rows && c >= from && c <= to) {
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
                        capSlope *= Functions.slope(s, batch, batchHead % heads, i, j, position);
                        s = Functions.score(s, batch, batchHead % heads, i, j, position);
                        p = Functions.weight(TornadoMath.exp(s - rowLse[r]), s);
                        float factor = DropoutMask.factor(seedLow, seedHigh, seedOffset, threshold, batchHead, i0 + r, j, features);
                        ds = Functions.weight(p * (factor * dp - rowD[r]) * capSlope, s);
                        p *= factor;
                        seen = Functions.weight(1f, s);
                    }
                    if (unseen > 0) {
                        if (seen == 0f) {
                            p = Unseen.P;
                        }
                    }
                    gradients[at] = ds;
                    scores[at] = p;
                }
                context.localBarrier();

                // dK_j = dK_j + dS^T Q_i and dV_j = dV_j + P^T dO_i.
                // One loop or the other: as the branches of a condition PoCL compiles them wrongly.
                int marked = unseen > 0 ? block : 0;
                for (int i = 0; i < marked; i++) {
                    int s = i * scoreStride + firstRow;
                    int x = i * stride + firstDim;
                    float s0 = gradients[s], s1 = gradients[s + 1], s2 = gradients[s + 2], s3 = gradients[s + 3];
                    float s4 = gradients[s + 4], s5 = gradients[s + 5], s6 = gradients[s + 6], s7 = gradients[s + 7];
                    float q0 = queryTile[x], q1 = queryTile[x + 1], q2 = queryTile[x + 2], q3 = queryTile[x + 3];
                    float p0 = scores[s], p1 = scores[s + 1], p2 = scores[s + 2], p3 = scores[s + 3];
                    float p4 = scores[s + 4], p5 = scores[s + 5], p6 = scores[s + 6], p7 = scores[s + 7];
                    float d0 = gradientTile[x], d1 = gradientTile[x + 1];
                    float d2 = gradientTile[x + 2], d3 = gradientTile[x + 3];
                    if (p0 != Unseen.P) {
                        g00 += s0 * q0; g01 += s0 * q1; g02 += s0 * q2; g03 += s0 * q3;
                        h00 += p0 * d0; h01 += p0 * d1; h02 += p0 * d2; h03 += p0 * d3;
                    }
                    if (p1 != Unseen.P) {
                        g10 += s1 * q0; g11 += s1 * q1; g12 += s1 * q2; g13 += s1 * q3;
                        h10 += p1 * d0; h11 += p1 * d1; h12 += p1 * d2; h13 += p1 * d3;
                    }
                    if (p2 != Unseen.P) {
                        g20 += s2 * q0; g21 += s2 * q1; g22 += s2 * q2; g23 += s2 * q3;
                        h20 += p2 * d0; h21 += p2 * d1; h22 += p2 * d2; h23 += p2 * d3;
                    }
                    if (p3 != Unseen.P) {
                        g30 += s3 * q0; g31 += s3 * q1; g32 += s3 * q2; g33 += s3 * q3;
                        h30 += p3 * d0; h31 += p3 * d1; h32 += p3 * d2; h33 += p3 * d3;
                    }
                    if (p4 != Unseen.P) {
                        g40 += s4 * q0; g41 += s4 * q1; g42 += s4 * q2; g43 += s4 * q3;
                        h40 += p4 * d0; h41 += p4 * d1; h42 += p4 * d2; h43 += p4 * d3;
                    }
                    if (p5 != Unseen.P) {
                        g50 += s5 * q0; g51 += s5 * q1; g52 += s5 * q2; g53 += s5 * q3;
                        h50 += p5 * d0; h51 += p5 * d1; h52 += p5 * d2; h53 += p5 * d3;
                    }
                    if (p6 != Unseen.P) {
                        g60 += s6 * q0; g61 += s6 * q1; g62 += s6 * q2; g63 += s6 * q3;
                        h60 += p6 * d0; h61 += p6 * d1; h62 += p6 * d2; h63 += p6 * d3;
                    }
                    if (p7 != Unseen.P) {
                        g70 += s7 * q0; g71 += s7 * q1; g72 += s7 * q2; g73 += s7 * q3;
                        h70 += p7 * d0; h71 += p7 * d1; h72 += p7 * d2; h73 += p7 * d3;
                    }
                }
                for (int i = marked; i < block; i++) {
                    int s = i * scoreStride + firstRow;
                    int x = i * stride + firstDim;
                    float s0 = gradients[s], s1 = gradients[s + 1], s2 = gradients[s + 2], s3 = gradients[s + 3];
                    float s4 = gradients[s + 4], s5 = gradients[s + 5], s6 = gradients[s + 6], s7 = gradients[s + 7];
                    float q0 = queryTile[x], q1 = queryTile[x + 1], q2 = queryTile[x + 2], q3 = queryTile[x + 3];
                    g00 += s0 * q0; g01 += s0 * q1; g02 += s0 * q2; g03 += s0 * q3;
                    g10 += s1 * q0; g11 += s1 * q1; g12 += s1 * q2; g13 += s1 * q3;
                    g20 += s2 * q0; g21 += s2 * q1; g22 += s2 * q2; g23 += s2 * q3;
                    g30 += s3 * q0; g31 += s3 * q1; g32 += s3 * q2; g33 += s3 * q3;
                    g40 += s4 * q0; g41 += s4 * q1; g42 += s4 * q2; g43 += s4 * q3;
                    g50 += s5 * q0; g51 += s5 * q1; g52 += s5 * q2; g53 += s5 * q3;
                    g60 += s6 * q0; g61 += s6 * q1; g62 += s6 * q2; g63 += s6 * q3;
                    g70 += s7 * q0; g71 += s7 * q1; g72 += s7 * q2; g73 += s7 * q3;
                    float p0 = scores[s], p1 = scores[s + 1], p2 = scores[s + 2], p3 = scores[s + 3];
                    float p4 = scores[s + 4], p5 = scores[s + 5], p6 = scores[s + 6], p7 = scores[s + 7];
                    float d0 = gradientTile[x], d1 = gradientTile[x + 1];
                    float d2 = gradientTile[x + 2], d3 = gradientTile[x + 3];
                    h00 += p0 * d0; h01 += p0 * d1; h02 += p0 * d2; h03 += p0 * d3;
                    h10 += p1 * d0; h11 += p1 * d1; h12 += p1 * d2; h13 += p1 * d3;
                    h20 += p2 * d0; h21 += p2 * d1; h22 += p2 * d2; h23 += p2 * d3;
                    h30 += p3 * d0; h31 += p3 * d1; h32 += p3 * d2; h33 += p3 * d3;
                    h40 += p4 * d0; h41 += p4 * d1; h42 += p4 * d2; h43 += p4 * d3;
                    h50 += p5 * d0; h51 += p5 * d1; h52 += p5 * d2; h53 += p5 * d3;
                    h60 += p6 * d0; h61 += p6 * d1; h62 += p6 * d2; h63 += p6 * d3;
                    h70 += p7 * d0; h71 += p7 * d1; h72 += p7 * d2; h73 += p7 * d3;
                }
                if (PartialSums.areJoined()) {
                    if (PartialSums.endRun((batchHead - firstHead) * seqQ + i0, block)) {
                        int z = PartialSums.hiddenZero(rowLse[firstRow], Score.NO_SCORE, i0);
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
                        PartialSums.join(total, z + 32, h00, h01, h02, h03);
                        PartialSums.join(total, z + 36, h10, h11, h12, h13);
                        PartialSums.join(total, z + 40, h20, h21, h22, h23);
                        PartialSums.join(total, z + 44, h30, h31, h32, h33);
                        PartialSums.join(total, z + 48, h40, h41, h42, h43);
                        PartialSums.join(total, z + 52, h50, h51, h52, h53);
                        PartialSums.join(total, z + 56, h60, h61, h62, h63);
                        PartialSums.join(total, z + 60, h70, h71, h72, h73);
                        h00 = 0f; h01 = 0f; h02 = 0f; h03 = 0f; h10 = 0f; h11 = 0f; h12 = 0f; h13 = 0f;
                        h20 = 0f; h21 = 0f; h22 = 0f; h23 = 0f; h30 = 0f; h31 = 0f; h32 = 0f; h33 = 0f;
                        h40 = 0f; h41 = 0f; h42 = 0f; h43 = 0f; h50 = 0f; h51 = 0f; h52 = 0f; h53 = 0f;
                        h60 = 0f; h61 = 0f; h62 = 0f; h63 = 0f; h70 = 0f; h71 = 0f; h72 = 0f; h73 = 0f;
                    }
                }
            }
        }

        // dK and dV leave through the tiles of K and V, so that neighbouring work-items write neighbouring elements.
        context.localBarrier();
        int y = firstRow * stride + firstDim;
        keyTile[y + 0 * stride + 0] = g00; keyTile[y + 0 * stride + 1] = g01; keyTile[y + 0 * stride + 2] = g02; keyTile[y + 0 * stride + 3] = g03;
        keyTile[y + 1 * stride + 0] = g10; keyTile[y + 1 * stride + 1] = g11; keyTile[y + 1 * stride + 2] = g12; keyTile[y + 1 * stride + 3] = g13;
        keyTile[y + 2 * stride + 0] = g20; keyTile[y + 2 * stride + 1] = g21; keyTile[y + 2 * stride + 2] = g22; keyTile[y + 2 * stride + 3] = g23;
        keyTile[y + 3 * stride + 0] = g30; keyTile[y + 3 * stride + 1] = g31; keyTile[y + 3 * stride + 2] = g32; keyTile[y + 3 * stride + 3] = g33;
        keyTile[y + 4 * stride + 0] = g40; keyTile[y + 4 * stride + 1] = g41; keyTile[y + 4 * stride + 2] = g42; keyTile[y + 4 * stride + 3] = g43;
        keyTile[y + 5 * stride + 0] = g50; keyTile[y + 5 * stride + 1] = g51; keyTile[y + 5 * stride + 2] = g52; keyTile[y + 5 * stride + 3] = g53;
        keyTile[y + 6 * stride + 0] = g60; keyTile[y + 6 * stride + 1] = g61; keyTile[y + 6 * stride + 2] = g62; keyTile[y + 6 * stride + 3] = g63;
        keyTile[y + 7 * stride + 0] = g70; keyTile[y + 7 * stride + 1] = g71; keyTile[y + 7 * stride + 2] = g72; keyTile[y + 7 * stride + 3] = g73;
        valueTile[y + 0 * stride + 0] = h00; valueTile[y + 0 * stride + 1] = h01; valueTile[y + 0 * stride + 2] = h02; valueTile[y + 0 * stride + 3] = h03;
        valueTile[y + 1 * stride + 0] = h10; valueTile[y + 1 * stride + 1] = h11; valueTile[y + 1 * stride + 2] = h12; valueTile[y + 1 * stride + 3] = h13;
        valueTile[y + 2 * stride + 0] = h20; valueTile[y + 2 * stride + 1] = h21; valueTile[y + 2 * stride + 2] = h22; valueTile[y + 2 * stride + 3] = h23;
        valueTile[y + 3 * stride + 0] = h30; valueTile[y + 3 * stride + 1] = h31; valueTile[y + 3 * stride + 2] = h32; valueTile[y + 3 * stride + 3] = h33;
        valueTile[y + 4 * stride + 0] = h40; valueTile[y + 4 * stride + 1] = h41; valueTile[y + 4 * stride + 2] = h42; valueTile[y + 4 * stride + 3] = h43;
        valueTile[y + 5 * stride + 0] = h50; valueTile[y + 5 * stride + 1] = h51; valueTile[y + 5 * stride + 2] = h52; valueTile[y + 5 * stride + 3] = h53;
        valueTile[y + 6 * stride + 0] = h60; valueTile[y + 6 * stride + 1] = h61; valueTile[y + 6 * stride + 2] = h62; valueTile[y + 6 * stride + 3] = h63;
        valueTile[y + 7 * stride + 0] = h70; valueTile[y + 7 * stride + 1] = h71; valueTile[y + 7 * stride + 2] = h72; valueTile[y + 7 * stride + 3] = h73;
        if (PartialSums.areJoined()) {
            for (int at = 0; at < 32; at++) {
                keyTile[y + at / 4 * stride + at % 4] += total[at];
                valueTile[y + at / 4 * stride + at % 4] += total[32 + at];
            }
        }
        context.localBarrier();
        // The keys' end bounds the loop: in a condition TornadoVM 5.2 may find too late that it is always true, and gives up.
        for (int at = item; at < TornadoMath.min(block, seqK - j0) * paddedDim; at += step) {
            int row = at / paddedDim;
            int x = at % paddedDim;
            if (x < headDim) {
                store(keyGradient, keyBase + row * headDim + x, scale * keyTile[row * stride + x], features);
                if (valueDim == headDim) {
                    store(valueGradient, valueBase + row * valueDim + x, valueTile[row * stride + x], features);
                }
            }
            if (valueDim != headDim) {
                if (x < valueDim) {
                    store(valueGradient, valueBase + row * valueDim + x, valueTile[row * stride + x], features);
                }
            }
        }
    }
    // spotless:on
}
