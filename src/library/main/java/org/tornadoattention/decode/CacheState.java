package org.tornadoattention.decode;

import java.util.List;
import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.choice.LaunchedTile;
import org.tornadoattention.choice.WarpGroupSplitTile;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.MovePages;
import org.tornadoattention.kernel.parts.StepLayout;
import org.tornadoattention.plan.DeviceStorage;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.ImmutableTaskGraph;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * The arrays that all graphs of a cache share: keys, values, their scales, lengths and page tables, which stay on the
 * device, and what the host writes before an execution. Two graphs change what stays between steps: one owns it, the
 * other moves pages.
 */
final class CacheState {

    private static final String OWNER = "cache";
    private static final int MOVES_OF_A_SEQUENCE = 8;

    private final CacheShape shape;
    private final ComputeDevice device;
    private final TornadoNativeArray key;
    private final TornadoNativeArray value;
    private final FloatArray scales;
    private final IntArray sequences;
    private final IntArray sequencesToUpload;
    private final IntArray moves;
    private final IntArray step;
    private final FloatArray numbers;
    private final FloatArray rotary;

    /**
     * Allocates on the host.
     *
     * @param rotary cosines and sines {@code [capacity, rotaryDim / 2, 2]}
     */
    CacheState(CacheShape shape, FloatArray rotary, ComputeDevice device) {
        this.shape = shape;
        this.rotary = rotary;
        this.device = device;
        key = CacheArrays.allocate(shape.dtype(), shape.type(), shape.cacheElements(), device);
        value = CacheArrays.allocate(shape.dtype(), shape.type(), shape.cacheElements(), device);
        scales = CacheArrays.scales(shape);
        sequences = new IntArray(StepLayout.sequencesSize(shape.sequences(), shape.pagesPerSequence()));
        sequencesToUpload = new IntArray(sequences.getSize());
        moves = new IntArray(MovePages.HEADER + 2 * MOVES_OF_A_SEQUENCE * shape.sequences());
        step = new IntArray(StepLayout.stepSize(shape.sequences()));
        numbers = new FloatArray(StepLayout.numbersSize(shape.heads()));
    }

    /** The graph that owns what stays on the device, and takes all lengths and tables. */
    ImmutableTaskGraph ownerGraph(GridScheduler grids) {
        TaskGraph graph = new TaskGraph(OWNER)
                .transferToDevice(DataTransferMode.FIRST_EXECUTION, key, value, sequences, scales)
                .transferToDevice(DataTransferMode.EVERY_EXECUTION, moves, sequencesToUpload);
        UpkeepTasks.append(
                graph, grids, "move", shape, moves, sequencesToUpload, sequences, key, value, scales, device);
        return graph.transferToHost(DataTransferMode.UNDER_DEMAND, key, value, sequences, scales)
                .snapshot();
    }

    /** The graph that takes single changes of tables, and copies pages. */
    ImmutableTaskGraph upkeepGraph(GridScheduler grids) {
        IntArray nothing = new IntArray(1);
        TaskGraph graph = consumer("upkeep")
                .transferToDevice(DataTransferMode.FIRST_EXECUTION, nothing)
                .transferToDevice(DataTransferMode.EVERY_EXECUTION, moves);
        UpkeepTasks.append(graph, grids, "move", shape, moves, nothing, sequences, key, value, scales, device);
        return graph.snapshot();
    }

    /** A new graph that finds on the device what stays there. */
    TaskGraph consumer(String name) {
        return new TaskGraph(name).consumeFromDevice(OWNER, key, value, sequences, scales);
    }

    /**
     * What a step over these tensors reads and writes.
     *
     * @param logSumExp rows {@code [sequences, heads, tokens]}, and behind them, where there is room, the step's
     *     receipt
     * @param captured the arrays of functions
     */
    InferenceArrays arrays(
            StepShape stepShape,
            LaunchedTile tile,
            Tensor newQuery,
            Tensor newKey,
            Tensor newValue,
            Tensor output,
            FloatArray logSumExp,
            List<TornadoNativeArray> captured) {
        int rows = stepShape.queryRows();
        boolean halfFloats = device.halfFloats();
        return new InferenceArrays(
                DeviceStorage.seen(newQuery, halfFloats),
                DeviceStorage.seen(newKey, halfFloats),
                DeviceStorage.seen(newValue, halfFloats),
                tile instanceof WarpGroupSplitTile
                        ? DeviceStorage.seen(
                                Tensor.allocate(shape.dtype(), Math.multiplyExact(rows, shape.headDim())), halfFloats)
                        : new FloatArray(Math.multiplyExact(rows, shape.headDim())),
                key,
                value,
                new FloatArray(Math.multiplyExact(Math.multiplyExact(rows, tile.splits()), shape.headDim() + 1)),
                DeviceStorage.seen(output, halfFloats),
                logSumExp,
                sequences,
                step,
                numbers,
                rotary,
                scales,
                CacheArrays.allocate(shape.dtype(), CacheType.UNQUANTIZED, 2, device),
                CacheArrays.allocate(shape.dtype(), CacheType.UNQUANTIZED, 2, device),
                captured,
                tile instanceof WarpGroupSplitTile && shape.type().isQuantized()
                        ? Optional.of(new InferenceArrays.Wide(wide(), wide()))
                        : Optional.empty());
    }

    private TornadoNativeArray wide() {
        return CacheArrays.allocate(shape.dtype(), CacheType.UNQUANTIZED, shape.cacheElements(), device);
    }

    /** Sets lengths, left padding and pages as a graph of the caller's finds them at first. */
    void begin(int[] lengths, int[] padding, int[][] tables) {
        fillSequences(sequences, lengths, padding, tables);
    }

    /** Sets the lengths, left padding and pages that the next execution of {@link #ownerGraph} brings to the device. */
    void upload(int[] lengths, int[] padding, int[][] tables) {
        fillSequences(sequencesToUpload, lengths, padding, tables);
        moves.init(0);
        moves.set(2, 1);
    }

    /** Sets the copies of pages that go with such an upload. */
    void copy(List<int[]> copies) {
        moves.set(0, copies.size());
        for (int copy = 0; copy < copies.size(); copy++) {
            moves.set(MovePages.HEADER + 2 * copy, copies.get(copy)[0]);
            moves.set(MovePages.HEADER + 2 * copy + 1, copies.get(copy)[1]);
        }
    }

    /**
     * Appends to a graph of the caller's a task that takes, at each execution, lengths, tables and the step from the
     * host.
     */
    void appendUpload(TaskGraph graph, GridScheduler grids, String name) {
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, moves, sequencesToUpload, step);
        UpkeepTasks.append(graph, grids, name, shape, moves, sequencesToUpload, sequences, key, value, scales, device);
    }

    private void fillSequences(IntArray array, int[] lengths, int[] padding, int[][] tables) {
        for (int sequence = 0; sequence < shape.sequences(); sequence++) {
            int at = sequence * sequenceFields();
            array.set(at, lengths[sequence]);
            array.set(at + 1, lengths[sequence]);
            array.set(at + 2, padding[sequence]);
            for (int page = 0; page < tables[sequence].length; page++) {
                array.set(at + StepLayout.SEQUENCE_FIELDS + page, tables[sequence][page]);
            }
        }
    }

    private int sequenceFields() {
        return (sequences.getSize() - StepLayout.RECEIPTS) / shape.sequences();
    }

    /** The most copies and changes that {@link #move} takes at once. */
    int movesAtOnce() {
        return (moves.getSize() - MovePages.HEADER) / 2;
    }

    /** Sets the copies of pages and changes of tables that the next execution of {@link #upkeepGraph} carries out. */
    void move(List<int[]> copies, List<int[]> changes) {
        moves.set(0, copies.size());
        moves.set(1, changes.size());
        moves.set(2, 0);
        int at = MovePages.HEADER;
        for (int[] copy : copies) {
            moves.set(at++, copy[0]);
            moves.set(at++, copy[1]);
        }
        for (int[] change : changes) {
            moves.set(at++, change[0] * sequenceFields() + StepLayout.SEQUENCE_FIELDS + change[1]);
            moves.set(at++, change[2]);
        }
    }

    /**
     * Sets what the next step does.
     *
     * @param seqQ tokens a sequence of the step's graph
     * @param number of the step
     */
    void prepare(CacheStep what, int seqQ, AttentionOptions options, int number) {
        StepNumbers.fill(step, numbers, options, shape.headDim(), shape.capacity(), what.queriesFromHere(), number);
        for (int sequence = 0; sequence < shape.sequences(); sequence++) {
            StepNumbers.fillSequence(
                    step,
                    sequence,
                    sequence * seqQ,
                    what.queries()[sequence],
                    what.newTokens()[sequence],
                    what.following()[sequence]);
        }
    }

    /**
     * The keys, or the values, of one sequence as the device holds them.
     *
     * @param owned the latest execution, one of {@link #ownerGraph}
     * @param values whether the values are wanted, not the keys
     * @param pages of the sequence, in order
     * @param length tokens of the sequence
     * @return {@code [1, kvHeads, length, headDim]}, F32 for a quantised cache
     */
    Tensor read(TornadoExecutionResult owned, boolean values, int[] pages, int length) {
        TornadoNativeArray array = values ? value : key;
        owned.transferToHost(array, scales);
        return CacheArrays.gather(shape, array, scales, values ? 1 : 0, pages, length);
    }

    /** Brings keys, values and their scales home, so that another plan can begin with them. */
    void bringHome(TornadoExecutionResult owned) {
        owned.transferToHost(key, value, scales);
    }

    /** Bytes of keys and values. */
    long bytes() {
        return key.getNumBytesOfSegment() + value.getNumBytesOfSegment();
    }
}
