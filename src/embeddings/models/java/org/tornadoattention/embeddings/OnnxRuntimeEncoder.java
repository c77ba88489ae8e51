package org.tornadoattention.embeddings;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** The same model by ONNX Runtime: texts of a call are padded to the longest of them. */
final class OnnxRuntimeEncoder implements AutoCloseable {

    private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
    private final OrtSession.SessionOptions options = new OrtSession.SessionOptions();
    private final OrtSession session;
    private final HuggingFaceTokenizer tokenizer;
    private final Pooling pooling;

    /** all-MiniLM-L6-v2. */
    OnnxRuntimeEncoder(int threads) throws IOException, OrtException {
        this("all-minilm-l6-v2", Pooling.MEAN, threads);
    }

    /** @param name of the two files on the class path, without what they end with */
    OnnxRuntimeEncoder(String name, Pooling pooling, int threads) throws IOException, OrtException {
        this.pooling = pooling;
        options.setIntraOpNumThreads(threads);
        try (InputStream model = resource(name + ".onnx");
                InputStream json = resource(name + "-tokenizer.json")) {
            session = environment.createSession(model.readAllBytes(), options);
            tokenizer = HuggingFaceTokenizer.newInstance(json, Map.of("padding", "false", "truncation", "false"));
        }
    }

    private static InputStream resource(String name) {
        return OnnxRuntimeEncoder.class.getClassLoader().getResourceAsStream(name);
    }

    /** Tokens with those that begin and end a text, as many as the model has positions for at most. */
    long[] tokens(String text) {
        return tokenizer.encode(text).getIds();
    }

    /** Vectors of length 1, of texts that are no longer than the model's positions. */
    float[][] encode(List<String> texts) throws OrtException {
        double[][] pooled = pooled(texts.stream().map(this::tokens).toArray(long[][]::new));
        return Arrays.stream(pooled).map(OnnxRuntimeEncoder::ofLengthOne).toArray(float[][]::new);
    }

    /** A text's vector, before it is of length 1. */
    double[] pooled(long[] tokens) throws OrtException {
        return pooled(new long[][] {tokens.clone()})[0];
    }

    private double[][] pooled(long[][] ids) throws OrtException {
        int longest = Arrays.stream(ids).mapToInt(each -> each.length).max().orElseThrow();
        long[][] mask = new long[ids.length][longest];
        for (int i = 0; i < ids.length; i++) {
            Arrays.fill(mask[i], 0, ids[i].length, 1);
            ids[i] = Arrays.copyOf(ids[i], longest);
        }
        try (OnnxTensor inputs = OnnxTensor.createTensor(environment, ids);
                OnnxTensor masks = OnnxTensor.createTensor(environment, mask);
                OnnxTensor types = OnnxTensor.createTensor(environment, new long[ids.length][longest]);
                OrtSession.Result result =
                        session.run(Map.of("input_ids", inputs, "attention_mask", masks, "token_type_ids", types))) {
            float[][][] rows = (float[][][]) result.get(0).getValue();
            double[][] pooled = new double[ids.length][];
            for (int i = 0; i < ids.length; i++) {
                pooled[i] = mean(
                        rows[i],
                        pooling == Pooling.FIRST
                                ? 1
                                : (int) Arrays.stream(mask[i]).sum());
            }
            return pooled;
        }
    }

    private static double[] mean(float[][] rows, int count) {
        double[] mean = new double[rows[0].length];
        for (int row = 0; row < count; row++) {
            for (int d = 0; d < mean.length; d++) {
                mean[d] += rows[row][d] / (double) count;
            }
        }
        return mean;
    }

    private static float[] ofLengthOne(double[] mean) {
        double length = Math.sqrt(Arrays.stream(mean).map(x -> x * x).sum());
        float[] vector = new float[mean.length];
        for (int d = 0; d < vector.length; d++) {
            vector[d] = (float) (mean[d] / length);
        }
        return vector;
    }

    @Override
    public void close() throws OrtException {
        session.close();
        options.close();
        tokenizer.close();
    }
}
