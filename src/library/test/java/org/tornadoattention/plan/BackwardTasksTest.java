package org.tornadoattention.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.TestDevice;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.DeviceMemory;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.TiledQueryGradient;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.WorkerGrid;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Tasks, grids and tiles of the backward pass. */
class BackwardTasksTest {

    private static final ComputeDevice DEVICE = TestDevice.get();

    static Stream<Arguments> problems() {
        return AttentionTasksTest.problems()
                .filter(arguments -> ((AttentionKernel) arguments.get()[1]).supportsBackward());
    }

    @ParameterizedTest
    @MethodSource("problems")
    void everyTaskHasAGroupSizeThatDividesItsGrid(AttentionProblem problem, AttentionKernel kernel) {
        KernelChoice choice = KernelChoice.chooseBackward(problem, DEVICE, Optional.of(kernel));
        TaskGraph graph = new TaskGraph("graph");
        GridScheduler grids = new GridScheduler();
        AttentionShape shape = problem.shape();
        FloatArray rowTerms = new FloatArray((int) (2 * shape.queryRows()));
        BackwardArrays arrays = BackwardArrays.of(problem, tensors(problem), rowTerms, List.of(), DEVICE.halfFloats());
        BackwardTasks.append(graph, grids, "back", problem, choice, DEVICE, arrays, WantedGradients.ALL);

        Set<String> tasks = Set.copyOf(grids.keySet());
        boolean warpGroup = choice.kernel() == AttentionKernel.WARP_GROUP;
        if (warpGroup && choice.tiles().size() == 1) {
            assertThat(tasks).containsExactlyInAnyOrder("graph.back-rows", "graph.back-gradients");
        } else {
            boolean apart = warpGroup && shape.headDim() > 128;
            assertThat(tasks).contains("graph.back-rows", "graph.back-dq");
            assertThat(tasks).contains(apart ? "graph.back-dk" : "graph.back-dkdv");
            int splitting = choice.kernel() == AttentionKernel.WARP_GROUP_F32 ? 4 : 0;
            assertThat(tasks).hasSize(splitting + (apart || kernel == AttentionKernel.STANDARD ? 4 : 3));
        }
        for (String task : tasks) {
            WorkerGrid grid = grids.get(task);
            long size = grid.getLocalWork()[0];
            assertThat(grid.getGlobalWork()[0] % size).as(task).isZero();
            assertThat(size).as(task).isPositive().isLessThanOrEqualTo(DEVICE.maxGroupSize());
        }
    }

    /** Who divides a sequence computes either, of queries or of keys that are his, and never both. */
    @ParameterizedTest
    @MethodSource("problems")
    void gradientsOfQueriesAndOfKeysCanBeHadApart(AttentionProblem problem, AttentionKernel kernel) {
        KernelChoice choice = KernelChoice.chooseBackwardApart(problem, DEVICE, Optional.of(kernel));
        FloatArray rowTerms = new FloatArray((int) (2 * problem.shape().queryRows()));
        BackwardArrays arrays = BackwardArrays.of(problem, tensors(problem), rowTerms, List.of(), DEVICE.halfFloats());
        for (WantedGradients wanted : List.of(WantedGradients.OF_QUERIES, WantedGradients.OF_KEYS)) {
            GridScheduler grids = new GridScheduler();
            BackwardTasks.append(new TaskGraph("graph"), grids, "back", problem, choice, DEVICE, arrays, wanted);
            boolean ofQueries = wanted == WantedGradients.OF_QUERIES;
            assertThat(grids.keySet()).contains("graph.back-rows").doesNotContain("graph.back-gradients");
            assertThat(grids.keySet().contains("graph.back-dq")).isEqualTo(ofQueries);
            assertThat(grids.keySet().stream().anyMatch(task -> task.startsWith("graph.back-dk")))
                    .isEqualTo(!ofQueries);
        }
    }

    private static BackwardTensors tensors(AttentionProblem problem) {
        AttentionShape shape = problem.shape();
        return BackwardTensors.builder()
                .q(Tensor.allocate(problem.dtype(), shape.queryShape()))
                .k(Tensor.allocate(problem.dtype(), shape.keyShape()))
                .v(Tensor.allocate(problem.dtype(), shape.keyShape()))
                .output(Tensor.allocate(problem.dtype(), shape.queryShape()))
                .logSumExp(Tensor.allocate(DType.F32, shape.logSumExpShape()))
                .dOut(Tensor.allocate(problem.dtype(), shape.queryShape()))
                .dQ(Tensor.allocate(problem.dtype(), shape.queryShape()))
                .dK(Tensor.allocate(problem.dtype(), shape.keyShape()))
                .dV(Tensor.allocate(problem.dtype(), shape.keyShape()))
                .build();
    }

    private static KernelChoice tiled(int headDim, ComputeDevice device) {
        AttentionShape shape = new AttentionShape(1, 1, 1, 100, 100, headDim);
        return KernelChoice.chooseBackward(
                AttentionProblem.of(shape, DType.F32, AttentionOptions.defaults()),
                device,
                Optional.of(AttentionKernel.TILED));
    }

    @ParameterizedTest
    @CsvSource({"1, 32", "64, 32", "72, 32", "88, 24", "96, 16", "128, 16", "144, 16", "160, 8", "256, 8"})
    void theTileIsTheLargestThatFits(int headDim, int block) {
        ComputeDevice device = TestDevice.limited(48 * 1024, 1024, 1L << 40, 1L << 40);
        assertThat(tiled(headDim, device).tileNames()).contains(block + "x" + block);
        assertThat(TiledQueryGradient.localMemoryBytes(headDim, block)).isLessThanOrEqualTo(48 * 1024);
    }

    @ParameterizedTest
    @CsvSource({"1000, 1024", "65536, 1"})
    void aDeviceMayBeTooSmallForAnyTile(long localMemory, long groupSize) {
        ComputeDevice device = TestDevice.limited(localMemory, groupSize, 1L << 40, 1L << 40);
        assertThatExceptionOfType(UnsupportedOnDeviceException.class)
                .isThrownBy(() -> tiled(256, device))
                .withMessageContainingAll("head dimension 256", "%,d bytes".formatted(localMemory));
    }

    @ParameterizedTest
    @CsvSource({"F32, 4", "BF16, 2"})
    void memoryIsTheTensorsTheirGradientsAndThreeNumbersAQuery(DType dtype, int bytes) {
        AttentionShape shape = new AttentionShape(2, 4, 2, 10, 30, 64);
        AttentionProblem problem = AttentionProblem.of(shape, dtype, AttentionOptions.defaults());
        DeviceMemory memory = DeviceMemory.ofBackward(problem, AttentionKernel.TILED);
        assertThat(memory.tensorBytes()).isEqualTo(4L * bytes * 64 * (2 * 4 * 10 + 2 * 2 * 30));
        assertThat(memory.extraBytes()).isEqualTo(3L * 4 * 2 * 4 * 10);
        assertThat(List.of(AttentionKernel.values()))
                .filteredOn(kernel -> DeviceMemory.ofBackward(problem, kernel).extraBytes() != memory.extraBytes())
                .containsExactly(AttentionKernel.STANDARD, AttentionKernel.WARP_GROUP, AttentionKernel.WARP_GROUP_F32);
    }

    /**
     * One kernel for all gradients sums dQ in memory, and dK and dV where heads that share keys have groups of their
     * own; heads that share keys within a window have two kernels, which do not.
     */
    @Test
    void warpGroupsNeedRoomForTheSumsOfOneKernel() {
        AttentionShape shared = new AttentionShape(2, 4, 2, 300, 30, 64);
        AttentionShape own = new AttentionShape(2, 4, 4, 300, 30, 64);
        long three = 3L * 4 * 2 * 4 * 300;
        long sumsOfQueries = 4L * 2 * 4 * 384 * 64;
        long sumsOfKeys = 4L * 2 * 2 * 128 * 64 * 2;
        long turns = 4L * (2 * 4 * 3 + 2 * 2 * 8);
        assertThat(extraBytes(shared, AttentionOptions.defaults().withWindow(7, 0)))
                .isEqualTo(three);
        assertThat(extraBytes(shared, AttentionOptions.causal())).isEqualTo(three + sumsOfQueries + sumsOfKeys + turns);
        assertThat(extraBytes(own, AttentionOptions.defaults())).isGreaterThanOrEqualTo(three + sumsOfQueries);
    }

    private static long extraBytes(AttentionShape shape, AttentionOptions options) {
        AttentionProblem problem = AttentionProblem.of(shape, DType.F16, options);
        return DeviceMemory.ofBackward(problem, AttentionKernel.WARP_GROUP).extraBytes();
    }
}
