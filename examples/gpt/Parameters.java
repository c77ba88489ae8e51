package gpt;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.tornadoattention.tensor.Safetensors;
import org.tornadoattention.tensor.SafetensorsWriter;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** The weights of a GPT with their gradients and AdamW's moments, and the file that keeps them between runs. */
public final class Parameters {

    /** The matrices of a layer, in the order of the forward pass. */
    static final List<String> MATRICES = List.of("qkv", "out", "up", "down");

    private static final String STEP = "step";
    private static final String RUN = "run";

    private final Shape shape;
    private final Map<String, Parameter> byName = new LinkedHashMap<>();

    /**
     * The size of a model.
     *
     * @param vocabulary tokens
     * @param positions the longest sequence
     * @param layers blocks of attention and MLP
     * @param heads attention heads; they divide the width
     * @param width channels of a token
     * @param hidden channels inside the MLP
     */
    public record Shape(int vocabulary, int positions, int layers, int heads, int width, int hidden) {

        /** With twice the width inside the MLP. */
        public Shape(int vocabulary, int positions, int layers, int heads, int width) {
            this(vocabulary, positions, layers, heads, width, 2 * width);
        }

        /** Checks that the heads share the width evenly. */
        public Shape {
            if (vocabulary < 1
                    || positions < 1
                    || layers < 1
                    || heads < 1
                    || width < 1
                    || hidden < 1
                    || width % heads != 0) {
                throw new IllegalArgumentException(
                        "A GPT of %d tokens, %d positions, %d layers, %d heads and width %d: all must be 1 or more, and the heads divide the width."
                                .formatted(vocabulary, positions, layers, heads, width));
            }
        }

        /** Channels of a head. */
        public int headDim() {
            return width / heads;
        }
    }

    /** One weight {@code [rows, columns]}, its gradient and the moments of its gradients. */
    public record Parameter(
            String name,
            int rows,
            int columns,
            FloatArray value,
            FloatArray gradient,
            FloatArray firstMoment,
            FloatArray secondMoment) {

        private Parameter(String name, int rows, int columns) {
            this(
                    name,
                    rows,
                    columns,
                    zeros(rows, columns),
                    zeros(rows, columns),
                    zeros(rows, columns),
                    zeros(rows, columns));
        }

        private static FloatArray zeros(int rows, int columns) {
            FloatArray array = new FloatArray(Math.multiplyExact(rows, columns));
            array.init(0f);
            return array;
        }

        /** What must be kept for training to go on as if it had never stopped, by its name in a file. */
        private Map<String, Tensor> kept() {
            return Map.of(
                    name,
                    Tensor.wrap(value, rows, columns),
                    name + ".firstMoment",
                    Tensor.wrap(firstMoment, rows, columns),
                    name + ".secondMoment",
                    Tensor.wrap(secondMoment, rows, columns));
        }
    }

    /** Weights drawn at random: the same for the same shape and seed. */
    public Parameters(Shape shape, long seed) {
        this.shape = shape;
        SplittableRandom random = new SplittableRandom(seed);
        int width = shape.width();
        double residual = 1 / Math.sqrt(2.0 * shape.layers()); // what each of the sums into the stream may add
        add(random, "token", shape.vocabulary(), width, 0.1);
        add(random, "before", shape.vocabulary(), width, 0.1);
        add(random, "position", shape.positions(), width, 0.05);
        for (int layer = 0; layer < shape.layers(); layer++) {
            add(random, name(layer, "qkv"), width, 3 * width, 1 / Math.sqrt(width));
            add(random, name(layer, "out"), width, width, residual / Math.sqrt(width));
            add(random, name(layer, "up"), width, shape.hidden(), 1 / Math.sqrt(width));
            add(random, name(layer, "down"), shape.hidden(), width, residual / Math.sqrt(shape.hidden()));
        }
    }

    private void add(SplittableRandom random, String name, int rows, int columns, double deviation) {
        Parameter parameter = new Parameter(name, rows, columns);
        for (int i = 0; i < rows * columns; i++) {
            parameter.value().set(i, (float) (deviation * random.nextGaussian()));
        }
        byName.put(name, parameter);
    }

    private static String name(int layer, String matrix) {
        return "layer" + layer + "." + matrix;
    }

    /** The size of the model. */
    public Shape shape() {
        return shape;
    }

    /** All of them, in the order of the model. */
    public List<Parameter> all() {
        return List.copyOf(byName.values());
    }

    /** The number of weights. */
    public long count() {
        return all().stream()
                .mapToLong(parameter -> parameter.value().getSize())
                .sum();
    }

    /** One by its name: {@code token}, {@code before} or {@code position}. */
    public Parameter get(String name) {
        return byName.get(name);
    }

    /** One of a layer by its name: {@code qkv}, {@code out}, {@code up} or {@code down}. */
    public Parameter get(int layer, String matrix) {
        return byName.get(name(layer, matrix));
    }

    /** The arrays that training changes and that must outlive it. */
    List<FloatArray> state() {
        List<FloatArray> arrays = new ArrayList<>();
        for (Parameter parameter : all()) {
            Collections.addAll(arrays, parameter.value(), parameter.firstMoment(), parameter.secondMoment());
        }
        return arrays;
    }

    /**
     * Writes weights and moments.
     *
     * @param step training steps behind them
     * @param run what decides all further steps, to be compared on {@link #load}
     */
    public void save(Path file, int step, String run) throws IOException {
        SafetensorsWriter writer =
                new SafetensorsWriter().metadata(STEP, Integer.toString(step)).metadata(RUN, run);
        for (Parameter parameter : all()) {
            parameter.kept().forEach(writer::tensor);
        }
        writer.writeTo(file);
    }

    /**
     * Reads what {@link #save} wrote, over what is here.
     *
     * @return the training steps behind it
     * @throws IllegalArgumentException if the file is of another run
     */
    public int load(Path file, String run) throws IOException {
        try (Safetensors stored = Safetensors.open(file)) {
            String storedRun = stored.metadata().get(RUN);
            if (!run.equals(storedRun)) {
                throw new IllegalArgumentException(
                        "%s is of another run: give the options that it was made with.%n  it has  %s%n  given   %s"
                                .formatted(file, storedRun, run));
            }
            for (Parameter parameter : all()) {
                for (Map.Entry<String, Tensor> kept : parameter.kept().entrySet()) {
                    kept.getValue().copyFrom(stored.tensor(kept.getKey()));
                }
            }
            return Integer.parseInt(stored.metadata().get(STEP));
        }
    }
}
