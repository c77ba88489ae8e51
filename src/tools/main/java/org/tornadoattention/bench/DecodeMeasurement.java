package org.tornadoattention.bench;

import java.util.List;
import java.util.Optional;
import org.tornadoattention.choice.SplitTile;
import org.tornadoattention.reference.Comparison;

/**
 * What a decode step took, its result having been checked first.
 *
 * @param measured what was measured
 * @param tile how it was divided
 * @param comparisons sampled heads against the float64 oracle
 * @param kernelTime time of the kernels of a step, by the device's clock: append, attention and merge
 * @param wallTime time of a whole step, the new token's way in and the output's way out included, without a profiler
 * @param graphTime the same of a step that is one CUDA graph, if asked for
 * @param copyTime time of a copy of as many bytes as a step reads, by as many threads, beside the steps: on the JVM
 */
public record DecodeMeasurement(
        DecodeCase measured,
        SplitTile tile,
        List<Comparison> comparisons,
        Spread kernelTime,
        Spread wallTime,
        Optional<Spread> graphTime,
        Optional<Spread> copyTime) {

    /** Whether every sampled element is within the tolerance rule. */
    public boolean passed() {
        return comparisons.stream().allMatch(Comparison::passed);
    }

    /** Bytes of keys and values a second by the median kernel time, in units of 10^12. */
    public double terabytesPerSecond() {
        return measured.bytes() / kernelTime.medianSeconds() / 1e12;
    }

    /** The bandwidth of a step as a share of what a copy of as many bytes reaches, each byte counted once. */
    public Optional<Double> shareOfACopy() {
        return copyTime.map(copy -> copy.medianSeconds() / kernelTime.medianSeconds());
    }
}
