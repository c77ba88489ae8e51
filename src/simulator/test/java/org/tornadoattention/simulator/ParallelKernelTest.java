package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.BFloat16Array;
import uk.ac.manchester.tornado.api.types.arrays.ByteArray;
import uk.ac.manchester.tornado.api.types.arrays.DoubleArray;
import uk.ac.manchester.tornado.api.types.arrays.FP8Array;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/** Kernels with {@code @Parallel} loops: every iteration once, on several threads, with all array types. */
class ParallelKernelTest {

    static void countVisits(IntArray visits, int n) {
        for (@Parallel int i = 0; i < n; i++) {
            visits.set(i, visits.get(i) + 1);
        }
    }

    static void everyThird(IntArray visits, int from, int to) {
        for (@Parallel int i = from; i < to; i += 3) {
            visits.set(i, visits.get(i) + 1);
        }
    }

    static void downwards(IntArray visits, int n) {
        for (@Parallel int i = n - 1; i >= 0; i--) {
            visits.set(i, visits.get(i) + 1);
        }
    }

    static void threeLoops(IntArray visits, int x, int y, int z) {
        for (@Parallel int i = 0; i < z; i++) {
            for (@Parallel int j = 0; j < y; j++) {
                for (@Parallel int k = 0; k < x; k++) {
                    int at = (i * y + j) * x + k;
                    visits.set(at, visits.get(at) + 1);
                }
            }
        }
    }

    static void twoLoopsInARow(IntArray visits, int n) {
        for (@Parallel int i = 0; i < n / 2; i++) {
            visits.set(i, visits.get(i) + 1);
        }
        for (int i = 0; i < n; i++) {
            if (i >= n) {
                visits.set(i, 99);
            }
        }
    }

    @Test
    void everyIterationRunsOnce() {
        for (int n : new int[] {0, 1, 63, 64, 65, 1000}) {
            IntArray visits = new IntArray(Math.max(n, 1));
            Plans.run(graph(visits)
                    .task("up", ParallelKernelTest::countVisits, visits, n)
                    .task("down", ParallelKernelTest::downwards, visits, n)
                    .transferToHost(EVERY_EXECUTION, visits));
            assertThat(visits.toHeapArray()).containsOnly(n == 0 ? 0 : 2);
        }
        IntArray visits = new IntArray(7 * 11 * 13);
        Plans.run(graph(visits)
                .task("kernel", ParallelKernelTest::threeLoops, visits, 7, 11, 13)
                .transferToHost(EVERY_EXECUTION, visits));
        assertThat(visits.toHeapArray()).containsOnly(1);
    }

    @Test
    void stepsAndStartsAreKept() {
        IntArray visits = new IntArray(500);
        Plans.run(graph(visits)
                .task("kernel", ParallelKernelTest::everyThird, visits, 10, 400)
                .transferToHost(EVERY_EXECUTION, visits));
        for (int i = 0; i < 500; i++) {
            assertThat(visits.get(i)).isEqualTo(i >= 10 && i < 400 && i % 3 == 1 ? 1 : 0);
        }
    }

    @Test
    void loopsThatAreNotParallelAreLeftAlone() {
        IntArray visits = new IntArray(100);
        Plans.run(graph(visits)
                .task("kernel", ParallelKernelTest::twoLoopsInARow, visits, 100)
                .transferToHost(EVERY_EXECUTION, visits));
        assertThat(visits.get(49)).isEqualTo(1);
        assertThat(visits.get(50)).isZero();
    }

    private static TaskGraph graph(IntArray visits) {
        return new TaskGraph("graph").transferToDevice(EVERY_EXECUTION, visits);
    }

    static void meet(IntArray out) {
        for (@Parallel int i = 0; i < out.getSize(); i++) {
            out.set(i, ThreadMeeting.arrive());
        }
    }

    /** Lets threads meet; it keeps its state in system properties, since a kernel has copies of the classes it uses. */
    public static final class ThreadMeeting {

        private ThreadMeeting() {}

        /** Returns 1 once two threads have been here. */
        public static int arrive() {
            Thread thread = Thread.currentThread();
            String key = "ParallelKernelTest." + thread.threadId();
            System.setProperty(key, thread.getName());
            long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(1);
            while (System.nanoTime() < end) {
                long threads = System.getProperties().stringPropertyNames().stream()
                        .filter(name -> name.startsWith("ParallelKernelTest."))
                        .count();
                if (threads > 1) {
                    return 1;
                }
                Thread.onSpinWait();
            }
            return 0;
        }
    }

    @Test
    void severalThreadsWork() {
        IntArray out = new IntArray(64);
        try (Simulator.Restore _ =
                Simulator.configure(Simulator.settings().withThreads(2).withoutCheck(Check.COMPILABLE))) {
            Plans.run(new TaskGraph("threads")
                    .task("kernel", ParallelKernelTest::meet, out)
                    .transferToHost(EVERY_EXECUTION, out));
        }
        assertThat(out.toHeapArray()).containsOnly(1);
    }

    static void everyType(
            FloatArray floats,
            DoubleArray doubles,
            IntArray ints,
            LongArray longs,
            ShortArray shorts,
            ByteArray bytes,
            HalfFloatArray halves,
            BFloat16Array brains,
            FP8Array tiny) {
        for (@Parallel int i = 0; i < floats.getSize(); i++) {
            floats.set(i, floats.get(i) + 0.5f);
            doubles.set(i, doubles.get(i) + 0.25);
            ints.set(i, ints.get(i) + 1);
            longs.set(i, longs.get(i) + 2L);
            shorts.set(i, (short) (shorts.get(i) + 3));
            bytes.set(i, (byte) (bytes.get(i) + 4));
            halves.set(i, HalfFloat.mult(halves.get(i), new HalfFloat(2f)));
            brains.setFloat(i, brains.getFloat(i) * 4f);
            tiny.setE4M3(i, tiny.getE4M3(i) * 0.5f);
        }
    }

    @Test
    void everyTypeOfArrayIsReadWrittenAndCounted() {
        FloatArray floats = new FloatArray(100);
        DoubleArray doubles = new DoubleArray(100);
        IntArray ints = new IntArray(100);
        LongArray longs = new LongArray(100);
        ShortArray shorts = new ShortArray(100);
        ByteArray bytes = new ByteArray(100);
        HalfFloatArray halves = new HalfFloatArray(100);
        BFloat16Array brains = new BFloat16Array(100);
        FP8Array tiny = new FP8Array(100);
        for (int i = 0; i < 100; i++) {
            halves.set(i, new HalfFloat(i));
            brains.setFloat(i, i);
            tiny.setE4M3(i, 8f);
        }
        KernelStatistics statistics = Plans.run(new TaskGraph("types")
                .transferToDevice(EVERY_EXECUTION, floats, doubles, ints, longs, shorts, bytes, halves, brains, tiny)
                .task(
                        "kernel",
                        ParallelKernelTest::everyType,
                        floats,
                        doubles,
                        ints,
                        longs,
                        shorts,
                        bytes,
                        halves,
                        brains,
                        tiny)
                .transferToHost(EVERY_EXECUTION, floats, doubles, ints, longs, shorts, bytes, halves, brains, tiny));
        assertThat(floats.toHeapArray()).containsOnly(0.5f);
        assertThat(doubles.toHeapArray()).containsOnly(0.25);
        assertThat(ints.toHeapArray()).containsOnly(1);
        assertThat(longs.toHeapArray()).containsOnly(2L);
        assertThat(shorts.toHeapArray()).containsOnly((short) 3);
        assertThat(bytes.toHeapArray()).containsOnly((byte) 4);
        for (int i = 0; i < 100; i++) {
            assertThat(halves.get(i).getFloat32()).isEqualTo(2f * i);
            assertThat(brains.getFloat(i)).isEqualTo(4f * i);
            assertThat(tiny.getE4M3(i)).isEqualTo(4f);
        }
        assertThat(statistics.global()).allSatisfy(traffic -> {
            assertThat(traffic.elementsRead()).isEqualTo(100);
            assertThat(traffic.elementsWritten()).isEqualTo(100);
        });
        assertThat(statistics.globalBytesRead()).isEqualTo(100 * (4 + 8 + 4 + 8 + 2 + 1 + 2 + 2 + 1));
    }

    static void branches(FloatArray in, FloatArray out, int mode) {
        for (@Parallel int i = 0; i < in.getSize(); i++) {
            FloatArray source = in;
            float value = source.get(i % 2 == 0 ? i : i - 1);
            switch (mode) {
                case 0 -> value = -value;
                case 1 -> value = TornadoMath.sqrt(value);
                default -> value = value > 10f ? value : in.get(0);
            }
            out.set(i, value);
        }
    }

    @Test
    void conditionalCodeIsRewrittenRight() {
        FloatArray in = new FloatArray(50);
        for (int i = 0; i < 50; i++) {
            in.set(i, i + 1);
        }
        for (int mode = 0; mode < 3; mode++) {
            FloatArray out = new FloatArray(50);
            KernelStatistics statistics = Plans.run(new TaskGraph("branches")
                    .transferToDevice(EVERY_EXECUTION, in)
                    .task("kernel", ParallelKernelTest::branches, in, out, mode)
                    .transferToHost(EVERY_EXECUTION, out));
            for (int i = 0; i < 50; i++) {
                float value = i / 2 * 2 + 1;
                float expected = switch (mode) {
                    case 0 -> -value;
                    case 1 -> (float) Math.sqrt(value);
                    default -> value > 10f ? value : 1f;
                };
                assertThat(out.get(i)).isEqualTo(expected);
            }
            assertThat(statistics.array("in").elementsRead()).isEqualTo(mode == 2 ? 60 : 50);
        }
    }

    @Test
    void aLambdaIsAKernelToo() {
        IntArray visits = new IntArray(100);
        KernelStatistics statistics = Plans.run(new TaskGraph("lambda")
                .transferToDevice(EVERY_EXECUTION, visits)
                .task("kernel", (array, n) -> countVisits(array, n), visits, 100)
                .transferToHost(EVERY_EXECUTION, visits));
        assertThat(visits.toHeapArray()).containsOnly(1);
        assertThat(statistics.counted()).isTrue();
        assertThat(statistics.globalElementsRead()).isEqualTo(100);
    }
}
