package org.tornadoattention.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.htmlunit.html.DomElement;
import org.htmlunit.html.DomNode;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.bench.BenchFile;
import org.tornadoattention.bench.BenchFiles;
import org.tornadoattention.bench.BenchResult;
import org.tornadoattention.bench.Memory;

/** The page in a browser of Java's own, always, and in Chromium where that is installed. */
class ReportPageTest {

    @TempDir
    private Path directory;

    private String html;

    @BeforeEach
    void makeThePage() {
        html = new ReportPage(List.of(BenchFiles.ours(), BenchFiles.pytorch())).toHtml();
    }

    @Test
    void itNeedsNoNetwork() {
        assertThat(html).doesNotContainPattern("(?i)(src|href)\\s*=").doesNotContain("@import", "url(", "fetch(");
    }

    @Test
    void itHasAllItsPartsAndTheScriptShowsTips() throws IOException {
        Browsers.open(html, page -> {
            assertThat(page.querySelectorAll("h2").stream().map(DomNode::getTextContent))
                    .contains(
                            "The ladder",
                            "Throughput against sequence length",
                            "Roofline",
                            "Memory against sequence length",
                            "Traffic of device memory as the tile grows",
                            "Time as the tile grows",
                            "Errors against float64",
                            "What the papers promise",
                            "Not measured");
            for (DomNode chart : page.querySelectorAll("figure")) {
                List<String> texts = chart.querySelectorAll("svg text").stream()
                        .map(DomNode::getTextContent)
                        .toList();
                assertThat(texts)
                        .as("both axes have a label with a unit, and ticks")
                        .hasSizeGreaterThan(6);
                assertThat(texts.stream().filter(text -> text.contains("(") || text.contains("Br")))
                        .hasSizeGreaterThanOrEqualTo(2);
                assertThat(chart.querySelectorAll(".legend li")).isNotEmpty();
            }
            DomElement mark = page.querySelector("figure .mark");
            DomElement tip = page.getHtmlElementById("tip");
            assertThat(tip.getTextContent()).isEmpty();
            mark.mouseOver();
            assertThat(tip.getTextContent()).contains("standard", "F32 32x32x512x64", "1 TFLOP/s", "of the ceiling");
            assertThat(tip.getAttribute("style")).contains("visible");
            page.getBody().mouseOver();
            assertThat(tip.getAttribute("style")).contains("hidden");
        });
    }

    @Test
    void figuresAreThoseOfTheFiles() {
        assertThat(html)
                .contains("F32 over PyTorch standard: 1.5× at 512,", "F32 over our standard: 27× at 512,")
                .contains("PyTorch flash", "tiled", "NVIDIA H200", "0123456789ab", "5.2.0-jdk25")
                .contains("cuda:0 &lt;GPU&gt; lacks room for S &amp; P: use &quot;online&quot;.")
                .contains("Problem: 8x32x2048x64.");
    }

    /** The first rung of a type stands on none: its time beside another type's would tell of bytes, not of ideas. */
    @Test
    void aRungStandsOnTheOneBelowOfItsType() throws IOException {
        Browsers.open(html, page -> {
            DomNode table = page.querySelectorAll("table").stream()
                    .filter(candidate -> candidate.getTextContent().contains("× the rung below"))
                    .findFirst()
                    .orElseThrow();
            assertThat(table.querySelectorAll("tr").stream()
                            .skip(1)
                            .map(row -> row.querySelectorAll("td").get(1).getTextContent() + " "
                                    + row.querySelectorAll("td").get(5).getTextContent()))
                    .containsExactly("F32 –", "F32 7.5×", "F32 3.6×", "F16 –");
        });
    }

    @Test
    void whatWasNotMeasuredHasNoSection() {
        String peers = new ReportPage(List.of(BenchFiles.pytorch())).toHtml();
        assertThat(peers).contains("Throughput against sequence length").doesNotContain("The ladder");
    }

    @Test
    void nothingMeasuredIsNoPage() {
        BenchFile ours = BenchFiles.ours();
        BenchFile empty = BenchFile.of("quick", true, ours.environment(), null, 0, List.of());
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new ReportPage(List.of(empty)))
                .withMessageContaining("./attention bench");
    }

    /** What a runtime allocates once is a fraction of a byte for each of many heads, and no memory of a sequence. */
    @Test
    void noAxisGoesBelowAByte() {
        BenchFile ours = BenchFiles.ours();
        List<BenchResult> results = ours.results().stream()
                .map(result ->
                        "online".equals(result.kernel()) ? with(new Memory(1L << 29, 512, null, null), result) : result)
                .toList();
        String page = new ReportPage(List.of(BenchFile.of(
                        ours.preset(),
                        ours.complete(),
                        ours.environment(),
                        ours.ceilings(),
                        ours.flushedBytes(),
                        results)))
                .toHtml();
        assertThat(page).contains("Memory against sequence length").containsPattern(">\\d+ KiB<");
        assertThat(page).doesNotContainPattern(">0(\\.\\d+)? B<");
    }

    private static BenchResult with(Memory memory, BenchResult result) {
        return new BenchResult(
                result.measured(),
                result.provider(),
                result.kernel(),
                result.tile(),
                result.status(),
                result.message(),
                result.timing(),
                memory,
                result.accuracy(),
                result.speedUp(),
                result.shareOfCeiling());
    }

    @ParameterizedTest
    @CsvSource({"1200, 1", "390, 0"})
    void aRealBrowserDrawsIt(int width, int light) throws IOException, InterruptedException {
        Browsers.draw(html, directory, width, light);
    }
}
