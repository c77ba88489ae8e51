package org.tornadoattention.choice;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.function.FunctionForm;
import org.tornadoattention.kernel.WarpGroupBiasGradient;
import org.tornadoattention.kernel.WarpGroupFlashAttention;
import org.tornadoattention.kernel.WarpGroupGradients;
import org.tornadoattention.kernel.WarpGroupKeyValueGradients;
import org.tornadoattention.kernel.WarpGroupQueryGradient;
import org.tornadoattention.kernel.WarpRowTerms;
import org.tornadoattention.kernel.parts.BiasTiles;
import org.tornadoattention.kernel.parts.DividedTiles;
import org.tornadoattention.kernel.parts.TileList;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** {@link WarpGroupFlashAttention} and its gradients. */
record WarpGroupSpec() implements KernelSpec {

    /** Elements of a 16-byte copy. */
    private static final int CHUNK = 8;

    /** Above, the registers of a warp group hold one of dK and dV only. */
    private static final int WIDEST_FOR_BOTH = 128;

    /**
     * The tile of functions: of two warp groups, which have registers for them, and of what block masks are mostly made
     * of.
     */
    private static final String OF_FUNCTIONS = "128x128/8";

    /** Tiles of functions over a cache, the fastest that local memory has room for first. */
    static final List<String> OF_FUNCTIONS_FROM_BEST =
            List.of(OF_FUNCTIONS, "128x64/8", "128x32/8", "64x32/4", "64x16/4");

    /**
     * The tile where a bias is copied beside the keys of wider heads: the more queries it has, the less is read of keys
     * and values.
     */
    private static final String OF_BIASES = "192x64/12";

    /** The widest head for which 192 queries leave a lane registers. */
    private static final int WIDEST_OF_BIASES = 128;

    /** The tile where local memory has no room for a bias beside 128 keys. */
    private static final String OF_BIASES_OF_WIDEST = "128x64/8";

    /**
     * The tile of heads of up to 192 whose values have 128 or fewer: registers that a narrow O leaves hold more keys.
     */
    private static final String OF_NARROW_VALUES = "128x112/8";

    private static final int NARROW_VALUES = 128;
    private static final int WIDEST_OF_NARROW_VALUES = 192;

    /** Queries from which on it is the faster one. */
    private static final int LONG = 1024;

    /** The widest head for which one kernel is faster under a causal mask too. */
    private static final int NARROW = 64;

    /** Keys of whose tiles an H100 runs all at once. */
    private static final int LONGEST_SHARED = 16_384;

    /** Keys of sequences for which groups that stay are faster (docs/performance.md). */
    private static final int LONGEST_OF_STAYING = 4096;

    /** Likewise where heads share keys and see all of them. */
    private static final int LONGEST_OF_STAYING_TOGETHER = 2048;

    /**
     * From how many rounds of all multiprocessors on groups have two tiles of queries, which makes a last round longer.
     */
    private static final long ROUNDS_OF_PAIRS = 8;

    /** What keys and values of heads that come together may take of an H100's cache. */
    private static final long CACHE_BYTES_OF_HEADS = 36 << 20;

    /** Heads that come together where they may share a bias; 16 gain no more (docs/performance.md). */
    private static final int MOST_HEADS_TOGETHER = 8;

    /** Tiles of keys of a part of a tile of queries, at least. */
    private static final int STEPS_OF_PART = 16;

    /** The compute capability, times ten, of devices whose multiprocessors are known to run such a group. */
    private static final int HOPPER = 90;

    /** Floats of which an H100's cache holds the sums of a bias' gradient beside what kernels read. */
    private static final long PARTS_IN_CACHE = 8 << 20;

    private static final String OF_ALL = "-gradients";

    /** The warps that compute of a group that has a multiprocessor for itself. */
    private static final int WARPS_OF_MULTIPROCESSOR = 8;

    private static final Tiling FORWARD = new ForwardTiling();
    private static final Tiling QUERY_GRADIENT = new QueryGradientTiling();
    private static final Tiling KEY_VALUE_GRADIENTS = new KeyValueGradientsTiling();
    private static final Tiling GRADIENTS = new GradientsTiling();
    private static final Tiling BIAS_GRADIENT = new BiasGradientTiling();

    @Override
    public String summary() {
        return "asynchronous tensor cores, softmax under the products";
    }

    @Override
    public Set<DType> dtypes() {
        return Set.of(DType.F16, DType.BF16);
    }

    @Override
    public boolean ownValueDim() {
        return true;
    }

    @Override
    public boolean functions() {
        return true;
    }

    @Override
    public Optional<String> objection(Views views, AttentionShape shape) {
        boolean takes = !views.areOfBackward()
                && views.types().size() == 1
                && views.isMultiple("query", CHUNK)
                && views.isMultiple("key", CHUNK)
                && views.isMultiple("value", CHUNK)
                && views.isMultiple("output", 2)
                && shape.headDim() % CHUNK == 0
                && shape.valueDim() % CHUNK == 0;
        return takes
                ? Optional.empty()
                : Optional.of(
                        "views of one type, whose rows begin at multiples of %d elements, of heads of a multiple of %d, and these are others"
                                .formatted(CHUNK, CHUNK));
    }

    @Override
    public Capability capability() {
        return Capability.WARP_GROUP;
    }

    @Override
    public Optional<Tiling> tiling() {
        return Optional.of(FORWARD);
    }

    /**
     * One kernel where it has registers for both dK and dV, and a place for the sums of dQ; else two, whose tiles are
     * chosen together: the first that fit are the fastest (docs/performance.md).
     */
    @Override
    public Backward backward() {
        return new Backward.Own(
                (problem, device) -> oneKernel(problem)
                        .map(tile -> List.of(GRADIENTS.tile(tile)))
                        .filter(tiles -> GRADIENTS.fits(tiles.getFirst(), problem, device))
                        .or(() -> twoKernels(problem, device)),
                WarpGroupSpec::twoKernels,
                Optional.of(AttentionKernel.TILED),
                WarpGroupSpec::scratch,
                WarpGroupSpec::gradients);
    }

    private static Optional<List<Tile>> twoKernels(AttentionProblem problem, ComputeDevice device) {
        if (hasOwnValueDim(problem)) {
            return Optional.empty();
        }
        // Scores that functions change leave no registers for tiles of 128 keys.
        boolean changesScores =
                !problem.functions().isEmpty() && problem.functions().form().changesScores();
        return Stream.of(
                        List.of(changesScores ? "128x64" : "128x128", "64x128"),
                        List.of("128x64", "64x128"),
                        List.of("128x32", "32x128"),
                        List.of("64x16", "16x64"))
                .map(pair -> List.of(QUERY_GRADIENT.tile(pair.getFirst()), KEY_VALUE_GRADIENTS.tile(pair.getLast())))
                .filter(pair -> pair.stream().allMatch(tile -> tile.tiling().fits(tile, problem, device)))
                .findFirst();
    }

    /** The tile of the kernel that computes all gradients, where it can. */
    private static Optional<String> oneKernel(AttentionProblem problem) {
        boolean can = problem.shape().headDim() <= WIDEST_FOR_BOTH
                && !hasOwnValueDim(problem)
                && (problem.functions().isEmpty() || hasBiasOnly(problem))
                && (problem.shape().groupSize() == 1 || eachHead(problem) || gainsWhereShared(problem))
                && (problem.windowRight() < 0
                        || problem.windowLeft() < 0
                        || problem.shape().headDim() <= NARROW)
                && sums(problem, 128, 128) <= Tensor.MAX_ELEMENTS;
        boolean narrow =
                problem.shape().headDim() <= NARROW && problem.functions().isEmpty();
        return !can ? Optional.empty() : Optional.of(narrow ? "128x128" : "64x128");
    }

    /** Whether functions do no more than add a bias of 16 bits, whose rows begin at multiples of 16 bytes. */
    private static boolean hasBiasOnly(AttentionProblem problem) {
        FunctionForm form = problem.functions().form();
        return form.hasNarrowBias()
                && form.score().isEmpty()
                && form.mask().isEmpty()
                && problem.shape().seqK() % CHUNK == 0;
    }

    /** Whether values have a head dimension of their own, which the backward kernels do not take. */
    private static boolean hasOwnValueDim(AttentionProblem problem) {
        return problem.shape().valueDim() != problem.shape().headDim();
    }

    /** Whether one kernel is faster where heads share keys: no mask, and all groups of a head of keys run together. */
    private static boolean gainsWhereShared(AttentionProblem problem) {
        return problem.windowLeft() < 0
                && problem.windowRight() < 0
                && problem.shape().seqK() <= LONGEST_SHARED;
    }

    /**
     * Whether each query head has work-groups of its own, though heads share keys: under a causal mask, and where not
     * all groups of a head of keys run together.
     */
    private static boolean eachHead(AttentionProblem problem) {
        return problem.shape().groupSize() > 1
                && problem.windowLeft() < 0
                && (problem.windowRight() >= 0 || problem.shape().seqK() > LONGEST_SHARED);
    }

    private static long queryTiles(AttentionShape shape, int blockQ) {
        return (long) shape.batch() * shape.heads() * Math.ceilDiv(shape.seqQ(), blockQ);
    }

    /** Tiles of keys whose dK and dV several work-groups add to. */
    private static long sharedKeyTiles(AttentionProblem problem, int blockK) {
        AttentionShape shape = problem.shape();
        return eachHead(problem) ? (long) shape.batch() * shape.kvHeads() * Math.ceilDiv(shape.seqK(), blockK) : 0;
    }

    private static long sums(AttentionProblem problem, int blockQ, int blockK) {
        int headDim = problem.shape().headDim();
        return queryTiles(problem.shape(), blockQ) * WarpGroupGradients.sumsOfTile(headDim, blockQ)
                + sharedKeyTiles(problem, blockK) * WarpGroupGradients.sumsOfKeys(headDim, blockK);
    }

    private static long turns(AttentionProblem problem, int blockQ, int blockK) {
        return queryTiles(problem.shape(), blockQ) * WarpGroupGradients.turnsOfTile()
                + sharedKeyTiles(problem, blockK) * WarpGroupGradients.turnsOfKeys(blockK);
    }

    private static List<Scratch> scratch(AttentionProblem problem) {
        return oneKernel(problem)
                .map(GRADIENTS::tile)
                .map(tile -> List.of(
                        Scratch.floats("sums", sums(problem, tile.blockQ(), tile.blockK())),
                        Scratch.ints("turns", turns(problem, tile.blockQ(), tile.blockK()))))
                .orElse(List.of());
    }

    /** Heads of keys whose groups run together: those that half of the multiprocessors hold (docs/performance.md). */
    private static int together(Work work, Tile tile) {
        int tilesK = Math.ceilDiv(work.shape().seqK(), tile.blockK());
        int heads = work.problem().windowRight() >= 0 ? 1 : work.device().computeUnits() / 2 / tilesK;
        return Math.clamp(heads, 1, work.shape().batch() * work.shape().kvHeads());
    }

    private static List<Launch> gradientsByOne(Work work) {
        Tile tile = work.tile();
        boolean eachHead = eachHead(work.problem());
        int blocks = WarpGroupKeyValueGradients.blocks(tile.blockQ(), tile.blockK());
        long groups = work.keyTiles(tile.blockK()) * (eachHead ? work.shape().groupSize() : 1);
        return List.of(
                rowTerms(work),
                Launch.of(OF_ALL, WarpGroupGradients.class, "gradients")
                        .with("blocks", eachHead ? blocks | WarpGroupGradients.EACH_HEAD : blocks)
                        .with("together", together(work, tile))
                        .with("groupsAtOnce", work.device().computeUnits())
                        .with("parts", 0)
                        .with("shared", 1)
                        .with("biasBatch", 1)
                        .with("biasHeads", 1)
                        .groups(groups, WarpGroupGradients.groupSize(tile.blockK())));
    }

    private static Launch rowTerms(Work work) {
        return Launch.of("-rows", WarpRowTerms.class, "rowTerms")
                .overElements(work.shape().queryRows() * WarpRowTerms.LANES, WarpRowTerms.GROUP);
    }

    /** dK and dV come from one launch of their kernel, or from one each where registers do not hold both. */
    private static List<Launch> gradients(Work work) {
        if (work.tiles().size() == 1) {
            return gradientsByOne(work);
        }
        Tile queryGradient = work.tiles().getFirst();
        int ofBoth = WarpGroupKeyValueGradients.OF_KEYS | WarpGroupKeyValueGradients.OF_VALUES;
        List<Launch> launches = new ArrayList<>(List.of(
                rowTerms(work),
                Launch.of("-dq", WarpGroupQueryGradient.class, "queryGradient")
                        .with(
                                "blocks",
                                WarpGroupKeyValueGradients.blocks(queryGradient.blockQ(), queryGradient.blockK()))
                        .groups(
                                work.queryTiles(queryGradient.blockQ()),
                                WarpGroupQueryGradient.groupSize(queryGradient.blockQ()))));
        if (work.shape().headDim() <= WIDEST_FOR_BOTH) {
            launches.add(keyValueGradients("-dkdv", work, ofBoth));
        } else {
            launches.add(keyValueGradients("-dk", work, WarpGroupKeyValueGradients.OF_KEYS));
            launches.add(keyValueGradients("-dv", work, WarpGroupKeyValueGradients.OF_VALUES));
        }
        return launches;
    }

    private static Launch keyValueGradients(String suffix, Work work, int which) {
        Tile tile = work.tiles().getLast();
        return Launch.of(suffix, WarpGroupKeyValueGradients.class, "keyValueGradients")
                .with("blocks", WarpGroupKeyValueGradients.blocks(tile.blockQ(), tile.blockK()) | which)
                .groups(work.keyTiles(tile.blockK()), WarpGroupKeyValueGradients.groupSize(tile.blockK()));
    }

    @Override
    public BiasGradients biasGradient(Work work, int biasBatch, int biasHeads) {
        if (work.tiles().size() == 1 && addsToParts(work, biasBatch, biasHeads)) {
            int parts = parts(work, biasBatch, biasHeads);
            return BiasGradients.within(
                    work,
                    gradientsByOne(work),
                    OF_ALL,
                    biasBatch,
                    biasHeads,
                    parts,
                    WarpGroupKeyValueGradients.blocks(
                            work.tile().blockQ(), work.tile().blockK()),
                    parts * tilesOfBias(work, biasBatch, biasHeads));
        }
        return Stream.of("128x64", "64x32")
                .map(BIAS_GRADIENT::tile)
                .filter(tile -> BIAS_GRADIENT.fits(tile, work.problem(), work.device()))
                .findFirst()
                .map(tile -> BiasGradients.byTiles(
                        work,
                        biasBatch,
                        biasHeads,
                        Launch.of("-dbias", WarpGroupBiasGradient.class, "biasGradient")
                                .with("blocks", WarpGroupKeyValueGradients.blocks(tile.blockQ(), tile.blockK())),
                        tile.blockQ(),
                        tile.blockK(),
                        WarpGroupBiasGradient.groupSize(tile.blockQ())))
                .orElseGet(() -> BiasGradients.byElement(work, biasBatch, biasHeads));
    }

    /** Whether the kernel of all gradients computes the bias' too: its parts fit into the cache beside the rest. */
    private static boolean addsToParts(Work work, int biasBatch, int biasHeads) {
        AttentionProblem problem = work.problem();
        Tile tile = work.tile();
        long elements =
                BiasGradients.paddedElements(problem.shape(), biasBatch, biasHeads, tile.blockQ(), tile.blockK());
        return problem.shape().groupSize() == 1
                && problem.windowLeft() < 0
                && problem.windowRight() < 0
                && !problem.keyLengths()
                && problem.softcap() == 0
                && elements * parts(work, biasBatch, biasHeads) <= PARTS_IN_CACHE;
    }

    /** In how many parts groups divide the heads that share a bias: each multiprocessor has a group. */
    private static int parts(Work work, int biasBatch, int biasHeads) {
        return Math.clamp(
                work.device().computeUnits() / tilesOfBias(work, biasBatch, biasHeads),
                1,
                BiasGradients.shared(work.shape(), biasBatch, biasHeads));
    }

    private static long tilesOfBias(Work work, int biasBatch, int biasHeads) {
        return (long) biasBatch
                * biasHeads
                * Math.ceilDiv(work.shape().seqK(), work.tile().blockK());
    }

    @Override
    public Traffic traffic() {
        return Traffic.EACH_TILE;
    }

    @Override
    public List<Launch> forward(Work work) {
        long tiles = work.queryTiles(work.tile().blockQ());
        boolean stay = stay(work);
        boolean pairs = pairs(work);
        long ofPairs = pairs ? (tiles + 1) / 2 : tiles;
        int parts = partsOfLast(work);
        long divided = parts > 1 ? tilesOfLast(work) : 0;
        long groups = stay ? work.device().computeUnits() : ofPairs + divided * (parts - 1);
        Launch launch = work.warps(WarpGroupFlashAttention.class)
                .with("staying", stay || pairs ? (int) groups : 0)
                .groups(groups, work.tile().groupSize(work.shape().widestDim()));
        if (parts > 1) {
            launch = dividing(launch, (int) (tiles - divided), (int) divided, parts);
        }
        int together = headsTogether(work);
        return List.of(together > 1 ? launch.answering(BiasTiles.class, Map.of("headsTogether", together)) : launch);
    }

    /** How many heads that may share a bias come together: as many as the cache has keys and values of. */
    private static int headsTogether(Work work) {
        AttentionShape shape = work.shape();
        if (!work.problem().functions().form().hasNarrowBias() || stay(work) || pairs(work)) {
            return 1;
        }
        long bytes = (long) shape.seqK()
                * (shape.headDim() + shape.valueDim())
                * work.problem().dtype().byteSize();
        int heads = shape.batch() * shape.heads();
        int most = Math.clamp(CACHE_BYTES_OF_HEADS / bytes, 1, MOST_HEADS_TOGETHER);
        return IntStream.rangeClosed(1, most)
                .filter(together -> heads % together == 0)
                .max()
                .orElse(1);
    }

    private static Launch dividing(Launch launch, int whole, int count, int parts) {
        return launch.answering(
                DividedTiles.class, Map.of("arePresent", 1, "whole", whole, "count", count, "parts", parts));
    }

    @Override
    public List<Scratch> scratch(Work work) {
        if (partsOfLast(work) == 1) {
            return List.of();
        }
        long warps = tilesOfLast(work) * work.tile().warps();
        int columns = (work.shape().valueDim() + 15) / 16 * 16;
        return List.of(Scratch.floats("sums", warps * DividedTiles.sumsOfWarp(columns)), Scratch.ints("turns", warps));
    }

    /** Tiles of queries of the last round of all multiprocessors, 0 if that is full. */
    private static long tilesOfLast(Work work) {
        return work.queryTiles(work.tile().blockQ()) % work.device().computeUnits();
    }

    /**
     * In how many parts groups divide the keys of each tile of a last round that would leave multiprocessors without
     * work, 1 where that gains nothing: without a mask, so that all tiles take as long, and of sequences so long that a
     * group's beginning and end count little.
     */
    private static int partsOfLast(Work work) {
        AttentionProblem problem = work.problem();
        boolean alike = problem.windowLeft() < 0
                && problem.windowRight() < 0
                && (problem.functions().isEmpty() || !problem.functions().form().leavesTilesOut());
        if (!alike
                || stay(work)
                || work.device().extension().computeCapability() < HOPPER
                || work.tile().warps() < WARPS_OF_MULTIPROCESSOR) {
            return 1;
        }
        long divided = tilesOfLast(work);
        int steps = Math.ceilDiv(work.shape().seqK(), work.tile().blockK());
        long atOnce = divided == 0 ? 1 : work.device().computeUnits() / divided;
        return Math.clamp(atOnce, 1, Math.max(1, steps / STEPS_OF_PART));
    }

    /**
     * Whether as many groups as multiprocessors compute all tiles of queries: where tiles are more, and so short that
     * their beginnings and ends count. Groups that stay need room for the next tile's queries; they ask no functions,
     * for which there are {@link #pairs}. In the simulator a core is no multiprocessor.
     */
    private static boolean stay(Work work) {
        return work.problem().functions().isEmpty()
                && stay(work.tile(), work.shape(), longestOfStaying(work.problem()), work.device());
    }

    /**
     * Whether a group computes two tiles of queries, one after the other, where block masks leave tiles of keys out:
     * what a tile takes differs, so that the device is to say who comes next, but the second one's beginning is
     * covered. Functions that change scores leave no registers for it.
     */
    private static boolean pairs(Work work) {
        Tile tile = work.tile();
        int bytes = tile.localMemoryBytes(work.shape().widestDim())
                + WarpGroupFlashAttention.stayingBytes(work.shape().headDim(), tile.blockQ())
                + 2 * TileList.bytes(Math.ceilDiv(work.shape().seqK(), tile.blockK()));
        FunctionForm form = work.problem().functions().form();
        return !work.problem().functions().isEmpty()
                && form.leavesTilesOut()
                && !form.changesScores()
                && work.device().extension().computeCapability() >= HOPPER
                && tile.warps() >= WARPS_OF_MULTIPROCESSOR
                && queryTiles(work.shape(), tile.blockQ())
                        >= ROUNDS_OF_PAIRS * work.device().computeUnits()
                && bytes <= work.device().extension().localMemoryBytes();
    }

    /** Likewise of chunks over a cache. */
    static boolean stay(Tile tile, AttentionShape shape, ComputeDevice device) {
        return stay(tile, shape, LONGEST_OF_STAYING, device);
    }

    private static boolean stay(Tile tile, AttentionShape shape, int longest, ComputeDevice device) {
        int bytes = tile.localMemoryBytes(shape.widestDim())
                + WarpGroupFlashAttention.stayingBytes(shape.headDim(), tile.blockQ());
        return device.extension().computeCapability() >= HOPPER
                && tile.warps() >= WARPS_OF_MULTIPROCESSOR
                && shape.seqK() <= longest
                && queryTiles(shape, tile.blockQ()) > device.computeUnits()
                && bytes <= device.extension().localMemoryBytes();
    }

    private static int longestOfStaying(AttentionProblem problem) {
        boolean together = problem.shape().groupSize() > 1 && problem.windowLeft() < 0 && problem.windowRight() < 0;
        return together ? LONGEST_OF_STAYING_TOGETHER : LONGEST_OF_STAYING;
    }

    private static final class ForwardTiling extends WarpTiling {

        ForwardTiling() {
            super(AttentionKernel.WARP_GROUP);
        }

        @Override
        boolean share(int warps, int blockQ) {
            return blockQ == 16 * warps && warps % 4 == 0;
        }

        /** One warp group more, which copies. */
        @Override
        int groupSize(Tile tile, int headDim) {
            return WarpGroupFlashAttention.groupSize(tile.blockQ());
        }

        @Override
        int localMemoryBytes(Tile tile, int headDim) {
            return WarpGroupFlashAttention.localMemoryBytes(headDim, tile.blockQ(), tile.blockK());
        }

        @Override
        int listed(Tile tile, AttentionProblem problem) {
            return Math.ceilDiv(problem.shape().seqK(), tile.blockK());
        }

        @Override
        int biasBytes(Tile tile) {
            return WarpGroupFlashAttention.biasBytes(tile.blockQ(), tile.blockK());
        }

        /**
         * With functions, tiles that leave them registers, and that the usual tiles of block masks are made of; of
         * values with a head dimension of their own, what is measured for it.
         */
        @Override
        Stream<Tile> bestFirst(AttentionProblem problem, ComputeDevice device) {
            return Stream.concat(special(problem).map(this::tile), super.bestFirst(problem, device));
        }

        private static Stream<String> special(AttentionProblem problem) {
            AttentionShape shape = problem.shape();
            if (!problem.functions().isEmpty()) {
                return ofFunctions(problem);
            }
            boolean narrowValues = shape.headDim() > NARROW_VALUES
                    && shape.headDim() <= WIDEST_OF_NARROW_VALUES
                    && shape.valueDim() <= NARROW_VALUES
                    && shape.seqQ() >= LONG;
            return narrowValues ? Stream.of(OF_NARROW_VALUES) : Stream.of();
        }

        private static Stream<String> ofFunctions(AttentionProblem problem) {
            if (!problem.functions().form().hasNarrowBias()) {
                return Stream.of(OF_FUNCTIONS);
            }
            int widest = problem.shape().widestDim();
            boolean gains = widest > NARROW
                    && widest <= WIDEST_OF_BIASES
                    && !problem.functions().form().leavesTilesOut();
            return gains ? Stream.of(OF_BIASES) : Stream.of(OF_FUNCTIONS, OF_BIASES_OF_WIDEST);
        }

        @Override
        Stream<String> untuned() {
            return Stream.of("128x64/8", "128x32/8", "64x32/4", "64x16/4");
        }

        @Override
        public List<Tile> worthTrying() {
            return combinations(List.of("64/4", "128/8", "192/12", "256/16"), 32, 64, 80, 96, 128, 160, 192);
        }
    }

    /** Tiles of a backward kernel, of which a warp group has 64 rows. */
    private abstract static class GradientTiling extends Tiling {

        private static final int MAX_SIDE = 256;

        private final int queryStep;
        private final int keyStep;

        GradientTiling(int queryStep, int keyStep) {
            super(AttentionKernel.WARP_GROUP);
            this.queryStep = queryStep;
            this.keyStep = keyStep;
        }

        @Override
        void check(int blockQ, int blockK, int warps, int rescaleThreshold) {
            requireNoWarps(kernel(), warps, rescaleThreshold);
            check("queries", blockQ, queryStep);
            check("keys", blockK, keyStep);
        }

        private static void check(String what, int size, int step) {
            if (size < step || size > MAX_SIDE || size % step != 0) {
                throw new IllegalArgumentException(
                        "A backward tile of %d %s does not fit warp groups: take a multiple of %d up to %d."
                                .formatted(size, what, step, MAX_SIDE));
            }
        }

        @Override
        long localMemory(ComputeDevice device) {
            return device.extension().localMemoryBytes();
        }
    }

    private static final class QueryGradientTiling extends GradientTiling {

        QueryGradientTiling() {
            super(64, 16);
        }

        @Override
        int groupSize(Tile tile, int headDim) {
            return WarpGroupQueryGradient.groupSize(tile.blockQ());
        }

        @Override
        int localMemoryBytes(Tile tile, int headDim) {
            return WarpGroupQueryGradient.localMemoryBytes(headDim, tile.blockQ(), tile.blockK());
        }

        @Override
        int listed(Tile tile, AttentionProblem problem) {
            return Math.ceilDiv(problem.shape().seqK(), tile.blockK());
        }
    }

    private static final class BiasGradientTiling extends GradientTiling {

        BiasGradientTiling() {
            super(64, 32);
        }

        @Override
        int groupSize(Tile tile, int headDim) {
            return WarpGroupBiasGradient.groupSize(tile.blockQ());
        }

        @Override
        int localMemoryBytes(Tile tile, int headDim) {
            return WarpGroupBiasGradient.localMemoryBytes(headDim, tile.blockQ(), tile.blockK());
        }
    }

    private static final class GradientsTiling extends GradientTiling {

        GradientsTiling() {
            super(64, 64);
        }

        @Override
        int groupSize(Tile tile, int headDim) {
            return WarpGroupGradients.groupSize(tile.blockK());
        }

        @Override
        int localMemoryBytes(Tile tile, int headDim) {
            return WarpGroupGradients.localMemoryBytes(headDim, tile.blockQ(), tile.blockK());
        }

        @Override
        int biasBytes(Tile tile) {
            return WarpGroupGradients.biasBytes(tile.blockQ(), tile.blockK());
        }
    }

    private static final class KeyValueGradientsTiling extends GradientTiling {

        KeyValueGradientsTiling() {
            super(16, 64);
        }

        @Override
        int groupSize(Tile tile, int headDim) {
            return WarpGroupKeyValueGradients.groupSize(tile.blockK());
        }

        @Override
        int localMemoryBytes(Tile tile, int headDim) {
            return WarpGroupKeyValueGradients.localMemoryBytes(headDim, tile.blockQ(), tile.blockK());
        }

        /** Of all query heads that read a tile of keys. */
        @Override
        int listed(Tile tile, AttentionProblem problem) {
            return Math.multiplyExact(
                    problem.shape().groupSize(), Math.ceilDiv(problem.shape().seqQ(), tile.blockQ()));
        }
    }
}
