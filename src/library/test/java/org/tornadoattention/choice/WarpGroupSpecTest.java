package org.tornadoattention.choice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BlockMask;
import org.tornadoattention.Mask;
import org.tornadoattention.Masks;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.kernel.parts.BiasTiles;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;

/** The tiles of the backward kernels that use warp groups. */
class WarpGroupSpecTest {

    private static final Backward.Own BACKWARD =
            (Backward.Own) AttentionKernel.WARP_GROUP.spec().backward();

    private static ComputeDevice hopper() {
        return with(Intrinsics.WARP_GROUP);
    }

    private static ComputeDevice with(Intrinsics level) {
        return new ComputeDevice(
                Backend.CUDA,
                0,
                0,
                "imaginary",
                TornadoDeviceType.GPU,
                48 << 10,
                1024,
                1L << 40,
                1L << 40,
                132,
                true,
                new CompilerExtension.Support(level, 90, 227 << 10, ""),
                TestDevice.get().handle());
    }

    private static Optional<List<Tile>> choose(int headDim, ComputeDevice device) {
        AttentionShape shape = new AttentionShape(1, 1, 1, 100, 100, headDim);
        return BACKWARD.tiles().choose(AttentionProblem.of(shape, DType.F16, AttentionOptions.defaults()), device);
    }

    @ParameterizedTest
    @CsvSource({"1, 128x128", "64, 128x128", "65, 64x128", "128, 64x128", "129, 128x32+32x128", "256, 128x32+32x128"})
    void theFirstThatFitsIsTaken(int headDim, String tiles) {
        assertThat(new KernelChoice(
                                AttentionKernel.WARP_GROUP,
                                choose(headDim, hopper()).orElseThrow(),
                                "")
                        .tileNames())
                .contains(tiles);
        assertThat(choose(headDim, with(Intrinsics.WARP))).isEmpty();
    }

    @Test
    void eachOfTheTwoKernelsHasWhatItNeeds() {
        List<Tile> tiles = choose(256, hopper()).orElseThrow();
        Tile queryGradient = tiles.getFirst().tiling().tile("192x64");
        Tile keyValueGradients = tiles.getLast().tiling().tile("64x128");
        assertThat(queryGradient.groupSize(128)).isEqualTo(384);
        // Q and dO, three times K and V, rows of 256 bytes; beside K, V, three times Q, dO and two numbers per query.
        assertThat(queryGradient.localMemoryBytes(128)).isEqualTo((2 * 192 + 6 * 64) * 256);
        assertThat(keyValueGradients.localMemoryBytes(128)).isEqualTo((2 * 128 + 6 * 64) * 256 + 3 * 8 * 64);
    }

    @ParameterizedTest
    @CsvSource({
        "96x64, 64x128, 96 queries",
        "64x24, 64x128, 24 keys",
        "64x64, 8x64, 8 queries",
        "64x64, 64x320, 320 keys"
    })
    void whatWarpGroupsCannotHoldIsRefused(String queryGradient, String keyValueGradients, String problem) {
        List<Tile> tiles = choose(256, hopper()).orElseThrow();
        assertThatIllegalArgumentException()
                .isThrownBy(() -> {
                    tiles.getFirst().tiling().tile(queryGradient);
                    tiles.getLast().tiling().tile(keyValueGradients);
                })
                .withMessageContaining(problem);
    }

    private static AttentionProblem forward(AttentionShape shape) {
        return AttentionProblem.of(shape, DType.F16, AttentionOptions.defaults());
    }

    @ParameterizedTest
    @CsvSource({
        "192, 128, 4096, 128x112/8",
        "192, 128, 512, 128x64/8",
        "192, 192, 4096, 128x80/8",
        "192, 136, 4096, 128x80/8",
        "256, 128, 4096, 128x80/8",
        "128, 64, 512, 128x128/8"
    })
    void narrowValuesLeaveRoomForMoreKeys(int headDim, int valueDim, int length, String tile) {
        AttentionProblem problem = forward(new AttentionShape(1, 1, 1, length, length, headDim, valueDim));
        assertThat(KernelChoice.choose(problem, hopper(), Optional.of(AttentionKernel.WARP_GROUP))
                        .tileNames())
                .contains(tile);
    }

    @ParameterizedTest
    @CsvSource({
        "64, 512, 192x128/12",
        "120, 4096, 128x160/8",
        "128, 4095, 128x128/8",
        "128, 4096, 192x80/12",
        "136, 4096, 128x80/8"
    })
    void tilesOfThreeWarpGroupsAreTakenWhereTheyAreFaster(int headDim, int length, String tile) {
        AttentionShape shape = new AttentionShape(1, 34, 34, length, length, headDim);
        for (AttentionOptions options : List.of(AttentionOptions.defaults(), AttentionOptions.causal())) {
            AttentionProblem problem = AttentionProblem.of(shape, DType.F16, options);
            assertThat(KernelChoice.choose(problem, hopper(), Optional.of(AttentionKernel.WARP_GROUP))
                            .tileNames())
                    .contains(tile);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "64, F16, 128x128/8",
        "65, F16, 192x64/12",
        "128, BF16, 192x64/12",
        "256, F16, 128x64/8",
        "128, F32, 128x128/8"
    })
    void biasesThatAreCopiedHaveMoreQueriesToATile(int headDim, DType ofBias, String tile) {
        AttentionProblem problem = AttentionProblem.of(
                new AttentionShape(1, 1, 1, 512, 512, headDim),
                DType.F16,
                AttentionOptions.defaults().withBias(Tensor.allocate(ofBias, 1, 1, 512, 512)));
        assertThat(KernelChoice.choose(problem, hopper(), Optional.of(AttentionKernel.WARP_GROUP))
                        .tileNames())
                .contains(tile);
    }

    @Test
    void queryGradientsOfChangedScoresHaveFewerKeysToATile() {
        AttentionShape shape = new AttentionShape(1, 1, 1, 512, 512, 64);
        AttentionOptions masked = AttentionOptions.defaults().withMask(Masks.blockCausal(8));
        AttentionOptions changed = masked.withScore((s, b, h, i, j) -> s + j);
        assertThat(chooseBackward(shape, masked)).startsWith("128x128");
        assertThat(chooseBackward(shape, changed)).startsWith("128x64");
    }

    @ParameterizedTest
    @CsvSource({
        "2, 128, -1, 64x128",
        "1, 128, -1, 64x128",
        "1, 64, -1, 128x128",
        "2, 64, 30, 128x128",
        "2, 128, 30, 128x64+64x128",
        "1, 64, 30, 128x128+64x128"
    })
    void underACausalMaskOneKernelComputesAllGradients(int kvHeads, int headDim, int windowLeft, String tiles) {
        AttentionShape shape = new AttentionShape(1, 2, kvHeads, 512, 512, headDim);
        AttentionOptions options = windowLeft < 0
                ? AttentionOptions.causal()
                : AttentionOptions.defaults().withWindow(windowLeft, 0);
        assertThat(chooseBackward(shape, options)).isEqualTo(tiles);
    }

    @ParameterizedTest
    @CsvSource({"64, 128x128", "128, 64x128"})
    void longHeadsUnderACausalMaskHaveOneKernelToo(int headDim, String tiles) {
        AttentionShape shape = new AttentionShape(1, 2, 2, 16_384, 16_384, headDim);
        assertThat(chooseBackward(shape, AttentionOptions.causal())).isEqualTo(tiles);
    }

    @Test
    void soHaveHeadsThatShareMoreKeysThanRunTogether() {
        AttentionShape shape = new AttentionShape(1, 4, 1, 32_768, 32_768, 128);
        assertThat(chooseBackward(shape, AttentionOptions.defaults())).isEqualTo("64x128");
    }

    @Test
    void allGradientsOfBiasesAloneComeFromOneKernel() {
        AttentionShape shape = new AttentionShape(1, 1, 1, 512, 512, 64);
        AttentionOptions biased = AttentionOptions.defaults().withBias(Tensor.allocate(DType.F16, 1, 1, 512, 512));
        assertThat(chooseBackward(shape, biased)).isEqualTo("64x128");
        assertThat(chooseBackward(shape, biased.withCausal())).isEqualTo("64x128");
        assertThat(chooseBackward(shape, biased.withMask(Masks.blockCausal(8)))).isEqualTo("128x64+64x128");
        assertThat(chooseBackward(shape, biased.withScore((s, b, h, i, j) -> s + j)))
                .isEqualTo("128x64+64x128");
        assertThat(chooseBackward(
                        shape, AttentionOptions.defaults().withBias(Tensor.allocate(DType.F32, 1, 1, 512, 512))))
                .as("elements of 4 bytes")
                .isEqualTo("128x64+64x128");
        AttentionShape odd = new AttentionShape(1, 1, 1, 512, 508, 64);
        assertThat(chooseBackward(
                        odd, AttentionOptions.defaults().withBias(Tensor.allocate(DType.F16, 1, 1, 512, 508))))
                .as("rows that no 16-byte copy begins at")
                .isEqualTo("128x64+64x128");
    }

    /** Sums that do not fit into the cache have a kernel of their own, and so have those where keys are left out. */
    @ParameterizedTest
    @CsvSource({
        "256, 4, 256, 4, false, 16",
        "384, 4, 384, 4, false, 11",
        "2, 1, 512, 1, false, 2",
        "2, 16, 8192, 1, false, 0",
        "256, 4, 256, 4, true, 0"
    })
    void gradientsOfBiasesAreSummedWithTheOthersWhereTheyFit(
            int batch, int heads, int length, int biasHeads, boolean causal, int parts) {
        AttentionOptions options =
                AttentionOptions.defaults().withBias(Tensor.allocate(DType.F16, 1, biasHeads, length, length));
        AttentionProblem problem = AttentionProblem.of(
                new AttentionShape(batch, heads, heads, length, length, 32),
                DType.F16,
                causal ? options.withCausal() : options);
        Work work = new Work(problem, BACKWARD.tiles().choose(problem, hopper()).orElseThrow(), hopper());
        BiasGradients gradients = AttentionKernel.WARP_GROUP.spec().biasGradient(work, 1, biasHeads);
        List<Integer> ofLaunches = gradients.pass().stream()
                .filter(launch -> launch.suffix().equals("-gradients"))
                .map(launch -> launch.numbers().get("parts").intValue())
                .toList();
        assertThat(ofLaunches).isEqualTo(parts == 0 ? List.of() : List.of(parts));
        assertThat(gradients.launches().getFirst().suffix()).isEqualTo(parts == 0 ? "-dbias" : "-dbias-sum");
    }

    private static String chooseBackward(AttentionShape shape, AttentionOptions options) {
        AttentionProblem problem = AttentionProblem.of(shape, DType.F16, options);
        List<Tile> tiles = BACKWARD.tiles().choose(problem, hopper()).orElseThrow();
        return new KernelChoice(AttentionKernel.WARP_GROUP, tiles, "")
                .tileNames()
                .orElseThrow();
    }

    /** 132 multiprocessors, and a group for each tile of 128 queries where there are no more. */
    @ParameterizedTest
    @CsvSource({
        "33, 512, 128, 128x128/8, 132",
        "34, 512, 128, 128x128/8, 132",
        "10, 512, 128, 128x128/8, 40",
        "34, 4096, 128, 128x128/8, 132",
        "34, 4097, 128, 128x128/8, 1188",
        "34, 512, 256, 128x64/8, 136",
        "40, 512, 64, 64x64/4, 320"
    })
    void groupsStayWhereTheyAreFewerThanTiles(int heads, int length, int headDim, String tile, long groups) {
        AttentionProblem problem = forward(new AttentionShape(1, heads, heads, length, length, headDim));
        Tiling tiling = AttentionKernel.WARP_GROUP.spec().tiling().orElseThrow();
        Work work = new Work(problem, List.of(tiling.tile(tile)), hopper());
        Launch launch = AttentionKernel.WARP_GROUP.spec().forward(work).getFirst();
        assertThat(launch.groups()).isEqualTo(groups);
        assertThat(launch.numbers().get("staying")).isEqualTo(groups == 132 && heads > 33 ? 132 : 0);
    }

    @ParameterizedTest
    @CsvSource({"8, 4096, false, false", "8, 4096, true, true", "8, 2048, false, true", "64, 4096, false, true"})
    void headsThatShareAllKeysStayForFewer(int kvHeads, int length, boolean causal, boolean stay) {
        AttentionProblem problem = AttentionProblem.of(
                new AttentionShape(1, 64, kvHeads, length, length, 128),
                DType.BF16,
                causal ? AttentionOptions.causal() : AttentionOptions.defaults());
        Tiling tiling = AttentionKernel.WARP_GROUP.spec().tiling().orElseThrow();
        Work work = new Work(problem, List.of(tiling.tile("128x128/8")), hopper());
        Launch launch = AttentionKernel.WARP_GROUP.spec().forward(work).getFirst();
        assertThat(launch.numbers().get("staying")).isEqualTo(stay ? 132 : 0);
    }

    /** Of 132 multiprocessors, 28, 56, 43, 86 and 64 would have a tile of a last round. */
    @ParameterizedTest
    @CsvSource({
        "16, 8192, 128, 192x80/12, false, 688, 4",
        "32, 8192, 128, 192x80/12, false, 1376, 2",
        "1, 8192, 128, 192x80/12, false, 43, 3",
        "2, 8192, 128, 192x80/12, false, 86, 1",
        "1, 8192, 64, 192x128/12, true, 43, 1",
        "1, 8192, 128, 64x64/4, false, 128, 1",
        "8, 1024, 128, 128x128/8, false, 64, 1"
    })
    void tilesOfALastRoundAreDivided(
            int heads, int length, int headDim, String tile, boolean causal, long tiles, int parts) {
        AttentionProblem problem = AttentionProblem.of(
                new AttentionShape(1, heads, heads, length, length, headDim),
                DType.F16,
                causal ? AttentionOptions.causal() : AttentionOptions.defaults());
        Tile ofKernel = AttentionKernel.WARP_GROUP.spec().tiling().orElseThrow().tile(tile);
        Work work = new Work(problem, List.of(ofKernel), hopper());
        long divided = tiles % 132;
        assertThat(AttentionKernel.WARP_GROUP.spec().forward(work).getFirst().groups())
                .isEqualTo(tiles + divided * (parts - 1));
        assertThat(AttentionKernel.WARP_GROUP.spec().scratch(work)).hasSize(parts > 1 ? 2 : 0);
    }

    /** As many heads as the cache has keys and values of, at most eight, which divide all. */
    @ParameterizedTest
    @CsvSource({"32, 8192, 8", "32, 16384, 4", "6, 8192, 6", "10, 8192, 5", "11, 8192, 1", "32, 131072, 1"})
    void headsThatMayShareABiasComeTogether(int heads, int length, int together) {
        AttentionOptions options = AttentionOptions.defaults().withBias(Tensor.allocate(DType.F16, 1, 1, 64, length));
        AttentionProblem problem =
                AttentionProblem.of(new AttentionShape(1, heads, heads, 64, length, 128), DType.F16, options);
        Tile tile = AttentionKernel.WARP_GROUP.spec().tiling().orElseThrow().tile("192x64/12");
        Launch launch = AttentionKernel.WARP_GROUP
                .spec()
                .forward(new Work(problem, List.of(tile), hopper()))
                .getFirst();
        assertThat(launch.answers().get(BiasTiles.class))
                .isEqualTo(together > 1 ? Map.of("headsTogether", together) : null);
    }

    /** Where block masks leave tiles out: 1056 tiles of queries are eight rounds, more are odd or fit no second Q. */
    @ParameterizedTest
    @CsvSource({
        "32, 4224, 128, 128x128/8, false, 528",
        "32, 4096, 128, 128x128/8, false, 1024",
        "33, 4224, 128, 128x128/8, false, 545",
        "32, 4224, 256, 128x64/8, false, 1056",
        "32, 4224, 128, 128x64/8, true, 1056"
    })
    void blockMasksGiveGroupsTwoTiles(int heads, int length, int headDim, String tile, boolean biased, long groups) {
        AttentionOptions options = AttentionOptions.defaults()
                .withMask(Mask.blocks(BlockMask.of((b, h, i, j) -> j <= i, 1, 1, length, length)));
        if (biased) {
            options = options.withBias(Tensor.allocate(DType.F16, 1, 1, length, length));
        }
        AttentionProblem problem =
                AttentionProblem.of(new AttentionShape(1, heads, heads, length, length, headDim), DType.F16, options);
        Tiling tiling = AttentionKernel.WARP_GROUP.spec().tiling().orElseThrow();
        Work work = new Work(problem, List.of(tiling.tile(tile)), hopper());
        Launch launch = AttentionKernel.WARP_GROUP.spec().forward(work).getFirst();
        assertThat(launch.groups()).isEqualTo(groups);
        assertThat(launch.numbers().get("staying")).isEqualTo(groups == 528 || groups == 545 ? (int) groups : 0);
    }
}
