package org.tornadoattention.embeddings;

/** A BERT encoder that makes a vector of each of some packed sequences. */
interface Encoder extends AutoCloseable {

    /**
     * The vectors of sequences.
     *
     * @param tokens of all sequences, one behind the other, each from 0 to the vocabulary's size
     * @param offsets where each sequence begins, and where the last one ends
     * @return a vector of length 1 for each sequence, and the length that it had
     */
    Vectors encode(int[] tokens, int[] offsets);

    /**
     * What became of sequences.
     *
     * @param unit vectors of length 1
     * @param lengths what their lengths were
     */
    record Vectors(float[][] unit, float[] lengths) {}

    /** Sequences of a call, at most. */
    int sequencesAtOnce();

    /** Frees what it holds. */
    @Override
    void close();
}
