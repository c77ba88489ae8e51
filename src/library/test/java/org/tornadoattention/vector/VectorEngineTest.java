package org.tornadoattention.vector;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Gradients;
import org.tornadoattention.Mask;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** The engine beside the common tests of kernels: threads, bits, plain loops, memory. */
@Tag("second-tier")
class VectorEngineTest {

    record Results(Tensor output, Tensor logSumExp, Tensor dQ, Tensor dK, Tensor dV) {

        List<float[]> numbers() {
            return Stream.of(output, logSumExp, dQ, dK, dV)
                    .map(Tensor::toFloatArray)
                    .toList();
        }
    }

    record Problem(AttentionShape shape, DType dtype, AttentionOptions options) {

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

        /** Results against the float64 oracle. */
        List<Comparison> compare(Results results) {
            AccuracyCheck check = AccuracyCheck.of(q(), k(), v(), dOut(), options);
            List<Comparison> comparisons = new ArrayList<>(check.forward(results.output(), results.logSumExp()));
            comparisons.addAll(check.gradients(Gradients.of(results.dQ(), results.dK(), results.dV())));
            return comparisons;
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
        assertThat(problem.compare(results)).allMatch(Comparison::passed);
    }

    /**
     * A few rows read keys and values where they lie, in ways of their own for each type; 50 and 71 belong to the
     * second and the first of two tiles that are taken together, and the last of them, 149, to none.
     */
    @ParameterizedTest
    @EnumSource(DType.class)
    void aFewRowsMeetWhatIsNotFinite(DType dtype) {
        AttentionShape shape = new AttentionShape(1, 4, 1, 1, 150, 64);
        for (float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            for (int place : new int[] {50, -50, 71, -71, 149, -149}) {
                boolean inKeys = place > 0;
                Tensor q = Tensor.random(dtype, 1, shape.queryShape());
                Tensor k = Tensor.random(dtype, 2, shape.keyShape());
                Tensor v = Tensor.random(dtype, 3, shape.keyShape());
                (inKeys ? k : v).setFlat(Math.abs(place) * 64 + 5, value);
                float[] vectors = forward(LaneChoice.best(), shape, q, k, v);
                float[] loops = forward(new ScalarLanes(), shape, q, k, v);
                assertThat(loops)
                        .matches(numbers ->
                                IntStream.range(0, numbers.length).anyMatch(i -> !Float.isFinite(numbers[i])));
                for (int i = 0; i < loops.length; i++) {
                    if (Float.isFinite(loops[i])) {
                        assertThat(vectors[i]).isCloseTo(loops[i], Offset.offset(0.01f));
                    } else {
                        assertThat(vectors[i]).as("%s at %d", value, i).isEqualTo((Float) loops[i]);
                    }
                }
            }
        }
    }

    private static float[] forward(Lanes lanes, AttentionShape shape, Tensor q, Tensor k, Tensor v) {
        Tensor output = Tensor.allocate(q.dtype(), shape.queryShape());
        Tensor logSumExp = Tensor.allocate(DType.F32, shape.logSumExpShape());
        Workers workers = Workers.of(Runnable::run, 1);
        VectorForward.run(lanes, workers, shape, AttentionOptions.defaults(), q, k, v, output, logSumExp);
        return output.toFloatArray();
    }

    @Test
    void noThreadIsLeftBehind() {
        Set<Thread> before = Thread.getAllStackTraces().keySet();
        try (FlashAttention attention = FlashAttention.on(TestDevice.jvm())) {
            Tensor q = Tensor.random(DType.F32, 1, 1, 4, 700, 16);
            attention.forward(q, q, q);
        }
        assertThat(Thread.getAllStackTraces().keySet())
                .filteredOn(thread -> !before.contains(thread))
                .noneMatch(thread -> thread.isAlive() && thread.getName().startsWith("tornado-attention-"));
    }

    /** Helpers sleep when there is no work. */
    @Test
    void nobodyWaitsBusily() throws InterruptedException {
        try (Workers workers = Workers.of(TestDevice.jvm())) {
            Set<Thread> helpers = ConcurrentHashMap.newKeySet();
            workers.run(4 * workers.threads() + 4, () -> this, (_, _) -> helpers.add(Thread.currentThread()));
            helpers.remove(Thread.currentThread());
            for (Thread helper : helpers) {
                for (int i = 0; i < 1000 && helper.getState() == Thread.State.RUNNABLE; i++) {
                    Thread.sleep(5);
                }
                assertThat(helper.getState()).isNotEqualTo(Thread.State.RUNNABLE);
            }
        }
    }

    /** As many of the caller's threads as were allowed compute at a time, and they outlive the engine. */
    @Test
    void theCallersThreadsComputeAndAreNotEnded() {
        Tensor q = Tensor.random(DType.F32, 1, 1, 4, 500, 32);
        AtomicInteger running = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        AtomicInteger tasks = new AtomicInteger();
        try (ExecutorService executor = Executors.newFixedThreadPool(8)) {
            ComputeDevice device = Devices.jvm(
                    task -> {
                        tasks.incrementAndGet();
                        executor.execute(() -> {
                            most.accumulateAndGet(running.incrementAndGet(), Math::max);
                            task.run();
                            running.decrementAndGet();
                        });
                    },
                    3);
            assertThat(device.isJvm()).isTrue();
            assertThat(device.toString()).contains("3 threads of the caller's");
            float[] shared;
            try (FlashAttention attention = FlashAttention.on(device)) {
                shared = attention.forward(q, q, q).output().toFloatArray();
            }
            assertThat(tasks.get()).isEqualTo(2);
            assertThat(most.get()).isBetween(0, 2);
            assertThat(executor.isShutdown()).isFalse();
            try (FlashAttention attention = FlashAttention.on(Devices.jvm(Runnable::run, 1))) {
                assertThat(attention.forward(q, q, q).output().toFloatArray()).isEqualTo(shared);
            }
        }
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Devices.jvm(Runnable::run, 0))
                .withMessageContaining("0 threads");
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

    /** Eight times the keys or the queries take no more memory, and each further thread as much as the first. */
    @Test
    void memoryBeyondTheTensorsIsATileForEachThread() {
        Workers alone = Workers.of(Runnable::run, 1);
        long tile = bytes(8192, 64, alone);
        assertThat(tile).isLessThan(1 << 20);
        assertThat(bytes(8192, 512, alone)).isEqualTo(tile);
        assertThat(bytes(16384, 64, alone)).isEqualTo(tile);
        try (ExecutorService executor = Executors.newFixedThreadPool(2)) {
            long together = bytes(8192, 512, Workers.of(executor, 3));
            assertThat(together % tile).isZero();
            assertThat(together).isBetween(tile, 3 * tile);
        }
    }

    private static long bytes(int queries, int keys, Workers workers) {
        return forwardBytes(LaneChoice.best(), new AttentionShape(1, 1, 1, queries, keys, 64), DType.F32, workers);
    }

    private static long forwardBytes(Lanes lanes, AttentionShape shape, DType dtype, Workers workers) {
        Problem problem = new Problem(shape, dtype, AttentionOptions.defaults());
        return VectorForward.run(
                        lanes,
                        workers,
                        shape,
                        problem.options(),
                        problem.q(),
                        problem.k(),
                        problem.v(),
                        Tensor.allocate(dtype, shape.queryShape()),
                        Tensor.allocate(DType.F32, shape.logSumExpShape()))
                .bytes();
    }

    /**
     * So it is in the backward pass, beside a number for each query. Where gradients have 16 bits and a thread computes
     * all those of a head, it has dQ of the head in F32 too, and never more than 16 MiB of it.
     */
    @ParameterizedTest
    @EnumSource(DType.class)
    void memoryOfTheBackwardPassIsATileForEachThread(DType dtype) {
        long tile = tileOfBackward(dtype, 1024, 1024, 1);
        assertThat(tile).isLessThan(2 << 20);
        assertThat(tileOfBackward(dtype, 1024, 4096, 1)).isEqualTo(tile);
        long ofQuery = (tileOfBackward(dtype, 4096, 1024, 1) - tile) / 3072;
        assertThat(ofQuery).isEqualTo(dtype == DType.F32 ? 0 : 64 * Float.BYTES);
        // More threads than heads: two passes, each with tiles.
        long many = tileOfBackward(dtype, 1024, 1024, 2);
        assertThat(many).isLessThan(4 << 20);
        assertThat(tileOfBackward(dtype, 4096, 1024, 2)).isEqualTo(many);
    }

    /** With heads of few keys and very many queries, it is two passes for 16 bits. */
    @Test
    void noThreadKeepsMoreOfAGradientThanItsLimit() {
        assertThat(tileOfBackward(DType.BF16, (1 << 16) + 64, 8, 1)).isLessThan(4 << 20);
        assertThat(tileOfBackward(DType.BF16, 1 << 16, 8, 1)).isBetween(16L << 20, 20L << 20);
        assertThat(tileOfBackward(DType.F32, (1 << 16) + 64, 8, 1)).isLessThan(2 << 20);
    }

    /** Bytes of a pass of one head without the row terms; of all threads at most. */
    private static long tileOfBackward(DType dtype, int queries, int keys, int threads) {
        AttentionShape shape = new AttentionShape(1, 1, 1, queries, keys, 64);
        return backwardBytes(LaneChoice.best(), shape, dtype, Workers.of(Runnable::run, threads))
                - (long) queries * Float.BYTES;
    }

    private static long backwardBytes(Lanes lanes, AttentionShape shape, DType dtype, Workers workers) {
        Problem problem = new Problem(shape, dtype, AttentionOptions.defaults());
        return VectorBackward.run(lanes, workers, zeros(problem), problem.options())
                .bytes();
    }

    private static BackwardTensors zeros(Problem problem) {
        DType dtype = problem.dtype();
        AttentionShape shape = problem.shape();
        return BackwardTensors.builder()
                .q(problem.q())
                .k(problem.k())
                .v(problem.v())
                .output(Tensor.allocate(dtype, shape.queryShape()))
                .logSumExp(Tensor.allocate(DType.F32, shape.logSumExpShape()))
                .dOut(problem.dOut())
                .dQ(Tensor.allocate(dtype, shape.queryShape()))
                .dK(Tensor.allocate(dtype, shape.keyShape()))
                .dV(Tensor.allocate(dtype, shape.keyShape()))
                .build();
    }

    /**
     * What the JVM counts of a thread's allocation is what a run tells of, but for what grows with the keys and is
     * dropped at once. Plain loops, since others make objects of vectors before they are compiled.
     */
    @ParameterizedTest
    @EnumSource(DType.class)
    void theMemoryThatIsToldOfIsAllThatIsAllocated(DType dtype) {
        Lanes lanes = new ScalarLanes();
        Workers alone = Workers.of(Runnable::run, 1);
        long[] forward = new long[3];
        long[] backward = new long[3];
        for (int times = 1; times <= 2; times++) {
            AttentionShape shape = new AttentionShape(1, 1, 1, 256, times * 512, 64);
            Problem problem = new Problem(shape, dtype, AttentionOptions.defaults());
            BackwardTensors tensors = zeros(problem);
            forward[times] = allocated(
                    () -> VectorForward.run(
                            lanes,
                            alone,
                            shape,
                            problem.options(),
                            tensors.q(),
                            tensors.k(),
                            tensors.v(),
                            tensors.output(),
                            tensors.logSumExp()),
                    forward);
            backward[times] = allocated(() -> VectorBackward.run(lanes, alone, tensors, problem.options()), backward);
        }
        assertThat(2 * forward[1] - forward[2]).isBetween(forward[0], forward[0] + (12 << 10));
        assertThat(2 * backward[1] - backward[2]).isBetween(backward[0], backward[0] + (12 << 10));
    }

    /** @param told gets the bytes that the run tells of as its first element */
    private static long allocated(Supplier<VectorRun> pass, long[] told) {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        told[0] = pass.get().bytes(); // and loads classes
        long before = threads.getCurrentThreadAllocatedBytes();
        pass.get();
        return threads.getCurrentThreadAllocatedBytes() - before;
    }
}
