package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Which keys a query sees: a window of keys around the query's own position, and within it what a condition leaves.
 *
 * <p>Positions are aligned bottom-right, as in FlashAttention from version 2.1 on: the last query stands on the last
 * key, so query {@code i} stands on key {@code i + seqK - seqQ} and sees the keys from {@code left} before that to
 * {@code right} after it, both ends included. A causal mask is the window without a left edge and with {@code right =
 * 0}. A query may stand before the first key and see none at all.
 *
 * <p>Where a batch entry has a key length of its own, that length takes the place of {@code seqK} in all methods.
 *
 * <p>Masks combine: {@code Mask.causal().and(Mask.of(function))}, {@code one.or(other)}, {@code mask.not()}. Kernels
 * never load what a window leaves out, and ask a condition for each pair.
 *
 * @param left how many keys before the query's position are seen, or {@link #UNBOUNDED}
 * @param right how many keys after the query's position are seen, or {@link #UNBOUNDED}
 * @param condition what hides keys inside the window, empty for nothing
 */
public record Mask(int left, int right, Optional<Condition> condition) {
    /** The edge of a window that reaches to the end of the sequence. */
    public static final int UNBOUNDED = -1;

    private static final Mask NONE = new Mask(UNBOUNDED, UNBOUNDED);
    private static final Mask CAUSAL = new Mask(UNBOUNDED, 0);

    /** Part of a mask that is more than a window: what {@link #of}, {@link #and}, {@link #or} and {@link #not} make. */
    public sealed interface Condition {

        /**
         * Whether a query sees a key.
         *
         * @param batch the batch entry, from 0
         * @param head the query head, from 0
         * @param query the query, from 0
         * @param key the key, from 0
         * @param position that the query stands at among the keys
         * @return whether it does
         */
        default boolean sees(int batch, int head, int query, int key, int position) {
            return switch (this) {
                case Function(MaskFunction function) -> function.sees(batch, head, query, key);
                case Blocks(BlockMask mask) -> mask.sees(batch, head, query, key);
                case Window(int left, int right) ->
                    (left == UNBOUNDED || key >= (long) position - left)
                            && (right == UNBOUNDED || key <= (long) position + right);
                case And(Condition one, Condition other) ->
                    one.sees(batch, head, query, key, position) && other.sees(batch, head, query, key, position);
                case Or(Condition one, Condition other) ->
                    one.sees(batch, head, query, key, position) || other.sees(batch, head, query, key, position);
                case Not(Condition negated) -> !negated.sees(batch, head, query, key, position);
            };
        }
    }

    /**
     * What a function says.
     *
     * @param function the function
     */
    public record Function(MaskFunction function) implements Condition {

        /**
         * Checks that it is given.
         *
         * @throws IllegalArgumentException if it is null
         */
        public Function {
            required(function, "function");
        }

        @Override
        public String toString() {
            return "function";
        }
    }

    /**
     * What the tiles of a block mask say.
     *
     * @param mask the block mask
     */
    public record Blocks(BlockMask mask) implements Condition {

        /**
         * Checks that it is given.
         *
         * @throws IllegalArgumentException if it is null
         */
        public Blocks {
            required(mask, "mask");
        }

        @Override
        public String toString() {
            return mask.toString();
        }
    }

    /**
     * A window that is part of a larger expression.
     *
     * @param left keys before the query's position, or −1 for all
     * @param right keys after it, or −1 for all
     */
    public record Window(int left, int right) implements Condition {
        @Override
        public String toString() {
            return new Mask(left, right).toString();
        }
    }

    /**
     * What both see.
     *
     * @param one asked first
     * @param other asked where the first sees
     */
    public record And(Condition one, Condition other) implements Condition {

        /**
         * Checks that both are given.
         *
         * @throws IllegalArgumentException if one is null
         */
        public And {
            required(one, "one");
            required(other, "other");
        }

        @Override
        public String toString() {
            return "(%s and %s)".formatted(one, other);
        }
    }

    /**
     * What either sees.
     *
     * @param one asked first
     * @param other asked where the first does not see
     */
    public record Or(Condition one, Condition other) implements Condition {

        /**
         * Checks that both are given.
         *
         * @throws IllegalArgumentException if one is null
         */
        public Or {
            required(one, "one");
            required(other, "other");
        }

        @Override
        public String toString() {
            return "(%s or %s)".formatted(one, other);
        }
    }

    /**
     * What a condition does not see.
     *
     * @param negated the condition
     */
    public record Not(Condition negated) implements Condition {

        /**
         * Checks that it is given.
         *
         * @throws IllegalArgumentException if it is null
         */
        public Not {
            required(negated, "negated");
        }

        @Override
        public String toString() {
            return "not " + negated;
        }
    }

    /** Checks that each edge is 0 or more, or {@link #UNBOUNDED}. */
    public Mask {
        requireEdge("left", left);
        requireEdge("right", right);
        required(condition, "condition", "use Optional.empty() for none");
    }

    /**
     * A window.
     *
     * @param left how many keys before the query's position are seen, or {@link #UNBOUNDED}
     * @param right how many keys after the query's position are seen, or {@link #UNBOUNDED}
     * @throws IllegalArgumentException if either is below -1
     */
    public Mask(int left, int right) {
        this(left, right, Optional.empty());
    }

    private static void requireEdge(String name, int edge) {
        if (edge < UNBOUNDED) {
            throw new IllegalArgumentException(
                    "The window's %s edge is %d: it must be a number of keys, 0 or more, or -1 for unbounded."
                            .formatted(name, edge));
        }
    }

    /**
     * Every query sees every key.
     *
     * @return a window without edges
     */
    public static Mask none() {
        return NONE;
    }

    /**
     * Query {@code i} sees the keys {@code j <= i + seqK - seqQ}.
     *
     * @return a window without a left edge, with {@code right = 0}
     */
    public static Mask causal() {
        return CAUSAL;
    }

    /**
     * Query {@code i} sees the keys from {@code i + seqK - seqQ - left} to {@code i + seqK - seqQ + right}.
     *
     * @param left keys seen before the query's position, or -1 for all
     * @param right keys seen after the query's position, or -1 for all
     * @return the window
     * @throws IllegalArgumentException if either is below -1
     */
    public static Mask window(int left, int right) {
        return new Mask(left, right);
    }

    /**
     * What a function says.
     *
     * @param function whether a query sees a key: a lambda, or a reference to a static method
     * @return a mask without a window
     * @throws IllegalArgumentException if it is null
     */
    public static Mask of(MaskFunction function) {
        required(function, "function", "use Mask.none() for all keys");
        return new Mask(UNBOUNDED, UNBOUNDED, Optional.of(new Function(function)));
    }

    /**
     * What the tiles of a block mask say. Alone, or in an {@link #and} with other masks, its empty tiles are never
     * loaded; inside an {@link #or} or a {@link #not} it says the same, and saves nothing.
     *
     * @param mask the block mask, for sequences of these lengths
     * @return a mask without a window
     * @throws IllegalArgumentException if it is null
     */
    public static Mask blocks(BlockMask mask) {
        required(mask, "mask", "use Mask.none() for all keys");
        return new Mask(UNBOUNDED, UNBOUNDED, Optional.of(new Blocks(mask)));
    }

    /**
     * The block masks in the condition.
     *
     * @return each, in order
     */
    public List<BlockMask> blockMasks() {
        List<BlockMask> found = new ArrayList<>();
        condition.ifPresent(rest -> collect(rest, found));
        return found;
    }

    private static void collect(Condition condition, List<BlockMask> found) {
        switch (condition) {
            case Blocks(BlockMask mask) -> found.add(mask);
            case And(Condition one, Condition other) -> {
                collect(one, found);
                collect(other, found);
            }
            case Or(Condition one, Condition other) -> {
                collect(one, found);
                collect(other, found);
            }
            case Not(Condition negated) -> collect(negated, found);
            case Function _, Window _ -> {
                // have none
            }
        }
    }

    /**
     * The keys that both masks show.
     *
     * @param other the other mask, asked where this one shows a key
     * @return a mask whose window is what the two windows have in common
     * @throws IllegalArgumentException if it is null
     */
    public Mask and(Mask other) {
        required(other, "other", "use Mask.none() for all keys");
        Optional<Condition> both = condition
                .map(one ->
                        other.condition.<Condition>map(two -> new And(one, two)).orElse(one))
                .or(() -> other.condition);
        return new Mask(narrower(left, other.left), narrower(right, other.right), both);
    }

    /**
     * The keys that either mask shows.
     *
     * @param other the other mask, asked where this one hides a key
     * @return a mask whose window has both windows in it
     * @throws IllegalArgumentException if it is null
     */
    public Mask or(Mask other) {
        required(other, "other", "use Mask.none() for all keys");
        if (isNone() || other.isNone()) {
            return NONE;
        }
        return new Mask(
                wider(left, other.left),
                wider(right, other.right),
                Optional.of(new Or(asCondition(), other.asCondition())));
    }

    /**
     * The keys that this mask hides.
     *
     * @return a mask without a window
     */
    public Mask not() {
        return new Mask(UNBOUNDED, UNBOUNDED, Optional.of(new Not(asCondition())));
    }

    private Condition asCondition() {
        Condition window = new Window(left, right);
        if (left == UNBOUNDED && right == UNBOUNDED) {
            return condition.orElse(window);
        }
        return condition.<Condition>map(rest -> new And(window, rest)).orElse(window);
    }

    private static int narrower(int one, int other) {
        return one == UNBOUNDED || other == UNBOUNDED ? Math.max(one, other) : Math.min(one, other);
    }

    private static int wider(int one, int other) {
        return one == UNBOUNDED || other == UNBOUNDED ? UNBOUNDED : Math.max(one, other);
    }

    /**
     * The window alone, without what hides keys in it.
     *
     * @return a mask without a condition
     */
    public Mask window() {
        return condition.isEmpty() ? this : new Mask(left, right);
    }

    /**
     * This window without the keys after the query's position.
     *
     * @return a window with {@code right = 0}, and the same condition
     */
    public Mask andCausal() {
        return new Mask(left, 0, condition);
    }

    /**
     * Whether no key lies after the position of the query that sees it.
     *
     * @return whether {@code right} is 0
     */
    public boolean isCausal() {
        return right == 0;
    }

    /**
     * Whether every query sees every key, whatever the lengths.
     *
     * @return whether neither edge is bounded and there is no condition
     */
    public boolean isNone() {
        return left == UNBOUNDED && right == UNBOUNDED && condition.isEmpty();
    }

    /**
     * Whether query {@code query} of {@code seqQ} sees key {@code key} of {@code seqK}, in the first batch entry and
     * head.
     *
     * @param query a query, from 0
     * @param key a key, from 0
     * @param seqQ queries of the sequence
     * @param seqK keys of the sequence, or the batch entry's own length
     * @return whether the key is inside the window, and the condition shows it
     */
    public boolean allows(int query, int key, int seqQ, int seqK) {
        return allows(0, 0, query, key, seqQ, seqK);
    }

    /**
     * Whether query {@code query} of {@code seqQ} sees key {@code key} of {@code seqK}.
     *
     * @param batch a batch entry, from 0
     * @param head a query head, from 0
     * @param query a query, from 0
     * @param key a key, from 0
     * @param seqQ queries of the sequence
     * @param seqK keys of the sequence, or the batch entry's own length
     * @return whether the key is inside the window, and the condition shows it
     */
    public boolean allows(int batch, int head, int query, int key, int seqQ, int seqK) {
        return firstKey(query, seqQ, seqK) <= key
                && key < endKey(query, seqQ, seqK)
                && (condition.isEmpty() || condition.get().sees(batch, head, query, key, query + seqK - seqQ));
    }

    /**
     * The first key inside the window of a query, from 0 to {@code seqK}; not below {@link #endKey} where there is
     * none.
     *
     * @param query a query, from 0
     * @param seqQ queries of the sequence
     * @param seqK keys of the sequence, or the batch entry's own length
     * @return the first key
     */
    public int firstKey(int query, int seqQ, int seqK) {
        long position = (long) query + seqK - seqQ;
        return left == UNBOUNDED ? 0 : Math.clamp(position - left, 0, seqK);
    }

    /**
     * One past the last key inside the window of a query, from 0 to {@code seqK}.
     *
     * @param query a query, from 0
     * @param seqQ queries of the sequence
     * @param seqK keys of the sequence, or the batch entry's own length
     * @return one past the last key
     */
    public int endKey(int query, int seqQ, int seqK) {
        long position = (long) query + seqK - seqQ;
        return right == UNBOUNDED ? seqK : Math.clamp(position + right + 1, 0, seqK);
    }

    /**
     * The number of query-key pairs inside the window of one head; a condition may hide some of them.
     *
     * @param seqQ queries of the sequence
     * @param seqK keys of the sequence, or the batch entry's own length
     * @return the pairs, of all queries together
     */
    public long visiblePairs(int seqQ, int seqK) {
        long pairs = 0;
        for (int query = 0; query < seqQ; query++) {
            pairs += Math.max(0, endKey(query, seqQ, seqK) - firstKey(query, seqQ, seqK));
        }
        return pairs;
    }

    /** {@code none}, {@code causal}, {@code window(left, right)}, or one of these and a condition. */
    @Override
    public String toString() {
        String text = "window(%d, %d)".formatted(left, right);
        if (left == UNBOUNDED && right == UNBOUNDED) {
            text = "none";
        } else if (left == UNBOUNDED && right == 0) {
            text = "causal";
        }
        String window = text;
        return condition
                .map(rest -> left == UNBOUNDED && right == UNBOUNDED ? rest.toString() : window + " and " + rest)
                .orElse(window);
    }
}
