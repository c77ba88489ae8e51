package org.tornadoattention.simulator.engine;

import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * What instrumented kernels call in place of the methods of {@code org.tornadoattention.intrinsic.Warp}, which only a
 * GPU's compiler knows: method for method the same names and types. The constants are those that kernels pass.
 */
public final class WarpIntrinsics {

    static final int F16 = 0;
    static final int BF16 = 1;
    static final int TF32 = 2;
    static final int E4M3 = 3;

    private WarpIntrinsics() {}

    /** Checks the size of the group. */
    public static void requireGroupSize(int items) {
        lane().requireGroupSize(items);
    }

    /** Concerns compilers alone. */
    public static void unrollLoops() {
        lane();
    }

    /** Returns the value of another lane. */
    public static float shuffleXor(float value, int mask) {
        return lane().shuffleXor(value, mask);
    }

    /** Returns the int of another lane. */
    public static int shuffleXor(int value, int mask) {
        return Float.floatToRawIntBits(lane().shuffleXor(Float.intBitsToFloat(value), mask));
    }

    /** Returns the value, which is the same in all lanes. */
    public static int uniform(int value) {
        return lane().uniform(value);
    }

    /** Returns 1 where the value of any lane is not 0. */
    public static int any(int value) {
        return lane().any(value);
    }

    /** Is a matter of scheduling; checks that a lane runs. */
    public static void settle(float value) {
        lane();
    }

    /** Loads four matrices. */
    public static void loadMatrices(int[] registers, int at, int[] tile, int byteOffset) {
        lane().loadMatrices(registers, at, tile, byteOffset, false);
    }

    /** Loads four matrices, each transposed. */
    public static void loadMatricesTransposed(int[] registers, int at, int[] tile, int byteOffset) {
        lane().loadMatrices(registers, at, tile, byteOffset, true);
    }

    /** Stores four matrices. */
    public static void storeMatrices(int[] tile, int byteOffset, int[] registers, int at) {
        lane().storeMatrices(tile, byteOffset, registers, at);
    }

    /** Multiplies matrices. */
    public static void multiply(int type, float[] c, int atC, int[] a, int atA, int[] b, int atB) {
        lane().multiply(type, c, atC, a, atA, b, atB);
    }

    /** Starts a copy. */
    public static void copyAsync(int[] tile, int byteOffset, HalfFloatArray source, int index, int bytes) {
        lane().copyAsync(tile, byteOffset, source, index, bytes);
    }

    /** Starts a copy. */
    public static void copyAsync(int[] tile, int byteOffset, ShortArray source, int index, int bytes) {
        lane().copyAsync(tile, byteOffset, source, index, bytes);
    }

    /** Starts a copy. */
    public static void copyAsync(int[] tile, int byteOffset, FloatArray source, int index, int bytes) {
        lane().copyAsync(tile, byteOffset, source, index, bytes);
    }

    /** Starts a copy. */
    public static void copyAsync(int[] tile, int byteOffset, IntArray source, int index, int bytes) {
        lane().copyAsync(tile, byteOffset, source, index, bytes);
    }

    /** Waits for copies. */
    public static void awaitCopies(int pending) {
        lane().awaitCopies(pending);
    }

    /** Copies at once. */
    public static void copy(int[] tile, int byteOffset, HalfFloatArray source, int index, int elements) {
        lane().copy(tile, byteOffset, source, index, elements);
    }

    /** Copies at once. */
    public static void copy(int[] tile, int byteOffset, ShortArray source, int index, int elements) {
        lane().copy(tile, byteOffset, source, index, elements);
    }

    /** Copies at once. */
    public static void copy(int[] tile, int byteOffset, FloatArray source, int index, int elements) {
        lane().copy(tile, byteOffset, source, index, elements);
    }

    /** Reads an element of a tile. */
    public static float element(int[] tile, int byteOffset) {
        return lane().element(tile, byteOffset);
    }

    /** Reads a 16-bit float, in any kernel. */
    public static float load(int type, ShortArray source, int index) {
        Hooks.beforeGet(source, index, 1, WorkItem.current());
        return Operand.decode(type, source.get(index));
    }

    /** Reads a 16-bit float, in any kernel. */
    public static float load(int type, HalfFloatArray source, int index) {
        Hooks.beforeGet(source, index, 1, WorkItem.current());
        return source.get(index).getFloat32();
    }

    /** Reads eight 16-bit floats. */
    public static void loadEight(int[] registers, int at, ShortArray source, int row, int column, int ahead) {
        lane().loadEight(registers, at, source, row, column, ahead);
    }

    /** Reads an element, in any kernel. */
    public static float load(FloatArray source, int index) {
        Hooks.beforeGet(source, index, 1, WorkItem.current());
        return source.get(index);
    }

    /** Reads an element, in any kernel. */
    public static int load(IntArray source, int index) {
        Hooks.beforeGet(source, index, 1, WorkItem.current());
        return source.get(index);
    }

    /** Reads an int of a tile. */
    public static int loadInt(int[] tile, int byteOffset) {
        return lane().loadInt(tile, byteOffset);
    }

    /** Writes an int of a tile. */
    public static void storeInt(int[] tile, int byteOffset, int value) {
        lane().storeInt(tile, byteOffset, value);
    }

    /** Reads four elements of a tile. */
    public static void elements(float[] registers, int at, int[] tile, int byteOffset) {
        lane().elements(registers, at, tile, byteOffset);
    }

    /** Reads four elements. */
    public static void loadFour(float[] registers, int at, FloatArray source, int index) {
        lane().loadFour(registers, at, source, index);
    }

    /** Writes four elements. */
    public static void storeFour(FloatArray target, int index, float[] registers, int at) {
        lane().storeFour(target, index, registers, at);
    }

    /** Adds to four elements. */
    public static void addFour(FloatArray target, int index, float[] registers, int at) {
        lane().addFour(target, index, registers, at);
    }

    /** Writes an element. */
    public static void store(FloatArray target, int index, float value) {
        lane().store(target, index, value);
    }

    /** Writes packed elements. */
    public static void store(HalfFloatArray target, int index, int packed, int elements) {
        lane().store(target, index, packed, elements);
    }

    /** Writes packed elements. */
    public static void store(ShortArray target, int index, int packed, int elements) {
        lane().store(target, index, packed, elements);
    }

    /** Writes eight packed elements. */
    public static void storeEight(HalfFloatArray target, int index, int[] registers, int at) {
        lane().storeEight(target, index, registers, at);
    }

    /** Writes eight packed elements. */
    public static void storeEight(ShortArray target, int index, int[] registers, int at) {
        lane().storeEight(target, index, registers, at);
    }

    /** Returns the lane that runs on this thread. */
    static WarpLane lane() {
        return WorkItem.current().warpLane();
    }
}
