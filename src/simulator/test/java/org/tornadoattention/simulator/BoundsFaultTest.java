package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.Set;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task3;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.ByteArray;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Indices outside arrays, wherever they occur, and exceptions of other kinds. */
class BoundsFaultTest {

    static void readsTooFar(KernelContext context, FloatArray source, FloatArray target) {
        target.set(context.globalIdx, source.get(context.globalIdx + 1));
    }

    static void writesTooFar(KernelContext context, FloatArray source, FloatArray target) {
        target.set(context.globalIdx - 1, source.get(context.globalIdx));
    }

    static void localTooSmall(KernelContext context, FloatArray source, FloatArray target) {
        float[] tile = context.allocateFloatLocalArray(31);
        tile[context.localIdx] = source.get(context.globalIdx);
        target.set(context.globalIdx, tile[context.localIdx]);
    }

    static void privateTooSmall(KernelContext context, FloatArray source, FloatArray target) {
        float[] registers = new float[4];
        for (int i = 0; i <= 4; i++) {
            registers[i] = source.get(i);
        }
        target.set(context.globalIdx, registers[0]);
    }

    static void inACalledMethod(KernelContext context, FloatArray source, FloatArray target) {
        target.set(context.globalIdx, neighbour(source, context.globalIdx));
    }

    private static float neighbour(FloatArray values, int index) {
        return values.get(index + 1);
    }

    static void eitherArray(KernelContext context, FloatArray source, FloatArray target) {
        FloatArray array = context.globalIdx < 1000 ? source : target;
        target.set(context.globalIdx, array.get(context.globalIdx + 1));
    }

    static void dividesByZero(KernelContext context, FloatArray source, FloatArray target) {
        int zero = context.localGroupSizeY - 1;
        target.set(context.globalIdx / zero, source.get(0));
    }

    static void parallelTooFar(FloatArray source, FloatArray target, int rows, int columns) {
        for (@Parallel int row = 0; row < rows; row++) {
            for (@Parallel int column = 0; column < columns; column++) {
                target.set(row * columns + column, source.get(row * columns + column + (row == 7 ? 10 : 0)));
            }
        }
    }

    static void otherTypes(KernelContext context, HalfFloatArray halves, ByteArray bytes, IntArray which) {
        if (which.get(0) == 0) {
            halves.set(8, new HalfFloat(1f));
        } else if (which.get(0) == 1) {
            bytes.setHalfFloat(7, halves.get(0));
        } else {
            bytes.set(-1, (byte) 0);
        }
    }

    private static SimulatorFaultException fault(Task3<KernelContext, FloatArray, FloatArray> kernel) {
        FloatArray source = new FloatArray(32);
        FloatArray target = new FloatArray(32);
        SimulatorFaultException fault = Plans.fault(
                new TaskGraph("graph")
                        .transferToDevice(EVERY_EXECUTION, source)
                        .task("kernel", kernel, new KernelContext(), source, target)
                        .transferToHost(EVERY_EXECUTION, target),
                Plans.grid(32, 32));
        assertThat(fault).as("the planted fault").isNotNull();
        return fault;
    }

    @Test
    void readsAndWritesOfDeviceMemory() {
        SimulatorFaultException read = fault(BoundsFaultTest::readsTooFar);
        assertThat(read.kind()).isEqualTo(FaultKind.OUT_OF_BOUNDS);
        assertThat(read)
                .hasMessageMatching("index out of bounds: in kernel readsTooFar \\(BoundsFaultTest\\.java:\\d+\\):"
                        + " work-item 31 of group \\(0,0,0\\) misses source: Index 32 out of bounds for length 32");
        SimulatorFaultException write = fault(BoundsFaultTest::writesTooFar);
        assertThat(write).hasMessageContaining("work-item 0 of group (0,0,0) misses target: Index -1 out of bounds");
    }

    @Test
    void localAndPrivateMemory() {
        assertThat(fault(BoundsFaultTest::localTooSmall))
                .hasMessageContaining(
                        "work-item 31 of group (0,0,0) misses tile: Index 31 out of bounds for length 31");
        assertThat(fault(BoundsFaultTest::privateTooSmall))
                .hasMessageContaining("misses registers: Index 4 out of bounds for length 4");
    }

    @Test
    void aMethodThatTheKernelCalls() {
        assertThat(fault(BoundsFaultTest::inACalledMethod))
                .hasMessageContaining("in kernel inACalledMethod")
                .hasMessageContaining("misses values: Index 32");
    }

    @Test
    void anArrayThatIsOnlyKnownAtRunTime() {
        assertThat(fault(BoundsFaultTest::eitherArray)).hasMessageContaining("misses source: Index 32");
    }

    @Test
    void otherArrayTypes() {
        for (int which = 0; which < 3; which++) {
            HalfFloatArray halves = new HalfFloatArray(8);
            ByteArray bytes = new ByteArray(8);
            IntArray choice = IntArray.fromElements(which);
            SimulatorFaultException fault = Plans.fault(
                    new TaskGraph("graph")
                            .transferToDevice(EVERY_EXECUTION, halves, bytes, choice)
                            .task("kernel", BoundsFaultTest::otherTypes, new KernelContext(), halves, bytes, choice),
                    Plans.grid(1, 1));
            assertThat(fault.kind()).isEqualTo(FaultKind.OUT_OF_BOUNDS);
            assertThat(fault)
                    .hasMessageContaining(
                            which == 0 ? "misses halves: Index 8 " : "misses bytes: Index " + (which == 1 ? 8 : -1));
        }
    }

    @Test
    void aParallelLoopNamesItsIteration() {
        FloatArray source = new FloatArray(80);
        FloatArray target = new FloatArray(80);
        SimulatorFaultException fault = Plans.fault(new TaskGraph("graph")
                .transferToDevice(EVERY_EXECUTION, source)
                .task("kernel", BoundsFaultTest::parallelTooFar, source, target, 8, 10));
        assertThat(fault.kind()).isEqualTo(FaultKind.OUT_OF_BOUNDS);
        assertThat(fault)
                .hasMessageContaining("in kernel parallelTooFar (BoundsFaultTest.java:")
                .hasMessageContaining("work-item (row = 7, column = 0) misses source: Index 80");
    }

    @Test
    void anExceptionOfTheKernelIsReportedWithItsPlace() {
        SimulatorFaultException fault = fault(BoundsFaultTest::dividesByZero);
        assertThat(fault.kind()).isEqualTo(FaultKind.KERNEL_EXCEPTION);
        assertThat(fault)
                .hasCauseInstanceOf(ArithmeticException.class)
                .hasMessageContaining("work-item 0 of group (0,0,0) threw java.lang.ArithmeticException: / by zero");
    }

    @Test
    void withoutTheCheckTheArrayIsNotNamed() {
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withChecks(Set.of()))) {
            SimulatorFaultException fault = fault(BoundsFaultTest::readsTooFar);
            assertThat(fault.kind()).isEqualTo(FaultKind.OUT_OF_BOUNDS);
            assertThat(fault).hasMessageContaining("misses: Index 32 out of bounds for length 32");
        }
    }
}
