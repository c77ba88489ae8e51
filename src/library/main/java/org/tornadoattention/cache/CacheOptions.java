package org.tornadoattention.cache;

import static org.tornadoattention.internal.Arguments.required;

import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;

/** How a key-value cache is kept. Immutable; each {@code with…} method gives changed options. */
public final class CacheOptions {

    private static final int PROMPT_TOKENS = 128;

    private final DType dtype;
    private final CacheType cacheType;
    private final Optional<RotaryEmbedding> rotary;
    private final Optional<ComputeDevice> device;
    private final Optional<DecodeKernel> kernel;
    private final int splits;
    private final int promptTokens;
    private final boolean cudaGraph;
    private final boolean wideCopy;

    /** The parts while one of them is changed. */
    private static final class Parts {
        private final DType dtype;
        private CacheType cacheType = CacheType.UNQUANTIZED;
        private Optional<RotaryEmbedding> rotary = Optional.empty();
        private Optional<ComputeDevice> device = Optional.empty();
        private Optional<DecodeKernel> kernel = Optional.empty();
        private int splits;
        private int promptTokens = PROMPT_TOKENS;
        private boolean cudaGraph;
        private boolean wideCopy;

        private Parts(DType dtype) {
            this.dtype = dtype;
        }
    }

    private CacheOptions(Parts parts) {
        dtype = parts.dtype;
        cacheType = parts.cacheType;
        rotary = parts.rotary;
        device = parts.device;
        kernel = parts.kernel;
        splits = parts.splits;
        promptTokens = parts.promptTokens;
        cudaGraph = parts.cudaGraph;
        wideCopy = parts.wideCopy;
        if (splits < 0) {
            throw new IllegalArgumentException(
                    "%d splits: it must be 1 or more, or 0 to choose for the device.".formatted(splits));
        }
        if (promptTokens < 1) {
            throw new IllegalArgumentException(
                    "%d prompt tokens per execution: it must be 1 or more.".formatted(promptTokens));
        }
    }

    private CacheOptions with(Consumer<Parts> change) {
        Parts parts = new Parts(dtype);
        parts.cacheType = cacheType;
        parts.rotary = rotary;
        parts.device = device;
        parts.kernel = kernel;
        parts.splits = splits;
        parts.promptTokens = promptTokens;
        parts.cudaGraph = cudaGraph;
        parts.wideCopy = wideCopy;
        change.accept(parts);
        return new CacheOptions(parts);
    }

    /**
     * An unquantised cache on the best device, without rotary embedding.
     *
     * @param dtype the type of queries, new keys and values, and output
     * @return the defaults for this type
     * @throws IllegalArgumentException if it is null
     */
    public static CacheOptions of(DType dtype) {
        return new CacheOptions(new Parts(required(dtype, "dtype", "choose F32, F16 or BF16")));
    }

    /**
     * With keys and values stored in another way.
     *
     * @param newType how they are stored
     * @return changed options
     * @throws IllegalArgumentException if it is null
     */
    public CacheOptions withCacheType(CacheType newType) {
        required(newType, "newType", "use UNQUANTIZED to store the tokens' own type");
        return with(parts -> parts.cacheType = newType);
    }

    /**
     * With a rotary embedding of queries and keys.
     *
     * @param embedding which dimensions turn, and how fast
     * @return changed options
     * @throws IllegalArgumentException if it is null
     */
    public CacheOptions withRotary(RotaryEmbedding embedding) {
        required(embedding, "embedding", "leave it out for none");
        return with(parts -> parts.rotary = Optional.of(embedding));
    }

    /**
     * On a device of {@link Devices#all()}.
     *
     * @param newDevice where the cache lives
     * @return changed options
     * @throws IllegalArgumentException if it is null
     */
    public CacheOptions on(ComputeDevice newDevice) {
        required(newDevice, "newDevice", "leave it out for the best one");
        return with(parts -> parts.device = Optional.of(newDevice));
    }

    /**
     * With attention by this kernel, on devices that have what it needs. Without, steps of 16 tokens and more of an F16
     * or BF16 cache are computed by {@link DecodeKernel#WARP_GROUP} where the device has warp groups, unless they have
     * a block mask, a bias of 16 bits, a scale that is not positive or left padding among pages, which it refuses in a
     * cache where it is asked for, or functions too large for TornadoVM to inline.
     *
     * @param newKernel the kernel
     * @return changed options
     * @throws IllegalArgumentException if it is null
     */
    public CacheOptions withKernel(DecodeKernel newKernel) {
        required(newKernel, "newKernel", "leave it out for the best one");
        return with(parts -> parts.kernel = Optional.of(newKernel));
    }

    /**
     * With the keys split into this many parts, which work-groups attend to side by side.
     *
     * @param newSplits 1 or more, or 0 to choose for the device
     * @return changed options
     * @throws IllegalArgumentException if it is negative
     */
    public CacheOptions withSplits(int newSplits) {
        return with(parts -> parts.splits = newSplits);
    }

    /**
     * With each execution as one CUDA graph, on TornadoVM's CUDA backend: its launches cost less, and its kernels
     * cannot be profiled.
     *
     * @return changed options
     */
    public CacheOptions asCudaGraph() {
        return with(parts -> parts.cudaGraph = true);
    }

    /**
     * With at most this many tokens of a sequence per execution of a task graph; longer prompts take several. The JVM's
     * own engine, which needs no memory for them, computes prompts of any length at once.
     *
     * @param tokens 1 or more
     * @return changed options
     * @throws IllegalArgumentException if it is below 1
     */
    public CacheOptions withPromptTokens(int tokens) {
        return with(parts -> parts.promptTokens = tokens);
    }

    /**
     * With a copy of a cache of bytes on the device, in the tokens' type: steps of 16 tokens and more write it and are
     * computed by {@link DecodeKernel#WARP_GROUP}, as those of an F16 or BF16 cache are, so that prompts go through
     * tensor cores. The copy takes twice the memory of the cache, besides the cache.
     *
     * @return changed options
     */
    public CacheOptions withWideCopy() {
        return with(parts -> parts.wideCopy = true);
    }

    /**
     * The type of queries, new keys and values, and output.
     *
     * @return the type
     */
    public DType dtype() {
        return dtype;
    }

    /**
     * How keys and values are stored.
     *
     * @return the cache's type
     */
    public CacheType cacheType() {
        return cacheType;
    }

    /**
     * The embedding of queries and keys.
     *
     * @return the embedding, or empty for none
     */
    public Optional<RotaryEmbedding> rotary() {
        return rotary;
    }

    /**
     * Where the cache lives.
     *
     * @return the device, or empty for the best
     */
    public Optional<ComputeDevice> device() {
        return device;
    }

    /**
     * What attends.
     *
     * @return the kernel, or empty for the best
     */
    public Optional<DecodeKernel> kernel() {
        return kernel;
    }

    /**
     * The parts that the keys are split into.
     *
     * @return 1 or more, or 0 where they are chosen for the device
     */
    public int splits() {
        return splits;
    }

    /**
     * The tokens of a sequence that one execution takes at most.
     *
     * @return 1 or more
     */
    public int promptTokens() {
        return promptTokens;
    }

    /**
     * Whether an execution is one CUDA graph.
     *
     * @return true after {@link #asCudaGraph()}
     */
    public boolean cudaGraph() {
        return cudaGraph;
    }

    /**
     * Whether steps of many tokens attend to a copy of a cache of bytes.
     *
     * @return true after {@link #withWideCopy()}
     */
    public boolean wideCopy() {
        return wideCopy;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof CacheOptions that
                && dtype == that.dtype
                && cacheType == that.cacheType
                && rotary.equals(that.rotary)
                && device.equals(that.device)
                && kernel.equals(that.kernel)
                && splits == that.splits
                && promptTokens == that.promptTokens
                && cudaGraph == that.cudaGraph
                && wideCopy == that.wideCopy;
    }

    @Override
    public int hashCode() {
        return Objects.hash(dtype, cacheType, rotary, device, kernel, splits, promptTokens, cudaGraph, wideCopy);
    }

    /** The type, and the parts that differ from the defaults, such as {@code F16, E4M3, splits=4}. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder(dtype.name());
        if (cacheType != CacheType.UNQUANTIZED) {
            text.append(", ").append(cacheType);
        }
        rotary.ifPresent(embedding -> text.append(", ").append(embedding));
        device.ifPresent(where -> text.append(", on ").append(where));
        kernel.ifPresent(which -> text.append(", kernel=").append(which.id()));
        if (splits > 0) {
            text.append(", splits=").append(splits);
        }
        if (promptTokens != PROMPT_TOKENS) {
            text.append(", promptTokens=").append(promptTokens);
        }
        return text.append(cudaGraph ? ", CUDA graph" : "")
                .append(wideCopy ? ", wide copy" : "")
                .toString();
    }
}
