package gpt;

import org.tornadoattention.kernel.MatrixProduct;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * A matrix product by rows: for CPUs and for the simulator, where {@link MatrixProduct} would move its tiles in vain.
 */
final class RowProduct {

    private RowProduct() {}

    /**
     * {@code C = A B}, or added to C if {@code accumulate} is 1: a row of C for each work-item; strides as
     * {@link MatrixProduct} has them.
     */
    static void byRows(
            FloatArray a,
            FloatArray b,
            FloatArray c,
            int columns,
            int depth,
            int aRow,
            int aColumn,
            int bRow,
            int bColumn,
            int accumulate) {
        for (@Parallel int i = 0; i < c.getSize() / columns; i++) {
            float[] sums = new float[columns];
            for (int j = 0; j < columns; j++) {
                sums[j] = 0f;
                if (accumulate == 1) {
                    sums[j] = c.get(i * columns + j);
                }
            }
            for (int k = 0; k < depth; k++) {
                float factor = a.get(i * aRow + k * aColumn);
                for (int j = 0; j < columns; j++) {
                    sums[j] += factor * b.get(k * bRow + j * bColumn);
                }
            }
            for (int j = 0; j < columns; j++) {
                c.set(i * columns + j, sums[j]);
            }
        }
    }
}
