package org.tornadoattention.simulator.instrument;

import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;

/** The variables that instrumentation adds to a method, beyond those that it has. */
final class Slots {

    private final Map<Integer, Integer> storage = new TreeMap<>();
    private final Map<Integer, Integer> globalRecords = new TreeMap<>();
    private final Map<Integer, Integer> localViews = new TreeMap<>();
    private final Map<Integer, Integer> localParameters = new TreeMap<>();
    private final Map<Integer, Counter> counters = new TreeMap<>();
    private final Map<Integer, Integer> temporaries = new HashMap<>();
    private int next;

    Slots(int first) {
        this.next = first;
    }

    int allocate(int words) {
        int slot = next;
        next += words;
        return slot;
    }

    /** Returns the variable with the Java storage of the native array in a parameter. */
    int storage(int parameter) {
        return storage.computeIfAbsent(parameter, _ -> allocate(1));
    }

    Map<Integer, Integer> allStorage() {
        return storage;
    }

    /** Returns the variable with the record of the native array in a parameter. */
    int globalRecord(int parameter) {
        return globalRecords.computeIfAbsent(parameter, _ -> allocate(1));
    }

    Map<Integer, Integer> allGlobalRecords() {
        return globalRecords;
    }

    /** Returns the variable with the view of the local array in another variable. */
    int localView(int localArray) {
        return localViews.computeIfAbsent(localArray, _ -> allocate(1));
    }

    Map<Integer, Integer> allLocalViews() {
        return localViews;
    }

    /** Returns the variable with the local array that a parameter is, if it is one. */
    int localParameter(int parameter) {
        return localParameters.computeIfAbsent(parameter, _ -> allocate(1));
    }

    Map<Integer, Integer> allLocalParameters() {
        return localParameters;
    }

    /** Returns the counter of the array in a variable. */
    Counter counter(int array) {
        return counters.computeIfAbsent(array, _ -> new Counter(allocate(2), allocate(2)));
    }

    Map<Integer, Counter> allCounters() {
        return counters;
    }

    /** Returns a variable for a value of so many words that is put aside for a moment. */
    int temporary(int words) {
        return temporaries.computeIfAbsent(words, this::allocate);
    }

    /** The variables that count reads and writes, and what the present stretch of straight code adds to them. */
    static final class Counter {

        private final int reads;
        private final int writes;
        private int pendingReads;
        private int pendingWrites;

        Counter(int reads, int writes) {
            this.reads = reads;
            this.writes = writes;
        }

        int reads() {
            return reads;
        }

        int writes() {
            return writes;
        }

        void count(boolean write) {
            if (write) {
                pendingWrites++;
            } else {
                pendingReads++;
            }
        }

        int takePendingReads() {
            int pending = pendingReads;
            pendingReads = 0;
            return pending;
        }

        int takePendingWrites() {
            int pending = pendingWrites;
            pendingWrites = 0;
            return pending;
        }
    }
}
