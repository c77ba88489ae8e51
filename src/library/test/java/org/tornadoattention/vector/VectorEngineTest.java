package org.tornadoattention.vector;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Gradients;
import org.tornadoattention.Mask;
import org.tornadoattention.TestDevice;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** The engine beside the common tests of kernels: threads, bits, plain loops, memory. */
class VectorEngineTest {

    private record Results(Tensor output, Tensor logSumExp, Tensor dQ, Tensor dK, Tensor dV) {

        List<float[]> numbers() {
            return Stream.of(output, logSumExp, dQ, dK, dV)
                    .map(Tensor::toFloatArray)
                    .toList();
        }
    }

    private record Problem(AttentionShape shape, DType dtype, AttentionOptions options) {

        Tensor q() {
            return Tensor.random(dtype, 1, shape.queryShape());
        }

        Tensor k() {
            return Tensor.random(dtype, 2, shape.keyShape());
        }

        Tensor v() {
            return Tensor.random(dtype, 3, shape.keyShape());
        }

        Tensor dOut() {
            return Tensor.random(dtype, 4, shape.queryShape());
        }

        Results run(Lanes lanes, Workers workers) {
            Tensor output = Tensor.allocate(dtype, shape.queryShape());
            Tensor logSumExp = Tensor.allocate(DType.F32, shape.logSumExpShape());
            output.fill(Float.NaN);
            logSumExp.fill(Float.NaN);
            Tensor q = q();
            Tensor k = k();
            Tensor v = v();
            VectorForward.run(lanes, workers, shape, options, q, k, v, output, logSumExp);
            BackwardTensors tensors = BackwardTensors.builder()
                    .q(q)
                    .k(k)
                    .v(v)
                    .output(output)
                    .logSumExp(logSumExp)
                    .dOut(dOut())
                    .dQ(Tensor.allocate(dtype, shape.queryShape()))
                    .dK(Tensor.allocate(dtype, shape.keyShape()))
                    .dV(Tensor.allocate(dtype, shape.keyShape()))
                    .build();
            Stream.of(tensors.dQ(), tensors.dK(), tensors.dV()).forEach(gradient -> gradient.fill(Float.NaN));
            VectorBackward.run(lanes, workers, tensors, options);
            return new Results(output, logSumExp, tensors.dQ(), tensors.dK(), tensors.dV());
        }
    }

    static Stream<Problem> problems() {
        return Stream.of(
                new Problem(new AttentionShape(1, 2, 1, 300, 300, 64), DType.F32, AttentionOptions.causal()),
                new Problem(
                        new AttentionShape(2, 6, 2, 3, 1700, 40),
                        DType.F16,
                        AttentionOptions.causal().withKeyLengths(1700, 900)),
                new Problem(
                        new AttentionShape(1, 3, 3, 130, 70, 59),
                        DType.BF16,
                        AttentionOptions.defaults()
                                .withWindow(20, 3)
                                .withSoftcap(9)
                                .withAlibi(0.1f, 0.2f, 0.3f)),
                new Problem(
                        new AttentionShape(1, 2, 2, 70, 90, 32),
                        DType.F32,
                        AttentionOptions.defaults()
                                .withDropout(0.3, 5)
                                .withMask(Mask.of((b, h, i, j) -> (i + j + h) % 3 != 0))
                                .withScore((s, b, h, i, j) -> s * 0.5f + i * 0.01f)));
    }

    @ParameterizedTest
    @MethodSource("problems")
    void theNumberOfThreadsChangesNoBit(Problem problem) {
        List<float[]> alone = runWith(problem, 1).numbers();
        for (int threads : new int[] {2, 3, 16}) {
            List<float[]> together = runWith(problem, threads).numbers();
            IntStream.range(0, alone.size())
                    .forEach(i -> assertThat(together.get(i))
                            .as("tensor %d with %d threads", i, threads)
                            .isEqualTo(alone.get(i)));
        }
    }

    private static Results runWith(Problem problem, int threads) {
        try (ExecutorService executor = Executors.newFixedThreadPool(threads)) {
            return problem.run(LaneChoice.best(), Workers.of(executor, threads));
        }
    }

    @ParameterizedTest
    @MethodSource("problems")
    void plainLoopsAreAccurateToo(Problem problem) {
        Results results = problem.run(new ScalarLanes(), Workers.of(Runnable::run, 2));
        AccuracyCheck check =
                AccuracyCheck.of(problem.q(), problem.k(), problem.v(), problem.dOut(), problem.options());
        List<Comparison> comparisons = new ArrayList<>(check.forward(results.output(), results.logSumExp()));
        comparisons.addAll(check.gradients(Gradients.of(results.dQ(), results.dK(), results.dV())));
        assertThat(comparisons).allMatch(Comparison::passed);
    }

    @Test
    void noThreadIsLeftBehind() {
        try (FlashAttention attention = FlashAttention.on(TestDevice.jvm())) {
            Tensor q = Tensor.random(DType.F32, 1, 1, 4, 700, 16);
            attention.forward(q, q, q);
        }
        assertThat(Thread.getAllStackTraces().keySet())
                .noneMatch(thread -> thread.isAlive() && thread.getName().startsWith("tornado-attention-"));
    }

    @Test
    void aFailureInATaskReachesTheCallerAndEndsTheCall() {
        try (Workers workers = Workers.create()) {
            assertThatThrownBy(() -> workers.run(100, () -> this, (task, _) -> {
                        if (task == 7) {
                            throw new IllegalStateException("task 7");
                        }
                    }))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("task 7");
            int[] done = new int[50];
            workers.run(50, () -> this, (task, _) -> done[task]++);
            assertThat(done).containsOnly(1);
        }
    }

    @Test
    void anExecutorWithoutAFreeThreadDelaysNobody() {
        int[] done = new int[20];
        Workers.of(_ -> {}, 8).run(20, () -> this, (task, _) -> done[task]++);
        assertThat(done).containsOnly(1);
    }

    @Test
    void aNumberOfThreadsThatIsNoneIsRefused() {
        System.setProperty(Workers.PROPERTY, "0");
        try {
            assertThatIllegalArgumentException()
                    .isThrownBy(Workers::create)
                    .withMessageContaining("-Dtornadoattention.threads=0");
        } finally {
            System.clearProperty(Workers.PROPERTY);
        }
    }

    /** Eight times the keys take no more memory. */
    @Test
    void memoryBeyondTheTensorsIsATileForEachThread() {
        long few = bytes(256);
        assertThat(bytes(2048)).isEqualTo(few).isLessThan(1 << 20);
    }

    private static long bytes(int keys) {
        AttentionShape shape = new AttentionShape(1, 1, 1, 64, keys, 64);
        Problem problem = new Problem(shape, DType.F32, AttentionOptions.defaults());
        return VectorForward.run(
                        LaneChoice.best(),
                        Workers.of(Runnable::run, 1),
                        shape,
                        problem.options(),
                        problem.q(),
                        problem.k(),
                        problem.v(),
                        Tensor.allocate(DType.F32, shape.queryShape()),
                        Tensor.allocate(DType.F32, shape.logSumExpShape()))
                .bytes();
    }
}
