//SOURCES jbang/Setup.java
//SOURCES gpt/*.java
import gpt.AssociativeRecall;
import gpt.Gpt;
import gpt.Parameters;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.device.Platform;
import org.tornadoattention.tensor.DType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** A training step of the GPT with flash and with standard attention, side by side: time, memory and losses. */
@Command(
        name = "attention example GptStepTimes",
        description = {
            "Trains the same GPT from the same seed with flash and with standard attention, a few steps at each length of"
                    + " stream, and compares the time of a step, the memory on the device, and the losses step by step.",
            ""
        },
        usageHelpAutoWidth = true,
        sortOptions = false)
class GptStepTimes implements Callable<Integer> {

    @Option(
            names = "--sequences",
            paramLabel = "N",
            split = ",",
            description = "Lengths of stream. Default: ${DEFAULT-VALUE}.")
    List<Integer> sequences = List.of(64, 128, 256);

    @Option(
            names = "--tokens",
            paramLabel = "T",
            description = "Tokens of a batch, at least one stream. Default: ${DEFAULT-VALUE}.")
    int tokens = 512;

    @Option(names = "--steps", paramLabel = "S", description = "Steps at each length. Default: ${DEFAULT-VALUE}.")
    int steps = 8;

    @Option(
            names = "--model",
            paramLabel = "NAME",
            description = "The size, of which the next four options change parts: ${COMPLETION-CANDIDATES}. tiny has 2"
                    + " layers, a width of 32, 2 heads and an MLP of 2 widths. Default: ${DEFAULT-VALUE}.")
    Model model = Model.TINY;

    @Option(names = "--layers", paramLabel = "L", description = "Default: the model's.")
    Optional<Integer> layers = Optional.empty();

    @Option(names = "--width", paramLabel = "C", description = "Channels of a token. Default: the model's.")
    Optional<Integer> width = Optional.empty();

    @Option(names = "--heads", paramLabel = "H", description = "Attention heads. Default: the model's.")
    Optional<Integer> heads = Optional.empty();

    @Option(
            names = "--mlp",
            paramLabel = "M",
            description = "Channels inside the MLP, in widths. Default: the model's.")
    Optional<Integer> mlp = Optional.empty();

    @Option(
            names = "--products",
            paramLabel = "TYPE",
            description = "f32, or bf16: products and attention on tensor cores. Default: ${DEFAULT-VALUE}.")
    DType products = DType.F32;

    @Option(names = "--without-standard", description = "Flash attention alone, which compiles half of the kernels.")
    boolean withoutStandard;

    @Option(
            names = "--without-mask",
            description = "Tokens see those that follow too, as they do in bert-large anyway.")
    boolean withoutMask;

    @Option(
            names = "--forward",
            description = "Times forward passes alone as well, as many as steps: of models of more than 2 layers, or in"
                    + " bf16.")
    boolean forward;

    @Option(
            names = "--replay",
            description = "Gives the driver the second step again, without TornadoVM's interpreter: on CUDA.")
    boolean replay;

    @Option(names = "--backend", paramLabel = "NAME", description = "cuda, opencl, ptx, … Default: the best.")
    Optional<Backend> backend = Optional.empty();

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help and exit.")
    boolean help;

    private static final long SEED = 1;
    private static final float LEARNING_RATE = 0.003f;

    /** Sizes that models have, with the vocabulary of the task. */
    enum Model {
        TINY(2, 32, 2, 2, true),
        GPT2_SMALL(12, 768, 12, 4, true),
        GPT2_MEDIUM(24, 1024, 16, 4, true),
        BERT_LARGE(24, 1024, 16, 4, false);

        final int layers;
        final int width;
        final int heads;
        final int mlp;
        final boolean causal;

        Model(int layers, int width, int heads, int mlp, boolean causal) {
            this.layers = layers;
            this.width = width;
            this.heads = heads;
            this.mlp = mlp;
            this.causal = causal;
        }

        /** As the option has it. */
        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT).replace('_', '-');
        }
    }

    /** What a few steps gave. */
    record Run(double milliseconds, double forwardMilliseconds, long deviceBytes, long weightBytes, double[] losses) {}

    static void main(String[] arguments) {
        Example.run(new GptStepTimes(), arguments);
    }

    @Override
    public Integer call() {
        sequences.forEach(sequence -> Example.requireAtLeast(1, "--sequences", sequence));
        Example.requireAtLeast(1, "--tokens", tokens);
        Example.requireAtLeast(replay ? 4 : 2, "--steps", steps);
        mlp.ifPresent(given -> Example.requireAtLeast(1, "--mlp", given));
        Parameters.Shape shape = shape(1);
        if (products == DType.F16) {
            throw new IllegalArgumentException("--products is F16, in which gradients underflow: choose f32 or bf16.");
        }
        ComputeDevice device = Devices.find(backend, Optional.empty());
        System.out.printf("Running on %s, device %s%n", Platform.current().describe(), device);
        System.out.printf(
                "%d layers, width %d, %d heads, products in %s; median of the steps after the first; memory: all that a step holds%n%n",
                shape.layers(), shape.width(), shape.heads(), products);
        System.out.println("      N  batch   flash ms  standard ms  ratio   flash MiB  standard MiB  losses differ by");
        for (int sequence : sequences) {
            int batch = Math.max(1, tokens / sequence);
            System.out.printf("%7d %6d", sequence, batch);
            try (FlashAttention flash = FlashAttention.on(device);
                    FlashAttention standard = FlashAttention.on(device, AttentionKernel.STANDARD)) {
                Run ours = run(flash, sequence, batch);
                System.out.printf(" %10.2f", ours.milliseconds());
                System.out.println(
                        withoutStandard
                                ? "   loss %.4f after %d steps%s"
                                        .formatted(ours.losses()[steps - 1], steps - 1, forwardOf(ours))
                                : beside(ours, standard, sequence, batch));
            }
        }
        return 0;
    }

    /** The rest of a line; that standard attention does not fit is a result too. */
    private String beside(Run ours, FlashAttention standard, int sequence, int batch) {
        String flashMebibytes = mebibytes(ours);
        try {
            Run theirs = run(standard, sequence, batch);
            return " %12.2f %6.2f %11s %13s  %.1e%s%s"
                    .formatted(
                            theirs.milliseconds(),
                            theirs.milliseconds() / ours.milliseconds(),
                            flashMebibytes,
                            mebibytes(theirs),
                            difference(ours.losses(), theirs.losses()),
                            forwardOf(ours),
                            forwardOf(theirs));
        } catch (RuntimeException | OutOfMemoryError e) {
            return " %12s %6s %11s %13s  %s".formatted("–", "–", flashMebibytes, "–", e.getMessage());
        }
    }

    /**
     * TornadoVM does not count on all backends what is written by tasks alone: CUDA's number lacks even the weights.
     */
    private static String mebibytes(Run run) {
        return run.deviceBytes() < run.weightBytes() ? "not counted" : "%.1f".formatted(run.deviceBytes() / 0x1p20);
    }

    private String forwardOf(Run run) {
        return forward ? ", forward alone %.2f ms".formatted(run.forwardMilliseconds()) : "";
    }

    private Parameters.Shape shape(int positions) {
        int channels = width.orElse(model.width);
        return new Parameters.Shape(
                AssociativeRecall.VOCABULARY,
                positions,
                layers.orElse(model.layers),
                heads.orElse(model.heads),
                channels,
                mlp.orElse(model.mlp) * channels);
    }

    private Run run(FlashAttention attention, int sequence, int batch) {
        AssociativeRecall task = AssociativeRecall.of(sequence);
        Parameters parameters = new Parameters(shape(sequence), SEED);
        double[] losses = new double[steps];
        double[] times = new double[steps];
        Gpt.Products kind = products == DType.BF16 ? Gpt.Products.BF16 : Gpt.Products.inF32(attention.device());
        AttentionOptions mask = withoutMask || !model.causal ? AttentionOptions.defaults() : AttentionOptions.causal();
        try (Gpt gpt = new Gpt(attention, parameters, batch, sequence, batch * task.pairs(), kind, mask)) {
            if (replay) {
                gpt.replayed();
            }
            for (int step = 1; step <= steps; step++) {
                task.fill(SEED, step, gpt.tokens(), gpt.targets());
                long start = System.nanoTime();
                losses[step - 1] = gpt.train(step, LEARNING_RATE, 0f).loss();
                times[step - 1] = (System.nanoTime() - start) / 1e6;
            }
            double[] forwardTimes = new double[steps];
            for (int pass = 0; forward && pass < steps; pass++) {
                long start = System.nanoTime();
                gpt.evaluate();
                forwardTimes[pass] = (System.nanoTime() - start) / 1e6;
            }
            return new Run(
                    median(times), median(forwardTimes), gpt.deviceBytes(), parameters.count() * Float.BYTES, losses);
        }
    }

    /** Of all but the first. */
    private static double median(double[] times) {
        double[] warm = Arrays.stream(times).skip(1).sorted().toArray();
        return warm[warm.length / 2];
    }

    /** The largest difference of two losses of the same step, relative to the loss. */
    private static double difference(double[] a, double[] b) {
        double largest = 0;
        for (int i = 0; i < a.length; i++) {
            largest = Math.max(largest, Math.abs(a[i] - b[i]) / a[i]);
        }
        return largest;
    }
}
