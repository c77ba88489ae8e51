package org.tornadoattention.vector;

import java.util.Optional;

/** How a cache keeps rows of keys or values. */
sealed interface CachedRows permits PlainRows, QuantizedRows {

    /**
     * Widens rows to F32.
     *
     * @param row the first, counted over all pages
     * @param pageHead the head of a page that they belong to
     * @param stride elements from one row of {@code target} to the next; those behind a row become 0
     * @param bits room for {@code count} rows
     */
    void read(long row, int pageHead, int count, float[] target, int at, int stride, short[] bits, Lanes lanes);

    /** The memory and type of rows that lie in memory as they are, or nothing. */
    default Optional<StoredRows> stored() {
        return Optional.empty();
    }

    /**
     * Stores new rows of one head of one page.
     *
     * @param slot the place in the page of the first one; those before it are there already
     * @param source {@code count} rows side by side, which may be changed
     * @param bits room for {@code count} rows
     */
    void write(long row, int pageHead, int slot, int count, float[] source, short[] bits, Lanes lanes);
}
