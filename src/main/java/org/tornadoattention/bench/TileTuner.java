package org.tornadoattention.bench;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.plan.AttentionKernel;
import org.tornadoattention.plan.KernelChoice;
import org.tornadoattention.plan.TuningTable;
import org.tornadoattention.plan.WarpTile;
import org.tornadoattention.reference.Comparison;

/**
 * Tries tiles of the kernels with warp intrinsics on a device and keeps the fastest that are right: a line of the
 * {@link TuningTable} for each kernel, head dimension and class of sequences.
 */
public final class TileTuner {

    /** The kernels that the table is for, and that all 16-bit problems can take. */
    public static final List<AttentionKernel> KERNELS = List.of(AttentionKernel.WARP, AttentionKernel.WARP_GROUP);

    private static final int RESCALE_THRESHOLD = 8;

    private final ComputeDevice device;
    private final int warmUps;
    private final int repetitions;
    private final List<TuningTable.Row> rows = new ArrayList<>();

    /** A tuner of a device; warm-ups and repetitions are as {@link ForwardBenchmark} has them. */
    public TileTuner(ComputeDevice device, int warmUps, int repetitions) {
        this.device = device;
        this.warmUps = warmUps;
        this.repetitions = repetitions;
    }

    /** The tiles that the device can hold, of all kernels that it has the instructions for. */
    public List<WarpTile> candidates(ForwardCase measured) {
        return KERNELS.stream()
                .flatMap(TileTuner::tiles)
                .filter(tile -> KernelChoice.fits(tile, measured.shape().headDim(), device))
                .toList();
    }

    private static Stream<WarpTile> tiles(AttentionKernel kernel) {
        int[] keys =
                kernel == AttentionKernel.WARP ? new int[] {32, 64, 128} : new int[] {32, 64, 80, 96, 128, 160, 192};
        List<int[]> queriesAndWarps = kernel == AttentionKernel.WARP
                ? List.of(new int[] {64, 4}, new int[] {128, 8}, new int[] {128, 4})
                : List.of(new int[] {64, 4}, new int[] {128, 8}, new int[] {192, 12});
        return queriesAndWarps.stream()
                .flatMap(rows -> IntStream.of(keys)
                        .mapToObj(blockK -> new WarpTile(kernel, rows[0], blockK, rows[1], RESCALE_THRESHOLD)));
    }

    /**
     * Tries all candidates on a case, and notes the best of each kernel.
     *
     * @param queriesFrom the shortest sequence that the case stands for
     * @param tried told of each candidate when it is done
     */
    public void tune(ForwardCase measured, int queriesFrom, Consumer<TileTrial> tried) {
        ForwardBenchmark.Inputs inputs = ForwardBenchmark.Inputs.of(measured);
        List<TileTrial> trials = new ArrayList<>();
        for (WarpTile tile : candidates(measured)) {
            TileTrial trial = measure(tile, measured, inputs);
            trials.add(trial);
            tried.accept(trial);
        }
        for (AttentionKernel kernel : KERNELS) {
            Optional<TileTrial> best = trials.stream()
                    .filter(trial -> trial.good() && trial.tile().kernel() == kernel)
                    .max(Comparator.comparingDouble(TileTrial::teraflops));
            best.ifPresent(trial -> note(kernel, measured.shape(), queriesFrom, trial.tile()));
        }
    }

    /** A class that wants the same tile as the next shorter one needs no line. */
    private void note(AttentionKernel kernel, AttentionShape shape, int queriesFrom, WarpTile tile) {
        int capability = device.extension().computeCapability();
        Optional<WarpTile> shorter = new TuningTable(rows)
                .tile(capability, kernel, shape.headDim(), queriesFrom)
                .filter(_ ->
                        rows.stream().anyMatch(row -> row.kernel() == kernel && row.headDimUpTo() == shape.headDim()));
        if (!shorter.equals(Optional.of(tile))) {
            rows.add(new TuningTable.Row(capability, kernel, shape.headDim(), queriesFrom, tile));
        }
    }

    private TileTrial measure(WarpTile tile, ForwardCase measured, ForwardBenchmark.Inputs inputs) {
        double teraflops = 0;
        String failure = "";
        try (FlashAttention attention = FlashAttention.withTile(device, tile)) {
            ForwardMeasurement measurement =
                    new ForwardBenchmark(attention, warmUps, repetitions).measure(measured, inputs, () -> {});
            if (measurement.passed()) {
                teraflops = measurement.teraflops();
            } else {
                Comparison wrong = measurement.comparisons().stream()
                        .filter(comparison -> !comparison.passed())
                        .findFirst()
                        .orElseThrow();
                failure = "wrong: error %.1e of %.1e allowed".formatted(wrong.maxError(), wrong.limit());
            }
        } catch (RuntimeException e) {
            failure = String.valueOf(e.getMessage()).lines().findFirst().orElse(e.toString());
        }
        return new TileTrial(tile, measured.shape().seqQ(), measured.shape().headDim(), teraflops, failure);
    }

    /** What was found: for each kernel the lines in the order in which they were tuned. */
    public TuningTable table() {
        return new TuningTable(rows.stream()
                .sorted(Comparator.comparing(TuningTable.Row::kernel)
                        .reversed()
                        .thenComparing(TuningTable.Row::headDimUpTo)
                        .thenComparing(TuningTable.Row::queriesFrom))
                .toList());
    }
}
