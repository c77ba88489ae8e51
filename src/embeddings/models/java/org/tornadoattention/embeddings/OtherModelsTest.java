package org.tornadoattention.embeddings;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The real weights of other encoders of BERT's kind, beside ONNX Runtime: 12 layers, and for BGE the first token's row.
 */
class OtherModelsTest {

    @ParameterizedTest
    @CsvSource({"bge-small-en-v1.5,FIRST", "e5-small-v2,MEAN"})
    void theirVectorsAreThoseOfOnnxRuntime(String name, Pooling pooling) throws Exception {
        try (TextEncoder encoder = TextEncoder.builder()
                        .modelResource(name + ".onnx")
                        .tokenizerResource(name + "-tokenizer.json")
                        .pooling(pooling)
                        .build();
                OnnxRuntimeEncoder peer = new OnnxRuntimeEncoder(name, pooling, 2)) {
            List<String> texts = MixedTexts.of(40).stream()
                    .filter(text -> peer.tokens(text).length <= 512)
                    .limit(20)
                    .toList();
            assertThat(texts).hasSize(20);
            float[][] vectors = encoder.encode(texts);
            double least = 1;
            for (int i = 0; i < vectors.length; i++) {
                least = Math.min(least, MiniLmTest.cosine(vectors[i], peer.encode(texts.subList(i, i + 1))[0]));
            }
            System.out.printf("%s: cosine with ONNX Runtime: %.8f at least%n", name, least);
            assertThat(least).isGreaterThan(0.99999);
        }
    }
}
