package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Operations that the lanes of a warp do together. */
class CollectiveTest {

    static void collectives(KernelContext context, FloatArray sums, FloatArray shifted, FloatArray first) {
        int id = context.globalIdx;
        sums.set(id, context.simdSum(id));
        shifted.set(id, context.simdShuffleDown(id, 3));
        first.set(id, context.simdBroadcastFirst(id));
    }

    @Test
    void eachWarpWorksByItself() {
        FloatArray sums = new FloatArray(192);
        FloatArray shifted = new FloatArray(192);
        FloatArray first = new FloatArray(192);
        KernelStatistics statistics = Plans.run(
                new TaskGraph("warps")
                        .task("kernel", CollectiveTest::collectives, new KernelContext(), sums, shifted, first)
                        .transferToHost(EVERY_EXECUTION, sums, shifted, first),
                Plans.grid(192, 96));
        for (int i = 0; i < 192; i++) {
            int warp = i / 32 * 32;
            assertThat(sums.get(i)).isEqualTo(32f * warp + 31 * 32 / 2);
            assertThat(shifted.get(i)).isEqualTo(i % 32 < 29 ? i + 3 : i);
            assertThat(first.get(i)).isEqualTo(warp);
        }
        assertThat(statistics.collectives()).isEqualTo(3 * 6);
    }

    @Test
    void aGroupMayBeSmallerThanAWarp() {
        FloatArray sums = new FloatArray(10);
        FloatArray shifted = new FloatArray(10);
        FloatArray first = new FloatArray(10);
        Plans.run(
                new TaskGraph("small")
                        .task("kernel", CollectiveTest::collectives, new KernelContext(), sums, shifted, first)
                        .transferToHost(EVERY_EXECUTION, sums, shifted, first),
                Plans.grid(10, 5));
        assertThat(sums.toHeapArray()).containsExactly(10f, 10f, 10f, 10f, 10f, 35f, 35f, 35f, 35f, 35f);
        assertThat(shifted.toHeapArray()).containsExactly(3f, 4f, 2f, 3f, 4f, 8f, 9f, 7f, 8f, 9f);
    }

    static void reduceByShuffles(KernelContext context, FloatArray in, FloatArray out) {
        float[] partial = context.allocateFloatLocalArray(4);
        float sum = in.get(context.globalIdx);
        for (int distance = 16; distance > 0; distance /= 2) {
            sum += context.simdShuffleDown(sum, distance);
        }
        if (context.localIdx % 32 == 0) {
            partial[context.localIdx / 32] = sum;
        }
        context.localBarrier();
        if (context.localIdx == 0) {
            out.set(context.groupIdx, partial[0] + partial[1] + partial[2] + partial[3]);
        }
    }

    @Test
    void shufflesAndBarriersTogetherReduceAGroup() {
        FloatArray in = new FloatArray(512);
        for (int i = 0; i < 512; i++) {
            in.set(i, i);
        }
        FloatArray out = new FloatArray(4);
        KernelStatistics statistics = Plans.run(
                new TaskGraph("reduce")
                        .transferToDevice(EVERY_EXECUTION, in)
                        .task("kernel", CollectiveTest::reduceByShuffles, new KernelContext(), in, out)
                        .transferToHost(EVERY_EXECUTION, out),
                Plans.grid(512, 128));
        assertThat(out.toHeapArray()).containsExactly(8128f, 24512f, 40896f, 57280f);
        assertThat(statistics.barriers()).isEqualTo(4);
        assertThat(statistics.collectives()).isEqualTo(4 * 4 * 5);
    }

    static void eachWarpItsOwnWay(KernelContext context, IntArray rounds, FloatArray out) {
        int warp = context.localIdx / 32;
        float value = 1f;
        for (int i = 0; i < rounds.get(warp); i++) {
            value = context.simdSum(value) / 16f;
        }
        out.set(context.globalIdx, value);
    }

    @Test
    void warpsOfAGroupMayDoDifferentNumbersOfCollectives() {
        IntArray rounds = IntArray.fromElements(0, 3, 1);
        FloatArray out = new FloatArray(96);
        Plans.run(
                new TaskGraph("ways")
                        .transferToDevice(EVERY_EXECUTION, rounds)
                        .task("kernel", CollectiveTest::eachWarpItsOwnWay, new KernelContext(), rounds, out)
                        .transferToHost(EVERY_EXECUTION, out),
                Plans.grid(96, 96));
        assertThat(out.get(0)).isEqualTo(1f);
        assertThat(out.get(40)).isEqualTo(8f);
        assertThat(out.get(95)).isEqualTo(2f);
    }
}
