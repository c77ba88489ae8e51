package org.tornadoattention.simulator.engine;

/** Calls the instrumented copy of a kernel. */
@FunctionalInterface
public interface KernelCall {

    /** Calls it with these arguments; that of an instance method has its object before them. */
    void call(Object... arguments) throws Throwable;
}
