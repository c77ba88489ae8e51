package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task2;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Atomic additions to local memory: what one work-item may do alone, and what it may do only after a barrier. */
class AtomicsTest {

    private static final int ITEMS = 64;

    static void ownElement(KernelContext context, IntArray out) {
        int[] counters = context.allocateIntLocalArray(ITEMS);
        int id = context.localIdx;
        counters[id] = id;
        context.localBarrier();
        context.atomicAdd(counters, id, 1);
        counters[id] += 1;
        context.atomicAdd(counters, id, 1);
        out.set(context.globalIdx, counters[id]);
    }

    static void histogram(KernelContext context, IntArray out) {
        int[] counters = context.allocateIntLocalArray(ITEMS);
        int id = context.localIdx;
        counters[id] = 0;
        context.localBarrier();
        context.atomicAdd(counters, id / 8, id);
        context.atomicAdd(counters, id / 8, 1);
        context.localBarrier();
        out.set(context.globalIdx, counters[id]);
    }

    static void readsWhatOthersAdd(KernelContext context, IntArray out) {
        int[] counters = context.allocateIntLocalArray(1);
        if (context.localIdx == 0) {
            counters[0] = 0;
        }
        context.localBarrier();
        context.atomicAdd(counters, 0, 1);
        out.set(context.globalIdx, counters[0]);
    }

    static void readsWhatOneOtherAdds(KernelContext context, IntArray out) {
        int[] counters = context.allocateIntLocalArray(ITEMS);
        int id = context.localIdx;
        counters[id] = 0;
        context.localBarrier();
        context.atomicAdd(counters, id, 1);
        out.set(context.globalIdx, counters[id / 2]);
    }

    static void addsToWhatAnotherWrites(KernelContext context, IntArray out) {
        int[] counters = context.allocateIntLocalArray(ITEMS);
        int id = context.localIdx;
        counters[id] = 0;
        context.localBarrier();
        context.atomicAdd(counters, id, 1);
        counters[id] = 5;
        context.atomicAdd(counters, id / 2, 1);
        context.localBarrier();
        out.set(context.globalIdx, counters[id]);
    }

    private final IntArray out = new IntArray(2 * ITEMS);

    private TaskGraph graph(Task2<KernelContext, IntArray> kernel) {
        return new TaskGraph("atomics")
                .task("kernel", kernel, new KernelContext(), out)
                .transferToHost(EVERY_EXECUTION, out);
    }

    private void assertRace(Task2<KernelContext, IntArray> kernel, String message) {
        SimulatorFaultException fault = Plans.fault(graph(kernel), Plans.grid(2 * ITEMS, ITEMS));
        assertThat(fault).as("the planted race").isNotNull();
        assertThat(fault.kind()).isEqualTo(FaultKind.LOCAL_RACE);
        assertThat(fault).hasMessageContaining(message);
    }

    @Test
    void anItemMayAddToAnElementOfItsOwnAndReadAndWriteIt() {
        Plans.run(graph(AtomicsTest::ownElement), Plans.grid(2 * ITEMS, ITEMS));
        assertThat(out.get(ITEMS + 5)).isEqualTo(5 + 3);
    }

    @Test
    void severalMayAddAndAllReadBehindABarrier() {
        Plans.run(graph(AtomicsTest::histogram), Plans.grid(2 * ITEMS, ITEMS));
        assertThat(out.get(1)).isEqualTo(8 + 8 + 9 + 10 + 11 + 12 + 13 + 14 + 15);
        assertThat(out.get(8)).isZero();
    }

    @Test
    void whatSeveralAddIsNotReadBeforeABarrier() {
        assertRace(AtomicsTest::readsWhatOthersAdd, "counters[0]");
    }

    @Test
    void whatAnotherAddsIsNotReadBeforeABarrier() {
        assertRace(AtomicsTest::readsWhatOneOtherAdds, "which work-item 0 (which adds atomically) wrote");
    }

    @Test
    void whatAnotherWritesIsNotAddedToBeforeABarrier() {
        assertRace(AtomicsTest::addsToWhatAnotherWrites, "writes counters[0], which work-item 0 wrote");
    }
}
