package org.tornadoattention.plan;

import java.util.List;
import java.util.Map;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.Capability;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.choice.KernelSpec;
import org.tornadoattention.choice.Launch;
import org.tornadoattention.choice.Scratch;
import org.tornadoattention.choice.Views;
import org.tornadoattention.choice.Work;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.forge.Arguments;
import org.tornadoattention.forge.Kernel;
import org.tornadoattention.forge.KernelLauncher;
import org.tornadoattention.function.FunctionForm;
import org.tornadoattention.kernel.parts.Features;
import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.kernel.parts.PartialSums;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** Turns the launches that a kernel's description lists into tasks of a graph. */
final class AttentionTasks {

    private AttentionTasks() {}

    /**
     * Appends the tasks that compute {@code arrays.output} and {@code arrays.logSumExp}. Their names begin with the
     * given one.
     */
    static void append(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            AttentionProblem problem,
            KernelChoice choice,
            ComputeDevice device,
            AttentionArrays arrays) {
        KernelSpec spec = choice.kernel().spec();
        Work work = new Work(problem, choice.tiles(), device);
        append(
                graph,
                grids,
                name,
                arguments(problem, arrays, device),
                features(problem, device),
                spec.scratch(work),
                spec.forward(work));
    }

    /**
     * Appends the tasks of launches.
     *
     * @param arguments what kernels take by the names of their parameters, but for scratch memory and features
     * @param features of the pass
     */
    static void append(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            Arguments arguments,
            int features,
            List<Scratch> scratch,
            List<Launch> launches) {
        Arguments all = arguments;
        for (Scratch memory : scratch) {
            TornadoNativeArray array = memory.allocate();
            // TornadoVM frees only what a graph transfers, so scratch memory is transferred, once.
            graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, array);
            all = all.with(memory.name(), array);
        }
        all = all.with("features", features);
        for (Launch launch : launches) {
            Arguments ofLaunch = all;
            for (Map.Entry<Class<?>, Map<String, Integer>> answers :
                    launch.answers().entrySet()) {
                ofLaunch = ofLaunch.answering(answers.getKey(), answers.getValue());
            }
            KernelLauncher.Task task = new KernelLauncher(graph, grids, ofLaunch)
                    .task(name + launch.suffix(), Kernel.of(launch.owner(), launch.method()));
            launch.numbers().forEach(task::with);
            for (Map.Entry<String, String> array : launch.arrays().entrySet()) {
                task.with(array.getKey(), all.given(array.getValue()));
            }
            if (launch.features(features) != features) {
                task.with("features", launch.features(features));
            }
            if (launch.sumsMany()) {
                task.replacing(PartialSums.class, PartialSums.Many.class);
            }
            task.groups(launch.groups(), launch.groupSize());
        }
    }

    /** What kernels of both directions take, by the names of their parameters. */
    static Arguments arguments(AttentionProblem problem, AttentionArrays arrays, ComputeDevice device) {
        AttentionShape shape = problem.shape();
        return Arguments.none()
                .with("query", arrays.query())
                .with("key", arrays.key())
                .with("value", arrays.value())
                .with("output", arrays.output())
                .with("logSumExp", arrays.logSumExp())
                .with("headTerms", arrays.headTerms())
                .with("keyLengths", arrays.keyLengths())
                .with("heads", shape.heads())
                .with("kvHeads", shape.kvHeads())
                .with("seqQ", shape.seqQ())
                .with("seqK", shape.seqK())
                .with("headDim", shape.headDim())
                .with("valueDim", shape.valueDim())
                .with("addedValueDim", shape.valueDim() - shape.headDim())
                .with("addedWidestDim", shape.widestDim() - shape.headDim())
                .with("windowLeft", problem.windowLeft())
                .with("windowRight", problem.windowRight())
                .with("scale", problem.scale())
                .with("softcap", problem.softcap())
                .withFunctions(form(problem, device), arrays.captured())
                .answering(Layout.class, problem.views().map(Views::numbers).orElse(Map.of()));
    }

    /** Of a compiler: PoCL stops at an assertion of its own where a loop stands between two barriers of a loop. */
    private static FunctionForm form(AttentionProblem problem, ComputeDevice device) {
        FunctionForm form = problem.functions().form();
        if (Capability.WARP.isKnownOn(device)) {
            return form.withIntrinsics();
        }
        boolean processor = device.type() == TornadoDeviceType.CPU && !device.isSimulator();
        return processor ? form.withoutSkips() : form;
    }

    /**
     * What kernels are to know of a problem, to heed of a backend's compiler, and how they are to read their arrays.
     */
    static int features(AttentionProblem problem, ComputeDevice device) {
        return problem.features() | compilerFeatures(problem, device);
    }

    private static int compilerFeatures(AttentionProblem problem, ComputeDevice device) {
        return DeviceStorage.features(problem.types(), device)
                | (device.backend() == Backend.SPIRV ? Features.INT_PRODUCTS : 0);
    }
}
