package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assumptions.assumeThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.StreamSupport;
import org.htmlunit.html.DomElement;
import org.htmlunit.html.HtmlInput;
import org.htmlunit.html.HtmlPage;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.device.Devices;
import org.tornadoattention.report.Browsers;
import org.tornadoattention.report.SoftmaxTrace;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

class TraceCommandTest {

    @TempDir
    private Path folder;

    @BeforeEach
    void onlyTheSimulatorDraws() {
        assumeThat(Devices.bestForTaskGraphs().isSimulator()).isTrue();
    }

    private String page(String kernel, int seq, int headDim) throws IOException {
        Invocation run = Invocation.of("trace", kernel, "--seq", seq, "--head-dim", headDim, "-o", folder);
        assertThat(run.exitCode()).as(run.err()).isZero();
        Path page = folder.resolve("attention.forward-attention.html");
        assertThat(run.out()).contains("Wrote " + page + ": open it in a browser.");
        return Files.readString(page);
    }

    private static void slide(HtmlPage page, String slider, int to) {
        HtmlInput input = page.getHtmlElementById(slider);
        input.setValue(String.valueOf(to));
        input.fireEvent("input");
    }

    private static String text(HtmlPage page, String id) {
        return page.getElementById(id).getTextContent();
    }

    @Test
    void slidersGoThroughPhasesStepsAndTurns() throws IOException {
        Browsers.open(page("tiled", 16, 8), page -> {
            assertThat(text(page, "title")).isEqualTo("Kernel attention, step by step");
            assertThat(text(page, "file")).isEqualTo("TiledFlashAttention.java");
            assertThat(text(page, "phase-says")).startsWith("1 of ").contains("up to the barrier in line ");
            assertThat(page.querySelectorAll("#source tr.here")).isEmpty();
            slide(page, "phase", 1);
            assertThat(text(page, "phase-says")).startsWith("2 of ");
            assertThat(text(page, "memory")).contains("queryTile", "keyValueTile");
            slide(page, "step", 1);
            slide(page, "turn", 8);
            assertThat(text(page, "turn-says")).isEqualTo("8 of 8");
            assertThat(text(page, "now")).contains("lanes read queryTile in local memory");
            DomElement here = page.querySelector("#source tr.here");
            assertThat(here.getTextContent()).contains("TileProducts.scores(");
            assertThat(page.querySelectorAll("#memory .array svg")).hasSize(1);
            assertThat(page.<DomElement>querySelector("#memory svg rect[data-tip]")
                            .getAttribute("data-tip"))
                    .contains("queryTile[", "work-item ", "bank ");
            page.getElementById("on").click();
            assertThat(text(page, "step-says")).startsWith("2 of ");
            assertThat(page.querySelectorAll("#phase-table tr.here")).hasSize(1);
            assertThat(page.<DomElement>querySelector("#phase-table tr.here").getAttribute("data-step"))
                    .isEqualTo("2");
            assertThat(text(page, "values"))
                    .contains("The online softmax grows, tile by tile", "rowMax", "rowSum", "oLeft…", "oRight…");
        });
    }

    @Test
    void uncoalescedReadsAreMarkedInTheSource() throws IOException {
        Browsers.open(page("online", 32, 16), page -> {
            assertThat(text(page, "about")).contains("1 group of 64 work-items");
            DomElement mark = page.querySelector("#source td[data-tip]");
            assertThat(mark.getAttribute("data-tip")).contains("uncoalesced: query");
            mark.mouseOver();
            assertThat(text(page, "tip")).contains("sectors where 4 would do");
        });
    }

    /** The m and l that the page draws are those of the oracle. */
    @Test
    void theLastValuesAreTheOracles() throws IOException {
        String html = page("online", 32, 16);
        int from = html.indexOf("const trace = ") + "const trace = ".length();
        JsonNode values = new ObjectMapper()
                .readTree(html.substring(from, html.indexOf(";\n", from)))
                .get("groups")
                .get(0)
                .get("values");
        Tensor q = Tensor.random(DType.F32, 1, 1, 1, 32, 16);
        Tensor k = Tensor.random(DType.F32, 2, 1, 1, 32, 16);
        for (int query : List.of(0, 7, 31)) {
            JsonNode item = values.get(query);
            List<JsonNode> moments = StreamSupport.stream(item.get("moments").spliterator(), false)
                    .filter(moment -> !Double.isNaN(value(item, moment, "max")))
                    .toList();
            assertThat(moments).as("one for each key").hasSize(32);
            SoftmaxTrace expected = SoftmaxTrace.of(q, k, AttentionOptions.defaults(), query, 1);
            for (int key : List.of(0, 1, 31)) {
                SoftmaxTrace.Step step = expected.steps().get(key);
                assertThat(value(item, moments.get(key), "max")).isCloseTo(step.max(), within(2e-3));
                assertThat(value(item, moments.get(key), "sum")).isCloseTo(step.sum(), within(2e-2));
            }
        }
    }

    private static double value(JsonNode item, JsonNode moment, String name) {
        for (int i = 0; i < item.get("names").size(); i++) {
            if (item.get("names").get(i).asText().equals(name)) {
                return moment.get(2 + i).isNull()
                        ? Double.NaN
                        : moment.get(2 + i).asDouble();
            }
        }
        throw new AssertionError("no variable " + name);
    }

    @Test
    void tensorCoresGetHalves() throws IOException {
        assertThat(page("warp", 64, 16)).contains("WarpFlashAttention.java");
    }

    @ParameterizedTest
    @CsvSource({"1200, 1", "390, 0"})
    void aRealBrowserDrawsIt(int width, int light) throws IOException, InterruptedException {
        Browsers.draw(page("tiled", 16, 8), folder, width, light);
    }

    @Test
    void whatCannotBeDrawnIsRefused() {
        assertThat(Invocation.of("trace").exitCode()).isEqualTo(2);
        Invocation unknown = Invocation.of("trace", "voodoo");
        assertThat(unknown.exitCode()).isEqualTo(2);
        assertThat(unknown.err()).contains("voodoo", "tiled");
        Invocation jvm = Invocation.of("trace", "vector");
        assertThat(jvm.exitCode()).isNotZero();
        assertThat(jvm.err()).contains("vector");
    }
}
