package org.tornadoattention.embeddings;

import ai.onnxruntime.OrtException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.SafetensorsWriter;
import org.tornadoattention.tensor.Tensor;

/** Writes an {@link EncoderFile} from the jar that has the model. */
final class EncoderFileWriter {

    private static final int HEADS = 12;

    private EncoderFileWriter() {}

    /** @param arguments the file, and how many texts (2000) */
    public static void main(String[] arguments) throws IOException {
        List<String> texts = MixedTexts.of(arguments.length > 1 ? Integer.parseInt(arguments[1]) : 2000);
        try (InputStream model = EncoderFileWriter.class.getClassLoader().getResourceAsStream("all-minilm-l6-v2.onnx");
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
        } catch (OrtException e) {
            throw new IOException(e);
        }
    }

    private static void write(Path file, BertWeights weights, float[] words, int[] tokens, int[] offsets)
            throws IOException {
        int width = weights.width();
        SafetensorsWriter writer = new SafetensorsWriter()
                .ints("heads", new int[] {HEADS}, 1)
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

    private static void dense(SafetensorsWriter writer, String name, BertWeights.Dense dense) {
        writer.tensor(name, rounded(dense.matrix(), dense.columns()));
        writer.tensor(name + ".bias", Tensor.of(dense.bias(), dense.columns()));
    }

    private static void norm(SafetensorsWriter writer, String name, BertWeights.Norm norm) {
        writer.tensor(name + ".scale", Tensor.of(norm.scale(), norm.scale().length));
        writer.tensor(name + ".shift", Tensor.of(norm.shift(), norm.shift().length));
    }
}
