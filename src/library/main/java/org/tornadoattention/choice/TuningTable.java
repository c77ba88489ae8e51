package org.tornadoattention.choice;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * Measured tile shapes of the kernels with warp intrinsics: {@code tornado-config/tuning.csv}, or the file that
 * {@code -Dtornadoattention.tuning} names, as {@code ./attention tune} writes it.
 *
 * @param rows the lines
 */
public record TuningTable(List<Row> rows) {

    /** The first line of a file. */
    public static final String HEADER =
            "computeCapability,kernel,headDimUpTo,queriesFrom,blockQ,blockK,warps,rescaleThreshold";

    private static final String PROPERTY = "tornadoattention.tuning";

    private static final int COLUMNS = HEADER.split(",").length;

    /**
     * A line: the tile for problems of up to so wide heads and at least so many queries.
     *
     * @param computeCapability 90 for 9.0
     * @param kernel one with warp intrinsics
     * @param headDimUpTo the widest head that it holds for
     * @param queriesFrom the shortest sequence that it holds for
     * @param tile the tile
     */
    public record Row(int computeCapability, AttentionKernel kernel, int headDimUpTo, int queriesFrom, Tile tile) {

        @Override
        public String toString() {
            return "%d,%s,%d,%d,%d,%d,%d,%d"
                    .formatted(
                            computeCapability,
                            kernel.id(),
                            headDimUpTo,
                            queriesFrom,
                            tile.blockQ(),
                            tile.blockK(),
                            tile.warps(),
                            tile.rescaleThreshold());
        }
    }

    /** {@return the table in force, read once} */
    public static TuningTable current() {
        return Current.TABLE;
    }

    /**
     * {@return the tile for a problem: of the lines that hold for it, that with the narrowest heads and then the
     * longest sequence}
     *
     * @param computeCapability of an NVIDIA GPU, times ten: 90 for 9.0
     * @param kernel the kernel
     * @param headDim elements per head, 1 to 512
     * @param queries of a sequence
     */
    public Optional<Tile> tile(int computeCapability, AttentionKernel kernel, int headDim, int queries) {
        return rows.stream()
                .filter(row -> row.computeCapability == computeCapability && row.kernel == kernel)
                .filter(row -> headDim <= row.headDimUpTo && queries >= row.queriesFrom)
                .min(Comparator.comparingInt(Row::headDimUpTo)
                        .thenComparing(Comparator.comparingInt(Row::queriesFrom).reversed()))
                .map(Row::tile);
    }

    /**
     * Reads a table.
     *
     * @param lines CSV with the columns of {@code tornado-config/tuning.csv}; its heading, empty lines and those that
     *     begin with # are passed over
     * @param source what messages call it
     * @return the table
     * @throws IllegalArgumentException naming the line that is wrong
     */
    public static TuningTable parse(List<String> lines, String source) {
        List<Row> rows = new ArrayList<>();
        for (int i = 0; i < lines.size(); i++) {
            String line = lines.get(i).strip();
            if (line.isEmpty() || line.startsWith("#") || line.equals(HEADER)) {
                continue;
            }
            try {
                rows.add(row(line.split(",")));
            } catch (IllegalArgumentException e) {
                throw new IllegalArgumentException(
                        "Line %d of the tuning table %s is '%s': %s The columns are %s."
                                .formatted(i + 1, source, line, e.getMessage(), HEADER),
                        e);
            }
        }
        return new TuningTable(List.copyOf(rows));
    }

    private static Row row(String... columns) {
        if (columns.length != COLUMNS) {
            throw new IllegalArgumentException("It has %d columns.".formatted(columns.length));
        }
        AttentionKernel kernel = AttentionKernel.parse(columns[1].strip());
        int[] numbers = new int[COLUMNS];
        for (int i = 0; i < COLUMNS; i++) {
            if (i != 1) {
                numbers[i] = Integer.parseInt(columns[i].strip());
            }
        }
        Tile tile = kernel.tile(numbers[4], numbers[5], numbers[6], numbers[7]);
        return new Row(numbers[0], kernel, numbers[2], numbers[3], tile);
    }

    /** The table as the text of a file. */
    @Override
    public String toString() {
        return HEADER + "\n" + rows.stream().map(row -> row + "\n").collect(Collectors.joining());
    }

    private static final class Current {

        private static final TuningTable TABLE = load();

        private static TuningTable load() {
            String file = System.getProperty(PROPERTY);
            try {
                if (file != null) {
                    return parse(Files.readAllLines(Path.of(file)), file);
                }
                try (InputStream table = TuningTable.class.getResourceAsStream("tuning.csv")) {
                    String text = new String(table.readAllBytes(), StandardCharsets.UTF_8);
                    return parse(text.lines().toList(), "tuning.csv");
                }
            } catch (IOException e) {
                throw new UncheckedIOException("The tuning table " + file + " cannot be read.", e);
            }
        }
    }
}
