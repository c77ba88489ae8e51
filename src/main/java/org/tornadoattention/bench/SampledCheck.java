package org.tornadoattention.bench;

import java.util.ArrayList;
import java.util.List;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.Tensor;

/**
 * Compares some rows of a large result with the float64 oracle, which would take minutes for all of them: blocks of rows
 * from the first, a middle and the last head, at the start, the middle and the end of the sequence.
 *
 * <p>A block of consecutive queries is a problem of its own: without a mask it sees all keys, and under a causal mask,
 * which is aligned to the bottom right, it is the last queries over the keys up to its own end.
 */
final class SampledCheck {

    private static final int ROWS = 32;

    private final ForwardCase checked;
    private final Tensor q;
    private final Tensor k;
    private final Tensor v;

    SampledCheck(ForwardCase checked, Tensor q, Tensor k, Tensor v) {
        this.checked = checked;
        this.q = q;
        this.k = k;
        this.v = v;
    }

    /** The comparisons of each block. */
    List<Comparison> compare(Tensor output, Tensor logSumExp) {
        AttentionShape shape = checked.shape();
        int rows = Math.min(ROWS, shape.seqQ());
        int lastHead = shape.batch() * shape.heads() - 1;
        List<Comparison> comparisons = new ArrayList<>();
        for (int head : new int[] {0, lastHead / 2, lastHead}) {
            for (int row : new int[] {0, (shape.seqQ() - rows) / 2, shape.seqQ() - rows}) {
                comparisons.addAll(compare(head, row, rows, output, logSumExp));
            }
        }
        return comparisons;
    }

    private List<Comparison> compare(int head, int row, int rows, Tensor output, Tensor logSumExp) {
        AttentionShape shape = checked.shape();
        int keyHead = head / shape.heads() * shape.kvHeads() + shape.kvHead(head % shape.heads());
        int keys = checked.causal() ? Math.max(0, row + rows + shape.seqK() - shape.seqQ()) : shape.seqK();
        int at = head * shape.seqQ() + row;
        int dim = shape.headDim();
        int keyAt = keyHead * shape.seqK() * dim;
        return AccuracyCheck.of(
                        slice(q, at * dim, 1, 1, rows, dim),
                        slice(k, keyAt, 1, 1, keys, dim),
                        slice(v, keyAt, 1, 1, keys, dim),
                        checked.options())
                .forward(slice(output, at * dim, 1, 1, rows, dim), slice(logSumExp, at, 1, 1, rows));
    }

    private static Tensor slice(Tensor tensor, int from, int... shape) {
        Tensor slice = Tensor.allocate(tensor.dtype(), shape);
        for (int element = 0; element < slice.numberOfElements(); element++) {
            slice.setFlat(element, tensor.getFlat(from + element));
        }
        return slice;
    }
}
