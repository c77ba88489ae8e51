package org.tornadoattention.spark;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tornadoattention.Snippets;

/** What the page about clusters shows as Java compiles. */
class SparkPageTest {

    @Test
    void itsSnippetsCompile(@TempDir Path directory) throws IOException {
        Snippets.compile(
                Path.of("docs/spark.md"),
                List.of(
                        "java.nio.file.Path",
                        "org.apache.spark.api.java.*",
                        "org.apache.spark.resource.*",
                        "org.apache.spark.sql.*",
                        "org.tornadoattention.*",
                        "org.tornadoattention.device.*",
                        "org.tornadoattention.embeddings.*",
                        "org.tornadoattention.spark.*",
                        "org.tornadoattention.tensor.*"),
                """
                static JavaSparkContext context;
                static SparkSession spark;
                static JavaRDD<KeyValues> keyValues;
                static Tensor q, k, v, dOut;
                static Path file, json;
                """,
                directory);
    }
}
