package org.tornadoattention.vector;

import java.util.Arrays;
import java.util.Optional;
import org.tornadoattention.tensor.DType;

/**
 * The products of a tile of few rows, as in decoding: sums over a head run along the lanes, and keys and values are used as
 * they come from memory. Where rows do not lie there as they are, some are brought to F32 at a time.
 */
final class FewRows {

    /** Rows at most. */
    static final int MOST = 8;

    /** Keys that are brought at a time, an even number: they are used while they are in the nearest cache. */
    private static final int TOGETHER = 16;

    private final Lanes lanes;
    private final RowSource queries;
    private final RowSource keys;
    private final RowSource values;
    private final int headDim;
    private final int paddedHead;
    private final int paddedValue;
    private final Optional<Stream> keyStream;
    private final Optional<Stream> valueStream;
    private final float[] q;
    private final float[] near;
    private final float[] before;
    private final float[] ones = new float[MOST];
    private final long[] places = new long[ForwardTile.KEYS];
    private final short[] bits;

    /** Rows that lie in memory, and what computes with them there. */
    private record Stream(Streams streams, StoredRows rows) {

        static Optional<Stream> of(Lanes lanes, RowSource source) {
            return lanes.streams()
                    .flatMap(streams -> source.stored().filter(streams::takes).map(rows -> new Stream(streams, rows)));
        }

        DType dtype() {
            return rows.dtype();
        }
    }

    FewRows(Lanes lanes, Sequences sequences, RowSource queries, RowSource keys, RowSource values) {
        this.lanes = lanes;
        this.queries = queries;
        this.keys = keys;
        this.values = values;
        headDim = sequences.headDim();
        paddedHead = Products.padded(headDim, lanes.length());
        paddedValue = Products.padded(sequences.valueDim(), lanes.length());
        keyStream = Stream.of(lanes, keys);
        valueStream = Stream.of(lanes, values);
        q = new float[MOST * paddedHead];
        near = new float[TOGETHER * Math.max(paddedHead, paddedValue)];
        before = new float[MOST * paddedValue];
        bits = new short[near.length];
        Arrays.fill(ones, 1);
    }

    long bytes() {
        return Float.BYTES * ((long) q.length + near.length + before.length + ones.length)
                + Long.BYTES * (long) places.length
                + Short.BYTES * (long) bits.length;
    }

    /** Brings queries, times {@code factor}. */
    void load(RowTile tile, float factor) {
        Arrays.fill(q, 0);
        for (int row = 0; row < tile.rows(); row++) {
            int to = row * paddedHead;
            queries.read(tile.sequence(), tile.head(row), tile.query(row), 1, q, to, paddedHead, bits, lanes);
            for (int dim = to; dim < to + headDim; dim++) {
                q[dim] *= factor;
            }
        }
        keyStream.ifPresent(stream -> stream.streams.apart(stream.dtype(), q, 0, q.length));
    }

    /** Scores of keys {@code key} to {@code key + count - 1}. */
    void scores(RowTile tile, int key, int count, float[] s, int width) {
        if (keyStream.isPresent()) {
            Stream stream = keyStream.get();
            keys.places(tile.sequence(), tile.kvHead(), key, count, places);
            int rows = Products.padded(tile.rows(), Lanes.ROWS);
            if (stream.streams.dots(stream.rows, places, count, q, s, width, rows)) {
                return;
            }
        }
        for (int done = 0; done < count; done += TOGETHER) {
            int together = Math.min(TOGETHER, count - done);
            keys.read(tile.sequence(), tile.kvHead(), key + done, together, near, 0, paddedHead, bits, lanes);
            keyStream.ifPresent(stream -> stream.streams.apart(stream.dtype(), near, 0, together * paddedHead));
            lanes.dots(near, q, paddedHead, s, done * width, width, together, tile.rows());
        }
    }

    /**
     * Adds {@code P V} of the same keys to rows of outputs.
     *
     * @param p probabilities, with room for a whole tile of keys
     * @param allSeen whether all rows see all keys
     * @param o rows that {@link #finish} brings to an end
     * @param factors what they are multiplied by before
     */
    void add(RowTile tile, int key, int count, float[] p, int width, boolean allSeen, float[] o, float[] factors) {
        int rows = Products.padded(tile.rows(), Lanes.ROWS);
        if (allSeen && valueStream.isPresent()) {
            Stream stream = valueStream.get();
            values.places(tile.sequence(), tile.kvHead(), key, count, places);
            System.arraycopy(o, 0, before, 0, rows * paddedValue);
            if (stream.streams.add(stream.rows, places, count, p, width, o, factors, rows)) {
                return;
            }
            System.arraycopy(before, 0, o, 0, rows * paddedValue);
        }
        for (int done = 0; done < count; done += TOGETHER) {
            int together = Math.min(TOGETHER, count - done);
            values.read(tile.sequence(), tile.kvHead(), key + done, together, near, 0, paddedValue, bits, lanes);
            valueStream.ifPresent(stream -> stream.streams.apart(stream.dtype(), near, 0, together * paddedValue));
            boolean free = allSeen || lanes.areFinite(near, 0, together * paddedValue);
            Products.add(
                    lanes,
                    free,
                    p,
                    done * width,
                    1,
                    width,
                    near,
                    0,
                    paddedValue,
                    o,
                    0,
                    paddedValue,
                    rows,
                    paddedValue,
                    together,
                    done == 0 ? factors : ones,
                    0);
        }
    }

    /** Brings rows of outputs to an end, when all values were added. */
    void finish(float[] o) {
        valueStream.ifPresent(stream -> stream.streams.together(stream.dtype(), o, 0, MOST * paddedValue));
    }
}
