package org.tornadoattention.simulator.engine;

import static org.tornadoattention.simulator.engine.WarpIntrinsics.lane;

/** What instrumented kernels call in place of the methods of {@code org.tornadoattention.intrinsic.WarpGroup}. */
public final class WarpGroupIntrinsics {

    static final int LANES = 128;
    static final int ROW_BYTES = 128;

    private WarpGroupIntrinsics() {}

    /** Is a matter of registers; checks that a lane runs. */
    public static void requireMultiprocessor() {
        lane();
    }

    /** Makes local memory known to the tensor cores. */
    public static void fenceLocalMemory() {
        lane().fenceLocalMemory();
    }

    /** Orders registers, which are in order here; checks that a lane runs. */
    public static void fence() {
        lane();
    }

    /** Starts a product of tiles. */
    public static void multiply(int type, float[] c, int columns, int[] tile, int atA, int atB, int accumulate) {
        lane().multiplyTiles(type, c, columns, tile, atA, atB, accumulate);
    }

    /** Starts a product of registers with a tile. */
    public static void multiply(
            int type, float[] c, int columns, int[] a, int atA, int[] tile, int atB, int strideB, int accumulate) {
        lane().multiplyRegisters(type, c, columns, a, atA, tile, atB, strideB, accumulate);
    }

    /** Starts a product of registers with a transposed tile. */
    public static void multiplyTransposed(
            int type, float[] c, int columns, int[] a, int atA, int[] tile, int atB, int accumulate) {
        lane().multiplyTransposed(type, c, columns, a, atA, tile, atB, accumulate);
    }

    /** Starts a product of tiles, both with a row for each step of the depth. */
    public static void multiplyByRows(int type, float[] c, int columns, int[] tile, int atA, int atB, int accumulate) {
        lane().multiplyByRows(type, c, columns, tile, atA, atB, 0, accumulate);
    }

    /** Likewise, with B in several blocks. */
    public static void multiplyByRows(
            int type, float[] c, int columns, int[] tile, int atA, int atB, int strideB, int accumulate) {
        lane().multiplyByRows(type, c, columns, tile, atA, atB, strideB, accumulate);
    }

    /** Starts a product of tiles, of which B has a row for each step of the depth. */
    public static void multiply(
            int type, float[] c, int columns, int[] tile, int atA, int atB, int strideB, int accumulate) {
        lane().multiplyTiles(type, c, columns, tile, atA, atB, strideB, accumulate);
    }

    /** Closes a group of products. */
    public static void commit() {
        lane().commit();
    }

    /** Waits for products. */
    public static void await(int pending, float[] c, int registers) {
        lane().await(pending, c, registers);
    }

    /** Gives registers back. */
    public static void giveRegisters(int count) {
        lane().setRegisters(count);
    }

    /** Takes registers. */
    public static void takeRegisters(int count) {
        lane().setRegisters(count);
    }
}
