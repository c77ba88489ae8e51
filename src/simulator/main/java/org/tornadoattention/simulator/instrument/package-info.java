/**
 * Internals of the simulator: copies of kernels with checks and counters in them.
 *
 * <p>{@link org.tornadoattention.simulator.instrument.KernelCompiler} copies the kernel's class and what it calls. In
 * the copy, accesses to native arrays become accesses to plain Java arrays, which the JVM compiles best; accesses to
 * local memory become calls of {@link org.tornadoattention.simulator.engine.Hooks}; and traffic is counted in local
 * variables.
 */
package org.tornadoattention.simulator.instrument;
