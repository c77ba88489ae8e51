package org.tornadoattention.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkException;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.Function;
import org.apache.spark.api.java.function.Function0;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.device.Backend;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** One sequence on a cluster of two executors with processes and memory of their own. */
class SparkAttentionTest {

    private static final int LENGTH = 700;
    private static final AttentionShape SHAPE = new AttentionShape(2, 4, 2, LENGTH, LENGTH, 16);

    private static LocalCluster cluster;

    private static final Tensor Q = Tensor.random(DType.F32, 1, SHAPE.queryShape());
    private static final Tensor K = Tensor.random(DType.F32, 2, SHAPE.keyShape());
    private static final Tensor V = Tensor.random(DType.F32, 3, SHAPE.valueShape());
    private static final Tensor D_OUT = Tensor.random(DType.F32, 4, SHAPE.outputShape());

    @TempDir
    static Path directory;

    @BeforeAll
    static void start() throws IOException {
        Path script = directory.resolve("discover.sh");
        Files.writeString(script, "#!/bin/sh\necho '{\"name\": \"gpu\", \"addresses\": [\"0\", \"1\"]}'\n");
        assertThat(script.toFile().setExecutable(true)).isTrue();
        // Each machine has two simulated devices; an executor gets both, a task one.
        SparkConf devices = new SparkConf(false)
                .set("spark.worker.resource.gpu.amount", "2")
                .set("spark.worker.resource.gpu.discoveryScript", script.toString())
                .set("spark.executor.resource.gpu.amount", "2")
                .set("spark.task.resource.gpu.amount", "1");
        cluster = LocalCluster.of(2, devices);
    }

    @AfterAll
    static void stop() {
        cluster.close();
    }

    private static Tensor whole(JavaRDD<KeyValues> parts, Tensor like, boolean keys) {
        Tensor whole = Tensor.allocate(like.dtype(), like.shape());
        parts.collect()
                .forEach(part -> whole.copyBlock(new int[] {0, 0, part.from(), 0}, keys ? part.keys() : part.values()));
        return whole;
    }

    private static void assertRight(Function0<AttentionOptions> options, TaskDevice device, JavaRDD<KeyValues> parts)
            throws Exception {
        SequenceAttention attention = SequenceAttention.of(SHAPE, options, device);
        AttentionResult result = attention.forward(Q, parts);
        AccuracyCheck check = AccuracyCheck.of(Q, K, V, D_OUT, options.call());
        assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
        try (SequenceGradients gradients = attention.backward(Q, result, D_OUT, parts)) {
            JavaRDD<KeyValues> ofParts = gradients.keyValues();
            assertThat(check.gradients(org.tornadoattention.Gradients.of(
                            gradients.dQ(), whole(ofParts, K, true), whole(ofParts, V, false))))
                    .allMatch(Comparison::passed);
        }
    }

    private enum Options {
        NONE(AttentionOptions::defaults),
        CAUSAL(() -> AttentionOptions.causal().withSoftcap(5)),
        WINDOW(() -> AttentionOptions.defaults().withWindow(90, 3)),
        LENGTHS(() -> AttentionOptions.defaults().withKeyLengths(123, 650));

        private final Function0<AttentionOptions> make;

        Options(Function0<AttentionOptions> make) {
            this.make = make;
        }
    }

    @ParameterizedTest
    @EnumSource
    void partsOnExecutorsGiveWhatTheOracleGives(Options options) throws Exception {
        assertRight(options.make, TaskDevice.jvm(), KeyValues.parallelize(cluster.context, K, V, 5));
    }

    /** Ends the JVM that gets to this part first; the file says that one has done so. */
    private static Function<KeyValues, KeyValues> killingOnce(String marker, int from) {
        return part -> {
            if (part.from() == from) {
                try {
                    Files.write(Path.of(marker), List.of("killed"), StandardOpenOption.CREATE_NEW);
                    Runtime.getRuntime().halt(137);
                } catch (java.nio.file.FileAlreadyExistsException e) {
                    return part; // the second time
                }
            }
            return part;
        };
    }

    @Test
    void anExecutorThatIsKilledInTheMiddleLosesNothing() throws Exception {
        Path marker = directory.resolve("killed");
        int before = cluster.lost();
        // The last part of the last of six partitions: others are done, and their results are on both executors.
        JavaRDD<KeyValues> parts = KeyValues.parallelize(cluster.context, K, V, 6);
        int last = (int) (LENGTH * 6L / 12);
        assertRight(AttentionOptions::causal, TaskDevice.jvm(), parts.map(killingOnce(marker.toString(), last)));
        assertThat(marker).exists();
        assertThat(cluster.lost()).isGreaterThan(before);
    }

    @Test
    void aTaskComputesOnTheDeviceThatSparkGaveIt() throws Exception {
        TaskDevice simulated = TaskDevice.gpu(Backend.SIMULATOR);
        JavaSparkContext context = cluster.context;
        List<String> seen = context.parallelize(List.of(1, 2, 3, 4), 4)
                .map(_ -> {
                    Thread.sleep(300); // so that tasks run beside each other
                    return simulated.find().deviceIndex()
                            + " "
                            + org.apache.spark.TaskContext.get()
                                    .resourcesJMap()
                                    .get("gpu")
                                    .addresses()[0];
                })
                .collect();
        assertThat(seen).allMatch(each -> each.charAt(0) == each.charAt(2));
        AttentionShape small = new AttentionShape(1, 1, 1, 40, 40, 8);
        Tensor q = Tensor.random(DType.F32, 1, small.queryShape());
        AttentionResult result = SequenceAttention.of(small, AttentionOptions::causal, simulated)
                .withDepth(1)
                .forward(q, KeyValues.parallelize(context, q, q, 2));
        assertThat(AccuracyCheck.of(q, q, q, AttentionOptions.causal()).forward(result.output(), result.logSumExp()))
                .allMatch(Comparison::passed);
        assertThatExceptionOfType(SparkException.class)
                .isThrownBy(() -> SequenceAttention.of(
                                small, AttentionOptions::causal, TaskDevice.scheduled(Backend.SIMULATOR, "fpga"))
                        .forward(q, KeyValues.parallelize(context, q, q, 1)))
                .withMessageContaining("spark.task.resource.fpga.amount");
    }

    @Test
    void aKeyThatIsMissingOrThereTwiceIsRefused() {
        SequenceAttention attention = SequenceAttention.of(SHAPE, AttentionOptions::defaults, TaskDevice.jvm());
        JavaRDD<KeyValues> parts = KeyValues.parallelize(cluster.context, K, V, 2);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> attention.forward(Q, parts.filter(part -> part.from() != 175)))
                .withMessageContaining("each key must be in one part");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> attention.forward(Q, parts.union(parts)))
                .withMessageContaining("1,400 keys");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> SequenceAttention.of(
                        SHAPE, () -> AttentionOptions.causal().withDropout(0.1, 1), TaskDevice.jvm()))
                .withMessageContaining("dropout");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> SequenceAttention.of(
                        SHAPE,
                        () -> AttentionOptions.causal().withSinks(Tensor.allocate(DType.F32, 4)),
                        TaskDevice.jvm()))
                .withMessageContaining("sinks");
    }
}
