package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid;
import uk.ac.manchester.tornado.api.WorkerGrid2D;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.vectors.Half2;

/** Traffic is counted exactly: it must equal what can be worked out on paper. */
class StatisticsTest {

    private static final int N = 64;
    private static final int TILE = 8;
    private static final FloatArray EXCHANGED = new FloatArray(48);

    static void naive(FloatArray a, FloatArray b, FloatArray c, int n) {
        for (@Parallel int row = 0; row < n; row++) {
            for (@Parallel int column = 0; column < n; column++) {
                float sum = 0f;
                for (int k = 0; k < n; k++) {
                    sum += a.get(row * n + k) * b.get(k * n + column);
                }
                c.set(row * n + column, sum);
            }
        }
    }

    static void tiled(KernelContext context, FloatArray a, FloatArray b, FloatArray c, int n, int tile) {
        float[] aTile = context.allocateFloatLocalArray(tile * tile);
        float[] bTile = context.allocateFloatLocalArray(tile * tile);
        int x = context.localIdx;
        int y = context.localIdy;
        float sum = 0f;
        for (int t = 0; t < n; t += tile) {
            aTile[y * tile + x] = a.get(context.globalIdy * n + t + x);
            bTile[y * tile + x] = b.get((t + y) * n + context.globalIdx);
            context.localBarrier();
            for (int k = 0; k < tile; k++) {
                sum += aTile[y * tile + k] * bTile[k * tile + x];
            }
            context.localBarrier();
        }
        c.set(context.globalIdy * n + context.globalIdx, sum);
    }

    @Test
    void theTrafficOfTwoMatrixProducts() throws Exception {
        FloatArray a = new FloatArray(N * N);
        FloatArray b = new FloatArray(N * N);
        for (int i = 0; i < N * N; i++) {
            a.set(i, i % 7 - 3);
            b.set(i, i % 5 - 2);
        }
        FloatArray slow = new FloatArray(N * N);
        FloatArray fast = new FloatArray(N * N);
        TaskGraph graph = new TaskGraph("products")
                .transferToDevice(EVERY_EXECUTION, a, b)
                .task("naive", StatisticsTest::naive, a, b, slow, N)
                .task("tiled", StatisticsTest::tiled, new KernelContext(), a, b, fast, N, TILE)
                .transferToHost(EVERY_EXECUTION, slow, fast);
        WorkerGrid grid = new WorkerGrid2D(N, N);
        grid.setLocalWork(TILE, TILE, 1);
        List<KernelStatistics> heard = new ArrayList<>();
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot());
                Simulator.Restore _ = Simulator.listen(heard::add)) {
            plan.withGridScheduler(new GridScheduler("products.tiled", grid)).execute();
        }
        assertThat(fast.toHeapArray()).isEqualTo(slow.toHeapArray());
        assertThat(Simulator.lastStatistics()).isEqualTo(heard).hasSize(2);

        KernelStatistics naive = heard.get(0);
        assertThat(naive.task()).isEqualTo("products.naive");
        assertThat(naive.kernel()).isEqualTo("naive");
        assertThat(naive.array("a").elementsRead()).isEqualTo((long) N * N * N);
        assertThat(naive.array("b").elementsRead()).isEqualTo((long) N * N * N);
        assertThat(naive.array("c").elementsWritten()).isEqualTo(N * N);
        assertThat(naive.array("c").elementsRead()).isZero();
        assertThat(naive.globalBytesRead()).isEqualTo(4L * 2 * N * N * N);
        assertThat(naive.localElementsRead()).isZero();

        KernelStatistics tiled = heard.get(1);
        long groups = (N / TILE) * (N / TILE);
        assertThat(tiled.workGroups()).isEqualTo(groups);
        assertThat(tiled.workItems()).isEqualTo(N * N);
        assertThat(tiled.array("a").elementsRead()).isEqualTo((long) N * N * N / TILE);
        assertThat(tiled.globalElementsWritten()).isEqualTo(N * N);
        assertThat(tiled.array("aTile").elementsRead()).isEqualTo((long) N * N * N);
        assertThat(tiled.array("aTile").elementsWritten()).isEqualTo((long) N * N * N / TILE);
        assertThat(tiled.localBytesRead()).isEqualTo(4L * 2 * N * N * N);
        assertThat(tiled.barriers()).isEqualTo(groups * 2 * (N / TILE));
        assertThat(tiled.time()).isPositive();
        assertThatThrownBy(() -> tiled.array("d"))
                .isInstanceOf(NoSuchElementException.class)
                .hasMessageContaining("has no array d");
    }

    static void pairs(HalfFloatArray in, HalfFloatArray out) {
        for (@Parallel int i = 0; i < in.getSize() / 2; i++) {
            Half2 pair = in.getHalf2(2 * i);
            out.setHalf2(2 * i, Half2.add(pair, pair));
        }
    }

    @Test
    void pairsCountTwice() {
        HalfFloatArray in = new HalfFloatArray(20);
        in.init(new HalfFloat(1.5f));
        HalfFloatArray out = new HalfFloatArray(20);
        KernelStatistics statistics = Plans.run(new TaskGraph("pairs")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("kernel", StatisticsTest::pairs, in, out)
                .transferToHost(EVERY_EXECUTION, out));
        assertThat(out.get(19).getFloat32()).isEqualTo(3f);
        assertThat(statistics.array("in").elementsRead()).isEqualTo(20);
        assertThat(statistics.array("out").bytesWritten()).isEqualTo(40);
    }

    static void helped(FloatArray in, FloatArray out) {
        for (@Parallel int i = 0; i < in.getSize(); i++) {
            store(out, i, load(in, i) + load(in, 0));
        }
    }

    private static float load(FloatArray array, int index) {
        return array.get(index);
    }

    private static void store(FloatArray array, int index, float value) {
        array.set(index, value);
    }

    @Test
    void methodsThatTheKernelCallsCountForIt() {
        FloatArray in = new FloatArray(30);
        FloatArray out = new FloatArray(30);
        KernelStatistics statistics = Plans.run(new TaskGraph("helped")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("kernel", StatisticsTest::helped, in, out)
                .transferToHost(EVERY_EXECUTION, out));
        assertThat(statistics.array("in").elementsRead()).isEqualTo(60);
        assertThat(statistics.array("out").elementsWritten()).isEqualTo(30);
    }

    static void aliased(FloatArray in, FloatArray out) {
        for (@Parallel int i = 0; i < in.getSize(); i++) {
            out.set(i, in.get(i) * 2f);
        }
    }

    @Test
    void anArrayThatIsPassedTwiceIsOneArray() {
        FloatArray both = new FloatArray(30);
        both.init(2f);
        KernelStatistics statistics = Plans.run(new TaskGraph("aliased")
                .transferToDevice(EVERY_EXECUTION, both)
                .task("kernel", StatisticsTest::aliased, both, both)
                .transferToHost(EVERY_EXECUTION, both));
        assertThat(both.toHeapArray()).containsOnly(4f);
        assertThat(statistics.global()).singleElement().satisfies(traffic -> {
            assertThat(traffic.elementsRead()).isEqualTo(30);
            assertThat(traffic.elementsWritten()).isEqualTo(30);
        });
    }

    static void exchange(KernelContext context, FloatArray values) {
        float[] tile = context.allocateFloatLocalArray(8);
        tile[context.localIdx] = values.get(context.globalIdx);
        context.localBarrier();
        values.set(context.globalIdx, tile[7 - context.localIdx]);
    }

    @Test
    void countsAreTheSameInEveryRun() {
        for (int run = 0; run < 300; run++) {
            KernelStatistics statistics = Plans.run(
                    new TaskGraph("exchange")
                            .transferToDevice(EVERY_EXECUTION, EXCHANGED)
                            .task("kernel", StatisticsTest::exchange, new KernelContext(), EXCHANGED)
                            .transferToHost(EVERY_EXECUTION, EXCHANGED),
                    Plans.grid(48, 8));
            assertThat(statistics.globalElementsRead()).isEqualTo(48);
            assertThat(statistics.localElementsRead()).isEqualTo(48);
            assertThat(statistics.barriers()).isEqualTo(6);
        }
    }

    @Test
    void countingCanBeTurnedOff() {
        FloatArray in = new FloatArray(30);
        FloatArray out = new FloatArray(30);
        try (Simulator.Restore _ =
                Simulator.configure(Simulator.settings().withoutChecks().withCounters(false))) {
            KernelStatistics statistics = Plans.run(new TaskGraph("uncounted")
                    .transferToDevice(EVERY_EXECUTION, in)
                    .task("kernel", StatisticsTest::aliased, in, out)
                    .transferToHost(EVERY_EXECUTION, out));
            assertThat(statistics.counted()).isFalse();
            assertThat(statistics.globalElementsRead()).isZero();
        }
    }
}
