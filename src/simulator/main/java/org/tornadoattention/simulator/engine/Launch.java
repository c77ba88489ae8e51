package org.tornadoattention.simulator.engine;

import java.io.Serial;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.tornadoattention.simulator.ArrayTraffic;
import org.tornadoattention.simulator.FaultKind;
import org.tornadoattention.simulator.KernelCosts;
import org.tornadoattention.simulator.KernelStatistics;
import org.tornadoattention.simulator.KernelTrace;
import org.tornadoattention.simulator.SimulatorFaultException;
import org.tornadoattention.simulator.SimulatorSettings;

/** One run of a kernel over its grid or its loops. */
abstract class Launch {

    /** Ends the waiting work-items of a group of which one failed or was stopped. */
    static final Error CANCELLED = new Cancellation("another work-item of the group ended it");

    /** Ends a work-item of a part of a launch of which an earlier part failed. */
    static final Error STOPPED = new Cancellation("an earlier part of the launch failed");

    private final String task;
    private final KernelBody body;
    private final Binding binding;
    private final List<DeviceArray> arrays;
    private final List<String> arrayNames;
    private final Object[] arguments;
    private final SimulatorSettings settings;
    private final LaunchOptions options;
    private final AtomicReference<Failure> failure = new AtomicReference<>();
    private final Counters total;
    private final Turns turns = new Turns();
    /** Null unless somebody wants a picture. */
    private final TraceRecorder picture;

    /** Null until somebody asks. */
    private Boolean finite;

    Launch(String task, KernelBody body, Binding binding, SimulatorSettings settings) {
        this.task = task;
        this.body = body;
        this.binding = binding;
        this.arguments = binding.arguments();
        this.arrays = binding.arrays();
        this.arrayNames = binding.arrayNames(body);
        this.settings = settings;
        this.options = LaunchOptions.of(settings);
        this.total = new Counters(arrays.size());
        this.picture = options.trace() && body.isInstrumented() ? new TraceRecorder() : null;
        for (int i = 0; i < arrays.size(); i++) {
            arrays.get(i).slot(i);
        }
    }

    private void begin() {
        for (DeviceArray array : arrays) {
            boolean written = binding.isAnyParameter(array, body.use().written());
            boolean read = binding.isAnyParameter(array, body.use().read());
            array.beginLaunch(
                    body.isInstrumented() && options.watchesDeviceMemory(),
                    written,
                    written && read && options.races());
        }
    }

    /** Runs all work-items and returns what they did, or throws the first fault. */
    final KernelStatistics run() {
        begin();
        Duration time;
        try {
            long start = System.nanoTime();
            runAll();
            time = Duration.ofNanos(System.nanoTime() - start);
        } finally {
            arrays.forEach(DeviceArray::endLaunch);
        }
        throwFailure();
        for (DeviceArray array : arrays) {
            if (total.globalWrites(array.slot()) > 0) {
                array.written(task);
            }
        }
        return statistics(time);
    }

    abstract void runAll();

    abstract long workGroups();

    abstract long workItems();

    abstract List<ArrayTraffic> localTraffic(Counters counters);

    /** Returns the bytes of local memory that a group has allocated. */
    abstract long localBytes();

    private Optional<KernelCosts> costs() {
        if (!options.costs() || !body.isInstrumented()) {
            return Optional.empty();
        }
        CostTally costs = total.costs();
        return Optional.of(new KernelCosts(
                kernelName(),
                workGroups(),
                Math.toIntExact(workItems() / workGroups()),
                localBytes(),
                costs.privateBytes(),
                costs.operations(),
                total.tensorOperations(),
                costs.steps(),
                costs.laneSteps(),
                costs.lines(
                        body.costPlaces(),
                        arrayNames,
                        localTraffic(total).stream().map(ArrayTraffic::name).toList())));
    }

    /** Returns the grid, or null for parallel loops. */
    abstract Grid grid();

    /** Returns the arrays in local memory. */
    abstract List<LocalArray> localArrays();

    private Optional<KernelTrace> trace(Optional<KernelCosts> costs) {
        return picture == null
                ? Optional.empty()
                : Optional.of(new TraceDocument(this, picture, costs.orElseThrow()).toTrace());
    }

    final Counters newCounters() {
        return new Counters(arrays.size());
    }

    final synchronized void collect(Counters counters) {
        total.add(counters);
    }

    /**
     * Notes that a work-item failed. Parts of a launch begin in order and are stopped only when an earlier one fails,
     * so the failure of the first part of all is the same in every run; that one is kept.
     */
    final void fail(Throwable thrown, WorkItem item) {
        Failure failed = new Failure(item.turn(), explain(thrown, item));
        failure.accumulateAndGet(failed, (one, other) -> one == null || other.turn < one.turn ? other : one);
    }

    /** Throws {@link #STOPPED} if a part of the launch failed that began before the one in this turn. */
    final void stopAfterFailure(int turn) {
        Failure failed = failure.get();
        if (failed != null && failed.turn < turn) {
            throw STOPPED;
        }
    }

    private void throwFailure() {
        Failure failed = failure.get();
        if (failed != null) {
            switch (failed.thrown) {
                case Error error -> throw error;
                case RuntimeException exception -> throw exception;
                default -> throw new IllegalStateException(failed.thrown);
            }
        }
    }

    /** The turns that groups have passed to each other. */
    final Turns turns() {
        return turns;
    }

    final boolean hasFailed() {
        return failure.get() != null;
    }

    final KernelBody body() {
        return body;
    }

    final Object[] arguments() {
        return arguments;
    }

    final String task() {
        return task;
    }

    final List<DeviceArray> arrays() {
        return arrays;
    }

    final List<String> arrayNames() {
        return arrayNames;
    }

    /** Returns what a picture is made of, or null if nobody wants one. */
    final TraceRecorder picture() {
        return picture;
    }

    final SimulatorSettings settings() {
        return settings;
    }

    final LaunchOptions options() {
        return options;
    }

    final String kernelName() {
        return body.name();
    }

    final String arrayName(DeviceArray array) {
        return arrayNames.get(array.slot());
    }

    /**
     * Whether no array that the kernel reads, and no number among its arguments, was NaN or infinite when first asked.
     */
    final synchronized boolean gotFiniteNumbers() {
        if (finite == null) {
            boolean arraysAreFinite = arrays.stream()
                    .filter(array -> binding.isAnyParameter(array, body.use().read()))
                    .allMatch(DeviceArray::isFinite);
            finite = arraysAreFinite
                    && Stream.of(binding.arguments())
                            .noneMatch(argument -> argument instanceof Float number && !Float.isFinite(number)
                                    || argument instanceof Double wide && !Double.isFinite(wide));
        }
        return finite;
    }

    /** Makes what a group has done in device memory so far something that came before a barrier. */
    final void forgetEpochs(int part) {
        for (DeviceArray array : arrays) {
            if (array.record() != null) {
                array.record().forgetEpochs(part);
            }
        }
    }

    /** Returns what a message calls a part of the launch. */
    abstract String partName(int part);

    /** Returns what a message calls several parts of the launch. */
    abstract String severalParts();

    /** Returns the source of randomness of one group, or null for the natural order. */
    final SplittableRandom shuffler(int salt) {
        return settings.seed().isPresent()
                ? new SplittableRandom(settings.seed().getAsLong() * 0x9E3779B97F4A7C15L + salt)
                : null;
    }

    /** Returns the numbers below {@code count}, shuffled if there is a seed. */
    final int[] order(int count) {
        int[] order = new int[count];
        for (int i = 0; i < count; i++) {
            order[i] = i;
        }
        SplittableRandom shuffler = shuffler(-1);
        for (int i = count - 1; i > 0 && shuffler != null; i--) {
            int other = shuffler.nextInt(i + 1);
            int moved = order[i];
            order[i] = order[other];
            order[other] = moved;
        }
        return order;
    }

    /**
     * Returns what to throw at the caller: a fault that tells where it happened, or the thrown itself if that fails
     * too.
     */
    private static Throwable explain(Throwable thrown, WorkItem item) {
        if (thrown instanceof SimulatorFaultException || thrown instanceof OutOfMemoryError) {
            return thrown;
        }
        try {
            return faultOf(thrown, item);
        } catch (Throwable second) {
            thrown.addSuppressed(second);
            return thrown;
        }
    }

    private static SimulatorFaultException faultOf(Throwable thrown, WorkItem item) {
        String where = item.where(SourceLine.of(thrown.getStackTrace()));
        return switch (thrown) {
            case IndexOutOfBoundsException _ ->
                new SimulatorFaultException(FaultKind.OUT_OF_BOUNDS, where + "misses: " + thrown.getMessage(), thrown);
            case StackOverflowError _ ->
                new SimulatorFaultException(
                        FaultKind.ENDLESS_RECURSION,
                        where + "calls a method that calls itself until the stack is full; a device has no stack, and"
                                + " TornadoVM compiles no recursion at all: write it as a loop",
                        thrown);
            default -> new SimulatorFaultException(FaultKind.KERNEL_EXCEPTION, where + "threw " + thrown, thrown);
        };
    }

    private KernelStatistics statistics(Duration time) {
        List<ArrayTraffic> global = new ArrayList<>();
        for (int i = 0; i < arrays.size(); i++) {
            global.add(new ArrayTraffic(
                    arrayNames.get(i),
                    arrays.get(i).host().getElementSize(),
                    total.globalReads(i),
                    total.globalWrites(i)));
        }
        Optional<KernelCosts> costs = costs();
        return new KernelStatistics(
                task,
                kernelName(),
                body.isInstrumented() && options.counting(),
                workGroups(),
                workItems(),
                global,
                localTraffic(total),
                total.barriers(),
                total.collectives(),
                total.mmaOperations(),
                time,
                costs,
                trace(costs));
    }

    /** What a part of the launch, by its turn, threw. */
    private record Failure(int turn, Throwable thrown) {}

    private static final class Cancellation extends Error {

        @Serial
        private static final long serialVersionUID = 1L;

        Cancellation(String why) {
            super(why, null, false, false);
        }
    }
}
