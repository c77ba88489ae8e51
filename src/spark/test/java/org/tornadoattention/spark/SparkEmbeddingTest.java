package org.tornadoattention.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import org.apache.spark.SparkException;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.functions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.Devices;
import org.tornadoattention.embeddings.TextEncoder;

/** A corpus through all-MiniLM-L6-v2 on two executors, to Parquet; one of them is killed in the middle. */
class SparkEmbeddingTest {

    @TempDir
    Path directory;

    /** Ends the JVM that gets to this row first; the file says that one has done so. */
    private static Row killingOnce(String marker, Row row, int id) throws IOException {
        if (row.getInt(0) == id) {
            try {
                Files.write(Path.of(marker), List.of("killed"), StandardOpenOption.CREATE_NEW);
                Runtime.getRuntime().halt(137);
            } catch (FileAlreadyExistsException e) {
                return row; // the second time
            }
        }
        return row;
    }

    @Test
    void vectorsAreThoseOfOneMachineThoughAnExecutorIsKilled() throws Exception {
        List<String> texts = Corpus.texts(300);
        String marker = directory.resolve("killed").toString();
        String file = directory.resolve("vectors").toString();
        try (LocalCluster cluster = LocalCluster.of(2)) {
            CorpusEmbedding embedding =
                    CorpusEmbedding.of(Corpus.encoder(), TaskDevice.jvm()).withTextsTogether(32);
            Dataset<Row> all = Corpus.rows(cluster, texts, 4);
            // In the last of the partitions, when texts of the same one were encoded already.
            Dataset<Row> rows = cluster.session.createDataFrame(
                    all.toJavaRDD().map(row -> killingOnce(marker, row, 280)), all.schema());
            embedding.embed(rows, "text", "vector").write().parquet(file);
            assertThat(Path.of(marker)).exists();
            assertThat(cluster.lost()).isPositive();
            List<Row> read = cluster.session.read().parquet(file).orderBy("id").collectAsList();
            assertThat(read).hasSize(texts.size());
            try (TextEncoder encoder =
                    Corpus.encoder().call(Devices.find(Optional.of(Backend.JVM), Optional.empty()))) {
                float[][] expected = encoder.encode(texts);
                for (int i = 0; i < expected.length; i++) {
                    assertThat(read.get(i).getInt(0)).isEqualTo(i);
                    assertThat(read.get(i).getString(1)).isEqualTo(texts.get(i));
                    List<Float> vector = read.get(i).getList(2);
                    for (int d = 0; d < expected[i].length; d++) {
                        assertThat(Math.abs(vector.get(d) - expected[i][d])).isLessThan(1e-5f);
                    }
                }
            }
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> embedding.embed(rows, "id", "vector"))
                    .withMessageContaining("type string");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> embedding.embed(rows, "text", "id"))
                    .withMessageContaining("another name");
            Dataset<Row> without = rows.withColumn("text", functions.lit(null).cast("string"));
            assertThatExceptionOfType(SparkException.class)
                    .isThrownBy(() -> embedding.embed(without, "text", "vector").collect())
                    .withMessageContaining("has no text");
        }
    }
}
