package org.tornadoattention.vector;

import java.util.Arrays;
import java.util.List;
import org.tornadoattention.tensor.Tensor;

/** Results over parts of the keys made into those over all of them. */
public final class VectorMerge {

    private static final int ROWS = 256;

    private VectorMerge() {}

    /**
     * Merges parts whose shapes and types were checked.
     *
     * @param outputs of the parts, {@code […, headDim]}
     * @param logSumExps of the parts, F32 {@code […]}
     * @param output gets the output
     * @param logSumExp gets the log-sum-exp
     */
    public static void run(
            Workers workers, List<Tensor> outputs, List<Tensor> logSumExps, Tensor output, Tensor logSumExp) {
        int width = output.dimension(output.rank() - 1);
        int rows = logSumExp.numberOfElements();
        workers.run(Math.ceilDiv(rows, ROWS), () -> new double[width], (task, sums) -> {
            for (int row = task * ROWS; row < Math.min(rows, (task + 1) * ROWS); row++) {
                mergeRow(outputs, logSumExps, output, logSumExp, row, sums);
            }
        });
    }

    private static void mergeRow(
            List<Tensor> outputs, List<Tensor> logSumExps, Tensor output, Tensor logSumExp, int row, double[] sums) {
        double max = Double.NEGATIVE_INFINITY;
        for (Tensor part : logSumExps) {
            max = Math.max(max, part.getFlat(row));
        }
        Arrays.fill(sums, 0);
        double total = 0;
        for (int part = 0; part < outputs.size(); part++) {
            double logarithm = logSumExps.get(part).getFlat(row);
            if (logarithm == Double.NEGATIVE_INFINITY) {
                continue; // nothing seen: its output is 0
            }
            double weight = Math.exp(logarithm - max);
            total += weight;
            for (int dim = 0; dim < sums.length; dim++) {
                sums[dim] += weight * outputs.get(part).getFlat(row * sums.length + dim);
            }
        }
        for (int dim = 0; dim < sums.length; dim++) {
            output.setFlat(row * sums.length + dim, total == 0 ? 0 : (float) (sums[dim] / total));
        }
        logSumExp.setFlat(row, (float) (max + Math.log(total)));
    }
}
