package org.tornadoattention.simulator.engine;

import static org.tornadoattention.simulator.engine.WarpIntrinsics.lane;

import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** What instrumented kernels call in place of the methods of {@code org.tornadoattention.intrinsic.Turn}. */
public final class TurnIntrinsics {

    private TurnIntrinsics() {}

    /** Waits until a turn has come. */
    public static void await(IntArray turns, int index, int turn) {
        lane().awaitTurn(turns, index, turn);
    }

    /** Has the next one's turn come. */
    public static void pass(IntArray turns, int index, int turn) {
        lane().passTurn(turns, index, turn);
    }

    /** Counts a group that is done with its part. */
    public static int arrive(IntArray turns, int index, int last) {
        return lane().arrive(turns, index, last);
    }
}
