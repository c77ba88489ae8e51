package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.choice.Work;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/** Work-groups that divide the keys of the tiles of queries of a last round, on a device of few multiprocessors. */
@ExtendWith(RoomForWarpGroups.class)
@Isolated
class DividedTilesTest {

    /**
     * @param tiles of queries
     * @param multiprocessors of the device
     * @param groups tiles that are whole, and the parts of those that are divided
     */
    private record Case(
            AttentionShape shape,
            DType dtype,
            AttentionOptions options,
            String tile,
            int tiles,
            int multiprocessors,
            int groups) {

        Case(AttentionShape shape, AttentionOptions options, String tile, int tiles, int processors, int groups) {
            this(shape, DType.F16, options, tile, tiles, processors, groups);
        }

        Tile ofKernel() {
            String[] numbers = tile.split("x");
            int queries = Integer.parseInt(numbers[0]);
            return AttentionKernel.WARP_GROUP.tile(queries, Integer.parseInt(numbers[1]), queries / 16, 0);
        }

        long groups(int processors) {
            AttentionProblem problem = AttentionProblem.of(shape, dtype, options);
            ComputeDevice device = RoomForWarpGroups.device(processors);
            return AttentionKernel.WARP_GROUP
                    .spec()
                    .forward(new Work(problem, List.of(ofKernel()), device))
                    .getFirst()
                    .groups();
        }

        Tensor[] tensors() {
            return new Tensor[] {
                Tensor.random(dtype, 1, shape.queryShape()),
                Tensor.random(dtype, 2, shape.keyShape()),
                Tensor.random(dtype, 3, shape.valueShape())
            };
        }

        Tensor[] run(int processors, int times, Tensor... t) throws TornadoExecutionPlanException {
            Tensor output = Tensor.allocate(dtype, shape.outputShape());
            return WarpGroupPass.run(RoomForWarpGroups.device(processors), ofKernel(), options, output, times, t);
        }
    }

    private static AttentionShape of(int batch, int heads, int kvHeads, int seqQ, int seqK) {
        return new AttentionShape(batch, heads, kvHeads, seqQ, seqK, 16);
    }

    private static Tensor bias(DType dtype, int... shape) {
        return Tensor.random(dtype, 4, shape);
    }

    private static Stream<Case> cases() {
        AttentionOptions all = AttentionOptions.defaults();
        return Stream.of(
                new Case(of(1, 1, 1, 128, 512), all, "128x16", 1, 2, 2),
                new Case(of(1, 1, 1, 100, 760), all, "128x16", 1, 7, 3),
                new Case(of(1, 2, 1, 150, 515), all, "192x16", 2, 5, 4),
                new Case(of(1, 1, 1, 130, 512), DType.BF16, all.withSoftcap(3), "128x16", 2, 4, 4),
                new Case(of(3, 1, 1, 64, 512), all.withKeyLengths(512, 0, 40), "128x16", 3, 6, 6),
                new Case(of(1, 2, 2, 64, 512), all.withAlibi(0.1f, 0.5f), "128x16", 2, 4, 4),
                new Case(of(1, 1, 1, 64, 512), all.withDropout(0.3, 5), "128x16", 1, 2, 2),
                new Case(of(1, 2, 2, 64, 512), all.withSinks(Tensor.of(new float[] {1f, -2f}, 2)), "128x16", 2, 4, 4),
                new Case(new AttentionShape(1, 1, 1, 64, 512, 24, 40), all, "128x16", 1, 2, 2),
                // Of several rounds, which tiles of functions have.
                new Case(
                        of(1, 5, 5, 100, 512),
                        all.withScore((s, b, h, i, j) -> s + 0.01f * (j - i)),
                        "128x16",
                        5,
                        4,
                        6),
                new Case(of(1, 3, 3, 100, 1024), all.withBias(bias(DType.F16, 1, 1, 100, 1024)), "128x32", 3, 2, 4),
                new Case(of(2, 2, 2, 200, 1024), all.withBias(bias(DType.BF16, 2, 2, 200, 1024)), "128x32", 8, 3, 8),
                new Case(of(2, 3, 3, 140, 512), all.withBias(bias(DType.F16, 1, 3, 140, 512)), "128x16", 12, 10, 14));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void theirSumsAreThoseOfAllKeys(Case problem) throws TornadoExecutionPlanException {
        assertThat(problem.groups(problem.multiprocessors)).isEqualTo(problem.groups);
        assertThat(problem.groups(problem.tiles)).isEqualTo(problem.tiles);
        Tensor[] t = problem.tensors();
        Tensor[] divided = problem.run(problem.multiprocessors, 1, t);
        assertThat(AccuracyCheck.of(t[0], t[1], t[2], problem.options).forward(divided[0], divided[1]))
                .allMatch(Comparison::passed);
    }

    /** Turns are as they were when a pass is over, and sums are added in one order. */
    @Test
    void theirBitsAreTheSameEveryTimeAndInEveryOrderOfWorkItems() throws TornadoExecutionPlanException {
        Case problem = new Case(of(1, 1, 1, 100, 760), AttentionOptions.defaults(), "128x16", 1, 7, 3);
        Tensor[] t = problem.tensors();
        float[] first = problem.run(7, 1, t)[0].toFloatArray();
        assertThat(problem.run(7, 3, t)[0].toFloatArray()).isEqualTo(first);
        for (int seed = 1; seed <= 4; seed++) {
            try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withSeed(seed))) {
                assertThat(problem.run(7, 1, t)[0].toFloatArray()).isEqualTo(first);
            }
        }
    }

    /** Parts whose maxima differ by more than a float's exponents, and a part of which a row sees nothing. */
    @Test
    void partsOfAnyMaximumAreJoined() throws TornadoExecutionPlanException {
        Tensor bias = Tensor.allocate(DType.F16, 1, 1, 64, 1024);
        for (int query = 0; query < 64; query++) {
            for (int key = 0; key < 1024; key++) {
                boolean second = key >= 512;
                float added = query % 4 == 0 ? 300f : query % 4 == 1 ? -300f : Float.NEGATIVE_INFINITY;
                bias.set(second == (query % 8 < 4) ? added : 0f, 0, 0, query, key);
            }
        }
        AttentionOptions options = AttentionOptions.defaults().withBias(bias);
        Case problem = new Case(of(1, 1, 1, 64, 1024), options, "128x32", 1, 2, 2);
        Tensor[] t = problem.tensors();
        Tensor[] divided = problem.run(2, 1, t);
        assertThat(divided[1].toFloatArray()).doesNotContain(Float.NaN);
        assertThat(AccuracyCheck.of(t[0], t[1], t[2], options).forward(divided[0], divided[1]))
                .allMatch(Comparison::passed);
    }
}
