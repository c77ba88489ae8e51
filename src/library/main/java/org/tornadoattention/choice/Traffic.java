package org.tornadoattention.choice;

import org.tornadoattention.AttentionShape;
import org.tornadoattention.Mask;

/** What a forward kernel loads and stores; what caches spare of it is not known. */
public enum Traffic {
    /** S and P go to memory and come back. */
    STORED_SCORES("S and P written and read", false) {
        @Override
        double keyValueBytes(AttentionProblem problem, Tile tile) {
            AttentionShape shape = problem.shape();
            double scores = (double) shape.seqQ() * shape.seqK();
            return shape.seqK() * rowBytes(problem) + 4 * Float.BYTES * scores;
        }
    },
    /** Each query reads the keys and values that it sees. */
    EACH_QUERY("K and V once for each query that sees them, nearly all of it from caches", true) {
        @Override
        double keyValueBytes(AttentionProblem problem, Tile tile) {
            AttentionShape shape = problem.shape();
            return problem.mask().visiblePairs(shape.seqQ(), shape.seqK()) * rowBytes(problem);
        }
    },
    /** Each tile of queries reads the keys and values that any of its queries sees. */
    EACH_TILE("K and V once for each tile of queries that sees them", false) {
        @Override
        double keyValueBytes(AttentionProblem problem, Tile tile) {
            return (double) keyTiles(problem, tile) * tile.blockK() * rowBytes(problem);
        }
    };

    private final String description;
    private final boolean mostlyCached;

    Traffic(String description, boolean mostlyCached) {
        this.description = description;
        this.mostlyCached = mostlyCached;
    }

    /** {@return what is moved, in a few words} */
    public String description() {
        return description;
    }

    /**
     * {@return whether nearly all of it comes from caches, so that device memory sees little more than each tensor
     * once}
     */
    public boolean mostlyCached() {
        return mostlyCached;
    }

    /**
     * Bytes of all heads.
     *
     * @param problem what is computed: shape, type, options
     * @param tile the kernel's tile, or for a kernel without tiles any
     * @return bytes loaded and stored, as the kernel asks for them
     */
    public double bytes(AttentionProblem problem, Tile tile) {
        AttentionShape shape = problem.shape();
        double queryAndOutput = shape.seqQ() * rowBytes(problem) + (double) Float.BYTES * shape.seqQ();
        return (queryAndOutput + keyValueBytes(problem, tile)) * shape.batch() * shape.heads();
    }

    /** Bytes of keys, values and scores of one head. */
    abstract double keyValueBytes(AttentionProblem problem, Tile tile);

    /** A row of K and one of V, or a row of Q and one of O. */
    private static double rowBytes(AttentionProblem problem) {
        AttentionShape shape = problem.shape();
        return (double) (shape.headDim() + shape.valueDim()) * problem.dtype().byteSize();
    }

    /**
     * Tiles of one head that some query sees, as kernels count them: from the first key to the last of each row of
     * tiles.
     */
    private static long keyTiles(AttentionProblem problem, Tile tile) {
        int seqQ = problem.shape().seqQ();
        int seqK = problem.shape().seqK();
        Mask mask = problem.mask();
        long tiles = 0;
        for (int first = 0; first < seqQ; first += tile.blockQ()) {
            int last = Math.min(first + tile.blockQ(), seqQ) - 1;
            int end = Math.ceilDiv(mask.endKey(last, seqQ, seqK), tile.blockK());
            tiles += Math.max(0, end - mask.firstKey(first, seqQ, seqK) / tile.blockK());
        }
        return tiles;
    }
}
