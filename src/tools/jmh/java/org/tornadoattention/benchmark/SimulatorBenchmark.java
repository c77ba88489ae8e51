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
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.kernel.OnlineSoftmaxAttention;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * What the simulator costs: one {@code @Parallel} kernel in it with its checks, a work-group kernel in it, and the
 * first of them as the plain Java method that it is. 2 heads, 128 queries and keys, headDim 64, F32.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class SimulatorBenchmark {

    private static final int HEADS = 2;
    private static final int LENGTH = 128;
    private static final int HEAD_DIM = 64;

    private final Tensor q = Tensor.random(DType.F32, 1, 1, HEADS, LENGTH, HEAD_DIM);
    private final Tensor k = Tensor.random(DType.F32, 2, 1, HEADS, LENGTH, HEAD_DIM);
    private final Tensor v = Tensor.random(DType.F32, 3, 1, HEADS, LENGTH, HEAD_DIM);
    private final Tensor output = Tensor.allocate(DType.F32, 1, HEADS, LENGTH, HEAD_DIM);
    private final Tensor logSumExp = Tensor.allocate(DType.F32, 1, HEADS, LENGTH);
    private final FloatArray noSlopes = new FloatArray(1);
    private final IntArray noLengths = new IntArray(1);
    private FlashAttention parallel;
    private FlashAttention workGroups;

    /** Refuses to time anything but the simulator, and a method that is wrong. */
    @Setup(Level.Trial)
    public void prepare() {
        ComputeDevice device = Devices.bestForTaskGraphs();
        if (!device.isSimulator()) {
            throw new IllegalStateException("This benchmark is of the simulator: unset TORNADOVM_HOME.");
        }
        parallel = FlashAttention.on(device, AttentionKernel.ONLINE);
        workGroups = FlashAttention.on(device, AttentionKernel.TILED);
        plainJava();
        for (Comparison comparison :
                AccuracyCheck.of(q, k, v, AttentionOptions.defaults()).forward(output, logSumExp)) {
            if (!comparison.passed()) {
                throw new IllegalStateException(comparison.toString());
            }
        }
    }

    /** Frees the simulator's memory. */
    @TearDown(Level.Trial)
    public void close() {
        parallel.close();
        workGroups.close();
    }

    /** A row a work-item, in the simulator. */
    @Benchmark
    public AttentionResult parallelKernel() {
        return parallel.forward(q, k, v);
    }

    /** Work-groups, local memory and barriers, in the simulator. */
    @Benchmark
    public AttentionResult workGroupKernel() {
        return workGroups.forward(q, k, v);
    }

    /** The kernel's method, called as any other: {@code @Parallel} loops are loops. */
    @Benchmark
    public Tensor plainJava() {
        OnlineSoftmaxAttention.attention(
                q.floatArray(),
                k.floatArray(),
                v.floatArray(),
                output.floatArray(),
                logSumExp.floatArray(),
                noSlopes,
                noLengths,
                HEADS,
                HEADS,
                LENGTH,
                LENGTH,
                HEAD_DIM,
                0,
                -1,
                -1,
                0.125f,
                0f,
                0);
        return output;
    }
}
