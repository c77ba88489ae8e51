package org.tornadoattention.vector;

import java.util.Arrays;

/**
 * Rows of sums over very many keys or queries: runs of a few tiles are added to totals, since in one chain of F32 each
 * term would be rounded to what the sum has grown to.
 */
final class Totals {

    /** Tiles of a run. */
    static final int TILES = 32;

    private final float[] totals;
    private boolean some;

    /** @param size elements of all rows */
    Totals(int size) {
        totals = new float[size];
    }

    long bytes() {
        return Float.BYTES * (long) totals.length;
    }

    /** Forgets what was added. */
    void clear() {
        some = false;
    }

    /** Whether anything was added. */
    boolean hasSome() {
        return some;
    }

    /**
     * Adds a run, and makes it 0 for the next.
     *
     * @param run rows of {@code stride} elements
     * @param factors what the totals of each row are multiplied by before, or null for nothing
     */
    void add(float[] run, int rows, int stride, float[] factors) {
        if (!some) {
            System.arraycopy(run, 0, totals, 0, rows * stride);
            some = true;
        } else {
            for (int row = 0; row < rows; row++) {
                addRow(run, row * stride, stride, factors == null ? 1 : factors[row]);
            }
        }
        Arrays.fill(run, 0, rows * stride, 0);
    }

    private void addRow(float[] run, int at, int count, float factor) {
        for (int i = at; i < at + count; i++) {
            totals[i] = Fused.fma(totals[i], factor, run[i]);
        }
    }

    /** Adds the last run, if there were others, and leaves the totals in its place. */
    void finish(float[] run, int rows, int stride, float[] factors) {
        if (some) {
            add(run, rows, stride, factors);
            System.arraycopy(totals, 0, run, 0, rows * stride);
        }
    }
}
