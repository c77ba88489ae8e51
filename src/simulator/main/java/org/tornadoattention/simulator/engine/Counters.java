package org.tornadoattention.simulator.engine;

import java.util.Arrays;

/** What one thread of a launch counts; nothing here is shared until the launch is over. */
final class Counters {

    private long[] globalReads;
    private long[] globalWrites;
    private long[] localReads = new long[4];
    private long[] localWrites = new long[4];
    private long barriers;
    private long collectives;
    private long mmaOperations;
    private long tensorOperations;
    private CostTally costs;

    Counters(int globalArrays) {
        globalReads = new long[globalArrays];
        globalWrites = new long[globalArrays];
    }

    void global(int slot, long reads, long writes) {
        globalReads[slot] += reads;
        globalWrites[slot] += writes;
    }

    void local(int index, long reads, long writes) {
        if (index >= localReads.length) {
            localReads = Arrays.copyOf(localReads, 2 * index);
            localWrites = Arrays.copyOf(localWrites, 2 * index);
        }
        localReads[index] += reads;
        localWrites[index] += writes;
    }

    void barrier() {
        barriers++;
    }

    void collective() {
        collectives++;
    }

    /** Counts a multiplication of 16 rows by 8 columns with that depth. */
    void mma(int depth) {
        mmaOperations++;
        tensorOperations += 2L * TensorCore.ROWS * TensorCore.COLUMNS * depth;
    }

    /** Returns what warps cost so far. */
    CostTally costs() {
        if (costs == null) {
            costs = new CostTally();
        }
        return costs;
    }

    void add(Counters other) {
        for (int i = 0; i < globalReads.length; i++) {
            global(i, other.globalReads[i], other.globalWrites[i]);
        }
        for (int i = 0; i < other.localReads.length; i++) {
            local(i, other.localReads[i], other.localWrites[i]);
        }
        barriers += other.barriers;
        collectives += other.collectives;
        mmaOperations += other.mmaOperations;
        tensorOperations += other.tensorOperations;
        if (other.costs != null) {
            costs().add(other.costs);
        }
    }

    long globalReads(int slot) {
        return globalReads[slot];
    }

    long globalWrites(int slot) {
        return globalWrites[slot];
    }

    long localReads(int index) {
        return index < localReads.length ? localReads[index] : 0;
    }

    long localWrites(int index) {
        return index < localWrites.length ? localWrites[index] : 0;
    }

    long barriers() {
        return barriers;
    }

    long collectives() {
        return collectives;
    }

    long tensorOperations() {
        return tensorOperations;
    }

    long mmaOperations() {
        return mmaOperations;
    }
}
