package org.tornadoattention.bench;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/** Which way through attention is measured. */
public enum Direction {
    /** The output and the log-sum-exp. */
    FORWARD(1),
    /** The gradients of q, k and v, the forward pass being done. */
    BACKWARD(2.5),
    /** Both, one after the other in one graph, as in a step of training. */
    FORWARD_BACKWARD(3.5);

    private final double flopsOfForward;

    Direction(double flopsOfForward) {
        this.flopsOfForward = flopsOfForward;
    }

    /** Operations, as the field counts them, in units of the forward pass. */
    public double flopsOfForward() {
        return flopsOfForward;
    }

    /** The name on the command line: {@code forward}, {@code backward}, {@code forward-backward}. */
    public String id() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /**
     * The direction with this {@link #id}.
     *
     * @throws IllegalArgumentException naming the known ones
     */
    public static Direction parse(String id) {
        return Arrays.stream(values())
                .filter(direction -> direction.id().equals(id.toLowerCase(Locale.ROOT)))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("There is no direction '%s': choose one of %s."
                        .formatted(
                                id, Arrays.stream(values()).map(Direction::id).collect(Collectors.joining(", ")))));
    }
}
