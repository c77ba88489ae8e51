package org.tornadoattention.cli;

import java.io.IOException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.tornadoattention.Mask;
import org.tornadoattention.Masks;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** The ready-made masks by the names that commands take, with their numbers: {@code prefix:128}. */
final class MaskNames {

    /** What {@code --mask} takes, for its description. */
    static final String HELP =
            "A ready-made mask: document (one id a token), document:LENGTH (all of one length), prefix:KEYS,"
                    + " dilated:KEYS,STEP, global-window:GLOBALS,LEFT,RIGHT, neighbourhood:WIDTH,RADIUS (an image of so many tokens"
                    + " a row), block-causal:TOKENS, shared-prefix:KEYS (ids: the continuation of each token), tree:CONTEXT (ids: the"
                    + " parent of each token). With --causal or --window, both must let a key through.";

    /** Makes a mask. */
    @FunctionalInterface
    private interface Maker {
        Mask of(int[] numbers, int[] ids);
    }

    /** Gives one number for each token; empty where none are given. */
    @FunctionalInterface
    interface Ids {
        int[] get() throws IOException;
    }

    /** What a mask's ids are. */
    private enum IdsOf {
        NOTHING,
        TOKENS,
        TREE
    }

    private record Named(int numbers, IdsOf ids, Maker maker) {}

    private static final Map<String, Named> MASKS = new LinkedHashMap<>();

    static {
        MASKS.put("document", new Named(0, IdsOf.TOKENS, (_, ids) -> Masks.documents(array(ids))));
        MASKS.put("prefix", new Named(1, IdsOf.NOTHING, (n, _) -> Masks.prefixLm(n[0])));
        MASKS.put("dilated", new Named(2, IdsOf.NOTHING, (n, _) -> Masks.dilated(n[0], n[1])));
        MASKS.put("global-window", new Named(3, IdsOf.NOTHING, (n, _) -> Masks.globalWindow(n[0], n[1], n[2])));
        MASKS.put("neighbourhood", new Named(2, IdsOf.NOTHING, (n, _) -> Masks.neighbourhood2d(n[0], n[1])));
        MASKS.put("block-causal", new Named(1, IdsOf.NOTHING, (n, _) -> Masks.blockCausal(n[0])));
        MASKS.put("shared-prefix", new Named(1, IdsOf.TOKENS, (n, ids) -> Masks.sharedPrefix(n[0], array(ids))));
        MASKS.put("tree", new Named(1, IdsOf.TREE, (n, ids) -> Masks.tree(n[0], ids)));
    }

    private MaskNames() {}

    /**
     * The mask that a text names.
     *
     * @param text such as {@code dilated:64,2}
     * @param queries of a sequence
     * @param keys of a sequence
     * @param ids one number for each token, asked only for masks that need them
     * @throws IllegalArgumentException naming what there is, or how many ids there must be
     * @throws IOException if the ids cannot be read
     */
    static Mask parse(String text, int queries, int keys, Ids ids) throws IOException {
        int tokens = Math.max(queries, keys);
        int colon = text.indexOf(':');
        String name = colon < 0 ? text : text.substring(0, colon);
        int[] numbers = colon < 0 ? new int[0] : numbers(text, text.substring(colon + 1));
        if (name.equals("document") && numbers.length == 1) {
            if (numbers[0] < 1) {
                throw new IllegalArgumentException("--mask %s: a document has 1 token or more.".formatted(text));
            }
            IntArray counted = new IntArray(Math.max(1, tokens));
            for (int token = 0; token < tokens; token++) {
                counted.set(token, token / numbers[0]);
            }
            return Masks.documents(counted);
        }
        Named named = MASKS.get(name);
        if (named == null) {
            throw new IllegalArgumentException("--mask %s: there is no such mask; there are %s."
                    .formatted(text, String.join(", ", MASKS.keySet())));
        }
        if (named.numbers() != numbers.length) {
            throw new IllegalArgumentException("--mask %s: %s takes %d numbers, such as %s; --help says which."
                    .formatted(text, name, named.numbers(), example(name, named.numbers())));
        }
        int[] given = named.ids() == IdsOf.NOTHING ? new int[0] : ids.get();
        if (named.ids() == IdsOf.TOKENS && given.length != tokens) {
            throw new IllegalArgumentException("--mask %s needs one id for each of %d tokens, and --ids has %d%s."
                    .formatted(
                            text,
                            tokens,
                            given.length,
                            name.equals("document")
                                    ? "; for documents of one length write --mask document:LENGTH"
                                    : ""));
        }
        if (named.ids() == IdsOf.TREE && (given.length != queries || numbers[0] != keys - queries)) {
            throw new IllegalArgumentException(
                    "--mask %s: the queries are the tree's tokens, and the keys those of the sequence before it and then the tree's. For %d queries and %d keys write tree:%d, with %d ids; --ids has %d."
                            .formatted(text, queries, keys, Math.max(0, keys - queries), queries, given.length));
        }
        return named.maker().of(numbers, given);
    }

    /**
     * Refuses ids that no mask asks for.
     *
     * @param text what {@code --mask} names, if it is given
     */
    static void requireUse(Optional<String> text) {
        boolean used = text.filter(mask -> !mask.startsWith("document:"))
                .map(mask -> MASKS.get(mask.split(":", 2)[0]))
                .map(named -> named.ids() != IdsOf.NOTHING)
                .orElse(false);
        if (!used) {
            throw new IllegalArgumentException(
                    "--ids without a mask that has ids: leave it out, or add --mask document, shared-prefix or tree.");
        }
    }

    private static String example(String name, int numbers) {
        String values = IntStream.rangeClosed(1, numbers)
                .mapToObj(number -> String.valueOf(number * 4))
                .collect(Collectors.joining(","));
        return numbers == 0 ? name : name + ":" + values;
    }

    private static int[] numbers(String text, String numbers) {
        try {
            return Arrays.stream(numbers.split(",", -1))
                    .map(String::strip)
                    .mapToInt(Integer::parseInt)
                    .toArray();
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException(
                    "--mask %s: after the colon come whole numbers, separated by commas.".formatted(text), e);
        }
    }

    private static IntArray array(int[] numbers) {
        return IntArray.fromArray(numbers);
    }
}
