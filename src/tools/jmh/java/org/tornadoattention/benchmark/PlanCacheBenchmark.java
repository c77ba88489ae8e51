package org.tornadoattention.benchmark;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.device.Devices;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * What a call costs beside its arithmetic: one query and one key, with the plan compiled and with the plan to build.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
public class PlanCacheBenchmark {

    private final Tensor q = Tensor.random(DType.F32, 1, 1, 1, 1, 16);
    private FlashAttention attention;

    /** Builds the plan that {@link #hit} finds. */
    @Setup(Level.Trial)
    public void prepare() {
        attention = FlashAttention.on(Devices.bestForTaskGraphs());
        hit();
    }

    /** Frees the device's memory, and refuses a number for hits that were none. */
    @TearDown(Level.Trial)
    public void close() {
        long misses = attention.statistics().misses();
        attention.close();
        if (misses != 1) {
            throw new IllegalStateException("%d plans were built for one problem.".formatted(misses));
        }
    }

    /** A call whose plan is there. */
    @Benchmark
    public AttentionResult hit() {
        return attention.forward(q, q, q, AttentionOptions.defaults());
    }

    /** An instance, a plan, a call and the end of both; a device compiles the kernel each time. */
    @Benchmark
    public AttentionResult missAndClose() {
        try (FlashAttention fresh = FlashAttention.on(Devices.bestForTaskGraphs())) {
            return fresh.forward(q, q, q, AttentionOptions.defaults());
        }
    }
}
