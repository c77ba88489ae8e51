package org.tornadoattention.spark;

import java.io.Serial;
import java.io.Serializable;
import java.util.stream.IntStream;
import org.tornadoattention.AttentionPart;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** The gradient of all queries from some keys, in F32, and from which. */
final class PartialQueryGradient implements Serializable {

    @Serial
    private static final long serialVersionUID = 1;

    private final AttentionShape whole;
    private final float[] sums;
    final KeyRanges keys = new KeyRanges();

    PartialQueryGradient(AttentionShape whole) {
        this.whole = whole;
        long elements = whole.queryRows() * whole.headDim();
        if (elements > Tensor.MAX_ELEMENTS) {
            throw new IllegalArgumentException("The queries have %,d elements, and an array at most %,d: divide them."
                    .formatted(elements, Tensor.MAX_ELEMENTS));
        }
        sums = new float[(int) elements];
    }

    /** @param gradient {@code [batch, heads, queries of the part, headDim]} */
    void add(AttentionPart part, Tensor gradient) {
        float[] rows = gradient.toFloatArray();
        int queries = part.queries().length();
        int headDim = whole.headDim();
        int heads = part.heads().length();
        IntStream.range(0, rows.length / headDim).forEach(row -> {
            int entry = part.batch().from() + row / queries / heads;
            int head = part.heads().from() + row / queries % heads;
            int query = part.queries().from() + row % queries;
            int target = ((entry * whole.heads() + head) * whole.seqQ() + query) * headDim;
            for (int d = 0; d < headDim; d++) {
                sums[target + d] += rows[row * headDim + d];
            }
        });
    }

    PartialQueryGradient plus(PartialQueryGradient other) {
        for (int i = 0; i < sums.length; i++) {
            sums[i] += other.sums[i];
        }
        keys.add(other.keys);
        return this;
    }

    Tensor result(DType dtype) {
        return Tensor.of(dtype, sums, whole.queryShape());
    }
}
