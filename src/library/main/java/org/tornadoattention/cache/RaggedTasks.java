package org.tornadoattention.cache;

import static org.tornadoattention.internal.Arguments.required;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.tornadoattention.decode.RaggedGraphTasks;
import org.tornadoattention.internal.Arguments;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Attention over packed sequences as tasks of a task graph of the caller's: what {@link RaggedAttention#tasks} gives.
 *
 * <pre>{@code
 * RaggedTasks attention = ragged.tasks(graph, grids, q, k, 64, AttentionOptions.defaults());
 * for (…) {                                          // layers
 *     graph.task(…);                                 // writes q, k and v
 *     attention.append("attention" + layer, q, k, v, output, logSumExp);
 *     graph.task(…);                                 // reads the output
 * }
 * …
 * attention.divide(offsets, offsets);                // before each execution
 * plan.execute();
 * }</pre>
 *
 * <p>What tasks need in between is on the device once for all of them. Tokens past the last sequence are in none: their
 * rows of the output may hold anything.
 */
public final class RaggedTasks {

    private final RaggedGraphTasks tasks;
    private final Tensor queries;
    private final Tensor keys;
    private final int room;

    RaggedTasks(RaggedGraphTasks tasks, Tensor queries, Tensor keys, int room) {
        this.tasks = tasks;
        this.queries = queries;
        this.keys = keys;
        this.room = room;
    }

    /**
     * Appends attention of one layer, as the tasks {@code name-append}, {@code name-attention} and {@code name-merge}.
     * The arrays are the caller's to bring to the device; they may be written by tasks before.
     *
     * @param name beginning of the tasks' names, unique in the graph
     * @param q queries {@code [tokens, heads, headDim]}
     * @param k keys {@code [keyTokens, kvHeads, headDim]}
     * @param v values, like the keys
     * @param output like the queries; none of the others
     * @param logSumExp F32 {@code [tokens, heads]}
     * @throws IllegalArgumentException if a shape or a type differs from those that the tasks were made for, or what is
     *     written overlaps anything else
     */
    public void append(String name, Tensor q, Tensor k, Tensor v, Tensor output, Tensor logSumExp) {
        required(name, "name", "give a name that no other task of the graph begins with");
        required(q, "q", "give a tensor like " + queries);
        required(k, "k", "give a tensor like " + keys);
        required(v, "v", "give a tensor like " + keys);
        required(output, "output", "give a tensor like " + queries);
        required(logSumExp, "logSumExp", "give a tensor F32[tokens, heads]").requireContiguous();
        requireLike("q", q, queries);
        requireLike("k", k, keys);
        requireLike("v", v, keys);
        requireLike("output", output, queries);
        int[] rows = {queries.dimension(0), queries.dimension(1)};
        if (logSumExp.dtype() != DType.F32 || !Arrays.equals(logSumExp.shape(), rows)) {
            throw new IllegalArgumentException(
                    "logSumExp is %s: it must be F32%s.".formatted(logSumExp, Arrays.toString(rows)));
        }
        Map<String, MemorySegment> written = new LinkedHashMap<>();
        written.put("output", output.array().getSegment());
        written.put("logSumExp", logSumExp.array().getSegment());
        Map<String, MemorySegment> read = new LinkedHashMap<>();
        read.put("q", q.array().getSegment());
        read.put("k", k.array().getSegment());
        read.put("v", v.array().getSegment());
        Arguments.requireApart(written, read);
        tasks.append(name, q, k, v, output, logSumExp);
    }

    private static void requireLike(String name, Tensor tensor, Tensor expected) {
        tensor.requireContiguous();
        if (tensor.dtype() != expected.dtype() || !Arrays.equals(tensor.shape(), expected.shape())) {
            throw new IllegalArgumentException(
                    "%s is %s: the tasks were made for %s.".formatted(name, tensor, expected));
        }
    }

    /**
     * Says how tokens are divided into sequences, in all executions that begin afterwards.
     *
     * @param queryOffsets where each sequence begins in q, rising from 0, and where the last one ends: at the tokens
     *     that there is room for, or before
     * @param keyOffsets likewise in k
     * @throws IllegalArgumentException if they do not rise, or there is no room for so many
     */
    public void divide(IntArray queryOffsets, IntArray keyOffsets) {
        required(queryOffsets, "queryOffsets", "give where each sequence begins in q, and where the last one ends");
        required(keyOffsets, "keyOffsets", "give where each sequence begins in k, and where the last one ends");
        int sequences = requireRoom("query", queryOffsets, queries.dimension(0));
        if (requireRoom("key", keyOffsets, keys.dimension(0)) != sequences || sequences > room) {
            throw new IllegalArgumentException(
                    "There are %d query offsets and %d key offsets: give as many of both, for %d sequences at most."
                            .formatted(queryOffsets.getSize(), keyOffsets.getSize(), room));
        }
        tasks.divide(queryOffsets, keyOffsets);
    }

    private static int requireRoom(String name, IntArray offsets, int tokens) {
        int last = offsets.getSize() == 0 ? 0 : offsets.get(offsets.getSize() - 1);
        if (last > tokens) {
            throw new IllegalArgumentException(
                    "The %s offsets end at %d, and there is room for %d tokens.".formatted(name, last, tokens));
        }
        return RaggedAttention.requireOffsets(name, offsets, last);
    }

    /** How the kernel divides its work. */
    @Override
    public String toString() {
        return "RaggedTasks for %s and %d sequences, %s".formatted(queries, room, tasks.tile());
    }
}
