package org.tornadoattention.kernel.parts;

/**
 * Sums of very many terms in F32. A million equal terms, added one after the other, are off by 1 %: each addition is
 * rounded to the size of what is there already. So, in forms of kernels for so many, {@link #TERMS} or more of them
 * make a run, and runs make the total: 2·10⁻⁵ for a million. In other forms nothing of this is left.
 *
 * <p>Totals of register tiles are private arrays in memory, touched once for so many terms. Registers would be worth
 * more than that: an index with a 0 that the compiler does not see keeps it from using them.
 */
public final class PartialSums {

    /** Terms of a sum from which on it is made of runs: a chain of fewer is off by 10⁻⁴ at most. */
    public static final int MANY = 16_384;

    /** Terms of a run. */
    public static final int TERMS = 1024;

    private PartialSums() {}

    /** Whether sums are made of runs: in forms with {@link Many} in place of this class. */
    public static boolean areJoined() {
        return false;
    }

    /** Whether a run ends with the term of this number. */
    public static boolean endRun(int term) {
        return (term + 1) % TERMS == 0;
    }

    /** Whether a run ends with the tile that begins with this term: where tiles are stepped over, a later one may. */
    public static boolean endRun(int term, int block) {
        return (term / block + 1) % ((TERMS + block - 1) / block) == 0;
    }

    /** 0 of a number that is not below {@code least}, which no compiler knows. */
    public static int hiddenZero(float number, float least, int index) {
        int zero = 0;
        if (number < least) {
            zero = index;
        }
        return zero;
    }

    /** What stands in for methods of {@link PartialSums} where there are many terms. */
    public static final class Many {

        private Many() {}

        /** They are. */
        public static boolean areJoined() {
            return true;
        }
    }
}
