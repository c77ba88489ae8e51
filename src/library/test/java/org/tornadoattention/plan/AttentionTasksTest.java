package org.tornadoattention.plan;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.WorkerGrid;

/**
 * Every task has a group size of its own that divides its grid: TornadoVM launches nothing, and throws nothing, where
 * it does not, and chooses a size that may not fit where there is none.
 */
class AttentionTasksTest {

    private static final ComputeDevice DEVICE = TestDevice.get();

    static Stream<Arguments> problems() {
        List<AttentionShape> shapes = List.of(
                new AttentionShape(1, 1, 1, 1, 1, 1),
                new AttentionShape(3, 5, 1, 67, 13, 59),
                new AttentionShape(1, 2, 2, 129, 257, 128),
                new AttentionShape(2, 2, 1, 8, 3, 256));
        return shapes.stream()
                .flatMap(shape -> Arrays.stream(DType.values())
                        .flatMap(dtype -> Arrays.stream(AttentionKernel.values())
                                .filter(kernel -> kernel.supports(dtype) && kernel.supports(DEVICE))
                                .filter(kernel -> kernel.supports(shape.headDim()))
                                .map(kernel -> Arguments.of(
                                        AttentionProblem.of(shape, dtype, AttentionOptions.causal()), kernel))));
    }

    @ParameterizedTest
    @MethodSource("problems")
    void everyTaskHasAGroupSizeThatDividesItsGrid(AttentionProblem problem, AttentionKernel kernel) {
        KernelChoice choice = KernelChoice.choose(problem, DEVICE, Optional.of(kernel));
        TaskGraph graph = new TaskGraph("graph");
        GridScheduler grids = new GridScheduler();
        AttentionTasks.append(graph, grids, "attention", problem, choice, DEVICE, arrays(problem));

        Set<String> tasks = Set.copyOf(grids.keySet());
        assertThat(tasks)
                .isEqualTo(
                        switch (kernel) {
                            case STANDARD ->
                                Set.of("graph.attention-scores", "graph.attention-softmax", "graph.attention-output");
                            case WARP_GROUP_F32, WARP_GROUP_FP8 ->
                                Set.of(
                                        "graph.attention-query",
                                        "graph.attention-key",
                                        "graph.attention-value",
                                        "graph.attention");
                            default -> Set.of("graph.attention");
                        });
        for (String task : tasks) {
            WorkerGrid grid = grids.get(task);
            long[] local = grid.getLocalWork();
            long[] global = grid.getGlobalWork();
            assertThat(local).as(task).isNotNull();
            for (int dimension = 0; dimension < global.length; dimension++) {
                assertThat(global[dimension] % local[dimension]).as(task).isZero();
            }
            assertThat(local[0] * local[1] * local[2]).as(task).isPositive().isLessThanOrEqualTo(DEVICE.maxGroupSize());
        }
    }

    private static AttentionArrays arrays(AttentionProblem problem) {
        AttentionShape shape = problem.shape();
        return AttentionArrays.of(
                problem,
                Tensor.allocate(problem.dtype(), shape.queryShape()),
                Tensor.allocate(problem.dtype(), shape.keyShape()),
                Tensor.allocate(problem.dtype(), shape.keyShape()),
                Tensor.allocate(problem.dtype(), shape.queryShape()),
                Tensor.allocate(DType.F32, shape.logSumExpShape()),
                java.util.List.of(),
                DEVICE.halfFloats());
    }
}
