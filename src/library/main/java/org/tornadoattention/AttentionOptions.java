package org.tornadoattention;

import java.util.Arrays;
import java.util.Objects;
import java.util.OptionalDouble;

/**
 * What is computed besides {@code softmax(QKᵀ)V}: immutable, with a {@code with…} method per part.
 *
 * <p>For query {@code i} and key {@code j} of one head, in this order:
 *
 * <ol>
 *   <li>{@code s = scale · q·k}, the scale being {@code 1/√headDim} where none is set;
 *   <li>with a softcap {@code c > 0}: {@code s = c · tanh(s / c)};
 *   <li>with ALiBi: {@code s = s - slope · |i + seqK - seqQ - j|}, one slope per query head;
 *   <li>the {@linkplain Mask mask} and the key lengths take keys away;
 *   <li>{@linkplain Dropout dropout} sets some of the probabilities to 0.
 * </ol>
 *
 * <p>With key lengths, batch entry {@code b} has the keys {@code 0} to {@code keyLengths[b] - 1}, and that length
 * takes the place of {@code seqK} in the mask and in ALiBi.
 *
 * @param scale       the factor on {@code q·k}, or empty for {@code 1/√headDim}; kernels round it to F32
 * @param mask        which keys a query sees
 * @param softcap     the bound {@code c} of {@code c · tanh(s / c)}, or 0 for none; kernels round it to F32
 * @param alibiSlopes a slope per query head, {@code [heads]}, or empty for no ALiBi
 * @param keyLengths  the number of keys of each batch entry, {@code [batch]}, or empty where all have {@code seqK}
 * @param dropout     which probabilities are set to 0 in training
 */
public record AttentionOptions(
        OptionalDouble scale, Mask mask, double softcap, float[] alibiSlopes, int[] keyLengths, Dropout dropout) {

    private static final AttentionOptions DEFAULTS =
            new AttentionOptions(OptionalDouble.empty(), Mask.none(), 0, new float[0], new int[0], Dropout.NONE);

    /**
     * Checks all ranges and copies the arrays.
     *
     * @throws IllegalArgumentException if the scale, the softcap or a slope is not finite, the softcap or a length is
     *     negative, or one of them is null
     */
    public AttentionOptions {
        requireGiven(scale, "The scale", "leave it out with AttentionOptions.defaults()");
        requireGiven(mask, "The mask", "use Mask.none() for all keys");
        requireGiven(alibiSlopes, "The array of ALiBi slopes", "use withoutAlibi() for none");
        requireGiven(keyLengths, "The array of key lengths", "use withoutKeyLengths() for none");
        requireGiven(dropout, "The dropout", "use withoutDropout() for none");
        if (scale.isPresent()) {
            requireFinite("The scale", scale.getAsDouble());
        }
        requireFinite("The softcap", softcap);
        if (softcap < 0) {
            throw new IllegalArgumentException(
                    "The softcap is %s: it must be above 0, or 0 for none.".formatted(softcap));
        }
        if (softcap > 0 && (float) softcap < Float.MIN_NORMAL) {
            throw new IllegalArgumentException(
                    "The softcap is %s, which is 0 in F32: use 0 for no softcap.".formatted(softcap));
        }
        alibiSlopes = alibiSlopes.clone();
        for (int head = 0; head < alibiSlopes.length; head++) {
            requireFinite("The ALiBi slope of head " + head, alibiSlopes[head]);
        }
        keyLengths = keyLengths.clone();
        for (int entry = 0; entry < keyLengths.length; entry++) {
            if (keyLengths[entry] < 0) {
                throw new IllegalArgumentException(
                        "The key length of batch entry %d is %d: it must be from 0 to the keys' sequence length."
                                .formatted(entry, keyLengths[entry]));
            }
        }
    }

    private static void requireGiven(Object part, String what, String instead) {
        if (part == null) {
            throw new IllegalArgumentException("%s is null: %s.".formatted(what, instead));
        }
    }

    private static void requireFinite(String what, double value) {
        if (!Float.isFinite((float) value)) {
            throw new IllegalArgumentException("%s is %s: it must be a finite F32 number.".formatted(what, value));
        }
    }

    /** Plain attention: scale {@code 1/√headDim}, every key visible, no softcap, no ALiBi. */
    public static AttentionOptions defaults() {
        return DEFAULTS;
    }

    /** Plain attention with a causal mask. */
    public static AttentionOptions causal() {
        return DEFAULTS.withMask(Mask.causal());
    }

    /**
     * The slopes of the ALiBi paper for {@code heads} query heads, F32 {@code [heads]}.
     *
     * <p>For a power of two they are {@code 2^(-8/heads), 2^(-16/heads), … 2^-8}. For other numbers they are those of
     * the next smaller power of two, then every other one of those of the next larger, as in the authors' code.
     *
     * @throws IllegalArgumentException if {@code heads} is below 1
     */
    public static float[] alibiSlopes(int heads) {
        if (heads < 1) {
            throw new IllegalArgumentException("ALiBi slopes for %d heads: ask for 1 or more.".formatted(heads));
        }
        int power = Integer.highestOneBit(heads);
        float[] slopes = new float[heads];
        for (int head = 0; head < heads; head++) {
            double exponent = head < power ? 8.0 * (head + 1) / power : 4.0 * (2 * (head - power) + 1) / power;
            slopes[head] = (float) Math.pow(2, -exponent);
        }
        return slopes;
    }

    /** These options with another factor on {@code q·k}. */
    public AttentionOptions withScale(double newScale) {
        return new AttentionOptions(OptionalDouble.of(newScale), mask, softcap, alibiSlopes, keyLengths, dropout);
    }

    /** These options with the scale {@code 1/√headDim}. */
    public AttentionOptions withDefaultScale() {
        return new AttentionOptions(OptionalDouble.empty(), mask, softcap, alibiSlopes, keyLengths, dropout);
    }

    /** These options with another mask in place of the present one. */
    public AttentionOptions withMask(Mask newMask) {
        return new AttentionOptions(scale, newMask, softcap, alibiSlopes, keyLengths, dropout);
    }

    /** These options with the present window cut off after the query's position. */
    public AttentionOptions withCausal() {
        return withMask(mask.andCausal());
    }

    /**
     * These options with a window in place of the present mask.
     *
     * @param left  keys seen before the query's position, or -1 for all
     * @param right keys seen after the query's position, or -1 for all
     */
    public AttentionOptions withWindow(int left, int right) {
        return withMask(Mask.window(left, right));
    }

    /** These options with scores bounded by {@code newSoftcap}, or unbounded where that is 0. */
    public AttentionOptions withSoftcap(double newSoftcap) {
        return new AttentionOptions(scale, mask, newSoftcap, alibiSlopes, keyLengths, dropout);
    }

    /**
     * These options with ALiBi.
     *
     * @param slopes one per query head; {@link #alibiSlopes(int)} gives the paper's
     * @throws IllegalArgumentException if there are none, or one is not finite
     */
    public AttentionOptions withAlibi(float... slopes) {
        if (slopes != null && slopes.length == 0) {
            throw new IllegalArgumentException("No ALiBi slopes given: give one per head, or use withoutAlibi().");
        }
        return new AttentionOptions(scale, mask, softcap, slopes, keyLengths, dropout);
    }

    /** These options without ALiBi. */
    public AttentionOptions withoutAlibi() {
        return new AttentionOptions(scale, mask, softcap, new float[0], keyLengths, dropout);
    }

    /**
     * These options with a number of keys for each batch entry; keys at and past it are not seen.
     *
     * @param lengths one per batch entry, each from 0 to the keys' sequence length
     * @throws IllegalArgumentException if there are none, or one is negative
     */
    public AttentionOptions withKeyLengths(int... lengths) {
        if (lengths != null && lengths.length == 0) {
            throw new IllegalArgumentException(
                    "No key lengths given: give one per batch entry, or use withoutKeyLengths().");
        }
        return new AttentionOptions(scale, mask, softcap, alibiSlopes, lengths, dropout);
    }

    /** These options with all keys present in every batch entry. */
    public AttentionOptions withoutKeyLengths() {
        return new AttentionOptions(scale, mask, softcap, alibiSlopes, new int[0], dropout);
    }

    /**
     * These options with dropout, in training.
     *
     * @param probability that the pair of a query and a key is dropped, from 0 to below 1
     * @param seed another one for each step; forward and backward must have the same
     */
    public AttentionOptions withDropout(double probability, long seed) {
        return withDropout(probability, seed, 0);
    }

    /**
     * These options with dropout, in training.
     *
     * @param probability that the pair of a query and a key is dropped, from 0 to below 1
     * @param seed another one for each step; forward and backward must have the same
     * @param offset tells apart what has the same seed, such as the layers of a network
     */
    public AttentionOptions withDropout(double probability, long seed, int offset) {
        return new AttentionOptions(
                scale, mask, softcap, alibiSlopes, keyLengths, new Dropout(probability, seed, offset));
    }

    /** These options with every probability kept. */
    public AttentionOptions withoutDropout() {
        return new AttentionOptions(scale, mask, softcap, alibiSlopes, keyLengths, Dropout.NONE);
    }

    /** The factor on {@code q·k} for a head dimension: the one that was set, or {@code 1/√headDim}. */
    public double scaleFor(int headDim) {
        return scale.orElseGet(() -> 1 / Math.sqrt(headDim));
    }

    /** Whether scores are bounded by {@code c · tanh(s / c)}. */
    public boolean hasSoftcap() {
        return softcap > 0;
    }

    /** Whether scores fall with distance. */
    public boolean hasAlibi() {
        return alibiSlopes.length > 0;
    }

    /** Whether batch entries have key lengths of their own. */
    public boolean hasKeyLengths() {
        return keyLengths.length > 0;
    }

    /** Whether some probabilities are set to 0. */
    public boolean hasDropout() {
        return !dropout.isNone();
    }

    /** The ALiBi slope of a query head, 0 without ALiBi. */
    public float alibiSlope(int head) {
        return hasAlibi() ? alibiSlopes[head] : 0;
    }

    /** The number of keys of a batch entry: its own length, or {@code seqK} where there are none. */
    public int keyLength(int batchEntry, int seqK) {
        return hasKeyLengths() ? keyLengths[batchEntry] : seqK;
    }

    /** A copy of the slopes, {@code [heads]}, empty without ALiBi. */
    @Override
    public float[] alibiSlopes() {
        return alibiSlopes.clone();
    }

    /** A copy of the key lengths, {@code [batch]}, empty where all entries have {@code seqK} keys. */
    @Override
    public int[] keyLengths() {
        return keyLengths.clone();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof AttentionOptions that
                && scale.equals(that.scale)
                && mask.equals(that.mask)
                && Double.compare(softcap, that.softcap) == 0
                && Arrays.equals(alibiSlopes, that.alibiSlopes)
                && Arrays.equals(keyLengths, that.keyLengths)
                && dropout.equals(that.dropout);
    }

    @Override
    public int hashCode() {
        return Objects.hash(scale, mask, softcap, Arrays.hashCode(alibiSlopes), Arrays.hashCode(keyLengths), dropout);
    }

    /** The parts that differ from the defaults, such as {@code mask=causal, softcap=30.0}; otherwise {@code defaults}. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        scale.ifPresent(value -> text.append(", scale=").append(value));
        if (!mask.isNone()) {
            text.append(", mask=").append(mask);
        }
        if (hasSoftcap()) {
            text.append(", softcap=").append(softcap);
        }
        if (hasAlibi()) {
            text.append(", alibi=").append(Arrays.toString(alibiSlopes));
        }
        if (hasKeyLengths()) {
            text.append(", keyLengths=").append(Arrays.toString(keyLengths));
        }
        if (hasDropout()) {
            text.append(", dropout=").append(dropout.probability());
            text.append(" (seed ")
                    .append(dropout.seed())
                    .append(", offset ")
                    .append(dropout.offset())
                    .append(')');
        }
        return text.isEmpty() ? "defaults" : text.substring(2);
    }
}
