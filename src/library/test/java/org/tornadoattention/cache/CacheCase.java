package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.Tolerance;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** What tests of caches share: random tokens, slices of tensors, and the oracle over what a cache holds. */
final class CacheCase {

    private CacheCase() {}

    static CacheOptions options(ComputeDevice device, DType dtype) {
        return CacheOptions.of(dtype).on(device);
    }

    /** Tokens {@code from} to {@code to} of {@code [batch, heads, tokens, headDim]}. */
    static Tensor tokens(Tensor tensor, int from, int to) {
        Tensor slice = Tensor.allocate(tensor.dtype(), tensor.batch(), tensor.heads(), to - from, tensor.headDim());
        int width = (to - from) * tensor.headDim();
        for (int row = 0; row < tensor.batch() * tensor.heads(); row++) {
            for (int x = 0; x < width; x++) {
                slice.setFlat(
                        row * width + x, tensor.getFlat((row * tensor.seqLength() + from) * tensor.headDim() + x));
            }
        }
        return slice;
    }

    /** One sequence of {@code [batch, heads, tokens, …]}, as a batch of one. */
    static Tensor sequence(Tensor tensor, int sequence) {
        int[] shape = tensor.shape();
        shape[0] = 1;
        Tensor slice = Tensor.allocate(tensor.dtype(), shape);
        for (int x = 0; x < slice.numberOfElements(); x++) {
            slice.setFlat(x, tensor.getFlat(sequence * slice.numberOfElements() + x));
        }
        return slice;
    }

    /** The field's rule for attention of q over the given keys and values, without their left padding. */
    static List<Comparison> compare(
            Tensor q, Tensor k, Tensor v, int padding, AttentionOptions options, Tensor output, Tensor logSumExp) {
        return AccuracyCheck.of(
                        q.as(k.dtype()), tokens(k, padding, k.seqLength()), tokens(v, padding, v.seqLength()), options)
                .forward(output.as(k.dtype()), logSumExp);
    }

    /** Holds the result of queries, without rotary embedding, against the oracle over what the cache says it holds. */
    static void assertAccurate(KeyValueCache cache, Tensor q, AttentionOptions options, AttentionResult result) {
        for (int sequence = 0; sequence < q.batch(); sequence++) {
            assertThat(compare(
                            sequence(q, sequence),
                            cache.keys(sequence),
                            cache.values(sequence),
                            cache.padding()[sequence],
                            options,
                            sequence(result.output(), sequence),
                            sequence(result.logSumExp(), sequence)))
                    .as("sequence %d of %s, q %s, %s, %s", sequence, cache, q, options, cache.tile(q.seqLength()))
                    .allMatch(Comparison::passed);
        }
    }

    /** What is computed in F32 from inputs that are exact, and rounded once. */
    static Tolerance rounded(DType output) {
        return switch (output) {
            case F32 -> Tolerance.forward(DType.F32);
            case F16 -> new Tolerance(2, 1e-5 + 0x1p-11);
            case BF16 -> new Tolerance(2, 1e-5 + 0x1p-8);
        };
    }

    static Tensor random(DType dtype, long seed, int... shape) {
        return Tensor.random(dtype, seed, shape);
    }
}
