package org.tornadoattention.kernel.parts;

/**
 * Eight rows of four sums that a work-item keeps in registers. As Java has it, a tile is an array; in forms of kernels
 * each element is a local variable, since TornadoVM puts a private array in memory on some backends. So an element's
 * index must be known: a number, a parameter of a phase that is given one, or what they add up and multiply to.
 */
public final class RegisterTile {

    private RegisterTile() {}

    /** A tile of zeros. Only {@link Phase}s can be given it. */
    public static float[] zeros() {
        return new float[32];
    }

    /** Makes all sums 0. */
    @Phase
    public static void clear(float[] tile) {
        clearRow(tile, 0);
        clearRow(tile, 1);
        clearRow(tile, 2);
        clearRow(tile, 3);
        clearRow(tile, 4);
        clearRow(tile, 5);
        clearRow(tile, 6);
        clearRow(tile, 7);
    }

    /** Makes a row's sums 0. */
    @Phase
    private static void clearRow(float[] tile, int row) {
        tile[4 * row] = 0f;
        tile[4 * row + 1] = 0f;
        tile[4 * row + 2] = 0f;
        tile[4 * row + 3] = 0f;
    }

    /** Multiplies the rows with a factor each. */
    @Phase
    public static void scale(
            float[] tile, float f0, float f1, float f2, float f3, float f4, float f5, float f6, float f7) {
        scaleRow(tile, 0, f0);
        scaleRow(tile, 1, f1);
        scaleRow(tile, 2, f2);
        scaleRow(tile, 3, f3);
        scaleRow(tile, 4, f4);
        scaleRow(tile, 5, f5);
        scaleRow(tile, 6, f6);
        scaleRow(tile, 7, f7);
    }

    /** Multiplies a row with a factor. */
    @Phase
    private static void scaleRow(float[] tile, int row, float factor) {
        tile[4 * row] *= factor;
        tile[4 * row + 1] *= factor;
        tile[4 * row + 2] *= factor;
        tile[4 * row + 3] *= factor;
    }

    /** Adds the product of a column of eight weights and a row of four elements. */
    @Phase
    public static void add(
            float[] tile,
            float w0,
            float w1,
            float w2,
            float w3,
            float w4,
            float w5,
            float w6,
            float w7,
            float x0,
            float x1,
            float x2,
            float x3) {
        addRow(tile, 0, w0, x0, x1, x2, x3);
        addRow(tile, 1, w1, x0, x1, x2, x3);
        addRow(tile, 2, w2, x0, x1, x2, x3);
        addRow(tile, 3, w3, x0, x1, x2, x3);
        addRow(tile, 4, w4, x0, x1, x2, x3);
        addRow(tile, 5, w5, x0, x1, x2, x3);
        addRow(tile, 6, w6, x0, x1, x2, x3);
        addRow(tile, 7, w7, x0, x1, x2, x3);
    }

    /** Adds the product of a weight and four elements to a row. */
    @Phase
    private static void addRow(float[] tile, int row, float weight, float x0, float x1, float x2, float x3) {
        tile[4 * row] += weight * x0;
        tile[4 * row + 1] += weight * x1;
        tile[4 * row + 2] += weight * x2;
        tile[4 * row + 3] += weight * x3;
    }

    /** Adds the product of a weight and four elements to a row, unless the P of the pair is marked as unseen. */
    @Phase
    public static void addSeen(float[] tile, int row, float p, float weight, float x0, float x1, float x2, float x3) {
        if (p != Unseen.P) {
            addRow(tile, row, weight, x0, x1, x2, x3);
        }
    }

    /** {@link #addSeen(float[], int, float, float, float, float, float, float)} to the same row of two tiles. */
    @Phase
    public static void addSeen(
            float[] a,
            float[] b,
            int row,
            float p,
            float weightA,
            float weightB,
            float a0,
            float a1,
            float a2,
            float a3,
            float b0,
            float b1,
            float b2,
            float b3) {
        if (p != Unseen.P) {
            addRow(a, row, weightA, a0, a1, a2, a3);
            addRow(b, row, weightB, b0, b1, b2, b3);
        }
    }

    /** Puts a row into local memory. */
    @Phase
    public static void putRow(float[] tile, int row, float[] local, int at) {
        local[at] = tile[4 * row];
        local[at + 1] = tile[4 * row + 1];
        local[at + 2] = tile[4 * row + 2];
        local[at + 3] = tile[4 * row + 3];
    }

    /** Puts all rows into local memory, where they lie {@code stride} elements apart. */
    @Phase
    public static void put(float[] tile, float[] local, int at, int stride) {
        putRow(tile, 0, local, at);
        putRow(tile, 1, local, at + stride);
        putRow(tile, 2, local, at + 2 * stride);
        putRow(tile, 3, local, at + 3 * stride);
        putRow(tile, 4, local, at + 4 * stride);
        putRow(tile, 5, local, at + 5 * stride);
        putRow(tile, 6, local, at + 6 * stride);
        putRow(tile, 7, local, at + 7 * stride);
    }

    /** Adds all sums to totals of {@link PartialSums}, from {@code at} on. */
    @Phase
    public static void join(float[] tile, float[] total, int at) {
        joinRow(tile, 0, total, at);
        joinRow(tile, 1, total, at + 4);
        joinRow(tile, 2, total, at + 8);
        joinRow(tile, 3, total, at + 12);
        joinRow(tile, 4, total, at + 16);
        joinRow(tile, 5, total, at + 20);
        joinRow(tile, 6, total, at + 24);
        joinRow(tile, 7, total, at + 28);
    }

    @Phase
    private static void joinRow(float[] tile, int row, float[] total, int at) {
        total[at] += tile[4 * row];
        total[at + 1] += tile[4 * row + 1];
        total[at + 2] += tile[4 * row + 2];
        total[at + 3] += tile[4 * row + 3];
    }
}
