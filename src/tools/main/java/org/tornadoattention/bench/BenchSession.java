package org.tornadoattention.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.LongSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.Execution;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Gradients;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.bench.BenchResult.Status;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.DeviceMemory;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.ReplayedPlan;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/**
 * Measures kernels on a device, each as a task of a graph: the inputs, Gaussian and seeded, are on the device, the
 * result is checked before the first time is taken and after the last, and nothing is transferred between executions.
 * Kernels are timed by the device's profiler with the caches emptied before each execution. Wall time is then taken
 * without the profiler, which holds executions up, of a {@link ReplayedPlan}, and with the caches as the execution
 * before has left them: what a user's loop waits for. Between two of those the caches are emptied and the problem is
 * executed once, as {@code bench/peers.py} does, so that the device's clock is the same for both.
 */
public final class BenchSession implements AutoCloseable {

    private static final int FEWEST_REPETITIONS = 3;
    private static final Pattern GLOBAL_BYTES = Pattern.compile("globalBytes=(\\d+)");

    /**
     * How often to execute.
     *
     * @param warmUps executions between the checked one and the first that counts, 0 or more; on the JVM more are added
     *     until times stand still, unless it is 0
     * @param repetitions executions that count, 1 or more
     * @param seconds time after which no more are begun once three have counted
     */
    public record Settings(int warmUps, int repetitions, double seconds) {

        /** Checks the ranges given above. */
        public Settings {
            if (!(seconds >= 0)) {
                throw new IllegalArgumentException("--seconds is %s: it must be 0 or more.".formatted(seconds));
            }
            if (warmUps < 0 || repetitions < 1) {
                throw new IllegalArgumentException(
                        "%d warm-ups and %d repetitions: there must be 0 or more and 1 or more."
                                .formatted(warmUps, repetitions));
            }
        }
    }

    private final ComputeDevice device;
    private final Settings settings;
    private final CacheFlush flush;
    private @Nullable Inputs last;

    /** A session on a device. */
    public BenchSession(ComputeDevice device, Settings settings) {
        this.device = device;
        this.settings = settings;
        this.flush = new CacheFlush(device);
    }

    /** How often each problem is executed. */
    public Settings settings() {
        return settings;
    }

    /** Bytes that are copied to empty the caches before each execution; 0 where there are none. */
    public long flushedBytes() {
        return flush.bytes();
    }

    /**
     * Checks and measures one problem with one kernel. A failure is a result too, so that the others come to their
     * turn.
     *
     * @param tile the tile, or empty for the one that the plan chooses
     * @param progress called after each execution
     */
    public BenchResult measure(BenchCase measured, AttentionKernel kernel, Optional<Tile> tile, Runnable progress) {
        String tileName = tile.map(Tile::toString).orElse(null);
        try (FlashAttention attention = tile.map(given -> FlashAttention.on(device, kernel, given))
                .orElseGet(() -> FlashAttention.on(device, kernel))) {
            if (device.isJvm()) {
                return measured.pass() == Direction.FORWARD
                        ? forwardOnJvm(measured, attention, progress)
                        : backwardOnJvm(measured, attention, progress);
            }
            return measured.pass() == Direction.FORWARD
                    ? forward(measured, attention, progress)
                    : backward(measured, attention, kernel, progress);
        } catch (UnsupportedOnDeviceException e) {
            return BenchResult.without(measured, kernel.id(), tileName, Status.UNSUPPORTED, e.getMessage());
        } catch (VirtualMachineError e) {
            throw e;
        } catch (RuntimeException | Error e) { // TornadoVM's internal errors are Errors
            String message = "%s: %s".formatted(e.getClass().getSimpleName(), e.getMessage());
            return BenchResult.without(measured, kernel.id(), tileName, Status.FAILED, message);
        }
    }

    private Inputs prepare(BenchCase measured) {
        Inputs inputs = Inputs.of(measured, last);
        last = inputs;
        return inputs;
    }

    private BenchResult forward(BenchCase measured, FlashAttention attention, Runnable progress) {
        // The kernel's objections come before a gigabyte of inputs.
        KernelChoice choice = attention.choose(measured.shape(), measured.dtype(), measured.options());
        Inputs inputs = prepare(measured);
        Tensor output = inputs.poisonedOutput();
        Tensor logSumExp = inputs.poisonedLogSumExp();
        TaskGraph graph = new TaskGraph("bench");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(
                DataTransferMode.FIRST_EXECUTION,
                inputs.q().array(),
                inputs.k().array(),
                inputs.v().array(),
                output.array(),
                logSumExp.array());
        appendForward(measured, inputs, attention, graph, grids, output, logSumExp);
        graph.transferToHost(DataTransferMode.UNDER_DEMAND, output.array(), logSumExp.array());
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(device.handle()).withGridScheduler(grids).withProfiler(ProfilerMode.SILENT);
            TornadoExecutionResult first = plan.execute();
            long deviceBytes = plan.getCurrentDeviceMemoryUsage();
            first.transferToHost(output.array(), logSumExp.array());
            progress.run();
            List<Comparison> comparisons = new ArrayList<>(
                    inputs.check().compare(output, logSumExp, choice.kernel().isFp8()));
            Timing timing = time(measured, plan, progress);
            plan.execute().transferToHost(output.array(), logSumExp.array());
            comparisons.addAll(
                    inputs.check().compare(output, logSumExp, choice.kernel().isFp8()));
            Memory memory = Memory.of(DeviceMemory.of(measured.problem(), choice), deviceBytes, countedBytes(first));
            plan.freeDeviceMemory();
            return BenchResult.measured(
                    measured,
                    choice.kernel().id(),
                    choice.tileNames().orElse(null),
                    timing,
                    memory,
                    Accuracy.of(comparisons));
        } catch (TornadoExecutionPlanException e) {
            throw new AttentionException("The plan of %s could not be closed.".formatted(measured), e);
        }
    }

    private BenchResult backward(
            BenchCase measured, FlashAttention attention, AttentionKernel kernel, Runnable progress) {
        if (!kernel.supportsBackward()) {
            return BenchResult.without(
                    measured, kernel.id(), null, Status.UNSUPPORTED, "The kernel has no backward pass.");
        }
        KernelChoice choice = attention.chooseBackward(measured.shape(), measured.dtype(), measured.options());
        if (choice.kernel() != kernel) {
            String message = "Its backward pass is that of the kernel %s."
                    .formatted(choice.kernel().id());
            return BenchResult.without(measured, kernel.id(), null, Status.UNSUPPORTED, message);
        }
        Inputs inputs = prepare(measured);
        Tensor output = inputs.poisonedOutput();
        Tensor logSumExp = inputs.poisonedLogSumExp();
        Gradients gradients = inputs.poisonedGradients();
        boolean withForward = measured.pass() == Direction.FORWARD_BACKWARD;
        if (!withForward) {
            computeForward(measured, inputs, attention, output, logSumExp);
        }
        TaskGraph graph = new TaskGraph("bench");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(
                DataTransferMode.FIRST_EXECUTION,
                inputs.q().array(),
                inputs.k().array(),
                inputs.v().array(),
                output.array(),
                logSumExp.array(),
                inputs.dO().array(),
                gradients.dQ().array(),
                gradients.dK().array(),
                gradients.dV().array());
        if (withForward) {
            appendForward(measured, inputs, attention, graph, grids, output, logSumExp);
        }
        attention.appendBackwardTo(
                graph,
                grids,
                "backward",
                BackwardTensors.builder()
                        .q(inputs.q())
                        .k(inputs.k())
                        .v(inputs.v())
                        .output(output)
                        .logSumExp(logSumExp)
                        .dOut(inputs.dO())
                        .dQ(gradients.dQ())
                        .dK(gradients.dK())
                        .dV(gradients.dV())
                        .build(),
                measured.options());
        Object[] results = {
            output.array(),
            logSumExp.array(),
            gradients.dQ().array(),
            gradients.dK().array(),
            gradients.dV().array()
        };
        graph.transferToHost(DataTransferMode.UNDER_DEMAND, results);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(device.handle()).withGridScheduler(grids).withProfiler(ProfilerMode.SILENT);
            TornadoExecutionResult first = plan.execute();
            long deviceBytes = plan.getCurrentDeviceMemoryUsage();
            first.transferToHost(results);
            progress.run();
            Accuracy accuracy = Accuracy.of(new SampledGradients(
                            measured.shape(), measured.options(), inputs.q(), inputs.k(), inputs.v(), inputs.dO())
                    .compare(output, logSumExp, gradients));
            Timing timing = time(measured, plan, progress);
            plan.execute().transferToHost(results);
            Memory memory = Memory.of(
                    DeviceMemory.ofBackward(measured.problem(), choice.kernel()), deviceBytes, countedBytes(first));
            plan.freeDeviceMemory();
            return BenchResult.measured(
                    measured, choice.kernel().id(), choice.tileNames().orElse(null), timing, memory, accuracy);
        } catch (TornadoExecutionPlanException e) {
            throw new AttentionException("The plan of %s could not be closed.".formatted(measured), e);
        }
    }

    /** Calls of the library: the JVM engine computes on the tensors where they lie, in no task graph. */
    private BenchResult forwardOnJvm(BenchCase measured, FlashAttention attention, Runnable progress) {
        KernelChoice choice = attention.choose(measured.shape(), measured.dtype(), measured.options());
        Inputs inputs = prepare(measured);
        AttentionResult first = callForward(measured, inputs, attention);
        progress.run();
        Timing timing = time(measured, wholeCall(() -> callForward(measured, inputs, attention)), progress);
        AttentionResult last = callForward(measured, inputs, attention);
        List<Comparison> comparisons = new ArrayList<>();
        for (AttentionResult result : List.of(first, last)) {
            comparisons.addAll(inputs.check().compare(result.output(), result.logSumExp(), false));
        }
        Execution execution = last.execution().orElseThrow();
        DeviceMemory needed = DeviceMemory.of(measured.problem(), choice);
        return BenchResult.measured(
                measured,
                choice.kernel().id(),
                execution.tile().orElse(null),
                timing,
                Memory.onJvm(needed, execution),
                Accuracy.of(comparisons));
    }

    /** On the JVM a call has no kernels of its own to time: with all that it does, new tensors for results included. */
    private static LongSupplier wholeCall(Runnable call) {
        return () -> {
            long start = System.nanoTime();
            call.run();
            return System.nanoTime() - start;
        };
    }

    private AttentionResult callForward(BenchCase measured, Inputs inputs, FlashAttention attention) {
        return attention.forward(inputs.q(), inputs.k(), inputs.v(), measured.options());
    }

    private BenchResult backwardOnJvm(BenchCase measured, FlashAttention attention, Runnable progress) {
        KernelChoice choice = attention.chooseBackward(measured.shape(), measured.dtype(), measured.options());
        Inputs inputs = prepare(measured);
        AttentionResult forward = callForward(measured, inputs, attention);
        Gradients gradients = attention.backward(forward, inputs.dO());
        progress.run();
        Accuracy accuracy = Accuracy.of(new SampledGradients(
                        measured.shape(), measured.options(), inputs.q(), inputs.k(), inputs.v(), inputs.dO())
                .compare(forward.output(), forward.logSumExp(), gradients));
        boolean withForward = measured.pass() == Direction.FORWARD_BACKWARD;
        Runnable call =
                () -> attention.backward(withForward ? callForward(measured, inputs, attention) : forward, inputs.dO());
        Timing timing = time(measured, wholeCall(call), progress);
        DeviceMemory needed = DeviceMemory.ofBackward(measured.problem(), choice.kernel());
        // The row terms are told of by both.
        long logSumExp = forward.logSumExp().byteSize();
        long bytes = needed.tensorBytes()
                + logSumExp
                + gradients.execution().orElseThrow().deviceBytes();
        return BenchResult.measured(
                measured,
                choice.kernel().id(),
                null,
                timing,
                Memory.of(needed, Math.max(bytes, needed.totalBytes()), null),
                accuracy);
    }

    /** What a backward pass starts from. */
    private void computeForward(
            BenchCase measured, Inputs inputs, FlashAttention attention, Tensor output, Tensor logSumExp) {
        TaskGraph graph = new TaskGraph("before");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(
                DataTransferMode.FIRST_EXECUTION,
                inputs.q().array(),
                inputs.k().array(),
                inputs.v().array(),
                output.array(),
                logSumExp.array());
        appendForward(measured, inputs, attention, graph, grids, output, logSumExp);
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, output.array(), logSumExp.array());
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(device.handle()).withGridScheduler(grids).execute();
            plan.freeDeviceMemory();
        } catch (TornadoExecutionPlanException e) {
            throw new AttentionException("The plan of %s could not be closed.".formatted(measured), e);
        }
    }

    private void appendForward(
            BenchCase measured,
            Inputs inputs,
            FlashAttention attention,
            TaskGraph graph,
            GridScheduler grids,
            Tensor output,
            Tensor logSumExp) {
        attention.appendTo(
                graph, grids, "forward", inputs.q(), inputs.k(), inputs.v(), output, logSumExp, measured.options());
    }

    /**
     * Checks and measures a problem of one query as a decode step over a key-value cache: append, attention over split
     * keys, merge.
     *
     * @param progress called after each step
     */
    public BenchResult measureDecode(BenchCase measured, Runnable progress) {
        AttentionShape shape = measured.shape();
        DecodeCase step = new DecodeCase(
                shape.batch(),
                shape.heads(),
                shape.kvHeads(),
                shape.seqK(),
                shape.headDim(),
                measured.dtype(),
                false,
                0);
        try {
            DecodeMeasurement measurement = new DecodeBenchmark(
                            device, Optional.empty(), 0, false, settings.warmUps, settings.repetitions)
                    .measure(step, progress);
            return BenchResult.measured(
                    measured,
                    "decode",
                    measurement.tile().toString(),
                    Timing.of(measured, measurement.kernelTime(), measurement.wallTime()),
                    new Memory((long) BenchFile.leastBytes(measured), 0, null, null),
                    Accuracy.of(measurement.comparisons()));
        } catch (UnsupportedOnDeviceException e) {
            return BenchResult.without(measured, "decode", null, Status.UNSUPPORTED, e.getMessage());
        } catch (VirtualMachineError e) {
            throw e;
        } catch (RuntimeException | Error e) { // TornadoVM's internal errors are Errors
            String message = "%s: %s".formatted(e.getClass().getSimpleName(), e.getMessage());
            return BenchResult.without(measured, "decode", null, Status.FAILED, message);
        }
    }

    /** Executions that {@link #measure} tells of, at most. */
    public int executions() {
        return 1 + settings.warmUps + (hasClockOfItsOwn() ? 2 : 1) * settings.repetitions;
    }

    /** Whether kernels are timed by another clock than the wall's, which the profiler holds up. */
    private boolean hasClockOfItsOwn() {
        return !device.isSimulator() && !device.isJvm();
    }

    private Timing time(BenchCase measured, TornadoExecutionPlan plan, Runnable progress) {
        LongSupplier execution = () -> {
            long nanoseconds = plan.execute().getProfilerResult().getDeviceKernelTime();
            if (nanoseconds == 0) {
                throw new AttentionException("%s reports no kernel time, so nothing was launched.".formatted(device));
            }
            return nanoseconds;
        };
        if (!hasClockOfItsOwn()) {
            return time(measured, execution, progress);
        }
        warmUp(execution, progress);
        Spread kernel = repeat(execution, flush::run, progress);
        plan.withoutProfiler();
        ReplayedPlan replayed = ReplayedPlan.ofExecuted(plan, device);
        LongSupplier unprofiled = () -> {
            long start = System.nanoTime();
            replayed.execute();
            return System.nanoTime() - start;
        };
        warmUp(unprofiled, () -> {});
        Runnable before = () -> {
            flush.run();
            replayed.execute();
        };
        return Timing.of(measured, kernel, repeat(unprofiled, before, progress));
    }

    /** @param execution runs the problem once and tells its kernels' nanoseconds */
    private Timing time(BenchCase measured, LongSupplier execution, Runnable progress) {
        warmUp(execution, progress);
        if (settings.warmUps > 0) {
            WarmUp.untilTimesStandStill(execution, WarmUp.LONGEST_SECONDS);
        }
        List<Long> wallTimes = new ArrayList<>();
        Spread kernel = repeat(
                () -> {
                    long start = System.nanoTime();
                    long nanoseconds = execution.getAsLong();
                    wallTimes.add(System.nanoTime() - start);
                    return nanoseconds;
                },
                flush::run,
                progress);
        return Timing.of(
                measured,
                kernel,
                Spread.of(wallTimes.stream().mapToLong(Long::longValue).toArray()));
    }

    private void warmUp(LongSupplier execution, Runnable progress) {
        for (int i = 0; i < settings.warmUps; i++) {
            var _ = execution.getAsLong();
            progress.run();
        }
    }

    /** The nanoseconds of the executions that count, with something done before each that is not timed. */
    private Spread repeat(LongSupplier execution, Runnable before, Runnable progress) {
        long[] nanoseconds = new long[settings.repetitions];
        long begin = System.nanoTime();
        int done = 0;
        while (done < settings.repetitions
                && (done < FEWEST_REPETITIONS || System.nanoTime() - begin < 1e9 * settings.seconds)) {
            before.run();
            nanoseconds[done] = execution.getAsLong();
            done++;
            progress.run();
        }
        return Spread.of(Arrays.copyOf(nanoseconds, done));
    }

    /** What the simulator's profile says that the kernels moved; null from devices, whose profiles do not say. */
    static @Nullable Long countedBytes(TornadoExecutionResult result) {
        Matcher bytes =
                GLOBAL_BYTES.matcher(String.valueOf(result.getProfilerResult().getProfileLog()));
        return bytes.find() ? Long.valueOf(bytes.group(1)) : null;
    }

    /** Frees what the session holds on the device. */
    @Override
    public void close() {
        flush.close();
    }
}
