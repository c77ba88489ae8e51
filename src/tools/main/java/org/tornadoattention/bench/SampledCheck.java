package org.tornadoattention.bench;

import java.util.List;
import java.util.stream.IntStream;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.Tensor;

/**
 * Compares some rows of a large result with the float64 oracle, which would take minutes for all of them: blocks of
 * rows from the first, a middle and the last head, at the start, the middle and the end of the sequence. The oracle
 * runs once, for any number of kernels.
 *
 * <p>A block of consecutive queries is a problem of its own: without a mask it sees all keys, and under a causal mask,
 * which is aligned to the bottom right, it is the last queries over the keys up to its own end.
 */
final class SampledCheck {

    private static final int ROWS = 32;

    /** Rows of one head and what they must be. */
    private record Block(int at, int rows, AccuracyCheck check) {}

    private final AttentionShape shape;
    private final List<Block> blocks;

    SampledCheck(BenchCase checked, Tensor q, Tensor k, Tensor v) {
        shape = checked.shape();
        int rows = Math.min(ROWS, shape.seqQ());
        int lastHead = shape.batch() * shape.heads() - 1;
        int[] starts = {0, (shape.seqQ() - rows) / 2, shape.seqQ() - rows};
        blocks = IntStream.of(0, lastHead / 2, lastHead)
                .boxed()
                .flatMap(head -> IntStream.of(starts).mapToObj(row -> new int[] {head, row}))
                .toList()
                .parallelStream()
                .map(at -> block(checked, q, k, v, at[0], at[1], rows))
                .toList();
    }

    private Block block(BenchCase checked, Tensor q, Tensor k, Tensor v, int head, int row, int rows) {
        int keyHead = head / shape.heads() * shape.kvHeads() + shape.kvHead(head % shape.heads());
        int keys = checked.causal() ? Math.max(0, row + rows + shape.seqK() - shape.seqQ()) : shape.seqK();
        int at = head * shape.seqQ() + row;
        int dim = shape.headDim();
        int valueDim = shape.valueDim();
        int firstKey = keyHead * shape.seqK();
        return new Block(
                at,
                rows,
                AccuracyCheck.of(
                        slice(q, at * dim, 1, 1, rows, dim),
                        slice(k, firstKey * dim, 1, 1, keys, dim),
                        slice(v, firstKey * valueDim, 1, 1, keys, valueDim),
                        checked.options()));
    }

    /** The comparisons of each block, with a kernel's whose products are of 8-bit numbers, or another's. */
    List<Comparison> compare(Tensor output, Tensor logSumExp, boolean fp8) {
        int valueDim = shape.valueDim();
        return blocks.parallelStream()
                .flatMap(block -> block
                        .check
                        .ofProducts(fp8)
                        .forward(
                                slice(output, block.at * valueDim, 1, 1, block.rows, valueDim),
                                slice(logSumExp, block.at, 1, 1, block.rows))
                        .stream())
                .toList();
    }

    private static Tensor slice(Tensor tensor, int from, int... shape) {
        Tensor slice = Tensor.allocate(tensor.dtype(), shape);
        for (int element = 0; element < slice.numberOfElements(); element++) {
            slice.setFlat(element, tensor.getFlat(from + element));
        }
        return slice;
    }
}
