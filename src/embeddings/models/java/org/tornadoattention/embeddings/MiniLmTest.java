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

    static double cosine(float[] one, float[] other) {
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
        }
    }

    /** Theirs takes the first 128 tokens, two of which begin and end a text; ours takes all, unless it is told to. */
    @Test
    void aLongTextIsCutLikeLangChainsWhereThatIsAskedFor() {
        String text = "A text with more tokens than positions, in many words. ".repeat(90);
        EmbeddingModel theirs = new AllMiniLmL6V2EmbeddingModel();
        try (TextEncoder ours = TextEncoder.builder()
                .modelResource("all-minilm-l6-v2.onnx")
                .tokenizerResource("all-minilm-l6-v2-tokenizer.json")
                .tokensOfText(126)
                .build()) {
            assertThat(cosine(ours.encode(text), theirs.embed(text).content().vector()))
                    .isGreaterThan(0.99999);
        }
    }

    /** The mean of its pieces, weighted by their tokens, before they are scaled. */
    @Test
    void aTextWithMoreTokensThanPositionsIsTheMeanOfItsPieces() throws Exception {
        String text = "A text with more tokens than positions, in many words. ".repeat(90);
        try (TextEncoder ours = TextEncoder.allMiniLmL6V2();
                OnnxRuntimeEncoder peer = new OnnxRuntimeEncoder(2)) {
            long[] tokens = peer.tokens(text);
            double[] sum = new double[ours.dimension()];
            for (int from = 1; from < tokens.length - 1; from += 510) {
                int count = Math.min(510, tokens.length - 1 - from);
                long[] piece = new long[count + 2];
                piece[0] = tokens[0];
                System.arraycopy(tokens, from, piece, 1, count);
                piece[count + 1] = tokens[tokens.length - 1];
                double[] mean = peer.pooled(piece);
                for (int d = 0; d < sum.length; d++) {
                    sum[d] += count * mean[d];
                }
            }
            float[] expected = new float[sum.length];
            for (int d = 0; d < sum.length; d++) {
                expected[d] = (float) sum[d];
            }
            assertThat(tokens).hasSizeGreaterThan(2 * 510);
            assertThat(cosine(ours.encode(text), expected)).isGreaterThan(0.99999);
        }
    }
}
