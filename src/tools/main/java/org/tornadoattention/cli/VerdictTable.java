package org.tornadoattention.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import org.tornadoattention.cli.Verdict.Status;
import org.tornadoattention.reference.Comparison;

/** Verdicts as lines of text, printed one by one as they come. */
final class VerdictTable {

    private final PrintWriter out;
    private final int nameWidth;

    VerdictTable(PrintWriter out, List<Path> files) {
        this.out = out;
        this.nameWidth = files.stream()
                .mapToInt(file -> file.getFileName().toString().length() - ".safetensors".length())
                .reduce("case".length(), Math::max);
    }

    void print(Verdict verdict) {
        String errors = verdict.tensors().stream().map(VerdictTable::error).collect(Collectors.joining("  "));
        String kernel = verdict.kernel().map(known -> known.id()).orElse("-");
        out.println("%s  %-14s  %s  %s"
                .formatted(
                        pad(verdict.name()),
                        kernel,
                        verdict.message()
                                .map(message -> verdict.status().label() + ": " + message)
                                .orElse(errors),
                        verdict.message().isPresent() ? "" : verdict.status().label())
                .stripTrailing());
        if (verdict.status() == Status.FAILED) {
            verdict.tensors().stream()
                    .filter(tensor -> !tensor.passed())
                    .forEach(tensor -> out.println("    " + tensor));
        }
        out.flush();
    }

    void printSummary(List<Verdict> verdicts) {
        long cases = verdicts.stream().map(Verdict::file).distinct().count();
        long run = verdicts.stream()
                .filter(verdict -> verdict.status() != Status.SKIPPED)
                .count();
        long good = verdicts.stream()
                .filter(verdict -> verdict.status() == Status.OK)
                .count();
        long withGradients = verdicts.stream()
                .filter(verdict -> verdict.tensors().stream()
                        .anyMatch(tensor -> tensor.name().equals("dq")))
                .map(Verdict::file)
                .distinct()
                .count();
        long skipped = verdicts.size() - run;
        out.println("%d of %d checks are within tolerance (%d cases, %d with gradients)%s."
                .formatted(good, run, cases, withGradients, skipped == 0 ? "" : "; %d skipped".formatted(skipped)));
        out.flush();
    }

    private String pad(String name) {
        return name + " ".repeat(Math.max(0, nameWidth - name.length()));
    }

    private static String error(Comparison tensor) {
        return "%s %.1e of %.1e".formatted(tensor.name(), tensor.maxError(), tensor.limit());
    }
}
