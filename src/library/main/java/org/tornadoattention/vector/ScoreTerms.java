package org.tornadoattention.vector;

import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.Dropout;
import org.tornadoattention.Mask;
import org.tornadoattention.ScoreFunction;
import org.tornadoattention.kernel.parts.DropoutMask;
import org.tornadoattention.tensor.Tensor;

/**
 * What becomes of {@code q·k} on its way to a probability, for all keys and lanes of a tile at once: softcap, ALiBi,
 * the bias, the user's functions, the window, and behind the softmax dropout. What a score is made of stands here and
 * nowhere else in this room.
 *
 * <p>Scores are in powers of two from the product on, but with a function of the user's, which is asked in natural
 * ones.
 */
final class ScoreTerms {

    /**
     * What dropout multiplies with: {@link Products} leaves out +0, which hidden pairs have, and a dropped one is seen.
     */
    private static final float DROPPED = -0f;

    private final Lanes lanes;
    private final Sequences sequences;
    private final AttentionOptions options;
    private final Optional<ScoreFunction> function;
    private final Optional<Mask.Condition> condition;
    private final Optional<Bias> bias;
    private final Optional<Tensor> sinks;
    private final Dropout dropout;
    private final float scale;
    private final double base;
    private final float bound;

    ScoreTerms(Lanes lanes, Sequences sequences, AttentionOptions options) {
        this.lanes = lanes;
        this.sequences = sequences;
        this.options = options;
        this.function = options.score();
        this.condition = options.mask().condition();
        this.bias = options.bias().map(Bias::new);
        this.sinks = options.sinks();
        this.dropout = options.dropout();
        scale = (float) options.scaleFor(sequences.headDim());
        base = function.isPresent() ? 1 : Exp2.LOG2_E;
        bound = (float) ((float) options.softcap() * base);
    }

    /** What queries are multiplied by before their product with keys. */
    float queryFactor() {
        return (float) (options.hasSoftcap() ? (double) scale / (float) options.softcap() : scale * base);
    }

    /** The factor of {@code q·k}, which the gradients of both have. */
    float scale() {
        return scale;
    }

    /** The ALiBi slope of a head, for the scores that it is taken from. */
    float slope(int head) {
        return (float) (options.alibiSlope(head) * base);
    }

    /** Whether it matters where a query stands among the keys. */
    boolean hasPositions() {
        return options.hasAlibi();
    }

    /** Whether a pair inside the window may be hidden all the same. */
    boolean hides() {
        return function.isPresent() || condition.isPresent();
    }

    /** Whether products of scaled queries and keys are scores as they are, and probabilities stay as they are. */
    boolean areNone() {
        return !options.hasSoftcap() && !options.hasAlibi() && bias.isEmpty() && !hides() && !hasDropout();
    }

    /** Makes scores of products of scaled queries and keys. */
    void apply(float[] s, int firstKey, int keys, TileRows rows, int panel, TileRows.Sight sight) {
        apply(s, firstKey, keys, rows, panel, sight, null, null);
    }

    /**
     * The same for a backward pass.
     *
     * @param capped gets the scores behind the softcap, if there is one; null for a forward pass
     * @param asked gets the scores that the user's function is asked about, if there is one; null likewise
     */
    void apply(
            float[] s,
            int firstKey,
            int keys,
            TileRows rows,
            int panel,
            TileRows.Sight sight,
            float[] capped,
            float[] asked) {
        int width = rows.width();
        if (options.hasSoftcap()) {
            lanes.softcap(s, keys * width, bound);
            copy(s, capped, keys * width);
        }
        if (options.hasAlibi()) {
            lanes.alibi(s, keys, width, rows.slopes(), rows.positions(), panel * width);
        }
        if (bias.isPresent()) {
            addBias(bias.get(), s, firstKey, keys, rows, panel);
        }
        if (sight == TileRows.Sight.SOME) {
            lanes.mask(s, keys, width, rows.from(), rows.to(), panel * width);
        }
        if (function.isPresent() || condition.isPresent() && !rows.isFull()) {
            copy(s, asked, keys * width);
            ask(s, firstKey, keys, rows, panel);
        }
    }

    private void addBias(Bias given, float[] s, int firstKey, int keys, TileRows rows, int panel) {
        int width = rows.width();
        RowTile tile = rows.tile();
        for (int lane = 0; lane < Math.min(width, tile.rows() - panel * width); lane++) {
            int row = panel * width + lane;
            given.rows.readPart(
                    given.entry(tile.sequence()),
                    given.head(tile.head(row)),
                    sequences.number(tile.sequence(), tile.query(row)),
                    firstKey,
                    keys,
                    given.part,
                    given.bits,
                    lanes);
            for (int key = 0; key < keys; key++) {
                s[key * width + lane] += (float) (given.part[key] * base);
            }
        }
    }

    private static void copy(float[] s, float[] target, int count) {
        if (target != null) {
            System.arraycopy(s, 0, target, 0, count);
        }
    }

    /** Asks the user's functions about the pairs inside the window. */
    private void ask(float[] s, int firstKey, int keys, TileRows rows, int panel) {
        int width = rows.width();
        RowTile tile = rows.tile();
        ScoreFunction score = function.orElse(null);
        Mask.Condition seen = rows.isFull() ? null : condition.orElse(null);
        for (int lane = 0; lane < Math.min(width, tile.rows() - panel * width); lane++) {
            int row = panel * width + lane;
            int head = tile.head(row);
            int query = sequences.number(tile.sequence(), tile.query(row));
            int standing = sequences.standing(tile.sequence(), tile.query(row));
            for (int key = (int) rows.from()[row]; key < rows.to()[row]; key++) {
                int i = key * width + lane;
                if (seen != null && !seen.sees(tile.sequence(), head, query, firstKey + key, standing)) {
                    s[i] = Float.NEGATIVE_INFINITY;
                } else if (score != null) {
                    s[i] = (float) (score.apply(s[i], tile.sequence(), head, query, firstKey + key) * Exp2.LOG2_E);
                }
            }
        }
    }

    /**
     * Takes gradients with respect to scores to those with respect to scaled products.
     *
     * @param capped what {@link #apply} left there
     * @param asked likewise
     * @param slope of the user's function, or null
     * @param biased gets the gradients with respect to the bias of each pair, or null
     */
    void gradients(
            float[] dS,
            float[] capped,
            float[] asked,
            ScoreFunction slope,
            float[] biased,
            int firstKey,
            int keys,
            TileRows rows,
            int panel) {
        int width = rows.width();
        RowTile tile = rows.tile();
        if (slope != null) {
            for (int lane = 0; lane < Math.min(width, tile.rows() - panel * width); lane++) {
                int row = panel * width + lane;
                for (int key = (int) rows.from()[row]; key < rows.to()[row]; key++) {
                    int i = key * width + lane;
                    if (dS[i] != 0) {
                        dS[i] *=
                                slope.apply(asked[i], tile.sequence(), tile.head(row), tile.query(row), firstKey + key);
                    }
                }
            }
        }
        copy(dS, biased, keys * width);
        if (options.hasSoftcap()) {
            lanes.softcapGradients(dS, capped, keys * width, bound);
        }
    }

    /** A logit that enters the sum of a head's rows, in powers of two; −∞ for none. */
    float sink(int head) {
        return sinks.isPresent() ? (float) (sinks.get().getFlat(head) * Exp2.LOG2_E) : Float.NEGATIVE_INFINITY;
    }

    boolean hasDropout() {
        return options.hasDropout();
    }

    /** What the probabilities that dropout leaves are multiplied by. */
    float keptFactor() {
        return options.hasDropout() ? DropoutMask.keptFactor(dropout.threshold()) : 1;
    }

    /** Sets what dropout drops to −0, NaN but for it; what it leaves is multiplied by {@code kept}. */
    void drop(float[] p, float kept, int firstKey, int keys, TileRows rows, int panel) {
        int threshold = dropout.threshold();
        int low = (int) dropout.seed();
        int high = (int) (dropout.seed() >>> 32);
        int width = rows.width();
        RowTile tile = rows.tile();
        for (int lane = 0; lane < Math.min(width, tile.rows() - panel * width); lane++) {
            int row = panel * width + lane;
            int batchHead = tile.sequence() * sequences.heads() + tile.head(row);
            int query = tile.query(row);
            for (int key = 0; key < keys; key++) {
                int counter = firstKey + key;
                int random = DropoutMask.word(low, high, counter >> 2, query, batchHead, dropout.offset(), counter & 3);
                int i = key * width + lane;
                p[i] = !DropoutMask.isDropped(random, threshold) ? p[i] * kept : p[i] == 0 ? p[i] : p[i] * DROPPED;
            }
        }
    }

    /** A dense bias, and room for a part of one of its rows. */
    private static final class Bias {
        private final HeadRows rows;
        private final boolean eachEntry;
        private final boolean eachHead;
        private final float[] part = new float[ForwardTile.KEYS];
        private final short[] bits = new short[ForwardTile.KEYS];

        Bias(Tensor tensor) {
            rows = HeadRows.of(tensor);
            eachEntry = tensor.dimension(0) > 1;
            eachHead = tensor.dimension(1) > 1;
        }

        int entry(int sequence) {
            return eachEntry ? sequence : 0;
        }

        int head(int head) {
            return eachHead ? head : 0;
        }
    }
}
