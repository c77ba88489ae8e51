package org.tornadoattention.bench;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.tensor.DType;

/**
 * A named set of problems. They stand in {@code presets.json}, which {@code bench/peers.py} reads too, so that
 * everybody is measured on the same.
 *
 * @param name such as {@code paper}
 * @param about what it is for, in a line
 * @param cases the problems, in order
 * @param tiles for some problems, the tiles that the tiled kernel is to be measured with in place of the best
 */
public record Preset(String name, String about, List<BenchCase> cases, Map<BenchCase, List<Tile>> tiles) {

    /** What the file says of one preset. */
    private record Definition(String about, List<Grid> grids) {}

    /**
     * All combinations of some values. Batch and heads are given, or follow from a number of tokens and a hidden size.
     */
    private record Grid(
            List<String> pass,
            List<String> dtype,
            @Nullable Integer batch,
            @Nullable Integer tokens,
            @Nullable Integer heads,
            @Nullable Integer hidden,
            @Nullable Integer kvHeads,
            @Nullable Integer queries,
            List<Integer> seq,
            List<Integer> headDim,
            @Nullable Integer valueDim,
            List<Boolean> causal,
            @Nullable Integer window,
            @Nullable List<String> tiles) {

        List<BenchCase> cases() {
            List<BenchCase> cases = new ArrayList<>();
            for (String way : pass) {
                for (String type : dtype) {
                    for (int dim : headDim) {
                        for (boolean masked : causal) {
                            for (int length : seq) {
                                cases.add(new BenchCase(
                                        Direction.parse(way), DType.parse(type), shape(length, dim), masked, window));
                            }
                        }
                    }
                }
            }
            return cases;
        }

        private AttentionShape shape(int length, int dim) {
            int number = heads != null ? heads : Objects.requireNonNull(hidden, "heads or hidden") / dim;
            return new AttentionShape(
                    batch != null ? batch : Objects.requireNonNull(tokens, "batch or tokens") / length,
                    number,
                    Objects.requireNonNullElse(kvHeads, number),
                    Objects.requireNonNullElse(queries, length),
                    length,
                    dim,
                    Objects.requireNonNullElse(valueDim, dim));
        }
    }

    /** All presets by name. */
    public static Map<String, Preset> all() {
        Map<String, Preset> presets = new LinkedHashMap<>();
        definitions().forEach((name, definition) -> presets.put(name, of(name, definition)));
        return presets;
    }

    /**
     * The preset with this name.
     *
     * @throws IllegalArgumentException naming the known ones
     */
    public static Preset named(String name) {
        Map<String, Preset> all = all();
        if (!all.containsKey(name)) {
            throw new IllegalArgumentException(
                    "There is no preset '%s': choose one of %s.".formatted(name, String.join(", ", all.keySet())));
        }
        return all.get(name);
    }

    private static Preset of(String name, Definition definition) {
        List<BenchCase> cases = new ArrayList<>();
        Map<BenchCase, List<Tile>> tiles = new LinkedHashMap<>();
        for (Grid grid : definition.grids()) {
            cases.addAll(grid.cases());
            if (grid.tiles() != null) {
                List<Tile> swept =
                        grid.tiles().stream().map(AttentionKernel.TILED::tile).toList();
                grid.cases().forEach(problem -> tiles.put(problem, swept));
            }
        }
        return new Preset(name, definition.about(), cases, tiles);
    }

    private static Map<String, Definition> definitions() {
        try (InputStream file = Preset.class.getResourceAsStream("presets.json")) {
            return new JsonMapper().readValue(file, new TypeReference<LinkedHashMap<String, Definition>>() {});
        } catch (IOException e) {
            throw new UncheckedIOException("The presets in the jar cannot be read: build it again.", e);
        }
    }
}
