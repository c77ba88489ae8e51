package org.tornadoattention.spark;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.spark.api.java.function.Function;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.embeddings.TextEncoder;

/** Paragraphs of the JDK's licences, with numbers, as rows of a cluster. */
final class Corpus {

    private static final StructType SCHEMA =
            new StructType().add("id", DataTypes.IntegerType).add("text", DataTypes.StringType);

    private Corpus() {}

    static List<String> texts(int count) throws IOException {
        List<String> paragraphs = new ArrayList<>();
        try (Stream<Path> files = Files.walk(Path.of(System.getProperty("java.home"), "legal"))) {
            for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
                for (String paragraph :
                        Files.readString(file, StandardCharsets.ISO_8859_1).split("\n\\s*\n")) {
                    String line = paragraph.strip().replaceAll("\\s+", " ");
                    if (line.length() > 20 && line.length() < 1500) {
                        paragraphs.add(line);
                    }
                }
            }
        }
        return IntStream.range(0, count)
                .mapToObj(i -> i + ". " + paragraphs.get(i % paragraphs.size()))
                .toList();
    }

    static Dataset<Row> rows(LocalCluster cluster, List<String> texts, int partitions) {
        List<Row> rows = IntStream.range(0, texts.size())
                .mapToObj(i -> RowFactory.create(i, texts.get(i)))
                .toList();
        return cluster.session.createDataFrame(cluster.context.parallelize(rows, partitions), SCHEMA);
    }

    /** All-MiniLM-L6-v2 on one thread. */
    static Function<ComputeDevice, TextEncoder> encoder() {
        return device -> TextEncoder.builder()
                .modelResource("all-minilm-l6-v2.onnx")
                .tokenizerResource("all-minilm-l6-v2-tokenizer.json")
                .device(device)
                .threads(1)
                .build();
    }
}
