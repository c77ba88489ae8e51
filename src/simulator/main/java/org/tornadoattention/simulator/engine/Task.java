package org.tornadoattention.simulator.engine;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.tornadoattention.simulator.KernelStatistics;
import org.tornadoattention.simulator.Simulator;
import org.tornadoattention.simulator.SimulatorFaultException;
import org.tornadoattention.simulator.SimulatorSettings;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.WorkerGrid;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import uk.ac.manchester.tornado.api.exceptions.TornadoTaskRuntimeException;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** A task of a graph that is being executed. */
final class Task {

    /** Of those that a system property asks for, over the whole program. */
    private static final TracePages PAGES = new TracePages();

    private final GraphDefinition.TaskDefinition definition;
    /** What the kernel's function has captured, then the arguments of the task. */
    private final Object[] arguments;

    private final KernelLoader loader;

    /** Whether it was launched: TornadoVM compiles a task once, whatever copies the simulator makes of its kernel. */
    private boolean loaded;

    Task(GraphDefinition.TaskDefinition definition) {
        this.definition = definition;
        checkArguments();
        Object[] captured = Captures.of(definition.code());
        this.arguments = Arrays.copyOf(captured, captured.length + definition.arguments().length);
        System.arraycopy(definition.arguments(), 0, arguments, captured.length, definition.arguments().length);
        this.loader = new KernelLoader(definition, captured.length, arguments);
    }

    private void checkArguments() {
        for (Object argument : definition.arguments()) {
            boolean supported = argument instanceof TornadoNativeArray
                    || argument instanceof KernelContext
                    || argument instanceof Number
                    || argument instanceof HalfFloat
                    || argument instanceof Boolean
                    || argument instanceof Character;
            if (!supported) {
                throw new TornadoTaskRuntimeException("Task " + definition.fullName() + " has an argument "
                        + (argument == null
                                ? "null"
                                : "of type " + argument.getClass().getName())
                        + "; the simulator takes native arrays, a KernelContext, boxed primitives and HalfFloat");
            }
        }
    }

    List<TornadoNativeArray> arrays() {
        List<TornadoNativeArray> arrays = new ArrayList<>();
        for (Object argument : arguments) {
            if (argument instanceof TornadoNativeArray array) {
                arrays.add(array);
            }
        }
        return arrays;
    }

    /** Finds the kernel method ahead of the first run. */
    void prepare() {
        loader.find();
    }

    KernelStatistics run(GraphArrays arrays, GridScheduler grids, PlanSettings plan, Profile.Recorder recorder) {
        try {
            return launch(arrays, grids, plan, recorder);
        } catch (SimulatorFaultException e) {
            throw FaultLog.tell(e);
        }
    }

    private KernelStatistics launch(
            GraphArrays arrays, GridScheduler grids, PlanSettings plan, Profile.Recorder recorder) {
        SimulatorSettings settings = Simulator.settings();
        Binding binding = bind(arrays);
        long start = System.nanoTime();
        KernelBody body = loader.load(LaunchOptions.of(settings), binding);
        if (!loaded) {
            recorder.prepared(System.nanoTime() - start);
            loaded = true;
        }
        if (plan.printKernel()) {
            System.out.println("[simulator] task " + definition.fullName() + " runs " + body);
        }
        Launch launch = binding.hasContext()
                ? new GridLaunch(definition.fullName(), body, binding, grid(grids), settings)
                : new ParallelLaunch(definition.fullName(), body, binding, settings);
        if (plan.threadInfo()) {
            System.out.println("[simulator] task " + definition.fullName() + ": " + launch);
        }
        KernelStatistics statistics = launch.run();
        recorder.ran(statistics.time().toNanos());
        if (System.getProperty("tornadoattention.simulator.costs") != null) {
            statistics.costs().ifPresent(costs -> CostReport.print(body, costs, settings));
        }
        if (System.getProperty("tornadoattention.simulator.trace") != null) {
            statistics
                    .trace()
                    .ifPresent(trace -> PAGES.write(settings.trace().orElseThrow(), trace)
                            .ifPresent(page -> System.out.println("Wrote " + page + ": open it in a browser.")));
        }
        StatisticsLog.launched(statistics);
        return statistics;
    }

    private Binding bind(GraphArrays arrays) {
        Object[] bound = arguments.clone();
        List<DeviceArray> distinct = new ArrayList<>();
        List<Integer> positions = new ArrayList<>();
        for (int i = 0; i < bound.length; i++) {
            if (bound[i] instanceof TornadoNativeArray array) {
                DeviceArray device = arrays.get(array);
                bound[i] = device.twin();
                if (!distinct.contains(device)) {
                    distinct.add(device);
                    positions.add(i);
                }
            }
        }
        return new Binding(bound, distinct, positions);
    }

    private Grid grid(GridScheduler grids) {
        WorkerGrid workers = grids == null ? null : grids.get(definition.fullName());
        if (workers == null) {
            throw new TornadoRuntimeException("Task " + definition.fullName() + " has a KernelContext but no grid;"
                    + " name one in a GridScheduler (\"" + definition.fullName()
                    + "\") and pass it to withGridScheduler");
        }
        return Grid.of(definition.fullName(), workers);
    }
}
