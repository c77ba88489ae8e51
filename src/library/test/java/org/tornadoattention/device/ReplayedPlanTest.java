package org.tornadoattention.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.CompilerExtension.Recorded;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.Tolerance;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** An execution that is given to the driver as it was recorded is an execution like any. */
class ReplayedPlanTest {

    private static final AttentionShape SHAPE = new AttentionShape(1, 2, 2, 40, 40, 16);

    /** {@code y = 2 x}, without a grid of its own. */
    static void twice(FloatArray x, FloatArray y) {
        for (@Parallel int i = 0; i < y.getSize(); i++) {
            y.set(i, 2 * x.get(i));
        }
    }

    /** Attention whose queries come anew each time, and whose output is doubled by a task after it. */
    private static final class Graph implements AutoCloseable {
        private final ComputeDevice device = TestDevice.get();
        private final Tensor q = Tensor.random(DType.F32, 1, SHAPE.queryShape());
        private final Tensor k = Tensor.random(DType.F32, 2, SHAPE.keyShape());
        private final Tensor v = Tensor.random(DType.F32, 3, SHAPE.valueShape());
        private final Tensor output = Tensor.allocate(DType.F32, SHAPE.outputShape());
        private final Tensor logSumExp = Tensor.allocate(DType.F32, SHAPE.logSumExpShape());
        private final Tensor doubled = Tensor.allocate(DType.F32, SHAPE.outputShape());
        private final FlashAttention attention = FlashAttention.on(device);
        private final TornadoExecutionPlan plan;

        Graph(String name) {
            TaskGraph graph = new TaskGraph(name)
                    .transferToDevice(DataTransferMode.FIRST_EXECUTION, k.array(), v.array())
                    .transferToDevice(
                            DataTransferMode.EVERY_EXECUTION,
                            q.array(),
                            output.array(),
                            logSumExp.array(),
                            doubled.array());
            GridScheduler grids = new GridScheduler();
            attention.appendTo(graph, grids, "attention", q, k, v, output, logSumExp, AttentionOptions.causal());
            graph.task("twice", ReplayedPlanTest::twice, output.floatArray(), doubled.floatArray())
                    .transferToHost(
                            DataTransferMode.EVERY_EXECUTION, output.array(), logSumExp.array(), doubled.array());
            plan = new TornadoExecutionPlan(graph.snapshot());
            plan.withDevice(attention.device().handle()).withGridScheduler(grids);
        }

        void newQueries(int seed) {
            q.copyFrom(Tensor.random(DType.F32, seed, SHAPE.queryShape()));
            List.of(output, logSumExp, doubled).forEach(written -> written.fill(Float.NaN));
        }

        void requireRight() {
            assertThat(AccuracyCheck.of(q, k, v, AttentionOptions.causal())
                            .forward(output, logSumExp, Tolerance.forward(DType.F32)))
                    .allMatch(Comparison::passed);
            float[] expected = output.toFloatArray();
            for (int i = 0; i < expected.length; i++) {
                expected[i] *= 2;
            }
            assertThat(doubled.toFloatArray()).isEqualTo(expected);
        }

        @Override
        public void close() throws Exception {
            plan.freeDeviceMemory();
            plan.close();
            attention.close();
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void eachExecutionComputesWithWhatItsArraysHoldThen(boolean cudaGraph) throws Exception {
        try (Graph graph = new Graph("replayed" + cudaGraph)) {
            if (cudaGraph) {
                assumeTrue(graph.attention.device().backend() == Backend.CUDA);
                graph.plan.withCUDAGraph();
            }
            ReplayedPlan replayed = ReplayedPlan.of(graph.plan, graph.attention.device());
            assertThat(replayed.isRecorded()).isEqualTo(graph.attention.device().backend() == Backend.CUDA);
            for (int seed = 11; seed < 14; seed++) {
                graph.newQueries(seed);
                replayed.execute();
                graph.requireRight();
            }
        }
    }

    @Test
    void anyThreadMayExecute() throws Exception {
        try (Graph graph = new Graph("threads")) {
            ReplayedPlan replayed = ReplayedPlan.of(graph.plan, graph.attention.device());
            assumeTrue(replayed.isRecorded(), replayed.reason());
            graph.newQueries(21);
            Thread other = new Thread(replayed::launch);
            other.start();
            other.join();
            replayed.await();
            graph.requireRight();
        }
    }

    @Test
    void aPlanWithAProfilerIsExecutedByTornadoVM() throws Exception {
        try (Graph graph = new Graph("profiled")) {
            graph.plan.withProfiler(ProfilerMode.SILENT);
            ReplayedPlan replayed = ReplayedPlan.of(graph.plan, graph.attention.device());
            assertThat(replayed.isRecorded()).isFalse();
            assertThat(replayed.reason()).containsAnyOf("profiler", "not recorded");
            graph.newQueries(31);
            replayed.execute();
            graph.requireRight();
            assertThat(replayed.result().getProfilerResult().getDeviceKernelTime())
                    .isPositive();
        }
    }

    @Test
    void aClosedPlanIsRefused() throws Exception {
        Graph graph = new Graph("closed");
        ReplayedPlan replayed = ReplayedPlan.of(graph.plan, graph.attention.device());
        graph.close();
        assumeTrue(replayed.isRecorded(), replayed.reason());
        assertThatExceptionOfType(IllegalStateException.class)
                .isThrownBy(replayed::execute)
                .withMessageContaining("the plan is closed");
    }

    /** Each execution doubles numbers that stay on the device: one before, one that is recorded, one after. */
    @Test
    void aPlanThatWasExecutedBeforeIsExecutedOnceMore() throws Exception {
        ComputeDevice device = TestDevice.get();
        FloatArray numbers = FloatArray.fromElements(1, 2, 3, 4);
        TaskGraph graph = new TaskGraph("steps")
                .transferToDevice(DataTransferMode.FIRST_EXECUTION, numbers)
                .task("twice", ReplayedPlanTest::twice, numbers, numbers)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, numbers);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(device.handle());
            plan.execute();
            ReplayedPlan replayed = ReplayedPlan.ofExecuted(plan, device);
            assertThat(numbers.toHeapArray()).containsExactly(4, 8, 12, 16);
            replayed.execute();
            assertThat(numbers.toHeapArray()).containsExactly(8, 16, 24, 32);
        }
    }

    /** The second graph has the numbers of the first one on the device. */
    @Test
    void graphsAreExecutedOneBehindTheOther() throws Exception {
        ComputeDevice device = TestDevice.get();
        FloatArray numbers = FloatArray.fromElements(1, 2, 3, 4);
        FloatArray doubled = new FloatArray(4);
        TaskGraph first = new TaskGraph("first")
                .transferToDevice(DataTransferMode.FIRST_EXECUTION, numbers)
                .task("twice", ReplayedPlanTest::twice, numbers, numbers)
                .persistOnDevice(numbers);
        TaskGraph second = new TaskGraph("second")
                .consumeFromDevice("first", numbers)
                .task("twice", ReplayedPlanTest::twice, numbers, doubled)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, doubled);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(first.snapshot(), second.snapshot())) {
            plan.withDevice(device.handle());
            plan.withGraph(0).execute();
            plan.withGraph(1).execute();
            assertThat(doubled.toHeapArray()).containsExactly(4, 8, 12, 16);
            ReplayedPlan replayed = ReplayedPlan.ofExecuted(plan, device, 2);
            assertThat(doubled.toHeapArray()).containsExactly(8, 16, 24, 32);
            replayed.execute();
            assertThat(doubled.toHeapArray()).containsExactly(16, 32, 48, 64);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> ReplayedPlan.ofExecuted(plan, device, 0))
                    .withMessageContaining("give the number that the plan has");
            plan.withAllGraphs();
        }
    }

    @Test
    void nothingIsRefused() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ReplayedPlan.of(null, TestDevice.get()))
                .withMessageContaining("plan is null");
    }

    /** A recording that notes what is asked of it, and fails where it is told to. */
    private static final class Noted implements Recording {
        private final List<String> calls = new ArrayList<>();
        private final String failing;

        Noted(String failing) {
            this.failing = failing;
        }

        @Override
        public void launch() {
            note("launch");
        }

        @Override
        public Running start(Map<TornadoNativeArray, MemorySegment> places) {
            throw new AssertionError("Arrays of a caller's plan stay where they are");
        }

        @Override
        public void send(TornadoNativeArray array, Recording receiver, TornadoNativeArray target) {
            note("send");
        }

        @Override
        public DeviceBuffer allocate(long bytes) {
            throw new AssertionError("Memory was asked for");
        }

        @Override
        public DeviceBuffer bufferOf(TornadoNativeArray array) {
            throw new AssertionError("Memory was asked for");
        }

        @Override
        public void copy(DeviceBuffer from, long fromByte, DeviceBuffer to, long toByte, Runs runs) {
            note("copy");
        }

        @Override
        public void write(MemorySegment from, DeviceBuffer to) {
            note("write");
        }

        @Override
        public void read(DeviceBuffer from, MemorySegment to) {
            note("read");
        }

        @Override
        public Optional<Captured> capture(List<Recording> all, Runnable work) {
            throw new AssertionError("A replayed plan is one recording");
        }

        @Override
        public void await() {
            note("await");
        }

        private void note(String call) {
            calls.add(call);
            if (call.equals(failing)) {
                throw new IllegalStateException("cuStreamSynchronize returned 700, CUDA_ERROR_ILLEGAL_ADDRESS");
            }
        }
    }

    private static ReplayedPlan replaying(Recording recording) {
        return new ReplayedPlan(
                TestDevice.get(),
                () -> {
                    throw new AssertionError("TornadoVM was asked");
                },
                (TornadoExecutionResult) null,
                Recorded.of(recording));
    }

    @Test
    void devicesAreGivenWorkBeforeAnyIsWaitedFor() {
        Noted recording = new Noted("");
        ReplayedPlan plan = replaying(recording);
        plan.launch();
        assertThat(recording.calls).containsExactly("launch");
        plan.await();
        assertThat(recording.calls).containsExactly("launch", "await");
    }

    @Test
    void anArrayIsSentToAPlanOnTheSameOrAnotherDevice() throws Exception {
        try (Graph sender = new Graph("sender");
                Graph receiver = new Graph("receiver")) {
            ReplayedPlan from = ReplayedPlan.of(sender.plan, sender.attention.device());
            ReplayedPlan to = ReplayedPlan.of(receiver.plan, receiver.attention.device());
            if (!from.isRecorded()) {
                assertThatExceptionOfType(IllegalStateException.class)
                        .isThrownBy(() -> from.send(sender.k.array(), to, receiver.k.array()))
                        .withMessageContaining(from.reason());
                return;
            }
            sender.k.fill(0f); // on the device it is what it was
            from.send(sender.k.array(), to, receiver.v.array());
            from.await();
            receiver.newQueries(41);
            to.execute();
            receiver.v.copyFrom(receiver.k);
            receiver.requireRight();
            Tensor small = Tensor.allocate(DType.F32, 1);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> from.send(sender.k.array(), to, small.array()))
                    .withMessageContaining("as large");
            Tensor elsewhere = Tensor.allocate(DType.F32, SHAPE.keyShape());
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> from.send(sender.k.array(), to, elsewhere.array()))
                    .withMessageContaining("no such array");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"launch", "await"})
    void anErrorOfTheDriverIsRaised(String failing) {
        assertThatExceptionOfType(IllegalStateException.class)
                .isThrownBy(() -> replaying(new Noted(failing)).execute())
                .withMessageContaining("CUDA_ERROR_ILLEGAL_ADDRESS")
                .withMessageContaining(TestDevice.get().toString());
    }
}
