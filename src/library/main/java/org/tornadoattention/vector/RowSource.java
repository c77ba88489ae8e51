package org.tornadoattention.vector;

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
}
