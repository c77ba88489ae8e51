package org.tornadoattention.embeddings;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Safetensors;
import org.tornadoattention.tensor.SafetensorsWriter;
import org.tornadoattention.tensor.Tensor;

/**
 * The weights of all-MiniLM-L6-v2, matrices rounded to BF16, and texts as tokens in one safetensors file, with the words that these texts
 * have and no others: 22 MB, to carry to a machine with a GPU, where {@link EncoderTimes} and {@code bench/embeddings.py} read it.
 *
 * @param weights of the encoder
 * @param tokens of all texts, one behind the other
 * @param offsets where each text begins, and where the last one ends
 */
record EncoderFile(BertWeights weights, int[] tokens, int[] offsets) {

    private static final int HEADS = 12;

    /** @param arguments the file, and how many texts (2000) */
    public static void main(String[] arguments) throws IOException {
        List<String> texts = MixedTexts.of(arguments.length > 1 ? Integer.parseInt(arguments[1]) : 2000);
        try (InputStream model = EncoderFile.class.getClassLoader().getResourceAsStream("all-minilm-l6-v2.onnx");
                OnnxRuntimeEncoder tokenizer = new OnnxRuntimeEncoder(1)) {
            BertWeights weights = BertWeights.of(OnnxWeights.read(model), HEADS);
            List<int[]> tokens = texts.stream()
                    .map(text -> Arrays.stream(tokenizer.tokens(text))
                            .mapToInt(Math::toIntExact)
                            .toArray())
                    .filter(text -> text.length <= weights.longest())
                    .toList();
            int[] used = tokens.stream()
                    .flatMapToInt(Arrays::stream)
                    .distinct()
                    .sorted()
                    .toArray();
            int width = weights.width();
            float[] words = new float[used.length * width];
            for (int i = 0; i < used.length; i++) {
                System.arraycopy(weights.words(), used[i] * width, words, i * width, width);
            }
            int[] offsets = new int[tokens.size() + 1];
            for (int i = 0; i < tokens.size(); i++) {
                offsets[i + 1] = offsets[i] + tokens.get(i).length;
            }
            int[] renumbered = tokens.stream()
                    .flatMapToInt(text -> Arrays.stream(text).map(token -> Arrays.binarySearch(used, token)))
                    .toArray();
            write(Path.of(arguments[0]), weights, words, renumbered, offsets);
            System.out.printf("%d texts, %d tokens, %d words%n", tokens.size(), renumbered.length, used.length);
        } catch (ai.onnxruntime.OrtException e) {
            throw new IOException(e);
        }
    }

    private static void write(Path file, BertWeights weights, float[] words, int[] tokens, int[] offsets)
            throws IOException {
        int width = weights.width();
        SafetensorsWriter writer = new SafetensorsWriter()
                .ints("tokens", tokens, tokens.length)
                .ints("offsets", offsets, offsets.length)
                .tensor("words", rounded(words, width))
                .tensor("positions", rounded(weights.positions(), width));
        norm(writer, "embeddings", weights.embeddingNorm());
        for (int i = 0; i < weights.layers().size(); i++) {
            BertWeights.Layer layer = weights.layers().get(i);
            String name = "layer" + i + ".";
            dense(writer, name + "qkv", layer.queriesKeysValues());
            dense(writer, name + "out", layer.attentionOutput());
            norm(writer, name + "norm1", layer.attentionNorm());
            dense(writer, name + "up", layer.intermediate());
            dense(writer, name + "down", layer.output());
            norm(writer, name + "norm2", layer.outputNorm());
        }
        writer.writeTo(file);
    }

    private static Tensor rounded(float[] matrix, int columns) {
        Tensor tensor = Tensor.allocate(DType.BF16, matrix.length / columns, columns);
        for (int i = 0; i < matrix.length; i++) {
            tensor.setFlat(i, matrix[i]);
        }
        return tensor;
    }

    private static void dense(SafetensorsWriter writer, String name, PackedMatrix matrix) {
        writer.tensor(name, rounded(matrix.rowMajor(), matrix.columns()));
        writer.tensor(name + ".bias", Tensor.of(matrix.bias(), matrix.columns()));
    }

    private static void norm(SafetensorsWriter writer, String name, BertWeights.Norm norm) {
        writer.tensor(name + ".scale", Tensor.of(norm.scale(), norm.scale().length));
        writer.tensor(name + ".shift", Tensor.of(norm.shift(), norm.shift().length));
    }

    /** Reads what {@link #main} wrote. */
    static EncoderFile read(Path path) throws IOException {
        try (Safetensors file = Safetensors.open(path)) {
            float[] words = file.tensor("words").toFloatArray();
            int width = file.tensor("words").dimension(1);
            List<BertWeights.Layer> layers = new ArrayList<>();
            for (int i = 0; file.contains("layer" + i + ".qkv"); i++) {
                String name = "layer" + i + ".";
                layers.add(new BertWeights.Layer(
                        dense(file, name + "qkv"),
                        dense(file, name + "out"),
                        norm(file, name + "norm1"),
                        dense(file, name + "up"),
                        dense(file, name + "down"),
                        norm(file, name + "norm2")));
            }
            float[] positions = file.tensor("positions").toFloatArray();
            return new EncoderFile(
                    new BertWeights(words, positions, width, HEADS, norm(file, "embeddings"), layers),
                    file.ints("tokens"),
                    file.ints("offsets"));
        }
    }

    private static PackedMatrix dense(Safetensors file, String name) throws IOException {
        Tensor matrix = file.tensor(name);
        return new PackedMatrix(matrix.dimension(0), new float[][] {matrix.toFloatArray()}, new float[][] {
            file.tensor(name + ".bias").toFloatArray()
        });
    }

    private static BertWeights.Norm norm(Safetensors file, String name) throws IOException {
        return new BertWeights.Norm(
                file.tensor(name + ".scale").toFloatArray(),
                file.tensor(name + ".shift").toFloatArray());
    }

    int texts() {
        return offsets.length - 1;
    }

    /** The tokens of texts {@code from} to {@code to}. */
    int[] tokens(int from, int to) {
        return Arrays.copyOfRange(tokens, offsets[from], offsets[to]);
    }

    /** Where these texts begin among them. */
    int[] division(int from, int to) {
        return IntStream.rangeClosed(from, to)
                .map(text -> offsets[text] - offsets[from])
                .toArray();
    }
}
