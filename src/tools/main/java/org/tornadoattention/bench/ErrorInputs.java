package org.tornadoattention.bench;

import java.util.Arrays;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** Distributions of queries, keys and values that errors are measured on. */
public enum ErrorInputs {
    /** N(0, 1). */
    NORMAL,
    /**
     * {@code N(0, 1) + N(0, 100) · Bernoulli(0.001)}: FlashAttention-3's stand-in for the outliers of trained models.
     */
    OUTLIERS;

    /** A tensor of this distribution, the same for the same seed. */
    public Tensor tensor(DType dtype, long seed, int... shape) {
        if (this == NORMAL) {
            return Tensor.random(dtype, seed, shape);
        }
        SplittableRandom random = new SplittableRandom(seed);
        float[] values =
                new float[Math.toIntExact(Arrays.stream(shape).asLongStream().reduce(1, Math::multiplyExact))];
        for (int i = 0; i < values.length; i++) {
            double outlier = random.nextInt(1000) == 0 ? 10 * random.nextGaussian() : 0;
            values[i] = (float) (random.nextGaussian() + outlier);
        }
        return Tensor.of(dtype, values, shape);
    }

    /** The name as used on the command line and in files. */
    public String id() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * The distribution with this {@link #id}.
     *
     * @throws IllegalArgumentException naming the known ones
     */
    public static ErrorInputs parse(String id) {
        return Arrays.stream(values())
                .filter(inputs -> inputs.id().equals(id.toLowerCase(Locale.ROOT)))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("There are no inputs '%s': choose one of %s."
                        .formatted(
                                id, Arrays.stream(values()).map(ErrorInputs::id).collect(Collectors.joining(", ")))));
    }
}
