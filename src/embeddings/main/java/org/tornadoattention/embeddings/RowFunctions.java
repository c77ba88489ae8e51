package org.tornadoattention.embeddings;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * What is computed number by number or row by row between products. The JIT's own exponential and sums over lanes are
 * not the interpreter's to the last bit; these are.
 */
final class RowFunctions {

    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;

    /** erf by Abramowitz and Stegun, 7.1.26: off by 1.5e-7 at most. */
    private static final float P = 0.3275911f;

    /** Coefficients of {@code 2^f} for f from −1/2 to 1/2, from {@code f} to {@code f^6}; the constant is 1. */
    private static final float C1 = 0x1.62e430p-1f;

    private static final float C2 = 0x1.ebfbdcp-3f;
    private static final float C3 = 0x1.c6aee8p-5f;
    private static final float C4 = 0x1.3b2d4cp-7f;
    private static final float C5 = 0x1.5f3e3ap-10f;
    private static final float C6 = 0x1.41fb88p-13f;

    private static final float LOG2_E = 1.4426950408889634f;
    private static final float LEAST_EXPONENT = -127;

    /**
     * Added to a number, it leaves the nearest whole number, and the exponent of a power of two, in the lowest bits.
     */
    private static final float ROUNDER = 0x1.8p23f + 127;

    private static final int MANTISSA_BITS = 23;

    private static final float A1 = 0.254829592f;
    private static final float A2 = -0.284496736f;
    private static final float A3 = 1.421413741f;
    private static final float A4 = -1.453152027f;
    private static final float A5 = 1.061405429f;

    private RowFunctions() {}

    /**
     * {@code x = x/2 · (1 + erf(x/√2))} of a part of some rows.
     *
     * @param at where the part begins in the first row
     * @param row elements from one row to the next
     * @param rows how many
     * @param columns of the part, a multiple of a vector's elements
     */
    static void gelu(float[] x, int at, int row, int rows, int columns) {
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j += SPECIES.length()) {
                int place = at + i * row + j;
                gelu(FloatVector.fromArray(SPECIES, x, place)).intoArray(x, place);
            }
        }
    }

    private static FloatVector gelu(FloatVector x) {
        FloatVector z = x.abs().mul((float) Math.sqrt(0.5));
        FloatVector t = all(1).div(z.fma(all(P), all(1)));
        FloatVector polynomial = all(A5);
        polynomial = polynomial.fma(t, all(A4));
        polynomial = polynomial.fma(t, all(A3));
        polynomial = polynomial.fma(t, all(A2));
        polynomial = polynomial.fma(t, all(A1)).mul(t);
        FloatVector tail = polynomial.mul(exp2(z.mul(z).mul(-LOG2_E))); // 1 - erf(z)
        // 1 + erf(x/√2) is 2 - tail right of 0 and tail left of it.
        FloatVector sum = tail.neg().add(2).blend(tail, x.compare(VectorOperators.LT, 0));
        return x.mul(0.5f).mul(sum);
    }

    /** {@code 2^x} for x up to 0, and 0 from −127 down; at most 2 units in the last place off. */
    private static FloatVector exp2(FloatVector x) {
        FloatVector t = x.max(LEAST_EXPONENT);
        FloatVector rounded = t.add(ROUNDER);
        FloatVector f = t.sub(rounded.sub(ROUNDER));
        FloatVector p = all(C6);
        p = p.fma(f, all(C5));
        p = p.fma(f, all(C4));
        p = p.fma(f, all(C3));
        p = p.fma(f, all(C2));
        p = p.fma(f, all(C1));
        FloatVector power = rounded.reinterpretAsInts()
                .lanewise(VectorOperators.LSHL, MANTISSA_BITS)
                .reinterpretAsFloats();
        return p.fma(f, all(1)).mul(power);
    }

    private static FloatVector all(float number) {
        return FloatVector.broadcast(SPECIES, number);
    }

    private static float sum(FloatVector vector, float[] lanes) {
        vector.intoArray(lanes, 0);
        float sum = 0;
        for (float lane : lanes) {
            sum += lane;
        }
        return sum;
    }

    /**
     * {@code x = layerNorm(x + added)} of rows.
     *
     * @param x rows of {@code width} elements, overwritten
     * @param added rows of {@code addedRow} elements, of which {@code width} are added
     * @param from the first row
     * @param to the one after the last
     */
    static void addAndNormalise(
            float[] x,
            float[] added,
            int addedRow,
            int from,
            int to,
            int width,
            float[] scale,
            float[] shift,
            double epsilon) {
        float[] lanes = new float[SPECIES.length()];
        int whole = SPECIES.loopBound(width);
        VectorMask<Float> rest = SPECIES.indexInRange(whole, width);
        for (int row = from; row < to; row++) {
            int at = row * width;
            int addedAt = row * addedRow;
            FloatVector sums = FloatVector.zero(SPECIES);
            for (int i = 0; i < whole; i += SPECIES.length()) {
                FloatVector sum = FloatVector.fromArray(SPECIES, x, at + i)
                        .add(FloatVector.fromArray(SPECIES, added, addedAt + i));
                sum.intoArray(x, at + i);
                sums = sums.add(sum);
            }
            if (whole < width) {
                FloatVector sum = FloatVector.fromArray(SPECIES, x, at + whole, rest)
                        .add(FloatVector.fromArray(SPECIES, added, addedAt + whole, rest));
                sum.intoArray(x, at + whole, rest);
                sums = sums.add(sum);
            }
            float mean = sum(sums, lanes) / width;
            FloatVector squares = FloatVector.zero(SPECIES);
            for (int i = 0; i < whole; i += SPECIES.length()) {
                FloatVector difference =
                        FloatVector.fromArray(SPECIES, x, at + i).sub(mean);
                squares = difference.fma(difference, squares);
            }
            if (whole < width) {
                FloatVector difference =
                        FloatVector.fromArray(SPECIES, x, at + whole, rest).sub(mean, rest);
                squares = difference.fma(difference, squares);
            }
            float factor = (float) (1 / Math.sqrt(sum(squares, lanes) / width + epsilon));
            for (int i = 0; i < whole; i += SPECIES.length()) {
                normalised(
                                FloatVector.fromArray(SPECIES, x, at + i),
                                mean,
                                factor,
                                FloatVector.fromArray(SPECIES, scale, i),
                                FloatVector.fromArray(SPECIES, shift, i))
                        .intoArray(x, at + i);
            }
            if (whole < width) {
                normalised(
                                FloatVector.fromArray(SPECIES, x, at + whole, rest),
                                mean,
                                factor,
                                FloatVector.fromArray(SPECIES, scale, whole, rest),
                                FloatVector.fromArray(SPECIES, shift, whole, rest))
                        .intoArray(x, at + whole, rest);
            }
        }
    }

    private static FloatVector normalised(
            FloatVector x, float mean, float factor, FloatVector scale, FloatVector shift) {
        return x.sub(mean).mul(factor).mul(scale).add(shift);
    }
}
