package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import java.io.Serializable;

/**
 * A change of the scores, written as a lambda or as a reference to a static method, which becomes part of the kernel:
 *
 * <pre>{@code
 * FloatArray table = …;
 * options.withScore((s, b, h, i, j) -> s + table.get(j - i + n));
 * }</pre>
 *
 * <p>It gets the score after scale, softcap, ALiBi and bias. A captured array of TornadoVM's becomes an array of the
 * kernel, a captured number a constant of it: another number is another kernel, so that numbers that change belong in
 * arrays. It may call static methods of its own class, {@code TornadoMath}, and what {@code Math} has in common with
 * that. All else is refused before anything is compiled, with the line and what to do.
 *
 * <p>The backward pass needs the derivative with respect to the score. It is found by rewriting the function's code, or
 * given with {@link #withDerivative}. What a function captured gets no gradient.
 */
@FunctionalInterface
public interface ScoreFunction extends Serializable {

    /**
     * The score of a pair of a query and a key.
     *
     * @param score the score so far
     * @param batch the batch entry, from 0
     * @param head the query head, from 0
     * @param query the query within its sequence, from 0; with a cache it counts from the sequence's beginning
     * @param key the key within its sequence, from 0
     * @return what softmax is taken of; {@code -∞} hides the key
     */
    float apply(float score, int batch, int head, int query, int key);

    /**
     * A function and its derivative, which is taken in place of one that is found.
     *
     * @param function the function
     * @param derivative its derivative with respect to the score, of the same arguments
     * @return the function, for {@link AttentionOptions#withScore}
     * @throws IllegalArgumentException if either is null, or has a derivative of its own already
     */
    static ScoreFunction withDerivative(ScoreFunction function, ScoreFunction derivative) {
        return new Differentiated(function, derivative);
    }

    /**
     * What {@link #withDerivative} makes.
     *
     * @param function the function
     * @param derivative its derivative with respect to the score
     */
    record Differentiated(ScoreFunction function, ScoreFunction derivative) implements ScoreFunction {

        /**
         * Checks that both are functions as they were written.
         *
         * @throws IllegalArgumentException if either is null, or has a derivative of its own already
         */
        public Differentiated {
            required(function, "function");
            required(derivative, "derivative", "leave it out to have it found");
            if (function instanceof Differentiated || derivative instanceof Differentiated) {
                throw new IllegalArgumentException(
                        "A function has one derivative: give functions as they were written.");
            }
        }

        @Override
        public float apply(float score, int batch, int head, int query, int key) {
            return function.apply(score, batch, head, query, key);
        }
    }
}
