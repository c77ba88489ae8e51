package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.Masks;
import org.tornadoattention.Scores;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Safetensors;
import org.tornadoattention.tensor.SafetensorsWriter;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

class RunCommandTest {

    private final Tensor q = Tensor.random(DType.F32, 1, 2, 4, 20, 16);
    private final Tensor k = Tensor.random(DType.F32, 2, 2, 2, 30, 16);
    private final Tensor v = Tensor.random(DType.F32, 3, 2, 2, 30, 16);

    @TempDir
    private Path directory;

    private Path input;
    private Path output;

    @BeforeEach
    void writeInput() throws IOException {
        input = directory.resolve("in.safetensors");
        output = directory.resolve("out.safetensors");
        inputWith(new SafetensorsWriter());
    }

    private void inputWith(SafetensorsWriter more) throws IOException {
        more.tensor("q", q).tensor("k", k).tensor("v", v).writeTo(input);
    }

    @Test
    void theOutputIsWhatTheLibraryComputes() throws IOException {
        Invocation run = Invocation.of("run", input, "-o", output, "--causal", "--check");
        assertThat(run.exitCode()).isZero();
        assertThat(run.err()).isEmpty();
        assertThat(run.out()).startsWith("Running on ").contains("o F32[2, 4, 20, 16], lse F32[2, 4, 20]; kernel ");
        assertThat(run.out()).containsPattern("o: max error .* ok").containsPattern("lse: max error .* ok");
        assertOutputEquals(AttentionOptions.causal());
    }

    @Test
    void allOptionsReachTheKernel() throws IOException {
        int exitCode = Invocation.of(
                        "run", input, "-o", output, "--window", "-1,3", "--scale", "0.5", "--softcap", "20", "--alibi")
                .exitCode();
        assertThat(exitCode).isZero();
        assertOutputEquals(AttentionOptions.defaults()
                .withWindow(-1, 3)
                .withScale(0.5)
                .withSoftcap(20)
                .withAlibi(AttentionOptions.alibiSlopes(4)));
    }

    /** What commands name is what the library's ready-made masks and functions compute. */
    @Test
    void masksFunctionsBiasAndSinksComeFromTheInput() throws IOException {
        int[] ids = new int[30];
        for (int token = 0; token < ids.length; token++) {
            ids[token] = token / 9;
        }
        float[] numbers = new float[4 * 21];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = i % 13 / 6f - 1;
        }
        Tensor bias = Tensor.random(DType.F32, 5, 1, 4, 20, 30);
        Tensor sinks = Tensor.of(new float[] {1, -1, 0, 3}, 4);
        inputWith(new SafetensorsWriter()
                .ints("documents", ids, 30)
                .tensor("table", Tensor.of(numbers, 4, 21))
                .tensor("bias", bias)
                .tensor("sinks", sinks));
        Invocation run = Invocation.of(
                "run",
                input,
                "-o",
                output,
                "--causal",
                "--mask",
                "document",
                "--ids",
                "documents",
                "--score",
                "relative:10",
                "--bias",
                "--sinks",
                "--check");
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertOutputEquals(AttentionOptions.defaults()
                .withMask(Mask.causal().and(Masks.documents(IntArray.fromArray(ids))))
                .withScore(Scores.relative(FloatArray.fromArray(numbers), 10))
                .withBias(bias)
                .withSinks(sinks));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "document:9",
                "prefix:4",
                "dilated:3,2",
                "global-window:2,3,1",
                "neighbourhood:6,1",
                "block-causal:5",
                "shared-prefix:3",
                "tree:10"
            })
    void eachMaskIsWhatTheOracleComputes(String mask) throws IOException {
        int[] parents = new int[20];
        for (int token = 0; token < parents.length; token++) {
            parents[token] = (token - 1) / 2 - (token == 0 ? 1 : 0);
        }
        inputWith(
                mask.startsWith("tree")
                        ? new SafetensorsWriter().ints("ids", parents, 20)
                        : new SafetensorsWriter().ints("ids", new int[30], 30));
        Invocation run = Invocation.of("run", input, "-o", output, "--mask", mask, "--check");
        assertThat(run.exitCode()).as(run.err()).isZero();
    }

    @Test
    void whatIsNoMaskOrFunctionIsRefused() {
        assertBadUsage(Invocation.of("run", input, "-o", output, "--mask", "chess"), "there are document, prefix,");
        assertBadUsage(Invocation.of("run", input, "-o", output, "--mask", "dilated:3"), "dilated takes 2 numbers");
        assertBadUsage(Invocation.of("run", input, "-o", output, "--mask", "prefix:x"), "come whole numbers");
        assertBadUsage(Invocation.of("run", input, "-o", output, "--mask", "document"), "ids");
        assertBadUsage(Invocation.of("run", input, "-o", output, "--score", "magic"), "t5:BUCKETS,DISTANCE");
        assertBadUsage(Invocation.of("run", input, "-o", output, "--bias"), "bias");
    }

    /** Ids and tables of another size are told by name, not by an index that they lack. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--mask document --ids few | needs one id for each of 30 tokens, and --ids has 5; for documents of one length",
                "--mask document --ids square | needs one id for each of 30 tokens, and --ids has 60",
                "--mask shared-prefix:3 --ids few | needs one id for each of 30 tokens, and --ids has 5",
                "--mask tree:10 --ids few | For 20 queries and 30 keys write tree:10, with 20 ids; --ids has 5",
                "--mask tree:9 --ids parents | For 20 queries and 30 keys write tree:10, with 20 ids; --ids has 20",
                "--mask document:0 | a document has 1 token or more",
                "--ids few | --ids without a mask that has ids",
                "--mask prefix:3 --ids few | --ids without a mask that has ids",
                "--mask document:3 --ids few | --ids without a mask that has ids",
                "--table heads3 | --table without a score function that has one",
                "--score softcap:3 --table heads3 | --table without a score function that has one",
                "--score relative:2 --table heads3 | its first dimension must be the 4 query heads",
                "--score swin:4,7 --table heads3 | has no place for 30 tokens",
            })
    void idsAndTablesFitTheTensors(String options, String message) throws IOException {
        int[] parents = new int[20];
        Arrays.fill(parents, -1);
        inputWith(new SafetensorsWriter()
                .ints("few", new int[5], 5)
                .ints("square", new int[60], 2, 30)
                .ints("parents", parents, 20)
                .tensor("heads3", Tensor.random(DType.F32, 1, 3, 5)));
        Object[] arguments = Stream.concat(Stream.of("run", input, "-o", output), Stream.of(options.split(" ")))
                .toArray();
        assertBadUsage(Invocation.of(arguments), message);
    }

    @Test
    void slopesAndKeyLengthsComeFromTheInput() throws IOException {
        float[] slopes = {0.5f, 0.25f, 0.1f, 0};
        inputWith(new SafetensorsWriter()
                .tensor("alibi_slopes", Tensor.of(slopes, 4))
                .ints("key_lengths", new int[] {30, 7}, 2));
        assertThat(Invocation.of("run", input, "-o", output).exitCode()).isZero();
        assertOutputEquals(AttentionOptions.defaults().withAlibi(slopes).withKeyLengths(30, 7));

        Invocation twice = Invocation.of("run", input, "-o", output, "--force", "--alibi");
        assertThat(twice.exitCode()).isEqualTo(2);
        assertThat(twice.err()).contains("has alibi_slopes of its own");
    }

    @Test
    void theOutputSaysWhatWasComputed() throws IOException {
        Invocation.of("run", input, "-o", output, "--causal", "--kernel", "online");
        try (Safetensors file = Safetensors.open(output)) {
            assertThat(file.metadata())
                    .containsEntry("causal", "True")
                    .containsEntry("window_left", "-1")
                    .containsEntry("scale", "0.25")
                    .containsEntry("kernel", "online")
                    .containsEntry("seq_k", "30")
                    .containsKeys("device", "made_by");
        }
    }

    @Test
    void anExistingOutputIsReplacedOnlyByForce() throws IOException {
        Files.writeString(output, "precious");
        Invocation refused = Invocation.of("run", input, "-o", output);
        assertThat(refused.exitCode()).isEqualTo(2);
        assertThat(refused.err()).contains("exists: add --force");
        assertThat(output).hasContent("precious");
        assertThat(Invocation.of("run", input, "-o", output, "--force").exitCode())
                .isZero();
        assertOutputEquals(AttentionOptions.defaults());
    }

    @Test
    void theInputIsNeverOverwritten() {
        Invocation run =
                Invocation.of("run", input, "-o", directory.resolve(".").resolve("in.safetensors"), "--force");
        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains("is the input and the output");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--window 3|--window takes two numbers",
                "--window=-2,0|The window's left edge is -2",
                "--window a,b|'a' is no whole number",
                "--scale wide|'wide' is no number",
                "--softcap -1|The softcap is -1.0",
            })
    void optionsOutOfRangeAreBadUsage(String option, String message) {
        String[] parts = option.split(" ");
        Invocation run = parts.length == 1
                ? Invocation.of("run", input, "-o", output, parts[0])
                : Invocation.of("run", input, "-o", output, parts[0], parts[1]);
        assertBadUsage(run, message);
    }

    @Test
    void filesThatAreNotThereAreBadUsage() {
        assertBadUsage(Invocation.of("run", directory.resolve("none"), "-o", output), "there is no such file");
        assertBadUsage(Invocation.of("run", directory, "-o", output), "this is a directory");
        assertBadUsage(
                Invocation.of("run", input, "-o", directory.resolve("no/out.safetensors")), "there is no directory");
    }

    @Test
    void tensorsThatDoNotFitAreBadUsage() throws IOException {
        new SafetensorsWriter().tensor("k", k).tensor("v", v).writeTo(input);
        assertBadUsage(Invocation.of("run", input, "-o", output), "no such tensor; it has ['k', 'v']");
        new SafetensorsWriter().tensor("q", q).tensor("k", k).tensor("v", q).writeTo(input);
        assertBadUsage(Invocation.of("run", input, "-o", output), "they must have the same shape");
        new SafetensorsWriter()
                .ints("q", new int[1], 1)
                .tensor("k", k)
                .tensor("v", v)
                .writeTo(input);
        assertBadUsage(Invocation.of("run", input, "-o", output), "only F32, F16 and BF16 make a tensor");
        inputWith(new SafetensorsWriter().ints("key_lengths", new int[] {31, 1}, 2));
        assertBadUsage(Invocation.of("run", input, "-o", output), "k has only 30 keys");
    }

    @Test
    void aKernelThatDoesNotTakeTheTypeIsBadUsage() throws IOException {
        new SafetensorsWriter()
                .tensor("q", q.as(DType.F16))
                .tensor("k", k.as(DType.F16))
                .tensor("v", v.as(DType.F16))
                .writeTo(input);
        assertBadUsage(Invocation.of("run", input, "-o", output, "--kernel", "online"), "choose tiled");
    }

    @Test
    void anyFileThatIsNoSafetensorsFileIsBadUsage() throws IOException {
        Files.writeString(input, "q,k,v and nothing else");
        assertBadUsage(Invocation.of("run", input, "-o", output), "is this a safetensors file?");
    }

    @Test
    void withoutKeysTheOutputIsZero() throws IOException {
        Tensor none = Tensor.allocate(DType.F32, 2, 2, 0, 16);
        new SafetensorsWriter()
                .tensor("q", q)
                .tensor("k", none)
                .tensor("v", none)
                .writeTo(input);
        Invocation run = Invocation.of("run", input, "-o", output, "--check");
        assertThat(run.exitCode()).isZero();
        assertThat(run.out()).contains("nothing was launched");
        try (Safetensors file = Safetensors.open(output)) {
            assertThat(file.tensor("o").toFloatArray()).containsOnly(0);
            assertThat(file.tensor("lse").toFloatArray()).containsOnly(Float.NEGATIVE_INFINITY);
        }
    }

    private void assertBadUsage(Invocation run, String message) {
        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains(message).doesNotContain("\tat ");
        assertThat(run.err().lines()).hasSizeBetween(1, 2);
        assertThat(output).doesNotExist();
    }

    private void assertOutputEquals(AttentionOptions options) throws IOException {
        try (FlashAttention attention = FlashAttention.create();
                Safetensors file = Safetensors.open(output)) {
            AttentionResult expected = attention.forward(q, k, v, options);
            assertThat(file.tensor("o").toFloatArray())
                    .isEqualTo(expected.output().toFloatArray());
            assertThat(file.tensor("lse").toFloatArray())
                    .isEqualTo(expected.logSumExp().toFloatArray());
        }
    }
}
