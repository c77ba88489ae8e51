package org.tornadoattention.bench;

import java.util.List;
import org.tornadoattention.AttentionException;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Gradients;
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
 * Measures a backward pass, alone or after its forward pass, as tasks in a graph, in {@link ForwardBenchmark}'s way: the
 * inputs are on the device, the gradients are checked before the first time is taken, and nothing is transferred between
 * repetitions.
 */
public final class BackwardBenchmark {

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
    public BackwardBenchmark(FlashAttention attention, int warmUps, int repetitions) {
        if (warmUps < 0 || repetitions < 1) {
            throw new IllegalArgumentException("%d warm-ups and %d repetitions: there must be 0 or more and 1 or more."
                    .formatted(warmUps, repetitions));
        }
        this.attention = attention;
        this.warmUps = warmUps;
        this.repetitions = repetitions;
    }

    /** What a graph works on, the results NaN at first. */
    private record Tensors(
            Tensor q, Tensor k, Tensor v, Tensor output, Tensor logSumExp, Tensor dO, Gradients gradients) {

        static Tensors of(BackwardCase measured) {
            int[] queries = measured.shape().queryShape();
            int[] keys = measured.shape().keyShape();
            DType dtype = measured.dtype();
            return new Tensors(
                    Tensor.random(dtype, SEED, queries),
                    Tensor.random(dtype, SEED + 1, keys),
                    Tensor.random(dtype, SEED + 2, keys),
                    unwritten(dtype, queries),
                    unwritten(DType.F32, measured.shape().logSumExpShape()),
                    Tensor.random(dtype, SEED + 3, queries),
                    new Gradients(unwritten(dtype, queries), unwritten(dtype, keys), unwritten(dtype, keys)));
        }

        private static Tensor unwritten(DType dtype, int... shape) {
            Tensor tensor = Tensor.allocate(dtype, shape);
            tensor.fill(Float.NaN);
            return tensor;
        }

        /** All that a graph takes to the device at first. */
        Object[] all() {
            return new Object[] {
                q.array(),
                k.array(),
                v.array(),
                output.array(),
                logSumExp.array(),
                dO.array(),
                gradients.dQ().array(),
                gradients.dK().array(),
                gradients.dV().array()
            };
        }

        /** What it brings back when asked. */
        Object[] results() {
            return new Object[] {
                output.array(),
                logSumExp.array(),
                gradients.dQ().array(),
                gradients.dK().array(),
                gradients.dV().array()
            };
        }
    }

    /**
     * Checks and measures one case.
     *
     * @param progress called after each execution
     * @throws AttentionException if the device fails
     */
    public BackwardMeasurement measure(BackwardCase measured, Runnable progress) {
        Tensors tensors = Tensors.of(measured);
        if (!measured.withForward()) {
            forward(measured, tensors);
        }
        TaskGraph graph = new TaskGraph("bench");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, tensors.all());
        if (measured.withForward()) {
            appendForward(graph, grids, measured, tensors);
        }
        KernelChoice choice = attention.appendBackwardTo(
                graph,
                grids,
                "backward",
                tensors.q,
                tensors.k,
                tensors.v,
                tensors.output,
                tensors.logSumExp,
                tensors.dO,
                tensors.gradients.dQ(),
                tensors.gradients.dK(),
                tensors.gradients.dV(),
                measured.options());
        graph.transferToHost(DataTransferMode.UNDER_DEMAND, tensors.results());
        try (TornadoExecutionPlan plan = plan(graph, grids)) {
            plan.execute().transferToHost(tensors.results());
            progress.run();
            List<Comparison> comparisons = new SampledGradients(
                            measured.shape(), measured.options(), tensors.q, tensors.k, tensors.v, tensors.dO)
                    .compare(tensors.output, tensors.logSumExp, tensors.gradients);
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
            return new BackwardMeasurement(
                    measured,
                    choice,
                    comparisons,
                    Spread.of(kernelTimes),
                    Spread.of(wallTimes),
                    DeviceMemory.ofBackward(measured.problem(), choice.kernel()));
        } catch (TornadoExecutionPlanException e) {
            throw notClosed(measured, e);
        }
    }

    /** What the backward pass starts from. */
    private void forward(BackwardCase measured, Tensors tensors) {
        TaskGraph graph = new TaskGraph("before");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(
                DataTransferMode.FIRST_EXECUTION,
                tensors.q.array(),
                tensors.k.array(),
                tensors.v.array(),
                tensors.output.array(),
                tensors.logSumExp.array());
        appendForward(graph, grids, measured, tensors);
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, tensors.output.array(), tensors.logSumExp.array());
        try (TornadoExecutionPlan plan = plan(graph, grids)) {
            plan.execute();
            plan.freeDeviceMemory();
        } catch (TornadoExecutionPlanException e) {
            throw notClosed(measured, e);
        }
    }

    private void appendForward(TaskGraph graph, GridScheduler grids, BackwardCase measured, Tensors tensors) {
        attention.appendTo(
                graph,
                grids,
                "forward",
                tensors.q,
                tensors.k,
                tensors.v,
                tensors.output,
                tensors.logSumExp,
                measured.options());
    }

    private TornadoExecutionPlan plan(TaskGraph graph, GridScheduler grids) {
        return new TornadoExecutionPlan(graph.snapshot())
                .withDevice(attention.device().handle())
                .withGridScheduler(grids)
                .withProfiler(ProfilerMode.SILENT);
    }

    private static AttentionException notClosed(BackwardCase measured, TornadoExecutionPlanException cause) {
        return new AttentionException("The plan of %s could not be closed.".formatted(measured), cause);
    }
}
