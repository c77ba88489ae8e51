package org.tornadoattention.embeddings;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.SafetensorsWriter;
import org.tornadoattention.tensor.Tensor;

/**
 * Texts per second of the encoder, as one task graph or on the JVM, from tokens to vectors, on the texts of an
 * {@link EncoderFile}, after its vectors were compared with those of the JVM's encoder. The JVM's go to a file, for
 * {@code bench/embeddings.py} to compare with.
 */
final class EncoderTimes {

    private static final int COMPARED = 300;
    private static final int ROUNDS = 7;

    private EncoderTimes() {}

    /**
     * @param arguments the file, the file for the JVM's vectors, the backend, types (f32,f16), tokens of a batch (8192;
     *     1 for a text at a time), texts (all), how many of them to compare (300)
     */
    public static void main(String[] arguments) throws IOException {
        EncoderFile file = EncoderFile.read(Path.of(arguments[0]));
        ComputeDevice device = Devices.find(Optional.of(Backend.parse(arguments[2])), Optional.empty());
        int texts = arguments.length > 5 ? Integer.parseInt(arguments[5]) : file.texts();
        int compared = Math.min(arguments.length > 6 ? Integer.parseInt(arguments[6]) : COMPARED, texts);
        float[][] expected;
        try (Encoder encoder = new VectorEncoder(
                file.weights(), Pooling.MEAN, Runtime.getRuntime().availableProcessors())) {
            expected = encode(encoder, file, batches(file, compared, 8192, Integer.MAX_VALUE));
        }
        Tensor vectors = Tensor.allocate(DType.F32, compared, file.weights().width());
        for (int i = 0; i < vectors.numberOfElements(); i++) {
            vectors.setFlat(i, expected[i / vectors.dimension(1)][i % vectors.dimension(1)]);
        }
        new SafetensorsWriter().tensor("vectors", vectors).writeTo(Path.of(arguments[1]));
        System.out.printf(
                "%s: %d texts of %.0f tokens on average%n", device, texts, (double) file.offsets()[texts] / texts);
        for (String type : arguments[3].split(",")) {
            for (String tokensPerBatch : arguments[4].split(",")) {
                measure(file, device, DType.parse(type), Integer.parseInt(tokensPerBatch), texts, expected);
            }
        }
    }

    private static void measure(
            EncoderFile file, ComputeDevice device, DType type, int tokensPerBatch, int texts, float[][] expected) {
        int threads = Runtime.getRuntime().availableProcessors();
        try (Encoder encoder = device.isJvm()
                ? new VectorEncoder(file.weights(), Pooling.MEAN, threads)
                : new GraphEncoder(file.weights(), Pooling.MEAN, device, type, tokensPerBatch)) {
            List<int[]> batches = batches(file, texts, tokensPerBatch, encoder.sequencesAtOnce());
            long start = System.nanoTime();
            float[][] vectors = encode(encoder, file, batches);
            double first = (System.nanoTime() - start) / 1e9;
            double least = 1;
            for (int i = 0; i < expected.length; i++) {
                least = Math.min(least, cosine(vectors[i], expected[i]));
            }
            double[] seconds = new double[ROUNDS];
            for (int round = 0; round < ROUNDS; round++) {
                start = System.nanoTime();
                encode(encoder, file, batches);
                seconds[round] = (System.nanoTime() - start) / 1e9;
            }
            Arrays.sort(seconds);
            System.out.printf(
                    "%s, batches of %,6d tokens: least cosine with the JVM's %.7f, %,10.0f texts/s (%.2f ms a batch; first call %.1f s)%n",
                    type,
                    tokensPerBatch,
                    least,
                    texts / seconds[ROUNDS / 2],
                    1e3 * seconds[ROUNDS / 2] / batches.size(),
                    first);
        }
    }

    /** From which text to which, each with so many tokens at most. */
    private static List<int[]> batches(EncoderFile file, int texts, int tokens, int sequences) {
        List<int[]> batches = new ArrayList<>();
        int from = 0;
        for (int to = 1; to <= texts; to++) {
            boolean full =
                    to == texts || file.offsets()[to + 1] - file.offsets()[from] > tokens || to + 1 - from > sequences;
            if (full) {
                batches.add(new int[] {from, to});
                from = to;
            }
        }
        return batches;
    }

    private static float[][] encode(Encoder encoder, EncoderFile file, List<int[]> batches) {
        List<float[]> vectors = new ArrayList<>();
        for (int[] batch : batches) {
            vectors.addAll(
                    Arrays.asList(encoder.encode(file.tokens(batch[0], batch[1]), file.division(batch[0], batch[1]))
                            .unit()));
        }
        return vectors.toArray(float[][]::new);
    }

    private static double cosine(float[] a, float[] b) {
        double dot = 0;
        double aa = 0;
        double bb = 0;
        for (int i = 0; i < a.length; i++) {
            dot += (double) a[i] * b[i];
            aa += (double) a[i] * a[i];
            bb += (double) b[i] * b[i];
        }
        return dot / Math.sqrt(aa * bb);
    }
}
