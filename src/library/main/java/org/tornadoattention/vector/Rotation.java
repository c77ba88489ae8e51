package org.tornadoattention.vector;

import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * The rotary embedding of queries and keys, as {@code kernel.AppendTokens} has it.
 *
 * @param table cosine and sine, {@code [positions, dimensions / 2, 2]}
 * @param dimensions of a head that turn, even, 0 for none
 * @param interleaved whether neighbours turn together, not those that are half of the dimensions apart
 */
public record Rotation(FloatArray table, int dimensions, boolean interleaved) {

    /** Turns a row that begins at element {@code at} by its position; rows before position 0 stay as they are. */
    void turn(float[] x, int at, int position) {
        int half = dimensions / 2;
        for (int pair = 0; pair < half && position >= 0; pair++) {
            int first = at + (interleaved ? 2 * pair : pair);
            int second = interleaved ? first + 1 : first + half;
            float cosine = table.get((position * half + pair) * 2);
            float sine = table.get((position * half + pair) * 2 + 1);
            float a = x[first];
            float b = x[second];
            x[first] = a * cosine - b * sine;
            x[second] = b * cosine + a * sine;
        }
    }
}
