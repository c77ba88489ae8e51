package org.tornadoattention.benchmark;

import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** Copies into, between and out of tensors of 2²² elements; a score is the time of one element. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@OperationsPerInvocation(TensorCopyBenchmark.ELEMENTS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
public class TensorCopyBenchmark {

    static final int ELEMENTS = 1 << 22;

    /** The tensor's type; the Java array is of floats. */
    @Param({"F32", "F16", "BF16"})
    public DType dtype;

    private Tensor tensor;
    private Tensor target;
    private float[] values;

    /** Fills the tensor, and refuses to time a copy that is wrong. */
    @Setup(Level.Trial)
    public void prepare() {
        tensor = Tensor.random(dtype, 1, 1, 8, ELEMENTS / (8 * 64), 64);
        target = Tensor.allocate(dtype, tensor.shape());
        values = tensor.toFloatArray();
        if (!Arrays.equals(fromFloats().toFloatArray(), values)
                || !Arrays.equals(fromTensor().toFloatArray(), values)) {
            throw new IllegalStateException("Copies differ from what was copied.");
        }
    }

    /** From a Java array, rounded to the type. */
    @Benchmark
    public Tensor fromFloats() {
        return target.copyFrom(values);
    }

    /** To a new Java array, widened. */
    @Benchmark
    public float[] toFloats() {
        return tensor.toFloatArray();
    }

    /** From a tensor of the same type. */
    @Benchmark
    public Tensor fromTensor() {
        return target.copyFrom(tensor);
    }
}
