package org.tornadoattention.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.GoldenCase;

/**
 * Runs golden cases on one device and compares output, log-sum-exp and, where a case has them, gradients with the known
 * solutions. Without a kernel of the caller's choice, all kernels that take a case's type are tried.
 */
final class GoldenVerifier implements AutoCloseable {

    private final ComputeDevice device;
    private final Optional<AttentionKernel> wanted;
    private final Map<AttentionKernel, FlashAttention> attentions = new EnumMap<>(AttentionKernel.class);

    GoldenVerifier(ComputeDevice device, Optional<AttentionKernel> wanted) {
        this.device = device;
        this.wanted = wanted;
    }

    /** The verdicts on one file: one per kernel, or a single one where the file cannot be read. */
    List<Verdict> verify(Path file) {
        GoldenCase golden;
        try {
            golden = GoldenCase.load(file);
        } catch (IOException | IllegalArgumentException e) {
            return List.of(Verdict.error(file, Optional.empty(), Failures.message(e)));
        }
        AccuracyCheck solution = golden.check();
        List<Verdict> verdicts = new ArrayList<>();
        for (AttentionKernel kernel : wanted.map(List::of).orElse(List.of(AttentionKernel.values()))) {
            boolean takesType = kernel.supports(golden.q().dtype());
            boolean takesHeads = kernel.supports(golden.q().dimension(3));
            if (takesType && !takesHeads && wanted.isPresent()) {
                verdicts.add(Verdict.skipped(
                        file,
                        kernel,
                        "the kernel does not take heads of " + golden.q().dimension(3)));
            } else if (takesType && takesHeads && (kernel.supports(device) || wanted.isPresent())) {
                verdicts.add(verify(file, golden, solution, kernel));
            } else if (wanted.isPresent()) {
                verdicts.add(Verdict.skipped(
                        file, kernel, "the kernel does not take " + golden.q().dtype()));
            }
        }
        return verdicts;
    }

    private Verdict verify(Path file, GoldenCase golden, AccuracyCheck solution, AttentionKernel kernel) {
        try {
            FlashAttention attention = attentions.computeIfAbsent(kernel, any -> FlashAttention.on(device, kernel));
            AttentionResult result = attention.forward(golden.q(), golden.k(), golden.v(), golden.options());
            List<Comparison> comparisons =
                    new ArrayList<>(solution.ofProducts(kernel.isFp8()).forward(result.output(), result.logSumExp()));
            golden.gradients()
                    .filter(any -> kernel.supportsBackward())
                    .ifPresent(expected ->
                            comparisons.addAll(solution.gradients(attention.backward(result, expected.dO()))));
            return Verdict.of(file, kernel, comparisons);
        } catch (UnsupportedOnDeviceException e) {
            return Verdict.skipped(file, kernel, Failures.message(e));
        } catch (AttentionException e) {
            return Verdict.error(file, Optional.of(kernel), Failures.message(e));
        }
    }

    /** Frees the device's memory. */
    @Override
    public void close() {
        attentions.values().forEach(FlashAttention::close);
    }
}
