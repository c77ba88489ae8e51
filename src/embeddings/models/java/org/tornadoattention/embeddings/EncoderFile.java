package org.tornadoattention.embeddings;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.tornadoattention.tensor.Safetensors;
import org.tornadoattention.tensor.Tensor;

/**
 * The weights of an encoder, matrices rounded to BF16, and texts as tokens in one safetensors file, with the words that
 * these texts have and no others (25 MB for all-MiniLM-L6-v2), to carry to a machine with a GPU, where
 * {@link EncoderTimes} and {@code bench/embeddings.py} read it; the latter also makes one of random weights.
 *
 * @param weights of the encoder
 * @param tokens of all texts, one behind the other
 * @param offsets where each text begins, and where the last one ends
 */
record EncoderFile(BertWeights weights, int[] tokens, int[] offsets) {

    /** Reads what {@link EncoderFileWriter} wrote. */
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
                    new BertWeights(words, positions, width, file.ints("heads")[0], norm(file, "embeddings"), layers),
                    file.ints("tokens"),
                    file.ints("offsets"));
        }
    }

    private static BertWeights.Dense dense(Safetensors file, String name) throws IOException {
        Tensor matrix = file.tensor(name);
        return new BertWeights.Dense(
                matrix.dimension(0),
                matrix.dimension(1),
                matrix.toFloatArray(),
                file.tensor(name + ".bias").toFloatArray());
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
