package org.tornadoattention.embeddings;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The weights of a BERT encoder, ready for products.
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

        void addAndNormalise(float[] x, float[] added, int addedRow, int rows) {
            RowFunctions.addAndNormalise(x, added, addedRow, rows, scale.length, scale, shift, EPSILON);
        }
    }

    /** Attention with its products, and a network of two products, each followed by a sum and its normalisation. */
    record Layer(
            PackedMatrix queriesKeysValues,
            PackedMatrix attentionOutput,
            Norm attentionNorm,
            PackedMatrix intermediate,
            PackedMatrix output,
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
                matrix(
                        file,
                        width,
                        name + ".attention.self.query",
                        name + ".attention.self.key",
                        name + ".attention.self.value"),
                matrix(file, width, name + ".attention.output.dense"),
                Norm.of(file, name + ".attention.output.LayerNorm"),
                matrix(file, width, name + ".intermediate.dense"),
                matrix(file, inner, name + ".output.dense"),
                Norm.of(file, name + ".output.LayerNorm"));
    }

    /** Products side by side; the layers' names have points where operators' names have slashes. */
    private static PackedMatrix matrix(OnnxWeights file, int depth, String... names) {
        float[][] parts = Arrays.stream(names)
                .map(name -> "/" + name.replaceAll("\\.(?!\\d)", "/") + "/MatMul")
                .map(operator -> file.of(operator).values())
                .toArray(float[][]::new);
        float[][] biases = Arrays.stream(names)
                .map(name -> file.named(name + ".bias").values())
                .toArray(float[][]::new);
        return new PackedMatrix(depth, parts, biases);
    }

    /** The longest sequence that there are positions for. */
    int longest() {
        return positions.length / width;
    }

    int vocabulary() {
        return words.length / width;
    }
}
