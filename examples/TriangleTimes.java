//SOURCES jbang/Setup.java
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/**
 * Times of triangle attention ({@code TriangleAttention} explains it) forward and backward, in F16, with the gradient
 * of the bias that all rows share. {@code python3 bench/triangle.py RESIDUES HEADS HEAD_DIM} has PyTorch's.
 */
class TriangleTimes {

    private static final int REPETITIONS = 9;
    /** Rows of pairs that are compared with the oracle. */
    private static final int CHECKED = 2;

    static void main(String... arguments) {
        Example.run(TriangleTimes.class, "[RESIDUES HEADS HEAD_DIM]", arguments, TriangleTimes::measure);
    }

    private static void measure(String[] arguments) throws TornadoExecutionPlanException {
        int residues = Example.number(arguments, 0, 16, 2);
        int heads = Example.number(arguments, 1, 2, 1);
        int headDim = Example.number(arguments, 2, 8, 1);
        ComputeDevice device = Devices.bestForTaskGraphs();
        Tensor bias = Tensor.random(DType.F16, 5, 1, heads, residues, residues);
        AttentionOptions options = AttentionOptions.defaults().withBias(bias);
        Tensor[] t = new Tensor[4];
        for (int i = 0; i < t.length; i++) {
            t[i] = Tensor.random(DType.F16, i + 1, residues, heads, residues, headDim);
        }
        System.out.printf(
                "on %s: %d rows of %d heads x %d x %d, F16, one bias for all rows%n",
                device, residues, heads, residues, headDim);
        try (FlashAttention attention = FlashAttention.on(device)) {
            requireRight(attention, t, options);
            time(attention, device, t, options);
        }
    }

    /** Some rows with all that is computed from them, also their share of the bias' gradient. */
    private static void requireRight(FlashAttention attention, Tensor[] t, AttentionOptions options) {
        int[] shape = t[0].shape();
        shape[0] = CHECKED;
        List<Tensor> few =
                Stream.of(t).map(tensor -> tensor.block(new int[4], shape)).toList();
        AccuracyCheck check = AccuracyCheck.of(few.get(0), few.get(1), few.get(2), few.get(3), options);
        AttentionResult result = attention.forward(few.get(0), few.get(1), few.get(2), options);
        Example.requireRight(check.forward(result.output(), result.logSumExp()));
        Example.requireRight(check.gradients(attention.backward(result, few.get(3))));
    }

    private static void time(FlashAttention attention, ComputeDevice device, Tensor[] t, AttentionOptions options)
            throws TornadoExecutionPlanException {
        Tensor output = Tensor.allocate(DType.F16, t[0].shape());
        Tensor logSumExp = Tensor.allocate(DType.F32, t[0].batch(), t[0].heads(), t[0].seqLength());
        TaskGraph forward = new TaskGraph("forward");
        GridScheduler grids = new GridScheduler();
        forward.transferToDevice(DataTransferMode.FIRST_EXECUTION, t[0].array(), t[1].array(), t[2].array());
        String kernel = attention
                .appendTo(forward, grids, "attention", t[0], t[1], t[2], output, logSumExp, options)
                .toString();
        forward.transferToHost(DataTransferMode.EVERY_EXECUTION, output.array(), logSumExp.array());
        System.out.printf("forward  %8.3f ms  %s%n", milliseconds(forward, grids, device), kernel);

        BackwardTensors tensors = BackwardTensors.builder()
                .q(t[0])
                .k(t[1])
                .v(t[2])
                .output(output)
                .logSumExp(logSumExp)
                .dOut(t[3])
                .dQ(Tensor.allocate(DType.F16, t[0].shape()))
                .dK(Tensor.allocate(DType.F16, t[0].shape()))
                .dV(Tensor.allocate(DType.F16, t[0].shape()))
                .dBias(Tensor.allocate(DType.F32, options.bias().orElseThrow().shape()))
                .build();
        TaskGraph backward = new TaskGraph("backward");
        GridScheduler backwardGrids = new GridScheduler();
        backward.transferToDevice(
                DataTransferMode.FIRST_EXECUTION,
                t[0].array(),
                t[1].array(),
                t[2].array(),
                t[3].array(),
                output.array(),
                logSumExp.array());
        kernel = attention
                .appendBackwardTo(backward, backwardGrids, "attention", tensors, options)
                .toString();
        backward.transferToHost(
                DataTransferMode.UNDER_DEMAND,
                tensors.dQ().array(),
                tensors.dK().array(),
                tensors.dV().array(),
                tensors.dBias().orElseThrow().array());
        System.out.printf("backward %8.3f ms  %s%n", milliseconds(backward, backwardGrids, device), kernel);
    }

    /** The median time of all its kernels. */
    private static double milliseconds(TaskGraph graph, GridScheduler grids, ComputeDevice device)
            throws TornadoExecutionPlanException {
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(device.handle()).withGridScheduler(grids).withProfiler(ProfilerMode.SILENT);
            plan.execute();
            double[] times = new double[REPETITIONS];
            for (int i = 0; i < REPETITIONS; i++) {
                times[i] = plan.execute().getProfilerResult().getDeviceKernelTime() / 1e6;
            }
            Arrays.sort(times);
            return times[REPETITIONS / 2];
        }
    }
}
