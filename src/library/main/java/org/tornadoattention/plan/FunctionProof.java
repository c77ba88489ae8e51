package org.tornadoattention.plan;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BlockMask;
import org.tornadoattention.Mask;
import org.tornadoattention.PlanStatistics;
import org.tornadoattention.ScoreFunction;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.forge.Arguments;
import org.tornadoattention.forge.Kernel;
import org.tornadoattention.forge.KernelLauncher;
import org.tornadoattention.function.FunctionForm;
import org.tornadoattention.function.ScoreSlope;
import org.tornadoattention.function.UserFunctions;
import org.tornadoattention.kernel.FunctionProbe;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * Whether a device computes what a user's functions say: they are evaluated there and on the JVM at some thousands of
 * pairs, before a plan with them first gives numbers. Compilers have faults; a function that met one must not give a
 * number.
 */
public final class FunctionProof implements AutoCloseable {

    private static final int PAIRS = 4096;
    private static final int GROUP_SIZE = 64;

    /** Kinds of block masks whose search stays compiled. */
    private static final int FINDERS = 4;

    /** Devices' functions, such as the power, are off by more than the JVM's; a wrong instruction by more than this. */
    private static final float TOLERANCE = 2e-3f;

    private record Proven(FunctionForm form, boolean backward) {}

    private final ComputeDevice device;
    private final Set<Proven> proven = new HashSet<>();
    private final Plans finders = new Plans(FINDERS);

    /** Nothing is proven yet. */
    public FunctionProof(ComputeDevice device) {
        this.device = device;
    }

    /**
     * Checks the functions of a problem, once for each form of them.
     *
     * @param backward whether the derivative is needed too
     * @throws AttentionException naming a pair at which the device and the JVM differ
     * @throws IllegalArgumentException naming a pair at which a function throws, such as for an index that an array
     *     lacks
     */
    public void require(AttentionProblem problem, AttentionOptions options, boolean backward) {
        FunctionForm form = problem.functions().form();
        if (form.isEmpty() || proven.contains(new Proven(form, backward))) {
            return;
        }
        Pairs pairs = Pairs.of(problem.shape(), options);
        if (pairs.count > 0) {
            List<TornadoNativeArray> captured = CapturedArrays.like(problem.functions());
            CapturedArrays.fill(captured, options);
            boolean derivative = backward && options.score().isPresent();
            Arguments arguments = Arguments.none()
                    .with("scores", pairs.scores)
                    .with("pairs", pairs.places)
                    .withFunctions(form, captured);
            compare(pairs, "scores", "score", arguments, captured, pair -> expected(options, pairs, pair));
            Pairs seen = pairs.where(pair -> isSeen(options, pairs, pair));
            if (derivative && seen.count > 0) {
                ScoreFunction slope = ScoreSlope.of(options.score().get());
                compare(
                        seen,
                        "slopes",
                        "derivative of the score",
                        Arguments.none()
                                .with("scores", seen.scores)
                                .with("pairs", seen.places)
                                .withFunctions(form, captured),
                        captured,
                        pair -> seen.apply(slope, biased(options, seen, pair), pair));
            }
        }
        proven.add(new Proven(form, backward));
    }

    /**
     * A block mask's tiles are found by the first plan that it is for; those of another of the same code and sizes
     * without compiling anything.
     */
    public void findTiles(AttentionOptions options) {
        options.mask().blockMasks().forEach(mask -> mask.find(this::find));
    }

    private void find(BlockMask mask) {
        UserFunctions functions = UserFunctions.of(TileFinder.options(mask));
        finders.run(
                TileFinder.class,
                TileFinder.Key.of(mask, functions),
                () -> new TileFinder(mask, functions, device),
                finder -> finder.find(mask));
    }

    /** Whether what failed is that functions are too large for TornadoVM to inline into a kernel. */
    public static boolean isOfInlining(Throwable failure) {
        return Stream.iterate(failure, Objects::nonNull, Throwable::getCause)
                .anyMatch(cause -> cause.getClass().getSimpleName().equals("TornadoInliningException"));
    }

    /** Searches for tiles that were compiled before, that were not, and that are held now. */
    PlanStatistics finders() {
        return finders.statistics();
    }

    @Override
    public void close() {
        finders.close();
    }

    /** What the JVM gives for a pair. */
    @FunctionalInterface
    private interface Expected {
        float of(int pair);
    }

    private static float biased(AttentionOptions options, Pairs pairs, int pair) {
        float score = pairs.scores.get(pair);
        if (options.bias().isEmpty()) {
            return score;
        }
        Tensor bias = options.bias().get();
        return score
                + bias.get(
                        bias.dimension(0) == 1 ? 0 : pairs.place(pair, 0),
                        bias.dimension(1) == 1 ? 0 : pairs.place(pair, 1),
                        pairs.place(pair, 2),
                        pairs.place(pair, 3));
    }

    private static boolean isSeen(AttentionOptions options, Pairs pairs, int pair) {
        return options.mask().condition().isEmpty()
                || options.mask()
                        .condition()
                        .get()
                        .sees(
                                pairs.place(pair, 0),
                                pairs.place(pair, 1),
                                pairs.place(pair, 2),
                                pairs.place(pair, 3),
                                pairs.place(pair, 4));
    }

    private static float expected(AttentionOptions options, Pairs pairs, int pair) {
        if (!isSeen(options, pairs, pair)) {
            return Score.NO_SCORE;
        }
        float biased = biased(options, pairs, pair);
        return options.score().isEmpty() ? biased : pairs.apply(options.score().get(), biased, pair);
    }

    private void compare(
            Pairs pairs,
            String method,
            String what,
            Arguments arguments,
            List<TornadoNativeArray> captured,
            Expected expected) {
        // First, since what misses an array there is undefined on a device.
        float[] wanted = wanted(pairs, what, expected);
        Tensor results = Tensor.wrap(new FloatArray(pairs.count), pairs.count);
        TaskGraph graph = new TaskGraph("functions");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, pairs.scores, pairs.places, results.array());
        if (!captured.isEmpty()) {
            graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, captured.toArray());
        }
        new KernelLauncher(graph, grids, arguments.with("results", results.array()))
                .task(method, Kernel.of(FunctionProbe.class, method))
                .overElements(pairs.count, (int) Math.min(GROUP_SIZE, device.maxGroupSize()));
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, results.array());
        LaunchGuard plan = LaunchGuard.of(graph, grids, "The trial of the functions", device)
                .poisoning(Map.of("results", results));
        try {
            plan.execute();
        } finally {
            plan.close();
        }
        for (int pair = 0; pair < pairs.count; pair++) {
            float there = results.getFlat(pair);
            float here = wanted[pair];
            if (!agree(there, here)) {
                throw new AttentionException(
                        ("%s computes another function than was written: for %s the %s is %s there and %s on the JVM."
                                        + " TornadoVM compiled it wrongly; write it in another way, such as without"
                                        + " switches and loops, or use another backend.")
                                .formatted(device, pairs.describe(pair), what, there, here),
                        null);
            }
        }
    }

    private static float[] wanted(Pairs pairs, String what, Expected expected) {
        float[] wanted = new float[pairs.count];
        for (int pair = 0; pair < pairs.count; pair++) {
            try {
                wanted[pair] = expected.of(pair);
            } catch (IndexOutOfBoundsException | ArithmeticException e) {
                throw new IllegalArgumentException(
                        ("The functions of the options throw %s (%s) on the JVM, for %s, when asked for the %s. Kernels have no"
                                        + " exceptions: read arrays within their bounds at all pairs that no mask hides.")
                                .formatted(e.getClass().getSimpleName(), place(e), pairs.describe(pair), what),
                        e);
            }
        }
        return wanted;
    }

    /** The line of a function that throws: below those of Java and of arrays. */
    private static String place(RuntimeException failure) {
        return Stream.of(failure.getStackTrace())
                .filter(frame -> !frame.getClassName().matches("(java|jdk|uk\\.ac\\.manchester)\\..*"))
                .findFirst()
                .map(frame -> frame.getFileName() + ":" + frame.getLineNumber())
                .orElse("in Java's own code");
    }

    private static boolean agree(float one, float other) {
        if (one <= Score.NO_SCORE || other <= Score.NO_SCORE) {
            return one <= Score.NO_SCORE && other <= Score.NO_SCORE;
        }
        return Float.compare(one, other) == 0
                || Math.abs(one - other) <= TOLERANCE * Math.max(1, Math.max(Math.abs(one), Math.abs(other)));
    }

    /** Pairs that kernels may ask about: keys inside the window and the length. */
    private static final class Pairs {

        private final FloatArray scores;
        private final IntArray places;
        private final int count;

        private Pairs(int count) {
            this.count = count;
            this.scores = new FloatArray(Math.max(1, count));
            this.places = new IntArray(Math.max(1, count) * FunctionProbe.FIELDS);
        }

        static Pairs of(AttentionShape shape, AttentionOptions options) {
            SplittableRandom random = new SplittableRandom(1);
            int[][] found = new int[PAIRS][];
            int count = 0;
            for (int attempt = 0; attempt < 4 * PAIRS && count < PAIRS; attempt++) {
                int batch = random.nextInt(shape.batch());
                int head = random.nextInt(shape.heads());
                int query = attempt == 0 ? shape.seqQ() - 1 : random.nextInt(shape.seqQ());
                int length = options.keyLength(batch, shape.seqK());
                Mask mask = options.mask();
                int first = mask.firstKey(query, shape.seqQ(), length);
                int end = mask.endKey(query, shape.seqQ(), length);
                if (first < end) {
                    int key = attempt % 16 == 0 ? end - 1 : random.nextInt(first, end);
                    found[count++] = new int[] {batch, head, query, key, query + length - shape.seqQ()};
                }
            }
            Pairs pairs = new Pairs(count);
            for (int pair = 0; pair < count; pair++) {
                pairs.scores.set(pair, (float) random.nextGaussian(0, 3));
                for (int field = 0; field < FunctionProbe.FIELDS; field++) {
                    pairs.places.set(pair * FunctionProbe.FIELDS + field, found[pair][field]);
                }
            }
            return pairs;
        }

        /** Those of them that a condition holds for. */
        Pairs where(IntPredicate condition) {
            int[] chosen = IntStream.range(0, count).filter(condition).toArray();
            Pairs pairs = new Pairs(chosen.length);
            for (int pair = 0; pair < chosen.length; pair++) {
                pairs.scores.set(pair, scores.get(chosen[pair]));
                for (int field = 0; field < FunctionProbe.FIELDS; field++) {
                    pairs.places.set(pair * FunctionProbe.FIELDS + field, place(chosen[pair], field));
                }
            }
            return pairs;
        }

        int place(int pair, int field) {
            return places.get(pair * FunctionProbe.FIELDS + field);
        }

        float apply(ScoreFunction function, float score, int pair) {
            return function.apply(score, place(pair, 0), place(pair, 1), place(pair, 2), place(pair, 3));
        }

        String describe(int pair) {
            return "score %s, batch entry %d, head %d, query %d and key %d"
                    .formatted(scores.get(pair), place(pair, 0), place(pair, 1), place(pair, 2), place(pair, 3));
        }
    }
}
