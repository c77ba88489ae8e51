package org.tornadoattention.simulator;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.Set;

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
 */
public record SimulatorSettings(
        Set<Check> checks, boolean counters, OptionalLong seed, int threads, long localMemory, long barriers) {

    private static final String PREFIX = "tornadoattention.simulator.";
    private static final long DEFAULT_LOCAL_MEMORY = 48 * 1024;
    private static final long DEFAULT_BARRIERS = 1_000_000;

    /** Checks and copies the components. */
    public SimulatorSettings {
        checks = checks.isEmpty() ? Set.of() : Set.copyOf(EnumSet.copyOf(checks));
        if (threads < 1) {
            throw new IllegalArgumentException("threads must be at least 1, got " + threads);
        }
        if (localMemory < 0) {
            throw new IllegalArgumentException("localMemory must not be negative, got " + localMemory);
        }
        if (barriers < 1) {
            throw new IllegalArgumentException("barriers must be at least 1, got " + barriers);
        }
    }

    /** Returns the settings that the system properties give. */
    public static SimulatorSettings fromSystemProperties() {
        String seed = System.getProperty(PREFIX + "seed");
        return new SimulatorSettings(
                parseChecks(System.getProperty(PREFIX + "checks", "all")),
                Boolean.parseBoolean(System.getProperty(PREFIX + "counters", "true")),
                seed == null ? OptionalLong.empty() : OptionalLong.of(Long.parseLong(seed)),
                Integer.getInteger(PREFIX + "threads", Runtime.getRuntime().availableProcessors()),
                Long.getLong(PREFIX + "localMemory", DEFAULT_LOCAL_MEMORY),
                Long.getLong(PREFIX + "barriers", DEFAULT_BARRIERS));
    }

    /** Returns these settings with other checks. */
    public SimulatorSettings withChecks(Set<Check> newChecks) {
        return new SimulatorSettings(newChecks, counters, seed, threads, localMemory, barriers);
    }

    /** Returns these settings without any checks. */
    public SimulatorSettings withoutChecks() {
        return withChecks(Set.of());
    }

    /** Returns these settings with counting on or off. */
    public SimulatorSettings withCounters(boolean on) {
        return new SimulatorSettings(checks, on, seed, threads, localMemory, barriers);
    }

    /** Returns these settings with groups and work-items shuffled by {@code newSeed}. */
    public SimulatorSettings withSeed(long newSeed) {
        return new SimulatorSettings(checks, counters, OptionalLong.of(newSeed), threads, localMemory, barriers);
    }

    /** Returns these settings with groups and work-items in their natural order. */
    public SimulatorSettings withoutSeed() {
        return new SimulatorSettings(checks, counters, OptionalLong.empty(), threads, localMemory, barriers);
    }

    /** Returns these settings with at most {@code newThreads} groups at the same time. */
    public SimulatorSettings withThreads(int newThreads) {
        return new SimulatorSettings(checks, counters, seed, newThreads, localMemory, barriers);
    }

    /** Returns these settings with {@code bytes} of local memory for each group. */
    public SimulatorSettings withLocalMemory(long bytes) {
        return new SimulatorSettings(checks, counters, seed, threads, bytes, barriers);
    }

    /** Returns these settings with at most {@code newBarriers} barriers passed by a group. */
    public SimulatorSettings withBarriers(long newBarriers) {
        return new SimulatorSettings(checks, counters, seed, threads, localMemory, newBarriers);
    }

    private static Set<Check> parseChecks(String text) {
        return switch (text.strip().toLowerCase(Locale.ROOT)) {
            case "all", "" -> EnumSet.allOf(Check.class);
            case "none" -> EnumSet.noneOf(Check.class);
            default -> {
                EnumSet<Check> chosen = EnumSet.noneOf(Check.class);
                for (String name : text.split(",")) {
                    chosen.add(parseCheck(name));
                }
                yield chosen;
            }
        };
    }

    private static Check parseCheck(String name) {
        try {
            return Check.valueOf(name.strip().toUpperCase(Locale.ROOT));
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    PREFIX + "checks: there is no check '" + name + "'; use all, none or some of "
                            + Arrays.toString(Check.values()).toLowerCase(Locale.ROOT),
                    e);
        }
    }
}
