package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import java.io.Serializable;
import java.util.Arrays;
import java.util.Optional;
import org.tornadoattention.tensor.Tensor;

/**
 * A part of an attention problem that is a problem of its own: some batch entries and heads, all or some of their keys,
 * and the queries that see any of these. What parts of the batch and of the heads give is part of the whole's result;
 * what parts of the keys give is merged by their log-sum-exps: {@link AttentionSums}.
 *
 * <p>{@link DistributedAttention} divides a problem among devices by it, and it serves as well where the parts are on
 * other machines.
 *
 * @param whole the sizes of the whole problem
 * @param batch batch entries
 * @param kvHeads key and value heads; the query heads are those of their groups
 * @param queries the queries that see any of the keys, empty where none does
 * @param keys keys and values
 */
public record AttentionPart(AttentionShape whole, Range batch, Range kvHeads, Range queries, Range keys)
        implements Serializable {

    /**
     * Some of what is counted from 0.
     *
     * @param from the first
     * @param to one past the last
     */
    public record Range(int from, int to) implements Serializable {

        /**
         * Checks the order.
         *
         * @throws IllegalArgumentException if {@code from} is negative or above {@code to}
         */
        public Range {
            if (from < 0 || from > to) {
                throw new IllegalArgumentException(
                        "The range goes from %d to %d: it must be from 0 on, and rise.".formatted(from, to));
            }
        }

        /**
         * How many there are.
         *
         * @return 0 or more
         */
        public int length() {
            return to - from;
        }

        private boolean isAll(int length) {
            return from == 0 && to == length;
        }

        private Range times(int factor) {
            return new Range(from * factor, to * factor);
        }
    }

    /**
     * Checks that everything is given and in the whole.
     *
     * @throws IllegalArgumentException if something is null or reaches past the whole
     */
    public AttentionPart {
        required(whole, "whole");
        requireWithin("batch", required(batch, "batch"), whole.batch());
        requireWithin("kvHeads", required(kvHeads, "kvHeads"), whole.kvHeads());
        requireWithin("queries", required(queries, "queries"), whole.seqQ());
        requireWithin("keys", required(keys, "keys"), whole.seqK());
    }

    private static void requireWithin(String name, Range range, int length) {
        if (range.to > length) {
            throw new IllegalArgumentException(
                    "The range %s ends at %d, and there are %d.".formatted(name, range.to, length));
        }
    }

    /**
     * The part of these batch entries, heads and keys, with the queries that the mask lets see any of them.
     *
     * @param whole the sizes of the whole problem
     * @param options those of the whole problem
     * @param batch batch entries
     * @param kvHeads key and value heads
     * @param keys keys and values
     * @return the part
     * @throws IllegalArgumentException if a range reaches past the whole, or the options cannot be divided so: dropout
     *     and functions of the caller's, which know where they are in the whole; ALiBi, or key lengths with a window,
     *     where the keys are divided
     */
    public static AttentionPart of(
            AttentionShape whole, AttentionOptions options, Range batch, Range kvHeads, Range keys) {
        required(whole, "whole");
        required(batch, "batch");
        required(kvHeads, "kvHeads");
        required(keys, "keys");
        whole.requireFitting(options);
        AttentionPart part = new AttentionPart(whole, batch, kvHeads, new Range(0, whole.seqQ()), keys);
        if (part.isWhole()) {
            return part;
        }
        requireDivisible(options);
        if (keys.isAll(whole.seqK())) {
            return part;
        }
        requireDivisibleKeys(options);
        return new AttentionPart(whole, batch, kvHeads, seeing(options.mask(), whole, keys), keys);
    }

    /**
     * Some queries of some batch entries and heads, with all keys that they see: what such parts give is part of the
     * whole's result, and gradients of keys are sums over them.
     *
     * @param whole the sizes of the whole problem
     * @param options what is computed
     * @param batch batch entries
     * @param kvHeads key and value heads
     * @param queries queries
     * @return these, and the keys that any of them sees, none where none does
     * @throws IllegalArgumentException if something is null or not in the whole, or the options cannot be divided:
     *     those that {@link #of} refuses where keys are divided
     */
    public static AttentionPart ofQueries(
            AttentionShape whole, AttentionOptions options, Range batch, Range kvHeads, Range queries) {
        required(whole, "whole");
        required(batch, "batch");
        required(kvHeads, "kvHeads");
        required(queries, "queries");
        whole.requireFitting(options);
        AttentionPart part = new AttentionPart(whole, batch, kvHeads, queries, new Range(0, whole.seqK()));
        if (part.isWhole()) {
            return part;
        }
        requireDivisible(options);
        if (queries.isAll(whole.seqQ())) {
            return part;
        }
        requireDivisibleKeys(options);
        return new AttentionPart(whole, batch, kvHeads, queries, seenBy(options.mask(), whole, queries));
    }

    private static void requireDivisible(AttentionOptions options) {
        if (options.hasDropout()) {
            throw refused("dropout, whose pattern belongs to the whole problem", "leave it out");
        }
        if (options.score().isPresent() || options.mask().condition().isPresent()) {
            throw refused(
                    "a function or a block mask, which count heads, queries and keys in the whole problem",
                    "use a window, or a bias");
        }
    }

    private static void requireDivisibleKeys(AttentionOptions options) {
        if (options.hasAlibi()) {
            throw refused("ALiBi, which needs a query's position among all keys", "divide heads only");
        }
        if (options.hasKeyLengths() && !options.mask().isNone()) {
            throw refused("key lengths and a window, which stands elsewhere in each batch entry", "divide heads only");
        }
    }

    private static IllegalArgumentException refused(String what, String advice) {
        return new IllegalArgumentException(
                "The options have %s, and the problem is to be divided: %s, or use one device."
                        .formatted(what, advice));
    }

    /** The queries whose window has any of the keys; positions are counted over all keys. */
    private static Range seeing(Mask mask, AttentionShape whole, Range keys) {
        long offset = (long) whole.seqK() - whole.seqQ();
        long from = mask.right() == Mask.UNBOUNDED ? 0 : keys.from - (long) mask.right() - offset;
        long to = mask.left() == Mask.UNBOUNDED ? whole.seqQ() : keys.to + (long) mask.left() - offset;
        int first = Math.clamp(from, 0, whole.seqQ());
        int end = Math.clamp(to, 0, whole.seqQ());
        return keys.length() == 0 || first >= end ? new Range(0, 0) : new Range(first, end);
    }

    /** The keys that the window of any of the queries has. */
    private static Range seenBy(Mask mask, AttentionShape whole, Range queries) {
        long offset = (long) whole.seqK() - whole.seqQ();
        long from = mask.left() == Mask.UNBOUNDED ? 0 : queries.from + offset - mask.left();
        long to = mask.right() == Mask.UNBOUNDED ? whole.seqK() : queries.to + offset + mask.right();
        int first = Math.clamp(from, 0, whole.seqK());
        int end = Math.clamp(to, 0, whole.seqK());
        return queries.length() == 0 || first >= end ? new Range(0, 0) : new Range(first, end);
    }

    /**
     * Whether there is nothing to divide: everything is in this part.
     *
     * @return whether all ranges are whole
     */
    public boolean isWhole() {
        return batch.isAll(whole.batch())
                && kvHeads.isAll(whole.kvHeads())
                && queries.isAll(whole.seqQ())
                && keys.isAll(whole.seqK());
    }

    /**
     * Whether there is nothing to compute: no batch entry, no head, or no query that sees a key.
     *
     * @return whether a range is empty
     */
    public boolean isEmpty() {
        return batch.length() == 0 || kvHeads.length() == 0 || queries.length() == 0 || keys.length() == 0;
    }

    /**
     * The query heads of this part.
     *
     * @return those of the groups of its key and value heads
     */
    public Range heads() {
        return kvHeads.times(whole.groupSize());
    }

    /**
     * This part of a tensor with a row for each query.
     *
     * @param rows {@code [batch, heads, seqQ, …]} of the whole problem, such as queries, output or log-sum-exp
     * @return a copy of the part, or the tensor itself where that is all of it
     * @throws IllegalArgumentException if its shape is not that of the whole problem
     */
    public Tensor queriesOf(Tensor rows) {
        required(rows, "rows");
        return block(rows, heads(), queries);
    }

    /**
     * This part of a tensor with a row for each key.
     *
     * @param rows {@code [batch, kvHeads, seqK, …]} of the whole problem: keys or values
     * @return a copy of the part, or the tensor itself where that is all of it
     * @throws IllegalArgumentException if its shape is not that of the whole problem
     */
    public Tensor keysOf(Tensor rows) {
        required(rows, "rows");
        return block(rows, kvHeads, keys);
    }

    private Tensor block(Tensor rows, Range heads, Range sequence) {
        int[] from = new int[rows.rank()];
        int[] to = rows.shape();
        Range[] ranges = {batch, heads, sequence};
        if (rows.rank() < ranges.length) {
            throw new IllegalArgumentException(
                    "%s has no [batch, heads, sequence]: give a tensor of the whole problem.".formatted(rows));
        }
        for (int axis = 0; axis < ranges.length; axis++) {
            from[axis] = ranges[axis].from;
            to[axis] = ranges[axis].to;
        }
        return Arrays.equals(to, rows.shape()) && batch.from + heads.from + sequence.from == 0
                ? rows
                : rows.block(from, to);
    }

    /** Where this part of a tensor with a row for each query begins. */
    int[] queryStart(int rank) {
        int[] start = new int[rank];
        start[0] = batch.from;
        start[1] = heads().from;
        start[2] = queries.from;
        return start;
    }

    /** Where this part of a tensor with a row for each key begins. */
    int[] keyStart(int rank) {
        int[] start = new int[rank];
        start[0] = batch.from;
        start[1] = kvHeads.from;
        start[2] = keys.from;
        return start;
    }

    /** The part of a bias: an axis of length 1 is shared. */
    private static Range shared(Range range, int length) {
        return length == 1 ? new Range(0, 1) : range;
    }

    /** Where this part of a bias begins and ends. */
    Range[] biasRanges(Tensor bias) {
        return new Range[] {shared(batch, bias.dimension(0)), shared(heads(), bias.dimension(1)), queries, keys};
    }

    /**
     * The options of this part: the window is moved to where these queries stand among these keys, and what belongs to
     * batch entries, heads and keys is divided. Where the part has not all keys, there are no sinks: they are a part of
     * their own, {@link AttentionSums#addSinks}.
     *
     * @param options those of the whole problem
     * @return those of the part
     * @throws IllegalArgumentException if they do not fit the whole problem
     */
    public AttentionOptions options(AttentionOptions options) {
        whole.requireFitting(options);
        if (isWhole()) {
            return options;
        }
        AttentionOptions part = options;
        boolean allKeys = keys.isAll(whole.seqK());
        if (!allKeys || !queries.isAll(whole.seqQ())) {
            part = part.withMask(moved(options.mask()));
        }
        part = allKeys ? withOwnSinks(part, options) : part.withoutSinks();
        if (options.hasAlibi()) {
            part = part.withAlibi(Arrays.copyOfRange(options.alibiSlopes(), heads().from, heads().to));
        }
        if (options.hasKeyLengths()) {
            int[] lengths = Arrays.copyOfRange(options.keyLengths(), batch.from, batch.to);
            Arrays.setAll(lengths, entry -> Math.clamp(lengths[entry] - keys.from, 0, keys.length()));
            part = part.withKeyLengths(lengths);
        }
        Optional<Tensor> bias = options.bias();
        if (bias.isPresent()) {
            Range[] ranges = biasRanges(bias.get());
            int[] from = Arrays.stream(ranges).mapToInt(Range::from).toArray();
            int[] to = Arrays.stream(ranges).mapToInt(Range::to).toArray();
            part = part.withBias(bias.get().block(from, to));
        }
        return part;
    }

    /** The options of a part of {@link #ofQueries}: all keys that its queries see are there, so the sinks are too. */
    AttentionOptions optionsOfQueries(AttentionOptions options) {
        return withOwnSinks(options(options), options);
    }

    private AttentionOptions withOwnSinks(AttentionOptions part, AttentionOptions options) {
        Range heads = heads();
        return options.sinks()
                .map(sinks -> part.withSinks(sinks.block(new int[] {heads.from}, new int[] {heads.to})))
                .orElse(part);
    }

    /**
     * The last of these queries would stand on the last of these keys; it stands further on, by a number that the left
     * edge loses and the right edge wins.
     */
    private Mask moved(Mask mask) {
        int further = whole.seqK() - whole.seqQ() + queries.to - keys.to;
        return Mask.window(moved(mask.left(), -further), moved(mask.right(), further));
    }

    private static int moved(int edge, int by) {
        return edge == Mask.UNBOUNDED ? edge : (int) Math.min((long) edge + by, Integer.MAX_VALUE);
    }
}
