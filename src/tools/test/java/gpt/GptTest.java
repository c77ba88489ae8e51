package gpt;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import gpt.Parameters.Parameter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
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

    @ParameterizedTest
    @CsvSource({"ONLINE, ROWS, 3e-4", "STANDARD, ROWS, 3e-4", "TILED, TILES, 3e-4", "TILED, BF16, 0.05"})
    void everyGradientIsThatOfFiniteDifferencesInFloat64(
            AttentionKernel kernel, Gpt.Products products, double tolerance) {
        assumeTrue(
                products != Gpt.Products.BF16
                        || TestDevice.get().extension().level().include(Intrinsics.WARP),
                "no tensor cores");
        Parameters parameters = new Parameters(SHAPE, 7);
        Float64Gpt exact = new Float64Gpt(parameters);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), kernel);
                Gpt gpt = new Gpt(
                        attention,
                        parameters,
                        BATCH,
                        TASK.sequence(),
                        BATCH * TASK.pairs(),
                        products,
                        AttentionOptions.causal())) {
            TASK.fill(3, 1, gpt.tokens(), gpt.targets());
            Gpt.Result result = gpt.train(1, 0f, 0f);
            gpt.fetchGradients();

            assertThat(result.loss())
                    .isCloseTo(exact.loss(gpt.tokens(), gpt.targets(), TASK.sequence()), within(tolerance / 30));
            for (Parameter parameter : parameters.all()) {
                // Q, K and V, which are columns of one matrix, are each measured by their own largest gradient.
                int blocks = parameter.columns() / SHAPE.width();
                double[] largest = new double[blocks];
                double[] error = new double[blocks];
                for (int i = 0; i < parameter.gradient().getSize(); i++) {
                    double expected =
                            exact.derivative(parameter.name(), i, gpt.tokens(), gpt.targets(), TASK.sequence());
                    int block = i % parameter.columns() / SHAPE.width();
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
