package org.tornadoattention.inference;

import java.util.Optional;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.plan.DecodeKernel;
import org.tornadoattention.tensor.DType;

/**
 * How a key-value cache is kept. Immutable; each method gives changed options.
 *
 * @param dtype type of queries, new keys and values, and output; the cache's too unless it is FP8
 * @param fp8 whether the cache holds E4M3 with a scale for each head of each page: half the bytes of F16
 * @param rotary embedding of queries and keys, or empty
 * @param device where the cache lives, or empty for the best
 * @param kernel that attends, or empty for the best
 * @param splits parts that the keys are split into, or 0 to choose for the device
 * @param promptTokens tokens a sequence that one execution takes at most; longer prompts take several
 * @param cudaGraph whether an execution is one CUDA graph: its launches cost less, and its kernels cannot be profiled
 */
public record CacheOptions(
        DType dtype,
        boolean fp8,
        Optional<RotaryEmbedding> rotary,
        Optional<ComputeDevice> device,
        Optional<DecodeKernel> kernel,
        int splits,
        int promptTokens,
        boolean cudaGraph) {

    private static final int PROMPT_TOKENS = 128;

    /** Checks that nothing is null and no number too small. */
    public CacheOptions {
        if (dtype == null || rotary == null || device == null || kernel == null) {
            throw new IllegalArgumentException(
                    "A null among the options of a cache: begin with CacheOptions.of(dtype).");
        }
        if (splits < 0) {
            throw new IllegalArgumentException(
                    "%d splits: it must be 1 or more, or 0 to choose for the device.".formatted(splits));
        }
        if (promptTokens < 1) {
            throw new IllegalArgumentException(
                    "%d prompt tokens an execution: it must be 1 or more.".formatted(promptTokens));
        }
    }

    /** A cache of this type on the best device, without rotary embedding. */
    public static CacheOptions of(DType dtype) {
        return new CacheOptions(
                dtype, false, Optional.empty(), Optional.empty(), Optional.empty(), 0, PROMPT_TOKENS, false);
    }

    /** With the cache in E4M3. */
    public CacheOptions withFp8() {
        return new CacheOptions(dtype, true, rotary, device, kernel, splits, promptTokens, cudaGraph);
    }

    /** With a rotary embedding. */
    public CacheOptions withRotary(RotaryEmbedding embedding) {
        return new CacheOptions(dtype, fp8, Optional.of(embedding), device, kernel, splits, promptTokens, cudaGraph);
    }

    /** On a device of {@link Devices#all()}. */
    public CacheOptions on(ComputeDevice newDevice) {
        return new CacheOptions(dtype, fp8, rotary, Optional.of(newDevice), kernel, splits, promptTokens, cudaGraph);
    }

    /** With attention by this kernel, on devices that have what it needs. */
    public CacheOptions withKernel(DecodeKernel newKernel) {
        return new CacheOptions(dtype, fp8, rotary, device, Optional.of(newKernel), splits, promptTokens, cudaGraph);
    }

    /** With the keys in this many parts. */
    public CacheOptions withSplits(int newSplits) {
        return new CacheOptions(dtype, fp8, rotary, device, kernel, newSplits, promptTokens, cudaGraph);
    }

    /** With each execution as one CUDA graph, on TornadoVM's CUDA backend. */
    public CacheOptions asCudaGraph() {
        return new CacheOptions(dtype, fp8, rotary, device, kernel, splits, promptTokens, true);
    }

    /** With at most this many tokens of a sequence an execution. */
    public CacheOptions withPromptTokens(int tokens) {
        return new CacheOptions(dtype, fp8, rotary, device, kernel, splits, tokens, cudaGraph);
    }
}
