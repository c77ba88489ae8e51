package org.tornadoattention.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.stream.DoubleStream;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.bench.BenchCase;
import org.tornadoattention.bench.BenchFile;
import org.tornadoattention.bench.BenchResult;
import org.tornadoattention.bench.CeilingBenchmark;
import org.tornadoattention.bench.Ceilings;
import org.tornadoattention.bench.Direction;
import org.tornadoattention.bench.GeneratedCode;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.choice.Traffic;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.report.SoftmaxTrace;
import org.tornadoattention.report.SoftmaxTrace.Step;
import org.tornadoattention.report.TilePicture;
import org.tornadoattention.report.TilePicture.Kind;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code attention explain}: what happens to one problem on one device. */
@Command(
        name = "explain",
        mixinStandardHelpOptions = true,
        description = {
            "Show what happens to one problem: the kernel and why, the tiles, the online softmax of one row as tiles arrive,"
                    + " operations, bytes and what bounds the time.",
            "",
            "Nothing of the attention is computed but that row; the ceilings are measured, which takes a second or two.",
            ""
        },
        footer = {
            "",
            "Examples:",
            "  ./attention explain --seq 256 --causal",
            "  ./attention explain --seq 1024 --mask document:256 --causal",
            "  ./attention explain --heads 16 --seq 4096 --head-dim 128 --type f16 --window 512,0",
            "  TORNADOVM_HOME=~/tornadovm ./attention explain --backend cuda --code"
        })
final class ExplainCommand implements Callable<Integer> {

    private static final int STEPS_SHOWN = 10;

    @Option(names = "--batch", defaultValue = "1", description = "Sequences (default ${DEFAULT-VALUE}).")
    private int batch;

    @Option(names = "--heads", defaultValue = "8", description = "Query heads (default ${DEFAULT-VALUE}).")
    private int heads;

    @Option(names = "--kv-heads", description = "Key and value heads (default: as many as query heads).")
    private @Nullable Integer kvHeads;

    @Option(names = "--seq", paramLabel = "N", defaultValue = "512", description = "Keys (default ${DEFAULT-VALUE}).")
    private int keys;

    @Option(names = "--queries", paramLabel = "M", description = "Queries (default: as many as keys).")
    private @Nullable Integer queries;

    @Option(names = "--head-dim", defaultValue = "64", description = "Elements per head (default ${DEFAULT-VALUE}).")
    private int headDim;

    @Option(names = "--type", defaultValue = "f32", description = "f32, f16 or bf16 (default ${DEFAULT-VALUE}).")
    private DType dtype;

    @Option(names = "--causal", description = "Query i sees the keys j <= i + N - M.")
    private boolean causal;

    @Option(
            names = "--window",
            paramLabel = "LEFT,RIGHT",
            split = ",",
            description = "Each query sees so many keys before and after its own position; -1 for all.")
    private List<Integer> window = List.of(Mask.UNBOUNDED, Mask.UNBOUNDED);

    @Option(names = "--mask", paramLabel = "MASK", description = MaskNames.HELP)
    private Optional<String> mask = Optional.empty();

    @Option(
            names = "--ids",
            paramLabel = "ID",
            split = ",",
            description = "One number a token, for the masks document, shared-prefix and tree.")
    private int[] ids = {};

    @Option(names = "--row", paramLabel = "I", description = "The query whose softmax is shown (default: the last).")
    private @Nullable Integer row;

    @Option(names = "--tile", paramLabel = "BrxBc", description = "A tile of your own, with the kernel tiled.")
    private Optional<Tile> tile = Optional.empty();

    @Option(
            names = "--code",
            description =
                    "Print the kernel's form for this problem and the device code that TornadoVM generates; needs an SDK.")
    private boolean code;

    @Mixin
    private ComputeOptions compute = new ComputeOptions();

    @Spec
    private CommandSpec spec;

    private PrintWriter out;

    @Override
    public Integer call() throws IOException {
        out = spec.commandLine().getOut();
        AttentionShape shape = new AttentionShape(
                batch, heads, kvHeads == null ? heads : kvHeads, queries == null ? keys : queries, keys, headDim);
        AttentionOptions options = AttentionOptions.defaults().withMask(mask(shape.seqQ(), shape.seqK()));
        int query = row == null ? shape.seqQ() - 1 : row;
        if (batch == 0 || shape.seqQ() == 0 || shape.seqK() == 0 || query < 0 || query >= shape.seqQ()) {
            throw new IllegalArgumentException(
                    "There is nothing to explain: --row is %d, and there are %d queries and %d keys; --batch is %d."
                            .formatted(query, shape.seqQ(), shape.seqK(), batch));
        }
        ComputeDevice device = compute.deviceForTaskGraphs();
        ComputeOptions.announce(out, device);
        try (FlashAttention attention = attention(device)) {
            if (code) {
                out.println();
                GeneratedCode.print(attention, shape, dtype, options, out);
                return Main.GOOD;
            }
            KernelChoice choice = attention.choose(shape, dtype, options);
            Tile drawn = choice.tile().orElseGet(() -> tileOfTheTiledKernel(device, shape, options));
            choice(choice, shape, options);
            picture(new TilePicture(shape.seqQ(), shape.seqK(), drawn, options.mask()), choice);
            softmax(shape, options, query, drawn.blockK());
            costs(choice, shape, options, drawn, CeilingBenchmark.measure(device));
            return Main.GOOD;
        }
    }

    private FlashAttention attention(ComputeDevice device) {
        if (tile.isEmpty()) {
            return compute.attention(device);
        }
        Optional<AttentionKernel> kernel = compute.kernel();
        return FlashAttention.on(device, kernel.orElse(AttentionKernel.TILED), tile.get());
    }

    private Tile tileOfTheTiledKernel(ComputeDevice device, AttentionShape shape, AttentionOptions options) {
        try (FlashAttention tiled = FlashAttention.on(device, AttentionKernel.TILED)) {
            return tiled.choose(shape, dtype, options).tile().orElseThrow();
        }
    }

    private Mask mask(int seqQ, int seqK) throws IOException {
        if (ids.length > 0) {
            MaskNames.requireUse(mask);
        }
        return mask.isEmpty() ? window() : window().and(MaskNames.parse(mask.get(), seqQ, seqK, () -> ids));
    }

    private Mask window() {
        if (window.size() != 2) {
            throw new IllegalArgumentException(
                    "--window takes two numbers, such as --window 256,0; -1 stands for all keys.");
        }
        Mask edges = Mask.window(window.get(0), window.get(1));
        return causal ? edges.andCausal() : edges;
    }

    private void choice(KernelChoice choice, AttentionShape shape, AttentionOptions options) {
        heading("The kernel");
        Table table = new Table("  ")
                .row(
                        "problem",
                        "%s, q %d × %d × %d × %d, k and v %d × %d × %d × %d, mask %s"
                                .formatted(
                                        dtype,
                                        shape.batch(),
                                        shape.heads(),
                                        shape.seqQ(),
                                        shape.headDim(),
                                        shape.batch(),
                                        shape.kvHeads(),
                                        shape.seqK(),
                                        shape.headDim(),
                                        options.mask()))
                .row("kernel", choice.kernel().id() + ": " + choice.kernel().summary())
                .row("chosen because", choice.reason());
        choice.tile().ifPresent(chosen -> {
            long groups = (long) shape.batch() * shape.heads() * Math.ceilDiv(shape.seqQ(), chosen.blockQ());
            table.row("tile", "%d queries × %d keys".formatted(chosen.blockQ(), chosen.blockK()));
            table.row("work-groups", "%,d of %d work-items".formatted(groups, chosen.groupSize(shape.headDim())))
                    .row("local memory", Units.bytes(chosen.localMemoryBytes(shape.headDim())) + " a group");
        });
        table.print(out);
    }

    private void picture(TilePicture picture, KernelChoice choice) {
        heading("The tiles of one head");
        int[] scale = picture.tilesPerSign();
        out.println("  Down: %,d queries in %,d rows; across: %,d keys in %,d columns%s."
                .formatted(
                        picture.seqQ(),
                        picture.rows(),
                        picture.seqK(),
                        picture.columns(),
                        scale[0] * scale[1] == 1
                                ? ""
                                : "; a sign stands for %d × %d tiles".formatted(scale[0], scale[1])));
        if (choice.tile().isEmpty()) {
            out.println("  The kernel %s has no tiles: these are those of the kernel tiled."
                    .formatted(choice.kernel().id()));
        }
        TilePicture.Drawing drawing = picture.drawn();
        drawing.lines().forEach(line -> out.println("    " + line));
        long full = Objects.requireNonNull(drawing.counts().get(Kind.FULL));
        long partial = Objects.requireNonNull(drawing.counts().get(Kind.PARTIAL));
        long skipped = Objects.requireNonNull(drawing.counts().get(Kind.SKIPPED));
        out.println(
                "  %s full: %,d   %s partial, where the mask is tested: %,d   %s skipped, never loaded: %,d (%.0f%%)"
                        .formatted(
                                Kind.FULL.sign(),
                                full,
                                Kind.PARTIAL.sign(),
                                partial,
                                Kind.SKIPPED.sign(),
                                skipped,
                                100.0 * skipped / (full + partial + skipped)));
        if (mask.isPresent()) {
            out.println(
                    "  density %.3f, as a block mask, whose empty tiles are never loaded: Mask.blocks(BlockMask.of(…)); a mask function alone is asked in each."
                            .formatted((full + partial) / (double) (full + partial + skipped)));
        }
    }

    private void softmax(AttentionShape shape, AttentionOptions options, int query, int blockK) {
        heading("The online softmax of query %d, head 0, on Gaussian inputs".formatted(query));
        double[] row = DoubleStream.generate(new Random(1)::nextGaussian)
                .limit(shape.headDim())
                .toArray();
        Tensor k = Tensor.random(dtype, 2, 1, 1, shape.seqK(), shape.headDim());
        SoftmaxTrace trace = SoftmaxTrace.of(row, shape.seqQ(), k, options, query, blockK);
        out.println(
                "  For each tile: m' = max(m, max s), α = e^(m − m'), l' = α·l + Σ e^(s − m'), o' = α·o + Σ e^(s − m')·v.");
        Table table = new Table("  ").row("keys", "max s", "m'", "α", "Σ e^(s − m')", "l'", "");
        List<Step> steps = trace.steps();
        for (int i = 0; i < steps.size(); i++) {
            if (steps.size() > STEPS_SHOWN && i == STEPS_SHOWN - 2) {
                table.row("…", "%d more".formatted(steps.size() - STEPS_SHOWN + 1), "", "", "", "", "");
                i = steps.size() - 1;
            }
            Step step = steps.get(i);
            table.row(
                    "%d … %d".formatted(step.firstKey(), step.endKey() - 1),
                    decimal(step.tileMax()),
                    decimal(step.max()),
                    decimal(step.alpha()),
                    decimal(step.tileSum()),
                    decimal(step.sum()),
                    step.alpha() == 1 ? "the maximum stays" : "");
        }
        table.print(out);
        if (steps.isEmpty()) {
            out.println("  This query sees no key: its output is 0 and its log-sum-exp −∞.");
            return;
        }
        long rescaled = steps.stream().skip(1).filter(step -> step.alpha() < 1).count();
        out.println("  O = o / l and L = m + ln l = %s; o was rescaled at %d of %d tiles after the first."
                .formatted(decimal(trace.logSumExp()), rescaled, steps.size() - 1));
    }

    private void costs(
            KernelChoice choice, AttentionShape shape, AttentionOptions options, Tile drawn, Ceilings ceilings) {
        heading("What it costs");
        AttentionProblem problem = AttentionProblem.of(shape, dtype, options);
        BenchCase least = new BenchCase(Direction.FORWARD, dtype, shape, causal);
        double flops = problem.flops();
        Traffic traffic = choice.kernel().spec().traffic();
        double bytes = traffic.bytes(problem, drawn);
        boolean tensorCores =
                BenchFile.onTensorCores(BenchResult.OURS, choice.kernel().id(), dtype);
        double peak = tensorCores && ceilings.tensorFlopsPerSecond() != null
                ? ceilings.tensorFlopsPerSecond()
                : ceilings.f32FlopsPerSecond();
        double ridge = peak / ceilings.copyBytesPerSecond();
        double arithmetic = flops / peak;
        double moved = traffic.mostlyCached() ? BenchFile.leastBytes(least) : bytes;
        double memory = moved / ceilings.copyBytesPerSecond();
        new Table("  ")
                .row(
                        "operations",
                        "%,.4g FLOP, as the field counts them%s"
                                .formatted(flops, mask.isPresent() ? "; what --mask hides is counted too" : ""))
                .row("traffic, at the least", Units.bytes((long) BenchFile.leastBytes(least)) + ": each tensor once")
                .row("traffic, this kernel", Units.bytes((long) bytes) + ": " + traffic.description())
                .row(
                        "arithmetic intensity",
                        "%.1f FLOP a byte; this device's ridge is at %.1f".formatted(flops / moved, ridge))
                .row("ceilings, measured now", "%s, %s/s".formatted(Units.rate(peak / 1e12), Units.bytes((long)
                                ceilings.copyBytesPerSecond())))
                .row(
                        "expected bound",
                        "%s: at least %s (arithmetic %s, memory %s)"
                                .formatted(
                                        arithmetic > memory ? "arithmetic" : "memory",
                                        time(Math.max(arithmetic, memory)),
                                        time(arithmetic),
                                        time(memory)))
                .print(out);
    }

    private void heading(String text) {
        out.println();
        out.println(text);
        out.flush();
    }

    private static String decimal(double value) {
        return String.format(Locale.ROOT, "%.4f", value);
    }

    private static String time(double seconds) {
        return Units.time(Duration.ofNanos(Math.round(1e9 * seconds)));
    }
}
