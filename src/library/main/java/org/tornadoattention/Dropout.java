package org.tornadoattention;

/**
 * Which probabilities are set to 0 in training; those that are left are multiplied by {@code 1 / (1 - probability)}.
 * The log-sum-exp does not see it.
 *
 * <p>Whether the pair of a query and a key is dropped depends on seed, offset, batch entry, head, query and key and on
 * nothing else: every kernel on every device drops the same ones, forward and backward, and no mask is stored. The
 * generator is Philox4x32-10 with the seed as its key and {@code (key / 4, query, batch · heads + head, offset)} as its
 * counter; the pair is dropped where the upper 24 bits of word {@code key % 4} are below {@link #threshold}.
 *
 * @param probability that a pair is dropped, from 0, which means no dropout, to below 1; in steps of 2⁻²⁴
 * @param seed another one for each step of a training
 * @param offset tells apart what has the same seed, such as the layers of a network
 */
public record Dropout(double probability, long seed, int offset) {

    /** No dropout. */
    public static final Dropout NONE = new Dropout(0, 0, 0);

    private static final int STEPS = 1 << 24;

    /**
     * Checks the probability.
     *
     * @throws IllegalArgumentException if it is not from 0 to below 1
     */
    public Dropout {
        if (!(probability >= 0 && probability < 1)) {
            throw new IllegalArgumentException(
                    "The dropout probability is %s: it must be from 0 to below 1.".formatted(probability));
        }
    }

    /**
     * Whether nothing is ever dropped.
     *
     * @return whether the threshold is 0
     */
    public boolean isNone() {
        return threshold() == 0;
    }

    /**
     * {@code probability · 2²⁴}, rounded: a pair is dropped where its 24 random bits are below it.
     *
     * @return from 0 to 2²⁴ − 1
     */
    public int threshold() {
        return (int) Math.min(Math.round(probability * STEPS), STEPS - 1);
    }

    /**
     * What the probabilities that are left are multiplied by.
     *
     * @return {@code 1 / (1 - probability)}, for the probability in steps of 2⁻²⁴
     */
    public double keptFactor() {
        return (double) STEPS / (STEPS - threshold());
    }
}
