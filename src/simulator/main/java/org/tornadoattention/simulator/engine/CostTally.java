package org.tornadoattention.simulator.engine;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.tornadoattention.simulator.LineCosts;
import org.tornadoattention.simulator.MemoryAccess;

/**
 * Adds up what warps cost. The traces of the lanes of a warp are put together as a GPU runs them: the lanes that are at
 * the earliest place in the code go first, all together, and the others wait for them. Two lanes are together at a
 * place in a loop only in the same turn, for the end of a turn is an event too.
 */
final class CostTally {

    private static final int SECTOR = 32;
    private static final int BANKS = 32;
    private static final int WORD = 4;

    private final Map<Key, Line> lines = new TreeMap<>();
    private long steps;
    private long laneSteps;
    private long operations;
    private long privateBytes;

    void operations(long count) {
        operations += count;
    }

    void privateBytes(long bytes) {
        privateBytes = Math.max(privateBytes, bytes);
    }

    long operations() {
        return operations;
    }

    long privateBytes() {
        return privateBytes;
    }

    long steps() {
        return steps;
    }

    long laneSteps() {
        return laneSteps;
    }

    /**
     * Puts the traces of a warp's lanes together, and clears them.
     *
     * @param picture gets each instruction that touches memory; null if nobody wants a picture
     */
    void warp(List<CostTrace> lanes, WarpSteps picture) {
        int[] at = new int[lanes.size()];
        long[] together = new long[lanes.size()];
        while (true) {
            int site = Integer.MAX_VALUE;
            MemoryAccess access = null;
            for (int lane = 0; lane < at.length; lane++) {
                CostTrace trace = lanes.get(lane);
                if (at[lane] < trace.size() && trace.site(at[lane]) < site) {
                    site = trace.site(at[lane]);
                    access = CostTrace.access(trace.event(at[lane]));
                }
            }
            if (site == Integer.MAX_VALUE) {
                break;
            }
            int count = 0;
            int mask = 0;
            int caller = -1;
            for (int lane = 0; lane < at.length; lane++) {
                CostTrace trace = lanes.get(lane);
                if (at[lane] < trace.size()
                        && trace.site(at[lane]) == site
                        && CostTrace.access(trace.event(at[lane])) == access) {
                    mask |= 1 << lane;
                    caller = trace.caller(at[lane]);
                    together[count++] = trace.event(at[lane]++);
                }
            }
            steps++;
            laneSteps += count;
            if (access != null) {
                Key key = new Key(site, access, CostTrace.slot(together[0]));
                Line line = lines.computeIfAbsent(key, _ -> new Line());
                if (picture == null) {
                    line.instruction(access, together, count);
                } else {
                    Line one = new Line();
                    one.instruction(access, together, count);
                    line.add(one);
                    picture.add(one.step(site, caller, access, mask, together, count));
                }
            }
        }
        lanes.forEach(CostTrace::clear);
    }

    void add(CostTally other) {
        other.lines.forEach(
                (key, line) -> lines.computeIfAbsent(key, _ -> new Line()).add(line));
        steps += other.steps;
        laneSteps += other.laneSteps;
        operations += other.operations;
        privateBytes = Math.max(privateBytes, other.privateBytes);
    }

    /** Returns what each line costs. */
    List<LineCosts> lines(List<String> places, List<String> globalNames, List<String> localNames) {
        Map<List<Object>, Line> byLine = new LinkedHashMap<>();
        lines.forEach((key, line) -> {
            List<String> names = key.access.isGlobal() ? globalNames : localNames;
            String name = key.slot < names.size() ? names.get(key.slot) : "array " + key.slot;
            byLine.computeIfAbsent(List.of(places.get(key.site), name, key.access), _ -> new Line())
                    .add(line);
        });
        return byLine.entrySet().stream()
                .map(entry -> entry.getValue()
                        .costs(
                                (String) entry.getKey().get(0),
                                (String) entry.getKey().get(1),
                                (MemoryAccess) entry.getKey().get(2)))
                .toList();
    }

    /** A place in the code, what it does there and to which array. */
    private record Key(int site, MemoryAccess access, int slot) implements Comparable<Key> {

        @Override
        public int compareTo(Key other) {
            int bySite = Integer.compare(site, other.site);
            int byAccess = bySite == 0 ? access.compareTo(other.access) : bySite;
            return byAccess == 0 ? Integer.compare(slot, other.slot) : byAccess;
        }
    }

    /** The costs of a place so far. */
    private static final class Line {

        private long instructions;
        private long lanes;
        private long sectors;
        private long fewestSectors;
        private long passes;
        private long fewestPasses;
        private int ways;

        void instruction(MemoryAccess access, long[] events, int count) {
            instructions++;
            lanes += count;
            if (access.isGlobal()) {
                long[] units = units(events, 0, count, SECTOR);
                sectors += units.length;
                fewestSectors += (distinctBytes(events, count) + SECTOR - 1) / SECTOR;
            } else {
                localPasses(events, count);
            }
        }

        /** An instruction moves 128 bytes at most at a time: of lanes that ask for 8 bytes each, half a warp's. */
        private void localPasses(long[] events, int count) {
            int wordsOfLane = Math.max(1, CostTrace.bytes(events[0]) / WORD);
            int lanesAtOnce = Math.max(1, Warp.SIZE / wordsOfLane);
            for (int from = 0; from < count; from += lanesAtOnce) {
                long[] words = units(events, from, Math.min(count, from + lanesAtOnce), WORD);
                int[] perBank = new int[BANKS];
                int most = 0;
                for (long word : words) {
                    most = Math.max(most, ++perBank[(int) (word % BANKS)]);
                }
                passes += most;
                fewestPasses += (words.length + BANKS - 1) / BANKS;
                ways = Math.max(ways, most);
            }
        }

        /** Returns the different pieces of so many bytes that events touch. */
        private static long[] units(long[] events, int from, int to, int bytes) {
            long[] units = new long[2 * (to - from) * Math.max(1, CostTrace.bytes(events[from]) / bytes)];
            int size = 0;
            for (int i = from; i < to; i++) {
                long first = CostTrace.address(events[i]);
                long last = first + CostTrace.bytes(events[i]) - 1;
                for (long unit = first / bytes; unit <= last / bytes; unit++) {
                    if (size == units.length) {
                        units = Arrays.copyOf(units, 2 * size);
                    }
                    units[size++] = unit;
                }
            }
            Arrays.sort(units, 0, size);
            int distinct = 0;
            for (int i = 0; i < size; i++) {
                if (i == 0 || units[i] != units[i - 1]) {
                    units[distinct++] = units[i];
                }
            }
            return Arrays.copyOf(units, distinct);
        }

        private static long distinctBytes(long[] events, int count) {
            long[] sorted = Arrays.copyOf(events, count);
            Arrays.sort(sorted);
            long bytes = 0;
            for (int i = 0; i < count; i++) {
                if (i == 0 || sorted[i] != sorted[i - 1]) {
                    bytes += CostTrace.bytes(sorted[i]);
                }
            }
            return bytes;
        }

        void add(Line other) {
            instructions += other.instructions;
            lanes += other.lanes;
            sectors += other.sectors;
            fewestSectors += other.fewestSectors;
            passes += other.passes;
            fewestPasses += other.fewestPasses;
            ways = Math.max(ways, other.ways);
        }

        /** Returns the one instruction that this counts, as a step of a picture. */
        WarpSteps.Step step(int site, int caller, MemoryAccess access, int mask, long[] events, int count) {
            long[] offsets = new long[count];
            for (int i = 0; i < count; i++) {
                offsets[i] = CostTrace.offset(events[i]);
            }
            return new WarpSteps.Step(
                    site,
                    caller,
                    access,
                    CostTrace.slot(events[0]),
                    CostTrace.bytes(events[0]),
                    mask,
                    offsets,
                    access.isGlobal() ? sectors : passes,
                    access.isGlobal() ? fewestSectors : fewestPasses,
                    ways);
        }

        LineCosts costs(String place, String array, MemoryAccess access) {
            return new LineCosts(
                    place, array, access, instructions, lanes, sectors, fewestSectors, passes, fewestPasses, ways);
        }
    }
}
