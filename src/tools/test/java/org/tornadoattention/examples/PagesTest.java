package org.tornadoattention.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tornadoattention.Snippets;

/** What the pages of {@code docs} show as Java compiles; the embeddings' is a test of their own. */
class PagesTest {

    private static final Path PAGES = Path.of("docs");

    private static final List<String> IMPORTS = List.of(
            "org.tornadoattention.*",
            "org.tornadoattention.cache.*",
            "org.tornadoattention.device.*",
            "org.tornadoattention.tensor.*",
            "uk.ac.manchester.tornado.api.*",
            "uk.ac.manchester.tornado.api.enums.*",
            "uk.ac.manchester.tornado.api.types.arrays.*");

    @TempDir
    private Path directory;

    @Test
    void functionsCompile() throws IOException {
        Snippets.compile(PAGES.resolve("functions.md"), IMPORTS, """
                static AttentionOptions options;
                static FloatArray table;
                static IntArray documents;
                static Tensor bias, sinks;
                static int n;
                """, directory);
    }

    @Test
    void tasksOfGraphsCompile() throws IOException {
        Snippets.compile(PAGES.resolve("graphs.md"), IMPORTS, """
                static int pages, kvHeads, pageSize, headDim, kvDim, pagesPerSequence, sequences;
                static FloatArray keyPool, valuePool;
                static IntArray positions, rows, blockTable, offsets;
                static Tensor q, k, v, output, logSumExp;
                static TaskGraph graph;
                static GridScheduler grids;
                static TornadoExecutionPlan plan;
                static FlashAttention attention;
                static RaggedAttention ragged;
                """, directory);
    }

    /** Beside these there are the embeddings' page, and that of Spark, which few have on their class path. */
    @Test
    void noPageIsLeftOut() throws IOException {
        try (Stream<Path> pages = Files.list(PAGES)) {
            assertThat(pages.filter(page -> page.toString().endsWith(".md")))
                    .filteredOn(page -> !Snippets.of(page).isEmpty())
                    .extracting(page -> page.getFileName().toString())
                    .containsExactlyInAnyOrder("functions.md", "graphs.md", "embeddings.md", "spark.md");
        }
    }
}
