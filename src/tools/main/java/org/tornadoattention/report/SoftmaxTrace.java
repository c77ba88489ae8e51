package org.tornadoattention.report;

import java.util.ArrayList;
import java.util.List;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.tensor.Tensor;

/**
 * The online softmax of one query, tile by tile, in float64: what a kernel keeps of the keys that it has seen.
 *
 * @param steps one for each tile that the query sees a key of
 * @param logSumExp what is left at the end, {@code m + ln l}; −∞ where the query sees no key
 */
public record SoftmaxTrace(List<Step> steps, double logSumExp) {

    /**
     * A tile of keys has arrived.
     *
     * @param firstKey the first of its keys that the query sees
     * @param endKey one past the last
     * @param tileMax the largest of their scores
     * @param max m, the largest score so far
     * @param alpha e^(m before − m), what the sums so far are scaled by; 0 at the first tile
     * @param tileSum the sum of e^(s − m) over the tile
     * @param sum l, the sum so far
     */
    public record Step(
            int firstKey, int endKey, double tileMax, double max, double alpha, double tileSum, double sum) {}

    /**
     * Traces a query of head 0 of the first batch entry.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}
     * @param options scale and mask; softcap and ALiBi are left out
     * @param query which one
     * @param blockK keys of a tile
     */
    public static SoftmaxTrace of(Tensor q, Tensor k, AttentionOptions options, int query, int blockK) {
        double[] row = new double[q.headDim()];
        for (int x = 0; x < row.length; x++) {
            row[x] = q.get(0, 0, query, x);
        }
        return of(row, q.seqLength(), k, options, query, blockK);
    }

    /**
     * Traces a query without the others.
     *
     * @param row the query
     * @param seqQ queries that there are
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}
     * @param options scale and mask; softcap and ALiBi are left out
     * @param query which one of them it is
     * @param blockK keys of a tile
     */
    public static SoftmaxTrace of(double[] row, int seqQ, Tensor k, AttentionOptions options, int query, int blockK) {
        int seqK = k.seqLength();
        int first = options.mask().firstKey(query, seqQ, seqK);
        int end = options.mask().endKey(query, seqQ, seqK);
        double scale = options.scaleFor(row.length);
        double max = Double.NEGATIVE_INFINITY;
        double sum = 0;
        List<Step> steps = new ArrayList<>();
        for (int tile = first / blockK * blockK; tile < end; tile += blockK) {
            int from = Math.max(first, tile);
            int to = Math.min(end, tile + blockK);
            double[] scores = new double[to - from];
            double tileMax = Double.NEGATIVE_INFINITY;
            for (int key = from; key < to; key++) {
                scores[key - from] = Double.NEGATIVE_INFINITY;
                if (options.mask().condition().isPresent()
                        && !options.mask().condition().get().sees(0, 0, query, key, query + seqK - seqQ)) {
                    continue;
                }
                double dot = 0;
                for (int x = 0; x < row.length; x++) {
                    dot += row[x] * k.get(0, 0, key, x);
                }
                scores[key - from] = scale * dot;
                tileMax = Math.max(tileMax, scores[key - from]);
            }
            if (tileMax == Double.NEGATIVE_INFINITY) {
                continue;
            }
            double newMax = Math.max(max, tileMax);
            double alpha = Math.exp(max - newMax);
            double tileSum = 0;
            for (double score : scores) {
                tileSum += Math.exp(score - newMax);
            }
            sum = alpha * sum + tileSum;
            max = newMax;
            steps.add(new Step(from, to, tileMax, max, alpha, tileSum, sum));
        }
        return new SoftmaxTrace(List.copyOf(steps), steps.isEmpty() ? Double.NEGATIVE_INFINITY : max + Math.log(sum));
    }
}
