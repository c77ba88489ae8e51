package org.tornadoattention.spark;

import java.io.Serial;
import java.io.Serializable;
import java.util.Arrays;
import java.util.Objects;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.tornadoattention.tensor.Tensor;

/**
 * Keys and values of a part of a sequence, or their gradients, as an element of an RDD. All batch entries and heads are
 * in it.
 */
public final class KeyValues implements Serializable {

    @Serial
    private static final long serialVersionUID = 1;

    private final int from;
    private final TensorBytes keys;
    private final TensorBytes values;

    private KeyValues(int from, TensorBytes keys, TensorBytes values) {
        this.from = from;
        this.keys = keys;
        this.values = values;
    }

    /**
     * A copy of keys and values.
     *
     * @param from the position of the first key in the whole sequence, from 0
     * @param keys {@code [batch, kvHeads, keys, headDim]}, at most 2³¹ − 17 bytes
     * @param values {@code [batch, kvHeads, keys, valueDim]}, likewise
     * @return the part
     * @throws IllegalArgumentException if the position is negative, or the shapes or types do not fit
     */
    public static KeyValues of(int from, Tensor keys, Tensor values) {
        Objects.requireNonNull(keys, "keys");
        Objects.requireNonNull(values, "values");
        boolean fit = keys.rank() == 4
                && values.rank() == 4
                && Arrays.equals(keys.shape(), 0, 3, values.shape(), 0, 3)
                && keys.dtype() == values.dtype();
        if (from < 0 || !fit) {
            throw new IllegalArgumentException(
                    "Keys are %s and values %s, from key %d on: both must be [batch, kvHeads, keys, headDim] of one type, from 0 on."
                            .formatted(keys, values, from));
        }
        return new KeyValues(from, TensorBytes.of(keys), TensorBytes.of(values));
    }

    /**
     * Divides keys and values that are on the driver, into parts of nearly equal length. A partition gets two: one from
     * the beginning and one from the end, so that all have as much to do under a causal mask. Where the keys of a
     * sequence are made on the executors, they need not come to the driver at all: any RDD of parts serves.
     *
     * @param context the cluster
     * @param keys {@code [batch, kvHeads, seqK, headDim]}
     * @param values {@code [batch, kvHeads, seqK, valueDim]}
     * @param partitions of the RDD, 1 or more
     * @return an RDD of the parts
     * @throws IllegalArgumentException if the shapes or types do not fit, or the number is not positive
     */
    public static JavaRDD<KeyValues> parallelize(JavaSparkContext context, Tensor keys, Tensor values, int partitions) {
        if (partitions < 1) {
            throw new IllegalArgumentException("%d partitions: there must be 1 or more.".formatted(partitions));
        }
        int length = keys.dimension(2);
        int pieces = 2 * partitions;
        KeyValues[] parts = new KeyValues[pieces];
        for (int i = 0; i < pieces; i++) {
            int piece = i % 2 == 0 ? i / 2 : pieces - 1 - i / 2;
            int from = (int) ((long) length * piece / pieces);
            int to = (int) ((long) length * (piece + 1) / pieces);
            parts[i] = of(from, sequence(keys, from, to), sequence(values, from, to));
        }
        return context.parallelize(Arrays.asList(parts), partitions);
    }

    private static Tensor sequence(Tensor rows, int from, int to) {
        int[] end = rows.shape();
        end[2] = to;
        return rows.block(new int[] {0, 0, from, 0}, end);
    }

    /**
     * Where the part begins.
     *
     * @return the position of its first key in the whole sequence
     */
    public int from() {
        return from;
    }

    /**
     * Where the part ends.
     *
     * @return one past the position of its last key in the whole sequence
     */
    public int to() {
        return from + keys.shape()[2];
    }

    /**
     * The keys.
     *
     * @return {@code [batch, kvHeads, keys, headDim]}; not to be written to
     */
    public Tensor keys() {
        return keys.tensor();
    }

    /**
     * The values.
     *
     * @return {@code [batch, kvHeads, keys, valueDim]}; not to be written to
     */
    public Tensor values() {
        return values.tensor();
    }

    /** The range and the keys' shape. */
    @Override
    public String toString() {
        return "keys %d to %d, %s%s".formatted(from, to(), keys.dtype(), Arrays.toString(keys.shape()));
    }
}
