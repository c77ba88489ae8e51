package org.tornadoattention.vector;

import java.util.Optional;

/** Where keys or values come from: the memory of a tensor, or pages of a cache. */
interface RowSource {

    /**
     * Widens rows of a head to F32.
     *
     * @param stride elements from one row of {@code target} to the next; those behind a row become 0
     * @param bits room for {@code count} rows, where elements have 16 bits
     */
    void read(
            int sequence, int head, int row, int count, float[] target, int at, int stride, short[] bits, Lanes lanes);

    /** The memory and type of rows that lie in memory as they are, or nothing if {@link #read} must make them. */
    default Optional<StoredRows> stored() {
        return Optional.empty();
    }

    /**
     * Finds rows of a head in the memory of {@link #stored}.
     *
     * @param places gets the byte that each of {@code count} rows begins with
     * @throws UnsupportedOperationException if they do not lie in memory
     */
    default void places(int sequence, int head, int row, int count, long[] places) {
        throw new UnsupportedOperationException("These rows do not lie in memory.");
    }

    /** Whether rows lie {@link StoredRows#stride} elements apart, so that the place of the first says all. */
    default boolean lieEvenly(int sequence, int head, int row, int count) {
        return false;
    }
}
