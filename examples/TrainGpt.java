//SOURCES jbang/Setup.java
//SOURCES gpt/*.java
import gpt.AssociativeRecall;
import gpt.Gpt;
import gpt.GptOptions;
import gpt.LossCurve;
import gpt.Parameters;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarConsumer;
import me.tongfei.progressbar.ProgressBarStyle;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.BlockMask;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Platform;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * Trains a small GPT on associative recall. The model is in {@link Gpt}, its kernels in {@code gpt/Kernels.java} and
 * {@code gpt/MatrixProduct.java}, the task in {@link AssociativeRecall}.
 */
@Command(
        name = "attention example TrainGpt",
        description = {
            "Trains a small GPT on associative recall: pairs of a key and a value are planted in the first half of a"
                    + " long stream of idle words, and each key is asked for in the second half. Only attention over the"
                    + " whole stream can answer; guessing is right in 1 of 32. Every batch is new, so the accuracy is that"
                    + " on streams never seen before.",
            ""
        },
        usageHelpAutoWidth = true,
        sortOptions = false,
        footer = {
            "",
            "It begins with short streams and lengthens them eightfold at a time, up to --sequence: to find one key in 32"
                    + " tokens is learnt sooner than in 4096, and then only has to be sharpened. --start-sequence N"
                    + " --sequence N has it begin with long ones.",
            "",
            "Examples:",
            "  ./attention example TrainGpt          toy size, a minute without a GPU",
            "  … --attention standard                the same losses, with S and P stored",
            "  … --stop-after 100                    leaves a checkpoint in target/gpt",
            "  … --resume                            goes on as if it had not stopped",
            "  … --sequence 4096 --start-sequence 64 --tokens 32768 --width 64 \\",
            "    --learning-rate 0.005               with TORNADOVM_HOME set, on a GPU"
        })
class TrainGpt implements Callable<Integer> {

    enum Attention {
        FLASH,
        STANDARD
    }

    @Option(
            names = "--attention",
            paramLabel = "KIND",
            description = "flash (default), or standard, which stores the N×N scores.")
    Attention kind = Attention.FLASH;

    @Option(
            names = "--block-sparse",
            description =
                    "Each head sees every H-th tile of 128 keys, H being how many heads there are, and the query's"
                            + " own tile.")
    boolean blockSparse;

    @Option(
            names = "--sequence",
            paramLabel = "N",
            description = "Tokens of a stream at the end of the training. Default: ${DEFAULT-VALUE}.")
    int sequence = 128;

    @Option(
            names = "--start-sequence",
            paramLabel = "N",
            description = "Tokens of a stream at its beginning. Default: ${DEFAULT-VALUE}.")
    int startSequence = 32;

    @Option(
            names = "--tokens",
            paramLabel = "T",
            description = "Tokens of a batch: the longer the streams, the fewer. Default: ${DEFAULT-VALUE}.")
    int tokens = 1024;

    @Option(
            names = "--steps",
            paramLabel = "S",
            description = "Steps of the whole training. Default: ${DEFAULT-VALUE}.")
    int steps = 200;

    @Mixin
    GptOptions options = new GptOptions(32, 2, 0.01f, Path.of("target", "gpt"));

    @Option(names = "--resume", description = "Go on from the checkpoint in that directory.")
    boolean resume;

    @Option(names = "--stop-after", paramLabel = "S", description = "Stop after this step and leave a checkpoint.")
    Optional<Integer> stopAfter = Optional.empty();

    @Option(
            names = "--checkpoint-every",
            paramLabel = "S",
            description = "Steps from one checkpoint to the next. Default: ${DEFAULT-VALUE}.")
    int checkpointEvery = 50;

    static final float WEIGHT_DECAY = 0.01f;
    static final int WARM_UP = 10;
    static final int TILE = BlockMask.DEFAULT_BLOCK;
    static final boolean TERMINAL = System.console() != null && System.console().isTerminal();
    static final String CHECKPOINT = "checkpoint.safetensors";
    static final String TABLE = "loss.csv";
    static final String PICTURE = "loss.svg";

    static void main(String[] arguments) {
        Example.run(new TrainGpt(), arguments);
    }

    private void requireUsableOptions() {
        Example.requireAtLeast(1, "--sequence", sequence);
        Example.requireAtLeast(1, "--start-sequence", startSequence);
        Example.requireAtLeast(1, "--tokens", tokens);
        Example.requireAtLeast(1, "--steps", steps);
        Example.requireAtLeast(1, "--stop-after", stopAfter.orElse(steps));
        Example.requireAtLeast(1, "--checkpoint-every", checkpointEvery);
        options.learningRate();
    }

    @Override
    public Integer call() throws IOException {
        requireUsableOptions();
        Parameters.Shape shape = options.shape(AssociativeRecall.VOCABULARY, sequence);
        Parameters parameters = new Parameters(shape, options.seed());
        Path out = options.out();
        Files.createDirectories(out);
        int done = resume ? parameters.load(out.resolve(CHECKPOINT), describeRun()) : 0;
        LossCurve curve = resume ? LossCurve.read(out.resolve(TABLE), done) : new LossCurve();
        int last = Math.min(steps, stopAfter.orElse(steps));

        ComputeDevice device = options.device();
        say("Running on %s, device %s", Platform.current().describe(), device);
        say(
                "%,d weights: %d layers, width %d, %d heads; %,d tokens a step",
                parameters.count(), shape.layers(), shape.width(), shape.heads(), tokens);
        long start = System.nanoTime();
        try (FlashAttention attention = kind == Attention.FLASH
                        ? FlashAttention.on(device)
                        : FlashAttention.on(device, AttentionKernel.STANDARD);
                ProgressBar bar = progressBar(done, last)) {
            while (done < last) {
                done = trainAt(sequenceAt(done + 1), done, last, attention, parameters, curve, bar);
            }
        }
        say(
                "Recall in the last 10 steps: %.1f %% (chance %.1f %%), after %d steps and %.1f s.%nIn %s: %s, %s and %s.",
                100 * curve.recentAccuracy(10),
                100 * AssociativeRecall.CHANCE,
                done,
                (System.nanoTime() - start) / 1e9,
                out,
                PICTURE,
                TABLE,
                CHECKPOINT);
        return 0;
    }

    /** Trains with streams of one length for as long as the schedule keeps it, and returns the last step. */
    private int trainAt(
            int length,
            int done,
            int last,
            FlashAttention attention,
            Parameters parameters,
            LossCurve curve,
            ProgressBar bar)
            throws IOException {
        AssociativeRecall task = AssociativeRecall.of(length);
        int batch = Math.max(1, tokens / length);
        int step = done;
        BlockMask tiles = tiles(length, parameters.shape().heads());
        AttentionOptions mask = blockSparse
                ? AttentionOptions.causal().withMask(Mask.blocks(tiles).andCausal())
                : AttentionOptions.causal();
        Gpt.Products products = Gpt.Products.inF32(attention.device());
        try (Gpt gpt = new Gpt(attention, parameters, batch, length, batch * task.pairs(), products, mask)) {
            say(
                    "N = %,d: batches of %d, kernel %s%s",
                    length,
                    batch,
                    gpt.attentionKernel().kernel().id(),
                    blockSparse ? ", %.0f %% of the tiles".formatted(100 * tiles.density()) : "");
            while (step < last && sequenceAt(step + 1) == length) {
                step++;
                task.fill(options.seed(), step, gpt.tokens(), gpt.targets());
                long start = System.nanoTime();
                Gpt.Result result = gpt.train(step, learningRateAt(step), WEIGHT_DECAY);
                double milliseconds = (System.nanoTime() - start) / 1e6;
                curve.add(new LossCurve.Point(step, length, result.loss(), result.accuracy(), milliseconds));
                bar.step();
                String line = "loss %.3f, recall %5.1f %%".formatted(result.loss(), 100 * result.accuracy());
                bar.setExtraMessage(line);
                if (step % Math.max(1, steps / 12) == 0 || step == last) {
                    say("step %4d: %s, %.0f ms", step, line, milliseconds);
                }
                if (step % checkpointEvery == 0) {
                    save(gpt, parameters, curve, step);
                }
            }
            save(gpt, parameters, curve, step);
            reportByDistance(task, gpt);
        }
        return step;
    }

    /**
     * Every H-th tile of keys for each of H heads, so that all heads together see all keys, and the query's own. Short
     * streams have smaller tiles, two for each head: in one that all see, or two, some heads would learn to answer and
     * the others never.
     */
    private static BlockMask tiles(int length, int heads) {
        int tile = Math.clamp(length / (2L * heads), 1, TILE);
        return BlockMask.of(
                (b, h, i, j) -> j / tile % heads == h || j / tile == i / tile, 1, heads, length, length, TILE, TILE);
    }

    /** The checkpoint last, so that one that is there has its table beside it. */
    private void save(Gpt gpt, Parameters parameters, LossCurve curve, int step) throws IOException {
        Path out = options.out();
        gpt.fetchParameters();
        curve.writeCsv(out.resolve(TABLE));
        curve.writeSvg(
                out.resolve(PICTURE),
                "Associative recall, %s attention, seed %d"
                        .formatted(kind.name().toLowerCase(Locale.ROOT), options.seed()));
        parameters.save(out.resolve(CHECKPOINT), step, describeRun());
    }

    /** How the last batch's questions were answered, by how far away the answer was. */
    private static void reportByDistance(AssociativeRecall task, Gpt gpt) {
        int parts = 4;
        int[] questions = new int[parts];
        float[] right = new float[parts];
        var hits = gpt.fetchHits();
        for (int i = 0; i < gpt.targets().getSize(); i++) {
            if (gpt.targets().get(i) != AssociativeRecall.NOT_ASKED) {
                int part = parts * task.distance(gpt.tokens(), i) / task.sequence();
                questions[part]++;
                right[part] += hits.get(i);
            }
        }
        for (int part = 0; part < parts; part++) {
            say(
                    "  answer %,5d to %,5d tokens back: %.0f of %d right",
                    task.sequence() * part / parts,
                    task.sequence() * (part + 1) / parts - 1,
                    right[part],
                    questions[part]);
        }
    }

    // -- schedules: functions of the step, so that a resumed run follows them too --

    /**
     * The length of the streams: three fifths of the steps at the first length, the rest shared out among the others.
     */
    int sequenceAt(int step) {
        int lengths = 1;
        for (int length = firstLength(); length < sequence; length = Math.min(8 * length, sequence)) {
            lengths++;
        }
        int first = lengths == 1 ? steps : steps * 3 / 5;
        int index = step <= first ? 0 : 1 + Math.min(lengths - 2, (step - first - 1) * (lengths - 1) / (steps - first));
        int length = firstLength();
        for (int i = 0; i < index; i++) {
            length = Math.min(8 * length, sequence);
        }
        return length;
    }

    private int firstLength() {
        return Math.min(startSequence, sequence);
    }

    /** Linear warm-up, constant, linear decay to a tenth over the last 30 %. */
    float learningRateAt(int step) {
        float warmUp = Math.min(1f, (float) step / WARM_UP);
        float decay = Math.clamp((steps - step) / (0.3f * steps), 0.1f, 1f);
        return options.learningRate() * warmUp * decay;
    }

    // -- small things --

    /** All that decides the numbers. The kind of attention is left out: both compute the same. */
    private String describeRun() {
        return "sequence=%d start=%d tokens=%d steps=%d %s%s"
                .formatted(sequence, startSequence, tokens, steps, options, blockSparse ? " block-sparse" : "");
    }

    /** A line of output; at a terminal it takes the place of the progress bar, which comes again below. */
    private static void say(String format, Object... arguments) {
        System.out.printf((TERMINAL ? "\r\u001b[2K" : "") + format + "%n", arguments);
    }

    private static ProgressBar progressBar(int done, int steps) {
        return new ProgressBarBuilder()
                .setTaskName("training")
                .setInitialMax(steps)
                .startsFrom(done, Duration.ZERO)
                .setStyle(ProgressBarStyle.ASCII)
                .setUpdateIntervalMillis(200)
                .setConsumer(TERMINAL ? new ConsoleProgressBarConsumer(System.err) : new Nowhere())
                .clearDisplayOnFinish()
                .build();
    }

    /** Where no terminal looks, no bar is drawn. */
    private static final class Nowhere implements ProgressBarConsumer {
        @Override
        public int getMaxRenderedLength() {
            return 0;
        }

        @Override
        public void accept(String rendered) {}

        @Override
        public void close() {}
    }
}
