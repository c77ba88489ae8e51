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
        long[][] ids = texts.stream().map(this::tokens).toArray(long[][]::new);
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
            float[][] vectors = new float[ids.length][];
            for (int i = 0; i < ids.length; i++) {
                vectors[i] = pooled(rows[i], (int) Arrays.stream(mask[i]).sum());
            }
            return vectors;
        }
    }

    private static float[] pooled(float[][] rows, int count) {
        double[] sum = new double[rows[0].length];
        for (int row = 0; row < count; row++) {
            for (int d = 0; d < sum.length; d++) {
                sum[d] += rows[row][d];
            }
        }
        double length = Math.sqrt(Arrays.stream(sum).map(x -> x * x).sum());
        float[] vector = new float[sum.length];
        for (int d = 0; d < sum.length; d++) {
            vector[d] = (float) (sum[d] / length);
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
