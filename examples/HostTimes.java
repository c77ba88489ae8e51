//SOURCES jbang/Setup.java
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.device.Recording;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * What a call of {@code forward} takes whose tensors are the host's, F16: with tensors of {@code Tensor.allocate}, and
 * with those of {@code allocatePinned}, which the device reads and writes itself. A floor is the bytes of q, k, v,
 * output and log-sum-exp by the rates that transfers of such memory reach in this process, and the kernel, one behind
 * the other. Rows are compared with float64 first, and all results with each other, bit by bit.
 */
class HostTimes {

    private static final int CALLS = 25;
    private static final int CHECKED_ROWS = 8;
    private static final double LARGEST_ERROR = 2e-3;

    static void main(String... arguments) {
        Example.run(HostTimes.class, "[BATCHxHEADSxSEQxHEADDIM...]", arguments, HostTimes::measure);
    }

    private static void measure(String[] arguments) throws TornadoExecutionPlanException {
        ComputeDevice device = Devices.bestForTaskGraphs();
        List<String> problems =
                device.isSimulator() ? List.of("1x1x16x16") : List.of("1x16x16384x128", "8x16x2048x64", "2x8x4096x128");
        System.out.println("Device: " + device);
        for (String problem : arguments.length > 0 ? Arrays.asList(arguments) : problems) {
            int[] shape = Arrays.stream(problem.split("x"))
                    .mapToInt(Integer::parseInt)
                    .toArray();
            measure(device, problem, shape);
        }
    }

    private static void measure(ComputeDevice device, String problem, int[] shape)
            throws TornadoExecutionPlanException {
        int calls = device.isSimulator() ? 3 : CALLS;
        Tensor[] inputs = new Tensor[3];
        for (int i = 0; i < inputs.length; i++) {
            inputs[i] = Tensor.random(DType.F16, i, shape);
        }
        try (FlashAttention attention = FlashAttention.on(device)) {
            Tensor[] pinned = new Tensor[inputs.length];
            for (int i = 0; i < inputs.length; i++) {
                pinned[i] = attention.allocatePinned(DType.F16, shape).copyFrom(inputs[i]);
            }
            Tensor output = attention.allocatePinned(DType.F16, shape);
            Tensor ordinary = Tensor.allocate(DType.F16, shape);
            AttentionOptions options = AttentionOptions.defaults();
            AttentionResult first = attention.forward(inputs[0], inputs[1], inputs[2]);
            requireRight(inputs, first);
            Times copied = new Times();
            Times into = new Times();
            Times direct = new Times();
            for (int call = 0; call < calls; call++) {
                copied.add(first, () -> attention.forward(inputs[0], inputs[1], inputs[2]));
                into.add(first, () -> attention.forward(inputs[0], inputs[1], inputs[2], options, ordinary));
                output.fill(Float.NaN);
                direct.add(first, () -> attention.forward(pinned[0], pinned[1], pinned[2], options, output));
            }
            double bytesIn = 3.0 * inputs[0].byteSize();
            double bytesOut = output.byteSize() + first.logSumExp().byteSize();
            double kernel = Math.min(copied.kernel(), direct.kernel());
            System.out.printf("%s: %.0f MB, kernel %.2f ms%n", problem, (bytesIn + bytesOut) / 1e6, kernel);
            double ordinaryFloor = kernel + transfers(device, inputs[0].copy(), "Tensor.allocate", bytesIn, bytesOut);
            copied.print("Tensor.allocate", ordinaryFloor);
            into.print("the same, output given", ordinaryFloor);
            double floor = kernel + transfers(device, pinned[0], "allocatePinned", bytesIn, bytesOut);
            direct.print("allocatePinned", floor);
            copied.print("Tensor.allocate", floor);
            into.print("the same, output given", floor);
        }
    }

    /** Calls of one kind. */
    private static final class Times {

        private final List<Double> wall = new ArrayList<>();
        private final List<Double> kernels = new ArrayList<>();

        void add(AttentionResult expected, Supplier<AttentionResult> call) {
            long start = System.nanoTime();
            AttentionResult result = call.get();
            wall.add((System.nanoTime() - start) / 1e6);
            kernels.add(result.execution().orElseThrow().kernelTime().toNanos() / 1e6);
            if (differ(result.output(), expected.output()) || differ(result.logSumExp(), expected.logSumExp())) {
                throw new AttentionException("Two calls with the same inputs gave different bits.");
            }
        }

        private static boolean differ(Tensor one, Tensor other) {
            return one.memory().mismatch(other.memory()) != -1;
        }

        double kernel() {
            return median(kernels);
        }

        void print(String name, double floor) {
            System.out.printf(
                    "    %-22s %6.2f ms, %4.2f times the floor; best %.2f%n",
                    name, median(wall), median(wall) / floor, Collections.min(wall));
        }

        private static double median(List<Double> times) {
            return times.stream().sorted().toList().get(times.size() / 2);
        }
    }

    /** Any kernel that reads and writes both arrays. */
    static void touch(HalfFloatArray array, IntArray one) {
        for (@Parallel int i = 0; i < one.getSize(); i++) {
            array.set(i, array.get(i));
            one.set(i, one.get(i) + 1);
        }
    }

    /** Milliseconds that so many bytes take by the rates that transfers of a tensor's memory reach. */
    private static double transfers(ComputeDevice device, Tensor tensor, String memory, double bytesIn, double bytesOut)
            throws TornadoExecutionPlanException {
        double in = rate(device, tensor, true);
        double out = rate(device, tensor, false);
        System.out.printf("  memory of %s: %.1f GB/s in, %.1f out%n", memory, in, out);
        return bytesIn / in / 1e6 + bytesOut / out / 1e6;
    }

    /** Gigabytes a second that a transfer of a tensor's memory reaches in every execution of a plan. */
    private static double rate(ComputeDevice device, Tensor tensor, boolean in) throws TornadoExecutionPlanException {
        double with = milliseconds(device, tensor, in);
        double without = milliseconds(device, Tensor.allocate(DType.F16, 1), in);
        return tensor.byteSize() / (with - without) / 1e6;
    }

    /** TornadoVM page-locks arrays of its plans, so the tensor's memory takes the place of one. */
    private static double milliseconds(ComputeDevice device, Tensor tensor, boolean in)
            throws TornadoExecutionPlanException {
        IntArray one = new IntArray(1);
        HalfFloatArray array = new HalfFloatArray(tensor.numberOfElements());
        String name = "transfer" + in + array.getSize();
        TaskGraph graph = new TaskGraph(name)
                .transferToDevice(in ? DataTransferMode.EVERY_EXECUTION : DataTransferMode.FIRST_EXECUTION, array)
                .transferToDevice(DataTransferMode.FIRST_EXECUTION, one)
                .task("touch", HostTimes::touch, array, one)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, in ? one : array);
        WorkerGrid1D grid = new WorkerGrid1D(1);
        grid.setLocalWork(1, 1, 1);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(device.handle()).withGridScheduler(new GridScheduler(name + ".touch", grid));
            plan.execute();
            Optional<Recording> recording = CompilerExtension.record(device.backend(), device.handle(), plan::execute)
                    .recording();
            double best = Double.MAX_VALUE;
            for (int turn = 0; turn < 10; turn++) {
                long start = System.nanoTime();
                if (recording.isPresent()) {
                    recording.get().start(Map.of(array, tensor.memory())).await();
                } else {
                    plan.execute();
                }
                best = Math.min(best, (System.nanoTime() - start) / 1e6);
            }
            return best;
        }
    }

    private static void requireRight(Tensor[] inputs, AttentionResult result) {
        int[] shape = inputs[0].shape();
        for (int at = 0; at < CHECKED_ROWS; at++) {
            int head = at * 5 % shape[1];
            int i = at * (shape[2] - 1) / (CHECKED_ROWS - 1);
            double[] expected = row(inputs, head, i);
            for (int x = 0; x < shape[3]; x++) {
                double error = Math.abs(result.output().get(0, head, i, x) - expected[x]);
                if (!(error <= LARGEST_ERROR)) {
                    throw new AttentionException("An output is wrong by " + error + ".");
                }
            }
        }
    }

    private static double[] row(Tensor[] inputs, int head, int i) {
        int keys = inputs[1].seqLength();
        int dim = inputs[1].headDim();
        double[] scores = new double[keys];
        double max = Double.NEGATIVE_INFINITY;
        for (int j = 0; j < keys; j++) {
            for (int x = 0; x < dim; x++) {
                scores[j] += inputs[0].get(0, head, i, x) * (double) inputs[1].get(0, head, j, x) / Math.sqrt(dim);
            }
            max = Math.max(max, scores[j]);
        }
        double total = 0;
        double[] output = new double[dim];
        for (int j = 0; j < keys; j++) {
            double p = Math.exp(scores[j] - max);
            total += p;
            for (int x = 0; x < dim; x++) {
                output[x] += p * inputs[2].get(0, head, j, x);
            }
        }
        for (int x = 0; x < dim; x++) {
            output[x] /= total;
        }
        return output;
    }
}
