package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task3;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * A loop that does not end is told, with its line; one that is only long comes to its end. It runs last: a method whose
 * loop comes before its first array keeps the thread busy that looks for it, to the end of the JVM.
 */
@Timeout(60)
@Order(Integer.MAX_VALUE)
class EndlessLoopTest {

    private static final int ITEMS = 64;

    private final IntArray out = new IntArray(ITEMS);

    static void aroundABarrier(KernelContext context, IntArray out, int step) {
        while (true) {
            context.localBarrier(); // endless in aroundABarrier
            out.set(context.globalIdx, 1);
        }
    }

    static void aroundABarrierWithAWayOut(KernelContext context, IntArray out, int step) {
        int left = 3;
        while (left > 0) { // endless in aroundABarrierWithAWayOut
            context.localBarrier();
            out.set(context.globalIdx, left);
            left -= step;
        }
    }

    static void withoutAStep(KernelContext context, IntArray out, int step) {
        int sum = 0;
        for (int i = context.localIdx; i < 1000; i += step) { // endless in withoutAStep
            sum += i;
        }
        out.set(context.globalIdx, sum);
    }

    static void awayFromItsEnd(KernelContext context, IntArray out, int step) {
        int i = context.globalIdx;
        for (int j = 0; j >= 0; j = j + 1 & 0xffff) { // endless in awayFromItsEnd
            out.set(i, j);
        }
    }

    static void pastItsEnd(KernelContext context, IntArray out, int step) {
        int i = 1;
        while (i != 1000) { // endless in pastItsEnd
            i += 2;
        }
        out.set(context.globalIdx, i);
    }

    static void waitsForAnother(KernelContext context, IntArray out, int step) {
        int[] flag = context.allocateIntLocalArray(1);
        if (context.localIdx == 0) {
            flag[0] = 0;
        }
        context.localBarrier();
        if (context.localIdx == 0) {
            while (flag[0] == 0) { // endless in waitsForAnother
                out.set(context.globalIdx, 1);
            }
        } else {
            flag[0] = 1;
        }
    }

    static void inAMethod(KernelContext context, IntArray out, int step) {
        out.set(context.globalIdx, collatz(context.globalIdx));
    }

    private static int collatz(int from) {
        int n = from;
        int turns = 0;
        while (n != 1) { // endless in inAMethod
            n = n % 2 == 0 ? n / 2 : 3 * n + 1;
            turns++;
        }
        return turns;
    }

    private static Stream<Arguments> endless() {
        return Stream.of(
                Arguments.of(
                        "aroundABarrier", (Task3<KernelContext, IntArray, Integer>) EndlessLoopTest::aroundABarrier),
                Arguments.of("aroundABarrierWithAWayOut", (Task3<KernelContext, IntArray, Integer>)
                        EndlessLoopTest::aroundABarrierWithAWayOut),
                Arguments.of("withoutAStep", (Task3<KernelContext, IntArray, Integer>) EndlessLoopTest::withoutAStep),
                Arguments.of(
                        "awayFromItsEnd", (Task3<KernelContext, IntArray, Integer>) EndlessLoopTest::awayFromItsEnd),
                Arguments.of("pastItsEnd", (Task3<KernelContext, IntArray, Integer>) EndlessLoopTest::pastItsEnd),
                Arguments.of(
                        "waitsForAnother", (Task3<KernelContext, IntArray, Integer>) EndlessLoopTest::waitsForAnother),
                Arguments.of("inAMethod", (Task3<KernelContext, IntArray, Integer>) EndlessLoopTest::inAMethod));
    }

    /** In one group: several would each be in the loop for as long. */
    private SimulatorFaultException fault(Task3<KernelContext, IntArray, Integer> kernel, int step) {
        return Plans.fault(
                new TaskGraph("loops")
                        .task("kernel", kernel, new KernelContext(), out, step)
                        .transferToHost(EVERY_EXECUTION, out),
                Plans.grid(ITEMS, ITEMS));
    }

    /** The line of this file that is marked. */
    private static int lineOf(String name) throws IOException {
        String file = EndlessLoopTest.class.getName().replace('.', '/') + ".java";
        List<String> lines = Files.readAllLines(Path.of("src/simulator/test/java", file));
        return 1
                + IntStream.range(0, lines.size())
                        .filter(i -> lines.get(i).endsWith("// endless in " + name))
                        .findFirst()
                        .orElseThrow();
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("endless")
    void anEndlessLoopIsTold(String name, Task3<KernelContext, IntArray, Integer> kernel) throws IOException {
        SimulatorFaultException fault = fault(kernel, 0);
        assertThat(fault).as("the endless loop").isNotNull();
        assertThat(fault.kind()).isEqualTo(FaultKind.ENDLESS_LOOP);
        assertThat(fault)
                .hasMessageContaining(
                        "loop without an end: in kernel " + name + " (EndlessLoopTest.java:" + lineOf(name) + ")")
                .hasMessageContaining("work-item 0 of group (0,0,0)");
        assertThat(fault.getMessage())
                .containsPattern("that there is no way out of|in a loop for " + promisedSeconds() + " s;");
    }

    /** What a loop may take, of its own time: two seconds at most, as long as nobody allows more. */
    private static long promisedSeconds() {
        long seconds = Simulator.settings().loopSeconds();
        assertThat(seconds).isLessThanOrEqualTo(2);
        return seconds;
    }

    static void inAParallelLoop(IntArray out, int step) {
        for (@Parallel int i = 0; i < out.getSize(); i++) {
            for (int j = 0; j < 10; j += step) {
                out.set(i, j);
            }
        }
    }

    @Test
    void anEndlessLoopInAParallelOneIsTold() {
        SimulatorFaultException fault = Plans.fault(new TaskGraph("loops")
                .task("kernel", EndlessLoopTest::inAParallelLoop, out, 0)
                .transferToHost(EVERY_EXECUTION, out));
        assertThat(fault).as("the endless loop").isNotNull();
        assertThat(fault.kind()).isEqualTo(FaultKind.ENDLESS_LOOP);
        assertThat(fault).hasMessageContaining("in kernel inAParallelLoop (EndlessLoopTest.java:");
        assertThat(fault).hasMessageContaining("work-item (i = 0)");
    }

    // From here on: loops that come to their ends.

    static void manyRightLoops(KernelContext context, IntArray out, int step) {
        int sum = 0;
        for (int i = 0; i < 10; i += step) {
            for (int j = 1024; j > 0; j >>= 1) {
                sum++;
            }
            for (int j = 1; j < 1000; j *= 2) {
                if (j == 4) {
                    continue;
                }
                sum++;
            }
        }
        int low = 0;
        int high = 1000;
        while (low < high) {
            int middle = low + high >>> 1;
            if (middle < 700) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        int rounds = 0;
        while (true) {
            rounds++;
            context.localBarrier();
            if (rounds == 300) {
                break;
            }
        }
        out.set(context.globalIdx, sum + low + rounds);
    }

    static void countsForLong(KernelContext context, IntArray out, int step) {
        int last = 0;
        for (int i = 0; i < 300_000_000; i += step) {
            last = last * 31 + out.getSize();
        }
        out.set(context.globalIdx, last);
    }

    static void searchesOften(KernelContext context, IntArray out, int step) {
        int sum = 0;
        for (int i = 0; i < 1_500_000; i += step) {
            int n = i;
            while (n % 256 != 0) {
                n++;
            }
            sum += n - i;
        }
        out.set(context.globalIdx, sum);
    }

    @Test
    void loopsThatEndAreLeftAlone() {
        assertThat(fault(EndlessLoopTest::manyRightLoops, 1)).isNull();
        assertThat(out.get(1)).isEqualTo(10 * (11 + 9) + 700 + 300);
    }

    static void stalls(KernelContext context, IntArray out, int step) {
        int n = 1;
        while (n % 8192 != 0) {
            n += step;
            if (n == 4096) {
                LockSupport.parkNanos(Duration.ofMillis(1200).toNanos());
            }
        }
        out.set(context.globalIdx, n);
    }

    /** A thread that does not run is in no loop, on a machine with too much to do or in a debugger. */
    @Test
    void aStallIsNoLoop() {
        Task3<KernelContext, IntArray, Integer> kernel = EndlessLoopTest::stalls;
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withoutCheck(Check.COMPILABLE))) {
            Plans.run(
                    new TaskGraph("loops")
                            .task("kernel", kernel, new KernelContext(), out, 1)
                            .transferToHost(EVERY_EXECUTION, out),
                    Plans.grid(1, 1));
        }
        assertThat(out.get(0)).isEqualTo(8192);
    }

    @Test
    void aLoopThatCountsMayTakeItsTime() {
        Task3<KernelContext, IntArray, Integer> counts = EndlessLoopTest::countsForLong;
        Task3<KernelContext, IntArray, Integer> searches = EndlessLoopTest::searchesOften;
        for (Task3<KernelContext, IntArray, Integer> kernel :
                Stream.of(counts, searches).toList()) {
            Plans.run(
                    new TaskGraph("loops")
                            .task("kernel", kernel, new KernelContext(), out, 1)
                            .transferToHost(EVERY_EXECUTION, out),
                    Plans.grid(2, 2));
        }
        assertThat(out.get(1))
                .isEqualTo(IntStream.range(0, 1_500_000)
                        .map(i -> (256 - i % 256) % 256)
                        .sum());
    }
}
