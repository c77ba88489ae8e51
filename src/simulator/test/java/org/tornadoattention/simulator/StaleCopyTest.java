package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.FIRST_EXECUTION;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.UNDER_DEMAND;

import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.DataRange;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Arrays that are transferred once, and that the host changes afterwards. */
class StaleCopyTest {

    private static final int SIZE = 32;

    static void addTo(FloatArray in, FloatArray total) {
        for (@Parallel int i = 0; i < total.getSize(); i++) {
            total.set(i, total.get(i) + in.get(i));
        }
    }

    static void twice(FloatArray in, FloatArray out) {
        for (@Parallel int i = 0; i < in.getSize(); i++) {
            out.set(i, 2f * in.get(i));
        }
    }

    static void firstHalfTwice(FloatArray in, FloatArray out) {
        for (@Parallel int i = 0; i < in.getSize() / 2; i++) {
            out.set(i, 2f * in.get(i));
        }
    }

    private static FloatArray ones() {
        FloatArray array = new FloatArray(SIZE);
        array.init(1f);
        return array;
    }

    @Test
    void theHostChangesAWeight() throws Exception {
        FloatArray weights = ones();
        FloatArray out = new FloatArray(SIZE);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(new TaskGraph("stale")
                .transferToDevice(FIRST_EXECUTION, weights)
                .task("kernel", StaleCopyTest::twice, weights, out)
                .transferToHost(EVERY_EXECUTION, out)
                .snapshot())) {
            plan.execute();
            plan.execute();
            weights.set(7, 3f);
            for (int run = 0; run < 2; run++) {
                SimulatorFaultException fault = catchThrowableOfType(SimulatorFaultException.class, plan::execute);
                assertThat(fault.kind()).isEqualTo(FaultKind.STALE_ON_DEVICE);
                assertThat(fault)
                        .hasMessageStartingWith(
                                "read of a stale copy on the device: in kernel twice (StaleCopyTest.java:")
                        .hasMessageContaining("work-item (i = 7) reads in[7], which the host has changed since")
                        .hasMessageContaining("EVERY_EXECUTION");
            }
            plan.freeDeviceMemory().execute();
            assertThat(out.get(7)).as("transferred anew").isEqualTo(6f);
        }
    }

    @Test
    void aWholeSegmentIsOverwrittenAndASumIsSetToZero() throws Exception {
        FloatArray in = ones();
        FloatArray total = new FloatArray(SIZE);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(new TaskGraph("sum")
                .transferToDevice(FIRST_EXECUTION, in, total)
                .task("kernel", StaleCopyTest::addTo, in, total)
                .transferToHost(EVERY_EXECUTION, total)
                .snapshot())) {
            plan.execute();
            plan.execute();
            assertThat(total.get(0)).isEqualTo(2f);
            total.getSegment().fill((byte) 0);
            SimulatorFaultException fault = catchThrowableOfType(SimulatorFaultException.class, plan::execute);
            assertThat(fault.kind()).isEqualTo(FaultKind.STALE_ON_DEVICE);
            assertThat(fault).hasMessageContaining("reads total[0]");
        }
    }

    @Test
    void whatNoKernelReadsOrAKernelWritesIsNoFault() throws Exception {
        FloatArray in = ones();
        FloatArray out = new FloatArray(SIZE);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(new TaskGraph("quiet")
                .transferToDevice(FIRST_EXECUTION, in, out)
                .task("kernel", StaleCopyTest::firstHalfTwice, in, out)
                .transferToHost(EVERY_EXECUTION, out)
                .snapshot())) {
            plan.execute();
            in.set(SIZE - 1, 5f);
            out.init(Float.NaN);
            plan.execute();
            plan.execute();
            assertThat(out.get(0)).isEqualTo(2f);
            assertThat(out.get(SIZE - 1)).isZero();
        }
    }

    @Test
    void whatTheHostGotBackAndPutWhereItWasIsNoFault() throws Exception {
        FloatArray in = ones();
        FloatArray total = new FloatArray(SIZE);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(new TaskGraph("back")
                .transferToDevice(FIRST_EXECUTION, in, total)
                .task("kernel", StaleCopyTest::addTo, in, total)
                .transferToHost(UNDER_DEMAND, total)
                .snapshot())) {
            plan.execute().transferToHost(total);
            in.set(0, 9f);
            in.set(0, 1f);
            plan.execute().transferToHost(new DataRange(total).withOffset(0).withSize(4));
            plan.execute().transferToHost(total);
            assertThat(total.get(5)).isEqualTo(3f);
        }
    }
}
