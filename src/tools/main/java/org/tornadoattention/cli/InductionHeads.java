package org.tornadoattention.cli;

import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * A text as an attention problem that predicts it: induction heads, the circuit that lets language models continue what
 * they have seen before, with hashes in place of learned weights.
 *
 * <p>Head {@code h} looks at the last {@code h + 1} characters. With {@code e} the embedding of such a piece of text
 * and {@code c} that of a character, position {@code i} has the query {@code e(text up to i)}, the key {@code e(text up
 * to i - 1)} and the value {@code c(text[i])}. So a query meets the keys of all characters that followed the same piece
 * before, and the output is the mean of their embeddings: a vote on the character {@code i + 1}.
 *
 * <p>An embedding is a vector of ±1, the bits of a 64-bit hash: a piece meets itself with {@code q·k = 64} and any
 * other with 0 ± 8. With {@link #SCALE} an equal piece weighs e<sup>32</sup>, which stands out of thousands of others.
 */
final class InductionHeads {

    static final int HEADS = 8;
    static final int HEAD_DIM = Long.SIZE;

    private static final double SCALE = 0.5;
    /** A log-sum-exp above this says that an equal piece was found: chance gets about half of it. */
    private static final double FOUND = 0.75 * SCALE * HEAD_DIM;

    private final String text;
    private final String alphabet;

    InductionHeads(String text) {
        this.text = text;
        this.alphabet = text.chars()
                .distinct()
                .sorted()
                .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                .toString();
    }

    /** Causal attention at this embedding's scale. */
    AttentionOptions options() {
        return AttentionOptions.causal().withScale(SCALE);
    }

    /** The queries, {@code [1, HEADS, length, HEAD_DIM]}. */
    Tensor queries() {
        return tensor((head, position) -> hashOf(head + 1, position));
    }

    /** The keys, shaped like the queries. */
    Tensor keys() {
        return tensor((head, position) -> hashOf(head + 1, position - 1));
    }

    /** The values, shaped like the queries. */
    Tensor values() {
        return tensor((head, position) -> hash(text.charAt(position)));
    }

    /** What one head predicts for the positions 1 to {@code length}. */
    String predictions(AttentionResult result, int head) {
        float[] output = result.output().toFloatArray();
        StringBuilder predicted = new StringBuilder();
        for (int position = 0; position < text.length(); position++) {
            predicted.append(nearest(output, (head * text.length() + position) * HEAD_DIM));
        }
        return predicted.toString();
    }

    /**
     * What the heads predict together: each position takes the head with the longest context that found it before,
     * which its log-sum-exp tells.
     */
    String predictions(AttentionResult result) {
        String[] byHead = new String[HEADS];
        for (int head = 0; head < HEADS; head++) {
            byHead[head] = predictions(result, head);
        }
        StringBuilder predicted = new StringBuilder();
        for (int position = 0; position < text.length(); position++) {
            int head = HEADS - 1;
            while (head > 0 && result.logSumExp().get(0, head, position) < FOUND) {
                head--;
            }
            predicted.append(byHead[head].charAt(position));
        }
        return predicted.toString();
    }

    /** The share of characters, from the second on, that were predicted. */
    double accuracy(String predictions) {
        int right = 0;
        for (int position = 0; position + 1 < text.length(); position++) {
            right += predictions.charAt(position) == text.charAt(position + 1) ? 1 : 0;
        }
        return text.length() < 2 ? 0 : (double) right / (text.length() - 1);
    }

    /** The character whose embedding is nearest to an output row. */
    private char nearest(float[] output, int row) {
        char best = alphabet.charAt(0);
        double bestMatch = Double.NEGATIVE_INFINITY;
        for (int c = 0; c < alphabet.length(); c++) {
            long bits = hash(alphabet.charAt(c));
            double match = 0;
            for (int i = 0; i < HEAD_DIM; i++) {
                match += output[row + i] * sign(bits, i);
            }
            if (match > bestMatch) {
                bestMatch = match;
                best = alphabet.charAt(c);
            }
        }
        return best;
    }

    /** The hash of the {@code length} characters that end at a position, fewer at the start of the text. */
    private long hashOf(int length, int end) {
        long hash = length;
        for (int position = Math.max(0, end - length + 1); position <= end; position++) {
            hash = hash(hash ^ text.charAt(position));
        }
        return end < 0 ? ~hash(hash) : hash;
    }

    /** SplitMix64's step: every bit of the result depends on every bit of the seed. */
    private static long hash(long seed) {
        long mixed = seed + 0x9E3779B97F4A7C15L;
        mixed = (mixed ^ mixed >>> 30) * 0xBF58476D1CE4E5B9L;
        mixed = (mixed ^ mixed >>> 27) * 0x94D049BB133111EBL;
        return mixed ^ mixed >>> 31;
    }

    private static float sign(long bits, int i) {
        return (bits >>> i & 1) == 0 ? -1 : 1;
    }

    private Tensor tensor(Embedding embedding) {
        float[] elements = new float[HEADS * text.length() * HEAD_DIM];
        int at = 0;
        for (int head = 0; head < HEADS; head++) {
            for (int position = 0; position < text.length(); position++) {
                long bits = embedding.bits(head, position);
                for (int i = 0; i < HEAD_DIM; i++) {
                    elements[at++] = sign(bits, i);
                }
            }
        }
        return Tensor.of(DType.F32, elements, 1, HEADS, text.length(), HEAD_DIM);
    }

    /** The embedding of one row as bits, 1 for +1 and 0 for -1. */
    @FunctionalInterface
    private interface Embedding {
        long bits(int head, int position);
    }
}
