package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.cache.CacheOptions;
import org.tornadoattention.cache.KvCache;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * NaN and infinities reach what they belong to and nothing else, in every kernel, and none waits for them forever.
 * OpenCL's compiler flags promise finite numbers, so nothing is asked of it.
 */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class SpecialValuesTest {

    private static final int QUERIES = 40;
    private static final int KEYS = 150;
    private static final int HEAD_DIM = 48;

    @BeforeEach
    void theBackendHasSpecialValues() {
        assumeTrue(TestDevice.get().backend() != Backend.OPENCL, "OpenCL promises its compiler finite numbers");
    }

    static Stream<Arguments> kernels() {
        AttentionShape shape = new AttentionShape(1, 1, 1, QUERIES, KEYS, HEAD_DIM);
        return Arrays.stream(DType.values())
                .map(dtype -> AttentionCase.of(shape, dtype, AttentionOptions.defaults()))
                .flatMap(problem -> problem.kernels().stream()
                        .filter(TestDevice::tries)
                        .map(kernel -> Arguments.of(kernel, problem.dtype(), problem)));
    }

    static Stream<Arguments> kernelsAndValues() {
        return CoveringArray.today(allKernelsAndValues(), 0, 1);
    }

    private static Stream<Arguments> allKernelsAndValues() {
        return kernels()
                .flatMap(arguments -> Stream.of(Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY)
                        .map(special -> Arguments.of(
                                arguments.get()[0],
                                arguments.get()[1],
                                special,
                                arguments.get()[2])));
    }

    /** Splitting or scaling an infinite key makes NaN of it. */
    static Stream<Arguments> kernelsAndValuesOfKeys() {
        Stream<Arguments> table = allKernelsAndValues().filter(arguments -> {
            AttentionKernel kernel = (AttentionKernel) arguments.get()[0];
            boolean splits = kernel == AttentionKernel.WARP_TF32 || kernel == AttentionKernel.WARP_GROUP_F32;
            return Float.isNaN((float) arguments.get()[2]) || !splits && !kernel.isFp8();
        });
        return CoveringArray.today(table, 0, 1);
    }

    private static AttentionResult run(AttentionKernel kernel, Tensor q, Tensor k, Tensor v) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            return attention.forward(q, k, v);
        }
    }

    /**
     * An infinite query makes scores of both signs infinite, and the softmax of a row with an infinite maximum is NaN.
     */
    @Tag("both-tiers")
    @ParameterizedTest(name = "{0}, {1}, {2}")
    @MethodSource("kernelsAndValues")
    void ofAQueryReachItsRowAndNoOther(AttentionKernel kernel, DType dtype, float special, AttentionCase problem) {
        Tensor q = problem.q();
        q.set(special, 0, 0, 5, 7);
        AttentionResult result = run(kernel, q, problem.k(), problem.v());
        for (int row = 0; row < QUERIES; row++) {
            assertThat(Float.isNaN(result.logSumExp().get(0, 0, row)))
                    .as("log-sum-exp of row %d", row)
                    .isEqualTo(row == 5);
            for (int column = 0; column < HEAD_DIM; column++) {
                assertThat(Float.isNaN(result.output().get(0, 0, row, column)))
                        .as("row %d, column %d", row, column)
                        .isEqualTo(row == 5);
            }
        }
    }

    /**
     * A key that is not a number makes every row that sees it so. An infinite one makes those rows NaN whose scores it
     * makes positive, and is as good as masked in the others.
     */
    @Tag("both-tiers")
    @ParameterizedTest(name = "{0}, {1}, {2}")
    @MethodSource("kernelsAndValuesOfKeys")
    void ofAKeyReachTheRowsThatSeeIt(AttentionKernel kernel, DType dtype, float special, AttentionCase problem) {
        Tensor q = problem.q();
        Tensor k = problem.k();
        k.set(special, 0, 0, 140, 7);
        AttentionResult result = run(kernel, q, k, problem.v());
        for (int row = 0; row < QUERIES; row++) {
            boolean lost = Float.isNaN(special) || special * q.get(0, 0, row, 7) > 0;
            assertThat(Float.isNaN(result.logSumExp().get(0, 0, row)))
                    .as("log-sum-exp of row %d", row)
                    .isEqualTo(lost);
            assertThat(Float.isNaN(result.output().get(0, 0, row, 3)))
                    .as("row %d", row)
                    .isEqualTo(lost);
        }
    }

    @Tag("both-tiers")
    @ParameterizedTest(name = "{0}, {1}, {2}")
    @MethodSource("kernelsAndValues")
    void ofAValueReachItsColumnAndNoOther(AttentionKernel kernel, DType dtype, float special, AttentionCase problem) {
        Tensor v = problem.v();
        v.set(special, 0, 0, 140, 7);
        AttentionResult result = run(kernel, problem.q(), problem.k(), v);
        for (int row = 0; row < QUERIES; row++) {
            for (int column = 0; column < HEAD_DIM; column++) {
                float output = result.output().get(0, 0, row, column);
                if (column != 7) {
                    assertThat(output).as("row %d, column %d", row, column).isFinite();
                } else if (kernel == AttentionKernel.WARP_TF32) {
                    assertThat(Float.isFinite(output)).as("row %d", row).isFalse();
                } else if (Float.isNaN(special) || kernel.isFp8() || kernel == AttentionKernel.WARP_GROUP_F32) {
                    assertThat(output).as("row %d", row).isNaN();
                } else {
                    assertThat(output).as("row %d", row).isEqualTo(special);
                }
            }
            assertThat(result.logSumExp().get(0, 0, row)).isFinite();
        }
    }

    static Stream<Arguments> caches() {
        boolean warps = TestDevice.get().extension().level().include(Intrinsics.WARP);
        return Stream.of(DecodeKernel.values())
                .filter(kernel -> kernel != DecodeKernel.WARP_GROUP)
                .filter(kernel -> warps || kernel != DecodeKernel.WARP_SPLIT_KEY)
                .flatMap(kernel -> Stream.of(DType.F16, DType.BF16)
                        .flatMap(dtype -> Stream.of(1, 3).map(splits -> Arguments.of(kernel, dtype, splits))));
    }

    @ParameterizedTest(name = "{0}, {1}, {2} splits")
    @MethodSource("caches")
    void ofACacheReachWhatTheyBelongTo(DecodeKernel kernel, DType dtype, int splits) {
        Tensor q = Tensor.random(dtype, 1, 2, 4, 1, HEAD_DIM);
        Tensor k = Tensor.random(dtype, 2, 2, 2, KEYS, HEAD_DIM);
        Tensor v = Tensor.random(dtype, 3, 2, 2, KEYS, HEAD_DIM);
        q.set(Float.POSITIVE_INFINITY, 0, 0, 0, 7); // of the heads that share KV head 0 only the first
        k.set(Float.NaN, 0, 1, 140, 5); // heads 2 and 3 of sequence 0
        v.set(Float.NEGATIVE_INFINITY, 1, 0, 10, 3); // a column of heads 0 and 1 of sequence 1
        ComputeDevice device = kernel == DecodeKernel.VECTOR ? TestDevice.jvm() : TestDevice.get();
        CacheOptions options =
                CacheOptions.of(dtype).on(device).withKernel(kernel).withSplits(splits);
        try (KvCache cache = KvCache.builder()
                .batch(2)
                .heads(4, 2)
                .headDim(HEAD_DIM)
                .capacity(KEYS)
                .options(options)
                .build()) {
            cache.append(k, v);
            AttentionResult result = cache.forward(q, AttentionOptions.defaults());
            for (int sequence = 0; sequence < 2; sequence++) {
                for (int head = 0; head < 4; head++) {
                    boolean lost = sequence == 0 && head != 1;
                    String where = "sequence %d, head %d".formatted(sequence, head);
                    assertThat(Float.isNaN(result.logSumExp().get(sequence, head, 0)))
                            .as(where)
                            .isEqualTo(lost);
                    for (int column = 0; column < HEAD_DIM; column++) {
                        float output = result.output().get(sequence, head, 0, column);
                        if (sequence == 1 && head < 2 && column == 3) {
                            assertThat(output).as(where).isEqualTo(Float.NEGATIVE_INFINITY);
                        } else {
                            assertThat(Float.isNaN(output)).as(where).isEqualTo(lost);
                        }
                    }
                }
            }
        }
    }
}
