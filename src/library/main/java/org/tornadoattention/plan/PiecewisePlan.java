package org.tornadoattention.plan;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
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
 * A problem whose tensors are all in {@link PinnedMemory}, some heads at a time: while the device computes a piece, the
 * next one is on its way there, and the output of the one before on its way back.
 *
 * <p>Pieces take turns in two plans of their size, each with a stream of its own. The kernel and the tile are those of
 * the whole problem, so that the bits are too.
 */
final class PiecewisePlan implements DevicePlan {

    private static final int PLANS = 2;
    private static final int MOST_PIECES = 8;

    /** A transfer of fewer bytes takes hardly less. */
    private static final long LEAST_BYTES = 4 << 20;

    /** Fewer leave multiprocessors without a tile. */
    private static final int LEAST_ROWS_OF_UNIT = 64;

    private final int pieces;
    private final List<AttentionPlan> plans;
    private final Tensor logSumExp;

    /**
     * Builds the graphs; the first {@link #execute} compiles them.
     *
     * @throws UnsupportedOnDeviceException if the device's memory is too small
     */
    PiecewisePlan(AttentionProblem problem, KernelChoice choice, ComputeDevice device) {
        pieces = pieces(problem, device.computeUnits());
        AttentionProblem piece = piece(problem, pieces);
        plans = Stream.generate(() -> new AttentionPlan(piece, choice, device))
                .limit(PLANS)
                .toList();
        logSumExp = DeviceStorage.pinned(device, DType.F32, problem.shape().logSumExpShape());
    }

    /**
     * Whether a problem is divided: where the device reads and writes all of its tensors itself, they are large, and
     * heads do not differ but by them.
     */
    static boolean takes(AttentionProblem problem, ComputeDevice device, Tensor q, Tensor k, Tensor v, Tensor o) {
        return Stream.of(q, k, v, o).allMatch(tensor -> !tensor.isView() && PinnedMemory.holds(tensor.memory()))
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
        if (plans.stream().allMatch(AttentionPlan::takesPlaces)) {
            kernels = executeInPlaces(q, k, v, o, lse);
        } else {
            for (int piece = 0; piece < pieces; piece++) {
                Execution execution = plans.get(piece % PLANS)
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
        Execution one = plans.getFirst().execution(kernels, compiling, start);
        return new Execution(
                one.device(),
                one.kernel(),
                one.tile(),
                one.reason(),
                one.kernelTime(),
                one.compileTime(),
                one.wallTime(),
                PLANS * one.deviceBytes());
    }

    /** Each piece has places of its own: all are given to the device before the first one is waited for. */
    private Duration executeInPlaces(Tensor q, Tensor k, Tensor v, Tensor o, Tensor lse) {
        List<Running> running = new ArrayList<>();
        Duration kernels = Duration.ZERO;
        int done = 0;
        try {
            for (int piece = 0; piece < pieces; piece++) {
                MemorySegment terms = slice(logSumExp, piece);
                LaunchGuard.poison(terms);
                running.add(plans.get(piece % PLANS)
                        .start(slice(q, piece), slice(k, piece), slice(v, piece), slice(o, piece), terms));
            }
            // The pages of new memory are made meanwhile.
            lse.memory().fill((byte) 0);
            while (done < pieces) {
                AttentionPlan plan = plans.get(done % PLANS);
                kernels = kernels.plus(plan.await(running.get(done++)));
                MemorySegment terms = slice(logSumExp, done - 1);
                plan.requireWritten(terms);
                slice(lse, done - 1).copyFrom(terms);
            }
        } finally {
            // Nobody else's memory is read or written once this fails.
            while (done < running.size()) {
                plans.get(done % PLANS).await(running.get(done++));
            }
        }
        return kernels;
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
        for (AttentionPlan plan : plans) {
            try {
                plan.close();
            } catch (AttentionException e) {
                failure = e;
            }
        }
        if (failure != null) {
            throw failure;
        }
    }
}
