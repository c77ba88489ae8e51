package org.tornadoattention.choice;

/** How a kernel of {@link DecodeKernel} divides its work. */
public sealed interface SplitTile permits LaneSplitTile, WarpSplitTile {

    /** {@return the kernel that it is a tile of} */
    DecodeKernel kernel();

    /** {@return pairs of a token and a query head in a tile} */
    int rows();

    /** {@return parts of the keys} */
    int splits();

    /**
     * {@return work-items of a group}
     *
     * @param headDim elements per head, 1 to 512
     */
    int groupSize(int headDim);

    /** {@return the launch of the kernel, without its grid} */
    Launch launch();

    /**
     * {@return whether the kernel reads its cache through {@code Storage}, so that another way to read may be put in
     * its place}
     */
    default boolean readsThroughStorage() {
        return false;
    }
}
