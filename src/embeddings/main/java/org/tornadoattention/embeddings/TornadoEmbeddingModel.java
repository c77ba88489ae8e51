package org.tornadoattention.embeddings;

import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.model.embedding.DimensionAwareEmbeddingModel;
import dev.langchain4j.model.output.Response;
import dev.langchain4j.model.output.TokenUsage;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * An embedding model of LangChain4j's, by a {@link TextEncoder}: the texts of a call are encoded together, without
 * padding.
 *
 * <pre>{@code
 * try (TornadoEmbeddingModel model = TornadoEmbeddingModel.allMiniLmL6V2()) {
 *     Embedding embedding = model.embed("A cat sat on the mat.").content();
 * }
 * }</pre>
 */
public final class TornadoEmbeddingModel extends DimensionAwareEmbeddingModel implements AutoCloseable {

    private final TextEncoder encoder;
    private final boolean own;

    private TornadoEmbeddingModel(TextEncoder encoder, boolean own) {
        this.encoder = encoder;
        this.own = own;
    }

    /**
     * The model all-MiniLM-L6-v2 from the class path: {@link TextEncoder#allMiniLmL6V2}.
     *
     * @return a model; close it to end its threads
     */
    public static TornadoEmbeddingModel allMiniLmL6V2() {
        return new TornadoEmbeddingModel(TextEncoder.allMiniLmL6V2(), true);
    }

    /**
     * A model of the caller's.
     *
     * @param encoder computes the vectors; it stays the caller's to close
     * @return a model
     */
    public static TornadoEmbeddingModel of(TextEncoder encoder) {
        return new TornadoEmbeddingModel(Objects.requireNonNull(encoder, "encoder"), false);
    }

    @Override
    public Response<List<Embedding>> embedAll(List<TextSegment> segments) {
        List<String> texts = segments.stream().map(TextSegment::text).toList();
        TextEncoder.Encoded encoded = encoder.encodeAndCount(texts);
        List<Embedding> embeddings =
                Arrays.stream(encoded.vectors()).map(Embedding::from).toList();
        return Response.from(embeddings, new TokenUsage(encoded.tokens()));
    }

    @Override
    protected Integer knownDimension() {
        return encoder.dimension();
    }

    @Override
    public String modelName() {
        return "tornado-attention";
    }

    /** Closes what it opened. */
    @Override
    public void close() {
        if (own) {
            encoder.close();
        }
    }
}
