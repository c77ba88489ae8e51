package org.tornadoattention.vector;

import java.util.Arrays;
import java.util.Optional;

/**
 * The products of a tile of few rows, as in decoding: sums over a head run along the lanes, and keys and values are
 * used as they come from memory. Where rows do not lie there as they are, some are brought to F32 at a time.
 */
final class FewRows {

    /** Rows at most. */
    static final int MOST = 8;

    /** Tiles that are taken together at most. */
    static final int TILES = 16;

    /** Keys that are brought at a time, an even number: they are used while they are in the nearest cache. */
    private static final int TOGETHER = 16;

    private final Lanes lanes;
    private final RowSource queries;
    private final RowSource keys;
    private final RowSource values;
    private final int headDim;
    private final int paddedHead;
    private final int paddedValue;
    private final Optional<Streams> streams;
    private final Optional<StoredRows> storedKeys;
    private final Optional<StoredRows> storedValues;
    private final float[] q;
    private final float[] near;
    private final float[] before;
    private final float[] ones = new float[MOST];
    private final float[] maxBefore = new float[MOST];
    private final float[] sumBefore = new float[MOST];
    private final TilePlaces keyPlaces = new TilePlaces();
    private final TilePlaces valuePlaces = new TilePlaces();
    private final short[] bits;
    private RowTile loaded;

    FewRows(Lanes lanes, Sequences sequences, RowSource queries, RowSource keys, RowSource values) {
        this.lanes = lanes;
        this.queries = queries;
        this.keys = keys;
        this.values = values;
        headDim = sequences.headDim();
        paddedHead = Products.padded(headDim, lanes.length());
        paddedValue = Products.padded(sequences.valueDim(), lanes.length());
        streams = lanes.streams();
        storedKeys = stored(keys);
        storedValues = stored(values);
        q = new float[MOST * paddedHead];
        near = new float[TOGETHER * Math.max(paddedHead, paddedValue)];
        before = new float[MOST * paddedValue];
        bits = new short[near.length];
        Arrays.fill(ones, 1);
    }

    private Optional<StoredRows> stored(RowSource source) {
        return streams.flatMap(given -> source.stored().filter(given::takes));
    }

    long bytes() {
        long loaded = storedKeys.isPresent() ? q.length : 0;
        return streams.map(Streams::bytes).orElse(0L)
                + Float.BYTES * (loaded + q.length + near.length + before.length + 3L * MOST)
                + keyPlaces.bytes()
                + valuePlaces.bytes()
                + Short.BYTES * (long) bits.length;
    }

    /** Brings queries, times {@code factor}, which is the same each time, unless they were the last that it brought. */
    void load(RowTile tile, float factor) {
        if (tile == loaded) {
            return;
        }
        loaded = tile;
        Arrays.fill(q, 0);
        for (int row = 0; row < tile.rows(); row++) {
            int to = row * paddedHead;
            queries.read(tile.sequence(), tile.head(row), tile.query(row), 1, q, to, paddedHead, bits, lanes);
            for (int dim = to; dim < to + headDim; dim++) {
                q[dim] *= factor;
            }
        }
        storedKeys.ifPresent(rows -> streams.orElseThrow().load(rows.dtype(), q, paddedHead, rows(tile)));
    }

    private static int rows(RowTile tile) {
        return Products.padded(tile.rows(), Lanes.ROWS);
    }

    /**
     * Steps over tiles, if keys and values are read where they lie: rows see all keys, and products are scores as they
     * are.
     *
     * @param count keys of each tile, those of a whole tile unless there is only one
     * @return false if nothing was changed
     */
    boolean steps(RowTile tile, int key, int tiles, int count, float[] max, float[] sum, float[] factors, float[] o) {
        if (storedKeys.isEmpty() || storedValues.isEmpty()) {
            return false;
        }
        Streams given = streams.orElseThrow();
        StoredRows k = storedKeys.orElseThrow();
        StoredRows v = storedValues.orElseThrow();
        int used = rows(tile);
        if (given.mayRefuse(k.dtype()) || given.mayRefuse(v.dtype())) {
            System.arraycopy(max, 0, maxBefore, 0, used);
            System.arraycopy(sum, 0, sumBefore, 0, used);
            System.arraycopy(o, 0, before, 0, used * paddedValue);
        }
        keyPlaces.find(keys, k, tile.sequence(), tile.kvHead(), key, tiles, count);
        valuePlaces.find(values, v, tile.sequence(), tile.kvHead(), key, tiles, count);
        for (int i = 0; i < tiles; i++) {
            given.expect(valuePlaces, i);
            boolean taken = given.dots(keyPlaces, i, used);
            if (taken) {
                given.softmax(count, max, sum, factors, used);
                taken = given.add(valuePlaces, i, o, factors, used);
            }
            if (!taken) {
                System.arraycopy(maxBefore, 0, max, 0, used);
                System.arraycopy(sumBefore, 0, sum, 0, used);
                System.arraycopy(before, 0, o, 0, used * paddedValue);
                return false;
            }
        }
        return true;
    }

    private boolean dots(RowTile tile, int key, int count) {
        storedValues.ifPresent(rows -> {
            valuePlaces.find(values, rows, tile.sequence(), tile.kvHead(), key, 1, count);
            streams.orElseThrow().expect(valuePlaces, 0);
        });
        keyPlaces.find(keys, storedKeys.orElseThrow(), tile.sequence(), tile.kvHead(), key, 1, count);
        return streams.orElseThrow().dots(keyPlaces, 0, rows(tile));
    }

    /** Scores of keys {@code key} to {@code key + count - 1}. */
    void scores(RowTile tile, int key, int count, float[] s, int width) {
        if (storedKeys.isPresent() && dots(tile, key, count)) {
            streams.orElseThrow().spread(count, s, width, rows(tile));
            return;
        }
        for (int done = 0; done < count; done += TOGETHER) {
            int together = Math.min(TOGETHER, count - done);
            keys.read(tile.sequence(), tile.kvHead(), key + done, together, near, 0, paddedHead, bits, lanes);
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
        if (allSeen && storedValues.isPresent()) {
            streams.orElseThrow().gather(count, p, width, rows(tile));
            if (addStored(tile, key, count, o, factors)) {
                return;
            }
        }
        addNear(tile, key, count, p, width, allSeen, o, factors);
    }

    private boolean addStored(RowTile tile, int key, int count, float[] o, float[] factors) {
        StoredRows rows = storedValues.orElseThrow();
        int used = rows(tile) * paddedValue;
        boolean mayRefuse = streams.orElseThrow().mayRefuse(rows.dtype());
        if (mayRefuse) {
            System.arraycopy(o, 0, before, 0, used);
        }
        valuePlaces.find(values, rows, tile.sequence(), tile.kvHead(), key, 1, count);
        boolean added = streams.orElseThrow().add(valuePlaces, 0, o, factors, rows(tile));
        if (!added) {
            System.arraycopy(before, 0, o, 0, used);
        }
        return added;
    }

    private void addNear(
            RowTile tile, int key, int count, float[] p, int width, boolean allSeen, float[] o, float[] factors) {
        int rows = rows(tile);
        for (int done = 0; done < count; done += TOGETHER) {
            int together = Math.min(TOGETHER, count - done);
            values.read(tile.sequence(), tile.kvHead(), key + done, together, near, 0, paddedValue, bits, lanes);
            storedValues.ifPresent(stored -> streams.orElseThrow().apart(stored.dtype(), near, together * paddedValue));
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

    /** Brings a tile's rows of outputs to an end, when all values were added. */
    void finish(RowTile tile, float[] o) {
        storedValues.ifPresent(stored -> streams.orElseThrow().together(stored.dtype(), o, rows(tile) * paddedValue));
    }
}
