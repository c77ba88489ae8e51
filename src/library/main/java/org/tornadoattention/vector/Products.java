package org.tornadoattention.vector;

import java.util.Arrays;

/** Products where not every number may be touched. */
final class Products {

    private Products() {}

    /** The next multiple of {@code unit}. */
    static int padded(int count, int unit) {
        return Math.ceilDiv(count, unit) * unit;
    }

    /**
     * {@code c[i][·] = factors[i] · c[i][·] + Σ_k a(i, k) · b[k][·]}: a {@link Lanes#product}, or {@link #ofSeen} where
     * b has numbers that not all rows may meet.
     *
     * @param free whether every row may meet all of b: it is finite, or all of it is seen
     */
    static void add(
            Lanes lanes,
            boolean free,
            float[] a,
            int aAt,
            int aRow,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int cAt,
            int cRow,
            int rows,
            int columns,
            int depth,
            float[] factors,
            int factorsAt) {
        if (free) {
            lanes.product(a, aAt, aRow, aStep, b, bAt, bRow, c, cAt, cRow, rows, columns, depth, factors, factorsAt);
        } else {
            ofSeen(a, aAt, aRow, aStep, b, bAt, bRow, c, cAt, cRow, rows, columns, depth, factors, factorsAt);
        }
    }

    /**
     * {@link Lanes#product} without the terms whose {@code a(i, k)} is +0: where b is not finite, 0 · NaN must not
     * reach rows that do not see k. That of a pair which dropout drops is −0, and reaches them.
     */
    private static void ofSeen(
            float[] a,
            int aAt,
            int aRow,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int cAt,
            int cRow,
            int rows,
            int columns,
            int depth,
            float[] factors,
            int factorsAt) {
        float[] sum = new float[columns];
        for (int row = 0; row < rows; row++) {
            Arrays.fill(sum, 0);
            for (int k = 0; k < depth; k++) {
                float factor = a[aAt + row * aRow + k * aStep];
                boolean isSeen = Float.floatToRawIntBits(factor) != 0;
                for (int column = 0; isSeen && column < columns; column++) {
                    sum[column] = Fused.fma(factor, b[bAt + k * bRow + column], sum[column]);
                }
            }
            for (int column = 0; column < columns; column++) {
                int to = cAt + row * cRow + column;
                c[to] = c[to] * factors[factorsAt + row] + sum[column];
            }
        }
    }
}
