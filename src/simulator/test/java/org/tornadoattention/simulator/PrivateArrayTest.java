package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task2;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task3;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Java fills a new array with zeros and TornadoVM does not, so an element has to be written before it is read. */
class PrivateArrayTest {

    private final FloatArray out = new FloatArray(16);

    static void sumsIntoAnArray(KernelContext context, FloatArray out, int n) {
        float[] sum = new float[n];
        for (int i = 0; i < n; i++) {
            sum[i] += i;
        }
        out.set(context.globalIdx, sum[n - 1]);
    }

    static void skipsAnElement(KernelContext context, FloatArray out, int n) {
        int[] counts = new int[n];
        for (int i = 0; i < n; i++) {
            if (i != 3 || context.localIdx != 2) {
                counts[i] = i;
            }
        }
        int all = 0;
        for (int i = 0; i < n; i++) {
            all += counts[i];
        }
        out.set(context.globalIdx, all);
    }

    static void readsInAMethod(KernelContext context, FloatArray out, int n) {
        double[] row = new double[n];
        row[0] = 1;
        out.set(context.globalIdx, (float) last(row));
    }

    private static double last(double[] row) {
        return row[row.length - 1];
    }

    static void countsInLongs(KernelContext context, FloatArray out, int n) {
        long[] counts = new long[n];
        counts[1]++;
        out.set(context.globalIdx, counts[1]);
    }

    private static Arguments kernel(String name, Task3<KernelContext, FloatArray, Integer> kernel, String words) {
        return Arguments.of(name, kernel, words);
    }

    private static Stream<Arguments> faults() {
        return Stream.of(
                kernel(
                        "sumsIntoAnArray",
                        PrivateArrayTest::sumsIntoAnArray,
                        "work-item 0 of group (0,0,0) reads sum[0]"),
                kernel(
                        "skipsAnElement",
                        PrivateArrayTest::skipsAnElement,
                        "work-item 2 of group (0,0,0) reads counts[3]"),
                kernel("readsInAMethod", PrivateArrayTest::readsInAMethod, "reads a private array[7]"),
                kernel("countsInLongs", PrivateArrayTest::countsInLongs, "reads counts[1]"));
    }

    private TaskGraph graph(Task3<KernelContext, FloatArray, Integer> kernel) {
        return new TaskGraph("private")
                .task("kernel", kernel, new KernelContext(), out, 8)
                .transferToHost(EVERY_EXECUTION, out);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("faults")
    void aReadBeforeTheWriteIsTold(String name, Task3<KernelContext, FloatArray, Integer> kernel, String words) {
        SimulatorFaultException fault = Plans.fault(graph(kernel), Plans.grid(16, 8));
        assertThat(fault).as("the planted fault").isNotNull();
        assertThat(fault.kind()).isEqualTo(FaultKind.UNINITIALIZED_PRIVATE);
        assertThat(fault)
                .hasMessageContaining("in kernel " + name + " (PrivateArrayTest.java:")
                .hasMessageContaining(words);
    }

    static void inALoop(FloatArray out, int n) {
        for (@Parallel int i = 0; i < out.getSize(); i++) {
            float[] row = new float[n];
            out.set(i, row[i % n]);
        }
    }

    @Test
    void aReadInAParallelLoopIsTold() {
        Task2<FloatArray, Integer> kernel = PrivateArrayTest::inALoop;
        SimulatorFaultException fault = Plans.fault(
                new TaskGraph("private").task("kernel", kernel, out, 8).transferToHost(EVERY_EXECUTION, out));
        assertThat(fault).as("the planted fault").isNotNull();
        assertThat(fault.kind()).isEqualTo(FaultKind.UNINITIALIZED_PRIVATE);
        assertThat(fault).hasMessageContaining("work-item (i = 0) reads row[0]");
    }

    static void writesFirst(KernelContext context, FloatArray out, int n) {
        float[] row = new float[n];
        int[] marks = new int[n];
        int[] given = {1, 0, 3};
        for (int i = 0; i < n; i++) {
            row[i] = 0f;
            marks[i] = 0xA5E15A1E;
        }
        row[1] += marks[2] == 0xA5E15A1E ? given[0] + given[1] : 0f;
        boolean[] flags = new boolean[n];
        flags[0] = true;
        out.set(context.globalIdx, row[1] + (flags[0] ? 1f : 0f));
    }

    /** The number that marks elements may be a number that the kernel computes. */
    @Test
    void whoWritesFirstIsLeftAlone() {
        assertThat(Plans.fault(graph(PrivateArrayTest::writesFirst), Plans.grid(16, 8)))
                .isNull();
        assertThat(out.get(5)).isEqualTo(2f);
    }
}
