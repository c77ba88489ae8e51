package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Kernels of many forms: where they are declared, what they call, and how their code is laid out. */
class KernelCodeTest {

    private static final float[] TABLE = {1f, 10f, 100f};

    private static int callsOutsideOfKernels;

    static {
        callsOutsideOfKernels++;
    }

    private enum Operation {
        ADD,
        MULTIPLY
    }

    private record Pair(float left, float right) {

        float sum() {
            return left + right;
        }
    }

    private static final class Nested {

        private Nested() {}

        private static void apply(FloatArray in, FloatArray out, int operation) {
            for (@Parallel int i = 0; i < in.getSize(); i++) {
                out.set(i, compute(Operation.values()[operation], in.get(i)) + TABLE[i % 3]);
            }
        }
    }

    private static float compute(Operation operation, float value) {
        return switch (operation) {
            case ADD -> new Pair(value, 1f).sum();
            case MULTIPLY -> 2f * value;
        };
    }

    private interface InAnInterface {

        static void compute(FloatArray in, FloatArray out) {
            for (@Parallel int i = 0; i < in.getSize(); i++) {
                out.set(i, -in.get(i));
            }
        }
    }

    static void overloaded(FloatArray out, int value) {
        for (@Parallel int i = 0; i < out.getSize(); i++) {
            out.set(i, value);
        }
    }

    static void overloaded(FloatArray out, float value) {
        for (@Parallel int i = 0; i < out.getSize(); i++) {
            out.set(i, value + 0.5f);
        }
    }

    static int withAResult(IntArray out) {
        for (@Parallel int i = 0; i < out.getSize(); i++) {
            out.set(i, 7);
        }
        return 1;
    }

    static void earlyExits(KernelContext context, FloatArray in, FloatArray out, int n) {
        int id = context.globalIdx;
        if (id >= n) {
            return;
        }
        float sum = 0f;
        outer:
        for (int i = 0; ; i++) {
            for (int j = 0; j < 4; j++) {
                if (i * 4 + j >= id) {
                    break outer;
                }
                if (j == 2) {
                    continue outer;
                }
                sum += in.get(i * 4 + j);
            }
        }
        out.set(id, sum);
    }

    static void compoundAssignments(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(16);
        int[] counts = {0, 0};
        int id = context.localIdx;
        tile[id] = in.get(id);
        tile[id] += 2f;
        tile[id] *= tile[id]++;
        counts[id % 2]++;
        counts[id % 2] += id > 3 ? counts[0] : counts[1];
        do {
            counts[0]++;
        } while (counts[0] < 5);
        out.set(id, (id < 8 ? tile[id] : -tile[id]) + counts[id % 2]);
    }

    @Test
    void nestedClassesEnumsRecordsAndTables() {
        FloatArray in = FloatArray.fromElements(1f, 2f, 3f, 4f);
        FloatArray out = new FloatArray(4);
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withoutCheck(Check.COMPILABLE))) {
            for (int operation = 0; operation < 2; operation++) {
                KernelStatistics statistics = Plans.run(new TaskGraph("nested")
                        .transferToDevice(EVERY_EXECUTION, in)
                        .task("kernel", Nested::apply, in, out, operation)
                        .transferToHost(EVERY_EXECUTION, out));
                assertThat(statistics.counted()).isTrue();
                assertThat(out.toHeapArray())
                        .containsExactly(
                                operation == 0 ? new float[] {3f, 13f, 104f, 6f} : new float[] {3f, 14f, 106f, 9f});
            }
        }
        assertThat(callsOutsideOfKernels).isEqualTo(1);
    }

    @Test
    void staticMethodsOfInterfaces() {
        FloatArray in = FloatArray.fromElements(1f, 2f);
        FloatArray out = new FloatArray(2);
        assertThat(Plans.run(new TaskGraph("interface")
                                .transferToDevice(EVERY_EXECUTION, in)
                                .task("kernel", InAnInterface::compute, in, out)
                                .transferToHost(EVERY_EXECUTION, out))
                        .counted())
                .isTrue();
        assertThat(out.toHeapArray()).containsExactly(-1f, -2f);
    }

    @Test
    void overloadsAreToldApart() {
        FloatArray out = new FloatArray(2);
        KernelStatistics ints = Plans.run(new TaskGraph("ints")
                .<FloatArray, Integer>task("kernel", KernelCodeTest::overloaded, out, 3)
                .transferToHost(EVERY_EXECUTION, out));
        assertThat(out.get(0)).isEqualTo(3f);
        KernelStatistics floats = Plans.run(new TaskGraph("floats")
                .<FloatArray, Float>task("kernel", KernelCodeTest::overloaded, out, 3f)
                .transferToHost(EVERY_EXECUTION, out));
        assertThat(out.get(0)).isEqualTo(3.5f);
        assertThat(ints.counted() && floats.counted()).isTrue();
    }

    @Test
    void aResultIsIgnored() {
        IntArray out = new IntArray(3);
        Plans.run(new TaskGraph("result")
                .task("kernel", KernelCodeTest::withAResult, out)
                .transferToHost(EVERY_EXECUTION, out));
        assertThat(out.toHeapArray()).containsOnly(7);
    }

    @Test
    void jumpsOfAllKinds() {
        FloatArray in = new FloatArray(64);
        for (int i = 0; i < 64; i++) {
            in.set(i, i);
        }
        FloatArray out = new FloatArray(64);
        KernelStatistics statistics = Plans.run(
                new TaskGraph("jumps")
                        .transferToDevice(EVERY_EXECUTION, in)
                        .task("kernel", KernelCodeTest::earlyExits, new KernelContext(), in, out, 50)
                        .transferToHost(EVERY_EXECUTION, out),
                Plans.grid(64, 32));
        long reads = 0;
        for (int id = 0; id < 50; id++) {
            float expected = 0f;
            for (int k = 0; k < id; k++) {
                if (k % 4 < 2) {
                    expected += k;
                    reads++;
                }
            }
            assertThat(out.get(id)).isEqualTo(expected);
        }
        assertThat(out.get(50)).isNaN();
        assertThat(statistics.array("in").elementsRead()).isEqualTo(reads);
        assertThat(statistics.array("out").elementsWritten()).isEqualTo(50);
    }

    @Test
    void assignmentsThatReadAndWrite() {
        FloatArray in = new FloatArray(16);
        for (int i = 0; i < 16; i++) {
            in.set(i, i);
        }
        FloatArray out = new FloatArray(16);
        KernelStatistics statistics = Plans.run(
                new TaskGraph("compound")
                        .transferToDevice(EVERY_EXECUTION, in)
                        .task("kernel", KernelCodeTest::compoundAssignments, new KernelContext(), in, out)
                        .transferToHost(EVERY_EXECUTION, out),
                Plans.grid(16, 16));
        compareWithPlainJava(in, out);
        assertThat(statistics.array("tile").elementsRead()).isEqualTo(16 * 4);
        assertThat(statistics.array("tile").elementsWritten()).isEqualTo(16 * 4);
    }

    private static void compareWithPlainJava(FloatArray in, FloatArray out) {
        for (int id = 0; id < 16; id++) {
            float value = in.get(id) + 2f;
            value = value * value;
            int[] counts = new int[2];
            counts[id % 2]++;
            counts[id % 2] += id > 3 ? counts[0] : counts[1];
            counts[0] = Math.max(counts[0] + 1, 5);
            assertThat(out.get(id)).isEqualTo((id < 8 ? value : -value) + counts[id % 2]);
        }
    }
}
