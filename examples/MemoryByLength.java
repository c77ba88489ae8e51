//SOURCES jbang/Setup.java
import java.util.stream.IntStream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.Devices;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/**
 * The device memory of a forward and a backward pass in one graph, by sequence length, with flash and with standard
 * attention: the first grows with the length, the second with its square. The lengths are the arguments.
 *
 * <p>The bytes are what the profiler says that the graph allocated, for one head of dimension 64 in F32; buffers live
 * from the first execution to the last, so they are the peak.
 */
class MemoryByLength {

    static final int HEAD_DIM = 64;

    static void main(String[] lengths) {
        Example.run(MemoryByLength.class, "[LENGTH...]", lengths, MemoryByLength::measure);
    }

    static void measure(String[] lengths) throws TornadoExecutionPlanException {
        int[] all = lengths.length == 0
                ? new int[] {128, 256, 512, 1024}
                : IntStream.range(0, lengths.length)
                        .map(i -> Example.number(lengths, i, 0, 1))
                        .toArray();
        AttentionKernel flash =
                Devices.bestForTaskGraphs().isSimulator() ? AttentionKernel.ONLINE : AttentionKernel.TILED;
        System.out.printf("%s, forward and backward, one head of %d, F32%n", Devices.bestForTaskGraphs(), HEAD_DIM);
        System.out.printf("%10s %16s %14s %18s %14s%n", "length", "flash", "a token", "standard", "a token");
        for (int length : all) {
            System.out.printf("%,10d %s %s%n", length, cell(flash, length), cell(AttentionKernel.STANDARD, length));
        }
    }

    private static String cell(AttentionKernel kernel, int length) throws TornadoExecutionPlanException {
        try {
            long bytes = peakBytes(kernel, length);
            return "%,16d %,14d".formatted(bytes, bytes / length);
        } catch (UnsupportedOnDeviceException | OutOfMemoryError e) { // of the device, or of the host's arrays
            return "%16s %14s".formatted("does not fit", "");
        }
    }

    private static long peakBytes(AttentionKernel kernel, int length) throws TornadoExecutionPlanException {
        AttentionShape shape = new AttentionShape(1, 1, 1, length, length, HEAD_DIM);
        Tensor q = Tensor.random(DType.F32, 1, shape.queryShape());
        Tensor k = Tensor.random(DType.F32, 2, shape.keyShape());
        Tensor v = Tensor.random(DType.F32, 3, shape.keyShape());
        Tensor dOut = Tensor.random(DType.F32, 4, shape.queryShape());
        Tensor output = Tensor.allocate(DType.F32, shape.queryShape());
        Tensor logSumExp = Tensor.allocate(DType.F32, shape.logSumExpShape());
        Tensor dQ = Tensor.allocate(DType.F32, shape.queryShape());
        Tensor dK = Tensor.allocate(DType.F32, shape.keyShape());
        Tensor dV = Tensor.allocate(DType.F32, shape.keyShape());

        TaskGraph graph = new TaskGraph("memory");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(
                DataTransferMode.FIRST_EXECUTION,
                q.array(),
                k.array(),
                v.array(),
                dOut.array(),
                output.array(),
                logSumExp.array());
        AttentionOptions options = AttentionOptions.causal();
        try (FlashAttention attention = FlashAttention.on(Devices.bestForTaskGraphs(), kernel)) {
            attention.appendTo(graph, grids, "forward", q, k, v, output, logSumExp, options);
            BackwardTensors tensors = BackwardTensors.builder()
                    .q(q)
                    .k(k)
                    .v(v)
                    .output(output)
                    .logSumExp(logSumExp)
                    .dOut(dOut)
                    .dQ(dQ)
                    .dK(dK)
                    .dV(dV)
                    .build();
            attention.appendBackwardTo(graph, grids, "backward", tensors, options);
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, dQ.array(), dK.array(), dV.array());
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                plan.withDevice(attention.device().handle())
                        .withGridScheduler(grids)
                        .withProfiler(ProfilerMode.SILENT);
                long bytes = plan.execute().getProfilerResult().getTotalDeviceMemoryUsage();
                plan.freeDeviceMemory();
                return bytes;
            }
        }
    }
}
