package org.tornadoattention.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.awt.image.BufferedImage;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import javax.imageio.ImageIO;
import org.htmlunit.BrowserVersion;
import org.htmlunit.MockWebConnection;
import org.htmlunit.WebClient;
import org.htmlunit.html.DomElement;
import org.htmlunit.html.DomNode;
import org.htmlunit.html.HtmlPage;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.bench.BenchFile;
import org.tornadoattention.bench.BenchFiles;

/** The page in a browser of Java's own, always, and in Chromium where that is installed. */
class ReportPageTest {

    private static final List<String> BROWSERS = List.of("chromium", "chromium-browser", "google-chrome", "chrome");

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
        try (WebClient browser = new WebClient(BrowserVersion.CHROME)) {
            browser.setWebConnection(page());
            browser.getOptions().setThrowExceptionOnScriptError(true);
            HtmlPage page = browser.getPage("https://report.test/");
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
        }
    }

    private MockWebConnection page() {
        MockWebConnection connection = new MockWebConnection();
        connection.setDefaultResponse(html, "text/html", StandardCharsets.UTF_8);
        return connection;
    }

    @Test
    void figuresAreThoseOfTheFiles() {
        assertThat(html)
                .contains("F32 over PyTorch standard: 1.5× at 512,", "F32 over our standard: 27× at 512,")
                .contains("PyTorch flash", "tiled", "NVIDIA H200", "0123456789ab", "5.2.0-jdk25")
                .contains("cuda:0 &lt;GPU&gt; lacks room for S &amp; P: use &quot;online&quot;.")
                .contains("Problem: F32 8x32x2048x64.");
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

    /** A picture is taken, and the page itself says whether something stands out to the right. */
    @ParameterizedTest
    @CsvSource({"1200, 1", "390, 0"})
    void aRealBrowserDrawsIt(int width, int light) throws IOException, InterruptedException {
        Optional<Path> browser = installed();
        assumeTrue(
                browser.isPresent(),
                "SKIPPED: none of " + BROWSERS + " is on PATH, so the report was not drawn by a real browser");
        // A frame is as narrow as it is told to be; a window of Chromium's is not.
        Path page = directory.resolve("report.html");
        String measured = html.replace(
                "</body>",
                "<script>parent.postMessage([document.documentElement.scrollWidth,"
                        + " getComputedStyle(document.body).backgroundColor].join(' '), '*')</script></body>");
        Files.writeString(page, measured);
        Path frame = directory.resolve("frame.html");
        Files.writeString(
                frame,
                "<body style='margin:0'><script>onmessage = e => document.title = 'measured ' + e.data</script>"
                        + "<iframe src='report.html' style='border:0;width:%dpx;height:3000px'></iframe></body>"
                                .formatted(width));
        Path picture = directory.resolve("report.png");
        chromium(
                browser.get(),
                light,
                "--window-size=%d,3000".formatted(width),
                "--screenshot=" + picture,
                frame.toUri().toString());
        BufferedImage image = ImageIO.read(picture.toFile());
        int corner = image.getRGB(2, 2) & 0xff;
        assertThat(corner > 128).as("the page is light").isEqualTo(light == 1);
        assertThat(Arrays.stream(image.getRGB(0, 0, width, 2000, null, 0, width))
                        .distinct()
                        .count())
                .as("colours")
                .isGreaterThan(50);

        String dom = chromium(browser.get(), light, "--dump-dom", frame.toUri().toString());
        assertThat(dom).containsPattern("<title>measured " + width + " rgb");
    }

    private static String chromium(Path browser, int light, String... arguments)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                browser.toString(),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--virtual-time-budget=2000",
                "--blink-settings=preferredColorScheme=" + light));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(2, TimeUnit.MINUTES)).isTrue();
        return output;
    }

    private static Optional<Path> installed() {
        return Arrays.stream(System.getenv("PATH").split(File.pathSeparator))
                .flatMap(folder -> BROWSERS.stream().map(name -> Path.of(folder, name)))
                .filter(Files::isExecutable)
                .findFirst();
    }
}
