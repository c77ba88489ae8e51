package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.stream.Stream;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task2;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task3;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * What work-items hand each other through device memory: found whatever the order in which they happen to run, and
 * kernels that do it right stay silent.
 */
class GlobalExchangeTest {

    private static final int SIZE = 256;
    private static final int GROUP = 64;

    static void addsUpWhatOtherGroupsWrite(KernelContext context, FloatArray in, FloatArray partial) {
        if (context.localIdx == 0) {
            float sum = 0f;
            for (int i = 0; i < GROUP; i++) {
                sum += in.get(context.groupIdx * GROUP + i);
            }
            partial.set(1 + context.groupIdx, sum);
        }
        context.globalBarrier();
        if (context.globalIdx == 0) {
            float total = 0f;
            for (int g = 0; g < SIZE / GROUP; g++) {
                total += partial.get(1 + g);
            }
            partial.set(0, total);
        }
    }

    static void readsWhatOtherGroupsAdd(KernelContext context, FloatArray in, FloatArray out) {
        context.atomicAdd(out, 0, in.get(context.globalIdx));
        context.globalBarrier();
        out.set(1 + context.globalIdx % GROUP, out.get(0));
    }

    static void shiftsInALoop(FloatArray in, FloatArray out) {
        for (@Parallel int i = 0; i < SIZE; i++) {
            out.set(i, in.get((i + 64) % SIZE));
        }
    }

    static void shifts(KernelContext context, FloatArray in, FloatArray out) {
        out.set(context.globalIdx, in.get((context.globalIdx + 64) % SIZE));
    }

    static void shiftsByOne(KernelContext context, FloatArray in, FloatArray out) {
        int i = context.globalIdx;
        out.set(i, in.get(i % GROUP == GROUP - 1 ? i : i + 1));
    }

    static void shiftsByMinusOne(KernelContext context, FloatArray in, FloatArray out) {
        int i = context.globalIdx;
        out.set(i, in.get(i % GROUP == 0 ? i : i - 1));
    }

    static void shiftsInMethods(KernelContext context, FloatArray in, FloatArray out) {
        store(context.globalIdx, load((context.globalIdx + 64) % SIZE, in), out);
    }

    private static float load(int index, FloatArray array) {
        return array.get(index);
    }

    private static void store(int index, float value, FloatArray array) {
        array.set(index, value);
    }

    static void shiftsThroughAMethod(KernelContext context, FloatArray in, FloatArray out) {
        store(context.globalIdx, in.get((context.globalIdx + 1) % SIZE), out);
    }

    static void exchangesWithoutABarrier(KernelContext context, FloatArray in, FloatArray scratch) {
        int i = context.globalIdx;
        scratch.set(i, in.get(i));
        scratch.set(i, scratch.get(i ^ 1));
    }

    static void overwritesWhatOthersStillRead(KernelContext context, FloatArray in, FloatArray scratch) {
        int i = context.globalIdx;
        scratch.set(i, in.get(i));
        context.globalBarrier();
        float next = scratch.get(i ^ 1);
        scratch.set(i, next);
    }

    static void allWriteOneElement(KernelContext context, FloatArray in, FloatArray out) {
        out.set(context.groupIdx, in.get(context.globalIdx));
    }

    static void iterationsWriteOneElement(FloatArray in, FloatArray out) {
        for (@Parallel int i = 0; i < SIZE; i++) {
            out.set(i % 64, in.get(i));
        }
    }

    private static Stream<Arguments> races() {
        return Stream.of(
                Arguments.of(
                        "addsUpWhatOtherGroupsWrite",
                        (Task3<KernelContext, FloatArray, FloatArray>) GlobalExchangeTest::addsUpWhatOtherGroupsWrite,
                        false,
                        "partial["),
                Arguments.of(
                        "readsWhatOtherGroupsAdd",
                        (Task3<KernelContext, FloatArray, FloatArray>) GlobalExchangeTest::readsWhatOtherGroupsAdd,
                        false,
                        "out[0]"),
                Arguments.of(
                        "shifts",
                        (Task3<KernelContext, FloatArray, FloatArray>) GlobalExchangeTest::shifts,
                        true,
                        "in the same launch"),
                Arguments.of(
                        "shiftsByOne",
                        (Task3<KernelContext, FloatArray, FloatArray>) GlobalExchangeTest::shiftsByOne,
                        true,
                        "read since the last barrier; put a globalBarrier()"),
                Arguments.of(
                        "shiftsByMinusOne",
                        (Task3<KernelContext, FloatArray, FloatArray>) GlobalExchangeTest::shiftsByMinusOne,
                        true,
                        "wrote since the last barrier; put a globalBarrier()"),
                Arguments.of(
                        "shiftsInMethods",
                        (Task3<KernelContext, FloatArray, FloatArray>) GlobalExchangeTest::shiftsInMethods,
                        true,
                        "in the same launch"),
                Arguments.of(
                        "shiftsThroughAMethod",
                        (Task3<KernelContext, FloatArray, FloatArray>) GlobalExchangeTest::shiftsThroughAMethod,
                        true,
                        "read since the last barrier"),
                Arguments.of(
                        "exchangesWithoutABarrier",
                        (Task3<KernelContext, FloatArray, FloatArray>) GlobalExchangeTest::exchangesWithoutABarrier,
                        false,
                        "scratch["),
                Arguments.of(
                        "overwritesWhatOthersStillRead",
                        (Task3<KernelContext, FloatArray, FloatArray>)
                                GlobalExchangeTest::overwritesWhatOthersStillRead,
                        false,
                        "scratch["),
                Arguments.of(
                        "allWriteOneElement",
                        (Task3<KernelContext, FloatArray, FloatArray>) GlobalExchangeTest::allWriteOneElement,
                        false,
                        "wrote another value since the last barrier; let one of them own the element"));
    }

    private static FloatArray numbers(int size) {
        FloatArray array = new FloatArray(size);
        for (int i = 0; i < size; i++) {
            array.set(i, i + 1);
        }
        return array;
    }

    private static SimulatorFaultException fault(
            Task3<KernelContext, FloatArray, FloatArray> kernel, boolean inPlace, int threads) {
        FloatArray in = numbers(SIZE);
        FloatArray out = inPlace ? in : numbers(SIZE);
        TaskGraph graph = new TaskGraph("race")
                .transferToDevice(EVERY_EXECUTION, in, out)
                .task("kernel", kernel, new KernelContext(), in, out)
                .transferToHost(EVERY_EXECUTION, out);
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withThreads(threads))) {
            return Plans.fault(graph, Plans.grid(SIZE, GROUP));
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("races")
    void aRaceIsFoundInTheNaturalOrderTooAndToldInWords(
            String name, Task3<KernelContext, FloatArray, FloatArray> kernel, boolean inPlace, String message) {
        for (int threads = 1; threads <= 3; threads++) {
            SimulatorFaultException fault = fault(kernel, inPlace, threads);
            assertThat(fault).as("the race of %s on %d threads", name, threads).isNotNull();
            assertThat(fault.kind()).isEqualTo(FaultKind.GLOBAL_RACE);
            assertThat(fault).hasMessageContaining(message);
        }
    }

    private static void assertLoopRaces(Task2<FloatArray, FloatArray> kernel, boolean inPlace) {
        FloatArray in = numbers(SIZE);
        FloatArray out = inPlace ? in : numbers(SIZE);
        SimulatorFaultException fault = Plans.fault(new TaskGraph("race")
                .transferToDevice(EVERY_EXECUTION, in, out)
                .task("kernel", kernel, in, out)
                .transferToHost(EVERY_EXECUTION, out));
        assertThat(fault).as("the planted race").isNotNull();
        assertThat(fault.kind()).isEqualTo(FaultKind.GLOBAL_RACE);
        assertThat(fault).hasMessageContaining("another iteration");
    }

    @Test
    void iterationsOfOneChunkRaceLikeOthers() {
        assertLoopRaces(GlobalExchangeTest::shiftsInALoop, true);
        assertLoopRaces(GlobalExchangeTest::iterationsWriteOneElement, false);
    }

    // From here on: kernels that are right.

    static void inPlace(KernelContext context, FloatArray in, FloatArray out) {
        int i = context.globalIdx;
        out.set(i, 2f * in.get(i));
        out.set(i, in.get(i) + 1f);
    }

    static void inPlaceInALoop(FloatArray in, FloatArray out) {
        for (@Parallel int i = 0; i < SIZE; i++) {
            out.set(i, 2f * in.get(i));
            out.set(i, in.get(i) + 1f);
        }
    }

    static void rowsInPlace(FloatArray in, FloatArray out) {
        for (@Parallel int row = 0; row < 16; row++) {
            float sum = 0f;
            for (int column = 0; column < 16; column++) {
                sum += in.get(16 * row + column);
            }
            for (int column = 0; column < 16; column++) {
                out.set(16 * row + column, in.get(16 * row + column) / sum);
            }
        }
    }

    static void nestedRowsInPlace(FloatArray in, FloatArray out) {
        for (@Parallel int row = 0; row < 16; row++) {
            for (@Parallel int column = 0; column < 16; column++) {
                out.set(16 * row + column, in.get(16 * row + column) + 1f);
                out.set(16 * row + column, in.get(16 * row + column) * 2f);
            }
        }
    }

    static void exchanges(KernelContext context, FloatArray in, FloatArray scratch) {
        int i = context.globalIdx;
        for (int round = 0; round < 3; round++) {
            float next = scratch.get(i ^ 1);
            context.globalBarrier();
            scratch.set(i, next + in.get(i));
            context.globalBarrier();
        }
    }

    static void oneItemSumsBehindABarrier(KernelContext context, FloatArray in, FloatArray scratch) {
        int i = context.globalIdx;
        scratch.set(i, in.get(i));
        context.globalBarrier();
        if (context.localIdx == 0) {
            float sum = 0f;
            for (int j = 0; j < GROUP; j++) {
                sum += scratch.get(i + j);
            }
            scratch.set(i, sum);
        }
        context.globalBarrier();
        float sum = scratch.get(context.groupIdx * GROUP);
        context.globalBarrier();
        scratch.set(i, sum);
    }

    static void sameValues(KernelContext context, FloatArray in, FloatArray out) {
        out.set(0, 7f);
        out.set(0, out.get(0));
        if (in.get(context.globalIdx) > 0f) {
            out.set(1, 1f);
        }
    }

    static void ownCounters(KernelContext context, FloatArray in, FloatArray out) {
        int i = context.globalIdx;
        context.atomicAdd(out, i, in.get(i));
        context.atomicAdd(out, i, out.get(i));
    }

    static void countersOfTheGroup(KernelContext context, FloatArray in, FloatArray out) {
        context.atomicAdd(out, context.groupIdx, in.get(context.globalIdx));
        context.globalBarrier();
        float sum = out.get(context.groupIdx);
        context.globalBarrier();
        context.atomicAdd(out, context.groupIdx, sum / GROUP);
        context.atomicAdd(out, SIZE - 1, 1f);
    }

    @ParameterizedTest
    @ValueSource(longs = {-1, 1, 2})
    void workItemsThatKeepToWhatIsTheirsAreNoRace(long seed) {
        SimulatorSettings settings = seed < 0
                ? Simulator.settings().withoutSeed()
                : Simulator.settings().withSeed(seed);
        try (Simulator.Restore _ = Simulator.configure(settings)) {
            assertThat(runInPlace(GlobalExchangeTest::inPlace).get(9)).isEqualTo(21f);
            assertThat(loopInPlace(GlobalExchangeTest::inPlaceInALoop).get(9)).isEqualTo(21f);
            assertThat(loopInPlace(GlobalExchangeTest::rowsInPlace).get(15)).isEqualTo(16f / 136f);
            assertThat(loopInPlace(GlobalExchangeTest::nestedRowsInPlace).get(255))
                    .isEqualTo(514f);
            assertThat(run(GlobalExchangeTest::exchanges).get(1)).isEqualTo(1 + 2 + 1 + 2);
            assertThat(run(GlobalExchangeTest::oneItemSumsBehindABarrier).get(70))
                    .isEqualTo(64 * 96.5f);
            assertThat(run(GlobalExchangeTest::sameValues).get(1)).isEqualTo(1f);
            assertThat(run(GlobalExchangeTest::ownCounters).get(3)).isEqualTo(16f);
            assertThat(run(GlobalExchangeTest::countersOfTheGroup).get(SIZE - 1))
                    .isEqualTo(512f);
        }
    }

    /** So many groups that threads meet at an element at the very same time. */
    @RepeatedTest(20)
    void groupsThatWriteTheSameValueAtTheSameTimeAreNoRace() {
        int size = 4096;
        FloatArray in = numbers(size);
        FloatArray out = numbers(size);
        try (Simulator.Restore _ =
                Simulator.configure(Simulator.settings().withoutSeed().withThreads(16))) {
            Plans.run(
                    new TaskGraph("right")
                            .transferToDevice(EVERY_EXECUTION, in, out)
                            .task("kernel", GlobalExchangeTest::sameValues, new KernelContext(), in, out)
                            .transferToHost(EVERY_EXECUTION, out),
                    Plans.grid(size, 2));
        }
        assertThat(out.get(0)).isEqualTo(7f);
        assertThat(out.get(1)).isEqualTo(1f);
    }

    private static FloatArray run(Task3<KernelContext, FloatArray, FloatArray> kernel) {
        FloatArray in = numbers(SIZE);
        FloatArray out = numbers(SIZE);
        Plans.run(
                new TaskGraph("right")
                        .transferToDevice(EVERY_EXECUTION, in, out)
                        .task("kernel", kernel, new KernelContext(), in, out)
                        .transferToHost(EVERY_EXECUTION, in, out),
                Plans.grid(SIZE, GROUP));
        return out;
    }

    private static FloatArray runInPlace(Task3<KernelContext, FloatArray, FloatArray> kernel) {
        FloatArray array = numbers(SIZE);
        Plans.run(
                new TaskGraph("right")
                        .transferToDevice(EVERY_EXECUTION, array)
                        .task("kernel", kernel, new KernelContext(), array, array)
                        .transferToHost(EVERY_EXECUTION, array),
                Plans.grid(SIZE, GROUP));
        return array;
    }

    private static FloatArray loopInPlace(Task2<FloatArray, FloatArray> kernel) {
        FloatArray array = numbers(SIZE);
        Plans.run(new TaskGraph("right")
                .transferToDevice(EVERY_EXECUTION, array)
                .task("kernel", kernel, array, array)
                .transferToHost(EVERY_EXECUTION, array));
        return array;
    }

    static void manyBarriers(KernelContext context, IntArray out, int rounds) {
        int i = context.globalIdx;
        for (int round = 0; round < rounds; round++) {
            int next = out.get(i ^ 1);
            context.globalBarrier();
            out.set(i, next + 1);
            context.globalBarrier();
        }
    }

    /** More barriers than a stamp has room for. */
    @Test
    void whatTheGroupDidLongAgoIsNoRace() {
        IntArray out = new IntArray(4);
        out.init(0);
        Plans.run(
                new TaskGraph("long")
                        .transferToDevice(EVERY_EXECUTION, out)
                        .task("kernel", GlobalExchangeTest::manyBarriers, new KernelContext(), out, 300_000)
                        .transferToHost(EVERY_EXECUTION, out),
                Plans.grid(4, 2));
        assertThat(out.get(3)).isEqualTo(300_000);
    }
}
