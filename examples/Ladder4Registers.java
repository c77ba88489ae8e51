//SOURCES jbang/Setup.java
import org.tornadoattention.bench.Lesson;
import org.tornadoattention.cli.Example;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Rung 4: registers. Local memory is fast, and still slower than the multiply-adds that wait for it. A work-item that
 * computes 4 × 4 scores reads 8 numbers for 16 multiply-adds, where rung 3 reads one for each. The group's 64
 * work-items share a tile of 32 × 32 scores, and each has 4 × 8 elements of O in registers for good, written out by
 * name: TornadoVM keeps a private array in memory on some backends.
 */
class Ladder4Registers {

    static final int BLOCK = 32;
    static final int GROUP = 64;

    // spotless:off: register tiles are written in rows
    static void attention(
            KernelContext context,
            FloatArray q,
            FloatArray k,
            FloatArray v,
            FloatArray o,
            FloatArray l,
            int n,
            int d,
            float scale) {
        // One column more than the tile has: columns begin in different banks of local memory.
        float[] queryTile = context.allocateFloatLocalArray(32 * 65);
        float[] keyValueTile = context.allocateFloatLocalArray(32 * 65);
        float[] scores = context.allocateFloatLocalArray(32 * 33);
        float[] rowMax = context.allocateFloatLocalArray(32);
        float[] rowSum = context.allocateFloatLocalArray(32);
        float[] correction = context.allocateFloatLocalArray(32);
        int item = context.localIdx;
        int row = item / 8 * 4; // this item's four rows
        int column = item % 8;  // its four keys, and then its eight dimensions, eight apart
        int firstQuery = context.groupIdx * 32;
        int firstKey = firstQuery / n * n;

        for (int at = item; at < 32 * d; at += 64) {
            queryTile[at / d * 65 + at % d] = q.get(firstQuery * d + at);
        }
        if (item < 32) {
            rowMax[item] = -3.0e38f;
            rowSum[item] = 0f;
        }
        float o00 = 0f, o01 = 0f, o02 = 0f, o03 = 0f, o04 = 0f, o05 = 0f, o06 = 0f, o07 = 0f;
        float o10 = 0f, o11 = 0f, o12 = 0f, o13 = 0f, o14 = 0f, o15 = 0f, o16 = 0f, o17 = 0f;
        float o20 = 0f, o21 = 0f, o22 = 0f, o23 = 0f, o24 = 0f, o25 = 0f, o26 = 0f, o27 = 0f;
        float o30 = 0f, o31 = 0f, o32 = 0f, o33 = 0f, o34 = 0f, o35 = 0f, o36 = 0f, o37 = 0f;

        for (int j0 = 0; j0 < n; j0 += 32) {
            for (int at = item; at < 32 * d; at += 64) {
                keyValueTile[at / d * 65 + at % d] = k.get((firstKey + j0) * d + at);
            }
            context.localBarrier();

            // S = scale · Q Kᵀ: 8 numbers read for 16 multiply-adds.
            float s00 = 0f, s01 = 0f, s02 = 0f, s03 = 0f;
            float s10 = 0f, s11 = 0f, s12 = 0f, s13 = 0f;
            float s20 = 0f, s21 = 0f, s22 = 0f, s23 = 0f;
            float s30 = 0f, s31 = 0f, s32 = 0f, s33 = 0f;
            for (int x = 0; x < d; x++) {
                float q0 = queryTile[row * 65 + x], q1 = queryTile[(row + 1) * 65 + x];
                float q2 = queryTile[(row + 2) * 65 + x], q3 = queryTile[(row + 3) * 65 + x];
                float k0 = keyValueTile[column * 65 + x], k1 = keyValueTile[(column + 8) * 65 + x];
                float k2 = keyValueTile[(column + 16) * 65 + x], k3 = keyValueTile[(column + 24) * 65 + x];
                s00 += q0 * k0; s01 += q0 * k1; s02 += q0 * k2; s03 += q0 * k3;
                s10 += q1 * k0; s11 += q1 * k1; s12 += q1 * k2; s13 += q1 * k3;
                s20 += q2 * k0; s21 += q2 * k1; s22 += q2 * k2; s23 += q2 * k3;
                s30 += q3 * k0; s31 += q3 * k1; s32 += q3 * k2; s33 += q3 * k3;
            }
            scores[row * 33 + column] = scale * s00; scores[row * 33 + column + 8] = scale * s01;
            scores[row * 33 + column + 16] = scale * s02; scores[row * 33 + column + 24] = scale * s03;
            scores[(row + 1) * 33 + column] = scale * s10; scores[(row + 1) * 33 + column + 8] = scale * s11;
            scores[(row + 1) * 33 + column + 16] = scale * s12; scores[(row + 1) * 33 + column + 24] = scale * s13;
            scores[(row + 2) * 33 + column] = scale * s20; scores[(row + 2) * 33 + column + 8] = scale * s21;
            scores[(row + 2) * 33 + column + 16] = scale * s22; scores[(row + 2) * 33 + column + 24] = scale * s23;
            scores[(row + 3) * 33 + column] = scale * s30; scores[(row + 3) * 33 + column + 8] = scale * s31;
            scores[(row + 3) * 33 + column + 16] = scale * s32; scores[(row + 3) * 33 + column + 24] = scale * s33;
            context.localBarrier();

            // V over K, and the online softmax of the tile, a row a work-item.
            for (int at = item; at < 32 * d; at += 64) {
                keyValueTile[at / d * 65 + at % d] = v.get((firstKey + j0) * d + at);
            }
            if (item < 32) {
                float oldMax = rowMax[item];
                float max = oldMax;
                for (int j = 0; j < 32; j++) {
                    max = TornadoMath.max(max, scores[item * 33 + j]);
                }
                float sum = 0f;
                for (int j = 0; j < 32; j++) {
                    float p = TornadoMath.exp(scores[item * 33 + j] - max);
                    scores[item * 33 + j] = p;
                    sum += p;
                }
                float alpha = TornadoMath.exp(oldMax - max);
                rowMax[item] = max;
                rowSum[item] = alpha * rowSum[item] + sum;
                correction[item] = alpha;
            }
            context.localBarrier();

            // O = diag(alpha) O + P V: 12 numbers read for 32 multiply-adds.
            float a0 = correction[row], a1 = correction[row + 1], a2 = correction[row + 2], a3 = correction[row + 3];
            o00 *= a0; o01 *= a0; o02 *= a0; o03 *= a0; o04 *= a0; o05 *= a0; o06 *= a0; o07 *= a0;
            o10 *= a1; o11 *= a1; o12 *= a1; o13 *= a1; o14 *= a1; o15 *= a1; o16 *= a1; o17 *= a1;
            o20 *= a2; o21 *= a2; o22 *= a2; o23 *= a2; o24 *= a2; o25 *= a2; o26 *= a2; o27 *= a2;
            o30 *= a3; o31 *= a3; o32 *= a3; o33 *= a3; o34 *= a3; o35 *= a3; o36 *= a3; o37 *= a3;
            for (int j = 0; j < 32; j++) {
                float p0 = scores[row * 33 + j], p1 = scores[(row + 1) * 33 + j];
                float p2 = scores[(row + 2) * 33 + j], p3 = scores[(row + 3) * 33 + j];
                int at = j * 65 + column;
                float v0 = keyValueTile[at], v1 = keyValueTile[at + 8], v2 = keyValueTile[at + 16], v3 = keyValueTile[at + 24];
                float v4 = keyValueTile[at + 32], v5 = keyValueTile[at + 40], v6 = keyValueTile[at + 48], v7 = keyValueTile[at + 56];
                o00 += p0 * v0; o01 += p0 * v1; o02 += p0 * v2; o03 += p0 * v3;
                o04 += p0 * v4; o05 += p0 * v5; o06 += p0 * v6; o07 += p0 * v7;
                o10 += p1 * v0; o11 += p1 * v1; o12 += p1 * v2; o13 += p1 * v3;
                o14 += p1 * v4; o15 += p1 * v5; o16 += p1 * v6; o17 += p1 * v7;
                o20 += p2 * v0; o21 += p2 * v1; o22 += p2 * v2; o23 += p2 * v3;
                o24 += p2 * v4; o25 += p2 * v5; o26 += p2 * v6; o27 += p2 * v7;
                o30 += p3 * v0; o31 += p3 * v1; o32 += p3 * v2; o33 += p3 * v3;
                o34 += p3 * v4; o35 += p3 * v5; o36 += p3 * v6; o37 += p3 * v7;
            }
            context.localBarrier();
        }

        float l0 = rowSum[row], l1 = rowSum[row + 1], l2 = rowSum[row + 2], l3 = rowSum[row + 3];
        int out = (firstQuery + row) * d + column;
        o.set(out, o00 / l0); o.set(out + 8, o01 / l0); o.set(out + 16, o02 / l0); o.set(out + 24, o03 / l0);
        o.set(out + 32, o04 / l0); o.set(out + 40, o05 / l0); o.set(out + 48, o06 / l0); o.set(out + 56, o07 / l0);
        o.set(out + d, o10 / l1); o.set(out + d + 8, o11 / l1); o.set(out + d + 16, o12 / l1); o.set(out + d + 24, o13 / l1);
        o.set(out + d + 32, o14 / l1); o.set(out + d + 40, o15 / l1); o.set(out + d + 48, o16 / l1); o.set(out + d + 56, o17 / l1);
        o.set(out + 2 * d, o20 / l2); o.set(out + 2 * d + 8, o21 / l2); o.set(out + 2 * d + 16, o22 / l2); o.set(out + 2 * d + 24, o23 / l2);
        o.set(out + 2 * d + 32, o24 / l2); o.set(out + 2 * d + 40, o25 / l2); o.set(out + 2 * d + 48, o26 / l2); o.set(out + 2 * d + 56, o27 / l2);
        o.set(out + 3 * d, o30 / l3); o.set(out + 3 * d + 8, o31 / l3); o.set(out + 3 * d + 16, o32 / l3); o.set(out + 3 * d + 24, o33 / l3);
        o.set(out + 3 * d + 32, o34 / l3); o.set(out + 3 * d + 40, o35 / l3); o.set(out + 3 * d + 48, o36 / l3); o.set(out + 3 * d + 56, o37 / l3);
        if (item < 32) {
            l.set(firstQuery + item, rowMax[item] + TornadoMath.log(rowSum[item]));
        }
    }
    // spotless:on

    static void main(String[] arguments) {
        Example.run(Ladder4Registers.class, "[HEADS [TOKENS]]", arguments, Ladder4Registers::lesson);
    }

    static void lesson(String[] arguments) {
        Lesson lesson = Lesson.of("Rung 4, registers: 4 x 4 scores and 4 x 8 outputs a work-item", arguments);
        int n = lesson.keys();
        int d = Lesson.HEAD_DIM;
        int rows = lesson.heads() * n;
        lesson.predict(lesson.flops(), 4.0 * rows * (2.0 * d + 2.0 * d * n / BLOCK + 1));

        TaskGraph graph = lesson.graph()
                .task(
                        "attention",
                        Ladder4Registers::attention,
                        new KernelContext(),
                        lesson.q(),
                        lesson.k(),
                        lesson.v(),
                        lesson.o(),
                        lesson.l(),
                        n,
                        d,
                        lesson.scale());
        GridScheduler grids = new GridScheduler("lesson.attention", Lesson.grid(rows / BLOCK * GROUP, GROUP));

        lesson.run("registers", graph, grids, lesson.flops(), lesson.o(), lesson.l());
        lesson.check();
    }
}
