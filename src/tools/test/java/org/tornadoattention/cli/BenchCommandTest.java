package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assumptions.assumeThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.JavaProcess;
import org.tornadoattention.TestDevice;
import org.tornadoattention.bench.BenchFile;
import org.tornadoattention.bench.BenchFiles;
import org.tornadoattention.bench.Ceilings;
import org.tornadoattention.bench.MadeUpPeer;

class BenchCommandTest {

    private static final Object[] SMALL = {
        "bench",
        "--heads",
        "2",
        "--seq",
        "64,70",
        "--head-dim",
        "16",
        "--repeat",
        "3",
        "--warm-up",
        "0",
        "--backend",
        TestDevice.get().backend().id()
    };

    @TempDir
    private Path directory;

    private static Invocation small(Object... more) {
        Object[] all = Arrays.copyOf(SMALL, SMALL.length + more.length);
        System.arraycopy(more, 0, all, SMALL.length, more.length);
        return Invocation.of(all);
    }

    @Test
    void theTableHasEachKernelOnEachProblemAndItsFactorOverStandard() {
        Invocation run = small();
        assertThat(run.exitCode()).as(run.out() + run.err()).isZero();
        assertThat(run.out()).contains("Ceilings, the fastest of this run: copy ", "× standard", "of ceiling");
        for (String problem : List.of("F32 1x2x64x16 ", "F32 1x2x70x16 ")) {
            List<String> rows =
                    run.out().lines().filter(line -> line.startsWith(problem)).toList();
            assertThat(rows).hasSize(3);
            assertThat(rows.get(0)).contains(" standard ", " 1.00× ");
            assertThat(rows).allMatch(row -> row.matches(".* ms ±.*|.* µs ±.*"));
        }
    }

    @Test
    void peersAreAskedInTurnsAndSetBeside() throws IOException {
        Path json = directory.resolve("ours.json");
        Path theirs = directory.resolve("theirs.json");
        Path seconds = directory.resolve("seconds.json");
        Invocation run = small(
                "--kernel",
                "online",
                "--rounds",
                "2",
                "--beside",
                MadeUpPeer.command("well"),
                "--beside-output",
                theirs,
                "--beside",
                MadeUpPeer.command("slowly"),
                "--beside-output",
                seconds,
                "-o",
                json);
        assertThat(run.exitCode()).as(run.out() + run.err()).isZero();
        assertThat(run.out()).contains("Beside a device, Made up 1.0", "made-up fast", "× the time");
        assertThat(BenchFile.read(json).results())
                .hasSize(2)
                .allMatch(result -> result.kernel().equals("online"));
        assertThat(BenchFile.read(json).compared()).hasSize(4);
        // Asked four times: 1 and 2 ms for the first problem, 3 and 4 for the second.
        assertThat(BenchFile.read(theirs).results())
                .extracting(result -> result.timing().kernelMilliseconds())
                .containsExactly(1.0, 3.0);
        assertThat(BenchFile.read(theirs).complete()).isTrue();
        assertThat(BenchFile.read(seconds).results())
                .extracting(result -> result.timing().kernelMilliseconds())
                .containsExactly(1000.0, 3000.0);
    }

    @Test
    void turnsThatCannotBeTakenAreRefused() {
        assertThat(small("--rounds", "0").err()).contains("--rounds is 0: it must be 1 or more");
        assertThat(Invocation.of("bench", "--from", "x.json", "--rounds", "2").err())
                .contains("--from measures nothing");
        assertThat(small("--beside-output", directory.resolve("x.json")).err())
                .contains("holds the results of one --beside: there are 1 and 0");
        assertThat(small("--window", "16").err()).contains("with a causal mask");
    }

    @Test
    void aWindowIsMeasuredAndNamed() {
        Invocation run = small("--causal", "--window", "16", "--kernel", "tiled", "--direction", "forward,backward");
        assertThat(run.exitCode()).as(run.out() + run.err()).isZero();
        assertThat(run.out()).contains("F32 1x2x70x16 causal window 16 ", "F32 1x2x70x16 causal window 16 backward");
    }

    @Test
    void filesHoldWhatTheTableShows() throws IOException {
        Path json = directory.resolve("r.json");
        Path csv = directory.resolve("r.csv");
        Path markdown = directory.resolve("r.md");
        Invocation run = small("-o", json, "-o", csv, "-o", markdown, "--json");
        assertThat(run.exitCode()).as(run.err()).isZero();
        BenchFile file = BenchFile.read(json);
        assertThat(new ObjectMapper().readTree(run.out())).isEqualTo(new ObjectMapper().readTree(json.toFile()));
        assertThat(file.complete()).isTrue();
        assertThat(file.results())
                .hasSize(6)
                .allMatch(result -> result.accuracy().passed());
        JsonNode environment = new ObjectMapper().readTree(run.out()).get("environment");
        assertThat(environment.get("device").asText()).isNotEmpty();
        assertThat(environment.get("runtime").asText()).isNotEmpty();
        assertThat(environment.get("java").asText()).contains(Runtime.version().toString());
        assertThat(environment.get("commit").asText()).matches("[0-9a-f]{12}(\\+changes)?");

        List<String> lines = Files.readAllLines(csv);
        assertThat(lines).hasSize(7);
        int columns = lines.getFirst().split(",", -1).length;
        assertThat(lines).allMatch(line -> line.replaceAll("\"[^\"]*\"", "").split(",", -1).length == columns);
        assertThat(Files.readString(markdown).lines().filter(line -> line.startsWith("| F32 ")))
                .hasSize(6);
    }

    @Test
    void theJvmEngineIsMeasuredByItsCallsForwardAndBackward() {
        for (String pass : List.of("forward", "backward", "forward-backward")) {
            Invocation run = Invocation.of(
                    "bench",
                    "--backend",
                    "jvm",
                    "--heads",
                    "2",
                    "--seq",
                    "70",
                    "--head-dim",
                    "16",
                    "--repeat",
                    "3",
                    "--warm-up",
                    "0",
                    "--pass",
                    pass);
            assertThat(run.exitCode()).as(run.out() + run.err()).isZero();
            assertThat(run.out()).startsWith("Running on the JVM's vector units");
            assertThat(run.out().lines().filter(line -> line.startsWith("F32 1x2x70x16 ")))
                    .singleElement()
                    .satisfies(row -> assertThat(row).contains(" vector ").matches(".* ms ±.*|.* µs ±.*"));
        }
    }

    @Test
    void aPresetCanBeListedAndCutDown() {
        Invocation list =
                Invocation.of("bench", "-p", "paper", "--list", "--head-dim", "128", "--type", "f16", "--causal");
        assertThat(list.exitCode()).isZero();
        assertThat(list.out().lines())
                .hasSize(12)
                .allMatch(line -> line.matches("F16 \\d+x16x\\d+x128 causal( backward)?"));
        Invocation nothing = Invocation.of("bench", "-p", "paper", "--list", "--seq", "3");
        assertThat(nothing.exitCode()).isEqualTo(2);
        assertThat(nothing.err()).contains("./attention bench --preset paper --list");
    }

    @Test
    void mistakesAreFoundBeforeTheWork() {
        assertThat(small("-o", "results.txt").err()).contains("use .json, .csv or .md");
        assertThat(Invocation.of("bench", "--tile", "64").err()).contains("such as 64x32");
        assertThat(Invocation.of("bench", "--tile", "64x32", "--kernel", "online")
                        .err())
                .contains("--tile names tiles", "add --kernel tiled");
        assertThat(Invocation.of("bench", "--json", "--csv").exitCode()).isEqualTo(2);
        assertThat(Invocation.of("bench", "--compare", directory.resolve("none.json"))
                        .exitCode())
                .isEqualTo(2);
        assertThat(Invocation.of("bench", "-p", "quik").err()).contains("choose one of quick, paper");
    }

    @Test
    void resultsOfFilesAreSetBesideThePeers() throws IOException {
        Path ours = directory.resolve("ours.json");
        Path peers = directory.resolve("peers.json");
        Files.writeString(ours, BenchFiles.ours().toJson());
        Files.writeString(peers, BenchFiles.pytorch().toJson());
        Invocation run = Invocation.of("bench", "--from", ours, "--compare", peers);
        assertThat(run.exitCode()).isZero();
        assertThat(run.out()).contains("Beside NVIDIA H200, PyTorch 2.11.0 (cuda), driver 580.159.04");
        assertThat(run.out())
                .containsPattern("our fastest +throughput +pytorch standard +pytorch mem-efficient +pytorch flash");
        assertThat(run.out())
                .containsPattern("F32 32x32x512x64 +tiled 64x32 +27\\.0 TFLOP/s +18\\.0 TFLOP/s, 0\\.67× the time");
        assertThat(run.out()).contains("not here: cuda:0 <GPU> lacks room", "too noisy to quote");
        assertThat(Invocation.of("bench", "--from", ours, "--compare", peers, "--markdown")
                        .out())
                .contains("| problem | our fastest | throughput | pytorch standard |");
    }

    /** Ratios and peers stay when the results leave the table. */
    @Test
    void csvAndJsonKeepThePeersAndTheRatios() throws IOException {
        Path ours = directory.resolve("ours.json");
        Path peers = directory.resolve("peers.json");
        Path json = directory.resolve("all.json");
        Files.writeString(ours, BenchFiles.ours().toJson());
        Files.writeString(peers, BenchFiles.pytorch().toJson());
        Invocation csv = Invocation.of("bench", "--from", ours, "--compare", peers, "--csv", "-o", json);
        assertThat(csv.exitCode()).isZero();
        List<String[]> rows = csv.out().lines().map(line -> line.split(",", -1)).toList();
        int ratio = List.of(rows.getFirst()).indexOf("timeRatio");
        List<String[]> pytorch =
                rows.stream().filter(row -> row[0].equals("pytorch")).toList();
        assertThat(pytorch).hasSize(9);
        // 32 heads of 512, F32: ours at 27 TFLOP/s, theirs at 18, so ours takes 18/27 of the time
        assertThat(Double.parseDouble(pytorch.getFirst()[ratio])).isCloseTo(18.0 / 27, within(1e-9));
        assertThat(rows.stream().filter(row -> row[0].equals("tornado-attention")))
                .allMatch(row -> row[ratio].isEmpty());

        BenchFile kept = BenchFile.read(json);
        assertThat(kept.results()).isEqualTo(BenchFiles.ours().results());
        assertThat(kept.compared()).hasSize(9).allSatisfy(other -> {
            assertThat(other.result().provider()).isEqualTo("pytorch");
            assertThat(other.environment().runtime()).isEqualTo("PyTorch 2.11.0");
        });
        assertThat(kept.compared().getFirst().timeRatio()).isCloseTo(18.0 / 27, within(1e-9));
        assertThat(kept.compared().getFirst().kernel()).isEqualTo("tiled 64x32");
        Invocation again = Invocation.of("bench", "--from", ours, "--compare", ours, "--json");
        assertThat(new ObjectMapper().readTree(again.out()).get("compared"))
                .isNotEmpty()
                .allMatch(other -> other.get("timeRatio").asDouble() == 1);
    }

    @Test
    void ratiosBetweenDevicesComeWithAWarning() throws IOException {
        Path ours = directory.resolve("ours.json");
        Path peers = directory.resolve("peers.json");
        Files.writeString(ours, BenchFiles.ours().toJson().replace("NVIDIA H200", "NVIDIA H100 80GB HBM3"));
        Files.writeString(peers, BenchFiles.pytorch().toJson());
        assertThat(Invocation.of("bench", "--from", ours, "--compare", peers, "--json")
                        .err())
                .contains("Warning: these results are of NVIDIA H100 80GB HBM3 and the others of NVIDIA H200");
        assertThat(Invocation.of("bench", "--from", peers, "--compare", peers).err())
                .isEmpty();
    }

    @Test
    void ceilingsAreRaisedToWhatWasReached() throws IOException {
        Path ours = directory.resolve("ours.json");
        BenchFile file = BenchFiles.ours();
        Ceilings low = new Ceilings(4e12, 20e12, 600e12);
        Files.writeString(
                ours,
                BenchFile.of("paper", true, file.environment(), low, 0, file.results())
                        .toJson());
        // 27 of 20 TFLOP/s
        assertThat(Invocation.of("bench", "--from", ours).out()).contains("F32 multiply-adds 27", "100.0%");
        assertThat(BenchFile.read(ours).results())
                .allMatch(result -> result.timing() == null || result.shareOfCeiling() <= 1);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "no JSON|this is no JSON of results|it begins with 'no JSON'",
                "<html>|this is no JSON of results|it begins with '<html>'",
                "[]|this is no JSON object|'./attention bench -o FILE.json'",
                "{}|does not say its format|'./attention bench -o FILE.json'",
                "{\"format\":\"x/2\"}|of the format 'x/2'|tornado-attention-bench/1",
                "{\"format\":\"tornado-attention-bench/1\"}|'environment' is missing|",
            })
    void aFileThatIsNoResultsSaysItsNameAndWhatItIs(String text, String what, String more) throws IOException {
        Path file = Files.writeString(directory.resolve("other.json"), text);
        for (Object[] command : List.<Object[]>of(
                new Object[] {"report", file, "-o", directory.resolve("r.html")},
                new Object[] {"bench", "--from", file},
                new Object[] {"bench", "--from", file, "--compare", file})) {
            Invocation run = Invocation.of(command);
            assertThat(run.exitCode()).isEqualTo(2);
            assertThat(run.err())
                    .contains(file.toString(), what, more == null ? "" : more)
                    .doesNotContain("\tat ", "Exception");
        }
    }

    @Test
    void aBinaryFileIsNamedToo() throws IOException {
        Path file = Files.write(directory.resolve("w.safetensors"), new byte[] {0, 0, 0, -1, -2, 4});
        assertThat(Invocation.of("report", file).err()).contains(file + ": this is no text in UTF-8");
        assertThat(Invocation.of("bench", "--from", directory).err()).contains("this is a directory");
        assertThat(Invocation.of("report", directory.resolve("none")).err()).contains("there is no such file");
    }

    /** The second run is the first with one quotable time 10 % longer. */
    @Test
    void twoRunsAreSetBesideEachOther() throws IOException {
        Path first = directory.resolve("first.json");
        Path second = directory.resolve("second.json");
        BenchFile ours = BenchFiles.ours();
        Files.writeString(first, ours.toJson());
        Invocation same = Invocation.of("bench", "--from", first, "--compare", first);
        assertThat(same.exitCode()).isZero();
        assertThat(same.out())
                .contains("Beside the run of 2026-11-22T10:00:00Z", "+0.0%", "the largest change of those is 0.0 %.");
        String slower = ours.toJson();
        double tiled = ours.results().get(2).timing().kernelMilliseconds();
        slower = slower.replaceFirst("\"kernelMilliseconds\" ?: ?" + tiled, "\"kernelMilliseconds\":" + 1.1 * tiled);
        Files.writeString(second, slower);
        Invocation apart = Invocation.of("bench", "--from", second, "--compare", first);
        assertThat(apart.out())
                .containsPattern("F32 32x32x512x64 +tiled 64x32 .* \\+10\\.0% +no\\n")
                .contains("the largest change of those is 10.0 %.");
        assertThat(apart.exitCode()).isEqualTo(1);
    }

    /** Standard attention in one part gives the speed-ups of the other. */
    @Test
    void partsOfAPresetBecomeOneFile() throws IOException {
        BenchFile ours = BenchFiles.ours();
        Path standard = part(ours, "standard.json", true);
        Path others = part(ours, "others.json", false);
        Path all = directory.resolve("all.json");
        assertThat(BenchFile.read(others).results()).allMatch(result -> result.speedUp() == null);
        assertThat(Invocation.of("bench", "--from", standard, "--from", others, "-o", all)
                        .exitCode())
                .isZero();
        BenchFile joined = BenchFile.read(all);
        assertThat(joined.results()).hasSameElementsAs(ours.results());
        assertThat(joined.preset()).isEqualTo("paper");
        Path peers = directory.resolve("peers.json");
        Files.writeString(peers, BenchFiles.pytorch().toJson());
        assertThat(Invocation.of("bench", "--from", standard, "--from", peers).err())
                .contains("are not one run: join those of one device");
    }

    private Path part(BenchFile file, String name, boolean standard) throws IOException {
        Path path = directory.resolve(name);
        BenchFile part = BenchFile.of(
                file.preset(),
                true,
                file.environment(),
                file.ceilings(),
                file.flushedBytes(),
                file.results().stream()
                        .filter(result -> result.isStandard() == standard)
                        .toList());
        Files.writeString(path, part.toJson());
        return path;
    }

    @Test
    void slowKernelsCanBeLeftOut() {
        Invocation run = Invocation.of(
                "bench",
                "--heads",
                1,
                "--seq",
                "16,64",
                "--kernel",
                "standard,online",
                "--at-most",
                "1e-9",
                "--warm-up",
                0,
                "--repeat",
                1);
        assertThat(run.out().lines().filter(line -> line.contains("left out: an execution would take about")))
                .hasSize(2);
        assertThat(Invocation.of("verify", "src/library/test/resources/goldens", "--kernel", "tiled,online")
                        .err())
                .contains("only bench and accuracy measure several");
    }

    /** The process gets the terminal's signal, and what it had measured is in its file. */
    @Test
    @DisabledOnOs(OS.WINDOWS)
    void controlCLeavesWhatWasMeasured() throws Exception {
        Path json = directory.resolve("interrupted.json");
        Process process = JavaProcess.start(
                List.of(),
                Main.class.getName(),
                "bench",
                "--heads",
                "2",
                "--seq",
                "64,128,256,512,1024,2048,4096",
                "--warm-up",
                "0",
                "--repeat",
                "50",
                "-o",
                json.toString());
        for (int i = 0; i < 1200 && !Files.exists(json); i++) {
            assertThat(process.isAlive()).isTrue();
            TimeUnit.MILLISECONDS.sleep(100);
        }
        assumeThat(new ProcessBuilder("kill", "-INT", String.valueOf(process.pid()))
                        .start()
                        .waitFor())
                .isZero();
        String output = new String(process.getInputStream().readAllBytes());
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isEqualTo(130);
        assertThat(output).containsPattern("Interrupted after \\d+ results, which are in \\[.*interrupted\\.json]");
        BenchFile kept = BenchFile.read(json);
        assertThat(kept.complete()).isFalse();
        assertThat(kept.results()).isNotEmpty();
    }
}
