package org.tornadoattention.embeddings;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * A weight matrix {@code [depth, columns]} with its bias, in panels of a few vectors' columns. Each vector's columns
 * lie one row behind the other, so that a product reads as many streams as a panel has vectors: weights of many
 * products do not stay in the near caches, and one stream alone waits where each page of memory begins. Loops are
 * written out for six and for four rows: the JIT makes objects of vectors that an array or a helper stands between.
 */
final class PackedMatrix {

    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    private static final int LANES = SPECIES.length();

    /**
     * Whether six rows of four vectors of sums, with a panel's four and a broadcast number, have room in the registers.
     */
    private static final boolean MANY_REGISTERS = LANES == 16;

    /** Columns of a panel. */
    static final int PANEL = (MANY_REGISTERS ? 4 : 2) * LANES;

    /** A product has a multiple of so many rows: one row by itself takes as long as so many. */
    static final int ROWS = 4;

    /** Multiples of so many rows leave none to slower loops. */
    static final int BEST_ROWS = 12;

    /** Rows of a panel that all rows of a product meet before the next ones are read: they stay in the second cache. */
    private static final int DEPTH_AT_ONCE = 384;

    /** From a vector's columns to those of the next, in as many rows: a constant, so that it takes no register. */
    private static final int STREAM = DEPTH_AT_ONCE * LANES;

    /** Elements of a panel in as many rows. */
    private static final int PIECE = DEPTH_AT_ONCE * PANEL;

    private final int depth;
    private final float[] panels;
    private final float[] bias;

    /** Packs a matrix. */
    PackedMatrix(BertWeights.Dense dense) {
        depth = dense.depth();
        int columns = dense.columns();
        int padded = Math.ceilDiv(columns, PANEL) * PANEL;
        panels = new float[Math.multiplyExact(padded, Math.ceilDiv(depth, DEPTH_AT_ONCE) * DEPTH_AT_ONCE)];
        bias = new float[padded];
        System.arraycopy(dense.bias(), 0, bias, 0, columns);
        for (int k = 0; k < depth; k++) {
            for (int column = 0; column < columns; column += LANES) {
                int stream = piece(column / PANEL * PANEL, k) + column % PANEL / LANES * STREAM;
                System.arraycopy(
                        dense.matrix(),
                        k * columns + column,
                        panels,
                        stream + k % DEPTH_AT_ONCE * LANES,
                        Math.min(LANES, columns - column));
            }
        }
    }

    /** Where the rows around row {@code k} begin, of the panel whose first column is given. */
    private int piece(int column, int k) {
        return (column / PANEL * Math.ceilDiv(depth, DEPTH_AT_ONCE) + k / DEPTH_AT_ONCE) * PIECE;
    }

    /** Columns of a row of {@link #product}: the matrix's, and 0s up to a whole panel. */
    int rowLength() {
        return bias.length;
    }

    int panels() {
        return bias.length / PANEL;
    }

    /**
     * The columns of one panel of {@code c = a · this + bias}.
     *
     * @param a rows of {@code aRow} elements from {@code aAt} on, of which as many count as the matrix is deep
     * @param rows how many, a multiple of {@link #ROWS}
     * @param c gets rows of {@link #rowLength} elements from {@code cAt} on
     * @param panel from 0
     */
    void product(float[] a, int aAt, int aRow, int rows, float[] c, int cAt, int panel) {
        int column = panel * PANEL;
        for (int k = 0; k < depth; k += DEPTH_AT_ONCE) {
            add(a, aAt + k, aRow, k, Math.min(DEPTH_AT_ONCE, depth - k), rows, column, c, cAt + column);
        }
    }

    /** Adds what rows {@code k} to {@code k + count} of a panel give, the first ones to the bias. */
    private void add(float[] a, int aAt, int aRow, int k, int count, int rows, int column, float[] c, int cAt) {
        // What is left behind a multiple of twelve is one or two times four rows.
        int sixes = MANY_REGISTERS ? rows / BEST_ROWS * BEST_ROWS : 0;
        for (int row = 0; row < sixes; row += 6) {
            sixByFour(a, aAt + row * aRow, aRow, column, k, count, c, cAt + row * bias.length);
        }
        for (int row = sixes; row < rows; row += ROWS) {
            int at = aAt + row * aRow;
            int to = cAt + row * bias.length;
            if (MANY_REGISTERS) {
                fourByFour(a, at, aRow, column, k, count, c, to);
            } else {
                fourByTwo(a, at, aRow, column, k, count, c, to);
            }
        }
    }

    private static FloatVector load(float[] from, int at) {
        return FloatVector.fromArray(SPECIES, from, at);
    }

    /**
     * Six rows of four vectors, in registers from the first product to the last.
     *
     * @param first of the rows of the panel: where it is 0, sums begin with the bias
     */
    private void sixByFour(float[] a, int aAt, int aRow, int column, int first, int count, float[] c, int cAt) {
        int a1 = aAt + aRow;
        int a2 = a1 + aRow;
        int a3 = a2 + aRow;
        int a4 = a3 + aRow;
        int a5 = a4 + aRow;
        int c1 = cAt + bias.length;
        int c2 = c1 + bias.length;
        int c3 = c2 + bias.length;
        int c4 = c3 + bias.length;
        int c5 = c4 + bias.length;
        float[] s = first == 0 ? bias : c;
        int s0 = first == 0 ? column : cAt;
        int sRow = first == 0 ? 0 : bias.length;
        int s1 = s0 + sRow;
        int s2 = s1 + sRow;
        int s3 = s2 + sRow;
        int s4 = s3 + sRow;
        int s5 = s4 + sRow;
        FloatVector s00 = load(s, s0),
                s01 = load(s, s0 + LANES),
                s02 = load(s, s0 + 2 * LANES),
                s03 = load(s, s0 + 3 * LANES);
        FloatVector s10 = load(s, s1),
                s11 = load(s, s1 + LANES),
                s12 = load(s, s1 + 2 * LANES),
                s13 = load(s, s1 + 3 * LANES);
        FloatVector s20 = load(s, s2),
                s21 = load(s, s2 + LANES),
                s22 = load(s, s2 + 2 * LANES),
                s23 = load(s, s2 + 3 * LANES);
        FloatVector s30 = load(s, s3),
                s31 = load(s, s3 + LANES),
                s32 = load(s, s3 + 2 * LANES),
                s33 = load(s, s3 + 3 * LANES);
        FloatVector s40 = load(s, s4),
                s41 = load(s, s4 + LANES),
                s42 = load(s, s4 + 2 * LANES),
                s43 = load(s, s4 + 3 * LANES);
        FloatVector s50 = load(s, s5),
                s51 = load(s, s5 + LANES),
                s52 = load(s, s5 + 2 * LANES),
                s53 = load(s, s5 + 3 * LANES);
        for (int k = 0, b = piece(column, first); k < count; k++, b += LANES) {
            FloatVector b0 = load(panels, b);
            FloatVector b1 = load(panels, b + STREAM);
            FloatVector b2 = load(panels, b + 2 * STREAM);
            FloatVector b3 = load(panels, b + 3 * STREAM);
            FloatVector x0 = FloatVector.broadcast(SPECIES, a[aAt + k]);
            s00 = x0.fma(b0, s00);
            s01 = x0.fma(b1, s01);
            s02 = x0.fma(b2, s02);
            s03 = x0.fma(b3, s03);
            FloatVector x1 = FloatVector.broadcast(SPECIES, a[a1 + k]);
            s10 = x1.fma(b0, s10);
            s11 = x1.fma(b1, s11);
            s12 = x1.fma(b2, s12);
            s13 = x1.fma(b3, s13);
            FloatVector x2 = FloatVector.broadcast(SPECIES, a[a2 + k]);
            s20 = x2.fma(b0, s20);
            s21 = x2.fma(b1, s21);
            s22 = x2.fma(b2, s22);
            s23 = x2.fma(b3, s23);
            FloatVector x3 = FloatVector.broadcast(SPECIES, a[a3 + k]);
            s30 = x3.fma(b0, s30);
            s31 = x3.fma(b1, s31);
            s32 = x3.fma(b2, s32);
            s33 = x3.fma(b3, s33);
            FloatVector x4 = FloatVector.broadcast(SPECIES, a[a4 + k]);
            s40 = x4.fma(b0, s40);
            s41 = x4.fma(b1, s41);
            s42 = x4.fma(b2, s42);
            s43 = x4.fma(b3, s43);
            FloatVector x5 = FloatVector.broadcast(SPECIES, a[a5 + k]);
            s50 = x5.fma(b0, s50);
            s51 = x5.fma(b1, s51);
            s52 = x5.fma(b2, s52);
            s53 = x5.fma(b3, s53);
        }
        s00.intoArray(c, cAt);
        s01.intoArray(c, cAt + LANES);
        s02.intoArray(c, cAt + 2 * LANES);
        s03.intoArray(c, cAt + 3 * LANES);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LANES);
        s12.intoArray(c, c1 + 2 * LANES);
        s13.intoArray(c, c1 + 3 * LANES);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LANES);
        s22.intoArray(c, c2 + 2 * LANES);
        s23.intoArray(c, c2 + 3 * LANES);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LANES);
        s32.intoArray(c, c3 + 2 * LANES);
        s33.intoArray(c, c3 + 3 * LANES);
        s40.intoArray(c, c4);
        s41.intoArray(c, c4 + LANES);
        s42.intoArray(c, c4 + 2 * LANES);
        s43.intoArray(c, c4 + 3 * LANES);
        s50.intoArray(c, c5);
        s51.intoArray(c, c5 + LANES);
        s52.intoArray(c, c5 + 2 * LANES);
        s53.intoArray(c, c5 + 3 * LANES);
    }

    private void fourByFour(float[] a, int aAt, int aRow, int column, int first, int count, float[] c, int cAt) {
        int a1 = aAt + aRow;
        int a2 = a1 + aRow;
        int a3 = a2 + aRow;
        int c1 = cAt + bias.length;
        int c2 = c1 + bias.length;
        int c3 = c2 + bias.length;
        float[] s = first == 0 ? bias : c;
        int s0 = first == 0 ? column : cAt;
        int sRow = first == 0 ? 0 : bias.length;
        int s1 = s0 + sRow;
        int s2 = s1 + sRow;
        int s3 = s2 + sRow;
        FloatVector s00 = load(s, s0),
                s01 = load(s, s0 + LANES),
                s02 = load(s, s0 + 2 * LANES),
                s03 = load(s, s0 + 3 * LANES);
        FloatVector s10 = load(s, s1),
                s11 = load(s, s1 + LANES),
                s12 = load(s, s1 + 2 * LANES),
                s13 = load(s, s1 + 3 * LANES);
        FloatVector s20 = load(s, s2),
                s21 = load(s, s2 + LANES),
                s22 = load(s, s2 + 2 * LANES),
                s23 = load(s, s2 + 3 * LANES);
        FloatVector s30 = load(s, s3),
                s31 = load(s, s3 + LANES),
                s32 = load(s, s3 + 2 * LANES),
                s33 = load(s, s3 + 3 * LANES);
        for (int k = 0, b = piece(column, first); k < count; k++, b += LANES) {
            FloatVector b0 = load(panels, b);
            FloatVector b1 = load(panels, b + STREAM);
            FloatVector b2 = load(panels, b + 2 * STREAM);
            FloatVector b3 = load(panels, b + 3 * STREAM);
            FloatVector x0 = FloatVector.broadcast(SPECIES, a[aAt + k]);
            s00 = x0.fma(b0, s00);
            s01 = x0.fma(b1, s01);
            s02 = x0.fma(b2, s02);
            s03 = x0.fma(b3, s03);
            FloatVector x1 = FloatVector.broadcast(SPECIES, a[a1 + k]);
            s10 = x1.fma(b0, s10);
            s11 = x1.fma(b1, s11);
            s12 = x1.fma(b2, s12);
            s13 = x1.fma(b3, s13);
            FloatVector x2 = FloatVector.broadcast(SPECIES, a[a2 + k]);
            s20 = x2.fma(b0, s20);
            s21 = x2.fma(b1, s21);
            s22 = x2.fma(b2, s22);
            s23 = x2.fma(b3, s23);
            FloatVector x3 = FloatVector.broadcast(SPECIES, a[a3 + k]);
            s30 = x3.fma(b0, s30);
            s31 = x3.fma(b1, s31);
            s32 = x3.fma(b2, s32);
            s33 = x3.fma(b3, s33);
        }
        s00.intoArray(c, cAt);
        s01.intoArray(c, cAt + LANES);
        s02.intoArray(c, cAt + 2 * LANES);
        s03.intoArray(c, cAt + 3 * LANES);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LANES);
        s12.intoArray(c, c1 + 2 * LANES);
        s13.intoArray(c, c1 + 3 * LANES);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LANES);
        s22.intoArray(c, c2 + 2 * LANES);
        s23.intoArray(c, c2 + 3 * LANES);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LANES);
        s32.intoArray(c, c3 + 2 * LANES);
        s33.intoArray(c, c3 + 3 * LANES);
    }

    private void fourByTwo(float[] a, int aAt, int aRow, int column, int first, int count, float[] c, int cAt) {
        int a1 = aAt + aRow;
        int a2 = a1 + aRow;
        int a3 = a2 + aRow;
        int c1 = cAt + bias.length;
        int c2 = c1 + bias.length;
        int c3 = c2 + bias.length;
        float[] s = first == 0 ? bias : c;
        int s0 = first == 0 ? column : cAt;
        int sRow = first == 0 ? 0 : bias.length;
        int s1 = s0 + sRow;
        int s2 = s1 + sRow;
        int s3 = s2 + sRow;
        FloatVector s00 = load(s, s0), s01 = load(s, s0 + LANES);
        FloatVector s10 = load(s, s1), s11 = load(s, s1 + LANES);
        FloatVector s20 = load(s, s2), s21 = load(s, s2 + LANES);
        FloatVector s30 = load(s, s3), s31 = load(s, s3 + LANES);
        for (int k = 0, b = piece(column, first); k < count; k++, b += LANES) {
            FloatVector b0 = load(panels, b);
            FloatVector b1 = load(panels, b + STREAM);
            FloatVector x0 = FloatVector.broadcast(SPECIES, a[aAt + k]);
            s00 = x0.fma(b0, s00);
            s01 = x0.fma(b1, s01);
            FloatVector x1 = FloatVector.broadcast(SPECIES, a[a1 + k]);
            s10 = x1.fma(b0, s10);
            s11 = x1.fma(b1, s11);
            FloatVector x2 = FloatVector.broadcast(SPECIES, a[a2 + k]);
            s20 = x2.fma(b0, s20);
            s21 = x2.fma(b1, s21);
            FloatVector x3 = FloatVector.broadcast(SPECIES, a[a3 + k]);
            s30 = x3.fma(b0, s30);
            s31 = x3.fma(b1, s31);
        }
        s00.intoArray(c, cAt);
        s01.intoArray(c, cAt + LANES);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LANES);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LANES);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LANES);
    }
}
