package org.tornadoattention.kernel.parts;

import uk.ac.manchester.tornado.api.math.TornadoMath;

/** Which tiles of keys a kernel on tensor cores takes, by their numbers from the first that a window leaves. */
public final class TileSteps {

    private TileSteps() {}

    /**
     * The first tile from {@code t} on that block masks do not hide from a tile of queries, or the number of tiles where there is
     * none.
     *
     * @param j0 the first key of tile 0
     * @param block keys of a tile
     * @param lastKey the last key that a window leaves
     */
    public static int next(
            int t, int tiles, int j0, int block, int batch, int head, int query, int queries, int lastKey) {
        int next = t;
        if (Functions.arePresent()) {
            int key = Functions.nextKey(j0 + t * block, block, batch, head, query, queries, lastKey);
            next = TornadoMath.min(tiles, (key - j0) / block);
        }
        return next;
    }
}
