package org.tornadoattention.intrinsic;

/**
 * Barriers at which a warp announces something without waiting, and waits without announcing anything: what one that
 * fills tiles and others that use them need, so that none of them waits for more than the tile.
 *
 * <p>A barrier lies in local memory, in {@link #INTS} elements of an array of ints, the first of them at an even index.
 * It counts phases, from 0: a phase ends when as many warps have arrived as {@link #init} said, and the next begins.
 * What a warp did before it arrived is visible to those that have waited for the phase.
 *
 * <pre>{@code
 * copying warps                              computing warps
 * await(barriers, EMPTY, t - 1)  (t > 0)     await(barriers, FULL, t)
 * write the tile                             read the tile
 * arrive(barriers, FULL)                     arrive(barriers, EMPTY)
 * }</pre>
 *
 * <p>All lanes of a warp must reach {@link #arrive}, {@link #arriveWithCopies} and {@link #await} together, with the
 * same arguments. A barrier knows only whether its present phase is odd: who waits must not fall two phases behind, nor
 * run ahead of the present one.
 *
 * <p><b>Source.</b> PTX ISA, {@code mbarrier}. Compute capability 9.0 and higher; the simulator.
 */
public final class WarpBarrier {

    /** Elements of an array of ints that a barrier takes. */
    public static final int INTS = 2;

    private WarpBarrier() {}

    /**
     * Makes a barrier, by one lane: {@code KernelContext.localBarrier} must come before its first use.
     *
     * @param barriers local memory that holds it
     * @param index its first element in the array, an even number
     * @param warps how many arrive in each phase
     */
    public static void init(int[] barriers, int index, int warps) {
        throw OutsideOfKernels.call();
    }

    /**
     * Likewise, for {@link #arriveWithCopies} instead of {@link #arrive}.
     *
     * @param barriers local memory that holds it
     * @param index its first element in the array, an even number
     * @param warps how many arrive in each phase
     */
    public static void initForCopies(int[] barriers, int index, int warps) {
        throw OutsideOfKernels.call();
    }

    /**
     * Announces that this warp has come so far, and goes on.
     *
     * @param barriers local memory that holds it
     * @param index its first element in the array, an even number
     */
    public static void arrive(int[] barriers, int index) {
        throw OutsideOfKernels.call();
    }

    /**
     * Goes on, and announces as soon as everything that this warp has started to copy with {@link Warp#copyAsync} is
     * there. Whoever waits for it calls {@link WarpGroup#fenceLocalMemory} before products that read the copies.
     *
     * @param barriers local memory that holds it
     * @param index its first element in the array, an even number
     */
    public static void arriveWithCopies(int[] barriers, int index) {
        throw OutsideOfKernels.call();
    }

    /**
     * Waits until the phase with this number has ended; at once, if it has.
     *
     * @param barriers local memory that holds it
     * @param index its first element in the array, an even number
     * @param phase its number, from 0
     */
    public static void await(int[] barriers, int index, int phase) {
        throw OutsideOfKernels.call();
    }
}
