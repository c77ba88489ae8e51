package org.tornadoattention.simulator.engine;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What a group did, for a picture; of parallel loops, a warp of iterations. One thread at a time writes it. */
final class GroupTrace {

    /** The longest local array of which the elements' values are shown. */
    private static final int LONGEST_SHOWN = 128;

    private final int flatId;
    private final int[] id;
    private final int warps;
    private final List<Phase> phases = new ArrayList<>();
    private final Map<Integer, ValueTrace> values = new TreeMap<>();

    GroupTrace(int flatId, int[] id, int warps) {
        this.flatId = flatId;
        this.id = id;
        this.warps = warps;
    }

    /** What happens between two barriers. */
    static final class Phase {

        private final WarpSteps[] steps;
        private int end = -1;
        private Map<String, float[]> local = Map.of();

        Phase(int warps) {
            steps = new WarpSteps[warps];
            Arrays.setAll(steps, _ -> new WarpSteps());
        }

        WarpSteps[] steps() {
            return steps;
        }

        /** Returns the place of the barrier that ends it, or −1 at the kernel's end. */
        int end() {
            return end;
        }

        /** Returns what small local arrays hold at its end. */
        Map<String, float[]> local() {
            return local;
        }
    }

    int flatId() {
        return flatId;
    }

    int[] id() {
        return id;
    }

    List<Phase> phases() {
        return phases;
    }

    Map<Integer, ValueTrace> values() {
        return values;
    }

    /** Returns where the values of a work-item's variables go. */
    ValueTrace values(int item) {
        return values.computeIfAbsent(item, _ -> new ValueTrace());
    }

    /** Returns where the instructions of a warp go, after so many barriers. */
    WarpSteps warp(int phase, int warp) {
        return phase(phase).steps[warp];
    }

    private Phase phase(int number) {
        while (phases.size() <= number) {
            phases.add(new Phase(warps));
        }
        return phases.get(number);
    }

    /** All have come to the barrier that ends a phase. */
    void barrier(int number, int place, List<LocalArray> arrays) {
        end(number, arrays);
        phase(number).end = place;
        values.values().forEach(trace -> trace.phase(number + 1));
    }

    /** The phase is over. */
    void end(int number, List<LocalArray> arrays) {
        Map<String, float[]> local = new LinkedHashMap<>();
        for (LocalArray array : arrays) {
            if (array.elements() instanceof float[] floats && floats.length <= LONGEST_SHOWN) {
                local.put(array.name(), floats.clone());
            }
        }
        phase(number).local = local;
    }

    /** Returns how many steps are kept. */
    int size() {
        return phases.stream()
                .flatMap(phase -> Arrays.stream(phase.steps))
                .mapToInt(WarpSteps::size)
                .sum();
    }

    /** Returns how many values of variables are kept. */
    int valuesKept() {
        return values.values().stream()
                .flatMap(trace -> trace.moments().stream())
                .flatMap(moment -> moment.values().values().stream())
                .mapToInt(floats -> floats.length)
                .sum();
    }
}
