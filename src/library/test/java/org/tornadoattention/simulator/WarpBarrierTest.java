package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.time.Duration;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.intrinsic.Bits;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpBarrier;
import org.tornadoattention.intrinsic.WarpGroup;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task2;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/** Barriers of warps: what passes through them, and planted mistakes, each of which must be found and explained. */
@Isolated
class WarpBarrierTest {

    private static final int TILES = 7;

    /** Warp 0 writes tiles of 32 numbers to so many places; each other warp adds them up, reversed. */
    static void pipeline(KernelContext context, IntArray out, int places) {
        int[] tile = context.allocateIntLocalArray(32 * places);
        int[] barriers = context.allocateIntLocalArray(4 * places);
        int warp = context.localIdx / 32;
        int lane = context.localIdx % 32;
        int readers = context.localGroupSizeX / 32 - 1;
        if (context.localIdx == 0) {
            for (int place = 0; place < places; place++) {
                WarpBarrier.init(barriers, 2 * place, 1);
                WarpBarrier.init(barriers, 2 * places + 2 * place, readers);
            }
        }
        context.localBarrier();
        int sum = 0;
        for (int t = 0; t < TILES; t++) {
            int place = t % places;
            int full = 2 * place;
            int free = 2 * places + 2 * place;
            if (warp == 0) {
                if (t >= places) {
                    WarpBarrier.await(barriers, free, t / places - 1);
                }
                tile[32 * place + lane] = 100 * t + lane;
                WarpBarrier.arrive(barriers, full);
            } else {
                WarpBarrier.await(barriers, full, t / places);
                sum += tile[32 * place + 31 - lane];
                WarpBarrier.arrive(barriers, free);
            }
        }
        out.set(context.globalIdx, sum);
    }

    @ParameterizedTest
    @CsvSource({"64, 1, 0", "64, 3, 1", "128, 1, 2", "128, 2, 3", "256, 3, 4", "256, 8, 5"})
    void tilesPassFromOneWarpToOthers(int items, int places, long seed) {
        IntArray out = new IntArray(2 * items);
        TaskGraph graph = new TaskGraph("pipeline")
                .task("kernel", WarpBarrierTest::pipeline, new KernelContext(), out, places)
                .transferToHost(EVERY_EXECUTION, out);
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withSeed(seed))) {
            Plans.run(graph, Plans.grid(2 * items, items));
        }
        for (int i = 0; i < out.getSize(); i++) {
            int lane = i % 32;
            int expected = i % items < 32 ? 0 : 100 * TILES * (TILES - 1) / 2 + TILES * (31 - lane);
            assertThat(out.get(i)).as("work-item %d", i).isEqualTo(expected);
        }
    }

    /** What warp 0 wrote reaches warp 2 through warp 1. */
    static void passesOn(KernelContext context, IntArray out) {
        int[] tile = context.allocateIntLocalArray(32);
        int[] barriers = context.allocateIntLocalArray(4);
        int warp = context.localIdx / 32;
        int lane = context.localIdx % 32;
        if (context.localIdx == 0) {
            WarpBarrier.init(barriers, 0, 1);
            WarpBarrier.init(barriers, 2, 1);
        }
        context.localBarrier();
        if (warp == 0) {
            tile[lane] = lane;
            WarpBarrier.arrive(barriers, 0);
        } else if (warp == 1) {
            WarpBarrier.await(barriers, 0, 0);
            WarpBarrier.arrive(barriers, 2);
        } else {
            WarpBarrier.await(barriers, 2, 0);
            out.set(lane, tile[31 - lane]);
        }
    }

    @Test
    void whatAWarpKnowsItPassesOn() {
        IntArray out = new IntArray(32);
        TaskGraph graph = new TaskGraph("passes")
                .task("kernel", WarpBarrierTest::passesOn, new KernelContext(), out)
                .transferToHost(EVERY_EXECUTION, out);
        Plans.run(graph, Plans.grid(96, 96));
        for (int i = 0; i < 32; i++) {
            assertThat(out.get(i)).isEqualTo(31 - i);
        }
    }

    /** Lanes of a warp exchange numbers, with a barrier between them or without. */
    static void exchanges(KernelContext context, IntArray out, int arrives) {
        int[] tile = context.allocateIntLocalArray(32);
        tile[context.localIdx] = 0;
        int[] barriers = made(context, context.allocateIntLocalArray(4), 1);
        tile[context.localIdx] = context.localIdx;
        if (arrives == 1) {
            WarpBarrier.arrive(barriers, 0);
        }
        out.set(context.localIdx, tile[(context.localIdx + 31) % 32]);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void lanesOfAWarpNeedABarrierToo(int arrives) {
        IntArray out = new IntArray(32);
        TaskGraph graph = new TaskGraph("exchange")
                .task("kernel", WarpBarrierTest::exchanges, new KernelContext(), out, arrives)
                .transferToHost(EVERY_EXECUTION, out);
        SimulatorFaultException fault = Plans.fault(graph, Plans.grid(32, 32));
        if (arrives == 0) {
            assertFault(fault, FaultKind.LOCAL_RACE, "tile[", "since the last barrier");
        } else {
            assertThat(fault).isNull();
            assertThat(out.get(6)).isEqualTo(5);
        }
    }

    private static SimulatorFaultException fault(int items, Task2<KernelContext, IntArray> kernel) {
        IntArray array = new IntArray(512);
        TaskGraph graph = new TaskGraph("planted").task("kernel", kernel, new KernelContext(), array);
        SimulatorFaultException fault = Assertions.assertTimeoutPreemptively(
                Duration.ofMinutes(2), () -> Plans.fault(graph, Plans.grid(items, items)));
        assertThat(fault).as("the planted fault").isNotNull();
        return fault;
    }

    private static void assertFault(SimulatorFaultException fault, FaultKind kind, String... parts) {
        assertThat(fault).as("the planted fault").isNotNull();
        assertThat(fault.kind()).as(fault.getMessage()).isEqualTo(kind);
        for (String part : parts) {
            assertThat(fault).hasMessageContaining(part);
        }
    }

    static void doesNotWaitForTheTile(KernelContext context, IntArray array) {
        int[] tile = context.allocateIntLocalArray(32);
        int[] barriers = made(context, context.allocateIntLocalArray(4), 1);
        int lane = context.localIdx % 32;
        if (context.localIdx < 32) {
            tile[lane] = 1;
            WarpBarrier.arrive(barriers, 0);
        } else {
            array.set(context.localIdx, tile[31 - lane]);
        }
    }

    static void doesNotWaitForTheReaders(KernelContext context, IntArray array) {
        int[] tile = context.allocateIntLocalArray(32);
        int[] barriers = made(context, context.allocateIntLocalArray(4), 1);
        int lane = context.localIdx % 32;
        if (context.localIdx < 32) {
            tile[lane] = 1;
            WarpBarrier.arrive(barriers, 0);
            WarpBarrier.await(barriers, 2, 0);
            tile[lane] = 2;
        } else {
            WarpBarrier.await(barriers, 0, 0);
            if (context.localIdx < 64) {
                WarpBarrier.arrive(barriers, 2);
            }
            array.set(context.localIdx, tile[31 - lane]);
        }
    }

    static void waitsForOneReaderOfTwo(KernelContext context, IntArray array) {
        int[] tile = context.allocateIntLocalArray(32);
        int[] barriers = made(context, context.allocateIntLocalArray(4), 1);
        int lane = context.localIdx % 32;
        if (context.localIdx < 32) {
            tile[lane] = 1;
            WarpBarrier.arrive(barriers, 0);
            WarpBarrier.await(barriers, 2, 0);
            tile[lane] = 2;
        } else {
            WarpBarrier.await(barriers, 0, 0);
            array.set(context.localIdx, tile[31 - lane]);
            if (context.localIdx < 64) {
                WarpBarrier.arrive(barriers, 2);
            }
        }
    }

    /** Two barriers for so many warps each. */
    private static int[] made(KernelContext context, int[] barriers, int warps) {
        if (context.localIdx == 0) {
            WarpBarrier.init(barriers, 0, warps);
            WarpBarrier.init(barriers, 2, warps);
        }
        context.localBarrier();
        return barriers;
    }

    @Test
    void aTileIsGuardedByItsBarriers() {
        assertFault(
                fault(64, WarpBarrierTest::doesNotWaitForTheTile),
                FaultKind.LOCAL_RACE,
                "tile[",
                "since the last barrier");
        assertFault(
                fault(64, WarpBarrierTest::doesNotWaitForTheReaders),
                FaultKind.LOCAL_RACE,
                "tile[",
                "since the last barrier");
        assertFault(
                fault(96, WarpBarrierTest::waitsForOneReaderOfTwo),
                FaultKind.LOCAL_RACE,
                "tile[",
                "since the last barrier");
    }

    static void waitsForTooMany(KernelContext context, IntArray array) {
        int[] barriers = made(context, context.allocateIntLocalArray(4), 3);
        WarpBarrier.arrive(barriers, 2);
        if (context.localIdx < 32) {
            WarpBarrier.await(barriers, 2, 0);
        }
        array.set(context.localIdx, 1);
    }

    @Test
    void aPhaseThatNeverEndsIsExplained() {
        assertFault(
                fault(64, WarpBarrierTest::waitsForTooMany),
                FaultKind.DIVERGENT_BARRIER,
                "work-items 0-31 wait for phase 0 of the barrier",
                "[2] (2 of 3 warps have arrived) at WarpBarrierTest.java:",
                "work-items 32-63 returned",
                "nobody is left who could");
    }

    static void arrivesInABranch(KernelContext context, IntArray array) {
        int[] barriers = made(context, context.allocateIntLocalArray(4), 1);
        if (context.localIdx < 20) {
            WarpBarrier.arrive(barriers, 0);
        }
        array.set(context.localIdx, 1);
    }

    static void arrivesHereAndThere(KernelContext context, IntArray array) {
        int[] barriers = made(context, context.allocateIntLocalArray(4), 1);
        WarpBarrier.arrive(barriers, context.localIdx % 2 * 2);
        array.set(context.localIdx, 1);
    }

    @Test
    void allLanesOfAWarpUseABarrierTogether() {
        assertFault(
                fault(32, WarpBarrierTest::arrivesInABranch),
                FaultKind.DIVERGENT_COLLECTIVE,
                "work-items 0-19 wait in WarpBarrier.arrive at ",
                "work-items 20-31 returned");
        assertFault(
                fault(32, WarpBarrierTest::arrivesHereAndThere),
                FaultKind.ILLEGAL_OPERATION,
                "all lanes of a warp must use the same");
    }

    static void usesWhatWasNotMade(KernelContext context, IntArray array) {
        int[] barriers = context.allocateIntLocalArray(4);
        if (context.localIdx < 4) {
            barriers[context.localIdx] = 0;
        }
        context.localBarrier();
        WarpBarrier.arrive(barriers, 0);
        array.set(context.localIdx, 1);
    }

    static void doesNotWaitForItsMaker(KernelContext context, IntArray array) {
        int[] barriers = context.allocateIntLocalArray(4);
        if (context.localIdx == 0) {
            WarpBarrier.init(barriers, 0, 1);
        }
        WarpBarrier.arrive(barriers, 0);
        array.set(context.localIdx, 1);
    }

    static void makesNone(KernelContext context, IntArray array) {
        int[] barriers = context.allocateIntLocalArray(4);
        WarpBarrier.arrive(barriers, 0);
        array.set(context.localIdx, 1);
    }

    static void makesAtAnOddIndex(KernelContext context, IntArray array) {
        WarpBarrier.init(context.allocateIntLocalArray(4), 1, 1);
        array.set(context.localIdx, 1);
    }

    static void makesBehindTheEnd(KernelContext context, IntArray array) {
        WarpBarrier.init(context.allocateIntLocalArray(4), 4, 1);
        array.set(context.localIdx, 1);
    }

    static void makesForNobody(KernelContext context, IntArray array) {
        WarpBarrier.init(context.allocateIntLocalArray(4), 0, 0);
        array.set(context.localIdx, 1);
    }

    @Test
    void aBarrierIsMadeFirst() {
        assertFault(
                fault(32, WarpBarrierTest::doesNotWaitForItsMaker),
                FaultKind.LOCAL_RACE,
                "reads barriers[0], which work-item 0 wrote since the last barrier");
        assertFault(fault(32, WarpBarrierTest::makesNone), FaultKind.UNINITIALIZED_LOCAL, "reads barriers[0]");
        assertFault(
                fault(32, WarpBarrierTest::usesWhatWasNotMade),
                FaultKind.ILLEGAL_OPERATION,
                "uses barriers[0] as a barrier, which was not made; call WarpBarrier.init() first");
        assertFault(
                fault(32, WarpBarrierTest::makesAtAnOddIndex),
                FaultKind.ILLEGAL_OPERATION,
                "makes a barrier in local array 0[1]; the index must be even");
        assertFault(fault(32, WarpBarrierTest::makesBehindTheEnd), FaultKind.OUT_OF_BOUNDS, "Index 4 out of bounds");
        assertFault(
                fault(32, WarpBarrierTest::makesForNobody),
                FaultKind.ILLEGAL_OPERATION,
                "makes a barrier for 0 warps; it needs one at least");
    }

    static void waitsForThePhaseAfterNext(KernelContext context, IntArray array) {
        int[] barriers = made(context, context.allocateIntLocalArray(4), 1);
        WarpBarrier.arrive(barriers, 0);
        WarpBarrier.await(barriers, 0, 2);
        array.set(context.localIdx, 1);
    }

    static void waitsForThePhaseBeforeLast(KernelContext context, IntArray array) {
        int[] barriers = made(context, context.allocateIntLocalArray(4), 1);
        WarpBarrier.arrive(barriers, 0);
        WarpBarrier.arrive(barriers, 0);
        WarpBarrier.await(barriers, 0, 0);
        array.set(context.localIdx, 1);
    }

    @Test
    void aBarrierKnowsTwoPhases() {
        assertFault(
                fault(32, WarpBarrierTest::waitsForThePhaseAfterNext),
                FaultKind.ILLEGAL_OPERATION,
                "waits for phase 2 of the barrier",
                "which is in phase 1");
        assertFault(
                fault(32, WarpBarrierTest::waitsForThePhaseBeforeLast),
                FaultKind.ILLEGAL_OPERATION,
                "waits for phase 0 of the barrier",
                "which is in phase 2");
    }

    /**
     * Warps 4 to 7 copy ones, four at a time to two places; warps 0 to 3 multiply them by two, and 32 is the sum of 16.
     */
    static void copies(KernelContext context, ShortArray ones, FloatArray out, int mistake) {
        int[] tile = context.allocateIntLocalArray(2 * 32 * 16);
        int[] barriers = context.allocateIntLocalArray(8);
        if (context.localIdx == 0) {
            for (int place = 0; place < 2; place++) {
                WarpBarrier.initForCopies(barriers, 2 * place, 4);
                WarpBarrier.init(barriers, 4 + 2 * place, 4);
            }
        }
        context.localBarrier();
        int lane = context.localIdx % WarpGroup.LANES;
        if (context.localIdx >= WarpGroup.LANES) {
            for (int t = 0; t < TILES; t++) {
                if (t >= 2 && mistake != NOT_FREE) {
                    WarpBarrier.await(barriers, 4 + t % 2 * 2, t / 2 - 1);
                }
                Warp.copyAsync(tile, t % 2 * 2048 + 16 * lane, ones, 8 * lane, 16);
                if (mistake == PLAIN) {
                    WarpBarrier.arrive(barriers, t % 2 * 2);
                } else {
                    WarpBarrier.arriveWithCopies(barriers, t % 2 * 2);
                }
            }
        } else {
            int two = Warp.pack(Warp.F16, 2f, 2f);
            int[] a = {two, two, two, two};
            float[] sums = new float[4];
            for (int t = 0; t < TILES; t++) {
                if (mistake != NOT_FULL) {
                    WarpBarrier.await(barriers, t % 2 * 2, t / 2);
                }
                if (mistake != NOT_FENCED) {
                    WarpGroup.fenceLocalMemory();
                }
                WarpGroup.fence();
                WarpGroup.multiply(Warp.F16, sums, 8, a, 0, tile, t % 2 * 2048, 0, t);
                WarpGroup.commit();
                WarpGroup.await(0, sums, 4);
                if (mistake == COPIES_OF_NOBODY) {
                    WarpBarrier.arriveWithCopies(barriers, 4 + t % 2 * 2);
                } else {
                    WarpBarrier.arrive(barriers, 4 + t % 2 * 2);
                }
            }
            out.set(lane, sums[0]);
        }
    }

    private static final int NOT_FULL = 1;
    private static final int NOT_FREE = 2;
    private static final int NOT_FENCED = 3;
    private static final int PLAIN = 4;
    private static final int COPIES_OF_NOBODY = 5;

    private static TaskGraph copying(FloatArray out, int mistake) {
        ShortArray ones = new ShortArray(8 * WarpGroup.LANES);
        for (int i = 0; i < ones.getSize(); i++) {
            ones.set(i, (short) Bits.encode(Warp.F16, 1f));
        }
        return new TaskGraph("copying")
                .transferToDevice(EVERY_EXECUTION, ones)
                .task("kernel", WarpBarrierTest::copies, new KernelContext(), ones, out, mistake)
                .transferToHost(EVERY_EXECUTION, out);
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1, 2})
    void copiesAnnounceThemselves(long seed) {
        FloatArray out = new FloatArray(WarpGroup.LANES);
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withSeed(seed))) {
            Plans.run(copying(out, 0), Plans.grid(256, 256));
        }
        for (int i = 0; i < WarpGroup.LANES; i++) {
            assertThat(out.get(i)).isEqualTo(32f * TILES);
        }
    }

    private static SimulatorFaultException copyingFault(int mistake) {
        return Plans.fault(copying(new FloatArray(WarpGroup.LANES), mistake), Plans.grid(256, 256));
    }

    @Test
    void copiesAreAwaitedFencedAndNotOvertaken() {
        SimulatorFaultException tooEarly = copyingFault(NOT_FULL);
        assertThat(tooEarly).isNotNull();
        assertThat(tooEarly.kind()).isIn(FaultKind.UNINITIALIZED_LOCAL, FaultKind.LOCAL_RACE);
        assertFault(copyingFault(NOT_FREE), FaultKind.LOCAL_RACE, "tile[", "since the last barrier");
        assertFault(
                copyingFault(NOT_FENCED),
                FaultKind.ILLEGAL_OPERATION,
                "after it has waited for copies of others without WarpGroup.fenceLocalMemory()");
        assertFault(
                copyingFault(PLAIN),
                FaultKind.ILLEGAL_OPERATION,
                "which WarpBarrier.initForCopies() has made; call arriveWithCopies() there");
        assertFault(
                copyingFault(COPIES_OF_NOBODY),
                FaultKind.ILLEGAL_OPERATION,
                "which WarpBarrier.init() has made; make it with initForCopies()");
    }

    static void takesRegisters(KernelContext context, IntArray array) {
        WarpGroup.takeRegisters(context.localIdx / WarpGroup.LANES == 0 ? 24 : 248);
        array.set(context.localIdx, 1);
    }

    static void takesSome(KernelContext context, IntArray array) {
        WarpGroup.takeRegisters(100);
        array.set(context.localIdx, 1);
    }

    @Test
    void registersAreEights() {
        assertFault(
                fault(256, WarpBarrierTest::takesSome),
                FaultKind.ILLEGAL_OPERATION,
                "sets its registers to 100; it must be a multiple of 8 from 24 to 256");
        TaskGraph fits = new TaskGraph("fits")
                .task("kernel", WarpBarrierTest::takesRegisters, new KernelContext(), new IntArray(512));
        assertThat(Plans.fault(fits, Plans.grid(256, 256))).isNull();
    }

    @Test
    void aGroupHasSoManyRegisters() {
        assertFault(
                fault(512, WarpBarrierTest::takesRegisters),
                FaultKind.ILLEGAL_OPERATION,
                "the group's to 98304; there are 65536");
    }
}
