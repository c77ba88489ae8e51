package org.tornadoattention.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.BiConsumer;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.choice.Tiling;
import org.tornadoattention.choice.TuningTable;
import org.tornadoattention.device.ComputeDevice;

/**
 * Tries tiles of the kernels with warp intrinsics on a device and keeps the fastest that are right: a line of the
 * {@link TuningTable} for each kernel, head dimension and class of sequences.
 */
public final class TileTuner implements AutoCloseable {

    /** The kernels that have tiles worth trying. */
    public static final List<AttentionKernel> KERNELS = Arrays.stream(AttentionKernel.values())
            .filter(kernel -> !candidates(kernel).isEmpty())
            .toList();

    private record Trial(Tile tile, BenchResult result) {

        boolean good() {
            return result.timing() != null && result.good();
        }

        double teraflops() {
            return result.requireTiming().teraflops();
        }
    }

    private final List<AttentionKernel> kernels;
    private final ComputeDevice device;
    private final BenchSession session;
    private final List<TuningTable.Row> rows = new ArrayList<>();

    /**
     * A tuner of a device.
     *
     * @param kernels those of {@link #KERNELS} whose tiles are wanted
     */
    public TileTuner(List<AttentionKernel> kernels, ComputeDevice device, BenchSession.Settings settings) {
        this.kernels = kernels;
        this.device = device;
        this.session = new BenchSession(device, settings);
    }

    /** The tiles that the device can hold, of the kernels that it has the instructions for. */
    public List<Tile> candidates(BenchCase measured) {
        return kernels.stream()
                .flatMap(kernel -> candidates(kernel).stream())
                .filter(tile -> tile.tiling().fits(tile, measured.shape().headDim(), device))
                .toList();
    }

    private static List<Tile> candidates(AttentionKernel kernel) {
        return kernel.spec().tiling().map(Tiling::worthTrying).orElse(List.of());
    }

    /**
     * Tries all candidates on a case, and notes the best of each kernel.
     *
     * @param queriesFrom the shortest sequence that the case stands for
     * @param tried told of each candidate and what became of it
     */
    public void tune(BenchCase measured, int queriesFrom, BiConsumer<Tile, BenchResult> tried) {
        List<Trial> trials = new ArrayList<>();
        for (Tile tile : candidates(measured)) {
            BenchResult result = session.measure(measured, tile.kernel(), Optional.of(tile), () -> {});
            trials.add(new Trial(tile, result));
            tried.accept(tile, result);
        }
        for (AttentionKernel kernel : kernels) {
            trials.stream()
                    .filter(trial -> trial.good() && trial.tile().kernel() == kernel)
                    .max(Comparator.comparingDouble(Trial::teraflops))
                    .ifPresent(best -> note(measured.shape(), queriesFrom, best.tile()));
        }
    }

    /** A class that wants the same tile as the next shorter one needs no line. */
    private void note(AttentionShape shape, int queriesFrom, Tile tile) {
        Optional<Tile> shorter = rows.stream()
                .filter(row -> row.kernel() == tile.kernel() && row.headDimUpTo() == shape.headDim())
                .reduce((_, last) -> last)
                .map(TuningTable.Row::tile);
        if (!shorter.equals(Optional.of(tile))) {
            int capability = device.extension().computeCapability();
            rows.add(new TuningTable.Row(capability, tile.kernel(), shape.headDim(), queriesFrom, tile));
        }
    }

    /** What was found so far, the faster kernel first. */
    public TuningTable table() {
        return new TuningTable(rows.stream()
                .sorted(Comparator.comparing(TuningTable.Row::kernel)
                        .reversed()
                        .thenComparing(TuningTable.Row::headDimUpTo)
                        .thenComparing(TuningTable.Row::queriesFrom))
                .toList());
    }

    /** Frees what the measurements held on the device. */
    @Override
    public void close() {
        session.close();
    }
}
