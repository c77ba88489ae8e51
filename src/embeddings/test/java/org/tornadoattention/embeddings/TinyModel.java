package org.tornadoattention.embeddings;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** A BERT of a few words with random weights: its files as exporters write them, and its formulas in float64. */
final class TinyModel {

    static final List<String> WORDS =
            List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat", "on", "a", "mat", "##s", ".");

    static final int HEADS = 2;
    static final int WIDTH = 24;
    static final int INNER = 40;
    static final int POSITIONS = 9;
    static final int LAYERS = 2;

    private static final int CLS = 2;
    private static final int SEP = 3;

    private final Map<String, float[]> weights = new HashMap<>();
    private final List<byte[]> initializers = new ArrayList<>();
    private final List<byte[]> nodes = new ArrayList<>();
    private final SplittableRandom random = new SplittableRandom(3);

    TinyModel() throws IOException {
        weight("embeddings.word_embeddings.weight", WORDS.size(), WIDTH);
        weight("embeddings.position_embeddings.weight", POSITIONS, WIDTH);
        weight("embeddings.token_type_embeddings.weight", 2, WIDTH);
        norm("embeddings.LayerNorm");
        for (int layer = 0; layer < LAYERS; layer++) {
            String name = "encoder.layer." + layer;
            dense(name + ".attention.self.query", WIDTH, WIDTH);
            dense(name + ".attention.self.key", WIDTH, WIDTH);
            dense(name + ".attention.self.value", WIDTH, WIDTH);
            dense(name + ".attention.output.dense", WIDTH, WIDTH);
            norm(name + ".attention.output.LayerNorm");
            dense(name + ".intermediate.dense", WIDTH, INNER);
            dense(name + ".output.dense", INNER, WIDTH);
            norm(name + ".output.LayerNorm");
        }
    }

    private void norm(String name) throws IOException {
        weight(name + ".weight", WIDTH);
        weight(name + ".bias", WIDTH);
    }

    private void dense(String name, int in, int out) throws IOException {
        String product = "onnx::MatMul_" + (700 + nodes.size());
        weights.put(name, weight(product, in, out));
        weight(name + ".bias", out);
        String operator = "/" + name.replace('.', '/').replace("layer/", "layer.") + "/MatMul";
        nodes.add(message(out1 -> {
            out1.writeString(1, "/of/another/operator");
            out1.writeString(1, product);
            out1.writeString(2, operator + "_output_0");
            out1.writeString(3, operator);
            out1.writeString(4, "MatMul");
        }));
    }

    private float[] weight(String name, int... shape) throws IOException {
        int count = IntStream.of(shape).reduce(1, (a, b) -> a * b);
        float[] values = new float[count];
        ByteBuffer bytes = ByteBuffer.allocate(count * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < count; i++) {
            values[i] = (float) (random.nextGaussian() * 0.4);
            bytes.putFloat(values[i]);
        }
        weights.put(name, values);
        boolean packed = shape.length == 2; // both ways to write dimensions, and both to write numbers
        initializers.add(message(out -> {
            if (packed) {
                out.writeByteArray(1, message(inner -> {
                    for (int dimension : shape) {
                        inner.writeInt64NoTag(dimension);
                    }
                }));
            } else {
                out.writeInt64(1, shape[0]);
            }
            out.writeInt32(2, 1);
            out.writeString(8, name);
            out.writeBytes(packed ? 9 : 4, ByteString.copyFrom(bytes.array()));
        }));
        return values;
    }

    private interface Writer {
        void write(CodedOutputStream out) throws IOException;
    }

    private static byte[] message(Writer writer) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        CodedOutputStream out = CodedOutputStream.newInstance(bytes);
        writer.write(out);
        out.flush();
        return bytes.toByteArray();
    }

    Path writeModel(Path file) throws IOException {
        byte[] graph = message(out -> {
            for (byte[] node : nodes) {
                out.writeByteArray(1, node);
            }
            out.writeString(2, "main_graph");
            for (byte[] initializer : initializers) {
                out.writeByteArray(5, initializer);
            }
        });
        return Files.write(file, message(out -> {
            out.writeInt64(1, 8);
            out.writeString(2, "pytorch");
            out.writeByteArray(7, graph);
        }));
    }

    static Path writeTokenizer(Path file) throws IOException {
        String vocabulary = IntStream.range(0, WORDS.size())
                .mapToObj(id -> "\"%s\": %d".formatted(WORDS.get(id), id))
                .collect(Collectors.joining(", "));
        return Files.writeString(file, """
                {"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
                 "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                                "strip_accents": null, "lowercase": true},
                 "pre_tokenizer": {"type": "BertPreTokenizer"},
                 "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
                 "decoder": null,
                 "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                           "max_input_chars_per_word": 100, "vocab": {%s}}}
                """.formatted(vocabulary));
    }

    /**
     * The mean of the last layer's rows of a text that has these words, with what begins and ends it; not of length 1.
     */
    double[] encode(List<String> words) {
        List<Integer> ids = new ArrayList<>(List.of(CLS));
        words.forEach(word -> ids.add(WORDS.indexOf(word)));
        ids.add(SEP);
        double[][] x = new double[ids.size()][WIDTH];
        for (int t = 0; t < x.length; t++) {
            for (int d = 0; d < WIDTH; d++) {
                x[t][d] = weights.get("embeddings.word_embeddings.weight")[ids.get(t) * WIDTH + d]
                        + weights.get("embeddings.position_embeddings.weight")[t * WIDTH + d]
                        + weights.get("embeddings.token_type_embeddings.weight")[d];
            }
        }
        normalise(x, "embeddings.LayerNorm");
        for (int layer = 0; layer < LAYERS; layer++) {
            String name = "encoder.layer." + layer;
            double[][] attended = attention(
                    dense(x, name + ".attention.self.query", WIDTH),
                    dense(x, name + ".attention.self.key", WIDTH),
                    dense(x, name + ".attention.self.value", WIDTH));
            add(x, dense(attended, name + ".attention.output.dense", WIDTH));
            normalise(x, name + ".attention.output.LayerNorm");
            double[][] inner = dense(x, name + ".intermediate.dense", INNER);
            for (double[] row : inner) {
                for (int d = 0; d < INNER; d++) {
                    row[d] *= 0.5 * (1 + erf(row[d] / Math.sqrt(2)));
                }
            }
            add(x, dense(inner, name + ".output.dense", WIDTH));
            normalise(x, name + ".output.LayerNorm");
        }
        double[] mean = new double[WIDTH];
        for (double[] row : x) {
            for (int d = 0; d < WIDTH; d++) {
                mean[d] += row[d] / x.length;
            }
        }
        return mean;
    }

    private static void add(double[][] x, double[][] y) {
        for (int t = 0; t < x.length; t++) {
            for (int d = 0; d < WIDTH; d++) {
                x[t][d] += y[t][d];
            }
        }
    }

    private double[][] dense(double[][] x, String name, int out) {
        float[] matrix = weights.get(name);
        float[] bias = weights.get(name + ".bias");
        double[][] y = new double[x.length][out];
        for (int t = 0; t < x.length; t++) {
            for (int d = 0; d < out; d++) {
                y[t][d] = bias[d];
                for (int k = 0; k < x[t].length; k++) {
                    y[t][d] += x[t][k] * matrix[k * out + d];
                }
            }
        }
        return y;
    }

    private void normalise(double[][] x, String name) {
        for (double[] row : x) {
            double mean = 0;
            double variance = 0;
            for (double value : row) {
                mean += value / WIDTH;
            }
            for (double value : row) {
                variance += (value - mean) * (value - mean) / WIDTH;
            }
            for (int d = 0; d < WIDTH; d++) {
                row[d] = (row[d] - mean) / Math.sqrt(variance + 1e-12) * weights.get(name + ".weight")[d]
                        + weights.get(name + ".bias")[d];
            }
        }
    }

    private static double[][] attention(double[][] q, double[][] k, double[][] v) {
        int headDim = WIDTH / HEADS;
        double[][] o = new double[q.length][WIDTH];
        for (int head = 0; head < HEADS; head++) {
            for (int i = 0; i < q.length; i++) {
                double[] p = new double[k.length];
                double sum = 0;
                for (int j = 0; j < k.length; j++) {
                    for (int d = head * headDim; d < (head + 1) * headDim; d++) {
                        p[j] += q[i][d] * k[j][d];
                    }
                    p[j] = Math.exp(p[j] / Math.sqrt(headDim));
                    sum += p[j];
                }
                for (int j = 0; j < k.length; j++) {
                    for (int d = head * headDim; d < (head + 1) * headDim; d++) {
                        o[i][d] += p[j] / sum * v[j][d];
                    }
                }
            }
        }
        return o;
    }

    /** By its series, which the arguments here are small enough for. */
    private static double erf(double x) {
        double term = x;
        double sum = x;
        for (int n = 1; n < 200; n++) {
            term *= -x * x / n;
            sum += term / (2 * n + 1);
        }
        return Math.abs(x) > 5 ? Math.signum(x) : 2 / Math.sqrt(Math.PI) * sum;
    }
}
