package org.tornadoattention.benchmark;

import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Gradients;
import org.tornadoattention.cache.CacheOptions;
import org.tornadoattention.cache.KvCache;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * The JVM's own engine, on all cores: forward and backward of 8 heads x 1024 x 64, causal, and a query of 32/8 heads x
 * 128 over 8192 cached keys.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class VectorEngineBenchmark {

    private static final AttentionOptions CAUSAL = AttentionOptions.causal();
    private static final int KEYS = 8192;

    /** The type of all tensors. */
    @Param({"F32", "F16", "BF16"})
    public DType dtype;

    private FlashAttention attention;
    private Tensor q;
    private Tensor k;
    private Tensor v;
    private Tensor dOut;
    private AttentionResult result;
    private KvCache cache;
    private Tensor query;

    /** Makes the inputs and refuses to time what is wrong. */
    @Setup(Level.Trial)
    public void prepare() {
        ComputeDevice jvm = Devices.find(Optional.of(Backend.JVM), Optional.empty());
        attention = FlashAttention.on(jvm);
        q = Tensor.random(dtype, 1, 1, 8, 1024, 64);
        k = Tensor.random(dtype, 2, 1, 8, 1024, 64);
        v = Tensor.random(dtype, 3, 1, 8, 1024, 64);
        dOut = Tensor.random(dtype, 4, 1, 8, 1024, 64);
        result = forward();
        AccuracyCheck check = AccuracyCheck.of(q, k, v, dOut, CAUSAL);
        requirePassed(check.forward(result.output(), result.logSumExp()));
        requirePassed(check.gradients(backward()));
        cache = KvCache.builder()
                .batch(1)
                .heads(32, 8)
                .headDim(128)
                .capacity(KEYS)
                .options(CacheOptions.of(dtype).on(jvm))
                .build();
        Tensor keys = Tensor.random(dtype, 5, 1, 8, KEYS, 128);
        Tensor values = Tensor.random(dtype, 6, 1, 8, KEYS, 128);
        cache.append(keys, values);
        query = Tensor.random(dtype, 7, 1, 32, 1, 128);
        AttentionResult decoded = decode();
        requirePassed(AccuracyCheck.of(query, keys, values, CAUSAL).forward(decoded.output(), decoded.logSumExp()));
    }

    private static void requirePassed(Iterable<Comparison> comparisons) {
        for (Comparison comparison : comparisons) {
            if (!comparison.passed()) {
                throw new IllegalStateException(comparison.toString());
            }
        }
    }

    /** Ends the engine's threads. */
    @TearDown(Level.Trial)
    public void close() {
        attention.close();
        cache.close();
    }

    /** A forward pass. */
    @Benchmark
    public AttentionResult forward() {
        return attention.forward(q, k, v, CAUSAL);
    }

    /** A backward pass. */
    @Benchmark
    public Gradients backward() {
        return attention.backward(result, dOut);
    }

    /** A query over a full cache. */
    @Benchmark
    public AttentionResult decode() {
        return cache.forward(query, CAUSAL);
    }
}
