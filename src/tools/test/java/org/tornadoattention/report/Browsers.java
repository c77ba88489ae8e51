package org.tornadoattention.report;

import static org.assertj.core.api.Assertions.assertThat;
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
import org.htmlunit.html.HtmlPage;

/** Opens pages: in a browser of Java's own, and in Chromium where that is installed. */
public final class Browsers {

    private static final List<String> NAMES = List.of("chromium", "chromium-browser", "google-chrome", "chrome");

    private Browsers() {}

    /** What is done with a page. */
    @FunctionalInterface
    public interface Visit {
        /** Does it. */
        void to(HtmlPage page) throws IOException;
    }

    /** Opens a page in a browser of Java's own, where an error of its script is an exception. */
    public static void open(String html, Visit visit) throws IOException {
        try (WebClient browser = new WebClient(BrowserVersion.CHROME)) {
            MockWebConnection connection = new MockWebConnection();
            connection.setDefaultResponse(html, "text/html", StandardCharsets.UTF_8);
            browser.setWebConnection(connection);
            browser.getOptions().setThrowExceptionOnScriptError(true);
            visit.to(browser.getPage("https://page.test/"));
        }
    }

    /**
     * Has Chromium draw a page, and checks that it is light or dark, in colours, and that nothing stands out to the
     * right.
     *
     * @param directory for files
     * @param light 1 for a reader who likes light pages, else 0
     */
    public static void draw(String html, Path directory, int width, int light)
            throws IOException, InterruptedException {
        Optional<Path> browser = installed();
        assumeTrue(
                browser.isPresent(),
                "SKIPPED: none of " + NAMES + " is on PATH, so the page was not drawn by a real browser");
        // A frame is as narrow as it is told to be; a window of Chromium's is not.
        Path page = directory.resolve("page.html");
        String measured = html.replace(
                "</body>",
                "<script>parent.postMessage([document.documentElement.scrollWidth,"
                        + " getComputedStyle(document.body).backgroundColor].join(' '), '*')</script></body>");
        Files.writeString(page, measured);
        Path frame = directory.resolve("frame.html");
        Files.writeString(
                frame,
                "<body style='margin:0'><script>onmessage = e => document.title = 'measured ' + e.data</script>"
                        + "<iframe src='page.html' style='border:0;width:%dpx;height:3000px'></iframe></body>"
                                .formatted(width));
        Path picture = directory.resolve("page.png");
        String dom = chromium(
                browser.get(),
                light,
                "--window-size=%d,3000".formatted(width),
                "--screenshot=" + picture,
                "--dump-dom",
                frame.toUri().toString());
        BufferedImage image = ImageIO.read(picture.toFile());
        int corner = image.getRGB(2, 2) & 0xff;
        assertThat(corner > 128).as("the page is light").isEqualTo(light == 1);
        assertThat(Arrays.stream(image.getRGB(0, 0, width, 2000, null, 0, width))
                        .distinct()
                        .count())
                .as("colours")
                .isGreaterThan(50);
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
                .flatMap(folder -> NAMES.stream().map(name -> Path.of(folder, name)))
                .filter(Files::isExecutable)
                .findFirst();
    }
}
