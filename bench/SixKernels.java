import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task3;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Six kernels whose sectors and bank conflicts the simulator counts and a GPU's profiler measures. In the simulator:
 *
 * <pre>JDK_JAVA_OPTIONS=-Dtornadoattention.simulator.costs=h200 ./attention java bench/SixKernels.java</pre>
 *
 * On a GPU, with TORNADOVM_HOME set to an SDK with the CUDA backend, under ncu.
 */
class SixKernels {

    static final int SIZE = 1 << 16;

    static void copy(KernelContext context, FloatArray in, FloatArray out) {
        out.set(context.globalIdx, in.get(context.globalIdx));
    }

    static void strided(KernelContext context, FloatArray in, FloatArray out) {
        int i = context.globalIdx;
        out.set(i, in.get((i % 256) * 256 + i / 256));
    }

    static void everySecond(KernelContext context, FloatArray in, FloatArray out) {
        int i = context.globalIdx;
        if (i % 2 == 0) {
            out.set(i, in.get(i) + 1f);
        }
    }

    static void reversedInLocalMemory(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(256);
        int id = context.localIdx;
        tile[id] = in.get(context.globalIdx);
        context.localBarrier();
        out.set(context.globalIdx, tile[255 - id]);
    }

    static void columnsOfATile(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(1024);
        int id = context.localIdx;
        tile[(id % 32) * 32 + id / 32] = in.get(context.globalIdx);
        context.localBarrier();
        out.set(context.globalIdx, tile[(id % 32) * 32 + id / 32]);
    }

    static void columnsOfAPaddedTile(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(1056);
        int id = context.localIdx;
        tile[(id % 32) * 33 + id / 32] = in.get(context.globalIdx);
        context.localBarrier();
        out.set(context.globalIdx, tile[(id % 32) * 33 + id / 32]);
    }

    static void run(String name, Task3<KernelContext, FloatArray, FloatArray> kernel)
            throws TornadoExecutionPlanException {
        FloatArray in = new FloatArray(SIZE);
        for (int i = 0; i < SIZE; i++) {
            in.set(i, i);
        }
        FloatArray out = new FloatArray(SIZE);
        WorkerGrid1D grid = new WorkerGrid1D(SIZE);
        grid.setLocalWork(256, 1, 1);
        TaskGraph graph = new TaskGraph(name)
                .transferToDevice(DataTransferMode.EVERY_EXECUTION, in, out)
                .task("kernel", kernel, new KernelContext(), in, out)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, out);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withGridScheduler(new GridScheduler(name + ".kernel", grid)).execute();
        }
        double sum = 0;
        for (int i = 0; i < SIZE; i++) {
            sum += out.get(i);
        }
        System.out.println(name + ": the sum of the result is " + sum);
    }

    static void main() throws TornadoExecutionPlanException {
        run("copy", SixKernels::copy);
        run("strided", SixKernels::strided);
        run("everySecond", SixKernels::everySecond);
        run("reversedInLocalMemory", SixKernels::reversedInLocalMemory);
        run("columnsOfATile", SixKernels::columnsOfATile);
        run("columnsOfAPaddedTile", SixKernels::columnsOfAPaddedTile);
    }
}
