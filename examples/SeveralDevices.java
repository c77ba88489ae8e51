//SOURCES jbang/Setup.java
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionPart;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.AttentionSums;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.DistributedAttention;
import org.tornadoattention.DistributedAttention.Division;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.device.ReplayedPlan;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;

/**
 * Causal attention on all devices of a backend beside one of them, divided by heads and by keys, forward and backward: wall time
 * with the data on the devices, what bringing the parts together costs, memory of a device, and whether the result is the
 * same. Where there is one device, it gets two parts.
 */
class SeveralDevices {

    static final int REPETITIONS = 9;

    static void main(String... arguments) {
        Example.run(SeveralDevices.class, "[HEADS HEAD_DIM LENGTH...]", arguments, SeveralDevices::measure);
    }

    static void measure(String[] arguments) throws TornadoExecutionPlanException {
        ComputeDevice first = Devices.bestForTaskGraphs();
        List<ComputeDevice> devices = Devices.all().stream()
                .filter(device -> device.backend() == first.backend() && device.type() == first.type())
                .toList();
        devices = devices.size() == 1 ? List.of(first, first) : devices;
        int heads = Example.number(arguments, 0, first.isSimulator() ? 2 : 16, 1);
        int headDim = Example.number(arguments, 1, first.isSimulator() ? 16 : 128, 1);
        int[] lengths = arguments.length < 3
                ? new int[] {first.isSimulator() ? 64 : 16_384}
                : IntStream.range(2, arguments.length)
                        .map(i -> Example.number(arguments, i, 0, 1))
                        .toArray();
        DType dtype = first.halfFloats() ? DType.F16 : DType.F32;
        System.out.printf("%s; %d heads of %d, %s, causal%n", devices, heads, headDim, dtype);
        System.out.printf(
                "%-9s %8s %-6s %10s %10s %8s %10s %10s %10s  %s%n",
                "pass",
                "length",
                "by",
                "one, ms",
                "all, ms",
                "faster",
                "merge, ms",
                "one, MB",
                "each, MB",
                "difference");
        for (int length : lengths) {
            AttentionShape shape = new AttentionShape(1, heads, heads, length, length, headDim);
            measure(shape, dtype, devices);
        }
    }

    private static void measure(AttentionShape shape, DType dtype, List<ComputeDevice> devices)
            throws TornadoExecutionPlanException {
        AttentionOptions options = AttentionOptions.causal();
        Tensors all = new Tensors(
                Tensor.random(dtype, 1, shape.queryShape()),
                Tensor.random(dtype, 2, shape.keyShape()),
                Tensor.random(dtype, 3, shape.valueShape()),
                Tensor.random(dtype, 4, shape.outputShape()),
                Tensor.allocate(dtype, shape.outputShape()),
                Tensor.allocate(DType.F32, shape.logSumExpShape()));
        for (boolean backward : new boolean[] {false, true}) {
            Run one = run(DistributedAttention.on(devices.subList(0, 1)), shape, options, all, backward);
            Tensor expected = one.result;
            if (!backward) {
                all.output.copyFrom(one.result);
                all.logSumExp.copyFrom(one.logSumExp);
            }
            for (Division division : Division.values()) {
                Run several = run(DistributedAttention.on(devices, division), shape, options, all, backward);
                System.out.printf(
                        "%-9s %,8d %-6s %10.2f %10.2f %7.2fx %10.2f %,10.1f %,10.1f  %s%n",
                        backward ? "backward" : "forward",
                        shape.seqQ(),
                        division == Division.KEYS ? "keys" : "heads",
                        one.milliseconds,
                        several.milliseconds,
                        one.milliseconds / several.milliseconds,
                        several.mergeMilliseconds,
                        one.bytes / 1e6,
                        several.bytes / 1e6,
                        difference(several.result, expected));
            }
        }
    }

    /** Inputs, and what the forward pass gave. */
    record Tensors(Tensor q, Tensor k, Tensor v, Tensor dOut, Tensor output, Tensor logSumExp) {}

    /** What a division took; the result is the output, or dQ of the backward pass. */
    record Run(double milliseconds, double mergeMilliseconds, long bytes, Tensor result, Tensor logSumExp) {}

    /** A part, in a graph of its own whose data stays on the device. */
    static final class PartOnDevice {
        private final AttentionPart part;
        private final ComputeDevice device;
        private final TornadoExecutionPlan plan;
        private final Tensor[] results;
        private ReplayedPlan replayed;

        PartOnDevice(
                AttentionPart part,
                FlashAttention attention,
                AttentionOptions options,
                Tensors all,
                boolean backward,
                String name) {
            this.part = part;
            Tensor q = part.queriesOf(all.q);
            Tensor k = part.keysOf(all.k);
            Tensor v = part.keysOf(all.v);
            Tensor output = backward ? part.queriesOf(all.output) : Tensor.allocate(q.dtype(), q.shape());
            Tensor logSumExp = backward
                    ? part.queriesOf(all.logSumExp)
                    : Tensor.allocate(DType.F32, Arrays.copyOf(q.shape(), q.rank() - 1));
            TaskGraph graph = new TaskGraph(name);
            GridScheduler grids = new GridScheduler();
            List<Tensor> inputs = new ArrayList<>(List.of(q, k, v, output, logSumExp));
            if (backward) {
                results = Stream.of(q, k, v)
                        .map(like -> Tensor.allocate(like.dtype(), like.shape()))
                        .toArray(Tensor[]::new);
                Tensor dOut = part.queriesOf(all.dOut);
                inputs.add(dOut);
                inputs.addAll(List.of(results));
                graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, arrays(inputs));
                BackwardTensors tensors = BackwardTensors.builder()
                        .q(q)
                        .k(k)
                        .v(v)
                        .output(output)
                        .logSumExp(logSumExp)
                        .dOut(dOut)
                        .dQ(results[0])
                        .dK(results[1])
                        .dV(results[2])
                        .build();
                attention.appendBackwardTo(graph, grids, "backward", tensors, part.options(options));
            } else {
                results = new Tensor[] {output, logSumExp};
                output.fill(Float.NaN);
                logSumExp.fill(Float.NaN);
                graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, arrays(inputs));
                attention.appendTo(graph, grids, "forward", q, k, v, output, logSumExp, part.options(options));
            }
            graph.transferToHost(DataTransferMode.UNDER_DEMAND, arrays(List.of(results)));
            device = attention.device();
            plan = new TornadoExecutionPlan(graph.snapshot());
            plan.withDevice(device.handle()).withGridScheduler(grids);
        }

        private static Object[] arrays(List<Tensor> tensors) {
            return tensors.stream().map(Tensor::array).toArray();
        }

        void compile() {
            replayed = ReplayedPlan.of(plan, device);
        }

        void fetch() {
            replayed.result().transferToHost(arrays(List.of(results)));
        }
    }

    /** Before anything is added: e to it is 0. */
    static final float NOTHING = -1e30f;

    static void forget(FloatArray sums, FloatArray logSumExp) {
        for (@Parallel int i = 0; i < sums.getSize(); i++) {
            sums.set(i, 0f);
            logSumExp.set(i / (sums.getSize() / logSumExp.getSize()), NOTHING);
        }
    }

    /** Weighs what is there and a part's rows, which begin at a query, by their log-sum-exps. */
    static void addOutput(
            FloatArray sums,
            FloatArray logSumExp,
            HalfFloatArray part,
            FloatArray partLogSumExp,
            int queries,
            int first,
            int length,
            int width) {
        for (@Parallel int i = 0; i < part.getSize(); i++) {
            int row = i / width;
            int to = row / queries * length + first + row % queries;
            float most = TornadoMath.max(logSumExp.get(to), partLogSumExp.get(row));
            float before = TornadoMath.exp(logSumExp.get(to) - most);
            float now = TornadoMath.exp(partLogSumExp.get(row) - most);
            int at = to * width + i % width;
            sums.set(at, (before * sums.get(at) + now * part.get(i).getFloat32()) / (before + now));
        }
    }

    static void addLogSumExp(FloatArray logSumExp, FloatArray partLogSumExp, int queries, int first, int length) {
        for (@Parallel int row = 0; row < partLogSumExp.getSize(); row++) {
            int to = row / queries * length + first + row % queries;
            float most = TornadoMath.max(logSumExp.get(to), partLogSumExp.get(row));
            float sum = TornadoMath.exp(logSumExp.get(to) - most) + TornadoMath.exp(partLogSumExp.get(row) - most);
            logSumExp.set(to, most + TornadoMath.log(sum));
        }
    }

    /** Adds a part's rows, which begin at a row and a query, to those that are there. */
    static void addGradient(
            FloatArray sums, HalfFloatArray part, int queries, int first, int length, int width, int head) {
        for (@Parallel int i = 0; i < part.getSize(); i++) {
            int row = i / width;
            int at = ((head + row / queries) * length + first + row % queries) * width + i % width;
            sums.set(at, sums.get(at) + part.get(i).getFloat32());
        }
    }

    static void toHalves(FloatArray sums, HalfFloatArray rounded) {
        for (@Parallel int i = 0; i < rounded.getSize(); i++) {
            rounded.set(i, new HalfFloat(sums.get(i)));
        }
    }

    /** The memory of the first device where the parts of all meet: outputs by their log-sum-exps, or gradients of queries. */
    static final class MeetingOnDevice implements AutoCloseable {
        private final List<PartOnDevice> parts;
        private final List<Tensor[]> copies = new ArrayList<>();
        private final Tensor result;
        private final TornadoExecutionPlan plan;
        private final ReplayedPlan replayed;

        MeetingOnDevice(List<PartOnDevice> parts, AttentionShape shape, boolean backward, FlashAttention attention) {
            this.parts = parts;
            result = Tensor.allocate(DType.F16, shape.queryShape());
            FloatArray sums = new FloatArray(result.numberOfElements());
            FloatArray logSumExp = new FloatArray(Math.toIntExact(shape.queryRows()));
            TaskGraph graph = new TaskGraph("meeting" + backward)
                    .transferToDevice(DataTransferMode.FIRST_EXECUTION, sums, logSumExp, result.array())
                    .task("forget", SeveralDevices::forget, sums, logSumExp);
            for (int i = 0; i < parts.size(); i++) {
                AttentionPart part = parts.get(i).part;
                Tensor[] own = parts.get(i).results;
                Tensor rows = Tensor.allocate(DType.F16, own[0].shape());
                int width = shape.headDim();
                int queries = part.queries().length();
                int first = part.queries().from() + part.heads().from() * shape.seqQ();
                graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, rows.array());
                if (backward) {
                    copies.add(new Tensor[] {rows});
                    graph.task(
                            "add" + i,
                            SeveralDevices::addGradient,
                            sums,
                            rows.halfFloatArray(),
                            queries,
                            part.queries().from(),
                            shape.seqQ(),
                            width,
                            part.heads().from());
                    continue;
                }
                Tensor rowSums = Tensor.allocate(DType.F32, own[1].shape());
                copies.add(new Tensor[] {rows, rowSums});
                graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, rowSums.array())
                        .task(
                                "add" + i,
                                SeveralDevices::addOutput,
                                sums,
                                logSumExp,
                                rows.halfFloatArray(),
                                rowSums.floatArray(),
                                queries,
                                first,
                                shape.seqQ(),
                                width)
                        .task(
                                "sum" + i,
                                SeveralDevices::addLogSumExp,
                                logSumExp,
                                rowSums.floatArray(),
                                queries,
                                first,
                                shape.seqQ());
            }
            graph.task("halves", SeveralDevices::toHalves, sums, result.halfFloatArray())
                    .transferToHost(DataTransferMode.UNDER_DEMAND, result.array());
            plan = new TornadoExecutionPlan(graph.snapshot());
            plan.withDevice(attention.device().handle());
            replayed = ReplayedPlan.of(plan, attention.device());
        }

        /** From device to device, and added there in the order of the parts. */
        void merge() {
            for (int i = 0; i < parts.size(); i++) {
                for (int t = 0; t < copies.get(i).length; t++) {
                    PartOnDevice part = parts.get(i);
                    part.replayed.send(part.results[t].array(), replayed, copies.get(i)[t].array());
                }
            }
            parts.forEach(part -> part.replayed.await());
            replayed.execute();
        }

        Tensor result() {
            replayed.result().transferToHost(result.array());
            return result;
        }

        @Override
        public void close() throws TornadoExecutionPlanException {
            plan.freeDeviceMemory();
            plan.close();
        }
    }

    private static Run run(
            DistributedAttention division,
            AttentionShape shape,
            AttentionOptions options,
            Tensors all,
            boolean backward)
            throws TornadoExecutionPlanException {
        List<FlashAttention> attentions =
                division.devices().stream().map(FlashAttention::on).toList();
        List<List<PartOnDevice>> devices = new ArrayList<>();
        // A thread for each device, as long as there is work: TornadoVM keeps a queue for each thread that it meets.
        List<ExecutorService> threads = attentions.stream()
                .map(attention -> Executors.newSingleThreadExecutor())
                .toList();
        try (division) {
            List<List<AttentionPart>> parts = division.parts(shape, options);
            for (int d = 0; d < parts.size(); d++) {
                devices.add(new ArrayList<>());
                for (AttentionPart part : parts.get(d)) {
                    String name = "part" + d + "x" + devices.get(d).size();
                    devices.get(d).add(new PartOnDevice(part, attentions.get(d), options, all, backward, name));
                }
            }
            // Compiled one after the other: TornadoVM's compiler is not made for several at once.
            for (int d = 0; d < devices.size(); d++) {
                List<PartOnDevice> own = devices.get(d);
                CompletableFuture.runAsync(() -> own.forEach(PartOnDevice::compile), threads.get(d))
                        .join();
            }
            double best = Double.POSITIVE_INFINITY;
            for (int repetition = 0; repetition < REPETITIONS; repetition++) {
                long start = System.nanoTime();
                execute(devices, threads);
                best = Math.min(best, (System.nanoTime() - start) / 1e6);
            }
            long bytes = devices.stream()
                    .mapToLong(own -> own.stream()
                            .mapToLong(part -> part.plan.getCurrentDeviceMemoryUsage())
                            .sum())
                    .max()
                    .orElseThrow();
            List<PartOnDevice> each = devices.stream().flatMap(List::stream).toList();
            if (each.size() > 1 && each.stream().allMatch(part -> part.replayed.isRecorded())) {
                try (MeetingOnDevice meeting = new MeetingOnDevice(each, shape, backward, attentions.getFirst())) {
                    double merge = Double.POSITIVE_INFINITY;
                    for (int repetition = 0; repetition < REPETITIONS; repetition++) {
                        long start = System.nanoTime();
                        meeting.merge();
                        merge = Math.min(merge, (System.nanoTime() - start) / 1e6);
                    }
                    return new Run(best, merge, bytes, meeting.result(), all.logSumExp);
                }
            }
            long start = System.nanoTime();
            each.forEach(PartOnDevice::fetch);
            AttentionResult merged = merged(devices, shape, all.q.dtype(), backward);
            double merge = (System.nanoTime() - start) / 1e6;
            return new Run(best, merge, bytes, merged.output(), merged.logSumExp());
        } finally {
            for (PartOnDevice part : devices.stream().flatMap(List::stream).toList()) {
                part.plan.freeDeviceMemory();
                part.plan.close();
            }
            attentions.forEach(FlashAttention::close);
            threads.forEach(ExecutorService::close);
        }
    }

    /** All devices are given their parts before any is waited for: by this thread, or where that cannot be, by a thread for each. */
    private static void execute(List<List<PartOnDevice>> devices, List<ExecutorService> threads) {
        List<ReplayedPlan> all = devices.stream()
                .flatMap(List::stream)
                .map(part -> part.replayed)
                .toList();
        if (all.stream().allMatch(ReplayedPlan::isRecorded)) {
            all.forEach(ReplayedPlan::launch);
            all.forEach(ReplayedPlan::await);
            return;
        }
        CompletableFuture.allOf(IntStream.range(0, devices.size())
                        .mapToObj(d -> CompletableFuture.runAsync(
                                () -> devices.get(d).forEach(part -> part.replayed.execute()), threads.get(d)))
                        .toArray(CompletableFuture<?>[]::new))
                .join();
    }

    /** The output, or the sum of dQ, of all parts. */
    private static AttentionResult merged(
            List<List<PartOnDevice>> devices, AttentionShape shape, DType dtype, boolean backward) {
        AttentionSums sums = new AttentionSums(shape);
        float[] dQ = new float[backward ? Math.toIntExact(shape.queryRows() * shape.headDim()) : 0];
        for (PartOnDevice part : devices.stream().flatMap(List::stream).toList()) {
            if (!backward) {
                sums.add(part.part, AttentionResult.of(part.results[0], part.results[1]));
                continue;
            }
            float[] own = part.results[0].toFloatArray();
            int queries = part.part.queries().length();
            for (int i = 0; i < own.length; i++) {
                int head = part.part.heads().from() + i / shape.headDim() / queries;
                int query = part.part.queries().from() + i / shape.headDim() % queries;
                dQ[(head * shape.seqQ() + query) * shape.headDim() + i % shape.headDim()] += own[i];
            }
        }
        return backward
                ? AttentionResult.of(
                        Tensor.of(dtype, dQ, shape.queryShape()), Tensor.allocate(DType.F32, shape.logSumExpShape()))
                : sums.result(dtype);
    }

    private static String difference(Tensor computed, Tensor expected) {
        float[] one = expected.toFloatArray();
        float[] several = computed.toFloatArray();
        float most = 0;
        for (int i = 0; i < one.length; i++) {
            float difference = Math.abs(one[i] - several[i]);
            most = difference <= most ? most : difference; // NaN stays
        }
        return most == 0 ? "none: the same bits" : "%.1e at most".formatted(most);
    }
}
