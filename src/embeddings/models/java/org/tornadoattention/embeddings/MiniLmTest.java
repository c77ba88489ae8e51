package org.tornadoattention.embeddings;

import static org.assertj.core.api.Assertions.assertThat;

import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.embedding.onnx.allminilml6v2.AllMiniLmL6V2EmbeddingModel;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** The real weights of all-MiniLM-L6-v2, beside ONNX Runtime and beside LangChain4j's own model. */
class MiniLmTest {

    private static double cosine(float[] one, float[] other) {
        double product = 0;
        double length = 0;
        double otherLength = 0;
        for (int d = 0; d < one.length; d++) {
            product += (double) one[d] * other[d];
            length += (double) one[d] * one[d];
            otherLength += (double) other[d] * other[d];
        }
        return product / Math.sqrt(length * otherLength);
    }

    @Test
    void aThousandTextsHaveTheVectorsAndTheNeighboursOfOnnxRuntime() throws Exception {
        try (TextEncoder encoder = TextEncoder.allMiniLmL6V2();
                OnnxRuntimeEncoder peer = new OnnxRuntimeEncoder(2)) {
            List<String> texts = MixedTexts.of(1100).stream()
                    .filter(text -> peer.tokens(text).length <= 512)
                    .limit(1000)
                    .toList();
            assertThat(texts).hasSize(1000);
            float[][] vectors = encoder.encode(texts);
            float[][] expected = new float[texts.size()][];
            double least = 1;
            for (int i = 0; i < texts.size(); i++) {
                expected[i] = peer.encode(texts.subList(i, i + 1))[0];
                least = Math.min(least, cosine(vectors[i], expected[i]));
            }
            System.out.printf("cosine with ONNX Runtime: %.8f at least%n", least);
            assertThat(least).isGreaterThan(0.99999);
            // Texts that say the same are as near as each other: what counts is how near the neighbour that was found
            // is.
            for (int i = 0; i < texts.size(); i++) {
                int found = neighbour(vectors, i);
                int wanted = neighbour(expected, i);
                assertThat(found == wanted
                                || Math.abs(cosine(expected[i], expected[found])
                                                - cosine(expected[i], expected[wanted]))
                                        < 1e-5)
                        .as("neighbour of text %d: %d, and %d by ONNX Runtime", i, found, wanted)
                        .isTrue();
            }
        }
    }

    private static int neighbour(float[][] vectors, int text) {
        return IntStream.range(0, vectors.length)
                .filter(other -> other != text)
                .boxed()
                .max((a, b) -> Double.compare(cosine(vectors[text], vectors[a]), cosine(vectors[text], vectors[b])))
                .orElseThrow();
    }

    @Test
    void itTakesThePlaceOfLangChainsModel() {
        List<TextSegment> segments = IntStream.range(0, 5)
                .mapToObj(i -> TextSegment.from("Sentence number " + i + " about attention. ".repeat(i)))
                .toList();
        EmbeddingModel theirs = new AllMiniLmL6V2EmbeddingModel();
        try (TornadoEmbeddingModel ours = TornadoEmbeddingModel.allMiniLmL6V2()) {
            assertThat(ours.dimension()).isEqualTo(theirs.dimension());
            var expected = theirs.embedAll(segments).content();
            var computed = ours.embedAll(segments).content();
            for (int i = 0; i < segments.size(); i++) {
                assertThat(cosine(computed.get(i).vector(), expected.get(i).vector()))
                        .isGreaterThan(0.99999);
            }
            String tooLong = "A text with more tokens than positions, in many words. ".repeat(90);
            assertThat(cosine(
                            ours.embed(tooLong).content().vector(),
                            theirs.embed(tooLong).content().vector()))
                    .isGreaterThan(0.999);
        }
    }
}
