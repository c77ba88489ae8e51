package org.tornadoattention.choice;

/** How a kernel of {@link DecodeKernel} divides its work. */
public sealed interface SplitTile permits LaunchedTile, VectorSplitTile {

    /** {@return the kernel that it is a tile of} */
    DecodeKernel kernel();

    /** {@return pairs of a token and a query head in a tile} */
    int rows();

    /** {@return parts of the keys} */
    int splits();
}
