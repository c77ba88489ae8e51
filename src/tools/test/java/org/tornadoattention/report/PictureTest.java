package org.tornadoattention.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.tornadoattention.bench.BenchFile;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;

/** The picture of the README, from the committed results. */
class PictureTest {

    private static List<BenchFile> results() throws IOException {
        return List.of(
                BenchFile.read(Path.of("docs/results/h100-paper.json")),
                BenchFile.read(Path.of("docs/results/h100-pytorch.json")));
    }

    private static List<Element> elements(Document document, String name, String kind) {
        NodeList nodes = document.getElementsByTagName(name);
        return IntStream.range(0, nodes.getLength())
                .mapToObj(i -> (Element) nodes.item(i))
                .filter(element -> element.getAttribute("class").equals(kind))
                .toList();
    }

    @Test
    void itHasTheChartsAskedForWithOneLegend() throws Exception {
        String svg = new Picture(results(), title -> title.startsWith("Forward, F16, headDim 128")).toSvg();
        Document document =
                DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(new InputSource(new StringReader(svg)));
        assertThat(elements(document, "text", "heading"))
                .extracting(Element::getTextContent)
                .containsExactly("Forward, F16, headDim 128", "Forward, F16, headDim 128, causal");
        // Six lengths of three kernels on each chart.
        assertThat(elements(document, "path", "mark")).hasSize(2 * 3 * 6);
        assertThat(svg).containsOnlyOnce(">warp-group</text>").containsOnlyOnce(">PyTorch cudnn</text>");
    }

    @Test
    void aTitleThatNoChartHasIsRefusedWithThoseThereAre() throws IOException {
        List<BenchFile> results = results();
        assertThatIOException()
                .isThrownBy(() -> new Picture(results, title -> title.startsWith("Sideways")))
                .withMessageContaining("Forward, F16, headDim 128, causal");
    }
}
