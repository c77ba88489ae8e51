/**
 * A simulator of TornadoVM on the JVM: it runs the kernels and task graphs of a program that was written for TornadoVM,
 * with no GPU and no SDK, and finds mistakes that a GPU keeps to itself.
 *
 * <p>The classes in {@code uk.ac.manchester.tornado.api} have the names and signatures of TornadoVM's API, so that the
 * same class files run on either. This package is what the simulator offers beyond it:
 *
 * <ul>
 *   <li>{@link org.tornadoattention.simulator.Simulator} changes settings and hands out statistics;
 *   <li>{@link org.tornadoattention.simulator.SimulatorSettings} says which checks run, and with which seed and
 *       threads;
 *   <li>{@link org.tornadoattention.simulator.SimulatorFaultException} is what every check throws;
 *   <li>{@link org.tornadoattention.simulator.KernelStatistics} counts what a kernel read, wrote and waited for;
 *   <li>{@link org.tornadoattention.simulator.junit.SimulatedKernels} does all this in tests with JUnit 5.
 * </ul>
 *
 * <h2>How kernels run</h2>
 *
 * <p>A kernel with {@code @Parallel} loops runs on all cores, its iterations shared out in chunks. A kernel with a
 * {@code KernelContext} runs in work-groups: all work-items of a group are alive, each on a virtual thread, and take
 * turns at barriers and warp collectives, in the same order in every run. With
 * {@code --add-exports=java.base/jdk.internal.vm=ALL-UNNAMED}, and no debugger, they are the JDK's continuations in
 * place of threads, which take turns four times as fast. Groups run on all cores. With a seed, groups and work-items
 * come in another order, and a right kernel gives the same result.
 *
 * <p>Kernels see device memory only. Each array that a task graph uses has a copy there, filled and fetched as the
 * graph says; what was never written holds NaN.
 *
 * <h2>Debugging a kernel</h2>
 *
 * <p>Start the program under any Java debugger and set a breakpoint on a line of the kernel. The simulator runs a copy
 * of the kernel's class under its own name, with its line numbers and variables, and debuggers set breakpoints by name
 * and line; so the program stops in each work-item. The variable {@code context} shows the ids of the work-item, the
 * thread's name says it too ({@code kernel tiled group (1,0,0) item 5}), and all other work-items of the group stand
 * still at the threads' stacks that the debugger lists. For a breakpoint in one work-item only, give it a condition
 * such as {@code context.globalIdx == 70}. With {@code -Dtornadoattention.simulator.threads=1} one group runs at a
 * time.
 *
 * <p>The copy has statics of its own: a kernel that changes a static variable does not change the program's. TornadoVM
 * allows no such kernels anyway. Tasks share a copy at first; from its fourth launch on a task has one for itself, so
 * that the JVM compiles it for the numbers of this task alone, and its speed does not depend on what other tasks did
 * before; but where the JVM has only its first tier of compiling, which does not look at what was done before.
 *
 * <h2>What it is not</h2>
 *
 * <p>It says nothing about speed on a device. It refuses what TornadoVM 5.2 was seen not to compile, which is not all
 * that TornadoVM does not compile. Of races on device memory it finds those that the values of one launch show, not
 * those that other inputs would.
 */
@NullMarked
package org.tornadoattention.simulator;

import org.jspecify.annotations.NullMarked;
