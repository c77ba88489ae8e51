//SOURCES jbang/Setup.java
import java.util.List;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task4;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Eight kernels, each with a mistake of a kind that shipped in public projects, written anew and as small as can be. A
 * GPU runs all of them without a word; the simulator says what is wrong. Each kernel is right with {@code mended == 1}:
 * the difference is the lesson.
 */
class RealBugs {

    static final int SIZE = 128;
    static final int GROUP = 64;

    /** A tile is loaded again while others of the group still read it. */
    static void tileUsedTwice(KernelContext context, FloatArray in, FloatArray out, int mended) {
        float[] tile = context.allocateFloatLocalArray(64);
        int id = context.localIdx;
        float sum = 0f;
        for (int step = 0; step < 2; step++) {
            tile[id] = in.get((context.groupIdx + step) % 2 * 64 + id);
            context.localBarrier();
            sum += tile[63 - id];
            if (mended == 1) {
                context.localBarrier(); // nobody loads the next tile before all are done with this one
            }
        }
        out.set(context.globalIdx, sum);
    }

    /**
     * Each group adds its squares to one sum, and divides by it in the same launch: other groups may not have added
     * yet.
     */
    static void normalization(KernelContext context, FloatArray in, FloatArray out, int mended) {
        if (mended == 1) {
            float sum = 0f; // each group finds the whole sum for itself; with two tasks, one finds it and one divides
            for (int i = 0; i < in.getSize() - 1; i++) {
                sum += in.get(i) * in.get(i);
            }
            out.set(context.globalIdx, in.get(context.globalIdx) / TornadoMath.sqrt(sum));
        } else {
            float own = in.get(context.globalIdx);
            context.atomicAdd(in, 128, own * own);
            context.globalBarrier(); // waits for this group, and not for the others
            out.set(context.globalIdx, own / TornadoMath.sqrt(in.get(128)));
        }
    }

    /** Sums in an array of the work-item's own that nobody set to zero: Java does that, TornadoVM 5.2 does not. */
    static void privateSums(KernelContext context, FloatArray in, FloatArray out, int mended) {
        float[] sums = new float[4];
        if (mended == 1) {
            for (int i = 0; i < 4; i++) {
                sums[i] = 0f;
            }
        }
        for (int i = 0; i < 16; i++) {
            sums[i % 4] += in.get((context.globalIdx + i) % 128);
        }
        out.set(context.globalIdx, sums[0] + sums[1] + sums[2] + sums[3]);
    }

    /** Keys in tiles of 48, of which 128 is no multiple: the last tile is not whole. */
    static void lastTile(KernelContext context, FloatArray in, FloatArray out, int mended) {
        float sum = 0f;
        int keys = in.getSize();
        for (int from = 0; from < keys; from += 48) {
            int end = mended == 1 ? TornadoMath.min(from + 48, keys) : from + 48;
            for (int key = from; key < end; key++) {
                sum += in.get(key);
            }
        }
        out.set(context.globalIdx, sum);
    }

    /** A causal softmax with -infinity for what is hidden: who sees nothing computes infinity minus infinity. */
    static void maskedRow(KernelContext context, FloatArray in, FloatArray out, int mended) {
        int seen = context.globalIdx - 4; // the first four rows see no key
        float max = mended == 1 ? -3.0e38f : Float.NEGATIVE_INFINITY;
        for (int key = 0; key < seen; key++) {
            max = TornadoMath.max(max, in.get(key));
        }
        float sum = 0f;
        float weighted = 0f;
        for (int key = 0; key < 8; key++) {
            float score = key < seen ? in.get(key) : mended == 1 ? -3.0e38f : Float.NEGATIVE_INFINITY;
            float p = mended == 1 && key >= seen ? 0f : TornadoMath.exp(score - max);
            sum += p;
            weighted += p * in.get(key);
        }
        out.set(context.globalIdx, mended == 1 && sum == 0f ? 0f : weighted / sum);
    }

    /** A sum in 16 bits: from 2048 on it has no odd numbers, and adding 1 changes nothing. */
    static void sumOfHalves(KernelContext context, FloatArray in, FloatArray out, int mended) {
        HalfFloat halves = new HalfFloat(0f);
        float sum = 0f;
        HalfFloat one = new HalfFloat(1f);
        for (int i = 0; i < 4096; i++) {
            if (mended == 1) {
                sum += one.getFloat32();
            } else {
                halves = HalfFloat.add(halves, one);
            }
        }
        out.set(context.globalIdx, mended == 1 ? sum : halves.getFloat32());
    }

    /** The rows past the end do nothing, and so they do not come to the barrier for which the others wait. */
    static void barrierInABoundsCheck(KernelContext context, FloatArray in, FloatArray out, int mended) {
        float[] tile = context.allocateFloatLocalArray(64);
        int id = context.localIdx;
        int rows = 100;
        if (mended == 1) {
            tile[id] = context.globalIdx < rows ? in.get(context.globalIdx) : 0f;
            context.localBarrier();
            out.set(context.globalIdx, tile[63 - id]);
        } else if (context.globalIdx < rows) {
            tile[id] = in.get(context.globalIdx);
            context.localBarrier();
            out.set(context.globalIdx, tile[63 - id]);
        }
    }

    /** The maximum of a row is found by one work-item, and used by all before it is there. */
    static void staleMaximum(KernelContext context, FloatArray in, FloatArray out, int mended) {
        float[] scores = context.allocateFloatLocalArray(64);
        float[] max = context.allocateFloatLocalArray(4);
        int id = context.localIdx;
        scores[id] = in.get(context.globalIdx);
        if (id == 0) {
            max[0] = -3.0e38f;
        }
        context.localBarrier();
        if (id == 0) {
            for (int i = 0; i < 64; i++) {
                max[0] = TornadoMath.max(max[0], scores[i]);
            }
        }
        if (mended == 1) {
            context.localBarrier(); // the maximum of before is no maximum of these scores
        }
        out.set(context.globalIdx, TornadoMath.exp(scores[id] - max[0]));
    }

    /**
     * A mistake.
     *
     * @param title what it is
     * @param where where such a one was
     * @param kernel the kernel
     * @param expected what element 0 of the result should be
     */
    record Bug(
            String title, String where, Task4<KernelContext, FloatArray, FloatArray, Integer> kernel, float expected) {}

    static final List<Bug> BUGS = List.of(
            new Bug(
                    "A barrier is missing between two uses of a tile",
                    "the classic of tiled kernels: right on small grids, wrong on some days",
                    RealBugs::tileUsedTwice,
                    64f + 128f),
            new Bug(
                    "Groups race in a normalisation",
                    "an RMS norm across work-groups, in two models of GPULlama3.java (#132)",
                    RealBugs::normalization,
                    (float) (1 / Math.sqrt(128 * 129 * 257 / 6.0))),
            new Bug(
                    "A private array is not set",
                    "TornadoVM #1088: Java zeroes new arrays, TornadoVM 5.2 does not",
                    RealBugs::privateSums,
                    136f),
            new Bug(
                    "Indices past the end in the last tile",
                    "a flash attention of Project Babylon's HAT (babylon #1180)",
                    RealBugs::lastTile,
                    128 * 129 / 2f),
            new Bug("A mask leaves NaN", "rows that see no key: PyTorch #103963 and others", RealBugs::maskedRow, 0f),
            new Bug(
                    "A sum in 16 bits",
                    "kernels that accumulate in the type of their inputs",
                    RealBugs::sumOfHalves,
                    4096f),
            new Bug(
                    "A bounds check around a barrier",
                    "hangs some GPUs, and does nothing on others",
                    RealBugs::barrierInABoundsCheck,
                    64f),
            new Bug(
                    "A stale maximum",
                    "an online softmax whose maximum is one tile behind",
                    RealBugs::staleMaximum,
                    (float) Math.exp(-63)));

    static float run(Bug bug, int mended) throws TornadoExecutionPlanException {
        FloatArray in = new FloatArray(SIZE + (bug.kernel() == BUGS.get(1).kernel() ? 1 : 0));
        for (int i = 0; i < SIZE; i++) {
            in.set(i, i + 1);
        }
        FloatArray out = new FloatArray(SIZE);
        WorkerGrid1D grid = new WorkerGrid1D(SIZE);
        grid.setLocalWork(GROUP, 1, 1);
        TaskGraph graph = new TaskGraph("bug")
                .transferToDevice(DataTransferMode.EVERY_EXECUTION, in)
                .task("kernel", bug.kernel(), new KernelContext(), in, out, mended)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, out);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withGridScheduler(new GridScheduler("bug.kernel", grid)).execute();
        }
        return out.get(0);
    }

    static boolean isRight(Bug bug, float result) {
        return Math.abs(result - bug.expected()) <= 1e-5f * Math.max(Math.abs(bug.expected()), 1e-30f);
    }

    static void main() throws TornadoExecutionPlanException {
        // Off by default, since a kernel may mean NaN: the simulator is to tell where NaN and lost addends come from.
        System.setProperty("tornadoattention.simulator.numbers", "true");
        int number = 0;
        for (Bug bug : BUGS) {
            System.out.println(++number + ". " + bug.title() + ": " + bug.where() + ".");
            try {
                float result = run(bug, 0);
                System.out.println("   The result is " + result + " where " + bug.expected() + " is right"
                        + (isRight(bug, result) ? ", this time." : "; no other fault is in sight."));
            } catch (RuntimeException found) {
                System.out.println("   " + found.getMessage());
            }
            float mended = run(bug, 1);
            System.out.println("   Mended it gives " + mended + (isRight(bug, mended) ? ", as it should." : "?!"));
        }
    }
}
