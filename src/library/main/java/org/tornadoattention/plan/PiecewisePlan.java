package org.tornadoattention.plan;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Execution;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.PinnedMemory;
import org.tornadoattention.device.Recording.Running;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * A problem some heads at a time: while the device computes a piece, the next one is on its way there, and the output
 * of the one before on its way back. Tensors in {@link PinnedMemory} it reads and writes itself; pieces of others are
 * copied to such memory and from it, by several threads, while pieces before them travel.
 *
 * <p>Pieces take turns in plans of their size, each with a stream of its own. The kernel and the tile are those of the
 * whole problem, so that the bits are too.
 */
final class PiecewisePlan implements DevicePlan {

    /** One piece is on its way there, one is computed, one is on its way back. */
    private static final int LANES = 3;

    private static final int MOST_PIECES = 8;

    /** A transfer of fewer bytes takes hardly less. */
    private static final long LEAST_BYTES = 4 << 20;

    /** Fewer leave multiprocessors without a tile. */
    private static final int LEAST_ROWS_OF_UNIT = 64;

    private static final int COPIED_AT_ONCE = 256 << 10;

    private final int pieces;
    private final List<Lane> lanes;
    private final Tensor logSumExp;

    /**
     * Builds the graphs; the first {@link #execute} compiles them.
     *
     * @throws UnsupportedOnDeviceException if the device's memory is too small
     */
    PiecewisePlan(AttentionProblem problem, KernelChoice choice, ComputeDevice device) {
        pieces = pieces(problem, device.computeUnits());
        AttentionProblem piece = piece(problem, pieces);
        lanes = Stream.generate(() -> new Lane(piece, choice, device))
                .limit(Math.min(LANES, pieces))
                .toList();
        logSumExp = DeviceStorage.pinned(device, DType.F32, problem.shape().logSumExpShape());
    }

    /** A plan of a piece's size, and page-locked memory for pieces of tensors that are not. */
    private static final class Lane {

        private final AttentionPlan plan;
        private final AttentionProblem piece;
        private final ComputeDevice device;
        private final Map<String, Tensor> stages = new HashMap<>();

        Lane(AttentionProblem piece, KernelChoice choice, ComputeDevice device) {
            this.piece = piece;
            this.device = device;
            plan = new AttentionPlan(piece, choice, device);
        }

        /** A place for a piece that the device does not read or write itself. */
        MemorySegment stage(String name, MemorySegment elements) {
            return stages.computeIfAbsent(
                            name,
                            any -> DeviceStorage.pinned(
                                    device,
                                    piece.dtype(),
                                    Math.toIntExact(
                                            elements.byteSize() / piece.dtype().byteSize())))
                    .memory();
        }
    }

    /**
     * Whether a problem is divided: where the device can be given all pieces at once, tensors are large, and heads do
     * not differ but by them.
     */
    static boolean takes(AttentionProblem problem, ComputeDevice device, Tensor q, Tensor k, Tensor v, Tensor o) {
        return LaunchGuard.canReplay(device)
                && !(q.isView() || k.isView() || v.isView() || o.isView())
                && pieces(problem, device.computeUnits()) > 1;
    }

    /** Of so many heads each that all are as large; 1 if the problem is not worth it or cannot be divided. */
    static int pieces(AttentionProblem problem, int computeUnits) {
        AttentionShape shape = problem.shape();
        if (!problem.isPlain() || problem.features() != 0 || problem.views().isPresent()) {
            return 1;
        }
        int heads = shape.batch() * shape.kvHeads();
        long bytes = (shape.queryRows() + (long) heads * shape.seqK())
                * (shape.headDim() + shape.valueDim())
                * problem.dtype().byteSize();
        int pieces = (int) Math.min(MOST_PIECES, bytes / LEAST_BYTES);
        while (pieces > 1
                && (heads % pieces != 0 || shape.queryRows() / pieces < (long) LEAST_ROWS_OF_UNIT * computeUnits)) {
            pieces--;
        }
        return Math.max(1, pieces);
    }

    /** One of the pieces: heads of all batch entries follow each other. */
    private static AttentionProblem piece(AttentionProblem problem, int pieces) {
        AttentionShape shape = problem.shape();
        int heads = shape.batch() * shape.kvHeads() / pieces;
        return problem.with(new AttentionShape(
                1, heads * shape.groupSize(), heads, shape.seqQ(), shape.seqK(), shape.headDim(), shape.valueDim()));
    }

    /**
     * Runs the problem on these tensors, whose shapes and types are the plan's.
     *
     * @throws AttentionException if the device, its driver or the compiler fails, or an element was not written
     */
    Execution execute(Tensor q, Tensor k, Tensor v, AttentionOptions options, Tensor o, Tensor lse) {
        long start = System.nanoTime();
        Duration kernels = Duration.ZERO;
        Duration compiling = Duration.ZERO;
        if (lanes.stream().allMatch(lane -> lane.plan.takesPlaces())) {
            kernels = executeInPlaces(q, k, v, o, lse);
        } else {
            for (int piece = 0; piece < pieces; piece++) {
                Execution execution = lane(piece)
                        .plan
                        .execute(
                                part(q, piece),
                                part(k, piece),
                                part(v, piece),
                                options,
                                part(o, piece),
                                part(lse, piece));
                kernels = kernels.plus(execution.kernelTime());
                compiling = compiling.plus(execution.compileTime());
            }
        }
        Execution one = lanes.getFirst().plan.execution(kernels, compiling, start);
        return new Execution(
                one.device(),
                one.kernel(),
                one.tile(),
                one.reason(),
                one.kernelTime(),
                one.compileTime(),
                one.wallTime(),
                lanes.size() * one.deviceBytes());
    }

    private Lane lane(int piece) {
        return lanes.get(piece % lanes.size());
    }

    /** A piece that the device was given: what is to be waited for, and where its output comes. */
    private record Started(Running running, MemorySegment output) {}

    /**
     * Without tensors to be copied, each piece has places of its own: all are given to the device before the first one
     * is waited for. With them, a piece waits for the one before it in its lane.
     */
    private Duration executeInPlaces(Tensor q, Tensor k, Tensor v, Tensor o, Tensor lse) {
        boolean direct = Stream.of(q, k, v, o).allMatch(tensor -> PinnedMemory.holds(tensor.memory()));
        List<Started> started = new ArrayList<>();
        Duration kernels = Duration.ZERO;
        int done = 0;
        try {
            for (int piece = 0; piece < pieces; piece++) {
                if (!direct && piece >= lanes.size()) {
                    kernels = kernels.plus(finish(done, started.get(done++), o, lse));
                }
                started.add(start(piece, q, k, v, o));
            }
            if (done == 0) {
                // The pages of new memory are made while the device works.
                lse.memory().fill((byte) 0);
            }
            while (done < pieces) {
                kernels = kernels.plus(finish(done, started.get(done++), o, lse));
            }
        } finally {
            // Nobody else's memory is read or written once this fails.
            while (done < started.size()) {
                lane(done).plan.await(started.get(done++).running);
            }
        }
        return kernels;
    }

    private Started start(int piece, Tensor q, Tensor k, Tensor v, Tensor o) {
        Lane lane = lane(piece);
        List<MemorySegment> from = new ArrayList<>();
        List<MemorySegment> to = new ArrayList<>();
        MemorySegment[] inputs = {slice(q, piece), slice(k, piece), slice(v, piece)};
        for (int i = 0; i < inputs.length; i++) {
            if (!PinnedMemory.holds(inputs[i])) {
                MemorySegment stage = lane.stage("qkv".substring(i, i + 1), inputs[i]);
                from.add(inputs[i]);
                to.add(stage);
                inputs[i] = stage;
            }
        }
        copy(from, to);
        MemorySegment output = slice(o, piece);
        MemorySegment place = PinnedMemory.holds(output) ? output : lane.stage("o", output);
        MemorySegment terms = slice(logSumExp, piece);
        LaunchGuard.poison(terms);
        return new Started(lane.plan.start(inputs[0], inputs[1], inputs[2], place, terms), place);
    }

    private Duration finish(int piece, Started started, Tensor o, Tensor lse) {
        AttentionPlan plan = lane(piece).plan;
        Duration kernels = plan.await(started.running);
        MemorySegment terms = slice(logSumExp, piece);
        plan.requireWritten(terms);
        slice(lse, piece).copyFrom(terms);
        MemorySegment output = slice(o, piece);
        if (output.address() != started.output.address()) {
            copy(List.of(started.output), List.of(output));
        }
        return kernels;
    }

    /** By several threads: one reads and writes a fourth of what memory does. */
    private static void copy(List<MemorySegment> from, List<MemorySegment> to) {
        List<Runnable> parts = new ArrayList<>();
        for (int i = 0; i < from.size(); i++) {
            MemorySegment source = from.get(i);
            MemorySegment target = to.get(i);
            for (long at = 0; at < source.byteSize(); at += COPIED_AT_ONCE) {
                long first = at;
                long bytes = Math.min(COPIED_AT_ONCE, source.byteSize() - at);
                parts.add(() -> MemorySegment.copy(source, first, target, first, bytes));
            }
        }
        parts.parallelStream().forEach(Runnable::run);
    }

    private MemorySegment slice(Tensor tensor, int piece) {
        long bytes = tensor.byteSize() / pieces;
        return tensor.memory().asSlice(piece * bytes, bytes);
    }

    /** A piece as a tensor of the plans'. */
    private Tensor part(Tensor tensor, int piece) {
        int[] shape = tensor.shape();
        int heads = shape[0] * shape[1] / pieces;
        shape[0] = 1;
        shape[1] = heads;
        return DeviceStorage.part(tensor, tensor.numberOfElements() / pieces * piece, shape);
    }

    /** Frees the device's memory. */
    @Override
    public void close() {
        AttentionException failure = null;
        for (Lane lane : lanes) {
            try {
                lane.plan.close();
            } catch (AttentionException e) {
                failure = e;
            }
        }
        if (failure != null) {
            throw failure;
        }
    }
}
