package org.tornadoattention;

import java.io.Serializable;

/**
 * Which keys a query sees, written as a lambda or as a reference to a static method, which becomes part of the kernel:
 *
 * <pre>{@code
 * IntArray documents = …;
 * options.withMask(Mask.of((b, h, i, j) -> documents.get(i) == documents.get(j)));
 * }</pre>
 *
 * <p>What it may capture and call is what a {@link ScoreFunction} may.
 */
@FunctionalInterface
public interface MaskFunction extends Serializable {

    /**
     * Whether a query sees a key.
     *
     * @param batch the batch entry, from 0
     * @param head the query head, from 0
     * @param query the query within its sequence, from 0; with a cache it counts from the sequence's beginning
     * @param key the key within its sequence, from 0
     * @return whether it does
     */
    boolean sees(int batch, int head, int query, int key);
}
