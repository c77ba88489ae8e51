/**
 * Task graphs: the tasks, arrays and grids of what {@code choice} chose, their plans, and the caches of keys and values.
 *
 * <p>Start here: {@link org.tornadoattention.plan.PlanCache} runs forward and backward passes, {@link
 * org.tornadoattention.plan.CachePlan} steps of a cache, {@link org.tornadoattention.plan.InferencePlans} ragged batches and
 * merges. {@code AttentionTasks}, {@code BackwardTasks} and {@code InferenceTasks} turn a choice into tasks, {@code Plans}
 * keeps compiled graphs, and {@code LaunchGuard} sees to it that a launch that failed is noticed.
 */
package org.tornadoattention.plan;
