package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Masks that many models have, each a function of {@link Mask#of}, to be combined with others:
 * {@code Mask.causal().and(Masks.documents(ids))}. Queries and keys are taken to be the same tokens, unless a method
 * says otherwise.
 */
public final class Masks {

    private Masks() {}

    /**
     * Tokens see those of their own document.
     *
     * @param ids the document of each token, {@code [tokens]}
     * @return the mask
     * @throws IllegalArgumentException if it is null
     */
    public static Mask documents(IntArray ids) {
        required(ids, "ids");
        return Mask.of((b, h, i, j) -> ids.get(i) == ids.get(j));
    }

    /**
     * All tokens see a prefix, and beyond it those before them.
     *
     * @param prefix tokens of the prefix, 0 or more
     * @return the mask
     * @throws IllegalArgumentException if it is negative
     */
    public static Mask prefixLm(int prefix) {
        requireAtLeast(0, "prefix", prefix);
        return Mask.causal().or(Mask.of((b, h, i, j) -> j < prefix));
    }

    /**
     * Tokens see every so-manieth token on both sides.
     *
     * @param keys tokens seen on each side, 0 or more
     * @param dilation steps between them, 1 or more
     * @return the mask
     * @throws IllegalArgumentException if one is too small
     */
    public static Mask dilated(int keys, int dilation) {
        requireAtLeast(0, "keys", keys);
        requireAtLeast(1, "dilation", dilation);
        int farthest = Math.multiplyExact(keys, dilation);
        return Mask.window(farthest, farthest).and(Mask.of((b, h, i, j) -> (i - j) % dilation == 0));
    }

    /**
     * The first tokens see all and are seen by all; the others see a window.
     *
     * @param globals how many first tokens, 0 or more
     * @param left tokens seen before, or -1 for all
     * @param right tokens seen after, or -1 for all
     * @return the mask
     * @throws IllegalArgumentException if one is too small
     */
    public static Mask globalWindow(int globals, int left, int right) {
        requireAtLeast(0, "globals", globals);
        return Mask.window(left, right).or(Mask.of((b, h, i, j) -> Math.min(i, j) < globals));
    }

    /**
     * Tokens of an image, row by row, see those near them in both directions.
     *
     * @param width tokens of a row, 1 or more
     * @param radius how far they see, 0 or more
     * @return the mask
     * @throws IllegalArgumentException if one is too small
     */
    public static Mask neighbourhood2d(int width, int radius) {
        requireAtLeast(1, "width", width);
        requireAtLeast(0, "radius", radius);
        return Mask.of(
                (b, h, i, j) -> Math.max(Math.abs(i / width - j / width), Math.abs(i % width - j % width)) <= radius);
    }

    /**
     * Tokens see those of their own block and of the blocks before it.
     *
     * @param block tokens of a block, 1 or more
     * @return the mask
     * @throws IllegalArgumentException if it is below 1
     */
    public static Mask blockCausal(int block) {
        requireAtLeast(1, "block", block);
        return Mask.of((b, h, i, j) -> j / block <= i / block);
    }

    /**
     * Several continuations of one prefix in one sequence: each sees the prefix and itself, causally.
     *
     * @param prefix tokens of the prefix, 0 or more
     * @param continuations the continuation of each token, {@code [tokens]}; those of the prefix mean nothing
     * @return the mask
     * @throws IllegalArgumentException if the prefix is negative, or the other null
     */
    public static Mask sharedPrefix(int prefix, IntArray continuations) {
        requireAtLeast(0, "prefix", prefix);
        required(continuations, "continuations");
        return Mask.causal().and(Mask.of((b, h, i, j) -> j < prefix || continuations.get(i) == continuations.get(j)));
    }

    /**
     * A tree of tokens that may continue a sequence, of which each sees the sequence, its ancestors and itself: what
     * speculative decoding verifies. Queries are the tree's tokens, keys those of the sequence and then of the tree.
     *
     * @param context tokens of the sequence, 0 or more
     * @param parents of each token of the tree, a token before it, or −1 for those that follow the sequence
     * @return the mask
     * @throws IllegalArgumentException if the context is negative, or a parent is not before its token
     */
    public static Mask tree(int context, int... parents) {
        requireAtLeast(0, "context", context);
        required(parents, "parents");
        int tokens = parents.length;
        IntArray ancestors = new IntArray(Math.max(1, Math.multiplyExact(tokens, tokens)));
        ancestors.init(0);
        for (int token = 0; token < tokens; token++) {
            if (parents[token] < -1 || parents[token] >= token) {
                throw new IllegalArgumentException(
                        "The parent of token %d is %d: it must be a token before it, or -1 for the sequence."
                                .formatted(token, parents[token]));
            }
            for (int ancestor = token; ancestor >= 0; ancestor = parents[ancestor]) {
                ancestors.set(token * tokens + ancestor, 1);
            }
        }
        return Mask.of((b, h, i, j) -> j < context || ancestors.get(i * tokens + j - context) == 1);
    }

    private static void requireAtLeast(int least, String name, int value) {
        if (value < least) {
            throw new IllegalArgumentException("%s is %d: it must be %d or more.".formatted(name, value, least));
        }
    }
}
