package org.tornadoattention.bench;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/** Which way through attention is measured. */
public enum Pass {
    /** The output and the log-sum-exp. */
    FORWARD(1),
    /** The gradients of q, k and v, the forward pass being done: 2.5 times its operations. */
    BACKWARD(2.5);

    private final double flopsOfForward;

    Pass(double flopsOfForward) {
        this.flopsOfForward = flopsOfForward;
    }

    /** Operations, as the field counts them, in units of the forward pass. */
    public double flopsOfForward() {
        return flopsOfForward;
    }

    /** The name in files and on the command line: {@code forward}, {@code backward}. */
    public String id() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * The pass with this {@link #id}.
     *
     * @throws IllegalArgumentException naming the known ones
     */
    public static Pass parse(String id) {
        return Arrays.stream(values())
                .filter(pass -> pass.id().equals(id.toLowerCase(Locale.ROOT)))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("There is no pass '%s': choose one of %s."
                        .formatted(id, Arrays.stream(values()).map(Pass::id).collect(Collectors.joining(", ")))));
    }
}
