package org.tornadoattention.simulator.engine;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.tornadoattention.simulator.FaultKind;
import org.tornadoattention.simulator.SimulatorFaultException;
import org.tornadoattention.simulator.engine.WorkItem.State;

/** Explains why the work-items of a group cannot go on: they wait for each other in different places. */
final class Divergence {

    private Divergence() {}

    /** Throws if the work-items of a group, all of which wait at a barrier, do not wait at the same one. */
    static void checkSameBarrier(WorkGroup group) {
        int site = group.items()[0].barrierSite();
        for (WorkItem item : group.items()) {
            if (item.barrierSite() != site) {
                throw fault(group, FaultKind.DIVERGENT_BARRIER, item);
            }
        }
    }

    /** Returns the fault of a group of which no work-item can run. */
    static SimulatorFaultException explain(WorkGroup group, WorkItem last) {
        for (WorkItem item : group.items()) {
            if (item.state() == State.AT_COLLECTIVE) {
                return fault(group, FaultKind.DIVERGENT_COLLECTIVE, last);
            }
        }
        return fault(group, FaultKind.DIVERGENT_BARRIER, last);
    }

    static SimulatorFaultException fault(WorkGroup group, FaultKind kind, WorkItem last) {
        Map<String, List<Integer>> places = new LinkedHashMap<>();
        for (WorkItem item : group.items()) {
            places.computeIfAbsent(place(item), _ -> new ArrayList<>()).add(item.id());
        }
        boolean warpBarrier = Arrays.stream(group.items()).anyMatch(item -> item.state() == State.AT_WARP_BARRIER);
        String advice = warpBarrier
                ? "a phase ends when as many warps have arrived as WarpBarrier.init() said, and nobody is left who could"
                : advice(kind, last.launch().settings().barriers());
        String who = places.entrySet().stream()
                .map(entry -> ranges(group, entry.getValue()) + " " + entry.getKey())
                .collect(Collectors.joining("; "));
        return new SimulatorFaultException(
                kind,
                "in kernel " + last.launch().kernelName() + ", group " + group.name() + ": " + who + " — " + advice);
    }

    private static String advice(FaultKind kind, long barriers) {
        return switch (kind) {
            case ENDLESS_LOOP ->
                "the group has passed %,d barriers: find the loop around this one that does not come to its end, or allow more with -Dtornadoattention.simulator.barriers"
                        .formatted(barriers);
            case DIVERGENT_BARRIER ->
                "every work-item of a group must reach the same barrier: keep barriers out of branches, and return early only after the last one";
            default ->
                "all lanes of a warp must reach the same collective: keep collectives out of branches, and do bounds checks around them";
        };
    }

    private static String place(WorkItem item) {
        return switch (item.state()) {
            case DONE -> "returned";
            case AT_BARRIER -> "wait at the barrier at " + SourceLine.of(item.strand());
            case AT_COLLECTIVE -> "wait in " + item.warp().operation(item) + " at " + SourceLine.of(item.strand());
            case AT_WARP_BARRIER -> "wait for " + item.warpLane().awaited() + " at " + SourceLine.of(item.strand());
            case AWAITS_TURN -> "wait for a turn at " + SourceLine.of(item.strand());
            case READY, RUNNING -> "run";
        };
    }

    /** Writes ids as ranges: {@code work-items 0-3, 7}. */
    private static String ranges(WorkGroup group, List<Integer> ids) {
        List<String> parts = new ArrayList<>();
        for (int i = 0; i < ids.size(); ) {
            int end = i;
            while (end + 1 < ids.size() && ids.get(end + 1) == ids.get(end) + 1) {
                end++;
            }
            String first = group.itemName(ids.get(i));
            parts.add(end == i ? first : first + "-" + group.itemName(ids.get(end)));
            i = end + 1;
        }
        return (ids.size() == 1 ? "work-item " : "work-items ") + String.join(", ", parts);
    }
}
