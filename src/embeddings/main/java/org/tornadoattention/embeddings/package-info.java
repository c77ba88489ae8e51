/**
 * Sentence embeddings: a BERT encoder whose attention is this library's, over packed texts of different lengths. Begin
 * with {@link org.tornadoattention.embeddings.TextEncoder};
 * {@link org.tornadoattention.embeddings.TornadoEmbeddingModel} is the same for LangChain4j.
 */
@NullMarked
package org.tornadoattention.embeddings;

import org.jspecify.annotations.NullMarked;
