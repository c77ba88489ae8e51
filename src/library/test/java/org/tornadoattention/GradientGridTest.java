package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.Backward;
import org.tornadoattention.tensor.Tensor;

/**
 * Gradients and results over the {@linkplain AttentionGrid field's grids}, by every kernel with a backward pass of its
 * own that claims the case; the JVM's own is tried in {@link GradientGridOnJvmTest}, since vectors want the second tier
 * of compiling.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Order(1)
class GradientGridTest {

    /** Multiply-adds of QKᵀ up to which a case is in the default subset: a backward pass costs five such products. */
    private static final long CHEAP = 1 << 21;

    /** The kernels with a backward pass of their own; the others take the tiled one's. */
    static final Set<AttentionKernel> WITH_BACKWARD = Arrays.stream(AttentionKernel.values())
            .filter(kernel -> kernel.spec().backward() instanceof Backward.Own)
            .collect(Collectors.toUnmodifiableSet());

    /** Whether a kernel is tried here. */
    boolean tries(AttentionKernel kernel) {
        return kernel != AttentionKernel.VECTOR;
    }

    Stream<Arguments> grid() {
        return rows(row -> tries((AttentionKernel) row.get()[1]));
    }

    /** By default those that show each pair of values. */
    static Stream<Arguments> rows(Predicate<Arguments> wanted) {
        Stream<Arguments> table = AttentionGridTest.ofAllKernels()
                .filter(row -> WITH_BACKWARD.contains((AttentionKernel) row.get()[1]))
                .filter(row -> AttentionGrid.FULL || ((AttentionCase) row.get()[0]).work() <= CHEAP)
                .filter(wanted);
        return AttentionGrid.covering().ofTheDay(table);
    }

    @ParameterizedTest(name = "{0}, {1}", allowZeroInvocations = true)
    @MethodSource("grid")
    void isAccurate(AttentionCase problem, AttentionKernel kernel) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            problem.assertAllAccurate(attention, problem.run(attention));
        }
    }

    Stream<Arguments> nothing() {
        return AttentionGrid.withKernels(AttentionGrid.nothing())
                .filter(arguments -> tries((AttentionKernel) arguments.get()[1]))
                .filter(arguments -> ((AttentionKernel) arguments.get()[1]).supportsBackward());
    }

    @ParameterizedTest(name = "{0}, {1}", allowZeroInvocations = true)
    @MethodSource("nothing")
    void nothingToComputeIsZeroAndLaunchesNothing(AttentionCase problem, AttentionKernel kernel) {
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            Gradients gradients = attention.backward(problem.run(attention), problem.dO());
            assertZero(gradients.dQ(), problem.dtype(), problem.shape().queryShape());
            assertZero(gradients.dK(), problem.dtype(), problem.shape().keyShape());
            assertZero(gradients.dV(), problem.dtype(), problem.shape().keyShape());
            assertThat(attention.statistics().plans()).isZero();
        }
    }

    private static void assertZero(Tensor gradient, Object dtype, int... shape) {
        assertThat(gradient.dtype()).isEqualTo(dtype);
        assertThat(gradient.shape()).isEqualTo(shape);
        assertThat(gradient.toFloatArray()).isEqualTo(new float[gradient.numberOfElements()]);
    }

    @Test
    void theGridCoversEveryKernelAndType() {
        AttentionGrid.assumeAllKernels();
        List<AttentionKernel> here = WITH_BACKWARD.stream().filter(this::tries).toList();
        assertThat(grid().map(AttentionGridTest::kernelAndType))
                .containsAll(AttentionGridTest.claimed(here))
                .hasSizeGreaterThan(here.size() * 20);
    }
}
