package org.tornadoattention.intrinsic;

/**
 * What the 128 lanes of four consecutive warps do together on Hopper: asynchronous matrix products whose operand B, and
 * A if wanted, is read from local memory by the tensor cores themselves.
 *
 * <p><b>Accumulators.</b> {@code float[] c} of columns / 2 elements lies in registers as in {@link Warp}: warp w holds
 * rows 16w to 16w + 15, and elements 4j to 4j + 3 are the accumulator of columns 8j to 8j + 7.
 *
 * <p><b>Tiles in local memory.</b> Rows of 128 bytes, 64 elements of 16 bits or 128 of 8, the 16-byte chunk c of row r
 * at {@code 128 r + 16 (c ^ (r & 7))}: {@link #chunk}. Wider tiles are several such blocks, one behind the other. A
 * block starts at a multiple of 1024 bytes.
 *
 * <p><b>Order.</b> Writes to local memory must be followed by {@link #fenceLocalMemory} of the writer, then by a
 * barrier, before a product reads them. {@link #fence} comes before the first product after accumulators or operands in
 * registers were written by other code; {@link #commit} closes a group of products; only after {@link #await} may its
 * accumulators be read, its registers be written, and its tiles be overwritten (by other lanes: after a further
 * barrier).
 *
 * <p><b>Types.</b> {@link Warp#F16} and {@link Warp#BF16}, 16 deep, and {@link Warp#E4M3}, 32 deep, so that a product
 * takes 32 bytes of a row of A in any case. Four E4M3 numbers make an int, the lowest byte first: lane 4g + t holds, of
 * operand A in registers, rows g and g + 8 at depths 4t to 4t + 3, then both at 16 more. Tensor cores add products of
 * E4M3 with some 14 bits, cut off.
 *
 * <p>All 128 lanes must reach a call together, with the same arguments but for register contents. {@code columns}, a
 * multiple of 8 up to 256, and {@code type} must be JIT constants.
 *
 * <p><b>Source.</b> PTX ISA, {@code wgmma.mma_async}; it needs compute capability 9.0 and code for {@code sm_90a}.
 */
public final class WarpGroup {

    /** Lanes in a group. */
    public static final int LANES = 128;

    /** Bytes in a row of a block. */
    public static final int ROW_BYTES = 128;

    private WarpGroup() {}

    /**
     * {@return the byte offset, within a block, of 16-byte chunk {@code c} (0 to 7) of row {@code r}}
     *
     * @param r row of the block, 0 or more
     * @param c 16 bytes of the row, 0 to 7
     */
    public static int chunk(int r, int c) {
        return r * ROW_BYTES + ((c ^ (r & 7)) * 16);
    }

    /**
     * Says that a group of work-items has a multiprocessor for itself. The compiler then knows how many registers lanes
     * begin with, without which it may leave {@link #giveRegisters} and {@link #takeRegisters} out. After
     * {@link Warp#requireGroupSize}.
     */
    public static void requireMultiprocessor() {
        throw OutsideOfKernels.call();
    }

    /** Makes what this lane wrote to local memory visible to the tensor cores. */
    public static void fenceLocalMemory() {
        throw OutsideOfKernels.call();
    }

    /** Orders earlier accesses to registers before the products that follow. */
    public static void fence() {
        throw OutsideOfKernels.call();
    }

    /**
     * Starts C = A · Bᵀ, or C += A · Bᵀ if {@code accumulate} is not 0: 64 rows, {@code columns} columns.
     *
     * @param type {@link Warp#F16}, {@link Warp#BF16} or {@link Warp#E4M3}
     * @param c accumulators of this lane, {@code columns / 2} floats
     * @param columns columns of C, a multiple of 8
     * @param tile local memory that holds A and B
     * @param atA byte offset of A's first row in a block, at the first of the columns: block + 32 · step
     * @param atB likewise of B, whose rows are C's columns
     * @param accumulate 0 to begin with C = 0, otherwise 1
     */
    public static void multiply(int type, float[] c, int columns, int[] tile, int atA, int atB, int accumulate) {
        throw OutsideOfKernels.call();
    }

    /**
     * Starts C = A · B, or C += A · B if {@code accumulate} is not 0, with A in registers as in {@link Warp}: 64 rows,
     * {@code columns} columns.
     *
     * @param type {@link Warp#F16} or {@link Warp#BF16}; the tensor cores read 8-bit operands in the other direction
     *     only
     * @param c accumulators of this lane, {@code columns / 2} floats
     * @param columns columns of C, a multiple of 8
     * @param a private array that holds A in {@code a[atA … atA + 3]}
     * @param atA first of A's registers
     * @param tile local memory that holds B, rows as deep as A, columns along the rows
     * @param atB byte offset of B's first row in its first block
     * @param strideB bytes from a block to the next, 64 columns on
     * @param accumulate 0 to begin with C = 0, otherwise 1
     */
    public static void multiply(
            int type, float[] c, int columns, int[] a, int atA, int[] tile, int atB, int strideB, int accumulate) {
        throw OutsideOfKernels.call();
    }

    /**
     * Starts C = A · Bᵀ, or C += A · Bᵀ if {@code accumulate} is not 0, with A in registers: 64 rows, {@code columns}
     * columns.
     *
     * @param type {@link Warp#F16}, {@link Warp#BF16} or {@link Warp#E4M3}
     * @param c accumulators of this lane, {@code columns / 2} floats
     * @param columns columns of C, a multiple of 8
     * @param a private array that holds A in {@code a[atA … atA + 3]}
     * @param atA first of A's registers
     * @param tile local memory that holds B, whose rows are C's columns
     * @param atB byte offset of B's first row in a block, at the first of the columns: block + 32 · step
     * @param accumulate 0 to begin with C = 0, otherwise 1
     */
    public static void multiplyTransposed(
            int type, float[] c, int columns, int[] a, int atA, int[] tile, int atB, int accumulate) {
        throw OutsideOfKernels.call();
    }

    /**
     * Starts C = Aᵀ · B, or C += Aᵀ · B if {@code accumulate} is not 0, with a row of A and of B in local memory for
     * each step of the depth: 64 rows of C, which are the columns of a block of A, and {@code columns} columns.
     *
     * @param type {@link Warp#F16} or {@link Warp#BF16}; the tensor cores read 8-bit operands in the other direction
     *     only
     * @param c accumulators of this lane, {@code columns / 2} floats
     * @param columns columns of C, a multiple of 8 up to 64, all of one block of B
     * @param tile local memory that holds A and B
     * @param atA byte offset of A's first row in its block
     * @param atB byte offset of B's first row in its block
     * @param accumulate 0 to begin with C = 0, otherwise 1
     */
    public static void multiplyByRows(int type, float[] c, int columns, int[] tile, int atA, int atB, int accumulate) {
        throw OutsideOfKernels.call();
    }

    /**
     * As {@link #multiplyByRows(int, float[], int, int[], int, int, int)}, with columns in several blocks of B.
     *
     * @param type {@link Warp#F16} or {@link Warp#BF16}
     * @param c accumulators of this lane, {@code columns / 2} floats
     * @param columns columns of C, a multiple of 8
     * @param tile local memory that holds A and B
     * @param atA byte offset of A's first row in its block
     * @param atB byte offset of B's first row in its first block
     * @param strideB bytes from a block of B to the next, 64 columns on
     * @param accumulate 0 to begin with C = 0, otherwise 1
     */
    public static void multiplyByRows(
            int type, float[] c, int columns, int[] tile, int atA, int atB, int strideB, int accumulate) {
        throw OutsideOfKernels.call();
    }

    /**
     * Starts C = A · B, or C += A · B if {@code accumulate} is not 0: 64 rows of A as deep as B has rows, and
     * {@code columns} columns along the rows of B.
     *
     * @param type {@link Warp#F16} or {@link Warp#BF16}; the tensor cores read 8-bit operands in the other direction
     *     only
     * @param c accumulators of this lane, {@code columns / 2} floats
     * @param columns columns of C, a multiple of 8
     * @param tile local memory that holds A and B
     * @param atA byte offset of A's first row in a block, at the first of the columns: block + 32 · step
     * @param atB byte offset of B's first row in its first block
     * @param strideB bytes from a block of B to the next, 64 columns on
     * @param accumulate 0 to begin with C = 0, otherwise 1
     */
    public static void multiply(
            int type, float[] c, int columns, int[] tile, int atA, int atB, int strideB, int accumulate) {
        throw OutsideOfKernels.call();
    }

    /** Closes the group of products started since the last call. */
    public static void commit() {
        throw OutsideOfKernels.call();
    }

    /**
     * Waits until at most {@code pending} groups of products are under way.
     *
     * @param pending how many groups of products may still be under way, a JIT constant
     * @param c the accumulators that are read next
     * @param registers how many elements {@code c} has, a JIT constant
     */
    public static void await(int pending, float[] c, int registers) {
        throw OutsideOfKernels.call();
    }

    /**
     * Gives registers back, so that another warp group can take them: {@code count} a lane remain, a multiple of 8 from
     * 24 to 256, a JIT constant. A group of work-items starts with what {@link Warp#requireGroupSize} leaves for each
     * lane.
     *
     * @param count registers of a work-item, a multiple of 8 from 24 to 256, a JIT constant
     */
    public static void giveRegisters(int count) {
        throw OutsideOfKernels.call();
    }

    /**
     * Waits until so many registers a lane are there, and takes them; likewise a multiple of 8 and a JIT constant.
     *
     * @param count registers of a work-item, a multiple of 8 from 24 to 256, a JIT constant
     */
    public static void takeRegisters(int count) {
        throw OutsideOfKernels.call();
    }
}
