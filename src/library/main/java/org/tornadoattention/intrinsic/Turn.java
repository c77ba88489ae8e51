package org.tornadoattention.intrinsic;

import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The order in which work-groups do something one after the other, such as adding to a sum of floats, which depends on
 * the order. A turn is a number in global memory that a task before this one has set to 0.
 *
 * <pre>{@code
 * await(turns, index, n)        // of the group that is the n-th, from 0
 * add to the sum
 * pass(turns, index, n + 1)
 * }</pre>
 *
 * <p>What a warp did before it passed a turn is visible to the warp that has waited for it, and so is what others did
 * before a barrier at which that warp has waited for them; one may wait and pass for others. All lanes of a warp must
 * reach a call together, with the same arguments.
 *
 * <p>A group must wait for groups with smaller numbers only, or for such with larger ones as the device has room for at
 * the same time: it begins groups in the order of their numbers, and may begin none before others have ended.
 *
 * <p><b>Source.</b> PTX ISA, «memory consistency model»: release and acquire at the scope of the device. Compute
 * capability 8.0 and higher; the simulator.
 */
public final class Turn {

    private Turn() {}

    /**
     * Waits until a turn has come.
     *
     * @param turns array in global memory
     * @param index which of them
     * @param turn the number that it is to have
     */
    public static void await(IntArray turns, int index, int turn) {
        throw OutsideOfKernels.call();
    }

    /**
     * Has the next one's turn come.
     *
     * @param turns array in global memory
     * @param index which of them
     * @param turn the number that it gets
     */
    public static void pass(IntArray turns, int index, int turn) {
        throw OutsideOfKernels.call();
    }

    /**
     * Counts a group that is done with its part, so that the last one can go on with what all have left. What this warp
     * did, and what others of its group did before a barrier, is visible to the warps that arrive after it.
     *
     * @param turns array in global memory
     * @param index which of them
     * @param last what the last of all gets; the count begins anew after it
     * @return how many came before, 0 to {@code last}
     */
    public static int arrive(IntArray turns, int index, int last) {
        throw OutsideOfKernels.call();
    }
}
