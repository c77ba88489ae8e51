package org.tornadoattention.vector;

import java.util.Optional;

/**
 * Keys or values of a cache, in pages {@code [pages, kvHeads, pageSize, stride]}. Row 0 of a sequence is the first
 * token behind its padding.
 */
record PageRows(PageTables pages, CachedRows rows) implements RowSource {

    @Override
    public void read(
            int sequence, int head, int row, int count, float[] target, int at, int stride, short[] bits, Lanes lanes) {
        int token = pages.padding()[sequence] + row;
        for (int done = 0; done < count; ) {
            int together = pages.together(token + done, count - done);
            rows.read(
                    pages.row(sequence, head, token + done),
                    pages.pageHead(sequence, head, token + done),
                    together,
                    target,
                    at + done * stride,
                    stride,
                    bits,
                    lanes);
            done += together;
        }
    }

    @Override
    public Optional<StoredRows> stored() {
        return rows.stored();
    }

    @Override
    public void places(int sequence, int head, int row, int count, long[] places) {
        StoredRows stored = stored().orElseThrow();
        long bytes = stored.stride() * stored.dtype().byteSize();
        int token = pages.padding()[sequence] + row;
        for (int done = 0; done < count; ) {
            int together = pages.together(token + done, count - done);
            long first = pages.row(sequence, head, token + done);
            for (int i = 0; i < together; i++) {
                places[done + i] = (first + i) * bytes;
            }
            done += together;
        }
    }

    @Override
    public boolean lieEvenly(int sequence, int head, int row, int count) {
        return pages.together(pages.padding()[sequence] + row, count) == count;
    }
}
