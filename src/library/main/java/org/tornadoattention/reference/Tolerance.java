package org.tornadoattention.reference;

import static org.tornadoattention.internal.Arguments.required;

import org.tornadoattention.tensor.DType;

/**
 * The field's rule for how far a result may be from exact: {@code max|ours - ref64| ≤ factor · max|naive - ref64| +
 * floor}, where <i>naive</i> is {@linkplain NaiveAttention standard attention in the same storage precision}, ref64 is
 * the {@linkplain ReferenceAttention oracle} and the floor is {@code floorPerUnit · max(1, max|ref64|)}.
 *
 * @param factor how many times the naive error is allowed
 * @param floorPerUnit what is allowed in any case, per unit of the largest reference value above 1
 */
public record Tolerance(double factor, double floorPerUnit) {
    /** Checks that both numbers are finite and not negative. */
    public Tolerance {
        if (!(factor >= 0 && floorPerUnit >= 0 && Double.isFinite(factor + floorPerUnit))) {
            throw new IllegalArgumentException(
                    "A tolerance of factor %s and floor %s: both must be finite and 0 or more."
                            .formatted(factor, floorPerUnit));
        }
    }

    /**
     * {@return the rule for outputs and log-sum-exps: twice the naive error}
     *
     * @param dtype type of the tensors that are judged
     */
    public static Tolerance forward(DType dtype) {
        required(dtype, "dtype");
        return new Tolerance(2, floor(dtype));
    }

    /**
     * The rule for outputs and log-sum-exps of 8-bit products: three times the {@linkplain NaiveAttention#forwardFp8
     * naive error of those}, since how one rounding of a few numbers fell says little of another, with a floor of half
     * of E4M3's relative rounding error, 2⁻⁴. What it cannot see, since so much is allowed, is tested with numbers that
     * E4M3 holds exactly.
     *
     * @return the rule
     */
    public static Tolerance forwardFp8() {
        return new Tolerance(3, 0x1p-5);
    }

    /**
     * {@return the rule for gradients: three times the naive error}
     *
     * @param dtype type of the tensors that are judged
     */
    public static Tolerance gradients(DType dtype) {
        required(dtype, "dtype");
        return new Tolerance(3, floor(dtype));
    }

    private static double floor(DType dtype) {
        return switch (dtype) {
            case F32 -> 1e-5;
            case F16 -> 2e-4;
            case BF16 -> 2e-3;
        };
    }

    /**
     * {@return the same floor with another factor on the naive error}
     *
     * @param newFactor how many times the naive error is allowed, 0 or more and finite
     */
    public Tolerance withFactor(double newFactor) {
        return new Tolerance(newFactor, floorPerUnit);
    }

    /**
     * Compares a result with its reference. A NaN never passes, and where the reference is infinite the result must be
     * the same infinity. Elements where the naive result is not finite say nothing about the precision and do not
     * loosen the limit.
     *
     * @param name what is compared, for messages
     * @param ours the result
     * @param reference the float64 reference
     * @param naive the result of standard attention in the same storage precision
     * @return the largest error and the limit
     * @throws IllegalArgumentException if the arrays differ in length
     */
    public Comparison compare(String name, float[] ours, double[] reference, float[] naive) {
        required(name, "name");
        required(ours, "ours");
        required(reference, "reference");
        required(naive, "naive");
        return compare(name, ours, reference, naiveError(reference, naive));
    }

    /**
     * Compares computed values with the reference where the error of the naive result is known already.
     *
     * @param name what is compared, for messages
     * @param ours the result
     * @param reference the float64 reference, as many elements
     * @param naiveError what {@link #naiveError} gave, possibly against another reference than this one
     * @return the largest error and the limit
     * @throws IllegalArgumentException if the arrays differ in length
     */
    public Comparison compare(String name, float[] ours, double[] reference, double naiveError) {
        required(name, "name");
        required(ours, "ours");
        required(reference, "reference");
        if (ours.length != reference.length) {
            throw new IllegalArgumentException("%s: %d values and %d reference values cannot be compared."
                    .formatted(name, ours.length, reference.length));
        }
        double largest = 0;
        double squaredErrors = 0;
        double squaredReferences = 0;
        int finite = 0;
        double maxError = 0;
        int worst = reference.length == 0 ? -1 : 0;
        for (int i = 0; i < reference.length; i++) {
            double expected = reference[i];
            double error = error(ours[i], expected);
            if (error > maxError) {
                maxError = error;
                worst = i;
            }
            if (Double.isFinite(expected)) {
                finite++;
                largest = Math.max(largest, Math.abs(expected));
                squaredErrors += error * error;
                squaredReferences += expected * expected;
            }
        }
        return new Comparison(
                name,
                reference.length,
                maxError,
                naiveError,
                factor * naiveError + floorPerUnit * Math.max(1, largest),
                finite == 0 ? 0 : Math.sqrt(squaredErrors / finite),
                squaredErrors == 0 ? 0 : Math.sqrt(squaredErrors / squaredReferences),
                worst,
                worst < 0 ? 0 : ours[worst],
                worst < 0 ? 0 : reference[worst]);
    }

    /**
     * The largest error of the naive result where both it and the reference are finite: a naive result that is not
     * never loosens a limit.
     *
     * @param reference the float64 reference, as many elements
     * @param naive the result of standard attention in the same storage precision
     * @return the largest, of the elements that are finite in both
     * @throws IllegalArgumentException if the arrays differ in length
     */
    public static double naiveError(double[] reference, float[] naive) {
        required(reference, "reference");
        required(naive, "naive");
        if (naive.length != reference.length) {
            throw new IllegalArgumentException("%d naive values and %d reference values cannot be compared."
                    .formatted(naive.length, reference.length));
        }
        double largest = 0;
        for (int i = 0; i < reference.length; i++) {
            if (Double.isFinite(reference[i]) && Float.isFinite(naive[i])) {
                largest = Math.max(largest, Math.abs(naive[i] - reference[i]));
            }
        }
        return largest;
    }

    private static double error(double value, double expected) {
        if (Double.isFinite(expected) && !Double.isNaN(value)) {
            return Math.abs(value - expected);
        }
        return Double.isInfinite(expected) && value == expected ? 0 : Double.POSITIVE_INFINITY;
    }
}
