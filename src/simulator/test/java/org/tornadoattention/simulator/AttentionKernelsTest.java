package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.Random;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Attention by rows and by tiles with barriers: the same bits, and the loads and barriers that its loops tell. */
class AttentionKernelsTest {

    private static final int HEADS = 8;
    private static final int DIM = 64;

    static void rows(FloatArray q, FloatArray k, FloatArray v, FloatArray o, int n, int d, float scale) {
        for (@Parallel int row = 0; row < o.getSize() / d; row++) {
            int head = row / n * n;
            float[] query = new float[d];
            float[] sum = new float[d];
            for (int x = 0; x < d; x++) {
                query[x] = scale * q.get(row * d + x);
                sum[x] = 0f;
            }
            float max = -1e30f;
            float total = 0f;
            for (int j = 0; j < n; j++) {
                float score = 0f;
                for (int x = 0; x < d; x++) {
                    score += query[x] * k.get((head + j) * d + x);
                }
                float newMax = TornadoMath.max(max, score);
                float alpha = TornadoMath.exp(max - newMax);
                float p = TornadoMath.exp(score - newMax);
                max = newMax;
                total = alpha * total + p;
                for (int x = 0; x < d; x++) {
                    sum[x] = alpha * sum[x] + p * v.get((head + j) * d + x);
                }
            }
            for (int x = 0; x < d; x++) {
                o.set(row * d + x, sum[x] / total);
            }
        }
    }

    static void tiles(
            KernelContext context,
            FloatArray q,
            FloatArray k,
            FloatArray v,
            FloatArray o,
            int n,
            int d,
            int tile,
            float scale) {
        float[] keys = context.allocateFloatLocalArray(tile * d);
        float[] values = context.allocateFloatLocalArray(tile * d);
        float[] query = new float[d];
        float[] sum = new float[d];
        int item = context.localIdx;
        int size = context.localGroupSizeX;
        int row = context.globalIdx;
        int head = row / n * n;
        for (int x = 0; x < d; x++) {
            query[x] = scale * q.get(row * d + x);
            sum[x] = 0f;
        }
        float max = -1e30f;
        float total = 0f;
        for (int from = 0; from < n; from += tile) {
            for (int i = item; i < tile * d; i += size) {
                keys[i] = k.get((head + from) * d + i);
                values[i] = v.get((head + from) * d + i);
            }
            context.localBarrier();
            for (int j = 0; j < tile; j++) {
                float score = 0f;
                for (int x = 0; x < d; x++) {
                    score += query[x] * keys[j * d + x];
                }
                float newMax = TornadoMath.max(max, score);
                float alpha = TornadoMath.exp(max - newMax);
                float p = TornadoMath.exp(score - newMax);
                max = newMax;
                total = alpha * total + p;
                for (int x = 0; x < d; x++) {
                    sum[x] = alpha * sum[x] + p * values[j * d + x];
                }
            }
            context.localBarrier();
        }
        for (int x = 0; x < d; x++) {
            o.set(row * d + x, sum[x] / total);
        }
    }

    static void manyBarriers(KernelContext context, FloatArray out, int rounds) {
        float[] ring = context.allocateFloatLocalArray(64);
        int id = context.localIdx;
        ring[id] = id;
        context.localBarrier();
        for (int i = 0; i < rounds; i++) {
            float next = ring[(id + 1) % 64];
            context.localBarrier();
            ring[id] = next;
            context.localBarrier();
        }
        out.set(context.globalIdx, ring[id]);
    }

    private static FloatArray random(int n) {
        Random random = new Random(n);
        FloatArray array = new FloatArray(HEADS * n * DIM);
        for (int i = 0; i < array.getSize(); i++) {
            array.set(i, (float) random.nextGaussian());
        }
        return array;
    }

    @Test
    void parallelLoopsAndWorkGroupsAgree() {
        int n = 128;
        FloatArray q = random(n);
        FloatArray k = random(n);
        FloatArray v = random(n);
        FloatArray byRows = new FloatArray(HEADS * n * DIM);
        FloatArray byTiles = new FloatArray(HEADS * n * DIM);
        KernelStatistics rows = Plans.run(new TaskGraph("rows")
                .transferToDevice(EVERY_EXECUTION, q, k, v)
                .task("kernel", AttentionKernelsTest::rows, q, k, v, byRows, n, DIM, 0.125f)
                .transferToHost(EVERY_EXECUTION, byRows));
        KernelStatistics tiles = Plans.run(
                new TaskGraph("tiles")
                        .transferToDevice(EVERY_EXECUTION, q, k, v)
                        .task(
                                "kernel",
                                AttentionKernelsTest::tiles,
                                new KernelContext(),
                                q,
                                k,
                                v,
                                byTiles,
                                n,
                                DIM,
                                32,
                                0.125f)
                        .transferToHost(EVERY_EXECUTION, byTiles),
                Plans.grid(HEADS * n, 64));
        assertThat(byTiles.toHeapArray()).isEqualTo(byRows.toHeapArray());
        assertThat(rows.array("k").elementsRead()).isEqualTo((long) HEADS * n * n * DIM);
        assertThat(tiles.array("k").elementsRead()).isEqualTo((long) HEADS * n * n * DIM / 64);
    }

    @Test
    void barriersAreCounted() {
        FloatArray out = new FloatArray(128);
        KernelStatistics statistics = Plans.run(
                new TaskGraph("ring")
                        .task("kernel", AttentionKernelsTest::manyBarriers, new KernelContext(), out, 500)
                        .transferToHost(EVERY_EXECUTION, out),
                Plans.grid(128, 64));
        assertThat(statistics.barriers()).isEqualTo(2 * 1001);
        assertThat(out.get(0)).isEqualTo(500 % 64);
    }
}
