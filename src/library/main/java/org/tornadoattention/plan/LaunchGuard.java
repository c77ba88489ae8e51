package org.tornadoattention.plan;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionException;
import org.tornadoattention.Execution;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.CompilerExtension.Recorded;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Recording;
import org.tornadoattention.device.Recording.Running;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * An execution plan on a device that does not fail in silence: TornadoVM prints a failed launch and throws nothing.
 *
 * <ul>
 *   <li>What TornadoVM does throw comes as an {@link AttentionException} that says what failed and where.
 *   <li><b>Poison.</b> What kernels must write, and what comes back to the host anyway, is filled with a bit pattern
 *       that no kernel can produce; if any of it is left, an exception is raised.
 *   <li><b>Receipts.</b> What stays on the device cannot be poisoned without a transfer. Kernels that leave their
 *       results there note the number of the launch in memory that they hold open anyway, and the last of them hands
 *       the number back.
 *   <li>Where a profiler is on, a launch that took no time was none.
 * </ul>
 *
 * <p>Where executions can be recorded and no profiler is on, the second of each graph is, and those that follow are
 * given to the driver as it was, which then answers for every launch. {@code -Dtornadoattention.replay=off} leaves them
 * all to TornadoVM.
 */
public final class LaunchGuard implements DevicePlan {

    /** A quiet NaN with a payload: arithmetic gives other NaNs, so only an unwritten element can hold it. */
    private static final int POISON = 0x7fc5a5a5;

    /** The like in F16 and in BF16: conversions of a NaN give other payloads. */
    private static final short POISON_16_BITS = 0x7fa5;

    /** Elements that are poisoned, and looked at, at a time. */
    private static final int AT_ONCE = 1 << 13;

    private static final int[] POISONED = filled();
    private static final short[] POISONED_16_BITS = filled16Bits();

    /** Numbers of launches travel as floats, which hold whole numbers up to here. */
    private static final int NUMBERS = 1 << 24;

    private static final boolean REPLAYS = !"off".equals(System.getProperty("tornadoattention.replay"));

    /** The graph of a plan that has one. */
    private static final int ONLY = -1;

    /** What the last execution of a graph by TornadoVM gave, and its recording. */
    private record Executed(TornadoExecutionResult result, Optional<Recording> recording) {}

    private final TornadoExecutionPlan plan;
    private final String subject;
    private final ComputeDevice device;
    private final Map<String, Tensor> written;
    private final Map<Integer, Executed> executed = new HashMap<>();
    private Optional<Recording> inPlaces = Optional.empty();
    private boolean ran;
    private boolean recordable = true;
    private boolean profiled;
    private int number;

    private LaunchGuard(
            TornadoExecutionPlan plan,
            String subject,
            ComputeDevice device,
            boolean profiled,
            Map<String, Tensor> written) {
        this.plan = plan;
        this.subject = subject;
        this.device = device;
        this.profiled = profiled;
        this.written = written;
    }

    /** Whether executions of plans on a device are recorded, where they can be. */
    static boolean canReplay(ComputeDevice device) {
        return REPLAYS && CompilerExtension.canRecord(device.backend());
    }

    /**
     * A plan of several graphs.
     *
     * @param subject what it does, as the beginning of a sentence
     */
    public static LaunchGuard of(TornadoExecutionPlan plan, String subject, ComputeDevice device) {
        return new LaunchGuard(plan, subject, device, false, Map.of());
    }

    /** A plan of one graph; the first {@link #execute} compiles it. */
    public static LaunchGuard of(TaskGraph graph, GridScheduler grids, String subject, ComputeDevice device) {
        TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot());
        return of(plan.withDevice(device.handle()).withGridScheduler(grids), subject, device);
    }

    /** The same with a profiler on, whose times the results tell and the guard looks at. */
    public LaunchGuard timed() {
        return new LaunchGuard(plan.withProfiler(ProfilerMode.SILENT), subject, device, true, written);
    }

    /**
     * The same with poison in these tensors before each run.
     *
     * @param outputs what the kernels must write in each run, by the name it has in messages; it must be transferred to
     *     the device and back in every execution
     */
    public LaunchGuard poisoning(Map<String, Tensor> outputs) {
        return new LaunchGuard(plan, subject, device, profiled, outputs);
    }

    /** Whether the caller has a profiler on in the plan, whose times executions by TornadoVM alone have. */
    public void profile(boolean on) {
        profiled = on;
    }

    /**
     * Runs one graph of several.
     *
     * @throws AttentionException if the device, its driver or the compiler fails, or an element was not written
     */
    public TornadoExecutionResult execute(int graph) {
        plan.withGraph(graph);
        return executeSelected(graph);
    }

    /**
     * Runs the graph of a plan that has one.
     *
     * @throws AttentionException if the device, its driver or the compiler fails, or an element was not written
     */
    public TornadoExecutionResult execute() {
        return executeSelected(ONLY);
    }

    private TornadoExecutionResult executeSelected(int graph) {
        written.values().forEach(LaunchGuard::poison);
        TornadoExecutionResult result = profiled || !REPLAYS ? run() : runOrReplay(graph);
        written.forEach(this::requireWritten);
        if (profiled && result.getProfilerResult().getDeviceKernelTime() == 0) {
            throw failure("the device reports no kernel time, so nothing was launched", null);
        }
        ran = true;
        return result;
    }

    /**
     * Whether the graph of a plan that has one can be run with memory of others in the places of its arrays: from the
     * second execution on, where executions can be recorded. The first time, one is recorded.
     */
    boolean takesPlaces() {
        if (ran && REPLAYS && recordable && inPlaces.isEmpty()) {
            plan.withoutProfiler();
            inPlaces = CompilerExtension.record(device.backend(), device.handle(), this::run)
                    .recording();
            if (profiled) {
                plan.withProfiler(ProfilerMode.SILENT);
            }
            recordable = inPlaces.isPresent();
        }
        return inPlaces.isPresent();
    }

    /**
     * Runs the graph of a plan that {@link #takesPlaces} so.
     *
     * @param places memory of the host for arrays that are transferred in each execution, which the device reads and
     *     writes itself
     * @return the time of the kernels
     * @throws AttentionException if the device or its driver fails, or an element was not written
     */
    Duration execute(Map<TornadoNativeArray, MemorySegment> places) {
        written.values().forEach(LaunchGuard::poison);
        Duration kernels = await(start(places));
        written.forEach(this::requireWritten);
        return kernels;
    }

    /**
     * Gives the graph of a plan that {@link #takesPlaces} to the device so, and does not wait; who does
     * {@link #poison}s what is to be written, and looks at it afterwards.
     *
     * @throws AttentionException if the device or its driver fails
     */
    Running start(Map<TornadoNativeArray, MemorySegment> places) {
        try {
            return inPlaces.orElseThrow().start(places);
        } catch (IllegalStateException e) {
            throw failure(String.valueOf(e.getMessage()), e);
        }
    }

    /**
     * Waits for what was started.
     *
     * @return the time of the kernels
     * @throws AttentionException if the device or its driver fails
     */
    Duration await(Running running) {
        try {
            return running.await();
        } catch (IllegalStateException e) {
            throw failure(String.valueOf(e.getMessage()), e);
        }
    }

    private TornadoExecutionResult runOrReplay(int graph) {
        Executed before = executed.get(graph);
        if (before != null && before.recording.isPresent()) {
            replay(before.recording.get());
            return before.result;
        }
        if (before == null || !recordable) {
            TornadoExecutionResult result = run();
            executed.put(graph, new Executed(result, Optional.empty()));
            return result;
        }
        TornadoExecutionResult[] result = new TornadoExecutionResult[1];
        Recorded recorded = CompilerExtension.record(device.backend(), device.handle(), () -> result[0] = run());
        recordable = recorded.recording().isPresent();
        executed.put(graph, new Executed(result[0], recorded.recording()));
        return result[0];
    }

    private void replay(Recording recording) {
        try {
            recording.launch();
            recording.await();
        } catch (IllegalStateException e) {
            throw failure(String.valueOf(e.getMessage()), e);
        }
    }

    /**
     * What the executions of a plan of one graph are given to the driver by: from the second on, where they can be
     * recorded.
     */
    Optional<Recording> recording() {
        Executed before = executed.get(ONLY);
        return before == null ? Optional.empty() : before.recording;
    }

    private TornadoExecutionResult run() {
        try {
            return plan.execute();
        } catch (VirtualMachineError e) {
            throw e;
        } catch (RuntimeException | Error e) { // TornadoVM's internal errors are Errors
            throw failure(firstLine(e), e);
        }
    }

    /** The number of the next launch, from 1 on and then from 1 again. */
    public int nextNumber() {
        number = number % (NUMBERS - 1) + 1;
        return number;
    }

    /**
     * Checks what the kernels of the last launch handed back.
     *
     * @throws AttentionException if it is not the launch's number
     */
    public void requireReceipt(float receipt) {
        if (receipt != number) {
            throw failure("launch %d was not carried out, its receipt is %s".formatted(number, receipt), null);
        }
    }

    /**
     * Checks what a caller found out about the last launch.
     *
     * @param what was to be written, the beginning of a clause
     * @throws AttentionException if it was not
     */
    void requireWritten(String what, boolean written) {
        if (!written) {
            throw failure(what + " was not written", null);
        }
    }

    private AttentionException failure(String what, @Nullable Throwable cause) {
        return new AttentionException(
                "%s failed on %s: %s. TornadoVM's own message, if any, is above this one."
                        .formatted(subject, device, what),
                cause);
    }

    /** {@return an error in a line; an assertion of TornadoVM's says nothing itself but where it stands} */
    static String firstLine(Throwable error) {
        if (error instanceof AssertionError && error.getMessage() == null) {
            String place = Arrays.stream(error.getStackTrace())
                    .findFirst()
                    .map(StackTraceElement::toString)
                    .orElse("a place that is not known");
            return "AssertionError at " + place + ". The JVM checks TornadoVM's assertions (-ea), of which one is wrong"
                    + " for any device but a platform's first: start it with @tornado-config/tornadovm.args, or"
                    + " without -ea";
        }
        String message = String.valueOf(error.getMessage()).replaceAll("\u001B\\[[;\\d]*m", "");
        return error.getClass().getSimpleName() + ": " + message.strip().replaceAll("\\R\\s*", " ");
    }

    private static void poison(Tensor tensor) {
        poison(
                tensor.memory(),
                tensor.dtype() == DType.F32
                        ? MemorySegment.ofArray(POISONED)
                        : MemorySegment.ofArray(POISONED_16_BITS));
    }

    /** Poisons F32 elements. */
    static void poison(MemorySegment elements) {
        poison(elements, MemorySegment.ofArray(POISONED));
    }

    private static void poison(MemorySegment elements, MemorySegment poison) {
        for (long at = 0; at < elements.byteSize(); at += poison.byteSize()) {
            long bytes = Math.min(poison.byteSize(), elements.byteSize() - at);
            MemorySegment.copy(poison, 0, elements, at, bytes);
        }
    }

    private static int[] filled() {
        int[] poison = new int[AT_ONCE];
        Arrays.fill(poison, POISON);
        return poison;
    }

    private static short[] filled16Bits() {
        short[] poison = new short[AT_ONCE];
        Arrays.fill(poison, POISON_16_BITS);
        return poison;
    }

    private void requireWritten(String name, Tensor tensor) {
        requireWritten(
                name, tensor.dtype() == DType.F32 ? firstPoison(tensor.memory()) : firstPoison16Bits(tensor.memory()));
    }

    /**
     * Checks F32 elements.
     *
     * @param name what they are, in messages
     * @throws AttentionException if one was not written
     */
    void requireWritten(String name, MemorySegment elements) {
        requireWritten(name, firstPoison(elements));
    }

    private void requireWritten(String name, int unwritten) {
        if (unwritten >= 0) {
            throw failure("element %,d of the %s was never written".formatted(unwritten, name), null);
        }
    }

    private static int firstPoison(MemorySegment elements) {
        int[] some = new int[AT_ONCE];
        int all = Math.toIntExact(elements.byteSize() / Integer.BYTES);
        for (int first = 0; first < all; first += AT_ONCE) {
            int count = Math.min(AT_ONCE, all - first);
            MemorySegment.copy(elements, ValueLayout.JAVA_INT_UNALIGNED, (long) first * Integer.BYTES, some, 0, count);
            // Negative where an element is poison: a sum that the JVM makes of many elements at once.
            int any = 0;
            for (int at = 0; at < count; at++) {
                int difference = some[at] ^ POISON;
                any |= ~difference & difference - 1;
            }
            for (int at = 0; any < 0 && at < count; at++) {
                if (some[at] == POISON) {
                    return first + at;
                }
            }
        }
        return -1;
    }

    private static int firstPoison16Bits(MemorySegment elements) {
        short[] some = new short[AT_ONCE];
        int all = Math.toIntExact(elements.byteSize() / Short.BYTES);
        for (int first = 0; first < all; first += AT_ONCE) {
            int count = Math.min(AT_ONCE, all - first);
            MemorySegment.copy(elements, ValueLayout.JAVA_SHORT_UNALIGNED, (long) first * Short.BYTES, some, 0, count);
            for (int at = 0; at < count; at++) {
                if (some[at] == POISON_16_BITS) {
                    return first + at;
                }
            }
        }
        return -1;
    }

    /** Bytes that the plan's arrays take on the device. */
    public long deviceBytes() {
        return plan.getCurrentDeviceMemoryUsage();
    }

    /**
     * What an execution of a whole pass took.
     *
     * @param choice what was chosen for it
     * @param result what TornadoVM gave
     * @param start when it began, of {@link System#nanoTime}
     * @return kernel, tile, times and memory
     */
    Execution execution(KernelChoice choice, TornadoExecutionResult result, long start) {
        return execution(
                choice,
                Duration.ofNanos(result.getProfilerResult().getDeviceKernelTime()),
                Duration.ofNanos(result.getProfilerResult().getCompileTime()),
                start);
    }

    /** Likewise where its kernels' time and what compiling them took are known. */
    Execution execution(KernelChoice choice, Duration kernels, Duration compiling, long start) {
        return new Execution(
                device,
                choice.kernel().id(),
                choice.tile().map(Tile::toString),
                choice.reason(),
                kernels,
                compiling,
                Duration.ofNanos(System.nanoTime() - start),
                deviceBytes());
    }

    /** Frees the device's memory. */
    @Override
    public void close() {
        try {
            plan.freeDeviceMemory();
            plan.close();
        } catch (TornadoExecutionPlanException e) {
            throw new AttentionException("The memory of a plan on %s could not be freed.".formatted(device), e);
        }
    }
}
