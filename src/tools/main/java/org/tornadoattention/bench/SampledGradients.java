package org.tornadoattention.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Gradients;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.NaiveAttention;
import org.tornadoattention.reference.ReferenceAttention;
import org.tornadoattention.reference.Tolerance;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * Compares some rows of large gradients with float64, which would take minutes for all of them: blocks of rows from the
 * first, a middle and the last head, at the start, the middle and the end of the sequence.
 *
 * <p>A block of dQ is a problem of its own, as a block of the output is, and the oracle solves it. A block of dK and dV
 * needs the log-sum-exp and the output of every query that sees it: those are taken from the forward pass, which
 * {@link SampledCheck} compares, and the rest is the formula in float64; the same formula in the storage precision
 * gives the naive error. Masks are none or causal, the scale is the usual one.
 */
final class SampledGradients {

    private static final int ROWS = 16;

    /** Rows of queries that are read at a time. */
    private static final int MANY_ROWS = 256;

    private final AttentionShape shape;
    private final AttentionOptions options;
    private final Tensor q;
    private final Tensor k;
    private final Tensor v;
    private final Tensor dO;

    SampledGradients(AttentionShape shape, AttentionOptions options, Tensor q, Tensor k, Tensor v, Tensor dO) {
        this.shape = shape;
        this.options = options;
        this.q = q;
        this.k = k;
        this.v = v;
        this.dO = dO;
    }

    /** The comparisons of each block: {@code dq}, {@code dk} and {@code dv}. */
    List<Comparison> compare(Tensor output, Tensor logSumExp, Gradients computed) {
        int rows = Math.min(ROWS, shape.seqQ());
        int keys = Math.min(ROWS, shape.seqK());
        List<Supplier<List<Comparison>>> blocks = new ArrayList<>();
        int lastHead = shape.batch() * shape.heads() - 1;
        for (int head : new int[] {0, lastHead / 2, lastHead}) {
            for (int row : new int[] {0, (shape.seqQ() - rows) / 2, shape.seqQ() - rows}) {
                blocks.add(() -> List.of(queryBlock(head, row, rows, computed.dQ())));
            }
        }
        int lastKeyHead = shape.batch() * shape.kvHeads() - 1;
        for (int keyHead : new int[] {0, lastKeyHead / 2, lastKeyHead}) {
            for (int key : new int[] {0, (shape.seqK() - keys) / 2, shape.seqK() - keys}) {
                blocks.add(() -> keyBlock(keyHead, key, keys, output, logSumExp, computed));
            }
        }
        return blocks.parallelStream().flatMap(block -> block.get().stream()).toList();
    }

    private Comparison queryBlock(int head, int row, int rows, Tensor dQ) {
        int dim = shape.headDim();
        int valueDim = shape.valueDim();
        int keyHead = head / shape.heads() * shape.kvHeads() + shape.kvHead(head % shape.heads());
        boolean causal = options.mask().isCausal();
        int keys = causal ? Math.max(0, row + rows + shape.seqK() - shape.seqQ()) : shape.seqK();
        int at = head * shape.seqQ() + row;
        int firstKey = keyHead * shape.seqK();
        Tensor blockQ = slice(q, at, rows, dim);
        Tensor blockK = slice(k, firstKey, keys, dim);
        Tensor blockV = slice(v, firstKey, keys, valueDim);
        Tensor blockDO = slice(dO, at, rows, valueDim);
        return Tolerance.gradients(q.dtype())
                .compare(
                        "dq",
                        slice(dQ, at, rows, dim).toFloatArray(),
                        ReferenceAttention.backward(blockQ, blockK, blockV, blockDO, options)
                                .dQ(),
                        NaiveAttention.backward(blockQ, blockK, blockV, blockDO, options)
                                .dQ());
    }

    private List<Comparison> keyBlock(
            int keyHead, int key, int keys, Tensor output, Tensor logSumExp, Gradients computed) {
        int dim = shape.headDim();
        int valueDim = shape.valueDim();
        int at = keyHead * shape.seqK() + key;
        double[] dK = new double[keys * dim];
        double[] dV = new double[keys * valueDim];
        float[] naiveDK = new float[keys * dim];
        float[] naiveDV = new float[keys * valueDim];
        double scale = options.scaleFor(dim);
        DType dtype = q.dtype();
        float[] blockK = rows(k, at, keys, dim);
        float[] blockV = rows(v, at, keys, valueDim);
        int firstRow = keyHead * shape.groupSize() * shape.seqQ();
        int endRow = firstRow + shape.groupSize() * shape.seqQ();
        for (int from = firstRow; from < endRow; from += MANY_ROWS) {
            int count = Math.min(MANY_ROWS, endRow - from);
            float[] blockQ = rows(q, from, count, dim);
            float[] blockDO = rows(dO, from, count, valueDim);
            float[] blockO = rows(output, from, count, valueDim);
            for (int i = 0; i < count; i++) {
                int row = from + i;
                double d = dot(blockDO, i, blockO, i, valueDim);
                for (int j = 0; j < keys; j++) {
                    if (!options.mask().allows(row % shape.seqQ(), key + j, shape.seqQ(), shape.seqK())) {
                        continue;
                    }
                    double p = Math.exp(scale * dot(blockQ, i, blockK, j, dim) - logSumExp.getFlat(row));
                    double dS = p * (dot(blockDO, i, blockV, j, valueDim) - d);
                    add(dV, naiveDV, j, blockDO, i, valueDim, p, dtype.round((float) p));
                    add(dK, naiveDK, j, blockQ, i, dim, scale * dS, (float) scale * dtype.round((float) dS));
                }
            }
        }
        for (int element = 0; element < naiveDK.length; element++) {
            naiveDK[element] = dtype.round(naiveDK[element]);
        }
        for (int element = 0; element < naiveDV.length; element++) {
            naiveDV[element] = dtype.round(naiveDV[element]);
        }
        Tolerance tolerance = Tolerance.gradients(dtype);
        return List.of(
                tolerance.compare("dk", slice(computed.dK(), at, keys, dim).toFloatArray(), dK, naiveDK),
                tolerance.compare("dv", slice(computed.dV(), at, keys, valueDim).toFloatArray(), dV, naiveDV));
    }

    /** Adds a factor's multiple of a row, and a rounded factor's. */
    private static void add(
            double[] sums, float[] naiveSums, int j, float[] rows, int i, int dim, double factor, float naiveFactor) {
        for (int x = 0; x < dim; x++) {
            sums[j * dim + x] += factor * rows[i * dim + x];
            naiveSums[j * dim + x] += naiveFactor * rows[i * dim + x];
        }
    }

    private static double dot(float[] a, int i, float[] b, int j, int dim) {
        double sum = 0;
        for (int x = 0; x < dim; x++) {
            sum += (double) a[i * dim + x] * b[j * dim + x];
        }
        return sum;
    }

    /** Rows of a tensor as numbers, from a row of all heads and sequences. */
    private static float[] rows(Tensor tensor, int fromRow, int rows, int dim) {
        float[] numbers = new float[rows * dim];
        for (int element = 0; element < numbers.length; element++) {
            numbers[element] = tensor.getFlat(fromRow * dim + element);
        }
        return numbers;
    }

    /** Rows of a tensor, from a row of all heads and sequences. */
    private static Tensor slice(Tensor tensor, int fromRow, int rows, int dim) {
        Tensor slice = Tensor.allocate(tensor.dtype(), 1, 1, rows, dim);
        for (int element = 0; element < slice.numberOfElements(); element++) {
            slice.setFlat(element, tensor.getFlat(fromRow * dim + element));
        }
        return slice;
    }
}
