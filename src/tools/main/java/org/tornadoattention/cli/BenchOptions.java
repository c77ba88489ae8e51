package org.tornadoattention.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.bench.BenchCase;
import org.tornadoattention.bench.Direction;
import org.tornadoattention.bench.Preset;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.choice.Tiling;
import org.tornadoattention.tensor.DType;
import picocli.CommandLine.Option;

/** Which problems to measure: a preset, or a part of one, or all combinations of what is given. */
final class BenchOptions {

    @Option(
            names = {"-p", "--preset"},
            paramLabel = "NAME",
            description =
                    "quick, paper, paper-f32, models, ladder, decode, memory, cpu, latency or traffic; the options below then"
                            + " choose a part.")
    private @Nullable String preset;

    @Option(names = "--batch", split = ",", paramLabel = "B", description = "Sequences (default 1).")
    private @Nullable List<Integer> batches;

    @Option(names = "--heads", split = ",", paramLabel = "H", description = "Query heads (default 8).")
    private @Nullable List<Integer> heads;

    @Option(names = "--kv-heads", paramLabel = "H", description = "Key and value heads (default: as query heads).")
    private @Nullable Integer kvHeads;

    @Option(names = "--seq", split = ",", paramLabel = "N", description = "Sequence lengths (default 512).")
    private @Nullable List<Integer> lengths;

    @Option(names = "--queries", paramLabel = "N", description = "Queries (default: as many as keys).")
    private @Nullable Integer queries;

    @Option(names = "--head-dim", split = ",", paramLabel = "D", description = "Elements per head (default 64).")
    private @Nullable List<Integer> headDims;

    @Option(names = "--type", split = ",", description = "f32, f16, bf16 (default f32).")
    private @Nullable List<DType> types;

    @Option(
            names = {"--direction", "--pass"},
            split = ",",
            description = "forward, backward, forward-backward (default forward).")
    private @Nullable List<Direction> passes;

    @Option(names = "--causal", negatable = true, description = "With a causal mask, or without (default).")
    private @Nullable Boolean causal;

    @Option(
            names = "--window",
            paramLabel = "KEYS",
            description = "With --causal: keys that a query sees at most, its own among them (default: all).")
    private @Nullable Integer window;

    @Option(
            names = "--tile",
            split = ",",
            paramLabel = "BrxBc",
            description = "Tiles of the kernels tiled and tensor-core, queries by keys (default: the best).")
    private @Nullable List<Tile> tiles;

    /** The preset's name, or {@code by hand}. */
    String name() {
        return preset == null ? "by hand" : preset;
    }

    /** A kernel's tiles that were asked for, none for the best; those of a preset are the tiled kernel's. */
    List<Tile> tiles(BenchCase problem, AttentionKernel kernel) {
        if (tiles != null) {
            return kernel.spec().tiling().filter(Tiling::isWithoutWarps).stream()
                    .flatMap(_ -> tiles.stream().map(tile -> kernel.tile(tile.blockQ(), tile.blockK())))
                    .toList();
        }
        List<Tile> ofPreset =
                preset == null ? List.of() : Preset.named(preset).tiles().getOrDefault(problem, List.of());
        return ofPreset.stream().filter(tile -> tile.kernel() == kernel).toList();
    }

    /** @throws IllegalArgumentException if tiles were asked for and no kernel is measured with them */
    void requireObeyed(boolean someWithTile) {
        if (tiles != null && !someWithTile) {
            throw new IllegalArgumentException(
                    "--tile names tiles, and no kernel that is measured takes them: leave it out, or add --kernel %s."
                            .formatted(AttentionKernel.TILED.id()));
        }
    }

    /**
     * The problems.
     *
     * @throws IllegalArgumentException if there are none
     */
    List<BenchCase> cases() {
        List<BenchCase> cases = preset == null
                ? byHand()
                : Preset.named(preset).cases().stream().filter(this::chosen).toList();
        if (cases.isEmpty()) {
            throw new IllegalArgumentException(
                    "The preset %s has no such problem: './attention bench --preset %s --list' prints those that it has."
                            .formatted(preset, preset));
        }
        for (BenchCase each : cases) {
            AttentionShape shape = each.shape();
            if (shape.batch() == 0 || shape.seqQ() == 0 || shape.seqK() == 0) {
                throw new IllegalArgumentException(
                        "%s has nothing to measure: --batch, --seq and --queries must be 1 or more.".formatted(each));
            }
        }
        return cases;
    }

    private boolean chosen(BenchCase candidate) {
        AttentionShape shape = candidate.shape();
        return among(batches, shape.batch())
                && among(heads, shape.heads())
                && (kvHeads == null || kvHeads == shape.kvHeads())
                && among(lengths, shape.seqK())
                && (queries == null || queries == shape.seqQ())
                && among(headDims, shape.headDim())
                && among(types, candidate.dtype())
                && among(passes, candidate.pass())
                && (causal == null || causal == candidate.causal())
                && (window == null || window.equals(candidate.window()));
    }

    private static <T> boolean among(@Nullable List<T> wanted, T value) {
        return wanted == null || wanted.contains(value);
    }

    private List<BenchCase> byHand() {
        List<BenchCase> cases = new ArrayList<>();
        each(
                passes,
                Direction.FORWARD,
                pass -> each(
                        types,
                        DType.F32,
                        type -> each(
                                batches,
                                1,
                                batch -> each(
                                        heads,
                                        8,
                                        head -> each(
                                                headDims,
                                                64,
                                                dim -> each(
                                                        lengths,
                                                        512,
                                                        length -> cases.add(new BenchCase(
                                                                pass,
                                                                type,
                                                                new AttentionShape(
                                                                        batch,
                                                                        head,
                                                                        kvHeads == null ? head : kvHeads,
                                                                        queries == null ? length : queries,
                                                                        length,
                                                                        dim),
                                                                causal != null && causal,
                                                                window))))))));
        return cases;
    }

    private static <T> void each(@Nullable List<T> given, T otherwise, Consumer<T> body) {
        (given == null ? List.of(otherwise) : given).forEach(body);
    }
}
