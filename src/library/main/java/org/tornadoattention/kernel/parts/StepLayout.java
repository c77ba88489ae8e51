package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The arrays that tell the kernels of a cache or of packed sequences what to do; they change between launches of one
 * plan.
 *
 * <ul>
 *   <li>{@code step}: window left, window right, whether there is ALiBi, the step's number; then for each sequence
 *       where its queries begin, how many there are, new keys, and tokens that follow the queries.
 *   <li>{@code sequences}: for each sequence its keys before the step, its keys, keys of left padding, and its pages
 *       (or the first row of its packed keys); then the numbers of the step that was appended last and of the one that
 *       attended last.
 *   <li>{@code numbers}: scale, softcap, and for each query head a slope of ALiBi, then for each a sink.
 * </ul>
 */
public final class StepLayout {

    /** Numbers at the beginning of {@code step}. */
    public static final int HEADER = 4;

    /** Numbers of a sequence in {@code step}. */
    public static final int FIELDS = 4;

    /** Numbers of a sequence in {@code sequences}, before its pages. */
    public static final int SEQUENCE_FIELDS = 3;

    /** Elements at the end of {@code sequences}: the step that was appended last, and the one that attended last. */
    public static final int RECEIPTS = 2;

    private StepLayout() {}

    /** Elements of {@code sequences}. */
    public static int sequencesSize(int batch, int pagesPerSequence) {
        return batch * (SEQUENCE_FIELDS + TornadoMath.max(1, pagesPerSequence)) + RECEIPTS;
    }

    /** Elements of {@code step}. */
    public static int stepSize(int batch) {
        return HEADER + FIELDS * batch;
    }

    /** Sets what holds for all sequences of a step without a number. */
    public static void setHeader(IntArray step, int windowLeft, int windowRight, int alibi) {
        step.set(0, windowLeft);
        step.set(1, windowRight);
        step.set(2, alibi);
        step.set(3, 0);
    }

    /** Sets what a sequence does that gets no keys. */
    public static void setQueries(IntArray step, int sequence, int queryStart, int queries, int following) {
        int at = HEADER + sequence * FIELDS;
        step.set(at, queryStart);
        step.set(at + 1, queries);
        step.set(at + 2, 0);
        step.set(at + 3, following);
    }

    /** Sets the keys of a sequence, before the step and now, without padding. */
    public static void setLength(IntArray sequences, int state, int length) {
        sequences.set(state, length);
        sequences.set(state + 1, length);
        sequences.set(state + 2, 0);
    }

    /** Sequences of a step. */
    public static int batch(IntArray step) {
        return (step.getSize() - HEADER) / FIELDS;
    }

    /** Keys that a query sees to the left of its own position, −1 for all. */
    public static int windowLeft(IntArray step) {
        return step.get(0);
    }

    /** Likewise to the right. */
    public static int windowRight(IntArray step) {
        return step.get(1);
    }

    /** Whether there is ALiBi: not 0 if there is. */
    public static int alibi(IntArray step) {
        return step.get(2);
    }

    /** The step's number. */
    public static int number(IntArray step) {
        return step.get(3);
    }

    /** The first query token of a sequence. */
    public static int queryStart(IntArray step, int sequence) {
        return step.get(HEADER + sequence * FIELDS);
    }

    /** Query tokens of a sequence. */
    public static int queries(IntArray step, int sequence) {
        return step.get(HEADER + sequence * FIELDS + 1);
    }

    /** Keys that a sequence gets. */
    public static int newTokens(IntArray step, int sequence) {
        return step.get(HEADER + sequence * FIELDS + 2);
    }

    /** Tokens of a sequence that follow its last query. */
    public static int following(IntArray step, int sequence) {
        return step.get(HEADER + sequence * FIELDS + 3);
    }

    /** Where a sequence's numbers begin in {@code sequences}. */
    public static int state(int sequence, int pagesPerSequence) {
        return sequence * (SEQUENCE_FIELDS + TornadoMath.max(1, pagesPerSequence));
    }

    /** Keys of a sequence before the step. */
    public static int before(IntArray sequences, int state) {
        return sequences.get(state);
    }

    /** Keys of a sequence. */
    public static int length(IntArray sequences, int state) {
        return sequences.get(state + 1);
    }

    /** Keys of left padding, which no query sees. */
    public static int padding(IntArray sequences, int state) {
        return sequences.get(state + 2);
    }

    /** Where a sequence's pages begin in {@code sequences}. */
    public static int table(int state) {
        return state + SEQUENCE_FIELDS;
    }

    /** Factor of q·k. */
    public static float scale(FloatArray numbers) {
        return numbers.get(0);
    }

    /** Bound c of {@code c·tanh(s/c)}, 0 for none. */
    public static float softcap(FloatArray numbers) {
        return numbers.get(1);
    }

    /** Elements of {@code numbers}. */
    public static int numbersSize(int heads) {
        return 2 + 2 * heads;
    }

    /** Query heads. */
    public static int heads(FloatArray numbers) {
        return numbers.getSize() / 2 - 1;
    }

    /** Sets the slope of a query head. */
    public static void setSlope(FloatArray numbers, int head, float slope) {
        numbers.set(2 + head, slope);
    }

    /** The sink of a query head. */
    public static float sink(FloatArray numbers, int head) {
        return numbers.get(numbers.getSize() / 2 + 1 + head);
    }

    /** Sets the sink of a query head. */
    public static void setSink(FloatArray numbers, int head, float sink) {
        numbers.set(numbers.getSize() / 2 + 1 + head, sink);
    }

    /** The slope of a query head. */
    public static float slope(FloatArray numbers, int head) {
        return numbers.get(2 + head);
    }

    /** The step's keys were appended. */
    public static void setAppended(IntArray sequences, IntArray step) {
        sequences.set(sequences.getSize() - RECEIPTS, number(step));
    }

    /** The step's queries attended. */
    public static void setAttended(IntArray sequences, IntArray step) {
        sequences.set(sequences.getSize() - 1, number(step));
    }

    /** The step's number if its keys were appended and its queries attended, else −1. */
    public static float receipt(IntArray sequences, IntArray step) {
        int number = number(step);
        int receipts = sequences.getSize() - RECEIPTS;
        float receipt = number;
        if (sequences.get(receipts) != number) {
            receipt = -1f;
        }
        if (sequences.get(receipts + 1) != number) {
            receipt = -1f;
        }
        return receipt;
    }
}
