package org.tornadoattention.cli;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.cli.Verdict.Status;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Platform;
import org.tornadoattention.reference.Comparison;

/**
 * Verdicts as they stand in JSON.
 *
 * @param platform what ran the kernels, and why
 * @param device the device
 * @param passed whether nothing failed and something was compared
 * @param checks one entry per case and kernel
 */
record VerdictReport(String platform, String device, boolean passed, List<Check> checks) {

    /**
     * One case with one kernel.
     *
     * @param kernel null where the file could not be read
     * @param message null where tensors were compared
     */
    record Check(
            String file,
            @Nullable String kernel,
            Status status,
            @Nullable String message,
            List<TensorError> tensors) {}

    /** The error of one tensor; {@code "Infinity"} for a NaN or a wrong infinity. */
    record TensorError(
            String name, double maxError, double limit, double naiveError, double relativeError, boolean passed) {}

    static VerdictReport of(ComputeDevice device, List<Verdict> verdicts) {
        return new VerdictReport(
                Platform.current().describe(),
                device.toString(),
                VerifyCommand.passed(verdicts),
                verdicts.stream().map(VerdictReport::check).toList());
    }

    private static Check check(Verdict verdict) {
        return new Check(
                verdict.file().toString(),
                verdict.kernel().map(AttentionKernel::id).orElse(null),
                verdict.status(),
                verdict.message().orElse(null),
                verdict.tensors().stream().map(VerdictReport::tensor).toList());
    }

    private static TensorError tensor(Comparison tensor) {
        return new TensorError(
                tensor.name(),
                tensor.maxError(),
                tensor.limit(),
                tensor.naiveError(),
                tensor.relativeError(),
                tensor.passed());
    }
}
