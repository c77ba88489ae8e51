package org.tornadoattention.report;

import java.util.List;
import java.util.OptionalDouble;
import org.tornadoattention.bench.BenchCase;
import org.tornadoattention.bench.BenchFile;
import org.tornadoattention.bench.BenchResult;

/**
 * A measured result and the file that it stands in.
 *
 * @param file the file
 * @param result the result, with times
 * @param name what it is called on the page: the kernel, its provider where that is not us, its backend where we have
 *     several
 */
record Entry(BenchFile file, BenchResult result, String name) {

    private static final String SIMULATOR = "simulator";

    /** The measured, right results of files, in order. */
    static List<Entry> of(List<BenchFile> files) {
        long ourBackends = files.stream()
                .filter(file -> file.results().stream().anyMatch(Entry::isOurs))
                .map(file -> file.environment().backend())
                .filter(backend -> !SIMULATOR.equals(backend))
                .distinct()
                .count();
        return files.stream()
                .flatMap(file -> file.results().stream()
                        .filter(result -> result.timing() != null && result.good())
                        .map(result -> new Entry(file, result, name(file, result, ourBackends > 1))))
                .toList();
    }

    private static boolean isOurs(BenchResult result) {
        return result.provider().equals(BenchResult.OURS);
    }

    private static String name(BenchFile file, BenchResult result, boolean severalBackends) {
        if (!isOurs(result)) {
            String provider = switch (result.provider()) {
                case "pytorch" -> "PyTorch";
                case "onnxruntime" -> "ONNX Runtime";
                default -> result.provider();
            };
            return provider + " " + result.kernel();
        }
        return severalBackends && !SIMULATOR.equals(file.environment().backend())
                ? "%s (%s)".formatted(result.kernel(), file.environment().backend())
                : result.kernel();
    }

    /** Whether the simulator's time is meant, which says little about any device. */
    boolean simulated() {
        return SIMULATOR.equals(file.environment().backend());
    }

    /** Those of devices, or all where there are none. */
    static List<Entry> ofDevices(List<Entry> entries) {
        List<Entry> real = entries.stream().filter(entry -> !entry.simulated()).toList();
        return real.stream().anyMatch(Entry::ours) ? real : entries;
    }

    boolean ours() {
        return isOurs(result);
    }

    BenchCase problem() {
        return result.measured();
    }

    double milliseconds() {
        return result.requireTiming().kernelMilliseconds();
    }

    /** The share of the ceiling that it has reached, where there was one. */
    OptionalDouble share() {
        Double share = result.shareOfCeiling();
        return share == null ? OptionalDouble.empty() : OptionalDouble.of(share);
    }

    /** All that is known of it, for a tooltip. */
    String tip() {
        String tile = result.tile() == null ? "" : ", tile " + result.tile();
        String noisy = result.requireTiming().noisy() ? "\ntoo noisy to quote" : "";
        String share = share().isEmpty() ? "" : "\n%s of the ceiling".formatted(Amounts.percent(share().getAsDouble()));
        return "%s%s\n%s\n%s ± %s, %s%s%s"
                .formatted(
                        name,
                        tile,
                        problem(),
                        Amounts.time(milliseconds()),
                        Amounts.percent(result.requireTiming().kernelSpread()),
                        Amounts.rate(1e12 * result.requireTiming().teraflops()),
                        share,
                        noisy);
    }
}
