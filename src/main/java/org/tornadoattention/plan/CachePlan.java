package org.tornadoattention.plan;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.MovePages;
import org.tornadoattention.kernel.SplitKeyAttention;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.ImmutableTaskGraph;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.TornadoProfilerResult;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * The device's side of a key-value cache: one execution plan whose graphs share the keys and values.
 *
 * <p>The first graph owns what stays on the device and takes lengths and page tables there, the second moves pages. Each of
 * the others is a step of up to so many tokens a sequence: append, attention, merge. Lengths, masks and scales travel in arrays, so each graph
 * is compiled once, at its first execution.
 *
 * <p>TornadoVM prints a failed launch and throws nothing. Each kernel of a step therefore notes the step's number, and an
 * execution whose numbers did not all arrive raises an exception.
 */
public final class CachePlan implements AutoCloseable {

    /** Step numbers travel as floats, which hold whole numbers up to here. */
    private static final int STEP_NUMBERS = 1 << 24;

    /** The indices of the two graphs that are not steps. */
    private static final int KEEP = 0;

    private static final int UPKEEP = 1;

    private static final int MOVES_OF_A_SEQUENCE = 8;

    private final CacheShape shape;
    private final ComputeDevice device;
    private boolean profiled;
    private final TornadoNativeArray key;
    private final TornadoNativeArray value;
    private final IntArray sequences;
    private final IntArray sequencesToUpload;
    private final IntArray moves;
    private final IntArray step;
    private final FloatArray numbers;
    private final FloatArray rotary;
    private final int rotaryDim;
    private final boolean interleaved;
    private final Optional<DecodeKernel> kernel;
    private final int splits;
    private final FloatArray scales;
    private final List<StepGraph> graphs = new ArrayList<>();
    private final TornadoExecutionPlan plan;
    private final boolean[] executed;
    private int number;
    private StepReport total = StepReport.NONE;

    /**
     * A graph for steps of up to {@code seqQ} tokens a sequence, with its tensors.
     *
     * @param index of the graph in the plan
     */
    private record StepGraph(
            int index,
            int seqQ,
            SplitTile tile,
            Tensor newQuery,
            Tensor newKey,
            Tensor newValue,
            Tensor output,
            InferenceArrays arrays) {}

    /**
     * Allocates on the host and builds the graphs; the device's memory is taken by the first {@link #upload}.
     *
     * @param stepSizes tokens a sequence that graphs are made for, in rising order
     * @param kernel of attention, or empty for the best
     * @param splits parts of the keys, or 0 to choose for the device
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
            FloatArray rotary,
            int rotaryDim,
            boolean interleaved,
            boolean cudaGraph) {
        if (cudaGraph && device.backend() != Backend.CUDA && !device.isSimulator()) {
            throw new UnsupportedOnDeviceException(
                    device.toString(), "CUDA graphs", "leave asCudaGraph() out, or use the backend cuda");
        }
        this.shape = shape;
        this.device = device;
        this.rotary = rotary;
        this.rotaryDim = rotaryDim;
        this.interleaved = interleaved;
        this.kernel = kernel;
        this.splits = splits;
        key = CacheArrays.allocate(shape.dtype(), shape.fp8(), shape.cacheElements(), device);
        value = CacheArrays.allocate(shape.dtype(), shape.fp8(), shape.cacheElements(), device);
        sequences = new IntArray(SplitKeyAttention.sequencesSize(shape.sequences(), shape.pagesPerSequence()));
        sequencesToUpload = new IntArray(sequences.getSize());
        moves = new IntArray(MovePages.HEADER + 2 * MOVES_OF_A_SEQUENCE * shape.sequences());
        step = new IntArray(SplitKeyAttention.stepSize(shape.sequences()));
        numbers = new FloatArray(2 + shape.heads());
        scales = new FloatArray(shape.fp8() ? shape.pages() * shape.kvHeads() * 2 : 1);

        GridScheduler grids = new GridScheduler();
        List<ImmutableTaskGraph> frozen = new ArrayList<>();
        frozen.add(keep(grids));
        frozen.add(upkeep(grids));
        for (int seqQ : stepSizes) {
            StepShape stepShape = StepShape.of(shape, seqQ, rotaryDim, interleaved);
            SplitTile tile = tileFor(seqQ);
            frozen.add(stepGraph(stepShape, tile, frozen.size(), grids));
        }
        executed = new boolean[frozen.size()];
        plan = new TornadoExecutionPlan(frozen.toArray(ImmutableTaskGraph[]::new));
        plan.withDevice(device.handle()).withGridScheduler(grids);
        if (cudaGraph) {
            plan.withCUDAGraph();
        }
    }

    private SplitTile tileFor(int seqQ) {
        return SplitTiling.choose(SplitProblem.of(shape, seqQ), kernel, splits, device);
    }

    /** Whether the device's times are taken, which costs time in each step. */
    public void profile(boolean on) {
        profiled = on;
        if (on) {
            plan.withProfiler(ProfilerMode.SILENT);
        } else {
            plan.withoutProfiler();
        }
    }

    /** The graph that owns what stays on the device, and takes all lengths and tables. */
    private ImmutableTaskGraph keep(GridScheduler grids) {
        TaskGraph graph = new TaskGraph("cache")
                .transferToDevice(DataTransferMode.FIRST_EXECUTION, key, value, sequences, scales)
                .transferToDevice(DataTransferMode.EVERY_EXECUTION, moves, sequencesToUpload);
        UpkeepTasks.append(graph, grids, shape, moves, sequencesToUpload, sequences, key, value, scales, device);
        return graph.transferToHost(DataTransferMode.UNDER_DEMAND, key, value, sequences, scales)
                .snapshot();
    }

    /** The graph that takes single changes of tables, and copies pages. */
    private ImmutableTaskGraph upkeep(GridScheduler grids) {
        IntArray nothing = new IntArray(1);
        TaskGraph graph = new TaskGraph("upkeep")
                .consumeFromDevice("cache", key, value, sequences, scales)
                .transferToDevice(DataTransferMode.FIRST_EXECUTION, nothing)
                .transferToDevice(DataTransferMode.EVERY_EXECUTION, moves);
        UpkeepTasks.append(graph, grids, shape, moves, nothing, sequences, key, value, scales, device);
        return graph.snapshot();
    }

    private ImmutableTaskGraph stepGraph(StepShape stepShape, SplitTile tile, int index, GridScheduler grids) {
        int seqQ = stepShape.seqQ();
        Tensor newQuery = Tensor.allocate(shape.dtype(), shape.sequences(), shape.heads(), seqQ, shape.headDim());
        Tensor newKey = Tensor.allocate(shape.dtype(), shape.sequences(), shape.kvHeads(), seqQ, shape.headDim());
        Tensor newValue = Tensor.allocate(shape.dtype(), shape.sequences(), shape.kvHeads(), seqQ, shape.headDim());
        Tensor output = Tensor.allocate(shape.dtype(), shape.sequences(), shape.heads(), seqQ, shape.headDim());
        int rows = Math.toIntExact((long) stepShape.tokens() * shape.heads());
        boolean halfFloats = device.halfFloats();
        InferenceArrays arrays = new InferenceArrays(
                AttentionArrays.seen(newQuery, halfFloats),
                AttentionArrays.seen(newKey, halfFloats),
                AttentionArrays.seen(newValue, halfFloats),
                new FloatArray(Math.multiplyExact(rows, shape.headDim())),
                key,
                value,
                new FloatArray(Math.multiplyExact(Math.multiplyExact(rows, tile.splits()), shape.headDim() + 1)),
                AttentionArrays.seen(output, halfFloats),
                new FloatArray(rows + 1),
                sequences,
                step,
                numbers,
                rotary,
                scales,
                CacheArrays.allocate(shape.dtype(), false, 2, device),
                CacheArrays.allocate(shape.dtype(), false, 2, device));
        TaskGraph graph = new TaskGraph("step" + seqQ)
                .consumeFromDevice("cache", key, value, sequences, scales)
                .transferToDevice(
                        DataTransferMode.FIRST_EXECUTION,
                        arrays.query(),
                        arrays.partials(),
                        rotary,
                        arrays.unusedKey(),
                        arrays.unusedValue())
                .transferToDevice(
                        DataTransferMode.EVERY_EXECUTION,
                        arrays.newQuery(),
                        arrays.newKey(),
                        arrays.newValue(),
                        step,
                        numbers);
        InferenceTasks.append(graph, grids, "attention", stepShape, tile, arrays, device);
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, arrays.logSumExp())
                .transferToHost(DataTransferMode.UNDER_DEMAND, arrays.output());
        graphs.add(new StepGraph(index, seqQ, tile, newQuery, newKey, newValue, output, arrays));
        return graph.snapshot();
    }

    /**
     * Sets lengths, left padding and pages on the device.
     *
     * @param lengths tokens of each sequence
     * @param padding of them, how many from the first on are padding
     * @param tables pages of each sequence, in order
     */
    public void upload(int[] lengths, int[] padding, int[][] tables) {
        uploaded(lengths, padding, tables);
    }

    private TornadoExecutionResult uploaded(int[] lengths, int[] padding, int[][] tables) {
        fillSequences(sequencesToUpload, lengths, padding, tables);
        moves.init(0);
        moves.set(2, 1);
        return execute(KEEP);
    }

    private void fillSequences(IntArray array, int[] lengths, int[] padding, int[][] tables) {
        int fields = (sequences.getSize() - SplitKeyAttention.RECEIPTS) / shape.sequences();
        for (int sequence = 0; sequence < shape.sequences(); sequence++) {
            int at = sequence * fields;
            array.set(at, lengths[sequence]);
            array.set(at + 1, lengths[sequence]);
            array.set(at + 2, padding[sequence]);
            for (int page = 0; page < tables[sequence].length; page++) {
                array.set(at + SplitKeyAttention.SEQUENCE_FIELDS + page, tables[sequence][page]);
            }
        }
    }

    /** The most copies and changes that {@link #move} takes at once. */
    public int movesAtOnce() {
        return (moves.getSize() - MovePages.HEADER) / 2;
    }

    /**
     * Copies pages and changes tables on the device.
     *
     * @param copies pairs of a page and the one that becomes like it
     * @param changes triples of a sequence, a place in its table, and the page there
     */
    public void move(List<int[]> copies, List<int[]> changes) {
        int fields = (sequences.getSize() - SplitKeyAttention.RECEIPTS) / shape.sequences();
        moves.set(0, copies.size());
        moves.set(1, changes.size());
        moves.set(2, 0);
        int at = MovePages.HEADER;
        for (int[] copy : copies) {
            moves.set(at++, copy[0]);
            moves.set(at++, copy[1]);
        }
        for (int[] change : changes) {
            moves.set(at++, change[0] * fields + SplitKeyAttention.SEQUENCE_FIELDS + change[1]);
            moves.set(at++, change[2]);
        }
        execute(UPKEEP);
    }

    /** Appends steps of this cache to a graph of the caller's, over its own tensors; all sequences are empty yet. */
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
            AttentionOptions options) {
        if (shape.dtype() == DType.F16 && !device.halfFloats()) {
            throw new UnsupportedOnDeviceException(
                    device.toString(),
                    "16-bit floats for HalfFloatArrays",
                    "use F32 or BF16 tensors in task graphs here");
        }
        int tokens = q.seqLength();
        SplitTile tile = tileFor(tokens);
        int rows = shape.sequences() * shape.heads() * tokens;
        fillSequences(sequences, new int[shape.sequences()], padding, tables);
        StepNumbers.fill(step, numbers, options, shape.headDim(), shape.capacity(), 1);
        for (int sequence = 0; sequence < shape.sequences(); sequence++) {
            StepNumbers.fillSequence(step, sequence, sequence * tokens, tokens, tokens, 0);
        }
        InferenceArrays arrays = new InferenceArrays(
                q.array(),
                k.array(),
                v.array(),
                new FloatArray(Math.multiplyExact(rows, shape.headDim())),
                key,
                value,
                new FloatArray(Math.multiplyExact(Math.multiplyExact(rows, tile.splits()), shape.headDim() + 1)),
                output.array(),
                logSumExp.floatArray(),
                sequences,
                step,
                numbers,
                rotary,
                scales,
                CacheArrays.allocate(shape.dtype(), false, 2, device),
                CacheArrays.allocate(shape.dtype(), false, 2, device));
        graph.transferToDevice(
                DataTransferMode.FIRST_EXECUTION,
                key,
                value,
                sequences,
                step,
                numbers,
                rotary,
                scales,
                arrays.query(),
                arrays.partials(),
                arrays.unusedKey(),
                arrays.unusedValue());
        StepShape stepShape = StepShape.of(shape, tokens, rotaryDim, interleaved);
        InferenceTasks.append(graph, grids, name, stepShape, tile, arrays, device);
    }

    /** The tile and splits of steps of {@code tokens} tokens a sequence. */
    public SplitTile tile(int tokens) {
        return graphFor(tokens).tile;
    }

    /** The tokens a sequence of the largest step. */
    public int largestStep() {
        return graphs.getLast().seqQ;
    }

    private StepGraph graphFor(int tokens) {
        return graphs.stream()
                .filter(graph -> graph.seqQ >= tokens)
                .findFirst()
                .orElseThrow(() -> new IllegalStateException("No graph takes a step of %d tokens".formatted(tokens)));
    }

    /**
     * Appends tokens, lets tokens attend, or both: in one step if it takes them all, otherwise all are appended first.
     *
     * @param newTokens of each sequence, how many of its tokens in k and v are appended
     * @param queries of each sequence, how many of its tokens in q attend; they are its last ones
     * @param q {@code [sequences, heads, tokens, headDim]}, or null if none attend; output and logSumExp are null then too
     * @param k {@code [sequences, kvHeads, tokens, headDim]}, or null if none are appended; v is null then too
     * @throws AttentionException if the device, its driver or the compiler fails
     */
    public void call(
            int[] newTokens,
            int[] queries,
            Tensor q,
            Tensor k,
            Tensor v,
            AttentionOptions options,
            Tensor output,
            Tensor logSumExp) {
        int[] none = new int[shape.sequences()];
        int longest = Math.max(max(newTokens), max(queries));
        if (longest <= largestStep()) {
            run(new CacheStep(none, newTokens, none, queries, none), q, k, v, options, output, logSumExp);
            return;
        }
        for (int from = 0; from < max(newTokens); from += largestStep()) {
            CacheStep append = new CacheStep(all(from), within(newTokens, from), none, none, none);
            run(append, null, k, v, options, null, null);
        }
        for (int from = 0; from < max(queries); from += largestStep()) {
            int[] attending = within(queries, from);
            int[] following = none.clone();
            for (int sequence = 0; sequence < following.length; sequence++) {
                following[sequence] = Math.max(0, queries[sequence] - from - attending[sequence]);
            }
            CacheStep attend = new CacheStep(none, none, all(from), attending, following);
            run(attend, q, null, null, options, output, logSumExp);
        }
    }

    private static int max(int... values) {
        return Arrays.stream(values).max().orElse(0);
    }

    private int[] all(int from) {
        int[] same = new int[shape.sequences()];
        Arrays.fill(same, from);
        return same;
    }

    /** Of each number of tokens, those of the step that begins at {@code from}. */
    private int[] within(int[] tokens, int from) {
        return Arrays.stream(tokens)
                .map(count -> Math.clamp(count - from, 0, largestStep()))
                .toArray();
    }

    private void run(
            CacheStep what, Tensor q, Tensor k, Tensor v, AttentionOptions options, Tensor output, Tensor logSumExp) {
        StepGraph graph = graphFor(what.tokens());
        number = number % (STEP_NUMBERS - 1) + 1;
        StepNumbers.fill(step, numbers, options, shape.headDim(), shape.capacity(), number);
        for (int sequence = 0; sequence < shape.sequences(); sequence++) {
            StepNumbers.fillSequence(
                    step,
                    sequence,
                    sequence * graph.seqQ,
                    what.queries()[sequence],
                    what.newTokens()[sequence],
                    what.following()[sequence]);
        }
        if (q != null) {
            copyTokens(q, what.firstQuery(), graph.newQuery, null, what.queries());
        }
        if (k != null) {
            copyTokens(k, what.firstNew(), graph.newKey, null, what.newTokens());
            copyTokens(v, what.firstNew(), graph.newValue, null, what.newTokens());
        }
        FloatArray logSumExps = graph.arrays.logSumExp();
        int rows = logSumExps.getSize() - 1;
        logSumExps.set(rows, 0f);
        TornadoExecutionResult result = execute(graph.index);
        float receipt = logSumExps.get(rows);
        if (receipt != number) {
            throw failure("step %d was not carried out, its receipt is %s".formatted(number, receipt), null);
        }
        if (q != null) {
            result.transferToHost(graph.arrays.output());
            copyTokens(graph.output, null, output, what.firstQuery(), what.queries());
            Tensor steps = Tensor.wrap(logSumExps, rows + 1);
            for (int row = 0; row < shape.sequences() * shape.heads(); row++) {
                int sequence = row / shape.heads();
                int first = what.firstQuery()[sequence];
                for (int i = 0; i < what.queries()[sequence]; i++) {
                    logSumExp.setFlat(row * logSumExp.dimension(2) + first + i, steps.getFlat(row * graph.seqQ + i));
                }
            }
        }
    }

    /**
     * Copies some tokens of each sequence between tensors {@code [sequences, heads, tokens, headDim]}.
     *
     * @param fromTokens first token of each sequence in the source, or null for 0; likewise toTokens in the target
     */
    private static void copyTokens(Tensor from, int[] fromTokens, Tensor to, int[] toTokens, int[] counts) {
        MemorySegment source = from.array().getSegment();
        MemorySegment target = to.array().getSegment();
        long rowBytes = (long) from.headDim() * from.dtype().byteSize();
        for (int sequence = 0; sequence < from.batch(); sequence++) {
            if (counts[sequence] == 0) {
                continue;
            }
            int sourceToken = fromTokens == null ? 0 : fromTokens[sequence];
            int targetToken = toTokens == null ? 0 : toTokens[sequence];
            for (int head = sequence * from.heads(); head < (sequence + 1) * from.heads(); head++) {
                MemorySegment.copy(
                        source,
                        ((long) head * from.seqLength() + sourceToken) * rowBytes,
                        target,
                        ((long) head * to.seqLength() + targetToken) * rowBytes,
                        counts[sequence] * rowBytes);
            }
        }
    }

    /**
     * The keys, or the values, of one sequence as the device holds them. Lengths, padding and tables are those that the
     * device has: uploading them makes what its graph owns that execution's result.
     *
     * @return {@code [1, kvHeads, length, headDim]}, F32 for an FP8 cache
     */
    public Tensor read(boolean values, int sequence, int[] lengths, int[] padding, int[][] tables) {
        TornadoNativeArray array = values ? value : key;
        uploaded(lengths, padding, tables).transferToHost(array, scales);
        return shape.fp8()
                ? CacheArrays.gatherFp8(
                        shape, (ShortArray) array, scales, values ? 1 : 0, tables[sequence], lengths[sequence])
                : CacheArrays.gather(shape, array, tables[sequence], lengths[sequence]);
    }

    private TornadoExecutionResult execute(int graph) {
        try {
            TornadoExecutionResult result = plan.withGraph(graph).execute();
            TornadoProfilerResult profile = result.getProfilerResult();
            total = total.plus(new StepReport(
                    1,
                    executed[graph] ? 0 : 1,
                    Duration.ofNanos(profiled ? profile.getDeviceKernelTime() : 0),
                    Duration.ofNanos(profiled ? profile.getCompileTime() : 0),
                    profiled ? profile.getTotalBytesCopyIn() : 0,
                    profiled ? profile.getTotalBytesCopyOut() : 0));
            executed[graph] = true;
            return result;
        } catch (VirtualMachineError e) {
            throw e;
        } catch (RuntimeException | Error e) { // TornadoVM's internal errors are Errors
            throw failure(GuardedPlan.firstLine(e), e);
        }
    }

    private AttentionException failure(String what, Throwable cause) {
        return new AttentionException(
                "A step of the cache failed on %s: %s. TornadoVM's own message, if any, is above this one."
                        .formatted(device, what),
                cause);
    }

    /** All executions so far. */
    public StepReport total() {
        return total;
    }

    /** Bytes of all arrays that the graph run last has on the device, the cache among them. */
    public long deviceBytes() {
        return plan.getCurrentDeviceMemoryUsage();
    }

    /** Bytes of the cache itself on the device: keys and values. */
    public long cacheBytes() {
        return key.getNumBytesOfSegment() + value.getNumBytesOfSegment();
    }

    /** Frees the device's memory. */
    @Override
    public void close() {
        try {
            plan.withAllGraphs();
            plan.freeDeviceMemory();
            plan.close();
        } catch (TornadoExecutionPlanException e) {
            throw new AttentionException("The memory of a cache on %s could not be freed.".formatted(device), e);
        }
    }
}
