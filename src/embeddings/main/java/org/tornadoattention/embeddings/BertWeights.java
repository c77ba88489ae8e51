package org.tornadoattention.embeddings;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The weights of a BERT encoder.
 *
 * @param words a row for each token
 * @param positions a row for each position, with that of the only token type added
 * @param width elements of a row
 * @param heads of attention; divides the width
 * @param embeddingNorm of the sum of both
 * @param layers one after another
 */
record BertWeights(float[] words, float[] positions, int width, int heads, Norm embeddingNorm, List<Layer> layers) {

    /** Layer normalisation: {@code (x - mean) / √(variance + ε) · scale + shift}. */
    record Norm(float[] scale, float[] shift) {

        /** The one of the original, and of all models that were made of it. */
        static final double EPSILON = 1e-12;

        private static Norm of(OnnxWeights file, String name) {
            return new Norm(
                    file.named(name + ".weight").values(),
                    file.named(name + ".bias").values());
        }

        /** {@code x = norm(x + added)} of rows {@code from} to {@code to}. */
        void addAndNormalise(float[] x, float[] added, int addedRow, int from, int to) {
            RowFunctions.addAndNormalise(x, added, addedRow, from, to, scale.length, scale, shift, EPSILON);
        }
    }

    /**
     * A product {@code x · matrix + bias}.
     *
     * @param depth rows of the matrix
     * @param columns of the matrix
     * @param matrix row by row
     * @param bias a number for each column
     */
    record Dense(int depth, int columns, float[] matrix, float[] bias) {

        Dense {
            if (matrix.length != depth * columns || bias.length != columns) {
                throw new IllegalArgumentException(
                        "A matrix has %d elements and its bias %d, and not %d x %d and %d: the file is damaged."
                                .formatted(matrix.length, bias.length, depth, columns, columns));
            }
        }

        /** The columns of all parts, which are equally deep. */
        static Dense sideBySide(Dense... parts) {
            int depth = parts[0].depth;
            int columns = Arrays.stream(parts).mapToInt(Dense::columns).sum();
            float[] matrix = new float[Math.multiplyExact(depth, columns)];
            float[] bias = new float[columns];
            int first = 0;
            for (Dense part : parts) {
                System.arraycopy(part.bias, 0, bias, first, part.columns);
                for (int k = 0; k < depth; k++) {
                    System.arraycopy(part.matrix, k * part.columns, matrix, k * columns + first, part.columns);
                }
                first += part.columns;
            }
            return new Dense(depth, columns, matrix, bias);
        }

        /** Some of the columns: {@code from} to {@code to}. */
        Dense part(int from, int to) {
            float[] some = new float[depth * (to - from)];
            for (int k = 0; k < depth; k++) {
                System.arraycopy(matrix, k * columns + from, some, k * (to - from), to - from);
            }
            return new Dense(depth, to - from, some, Arrays.copyOfRange(bias, from, to));
        }
    }

    /** Attention with its products, and a network of two products, each followed by a sum and its normalisation. */
    record Layer(
            Dense queriesKeysValues,
            Dense attentionOutput,
            Norm attentionNorm,
            Dense intermediate,
            Dense output,
            Norm outputNorm) {}

    BertWeights {
        layers = List.copyOf(layers);
        if (heads < 1 || width % heads != 0) {
            throw new IllegalArgumentException(
                    "Rows of %d elements cannot be divided among %d heads: give the model's own number of heads."
                            .formatted(width, heads));
        }
    }

    /**
     * The weights of a file.
     *
     * @param heads of attention, which the weights do not tell
     * @throws IllegalArgumentException if it has no BERT encoder
     */
    static BertWeights of(OnnxWeights file, int heads) {
        OnnxWeights.Weight words = file.named("embeddings.word_embeddings.weight");
        int width = words.shape()[1];
        float[] positions =
                file.named("embeddings.position_embeddings.weight").values().clone();
        float[] type = Arrays.copyOf(
                file.named("embeddings.token_type_embeddings.weight").values(), width);
        for (int i = 0; i < positions.length; i++) {
            positions[i] += type[i % width];
        }
        List<Layer> layers = new ArrayList<>();
        while (file.has("encoder.layer.%d.output.dense.bias".formatted(layers.size()))) {
            layers.add(layer(file, "encoder.layer." + layers.size(), width));
        }
        if (layers.isEmpty()) {
            throw new IllegalArgumentException(
                    "The ONNX file has no encoder.layer.0: it is no BERT encoder that was exported from PyTorch.");
        }
        return new BertWeights(words.values(), positions, width, heads, Norm.of(file, "embeddings.LayerNorm"), layers);
    }

    private static Layer layer(OnnxWeights file, String name, int width) {
        int inner = file.named(name + ".intermediate.dense.bias").values().length;
        return new Layer(
                dense(
                        file,
                        width,
                        name + ".attention.self.query",
                        name + ".attention.self.key",
                        name + ".attention.self.value"),
                dense(file, width, name + ".attention.output.dense"),
                Norm.of(file, name + ".attention.output.LayerNorm"),
                dense(file, width, name + ".intermediate.dense"),
                dense(file, inner, name + ".output.dense"),
                Norm.of(file, name + ".output.LayerNorm"));
    }

    /** Products side by side; the layers' names have points where operators' names have slashes. */
    private static Dense dense(OnnxWeights file, int depth, String... names) {
        return Dense.sideBySide(Arrays.stream(names)
                .map(name -> {
                    float[] bias = file.named(name + ".bias").values();
                    String operator = "/" + name.replaceAll("\\.(?!\\d)", "/") + "/MatMul";
                    return new Dense(depth, bias.length, file.of(operator).values(), bias);
                })
                .toArray(Dense[]::new));
    }

    /** The longest sequence that there are positions for. */
    int longest() {
        return positions.length / width;
    }

    int vocabulary() {
        return words.length / width;
    }
}
