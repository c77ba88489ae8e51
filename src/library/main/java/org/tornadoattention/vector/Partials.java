package org.tornadoattention.vector;

import java.util.Arrays;

/** Unfinished rows of tiles whose keys are divided into parts, which several threads attend to. */
final class Partials {

    private final int rows;
    private final int parts;
    private final int stride;
    private final float[] outputs;
    private final float[] maxima;
    private final float[] sums;

    /**
     * Room for parts.
     *
     * @param rows of a tile at most
     * @param stride elements of a row
     */
    Partials(int tiles, int parts, int rows, int stride) {
        this.rows = rows;
        this.parts = parts;
        this.stride = stride;
        int all = Math.multiplyExact(Math.multiplyExact(tiles, parts), rows);
        outputs = new float[Math.multiplyExact(all, stride)];
        maxima = new float[all];
        sums = new float[all];
    }

    long bytes() {
        return Float.BYTES * ((long) outputs.length + maxima.length + sums.length);
    }

    /** Keeps one part of a tile. */
    void set(int tile, int part, int count, float[] o, float[] max, float[] sum, int oStride) {
        int at = (tile * parts + part) * rows;
        for (int row = 0; row < count; row++) {
            System.arraycopy(o, row * oStride, outputs, (at + row) * stride, stride);
        }
        System.arraycopy(max, 0, maxima, at, count);
        System.arraycopy(sum, 0, sums, at, count);
    }

    /** Sums the parts of a tile under the largest of their maxima. */
    void merge(int tile, int count, float[] o, float[] max, float[] sum, int oStride) {
        for (int row = 0; row < count; row++) {
            int at = tile * parts * rows + row;
            float largest = Float.NEGATIVE_INFINITY;
            for (int part = 0; part < parts; part++) {
                largest = Math.max(largest, maxima[at + part * rows]);
            }
            max[row] = largest;
            sum[row] = 0;
            Arrays.fill(o, row * oStride, row * oStride + stride, 0);
            for (int part = 0; part < parts; part++) {
                int from = at + part * rows;
                if (sums[from] == 0) {
                    continue; // a part without keys for this row
                }
                float factor = Exp2.of(maxima[from] - largest);
                sum[row] = Fused.fma(sums[from], factor, sum[row]);
                for (int dim = 0; dim < stride; dim++) {
                    int to = row * oStride + dim;
                    o[to] = Fused.fma(outputs[from * stride + dim], factor, o[to]);
                }
            }
        }
    }
}
