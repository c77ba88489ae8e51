package org.tornadoattention.embeddings;

/** How the rows of a text's tokens become one vector, which is then made of length 1. */
public enum Pooling {
    /** Their mean, as all-MiniLM and E5 were trained. */
    MEAN,
    /** The first token's, as BGE was trained. */
    FIRST;

    /** The vector of rows {@code from} to {@code to}, not yet of length 1. */
    float[] of(float[] rows, int width, int from, int to) {
        float[] vector = new float[width];
        int end = this == FIRST ? from + 1 : to;
        for (int row = from; row < end; row++) {
            for (int i = 0; i < width; i++) {
                vector[i] += rows[row * width + i];
            }
        }
        for (int i = 0; i < width; i++) {
            vector[i] /= end - from;
        }
        return vector;
    }
}
