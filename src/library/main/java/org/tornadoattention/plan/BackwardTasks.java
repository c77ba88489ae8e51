package org.tornadoattention.plan;

import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.Backward;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.choice.Work;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.forge.Arguments;
import org.tornadoattention.kernel.parts.Features;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;

/** Turns the backward pass of a problem into tasks of a graph, as {@link AttentionTasks} does the forward pass. */
final class BackwardTasks {

    private BackwardTasks() {}

    /**
     * Appends the tasks that compute the three gradients; their names begin with the given one.
     *
     * @param choice of {@link KernelChoice#chooseBackward}
     */
    static void append(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            AttentionProblem problem,
            KernelChoice choice,
            ComputeDevice device,
            BackwardArrays arrays) {
        if (!(choice.kernel().spec().backward() instanceof Backward.Own own)) {
            throw new IllegalArgumentException("The kernel %s has no backward pass of its own"
                    .formatted(choice.kernel().id()));
        }
        int features =
                AttentionTasks.features(problem, device) | (arrays.hasLogSumExpGradient() ? Features.LSE_GRADIENT : 0);
        AttentionTasks.append(
                graph,
                grids,
                name,
                arguments(problem, arrays),
                features,
                own.scratch().of(problem.shape()),
                own.launches().of(new Work(problem, choice.tiles(), device)));
    }

    private static Arguments arguments(AttentionProblem problem, BackwardArrays arrays) {
        return AttentionTasks.arguments(problem, arrays.forward())
                .with("outputGradient", arrays.outputGradient())
                .with("logSumExpGradient", arrays.logSumExpGradient())
                .with("queryGradient", arrays.queryGradient())
                .with("keyGradient", arrays.keyGradient())
                .with("valueGradient", arrays.valueGradient())
                .with("rowTerms", arrays.rowTerms());
    }
}
