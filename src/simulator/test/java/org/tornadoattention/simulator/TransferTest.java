package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.FIRST_EXECUTION;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.UNDER_DEMAND;

import java.util.EnumSet;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.DataRange;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoMemoryException;
import uk.ac.manchester.tornado.api.exceptions.TornadoOutOfMemoryException;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** What is copied when, what a plan holds on the device, and reads of what is not there. */
class TransferTest {

    private static final int SIZE = 64;
    private static final long ARRAY_BYTES = SIZE * Float.BYTES + TornadoNativeArray.ARRAY_HEADER;

    static void increment(FloatArray in, FloatArray out) {
        for (@Parallel int i = 0; i < in.getSize(); i++) {
            out.set(i, in.get(i) + 1f);
        }
    }

    static void accumulate(FloatArray in, FloatArray total) {
        for (@Parallel int i = 0; i < in.getSize(); i++) {
            total.set(i, total.get(i) + in.get(i));
        }
    }

    static void firstHalf(FloatArray out) {
        for (@Parallel int i = 0; i < out.getSize() / 2; i++) {
            out.set(i, 1f);
        }
    }

    private static FloatArray ones() {
        FloatArray array = new FloatArray(SIZE);
        array.init(1f);
        return array;
    }

    @Test
    void everyExecutionCopiesAgainAndFirstExecutionDoesNot() throws Exception {
        FloatArray every = ones();
        FloatArray first = ones();
        FloatArray fromEvery = new FloatArray(SIZE);
        FloatArray fromFirst = new FloatArray(SIZE);
        TaskGraph graph = new TaskGraph("modes")
                .transferToDevice(EVERY_EXECUTION, every)
                .transferToDevice(FIRST_EXECUTION, first)
                .task("a", TransferTest::increment, every, fromEvery)
                .task("b", TransferTest::increment, first, fromFirst)
                .transferToHost(EVERY_EXECUTION, fromEvery, fromFirst);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.execute();
            every.init(10f);
            first.init(10f);
            try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withoutCheck(Check.TRANSFERS))) {
                plan.execute();
            }
            assertThat(fromEvery.get(5)).isEqualTo(11f);
            assertThat(fromFirst.get(5)).isEqualTo(2f);
            plan.freeDeviceMemory().execute();
            assertThat(fromFirst.get(5)).as("freed memory is filled again").isEqualTo(11f);
        }
    }

    @Test
    void dataStaysOnTheDeviceBetweenExecutions() throws Exception {
        FloatArray in = ones();
        FloatArray total = new FloatArray(SIZE);
        TaskGraph graph = new TaskGraph("sum")
                .transferToDevice(FIRST_EXECUTION, in, total)
                .task("a", TransferTest::accumulate, in, total)
                .transferToHost(UNDER_DEMAND, total);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.execute();
            plan.execute();
            TornadoExecutionResult result = plan.execute();
            result.transferToHost(total);
            assertThat(total.toHeapArray()).containsOnly(3f);
        }
    }

    @Test
    void aGraphConsumesWhatAnotherLeft() throws Exception {
        FloatArray in = ones();
        FloatArray between = new FloatArray(SIZE);
        FloatArray out = new FloatArray(SIZE);
        TaskGraph producer = new TaskGraph("producer")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("a", TransferTest::increment, in, between)
                .persistOnDevice(between);
        TaskGraph consumer = new TaskGraph("consumer")
                .consumeFromDevice("producer", between)
                .task("b", TransferTest::increment, between, out)
                .transferToHost(EVERY_EXECUTION, out);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(producer.snapshot(), consumer.snapshot())) {
            plan.execute();
            assertThat(out.toHeapArray()).containsOnly(3f);
            assertThat(plan.getCurrentDeviceMemoryUsage()).isEqualTo(3 * ARRAY_BYTES);
            in.init(5f);
            plan.withGraph(0).execute();
            plan.withGraph(1).execute();
            assertThat(out.toHeapArray()).containsOnly(7f);
            plan.withAllGraphs().execute();
        }
    }

    @Test
    void anArrayThatIsMappedToAnotherGraphsComesBackAsItself() throws Exception {
        FloatArray in = ones();
        FloatArray left = new FloatArray(SIZE);
        FloatArray mapped = new FloatArray(SIZE);
        FloatArray out = new FloatArray(SIZE);
        TaskGraph first = new TaskGraph("first")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("a", TransferTest::increment, in, left)
                .transferToHost(UNDER_DEMAND, left);
        TaskGraph second = new TaskGraph("second")
                .transferToDevice(UNDER_DEMAND, mapped)
                .task("b", TransferTest::increment, mapped, out)
                .transferToHost(EVERY_EXECUTION, mapped, out);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(first.snapshot(), second.snapshot())) {
            plan.withGraph(0).execute();
            plan.mapOnDeviceMemoryRegion(mapped, left, 0, 0, 1);
            plan.withGraph(1).execute();
            assertThat(out.toHeapArray()).containsOnly(3f);
            assertThat(mapped.toHeapArray()).containsOnly(2f);
            assertThatThrownBy(() -> left.get(0)).isInstanceOf(SimulatorFaultException.class);
        }
    }

    @Test
    void consumingWhatIsNotThereFails() {
        FloatArray array = ones();
        FloatArray out = new FloatArray(SIZE);
        TaskGraph consumer = new TaskGraph("consumer")
                .consumeFromDevice("nobody", array)
                .task("b", TransferTest::increment, array, out);
        assertThatThrownBy(() -> Plans.run(consumer))
                .isInstanceOf(TornadoRuntimeException.class)
                .hasMessageContaining("graph nobody did not leave on the device");
    }

    /** TornadoVM does not bring over what no task of the graph has: a consumer would find no memory. */
    @Test
    void consumingWhatNoTaskOfItsGraphHasFails() throws Exception {
        FloatArray in = ones();
        FloatArray weights = ones();
        FloatArray between = new FloatArray(SIZE);
        FloatArray out = new FloatArray(SIZE);
        TaskGraph producer = new TaskGraph("producer")
                .transferToDevice(FIRST_EXECUTION, in, weights)
                .task("a", TransferTest::increment, in, between)
                .persistOnDevice(between, weights);
        TaskGraph consumer = new TaskGraph("consumer")
                .consumeFromDevice("producer", between, weights)
                .task("b", TransferTest::increment, weights, out)
                .task("c", TransferTest::increment, between, out);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(producer.snapshot(), consumer.snapshot())) {
            assertThatThrownBy(plan::execute)
                    .isInstanceOf(TornadoRuntimeException.class)
                    .hasMessageContaining("graph producer transfers, but no task of that graph has it");
        }
    }

    /** A graph between hands on what it consumed itself. */
    @Test
    void aGraphHandsOnWhatItConsumed() throws Exception {
        FloatArray in = ones();
        FloatArray left = new FloatArray(SIZE);
        FloatArray between = new FloatArray(SIZE);
        FloatArray out = new FloatArray(SIZE);
        TaskGraph first = new TaskGraph("first")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("a", TransferTest::increment, in, left)
                .persistOnDevice(left, in);
        TaskGraph second = new TaskGraph("second")
                .consumeFromDevice("first", left, in)
                .task("b", TransferTest::increment, in, between)
                .persistOnDevice(left);
        TaskGraph third = new TaskGraph("third")
                .consumeFromDevice("second", left)
                .task("c", TransferTest::increment, left, out)
                .transferToHost(EVERY_EXECUTION, out);
        try (TornadoExecutionPlan plan =
                new TornadoExecutionPlan(first.snapshot(), second.snapshot(), third.snapshot())) {
            plan.execute();
            assertThat(out.toHeapArray()).containsOnly(3f);
        }
    }

    @Test
    void aKernelReadsWhatWasNeverTransferred() {
        FloatArray in = ones();
        FloatArray out = new FloatArray(SIZE);
        SimulatorFaultException fault = Plans.fault(new TaskGraph("forgotten")
                .task("a", TransferTest::increment, in, out)
                .transferToHost(EVERY_EXECUTION, out));
        assertThat(fault.kind()).isEqualTo(FaultKind.NOT_ON_DEVICE);
        assertThat(fault)
                .hasMessageMatching("read of device memory that holds nothing: in kernel increment"
                        + " \\(TransferTest\\.java:\\d+\\): work-item \\(i = 0\\) reads in\\[0], which was neither"
                        + " transferred to the device nor written there; .*transferToDevice.*");
    }

    @Test
    void underDemandDoesNotTransferBeforeTheKernel() {
        FloatArray in = ones();
        FloatArray out = new FloatArray(SIZE);
        SimulatorFaultException fault = Plans.fault(
                new TaskGraph("demand").transferToDevice(UNDER_DEMAND, in).task("a", TransferTest::increment, in, out));
        assertThat(fault.kind()).isEqualTo(FaultKind.NOT_ON_DEVICE);
    }

    @Test
    void aKernelReadsElementsThatTheOneBeforeDidNotWrite() {
        FloatArray half = new FloatArray(SIZE);
        FloatArray out = new FloatArray(SIZE);
        SimulatorFaultException fault = Plans.fault(new TaskGraph("half")
                .task("a", TransferTest::firstHalf, half)
                .task("b", TransferTest::increment, half, out));
        assertThat(fault.kind()).isEqualTo(FaultKind.NOT_ON_DEVICE);
        assertThat(fault).hasMessageContaining("reads in[32]");
    }

    @Test
    void elementsThatNoKernelWroteComeBackAsNaN() {
        FloatArray half = ones();
        Plans.run(new TaskGraph("half").task("a", TransferTest::firstHalf, half).transferToHost(EVERY_EXECUTION, half));
        assertThat(half.get(SIZE / 2 - 1)).isEqualTo(1f);
        assertThat(half.get(SIZE / 2)).isNaN();
    }

    @Test
    void theHostReadsWhatNeverCameBack() throws Exception {
        FloatArray in = ones();
        FloatArray out = new FloatArray(SIZE);
        TaskGraph graph = new TaskGraph("stale")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("a", TransferTest::increment, in, out);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            TornadoExecutionResult result = plan.execute();
            assertThatThrownBy(() -> out.get(0))
                    .isInstanceOfSatisfying(
                            SimulatorFaultException.class,
                            fault -> assertThat(fault.kind()).isEqualTo(FaultKind.NOT_ON_HOST))
                    .hasMessageContaining("task stale.a wrote this FloatArray of 64 elements on the device")
                    .hasMessageContaining("transferToHost");
            assertThatThrownBy(out::toHeapArray).isInstanceOf(SimulatorFaultException.class);
            assertThatThrownBy(out::getSegment).isInstanceOf(SimulatorFaultException.class);
            assertThat(in.get(0)).as("an array that was only read").isEqualTo(1f);
            result.transferToHost(out);
            assertThat(out.get(0)).isEqualTo(2f);
            plan.execute();
            out.init(0f);
            assertThat(out.get(0)).as("the host's own value").isZero();
        }
    }

    @Test
    void theHostMayReadWhenTheCheckIsOff() {
        FloatArray in = ones();
        FloatArray out = new FloatArray(SIZE);
        TaskGraph graph = new TaskGraph("stale")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("a", TransferTest::increment, in, out);
        try (Simulator.Restore _ = Simulator.configure(
                Simulator.settings().withChecks(EnumSet.complementOf(EnumSet.of(Check.TRANSFERS))))) {
            Plans.run(graph);
        }
        assertThat(out.get(0)).isZero();
    }

    @Test
    void partsOfArraysComeBack() throws Exception {
        FloatArray in = ones();
        FloatArray out = new FloatArray(SIZE);
        TaskGraph graph = new TaskGraph("part")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("a", TransferTest::increment, in, out)
                .transferToHost(UNDER_DEMAND, out);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.execute().transferToHost(new DataRange(out).withOffset(8).withSize(16));
            assertThat(out.get(7)).isZero();
            assertThat(out.get(8)).isEqualTo(2f);
            assertThat(out.get(23)).isEqualTo(2f);
            assertThat(out.get(24)).isZero();
            assertThatThrownBy(
                            () -> new DataRange(out).withOffset(60).withSize(8).materialize())
                    .isInstanceOf(TornadoRuntimeException.class);
        }
    }

    @Test
    void memoryIsCountedAndFreed() throws Exception {
        FloatArray in = ones();
        FloatArray out = new FloatArray(SIZE);
        TaskGraph graph = new TaskGraph("memory")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("a", TransferTest::increment, in, out)
                .transferToHost(EVERY_EXECUTION, out);
        TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot());
        assertThat(plan.getCurrentDeviceMemoryUsage()).isZero();
        for (int i = 0; i < 3; i++) {
            plan.execute();
            assertThat(plan.getCurrentDeviceMemoryUsage()).isEqualTo(2 * ARRAY_BYTES);
        }
        plan.freeDeviceMemory();
        assertThat(plan.getCurrentDeviceMemoryUsage()).isZero();
        plan.execute();
        plan.close();
        assertThat(plan.getCurrentDeviceMemoryUsage()).isZero();
        assertThatThrownBy(() -> plan.getPlanResult(0).transferToHost(out))
                .isInstanceOf(TornadoRuntimeException.class)
                .hasMessageContaining("its memory was freed");
    }

    @Test
    void memoryHasLimits() throws Exception {
        FloatArray in = ones();
        FloatArray out = new FloatArray(SIZE);
        TaskGraph graph = new TaskGraph("limit")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("a", TransferTest::increment, in, out);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withMemoryLimit("300B");
            assertThatThrownBy(plan::execute)
                    .isInstanceOf(TornadoMemoryException.class)
                    .hasMessageContaining("past its limit of 300");
            plan.withoutMemoryLimit().execute();
        }
        String before = System.getProperty("tornado.device.memory");
        System.setProperty("tornado.device.memory", "1KB");
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(new TaskGraph("large")
                .transferToDevice(EVERY_EXECUTION, new FloatArray(1000))
                .snapshot())) {
            assertThatThrownBy(plan::execute)
                    .isInstanceOf(TornadoOutOfMemoryException.class)
                    .hasMessageContaining("tornado.device.memory");
        } finally {
            if (before == null) {
                System.clearProperty("tornado.device.memory");
            } else {
                System.setProperty("tornado.device.memory", before);
            }
        }
    }

    @Test
    void theProfilerCountsBytes() throws Exception {
        FloatArray in = ones();
        FloatArray out = new FloatArray(SIZE);
        TaskGraph graph = new TaskGraph("profile")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("a", TransferTest::increment, in, out)
                .transferToHost(EVERY_EXECUTION, out);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            assertThat(plan.execute().getProfilerResult().getDeviceKernelTime()).isZero();
            TornadoExecutionResult result =
                    plan.withProfiler(ProfilerMode.SILENT).execute();
            assertThat(result.getProfilerResult().getDeviceKernelTime()).isPositive();
            assertThat(result.getProfilerResult().getTotalTime())
                    .isGreaterThanOrEqualTo(result.getProfilerResult().getDeviceKernelTime());
            assertThat(result.getProfilerResult().getTotalBytesCopyIn()).isEqualTo(SIZE * 4);
            assertThat(result.getProfilerResult().getTotalBytesCopyOut()).isEqualTo(SIZE * 4);
            assertThat(result.getProfilerResult().getTotalDeviceMemoryUsage()).isEqualTo(2 * ARRAY_BYTES);
        }
    }
}
