package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Consumer;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * What is computed besides {@code softmax(QKᵀ)V}: immutable, with a {@code with…} method per part.
 *
 * <p>For query {@code i} and key {@code j} of one head, in this order:
 *
 * <ol>
 *   <li>{@code s = scale · q·k}, the scale being {@code 1/√headDim} where none is set;
 *   <li>with a softcap {@code c > 0}: {@code s = c · tanh(s / c)};
 *   <li>with ALiBi: {@code s = s - slope · |i + seqK - seqQ - j|}, one slope per query head;
 *   <li>with a bias: {@code s = s + bias[batch, head, i, j]};
 *   <li>with a {@linkplain ScoreFunction score function}: {@code s = f(s, batch, head, i, j)};
 *   <li>the {@linkplain Mask mask} and the key lengths take keys away;
 *   <li>a sink adds {@code e^sink} to the sum of each of its head's rows, and no value;
 *   <li>{@linkplain Dropout dropout} sets some of the probabilities to 0.
 * </ol>
 *
 * <p>With key lengths, batch entry {@code b} has the keys {@code 0} to {@code keyLengths[b] - 1}, and that length takes
 * the place of {@code seqK} in the mask and in ALiBi.
 */
public final class AttentionOptions {

    private static final AttentionOptions DEFAULTS = new AttentionOptions(new Parts());

    private final OptionalDouble scale;
    private final Mask mask;
    private final double softcap;
    private final float[] alibiSlopes;
    private final int[] keyLengths;
    private final Dropout dropout;
    private final Optional<ScoreFunction> score;
    private final Optional<Tensor> bias;
    private final Optional<Tensor> sinks;

    /** The parts while one of them is changed. */
    private static final class Parts {
        private OptionalDouble scale = OptionalDouble.empty();
        private Mask mask = Mask.none();
        private double softcap;
        private float[] alibiSlopes = new float[0];
        private int[] keyLengths = new int[0];
        private Dropout dropout = Dropout.NONE;
        private Optional<ScoreFunction> score = Optional.empty();
        private Optional<Tensor> bias = Optional.empty();
        private Optional<Tensor> sinks = Optional.empty();
    }

    private AttentionOptions(Parts parts) {
        scale = parts.scale;
        mask = parts.mask;
        softcap = parts.softcap;
        alibiSlopes = required(parts.alibiSlopes, "slopes", "use withoutAlibi() for none")
                .clone();
        keyLengths = required(parts.keyLengths, "lengths", "use withoutKeyLengths() for none")
                .clone();
        dropout = parts.dropout;
        score = parts.score;
        bias = parts.bias;
        sinks = parts.sinks;
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
        for (int head = 0; head < alibiSlopes.length; head++) {
            requireFinite("The ALiBi slope of head " + head, alibiSlopes[head]);
        }
        for (int entry = 0; entry < keyLengths.length; entry++) {
            if (keyLengths[entry] < 0) {
                throw new IllegalArgumentException(
                        "The key length of batch entry %d is %d: it must be from 0 to the keys' sequence length."
                                .formatted(entry, keyLengths[entry]));
            }
        }
    }

    private AttentionOptions with(Consumer<Parts> change) {
        Parts parts = new Parts();
        parts.scale = scale;
        parts.mask = mask;
        parts.softcap = softcap;
        parts.alibiSlopes = alibiSlopes;
        parts.keyLengths = keyLengths;
        parts.dropout = dropout;
        parts.score = score;
        parts.bias = bias;
        parts.sinks = sinks;
        change.accept(parts);
        return new AttentionOptions(parts);
    }

    private static void requireFinite(String what, double value) {
        if (!Float.isFinite((float) value)) {
            throw new IllegalArgumentException("%s is %s: it must be a finite F32 number.".formatted(what, value));
        }
    }

    /** {@link AttentionShape#requireFitting}: an option knows what it needs of the sizes. */
    void requireFitting(AttentionShape shape) {
        if (hasAlibi() && alibiSlopes.length != shape.heads()) {
            throw new IllegalArgumentException(
                    "There are %d ALiBi slopes for %d query heads: give one per head, such as AttentionOptions.alibiSlopes(%d)."
                            .formatted(alibiSlopes.length, shape.heads(), shape.heads()));
        }
        if (hasKeyLengths() && keyLengths.length != shape.batch()) {
            throw new IllegalArgumentException("There are %d key lengths for a batch of %d: give one per batch entry."
                    .formatted(keyLengths.length, shape.batch()));
        }
        mask.blockMasks().forEach(given -> requireBlocks(given, shape));
        bias.ifPresent(given -> requireBias(given, shape));
        sinks.ifPresent(given -> requireSinks(given, shape));
        for (int entry = 0; entry < keyLengths.length; entry++) {
            if (keyLengths[entry] > shape.seqK()) {
                throw new IllegalArgumentException(
                        "The key length of batch entry %d is %d, but k has only %d keys: it must be from 0 to %d."
                                .formatted(entry, keyLengths[entry], shape.seqK(), shape.seqK()));
            }
        }
    }

    private static void requireBlocks(BlockMask mask, AttentionShape shape) {
        boolean fits = mask.seqQ() == shape.seqQ()
                && mask.seqK() == shape.seqK()
                && (mask.batch() == 1 || mask.batch() == shape.batch())
                && (mask.heads() == 1 || mask.heads() == shape.heads());
        if (!fits && !shape.hasNoQueries() && shape.seqK() > 0) {
            throw new IllegalArgumentException(
                    "The block mask is of [%d, %d, %d, %d]: it must be [1 or %d, 1 or %d, %d, %d], of batch, heads, queries and keys."
                            .formatted(
                                    mask.batch(),
                                    mask.heads(),
                                    mask.seqQ(),
                                    mask.seqK(),
                                    shape.batch(),
                                    shape.heads(),
                                    shape.seqQ(),
                                    shape.seqK()));
        }
    }

    private static void requireBias(Tensor bias, AttentionShape shape) {
        boolean fits = (bias.dimension(0) == 1 || bias.dimension(0) == shape.batch())
                && (bias.dimension(1) == 1 || bias.dimension(1) == shape.heads())
                && bias.dimension(2) == shape.seqQ()
                && bias.dimension(3) == shape.seqK();
        if (!fits) {
            throw new IllegalArgumentException(
                    "The bias is %s: it must be [1 or %d, 1 or %d, %d, %d], of batch, heads, queries and keys."
                            .formatted(bias, shape.batch(), shape.heads(), shape.seqQ(), shape.seqK()));
        }
    }

    private static void requireSinks(Tensor sinks, AttentionShape shape) {
        if (sinks.dimension(0) != shape.heads()) {
            throw new IllegalArgumentException(
                    "The sinks are %s for %d query heads: give one for each.".formatted(sinks, shape.heads()));
        }
        for (int head = 0; head < shape.heads(); head++) {
            float sink = sinks.getFlat(head);
            if (!Float.isFinite(sink)) {
                throw new IllegalArgumentException(
                        "The sink of head %d is %s: it must be a finite number; use withoutSinks() for none."
                                .formatted(head, sink));
            }
        }
    }

    /**
     * Plain attention: scale {@code 1/√headDim}, every key visible, no softcap, no ALiBi, no dropout.
     *
     * @return the options that nothing was changed in
     */
    public static AttentionOptions defaults() {
        return DEFAULTS;
    }

    /**
     * Plain attention with a causal mask.
     *
     * @return the defaults with {@link Mask#causal()}
     */
    public static AttentionOptions causal() {
        return DEFAULTS.withMask(Mask.causal());
    }

    /**
     * The slopes of the ALiBi paper for {@code heads} query heads, F32 {@code [heads]}.
     *
     * <p>For a power of two they are {@code 2^(-8/heads), 2^(-16/heads), … 2^-8}. For other numbers they are those of
     * the next smaller power of two, then every other one of those of the next larger, as in the authors' code.
     *
     * @param heads the number of query heads, 1 or more
     * @return one slope per head, from the steepest to the flattest of each series
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

    /**
     * These options with another factor on {@code q·k}.
     *
     * @param newScale the factor, which kernels round to F32
     * @return changed options
     * @throws IllegalArgumentException if it is not a finite F32 number
     */
    public AttentionOptions withScale(double newScale) {
        return with(parts -> parts.scale = OptionalDouble.of(newScale));
    }

    /**
     * These options with the scale {@code 1/√headDim}.
     *
     * @return changed options
     */
    public AttentionOptions withDefaultScale() {
        return with(parts -> parts.scale = OptionalDouble.empty());
    }

    /**
     * These options with another mask in place of the present one.
     *
     * @param newMask which keys a query sees
     * @return changed options
     * @throws IllegalArgumentException if it is null
     */
    public AttentionOptions withMask(Mask newMask) {
        required(newMask, "newMask", "use Mask.none() for all keys");
        return with(parts -> parts.mask = newMask);
    }

    /**
     * These options with the present window cut off after the query's position.
     *
     * @return changed options
     */
    public AttentionOptions withCausal() {
        return withMask(mask.andCausal());
    }

    /**
     * These options with a window in place of the present mask.
     *
     * @param left keys seen before the query's position, or -1 for all
     * @param right keys seen after the query's position, or -1 for all
     * @return changed options
     * @throws IllegalArgumentException if either is below -1
     */
    public AttentionOptions withWindow(int left, int right) {
        return withMask(Mask.window(left, right));
    }

    /**
     * These options with scores bounded by {@code newSoftcap · tanh(s / newSoftcap)}.
     *
     * @param newSoftcap the bound, which kernels round to F32, or 0 for none
     * @return changed options
     * @throws IllegalArgumentException if it is negative, not finite, or 0 in F32 but not 0
     */
    public AttentionOptions withSoftcap(double newSoftcap) {
        return with(parts -> parts.softcap = newSoftcap);
    }

    /**
     * These options with ALiBi.
     *
     * @param slopes one per query head; {@link #alibiSlopes(int)} gives the paper's
     * @return changed options
     * @throws IllegalArgumentException if there are none, one is not finite, or the array is null
     */
    public AttentionOptions withAlibi(float... slopes) {
        if (slopes != null && slopes.length == 0) {
            throw new IllegalArgumentException("No ALiBi slopes given: give one per head, or use withoutAlibi().");
        }
        return with(parts -> parts.alibiSlopes = slopes);
    }

    /**
     * These options without ALiBi.
     *
     * @return changed options
     */
    public AttentionOptions withoutAlibi() {
        return with(parts -> parts.alibiSlopes = new float[0]);
    }

    /**
     * These options with a number of keys for each batch entry; keys at and past it are not seen.
     *
     * @param lengths one per batch entry, each from 0 to the keys' sequence length
     * @return changed options
     * @throws IllegalArgumentException if there are none, one is negative, or the array is null
     */
    public AttentionOptions withKeyLengths(int... lengths) {
        if (lengths != null && lengths.length == 0) {
            throw new IllegalArgumentException(
                    "No key lengths given: give one per batch entry, or use withoutKeyLengths().");
        }
        return with(parts -> parts.keyLengths = lengths);
    }

    /**
     * These options with all keys present in every batch entry.
     *
     * @return changed options
     */
    public AttentionOptions withoutKeyLengths() {
        return with(parts -> parts.keyLengths = new int[0]);
    }

    /**
     * These options with dropout, in training.
     *
     * @param probability that the pair of a query and a key is dropped, from 0 to below 1
     * @param seed another one for each step; forward and backward must have the same
     * @return changed options
     * @throws IllegalArgumentException if the probability is not from 0 to below 1
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
     * @return changed options
     * @throws IllegalArgumentException if the probability is not from 0 to below 1
     */
    public AttentionOptions withDropout(double probability, long seed, int offset) {
        return with(parts -> parts.dropout = new Dropout(probability, seed, offset));
    }

    /**
     * These options with every probability kept.
     *
     * @return changed options
     */
    public AttentionOptions withoutDropout() {
        return with(parts -> parts.dropout = Dropout.NONE);
    }

    /**
     * These options with a function of the scores.
     *
     * @param function what a score becomes, a lambda or a reference to a static method
     * @return changed options
     * @throws IllegalArgumentException if it is null
     */
    public AttentionOptions withScore(ScoreFunction function) {
        required(function, "function", "use withoutScore() for none");
        return with(parts -> parts.score = Optional.of(function));
    }

    /**
     * These options without a function of the scores.
     *
     * @return changed options
     */
    public AttentionOptions withoutScore() {
        return with(parts -> parts.score = Optional.empty());
    }

    /**
     * These options with a number that is added to each score. Its gradient is {@link Gradients#dBias}.
     *
     * @param tensor {@code [1 or batch, 1 or heads, seqQ, seqK]}, of any type, read at each call
     * @return changed options
     * @throws IllegalArgumentException if it is null or has not four dimensions
     */
    public AttentionOptions withBias(Tensor tensor) {
        required(tensor, "tensor", "use withoutBias() for none");
        if (tensor.rank() != 4) {
            throw new IllegalArgumentException(
                    "The bias is %s: it must have four dimensions, [1 or batch, 1 or heads, seqQ, seqK]."
                            .formatted(tensor));
        }
        tensor.requireContiguous();
        return with(parts -> parts.bias = Optional.of(tensor));
    }

    /**
     * These options without a bias.
     *
     * @return changed options
     */
    public AttentionOptions withoutBias() {
        return with(parts -> parts.bias = Optional.empty());
    }

    /**
     * These options with a sink for each head: a score that no key has and no value follows. Its gradient is
     * {@link Gradients#dSinks}.
     *
     * @param tensor F32 {@code [heads]}, finite, read at each call
     * @return changed options
     * @throws IllegalArgumentException if it is null, or not F32 with one dimension
     */
    public AttentionOptions withSinks(Tensor tensor) {
        required(tensor, "tensor", "use withoutSinks() for none");
        if (tensor.rank() != 1 || tensor.dtype() != DType.F32) {
            throw new IllegalArgumentException(
                    "The sinks are %s: they must be F32[heads], one for each query head.".formatted(tensor));
        }
        return with(parts -> parts.sinks = Optional.of(tensor));
    }

    /**
     * These options without sinks.
     *
     * @return changed options
     */
    public AttentionOptions withoutSinks() {
        return with(parts -> parts.sinks = Optional.empty());
    }

    /**
     * What is added to scores.
     *
     * @return the bias, or empty for none
     */
    public Optional<Tensor> bias() {
        return bias;
    }

    /**
     * What enters the sums of rows without being a key.
     *
     * @return the sinks, or empty for none
     */
    public Optional<Tensor> sinks() {
        return sinks;
    }

    /**
     * What a score becomes.
     *
     * @return the function, or empty for none
     */
    public Optional<ScoreFunction> score() {
        return score;
    }

    /**
     * The factor on {@code q·k}.
     *
     * @return the one that was set, or empty for {@code 1/√headDim}
     */
    public OptionalDouble scale() {
        return scale;
    }

    /**
     * Which keys a query sees.
     *
     * @return the mask
     */
    public Mask mask() {
        return mask;
    }

    /**
     * The bound {@code c} of {@code c · tanh(s / c)}.
     *
     * @return the bound, or 0 for none
     */
    public double softcap() {
        return softcap;
    }

    /**
     * Which probabilities are set to 0 in training.
     *
     * @return the dropout, {@link Dropout#NONE} where there is none
     */
    public Dropout dropout() {
        return dropout;
    }

    /**
     * The factor on {@code q·k} for a head dimension.
     *
     * @param headDim elements per head
     * @return the factor that was set, or {@code 1/√headDim}
     */
    public double scaleFor(int headDim) {
        return scale.orElseGet(() -> 1 / Math.sqrt(headDim));
    }

    /**
     * Whether scores are bounded by {@code c · tanh(s / c)}.
     *
     * @return true with a softcap
     */
    public boolean hasSoftcap() {
        return softcap > 0;
    }

    /**
     * Whether scores fall with distance.
     *
     * @return true with ALiBi
     */
    public boolean hasAlibi() {
        return alibiSlopes.length > 0;
    }

    /**
     * Whether batch entries have key lengths of their own.
     *
     * @return true with key lengths
     */
    public boolean hasKeyLengths() {
        return keyLengths.length > 0;
    }

    /**
     * Whether some probabilities are set to 0.
     *
     * @return true with dropout
     */
    public boolean hasDropout() {
        return !dropout.isNone();
    }

    /**
     * The ALiBi slope of a query head.
     *
     * @param head a query head, from 0
     * @return its slope, 0 without ALiBi
     */
    public float alibiSlope(int head) {
        return hasAlibi() ? alibiSlopes[head] : 0;
    }

    /**
     * The number of keys of a batch entry.
     *
     * @param batchEntry a batch entry, from 0
     * @param seqK what holds for all of them without key lengths
     * @return its own length, or {@code seqK}
     */
    public int keyLength(int batchEntry, int seqK) {
        return hasKeyLengths() ? keyLengths[batchEntry] : seqK;
    }

    /**
     * The ALiBi slopes.
     *
     * @return a copy, {@code [heads]}, empty without ALiBi
     */
    public float[] alibiSlopes() {
        return alibiSlopes.clone();
    }

    /**
     * The key lengths.
     *
     * @return a copy, {@code [batch]}, empty where all entries have {@code seqK} keys
     */
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
                && dropout.equals(that.dropout)
                && score.equals(that.score)
                && bias.equals(that.bias)
                && sinks.equals(that.sinks);
    }

    @Override
    public int hashCode() {
        return Objects.hash(
                scale,
                mask,
                softcap,
                Arrays.hashCode(alibiSlopes),
                Arrays.hashCode(keyLengths),
                dropout,
                score,
                bias,
                sinks);
    }

    /**
     * The parts that differ from the defaults, such as {@code mask=causal, softcap=30.0}; otherwise {@code defaults}.
     */
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
        if (score.isPresent()) {
            text.append(", score function");
        }
        bias.ifPresent(tensor -> text.append(", bias ").append(tensor));
        sinks.ifPresent(tensor -> text.append(", sinks ").append(tensor));
        return text.isEmpty() ? "defaults" : text.substring(2);
    }
}
