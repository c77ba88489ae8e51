package org.tornadoattention.simulator.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.tornadoattention.simulator.KernelStatistics;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** Runs the graphs of an execution plan. One execution at a time; calls from several threads wait for each other. */
public final class PlanExecutor {

    private final List<GraphExecutor> graphs;
    private List<GraphExecutor> selected;
    private GraphExecutor lastExecuted;
    private SimulatedDevice device = SimulatedRuntime.device();
    private GridScheduler grids;
    private ProfilerMode profiler;
    private PlanSettings settings = new PlanSettings(false, false);

    /** Creates an executor for graphs that run in this order. */
    public PlanExecutor(List<GraphDefinition> definitions) {
        this.graphs = definitions.stream()
                .map(definition -> new GraphExecutor(definition, device.memory()))
                .toList();
        this.selected = graphs;
    }

    /** Runs the selected graphs and returns the profile, empty unless the profiler is on. */
    public synchronized Profile execute() {
        Profile.Recorder recorder = new Profile.Recorder();
        List<KernelStatistics> statistics = new ArrayList<>();
        for (GraphExecutor graph : selected) {
            graph.execute(this::findOnDevice, grids, settings, recorder, statistics);
            lastExecuted = graph;
        }
        StatisticsLog.executed(statistics);
        if (profiler == null && !SimulatedRuntime.instance().isProfilerEnabled()) {
            return Profile.NONE;
        }
        Profile profile = recorder.finish(deviceBytes(), globalBytes(statistics));
        if (profiler == ProfilerMode.CONSOLE) {
            System.out.println(profile);
        }
        return profile;
    }

    private static long globalBytes(List<KernelStatistics> statistics) {
        if (!statistics.stream().allMatch(KernelStatistics::counted)) {
            return -1;
        }
        return statistics.stream()
                .mapToLong(kernel -> kernel.globalBytesRead() + kernel.globalBytesWritten())
                .sum();
    }

    /** Finds the kernels of the selected graphs. */
    public synchronized void prepare() {
        selected.forEach(graph -> graph.tasks().forEach(Task::prepare));
    }

    /** Selects one graph. */
    public synchronized void selectGraph(int index) {
        selected = List.of(graph(index));
    }

    /** Selects all graphs. */
    public synchronized void selectAllGraphs() {
        selected = graphs;
    }

    /** Sets the device of all graphs; what they have on another one is freed. */
    public synchronized void setDevice(TornadoDevice newDevice) {
        if (!(newDevice instanceof SimulatedDevice simulated)) {
            throw new TornadoRuntimeException("The simulator has no device " + newDevice);
        }
        if (device != simulated) {
            graphs.forEach(graph -> graph.moveTo(simulated.memory()));
            device = simulated;
        }
    }

    /** Sets the device of one task, which is that of all: refused where there are others that run elsewhere. */
    public synchronized void setDeviceOfTask(TornadoDevice newDevice) {
        long tasks =
                graphs.stream().mapToLong(graph -> graph.taskNames().size()).sum();
        if (newDevice != device && tasks > 1) {
            throw new TornadoRuntimeException("The simulator runs all " + tasks
                    + " tasks of a plan on one device; give it with withDevice(device), or divide the plan");
        }
        setDevice(newDevice);
    }

    /** Returns the device of a selected graph. */
    public TornadoDevice device(int index) {
        if (index < 0 || index >= selected.size()) {
            throw new TornadoRuntimeException(
                    "There is no task graph " + index + " among the " + selected.size() + " selected ones");
        }
        return device;
    }

    /** Sets the grids of tasks. */
    public synchronized void setGridScheduler(GridScheduler scheduler) {
        boolean known =
                scheduler.keySet().stream().anyMatch(task -> graphs.stream().anyMatch(graph -> graph.hasTask(task)));
        if (!known) {
            throw new TornadoRuntimeException("None of the names in the GridScheduler " + scheduler.keySet()
                    + " is a task of this plan; write graph.task, as in \"" + exampleTask() + "\"");
        }
        grids = scheduler;
    }

    /** Forgets the grids of tasks. */
    public synchronized void useDefaultScheduler() {
        grids = null;
    }

    /** Turns the profiler on, or off with null. */
    public synchronized void setProfiler(ProfilerMode mode) {
        profiler = mode;
    }

    /** Limits the memory of each selected graph; null lifts the limit. */
    public synchronized void setMemoryLimit(String limit) {
        long bytes = limit == null ? Long.MAX_VALUE : DeviceMemory.parse(limit);
        selected.forEach(graph -> graph.arrays().limit(bytes));
    }

    /** Has the kernels printed, or not. */
    public synchronized void setPrintKernel(boolean on) {
        settings = new PlanSettings(on, settings.threadInfo());
    }

    /** Has the grids printed, or not. */
    public synchronized void setThreadInfo(boolean on) {
        settings = new PlanSettings(settings.printKernel(), on);
    }

    /** Frees the memory of the selected graphs. */
    public synchronized void freeDeviceMemory() {
        selected.forEach(GraphExecutor::freeDeviceMemory);
    }

    /** Frees the memory of all graphs. */
    public synchronized void close() {
        graphs.forEach(GraphExecutor::freeDeviceMemory);
    }

    /** Returns the bytes of device memory that the selected graphs hold. */
    public synchronized long deviceBytes() {
        return selected.stream().mapToLong(graph -> graph.arrays().bytes()).sum();
    }

    /** Copies arrays to the host. */
    public synchronized void transferToHost(Object... objects) {
        for (Object object : objects) {
            requireOnDevice(object).copyOut((TornadoNativeArray) object);
        }
    }

    /** Copies a part of an array to the host. */
    public synchronized void transferToHost(TornadoNativeArray array, long offset, long bytes) {
        requireOnDevice(array).copyOut(array, offset, bytes);
    }

    /** Makes an array of one graph share the memory of an array of another. */
    public synchronized void mapOnDevice(Object destination, Object source, long offset, int fromGraph, int toGraph) {
        if (graphs.size() < 2) {
            throw new TornadoRuntimeException("mapOnDeviceMemoryRegion needs a plan with at least two task graphs");
        }
        DeviceArray device = source instanceof TornadoNativeArray array
                ? graph(fromGraph).arrays().find(array)
                : null;
        boolean fits = device != null
                && offset == 0
                && destination != null
                && destination.getClass() == source.getClass()
                && ((TornadoNativeArray) destination).getSize() == device.host().getSize();
        if (!fits) {
            throw new TornadoRuntimeException("The simulator maps whole arrays of the same type and size that are on"
                    + " the device, from offset 0");
        }
        graph(toGraph).arrays().borrow((TornadoNativeArray) destination, device);
    }

    /** Executes again and again for that time. */
    public void warmUpFor(long milliseconds) {
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(milliseconds);
        do {
            execute();
        } while (System.nanoTime() < end);
    }

    private GraphExecutor graph(int index) {
        if (index < 0 || index >= graphs.size()) {
            throw new TornadoRuntimeException("There is no task graph " + index + "; this plan has " + graphs.size());
        }
        return graphs.get(index);
    }

    private String exampleTask() {
        return graphs.stream()
                .flatMap(graph -> graph.taskNames().stream())
                .findFirst()
                .orElse("graph.task");
    }

    private DeviceArray findOnDevice(String name, TornadoNativeArray array, GraphExecutor consumer) {
        DeviceArray found = null;
        boolean left = true;
        for (GraphExecutor graph : graphs) {
            if (name == null ? graph == lastExecuted : graph.name().equals(name)) {
                found = graph.arrays().find(array);
                left = graph.leaves(array);
            }
        }
        if (found != null && !left) {
            throw new TornadoRuntimeException("Task graph " + consumer.name() + " consumes an array that "
                    + (name == null ? "the graph that ran before it" : "graph " + name)
                    + " transfers, but no task of that graph has it, and TornadoVM then leaves it on the host; have the"
                    + " first graph with a task that has it transfer it");
        }
        if (found == null) {
            throw new TornadoRuntimeException("Task graph " + consumer.name() + " consumes an array that "
                    + (name == null ? "the graph that ran before it" : "graph " + name)
                    + " did not leave on the device; have that graph persistOnDevice(...) it and run first");
        }
        return found;
    }

    private DeviceArray requireOnDevice(Object object) {
        for (GraphExecutor graph : graphs) {
            DeviceArray found =
                    object instanceof TornadoNativeArray array ? graph.arrays().find(array) : null;
            if (found != null && (graph == lastExecuted || selected.contains(graph))) {
                return found;
            }
        }
        boolean known = graphs.stream().anyMatch(graph -> graph.knows(object));
        throw new TornadoRuntimeException(
                known
                        ? "transferToHost: the array is not on the device any more; its memory was freed"
                        : "transferToHost: no task graph of this plan has that array");
    }
}
