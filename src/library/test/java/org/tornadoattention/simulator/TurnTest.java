package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.intrinsic.Turn;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpBarrier;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Turns of groups: sums whose order is kept, whatever order groups run in, and forgotten turns, which must be found.
 */
@Tag("several-carriers")
class TurnTest {

    private static final int GROUPS = 9;
    private static final int LANES = 32;

    /** Each group adds what others cannot have added in another order; the last takes the sum. */
    static void sums(
            KernelContext context,
            FloatArray sums,
            IntArray turns,
            FloatArray out,
            int groups,
            int awaits,
            int passes) {
        int group = context.groupIdx;
        int at = 4 * context.localIdx;
        if (awaits == 1 && group > 0) {
            Turn.await(turns, 0, group);
        }
        addInTurn(sums, out, group, groups, at);
        if (passes == 1) {
            Turn.pass(turns, 0, group < groups - 1 ? group + 1 : 0);
        }
    }

    /** The first group writes its numbers, those between add theirs, and the last has the sum. */
    private static void addInTurn(FloatArray sums, FloatArray out, int group, int groups, int at) {
        float[] own = new float[4];
        float[] sum = new float[4];
        for (int e = 0; e < 4; e++) {
            own[e] = part(group, e);
        }
        if (group == 0) {
            Warp.storeFour(sums, at, own, 0);
        } else if (group < groups - 1) {
            Warp.addFour(sums, at, own, 0);
        } else {
            Warp.loadFour(sum, 0, sums, at);
            for (int e = 0; e < 4; e++) {
                own[e] = sum[e] + own[e];
            }
            Warp.storeFour(out, at, own, 0);
        }
    }

    /** Large and small numbers of both signs: another order gives another sum. */
    private static float part(int group, int e) {
        return (group % 2 == 0 ? 1f : -1f) * (1 << 3 * group % 25) + 0.1f * (group + e);
    }

    private static TaskGraph graph(FloatArray sums, IntArray turns, FloatArray out, int awaits, int passes) {
        // The sums travel too: who reads them before they are written then races, and does not read what is not there.
        return new TaskGraph("turns")
                .transferToDevice(EVERY_EXECUTION, turns, sums)
                .task("kernel", TurnTest::sums, new KernelContext(), sums, turns, out, GROUPS, awaits, passes)
                .transferToHost(EVERY_EXECUTION, out, turns);
    }

    @ParameterizedTest
    @CsvSource({"0, 1", "0, 4", "1, 1", "2, 1", "3, 3", "4, 16"})
    void theOrderIsThatOfTheTurns(long seed, int threads) {
        FloatArray out = new FloatArray(4 * LANES);
        IntArray turns = new IntArray(1);
        TaskGraph graph = graph(new FloatArray(4 * LANES), turns, out, 1, 1);
        assertTheOrder(graph, LANES, turns, out, seed, threads);
    }

    private static void assertTheOrder(
            TaskGraph graph, int groupSize, IntArray turns, FloatArray out, long seed, int threads) {
        SimulatorSettings settings = Simulator.settings().withThreads(threads);
        try (Simulator.Restore _ = Simulator.configure(seed == 0 ? settings : settings.withSeed(seed))) {
            Plans.run(graph, Plans.grid(GROUPS * groupSize, groupSize));
        }
        assertSummedInOrder(out);
        assertThat(turns.get(0)).isZero();
    }

    private static void assertSummedInOrder(FloatArray out) {
        for (int i = 0; i < out.getSize(); i++) {
            float expected = part(0, i % 4);
            for (int group = 1; group < GROUPS; group++) {
                expected += part(group, i % 4);
            }
            assertThat(out.get(i)).isEqualTo(expected);
        }
    }

    /** Likewise by groups of two warps: the second waits for the turn and passes it on, the first adds. */
    static void sumsByOthersTurns(
            KernelContext context,
            FloatArray sums,
            IntArray turns,
            FloatArray out,
            int groups,
            int tells,
            int listens) {
        int[] barriers = context.allocateIntLocalArray(2 * WarpBarrier.INTS);
        int group = context.groupIdx;
        if (context.localIdx == 0) {
            WarpBarrier.init(barriers, 0, 1);
            WarpBarrier.init(barriers, WarpBarrier.INTS, 1);
        }
        context.localBarrier();
        if (context.localIdx < LANES) {
            int at = 4 * context.localIdx;
            if (tells == 1) {
                WarpBarrier.await(barriers, 0, 0);
            }
            addInTurn(sums, out, group, groups, at);
            WarpBarrier.arrive(barriers, WarpBarrier.INTS);
        } else {
            if (group > 0) {
                Turn.await(turns, 0, group);
            }
            WarpBarrier.arrive(barriers, 0);
            if (listens == 1) {
                WarpBarrier.await(barriers, WarpBarrier.INTS, 0);
            }
            Turn.pass(turns, 0, group < groups - 1 ? group + 1 : 0);
        }
    }

    private static TaskGraph graphOfOthers(FloatArray sums, IntArray turns, FloatArray out, int tells, int listens) {
        return new TaskGraph("turns")
                .transferToDevice(EVERY_EXECUTION, turns, sums)
                .task(
                        "kernel",
                        TurnTest::sumsByOthersTurns,
                        new KernelContext(),
                        sums,
                        turns,
                        out,
                        GROUPS,
                        tells,
                        listens)
                .transferToHost(EVERY_EXECUTION, out, turns);
    }

    @ParameterizedTest
    @CsvSource({"0, 1", "0, 4", "1, 1", "2, 1", "3, 3", "4, 16"})
    void aTurnIsTheirsWhomABarrierTells(long seed, int threads) {
        FloatArray out = new FloatArray(4 * LANES);
        IntArray turns = new IntArray(1);
        TaskGraph graph = graphOfOthers(new FloatArray(4 * LANES), turns, out, 1, 1);
        assertTheOrder(graph, 2 * LANES, turns, out, seed, threads);
    }

    @ParameterizedTest
    @CsvSource({"0, 1", "1, 0"})
    void whoIsNotToldOfATurnRaces(int tells, int listens) {
        SimulatorFaultException fault = Plans.fault(
                graphOfOthers(new FloatArray(4 * LANES), new IntArray(1), new FloatArray(4 * LANES), tells, listens),
                Plans.grid(GROUPS * 2 * LANES, 2 * LANES));
        assertThat(fault).isNotNull();
        assertThat(fault.kind()).isEqualTo(FaultKind.GLOBAL_RACE);
    }

    /** Groups of two warps leave four numbers a lane; the last one, or the first if {@code early}, adds them up. */
    static void lastSums(
            KernelContext context,
            FloatArray parts,
            IntArray turns,
            FloatArray out,
            IntArray last,
            int groups,
            int early) {
        int[] before = context.allocateIntLocalArray(1);
        int lanes = 2 * LANES;
        float[] own = new float[4];
        float[] sum = new float[4];
        for (int e = 0; e < 4; e++) {
            own[e] = part(context.groupIdx, e);
            sum[e] = 0f;
        }
        Warp.storeFour(parts, 4 * (context.groupIdx * lanes + context.localIdx), own, 0);
        context.localBarrier();
        if (context.localIdx < LANES) {
            int count = Turn.arrive(turns, 0, groups - 1);
            if (context.localIdx == 0) {
                before[0] = count;
            }
        }
        context.localBarrier();
        if (before[0] == (early == 1 ? 0 : groups - 1)) {
            for (int group = 0; group < groups; group++) {
                Warp.loadFour(own, 0, parts, 4 * (group * lanes + lanes - 1 - context.localIdx));
                for (int e = 0; e < 4; e++) {
                    sum[e] = sum[e] + own[e];
                }
            }
            Warp.storeFour(out, 4 * context.localIdx, sum, 0);
            if (context.localIdx == 0) {
                last.set(0, last.get(0) + 1);
            }
        }
    }

    private static TaskGraph lastGraph(FloatArray out, IntArray turns, IntArray last, int early) {
        FloatArray parts = new FloatArray(4 * GROUPS * 2 * LANES);
        return new TaskGraph("arrivals")
                .transferToDevice(EVERY_EXECUTION, parts, turns, last)
                .task("kernel", TurnTest::lastSums, new KernelContext(), parts, turns, out, last, GROUPS, early)
                .transferToHost(EVERY_EXECUTION, out, turns, last);
    }

    @ParameterizedTest
    @CsvSource({"0, 1", "0, 4", "1, 1", "2, 1", "3, 3", "4, 16"})
    void theLastToArriveSeesWhatAllHaveLeft(long seed, int threads) {
        FloatArray out = new FloatArray(4 * 2 * LANES);
        IntArray turns = new IntArray(1);
        IntArray last = new IntArray(1);
        SimulatorSettings settings = Simulator.settings().withThreads(threads);
        try (Simulator.Restore _ = Simulator.configure(seed == 0 ? settings : settings.withSeed(seed))) {
            Plans.run(lastGraph(out, turns, last, 0), Plans.grid(GROUPS * 2 * LANES, 2 * LANES));
        }
        for (int i = 0; i < out.getSize(); i++) {
            float expected = 0;
            for (int group = 0; group < GROUPS; group++) {
                expected += part(group, i % 4);
            }
            assertThat(out.get(i)).isEqualTo(expected);
        }
        assertThat(last.get(0)).isEqualTo(1);
        assertThat(turns.get(0)).isZero();
    }

    /** Reading what groups will write that have not arrived. */
    @Test
    void whoArrivesFirstMayNotReadTheOthers() {
        SimulatorFaultException fault = Plans.fault(
                lastGraph(new FloatArray(4 * 2 * LANES), new IntArray(1), new IntArray(1), 1),
                Plans.grid(GROUPS * 2 * LANES, 2 * LANES));
        assertThat(fault).isNotNull();
        assertThat(fault.kind()).isEqualTo(FaultKind.GLOBAL_RACE);
    }

    @Test
    void whoDoesNotWaitForATurnRaces() {
        SimulatorFaultException fault = Plans.fault(
                graph(new FloatArray(4 * LANES), new IntArray(1), new FloatArray(4 * LANES), 0, 1),
                Plans.grid(GROUPS * LANES, LANES));
        assertThat(fault).isNotNull();
        assertThat(fault.kind()).isEqualTo(FaultKind.GLOBAL_RACE);
    }
}
