package org.tornadoattention;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Gatherers;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.params.provider.Arguments;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.tensor.DType;

/**
 * The field's test grids: the values that FlashAttention, PyTorch and xFormers test with. With
 * {@code -Dattention.grid=full} all of it; by default a table of what is quick to compute, of which a
 * {@link CoveringArray} takes the rows of the day.
 */
final class AttentionGrid {

    static final boolean FULL = CoveringArray.FULL;

    static final List<Integer> HEAD_DIMS =
            List.of(1, 8, 16, 24, 32, 40, 59, 64, 72, 80, 96, 111, 128, 160, 192, 203, 224, 256);

    /** Queries and keys of a sequence. */
    record Lengths(int queries, int keys) {}

    private static final List<Lengths> LENGTHS = lengths(
            "1x1 1x128 1x239 1x339 3x799 3x1024 64x128 97x97 113x203 113x211 108x256 127x512 127x513 128x217 129x129"
                    + " 143x587 200x200 255x255 256x512 300x300 333x444 500x512 512x256 799x3 1023x1024 1024x1023"
                    + " 1025x1025 2048x2048");

    private static final List<Lengths> TYPICAL = lengths("113x203 128x217 203x113");

    private static final List<int[]> HEADS = Stream.of("6/6", "6/2", "6/1", "9/9", "8/2", "5/1", "7/1", "16/1")
            .map(heads ->
                    Arrays.stream(heads.split("/")).mapToInt(Integer::parseInt).toArray())
            .toList();

    private static final List<AttentionOptions> MASKS = List.of(
            AttentionOptions.causal(),
            AttentionOptions.defaults(),
            AttentionOptions.defaults().withWindow(31, 17));

    /**
     * Multiply-adds up to which portable kernels run in the default subset, the quickest of them, and simulated warps.
     */
    private static final long CHEAP = 1 << 23;

    private static final long CHEAP_ONLINE = 1 << 25;

    private static final long CHEAP_WARPS = 1 << 20;

    private AttentionGrid() {}

    /** For tests of what the grid covers: {@code -Dattention.kernels} leaves out what it should. */
    static void assumeAllKernels() {
        Assumptions.assumeTrue(System.getProperty("attention.kernels") == null, "some kernels only");
    }

    /** What chooses rows of a table by default: all pairs of these, and kernels with types and masks. */
    static CoveringArray<Arguments> covering() {
        return CoveringArray.of(AttentionGrid::parameters).withTuple(0, 1, 2).withCost(AttentionGrid::cost);
    }

    private static List<?> parameters(Arguments row) {
        AttentionCase problem = (AttentionCase) row.get()[0];
        AttentionShape shape = problem.shape();
        AttentionOptions options = problem.options();
        return List.of(
                row.get()[1],
                problem.dtype(),
                options.mask().toString().replaceFirst("\\(.*", ""),
                shape.headDim(),
                shape.seqQ(),
                shape.seqK(),
                List.of(shape.heads(), shape.kvHeads()),
                shape.batch(),
                options.withMask(Mask.none()).toString(),
                problem.queryFactor());
    }

    /** About the milliseconds that a row takes in the simulator. */
    private static long cost(Arguments row) {
        boolean warps = TestDevice.simulatesWarps((AttentionKernel) row.get()[1]);
        return 100 + ((AttentionCase) row.get()[0]).work() / (warps ? 2_000 : 20_000);
    }

    /** Every case with every kernel that claims it. */
    static Stream<Arguments> withKernels(Stream<AttentionCase> cases) {
        return cases.flatMap(problem -> problem.kernels().stream()
                .filter(kernel -> FULL || problem.work() <= cheap(kernel))
                .map(kernel -> Arguments.of(problem, kernel)));
    }

    /** What is dearer than any kernel's default: with the quickest, one a day. */
    static Stream<Arguments> dearOneOfTheDay() {
        List<Arguments> dear = FULL
                ? List.of()
                : sequenceLengths()
                        .filter(problem -> problem.work() > CHEAP_ONLINE
                                && problem.kernels().contains(AttentionKernel.ONLINE))
                        .map(problem -> Arguments.of(problem, AttentionKernel.ONLINE))
                        .toList();
        return dear.isEmpty()
                ? Stream.empty()
                : Stream.of(dear.get((int) Math.floorMod(CoveringArray.SEED, (long) dear.size())));
    }

    private static long cheap(AttentionKernel kernel) {
        if (TestDevice.simulatesWarps(kernel)) {
            return CHEAP_WARPS;
        }
        return kernel == AttentionKernel.ONLINE ? CHEAP_ONLINE : CHEAP;
    }

    /** A problem of several tiles each way for kernels whose simulation is otherwise held to small ones. */
    static Stream<Arguments> severalTiles() {
        return Stream.of(DType.F32, DType.F16)
                .map(dtype ->
                        AttentionCase.of(shape(1, 1, 1, new Lengths(300, 333), 64), dtype, AttentionOptions.causal()))
                .flatMap(problem -> problem.kernels().stream()
                        .filter(TestDevice::simulatesWarps)
                        .map(kernel -> Arguments.of(problem, kernel)));
    }

    /** All head dimensions in each type, with two heads on one of keys. */
    static Stream<AttentionCase> headDims() {
        return inEachType(HEAD_DIMS.stream()
                .flatMap(headDim -> all(TYPICAL, 1)
                        .flatMap(lengths -> all(MASKS, 1).map(mask -> problem(1, 2, 1, lengths, headDim, mask)))));
    }

    /**
     * Every head dimension in each type, since each has a tile and a way of sharing it of its own, with lengths that
     * end inside a tile.
     */
    static Stream<AttentionCase> smallOnesOfEachHeadDim() {
        return ofEachHeadDim(new Lengths(37, 51));
    }

    /** The same with lengths of whole tiles, which compilers see through: the simulator has none. */
    static Stream<Arguments> wholeTilesOfEachHeadDim() {
        return withKernels(ofEachHeadDim(new Lengths(32, 64)))
                .filter(arguments -> FULL
                        || !TestDevice.of((AttentionKernel) arguments.get()[1]).isSimulator());
    }

    private static Stream<AttentionCase> ofEachHeadDim(Lengths lengths) {
        return inEachType(
                HEAD_DIMS.stream().map(headDim -> problem(1, 1, 1, lengths, headDim, AttentionOptions.causal())));
    }

    /** All pairs of sequence lengths, both ways round. */
    static Stream<AttentionCase> sequenceLengths() {
        Stream<AttentionCase> cases = LENGTHS.stream()
                .flatMap(lengths -> Stream.of(lengths, new Lengths(lengths.keys, lengths.queries)))
                .distinct()
                .flatMap(lengths -> all(MASKS, 1)
                        .flatMap(mask ->
                                all(List.of(64, 40, 128), 1).map(headDim -> problem(1, 1, 1, lengths, headDim, mask))));
        return FULL ? inEachType(cases) : cases;
    }

    /** All groupings of heads, with all batch sizes. */
    static Stream<AttentionCase> headsAndBatches() {
        List<Integer> batches = List.of(1, 2, 4, 8);
        return IntStream.range(0, HEADS.size())
                .boxed()
                .flatMap(i -> (FULL ? batches : List.of(batches.get(i % 4)))
                        .stream()
                                .flatMap(batch -> all(MASKS, 1)
                                        .flatMap(mask -> all(List.of(DType.values()), 1)
                                                .map(dtype -> AttentionCase.of(
                                                        new AttentionShape(
                                                                batch, HEADS.get(i)[0], HEADS.get(i)[1], 33, 65, 32),
                                                        dtype,
                                                        mask)))));
    }

    /** Windows anywhere. */
    static Stream<AttentionCase> windows() {
        SplittableRandom random = new SplittableRandom(1);
        return Stream.generate(() -> all(TYPICAL, 3)
                        .flatMap(lengths -> all(List.of(DType.values()), 1)
                                .map(dtype -> AttentionCase.of(
                                        shape(1, 2, 1, lengths, 48),
                                        dtype,
                                        AttentionOptions.defaults()
                                                .withWindow(
                                                        random.nextInt(lengths.keys), random.nextInt(lengths.keys))))))
                .limit(FULL ? 20 : 3)
                .flatMap(cases -> cases);
    }

    /** Scores far above the cap, so that it bites. */
    static Stream<AttentionCase> softcaps() {
        return inEachType(Stream.of(15, 50)
                .flatMap(softcap -> all(MASKS, 1)
                        .flatMap(mask -> all(TYPICAL, 1)
                                .map(lengths -> problem(1, 2, 2, lengths, 64, mask.withSoftcap(softcap))
                                        .withFactors(softcap, 1)))));
    }

    /** A cap far above all scores, which must leave them as exact as they were. */
    static Stream<AttentionCase> softcapsThatHardlyBite() {
        return inEachType(Stream.of(1_000, 100_000)
                .map(softcap -> problem(
                        1,
                        2,
                        2,
                        TYPICAL.getFirst(),
                        64,
                        AttentionOptions.causal().withSoftcap(softcap))));
    }

    /** Slopes for numbers of heads that are and are not powers of two. */
    static Stream<AttentionCase> alibi() {
        return inEachType(Stream.of(4, 6)
                .flatMap(heads -> all(MASKS, 2)
                        .flatMap(mask -> all(TYPICAL, 1)
                                .map(lengths -> problem(
                                        1,
                                        heads,
                                        2,
                                        lengths,
                                        32,
                                        mask.withAlibi(AttentionOptions.alibiSlopes(heads)))))));
    }

    /** Batch entries with all, some, one and none of the keys, beside ALiBi, which looks at the length too. */
    static Stream<AttentionCase> keyLengths() {
        return inEachType(MASKS.stream()
                .flatMap(mask -> all(TYPICAL, 1)
                        .map(lengths -> problem(
                                4,
                                2,
                                1,
                                lengths,
                                32,
                                mask.withKeyLengths(lengths.keys, lengths.keys / 2, 1, 0)
                                        .withAlibi(AttentionOptions.alibiSlopes(2))))));
    }

    /** Scores of several hundred: nothing may overflow, whatever lies in the unused part of a tile. */
    static Stream<AttentionCase> largeScores() {
        return inEachType(IntStream.of(1, 2, 5, 17, 128)
                        .boxed()
                        .flatMap(length -> all(List.of(64, 16, 32), 1)
                                .flatMap(headDim -> all(MASKS, 1)
                                        .map(mask -> problem(1, 1, 1, new Lengths(length, length), headDim, mask)))))
                .map(problem -> problem.withFactors(5, 3).withNaiveErrors(5));
    }

    /** Queries that see no key: more queries than keys, and windows that lie wholly outside the keys. */
    static Stream<AttentionCase> rowsWithoutKeys() {
        return inEachType(Stream.of(
                problem(1, 2, 1, new Lengths(83, 45), 32, AttentionOptions.causal()),
                problem(1, 1, 1, new Lengths(200, 1), 64, AttentionOptions.causal()),
                problem(
                        1,
                        1,
                        1,
                        new Lengths(130, 20),
                        40,
                        AttentionOptions.defaults().withWindow(3, 2)),
                problem(
                        2,
                        1,
                        1,
                        new Lengths(70, 70),
                        64,
                        AttentionOptions.causal().withKeyLengths(0, 3))));
    }

    /** No queries, no keys, no batch. */
    static Stream<AttentionCase> nothing() {
        return inEachType(Stream.of(new Lengths(0, 5), new Lengths(5, 0), new Lengths(0, 0))
                .flatMap(lengths ->
                        Stream.of(0, 2).map(batch -> problem(batch, 2, 1, lengths, 16, AttentionOptions.causal()))));
    }

    /** Everything at once, and factors on the scores other than the usual one. */
    static Stream<AttentionCase> combinations() {
        Lengths lengths = TYPICAL.getFirst();
        return inEachType(Stream.of(
                problem(1, 2, 2, lengths, 64, AttentionOptions.defaults().withScale(1)),
                problem(1, 2, 2, lengths, 64, AttentionOptions.defaults().withScale(-0.3)),
                problem(1, 2, 2, lengths, 64, AttentionOptions.causal().withScale(0)),
                problem(
                                3,
                                6,
                                2,
                                lengths,
                                59,
                                AttentionOptions.defaults()
                                        .withWindow(40, 9)
                                        .withSoftcap(15)
                                        .withScale(0.2)
                                        .withAlibi(AttentionOptions.alibiSlopes(6))
                                        .withKeyLengths(lengths.keys, 1, 77))
                        .withFactors(10, 1)));
    }

    /** All of a list in the full grid, its first few otherwise. */
    private static <T> Stream<T> all(List<T> values, int few) {
        return FULL ? values.stream() : values.stream().limit(few);
    }

    private static Stream<AttentionCase> inEachType(Stream<AttentionCase> cases) {
        return cases.flatMap(problem -> Arrays.stream(DType.values()).map(problem::withType));
    }

    private static AttentionCase problem(
            int batch, int heads, int kvHeads, Lengths lengths, int headDim, AttentionOptions options) {
        return AttentionCase.of(shape(batch, heads, kvHeads, lengths, headDim), DType.F32, options);
    }

    private static AttentionShape shape(int batch, int heads, int kvHeads, Lengths lengths, int headDim) {
        return new AttentionShape(batch, heads, kvHeads, lengths.queries, lengths.keys, headDim);
    }

    private static List<Lengths> lengths(String pairs) {
        return Arrays.stream(pairs.split("[ x]"))
                .map(Integer::valueOf)
                .gather(Gatherers.windowFixed(2))
                .map(pair -> new Lengths(pair.get(0), pair.get(1)))
                .toList();
    }
}
