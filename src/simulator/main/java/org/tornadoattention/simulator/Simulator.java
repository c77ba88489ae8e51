package org.tornadoattention.simulator;

import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.simulator.engine.FaultLog;
import org.tornadoattention.simulator.engine.SimulatedDevice;
import org.tornadoattention.simulator.engine.StatisticsLog;
import org.tornadoattention.simulator.engine.TracePages;
import org.tornadoattention.simulator.engine.WriteLimits;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** The switchboard of the simulator: its settings, and what the last kernels did. */
public final class Simulator {

    /** Null until they are asked for: a property with a wrong value is then told by whoever asks, each time. */
    private static volatile @Nullable SimulatorSettings settings;

    private Simulator() {}

    /**
     * Returns the settings in force.
     *
     * @throws IllegalArgumentException if they are those of the system properties and these are wrong
     */
    public static SimulatorSettings settings() {
        SimulatorSettings known = settings;
        if (known == null) {
            known = SimulatorSettings.fromSystemProperties();
            settings = known;
        }
        return known;
    }

    /**
     * Changes the settings for the launches that begin from now on.
     *
     * @return a handle that brings the present settings back when closed
     */
    public static Restore configure(SimulatorSettings newSettings) {
        SimulatorSettings before = settings();
        settings = Objects.requireNonNull(newSettings, "newSettings");
        return () -> settings = before;
    }

    /** Returns the statistics of the last execution of a plan in this JVM: one entry for each task, in order. */
    public static List<KernelStatistics> lastStatistics() {
        return StatisticsLog.last();
    }

    /**
     * Calls {@code listener} after each kernel launch.
     *
     * @return a handle that ends it when closed
     */
    public static Restore listen(Consumer<? super KernelStatistics> listener) {
        StatisticsLog.add(Objects.requireNonNull(listener, "listener"));
        return () -> StatisticsLog.remove(listener);
    }

    /**
     * Tells what the kernels that {@code work} launches would cost a GPU.
     *
     * @param gpu one of {@link Gpu#names}
     * @param table takes the table of {@link KernelCosts#describe} for each launch
     * @param work what launches kernels
     * @throws IllegalArgumentException if there is no such GPU
     */
    public static void tellCosts(String gpu, Consumer<? super String> table, Runnable work) {
        Gpu compared = Gpu.parse(gpu);
        try (Restore _ = configure(settings().withCosts(Optional.of(compared)));
                Restore _ = listen(kernel ->
                        kernel.costs().map(costs -> costs.describe(compared)).ifPresent(table))) {
            work.run();
        }
    }

    /**
     * Draws what the kernels do that {@code work} launches: a page of HTML for each kernel and grid, the first time
     * that it is launched. A page needs no network and no other file.
     *
     * @param folder where the pages go; it is made where it is missing
     * @param work what launches kernels
     * @return the pages, in the order of the launches
     * @throws IllegalArgumentException if a launch is too large to draw
     * @throws UncheckedIOException if a page cannot be written
     */
    public static List<Path> trace(Path folder, Runnable work) {
        List<Path> pages = new ArrayList<>();
        TracePages written = new TracePages();
        try (Restore _ = configure(settings().withTrace(Optional.of(folder)));
                Restore _ = listen(kernel -> kernel.trace()
                        .flatMap(trace -> written.write(folder, trace))
                        .ifPresent(pages::add))) {
            work.run();
        }
        return pages;
    }

    /**
     * Counts what the kernels do that {@code work} launches, all together, under names in words.
     *
     * @param work what launches kernels
     * @return elements read and written of device memory, sectors and the fewest that would do, bank conflicts,
     *     barriers, tensor-core products, instructions of warps that touch memory or end a turn of a loop
     */
    public static Map<String, Long> count(Runnable work) {
        Map<String, Long> counts = new TreeMap<>();
        try (Restore _ = configure(settings().withCosts(Optional.of(Gpu.H100)));
                Restore _ = listen(kernel -> {
                    counts.merge("elements read", kernel.globalElementsRead(), Long::sum);
                    counts.merge("elements written", kernel.globalElementsWritten(), Long::sum);
                    counts.merge("barriers", kernel.barriers(), Long::sum);
                    counts.merge("tensor-core products", kernel.mmaOperations(), Long::sum);
                    kernel.costs().ifPresent(costs -> {
                        counts.merge("warp instructions", costs.warpSteps(), Long::sum);
                        counts.merge("sectors", costs.sectors(), Long::sum);
                        counts.merge("fewest sectors", costs.fewestSectors(), Long::sum);
                        counts.merge("bank conflicts", costs.bankConflicts(), Long::sum);
                    });
                })) {
            work.run();
        }
        return counts;
    }

    /**
     * Calls {@code listener} for each fault that is found, on the thread that runs the plan or reads the array, before
     * the fault is thrown there.
     *
     * @param listener takes the fault; what it throws goes to whoever runs the plan, in place of the fault
     * @return a handle that ends it when closed
     */
    public static Restore listenToFaults(Consumer<? super SimulatorFaultException> listener) {
        FaultLog.add(Objects.requireNonNull(listener, "listener"));
        return () -> FaultLog.remove(listener);
    }

    /**
     * Lets kernels write nothing of {@code array} but the elements from {@code from} up to, not including, {@code to};
     * with {@code from == to} nothing at all. For arrays that several tasks share: an output among others in one array,
     * a page of a pool, an input that must stay what it is. Whoever writes outside is a fault, though the array has the
     * element.
     *
     * @param array an array of the host, as the task graph gets it; several limits of one array all hold
     * @param from the first element that may be written, from 0 on
     * @param to the element behind the last one, at most the array's size
     * @return a handle that lifts the limit when closed
     * @throws IndexOutOfBoundsException if the array does not have these elements
     */
    public static Restore allowWrites(TornadoNativeArray array, int from, int to) {
        return WriteLimits.add(array, from, to);
    }

    /**
     * Tells how much of a device's memory is in use.
     *
     * @param device one of the simulator's devices
     * @return bytes of the arrays that plans hold there
     * @throws IllegalArgumentException if it is a device of something else
     */
    public static long usedMemory(TornadoDevice device) {
        if (!(device instanceof SimulatedDevice simulated)) {
            throw new IllegalArgumentException(device + " is no device of the simulator");
        }
        return simulated.usedMemory();
    }

    /** Undoes a change when closed. */
    @FunctionalInterface
    public interface Restore extends AutoCloseable {

        @Override
        void close();
    }
}
