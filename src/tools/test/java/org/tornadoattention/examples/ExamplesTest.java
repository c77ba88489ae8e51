package org.tornadoattention.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.io.StringWriter;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.CoveringArray;
import org.tornadoattention.JavaProcess;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.device.Devices;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.device.Platform;

/**
 * Each example compiles without a warning, runs in a JVM of its own and prints what it promises. All are compiled each
 * day; {@linkplain CoveringArray by turns}, each one day in four, they run and say what they do not take.
 */
@Execution(ExecutionMode.CONCURRENT)
class ExamplesTest {

    private static final Path EXAMPLES = Path.of("examples");

    @TempDir
    static Path classes;

    /**
     * With {@code -g}, since TornadoVM wants the names of a kernel's variables, and the simulator's messages have them.
     */
    @BeforeAll
    static void compile() throws IOException {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        StringWriter messages = new StringWriter();
        try (StandardJavaFileManager files = compiler.getStandardFileManager(null, Locale.ROOT, null)) {
            List<String> options = List.of(
                    "-g",
                    "-Xlint:all,-classfile,-path",
                    "-Werror",
                    "-proc:none",
                    "-cp",
                    System.getProperty("java.class.path"),
                    "-sourcepath",
                    EXAMPLES.toString(),
                    "-Xprefer:source",
                    "-d",
                    classes.toString());
            boolean clean = compiler.getTask(
                            messages, files, null, options, null, files.getJavaFileObjectsFromPaths(examples()))
                    .call();
            assertThat(clean).as(messages.toString()).isTrue();
        }
    }

    private static final int DAYS = 4;

    /** What has its turn today. */
    private static <T> Stream<T> inTurn(Stream<T> all) {
        return CoveringArray.<T>ofEachValue(_ -> List.of()).within(DAYS).ofTheDay(all);
    }

    @BeforeEach
    void itHasItsTurn(TestInfo test) {
        Method method = test.getTestMethod().orElseThrow();
        Stream<String> all = Stream.of(ExamplesTest.class.getDeclaredMethods())
                .filter(each -> each.isAnnotationPresent(Test.class))
                .map(Method::getName)
                .sorted();
        assumeTrue(
                !method.isAnnotationPresent(Test.class) || inTurn(all).anyMatch(method.getName()::equals),
                "SKIPPED: its turn is on another day; -Dattention.grid=full has all");
    }

    private static List<Path> examples() throws IOException {
        try (Stream<Path> files = Files.list(EXAMPLES)) {
            return files.filter(file -> file.toString().endsWith(".java"))
                    .sorted()
                    .toList();
        }
    }

    /** Whose time goes into the JVM engine's vectors, which are nothing without the second tier of compiling. */
    private static final Set<String> ON_VECTORS = Set.of("BlockSparseTimes", "YourOwnAttention");

    /** What examples printed, since several tests ask about one run. */
    private static final Map<List<String>, String> OUTPUTS = new ConcurrentHashMap<>();

    private static String outputOf(String... exampleAndArguments) {
        return OUTPUTS.computeIfAbsent(List.of(exampleAndArguments), _ -> {
            JavaProcess process = process(exampleAndArguments);
            assertThat(process.exitCode()).as(process.output()).isZero();
            return process.output();
        });
    }

    private static JavaProcess process(String... exampleAndArguments) {
        String classPath = classes + File.pathSeparator + System.getProperty("java.class.path");
        List<String> options = new ArrayList<>(List.of("-cp", classPath));
        if (ON_VECTORS.contains(exampleAndArguments[0])) {
            options.add("-XX:TieredStopAtLevel=4");
        }
        return JavaProcess.run(options, exampleAndArguments);
    }

    /** The same seed, so that a second program, which only reads the weights, writes what the first one did. */
    @Test
    void aGptWritesWithTheWeightsThatItKept() {
        String small = "--sequence 12 --batch 2 --layers 1 --width 8 --heads 2 --temperature 1 --prompt Ab -o "
                + classes.resolve("talking");
        String trained = outputOf(("TalkingGpt --steps 3 " + small).split(" "));
        assertThat(trained).contains("step    3: loss", "Trained in", "characters a second");
        String read = outputOf(("TalkingGpt --steps 0 " + small).split(" "));
        assertThat(read).doesNotContain("Trained").contains("3 steps old:");
        String written = trained.substring(trained.indexOf("old:"), trained.lastIndexOf("("));
        assertThat(written).contains("Ab");
        assertThat(read).contains(written);
    }

    @Test
    void attentionIsDividedAmongDevices() {
        assertThat(outputOf("SeveralDevices", "2", "8", "32").lines())
                .filteredOn(line -> line.matches("(forward|backward) .* heads .*"))
                .hasSize(2)
                .allMatch(line -> line.endsWith("none: the same bits"));
    }

    @Test
    void theFirstCallSaysWhatItWaitsFor() {
        assertThat(outputOf("FirstCall", "tiled").lines().filter(line -> line.contains(" problem ")))
                .hasSize(2)
                .allMatch(line -> line.matches(
                        "(first|second) problem +call [\\d.]+ s, of it the graph [\\d.]+, TornadoVM's compiler [\\d.]+,"
                                + " the driver's [\\d.]+, result right"));
    }

    @ParameterizedTest
    @CsvSource({"CallLatency 4", "LlamaDecoder 10 8 2 8 6 f16"})
    void examplesWithHalvesSayWhereTheDeviceHasNone(String commandLine) {
        assumeTrue(!Devices.bestForTaskGraphs().halfFloats(), "SKIPPED: this device has 16-bit floats");
        JavaProcess process = process(commandLine.split(" "));
        assertThat(process.exitCode()).isNotZero();
        assertThat(process.output()).contains("lacks 16-bit floats for HalfFloatArrays");
    }

    private static void assumeHalves() {
        assumeTrue(
                Devices.bestForTaskGraphs().halfFloats(),
                "SKIPPED: this device has no 16-bit floats for HalfFloatArrays");
    }

    private static Stream<Arguments> badUsages() {
        return inTurn(Stream.of(
                Arguments.of("Ladder1Naive 2 128 3", "There are 3 arguments."),
                Arguments.of("Ladder2OnlineSoftmax abc", "'abc' is no whole number."),
                Arguments.of("Ladder3LocalTiles 2 100", "multiples of 64 tokens"),
                Arguments.of("CallLatency 0", "Argument 1 is 0: it must be 1 or more."),
                Arguments.of("LlamaDecoder 2 4 2 16 24 f7", "There is no type 'f7'"),
                Arguments.of("LlamaDecoder 2 4 3", "4 query heads cannot share 3 key/value heads evenly"),
                Arguments.of("TinyEngine 2 4 3", "a multiple of its heads"),
                Arguments.of("MemoryByLength 128 two", "'two' is no whole number."),
                Arguments.of("TensorCoreMatrixProduct 300", "The size is 300: it must be a multiple of"),
                Arguments.of("TalkingGpt --sequence 1", "--sequence is 1: it must be 2 or more."),
                Arguments.of("TalkingGpt --learning-rate -1", "--learning-rate is -1.0: it must be above 0."),
                Arguments.of("TrainGpt --steps -3", "--steps is -3: it must be 1 or more."),
                Arguments.of("TrainGpt --tokens 0", "--tokens is 0: it must be 1 or more."),
                Arguments.of("TrainGpt --heads 3", "the heads divide the width"),
                Arguments.of("TrainGpt --backend vulkan", "There is no backend 'vulkan'"),
                Arguments.of("BlockSparseTimes 2048 1 8 f7", "There is no type 'f7'"),
                Arguments.of("GptStepTimes --sequences 64,0", "--sequences is 0: it must be 1 or more."),
                Arguments.of("FirstCall tiled f7", "There is no type 'f7'"),
                Arguments.of("FirstCall tile", "There is no kernel 'tile'")));
    }

    @ParameterizedTest
    @MethodSource("badUsages")
    void argumentsThatDoNotFitAreBadUsageInAFewLines(String commandLine, String message) {
        JavaProcess process = process(commandLine.split(" "));
        assertThat(process.exitCode()).as(process.output()).isEqualTo(2);
        assertThat(process.output()).contains(message).doesNotContain("\tat ");
    }

    private static Stream<String> examplesInTurn() throws IOException {
        return inTurn(examplesWithArguments().stream());
    }

    /** All but those that take none, of which the launcher knows and tells. */
    private static List<String> examplesWithArguments() throws IOException {
        List<String> names = new ArrayList<>();
        for (Path example : examples()) {
            if (!Files.readString(example).contains("void main()")) {
                names.add(example.getFileName().toString().replace(".java", ""));
            }
        }
        assertThat(names).hasSizeGreaterThan(20);
        return names;
    }

    @ParameterizedTest
    @MethodSource("examplesInTurn")
    void helpIsAnsweredWithTheUsage(String example) {
        assertThat(outputOf(example, "--help")).containsPattern("Usage: (./)?attention example " + example + " \\[");
    }

    @Test
    void helloAttentionGivesTheFirstQueryTheFirstValue() {
        assertThat(outputOf("HelloAttention"))
                .contains("output F32[1, 8, 128, 64], log-sum-exp F32[1, 8, 128]")
                .containsPattern("o\\[0] (0\\.03202\\d*), v\\[0] 0\\.03202");
    }

    @Test
    void yourOwnAttentionIsWhatTheOracleComputes() {
        assertThat(outputOf("Ladder10YourOwnAttention"))
                .contains("a table of 319 numbers a head", "25,600")
                .containsPattern("first call [\\d,]+ ms, second call [\\d,]+ ms")
                .contains("  o: max error", "  dv: max error", "is what the float64 oracle computes with it");
        assertThat(outputOf("YourOwnAttention")).contains("documents as a block mask", "a dense bias and sinks");
    }

    @Test
    void blockSparseAttentionIsDrawn() {
        assertThat(outputOf("BlockSparse"))
                .contains("+...........\n++..........\n.++.........\n.+#+........")
                .contains("density 0.222", "  o: max error");
    }

    @Test
    void blockSparseAttentionTakesTheTimeOfItsTiles() {
        assertThat(outputOf("BlockSparseTimes", "2048", "1", "8", "f16"))
                .contains("forward, F16")
                .containsPattern("100\\.0 % +\\d+\\.\\d\\d +100\\.0 %")
                .containsPattern(" 6\\.3 % +\\d+\\.\\d\\d +\\d+\\.\\d %");
    }

    @Test
    void functionsAreTimed() {
        assertThat(outputOf("FunctionTimes", "1", "1", "256", "8", "window", "dbias"))
                .contains("1 x 1 x 256 x 8, F16")
                .containsPattern("window +forward +\\d+ us, backward +\\d+ us  tiled")
                .containsPattern("dbias +forward +\\d+ us, backward +\\d+ us  tiled");
    }

    @Test
    void triangleAttentionHasTheGradientOfItsBias() {
        assertThat(outputOf("TriangleAttention"))
                .contains("q, k and v are F32[24, 2, 24, 8], the bias is F32[1, 2, 24, 24]")
                .contains("  dbias: max error", "gated: 0.49");
        assertThat(outputOf("TriangleTimes", "4", "1", "8"))
                .contains("4 rows of 1 heads x 4 x 8, F16")
                .containsPattern("forward +\\d+\\.\\d+ ms  tiled")
                .containsPattern("backward +\\d+\\.\\d+ ms  tiled");
    }

    @Test
    void chunksOverPagesAreAsRightAsPlainOnes() {
        assumeTrue(Devices.bestForTaskGraphs().halfFloats(), "SKIPPED: this device has no 16-bit floats");
        assertThat(outputOf("ChunkTimes"))
                .containsPattern("2 +16 +forward +\\d+\\.\\d")
                .containsPattern("2 +16 +views +\\d+\\.\\d")
                .containsPattern("2 +16 +one page +\\d+\\.\\d")
                .containsPattern("2 +16 +pages of 8 +\\d+\\.\\d")
                .doesNotContain("WRONG");
    }

    @Test
    void stepsOverBothLayoutsAreRight() {
        assumeTrue(Devices.bestForTaskGraphs().halfFloats(), "SKIPPED: this device has no 16-bit floats");
        assertThat(outputOf("DecodeTimes", "2x16", "1x8"))
                .containsPattern(" 2 x +16 tokens +\\d+\\.\\d us")
                .containsPattern(" 1 x +8 heads +\\d+\\.\\d us")
                .containsPattern(" 2 x +16 heads +\\d+\\.\\d us");
    }

    @Test
    void aPrefixOfAllSequencesIsComputedOnce() {
        assumeTrue(Devices.bestForTaskGraphs().halfFloats(), "SKIPPED: this device has no 16-bit floats");
        assertThat(outputOf("PrefixTimes", "3", "24", "8", "8"))
                .containsPattern(
                        "3 sequences, 24 tokens in common and 8 of their own: separate caches \\d+\\.\\d us, prefix once \\d");
    }

    @Test
    void tensorsOnTheHostGiveTheSameBitsHoweverTheyAreBrought() {
        assumeTrue(Devices.bestForTaskGraphs().halfFloats(), "SKIPPED: this device has no 16-bit floats");
        assertThat(outputOf("HostTimes", "1x2x16x16", "1x1x8x16"))
                .contains("1x2x16x16: 0 MB", "1x1x8x16: 0 MB")
                .containsPattern("Tensor.allocate +\\d+\\.\\d+ ms")
                .containsPattern("the same, output given +\\d+\\.\\d+ ms")
                .containsPattern("allocatePinned +\\d+\\.\\d+ ms");
    }

    @Test
    void composeInTaskGraphMovesTheInputAndTheOutputOnly() {
        String output = outputOf("ComposeInTaskGraph");
        assertThat(output)
                .contains("x is 32,768 bytes")
                .containsPattern("copied in: 32,[789]\\d\\d, copied out: 32,7\\d\\d")
                .containsPattern("largest difference from the same steps one by one: \\d\\.\\de(\\+00|-0[56789])");
    }

    @Test
    void memoryByLengthIsLinearForFlashAndQuadraticForStandardAttention() {
        long[][] bytes = outputOf("MemoryByLength", "128", "256", "512")
                .lines()
                .filter(line -> line.matches(" +\\d+( +[0-9,]+){4}"))
                .map(line -> Arrays.stream(line.replace(",", "").trim().split(" +"))
                        .mapToLong(Long::parseLong)
                        .toArray())
                .toArray(long[][]::new);
        assertThat(bytes).hasDimensions(3, 5);
        // A token of flash: 8 tensors of 64 elements, the log-sum-exp and two row terms, beside headers and constants.
        long token = 4 * (8 * 64 + 1 + 2);
        for (long[] row : bytes) {
            assertThat(row[1]).isBetween(row[0] * token, row[0] * token + 4096);
            // Standard attention has S, P, P again and dS beside the tensors.
            assertThat(row[3]).isBetween(4 * 4 * row[0] * row[0], 4 * 4 * row[0] * row[0] + row[0] * token + 4096);
        }
    }

    @Test
    void callLatencyChecksWhatItTimes() {
        assumeHalves();
        assertThat(outputOf("CallLatency", "4").lines().filter(line -> line.contains(" us (median of 4 calls")))
                .isNotEmpty()
                .allMatch(line -> line.endsWith("result right"));
    }

    @Test
    void soakRepeatsItsProblemsBitForBit() {
        assertThat(outputOf("Soak", "--rounds", "3")).containsPattern("\\] 12 launches, 0 wrong, 0 failed\\R$");
    }

    @Test
    void theSimulatorFindsThePlantedRace() {
        String output = outputOf("PlantedRace");
        assertThat(output).contains("With the barrier the sum is 2016.0");
        if (Platform.current().simulator()) {
            assertThat(output)
                    .contains(
                            "data race on local memory", "kernel sum (PlantedRace.java:", "partial[", "localBarrier()");
        } else {
            assertThat(output).contains("Unset TORNADOVM_HOME");
        }
    }

    @Test
    void theSimulatorFindsTheRealBugs() {
        assumeTrue(Platform.current().simulator(), "a device finds none of them");
        String output = outputOf("RealBugs");
        assertThat(output)
                .contains("data race on local memory: in kernel tileUsedTwice (RealBugs.java:")
                .contains("data race on global memory: in kernel normalization (RealBugs.java:")
                .contains("in[128], which ")
                .contains("read of an uninitialised private array: in kernel privateSums (RealBugs.java:")
                .contains("index out of bounds: in kernel lastTile (RealBugs.java:")
                .contains("NaN made of numbers: in kernel maskedRow (RealBugs.java:")
                .contains("addition without effect: in kernel sumOfHalves (RealBugs.java:")
                .contains("divergent barrier: in kernel barrierInABoundsCheck, group (1,0,0)")
                .contains("data race on local memory: in kernel staleMaximum (RealBugs.java:")
                .doesNotContain("?!");
        assertThat(output.lines().filter(line -> line.matches(" *Mended it gives \\S+, as it should\\.")))
                .hasSize(8);
    }

    @Test
    void theKernelToStepThroughAgreesWithTheOracle() {
        String output = outputOf("StepThroughKernel");
        assertThat(output).contains("1 group of 2 work-items");
        assertThat(output.lines().filter(line -> line.startsWith("query ")))
                .hasSize(3)
                .allMatch(line -> line.matches("query \\d:(  +(\\d\\.\\d{4})\\d \\(oracle +\\2\\d\\)){2}"));
    }

    private static List<String> rungs() throws IOException {
        return examples().stream()
                .map(path -> path.getFileName().toString().replace(".java", ""))
                .filter(name -> name.startsWith("Ladder"))
                .toList();
    }

    private static Stream<String> rungsInTurn() throws IOException {
        return inTurn(rungs().stream());
    }

    /** Each predicts, measures and is right; where its predicted bytes are exact, the simulator counts the same. */
    @ParameterizedTest
    @MethodSource("rungsInTurn")
    void eachRungOfTheLadderKeepsItsPromise(String rung) throws IOException {
        assumeTrue(
                !rung.contains("TensorCores") || AttentionKernel.TENSOR_CORE.supports(Devices.bestForTaskGraphs()),
                "SKIPPED: rung 5 needs tensor cores through CUDA");
        assumeTrue(
                !rung.contains("Warp") || AttentionKernel.WARP.supports(Devices.bestForTaskGraphs()),
                "SKIPPED: rung 6 needs the CUDA compiler with the warp intrinsics");
        String output = outputOf(rung);
        assertThat(output)
                .contains("predicted: ")
                .containsPattern("headDim \\d+, F(32|16), on ")
                .containsPattern("error (against float64: )?\\d\\.\\d+e-0\\d of \\d\\.\\d+e-0\\d allowed");
        assertThat(Files.readString(Path.of("docs/ladder.md"))).contains("../examples/" + rung + ".java");
        if (Platform.current().simulator() && !rung.contains("YourOwn")) {
            assertThat(output).contains("the simulator counted ");
        }
    }

    /** With the rungs that run today. */
    private static Stream<Arguments> tiles() throws IOException {
        List<String> today = rungsInTurn().toList();
        return Stream.of(
                        Arguments.of("Ladder3LocalTiles", 394240),
                        Arguments.of("Ladder4Registers", 656384),
                        Arguments.of("Ladder5TensorCores", 1016832),
                        Arguments.of("Ladder6WarpIntrinsics", 230400))
                .filter(row -> today.contains((String) row.get()[0]));
    }

    @ParameterizedTest(allowZeroInvocations = true)
    @MethodSource("tiles")
    void tilesMoveWhatWasPredicted(String rung, int bytes) {
        assumeTrue(Platform.current().simulator(), "devices do not count what kernels load and store");
        assertThat(outputOf(rung))
                .contains(String.format(Locale.ROOT, "%.3g bytes", (double) bytes))
                .contains(String.format(Locale.ROOT, "counted %,d bytes", bytes));
    }

    /** The same seed in two processes, one of which stops and goes on: the same losses, to the last bit. */
    @Test
    void trainGptGoesOnFromItsCheckpointAsIfItHadNotStopped(@TempDir Path directory) throws IOException {
        String unbroken = directory.resolve("unbroken").toString();
        String broken = directory.resolve("broken").toString();
        assertThat(train(unbroken))
                .contains(
                        "N = 16: batches of 4", "N = 32: batches of 2", "Recall in the last 10 steps", "after 6 steps");
        train(broken, "--stop-after", "3");
        assertThat(train(broken, "--resume")).contains("after 6 steps");
        assertThat(losses(broken)).hasSize(6).isEqualTo(losses(unbroken));
        assertThat(Path.of(broken, "loss.svg")).content().contains("N = 16", "N = 32", "</svg>");
    }

    private static String train(String out, String... more) {
        return outputOf(Stream.concat(
                        Stream.of(
                                ("TrainGpt --start-sequence 16 --sequence 32 --tokens 64 --steps 6 --layers 1 --width 8"
                                                + " --heads 1 --output " + out)
                                        .split(" ")),
                        Stream.of(more))
                .toArray(String[]::new));
    }

    /** Step, sequence, loss and accuracy of each step: all but the time. */
    private static List<String> losses(String directory) throws IOException {
        return Files.readAllLines(Path.of(directory, "loss.csv")).stream()
                .skip(1)
                .map(line -> line.substring(0, line.lastIndexOf(',')))
                .toList();
    }

    @Test
    void bothKindsOfAttentionGiveTheSameLosses() {
        String output = outputOf(
                "GptStepTimes", "--sequences", "24", "--tokens", "48", "--steps", "3", "--layers", "1", "--width", "8");
        assertThat(output).containsPattern("(?m)^ +24 +2 .* ([0-9.]+ +){4}\\d\\.\\de-(0[6789]|1\\d)$");
    }

    @Test
    void llamaDecoderFeedsItselfTokenByToken() {
        assertThat(outputOf("LlamaDecoder"))
                .contains("2 layers of 4/2 heads x 16, 24 tokens")
                .containsPattern("\\d tokens/s")
                .containsPattern("GB/s of weights and cache")
                .containsPattern("ms in kernels, \\d+\\.\\d GB/s")
                .containsPattern("root mean square of x after 24 tokens: 27\\.82");
    }

    @Test
    void theEngineSaysWhatTheSameModelSaysInFloat64() {
        assertThat(outputOf("TinyEngine"))
                .contains("a prompt of 21 tokens in 3 chunks, then token by token")
                .containsPattern("all 12 tokens are those of the float64 run; the largest difference of a logit is "
                        + "\\d\\.\\de-0[567]");
    }

    @Test
    void llamaDecoderTakesHalves() {
        assumeHalves();
        assertThat(outputOf("LlamaDecoder", "10", "8", "2", "8", "6", "f16"))
                .contains("10 layers of 8/2 heads x 8, 6 tokens, F16")
                .contains("root mean square of x after 6 tokens: 13.94");
    }

    @Test
    void theMatrixProductAgreesWithFloat64WhereThereAreTensorCores() {
        String output = outputOf("TensorCoreMatrixProduct");
        if (Devices.bestForTaskGraphs().extension().level().include(Intrinsics.WARP_GROUP)) {
            assertThat(output).containsPattern("256×256 on .*: largest error \\d\\.\\de-0[567], ok");
            assertThat(output).containsPattern("\\d+\\.\\d{3} ms, \\d+\\.\\d{3} TFLOP/s");
        } else {
            assertThat(output).contains("compute capability 9.0 or the simulator; here: ");
        }
    }

    @Test
    void withoutAnSdkAnExampleRunsFromItsSource() {
        assumeTrue(
                Platform.current().simulator(), "TornadoVM's arguments for the JVM do not suit Java's source launcher");
        JavaProcess process = JavaProcess.run(
                List.of(), EXAMPLES.resolve("HelloAttention.java").toString());
        assertThat(process.output()).contains("output F32[1, 8, 128, 64]");
        assertThat(process.exitCode()).isZero();
    }
}
