package uk.ac.manchester.tornado.api;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;
import org.tornadoattention.simulator.engine.PlanExecutor;
import org.tornadoattention.simulator.engine.Profile;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import uk.ac.manchester.tornado.api.runtime.TornadoRuntimeProvider;

/**
 * Runs task graphs on a device, again and again, and owns the device memory that they use.
 *
 * <p>The {@code with…} methods change this plan and return it.
 */
public class TornadoExecutionPlan implements AutoCloseable {

    /** The device that runs what names none. */
    public static TornadoDevice DEFAULT_DEVICE =
            TornadoRuntimeProvider.getTornadoRuntime().getDefaultDevice();

    private static final AtomicLong PLANS = new AtomicLong();

    private final long id = PLANS.incrementAndGet();
    private final PlanExecutor executor;
    private final List<String> trace = new ArrayList<>(List.of("Root"));
    private final List<TornadoExecutionResult> results = new ArrayList<>();

    /** Creates a plan that runs the graphs in this order. */
    public TornadoExecutionPlan(ImmutableTaskGraph... immutableTaskGraphs) {
        this.executor = new PlanExecutor(Arrays.stream(immutableTaskGraphs)
                .map(ImmutableTaskGraph::definition)
                .toList());
    }

    /** Returns a device of a backend. */
    public static TornadoDevice getDevice(int driverIndex, int deviceIndex) {
        return TornadoRuntimeProvider.getTornadoRuntime()
                .getBackend(driverIndex)
                .getDevice(deviceIndex);
    }

    /** Returns the number of plans that were ever created. */
    public static int getTotalPlans() {
        return PLANS.intValue();
    }

    /** Returns queries over backends and devices. */
    public static TornadoDeviceMap getTornadoDeviceMap() {
        return new TornadoDeviceMap();
    }

    /** Runs the selected graphs and waits for their end. */
    public TornadoExecutionResult execute() {
        Profile profile = executor.execute();
        int steps = trace.size();
        // Joined when asked for: each result stays, and the text of thousands of them grows with their square.
        TornadoProfilerResult profilerResult = new TornadoProfilerResult(profile, () -> joined(steps));
        TornadoExecutionResult result = new TornadoExecutionResult(executor, profilerResult);
        results.add(result);
        return result;
    }

    /** Selects one graph for what follows. */
    public TornadoExecutionPlan withGraph(int graphIndex) {
        executor.selectGraph(graphIndex);
        return step("withGraph " + graphIndex);
    }

    /** Selects all graphs for what follows. */
    public TornadoExecutionPlan withAllGraphs() {
        executor.selectAllGraphs();
        return step("withAllGraphs");
    }

    /** Finds and prepares the kernels now instead of at the first execution. */
    public TornadoExecutionPlan withPreCompilation() {
        executor.prepare();
        return step("withPreCompilation");
    }

    /** Chooses the device of all tasks. */
    public TornadoExecutionPlan withDevice(TornadoDevice device) {
        executor.setDevice(device);
        return step("withDevice " + device.getDeviceName());
    }

    /** Chooses the device of the task named {@code "graph.task"}; here all tasks of a plan are on one. */
    public TornadoExecutionPlan withDevice(String taskName, TornadoDevice device) {
        executor.setDeviceOfTask(device);
        return step("withDevice " + taskName + " " + device.getDeviceName());
    }

    /** Prints what was asked of the plan, in order. */
    public void printTraceExecutionPlan() {
        System.out.println(getTraceExecutionPlan());
    }

    /** Returns what was asked of the plan, in order. */
    public String getTraceExecutionPlan() {
        return joined(trace.size());
    }

    private String joined(int steps) {
        return String.join("\n -> ", trace.subList(0, steps));
    }

    @Override
    public String toString() {
        return getTraceExecutionPlan();
    }

    /** Accepted; a plan has one device. */
    public TornadoExecutionPlan withConcurrentDevices() {
        return step("withConcurrentDevices");
    }

    /** Accepted; a plan has one device. */
    public TornadoExecutionPlan withoutConcurrentDevices() {
        return step("withoutConcurrentDevices");
    }

    /** Returns the device of a selected graph. */
    public TornadoDevice getDevice(int immutableTaskGraphIndex) {
        return executor.device(immutableTaskGraphIndex);
    }

    /** Frees the device memory that the selected graphs hold. */
    public TornadoExecutionPlan freeDeviceMemory() {
        executor.freeDeviceMemory();
        return step("freeDeviceMemory");
    }

    /** Sets the grids of tasks; throws if none of them names a task of the selected graphs. */
    public TornadoExecutionPlan withGridScheduler(GridScheduler gridScheduler) {
        executor.setGridScheduler(gridScheduler);
        return step("withGridScheduler " + gridScheduler);
    }

    /** Goes back to grids that the runtime chooses. */
    public TornadoExecutionPlan withDefaultScheduler() {
        executor.useDefaultScheduler();
        return step("withDefaultScheduler");
    }

    /** Not supported by the simulator: throws. */
    public TornadoExecutionPlan withBatch(String batchSize) {
        throw new TornadoRuntimeException("The simulator does not run graphs in batches (asked for " + batchSize + ")");
    }

    /** Turns the profiler on. */
    public TornadoExecutionPlan withProfiler(ProfilerMode profilerMode) {
        executor.setProfiler(profilerMode);
        return step("withProfiler " + profilerMode);
    }

    /** Turns the profiler off. */
    public TornadoExecutionPlan withoutProfiler() {
        executor.setProfiler(null);
        return step("withoutProfiler");
    }

    /** Limits the device memory of each selected graph, such as {@code "512MB"}. */
    public TornadoExecutionPlan withMemoryLimit(String memoryLimit) {
        executor.setMemoryLimit(memoryLimit);
        return step("withMemoryLimit " + memoryLimit);
    }

    /** Lifts the limit. */
    public TornadoExecutionPlan withoutMemoryLimit() {
        executor.setMemoryLimit(null);
        return step("withoutMemoryLimit");
    }

    /** Frees the device memory of this plan and forgets prepared kernels. */
    public TornadoExecutionPlan resetDevice() {
        executor.freeDeviceMemory();
        return step("resetDevice");
    }

    /** Returns the number of this plan. */
    public long getId() {
        return id;
    }

    /** Returns the number of plans that were ever created. */
    public long getGlobalExecutionPlansCounter() {
        return PLANS.get();
    }

    /** Accepted; each result has its own profile. */
    public TornadoExecutionPlan clearProfiles() {
        return step("clearProfiles");
    }

    /** Prints the grid of each kernel as it starts. */
    public TornadoExecutionPlan withThreadInfo() {
        executor.setThreadInfo(true);
        return step("withThreadInfo");
    }

    /** Stops printing grids. */
    public TornadoExecutionPlan withoutThreadInfo() {
        executor.setThreadInfo(false);
        return step("withoutThreadInfo");
    }

    /** Prints what the simulator runs for each kernel before its first launch. */
    public TornadoExecutionPlan withPrintKernel() {
        executor.setPrintKernel(true);
        return step("withPrintKernel");
    }

    /** Stops printing kernels. */
    public TornadoExecutionPlan withoutPrintKernel() {
        executor.setPrintKernel(false);
        return step("withoutPrintKernel");
    }

    /** Accepted; the JVM compiles without flags. */
    public TornadoExecutionPlan withCompilerFlags(TornadoVMBackendType backend, String compilerFlags) {
        return step("withCompilerFlags " + backend.name().toLowerCase(Locale.ROOT) + " " + compilerFlags);
    }

    /** Frees the device memory of this plan. */
    @Override
    public void close() throws TornadoExecutionPlanException {
        executor.close();
    }

    /** Returns the bytes of device memory that the selected graphs hold. */
    public long getCurrentDeviceMemoryUsage() {
        return executor.deviceBytes();
    }

    /** Returns the result of an earlier execution, counted from 0. */
    public TornadoExecutionResult getPlanResult(int index) {
        if (index < 0 || index >= results.size()) {
            throw new TornadoRuntimeException(
                    "There is no result " + index + ": this plan was executed " + results.size() + " times");
        }
        return results.get(index);
    }

    /** Makes an array of one graph share the device memory of an array of another graph. */
    public void mapOnDeviceMemoryRegion(
            Object destTornadoArray, Object srcTornadoArray, long offset, int fromGraphIndex, int toGraphIndex) {
        executor.mapOnDevice(destTornadoArray, srcTornadoArray, offset, fromGraphIndex, toGraphIndex);
    }

    /** Executes again and again for that time. */
    public TornadoExecutionPlan withWarmUpTime(long milliseconds) throws InterruptedException {
        if (milliseconds < 0) {
            throw new TornadoRuntimeException("The warm-up time must not be negative: " + milliseconds);
        }
        executor.warmUpFor(milliseconds);
        return step("withWarmUpTime " + milliseconds);
    }

    /** Executes that many times. */
    public TornadoExecutionPlan withWarmUpIterations(int iterations) {
        if (iterations < 0) {
            throw new TornadoRuntimeException("The number of warm-up iterations must not be negative: " + iterations);
        }
        for (int i = 0; i < iterations; i++) {
            executor.execute();
        }
        return step("withWarmUpIterations " + iterations);
    }

    /** Accepted; launches are not recorded. */
    public TornadoExecutionPlan withCUDAGraph() {
        return step("withCUDAGraph");
    }

    /** Accepted; tasks run one after the other. */
    public TornadoExecutionPlan withIntraPlanConcurrency() {
        return step("withIntraPlanConcurrency");
    }

    /** Accepted; tasks run one after the other. */
    public TornadoExecutionPlan withoutIntraPlanConcurrency() {
        return this;
    }

    /** Accepted; copies are not staged. */
    public TornadoExecutionPlan withStagedTransfers() {
        return step("withStagedTransfers");
    }

    /** Accepted; copies are not staged. */
    public TornadoExecutionPlan withoutStagedTransfers() {
        return this;
    }

    private TornadoExecutionPlan step(String description) {
        trace.add(description);
        return this;
    }
}
