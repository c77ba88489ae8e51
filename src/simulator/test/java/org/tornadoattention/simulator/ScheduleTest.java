package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** The order of groups and work-items: the same in each run, another one with a seed, and without influence. */
class ScheduleTest {

    /** Draws a number twice, with a barrier in between: {@code next[0]} and {@code next[1]} are the machines. */
    static void tickets(KernelContext context, IntArray next, IntArray order) {
        int[] local = context.allocateIntLocalArray(1);
        if (context.localIdx == 0) {
            local[0] = 0;
        }
        context.localBarrier();
        int first = next.get(0);
        next.set(0, first + 1);
        order.set(context.globalIdx, first);
        context.localBarrier();
        int second = next.get(1);
        next.set(1, second + 1);
        order.set(64 + context.globalIdx, second);
    }

    /** The groups draw from the same machine, which is a race; with one thread it has an order nevertheless. */
    private static SimulatorSettings oneThread() {
        return Simulator.settings().withThreads(1).withChecks(EnumSet.complementOf(EnumSet.of(Check.RACES)));
    }

    private static int[] order() {
        IntArray next = new IntArray(2);
        IntArray order = new IntArray(128);
        Plans.run(
                new TaskGraph("tickets")
                        .transferToDevice(EVERY_EXECUTION, next)
                        .task("kernel", ScheduleTest::tickets, new KernelContext(), next, order)
                        .transferToHost(EVERY_EXECUTION, order),
                Plans.grid(64, 16));
        return order.toHeapArray();
    }

    @Test
    void theNaturalOrderIsThatOfTheIds() {
        try (Simulator.Restore _ = Simulator.configure(oneThread())) {
            int[] order = order();
            for (int i = 0; i < 64; i++) {
                assertThat(order[i]).isEqualTo(i);
                assertThat(order[64 + i]).isEqualTo(i);
            }
        }
    }

    @Test
    void aSeedShufflesGroupsAndWorkItemsTheSameWayEachTime() {
        SimulatorSettings oneThread = oneThread();
        int[] natural;
        int[] seven;
        try (Simulator.Restore _ = Simulator.configure(oneThread)) {
            natural = order();
        }
        try (Simulator.Restore _ = Simulator.configure(oneThread.withSeed(7))) {
            seven = order();
            assertThat(order()).isEqualTo(seven);
        }
        try (Simulator.Restore _ = Simulator.configure(oneThread.withSeed(8))) {
            assertThat(order()).isNotEqualTo(seven);
        }
        assertThat(seven).isNotEqualTo(natural);
        int[] firstTickets = Arrays.copyOf(seven, 64);
        int[] secondTickets = Arrays.copyOfRange(seven, 64, 128);
        assertThat(firstTickets).as("another order after the barrier").isNotEqualTo(secondTickets);
        Arrays.sort(firstTickets);
        assertThat(firstTickets).isEqualTo(IntStream.range(0, 64).toArray());
    }

    static void softmax(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(64);
        int id = context.localIdx;
        float value = in.get(context.globalIdx);
        tile[id] = value;
        context.localBarrier();
        for (int distance = 32; distance > 0; distance /= 2) {
            if (id < distance) {
                tile[id] = Math.max(tile[id], tile[id + distance]);
            }
            context.localBarrier();
        }
        float exponential = (float) Math.exp(value - tile[0]);
        float sum = context.simdSum(exponential);
        context.localBarrier();
        if (id % 32 == 0) {
            tile[id / 32] = sum;
        }
        context.localBarrier();
        out.set(context.globalIdx, exponential / (tile[0] + tile[1]));
    }

    @Test
    void aRightKernelGivesTheSameBitsInEveryOrder() {
        FloatArray in = new FloatArray(1024);
        for (int i = 0; i < 1024; i++) {
            in.set(i, (float) Math.sin(i) * 3f);
        }
        float[] expected = softmax(in);
        for (int seed = 0; seed < 20; seed++) {
            try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withSeed(seed))) {
                assertThat(softmax(in)).isEqualTo(expected);
            }
        }
    }

    private static float[] softmax(FloatArray in) {
        FloatArray out = new FloatArray(1024);
        Plans.run(
                new TaskGraph("softmax")
                        .transferToDevice(EVERY_EXECUTION, in)
                        .task("kernel", ScheduleTest::softmax, new KernelContext(), in, out)
                        .transferToHost(EVERY_EXECUTION, out),
                Plans.grid(1024, 64));
        return out.toHeapArray();
    }

    /** Every group fails, at a work-item that depends on the group. */
    static void allFail(KernelContext context, FloatArray out) {
        if (context.localIdx == context.groupIdx) {
            out.set(-1 - context.groupIdx, 0f);
        }
    }

    @Test
    void theFirstFaultIsTheSameInEveryRun() {
        for (int run = 0; run < 20; run++) {
            SimulatorFaultException fault = Plans.fault(
                    new TaskGraph("failing")
                            .task("kernel", ScheduleTest::allFail, new KernelContext(), new FloatArray(1)),
                    Plans.grid(16 * 32, 32));
            assertThat(fault).hasMessageContaining("work-item 0 of group (0,0,0)");
        }
    }
}
