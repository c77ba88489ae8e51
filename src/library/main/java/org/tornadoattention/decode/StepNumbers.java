package org.tornadoattention.decode;

import org.tornadoattention.AttentionOptions;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.kernel.parts.StepLayout;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Writes what changes from step to step where the kernels of inference read it. */
final class StepNumbers {

    private StepNumbers() {}

    /**
     * The options of a step and its number.
     *
     * <p>A window's edge is left out where no query has a key past it, so that no sum of a position and an edge
     * overflows: the last query stands on the last key, the first one as many before it as there are queries.
     *
     * @param keys that a sequence has at most
     * @param queries that a sequence has at most, those of later steps of the same call included
     */
    static void fill(
            IntArray step,
            FloatArray numbers,
            AttentionOptions options,
            int headDim,
            int keys,
            int queries,
            int number) {
        step.set(0, AttentionProblem.edge(options.mask().left(), keys));
        step.set(1, AttentionProblem.edge(options.mask().right(), queries));
        step.set(2, options.hasAlibi() ? 1 : 0);
        step.set(3, number);
        numbers.set(0, (float) options.scaleFor(headDim));
        numbers.set(1, (float) options.softcap());
        for (int head = 0; head < StepLayout.heads(numbers); head++) {
            StepLayout.setSlope(numbers, head, options.alibiSlope(head));
            if (options.sinks().isPresent()) {
                StepLayout.setSink(numbers, head, options.sinks().get().getFlat(head));
            }
        }
    }

    /**
     * Which queries and keys of packed tokens belong together; sequences that there is room for and that are not there
     * have none.
     *
     * @param queryOffsets where each sequence's queries begin, and the end of the last
     * @param keyOffsets likewise of its keys
     */
    static void fillPacked(IntArray step, IntArray sequences, IntArray queryOffsets, IntArray keyOffsets) {
        int given = queryOffsets.getSize() - 1;
        for (int sequence = 0; sequence < StepLayout.batch(step); sequence++) {
            boolean there = sequence < given;
            int queryStart = queryOffsets.get(Math.min(sequence, given)); // they never go back, as KeySplit wants it
            int keyStart = there ? keyOffsets.get(sequence) : 0;
            int keys = there ? keyOffsets.get(sequence + 1) - keyStart : 0;
            int queries = there ? queryOffsets.get(sequence + 1) - queryStart : 0;
            int state = StepLayout.state(sequence, 0);
            StepLayout.setLength(sequences, state, keys);
            sequences.set(StepLayout.table(state), keyStart);
            fillSequence(step, sequence, queryStart, queries, 0, 0);
        }
    }

    /** What a sequence does: where its queries begin, how many there are, new keys, and tokens after the queries. */
    static void fillSequence(IntArray step, int sequence, int queryStart, int queries, int newTokens, int following) {
        int at = StepLayout.HEADER + StepLayout.FIELDS * sequence;
        step.set(at, queryStart);
        step.set(at + 1, queries);
        step.set(at + 2, newTokens);
        step.set(at + 3, following);
    }
}
