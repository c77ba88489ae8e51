/**
 * Task graphs: the tasks, arrays and grids of the forward and backward passes that {@code choice} chose, and their
 * plans.
 *
 * <p>Start here: {@link org.tornadoattention.plan.PlanCache} runs forward and backward passes. {@code AttentionTasks}
 * and {@code BackwardTasks} turn a choice into tasks, {@link org.tornadoattention.plan.Plans} keeps compiled graphs,
 * and {@link org.tornadoattention.plan.LaunchGuard} sees to it that a launch that failed is noticed. Inference is in
 * {@code decode}.
 */
@NullMarked
package org.tornadoattention.plan;

import org.jspecify.annotations.NullMarked;
