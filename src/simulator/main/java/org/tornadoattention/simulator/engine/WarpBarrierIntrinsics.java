package org.tornadoattention.simulator.engine;

import static org.tornadoattention.simulator.engine.WarpIntrinsics.lane;

/** What instrumented kernels call in place of the methods of {@code org.tornadoattention.intrinsic.WarpBarrier}. */
public final class WarpBarrierIntrinsics {

    static final int INTS = 2;

    private WarpBarrierIntrinsics() {}

    /** Makes a barrier. */
    public static void init(int[] barriers, int index, int warps) {
        lane().initBarrier(barriers, index, warps, false);
    }

    /** Makes a barrier for copies. */
    public static void initForCopies(int[] barriers, int index, int warps) {
        lane().initBarrier(barriers, index, warps, true);
    }

    /** Arrives. */
    public static void arrive(int[] barriers, int index) {
        lane().arrive(barriers, index);
    }

    /** Arrives once the copies have. */
    public static void arriveWithCopies(int[] barriers, int index) {
        lane().arriveWithCopies(barriers, index);
    }

    /** Waits for the end of a phase. */
    public static void await(int[] barriers, int index, int phase) {
        lane().await(barriers, index, phase);
    }
}
