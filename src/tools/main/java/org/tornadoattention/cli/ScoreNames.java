package org.tornadoattention.cli;

import java.io.IOException;
import org.tornadoattention.ScoreFunction;
import org.tornadoattention.Scores;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** The ready-made score functions by the names that commands take, with their numbers: {@code t5:32,128}. */
final class ScoreNames {

    /** What {@code --score} takes, for its description. */
    static final String HELP = "A ready-made score function: relative:FARTHEST (table [heads, 2·FARTHEST + 1]),"
            + " t5:BUCKETS,DISTANCE (table [heads, BUCKETS]), swin:HEIGHT,WIDTH (table [heads, 2·HEIGHT - 1, 2·WIDTH - 1]),"
            + " alibi (table [heads]), softcap:BOUND.";

    /** Gives a table of biases. */
    @FunctionalInterface
    interface Table {
        FloatArray get() throws IOException;
    }

    private ScoreNames() {}

    /**
     * The score function that a text names.
     *
     * @param text such as {@code relative:64}
     * @param tokens of a sequence at most
     * @param table of biases, for functions that need one
     * @throws IllegalArgumentException naming what there is
     * @throws IOException if the table cannot be read
     */
    static ScoreFunction parse(String text, int tokens, Table table) throws IOException {
        String[] parts = text.split("[:,]", -1);
        try {
            return switch (parts[0] + " " + (parts.length - 1)) {
                case "relative 1" -> Scores.relative(table.get(), whole(parts[1]));
                case "t5 2" -> Scores.t5(table.get(), whole(parts[1]), whole(parts[2]), true);
                case "swin 2" -> {
                    int height = whole(parts[1]);
                    int width = whole(parts[2]);
                    if ((long) height * width < tokens) {
                        throw new IllegalArgumentException(
                                "--score %s: a window of %d by %d has no place for %d tokens; HEIGHT times WIDTH must be that many."
                                        .formatted(text, height, width, tokens));
                    }
                    yield Scores.relative2d(table.get(), height, width);
                }
                case "alibi 0" -> Scores.alibi(table.get());
                case "softcap 1" -> Scores.softcap(Float.parseFloat(parts[1]));
                default ->
                    throw new IllegalArgumentException(
                            "--score %s: there are relative:FARTHEST, t5:BUCKETS,DISTANCE, swin:HEIGHT,WIDTH, alibi and softcap:BOUND."
                                    .formatted(text));
            };
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException(
                    "--score %s: after the colon come numbers, separated by commas.".formatted(text), e);
        }
    }

    /** Whether it needs a table. */
    static boolean hasTable(String text) {
        return !text.startsWith("softcap");
    }

    private static int whole(String text) {
        return Integer.parseInt(text.strip());
    }
}
