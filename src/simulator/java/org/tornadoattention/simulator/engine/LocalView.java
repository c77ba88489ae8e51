package org.tornadoattention.simulator.engine;

/** A local array as one work-item sees it: what instrumented code carries with each variable that holds such an array. */
public final class LocalView {

    private final LocalArray array;
    private final WorkItem item;

    LocalView(LocalArray array, WorkItem item) {
        this.array = array;
        this.item = item;
    }

    void read(int index) {
        array.read(index, item);
    }

    void write(int index) {
        array.write(index, item);
    }

    void count(long reads, long writes) {
        item.counters().local(array.index(), reads, writes);
    }
}
