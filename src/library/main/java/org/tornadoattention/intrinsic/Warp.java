package org.tornadoattention.intrinsic;

import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * What the 32 lanes of an NVIDIA warp do together, as calls for kernels: products of small matrices on tensor cores,
 * with operands and accumulators in plain private arrays, and the loads, copies and conversions that feed them.
 *
 * <p>A private array whose length is a constant or a JIT-constant argument, indexed in loops with constant bounds, lies
 * in registers: TornadoVM unrolls the loops. So {@code float[] c} below is not memory, and an index into it costs
 * nothing. Indices into private arrays must be constant once the loops are unrolled; byte offsets into local memory
 * need not be.
 *
 * <p>All lanes of a warp must reach a call together, with the same {@code type} and the same indices into private
 * arrays.
 *
 * <p><b>Layouts.</b> Lane 4g + t holds, of an accumulator (16 rows, 8 columns), in elements 0 and 1 row g, columns 2t
 * and 2t + 1, and in elements 2 and 3 the same of row g + 8; of operand A (16 rows, 16 deep), as two 16-bit elements to
 * an int, low half first: rows g and g + 8 at depth 2t, then both at depth 2t + 8; of operand B (16 deep, 8 columns):
 * column g at depth 2t, then 2t + 8. So two neighbouring accumulators, packed, are an operand A. {@link #TF32} operands
 * hold one element to an int: A rows g and g + 8 at depth t, then both at t + 4; B column g at depths t and t + 4.
 *
 * <p><b>Source.</b> PTX ISA, {@code mma.sync}, {@code ldmatrix}, {@code cp.async}. Compute capability 8.0 and higher.
 * In the simulator every call runs with the semantics of the lanes.
 */
public final class Warp {

    /** IEEE binary16 operands; a constant for {@code type}. */
    public static final int F16 = 0;

    /** bfloat16 operands; a constant for {@code type}. */
    public static final int BF16 = 1;

    /** F32 rounded to 10 bits of mantissa, half as deep a product; a constant for {@code type}. */
    public static final int TF32 = 2;

    /**
     * 8-bit floats with 4 bits of exponent and 3 of mantissa, up to 448, without infinities; a constant for
     * {@code type} of {@link WarpGroup}'s products, twice as deep as those of 16 bits.
     */
    public static final int E4M3 = 3;

    private Warp() {}

    /**
     * Says how many work-items a group has: the compiler then keeps to the registers that so many can have. Without, a
     * kernel that needs more fails at its launch. {@code items} is a JIT constant.
     *
     * @param items work-items of each group, a multiple of 32
     */
    public static void requireGroupSize(int items) {
        throw OutsideOfKernels.call();
    }

    /**
     * Says that all loops of the kernel whose number of turns is known are unrolled, however much is in them: private
     * arrays that they index then lie in registers. Without, the compiler unrolls what it finds small.
     */
    public static void unrollLoops() {
        throw OutsideOfKernels.call();
    }

    /**
     * {@return the value of the lane whose number differs from this one's in the bits of {@code mask}, 1 to 31}
     *
     * @param value this lane's number
     * @param mask which bits of the lane's number differ, 1 to 31
     */
    public static float shuffleXor(float value, int mask) {
        throw OutsideOfKernels.call();
    }

    /**
     * {@return the int of the lane whose number differs from this one's in the bits of {@code mask}, 1 to 31}
     *
     * @param value this lane's number
     * @param mask which bits of the lane's number differ, 1 to 31
     */
    public static int shuffleXor(int value, int mask) {
        throw OutsideOfKernels.call();
    }

    /**
     * {@return {@code value}, which must be the same in all lanes of the warp} The compiler then knows that it is: what
     * is computed from it is computed once for the warp, addresses of matrix products above all.
     *
     * @param value a number of the warp
     */
    public static int uniform(int value) {
        throw OutsideOfKernels.call();
    }

    /**
     * {@return 1 where {@code value} is not 0 in any lane of the warp, otherwise 0: the same in all of them}
     *
     * @param value this lane's number
     */
    public static int any(int value) {
        throw OutsideOfKernels.call();
    }

    /**
     * Sees to it that {@code value} is computed before what follows. The assembler likes to move arithmetic behind a
     * wait for matrix products, under which it was meant to run; it moves nothing that this value needs past this call.
     * It costs a comparison, a vote and a branch.
     *
     * @param value what is to be computed by then
     */
    public static void settle(float value) {
        throw OutsideOfKernels.call();
    }

    /**
     * {@return 2 to the power of {@code x}, to 2 ulp; results below the normal range are 0}
     *
     * @param x the exponent
     */
    public static float exp2(float x) {
        float power = (float) Math.pow(2.0, x);
        return power < Float.MIN_NORMAL ? 0f : power;
    }

    /**
     * {@return the hyperbolic tangent, to 16 ulp, NaN for NaN}
     *
     * @param x any number
     */
    public static float tanh(float x) {
        return (float) Math.tanh(x);
    }

    /**
     * {@return {@code x / y}, to 2 ulp; by a constant it is a product}
     *
     * @param x any number
     * @param y any number
     */
    public static float divide(float x, float y) {
        return x / y;
    }

    /**
     * {@return two floats rounded to {@link #F16} or {@link #BF16}, to nearest even, the first in the low half}
     *
     * @param type {@link #F16} or {@link #BF16}, a JIT constant
     * @param low becomes the low half
     * @param high becomes the high half
     */
    public static int pack(int type, float low, float high) {
        return Bits.encode(type, low) | Bits.encode(type, high) << Short.SIZE;
    }

    /**
     * {@return one of the two floats that {@link #pack} rounded to {@link #F16} or {@link #BF16}: element 0 or 1, a JIT
     * constant}
     *
     * @param type {@link #F16} or {@link #BF16}, a JIT constant
     * @param packed two 16-bit floats
     * @param element 0 for the low half, 1 for the high one, a JIT constant
     */
    public static float unpack(int type, int packed, int element) {
        return Bits.decode(type, packed >>> Short.SIZE * element);
    }

    /**
     * Four floats rounded to {@link #E4M3}, to nearest even, the first in the lowest byte. What is larger than 448
     * becomes 448, infinities too; NaN stays. It needs compute capability 8.9.
     *
     * @param first becomes the lowest byte
     * @param second becomes the next
     * @param third becomes the one after
     * @param fourth becomes the highest byte
     * @return four 8-bit floats
     */
    public static int packE4M3(float first, float second, float third, float fourth) {
        return Bits.encode(E4M3, first)
                | Bits.encode(E4M3, second) << Byte.SIZE
                | Bits.encode(E4M3, third) << 2 * Byte.SIZE
                | Bits.encode(E4M3, fourth) << 3 * Byte.SIZE;
    }

    /**
     * {@return the float nearest to {@code value} that {@link #TF32} operands can hold, ties away from zero}
     *
     * @param value any number, infinity or NaN
     */
    public static float roundToTF32(float value) {
        return Bits.roundToTF32(value);
    }

    /**
     * Loads four 8×8 matrices of 16-bit elements from local memory into {@code registers[at … at + 3]}: lane 8m + r
     * gives the byte offset of row r of matrix m (16 bytes, a multiple of 16), and lane 4g + t gets elements 2t and 2t
     * + 1 of row g of each.
     *
     * @param registers private array that gets four ints
     * @param at the first of them
     * @param tile local memory
     * @param byteOffset of the row that this lane gives, a multiple of 16
     */
    public static void loadMatrices(int[] registers, int at, int[] tile, int byteOffset) {
        throw OutsideOfKernels.call();
    }

    /**
     * As {@link #loadMatrices}, with each matrix transposed on the way.
     *
     * @param registers private array that gets four ints
     * @param at the first of them
     * @param tile local memory
     * @param byteOffset of the row that this lane gives, a multiple of 16
     */
    public static void loadMatricesTransposed(int[] registers, int at, int[] tile, int byteOffset) {
        throw OutsideOfKernels.call();
    }

    /**
     * Stores four 8×8 matrices of 16-bit elements to local memory, as {@link #loadMatrices} loads them.
     *
     * @param tile local memory
     * @param byteOffset of the row that this lane gives, a multiple of 16
     * @param registers private array that holds four ints
     * @param at the first of them
     */
    public static void storeMatrices(int[] tile, int byteOffset, int[] registers, int at) {
        throw OutsideOfKernels.call();
    }

    /**
     * C += A · B on a tensor core, F32 accumulators: C in {@code c[atC … atC + 3]}, A in {@code a[atA … atA + 3]}, B in
     * {@code b[atB], b[atB + 1]}; 16 × 8 × 16, or 16 × 8 × 8 for {@link #TF32}.
     *
     * @param type {@link #F16}, {@link #BF16} or {@link #TF32}, a JIT constant
     * @param c accumulators of this lane
     * @param atC first of the four accumulators
     * @param a registers of A
     * @param atA first of them
     * @param b registers of B
     * @param atB first of them
     */
    public static void multiply(int type, float[] c, int atC, int[] a, int atA, int[] b, int atB) {
        throw OutsideOfKernels.call();
    }

    /**
     * Starts a copy of 16 bytes to local memory, past the registers. {@code KernelContext.asyncCopyCommit} and
     * {@code asyncCopyWaitGroup} close and await groups of copies.
     *
     * @param tile local memory
     * @param byteOffset where in the tile, a multiple of 16
     * @param source array in global memory
     * @param index the first element of the source, a multiple of 8
     * @param bytes how many are read, 0 to 16; zeros take the place of the rest
     */
    public static void copyAsync(int[] tile, int byteOffset, HalfFloatArray source, int index, int bytes) {
        throw OutsideOfKernels.call();
    }

    /**
     * As {@link #copyAsync(int[], int, HalfFloatArray, int, int)}.
     *
     * @param tile local memory
     * @param byteOffset where in the tile, a multiple of 16
     * @param source array in global memory
     * @param index the first element of the source, a multiple of 8
     * @param bytes how many are read, 0 to 16; zeros take the place of the rest
     */
    public static void copyAsync(int[] tile, int byteOffset, ShortArray source, int index, int bytes) {
        throw OutsideOfKernels.call();
    }

    /**
     * As {@link #copyAsync(int[], int, HalfFloatArray, int, int)}, with {@code index} a multiple of 4.
     *
     * @param tile local memory
     * @param byteOffset where in the tile, a multiple of 16
     * @param source array in global memory
     * @param index the first element of the source, a multiple of 4
     * @param bytes how many are read, 0 to 16; zeros take the place of the rest
     */
    public static void copyAsync(int[] tile, int byteOffset, FloatArray source, int index, int bytes) {
        throw OutsideOfKernels.call();
    }

    /**
     * As {@link #copyAsync(int[], int, HalfFloatArray, int, int)}, with {@code index} a multiple of 4.
     *
     * @param tile local memory
     * @param byteOffset where in the tile, a multiple of 16
     * @param source array in global memory
     * @param index the first element of the source, a multiple of 4
     * @param bytes how many are read, 0 to 16; zeros take the place of the rest
     */
    public static void copyAsync(int[] tile, int byteOffset, IntArray source, int index, int bytes) {
        throw OutsideOfKernels.call();
    }

    /**
     * {@code KernelContext.asyncCopyWaitGroup} for a number of groups that is an argument of the task: a JIT constant.
     *
     * @param pending how many groups of copies may still be on their way, a JIT constant
     */
    public static void awaitCopies(int pending) {
        throw OutsideOfKernels.call();
    }

    /**
     * Copies up to 8 elements from any place to 16 bytes of local memory at once; zeros take the place of the rest.
     *
     * @param tile local memory
     * @param byteOffset where in the tile, a multiple of 16
     * @param source array in global memory
     * @param index first element of it
     * @param elements how many are read, 0 to 8
     */
    public static void copy(int[] tile, int byteOffset, HalfFloatArray source, int index, int elements) {
        throw OutsideOfKernels.call();
    }

    /**
     * As {@link #copy(int[], int, HalfFloatArray, int, int)}.
     *
     * @param tile local memory
     * @param byteOffset where in the tile, a multiple of 16
     * @param source array in global memory
     * @param index first element of it
     * @param elements how many are read, 0 to 8
     */
    public static void copy(int[] tile, int byteOffset, ShortArray source, int index, int elements) {
        throw OutsideOfKernels.call();
    }

    /**
     * Copies up to 4 elements from any place to 16 bytes of local memory at once; zeros take the place of the rest.
     *
     * @param tile local memory
     * @param byteOffset where in the tile, a multiple of 16
     * @param source array in global memory
     * @param index first element of it
     * @param elements how many are read, 0 to 4
     */
    public static void copy(int[] tile, int byteOffset, FloatArray source, int index, int elements) {
        throw OutsideOfKernels.call();
    }

    /**
     * {@return the 4 bytes at a place in local memory, a multiple of 4, as a float}
     *
     * @param tile local memory
     * @param byteOffset a place in it, a multiple of 4
     */
    public static float element(int[] tile, int byteOffset) {
        throw OutsideOfKernels.call();
    }

    /**
     * {@return the int at a place in local memory}
     *
     * @param tile local memory
     * @param byteOffset a place in it, a multiple of 4
     */
    public static int loadInt(int[] tile, int byteOffset) {
        throw OutsideOfKernels.call();
    }

    /**
     * Reads four floats at once from local memory into {@code registers[at … at + 3]}.
     *
     * @param registers private array that gets them
     * @param at the first of them
     * @param tile local memory
     * @param byteOffset a place in it, a multiple of 16
     */
    public static void elements(float[] registers, int at, int[] tile, int byteOffset) {
        throw OutsideOfKernels.call();
    }

    /**
     * Writes an int to local memory: for methods that get a local array, which TornadoVM lets intrinsics alone index.
     *
     * @param tile local memory
     * @param byteOffset a place in it, a multiple of 4
     * @param value what it becomes
     */
    public static void storeInt(int[] tile, int byteOffset, int value) {
        throw OutsideOfKernels.call();
    }

    /**
     * {@return a 16-bit float of an array of raw bits}
     *
     * @param type {@link #F16} or {@link #BF16}, a JIT constant
     * @param source array in global memory
     * @param index which element of it
     */
    public static float load(int type, ShortArray source, int index) {
        throw OutsideOfKernels.call();
    }

    /**
     * {@return a 16-bit float of an array}
     *
     * @param type {@link #F16}, a JIT constant
     * @param source array in global memory
     * @param index which element of it
     */
    public static float load(int type, HalfFloatArray source, int index) {
        throw OutsideOfKernels.call();
    }

    /**
     * Begins to read eight neighbouring 16-bit floats of an array of raw bits into {@code registers[at … at + 3]}, two
     * to an int, the first in the low half; and asks for those that lie {@code ahead} elements on to be brought nearer.
     *
     * @param registers private array that gets four ints
     * @param at the first of them
     * @param source array in global memory, which nobody writes meanwhile
     * @param row the index of an element, a multiple of 8
     * @param column how many elements behind it the first of the eight is, a multiple of 8
     * @param ahead 0, or how far on there are others that will be read; a multiple of 8
     */
    public static void loadEight(int[] registers, int at, ShortArray source, int row, int column, int ahead) {
        throw OutsideOfKernels.call();
    }

    /**
     * {@return an element, as {@code source.get} does, by way of the cache of what nobody writes}
     *
     * @param source array in global memory, which nobody writes meanwhile
     * @param index which element of it
     */
    public static float load(FloatArray source, int index) {
        throw OutsideOfKernels.call();
    }

    /**
     * {@return an element, as {@code source.get} does, by way of the cache of what nobody writes}
     *
     * @param source array in global memory, which nobody writes meanwhile
     * @param index which element of it
     */
    public static int load(IntArray source, int index) {
        throw OutsideOfKernels.call();
    }

    /**
     * Reads four floats at once into {@code registers[at … at + 3]}, past the cache that a multiprocessor has for
     * itself: what other groups have written before they passed a {@link Turn} is seen.
     *
     * @param registers private array that gets them
     * @param at the first of them
     * @param source array in global memory
     * @param index the first element of it, a multiple of 4
     */
    public static void loadFour(float[] registers, int at, FloatArray source, int index) {
        throw OutsideOfKernels.call();
    }

    /**
     * Writes {@code registers[at … at + 3]} at once.
     *
     * @param target array in global memory
     * @param index the first element that is written, a multiple of 4
     * @param registers private array that holds four floats
     * @param at the first of them
     */
    public static void storeFour(FloatArray target, int index, float[] registers, int at) {
        throw OutsideOfKernels.call();
    }

    /**
     * Adds {@code registers[at … at + 3]} to four elements, each atomically, without waiting for it. Compute capability
     * 9.0.
     *
     * @param target array in global memory
     * @param index the first element that is added to, a multiple of 4
     * @param registers private array that holds four floats
     * @param at the first of them
     */
    public static void addFour(FloatArray target, int index, float[] registers, int at) {
        throw OutsideOfKernels.call();
    }

    /**
     * Writes an element, as {@code target.set} does.
     *
     * @param target array in global memory
     * @param index which element of it
     * @param value what it becomes
     */
    public static void store(FloatArray target, int index, float value) {
        throw OutsideOfKernels.call();
    }

    /**
     * Writes the first {@code elements} of two packed ones: 1 anywhere, or 2 at an even index. A JIT constant.
     *
     * @param target array in global memory
     * @param index the first that is written
     * @param packed two 16-bit floats
     * @param elements 1 or 2, a JIT constant
     */
    public static void store(HalfFloatArray target, int index, int packed, int elements) {
        throw OutsideOfKernels.call();
    }

    /**
     * Writes the first {@code elements} of two packed ones: 1 anywhere, or 2 at an even index. A JIT constant.
     *
     * @param target array in global memory
     * @param index the first that is written
     * @param packed two 16-bit floats
     * @param elements 1 or 2, a JIT constant
     */
    public static void store(ShortArray target, int index, int packed, int elements) {
        throw OutsideOfKernels.call();
    }

    /**
     * Writes eight 16-bit floats at once, two to an int in {@code registers[at … at + 3]}, the first in the low half.
     *
     * @param target array in global memory
     * @param index the first element that is written, a multiple of 8
     * @param registers private array that holds four ints
     * @param at the first of them
     */
    public static void storeEight(HalfFloatArray target, int index, int[] registers, int at) {
        throw OutsideOfKernels.call();
    }

    /**
     * Writes eight 16-bit floats at once, two to an int in {@code registers[at … at + 3]}, the first in the low half.
     *
     * @param target array in global memory
     * @param index the first element that is written, a multiple of 8
     * @param registers private array that holds four ints
     * @param at the first of them
     */
    public static void storeEight(ShortArray target, int index, int[] registers, int at) {
        throw OutsideOfKernels.call();
    }
}
