package org.tornadoattention.bench;

import java.util.ArrayList;
import java.util.List;

/**
 * A result of another file that one of ours was set beside: a peer's on the same problem, or the same kernel's in
 * another run.
 *
 * @param kernel our kernel, and its tile: the fastest one beside a peer
 * @param timeRatio how many times as long as the other our kernel takes
 * @param noisy whether one of the two is too noisy to be quoted
 * @param result the other result
 * @param environment where the other was measured
 */
public record ComparedResult(
        String kernel, double timeRatio, boolean noisy, BenchResult result, Environment environment) {

    /** What another file has beside a file of ours. */
    static List<ComparedResult> of(BenchFile ours, BenchFile other) {
        List<ComparedResult> compared = new ArrayList<>();
        for (PeerComparison comparison : PeerComparison.of(List.of(ours, other))) {
            for (BenchResult peer : comparison.peers()) {
                compared.add(new ComparedResult(
                        comparison.ours().label(),
                        comparison.timeRatio(peer),
                        comparison.ours().requireTiming().noisy()
                                || peer.requireTiming().noisy(),
                        peer,
                        other.environment()));
            }
        }
        for (RunComparison run : RunComparison.of(other, ours)) {
            compared.add(new ComparedResult(
                    run.now().label(), 1 + run.change(), run.noisy(), run.before(), other.environment()));
        }
        return compared;
    }
}
