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
 * a sequence attended to, forward and backward. Processor time tells whether cores were there for both: on an idle
 * machine two executors compute half of it each, and no more in all than one.
 */
final class SparkSpeed {

    private static final int ROUNDS = 5;
    private static final int PARTITIONS = 4;

    /** Until executors have told what a task took. */
    private static final int TELLING_MILLISECONDS = 300;

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
            System.out.printf(
                    "%-36s %10s %15s %8s %28s%n", "", "1 task, s", "2 executors, s", "faster", "processor, s");
            compare(
                    cluster,
                    "%,d texts by all-MiniLM-L6-v2".formatted(count),
                    () -> embed(embedding, rows.coalesce(1)),
                    () -> embed(embedding, rows));
            compare(
                    cluster,
                    "forward, 1 x 4 x %,d x 64, causal".formatted(length),
                    () -> attention.forward(q, together),
                    () -> attention.forward(q, parts));
            compare(
                    cluster,
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

    private static void compare(LocalCluster cluster, String name, Work one, Work two) throws Exception {
        double[][] seconds = new double[2][ROUNDS];
        double[][] processor = new double[2][ROUNDS];
        for (int round = -1; round < ROUNDS; round++) {
            for (int way = 0; way < 2; way++) {
                long before = cluster.processorTime();
                long start = System.nanoTime();
                (way == 0 ? one : two).run();
                seconds[way][Math.max(0, round)] = (System.nanoTime() - start) / 1e9;
                Thread.sleep(TELLING_MILLISECONDS);
                processor[way][Math.max(0, round)] = (cluster.processorTime() - before) / 1e9;
            }
        }
        double alone = median(seconds[0]);
        double both = median(seconds[1]);
        System.out.printf(
                "%-36s %10.2f %15.2f %7.2fx %13.2f and %10.2f%n",
                name, alone, both, alone / both, median(processor[0]), median(processor[1]));
    }

    private static double median(double[] seconds) {
        return Arrays.stream(seconds).sorted().toArray()[seconds.length / 2];
    }
}
