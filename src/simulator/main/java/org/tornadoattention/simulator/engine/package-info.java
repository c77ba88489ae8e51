/**
 * Internals of the simulator: execution of plans, device memory, work-groups and warps. Public classes and methods here
 * are for the API's classes and for instrumented kernels; programs use
 * {@link org.tornadoattention.simulator.Simulator}.
 *
 * <p>The way of an execution: {@link org.tornadoattention.simulator.engine.PlanExecutor} runs graphs, a graph copies
 * arrays in, runs its tasks and copies arrays out, a task finds its kernel and starts a launch, and a launch runs
 * work-groups or chunks of loops.
 */
package org.tornadoattention.simulator.engine;
