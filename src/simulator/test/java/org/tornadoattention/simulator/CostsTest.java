package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task3;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;

/**
 * Costs that can be counted by hand. Elements begin 16 bytes into a buffer, so that rows of 128 bytes touch 5 sectors.
 */
class CostsTest {

    private static final int SIZE = 256;
    private static final int WARPS = SIZE / 32;

    static void copy(KernelContext context, FloatArray in, FloatArray out) {
        out.set(context.globalIdx, 2f * in.get(context.globalIdx) + 1f);
    }

    static void strided(KernelContext context, FloatArray in, FloatArray out) {
        out.set(context.globalIdx, in.get(context.globalIdx % 8 * 32 + context.globalIdx / 8));
    }

    static void oneForAll(KernelContext context, FloatArray in, FloatArray out) {
        out.set(context.globalIdx, in.get(7));
    }

    static void columns(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(1024);
        int id = context.localIdx % 32;
        tile[32 * id + context.localIdx / 32] = in.get(context.globalIdx);
        context.localBarrier();
        out.set(context.globalIdx, tile[32 * id + context.localIdx / 32]);
    }

    static void paddedColumns(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(1056);
        int id = context.localIdx % 32;
        tile[33 * id + context.localIdx / 32] = in.get(context.globalIdx);
        context.localBarrier();
        out.set(context.globalIdx, tile[33 * id + context.localIdx / 32]);
    }

    static void everySecond(KernelContext context, FloatArray in, FloatArray out) {
        float value = in.get(context.globalIdx);
        if (context.globalIdx % 2 == 0) {
            out.set(context.globalIdx, value);
        }
    }

    /** Lane l takes l % 4 turns, and in odd ones skips the read. */
    static void turns(KernelContext context, FloatArray in, FloatArray out) {
        float sum = 0f;
        for (int turn = 0; turn < context.localIdx % 4; turn++) {
            if ((turn + context.localIdx) % 2 == 0) {
                sum += in.get(context.globalIdx);
            }
        }
        out.set(context.globalIdx, sum);
    }

    static void doublesInLocalMemory(KernelContext context, FloatArray in, FloatArray out) {
        double[] tile = context.allocateDoubleLocalArray(64);
        double[] own = new double[4];
        own[0] = in.get(context.globalIdx);
        tile[context.localIdx] = TornadoMath.sqrt(own[0]);
        context.localBarrier();
        out.set(context.globalIdx, (float) tile[63 - context.localIdx]);
    }

    static void loop(FloatArray in, FloatArray out) {
        for (@Parallel int i = 0; i < in.getSize(); i++) {
            out.set(i, in.get(i));
        }
    }

    static void transpose(FloatArray in, FloatArray out) {
        for (@Parallel int i = 0; i < 16; i++) {
            for (@Parallel int j = 0; j < 32; j++) {
                out.set(j * 16 + i, in.get(i * 32 + j));
            }
        }
    }

    static void halves(KernelContext context, HalfFloatArray in, HalfFloatArray out) {
        out.set(context.globalIdx, in.get(context.globalIdx));
        out.setHalf2(2 * (context.globalIdx / 2), in.getHalf2(2 * (context.globalIdx / 2)));
    }

    private static KernelCosts costs(Task3<KernelContext, FloatArray, FloatArray> kernel) {
        FloatArray in = new FloatArray(SIZE);
        FloatArray out = new FloatArray(SIZE);
        return costs(
                new TaskGraph("costs")
                        .transferToDevice(EVERY_EXECUTION, in)
                        .task("kernel", kernel, new KernelContext(), in, out),
                64);
    }

    private static KernelCosts costs(TaskGraph graph, int groupSize) {
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withCosts(Optional.of(Gpu.H100)))) {
            KernelStatistics statistics =
                    groupSize == 0 ? Plans.run(graph) : Plans.run(graph, Plans.grid(SIZE, groupSize));
            return statistics.costs().orElseThrow();
        }
    }

    private static LineCosts line(KernelCosts costs, String array, MemoryAccess access) {
        List<LineCosts> lines = costs.lines().stream()
                .filter(line -> line.array().equals(array) && line.access() == access)
                .toList();
        assertThat(lines).hasSize(1);
        return lines.getFirst();
    }

    @Test
    void sideBySide() {
        KernelCosts costs = costs(CostsTest::copy);
        LineCosts read = line(costs, "in", MemoryAccess.GLOBAL_READ);
        assertThat(read.place()).matches("CostsTest\\.java:\\d+");
        assertThat(read.instructions()).isEqualTo(WARPS);
        assertThat(read.lanesPerInstruction()).isEqualTo(32);
        assertThat(read.sectors()).isEqualTo(WARPS * 5);
        assertThat(read.fewestSectors()).isEqualTo(WARPS * 4);
        assertThat(costs.sectors()).isEqualTo(2 * WARPS * 5);
        assertThat(costs.operations()).isEqualTo(2 * SIZE);
        assertThat(costs.divergence()).isZero();
        assertThat(costs.intensity()).isEqualTo(2.0 * SIZE / (2 * WARPS * 5 * 32));
        assertThat(costs.groupSize()).isEqualTo(64);
        assertThat(costs.groups()).isEqualTo(4);
    }

    @Test
    void farApartAndAllTheSame() {
        LineCosts strided = line(costs(CostsTest::strided), "in", MemoryAccess.GLOBAL_READ);
        // A warp reads 8 rows of 4 neighbours; the header makes 2 of every 8 of these groups of 4 begin in the next
        // sector.
        assertThat(strided.sectors()).isEqualTo(WARPS * 8);
        assertThat(strided.fewestSectors()).isEqualTo(WARPS * 4);
        LineCosts same = line(costs(CostsTest::oneForAll), "in", MemoryAccess.GLOBAL_READ);
        assertThat(same.sectors()).isEqualTo(WARPS);
        assertThat(same.fewestSectors()).isEqualTo(WARPS);
    }

    @Test
    void banks() {
        KernelCosts costs = costs(CostsTest::columns);
        LineCosts write = line(costs, "tile", MemoryAccess.LOCAL_WRITE);
        assertThat(write.ways()).isEqualTo(32);
        assertThat(write.passes()).isEqualTo(WARPS * 32);
        assertThat(write.bankConflicts()).isEqualTo(WARPS * 31);
        assertThat(line(costs, "tile", MemoryAccess.LOCAL_READ).bankConflicts()).isEqualTo(WARPS * 31);
        assertThat(costs.localBytes()).isEqualTo(4096);
        assertThat(costs(CostsTest::paddedColumns).bankConflicts()).isZero();
        KernelCosts doubles = costs(CostsTest::doublesInLocalMemory);
        assertThat(line(doubles, "tile", MemoryAccess.LOCAL_WRITE).passes()).isEqualTo(WARPS * 2);
        assertThat(doubles.bankConflicts()).isZero();
        assertThat(doubles.privateBytes()).isEqualTo(32);
        assertThat(doubles.operations()).isEqualTo(SIZE);
    }

    @Test
    void lanesThatGoOtherWays() {
        KernelCosts costs = costs(CostsTest::everySecond);
        assertThat(line(costs, "out", MemoryAccess.GLOBAL_WRITE).lanesPerInstruction())
                .isEqualTo(16);
        assertThat(costs.divergence()).isEqualTo(0.25);
        KernelCosts turns = costs(CostsTest::turns);
        LineCosts read = line(turns, "in", MemoryAccess.GLOBAL_READ);
        // Turn 0: l = 2 (even, and more than 0 turns); turn 1: l = 3; turn 2: none of l = 3. Of 4 lanes, 8 times in a
        // warp.
        assertThat(read.instructions()).isEqualTo(2 * WARPS);
        assertThat(read.lanesPerInstruction()).isEqualTo(8);
        // Ends of turns: 24, 16 and 8 lanes.
        assertThat(turns.warpSteps()).isEqualTo(WARPS * (2 + 3 + 1));
        assertThat(turns.laneSteps()).isEqualTo(WARPS * (16 + 48 + 32));
    }

    @Test
    void loopsAreWarpsOfNeighbours() {
        FloatArray in = new FloatArray(512);
        FloatArray out = new FloatArray(512);
        KernelCosts costs = costs(
                new TaskGraph("loop").transferToDevice(EVERY_EXECUTION, in).task("kernel", CostsTest::loop, in, out),
                0);
        assertThat(line(costs, "in", MemoryAccess.GLOBAL_READ).sectors()).isEqualTo(16 * 5);
        assertThat(costs.divergence()).isZero();
        KernelCosts transposed = costs(
                new TaskGraph("transpose")
                        .transferToDevice(EVERY_EXECUTION, in)
                        .task("kernel", CostsTest::transpose, in, out),
                0);
        assertThat(line(transposed, "in", MemoryAccess.GLOBAL_READ).sectors()).isEqualTo(16 * 5);
        assertThat(line(transposed, "out", MemoryAccess.GLOBAL_WRITE).sectors()).isEqualTo(16 * 32);
        assertThat(transposed.describe(Gpu.H200)).contains("uncoalesced").contains("TornadoVM chooses the groups");
    }

    @Test
    void halvesAloneAndInPairs() {
        HalfFloatArray in = new HalfFloatArray(SIZE);
        HalfFloatArray out = new HalfFloatArray(SIZE);
        KernelCosts costs = costs(
                new TaskGraph("halves")
                        .transferToDevice(EVERY_EXECUTION, in)
                        .task("kernel", CostsTest::halves, new KernelContext(), in, out),
                64);
        List<LineCosts> reads = costs.lines().stream()
                .filter(line -> line.access() == MemoryAccess.GLOBAL_READ)
                .toList();
        assertThat(reads).hasSize(2).allSatisfy(read -> {
            assertThat(read.sectors()).isEqualTo(WARPS * 3);
            assertThat(read.fewestSectors()).isEqualTo(WARPS * 2);
        });
    }

    @Test
    void occupancyAndTheRoof() {
        assertThat(Gpu.H100.occupancy(64, 4096)).isCloseTo(32 * 64 / 2048.0, within(1e-9));
        assertThat(Gpu.H100.groupsAtOnce(256, 100 * 1024)).isEqualTo(2);
        assertThat(Gpu.H100.occupancy(256, 100 * 1024)).isEqualTo(0.25);
        assertThat(Gpu.T4.groupsAtOnce(128, 100 * 1024)).isZero();
        assertThat(Gpu.A100.groupsAtOnce(33, 0)).isEqualTo(32);
        assertThat(Gpu.parse("h200")).isEqualTo(Gpu.H200);
        assertThatThrownBy(() -> Gpu.parse("voodoo")).hasMessageContaining("h200, h100, a100");
        String text = costs(CostsTest::columns).describe(Gpu.T4);
        assertThat(text)
                .contains("Costs of kernel columns: 4 groups of 64")
                .contains("496 turns lost to bank conflicts")
                .contains("0.00 operations per byte; left of T4's ridge at 25.3");
        assertThat(text.lines()).allSatisfy(line -> assertThat(line.length()).isLessThanOrEqualTo(132));
    }

    static void unrolled(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(256);
        int id = context.localIdx;
        tile[id] = 1f;
        tile[id + 64] = 2f;
        tile[id + 128] = 3f;
        out.set(context.globalIdx, tile[id]);
    }

    @Test
    void unrolledLinesAreOneInTheTable() {
        KernelCosts costs = costs(CostsTest::unrolled);
        assertThat(costs.lines()).hasSize(5);
        assertThat(costs.describe(Gpu.H100))
                .containsPattern("CostsTest\\.java:\\d+-\\d+ +tile +local write +24 ")
                .containsPattern("CostsTest\\.java:\\d+ +tile +local read +8 ");
    }

    @Test
    void nobodyAsksAndNothingIsCounted() {
        FloatArray in = new FloatArray(SIZE);
        assertThat(Plans.run(new TaskGraph("off")
                                .transferToDevice(EVERY_EXECUTION, in)
                                .task("kernel", CostsTest::loop, in, new FloatArray(SIZE)))
                        .costs())
                .isEmpty();
    }
}
