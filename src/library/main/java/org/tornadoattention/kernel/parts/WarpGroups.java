package org.tornadoattention.kernel.parts;

import org.tornadoattention.intrinsic.WarpGroup;

/**
 * What kernels of warp groups share: a group has a warp group for each 64 rows, which compute, and one more, which
 * copies and gives the others registers.
 */
public final class WarpGroups {

    /** Warps in a warp group. */
    public static final int WARPS = WarpGroup.LANES / 32;

    /** What a group's barriers take of local memory: local arrays begin at multiples of it. */
    public static final int BARRIER_BYTES = 1024;

    private static final int REGISTERS = 65_536;
    private static final int FEWEST_FOR_COPYING = 32;

    private WarpGroups() {}

    /** Work-items of a group whose tile has so many rows. */
    public static int groupSize(int rows) {
        return 2 * rows + WarpGroup.LANES;
    }

    /** Registers that a lane of each warp group has at first, added: of {@code groups}, and of the one that copies. */
    public static int registers(int groups) {
        return REGISTERS / WarpGroup.LANES / (groups + 1) / 8 * 8 * (groups + 1);
    }

    /** Registers of a lane that computes, where one that copies has the fewest that it can do with. */
    public static int computingRegisters(int groups) {
        return (registers(groups) - FEWEST_FOR_COPYING) / groups / 8 * 8;
    }

    /** Registers of a lane of the warp group that copies: what those that compute leave. */
    public static int copyingRegisters(int groups, int computing) {
        return registers(groups) - groups * computing;
    }
}
