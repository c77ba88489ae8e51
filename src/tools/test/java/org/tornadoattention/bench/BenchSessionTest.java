package org.tornadoattention.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.CoveringArray;
import org.tornadoattention.bench.BenchResult.Status;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.tensor.DType;

class BenchSessionTest {

    private static final ComputeDevice DEVICE = Devices.bestForTaskGraphs();
    private static final BenchSession.Settings SETTINGS = new BenchSession.Settings(1, 4, 10);

    private static BenchCase problem(Direction pass, int length, boolean causal) {
        return new BenchCase(pass, DType.F32, new AttentionShape(1, 2, 1, length, length, 16), causal);
    }

    @ParameterizedTest
    @EnumSource(names = {"STANDARD", "ONLINE", "TILED"})
    void whatIsTimedIsRight(AttentionKernel kernel) {
        int[] steps = {0};
        try (BenchSession session = new BenchSession(DEVICE, SETTINGS)) {
            BenchResult result =
                    session.measure(problem(Direction.FORWARD, 70, true), kernel, Optional.empty(), () -> steps[0]++);
            assertThat(result.status()).as(result.message()).isEqualTo(Status.MEASURED);
            assertThat(result.accuracy().passed()).isTrue();
            assertThat(result.accuracy().maxError()).isPositive();
            assertThat(result.timing().kernelMilliseconds()).isPositive();
            assertThat(result.timing().wallMilliseconds())
                    .isGreaterThan(result.timing().kernelMilliseconds());
            assertThat(result.timing().repetitions()).isEqualTo(4);
            assertThat(steps[0]).isEqualTo(1 + 1 + 4);
        }
    }

    static Stream<Arguments> passesAndMasks() {
        return CoveringArray.today(Stream.of(Direction.values())
                .flatMap(pass -> Stream.of(false, true).map(causal -> Arguments.of(pass, causal))));
    }

    @ParameterizedTest
    @MethodSource("passesAndMasks")
    void valuesMayHaveAHeadDimensionOfTheirOwn(Direction pass, boolean causal) {
        AttentionShape shape = new AttentionShape(1, 4, 2, 70, 70, 24, 16);
        try (BenchSession session = new BenchSession(DEVICE, SETTINGS)) {
            BenchResult result = session.measure(
                    new BenchCase(pass, DType.F32, shape, causal), AttentionKernel.TILED, Optional.empty(), () -> {});
            assertThat(result.status()).as(result.message()).isEqualTo(Status.MEASURED);
            assertThat(result.accuracy().passed()).isTrue();
            assertThat(result.accuracy().maxError()).isPositive();
        }
    }

    @Test
    void theSimulatorsCountIsTheFormulaOfTheTile() {
        assumeTrue(DEVICE.isSimulator());
        BenchCase problem = new BenchCase(Direction.FORWARD, DType.F32, new AttentionShape(1, 2, 2, 96, 96, 16), false);
        try (BenchSession session = new BenchSession(DEVICE, SETTINGS)) {
            for (Tile tile : List.of(AttentionKernel.TILED.tile(8, 8), AttentionKernel.TILED.tile(32, 16))) {
                BenchResult result = session.measure(problem, AttentionKernel.TILED, Optional.of(tile), () -> {});
                assertThat(result.tile()).isEqualTo(tile.toString());
                long perHead = 2L * 96 * 16 + Math.ceilDiv(96, tile.blockQ()) * 2L * 96 * 16 + 96;
                assertThat(result.memory().globalBytes()).isEqualTo(2 * 4 * perHead);
            }
        }
    }

    @Test
    void whatAKernelDoesNotTakeIsAResultThatSaysSo() {
        try (BenchSession session = new BenchSession(DEVICE, SETTINGS)) {
            BenchResult tooLarge = session.measure(
                    problem(Direction.FORWARD, 64, false),
                    AttentionKernel.TILED,
                    Optional.of(AttentionKernel.TILED.tile(8192, 4096)),
                    () -> {});
            assertThat(tooLarge.status()).isEqualTo(Status.UNSUPPORTED);
            assertThat(tooLarge.message()).contains("8192x4096", "use a smaller tile");
            assertThat(tooLarge.good()).isTrue();
            assertThat(tooLarge.timing()).isNull();
        }
    }

    @Test
    void ceilingsArePositiveAndTheCopyIsSlowerThanLight() {
        Ceilings ceilings = CeilingBenchmark.measure(DEVICE);
        assertThat(ceilings.copyBytesPerSecond()).isBetween(1e6, 1e14);
        assertThat(ceilings.f32FlopsPerSecond()).isBetween(1e6, 1e16);
        assertThat(ceilings.bound(2 * ceilings.f32FlopsPerSecond(), 0, false, false))
                .isEqualTo(2, within(1e-12));
        assertThat(ceilings.bound(0, 3 * ceilings.copyBytesPerSecond(), false, false))
                .isEqualTo(3, within(1e-12));
    }
}
