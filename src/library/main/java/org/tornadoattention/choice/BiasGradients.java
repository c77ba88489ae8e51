package org.tornadoattention.choice;

import java.util.List;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.kernel.BiasGradient;

/**
 * How the gradient of a bias is computed, after those of queries, keys and values.
 *
 * @param launches in order
 * @param scratch the memory that they hand each other
 */
public record BiasGradients(List<Launch> launches, List<Scratch> scratch) {

    /** Groups that a multiprocessor runs at once, of those that divide the heads of a tile. */
    private static final int GROUPS_PER_UNIT = 2;

    private static final String PARTS = "biasParts";

    /** Keeps copies. */
    public BiasGradients {
        launches = List.copyOf(launches);
        scratch = List.copyOf(scratch);
    }

    /** By a kernel without tiles, which every device takes. */
    static BiasGradients byElement(Work work, int biasBatch, int biasHeads) {
        Launch launch = Launch.of("-dbias", BiasGradient.class, "biasGradient")
                .with("biasBatch", biasBatch)
                .with("biasHeads", biasHeads)
                .overElements(elements(work.shape(), biasBatch, biasHeads), work.groupSize());
        return new BiasGradients(List.of(launch), List.of());
    }

    /**
     * By a kernel whose groups have a tile each. Where a device has room for more groups than there are tiles, several
     * divide the heads that share one, and a second launch adds their sums.
     *
     * @param launch the kernel with what it takes of its own
     * @param groupSize its work-items
     */
    static BiasGradients byTiles(
            Work work, int biasBatch, int biasHeads, Launch launch, int blockQ, int blockK, int groupSize) {
        AttentionShape shape = work.shape();
        long tiles =
                (long) biasBatch * biasHeads * Math.ceilDiv(shape.seqQ(), blockQ) * Math.ceilDiv(shape.seqK(), blockK);
        int shared = shape.batch() / biasBatch * (shape.heads() / biasHeads);
        int parts = Math.clamp((long) GROUPS_PER_UNIT * work.device().computeUnits() / tiles, 1, shared);
        Launch ofTiles = launch.with("biasBatch", biasBatch)
                .with("biasHeads", biasHeads)
                .with("shared", shared)
                .with("parts", parts)
                .groups(parts * tiles, groupSize);
        if (parts == 1) {
            return new BiasGradients(List.of(ofTiles.with(PARTS, "biasGradient")), List.of());
        }
        long elements = elements(shape, biasBatch, biasHeads);
        return new BiasGradients(
                List.of(
                        ofTiles,
                        Launch.of("-dbias-sum", BiasGradient.class, "sum")
                                .with("parts", parts)
                                .overElements(elements, work.groupSize())),
                List.of(Scratch.floats(PARTS, parts * elements)));
    }

    private static long elements(AttentionShape shape, int biasBatch, int biasHeads) {
        return Math.multiplyExact((long) biasBatch * biasHeads, (long) shape.seqQ() * shape.seqK());
    }
}
