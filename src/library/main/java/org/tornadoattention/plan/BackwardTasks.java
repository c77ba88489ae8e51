package org.tornadoattention.plan;

import java.util.ArrayList;
import java.util.List;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.Backward;
import org.tornadoattention.choice.BiasGradients;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.choice.Launch;
import org.tornadoattention.choice.Scratch;
import org.tornadoattention.choice.Work;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.forge.Arguments;
import org.tornadoattention.forge.Kernel;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;

/** Turns the backward pass of a problem into tasks of a graph, as {@link AttentionTasks} does the forward pass. */
final class BackwardTasks {

    private BackwardTasks() {}

    /**
     * Appends the tasks that compute gradients; their names begin with the given one.
     *
     * @param choice of {@link KernelChoice#chooseBackward}, or of {@link KernelChoice#chooseBackwardApart} if not all
     *     are wanted
     */
    static void append(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            AttentionProblem problem,
            KernelChoice choice,
            ComputeDevice device,
            BackwardArrays arrays,
            WantedGradients wanted) {
        if (!(choice.kernel().spec().backward() instanceof Backward.Own own)) {
            throw new IllegalArgumentException("The kernel %s has no backward pass of its own"
                    .formatted(choice.kernel().id()));
        }
        int features =
                AttentionTasks.features(problem, device) | (arrays.hasLogSumExpGradient() ? Features.LSE_GRADIENT : 0);
        Work work = new Work(problem, choice.tiles(), device);
        List<Launch> launches = new ArrayList<>(
                own.launches().of(work).stream().filter(wanted::wants).toList());
        List<Scratch> scratch = new ArrayList<>(own.scratch().of(problem));
        if (wanted != WantedGradients.ALL) {
            scratch.removeIf(memory -> launches.stream().noneMatch(launch -> takes(launch, memory)));
        }
        arrays.biasGradient().ifPresent(gradient -> {
            BiasGradients ofBias =
                    choice.kernel().spec().biasGradient(work, gradient.dimension(0), gradient.dimension(1));
            if (!ofBias.pass().isEmpty()) {
                launches.clear();
                launches.addAll(ofBias.pass());
            }
            launches.addAll(ofBias.launches());
            scratch.addAll(ofBias.scratch());
        });
        if (arrays.sinkGradient().isPresent()) {
            launches.addAll(work.sinkGradient());
            scratch.add(work.sinkParts());
        }
        AttentionTasks.append(graph, grids, name, arguments(problem, arrays, device), features, scratch, launches);
    }

    private static boolean takes(Launch launch, Scratch memory) {
        return launch.arrays().containsValue(memory.name())
                || Kernel.of(launch.owner(), launch.method()).parameters().stream()
                        .anyMatch(parameter -> parameter.getName().equals(memory.name()));
    }

    private static Arguments arguments(AttentionProblem problem, BackwardArrays arrays, ComputeDevice device) {
        return AttentionTasks.arguments(problem, arrays.forward(), device)
                .with("outputGradient", arrays.outputGradient())
                .with("logSumExpGradient", arrays.logSumExpGradient())
                .with("queryGradient", arrays.queryGradient())
                .with("keyGradient", arrays.keyGradient())
                .with("valueGradient", arrays.valueGradient())
                .with("rowTerms", arrays.rowTerms())
                .with("biasGradient", arrays.biasGradient().map(Tensor::array).orElse(null))
                .with("sinkGradient", arrays.sinkGradient().map(Tensor::array).orElse(null));
    }
}
