package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task3;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Loops of which TornadoVM 5.2.0 makes other ones are told before the kernel runs. Each kernel was given to it, with
 * its OpenCL backend on PoCL and 64 work-items over random numbers: those of {@link #changed} gave wrong numbers, the
 * others right ones.
 */
class DeviceLoopsTest {

    private static final String BRANCH_FIRST = "takes the first branch for the loop's condition";
    private static final String OTHER_VALUE = "leaves a loop with another value in ";
    private static final String HANDS_ON = "hands the value of ";
    private static final String LOSES = "loses what comes after it";
    private static final String TWO_AT_ONCE = "leaves two loops at once";

    private final IntArray x = new IntArray(128);
    private final IntArray out = new IntArray(16);

    static void choiceInCondition(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int n = 0;
        for (int r = 0; r < (r % 2 == 0 ? x.get(i) : x.get(i + 64)); r++) {
            n += r;
        }
        out.set(i, n);
    }

    static void orInCondition(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int n = 0;
        for (int k = 0; k < 3 || k < x.get(i); k++) {
            n += k;
        }
        out.set(i, n);
    }

    static void branchBeforeTheEnd(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int n = 0;
        int k = 0;
        do {
            n += x.get(i + k) > 10 ? 2 * k : x.get(i);
            k++;
        } while (n < 20);
        out.set(i, n);
    }

    static void continuesFirst(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int n = 0;
        int k = 0;
        do {
            k++;
            if (x.get(i + k) > 10) {
                continue;
            }
            n += 5;
        } while (k < 20);
        out.set(i, n);
    }

    private static boolean between(int value) {
        return value > 3 && value < 20;
    }

    static void branchInACall(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int n = 0;
        while (between(x.get(i + n))) {
            n++;
        }
        out.set(i, n);
    }

    static void found(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int found = -1;
        for (int r = 0; r < x.get(i); r++) {
            if (x.get(i + r) == 7) {
                found = r;
                break;
            }
        }
        out.set(i, found);
    }

    static void foundAndStored(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int found = -1;
        for (int r = 0; r < x.get(i); r++) {
            if (x.get(i + r) == 7) {
                found = r;
                x.set(i, r);
                break;
            }
        }
        out.set(i, found);
    }

    static void sumUntil(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int sum = 0;
        for (int r = 0; r < x.get(i); r++) {
            sum += r;
            if (x.get(i + r) == 7) {
                break;
            }
            sum += 2;
        }
        out.set(i, sum);
    }

    static void twoBreaks(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int n = 0;
        int k = 0;
        while (true) {
            if (x.get(i + k) == 7) {
                break;
            }
            n += x.get(i + k) > 10 ? k : x.get(i);
            k++;
            if (k > 20) {
                break;
            }
        }
        out.set(i, n * 100 + k);
    }

    private static int find(IntArray x, int i) {
        for (int r = 0; r < x.get(i); r++) {
            if (x.get(i + r) == 7) {
                return r;
            }
        }
        return -1;
    }

    static void returnsFromACall(KernelContext context, IntArray x, IntArray out) {
        out.set(context.globalIdx, find(x, context.globalIdx));
    }

    static void breaksTwoLoops(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int n = 0;
        outer:
        for (int r = 0; r < x.get(i); r++) {
            for (int s = 0; s < x.get(i + 1); s++) {
                if (x.get(i + r * 3 + s) == 7) {
                    break outer;
                }
                n += s + 1;
            }
            n *= 2;
        }
        out.set(i, n);
    }

    static void continuesTheOuterLoop(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int n = 0;
        outer:
        for (int r = 0; r < x.get(i); r++) {
            for (int s = 0; s < x.get(i + 1); s++) {
                if (x.get(i + r * 3 + s) == 7) {
                    continue outer;
                }
                n += s + 1;
            }
            n *= 2;
        }
        out.set(i, n);
    }

    static void beginsWithALoop(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int n = 0;
        int k = 0;
        do {
            for (int r = 0; r < x.get(i + k); r++) {
                n += r;
            }
            k++;
        } while (n < 200 && k < 20);
        out.set(i, n * 100 + k);
    }

    static void changePlaces(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int a = x.get(i);
        int b = x.get(i + 1);
        for (int r = 0; r < x.get(i + 2); r++) {
            int kept = a;
            a = b;
            b = kept;
        }
        out.set(i, a * 100 + b);
    }

    static void handsOn(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int newest = 0;
        int older = 0;
        for (int r = 0; r < x.get(i); r++) {
            older = newest;
            newest = x.get(i + r);
        }
        out.set(i, newest * 100 + older);
    }

    static void handsOnDeclaredFirst(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int older = 0;
        int newest = 0;
        for (int r = 0; r < x.get(i); r++) {
            older = newest;
            newest = x.get(i + r);
        }
        out.set(i, newest * 100 + older);
    }

    static void handsOnInFewTurns(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int newest = 0;
        int older = 0;
        for (int r = 0; r < 4; r++) {
            older = newest;
            newest = x.get(i + r);
        }
        out.set(i, newest * 100 + older);
    }

    static void andInCondition(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int found = -1;
        for (int r = 0; r < x.get(i) && found < 0; r++) {
            if (x.get(i + r) == 7) {
                found = r;
            }
        }
        out.set(i, found);
    }

    static void constantsInCondition(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int n = 0;
        for (int k = 0; k < (x.get(i + k) > 10 ? 9 : 5); k++) {
            n += k;
        }
        out.set(i, n);
    }

    static void smallerOfTwo(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int a = x.get(i);
        int b = x.get(i + 1);
        int n = 0;
        for (int k = 0; k < (a < b ? a : b); k++) {
            n += k;
        }
        out.set(i, n);
    }

    static void breaksWithTheSameValues(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int n = 0;
        int r = 0;
        while (r < x.get(i)) {
            if (x.get(i + r) > 17) {
                break;
            }
            n += x.get(i + r);
            r++;
        }
        out.set(i, n * 100 + r);
    }

    static void returnsFromTheKernel(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int n = 0;
        for (int r = 0; r < x.get(i); r++) {
            if (x.get(i + r) > 17) {
                out.set(i, n);
                return;
            }
            n += x.get(i + r);
        }
        out.set(i, n + 1000);
    }

    private static boolean isNotSeven(int value) {
        return value != 7;
    }

    static void comparesInACall(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int n = 0;
        while (isNotSeven(x.get(i + n))) {
            n++;
        }
        out.set(i, n);
    }

    private static int sumBefore(IntArray x, int i, int count) {
        int sum = 0;
        for (int r = 0; r < 20; r++) {
            if (r == count) {
                return sum;
            }
            sum += x.get(i + r);
        }
        return sum;
    }

    static void returnsTheSame(KernelContext context, IntArray x, IntArray out) {
        out.set(context.globalIdx, sumBefore(x, context.globalIdx, x.get(context.globalIdx)));
    }

    private static int times(int few) {
        return few < 3 ? few * 5 : few < 7 ? few + 2 : few;
    }

    private static int sumOf(int few, int more) {
        int sum = more;
        for (int k = 0; k < times(few); k++) {
            sum += k;
        }
        return sum;
    }

    static void callsWithConstants(KernelContext context, IntArray x, IntArray out) {
        out.set(context.globalIdx, sumOf(2, x.get(context.globalIdx)));
    }

    static void comparesAtTheEnd(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int n = 0;
        int k = 0;
        do {
            for (int r = 0; r < x.get(i + k); r++) {
                n += r;
            }
            k++;
        } while (n < 40);
        out.set(i, n * 100 + k);
    }

    static void manyBranches(KernelContext context, IntArray x, IntArray out) {
        int i = context.globalIdx;
        int n = 0;
        int m = 0;
        for (int r = 0; r < x.get(i); r++) {
            int v = x.get(i + r);
            if (v < 5 || v == 12) {
                m++;
                continue;
            }
            n += v > 15 ? m : v;
            m = n & 3;
        }
        out.set(i, n * 10 + m);
    }

    private static Arguments kernel(String name, Task3<KernelContext, IntArray, IntArray> kernel, String words) {
        return Arguments.of(name, kernel, words);
    }

    private static Stream<Arguments> changed() {
        return Stream.of(
                kernel("choiceInCondition", DeviceLoopsTest::choiceInCondition, BRANCH_FIRST),
                kernel("orInCondition", DeviceLoopsTest::orInCondition, BRANCH_FIRST),
                kernel("branchBeforeTheEnd", DeviceLoopsTest::branchBeforeTheEnd, BRANCH_FIRST),
                kernel("continuesFirst", DeviceLoopsTest::continuesFirst, BRANCH_FIRST),
                kernel("branchInACall", DeviceLoopsTest::branchInACall, "goes on by between, which has branches"),
                kernel("found", DeviceLoopsTest::found, OTHER_VALUE + "found "),
                kernel("foundAndStored", DeviceLoopsTest::foundAndStored, OTHER_VALUE + "found "),
                kernel("sumUntil", DeviceLoopsTest::sumUntil, OTHER_VALUE + "sum "),
                kernel("twoBreaks", DeviceLoopsTest::twoBreaks, OTHER_VALUE + "n "),
                kernel("returnsFromACall", DeviceLoopsTest::returnsFromACall, "returns from within a loop"),
                kernel("breaksTwoLoops", DeviceLoopsTest::breaksTwoLoops, OTHER_VALUE + "n "),
                kernel("continuesTheOuterLoop", DeviceLoopsTest::continuesTheOuterLoop, TWO_AT_ONCE),
                kernel("beginsWithALoop", DeviceLoopsTest::beginsWithALoop, LOSES),
                kernel("changePlaces", DeviceLoopsTest::changePlaces, HANDS_ON + "a on to b "),
                kernel("handsOn", DeviceLoopsTest::handsOn, HANDS_ON + "newest on to older "));
    }

    private static Stream<Arguments> kept() {
        return Stream.of(
                kernel("handsOnDeclaredFirst", DeviceLoopsTest::handsOnDeclaredFirst, ""),
                kernel("handsOnInFewTurns", DeviceLoopsTest::handsOnInFewTurns, ""),
                kernel("andInCondition", DeviceLoopsTest::andInCondition, ""),
                kernel("constantsInCondition", DeviceLoopsTest::constantsInCondition, ""),
                kernel("smallerOfTwo", DeviceLoopsTest::smallerOfTwo, ""),
                kernel("breaksWithTheSameValues", DeviceLoopsTest::breaksWithTheSameValues, ""),
                kernel("returnsFromTheKernel", DeviceLoopsTest::returnsFromTheKernel, ""),
                kernel("comparesInACall", DeviceLoopsTest::comparesInACall, ""),
                kernel("returnsTheSame", DeviceLoopsTest::returnsTheSame, ""),
                kernel("callsWithConstants", DeviceLoopsTest::callsWithConstants, ""),
                kernel("comparesAtTheEnd", DeviceLoopsTest::comparesAtTheEnd, ""),
                kernel("manyBranches", DeviceLoopsTest::manyBranches, ""));
    }

    private TaskGraph graph(Task3<KernelContext, IntArray, IntArray> kernel) {
        x.init(7);
        return new TaskGraph("loops")
                .transferToDevice(EVERY_EXECUTION, x, out)
                .task("kernel", kernel, new KernelContext(), x, out)
                .transferToHost(EVERY_EXECUTION, out);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("changed")
    void aLoopThatBecomesAnotherIsTold(String name, Task3<KernelContext, IntArray, IntArray> kernel, String words) {
        SimulatorFaultException fault = Plans.fault(graph(kernel), Plans.grid(16, 16));
        assertThat(fault).as("the fault").isNotNull();
        assertThat(fault.kind()).isEqualTo(FaultKind.NOT_COMPILABLE);
        assertThat(fault)
                .hasMessageContaining("kernel " + name + " (DeviceLoopsTest.java:")
                .hasMessageContaining(words);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("kept")
    void aLoopThatStaysWhatItIsIsLeftAlone(String name, Task3<KernelContext, IntArray, IntArray> kernel, String words) {
        assertThat(Plans.fault(graph(kernel), Plans.grid(16, 16))).as(name).isNull();
    }
}
