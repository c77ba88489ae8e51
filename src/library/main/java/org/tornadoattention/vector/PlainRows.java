package org.tornadoattention.vector;

import java.util.Optional;

/** Rows in the type of the tokens. */
record PlainRows(StoredRows rows) implements CachedRows {

    @Override
    public void read(long row, int pageHead, int count, float[] target, int at, int stride, short[] bits, Lanes lanes) {
        rows.read(row * rows.stride(), count, target, at, stride, bits, lanes);
    }

    @Override
    public void write(long row, int pageHead, int slot, int count, float[] source, short[] bits, Lanes lanes) {
        rows.write(row * rows.stride(), count, source, 0, rows.width(), bits, lanes);
    }

    @Override
    public Optional<StoredRows> stored() {
        return Optional.of(rows);
    }
}
