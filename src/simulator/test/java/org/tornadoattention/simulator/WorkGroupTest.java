package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.WorkerGrid;
import uk.ac.manchester.tornado.api.WorkerGrid3D;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.DoubleArray;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;

/** Kernels with a KernelContext: ids, barriers and local memory. */
class WorkGroupTest {

    static void recordIds(KernelContext context, IntArray ids) {
        int sizeX = context.globalGroupSizeX;
        int sizeY = context.globalGroupSizeY;
        int flat = (context.globalIdz * sizeY + context.globalIdy) * sizeX + context.globalIdx;
        int[] fields = new int[15];
        fields[0] = context.globalIdx;
        fields[1] = context.globalIdy;
        fields[2] = context.globalIdz;
        fields[3] = context.groupIdx;
        fields[4] = context.groupIdy;
        fields[5] = context.groupIdz;
        fields[6] = context.localIdx;
        fields[7] = context.localIdy;
        fields[8] = context.localIdz;
        fields[9] = context.globalGroupSizeX;
        fields[10] = context.globalGroupSizeY;
        fields[11] = context.globalGroupSizeZ;
        fields[12] = context.localGroupSizeX;
        fields[13] = context.localGroupSizeY;
        fields[14] = context.localGroupSizeZ;
        for (int i = 0; i < 15; i++) {
            ids.set(flat * 15 + i, fields[i]);
        }
    }

    @Test
    void everyWorkItemHasItsIds() {
        IntArray ids = new IntArray(4 * 6 * 2 * 15);
        WorkerGrid grid = new WorkerGrid3D(4, 6, 2);
        grid.setLocalWork(2, 3, 2);
        Plans.run(
                new TaskGraph("ids")
                        .task("kernel", WorkGroupTest::recordIds, new KernelContext(), ids)
                        .transferToHost(EVERY_EXECUTION, ids),
                grid);
        int[] all = ids.toHeapArray();
        for (int z = 0; z < 2; z++) {
            for (int y = 0; y < 6; y++) {
                for (int x = 0; x < 4; x++) {
                    int flat = (z * 6 + y) * 4 + x;
                    assertThat(Arrays.copyOfRange(all, 15 * flat, 15 * flat + 15))
                            .containsExactly(x, y, z, x / 2, y / 3, z / 2, x % 2, y % 3, z % 2, 4, 6, 2, 2, 3, 2);
                }
            }
        }
    }

    static void reverse(KernelContext context, IntArray in, IntArray out, int size) {
        int[] tile = context.allocateIntLocalArray(size);
        tile[context.localIdx] = in.get(context.globalIdx);
        context.localBarrier();
        out.set(context.globalIdx, tile[size - 1 - context.localIdx]);
    }

    @Test
    void localMemoryIsSharedByTheGroupAndByNobodyElse() {
        IntArray in = IntArray.fromArray(IntStream.range(0, 256).toArray());
        IntArray out = new IntArray(256);
        Plans.run(
                new TaskGraph("reverse")
                        .transferToDevice(EVERY_EXECUTION, in)
                        .task("kernel", WorkGroupTest::reverse, new KernelContext(), in, out, 64)
                        .transferToHost(EVERY_EXECUTION, out),
                Plans.grid(256, 64));
        for (int i = 0; i < 256; i++) {
            assertThat(out.get(i)).isEqualTo(i / 64 * 64 + 63 - i % 64);
        }
    }

    static void prefixSum(KernelContext context, LongArray values) {
        long[] front = context.allocateLongLocalArray(128);
        long[] back = context.allocateLongLocalArray(128);
        int id = context.localIdx;
        front[id] = values.get(context.globalIdx);
        context.localBarrier();
        for (int distance = 1; distance < 128; distance *= 2) {
            back[id] = id < distance ? front[id] : front[id] + front[id - distance];
            context.localBarrier();
            front[id] = back[id];
            context.localBarrier();
        }
        values.set(context.globalIdx, front[id]);
    }

    @Test
    void barriersInLoopsKeepPhasesApart() {
        LongArray values = new LongArray(256);
        values.init(1);
        KernelStatistics statistics = Plans.run(
                new TaskGraph("scan")
                        .transferToDevice(EVERY_EXECUTION, values)
                        .task("kernel", WorkGroupTest::prefixSum, new KernelContext(), values)
                        .transferToHost(EVERY_EXECUTION, values),
                Plans.grid(256, 128));
        for (int i = 0; i < 256; i++) {
            assertThat(values.get(i)).isEqualTo(i % 128 + 1);
        }
        assertThat(statistics.barriers()).isEqualTo(2 * 15);
    }

    static void everyKind(KernelContext context, DoubleArray out, HalfFloatArray halves) {
        byte[] bytes = context.allocateByteLocalArray(4);
        double[] doubles = context.allocateDoubleLocalArray(4);
        HalfFloat[] shared = context.allocateHalfFloatLocalArray(4);
        int id = context.localIdx;
        bytes[id] = (byte) (id + 1);
        doubles[id] = 0.5 * id;
        shared[id] = new HalfFloat(0.25f * id);
        context.globalBarrier();
        int next = (id + 1) % 4;
        out.set(context.globalIdx, bytes[next] + doubles[next]);
        halves.set(context.globalIdx, HalfFloat.add(shared[next], shared[id]));
    }

    @Test
    void localArraysOfOtherTypes() {
        DoubleArray out = new DoubleArray(4);
        HalfFloatArray halves = new HalfFloatArray(4);
        KernelStatistics statistics = Plans.run(
                new TaskGraph("kinds")
                        .task("kernel", WorkGroupTest::everyKind, new KernelContext(), out, halves)
                        .transferToHost(EVERY_EXECUTION, out, halves),
                Plans.grid(4, 4));
        assertThat(out.toHeapArray()).containsExactly(2.5, 4.0, 5.5, 1.0);
        assertThat(halves.get(2).getFloat32()).isEqualTo(1.25f);
        assertThat(statistics.array("shared").elementBytes()).isEqualTo(2);
        assertThat(statistics.array("shared").elementsRead()).isEqualTo(8);
    }

    static void count(KernelContext context, IntArray total, IntArray perGroup, FloatArray sum) {
        int[] mine = context.allocateIntLocalArray(1);
        if (context.localIdx == 0) {
            mine[0] = 0;
        }
        context.localBarrier();
        context.atomicAdd(mine, 0, context.localIdx);
        context.atomicAdd(total, 0, 1);
        context.atomicAdd(sum, 0, 0.5f);
        context.localBarrier();
        if (context.localIdx == 0) {
            perGroup.set(context.groupIdx, mine[0]);
        }
    }

    @Test
    void atomicAdditionsAreNotLost() {
        IntArray total = new IntArray(1);
        IntArray perGroup = new IntArray(64);
        FloatArray sum = new FloatArray(1);
        Plans.run(
                new TaskGraph("count")
                        .transferToDevice(EVERY_EXECUTION, total, sum)
                        .task("kernel", WorkGroupTest::count, new KernelContext(), total, perGroup, sum)
                        .transferToHost(EVERY_EXECUTION, total, perGroup, sum),
                Plans.grid(64 * 16, 16));
        assertThat(total.get(0)).isEqualTo(1024);
        assertThat(sum.get(0)).isEqualTo(512f);
        assertThat(perGroup.toHeapArray()).containsOnly(120);
    }

    @Test
    void aKernelContextOutsideOfAKernelIsWorkItemZero() {
        KernelContext context = new KernelContext();
        context.localBarrier();
        assertThat(context.globalIdx).isZero();
        assertThat(context.allocateFloatLocalArray(3)).hasSize(3);
        assertThat(context.simdSum(2f)).isEqualTo(2f);
    }

    @Test
    void gridsThatDoNotFitAreRefused() {
        IntArray in = new IntArray(100);
        IntArray out = new IntArray(100);
        TaskGraph graph = new TaskGraph("bad")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("kernel", WorkGroupTest::reverse, new KernelContext(), in, out, 64);
        assertThatThrownBy(() -> Plans.run(graph, Plans.grid(100, 64)))
                .isInstanceOf(TornadoRuntimeException.class)
                .hasMessageContaining("bad.kernel")
                .hasMessageContaining("does not divide");
        assertThatThrownBy(() -> Plans.run(graph, Plans.grid(4096, 2048))).hasMessageContaining("1024");
        assertThatThrownBy(() -> Plans.run(graph)).hasMessageContaining("has a KernelContext but no grid");
    }
}
