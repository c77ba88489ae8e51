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
import org.openjdk.jmh.annotations.Warmup;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.reference.NaiveAttention;
import org.tornadoattention.reference.ReferenceAttention;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** What it costs to know the right answer: the oracle and its yardstick, on the JVM, 8 heads of dimension 64. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
public class ReferenceBenchmark {

    /** Queries, and as many keys. */
    @Param({"128", "512"})
    public int seqLength;

    private Tensor q;
    private Tensor k;
    private Tensor v;

    /** Makes the inputs: normal numbers. */
    @Setup(Level.Trial)
    public void prepare() {
        q = Tensor.random(DType.F32, 1, 1, 8, seqLength, 64);
        k = Tensor.random(DType.F32, 2, 1, 8, seqLength, 64);
        v = Tensor.random(DType.F32, 3, 1, 8, seqLength, 64);
    }

    /** The float64 oracle. */
    @Benchmark
    public ReferenceAttention.Forward oracle() {
        return ReferenceAttention.forward(q, k, v, AttentionOptions.causal());
    }

    /** Standard attention in F32. */
    @Benchmark
    public NaiveAttention.Forward naive() {
        return NaiveAttention.forward(q, k, v, AttentionOptions.causal());
    }
}
