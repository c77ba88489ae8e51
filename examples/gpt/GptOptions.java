package gpt;

import java.nio.file.Path;
import java.util.Optional;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import picocli.CommandLine.Option;

/** The options that programs which train a GPT share. Defaults that differ are given by each program. */
public final class GptOptions {

    @Option(names = "--layers", paramLabel = "L", description = "Default: ${DEFAULT-VALUE}.")
    private int layers = 2;

    @Option(names = "--width", paramLabel = "C", description = "Channels of a token. Default: ${DEFAULT-VALUE}.")
    private int width;

    @Option(
            names = "--heads",
            paramLabel = "H",
            description = "Attention heads; they divide the width. Default: ${DEFAULT-VALUE}.")
    private int heads;

    @Option(
            names = "--learning-rate",
            paramLabel = "R",
            description = "Of AdamW, after a warm-up and before its decay at the end. Default: ${DEFAULT-VALUE}.")
    private float learningRate;

    @Option(
            names = "--seed",
            paramLabel = "X",
            description = "Decides weights and data: the same seed gives the same losses. Default: ${DEFAULT-VALUE}.")
    private long seed = 1;

    @Option(names = "--backend", paramLabel = "NAME", description = "cuda, opencl, ptx, … Default: the best.")
    private Optional<Backend> backend = Optional.empty();

    @Option(
            names = {"-o", "--output"},
            paramLabel = "DIR",
            description = "Where all that it keeps goes. Default: ${DEFAULT-VALUE}.")
    private Path out;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help and exit.")
    private boolean help;

    /** Options with these defaults. */
    public GptOptions(int width, int heads, float learningRate, Path out) {
        this.width = width;
        this.heads = heads;
        this.learningRate = learningRate;
        this.out = out;
    }

    /** The size of a model for so many tokens and positions. */
    public Parameters.Shape shape(int vocabulary, int positions) {
        return new Parameters.Shape(vocabulary, positions, layers, heads, width);
    }

    /**
     * The learning rate.
     *
     * @throws IllegalArgumentException if it is not a number above 0
     */
    public float learningRate() {
        if (!(learningRate > 0 && learningRate < Float.POSITIVE_INFINITY)) {
            throw new IllegalArgumentException("--learning-rate is %s: it must be above 0.".formatted(learningRate));
        }
        return learningRate;
    }

    public long seed() {
        return seed;
    }

    public Path out() {
        return out;
    }

    /** The device that was asked for, or the best. */
    public ComputeDevice device() {
        return Devices.find(backend, Optional.empty());
    }

    @Override
    public String toString() {
        return "layers=%d width=%d heads=%d learningRate=%s seed=%d"
                .formatted(layers, width, heads, learningRate, seed);
    }
}
