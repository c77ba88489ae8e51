package org.tornadoattention.simulator.engine;

/**
 * A local array as one work-item sees it: what instrumented code carries for each variable that holds such an array.
 */
public final class LocalView {

    private final LocalArray array;
    private final WorkItem item;
    private final float[] floats;
    private final double[] doubles;
    private final int[] ints;
    private final long[] longs;
    private final byte[] bytes;
    private final Object[] objects;

    LocalView(LocalArray array, WorkItem item) {
        this.array = array;
        this.item = item;
        this.floats = array.elements() instanceof float[] elements ? elements : null;
        this.doubles = array.elements() instanceof double[] elements ? elements : null;
        this.ints = array.elements() instanceof int[] elements ? elements : null;
        this.longs = array.elements() instanceof long[] elements ? elements : null;
        this.bytes = array.elements() instanceof byte[] elements ? elements : null;
        this.objects = array.elements() instanceof Object[] elements ? elements : null;
    }

    LocalArray array() {
        return array;
    }

    void read(int index) {
        array.read(index, item);
    }

    void write(int index, boolean same) {
        array.write(index, item, same);
    }

    void count(long reads, long writes) {
        item.counters().local(array.index(), reads, writes);
    }

    float[] floats() {
        return floats;
    }

    double[] doubles() {
        return doubles;
    }

    int[] ints() {
        return ints;
    }

    long[] longs() {
        return longs;
    }

    byte[] bytes() {
        return bytes;
    }

    Object[] objects() {
        return objects;
    }
}
