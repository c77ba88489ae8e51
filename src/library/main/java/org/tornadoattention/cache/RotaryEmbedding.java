package org.tornadoattention.cache;

import static org.tornadoattention.internal.Arguments.required;

import org.tornadoattention.AttentionShape;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Rotary position embedding (Su et al., <i>RoFormer</i>, 2021): pairs of dimensions turn by {@code position · base^(-2i
 * / dimensions)}. The first {@code dimensions} of a head turn, the others stay.
 *
 * @param dimensions how many dimensions of each head turn: even, 2 or more
 * @param base of the frequencies, such as 10 000, above 1
 * @param style which dimensions are pairs
 */
public record RotaryEmbedding(int dimensions, double base, Style style) {

    /** Which two dimensions turn together. */
    public enum Style {
        /** Dimensions 2i and 2i + 1, as in GPT-J and Llama's own weights. */
        INTERLEAVED,
        /** Dimensions i and i + dimensions / 2, as in GPT-NeoX and Hugging Face's weights. */
        HALF_SPLIT
    }

    /** Checks the ranges given above. */
    public RotaryEmbedding {
        required(style, "style", "choose INTERLEAVED or HALF_SPLIT");
        if (dimensions < 2 || dimensions % 2 != 0 || dimensions > AttentionShape.MAX_HEAD_DIM) {
            throw new IllegalArgumentException(
                    "%d dimensions turn: it must be an even number from 2 to the head dimension."
                            .formatted(dimensions));
        }
        if (!(base > 1 && Double.isFinite(base))) {
            throw new IllegalArgumentException("The base is %s: it must be above 1, such as 10000.".formatted(base));
        }
    }

    /**
     * All dimensions of a head turn, with base 10 000.
     *
     * @param headDim elements per head, even
     * @param style which dimensions are pairs
     * @return the embedding
     * @throws IllegalArgumentException if the head dimension is not even, or something is null
     */
    public static RotaryEmbedding of(int headDim, Style style) {
        return new RotaryEmbedding(headDim, 10_000, style);
    }

    /**
     * The same embedding with another base.
     *
     * @param newBase of the frequencies, above 1
     * @return changed embedding
     * @throws IllegalArgumentException if it is not above 1 and finite
     */
    public RotaryEmbedding withBase(double newBase) {
        return new RotaryEmbedding(dimensions, newBase, style);
    }

    /**
     * The angle, in radians, by which pair {@code i} turns at {@code position}.
     *
     * @param position of the token, from 0
     * @param i the pair, from 0 to {@code dimensions / 2 - 1}
     * @return the angle in radians
     */
    public double angle(int position, int i) {
        return position * Math.pow(base, -2.0 * i / dimensions);
    }

    /** Cosines and sines {@code [positions, dimensions / 2, 2]}. */
    FloatArray table(int positions) {
        int half = dimensions / 2;
        FloatArray table = new FloatArray(Math.multiplyExact(positions, dimensions));
        double[] frequencies = new double[half];
        for (int i = 0; i < half; i++) {
            frequencies[i] = angle(1, i);
        }
        for (int position = 0; position < positions; position++) {
            for (int i = 0; i < half; i++) {
                int at = (position * half + i) * 2;
                table.set(at, (float) Math.cos(position * frequencies[i]));
                table.set(at + 1, (float) Math.sin(position * frequencies[i]));
            }
        }
        return table;
    }
}
