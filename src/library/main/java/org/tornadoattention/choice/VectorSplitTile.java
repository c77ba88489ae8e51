package org.tornadoattention.choice;

/**
 * How the JVM's own engine divides a step among threads.
 *
 * @param rows pairs of a token and a query head in a tile
 * @param splits parts of the keys
 */
public record VectorSplitTile(int rows, int splits) implements SplitTile {

    @Override
    public DecodeKernel kernel() {
        return DecodeKernel.VECTOR;
    }

    /** Such as {@code 4 rows, 8 splits}. */
    @Override
    public String toString() {
        return "%d rows, %d splits".formatted(rows, splits);
    }
}
