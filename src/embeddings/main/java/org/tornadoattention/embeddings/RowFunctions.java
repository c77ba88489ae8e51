package org.tornadoattention.embeddings;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** What is computed number by number or row by row between products. */
final class RowFunctions {

    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;

    /** erf by Abramowitz and Stegun, 7.1.26: off by 1.5e-7 at most. */
    private static final float P = 0.3275911f;

    private static final float[] A = {0.254829592f, -0.284496736f, 1.421413741f, -1.453152027f, 1.061405429f};

    private RowFunctions() {}

    /** {@code x = x/2 · (1 + erf(x/√2))}, for the numbers {@code from} to {@code to}. */
    static void gelu(float[] x, int from, int to) {
        int i = from;
        for (; i + SPECIES.length() <= to; i += SPECIES.length()) {
            gelu(FloatVector.fromArray(SPECIES, x, i)).intoArray(x, i);
        }
        if (i < to) {
            VectorMask<Float> rest = SPECIES.indexInRange(i, to);
            gelu(FloatVector.fromArray(SPECIES, x, i, rest)).intoArray(x, i, rest);
        }
    }

    private static FloatVector gelu(FloatVector x) {
        FloatVector z = x.abs().mul((float) Math.sqrt(0.5));
        FloatVector t = FloatVector.broadcast(SPECIES, 1).div(z.mul(P).add(1));
        FloatVector polynomial = t.mul(A[4])
                .add(A[3])
                .mul(t)
                .add(A[2])
                .mul(t)
                .add(A[1])
                .mul(t)
                .add(A[0])
                .mul(t);
        FloatVector tail = polynomial.mul(z.mul(z).neg().lanewise(VectorOperators.EXP)); // 1 - erf(z)
        // 1 + erf(x/√2) is 2 - tail right of 0 and tail left of it.
        FloatVector sum = tail.neg().add(2).blend(tail, x.compare(VectorOperators.LT, 0));
        return x.mul(0.5f).mul(sum);
    }

    /**
     * {@code x = layerNorm(x + added)} of rows.
     *
     * @param x rows of {@code width} elements, overwritten
     * @param added rows of {@code addedRow} elements, of which {@code width} are added
     */
    static void addAndNormalise(
            float[] x, float[] added, int addedRow, int rows, int width, float[] scale, float[] shift, double epsilon) {
        for (int row = 0; row < rows; row++) {
            int at = row * width;
            FloatVector sums = FloatVector.zero(SPECIES);
            for (int i = 0; i < width; i += SPECIES.length()) {
                VectorMask<Float> some = SPECIES.indexInRange(i, width);
                FloatVector sum = FloatVector.fromArray(SPECIES, x, at + i, some)
                        .add(FloatVector.fromArray(SPECIES, added, row * addedRow + i, some));
                sum.intoArray(x, at + i, some);
                sums = sums.add(sum);
            }
            float mean = sums.reduceLanes(VectorOperators.ADD) / width;
            FloatVector squares = FloatVector.zero(SPECIES);
            for (int i = 0; i < width; i += SPECIES.length()) {
                VectorMask<Float> some = SPECIES.indexInRange(i, width);
                FloatVector difference =
                        FloatVector.fromArray(SPECIES, x, at + i, some).sub(mean, some);
                squares = difference.fma(difference, squares);
            }
            float factor = (float) (1 / Math.sqrt(squares.reduceLanes(VectorOperators.ADD) / width + epsilon));
            for (int i = 0; i < width; i += SPECIES.length()) {
                VectorMask<Float> some = SPECIES.indexInRange(i, width);
                FloatVector.fromArray(SPECIES, x, at + i, some)
                        .sub(mean)
                        .mul(factor)
                        .mul(FloatVector.fromArray(SPECIES, scale, i, some))
                        .add(FloatVector.fromArray(SPECIES, shift, i, some))
                        .intoArray(x, at + i, some);
            }
        }
    }
}
