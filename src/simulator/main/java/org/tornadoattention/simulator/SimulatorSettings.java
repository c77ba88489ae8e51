package org.tornadoattention.simulator;

import java.io.File;
import java.lang.reflect.RecordComponent;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/**
 * How kernels are simulated. The initial settings come from system properties, named after the components with the
 * prefix {@code tornadoattention.simulator.}; {@code checks} is {@code all}, {@code none} or a list such as
 * {@code races,bounds}.
 *
 * @param checks the mistakes to look for
 * @param counters whether to count memory traffic
 * @param seed the seed that shuffles groups and work-items, or empty for their natural order
 * @param threads the most groups that run at the same time
 * @param localMemory bytes of local memory that a group has
 * @param barriers the most barriers that a group may pass: one more is taken for a loop without an end
 * @param loopSeconds how long a work-item may be in a loop of which the code does not tell that it ends, as it does of
 *     one that counts to a fixed number
 * @param costs the GPU to say of what kernels would cost it, or empty; it takes several times as long. As a property,
 *     {@code none} or a name of {@link Gpu}; then a table is printed at the first launch of each kernel
 * @param trace the folder for pictures: a page for each kernel that shows what its work-items touch, step by step; or
 *     empty. It takes many times as long, and is for small problems. As a property, a folder; then the pages are
 *     written there
 * @param sources folders to look for the sources of kernels in, for the pictures. As a property, separated as on a
 *     class path
 * @param numbers whether it is a fault if a kernel makes NaN of finite numbers, or if a sum of halves stays what it is.
 *     Off by default, since a kernel may mean it
 * @param devices devices, each with memory of its own: for programs that divide work among several
 */
public record SimulatorSettings(
        Set<Check> checks,
        boolean counters,
        OptionalLong seed,
        int threads,
        long localMemory,
        long barriers,
        long loopSeconds,
        Optional<Gpu> costs,
        Optional<Path> trace,
        List<Path> sources,
        boolean numbers,
        int devices) {

    private static final String PREFIX = "tornadoattention.simulator.";
    private static final long DEFAULT_LOCAL_MEMORY = 48 * 1024;
    private static final long DEFAULT_BARRIERS = 1_000_000;
    private static final long DEFAULT_LOOP_SECONDS = 1;

    /** Checks and copies the components. */
    public SimulatorSettings {
        checks = checks.isEmpty() ? Set.of() : Set.copyOf(EnumSet.copyOf(checks));
        sources = List.copyOf(sources);
        if (threads < 1) {
            throw new IllegalArgumentException("threads must be at least 1, got " + threads);
        }
        if (localMemory < 0) {
            throw new IllegalArgumentException("localMemory must not be negative, got " + localMemory);
        }
        if (barriers < 1) {
            throw new IllegalArgumentException("barriers must be at least 1, got " + barriers);
        }
        if (loopSeconds < 1) {
            throw new IllegalArgumentException("loopSeconds must be at least 1, got " + loopSeconds);
        }
        if (devices < 1) {
            throw new IllegalArgumentException("devices must be at least 1, got " + devices);
        }
    }

    /**
     * Returns the settings that the system properties give.
     *
     * @throws IllegalArgumentException if a property has a value that it cannot have, or begins with the prefix and is
     *     none
     */
    public static SimulatorSettings fromSystemProperties() {
        refuseUnknownProperties();
        String seed = System.getProperty(PREFIX + "seed");
        return new SimulatorSettings(
                parseChecks(System.getProperty(PREFIX + "checks", "all")),
                parseBoolean("counters", true),
                seed == null ? OptionalLong.empty() : OptionalLong.of(parseNumber("seed", seed, Long.MIN_VALUE)),
                Math.toIntExact(
                        Math.min(number("threads", 1, Runtime.getRuntime().availableProcessors()), Integer.MAX_VALUE)),
                number("localMemory", 0, DEFAULT_LOCAL_MEMORY),
                number("barriers", 1, DEFAULT_BARRIERS),
                number("loopSeconds", 1, DEFAULT_LOOP_SECONDS),
                parseGpu(System.getProperty(PREFIX + "costs", "none")),
                Optional.ofNullable(System.getProperty(PREFIX + "trace")).map(text -> path("trace", text)),
                Arrays.stream(System.getProperty(PREFIX + "sources", ".").split(File.pathSeparator))
                        .map(text -> path("sources", text))
                        .toList(),
                parseBoolean("numbers", false),
                Math.toIntExact(Math.min(number("devices", 1, 1), Integer.MAX_VALUE)));
    }

    private static void refuseUnknownProperties() {
        List<String> names = Arrays.stream(SimulatorSettings.class.getRecordComponents())
                .map(RecordComponent::getName)
                .sorted()
                .toList();
        for (String property : System.getProperties().stringPropertyNames()) {
            if (property.startsWith(PREFIX) && !names.contains(property.substring(PREFIX.length()))) {
                throw new IllegalArgumentException("-D" + property + "=" + System.getProperty(property)
                        + ": the simulator has no such setting; it has " + PREFIX + "{" + String.join(", ", names)
                        + "}");
            }
        }
    }

    /** Returns these settings with other checks. */
    public SimulatorSettings withChecks(Set<Check> newChecks) {
        return with(copy -> copy.checks = newChecks);
    }

    /** Returns these settings without one of the checks. */
    public SimulatorSettings withoutCheck(Check check) {
        Set<Check> others = EnumSet.noneOf(Check.class);
        others.addAll(checks);
        others.remove(check);
        return withChecks(others);
    }

    /** Returns these settings without any checks. */
    public SimulatorSettings withoutChecks() {
        return withChecks(Set.of());
    }

    /** Returns these settings with counting on or off. */
    public SimulatorSettings withCounters(boolean on) {
        return with(copy -> copy.counters = on);
    }

    /** Returns these settings with groups and work-items shuffled by {@code newSeed}. */
    public SimulatorSettings withSeed(long newSeed) {
        return with(copy -> copy.seed = OptionalLong.of(newSeed));
    }

    /** Returns these settings with groups and work-items in their natural order. */
    public SimulatorSettings withoutSeed() {
        return with(copy -> copy.seed = OptionalLong.empty());
    }

    /** Returns these settings with at most {@code newThreads} groups at the same time. */
    public SimulatorSettings withThreads(int newThreads) {
        return with(copy -> copy.threads = newThreads);
    }

    /** Returns these settings with {@code bytes} of local memory for each group. */
    public SimulatorSettings withLocalMemory(long bytes) {
        return with(copy -> copy.localMemory = bytes);
    }

    /** Returns these settings with at most {@code newBarriers} barriers passed by a group. */
    public SimulatorSettings withBarriers(long newBarriers) {
        return with(copy -> copy.barriers = newBarriers);
    }

    /** Returns these settings with at most {@code seconds} for a loop of which the code does not tell that it ends. */
    public SimulatorSettings withLoopSeconds(long seconds) {
        return with(copy -> copy.loopSeconds = seconds);
    }

    /** Returns these settings with what kernels would cost {@code gpu}; with empty, they do not say. */
    public SimulatorSettings withCosts(Optional<Gpu> gpu) {
        return with(copy -> copy.costs = gpu);
    }

    /** Returns these settings with pages that show what kernels do, in {@code folder}; with empty, there are none. */
    public SimulatorSettings withTrace(Optional<Path> folder) {
        return with(copy -> copy.trace = folder);
    }

    /** Returns these settings with other folders to look for the sources of kernels in. */
    public SimulatorSettings withSources(List<Path> folders) {
        return with(copy -> copy.sources = folders);
    }

    /** Returns these settings with the watch on numbers on or off. */
    public SimulatorSettings withNumbers(boolean on) {
        return with(copy -> copy.numbers = on);
    }

    /** Returns these settings with {@code newDevices} devices. */
    public SimulatorSettings withDevices(int newDevices) {
        return with(copy -> copy.devices = newDevices);
    }

    private SimulatorSettings with(Consumer<Copy> change) {
        Copy copy = new Copy(this);
        change.accept(copy);
        return copy.settings();
    }

    /** Settings that can be changed. */
    private static final class Copy {

        private Set<Check> checks;
        private boolean counters;
        private OptionalLong seed;
        private int threads;
        private long localMemory;
        private long barriers;
        private long loopSeconds;
        private Optional<Gpu> costs;
        private Optional<Path> trace;
        private List<Path> sources;
        private boolean numbers;
        private int devices;

        private Copy(SimulatorSettings settings) {
            checks = settings.checks;
            counters = settings.counters;
            seed = settings.seed;
            threads = settings.threads;
            localMemory = settings.localMemory;
            barriers = settings.barriers;
            loopSeconds = settings.loopSeconds;
            costs = settings.costs;
            trace = settings.trace;
            sources = settings.sources;
            numbers = settings.numbers;
            devices = settings.devices;
        }

        private SimulatorSettings settings() {
            return new SimulatorSettings(
                    checks,
                    counters,
                    seed,
                    threads,
                    localMemory,
                    barriers,
                    loopSeconds,
                    costs,
                    trace,
                    sources,
                    numbers,
                    devices);
        }
    }

    private static Path path(String name, String text) {
        try {
            if (!text.isBlank()) {
                return Path.of(text.strip());
            }
        } catch (InvalidPathException _) {
            // told below, like no path at all
        }
        throw wrong(name, text, "a folder");
    }

    private static Optional<Gpu> parseGpu(String text) {
        if (text.strip().equalsIgnoreCase("none")) {
            return Optional.empty();
        }
        try {
            return Optional.of(Gpu.parse(text));
        } catch (IllegalArgumentException _) {
            throw wrong("costs", text, "none, or a GPU: one of " + Gpu.names());
        }
    }

    private static Set<Check> parseChecks(String text) {
        return switch (text.strip().toLowerCase(Locale.ROOT)) {
            case "all" -> EnumSet.allOf(Check.class);
            case "none" -> EnumSet.noneOf(Check.class);
            default -> {
                EnumSet<Check> chosen = EnumSet.noneOf(Check.class);
                for (String name : text.split(",", -1)) {
                    chosen.add(parseCheck(text, name.strip()));
                }
                yield chosen;
            }
        };
    }

    private static Check parseCheck(String text, String name) {
        return Arrays.stream(Check.values())
                .filter(check -> check.name().equalsIgnoreCase(name))
                .findFirst()
                .orElseThrow(() -> wrong(
                        "checks",
                        text,
                        "all, none, or some of "
                                + Arrays.stream(Check.values())
                                        .map(check -> check.name().toLowerCase(Locale.ROOT))
                                        .collect(Collectors.joining(", "))));
    }

    private static boolean parseBoolean(String name, boolean byDefault) {
        String text = System.getProperty(PREFIX + name, String.valueOf(byDefault));
        return switch (text) {
            case "true" -> true;
            case "false" -> false;
            default -> throw wrong(name, text, "true or false");
        };
    }

    private static long number(String name, long least, long byDefault) {
        String text = System.getProperty(PREFIX + name);
        return text == null ? byDefault : parseNumber(name, text, least);
    }

    private static long parseNumber(String name, String text, long least) {
        try {
            long number = Long.parseLong(text.strip());
            if (number >= least) {
                return number;
            }
        } catch (NumberFormatException _) {
            // told below, like a number that is too small
        }
        throw wrong(name, text, least == Long.MIN_VALUE ? "a whole number" : "a whole number from " + least + " on");
    }

    private static IllegalArgumentException wrong(String name, String text, String allowed) {
        return new IllegalArgumentException("-D" + PREFIX + name + "=" + text + ": it must be " + allowed);
    }
}
