package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BlockMask;
import org.tornadoattention.CoveringArray;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.MaskFunction;
import org.tornadoattention.cache.KeyValuePool;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.choice.Launch;
import org.tornadoattention.choice.SplitTile;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.choice.WarpGroupSplitTile;
import org.tornadoattention.choice.Work;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Work-groups that compute several tiles of queries each, on a device of few multiprocessors: the bits that groups of
 * one tile each compute on a device of many.
 */
@ExtendWith(RoomForWarpGroups.class)
@Isolated
class StayingGroupsTest {

    private static final int FEW = 2;
    private static final int MANY = 10_000;

    /** A problem, and the tile of the kernel. */
    private record Case(AttentionShape shape, DType dtype, AttentionOptions options, String tile, boolean packed) {

        Case(AttentionShape shape, AttentionOptions options, String tile) {
            this(shape, DType.F16, options, tile, false);
        }

        AttentionProblem problem() {
            return AttentionProblem.of(shape, dtype, options);
        }

        Tile ofKernel() {
            String[] numbers = tile.split("x");
            int queries = Integer.parseInt(numbers[0]);
            return AttentionKernel.WARP_GROUP.tile(queries, Integer.parseInt(numbers[1]), queries / 16, 0);
        }

        /** Queries, keys, values, room for an output; packed has a token's heads side by side. */
        Tensor tensor(int which) {
            int[] of = which == 0 ? shape.queryShape() : which == 1 ? shape.keyShape() : shape.valueShape();
            int[] dimensions = which == 3 ? shape.outputShape() : of;
            Tensor numbers = Tensor.random(dtype, which + 1, dimensions);
            if (!packed) {
                return which == 3 ? Tensor.allocate(dtype, dimensions) : numbers;
            }
            int heads = dimensions[1];
            int tokens = dimensions[2];
            int dim = dimensions[3];
            int[] strides = {tokens * heads * dim, dim, heads * dim, 1};
            Tensor view = Tensor.view(
                    Tensor.allocate(dtype, dimensions[0] * tokens * heads * dim).halfFloatArray(),
                    0,
                    dimensions,
                    strides);
            return which == 3 ? view : view.copyFrom(numbers);
        }
    }

    private static Case of(int batch, int heads, int kvHeads, int length, AttentionOptions options, String tile) {
        return new Case(new AttentionShape(batch, heads, kvHeads, length, length, 16), options, tile);
    }

    /** Of the day: each tile, mask, type, option and kind of shape. */
    static Stream<Case> casesOfTheDay() {
        return CoveringArray.ofEachValue(StayingGroupsTest::values).ofTheDay(cases());
    }

    private static List<?> values(Case row) {
        AttentionShape shape = row.shape;
        AttentionOptions options = row.options;
        return List.of(
                row.tile,
                row.dtype,
                row.packed,
                options.mask(),
                Arrays.stream(options.keyLengths())
                        .mapToObj(length -> length == 0)
                        .toList(),
                options.hasDropout(),
                options.hasSoftcap(),
                options.sinks().isPresent(),
                Integer.compare(shape.seqQ(), shape.seqK()),
                shape.heads() / shape.kvHeads(),
                Math.ceilDiv(shape.headDim(), 64),
                shape.headDim() % 8,
                Integer.compare(shape.headDim(), shape.valueDim()));
    }

    private static Stream<Case> cases() {
        AttentionOptions all = AttentionOptions.defaults();
        AttentionOptions causal = AttentionOptions.causal();
        return Stream.of(
                // One warp group's tile begins where its last one ended, or a tile of keys later, or further
                // on.
                of(1, 3, 3, 256, all, "128x64"),
                of(1, 3, 3, 256, causal, "128x128"),
                of(1, 3, 3, 256, causal, "128x64"),
                of(1, 2, 2, 256, causal, "128x16"),
                of(1, 2, 1, 450, causal, "192x64"),
                of(1, 2, 2, 300, all.withWindow(40, 20), "128x32"),
                of(1, 2, 2, 300, causal.withWindow(100, 0), "192x16"),
                new Case(new AttentionShape(1, 2, 2, 300, 140, 16), causal, "128x32"),
                new Case(new AttentionShape(1, 3, 1, 140, 300, 16), causal, "128x64"),
                of(4, 1, 1, 200, causal.withKeyLengths(200, 0, 77, 130), "128x64"),
                of(5, 1, 1, 140, all.withKeyLengths(0, 0, 77, 0, 130), "128x64"),
                of(7, 1, 1, 140, all.withKeyLengths(140, 0, 0, 0, 0, 0, 130), "128x64"),
                of(2, 2, 2, 200, causal.withDropout(0.3, 5), "128x64"),
                of(2, 2, 2, 200, causal.withSoftcap(5).withAlibi(AttentionOptions.alibiSlopes(2)), "128x64"),
                of(1, 3, 3, 200, causal.withSinks(Tensor.random(DType.F32, 9, 3)), "128x64"),
                new Case(new AttentionShape(1, 3, 3, 200, 200, 24, 40), causal, "128x64"),
                new Case(new AttentionShape(1, 3, 3, 200, 200, 136, 64), all, "128x32"),
                new Case(new AttentionShape(1, 4, 2, 200, 200, 16), DType.F16, causal, "128x64", true),
                new Case(new AttentionShape(2, 4, 2, 150, 150, 32), DType.BF16, causal, "128x64", false),
                new Case(new AttentionShape(1, 3, 3, 200, 200, 59), causal, "128x64"));
    }

    @ParameterizedTest
    @MethodSource("casesOfTheDay")
    void theirBitsAreThoseOfGroupsOfOneTile(Case problem) throws TornadoExecutionPlanException {
        assertThat(groups(problem, FEW)).isEqualTo(FEW);
        assertThat(groups(problem, MANY)).isGreaterThan(FEW);
        Tensor[] t = {problem.tensor(0), problem.tensor(1), problem.tensor(2)};
        Tensor[] few = run(problem, FEW, t);
        Tensor[] many = run(problem, MANY, t);
        assertThat(few[0].toFloatArray()).isEqualTo(many[0].toFloatArray());
        assertThat(few[1].toFloatArray()).isEqualTo(many[1].toFloatArray());
        assertThat(AccuracyCheck.of(t[0], t[1], t[2], problem.options).forward(few[0], few[1]))
                .allMatch(Comparison::passed);
    }

    private static AttentionOptions blocks(int length, MaskFunction mask) {
        return AttentionOptions.defaults()
                .withMask(Mask.blocks(BlockMask.of(mask, 1, 2, length, length, BlockMask.DEFAULT_BLOCK, 64)));
    }

    /** Of the day: each tile and option that is with them. */
    static Stream<Arguments> blockMasks() {
        return CoveringArray.ofEachValue(StayingGroupsTest::valuesWithBlocks)
                .ofTheDay(casesWithBlocks())
                .map(Arguments::of);
    }

    private static List<?> valuesWithBlocks(Case row) {
        AttentionShape shape = row.shape;
        AttentionOptions options = row.options;
        return List.of(
                row.tile,
                shape.batch(),
                shape.heads() / shape.kvHeads(),
                options.keyLengths().length,
                options.hasDropout(),
                options.hasSoftcap(),
                options.mask().isCausal());
    }

    private static Stream<Case> casesWithBlocks() {
        return Stream.of(
                of(1, 2, 2, 640, blocks(640, (b, h, i, j) -> (i / 128 + j / 64 + h) % 3 == 0), "128x64"),
                // None, one or two tiles of keys, and rows that see nothing.
                of(1, 2, 1, 500, blocks(500, (b, h, i, j) -> i / 128 % 2 == 1 && i % 5 > 0 && j < 90), "128x64"),
                of(1, 2, 2, 500, blocks(500, (b, h, i, j) -> i >= 384), "128x64"),
                of(1, 2, 2, 500, blocks(500, (b, h, i, j) -> false), "128x64"),
                of(1, 2, 2, 520, blocks(520, (b, h, i, j) -> j <= i), "128x128"),
                of(2, 2, 2, 260, blocks(260, (b, h, i, j) -> j <= i).withCausal(), "128x64"),
                of(2, 2, 2, 300, blocks(300, (b, h, i, j) -> i / 50 == j / 50).withKeyLengths(0, 211), "128x64"),
                of(
                        1,
                        2,
                        2,
                        400,
                        blocks(400, (b, h, i, j) -> (i / 128 + j / 64) % 2 == 0)
                                .withSoftcap(4)
                                .withDropout(0.2, 3),
                        "128x64"));
    }

    /** Groups of two tiles of queries each, which the copying warps list the keys of. */
    @ParameterizedTest
    @MethodSource("blockMasks")
    void pairsOfTilesGiveTheBitsOfTiles(Case problem) throws TornadoExecutionPlanException {
        assertThat(2 * groups(problem, 1)).isEqualTo(groups(problem, MANY) + groups(problem, MANY) % 2);
        Tensor[] t = {problem.tensor(0), problem.tensor(1), problem.tensor(2)};
        Tensor[] pairs = run(problem, 1, t);
        Tensor[] tiles = run(problem, MANY, t);
        assertThat(pairs[0].toFloatArray()).isEqualTo(tiles[0].toFloatArray());
        assertThat(pairs[1].toFloatArray()).isEqualTo(tiles[1].toFloatArray());
        assertThat(AccuracyCheck.of(t[0], t[1], t[2], problem.options).forward(pairs[0], pairs[1]))
                .allMatch(Comparison::passed);
    }

    /** Rows that are not finite are mended at the end of their own tile. */
    @Test
    void whatARowDoesNotSeeStaysOut() throws TornadoExecutionPlanException {
        Case problem = of(1, 3, 3, 256, AttentionOptions.causal(), "128x64");
        Tensor[] t = {problem.tensor(0), problem.tensor(1), problem.tensor(2)};
        for (int head = 0; head < 3; head++) {
            t[2].set(Float.NaN, 0, head, 40 + 70 * head, 3);
        }
        Tensor[] few = run(problem, FEW, t);
        assertThat(few[0].toFloatArray()).isEqualTo(run(problem, MANY, t)[0].toFloatArray());
        for (int head = 0; head < 3; head++) {
            assertThat(few[0].get(0, head, 40 + 70 * head - 1, 3)).isFinite();
            assertThat(few[0].get(0, head, 40 + 70 * head, 3)).isNaN();
        }
    }

    @Test
    void theirBitsAreTheSameInEveryOrderOfWorkItems() throws TornadoExecutionPlanException {
        Case problem = of(1, 3, 3, 256, AttentionOptions.causal(), "128x64");
        Tensor[] t = {problem.tensor(0), problem.tensor(1), problem.tensor(2)};
        float[] first = run(problem, FEW, t)[0].toFloatArray();
        for (int seed = 1; seed <= 4; seed++) {
            try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withSeed(seed))) {
                assertThat(run(problem, FEW, t)[0].toFloatArray()).isEqualTo(first);
            }
        }
    }

    /** Pages in any order, sequences of any length, one of them without queries. */
    @ParameterizedTest
    @CsvSource({"16, 20, 64", "64, 5, 64", "320, 1, 128", "4, 80, 64"})
    void chunksOverPages(int pageSize, int pages, int headDim) throws TornadoExecutionPlanException {
        float[] few = chunks(pageSize, pages, headDim, FEW);
        assertThat(few).isEqualTo(chunks(pageSize, pages, headDim, MANY)).doesNotContain(Float.NaN);
    }

    /** Outputs of three sequences, and their log-sum-exps. */
    private static float[] chunks(int pageSize, int pages, int headDim, int multiprocessors)
            throws TornadoExecutionPlanException {
        int[] starts = {20, 100, 0};
        int[] valid = {200, 0, 130};
        ComputeDevice device = device(multiprocessors);
        AttentionShape shape = new AttentionShape(3, 2, 1, 200, pages * pageSize, headDim);
        Tensor q = Tensor.random(DType.F16, 1, shape.queryShape());
        Tensor keys = Tensor.random(DType.F16, 2, 3 * pages, 1, pageSize, headDim);
        Tensor values = Tensor.random(DType.F16, 3, 3 * pages, 1, pageSize, headDim);
        Tensor output = Tensor.allocate(DType.F16, shape.outputShape());
        Tensor logSumExp = Tensor.allocate(DType.F32, shape.logSumExpShape());
        IntArray positions = IntArray.fromElements(starts);
        IntArray rows = IntArray.fromElements(valid);
        IntArray table = new IntArray(3 * pages);
        for (int page = 0; page < 3 * pages; page++) {
            table.set(page, 3 * pages - 1 - page);
        }
        KeyValuePool pool = KeyValuePool.of(keys, values, positions)
                .withValidRows(rows)
                .withBlockTable(table, pages)
                .withKernel(DecodeKernel.WARP_GROUP)
                .withSplits(1);
        TaskGraph graph = new TaskGraph("chunks");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(
                DataTransferMode.FIRST_EXECUTION,
                q.array(),
                keys.array(),
                values.array(),
                output.array(),
                logSumExp.array(),
                positions,
                rows,
                table);
        try (FlashAttention attention = FlashAttention.on(device)) {
            SplitTile tile = attention.appendTo(
                    graph, grids, "attention", q, pool, output, logSumExp, AttentionOptions.causal());
            assertThat(((WarpGroupSplitTile) tile).staying(shape, device)).isEqualTo(multiprocessors == FEW ? FEW : 0);
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, output.array(), logSumExp.array());
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                plan.withDevice(device.handle()).withGridScheduler(grids).execute();
            }
        }
        float[] all = new float[output.numberOfElements() + logSumExp.numberOfElements()];
        System.arraycopy(output.toFloatArray(), 0, all, 0, output.numberOfElements());
        System.arraycopy(logSumExp.toFloatArray(), 0, all, output.numberOfElements(), logSumExp.numberOfElements());
        return all;
    }

    private static long groups(Case problem, int multiprocessors) {
        List<Launch> launches = AttentionKernel.WARP_GROUP
                .spec()
                .forward(new Work(problem.problem(), List.of(problem.ofKernel()), device(multiprocessors)));
        return launches.getFirst().groups();
    }

    private static ComputeDevice device(int multiprocessors) {
        return RoomForWarpGroups.device(multiprocessors);
    }

    private static Tensor[] run(Case problem, int multiprocessors, Tensor... t) throws TornadoExecutionPlanException {
        return WarpGroupPass.run(device(multiprocessors), problem.ofKernel(), problem.options, problem.tensor(3), 1, t);
    }
}
