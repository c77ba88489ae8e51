package org.tornadoattention.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import jdk.jshell.JShell;
import jdk.jshell.Snippet;
import jdk.jshell.SnippetEvent;
import jdk.jshell.SourceCodeAnalysis.CompletionInfo;
import jdk.jshell.execution.DirectExecutionControl;
import jdk.jshell.spi.ExecutionControl;
import jdk.jshell.spi.ExecutionControlProvider;
import jdk.jshell.spi.ExecutionEnv;
import org.junit.jupiter.api.Test;
import org.tornadoattention.device.Devices;

/** The notebook's cells, one after the other, in the JDK's own shell, which the notebooks' kernel is made of. */
public class NotebookTest {

    private static final List<String> SHOWN = new ArrayList<>();

    /** What the notebook's {@code display} does here. */
    public static void show(String data, String type) {
        SHOWN.add(type + " " + data);
    }

    @Test
    void allCellsRunAndSayWhatTheTextSays() throws Exception {
        assumeThat(Devices.bestForTaskGraphs().isSimulator()).isTrue();
        JsonNode cells = new ObjectMapper()
                .readTree(Path.of("examples/Ladder.ipynb").toFile())
                .get("cells");
        List<String> values = new ArrayList<>();
        SHOWN.clear();
        try (JShell shell = JShell.builder()
                .executionEngine(new InThisProcess(), Map.of())
                .compilerOptions("-g")
                .build()) {
            shell.addToClasspath(System.getProperty("java.class.path"));
            run(
                    shell,
                    "void display(Object data, String type) {" + NotebookTest.class.getName()
                            + ".show(String.valueOf(data), type); }");
            for (JsonNode cell : cells) {
                assertThat(cell.has("outputs") && !cell.get("outputs").isEmpty())
                        .as("results are not committed")
                        .isFalse();
                if (cell.get("cell_type").asText().equals("code")) {
                    values.add(run(shell, text(cell)));
                }
            }
        }
        List<String> numbers = values.stream()
                .filter(value -> value != null && value.matches("[0-9.E-]+"))
                .toList();
        assertThat(numbers)
                .as("errors of both rungs")
                .hasSize(2)
                .allSatisfy(error -> assertThat(Double.parseDouble(error)).isBetween(1e-12, 1e-6));
        List<String> counts = values.stream()
                .filter(value -> value != null && value.startsWith("{"))
                .distinct()
                .toList();
        assertThat(counts).hasSize(2);
        assertThat(counts.get(0)).contains("elements read=132096", "barriers=0");
        assertThat(counts.get(1)).contains("elements read=3072", "barriers=4");
        assertThat(SHOWN)
                .hasSize(2)
                .allSatisfy(page -> assertThat(page)
                        .startsWith("text/html <iframe srcdoc=\"<!doctype html>")
                        .contains("&quot;kernel&quot;:&quot;attention&quot;", "&quot;sums&quot;"));
    }

    /** Runs snippets as they are; the shell's own engine for this process puts calls of its own into loops. */
    private static final class InThisProcess implements ExecutionControlProvider {

        @Override
        public String name() {
            return "in this process";
        }

        @Override
        public ExecutionControl generate(ExecutionEnv environment, Map<String, String> parameters) {
            return new DirectExecutionControl();
        }
    }

    /** The source of a cell without what is meant for the notebook's kernel alone. */
    private static String text(JsonNode cell) {
        return StreamSupport.stream(cell.get("source").spliterator(), false)
                .map(JsonNode::asText)
                .filter(line -> !line.startsWith("%"))
                .collect(Collectors.joining());
    }

    /** Runs code, and returns the value of the last snippet. */
    private static String run(JShell shell, String code) {
        String value = null;
        String rest = code;
        while (!rest.isBlank()) {
            CompletionInfo next = shell.sourceCodeAnalysis().analyzeCompletion(rest);
            for (SnippetEvent event : shell.eval(next.source())) {
                assertThat(event.exception()).as(next.source()).isNull();
                assertThat(event.status())
                        .as(next.source() + " "
                                + shell.diagnostics(event.snippet())
                                        .map(problem -> problem.getMessage(null))
                                        .toList())
                        .isIn(Snippet.Status.VALID, Snippet.Status.OVERWRITTEN);
                value = event.value();
            }
            rest = next.remaining();
        }
        return value;
    }
}
