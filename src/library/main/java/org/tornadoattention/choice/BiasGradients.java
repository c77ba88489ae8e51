package org.tornadoattention.choice;

import java.util.List;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.kernel.BiasGradient;
import org.tornadoattention.kernel.WarpGroupKeyValueGradients;

/**
 * How the gradient of a bias is computed, after those of queries, keys and values.
 *
 * @param pass the launches of the three gradients where one of them computes this one too, else none: those of the
 *     backward pass are left as they are
 * @param launches in order
 * @param scratch the memory that they hand each other
 */
public record BiasGradients(List<Launch> pass, List<Launch> launches, List<Scratch> scratch) {

    /** Groups that a multiprocessor runs at once, of those that divide the heads of a tile. */
    private static final int GROUPS_PER_UNIT = 2;

    private static final String PARTS = "biasParts";

    /** Keeps copies. */
    public BiasGradients {
        pass = List.copyOf(pass);
        launches = List.copyOf(launches);
        scratch = List.copyOf(scratch);
    }

    /** By a kernel without tiles, which every device takes. */
    static BiasGradients byElement(Work work, int biasBatch, int biasHeads) {
        Launch launch = Launch.of("-dbias", BiasGradient.class, "biasGradient")
                .with("biasBatch", biasBatch)
                .with("biasHeads", biasHeads)
                .overElements(elements(work.shape(), biasBatch, biasHeads), work.groupSize());
        return new BiasGradients(List.of(), List.of(launch), List.of());
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
        int shared = shared(shape, biasBatch, biasHeads);
        int parts = Math.clamp((long) GROUPS_PER_UNIT * work.device().computeUnits() / tiles, 1, shared);
        Launch ofTiles = launch.with("biasBatch", biasBatch)
                .with("biasHeads", biasHeads)
                .with("shared", shared)
                .with("parts", parts)
                .groups(parts * tiles, groupSize);
        if (parts == 1) {
            return new BiasGradients(List.of(), List.of(ofTiles.with(PARTS, "biasGradient")), List.of());
        }
        long elements = elements(shape, biasBatch, biasHeads);
        return new BiasGradients(
                List.of(),
                List.of(
                        ofTiles,
                        Launch.of("-dbias-sum", BiasGradient.class, "sum")
                                .with("parts", parts)
                                .overElements(elements, work.groupSize())),
                List.of(Scratch.floats(PARTS, parts * elements)));
    }

    /**
     * In the kernel that computes the other gradients, whose groups have the heads of a part one after the other, so
     * that what they add to stays in the device's cache; and a launch that adds the parts.
     *
     * @param pass its launches, of which that with this suffix computes this gradient too
     * @param parts in which the heads are divided
     * @param blocks its tile, as {@link WarpGroupKeyValueGradients#blocks} says
     */
    static BiasGradients within(
            Work work,
            List<Launch> pass,
            String suffix,
            int biasBatch,
            int biasHeads,
            int parts,
            int blocks,
            long groups) {
        long elements = paddedElements(work.shape(), biasBatch, biasHeads, blocks & 0xfff, blocks >> 12);
        return new BiasGradients(
                pass.stream()
                        .map(launch -> launch.suffix().equals(suffix)
                                ? launch.with("parts", parts)
                                        .with("shared", shared(work.shape(), biasBatch, biasHeads))
                                        .with("biasBatch", biasBatch)
                                        .with("biasHeads", biasHeads)
                                        .groups(groups, launch.groupSize())
                                : launch)
                        .toList(),
                List.of(Launch.of("-dbias-sum", BiasGradient.class, "sumOfTiles")
                        .with("parts", parts)
                        .with("blocks", blocks)
                        .overElements(elements / 4, work.groupSize())),
                List.of(Scratch.floats(PARTS, parts * elements)));
    }

    /** Elements of all tiles of a bias, with those of its edges as large as others. */
    static long paddedElements(AttentionShape shape, int biasBatch, int biasHeads, int blockQ, int blockK) {
        return (long) biasBatch
                * biasHeads
                * Math.ceilDiv(shape.seqQ(), blockQ)
                * blockQ
                * Math.ceilDiv(shape.seqK(), blockK)
                * blockK;
    }

    /** Heads of batch entries that share an element. */
    static int shared(AttentionShape shape, int biasBatch, int biasHeads) {
        return shape.batch() / biasBatch * (shape.heads() / biasHeads);
    }

    private static long elements(AttentionShape shape, int biasBatch, int biasHeads) {
        return Math.multiplyExact((long) biasBatch * biasHeads, (long) shape.seqQ() * shape.seqK());
    }
}
