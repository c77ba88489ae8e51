package org.tornadoattention.bench;

import java.util.Comparator;
import java.util.List;
import org.tornadoattention.reference.Comparison;

/**
 * Errors against the float64 oracle, as they stand in files.
 *
 * @param maxError the largest absolute error of the tensor that came closest to its limit
 * @param allowedError that limit
 * @param relativeError the root of the summed squared errors of the output over that of the output; the worst sample's
 * @param passed whether all was within its limit
 */
public record Accuracy(double maxError, double allowedError, double relativeError, boolean passed) {

    /** The errors of some tensors, at least one of them not {@code lse}. */
    public static Accuracy of(List<Comparison> comparisons) {
        Comparison worst = comparisons.stream()
                .max(Comparator.comparingDouble(comparison -> comparison.maxError() / comparison.limit()))
                .orElseThrow();
        return new Accuracy(
                Math.min(worst.maxError(), Double.MAX_VALUE), // JSON has no infinity
                worst.limit(),
                comparisons.stream()
                        .filter(comparison -> !comparison.name().equals("lse"))
                        .mapToDouble(Comparison::relativeError)
                        .max()
                        .orElseThrow(),
                comparisons.stream().allMatch(Comparison::passed));
    }
}
