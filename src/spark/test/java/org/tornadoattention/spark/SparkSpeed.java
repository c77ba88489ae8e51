package org.tornadoattention.spark;

import java.util.Arrays;
import java.util.List;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.storage.StorageLevel;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * The same work by one task at a time and by two executors, each a process with one core, in turns: a corpus embedded,
 * a sequence attended to, forward and backward.
 */
final class SparkSpeed {

    private static final int ROUNDS = 5;
    private static final int PARTITIONS = 4;

    private SparkSpeed() {}

    private interface Work {
        void run() throws Exception;
    }

    /** @param arguments texts (2000), tokens of the sequence (16384) */
    public static void main(String[] arguments) throws Exception {
        int count = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 2000;
        int length = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 16_384;
        AttentionShape shape = new AttentionShape(1, 4, 4, length, length, 64);
        Tensor q = Tensor.random(DType.F32, 1, shape.queryShape());
        Tensor k = Tensor.random(DType.F32, 2, shape.keyShape());
        Tensor v = Tensor.random(DType.F32, 3, shape.valueShape());
        List<String> texts = Corpus.texts(count);
        try (LocalCluster cluster = LocalCluster.of(2)) {
            JavaSparkContext context = cluster.context;
            CorpusEmbedding embedding = CorpusEmbedding.of(Corpus.encoder(), TaskDevice.jvm());
            Dataset<Row> rows = Corpus.rows(cluster, texts, PARTITIONS);
            JavaRDD<KeyValues> parts =
                    KeyValues.parallelize(context, k, v, PARTITIONS).persist(StorageLevel.MEMORY_AND_DISK());
            parts.count();
            JavaRDD<KeyValues> together = parts.coalesce(1);
            SequenceAttention attention = SequenceAttention.of(shape, AttentionOptions::causal, TaskDevice.jvm());
            AttentionResult result = attention.forward(q, parts);
            System.out.printf("%-40s %12s %12s %8s%n", "", "1 task, s", "2 executors, s", "faster");
            compare(
                    "%,d texts by all-MiniLM-L6-v2".formatted(count),
                    () -> embed(embedding, rows.coalesce(1)),
                    () -> embed(embedding, rows));
            compare(
                    "forward, 1 x 4 x %,d x 64, causal".formatted(length),
                    () -> attention.forward(q, together),
                    () -> attention.forward(q, parts));
            compare(
                    "backward",
                    () -> attention.backward(q, result, q, together).close(),
                    () -> attention.backward(q, result, q, parts).close());
            System.out.printf("medians of %d in turns, after one that warms up; wall time of the whole job%n", ROUNDS);
        }
    }

    private static void embed(CorpusEmbedding embedding, Dataset<Row> rows) {
        embedding
                .embed(rows, "text", "vector")
                .write()
                .format("noop")
                .mode("overwrite")
                .save();
    }

    private static void compare(String name, Work one, Work two) throws Exception {
        double[][] seconds = new double[2][ROUNDS];
        for (int round = -1; round < ROUNDS; round++) {
            for (int way = 0; way < 2; way++) {
                long start = System.nanoTime();
                (way == 0 ? one : two).run();
                seconds[way][Math.max(0, round)] = (System.nanoTime() - start) / 1e9;
            }
        }
        Arrays.sort(seconds[0]);
        Arrays.sort(seconds[1]);
        double alone = seconds[0][ROUNDS / 2];
        double both = seconds[1][ROUNDS / 2];
        System.out.printf("%-40s %12.2f %12.2f %7.2fx%n", name, alone, both, alone / both);
    }
}
