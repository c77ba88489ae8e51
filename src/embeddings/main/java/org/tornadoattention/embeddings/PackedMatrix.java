package org.tornadoattention.embeddings;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * A weight matrix {@code [depth, columns]} with its bias, in panels of two vectors' columns: a product reads each panel from its
 * beginning to its end.
 */
final class PackedMatrix {

    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    private static final int LANES = SPECIES.length();
    /** Columns of a panel. */
    static final int PANEL = 2 * LANES;

    /** Rows at a time: with 32 registers 8 rows of two vectors stay in them, with 16 registers 4. */
    private static final boolean EIGHT_ROWS = LANES == 16;

    private final int depth;
    private final int columns;
    private final float[] panels;
    private final float[] bias;

    /**
     * Packs matrices side by side.
     *
     * @param depth rows of each
     * @param parts row-major matrices of that many rows
     * @param biases one for each column of each part
     */
    PackedMatrix(int depth, float[][] parts, float[][] biases) {
        this.depth = depth;
        columns = Arrays.stream(biases).mapToInt(part -> part.length).sum();
        int padded = Math.ceilDiv(columns, PANEL) * PANEL;
        panels = new float[Math.multiplyExact(padded, depth)];
        bias = new float[padded];
        int first = 0;
        for (int part = 0; part < parts.length; part++) {
            int width = biases[part].length;
            if (parts[part].length != width * depth) {
                throw new IllegalArgumentException("A matrix has %d elements, and not %d x %d: the file is damaged."
                        .formatted(parts[part].length, depth, width));
            }
            System.arraycopy(biases[part], 0, bias, first, width);
            for (int column = 0; column < width; column++) {
                int at = (first + column) / PANEL * PANEL * depth + (first + column) % PANEL;
                for (int k = 0; k < depth; k++) {
                    panels[at + k * PANEL] = parts[part][k * width + column];
                }
            }
            first += width;
        }
    }

    int columns() {
        return columns;
    }

    int depth() {
        return depth;
    }

    /** The matrix {@code [depth, columns]}, row by row. */
    float[] rowMajor() {
        float[] matrix = new float[depth * columns];
        for (int k = 0; k < depth; k++) {
            for (int column = 0; column < columns; column++) {
                matrix[k * columns + column] = panels[column / PANEL * PANEL * depth + k * PANEL + column % PANEL];
            }
        }
        return matrix;
    }

    /** What is added, a number for each column. */
    float[] bias() {
        return Arrays.copyOf(bias, columns);
    }

    /** Columns of a row of {@link #product}: this matrix's, and 0s up to a whole panel. */
    int rowLength() {
        return bias.length;
    }

    /**
     * {@code c = a · this + bias}.
     *
     * @param a rows of {@link #depth} elements
     * @param rows how many
     * @param c gets rows of {@link #rowLength} elements
     */
    void product(float[] a, int rows, float[] c) {
        product(a, rows, c, 0, bias.length);
    }

    /**
     * Some columns of {@link #product(float[], int, float[])}.
     *
     * @param from the first, a multiple of {@link #PANEL}
     * @param to the one after the last, a multiple of it too
     */
    void product(float[] a, int rows, float[] c, int from, int to) {
        for (int panel = from; panel < to; panel += PANEL) {
            int row = 0;
            for (; EIGHT_ROWS && row + 8 <= rows; row += 8) {
                eightRows(a, row * depth, panel, c, row * bias.length + panel);
            }
            for (; row + 4 <= rows; row += 4) {
                fourRows(a, row * depth, panel, c, row * bias.length + panel);
            }
            if (row < rows && rows >= 4) {
                // Some rows a second time, to the same bits: a row by itself takes as long as four.
                fourRows(a, (rows - 4) * depth, panel, c, (rows - 4) * bias.length + panel);
                row = rows;
            }
            for (; row < rows; row++) {
                oneRow(a, row * depth, panel, c, row * bias.length + panel);
            }
        }
    }

    private static FloatVector times(float[] a, int at, FloatVector b, FloatVector sum) {
        return FloatVector.broadcast(SPECIES, a[at]).fma(b, sum);
    }

    /** Two vectors of each of eight rows, in registers to the end. */
    private void eightRows(float[] a, int aAt, int panel, float[] c, int cAt) {
        FloatVector left = FloatVector.fromArray(SPECIES, bias, panel);
        FloatVector right = FloatVector.fromArray(SPECIES, bias, panel + LANES);
        FloatVector l0 = left, l1 = left, l2 = left, l3 = left, l4 = left, l5 = left, l6 = left, l7 = left;
        FloatVector r0 = right, r1 = right, r2 = right, r3 = right, r4 = right, r5 = right, r6 = right, r7 = right;
        int b = panel * depth;
        int row1 = aAt + depth;
        int row2 = row1 + depth;
        int row3 = row2 + depth;
        int row4 = row3 + depth;
        int row5 = row4 + depth;
        int row6 = row5 + depth;
        int row7 = row6 + depth;
        for (int k = 0; k < depth; k++, b += PANEL) {
            FloatVector bl = FloatVector.fromArray(SPECIES, panels, b);
            FloatVector br = FloatVector.fromArray(SPECIES, panels, b + LANES);
            l0 = times(a, aAt + k, bl, l0);
            r0 = times(a, aAt + k, br, r0);
            l1 = times(a, row1 + k, bl, l1);
            r1 = times(a, row1 + k, br, r1);
            l2 = times(a, row2 + k, bl, l2);
            r2 = times(a, row2 + k, br, r2);
            l3 = times(a, row3 + k, bl, l3);
            r3 = times(a, row3 + k, br, r3);
            l4 = times(a, row4 + k, bl, l4);
            r4 = times(a, row4 + k, br, r4);
            l5 = times(a, row5 + k, bl, l5);
            r5 = times(a, row5 + k, br, r5);
            l6 = times(a, row6 + k, bl, l6);
            r6 = times(a, row6 + k, br, r6);
            l7 = times(a, row7 + k, bl, l7);
            r7 = times(a, row7 + k, br, r7);
        }
        int to = cAt;
        store(l0, r0, c, to);
        store(l1, r1, c, to += bias.length);
        store(l2, r2, c, to += bias.length);
        store(l3, r3, c, to += bias.length);
        store(l4, r4, c, to += bias.length);
        store(l5, r5, c, to += bias.length);
        store(l6, r6, c, to += bias.length);
        store(l7, r7, c, to + bias.length);
    }

    private void fourRows(float[] a, int aAt, int panel, float[] c, int cAt) {
        FloatVector left = FloatVector.fromArray(SPECIES, bias, panel);
        FloatVector right = FloatVector.fromArray(SPECIES, bias, panel + LANES);
        FloatVector l0 = left, l1 = left, l2 = left, l3 = left;
        FloatVector r0 = right, r1 = right, r2 = right, r3 = right;
        int b = panel * depth;
        int row1 = aAt + depth;
        int row2 = row1 + depth;
        int row3 = row2 + depth;
        for (int k = 0; k < depth; k++, b += PANEL) {
            FloatVector bl = FloatVector.fromArray(SPECIES, panels, b);
            FloatVector br = FloatVector.fromArray(SPECIES, panels, b + LANES);
            l0 = times(a, aAt + k, bl, l0);
            r0 = times(a, aAt + k, br, r0);
            l1 = times(a, row1 + k, bl, l1);
            r1 = times(a, row1 + k, br, r1);
            l2 = times(a, row2 + k, bl, l2);
            r2 = times(a, row2 + k, br, r2);
            l3 = times(a, row3 + k, bl, l3);
            r3 = times(a, row3 + k, br, r3);
        }
        store(l0, r0, c, cAt);
        store(l1, r1, c, cAt + bias.length);
        store(l2, r2, c, cAt + 2 * bias.length);
        store(l3, r3, c, cAt + 3 * bias.length);
    }

    private void oneRow(float[] a, int aAt, int panel, float[] c, int cAt) {
        FloatVector left = FloatVector.fromArray(SPECIES, bias, panel);
        FloatVector right = FloatVector.fromArray(SPECIES, bias, panel + LANES);
        int b = panel * depth;
        for (int k = 0; k < depth; k++, b += PANEL) {
            left = times(a, aAt + k, FloatVector.fromArray(SPECIES, panels, b), left);
            right = times(a, aAt + k, FloatVector.fromArray(SPECIES, panels, b + LANES), right);
        }
        store(left, right, c, cAt);
    }

    private static void store(FloatVector left, FloatVector right, float[] c, int at) {
        left.intoArray(c, at);
        right.intoArray(c, at + LANES);
    }
}
