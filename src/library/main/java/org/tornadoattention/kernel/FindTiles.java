package org.tornadoattention.kernel;

import org.tornadoattention.kernel.parts.BlockTiles;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.Score;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The state of each tile of a block mask, of the mask function that the form of this kernel has: empty, partial or
 * full.
 *
 * <p><b>Arrays.</b> tiles of {@link BlockTiles}, with the numbers before the states given.
 *
 * <p><b>Grid.</b> One dimension, a group of {@code groupSize} work-items for each tile. <b>Local memory.</b>
 * {@code groupSize} ints. <b>Device.</b> Any that has work-groups and local memory.
 */
public final class FindTiles {

    private FindTiles() {}

    /** Finds one tile's state; see the class for arrays, grid and memory. */
    public static void find(KernelContext context, IntArray tiles, int seqQ, int seqK, int groupSize) {
        int[] counts = context.allocateIntLocalArray(groupSize);
        int item = context.localIdx;
        int tile = context.groupIdx;
        int tilesK = tiles.get(3);
        int tilesQ = tiles.get(2);
        int heads = tiles.get(1);
        int i0 = tile / tilesK % tilesQ * tiles.get(4);
        int j0 = tile % tilesK * tiles.get(5);
        int head = tile / tilesK / tilesQ % heads;
        int batch = tile / tilesK / tilesQ / heads;
        int keys = TornadoMath.min(tiles.get(5), seqK - j0);
        int pairs = TornadoMath.min(tiles.get(4), seqQ - i0) * keys;
        int count = 0;
        for (int pair = item; pair < pairs; pair += groupSize) {
            float seen = Functions.score(0f, batch, head, i0 + pair / keys, j0 + pair % keys, 0);
            if (seen > Score.NO_SCORE) {
                count++;
            }
        }
        counts[item] = count;
        context.localBarrier();
        if (item == 0) {
            int all = 0;
            for (int other = 0; other < groupSize; other++) {
                all += counts[other];
            }
            int state = all == 0 ? BlockTiles.EMPTY : BlockTiles.PARTIAL;
            if (all == pairs) {
                state = BlockTiles.FULL;
            }
            tiles.set(BlockTiles.HEADER + tile, state);
        }
    }
}
