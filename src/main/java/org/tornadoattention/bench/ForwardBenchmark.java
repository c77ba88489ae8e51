package org.tornadoattention.bench;

import java.util.List;
import org.tornadoattention.AttentionException;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.plan.AttentionProblem;
import org.tornadoattention.plan.DeviceMemory;
import org.tornadoattention.plan.KernelChoice;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/**
 * Measures a forward pass as a task in a graph: the inputs, Gaussian and seeded, are on the device, the result is checked
 * before the first time is taken, and nothing is transferred between repetitions.
 */
public final class ForwardBenchmark {

    private static final long SEED = 1;

    private final FlashAttention attention;
    private final int warmUps;
    private final int repetitions;

    /**
     * A benchmark of one device and, if that has one, one kernel.
     *
     * @param attention what to measure
     * @param warmUps executions before the first that counts, 0 or more
     * @param repetitions executions that count, 1 or more
     */
    public ForwardBenchmark(FlashAttention attention, int warmUps, int repetitions) {
        if (warmUps < 0 || repetitions < 1) {
            throw new IllegalArgumentException("%d warm-ups and %d repetitions: there must be 0 or more and 1 or more."
                    .formatted(warmUps, repetitions));
        }
        this.attention = attention;
        this.warmUps = warmUps;
        this.repetitions = repetitions;
    }

    /**
     * Checks and measures one case.
     *
     * @param progress called after each execution
     * @throws AttentionException if the device fails
     */
    public ForwardMeasurement measure(ForwardCase measured, Runnable progress) {
        return measure(measured, Inputs.of(measured), progress);
    }

    /** Checks and measures one case with inputs that were made for it: to make them takes longer than all the rest. */
    ForwardMeasurement measure(ForwardCase measured, Inputs inputs, Runnable progress) {
        Tensor q = inputs.q;
        Tensor k = inputs.k;
        Tensor v = inputs.v;
        Tensor output = Tensor.allocate(measured.dtype(), measured.shape().queryShape());
        Tensor logSumExp = Tensor.allocate(DType.F32, measured.shape().logSumExpShape());
        output.fill(Float.NaN);
        logSumExp.fill(Float.NaN);

        TaskGraph graph = new TaskGraph("bench");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(
                DataTransferMode.FIRST_EXECUTION, q.array(), k.array(), v.array(), output.array(), logSumExp.array());
        KernelChoice choice =
                attention.appendTo(graph, grids, "forward", q, k, v, output, logSumExp, measured.options());
        graph.transferToHost(DataTransferMode.UNDER_DEMAND, output.array(), logSumExp.array());
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(attention.device().handle())
                    .withGridScheduler(grids)
                    .withProfiler(ProfilerMode.SILENT);
            plan.execute().transferToHost(output.array(), logSumExp.array());
            progress.run();
            List<Comparison> comparisons = new SampledCheck(measured, q, k, v).compare(output, logSumExp);
            for (int i = 0; i < warmUps; i++) {
                plan.execute();
                progress.run();
            }
            long[] kernelTimes = new long[repetitions];
            long[] wallTimes = new long[repetitions];
            for (int i = 0; i < repetitions; i++) {
                long start = System.nanoTime();
                TornadoExecutionResult result = plan.execute();
                wallTimes[i] = System.nanoTime() - start;
                kernelTimes[i] = result.getProfilerResult().getDeviceKernelTime();
                if (kernelTimes[i] == 0) {
                    throw new AttentionException(
                            "%s reports no kernel time, so nothing was launched.".formatted(attention.device()));
                }
                progress.run();
            }
            return new ForwardMeasurement(
                    measured,
                    choice,
                    comparisons,
                    Spread.of(kernelTimes),
                    Spread.of(wallTimes),
                    DeviceMemory.of(
                            AttentionProblem.of(measured.shape(), measured.dtype(), measured.options()),
                            choice.kernel()));
        } catch (TornadoExecutionPlanException e) {
            throw new AttentionException("The plan of %s could not be closed.".formatted(measured), e);
        }
    }

    /** Gaussian inputs, the same ones each time. */
    record Inputs(Tensor q, Tensor k, Tensor v) {

        static Inputs of(ForwardCase measured) {
            return new Inputs(
                    Tensor.random(measured.dtype(), SEED, measured.shape().queryShape()),
                    Tensor.random(measured.dtype(), SEED + 1, measured.shape().keyShape()),
                    Tensor.random(measured.dtype(), SEED + 2, measured.shape().keyShape()));
        }
    }
}
