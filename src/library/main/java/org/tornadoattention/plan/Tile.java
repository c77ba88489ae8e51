package org.tornadoattention.plan;

/** Rows and columns of a tile of scores, and what a work-group needs for it. */
public sealed interface Tile permits TileShape, TensorCoreTile, WarpTile, BackwardTile, WarpBackwardTile {

    /** Queries in a tile (Br). */
    int blockQ();

    /** Keys in a tile (Bc). */
    int blockK();

    /** Work-items of a group. */
    int groupSize(int headDim);

    /** Bytes of local memory of a group. */
    int localMemoryBytes(int headDim);
}
