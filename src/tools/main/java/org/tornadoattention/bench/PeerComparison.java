package org.tornadoattention.bench;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Our fastest kernel for each problem beside the peers' for the same.
 *
 * @param measured the problem
 * @param ours our fastest kernel that was right
 * @param peers what the peers took, those that were measured
 */
public record PeerComparison(BenchCase measured, BenchResult ours, List<BenchResult> peers) {

    /** Joins files on their problems; problems that only one side has are left out. */
    public static List<PeerComparison> of(List<BenchFile> files) {
        List<BenchResult> all = files.stream()
                .flatMap(file -> file.results().stream())
                .filter(result -> result.timing() != null && result.good())
                .toList();
        Set<BenchCase> cases = new LinkedHashSet<>();
        all.forEach(result -> cases.add(result.measured()));
        List<PeerComparison> comparisons = new ArrayList<>();
        for (BenchCase measured : cases) {
            List<BenchResult> peers = all.stream()
                    .filter(result -> result.measured().equals(measured)
                            && !result.provider().equals(BenchResult.OURS))
                    .toList();
            Optional<BenchResult> ours = all.stream()
                    .filter(result -> result.measured().equals(measured)
                            && result.provider().equals(BenchResult.OURS))
                    .min(Comparator.comparingDouble(
                            result -> result.requireTiming().kernelMilliseconds()));
            if (ours.isPresent() && !peers.isEmpty()) {
                comparisons.add(new PeerComparison(measured, ours.get(), peers));
            }
        }
        return comparisons;
    }

    /** How many times as long as a peer our kernel takes. */
    public double timeRatio(BenchResult peer) {
        return ours.requireTiming().kernelMilliseconds() / peer.requireTiming().kernelMilliseconds();
    }
}
