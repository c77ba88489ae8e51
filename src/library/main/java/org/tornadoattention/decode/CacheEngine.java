package org.tornadoattention.decode;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.StepReport;
import org.tornadoattention.choice.SplitTile;
import org.tornadoattention.tensor.Tensor;

/**
 * Who holds the keys and values of a cache and computes its steps: task graphs on a device, or this JVM itself.
 * Lengths, padding and page tables are told when they change other than by a step.
 */
public sealed interface CacheEngine extends AutoCloseable permits CachePlan, VectorCachePlan {

    /**
     * Makes the steps that follow compute with the functions, bias and sinks of options. Lengths, padding and tables
     * are those that it was told last.
     *
     * @return whether they have to be uploaded again
     */
    boolean prepare(AttentionOptions options, int[] lengths, int[] padding, int[][] tables);

    /**
     * Sets lengths, left padding and pages.
     *
     * @param lengths tokens of each sequence
     * @param padding of them, how many from the first on are padding
     * @param tables pages of each sequence, in order
     */
    void upload(int[] lengths, int[] padding, int[][] tables);

    /** The most copies and changes that {@link #move} takes at once. */
    int movesAtOnce();

    /**
     * Copies pages and changes tables.
     *
     * @param copies pairs of a page and the one that becomes like it
     * @param changes triples of a sequence, a place in its table, and the page there
     */
    void move(List<int[]> copies, List<int[]> changes);

    /**
     * Appends tokens, lets tokens attend, or both.
     *
     * @param newTokens of each sequence, how many of its tokens in k and v are appended
     * @param queries of each sequence, how many of its tokens in q attend; they are its last ones
     * @param q {@code [sequences, heads, tokens, headDim]}, or null if none attend; the result is null then too
     * @param k {@code [sequences, kvHeads, tokens, headDim]}, or null if none are appended; v is null then too
     * @param result gets what the queries give
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    void call(
            int[] newTokens,
            int[] queries,
            @Nullable Tensor q,
            @Nullable Tensor k,
            @Nullable Tensor v,
            AttentionOptions options,
            @Nullable AttentionResult result);

    /** How steps of {@code tokens} tokens a sequence are divided. */
    SplitTile tile(int tokens);

    /** Whether the times of steps are taken. */
    void profile(boolean on);

    /** All steps so far. */
    StepReport total();

    /** Bytes of all arrays that stay between steps, and on a device of those of the last step. */
    long deviceBytes();

    /** Bytes of keys and values. */
    long cacheBytes();

    /**
     * The keys, or the values, of one sequence. Lengths, padding and tables are those that it was told last.
     *
     * @return {@code [1, kvHeads, length, headDim]}, F32 for a quantised cache
     */
    Tensor read(boolean values, int sequence, int[] lengths, int[] padding, int[][] tables);

    /** Frees what it holds. */
    @Override
    void close();
}
