package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Races on device memory between groups, and between iterations of parallel loops. */
class GlobalRaceTest {

    static void sumWithoutAtomics(FloatArray in, FloatArray total) {
        for (@Parallel int i = 0; i < in.getSize(); i++) {
            total.set(0, total.get(0) + in.get(i));
        }
    }

    static void lastOneWins(KernelContext context, FloatArray in, FloatArray out) {
        out.set(context.localIdx, in.get(context.globalIdx));
    }

    static void lastOneWinsInAMethod(KernelContext context, FloatArray in, FloatArray out) {
        store(out, context.localIdx, in.get(context.globalIdx));
    }

    private static void store(FloatArray array, int index, float value) {
        array.set(index, value);
    }

    static void readsTheNeighbour(KernelContext context, FloatArray in, FloatArray out) {
        out.set(context.globalIdx, in.get(context.globalIdx) + 1f);
        context.globalBarrier();
        if (context.globalIdx > 0) {
            in.set(context.globalIdx, out.get(context.globalIdx - 1));
        }
    }

    static void flags(KernelContext context, IntArray found) {
        found.set(0, 1);
    }

    static void scratch(KernelContext context, FloatArray in, FloatArray scratch) {
        int base = 64 * context.groupIdx;
        int id = context.localIdx;
        scratch.set(base + id, in.get(context.globalIdx));
        context.globalBarrier();
        float other = scratch.get(base + 63 - id);
        context.globalBarrier();
        scratch.set(base + id, other);
    }

    private static FloatArray numbers(int size) {
        FloatArray array = new FloatArray(size);
        for (int i = 0; i < size; i++) {
            array.set(i, i + 1);
        }
        return array;
    }

    @Test
    void iterationsThatAddToOneElement() {
        FloatArray in = numbers(64);
        FloatArray total = new FloatArray(1);
        SimulatorFaultException fault = Plans.fault(new TaskGraph("sum")
                .transferToDevice(EVERY_EXECUTION, in, total)
                .task("kernel", GlobalRaceTest::sumWithoutAtomics, in, total)
                .transferToHost(EVERY_EXECUTION, total));
        assertThat(fault.kind()).isEqualTo(FaultKind.GLOBAL_RACE);
        assertThat(fault)
                .hasMessageContaining("total[0]")
                .hasMessageMatching(".*(another iteration|several iterations).*");
    }

    @Test
    void groupsThatWriteTheSameElements() {
        FloatArray in = numbers(256);
        FloatArray out = new FloatArray(64);
        SimulatorFaultException fault = Plans.fault(
                new TaskGraph("last")
                        .transferToDevice(EVERY_EXECUTION, in)
                        .task("kernel", GlobalRaceTest::lastOneWins, new KernelContext(), in, out)
                        .transferToHost(EVERY_EXECUTION, out),
                Plans.grid(256, 64));
        assertThat(fault.kind()).isEqualTo(FaultKind.GLOBAL_RACE);
        assertThat(fault)
                .hasMessageContaining("in kernel lastOneWins")
                .hasMessageContaining("writes out[")
                .hasMessageContaining("], to which group (")
                .hasMessageContaining("wrote another value in the same launch");
        SimulatorFaultException inMethod = Plans.fault(
                new TaskGraph("last")
                        .transferToDevice(EVERY_EXECUTION, in)
                        .task("kernel", GlobalRaceTest::lastOneWinsInAMethod, new KernelContext(), in, out)
                        .transferToHost(EVERY_EXECUTION, out),
                Plans.grid(256, 64));
        assertThat(inMethod.kind()).isEqualTo(FaultKind.GLOBAL_RACE);
    }

    @Test
    void aGroupThatReadsWhatAnotherWrites() {
        FloatArray in = numbers(256);
        FloatArray out = new FloatArray(256);
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withThreads(1))) {
            SimulatorFaultException fault = Plans.fault(
                    new TaskGraph("neighbour")
                            .transferToDevice(EVERY_EXECUTION, in)
                            .task("kernel", GlobalRaceTest::readsTheNeighbour, new KernelContext(), in, out)
                            .transferToHost(EVERY_EXECUTION, out),
                    Plans.grid(256, 64));
            assertThat(fault.kind()).isEqualTo(FaultKind.GLOBAL_RACE);
            assertThat(fault)
                    .hasMessageContaining("work-item 0 of group (1,0,0) reads out[63], which group (0,0,0) writes");
        }
    }

    @Test
    void equalValuesAndMemoryOfOneGroupAreNoRace() {
        IntArray found = new IntArray(1);
        Plans.run(
                new TaskGraph("flags")
                        .task("kernel", GlobalRaceTest::flags, new KernelContext(), found)
                        .transferToHost(EVERY_EXECUTION, found),
                Plans.grid(256, 64));
        assertThat(found.get(0)).isEqualTo(1);
        FloatArray in = numbers(256);
        FloatArray scratch = new FloatArray(256);
        for (int run = 0; run < 2; run++) {
            Plans.run(
                    new TaskGraph("scratch")
                            .transferToDevice(EVERY_EXECUTION, in)
                            .task("kernel", GlobalRaceTest::scratch, new KernelContext(), in, scratch)
                            .task("again", GlobalRaceTest::copy, scratch, in)
                            .transferToHost(EVERY_EXECUTION, scratch, in),
                    Plans.grid(256, 64));
        }
        assertThat(scratch.get(1)).isEqualTo(2f);
        assertThat(in.get(1)).isEqualTo(2f);
    }

    static void copy(FloatArray from, FloatArray to) {
        for (@Parallel int i = 0; i < from.getSize(); i++) {
            to.set(i, from.get(i));
        }
    }
}
