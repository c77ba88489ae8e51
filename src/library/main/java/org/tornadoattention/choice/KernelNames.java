package org.tornadoattention.choice;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/** Names of kernels on the command line: the constant's, in small letters with hyphens. */
final class KernelNames {

    private KernelNames() {}

    /** Such as {@code warp-group}. */
    static String id(Enum<?> kernel) {
        return kernel.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /**
     * The kernel of that name, or of that constant.
     *
     * @param what there is none of, for the message
     * @throws IllegalArgumentException naming the known ones
     */
    static <E extends Enum<E>> E parse(String id, String what, E[] kernels) {
        return Arrays.stream(kernels)
                .filter(kernel -> id(kernel).equals(id.toLowerCase(Locale.ROOT).replace('_', '-')))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("There is no %s '%s': choose one of %s."
                        .formatted(
                                what,
                                id,
                                Arrays.stream(kernels).map(KernelNames::id).collect(Collectors.joining(", ")))));
    }
}
