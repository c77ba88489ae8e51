package org.tornadoattention.choice;

/** How a kernel that task graphs launch divides its work. */
public sealed interface LaunchedTile extends SplitTile permits LaneSplitTile, WarpGroupSplitTile, WarpSplitTile {

    /**
     * {@return work-items of a group}
     *
     * @param headDim elements per head, 1 to 512
     */
    int groupSize(int headDim);

    /** {@return the launch of the kernel, without its grid} */
    Launch launch();

    /** {@return KV heads of a group, which divide those of the problem} */
    default int headsOfGroup() {
        return 1;
    }

    /**
     * {@return whether the kernel reads its cache through {@code Storage}, so that another way to read may be put in
     * its place}
     */
    default boolean readsThroughStorage() {
        return false;
    }
}
