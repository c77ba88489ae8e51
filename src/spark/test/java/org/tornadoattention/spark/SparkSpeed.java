package org.tornadoattention.spark;

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

/** One executor and two, each a process with one core: a corpus embedded, a sequence attended to, forward and backward. */
final class SparkSpeed {

    private static final int ROUNDS = 3;
    private static final int PARTITIONS = 4;

    private SparkSpeed() {}

    private interface Work {
        void run() throws Exception;
    }

    /** @param arguments texts (2000), tokens of the sequence (16384) */
    public static void main(String[] arguments) throws Exception {
        int texts = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 2000;
        int length = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 16_384;
        double[][] seconds = {measured(1, texts, length), measured(2, texts, length)};
        String[] names = {
            "%,d texts by all-MiniLM-L6-v2".formatted(texts),
            "forward, 1 x 4 x %,d x 64, causal".formatted(length),
            "backward"
        };
        System.out.printf("%-40s %14s %14s %8s%n", "", "1 executor, s", "2 executors, s", "faster");
        for (int i = 0; i < names.length; i++) {
            System.out.printf(
                    "%-40s %14.2f %14.2f %7.2fx%n",
                    names[i], seconds[0][i], seconds[1][i], seconds[0][i] / seconds[1][i]);
        }
        System.out.printf(
                "best of %d, after one that warms up; %d partitions; wall time of the whole job%n", ROUNDS, PARTITIONS);
    }

    private static double[] measured(int executors, int count, int length) throws Exception {
        AttentionShape shape = new AttentionShape(1, 4, 4, length, length, 64);
        Tensor q = Tensor.random(DType.F32, 1, shape.queryShape());
        Tensor k = Tensor.random(DType.F32, 2, shape.keyShape());
        Tensor v = Tensor.random(DType.F32, 3, shape.valueShape());
        List<String> texts = Corpus.texts(count);
        try (LocalCluster cluster = LocalCluster.of(executors)) {
            JavaSparkContext context = cluster.context;
            CorpusEmbedding embedding = CorpusEmbedding.of(Corpus.encoder(), TaskDevice.jvm());
            Dataset<Row> vectors = embedding.embed(Corpus.rows(cluster, texts, PARTITIONS), "text", "vector");
            JavaRDD<KeyValues> parts =
                    KeyValues.parallelize(context, k, v, PARTITIONS).persist(StorageLevel.MEMORY_AND_DISK());
            parts.count();
            SequenceAttention attention = SequenceAttention.of(shape, AttentionOptions::causal, TaskDevice.jvm());
            AttentionResult result = attention.forward(q, parts);
            return new double[] {
                best(() -> vectors.write().format("noop").mode("overwrite").save()),
                best(() -> attention.forward(q, parts)),
                best(() -> attention.backward(q, result, q, parts).close())
            };
        }
    }

    private static double best(Work work) throws Exception {
        double best = Double.POSITIVE_INFINITY;
        for (int round = 0; round <= ROUNDS; round++) {
            long start = System.nanoTime();
            work.run();
            double seconds = (System.nanoTime() - start) / 1e9;
            best = round == 0 ? best : Math.min(best, seconds);
        }
        return best;
    }
}
