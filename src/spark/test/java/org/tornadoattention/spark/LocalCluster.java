package org.tornadoattention.spark;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Collectors;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorRemoved;
import org.apache.spark.scheduler.SparkListenerTaskEnd;
import org.apache.spark.sql.SparkSession;
import scala.Tuple2;

/** A cluster on this machine, whose executors are processes of their own with one core each. */
final class LocalCluster implements AutoCloseable {

    final SparkSession session;
    final JavaSparkContext context;
    private final AtomicInteger lost = new AtomicInteger();
    private final LongAdder processorTime = new LongAdder();

    private LocalCluster(SparkSession session) {
        this.session = session;
        context = JavaSparkContext.fromSparkContext(session.sparkContext());
        context.sc().addSparkListener(new SparkListener() {
            @Override
            public void onExecutorRemoved(SparkListenerExecutorRemoved removed) {
                lost.incrementAndGet();
            }

            @Override
            public void onTaskEnd(SparkListenerTaskEnd end) {
                // A task whose executor was killed has none.
                if (end.taskMetrics() != null) {
                    processorTime.add(end.taskMetrics().executorCpuTime());
                }
            }
        });
    }

    static LocalCluster of(int executors) throws IOException {
        return of(executors, new SparkConf(false));
    }

    static LocalCluster of(int executors, SparkConf more) throws IOException {
        Path home = Path.of(System.getenv("SPARK_HOME"));
        Files.createDirectories(home.resolve("jars"));
        // The arguments of this JVM, but for its memory and what belongs to the one that runs tests.
        String arguments = ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .filter(argument -> !argument.startsWith("-Xmx") && !argument.startsWith("-Dsurefire"))
                .collect(Collectors.joining(" "));
        SparkConf conf = new SparkConf(false)
                .setMaster("local-cluster[%d,1,1536]".formatted(executors))
                .setAppName("tornado-attention")
                .set("spark.ui.enabled", "false")
                .set("spark.driver.host", "127.0.0.1")
                .set("spark.driver.bindAddress", "127.0.0.1")
                .set("spark.local.dir", home.resolve("local").toString())
                .set("spark.sql.warehouse.dir", home.resolve("warehouse").toString())
                .set("spark.executor.memory", "1536m")
                .set("spark.executorEnv.JAVA_HOME", System.getProperty("java.home"))
                .set("spark.executor.extraClassPath", classPath())
                .set("spark.executor.extraJavaOptions", arguments + " -Dtornadoattention.threads=1")
                .set("spark.sql.shuffle.partitions", "4");
        for (Tuple2<String, String> setting : more.getAll()) {
            conf.set(setting._1(), setting._2());
        }
        return new LocalCluster(SparkSession.builder().config(conf).getOrCreate());
    }

    private static String classPath() {
        String ofTests = System.getProperty("surefire.test.class.path");
        return ofTests == null ? System.getProperty("java.class.path") : ofTests;
    }

    /** Executors that ended before their time. */
    int lost() {
        return lost.get();
    }

    /** Nanoseconds that tasks' threads computed so far, by what executors told a moment ago. */
    long processorTime() {
        return processorTime.sum();
    }

    @Override
    public void close() {
        session.stop();
    }
}
