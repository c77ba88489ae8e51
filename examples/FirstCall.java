//SOURCES jbang/Setup.java
import java.time.Duration;
import java.time.Instant;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/**
 * What the first call in a JVM waits for, and the first call with another problem: 8 heads of 256 × 128 with a causal
 * mask, then of 256 × 64 without. Compiling is TornadoVM's compiler and then the driver's, which find what an earlier
 * run left on disk: {@code JDK_JAVA_OPTIONS=-Dtornadoattention.codeCache=off} compiles all of it.
 */
class FirstCall {

    static final int HEADS = 8;
    static final int LENGTH = 256;

    static void main(String... arguments) {
        Example.run(FirstCall.class, "[KERNEL [TYPE]]", arguments, FirstCall::measure);
    }

    static void measure(String[] arguments) throws TornadoExecutionPlanException {
        Instant begun = ProcessHandle.current().info().startInstant().orElseGet(Instant::now);
        AttentionKernel kernel = arguments.length == 0 ? AttentionKernel.TILED : kernel(arguments[0]);
        DType dtype = arguments.length < 2 ? DType.F32 : dtype(arguments[1]);
        ComputeDevice device = Devices.bestForTaskGraphs();
        System.out.printf(
                "%s on %s, %s, found %.2f s after the JVM's start%n",
                kernel.id(),
                device,
                dtype,
                Duration.between(begun, Instant.now()).toMillis() / 1e3);
        measure("first problem", device, kernel, dtype, 128, AttentionOptions.causal());
        measure("second problem", device, kernel, dtype, 64, AttentionOptions.defaults());
    }

    static void measure(
            String name,
            ComputeDevice device,
            AttentionKernel kernel,
            DType dtype,
            int headDim,
            AttentionOptions options)
            throws TornadoExecutionPlanException {
        Tensor q = Tensor.random(dtype, 1, 1, HEADS, LENGTH, headDim);
        Tensor k = Tensor.random(dtype, 2, 1, HEADS, LENGTH, headDim);
        Tensor v = Tensor.random(dtype, 3, 1, HEADS, LENGTH, headDim);
        Tensor o = Tensor.allocate(dtype, 1, HEADS, LENGTH, headDim);
        Tensor logSumExp = Tensor.allocate(DType.F32, 1, HEADS, LENGTH);
        long start = System.nanoTime();
        try (FlashAttention attention = FlashAttention.on(device, kernel)) {
            TaskGraph graph = new TaskGraph("first" + headDim)
                    .transferToDevice(
                            DataTransferMode.FIRST_EXECUTION,
                            q.array(),
                            k.array(),
                            v.array(),
                            o.array(),
                            logSumExp.array());
            GridScheduler grids = new GridScheduler();
            attention.appendTo(graph, grids, "attention", q, k, v, o, logSumExp, options);
            graph.transferToHost(DataTransferMode.UNDER_DEMAND, o.array(), logSumExp.array());
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                plan.withDevice(device.handle()).withGridScheduler(grids).withProfiler(ProfilerMode.SILENT);
                long made = System.nanoTime();
                TornadoExecutionResult result = plan.execute();
                long done = System.nanoTime();
                double compiler = result.getProfilerResult().getTornadoCompilerTime() / 1e9;
                double driver = result.getProfilerResult().getDriverInstallTime() / 1e9;
                result.transferToHost(o.array(), logSumExp.array());
                AccuracyCheck check = AccuracyCheck.of(q, k, v, options).ofProducts(kernel.isFp8());
                boolean right = check.forward(o, logSumExp).stream().allMatch(Comparison::passed);
                System.out.printf(
                        "%-14s call %.2f s, of it the graph %.2f, TornadoVM's compiler %.2f, the driver's %.3f, result %s%n",
                        name, (done - start) / 1e9, (made - start) / 1e9, compiler, driver, right ? "right" : "WRONG");
            }
        }
    }

    static AttentionKernel kernel(String id) {
        for (AttentionKernel kernel : AttentionKernel.values()) {
            if (kernel.id().equals(id)) {
                return kernel;
            }
        }
        throw new IllegalArgumentException("There is no kernel '%s'.".formatted(id));
    }

    static DType dtype(String name) {
        for (DType dtype : DType.values()) {
            if (dtype.name().equalsIgnoreCase(name)) {
                return dtype;
            }
        }
        throw new IllegalArgumentException("There is no type '%s': give f32, f16 or bf16.".formatted(name));
    }
}
