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

    OnnxRuntimeEncoder(int threads) throws IOException, OrtException {
        options.setIntraOpNumThreads(threads);
        try (InputStream model = resource("all-minilm-l6-v2.onnx");
                InputStream json = resource("all-minilm-l6-v2-tokenizer.json")) {
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
        double[][] means = means(texts.stream().map(this::tokens).toArray(long[][]::new));
        return Arrays.stream(means).map(OnnxRuntimeEncoder::ofLengthOne).toArray(float[][]::new);
    }

    /** The mean of a text's rows. */
    double[] mean(long[] tokens) throws OrtException {
        return means(new long[][] {tokens.clone()})[0];
    }

    private double[][] means(long[][] ids) throws OrtException {
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
            double[][] means = new double[ids.length][];
            for (int i = 0; i < ids.length; i++) {
                means[i] = mean(rows[i], (int) Arrays.stream(mask[i]).sum());
            }
            return means;
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
