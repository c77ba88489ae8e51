package org.tornadoattention;

import java.util.List;
import java.util.SplittableRandom;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.tensor.DType;

/**
 * A problem and a kernel that a seed alone determines.
 *
 * @param seed what determines them
 * @param problem the problem
 * @param kernel one of those that claim it
 */
record RandomConfiguration(long seed, AttentionCase problem, AttentionKernel kernel) {

    /** Multiply-adds that a problem may have, so that hundreds of them take a minute. */
    private static final long WORK = 4_000_000;

    /** The same for simulated warps, where there is a choice. */
    private static final long WORK_OF_WARPS = 500_000;

    static RandomConfiguration of(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        DType dtype = oneOf(random, List.of(DType.values()));
        int kvHeads = random.nextInt(1, 4);
        int heads = kvHeads * oneOf(random, List.of(1, 1, 2, 3, 5));
        int batch = random.nextInt(1, 4);
        int headDim = random.nextBoolean() ? oneOf(random, AttentionGrid.HEAD_DIMS) : random.nextInt(1, 257);
        int seqQ = length(random);
        int seqK = length(random);
        while ((long) batch * heads * seqQ * seqK * headDim > WORK) {
            if (seqQ > seqK) {
                seqQ = Math.ceilDiv(seqQ, 2);
            } else {
                seqK = Math.ceilDiv(seqK, 2);
            }
        }
        AttentionShape shape = new AttentionShape(batch, heads, kvHeads, seqQ, seqK, headDim);

        AttentionOptions options = AttentionOptions.defaults().withMask(mask(random, seqQ + seqK));
        float queryFactor = 1;
        if (random.nextInt(3) == 0) {
            // The gradient of a single key is 0, of which rounding is no part: large queries would make it one.
            queryFactor = seqK == 1 ? 1 : oneOf(random, List.of(1, 15, 50));
            options = options.withSoftcap(queryFactor);
        }
        if (random.nextInt(4) == 0) {
            options = options.withScale(random.nextDouble(-0.5, 1));
        }
        if (random.nextInt(3) == 0) {
            options = options.withAlibi(
                    random.nextBoolean() ? AttentionOptions.alibiSlopes(heads) : slopes(random, heads));
        }
        if (random.nextInt(3) == 0) {
            options = options.withKeyLengths(random.ints(batch, 0, seqK + 1).toArray());
        }
        if (random.nextInt(4) == 0) {
            options = options.withDropout(random.nextDouble(0, 0.9), random.nextLong(), random.nextInt());
        }
        AttentionCase problem = AttentionCase.of(shape, dtype, options)
                .withFactors(queryFactor, 1)
                .withSeed(seed);
        // Scores in the hundreds differ by several units between two roundings to 8 bits, and a few rows are no
        // yardstick.
        float factor = queryFactor;
        List<AttentionKernel> kernels = problem.kernels().stream()
                .filter(kernel -> !kernel.isFp8() || factor == 1)
                .toList();
        List<AttentionKernel> quick = kernels.stream()
                .filter(kernel ->
                        AttentionGrid.FULL || problem.work() <= WORK_OF_WARPS || !TestDevice.simulatesWarps(kernel))
                .toList();
        return new RandomConfiguration(seed, problem, oneOf(random, quick.isEmpty() ? kernels : quick));
    }

    /** From 1 to 724, small ones as likely as large ones. */
    private static int length(SplittableRandom random) {
        return (int) Math.pow(2, random.nextDouble(0, 9.5));
    }

    private static Mask mask(SplittableRandom random, int widest) {
        return switch (random.nextInt(5)) {
            case 0 -> Mask.none();
            case 1, 2 -> Mask.causal();
            case 3 -> Mask.window(edge(random, widest), edge(random, widest));
            default -> Mask.window(random.nextInt(1 + widest / 4), random.nextInt(1 + widest / 4));
        };
    }

    private static int edge(SplittableRandom random, int widest) {
        return random.nextInt(3) == 0 ? Mask.UNBOUNDED : random.nextInt(widest + 1);
    }

    private static float[] slopes(SplittableRandom random, int heads) {
        float[] slopes = new float[heads];
        for (int head = 0; head < heads; head++) {
            slopes[head] = (float) random.nextDouble(-0.1, 1);
        }
        return slopes;
    }

    private static <T> T oneOf(SplittableRandom random, List<T> values) {
        return values.get(random.nextInt(values.size()));
    }

    /** What to type to see this configuration alone. */
    String reproduce() {
        return "./mvnw test -Dtest=RandomConfigurationsTest -Dattention.seed=" + seed;
    }

    @Override
    public String toString() {
        return "seed %d: %s, %s".formatted(seed, problem, kernel);
    }
}
