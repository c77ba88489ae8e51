package org.tornadoattention.function;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.BlockMask;
import org.tornadoattention.CoveringArray;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.Masks;
import org.tornadoattention.ScoreFunction;
import org.tornadoattention.Scores;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.Tolerance;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * 300 random compositions of masks, functions, bias, sinks and all other options, others each fortnight, with the
 * gradients of every third, each determined by its seed. Of them a day has {@linkplain CoveringArray its rows}.
 * {@code -Dattention.seed=17} runs one of them, {@code -Dattention.compositions=10000} more, and both have all
 * gradients.
 */
@Order(1)
class RandomCompositionsTest {

    private static final Integer ASKED_FOR = Integer.getInteger("attention.compositions");
    private static final int SEEDS = ASKED_FOR == null ? 300 : ASKED_FOR;
    private static final long FIRST =
            Long.getLong("attention.firstSeed", 300 * Math.floorDiv(CoveringArray.SEED, CoveringArray.DAYS));
    private static final Long ONE = Long.getLong("attention.seed");
    private static final boolean ALL_GRADIENTS = ASKED_FOR != null || ONE != null;

    static Stream<Long> seeds() {
        Stream<Long> seeds = (ONE == null ? LongStream.range(FIRST, FIRST + SEEDS) : LongStream.of(ONE))
                .filter(seed -> TestDevice.tries(kernel(new SplittableRandom(seed))))
                .boxed();
        return ALL_GRADIENTS
                ? seeds
                : CoveringArray.ofEachValue(RandomCompositionsTest::features)
                        .withTuple(0, 1)
                        .withTuple(0, 2)
                        .withTuple(0, 3)
                        .ofTheDay(seeds);
    }

    /** Kernel, type, mask, function, whether it has each of the other options, and whether it has gradients. */
    private static List<Object> features(long seed) {
        Composition composition = Composition.of(seed);
        AttentionOptions options = composition.options;
        return List.of(
                composition.kernel,
                composition.dtype,
                composition.mask,
                composition.score,
                options.bias().map(Tensor::dtype),
                options.sinks().isPresent(),
                options.hasKeyLengths(),
                options.hasSoftcap(),
                options.hasAlibi(),
                options.hasDropout(),
                composition.smallTile,
                seed % 3 == 0);
    }

    private static <T> T oneOf(SplittableRandom random, List<T> values) {
        return values.get(random.nextInt(values.size()));
    }

    private static FloatArray floats(SplittableRandom random, int size) {
        FloatArray array = new FloatArray(size);
        for (int i = 0; i < size; i++) {
            array.set(i, (float) random.nextDouble(-1, 1));
        }
        return array;
    }

    /** What was drawn, and of which kind it is. */
    record Drawn<T>(T value, int kind) {}

    static Drawn<Mask> mask(SplittableRandom random, int tokens, int batch, int heads, int seqQ, int seqK) {
        IntArray ids = new IntArray(tokens);
        int documents = random.nextInt(1, 5);
        for (int i = 0; i < tokens; i++) {
            ids.set(i, i * documents / tokens);
        }
        int kind = random.nextInt(9);
        Mask mask = switch (kind) {
            case 0 -> Masks.documents(ids);
            case 1 -> Masks.prefixLm(7);
            case 2 -> Masks.dilated(4, 3);
            case 3 -> Masks.globalWindow(2, 6, 3);
            case 4 -> Masks.neighbourhood2d(9, 2);
            case 5 -> Masks.blockCausal(8);
            case 6 -> Mask.of((b, h, i, j) -> (i + 3 * j + h) % 5 != b);
            case 7 ->
                Mask.blocks(BlockMask.of(
                        (b, h, i, j) -> ids.get(i) == ids.get(j) || (i / 5 + j / 3 + h) % 4 == b,
                        random.nextBoolean() ? 1 : batch,
                        random.nextBoolean() ? 1 : heads,
                        seqQ,
                        seqK,
                        random.nextInt(1, 30),
                        random.nextInt(1, 30)));
            default -> Mask.window(random.nextInt(tokens), random.nextInt(tokens));
        };
        int with = random.nextInt(6);
        return new Drawn<>(
                switch (with) {
                    case 0 -> mask.and(Mask.causal());
                    case 1 -> mask.or(Mask.window(2, 2));
                    case 2 -> mask.not();
                    default -> mask;
                },
                kind);
    }

    static Drawn<ScoreFunction> score(SplittableRandom random, int tokens) {
        FloatArray table = floats(random, 6 * 21);
        int kind = random.nextInt(6);
        ScoreFunction score = switch (kind) {
            case 0 -> Scores.relative(table, 10);
            case 1 -> Scores.alibi(table);
            case 2 -> Scores.softcap(2);
            case 3 -> (s, b, h, i, j) -> s * s - s;
            case 4 -> (s, b, h, i, j) -> s > 0 ? s + table.get(i % 7) : 0.5f * s - b;
            default -> (s, b, h, i, j) -> (float) Math.log(1 + Math.exp(s)) + Math.min(s, table.get(j % 21));
        };
        return new Drawn<>(score, kind);
    }

    private static AttentionKernel kernel(SplittableRandom random) {
        return oneOf(
                random,
                List.of(
                        AttentionKernel.TILED,
                        AttentionKernel.ONLINE,
                        AttentionKernel.STANDARD,
                        AttentionKernel.WARP,
                        AttentionKernel.WARP_GROUP,
                        AttentionKernel.VECTOR));
    }

    /**
     * How far the naive gradients of so few elements are off is chance, mostly that of the output's rounding, which D
     * has from: of 3,500 compositions one was off by 3.2 times as much in BF16, of whatever kernel.
     */
    private static Tolerance ofFewElements(DType dtype) {
        return Tolerance.gradients(dtype).withFactor(5);
    }

    private static FlashAttention withUsualTile(AttentionKernel kernel) {
        return FlashAttention.on(TestDevice.assumed(kernel), kernel);
    }

    /** Tiles of which problems as small as these have several. */
    private static FlashAttention withSmallTile(AttentionKernel kernel) {
        return switch (kernel) {
            case TILED -> FlashAttention.on(TestDevice.assumed(kernel), kernel, kernel.tile("16x8"));
            case WARP -> FlashAttention.on(TestDevice.assumed(kernel), kernel, kernel.tile("16x16/1"));
            case WARP_GROUP -> FlashAttention.on(TestDevice.assumed(kernel), kernel, kernel.tile("64x16/4"));
            default -> withUsualTile(kernel);
        };
    }

    private record Composition(
            AttentionKernel kernel,
            DType dtype,
            AttentionOptions options,
            Optional<Integer> mask,
            Optional<Integer> score,
            int[] q,
            int[] k,
            int[] v,
            int[] output,
            boolean smallTile) {

        static Composition of(long seed) {
            SplittableRandom random = new SplittableRandom(seed);
            AttentionKernel kernel = RandomCompositionsTest.kernel(random);
            DType dtype = oneOf(random, List.copyOf(new TreeSet<>(kernel.spec().dtypes())));
            int kvHeads = random.nextInt(1, 3);
            int heads = kvHeads * random.nextInt(1, 3);
            int batch = random.nextInt(1, 3);
            int seqQ = random.nextInt(1, 50);
            int seqK = random.nextInt(1, 50);
            int headDim = random.nextInt(1, 40);
            int otherDim = random.nextBoolean() ? headDim : random.nextInt(1, 40);
            int valueDim = kernel.spec().ownValueDim() ? otherDim : headDim;
            AttentionOptions options = AttentionOptions.defaults();
            Optional<Integer> maskKind = Optional.empty();
            if (random.nextInt(4) > 0) {
                Drawn<Mask> mask = RandomCompositionsTest.mask(random, 50, batch, heads, seqQ, seqK);
                options = options.withMask(mask.value);
                maskKind = Optional.of(mask.kind);
            }
            Optional<Integer> scoreKind = Optional.empty();
            if (random.nextInt(3) > 0) {
                Drawn<ScoreFunction> score = RandomCompositionsTest.score(random, 50);
                options = options.withScore(score.value);
                scoreKind = Optional.of(score.kind);
            }
            if (random.nextInt(3) == 0) {
                options = options.withBias(Tensor.random(
                        oneOf(random, List.of(DType.values())),
                        seed,
                        random.nextBoolean() ? 1 : batch,
                        random.nextBoolean() ? 1 : heads,
                        seqQ,
                        seqK));
            }
            if (random.nextInt(3) == 0) {
                options = options.withSinks(Tensor.random(DType.F32, seed, heads));
            }
            if (random.nextInt(4) == 0) {
                options = options.withKeyLengths(random.ints(batch, 0, seqK + 1).toArray());
            }
            if (random.nextInt(5) == 0) {
                options = options.withSoftcap(4);
            }
            if (random.nextInt(5) == 0) {
                options = options.withAlibi(AttentionOptions.alibiSlopes(heads));
            }
            if (random.nextInt(5) == 0) {
                options = options.withDropout(0.3, seed);
            }
            return new Composition(
                    kernel,
                    dtype,
                    options,
                    maskKind,
                    scoreKind,
                    new int[] {batch, heads, seqQ, headDim},
                    new int[] {batch, kvHeads, seqK, headDim},
                    new int[] {batch, kvHeads, seqK, valueDim},
                    new int[] {batch, heads, seqQ, valueDim},
                    random.nextBoolean());
        }
    }

    @Tag("both-tiers")
    @ParameterizedTest(name = "-Dattention.seed={0}")
    @MethodSource("seeds")
    void isAccurate(long seed) {
        Composition composition = Composition.of(seed);
        AttentionKernel kernel = composition.kernel;
        AttentionOptions options = composition.options;
        Tensor q = Tensor.random(composition.dtype, seed + 1, composition.q);
        Tensor k = Tensor.random(composition.dtype, seed + 2, composition.k);
        Tensor v = Tensor.random(composition.dtype, seed + 3, composition.v);
        Tensor dOut = Tensor.random(composition.dtype, seed + 4, composition.output);
        boolean gradients = ALL_GRADIENTS || seed % 3 == 0;
        AccuracyCheck check = gradients ? AccuracyCheck.of(q, k, v, dOut, options) : AccuracyCheck.of(q, k, v, options);
        try (FlashAttention attention = composition.smallTile ? withSmallTile(kernel) : withUsualTile(kernel)) {
            AttentionResult result = attention.forward(q, k, v, options);
            assertThat(check.forward(result.output(), result.logSumExp()))
                    .as("%s of %s, %s", kernel, composition.dtype, options)
                    .allMatch(Comparison::passed);
            if (gradients) {
                assertThat(check.gradients(attention.backward(result, dOut), ofFewElements(composition.dtype)))
                        .as("gradients by %s of %s, %s", kernel, composition.dtype, options)
                        .allMatch(Comparison::passed);
            }
        }
    }
}
