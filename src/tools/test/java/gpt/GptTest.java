package gpt;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import gpt.Parameters.Parameter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.device.Intrinsics;

/** The example that trains: its gradients, that it learns, and that a seed and a checkpoint say all. */
class GptTest {

    private static final int BATCH = 2;
    private static final AssociativeRecall TASK = new AssociativeRecall(13, 3);
    private static final Parameters.Shape SHAPE =
            new Parameters.Shape(AssociativeRecall.VOCABULARY, TASK.sequence() + 2, 2, 2, 8);
    private static final AssociativeRecall WIDE_TASK = new AssociativeRecall(32, 5);
    private static final Parameters.Shape WIDE_SHAPE =
            new Parameters.Shape(AssociativeRecall.VOCABULARY, WIDE_TASK.sequence(), 1, 2, 64);

    @ParameterizedTest
    @CsvSource({"ONLINE, ROWS, 3e-4", "STANDARD, ROWS, 3e-4", "TILED, TILES, 3e-4", "TILED, BF16, 0.05"})
    void everyGradientIsThatOfFiniteDifferencesInFloat64(
            AttentionKernel kernel, Gpt.Products products, double tolerance) {
        assumeTrue(
                products != Gpt.Products.BF16
                        || TestDevice.get().extension().level().include(Intrinsics.WARP),
                "no tensor cores");
        requireGradients(kernel, products, tolerance, TASK, SHAPE, 1);
    }

    /**
     * Sizes at which products in BF16 are those of warp groups, on a device that has them; standard attention is F32.
     */
    @ParameterizedTest
    @CsvSource({"TILED", "STANDARD"})
    void gradientsByWarpGroupsAreThoseOfFiniteDifferences(AttentionKernel kernel) {
        assumeTrue(TestDevice.get().extension().level().include(Intrinsics.WARP_GROUP), "no warp groups");
        requireGradients(kernel, Gpt.Products.BF16, 0.05, WIDE_TASK, WIDE_SHAPE, 149);
    }

    /** By shape and parameter: the same for each kernel and product, and dearer than those. */
    private static final Map<List<Object>, double[]> DERIVATIVES = new ConcurrentHashMap<>();

    /** Of every so many-th element of each parameter. */
    private static void requireGradients(
            AttentionKernel kernel,
            Gpt.Products products,
            double tolerance,
            AssociativeRecall task,
            Parameters.Shape shape,
            int every) {
        Parameters parameters = new Parameters(shape, 7);
        Float64Gpt exact = new Float64Gpt(parameters);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), kernel);
                Gpt gpt = new Gpt(
                        attention,
                        parameters,
                        BATCH,
                        task.sequence(),
                        BATCH * task.pairs(),
                        products,
                        AttentionOptions.causal())) {
            task.fill(3, 1, gpt.tokens(), gpt.targets());
            Gpt.Result result = gpt.train(1, 0f, 0f);
            gpt.fetchGradients();

            assertThat(result.loss())
                    .isCloseTo(exact.loss(gpt.tokens(), gpt.targets(), task.sequence()), within(tolerance / 30));
            for (Parameter parameter : parameters.all()) {
                // Q, K and V, which are columns of one matrix, are each measured by their own largest gradient.
                int blocks = parameter.columns() / shape.width();
                double[] largest = new double[blocks];
                double[] error = new double[blocks];
                double[] derivatives = DERIVATIVES.computeIfAbsent(
                        List.of(shape, parameter.name()),
                        _ -> IntStream.range(
                                        0, Math.ceilDiv(parameter.gradient().getSize(), every))
                                .mapToDouble(i -> exact.derivative(
                                        parameter.name(), i * every, gpt.tokens(), gpt.targets(), task.sequence()))
                                .toArray());
                for (int i = 0; i < parameter.gradient().getSize(); i += every) {
                    double expected = derivatives[i / every];
                    int block = i % parameter.columns() / shape.width();
                    largest[block] = Math.max(largest[block], Math.abs(expected));
                    error[block] =
                            Math.max(error[block], Math.abs(parameter.gradient().get(i) - expected)); // NaN stays NaN
                }
                for (int block = 0; block < blocks; block++) {
                    assertThat(largest[block]).isGreaterThan(1e-4);
                    assertThat(error[block])
                            .as("gradient of %s, block %d, up to %s", parameter.name(), block, largest[block])
                            .isLessThan(tolerance * largest[block]);
                }
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"ONLINE, ROWS", "TILED, TILES", "TILED, BF16"})
    void aChainOfGraphsComputesWhatOneGraphDoes(AttentionKernel kernel, Gpt.Products products) {
        assumeTrue(
                products != Gpt.Products.BF16
                        || TestDevice.get().extension().level().include(Intrinsics.WARP),
                "no tensor cores");
        requireSame(kernel, products, TASK, SHAPE, 8, 3);
    }

    /** With tasks that make factors narrow, and arrays that layers share. */
    @Test
    void aChainOfGraphsWithWarpGroupsComputesWhatOneGraphDoes() {
        assumeTrue(TestDevice.get().extension().level().include(Intrinsics.WARP_GROUP), "no warp groups");
        requireSame(AttentionKernel.TILED, Gpt.Products.BF16, WIDE_TASK, WIDE_SHAPE, 6, 1);
    }

    /** To the bit: losses of steps, with a forward pass alone before the last, and what that left. */
    private static void requireSame(
            AttentionKernel kernel,
            Gpt.Products products,
            AssociativeRecall task,
            Parameters.Shape shape,
            int graphs,
            int steps) {
        Parameters expected = new Parameters(shape, 7);
        Parameters actual = new Parameters(shape, 7);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), kernel);
                Gpt one = gpt(attention, expected, task, products, true);
                Gpt chain = gpt(attention, actual, task, products, false)) {
            assertThat(one.graphs()).isEqualTo(1);
            assertThat(chain.graphs()).isEqualTo(graphs);
            for (int step = 1; step <= steps; step++) {
                task.fill(3, step, one.tokens(), one.targets());
                task.fill(3, step, chain.tokens(), chain.targets());
                assertThat(chain.train(step, 0.01f, 0.01f)).isEqualTo(one.train(step, 0.01f, 0.01f));
            }
            assertThatIllegalStateException().isThrownBy(one::evaluate).withMessageContaining("is one graph");
            Gpt.Result untrained = chain.evaluate();
            assertThat(chain.train(steps + 1, 0.01f, 0.01f)).isEqualTo(untrained);
            one.train(steps + 1, 0.01f, 0.01f);
            for (Gpt gpt : List.of(one, chain)) {
                gpt.fetchParameters();
                gpt.fetchGradients();
            }
            assertThat(chain.fetchHits().toHeapArray())
                    .isEqualTo(one.fetchHits().toHeapArray());
        }
        for (Parameter parameter : expected.all()) {
            Parameter other = actual.get(parameter.name());
            assertThat(other.value().toHeapArray())
                    .as(parameter.name())
                    .isEqualTo(parameter.value().toHeapArray());
            assertThat(other.gradient().toHeapArray())
                    .isEqualTo(parameter.gradient().toHeapArray());
            assertThat(other.firstMoment().toHeapArray())
                    .isEqualTo(parameter.firstMoment().toHeapArray());
            assertThat(other.secondMoment().toHeapArray())
                    .isEqualTo(parameter.secondMoment().toHeapArray());
        }
    }

    private static Gpt gpt(
            FlashAttention attention,
            Parameters parameters,
            AssociativeRecall task,
            Gpt.Products products,
            boolean oneGraph) {
        return new Gpt(
                attention,
                parameters,
                BATCH,
                task.sequence(),
                BATCH * task.pairs(),
                products,
                AttentionOptions.causal(),
                oneGraph);
    }

    private static final AssociativeRecall SMALL = AssociativeRecall.of(32);
    private static final int SMALL_BATCH = 16;
    private static final Parameters.Shape SMALL_SHAPE =
            new Parameters.Shape(AssociativeRecall.VOCABULARY, SMALL.sequence(), 1, 1, 32);
    private static final int STEPS = 100;
    private static final int CHECKPOINT = 94;

    /**
     * Trains to a step and returns the results of the steps; with the parameters of the checkpoint's step, it does
     * {@code save}.
     */
    private static List<Gpt.Result> train(Parameters parameters, int done, int last, Checkpoint save)
            throws IOException {
        List<Gpt.Result> results = new ArrayList<>();
        try (FlashAttention attention = FlashAttention.on(TestDevice.get());
                Gpt gpt = new Gpt(attention, parameters, SMALL_BATCH, SMALL.sequence(), SMALL_BATCH * SMALL.pairs())) {
            for (int step = done + 1; step <= last; step++) {
                SMALL.fill(1, step, gpt.tokens(), gpt.targets());
                results.add(gpt.train(step, step <= STEPS * 7 / 10 ? 0.02f : 0.004f, 0.01f));
                if (step == CHECKPOINT) {
                    gpt.fetchParameters();
                    save.run();
                }
            }
            gpt.fetchParameters();
        }
        return results;
    }

    private interface Checkpoint {
        void run() throws IOException;
    }

    @Test
    void learnsAndGoesOnFromACheckpointAsIfItHadNotStopped(@TempDir Path directory) throws IOException {
        Path checkpoint = directory.resolve("checkpoint.safetensors");
        Parameters unbroken = new Parameters(SMALL_SHAPE, 1);
        List<Gpt.Result> expected = train(unbroken, 0, STEPS, () -> unbroken.save(checkpoint, CHECKPOINT, "small"));

        Parameters after = new Parameters(SMALL_SHAPE, 2);
        assertThat(after.load(checkpoint, "small")).isEqualTo(CHECKPOINT);
        assertThat(train(after, CHECKPOINT, STEPS, () -> {})).isEqualTo(expected.subList(CHECKPOINT, STEPS));
        for (Parameter parameter : unbroken.all()) {
            assertThat(after.get(parameter.name()).value().toHeapArray())
                    .as(parameter.name())
                    .isEqualTo(parameter.value().toHeapArray());
        }

        assertThat(expected.getFirst().loss()).isGreaterThan(4);
        assertThat(expected.getFirst().accuracy()).isLessThan(0.1);
        assertThat(expected.getLast().loss()).isLessThan(0.8);
        assertThat(expected.subList(STEPS - 10, STEPS))
                .extracting(Gpt.Result::accuracy)
                .allSatisfy(accuracy -> assertThat(accuracy).isGreaterThan(0.9));

        assertThatIllegalArgumentException()
                .isThrownBy(() -> after.load(checkpoint, "another"))
                .withMessageContaining("is of another run");
    }
}
