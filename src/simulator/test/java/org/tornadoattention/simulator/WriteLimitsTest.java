package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.Set;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Writes to elements that an array has, and that the task was not given. */
class WriteLimitsTest {

    static void fill(FloatArray out, int from, int to) {
        for (@Parallel int i = from; i < to; i++) {
            out.set(i, 1f);
        }
    }

    static void shift(FloatArray in, FloatArray out, int from) {
        for (@Parallel int i = 0; i < in.getSize(); i++) {
            put(out, from + i, in.get(i));
        }
    }

    private static void put(FloatArray array, int index, float value) {
        array.set(index, value);
    }

    static void copyOntoItself(FloatArray in, FloatArray out) {
        for (@Parallel int i = 0; i < in.getSize(); i++) {
            in.set(i, in.get(i));
            out.set(i, in.get(i));
        }
    }

    static void count(KernelContext context, IntArray counts) {
        context.atomicAdd(counts, context.globalIdx % 4, 1);
    }

    @Test
    void outsideOfItsPartOfAnArray() {
        FloatArray pool = new FloatArray(64);
        try (Simulator.Restore _ = Simulator.allowWrites(pool, 16, 32)) {
            Plans.run(new TaskGraph("inside").task("a", WriteLimitsTest::fill, pool, 16, 32));
            SimulatorFaultException fault =
                    Plans.fault(new TaskGraph("outside").task("a", WriteLimitsTest::fill, pool, 16, 33));
            assertThat(fault.kind()).isEqualTo(FaultKind.WRITE_OUTSIDE);
            assertThat(fault)
                    .hasMessageMatching("write outside what the task was given to write: in kernel fill"
                            + " \\(WriteLimitsTest\\.java:\\d+\\): work-item \\(i = 32\\) writes out\\[32]; allowed is"
                            + " elements 16 to 31, by Simulator\\.allowWrites");
            FloatArray in = new FloatArray(8);
            SimulatorFaultException inAMethod = Plans.fault(new TaskGraph("method")
                    .transferToDevice(EVERY_EXECUTION, in, pool)
                    .task("a", WriteLimitsTest::shift, in, pool, 12));
            assertThat(inAMethod.kind()).isEqualTo(FaultKind.WRITE_OUTSIDE);
            assertThat(inAMethod).hasMessageContaining("writes out[12]");
        }
        Plans.run(new TaskGraph("lifted").task("a", WriteLimitsTest::fill, pool, 0, 64));
    }

    @Test
    void anInputStaysWhatItIsEvenIfTheValueIsTheSame() {
        FloatArray in = new FloatArray(8);
        FloatArray out = new FloatArray(8);
        TaskGraph graph = new TaskGraph("input")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("a", WriteLimitsTest::copyOntoItself, in, out);
        Plans.run(graph);
        try (Simulator.Restore _ = Simulator.allowWrites(in, 0, 0)) {
            assertThat(Plans.fault(graph)).hasMessageContaining("writes in[0]; allowed is nothing of it");
        }
    }

    @Test
    void severalLimitsAllHoldAndReadsAreFree() {
        FloatArray pool = new FloatArray(64);
        try (Simulator.Restore _ = Simulator.allowWrites(pool, 0, 32);
                Simulator.Restore _ = Simulator.allowWrites(pool, 16, 64)) {
            assertThat(Plans.fault(new TaskGraph("both").task("a", WriteLimitsTest::fill, pool, 0, 32)))
                    .hasMessageContaining("elements 0 to 31, and at the same time elements 16 to 63");
            FloatArray out = new FloatArray(64);
            Plans.run(new TaskGraph("reads")
                    .transferToDevice(EVERY_EXECUTION, pool)
                    .task("a", WriteLimitsTest::shift, pool, out, 0));
            SimulatorFaultException never =
                    Plans.fault(new TaskGraph("never").task("a", WriteLimitsTest::copyOntoItself, pool, out));
            assertThat(never.kind()).as("reads come first").isEqualTo(FaultKind.NOT_ON_DEVICE);
        }
    }

    @Test
    void atomicAdditionsAndWithoutAnyOtherCheck() {
        IntArray counts = new IntArray(8);
        TaskGraph graph = new TaskGraph("count")
                .transferToDevice(EVERY_EXECUTION, counts)
                .task("kernel", WriteLimitsTest::count, new KernelContext(), counts);
        try (Simulator.Restore _ = Simulator.allowWrites(counts, 0, 3);
                Simulator.Restore _ = Simulator.configure(Simulator.settings().withChecks(Set.of()))) {
            assertThat(Plans.fault(graph, Plans.grid(8, 4)).kind()).isEqualTo(FaultKind.WRITE_OUTSIDE);
        }
    }

    @Test
    void limitsThatTheArrayDoesNotHaveAreRefused() {
        FloatArray pool = new FloatArray(64);
        assertThatThrownBy(() -> Simulator.allowWrites(pool, 0, 65)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> Simulator.allowWrites(pool, 3, 2)).isInstanceOf(IndexOutOfBoundsException.class);
    }
}
