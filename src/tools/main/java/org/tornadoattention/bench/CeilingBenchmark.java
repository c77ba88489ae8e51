package org.tornadoattention.bench;

import java.util.Arrays;
import java.util.OptionalDouble;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.DoubleStream;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionException;
import org.tornadoattention.choice.Capability;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.DeviceCeiling;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Measures the {@link Ceilings} of a device. */
public final class CeilingBenchmark {

    private static final int REPETITIONS = 7;
    private static final int WARM_UPS = 2;
    private static final int TENSOR_GROUP = 128;

    /** Sizes for a GPU, for a CPU's driver, and for the simulator, which is a thousand times slower. */
    private record Sizes(int copied, int workItems, int steps, int warps) {

        static Sizes of(ComputeDevice device) {
            if (device.isSimulator()) {
                return new Sizes(1 << 20, 1 << 12, 1 << 9, 0);
            }
            return device.type() == TornadoDeviceType.GPU
                    ? new Sizes(1 << 28, 1 << 20, 1 << 12, 1 << 13)
                    : new Sizes(1 << 24, 1 << 14, 1 << 12, 0);
        }
    }

    private final ComputeDevice device;
    private final Sizes sizes;

    private CeilingBenchmark(ComputeDevice device) {
        this.device = device;
        this.sizes = Sizes.of(device);
    }

    /** Measures a device: a second or two. */
    public static Ceilings measure(ComputeDevice device) {
        CeilingBenchmark benchmark = new CeilingBenchmark(device);
        return new Ceilings(benchmark.copy(), benchmark.multiplyAdd(), benchmark.tensorCores());
    }

    private double copy() {
        FloatArray from = new FloatArray(sizes.copied);
        FloatArray to = new FloatArray(sizes.copied);
        from.init(1f);
        double seconds = seconds(
                "copy",
                sizes.copied,
                256,
                graph -> graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, from, to)
                        .task("run", DeviceCeiling::copy, from, to)
                        .transferToHost(DataTransferMode.UNDER_DEMAND, to));
        return 2.0 * Float.BYTES * sizes.copied / seconds;
    }

    private double multiplyAdd() {
        FloatArray x = FloatArray.fromElements(0.999f, 0.001f);
        FloatArray result = new FloatArray(sizes.workItems);
        double seconds = seconds(
                "fma",
                sizes.workItems,
                256,
                graph -> graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, x, result)
                        .task("run", DeviceCeiling::multiplyAdd, x, result, sizes.steps)
                        .transferToHost(DataTransferMode.UNDER_DEMAND, result));
        return 2.0 * DeviceCeiling.CHAINS * sizes.steps * sizes.workItems / seconds;
    }

    /**
     * By the fastest instruction that the device has. Null where the device has no tensor cores, or a driver that will
     * not use them: the report says so.
     */
    private @Nullable Double tensorCores() {
        if (sizes.warps == 0) {
            return null;
        }
        OptionalDouble fastest = DoubleStream.concat(
                        device.backend().hasMatrixInstructions() ? products("mma", this::warps) : DoubleStream.empty(),
                        Capability.WARP_GROUP.isOn(device)
                                ? products("products of warp groups", this::warpGroups)
                                : DoubleStream.empty())
                .max();
        return fastest.isPresent() ? fastest.getAsDouble() : null;
    }

    private DoubleStream products(String name, DoubleSupplier operationsPerSecond) {
        try {
            return DoubleStream.of(operationsPerSecond.getAsDouble());
        } catch (RuntimeException e) {
            Logger.getLogger(CeilingBenchmark.class.getName())
                    .log(Level.WARNING, "{0} on {1} were not measured: {2}", new Object[] {name, device, e});
            return DoubleStream.empty();
        }
    }

    private double warps() {
        FloatArray result = new FloatArray(sizes.warps * DeviceCeiling.WARP_RESULT);
        int steps = sizes.steps;
        double seconds = seconds(
                "mma",
                sizes.warps * 32,
                TENSOR_GROUP,
                graph -> graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, result)
                        .task("run", DeviceCeiling::tensorCores, new KernelContext(), result, steps)
                        .transferToHost(DataTransferMode.UNDER_DEMAND, result));
        return (double) DeviceCeiling.TENSOR_OPERATIONS * steps * sizes.warps / seconds;
    }

    private double warpGroups() {
        int groups = sizes.warps * 32 / TENSOR_GROUP;
        FloatArray result = new FloatArray(groups * TENSOR_GROUP);
        int steps = sizes.steps;
        double seconds = seconds(
                "wgmma",
                groups * TENSOR_GROUP,
                TENSOR_GROUP,
                graph -> graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, result)
                        .task("run", DeviceCeiling::warpGroups, new KernelContext(), result, steps)
                        .transferToHost(DataTransferMode.UNDER_DEMAND, result));
        return (double) DeviceCeiling.WARP_GROUP_OPERATIONS * steps * groups / seconds;
    }

    private double seconds(String name, int workItems, int groupSize, Consumer<TaskGraph> body) {
        TaskGraph graph = new TaskGraph(name);
        body.accept(graph);
        WorkerGrid1D grid = new WorkerGrid1D(workItems);
        grid.setLocalWork(Math.min(groupSize, device.maxGroupSize()), 1, 1);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(device.handle())
                    .withGridScheduler(new GridScheduler(name + ".run", grid))
                    .withProfiler(ProfilerMode.SILENT);
            long[] nanoseconds = new long[REPETITIONS];
            for (int i = -WARM_UPS; i < REPETITIONS; i++) {
                long time = plan.execute().getProfilerResult().getDeviceKernelTime();
                if (time == 0) {
                    throw new AttentionException(
                            "%s reports no kernel time for %s, so nothing was launched.".formatted(device, name));
                }
                if (i >= 0) {
                    nanoseconds[i] = time;
                }
            }
            // A ceiling is what was reached once.
            return Arrays.stream(nanoseconds).min().orElseThrow() / 1e9;
        } catch (TornadoExecutionPlanException e) {
            throw new AttentionException("The plan of %s could not be closed.".formatted(name), e);
        }
    }
}
