package org.tornadoattention.benchmark;

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
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * Whole calls of {@link FlashAttention#forward}, transfers included, on the best device: 8 heads of dimension 64, F32.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
public class ForwardCallBenchmark {

    /** The kernel. */
    @Param({"standard", "online", "tiled"})
    public String kernel;

    /** Queries, and as many keys. */
    @Param({"128", "256"})
    public int seqLength;

    private FlashAttention attention;
    private Tensor q;
    private Tensor k;
    private Tensor v;

    /** Makes the inputs and refuses to time a kernel that is wrong. */
    @Setup(Level.Trial)
    public void prepare() {
        attention = FlashAttention.on(Devices.bestForTaskGraphs(), AttentionKernel.parse(kernel));
        q = Tensor.random(DType.F32, 1, 1, 8, seqLength, 64);
        k = Tensor.random(DType.F32, 2, 1, 8, seqLength, 64);
        v = Tensor.random(DType.F32, 3, 1, 8, seqLength, 64);
        AttentionResult result = forward();
        for (Comparison comparison :
                AccuracyCheck.of(q, k, v, AttentionOptions.defaults()).forward(result.output(), result.logSumExp())) {
            if (!comparison.passed()) {
                throw new IllegalStateException(comparison.toString());
            }
        }
    }

    /** Frees the device's memory. */
    @TearDown(Level.Trial)
    public void close() {
        attention.close();
    }

    /** One call. */
    @Benchmark
    public AttentionResult forward() {
        return attention.forward(q, k, v);
    }
}
