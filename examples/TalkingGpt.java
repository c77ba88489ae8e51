//SOURCES jbang/Setup.java
//SOURCES gpt/*.java
import gpt.Decoder;
import gpt.Gpt;
import gpt.GptOptions;
import gpt.Parameters;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Scanner;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Platform;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * A GPT that learns to write, character by character, and then goes on with what it is told: trained by the task graph
 * of {@link Gpt}, kept as safetensors, and read back for {@link Decoder}, which has a key-value cache for each layer.
 */
@Command(
        name = "attention example TalkingGpt",
        description = {
            "Trains a small GPT on text, character by character, and has it go on with what it is told. The text is that of"
                    + " the licences in the JDK's own folder 'legal', or a file of yours.",
            ""
        },
        usageHelpAutoWidth = true,
        sortOptions = false,
        footer = {
            "",
            "Examples:",
            "  ./attention example TalkingGpt --prompt \"This License \"",
            "  … --steps 0 --talk            goes on with each line of yours, with the weights of the last training"
        })
class TalkingGpt implements Callable<Integer> {

    @Option(names = "--text", paramLabel = "FILE", description = "What to learn from. Default: the JDK's licences.")
    Optional<Path> text = Optional.empty();

    @Option(
            names = "--steps",
            paramLabel = "S",
            description = "Steps of training; 0 takes the last training's weights. Default: ${DEFAULT-VALUE}.")
    int steps = 300;

    @Option(
            names = "--sequence",
            paramLabel = "N",
            description = "Characters that it sees at once. Default: ${DEFAULT-VALUE}.")
    int sequence = 64;

    @Option(names = "--batch", paramLabel = "B", description = "Pieces of text in a step. Default: ${DEFAULT-VALUE}.")
    int batch = 16;

    @Mixin
    GptOptions options = new GptOptions(64, 4, 0.005f, Path.of("target", "talking-gpt"));

    @Option(
            names = "--temperature",
            paramLabel = "T",
            description = "0 writes what is likeliest; above, it dares more. Default: ${DEFAULT-VALUE}.")
    double temperature = 0.5;

    @Option(names = "--prompt", paramLabel = "TEXT", description = "What to go on with. Default: ${DEFAULT-VALUE}.")
    String prompt = "You may ";

    @Option(names = "--talk", description = "Go on with each line of the standard input too.")
    boolean talk;

    static final int CHARACTERS = 128;
    static final float WEIGHT_DECAY = 0.01f;
    static final int WARM_UP = 20;

    static void main(String[] arguments) {
        Example.run(new TalkingGpt(), arguments);
    }

    @Override
    public Integer call() throws IOException {
        Example.requireAtLeast(0, "--steps", steps);
        Example.requireAtLeast(2, "--sequence", sequence);
        Example.requireAtLeast(1, "--batch", batch);
        if (!(temperature >= 0)) {
            throw new IllegalArgumentException("--temperature is %s: it must be 0 or more.".formatted(temperature));
        }
        options.learningRate();
        Parameters.Shape shape = options.shape(CHARACTERS, sequence);
        ComputeDevice device = options.device();
        System.out.printf(
                "Training on %s, writing on device %s%n", Platform.current().describe(), device);
        Files.createDirectories(options.out());
        Path file = options.out().resolve("weights.safetensors");
        if (steps > 0) {
            train(shape, device, file);
        }
        Parameters parameters = new Parameters(shape, options.seed());
        int trained = parameters.load(file, describe(shape));
        System.out.printf("Weights of %s, %,d steps old:%n", file, trained);
        goOn(parameters, device, prompt);
        if (talk) {
            Scanner lines = new Scanner(System.in, StandardCharsets.UTF_8);
            while (lines.hasNextLine()) {
                goOn(parameters, device, lines.nextLine());
            }
        }
        return 0;
    }

    private static String describe(Parameters.Shape shape) {
        return "characters " + shape;
    }

    private void train(Parameters.Shape shape, ComputeDevice device, Path file) throws IOException {
        int[] characters = characters(readText());
        if (characters.length <= sequence) {
            throw new IllegalArgumentException("The text has %,d characters: give more than the %d of --sequence."
                    .formatted(characters.length, sequence));
        }
        Parameters parameters = new Parameters(shape, options.seed());
        System.out.printf(
                "%,d weights, %,d characters of text, %,d a step%n",
                parameters.count(), characters.length, batch * sequence);
        SplittableRandom random = new SplittableRandom(options.seed());
        long start = System.nanoTime();
        try (FlashAttention attention = FlashAttention.on(device);
                Gpt gpt = new Gpt(attention, parameters, batch, sequence, batch * sequence)) {
            for (int step = 1; step <= steps; step++) {
                for (int entry = 0; entry < batch; entry++) {
                    int from = random.nextInt(characters.length - sequence);
                    for (int i = 0; i < sequence; i++) {
                        gpt.tokens().set(entry * sequence + i, characters[from + i]);
                        gpt.targets().set(entry * sequence + i, characters[from + i + 1]);
                    }
                }
                float decay = Math.clamp((steps - step) / (0.5f * steps), 0.1f, 1f);
                float rate = options.learningRate() * Math.min(1f, (float) step / WARM_UP) * decay;
                Gpt.Result result = gpt.train(step, rate, WEIGHT_DECAY);
                if (step == 1 || step % Math.max(1, steps / 10) == 0 || step == steps) {
                    System.out.printf(
                            "step %4d: loss %.3f, next character right %4.1f %%%n",
                            step, result.loss(), 100 * result.accuracy());
                }
            }
            gpt.fetchParameters();
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        System.out.printf(
                "Trained in %.0f s, %,.0f characters a second%n", seconds, (double) steps * batch * sequence / seconds);
        parameters.save(file, steps, describe(shape));
    }

    /** Each text once: the JDK has most licences several times. */
    private String readText() throws IOException {
        if (text.isPresent()) {
            return Files.readString(text.get());
        }
        Path legal = Path.of(System.getProperty("java.home"), "legal");
        Set<String> texts = new LinkedHashSet<>();
        if (Files.isDirectory(legal)) {
            try (Stream<Path> files = Files.walk(legal)) {
                for (Path each : files.filter(Files::isRegularFile).sorted().toList()) {
                    texts.add(new String(Files.readAllBytes(each), StandardCharsets.ISO_8859_1));
                }
            }
        }
        if (texts.isEmpty()) {
            throw new IllegalArgumentException("There is no text in %s: give one with --text.".formatted(legal));
        }
        return texts.stream().collect(Collectors.joining("\n"));
    }

    private static int[] characters(String text) {
        return text.chars().map(c -> c < CHARACTERS ? c : '?').toArray();
    }

    /** Prints the text and what the model goes on with, as far as it has positions. */
    private void goOn(Parameters parameters, ComputeDevice device, String beginning) {
        int[] given = characters(beginning.isEmpty() ? "\n" : beginning);
        int first = Math.max(0, given.length - sequence / 2);
        StringBuilder written = new StringBuilder(beginning);
        SplittableRandom random = new SplittableRandom(options.seed());
        List<Double> nanoseconds = new ArrayList<>();
        try (Decoder decoder = new Decoder(parameters, device)) {
            float[] logits = {};
            for (int i = first; i < given.length; i++) {
                logits = decoder.next(given[i]);
            }
            while (decoder.position() < sequence) {
                int next = sample(logits, random);
                written.append((char) next);
                long start = System.nanoTime();
                logits = decoder.next(next);
                nanoseconds.add((double) (System.nanoTime() - start));
            }
        }
        System.out.println("  " + written.toString().replace("\n", "\n  "));
        double mean = nanoseconds.stream()
                .sorted()
                .skip(nanoseconds.size() / 2)
                .findFirst()
                .orElse(Double.NaN);
        System.out.printf("(%,.0f characters a second, by the median)%n", 1e9 / mean);
    }

    private int sample(float[] logits, SplittableRandom random) {
        int likeliest = 0;
        for (int t = 1; t < logits.length; t++) {
            likeliest = logits[t] > logits[likeliest] ? t : likeliest;
        }
        if (temperature == 0) {
            return likeliest;
        }
        double[] weights = new double[logits.length];
        double sum = 0;
        for (int t = 0; t < logits.length; t++) {
            weights[t] = Math.exp((logits[t] - logits[likeliest]) / temperature);
            sum += weights[t];
        }
        double rest = random.nextDouble() * sum;
        int chosen = 0;
        while (chosen < logits.length - 1 && rest >= weights[chosen]) {
            rest -= weights[chosen++];
        }
        return chosen;
    }
}
