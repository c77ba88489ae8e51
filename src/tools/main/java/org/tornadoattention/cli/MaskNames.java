package org.tornadoattention.cli;

import java.io.IOException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
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
        Mask of(int[] numbers, Ids ids) throws IOException;
    }

    /** Gives one number for each token. */
    @FunctionalInterface
    interface Ids {
        int[] get() throws IOException;
    }

    private record Named(int numbers, Maker maker) {}

    private static final Map<String, Named> MASKS = new LinkedHashMap<>();

    static {
        MASKS.put("document", new Named(0, (_, ids) -> Masks.documents(array(ids.get()))));
        MASKS.put("prefix", new Named(1, (n, _) -> Masks.prefixLm(n[0])));
        MASKS.put("dilated", new Named(2, (n, _) -> Masks.dilated(n[0], n[1])));
        MASKS.put("global-window", new Named(3, (n, _) -> Masks.globalWindow(n[0], n[1], n[2])));
        MASKS.put("neighbourhood", new Named(2, (n, _) -> Masks.neighbourhood2d(n[0], n[1])));
        MASKS.put("block-causal", new Named(1, (n, _) -> Masks.blockCausal(n[0])));
        MASKS.put("shared-prefix", new Named(1, (n, ids) -> Masks.sharedPrefix(n[0], array(ids.get()))));
        MASKS.put("tree", new Named(1, (n, ids) -> Masks.tree(n[0], ids.get())));
    }

    private MaskNames() {}

    /**
     * The mask that a text names.
     *
     * @param text such as {@code dilated:64,2}
     * @param tokens of a sequence at most, which documents of one length are counted out for
     * @param ids one number for each token, for masks that need them
     * @throws IllegalArgumentException naming what there is
     * @throws IOException if the ids cannot be read
     */
    static Mask parse(String text, int tokens, Ids ids) throws IOException {
        int colon = text.indexOf(':');
        String name = colon < 0 ? text : text.substring(0, colon);
        int[] numbers = colon < 0 ? new int[0] : numbers(text, text.substring(colon + 1));
        if (name.equals("document") && numbers.length == 1 && numbers[0] > 0) {
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
        return named.maker().of(numbers, ids);
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
