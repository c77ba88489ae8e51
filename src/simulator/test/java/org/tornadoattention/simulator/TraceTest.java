package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task3;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** What pictures are made of, for kernels of which it can be said by hand. */
class TraceTest {

    private static final int SIZE = 256;

    @TempDir
    private Path folder;

    static void copy(KernelContext context, FloatArray in, FloatArray out) {
        out.set(context.globalIdx, in.get(context.globalIdx)); // < in source
    }

    static void rows(KernelContext context, FloatArray in, FloatArray out) {
        float sum = 0f;
        for (int x = 0; x < 4; x++) {
            sum += in.get(context.localIdx * 4 + x);
        }
        out.set(context.globalIdx, sum);
    }

    static void columns(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(64);
        tile[context.localIdx] = in.get(context.globalIdx);
        context.localBarrier();
        if (context.localIdx < 32) {
            out.set(context.globalIdx, tile[context.localIdx * 2] + load(tile, context.localIdx));
        }
    }

    static float load(float[] tile, int at) {
        return tile[at];
    }

    static void onlineSum(FloatArray in, FloatArray out) {
        for (@Parallel int i = 0; i < 64; i++) {
            float max = -1e30f;
            float sum = 0f;
            for (int j = 0; j < 4; j++) {
                float s = in.get(4 * i + j);
                float newMax = TornadoMath.max(max, s);
                sum = TornadoMath.exp(max - newMax) * sum + TornadoMath.exp(s - newMax);
                max = newMax;
            }
            out.set(i, sum);
        }
    }

    static void random(KernelContext context, FloatArray in, FloatArray out) {
        int at = context.localIdx;
        for (int turn = 0; turn < 11_000 * (1 - TornadoMath.min(1, context.localIdx % 32)); turn++) {
            at = at * 1103 + 12345 + turn * turn & 255;
            out.set(context.globalIdx, in.get(at));
        }
    }

    private static FloatArray numbers() {
        FloatArray in = new FloatArray(SIZE);
        for (int i = 0; i < SIZE; i++) {
            in.set(i, i % 7 - 3);
        }
        return in;
    }

    private static TaskGraph graph(Task3<KernelContext, FloatArray, FloatArray> kernel) {
        FloatArray in = numbers();
        FloatArray out = new FloatArray(SIZE);
        return new TaskGraph("pictures")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("kernel", kernel, new KernelContext(), in, out)
                .transferToHost(EVERY_EXECUTION, out);
    }

    private KernelStatistics traced(Task3<KernelContext, FloatArray, FloatArray> kernel) {
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings()
                .withTrace(Optional.of(folder))
                .withSources(List.of(Path.of("src/simulator/test"))))) {
            return Plans.run(graph(kernel), Plans.grid(SIZE, 64));
        }
    }

    private static JsonNode json(KernelStatistics statistics) throws JsonProcessingException {
        return new ObjectMapper().readTree(statistics.trace().orElseThrow().json());
    }

    /** A step as the page's script reads it, with its number of turns. */
    private record Step(int phase, int warp, int turns, JsonNode numbers) {

        long cost() {
            return numbers.get(6).asLong();
        }

        long fewest() {
            return numbers.get(7).asLong();
        }

        boolean isGlobal() {
            return MemoryAccess.values()[numbers.get(2).asInt()].isGlobal();
        }

        List<Long> lastNumbers(int from) {
            List<Long> last = new ArrayList<>();
            for (int i = from; i < numbers.size(); i++) {
                last.add(numbers.get(i).asLong());
            }
            return last;
        }
    }

    private static List<Step> steps(JsonNode group) {
        List<Step> steps = new ArrayList<>();
        for (int p = 0; p < group.get("phases").size(); p++) {
            JsonNode warps = group.get("phases").get(p).get("warps");
            for (int w = 0; w < warps.size(); w++) {
                for (JsonNode run : warps.get(w)) {
                    for (int i = 1; i < run.size(); i++) {
                        steps.add(new Step(p, w, run.get(0).asInt(), run.get(i)));
                    }
                }
            }
        }
        return steps;
    }

    @Test
    void sideBySideIsOneStepFromTheFirstElementOn() throws Exception {
        JsonNode trace = json(traced(TraceTest::copy));
        assertThat(trace.get("grid").toString()).isEqualTo("[4,1,1]");
        assertThat(trace.get("group").toString()).isEqualTo("[64,1,1]");
        assertThat(trace.get("groups")).hasSize(4);
        List<Step> steps = steps(trace.get("groups").get(1));
        assertThat(steps).hasSize(4).allSatisfy(step -> {
            assertThat(step.cost()).isEqualTo(5);
            assertThat(step.fewest()).isEqualTo(4);
        });
        // Group 1 begins at element 64; elements lie 16 bytes into the buffer, 4 bytes apart, and all lanes take part.
        Step read = steps.getFirst();
        assertThat(trace.get("global")
                        .get(read.numbers.get(3).asInt())
                        .get("name")
                        .asText())
                .isEqualTo("in");
        assertThat(read.numbers.get(5).asLong()).isEqualTo(0xFFFFFFFFL);
        assertThat(read.lastNumbers(10)).containsExactly(16L + 4 * 64, 4L);
        assertThat(trace.get("places")
                        .get(read.numbers.get(0).asInt())
                        .get("text")
                        .asText())
                .isEqualTo("out.set(context.globalIdx, in.get(context.globalIdx)); // < in source");
        assertThat(trace.get("source").get("lines").get(0).asText()).contains("static void copy(");
    }

    @Test
    void turnsOfALoopAreOneStepThatMovesOn() throws Exception {
        List<Step> steps = steps(json(traced(TraceTest::rows)).get("groups").get(0));
        Step read = steps.getFirst();
        assertThat(read.turns).isEqualTo(4);
        assertThat(read.numbers.get(9).asLong())
                .as("bytes that a turn moves on")
                .isEqualTo(4);
        assertThat(read.lastNumbers(10)).containsExactly(16L, 16L);
        assertThat(read.cost()).isGreaterThan(2 * read.fewest());
        assertThat(steps).hasSize(4);
    }

    @Test
    void barriersBeginPhasesAndConflictsAndCallersAreThere() throws Exception {
        JsonNode trace = json(traced(TraceTest::columns));
        JsonNode group = trace.get("groups").get(0);
        assertThat(group.get("phases")).hasSize(2);
        int end = group.get("phases").get(0).get("end").asInt();
        assertThat(trace.get("places").get(end).get("text").asText()).isEqualTo("context.localBarrier();");
        assertThat(group.get("phases").get(1).get("end").asInt()).isEqualTo(-1);
        assertThat(group.get("phases").get(0).get("local").get("tile")).hasSize(64);
        assertThat(group.get("phases").get(0).get("local").get("tile").get(3).asDouble())
                .isZero();
        List<Step> after = steps(group).stream().filter(step -> step.phase == 1).toList();
        assertThat(after).hasSize(3).allSatisfy(step -> assertThat(step.warp).isZero());
        Step doubled = after.get(0);
        assertThat(doubled.cost()).isEqualTo(2);
        assertThat(doubled.numbers.get(8).asInt()).as("ways").isEqualTo(2);
        Step inHelper = after.get(1);
        assertThat(inHelper.cost()).isEqualTo(1);
        JsonNode caller = trace.get("places").get(inHelper.numbers.get(1).asInt());
        assertThat(caller.get("text").asText()).contains("load(tile, context.localIdx)");
        assertThat(caller.get("inKernel").asInt()).isEqualTo(1);
        JsonNode own = trace.get("places").get(inHelper.numbers.get(0).asInt());
        assertThat(own.get("text").asText()).isEqualTo("return tile[at];");
        assertThat(own.get("inKernel").asInt()).isZero();
    }

    /** The picture shows what the costs count, whatever the seed and the number of threads. */
    @ParameterizedTest
    @ValueSource(strings = {"copy", "rows", "columns"})
    void allStepsTogetherAreTheCosts(String name) throws Exception {
        Task3<KernelContext, FloatArray, FloatArray> kernel = switch (name) {
            case "copy" -> TraceTest::copy;
            case "rows" -> TraceTest::rows;
            default -> TraceTest::columns;
        };
        for (OptionalLong seed : List.of(OptionalLong.empty(), OptionalLong.of(5))) {
            SimulatorSettings settings = Simulator.settings().withThreads(8);
            try (Simulator.Restore _ =
                    Simulator.configure(seed.isPresent() ? settings.withSeed(seed.getAsLong()) : settings)) {
                KernelStatistics statistics = traced(kernel);
                KernelCosts costs = statistics.costs().orElseThrow();
                List<Step> all = new ArrayList<>();
                json(statistics).get("groups").forEach(group -> all.addAll(steps(group)));
                assertThat(all.stream()
                                .filter(Step::isGlobal)
                                .mapToLong(step -> step.turns * step.cost())
                                .sum())
                        .isEqualTo(costs.sectors());
                assertThat(all.stream()
                                .filter(Step::isGlobal)
                                .mapToLong(step -> step.turns * step.fewest())
                                .sum())
                        .isEqualTo(costs.fewestSectors());
                assertThat(all.stream()
                                .filter(step -> !step.isGlobal())
                                .mapToLong(step -> step.turns * (step.cost() - step.fewest()))
                                .sum())
                        .isEqualTo(costs.bankConflicts());
            }
        }
    }

    @Test
    void valuesOfVariablesGrowTurnByTurn() throws Exception {
        FloatArray in = numbers();
        FloatArray out = new FloatArray(64);
        TaskGraph graph = new TaskGraph("pictures")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("kernel", TraceTest::onlineSum, in, out)
                .transferToHost(EVERY_EXECUTION, out);
        JsonNode trace;
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withTrace(Optional.of(folder)))) {
            trace = json(Plans.run(graph));
        }
        assertThat(trace.get("loops").toString()).isEqualTo("[\"i\"]");
        assertThat(trace.get("grid").get(0).asInt()).isEqualTo(2);
        JsonNode values = trace.get("groups").get(0).get("values").get(1);
        assertThat(values.get("item").asInt()).isEqualTo(1);
        List<String> names = new ArrayList<>();
        values.get("names").forEach(name -> names.add(name.asText()));
        assertThat(names).contains("max", "sum", "i", "j").doesNotContain("in", "out");
        assertThat(values.get("moments")).hasSize(4);
        int max = 2 + names.indexOf("max");
        // Iteration 1 reads elements 4 to 7: 1, 2, 3 and −3.
        assertThat(IntStream.range(0, 4)
                        .mapToObj(
                                turn -> values.get("moments").get(turn).get(max).asInt()))
                .containsExactly(1, 2, 3, 3);
        double expected = Math.exp(-2) + Math.exp(-1) + 1 + Math.exp(-6);
        assertThat(values.get("moments").get(3).get(2 + names.indexOf("sum")).asDouble())
                .isCloseTo(expected, within(1e-3));
    }

    @Test
    void ofManyGroupsSixteenAreKeptSpreadOverTheGrid() throws Exception {
        FloatArray in = new FloatArray(4096);
        in.init(1f);
        FloatArray out = new FloatArray(4096);
        TaskGraph graph = new TaskGraph("pictures")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("kernel", TraceTest::copy, new KernelContext(), in, out)
                .transferToHost(EVERY_EXECUTION, out);
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withTrace(Optional.of(folder)))) {
            JsonNode groups = json(Plans.run(graph, Plans.grid(4096, 32))).get("groups");
            List<Integer> ids = new ArrayList<>();
            groups.forEach(group -> ids.add(group.get("id").get(0).asInt()));
            assertThat(ids)
                    .isEqualTo(IntStream.range(0, 16).mapToObj(i -> 8 * i).toList());
        }
    }

    @Test
    void whatIsTooLargeIsRefused() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> traced(TraceTest::random))
                .withMessageContaining("Kernel random is too large to draw: one group takes ")
                .withMessageContaining("a page holds 20,000. Launch it for a smaller problem");
    }

    @Test
    void nobodyAskedSoThereIsNone() {
        assertThat(Plans.run(graph(TraceTest::copy), Plans.grid(SIZE, 64)).trace())
                .isEmpty();
    }

    @Test
    void eachKernelGetsOnePageThatNeedsNothingElse() throws Exception {
        List<Path> pages;
        try (Simulator.Restore _ =
                Simulator.configure(Simulator.settings().withSources(List.of(Path.of("src/simulator/test"))))) {
            pages = Simulator.trace(folder.resolve("new/pages"), () -> {
                Plans.run(graph(TraceTest::copy), Plans.grid(SIZE, 64));
                Plans.run(graph(TraceTest::copy), Plans.grid(SIZE, 64));
                Plans.run(graph(TraceTest::copy), Plans.grid(SIZE, 32));
            });
        }
        assertThat(pages)
                .extracting(page -> page.getFileName().toString())
                .containsExactly("pictures.kernel-copy.html", "pictures.kernel-copy-2.html");
        String html = Files.readString(pages.getFirst());
        assertThat(html)
                .startsWith("<!doctype html>")
                .contains(
                        "<title>Kernel copy, step by step</title>",
                        "// \\u003c in source",
                        "\"task\":\"pictures.kernel\"")
                .doesNotContain("{{", "// < in source", "@import", "url(", "fetch(")
                .doesNotContainPattern("(?i)(src|href)\\s*=");
    }
}
