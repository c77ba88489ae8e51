package org.tornadoattention.choice;

/** How a kernel of {@link DecodeKernel} divides its work. */
public sealed interface SplitTile permits LaneSplitTile, WarpSplitTile {

    /** The kernel that it is a tile of. */
    DecodeKernel kernel();

    /** Pairs of a token and a query head in a tile. */
    int rows();

    /** Parts of the keys. */
    int splits();

    /** Work-items of a group. */
    int groupSize(int headDim);

    /** The launch of the kernel, without its grid. */
    Launch launch();

    /** Whether the kernel reads its cache through {@code Storage}, so that another way to read may be put in its place. */
    default boolean readsThroughStorage() {
        return false;
    }
}
