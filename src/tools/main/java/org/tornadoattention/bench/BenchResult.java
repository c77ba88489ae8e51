package org.tornadoattention.bench;

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.choice.AttentionKernel;

/**
 * What became of one problem with one kernel; an entry of a {@link BenchFile}.
 *
 * @param measured the problem
 * @param provider whose kernel: {@code tornado-attention}, {@code pytorch}, {@code onnxruntime}
 * @param kernel the kernel, in its provider's words
 * @param tile its tile; null where it has none
 * @param status what became of it
 * @param message why it was not measured; null where it was
 * @param timing its times; null where it was not measured
 * @param memory its memory; null where it was not measured
 * @param accuracy its errors; null where it was not measured
 * @param speedUp how many times as fast as standard attention of the same provider; null where that was not measured
 * @param shareOfCeiling the least time that the ceilings allow over the kernel time; null without ceilings
 */
public record BenchResult(
        @JsonProperty("case") BenchCase measured,
        String provider,
        String kernel,
        @Nullable String tile,
        Status status,
        @Nullable String message,
        @Nullable Timing timing,
        @Nullable Memory memory,
        @Nullable Accuracy accuracy,
        @Nullable Double speedUp,
        @Nullable Double shareOfCeiling) {

    /** Checks that what every result has is there. */
    public BenchResult {
        Objects.requireNonNull(measured, "a result's 'case' is missing");
        Objects.requireNonNull(provider, "a result's 'provider' is missing");
        Objects.requireNonNull(kernel, "a result's 'kernel' is missing");
        Objects.requireNonNull(status, "a result's 'status' is missing");
    }

    /** This project, as a provider. */
    public static final String OURS = "tornado-attention";

    /** The outcomes. */
    public enum Status {
        /** It was right, or not, and timed. */
        MEASURED,
        /** The device, or the kernel, does not take the problem, or not in the time that there was. */
        UNSUPPORTED,
        /** It should have worked. */
        FAILED
    }

    static BenchResult measured(
            BenchCase measured, String kernel, @Nullable String tile, Timing timing, Memory memory, Accuracy accuracy) {
        return new BenchResult(
                measured, OURS, kernel, tile, Status.MEASURED, null, timing, memory, accuracy, null, null);
    }

    static BenchResult without(
            BenchCase measured, String kernel, @Nullable String tile, Status status, @Nullable String message) {
        return new BenchResult(measured, OURS, kernel, tile, status, message, null, null, null, null, null);
    }

    /** Of a problem that nobody had the time for. */
    public static BenchResult leftOut(BenchCase measured, AttentionKernel kernel, double seconds) {
        return without(
                measured,
                kernel.id(),
                null,
                Status.UNSUPPORTED,
                "left out: an execution would take about %.2g s.".formatted(seconds));
    }

    BenchResult with(Timing newTiming) {
        return new BenchResult(
                measured,
                provider,
                kernel,
                tile,
                status,
                message,
                newTiming,
                memory,
                accuracy,
                speedUp,
                shareOfCeiling);
    }

    BenchResult beside(@Nullable Double newSpeedUp, @Nullable Double newShareOfCeiling) {
        return new BenchResult(
                measured,
                provider,
                kernel,
                tile,
                status,
                message,
                timing,
                memory,
                accuracy,
                newSpeedUp,
                newShareOfCeiling);
    }

    /** Whether it was measured and within the tolerance, or rightly refused. */
    public boolean good() {
        return switch (status) {
            case MEASURED -> accuracy == null || accuracy.passed();
            case UNSUPPORTED -> true;
            case FAILED -> false;
        };
    }

    /** The times, empty where it was not measured. */
    public Optional<Timing> times() {
        return Optional.ofNullable(timing);
    }

    /**
     * The times of what was measured.
     *
     * @throws IllegalStateException if it was not
     */
    public Timing requireTiming() {
        return required(timing, "timing");
    }

    /**
     * The memory of what was measured.
     *
     * @throws IllegalStateException if it was not
     */
    public Memory requireMemory() {
        return required(memory, "memory");
    }

    /**
     * The errors of what was measured.
     *
     * @throws IllegalStateException if it was not
     */
    public Accuracy requireAccuracy() {
        return required(accuracy, "accuracy");
    }

    private <T> T required(@Nullable T part, String name) {
        if (part == null) {
            throw new IllegalStateException("%s of %s has no '%s'.".formatted(label(), measured, name));
        }
        return part;
    }

    /** Whether this is standard attention, which the others are compared with. */
    @JsonIgnore
    public boolean isStandard() {
        return kernel.equals("standard");
    }

    /** Kernel and tile, such as {@code tiled 64x32}. */
    public String label() {
        return tile == null ? kernel : kernel + " " + tile;
    }
}
