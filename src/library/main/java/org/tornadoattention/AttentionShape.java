package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import java.io.Serializable;
import java.util.Arrays;
import org.tornadoattention.tensor.Tensor;

/**
 * The sizes of one attention problem.
 *
 * <p>Queries are {@code [batch, heads, seqQ, headDim]}, keys {@code [batch, kvHeads, seqK, headDim]}, values
 * {@code [batch, kvHeads, seqK, valueDim]} and the output {@code [batch, heads, seqQ, valueDim]}. Query head {@code h}
 * reads the keys of head {@code h / groupSize()}.
 *
 * @param batch sequences, 0 or more
 * @param heads query heads, 1 or more
 * @param kvHeads key and value heads, 1 or more, a divisor of {@code heads}
 * @param seqQ queries per sequence, 0 or more
 * @param seqK keys per sequence, 0 or more
 * @param headDim elements per head of queries and keys, from 1 to {@link #MAX_HEAD_DIM}
 * @param valueDim elements per head of values and the output, likewise
 */
public record AttentionShape(int batch, int heads, int kvHeads, int seqQ, int seqK, int headDim, int valueDim)
        implements Serializable {
    /** The largest head dimension. */
    public static final int MAX_HEAD_DIM = 512;

    /** The most queries and keys of a sequence together, so that no sum of a position and a window's edge overflows. */
    public static final int MAX_POSITIONS = Integer.MAX_VALUE - 1024;

    /**
     * Checks the ranges given above.
     *
     * @throws IllegalArgumentException if a number is out of range
     */
    public AttentionShape {
        require(batch >= 0, "The batch is %d: it must be 0 or more.", batch);
        require(seqQ >= 0, "The query sequence length is %d: it must be 0 or more.", seqQ);
        require(seqK >= 0, "The key sequence length is %d: it must be 0 or more.", seqK);
        require(
                (long) seqQ + seqK <= MAX_POSITIONS,
                "The sequences have %,d queries and %,d keys: positions are counted to %,d; split the keys and merge.",
                seqQ,
                seqK,
                MAX_POSITIONS);
        require(
                headDim >= 1 && headDim <= MAX_HEAD_DIM,
                "The head dimension is %d: it must be from 1 to %d; split larger heads or pad empty ones.",
                headDim,
                MAX_HEAD_DIM);
        require(
                valueDim >= 1 && valueDim <= MAX_HEAD_DIM,
                "The head dimension of the values is %d: it must be from 1 to %d; split larger heads or pad empty ones.",
                valueDim,
                MAX_HEAD_DIM);
        require(heads >= 1, "There are %d query heads: there must be at least 1.", heads);
        require(kvHeads >= 1, "There are %d key/value heads: there must be at least 1.", kvHeads);
        require(
                heads % kvHeads == 0,
                "%d query heads cannot share %d key/value heads evenly: the first must be a multiple of the second.",
                heads,
                kvHeads);
    }

    /**
     * Values of the head dimension of queries and keys.
     *
     * @param batch sequences, 0 or more
     * @param heads query heads, 1 or more
     * @param kvHeads key and value heads, 1 or more, a divisor of {@code heads}
     * @param seqQ queries per sequence, 0 or more
     * @param seqK keys per sequence, 0 or more
     * @param headDim elements per head, from 1 to {@link #MAX_HEAD_DIM}
     * @throws IllegalArgumentException if a number is out of range
     */
    public AttentionShape(int batch, int heads, int kvHeads, int seqQ, int seqK, int headDim) {
        this(batch, heads, kvHeads, seqQ, seqK, headDim, headDim);
    }

    /**
     * The sizes of attention over three tensors, with every precondition checked.
     *
     * @param q {@code [batch, heads, seqQ, headDim]}
     * @param k {@code [batch, kvHeads, seqK, headDim]}, of the type of {@code q}
     * @param v {@code [batch, kvHeads, seqK, valueDim]}, of the type of {@code q}
     * @param options whose slopes, if any, are one per query head, and key lengths one per batch entry
     * @return the sizes
     * @throws IllegalArgumentException naming what was given, what is allowed and what to do
     */
    public static AttentionShape of(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        AttentionShape shape = ofTask(q, k, v, options);
        require(
                q.dtype() == k.dtype(),
                "q, k and v are %s, %s and %s: they must be of one type; convert with Tensor.as(DType).",
                q.dtype(),
                k.dtype(),
                v.dtype());
        return shape;
    }

    /**
     * The sizes of attention as a task, where queries may be of another type than keys and values.
     *
     * @param q {@code [batch, heads, seqQ, headDim]}
     * @param k {@code [batch, kvHeads, seqK, headDim]}
     * @param v {@code [batch, kvHeads, seqK, valueDim]}, of the type of {@code k}
     * @param options whose slopes, if any, are one per query head, and key lengths one per batch entry
     * @return the sizes
     * @throws IllegalArgumentException naming what was given, what is allowed and what to do
     */
    public static AttentionShape ofTask(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        requireRank4("q", q, "heads");
        requireRank4("k", k, "kvHeads");
        requireRank4("v", v, "kvHeads");
        required(options, "options", "use AttentionOptions.defaults()");
        require(
                k.dtype() == v.dtype(),
                "q, k and v are %s, %s and %s: keys and values must be of one type; convert with Tensor.as(DType).",
                q.dtype(),
                k.dtype(),
                v.dtype());
        require(
                Arrays.equals(k.shape(), 0, 3, v.shape(), 0, 3),
                "k is %s and v is %s: they must have the same shape but for the last dimension, [batch, kvHeads, seqK, …].",
                k,
                v);
        require(
                q.batch() == k.batch(),
                "q is %s and k is %s: their batch, the first dimension, must be the same.",
                q,
                k);
        require(
                q.headDim() == k.headDim(),
                "q is %s and k is %s: their head dimension, the last one, must be the same.",
                q,
                k);
        AttentionShape shape = new AttentionShape(
                q.batch(), q.heads(), k.heads(), q.seqLength(), k.seqLength(), q.headDim(), v.headDim());
        shape.requireFitting(options);
        return shape;
    }

    /**
     * Checks that options fit these sizes.
     *
     * @param options what is to be computed
     * @throws IllegalArgumentException if there are slopes but not one per query head, or key lengths but not one per
     *     batch entry, or a key length is above {@code seqK}, or a bias or sinks do not fit
     */
    public void requireFitting(AttentionOptions options) {
        required(options, "options", "use AttentionOptions.defaults()");
        options.requireFitting(this);
    }

    /**
     * How many query heads read one key/value head.
     *
     * @return {@code heads / kvHeads}
     */
    public int groupSize() {
        return heads / kvHeads;
    }

    /**
     * The key/value head that a query head reads.
     *
     * @param head a query head, from 0
     * @return the head of keys and values, from 0
     */
    public int kvHead(int head) {
        return head / groupSize();
    }

    /**
     * The shape of queries and their gradient: {@code [batch, heads, seqQ, headDim]}.
     *
     * @return four dimensions
     */
    public int[] queryShape() {
        return new int[] {batch, heads, seqQ, headDim};
    }

    /**
     * The shape of keys and their gradient: {@code [batch, kvHeads, seqK, headDim]}.
     *
     * @return four dimensions
     */
    public int[] keyShape() {
        return new int[] {batch, kvHeads, seqK, headDim};
    }

    /**
     * The shape of values and their gradient: {@code [batch, kvHeads, seqK, valueDim]}.
     *
     * @return four dimensions
     */
    public int[] valueShape() {
        return new int[] {batch, kvHeads, seqK, valueDim};
    }

    /**
     * The shape of the output and its gradient: {@code [batch, heads, seqQ, valueDim]}.
     *
     * @return four dimensions
     */
    public int[] outputShape() {
        return new int[] {batch, heads, seqQ, valueDim};
    }

    /**
     * The larger of the two head dimensions, which tiles are made for.
     *
     * @return {@code max(headDim, valueDim)}
     */
    public int widestDim() {
        return Math.max(headDim, valueDim);
    }

    /**
     * The shape of the log-sum-exp: {@code [batch, heads, seqQ]}.
     *
     * @return three dimensions
     */
    public int[] logSumExpShape() {
        return new int[] {batch, heads, seqQ};
    }

    /**
     * The number of queries over all heads and sequences: {@code batch · heads · seqQ}.
     *
     * @return 0 or more
     * @throws ArithmeticException if it is more than a long holds
     */
    public long queryRows() {
        return Math.multiplyExact((long) batch * heads, (long) seqQ);
    }

    /**
     * The elements of the score matrices that are never stored: {@code batch · heads · seqQ · seqK}.
     *
     * @return 0 or more
     * @throws ArithmeticException if it is more than a long holds
     */
    public long scoreElements() {
        return Math.multiplyExact(queryRows(), (long) seqK);
    }

    /**
     * Whether there is nothing to compute: no query in the whole batch.
     *
     * @return whether {@link #queryRows()} is 0
     */
    public boolean hasNoQueries() {
        return queryRows() == 0;
    }

    private static void requireRank4(String name, Tensor tensor, String headAxis) {
        required(tensor, name, "give a tensor [batch, %s, seq, headDim]".formatted(headAxis));
        require(
                tensor.rank() == 4,
                "%s is %s: it must have 4 dimensions, [batch, %s, seq, headDim]; use 1 for those that you lack.",
                name,
                tensor,
                headAxis);
    }

    private static void require(boolean holds, String message, Object... given) {
        if (!holds) {
            throw new IllegalArgumentException(message.formatted(given));
        }
    }
}
