package org.tornadoattention.simulator.engine;

/** What instrumented kernels call when a picture is wanted; see {@link Hooks}. */
public final class TraceHooks {

    private TraceHooks() {}

    /** Notes where the kernel calls a method of its own. */
    public static void call(WorkItem item, int site) {
        if (item != null) {
            item.callAt(site);
        }
    }

    /** Begins a list of the values that variables have now; returns whether it is wanted. */
    public static boolean snapshot(WorkItem item, int site) {
        return item != null && item.values() != null && item.values().begin(site);
    }

    /** Keeps the value of a variable. */
    public static void value(float value, String name, WorkItem item) {
        item.values().keep(name, value);
    }

    /** Keeps the value of a variable. */
    public static void value(double value, String name, WorkItem item) {
        item.values().keep(name, (float) value);
    }

    /** Keeps the value of a variable. */
    public static void value(int value, String name, WorkItem item) {
        item.values().keep(name, value);
    }

    /** Keeps the elements of an array of the work-item's own. */
    public static void value(float[] values, String name, WorkItem item) {
        boolean local = item.group() != null && item.group().localArray(values) != null;
        if (values != null && !local) {
            item.values().keep(name, values.clone());
        }
    }
}
