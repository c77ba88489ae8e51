package org.tornadoattention.decode;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.StepReport;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.DecodeChoice;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.choice.LaunchedTile;
import org.tornadoattention.choice.SplitTile;
import org.tornadoattention.choice.WarpGroupSplitTile;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.function.UserFunctions;
import org.tornadoattention.plan.CapturedArrays;
import org.tornadoattention.plan.FunctionProof;
import org.tornadoattention.plan.LaunchGuard;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.ImmutableTaskGraph;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.TornadoProfilerResult;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * The device's side of a key-value cache: one execution plan whose graphs share the keys and values.
 *
 * <p>The first graph owns what stays on the device and takes lengths and page tables there, the second moves pages.
 * Each of the others is a step of up to so many tokens per sequence: append, attention, merge, or without queries
 * append and commit. Lengths, masks and scales travel in arrays, so each graph is compiled once, at its first
 * execution.
 *
 * <p>Steps of many tokens have one more graph each where the kernel of warp groups takes them: those with a block mask,
 * a bias of 16 bits, a scale that is not positive, or left padding among pages go through the other.
 *
 * <p>Functions, a bias or sinks have graphs of their own for each step, and where there are graphs of many tokens so
 * have softcap and ALiBi. The first call with some brings keys and values home and builds the plan anew.
 *
 * <p>What a step changes stays on the device, so that its launches hand back receipts, as {@link LaunchGuard} says.
 */
public final class CachePlan implements CacheEngine {

    /** Where graphs are in the plan: two that are not steps, then those of steps. */
    private static final int OWNER = 0;

    private static final int UPKEEP = 1;
    private static final int FIRST_STEP = 2;

    /** How many functions have graphs at a time. */
    private static final int MOST_FUNCTIONS = 4;

    private final CacheShape shape;
    private final ComputeDevice device;
    private final Optional<DecodeKernel> kernel;
    private final int splits;
    private final boolean wideCopy;
    private final int rotaryDim;
    private final boolean interleaved;
    private final int[] stepSizes;
    private final boolean cudaGraph;
    private final CacheState state;
    private final FunctionProof proof;
    private Built built;
    private int current;
    private boolean profiled;
    private boolean paddedPages;
    private @Nullable AttentionOptions inGraph;
    private int tokensInGraph;
    private StepReport total = StepReport.NONE;

    /**
     * What steps compute with beyond what travels in arrays.
     *
     * @param functions of scores and mask, and the bias
     * @param sinks whether heads have sinks
     * @param softcap that graphs of many tokens are compiled for, 0 where there are none
     * @param alibi whether such graphs have slopes
     */
    private record Extras(UserFunctions functions, boolean sinks, float softcap, boolean alibi) {

        static final Extras NONE = new Extras(UserFunctions.NONE, false, 0f, false);
    }

    /**
     * A step of many tokens by the kernel of warp groups.
     *
     * @param step the graph
     * @param number of it in the plan
     */
    private record Chunk(StepGraph step, int number) {}

    /**
     * The plan as it was built last.
     *
     * @param variants without functions, then the ones that came
     * @param steps of each variant
     * @param chunks the same steps by the kernel of warp groups, where it takes them
     * @param executed whether a graph of the plan ran
     */
    private record Built(
            List<Extras> variants,
            List<List<StepGraph>> steps,
            List<List<Optional<Chunk>>> chunks,
            TornadoExecutionPlan plan,
            LaunchGuard guard,
            boolean[] executed) {}

    /**
     * Allocates on the host and builds the graphs; the device's memory is taken by the first {@link #upload}.
     *
     * @param stepSizes tokens a sequence that graphs are made for, in rising order
     * @param kernel of attention, or empty for the best
     * @param splits parts of the keys, or 0 to choose for the device
     * @param wideCopy whether steps of many tokens attend to a copy of a cache of bytes in 16 bits
     * @param rotary cosines and sines {@code [capacity, rotaryDim / 2, 2]}
     * @param rotaryDim dimensions that turn, 0 for none
     * @param cudaGraph whether each execution is one CUDA graph
     * @throws UnsupportedOnDeviceException if the device has no CUDA graphs, or not what the kernel needs
     */
    public CachePlan(
            CacheShape shape,
            ComputeDevice device,
            int[] stepSizes,
            Optional<DecodeKernel> kernel,
            int splits,
            boolean wideCopy,
            FloatArray rotary,
            int rotaryDim,
            boolean interleaved,
            boolean cudaGraph) {
        if (cudaGraph && device.backend() != Backend.CUDA && !device.isSimulator()) {
            throw new UnsupportedOnDeviceException(
                    device, "CUDA graphs", "leave asCudaGraph() out, or use the backend cuda");
        }
        this.shape = shape;
        this.device = device;
        this.kernel = kernel;
        this.splits = splits;
        this.wideCopy = wideCopy;
        this.rotaryDim = rotaryDim;
        this.interleaved = interleaved;
        this.stepSizes = stepSizes.clone();
        this.cudaGraph = cudaGraph;
        this.proof = new FunctionProof(device);
        state = new CacheState(shape, rotary, device);
        built = build(List.of(Extras.NONE));
    }

    private Built build(List<Extras> variants) {
        GridScheduler grids = new GridScheduler();
        List<ImmutableTaskGraph> graphs = new ArrayList<>(List.of(state.ownerGraph(grids), state.upkeepGraph(grids)));
        List<List<StepGraph>> steps = new ArrayList<>();
        for (int variant = 0; variant < variants.size(); variant++) {
            Extras extras = variants.get(variant);
            List<StepGraph> ofVariant = new ArrayList<>();
            for (int seqQ : stepSizes) {
                String name = variant == 0 ? "" : "with" + variant + "-";
                StepGraph step =
                        StepGraph.of(name, stepShape(seqQ, extras), tileFor(seqQ, extras), state, grids, device);
                ofVariant.add(step);
                graphs.add(step.tasks());
                graphs.add(step.appending());
            }
            steps.add(List.copyOf(ofVariant));
        }
        List<List<Optional<Chunk>>> chunks = new ArrayList<>();
        for (int variant = 0; variant < variants.size(); variant++) {
            Extras extras = variants.get(variant);
            List<Optional<Chunk>> ofVariant = new ArrayList<>();
            for (int seqQ : stepSizes) {
                String name = variant == 0 ? "chunk-" : "chunk" + variant + "-";
                Optional<Chunk> chunk = chunkTile(seqQ, extras)
                        .map(tile -> new Chunk(
                                StepGraph.of(name, stepShape(seqQ, extras), tile, state, grids, device),
                                graphs.size()));
                chunk.ifPresent(one -> graphs.add(one.step().tasks()));
                ofVariant.add(chunk);
            }
            chunks.add(List.copyOf(ofVariant));
        }
        TornadoExecutionPlan plan = new TornadoExecutionPlan(graphs.toArray(ImmutableTaskGraph[]::new));
        plan.withDevice(device.handle()).withGridScheduler(grids);
        if (cudaGraph) {
            plan.withCUDAGraph();
        }
        if (profiled) {
            plan.withProfiler(ProfilerMode.SILENT);
        }
        LaunchGuard guard = LaunchGuard.of(plan, "A step of the cache", device);
        guard.profile(profiled);
        return new Built(variants, steps, List.copyOf(chunks), plan, guard, new boolean[graphs.size()]);
    }

    private StepShape stepShape(int seqQ, Extras extras) {
        return StepShape.of(shape, seqQ, rotaryDim, interleaved)
                .with(extras.functions(), extras.sinks(), extras.softcap(), extras.alibi());
    }

    private LaunchedTile tileFor(int seqQ, Extras extras) {
        Optional<DecodeKernel> wanted = kernel.filter(one -> one != DecodeKernel.WARP_GROUP);
        return DecodeChoice.choose(
                shape.problem(seqQ).withFunctions(!extras.functions().isEmpty()), wanted, splits, device);
    }

    /** How the kernel of warp groups computes a step, where it takes it. */
    private Optional<WarpGroupSplitTile> chunkTile(int seqQ, Extras extras) {
        if (!ChunkTasks.takeFunctions(extras.functions().form())) {
            return Optional.empty();
        }
        Optional<DecodeKernel> wanted =
                wideCopy && seqQ >= DecodeChoice.FEWEST_OF_CHUNK ? Optional.of(DecodeKernel.WARP_GROUP) : kernel;
        Optional<WarpGroupSplitTile> tile = DecodeChoice.chunk(
                shape.problem(seqQ).withFunctions(!extras.functions().isEmpty()),
                wanted,
                splits,
                wideCopy || !shape.type().isQuantized(),
                device);
        return tile.filter(one -> areFunctionsInlined(seqQ, extras, one));
    }

    /** Whether TornadoVM inlines functions into the kernel of warp groups: it says so while tasks are added. */
    private boolean areFunctionsInlined(int seqQ, Extras extras, WarpGroupSplitTile tile) {
        if (extras.functions().isEmpty()) {
            return true;
        }
        try {
            StepGraph.of("trial-", stepShape(seqQ, extras), tile, state, new GridScheduler(), device);
            return true;
        } catch (RuntimeException | Error e) { // TornadoVM's internal errors are Errors
            if (!FunctionProof.isOfInlining(e)) {
                throw e;
            }
            if (kernel.isPresent()) {
                throw ChunkTasks.tooLarge(device);
            }
            return false;
        }
    }

    private Extras extras(AttentionOptions options) {
        boolean compiled = built.chunks().getFirst().stream().anyMatch(Optional::isPresent);
        return new Extras(
                UserFunctions.of(options),
                options.sinks().isPresent(),
                compiled ? (float) options.softcap() : 0f,
                compiled && options.hasAlibi());
    }

    /**
     * Whether the kernel of warp groups computes a step with these options where there is a graph for it.
     *
     * @throws IllegalArgumentException if it was asked for and does not
     */
    private boolean takesChunks(AttentionOptions options, int tokens) {
        boolean takes = ChunkTasks.takeFunctions(UserFunctions.of(options).form())
                && options.scaleFor(shape.headDim()) > 0
                && !paddedPages;
        boolean askedFor = kernel.isPresent() && kernel.get() == DecodeKernel.WARP_GROUP;
        if (askedFor && !takes) {
            throw new IllegalArgumentException(
                    "The options are %s: in a cache the kernel %s takes no block mask, no bias of 16 bits, no scale of 0 or less, and no left padding among pages; leave the kernel out."
                            .formatted(options, DecodeKernel.WARP_GROUP.id()));
        }
        return takes && (askedFor || tokens >= DecodeChoice.FEWEST_OF_CHUNK);
    }

    @Override
    public boolean prepare(AttentionOptions options, int[] lengths, int[] padding, int[][] tables) {
        paddedPages = shape.pagesPerSequence() > 1 && max(padding) > 0;
        takesChunks(options, 1); // so that what is refused is refused before anything is appended
        Extras extras = extras(options);
        current = built.variants().indexOf(extras);
        if (current >= 0) {
            proof.findTiles(options);
            return false;
        }
        prove(options);
        List<Extras> variants = new ArrayList<>(built.variants());
        if (variants.size() > MOST_FUNCTIONS) {
            variants.remove(1);
        }
        variants.add(extras);
        boolean used = built.executed()[OWNER];
        if (used) {
            state.bringHome(uploaded(lengths, padding, tables));
        }
        Built before = built;
        built = build(List.copyOf(variants));
        current = variants.size() - 1;
        close(before);
        return true;
    }

    private void prove(AttentionOptions options) {
        proof.findTiles(options);
        AttentionShape all = new AttentionShape(
                shape.sequences(), shape.heads(), shape.kvHeads(), shape.capacity(), shape.capacity(), shape.headDim());
        proof.require(AttentionProblem.of(all, shape.dtype(), options), options, false);
    }

    @Override
    public void profile(boolean on) {
        profiled = on;
        built.guard().profile(on);
        if (on) {
            built.plan().withProfiler(ProfilerMode.SILENT);
        } else {
            built.plan().withoutProfiler();
        }
    }

    @Override
    public void upload(int[] lengths, int[] padding, int[][] tables) {
        uploaded(lengths, padding, tables);
    }

    private TornadoExecutionResult uploaded(int[] lengths, int[] padding, int[][] tables) {
        state.upload(lengths, padding, tables);
        return execute(OWNER);
    }

    @Override
    public int movesAtOnce() {
        return state.movesAtOnce();
    }

    @Override
    public void move(List<int[]> copies, List<int[]> changes) {
        state.move(copies, changes);
        execute(UPKEEP);
    }

    /**
     * Appends steps of this cache to a graph of the caller's, over its own tensors; all sequences are empty yet.
     *
     * @param counted whether {@link #nextInGraph} comes before each execution, otherwise all sequences get all tokens
     *     each time
     */
    public void appendTo(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            int[] padding,
            int[][] tables,
            Tensor q,
            Tensor k,
            Tensor v,
            Tensor output,
            Tensor logSumExp,
            AttentionOptions options,
            boolean counted) {
        if (shape.dtype() == DType.F16 && !device.halfFloats()) {
            throw new UnsupportedOnDeviceException(
                    device, "16-bit floats for HalfFloatArrays", "use F32 or BF16 tensors in task graphs here");
        }
        int tokens = q.seqLength();
        prove(options);
        Extras extras = extras(options);
        StepShape stepShape = stepShape(tokens, extras);
        paddedPages = shape.pagesPerSequence() > 1 && max(padding) > 0;
        LaunchedTile tile = takesChunks(options, tokens)
                ? chunkTile(tokens, extras).map(LaunchedTile.class::cast).orElseGet(() -> tileFor(tokens, extras))
                : tileFor(tokens, extras);
        int[] none = all(0);
        state.begin(none, padding, tables);
        state.prepare(new CacheStep(none, all(tokens), none, all(tokens), none), tokens, options, 1);
        InferenceArrays arrays =
                state.arrays(stepShape, tile, q, k, v, output, logSumExp.floatArray(), UserFunctions.arrays(options));
        StepGraph.append(
                graph, grids, name, stepShape, tile, arrays, device, counted ? Optional.of(state) : Optional.empty());
        inGraph = options;
        tokensInGraph = tokens;
    }

    /**
     * Says what the next execution of the caller's graph does, which brings it to the device.
     *
     * @param copies pairs of a page and the one that becomes like it, at most one for each sequence
     * @param newTokens of each sequence, how many of its tokens are appended and attend
     */
    public void nextInGraph(int[] lengths, int[] padding, int[][] tables, List<int[]> copies, int[] newTokens) {
        state.upload(lengths, padding, tables);
        state.copy(copies);
        int[] none = all(0);
        CacheStep what = new CacheStep(none, newTokens, none, newTokens, none);
        state.prepare(what, tokensInGraph, requireNonNull(inGraph), 1);
    }

    @Override
    public SplitTile tile(int tokens) {
        int step = stepFor(Math.min(tokens, largestStep()));
        return built.chunks()
                .get(current)
                .get(step)
                .filter(_ -> takesChunks(AttentionOptions.causal(), tokens))
                .map(Chunk::step)
                .orElse(steps().get(step))
                .tile();
    }

    /** The tokens a sequence of the largest step. */
    private int largestStep() {
        return steps().getLast().shape().seqQ();
    }

    private List<StepGraph> steps() {
        return built.steps().get(current);
    }

    private int stepFor(int tokens) {
        return IntStream.range(0, stepSizes.length)
                .filter(step -> steps().get(step).shape().seqQ() >= tokens)
                .findFirst()
                .orElseThrow(() -> new IllegalStateException("No graph takes a step of %d tokens".formatted(tokens)));
    }

    /** In one step if it takes them all, otherwise all are appended first. */
    @Override
    public void call(
            int[] newTokens,
            int[] queries,
            @Nullable Tensor q,
            @Nullable Tensor k,
            @Nullable Tensor v,
            AttentionOptions options,
            @Nullable AttentionResult result) {
        int[] none = all(0);
        int longest = Math.max(max(newTokens), max(queries));
        if (longest <= largestStep()) {
            run(new CacheStep(none, newTokens, none, queries, none), q, k, v, options, result);
            return;
        }
        for (int from = 0; from < max(newTokens); from += largestStep()) {
            CacheStep append = new CacheStep(all(from), within(newTokens, from), none, none, none);
            run(append, null, k, v, options, null);
        }
        for (int from = 0; from < max(queries); from += largestStep()) {
            int[] attending = within(queries, from);
            int[] following = none.clone();
            for (int sequence = 0; sequence < following.length; sequence++) {
                following[sequence] = Math.max(0, queries[sequence] - from - attending[sequence]);
            }
            CacheStep attend = new CacheStep(none, none, all(from), attending, following);
            run(attend, q, null, null, options, result);
        }
    }

    private static int max(int... values) {
        return Arrays.stream(values).max().orElse(0);
    }

    /** As many tokens of each sequence. */
    private int[] all(int tokens) {
        int[] same = new int[shape.sequences()];
        Arrays.fill(same, tokens);
        return same;
    }

    /** Of each number of tokens, those of the step that begins at {@code from}. */
    private int[] within(int[] tokens, int from) {
        return Arrays.stream(tokens)
                .map(count -> Math.clamp(count - from, 0, largestStep()))
                .toArray();
    }

    private void run(
            CacheStep what,
            @Nullable Tensor q,
            @Nullable Tensor k,
            @Nullable Tensor v,
            AttentionOptions options,
            @Nullable AttentionResult result) {
        int index = stepFor(what.tokens());
        Optional<Chunk> chunk = built.chunks()
                .get(current)
                .get(index)
                .filter(_ -> result != null && takesChunks(options, what.tokens()));
        StepGraph step = chunk.map(Chunk::step).orElse(steps().get(index));
        state.prepare(what, step.shape().seqQ(), options, built.guard().nextNumber());
        step.load(what, q, k, v);
        int graph = chunk.map(Chunk::number).orElse(FIRST_STEP + 2 * (current * stepSizes.length + index));
        if (result == null) {
            execute(graph + 1);
            built.guard().requireReceipt(step.appendReceipt().get(0));
            return;
        }
        CapturedArrays.fill(step.arrays().captured(), options);
        TornadoExecutionResult executed = execute(graph);
        built.guard().requireReceipt(step.receipt());
        step.unload(executed, what, result.output(), result.logSumExp());
    }

    @Override
    public Tensor read(boolean values, int sequence, int[] lengths, int[] padding, int[][] tables) {
        // Uploading makes what its graph owns that execution's result.
        return state.read(uploaded(lengths, padding, tables), values, tables[sequence], lengths[sequence]);
    }

    private TornadoExecutionResult execute(int graph) {
        TornadoExecutionResult result = built.guard().execute(graph);
        TornadoProfilerResult profile = result.getProfilerResult();
        total = total.plus(new StepReport(
                1,
                built.executed()[graph] ? 0 : 1,
                Duration.ofNanos(profiled ? profile.getDeviceKernelTime() : 0),
                Duration.ofNanos(profiled ? profile.getCompileTime() : 0),
                profiled ? profile.getTotalBytesCopyIn() : 0,
                profiled ? profile.getTotalBytesCopyOut() : 0));
        built.executed()[graph] = true;
        return result;
    }

    @Override
    public StepReport total() {
        return total;
    }

    @Override
    public long deviceBytes() {
        return built.guard().deviceBytes();
    }

    @Override
    public long cacheBytes() {
        return state.bytes();
    }

    @Override
    public void close() {
        try (proof) {
            close(built);
        }
    }

    private static void close(Built built) {
        built.plan().withAllGraphs();
        built.guard().close();
    }
}
