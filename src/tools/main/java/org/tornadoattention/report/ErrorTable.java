package org.tornadoattention.report;

import static java.util.stream.Collectors.groupingBy;
import static java.util.stream.Collectors.toList;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import org.tornadoattention.bench.BenchResult;
import org.tornadoattention.bench.ErrorFile;
import org.tornadoattention.tensor.DType;

/**
 * Root mean squared errors, a row a problem and a column a kernel. In brackets their ratio to FlashAttention-2's, which
 * is PyTorch's {@code flash}; for F32, which that does not take, to the tiled kernel's.
 */
final class ErrorTable {

    private ErrorTable() {}

    static List<List<String>> rows(List<ErrorFile> files) {
        List<ErrorFile.Result> results =
                files.stream().flatMap(file -> file.results().stream()).toList();
        List<String> names = results.stream().map(ErrorTable::name).distinct().toList();
        List<List<String>> rows = new ArrayList<>();
        List<String> head = new ArrayList<>(List.of("RMSE"));
        head.addAll(names);
        rows.add(head);
        results.stream()
                .collect(groupingBy(ErrorFile.Result::problem, LinkedHashMap::new, toList()))
                .forEach((problem, here) -> {
                    Optional<ErrorFile.Result> yardstick = here.stream()
                            .filter(result ->
                                    name(result).equals(problem.dtype() == DType.F32 ? "`tiled`" : "PyTorch flash"))
                            .findFirst();
                    List<String> row = new ArrayList<>(List.of(problem.toString()));
                    for (String name : names) {
                        row.add(here.stream()
                                .filter(result -> name(result).equals(name))
                                .findFirst()
                                .map(result -> cell(result, yardstick))
                                .orElse("–"));
                    }
                    rows.add(row);
                });
        return rows;
    }

    private static String cell(ErrorFile.Result result, Optional<ErrorFile.Result> yardstick) {
        return "%.2e".formatted(result.rmse())
                + yardstick
                        .map(other -> " (%s)".formatted(Amounts.factor(result.rmse() / other.rmse())))
                        .orElse("");
    }

    private static String name(ErrorFile.Result result) {
        return result.provider().equals(BenchResult.OURS)
                ? "`%s`".formatted(result.kernel())
                : "PyTorch " + result.kernel();
    }
}
