package org.tornadoattention.plan;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/** The kernels of inference: attention over keys that are split among work-groups. */
public enum DecodeKernel {
    /** A key at a time for each row of work-items. All types, on every device. */
    SPLIT_KEY("keys from global memory to registers"),
    /** Keys and values through local memory, products on tensor cores. F16 and BF16. */
    WARP_SPLIT_KEY("asynchronous copies, products on tensor cores");

    private final String summary;

    DecodeKernel(String summary) {
        this.summary = summary;
    }

    /** What it does, in a few words. */
    public String summary() {
        return summary;
    }

    /** Its name on the command line, such as {@code warp-split-key}. */
    public String id() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /**
     * The kernel of that name.
     *
     * @throws IllegalArgumentException if there is none
     */
    public static DecodeKernel parse(String id) {
        return Arrays.stream(values())
                .filter(kernel -> kernel.id().equals(id))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("There is no decode kernel '%s': choose one of %s."
                        .formatted(
                                id,
                                Arrays.stream(values()).map(DecodeKernel::id).collect(Collectors.joining(", ")))));
    }
}
