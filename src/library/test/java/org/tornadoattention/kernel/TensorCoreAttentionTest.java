package org.tornadoattention.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.forge.Arguments;
import org.tornadoattention.forge.Kernel;
import org.tornadoattention.forge.KernelLauncher;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * What the grids do not reach: references that must be renewed, huge scores, windows past padding, groups of many
 * tiles.
 */
class TensorCoreAttentionTest {

    private static final int KEYS = 150;
    private static final int HEAD_DIM = 48;

    @BeforeEach
    void theDeviceHasTensorCores() {
        assumeTrue(AttentionKernel.TENSOR_CORE.supports(TestDevice.get()));
    }

    private static AttentionResult run(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), AttentionKernel.TENSOR_CORE)) {
            return attention.forward(q, k, v, options);
        }
    }

    private static void assertAccurate(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        AttentionResult result = run(q, k, v, options);
        assertThat(AccuracyCheck.of(q, k, v, options).forward(result.output(), result.logSumExp()))
                .allMatch(Comparison::passed);
    }

    private static float[] normal(long seed, int rows, int columns) {
        return Tensor.random(DType.F32, seed, rows, columns).toFloatArray();
    }

    private static Tensor tensor(DType dtype, float[] values) {
        return Tensor.of(dtype, values, 1, 1, values.length / HEAD_DIM, HEAD_DIM);
    }

    /** Scores of queries that point one way, and keys whose length grows with {@code growth} from tile to tile. */
    @ParameterizedTest
    @EnumSource(names = {"F16", "BF16"})
    void aReferenceIsRenewedWhereScoresOutgrowIt(DType dtype) {
        for (float growth : new float[] {0.5f, 6f, -6f}) {
            float[] q = normal(1, 40, HEAD_DIM);
            float[] k = normal(2, KEYS, HEAD_DIM);
            for (int i = 0; i < q.length; i++) {
                q[i] = i / HEAD_DIM % 3 == 0 ? -1f : 1f + 0.1f * q[i];
            }
            for (int i = 0; i < k.length; i++) {
                k[i] = 0.1f * k[i] + growth * (i / HEAD_DIM / 16) / 8f;
            }
            Tensor v = tensor(dtype, normal(3, KEYS, HEAD_DIM));
            assertAccurate(tensor(dtype, q), tensor(dtype, k), v, AttentionOptions.defaults());
            assertAccurate(tensor(dtype, q), tensor(dtype, k), v, AttentionOptions.causal());
        }
    }

    @Test
    void scoresMayPassTheLargestF16() {
        float[] q = normal(1, 33, HEAD_DIM);
        float[] k = normal(2, KEYS, HEAD_DIM);
        Random random = new Random(4);
        for (int i = 0; i < q.length; i++) {
            q[i] *= 300f;
        }
        for (int i = 0; i < k.length; i++) {
            k[i] *= 100f * random.nextFloat();
        }
        Tensor v = tensor(DType.F16, normal(3, KEYS, HEAD_DIM));
        assertAccurate(tensor(DType.F16, q), tensor(DType.F16, k), v, AttentionOptions.defaults());
    }

    /**
     * Rows that pad the last tile of queries stand so far right of the window that they see no key of a tile that all
     * others see.
     */
    @ParameterizedTest
    @CsvSource({"F16, 94, 69", "BF16, 68, 57"})
    @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void aWindowThatPaddingHasLeftBehindEndsTheLoop(DType dtype, int left, int right) {
        Tensor k = tensor(dtype, normal(2, 113, HEAD_DIM));
        Tensor v = tensor(dtype, normal(3, 113, HEAD_DIM));
        assertAccurate(
                tensor(dtype, normal(1, 203, HEAD_DIM)),
                k,
                v,
                AttentionOptions.defaults().withWindow(left, right));
    }

    /** Heads × 70 queries over 33 keys, in 32 × 16 tiles. */
    private static float[] inGroups(int groups, int heads) throws TornadoExecutionPlanException {
        Tensor q = Tensor.random(DType.F16, 1, 1, heads, 70, HEAD_DIM);
        Tensor k = Tensor.random(DType.F16, 2, 1, heads, 33, HEAD_DIM);
        Tensor v = Tensor.random(DType.F16, 3, 1, heads, 33, HEAD_DIM);
        Tensor output = Tensor.allocate(DType.F16, 1, heads, 70, HEAD_DIM);
        Tensor logSumExp = Tensor.allocate(DType.F32, 1, heads, 70);
        FloatArray scratch = new FloatArray(groups * TensorCoreAttention.scratchElements(HEAD_DIM, 32, 16));
        FloatArray slopes = new FloatArray(1);
        IntArray lengths = new IntArray(1);
        TaskGraph graph = new TaskGraph("graph")
                .transferToDevice(
                        DataTransferMode.FIRST_EXECUTION, q.array(), k.array(), v.array(), slopes, lengths, scratch);
        GridScheduler grids = new GridScheduler();
        new KernelLauncher(graph, grids, Arguments.none())
                .task("task", Kernel.of(TensorCoreAttention.class, "attention"))
                .with("query", q.array())
                .with("key", k.array())
                .with("value", v.array())
                .with("output", output.array())
                .with("logSumExp", logSumExp.array())
                .with("headTerms", slopes)
                .with("keyLengths", lengths)
                .with("scratch", scratch)
                .with("heads", heads)
                .with("kvHeads", heads)
                .with("seqQ", 70)
                .with("seqK", 33)
                .with("headDim", HEAD_DIM)
                .with("tileShape", TensorCoreAttention.packed(32, 16))
                .with("windowLeft", -1)
                .with("windowRight", 0)
                .with("scale", 0.2f)
                .with("softcap", 0f)
                .with("features", 0)
                .groups(groups, TensorCoreAttention.groupSize(HEAD_DIM, 32));
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, output.array(), logSumExp.array());
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(TestDevice.get().handle()).withGridScheduler(grids).execute();
        }
        return output.toFloatArray();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 4, 5})
    void aGroupMayTakeManyTiles(int groups) throws TornadoExecutionPlanException {
        assertThat(inGroups(groups, 3)).isEqualTo(inGroups(9, 3));
    }

    @Test
    void theTileOfADeviceWithFortyEightKilobytesIsKnownForEveryHeadDimension() {
        for (int headDim = 1; headDim <= 256; headDim++) {
            int dims = TensorCoreAttention.paddedDim(headDim);
            assertThat(dims).isGreaterThanOrEqualTo(headDim).isLessThan(headDim + 64);
            assertThat(dims % (16 * TensorCoreAttention.columnWarps(headDim))).isZero();
            assertThat(TensorCoreAttention.localMemoryBytes(headDim, 32, 16)).isLessThanOrEqualTo(48 << 10);
            assertThat(TensorCoreAttention.scratchElements(headDim, 32, 16) % dims)
                    .isZero();
        }
    }
}
