package org.tornadoattention.choice;

import java.util.List;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.kernel.QuantizeTiles;

/**
 * Sizes of the 8-bit copies of Q, K and V, whole tiles of each.
 *
 * @param queryTiles tiles of Q in all heads
 * @param keyTiles tiles of K, and of V
 * @param queryTileBytes bytes of a tile of Q
 * @param keyTileBytes bytes of a tile of K or V
 */
public record QuantizedSizes(int queryTiles, int keyTiles, int queryTileBytes, int keyTileBytes) {

    /** Elements of {@code scales} to a tile of K and V. */
    public static final int KEY_VALUE_SCALES = 2;

    /** Those of a shape and a tile. */
    public static QuantizedSizes of(AttentionShape shape, Tile tile) {
        int paddedDim = QuantizeTiles.paddedDim(shape.headDim());
        return new QuantizedSizes(
                Math.toIntExact((long) shape.batch() * shape.heads() * Math.ceilDiv(shape.seqQ(), tile.blockQ())),
                Math.toIntExact((long) shape.batch() * shape.kvHeads() * Math.ceilDiv(shape.seqK(), tile.blockK())),
                tile.blockQ() * paddedDim,
                tile.blockK() * paddedDim);
    }

    /** Ints of the copy of Q. */
    public int queryInts() {
        return Math.toIntExact((long) queryTiles * queryTileBytes / Integer.BYTES);
    }

    /** Ints of the copy of K, and of V. */
    public int keyInts() {
        return Math.toIntExact((long) keyTiles * keyTileBytes / Integer.BYTES);
    }

    /** Bytes of the copies of Q, K and V, and of their scales. */
    List<Long> buffers() {
        long keyBytes = (long) keyTiles * keyTileBytes;
        return List.of(
                (long) queryTiles * queryTileBytes,
                keyBytes,
                keyBytes,
                (long) queryTiles * Float.BYTES,
                (long) keyTiles * KEY_VALUE_SCALES * Float.BYTES);
    }
}
