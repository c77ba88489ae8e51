package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task3;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * What TornadoVM 5.2.0 refuses is told before the kernel runs. Each kernel was given to it, with its OpenCL backend on
 * PoCL: the first half was refused or ended the JVM, {@code converts} gave wrong numbers, the second half ran. The
 * names of CUDA and C++ were refused by NVRTC.
 */
class NotCompilableTest {

    private static int counter;
    private static final float[] TABLE = {1f, 2f};
    private static final int COMPUTED = Integer.parseInt("5");

    private final FloatArray array = new FloatArray(16);

    static void prints(KernelContext context, FloatArray array, int n) {
        System.out.println("hello");
        array.set(context.globalIdx, 1f);
    }

    static void joinsStrings(KernelContext context, FloatArray array, int n) {
        array.set(context.globalIdx, ("x" + n).length());
    }

    static void callsItself(KernelContext context, FloatArray array, int n) {
        array.set(context.globalIdx, sum(context.globalIdx));
    }

    private static int sum(int n) {
        return n <= 0 ? 0 : n + sum(n - 1);
    }

    static void writesAStatic(KernelContext context, FloatArray array, int n) {
        counter++;
        array.set(context.globalIdx, 1f);
    }

    static void readsAStaticArray(KernelContext context, FloatArray array, int n) {
        array.set(context.globalIdx, TABLE[context.globalIdx % 2]);
    }

    static void throwsInAMethod(KernelContext context, FloatArray array, int n) {
        array.set(context.globalIdx, checked(array.get(context.globalIdx)));
    }

    private static float checked(float value) {
        if (value < 0f) {
            throw new IllegalArgumentException("negative");
        }
        return value;
    }

    static void sizeFromData(KernelContext context, FloatArray array, int n) {
        float[] row = new float[(int) array.get(context.globalIdx) + 2];
        row[0] = 1f;
        array.set(context.globalIdx, row[0]);
    }

    static void sizeFromAnId(KernelContext context, FloatArray array, int n) {
        int size = 2 * context.globalIdx + 1;
        float[] row = new float[size];
        row[0] = 1f;
        array.set(context.globalIdx, row[0]);
    }

    static void twoDimensions(KernelContext context, FloatArray array, int n) {
        float[][] tile = new float[2][2];
        tile[0][0] = 1f;
        array.set(context.globalIdx, tile[0][0]);
    }

    static void objects(KernelContext context, FloatArray array, int n) {
        Object[] cells = new Object[2];
        array.set(context.globalIdx, cells[0] == null ? 0f : 1f);
    }

    static void lambda(KernelContext context, FloatArray array, int n) {
        Task3<Integer, Integer, Integer> nothing = (_, _, _) -> {};
        nothing.apply(1, 2, 3);
        array.set(context.globalIdx, 1f);
    }

    static void locks(KernelContext context, FloatArray array, int n) {
        synchronized (array) {
            array.set(context.globalIdx, 1f);
        }
    }

    static void asksTheTime(KernelContext context, FloatArray array, int n) {
        array.set(context.globalIdx, System.nanoTime());
    }

    static void copiesAnArray(KernelContext context, FloatArray array, int n) {
        float[] from = {1f, 2f};
        float[] to = new float[2];
        System.arraycopy(from, 0, to, 0, 2);
        array.set(context.globalIdx, to[1]);
    }

    static void roundsDown(KernelContext context, FloatArray array, int n) {
        array.set(context.globalIdx, (float) Math.floor(array.get(context.globalIdx)));
    }

    static void rotates(KernelContext context, FloatArray array, int n) {
        array.set(context.globalIdx, Integer.rotateLeft(n, 3));
    }

    static void converts(KernelContext context, FloatArray array, int n) {
        array.set(context.globalIdx, Float.float16ToFloat((short) n));
    }

    static void takesARemainder(KernelContext context, FloatArray array, int n) {
        array.set(context.globalIdx, array.get(context.globalIdx) % 0.5f);
    }

    static void distance(KernelContext context, FloatArray array, int n) {
        array.set(context.globalIdx, n);
    }

    static void round(KernelContext context, FloatArray array, int n) {
        array.set(context.globalIdx, n);
    }

    static void roundf(KernelContext context, FloatArray array, int n) {
        array.set(context.globalIdx, n);
    }

    static void delete(KernelContext context, FloatArray array, int n) {
        array.set(context.globalIdx, n);
    }

    private static Arguments kernel(String name, Task3<KernelContext, FloatArray, Integer> kernel, String words) {
        return Arguments.of(name, kernel, words);
    }

    private static Stream<Arguments> refused() {
        return Stream.of(
                kernel("prints", NotCompilableTest::prints, "prints; write to an array instead"),
                kernel("joinsStrings", NotCompilableTest::joinsStrings, "joins strings"),
                kernel("callsItself", NotCompilableTest::callsItself, "sum calls itself; write it as a loop"),
                kernel("writesAStatic", NotCompilableTest::writesAStatic, "writes the static variable counter"),
                kernel("readsAStaticArray", NotCompilableTest::readsAStaticArray, "reads the static array TABLE"),
                kernel("throwsInAMethod", NotCompilableTest::throwsInAMethod, "throws an exception"),
                kernel("sizeFromData", NotCompilableTest::sizeFromData, "only known when the kernel runs"),
                kernel("sizeFromAnId", NotCompilableTest::sizeFromAnId, "only known when the kernel runs"),
                kernel("twoDimensions", NotCompilableTest::twoDimensions, "makes an array of arrays"),
                kernel("objects", NotCompilableTest::objects, "makes an array of objects"),
                kernel("lambda", NotCompilableTest::lambda, "makes a lambda"),
                kernel("locks", NotCompilableTest::locks, "synchronizes"),
                kernel("asksTheTime", NotCompilableTest::asksTheTime, "calls System.nanoTime"),
                kernel("copiesAnArray", NotCompilableTest::copiesAnArray, "calls System.arraycopy"),
                kernel("roundsDown", NotCompilableTest::roundsDown, "calls Math.floor"),
                kernel("rotates", NotCompilableTest::rotates, "calls Integer.rotateLeft"),
                kernel("converts", NotCompilableTest::converts, "calls Float.float16ToFloat"),
                kernel("takesARemainder", NotCompilableTest::takesARemainder, "takes the remainder of numbers"),
                kernel("distance", NotCompilableTest::distance, "has a name that is a word of OpenCL C"),
                kernel("round", NotCompilableTest::round, "has a name that is that of a function of CUDA's"),
                kernel("roundf", NotCompilableTest::roundf, "has a name that is that of a function of CUDA's"),
                kernel("delete", NotCompilableTest::delete, "has a name that is a word of C++"));
    }

    private TaskGraph graph(Task3<KernelContext, FloatArray, Integer> kernel) {
        array.init(1f);
        return new TaskGraph("compile")
                .transferToDevice(EVERY_EXECUTION, array)
                .task("kernel", kernel, new KernelContext(), array, 8)
                .transferToHost(EVERY_EXECUTION, array);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("refused")
    void itIsToldBeforeTheKernelRuns(String name, Task3<KernelContext, FloatArray, Integer> kernel, String words) {
        SimulatorFaultException fault = Plans.fault(graph(kernel), Plans.grid(16, 16));
        assertThat(fault).as("the fault").isNotNull();
        assertThat(fault.kind()).isEqualTo(FaultKind.NOT_COMPILABLE);
        assertThat(fault)
                .hasMessageContaining("not for a device: kernel " + name + " ")
                .hasMessageContaining(words);
        if (!name.equals("callsItself")) {
            assertThat(fault).hasMessageContaining("(NotCompilableTest.java:");
        }
    }

    static void shifts(KernelContext context, FloatArray array, int n) {
        int bits = context.globalIdx - n;
        array.set(context.globalIdx, bits >>> 3);
    }

    static void shiftsAndMasks(KernelContext context, FloatArray array, int n) {
        int bits = context.globalIdx - n;
        array.set(context.globalIdx, (bits >>> 3 & 0xff) + (short) (bits >>> 16) + (context.globalIdx >>> n));
    }

    @Test
    void aNegativeNumberShiftedWithoutItsSignIsTold() {
        SimulatorFaultException fault = Plans.fault(graph(NotCompilableTest::shifts), Plans.grid(16, 16));
        assertThat(fault.kind()).isEqualTo(FaultKind.NOT_COMPILABLE);
        assertThat(fault).hasMessageContaining("shifts the negative number -8 by >>>");
        assertThat(Plans.fault(graph(NotCompilableTest::shiftsAndMasks), Plans.grid(16, 16)))
                .isNull();
    }

    static void writesBoth(KernelContext context, FloatArray low, FloatArray high) {
        low.set(context.globalIdx, 1f);
        high.set(context.globalIdx + 8, 2f);
    }

    static void writesOne(KernelContext context, FloatArray low, FloatArray high) {
        high.set(context.globalIdx, low.get(context.globalIdx) + 2f);
    }

    private TaskGraph twice(Task3<KernelContext, FloatArray, FloatArray> kernel) {
        return new TaskGraph("twice")
                .transferToDevice(EVERY_EXECUTION, array)
                .task("kernel", kernel, new KernelContext(), array, array)
                .transferToHost(EVERY_EXECUTION, array);
    }

    @Test
    void oneArrayThatIsWrittenAsTwoIsTold() {
        array.init(1f);
        SimulatorFaultException fault = Plans.fault(twice(NotCompilableTest::writesBoth), Plans.grid(8, 8));
        assertThat(fault.kind()).isEqualTo(FaultKind.NOT_COMPILABLE);
        assertThat(fault).hasMessageContaining("kernel writesBoth: writes one array as two of its parameters");
        assertThat(Plans.fault(twice(NotCompilableTest::writesOne), Plans.grid(8, 8)))
                .isNull();
        assertThat(array.get(3)).isEqualTo(3f);
    }

    @Test
    void withoutTheCheckTheKernelRuns() {
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withoutCheck(Check.COMPILABLE))) {
            Plans.run(graph(NotCompilableTest::roundsDown), Plans.grid(16, 16));
        }
        assertThat(array.get(3)).isEqualTo(1f);
    }

    private record Pair(float a, float b) {

        float sum() {
            return a + b;
        }
    }

    static void allOfThisIsCompiled(KernelContext context, FloatArray array, int n) {
        int i = context.globalIdx;
        float[] row = new float[n];
        float[] sized = new float[array.getSize() / 2];
        Arrays.fill(row, 3f);
        sized[0] = new Pair(array.get(i), 2f).sum();
        Float boxed = array.get(i);
        int which = switch (i % 3) {
            case 0 -> 4;
            case 1 -> COMPUTED;
            default -> 9;
        };
        assert i >= 0;
        float functions = (float) Math.sqrt(i) + Math.max(i, 2) + Float.intBitsToFloat(Float.floatToRawIntBits(boxed));
        HalfFloat half = new HalfFloat(functions);
        array.set(i, row[i % n] + sized[0] + boxed + which + half.getFloat32() + Math.floorMod(i, 3) + made(i)[1]);
    }

    private static float[] made(int i) {
        float[] values = new float[2];
        values[0] = i;
        values[1] = 2f;
        return values;
    }

    @Test
    void whatIsCompiledIsLeftAlone() {
        assertThat(Plans.fault(graph(NotCompilableTest::allOfThisIsCompiled), Plans.grid(16, 16)))
                .isNull();
    }
}
