package gpt;

import java.util.Arrays;
import java.util.SplittableRandom;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Associative recall: streams of tokens that can only be understood by attention over the whole of them.
 *
 * <p>In the first half of a stream, pairs of a key and a value are planted between words that mean nothing; each key
 * once, with a value drawn at random. In the second half, again between idle words, each key is asked for once, and the
 * next token must be its value:
 *
 * <pre>{@code  . . k7 v2 . k3 v9 . . . . . k1 v2 . . | . . . k3 ? . . . k1 ? . . k7 ? . }</pre>
 *
 * <p>On average key and question are half a stream apart. No stream ever comes twice, so there is nothing to learn by
 * heart, and the accuracy of a batch before it is trained on is a fair test.
 *
 * @param sequence tokens of a stream
 * @param pairs keys of a stream, each planted once and asked once
 */
public record AssociativeRecall(int sequence, int pairs) {

    /** The tokens: keys, then values, then idle words. */
    public static final int KEYS = 32;

    public static final int VALUES = 32;
    public static final int IDLE_WORDS = 32;
    public static final int VOCABULARY = KEYS + VALUES + IDLE_WORDS;

    /** What guessing among the values gives. */
    public static final double CHANCE = 1.0 / VALUES;

    /** The target where nothing is asked. */
    public static final int NOT_ASKED = -1;

    /** Checks that the pairs fit. */
    public AssociativeRecall {
        if (sequence < 4 || pairs < 1 || pairs > Math.min(KEYS, sequence / 4)) {
            throw new IllegalArgumentException(
                    "%d pairs in a stream of %d tokens: plant 1 to %d, a quarter of the stream, and at most the %d keys."
                            .formatted(pairs, sequence, sequence / 4, KEYS));
        }
    }

    /**
     * As many pairs as a stream takes without being crowded: three in sixteen tokens, and no more than there are keys.
     */
    public static AssociativeRecall of(int sequence) {
        return new AssociativeRecall(sequence, Math.clamp(sequence * 3L / 16, 1, KEYS));
    }

    /**
     * Fills a batch {@code [entries, sequence]}. It depends on nothing but the seed, the step and this record.
     *
     * @param targets at each question the value that must come next, elsewhere {@link #NOT_ASKED}
     */
    public void fill(long seed, int step, IntArray tokens, IntArray targets) {
        for (int entry = 0; entry < tokens.getSize() / sequence; entry++) {
            SplittableRandom random = new SplittableRandom(
                    new SplittableRandom(seed).nextLong() + 0x9E3779B97F4A7C15L * step + 0xD1B54A32D192ED03L * entry);
            fill(random, tokens, targets, entry * sequence);
        }
    }

    private void fill(SplittableRandom random, IntArray tokens, IntArray targets, int start) {
        for (int i = 0; i < sequence; i++) {
            tokens.set(start + i, KEYS + VALUES + random.nextInt(IDLE_WORDS));
            targets.set(start + i, NOT_ASKED);
        }
        int[] keys = someOf(KEYS, random);
        int[] values = random.ints(pairs, KEYS, KEYS + VALUES).toArray();
        int[] order = someOf(pairs, random);
        int[] planted = someOf(sequence / 4, random);
        int[] asked = someOf(sequence / 4, random);
        for (int i = 0; i < pairs; i++) {
            int at = start + 2 * planted[i];
            tokens.set(at, keys[i]);
            tokens.set(at + 1, values[i]);

            at = start + 2 * (sequence / 4 + asked[i]);
            tokens.set(at, keys[order[i]]);
            tokens.set(at + 1, values[order[i]]);
            targets.set(at, values[order[i]]);
        }
    }

    /** As many different numbers below the bound as there are pairs, in random order. */
    private int[] someOf(int bound, SplittableRandom random) {
        int[] numbers = new int[bound];
        for (int i = 0; i < bound; i++) {
            int j = random.nextInt(i + 1);
            numbers[i] = numbers[j];
            numbers[j] = i;
        }
        return Arrays.copyOf(numbers, pairs);
    }

    /** How many tokens lie between a question and the pair that answers it, counted from key to key. */
    public int distance(IntArray tokens, int question) {
        int first = question / sequence * sequence;
        for (int at = first; at < question; at++) {
            if (tokens.get(at) == tokens.get(question)) {
                return question - at;
            }
        }
        throw new IllegalArgumentException("Position %d asks for a key that was never planted.".formatted(question));
    }
}
