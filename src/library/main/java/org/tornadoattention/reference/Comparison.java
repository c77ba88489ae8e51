package org.tornadoattention.reference;

import static org.tornadoattention.internal.Arguments.required;

/**
 * How far one computed tensor is from its float64 reference.
 *
 * <p>Errors are over the elements whose reference is finite. An element that is NaN, or that is not the very infinity
 * that the reference is, makes {@code maxError} infinite.
 *
 * @param name what was compared, such as {@code o} or {@code lse}
 * @param elements the number of elements compared
 * @param maxError the largest absolute error
 * @param naiveError the largest absolute error of standard attention in the same storage precision
 * @param limit the largest absolute error that is allowed
 * @param rmse the root of the mean squared error; 0 where nothing finite was compared
 * @param relativeError the root of the summed squared errors over that of the summed squared references
 * @param worstIndex the row-major position of the largest error, or -1 where nothing was compared
 * @param worstValue what was computed there
 * @param worstExpected the reference there
 */
public record Comparison(
        String name,
        int elements,
        double maxError,
        double naiveError,
        double limit,
        double rmse,
        double relativeError,
        int worstIndex,
        double worstValue,
        double worstExpected) {

    /**
     * Checks that there is a name.
     *
     * @throws IllegalArgumentException if it is null
     */
    public Comparison {
        required(name, "name");
    }

    /** {@return whether no error is above the limit} */
    public boolean passed() {
        return maxError <= limit;
    }

    /** One line: the error beside the limit and, where it failed, the worst element. */
    @Override
    public String toString() {
        String errors = "%s: max error %.2e of %.2e allowed (naive %.2e), relative %.2e"
                .formatted(name, maxError, limit, naiveError, relativeError);
        return passed()
                ? errors
                : "%s; element %d is %s, expected %s".formatted(errors, worstIndex, worstValue, worstExpected);
    }
}
