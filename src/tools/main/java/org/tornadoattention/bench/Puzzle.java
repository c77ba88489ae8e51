package org.tornadoattention.bench;

import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.tornadoattention.device.Devices;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.WorkerGrid2D;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Grades the exercises of {@code puzzles/}: the result is that of the oracle, the simulator finds no fault, and the
 * kernel does not move more than the lesson allows. On a device only the result is looked at.
 */
public final class Puzzle {

    /** Where solved puzzles are noted: a file, by this system property. */
    static final String PROGRESS = "attention.progress";

    private static final float TOLERANCE = 1e-3f;

    // The command line's exit codes.
    private static final int GOOD = 0;
    private static final int FAILED = 1;
    private static final int BAD_USAGE = 2;

    private final int number;
    private final String name;
    private final List<String> arguments;
    private final Map<String, Long> bounds = new LinkedHashMap<>();
    private final PrintStream out = System.out;
    private WorkerGrid grid = new WorkerGrid1D(1);
    private List<String> hints = List.of();
    private FloatArray result = new FloatArray(1);
    private FloatOf expected = _ -> 0f;

    private Puzzle(int number, String name, List<String> arguments) {
        this.number = number;
        this.name = name;
        this.arguments = arguments;
    }

    /** A float for each index. */
    @FunctionalInterface
    public interface FloatOf {

        /** Returns the float at an index. */
        float at(int index);
    }

    /**
     * Begins a puzzle.
     *
     * @param arguments the program's: {@code --hint} prints the hints
     */
    public static Puzzle of(int number, String name, String... arguments) {
        return new Puzzle(number, name, List.of(arguments));
    }

    /** Returns an array of {@code size} numbers that differ, none of them 0, in an order that looks like none. */
    public static FloatArray numbers(int size) {
        FloatArray array = new FloatArray(size);
        for (int i = 0; i < size; i++) {
            array.set(i, (i * 7919 % 97 - 48.5f) / 16f);
        }
        return array;
    }

    /** Runs the kernel by {@code global} work-items in groups of {@code group}. */
    public Puzzle grid(int global, int group) {
        grid = new WorkerGrid1D(global);
        grid.setLocalWork(group, 1, 1);
        return this;
    }

    /** Runs the kernel by a grid of two dimensions. */
    public Puzzle grid(int globalX, int globalY, int groupX, int groupY) {
        grid = new WorkerGrid2D(globalX, globalY);
        grid.setLocalWork(groupX, groupY, 1);
        return this;
    }

    /** Says what the kernel is to write to {@code array}. */
    public Puzzle expect(FloatArray array, FloatOf values) {
        result = array;
        expected = values;
        return this;
    }

    /** Allows at most so many of what the simulator counts, such as {@code elements read}. */
    public Puzzle atMost(String what, long most) {
        bounds.put(what, most);
        return this;
    }

    /** Gives hints, in the order in which they help. */
    public Puzzle hints(String... texts) {
        hints = List.of(texts);
        return this;
    }

    /**
     * Runs the kernel and says what is right and what is not.
     *
     * @param tasks adds the transfers and the task {@code solve} to a graph
     * @return 0 if the puzzle is solved, 1 if not, 2 for arguments that there are not
     */
    public int grade(Consumer<TaskGraph> tasks) {
        boolean hinting = arguments.equals(List.of("--hint"));
        if (!arguments.isEmpty() && !hinting) {
            System.err.println("puzzle: there is no argument " + String.join(" ", arguments) + "; there is --hint");
            return BAD_USAGE;
        }
        out.println("Puzzle %d, %s, on %s".formatted(number, name, Devices.bestForTaskGraphs()));
        if (hinting) {
            hints.forEach(hint -> out.println("  hint: " + hint));
        }
        boolean simulated = Devices.bestForTaskGraphs().isSimulator();
        Map<String, Long> counts = Map.of();
        try {
            if (simulated) {
                counts = SimulatorBridge.count(() -> run(tasks));
            } else {
                run(tasks);
            }
        } catch (RuntimeException e) {
            out.println("  ✗ " + e.getMessage());
            return unsolved(hinting, adviceFor(String.valueOf(e.getMessage())));
        }
        boolean good =
                simulated && say(true, "no fault: no race, no index out of bounds, nothing read before it is there");
        good = isRight() & (good || !simulated);
        for (Map.Entry<String, Long> bound :
                simulated ? bounds.entrySet() : Map.<String, Long>of().entrySet()) {
            long counted = counts.getOrDefault(bound.getKey(), 0L);
            good &= say(
                    counted <= bound.getValue(),
                    "%,d %s, at most %,d".formatted(counted, bound.getKey(), bound.getValue()));
        }
        if (!good) {
            return unsolved(hinting, hints.isEmpty() ? "" : hints.getFirst());
        }
        out.println("  Solved." + noteProgress());
        return GOOD;
    }

    private void run(Consumer<TaskGraph> tasks) {
        result.init(Float.NaN);
        TaskGraph graph = new TaskGraph("puzzle");
        tasks.accept(graph);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withGridScheduler(new GridScheduler("puzzle.solve", grid)).execute();
        } catch (TornadoExecutionPlanException e) {
            throw new IllegalStateException(e);
        }
    }

    private boolean isRight() {
        for (int i = 0; i < result.getSize(); i++) {
            float right = expected.at(i);
            float is = result.get(i);
            boolean near = Math.abs(is - right) <= TOLERANCE * Math.max(1f, Math.abs(right));
            if (!near) {
                String what = Float.isNaN(is) ? "nothing, or NaN" : String.valueOf(is);
                return say(false, "element %d is %s, it should be %s".formatted(i, what, right));
            }
        }
        return say(true, "all %,d elements are right".formatted(result.getSize()));
    }

    private boolean say(boolean good, String what) {
        out.println((good ? "  ✓ " : "  ✗ ") + what);
        return good;
    }

    private int unsolved(boolean hinted, String hint) {
        if (!hinted && !hint.isEmpty()) {
            out.println("  hint: " + hint + (hints.size() > 1 ? " (--hint tells more)" : ""));
        }
        return FAILED;
    }

    /** What a fault says to somebody who meets it for the first time. */
    private String adviceFor(String fault) {
        if (fault.startsWith("data race on local")) {
            return "between a write to local memory and what another work-item does to the same element there must be a"
                    + " context.localBarrier(), which all of the group reach";
        }
        if (fault.startsWith("data race on global")) {
            return "groups run in any order and do not wait for each other: each element of the result has one owner";
        }
        if (fault.startsWith("divergent barrier")) {
            return "take the barrier out of the branch; let the branch guard the reads and writes alone";
        }
        if (fault.startsWith("index out of bounds")) {
            return "which work-items have no element? They do nothing: if (i < size) …";
        }
        if (fault.startsWith("read of uninitialised")) {
            return "who writes the element, and before whom?";
        }
        return hints.isEmpty() ? "" : hints.getFirst();
    }

    /** Notes that the puzzle is solved, and returns how many are. */
    private String noteProgress() {
        String file = System.getProperty(PROGRESS);
        if (file == null) {
            return "";
        }
        try {
            Path path = Path.of(file);
            TreeSet<String> solved = new TreeSet<>();
            if (Files.exists(path)) {
                solved.addAll(Files.readAllLines(path));
            }
            solved.add("%02d".formatted(number));
            Files.write(path, solved);
            return " %d solved so far, noted in %s.".formatted(solved.size(), path);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
