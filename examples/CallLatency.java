//SOURCES jbang/Setup.java
import java.util.Arrays;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.device.ReplayedPlan;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.Tolerance;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/**
 * How long one call of a small problem takes, from the host's point of view: 8 heads of 128 × 64, F16 (BF16 where a
 * task graph takes no halves), with the data on the device. Most of it is not the kernel: TornadoVM walks through its
 * bytecodes and the driver launches. On the CUDA backend a {@link ReplayedPlan}, recorded once, leaves only the launch;
 * a CUDA graph of TornadoVM's leaves the bytecodes too.
 */
class CallLatency {

    static final int HEADS = 8;
    static final int LENGTH = 128;
    static final int HEAD_DIM = 64;
    static final long WARM_UP_NANOSECONDS = 3_000_000_000L;

    static void main(String... arguments) {
        Example.run(CallLatency.class, "[CALLS]", arguments, CallLatency::measure);
    }

    static void measure(String[] arguments) throws TornadoExecutionPlanException {
        ComputeDevice device = Devices.bestForTaskGraphs();
        int calls = Example.number(arguments, 0, device.isSimulator() ? 100 : 1000, 1);
        System.out.println("Device: " + device);
        measure("plan.execute()", device, calls, false, false);
        if (device.backend() == Backend.CUDA) {
            measure("with a CUDA graph", device, calls, true, false);
            measure("replayed", device, calls, false, true);
            measure("replayed graph", device, calls, true, true);
        }
    }

    static void measure(String name, ComputeDevice device, int calls, boolean cudaGraph, boolean replay)
            throws TornadoExecutionPlanException {
        DType dtype = device.halfFloats() ? DType.F16 : DType.BF16;
        Tensor q = Tensor.random(dtype, 1, 1, HEADS, LENGTH, HEAD_DIM);
        Tensor k = Tensor.random(dtype, 2, 1, HEADS, LENGTH, HEAD_DIM);
        Tensor v = Tensor.random(dtype, 3, 1, HEADS, LENGTH, HEAD_DIM);
        Tensor o = Tensor.allocate(dtype, 1, HEADS, LENGTH, HEAD_DIM);
        Tensor logSumExp = Tensor.allocate(DType.F32, 1, HEADS, LENGTH);
        AttentionOptions options = AttentionOptions.defaults();
        TaskGraph graph = new TaskGraph("latency" + cudaGraph + replay)
                .transferToDevice(
                        DataTransferMode.FIRST_EXECUTION,
                        q.array(),
                        k.array(),
                        v.array(),
                        o.array(),
                        logSumExp.array());
        GridScheduler grids = new GridScheduler();
        try (FlashAttention attention = FlashAttention.on(device)) {
            attention.appendTo(graph, grids, "attention", q, k, v, o, logSumExp, options);
            graph.transferToHost(DataTransferMode.UNDER_DEMAND, o.array(), logSumExp.array());
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                plan.withDevice(device.handle()).withGridScheduler(grids);
                if (cudaGraph) {
                    plan.withCUDAGraph();
                }
                ReplayedPlan replayed = ReplayedPlan.of(plan, device);
                if (replay && !replayed.isRecorded()) {
                    System.out.printf("%-18s not recorded: %s%n", name, replayed.reason());
                    return;
                }
                Runnable call = replay ? replayed::execute : plan::execute;
                long[] nanoseconds = new long[calls];
                // Until the JVM has compiled what runs for good.
                long warm = System.nanoTime() + (device.isSimulator() ? 0 : WARM_UP_NANOSECONDS);
                for (int i = 0; i < calls / 2 || System.nanoTime() < warm; i++) {
                    call.run();
                }
                for (int i = 0; i < calls; i++) {
                    long start = System.nanoTime();
                    call.run();
                    nanoseconds[i] = System.nanoTime() - start;
                }
                replayed.result().transferToHost(o.array(), logSumExp.array());
                Arrays.sort(nanoseconds);
                boolean right =
                        AccuracyCheck.of(q, k, v, options).forward(o, logSumExp, Tolerance.forward(dtype)).stream()
                                .allMatch(Comparison::passed);
                System.out.printf(
                        "%-18s %8.1f us (median of %d calls, fastest tenth below %.1f us), result %s%n",
                        name,
                        1e-3 * nanoseconds[calls / 2],
                        calls,
                        1e-3 * nanoseconds[calls / 10],
                        right ? "right" : "WRONG");
            }
        }
    }
}
