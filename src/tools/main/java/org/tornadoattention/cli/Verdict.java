package org.tornadoattention.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.reference.Comparison;

/**
 * What became of one golden case with one kernel.
 *
 * @param file the case's file
 * @param kernel the kernel, empty where the file could not be read
 * @param status the outcome
 * @param tensors what was compared
 * @param message why nothing was compared
 */
record Verdict(
        Path file,
        Optional<AttentionKernel> kernel,
        Status status,
        List<Comparison> tensors,
        Optional<String> message) {

    /** The outcomes. */
    enum Status {
        /** All tensors are within tolerance. */
        OK,
        /** A tensor is not. */
        FAILED,
        /** The file could not be read, or the kernel not be run. */
        ERROR,
        /** The kernel or the device does not claim the case. */
        SKIPPED;

        /** The name as printed: {@code ok}, {@code FAILED}, {@code ERROR}, {@code skipped}. */
        String label() {
            return this == OK || this == SKIPPED ? name().toLowerCase(Locale.ROOT) : name();
        }
    }

    static Verdict of(Path file, AttentionKernel kernel, List<Comparison> tensors) {
        Status status = tensors.stream().allMatch(Comparison::passed) ? Status.OK : Status.FAILED;
        return new Verdict(file, Optional.of(kernel), status, tensors, Optional.empty());
    }

    static Verdict error(Path file, Optional<AttentionKernel> kernel, String message) {
        return new Verdict(file, kernel, Status.ERROR, List.of(), Optional.of(message));
    }

    static Verdict skipped(Path file, AttentionKernel kernel, String message) {
        return new Verdict(file, Optional.of(kernel), Status.SKIPPED, List.of(), Optional.of(message));
    }

    /** The file's name without its ending. */
    String name() {
        return file.getFileName().toString().replaceFirst("\\.safetensors$", "");
    }
}
