package org.tornadoattention.bench;

import java.util.Comparator;
import java.util.List;
import org.tornadoattention.bench.BenchResult.Status;

/** Results of one kernel on one problem from several rounds, in which it took turns with others, as one result. */
public final class Rounds {

    private Rounds() {}

    /**
     * The result of the round with the middle kernel time, its noise including the distance between rounds. What one
     * round found wrong or refused counts for all.
     *
     * @param rounds the same problem and kernel, one or more times
     */
    public static BenchResult together(List<BenchResult> rounds) {
        for (BenchResult round : rounds) {
            if (round.status() != Status.MEASURED || !round.good()) {
                return round;
            }
        }
        List<BenchResult> sorted = rounds.stream()
                .sorted(Comparator.comparingDouble(
                        result -> result.requireTiming().kernelMilliseconds()))
                .toList();
        BenchResult middle = sorted.get((sorted.size() - 1) / 2);
        double least = sorted.getFirst().requireTiming().kernelMilliseconds();
        double most = sorted.getLast().requireTiming().kernelMilliseconds();
        return middle.with(middle.requireTiming()
                .atLeastAsNoisy((most - least) / middle.requireTiming().kernelMilliseconds()));
    }
}
