//SOURCES jbang/Setup.java
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * A kernel that sums a row, as a softmax does, and a barrier that someone forgot. A GPU says nothing: the sum is wrong
 * on some days. The simulator names the line, the work-items and the array.
 */
class PlantedRace {

    static final int SIZE = 64;

    /** The sum by halves: each step adds the upper half to the lower one. */
    static void sum(KernelContext context, FloatArray row, FloatArray result, int size, int withBarrier) {
        float[] partial = context.allocateFloatLocalArray(size);
        int i = context.localIdx;
        partial[i] = row.get(i);
        context.localBarrier();
        for (int half = size / 2; half > 0; half = half / 2) {
            if (i < half) {
                partial[i] = partial[i] + partial[i + half];
            }
            if (withBarrier == 1) {
                context.localBarrier(); // the next step reads what other work-items have just written
            }
        }
        if (i == 0) {
            result.set(0, partial[0]);
        }
    }

    static float run(FloatArray row, int withBarrier) throws TornadoExecutionPlanException {
        FloatArray result = new FloatArray(1);
        WorkerGrid1D grid = new WorkerGrid1D(SIZE);
        grid.setLocalWork(SIZE, 1, 1);
        TaskGraph graph = new TaskGraph("race")
                .transferToDevice(DataTransferMode.EVERY_EXECUTION, row)
                .task("sum", PlantedRace::sum, new KernelContext(), row, result, SIZE, withBarrier)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, result);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withGridScheduler(new GridScheduler("race.sum", grid)).execute();
        }
        return result.get(0);
    }

    static void main() throws TornadoExecutionPlanException {
        FloatArray row = new FloatArray(SIZE);
        for (int i = 0; i < SIZE; i++) {
            row.set(i, i);
        }
        System.out.println("With the barrier the sum is " + run(row, 1) + ", as it should be.");
        try {
            float sum = run(row, 0);
            System.out.println("Without it the sum is " + sum + ", and nobody says whether that is luck.");
            System.out.println("Unset TORNADOVM_HOME to see what the simulator makes of it.");
        } catch (RuntimeException found) {
            System.out.println("Without it the simulator says: " + found.getMessage());
        }
    }
}
