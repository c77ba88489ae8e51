//SOURCES jbang/Setup.java
import java.util.Arrays;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.ProfilerMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;

/**
 * C = A · Bᵀ on Hopper's tensor cores, F16 in, F32 out, with the library's intrinsics: that they are good for more than
 * attention. {@code ./attention example TensorCoreMatrixProduct 8192} on a GPU; a small one in the simulator.
 *
 * <p>A group of two warp groups computes 128×256 elements of C, half of the rows each. Slices of A and B, 64 deep, have
 * four places in local memory: one is multiplied, one is still being read by the product before, two are on their way.
 */
class TensorCoreMatrixProduct {

    static final int ROWS = 128;
    static final int COLUMNS = 256;
    static final int DEPTH = 64;
    static final int PLACES = 4;
    static final int ITEMS = 2 * WarpGroup.LANES;
    static final int PLACE_BYTES = (ROWS + COLUMNS) * WarpGroup.ROW_BYTES;

    /** A, B and C are n × n, row by row; n is a multiple of 256. */
    static void multiply(KernelContext context, HalfFloatArray a, HalfFloatArray b, FloatArray c, int n) {
        Warp.requireGroupSize(ITEMS);
        int[] tile = context.allocateIntLocalArray(PLACES * PLACE_BYTES / 4);
        float[] sums = new float[COLUMNS / 2];
        int item = context.localIdx;
        int firstRow = context.groupIdx % (n / ROWS) * ROWS;
        int firstColumn = context.groupIdx / (n / ROWS) * COLUMNS;
        int own = item / WarpGroup.LANES * 64 * WarpGroup.ROW_BYTES;
        for (int i = 0; i < COLUMNS / 2; i++) {
            sums[i] = 0f;
        }
        for (int ahead = 0; ahead < PLACES - 2; ahead++) {
            load(tile, ahead * PLACE_BYTES, a, firstRow * n + ahead * DEPTH, ROWS, n, item);
            load(tile, ahead * PLACE_BYTES + ROWS * 128, b, firstColumn * n + ahead * DEPTH, COLUMNS, n, item);
            context.asyncCopyCommit();
        }
        for (int k = 0; k < n; k += DEPTH) {
            context.asyncCopyWaitGroup(PLACES - 3); // this slice is here, and
            WarpGroup.fenceLocalMemory();
            context.localBarrier(); // the slice before the last one has been multiplied by all
            int next = k + (PLACES - 2) * DEPTH;
            int place = next / DEPTH % PLACES * PLACE_BYTES;
            if (next < n) {
                load(tile, place, a, firstRow * n + next, ROWS, n, item);
                load(tile, place + ROWS * 128, b, firstColumn * n + next, COLUMNS, n, item);
            }
            context.asyncCopyCommit();
            int atA = k / DEPTH % PLACES * PLACE_BYTES;
            WarpGroup.fence();
            for (int x = 0; x < DEPTH / 16; x++) {
                WarpGroup.multiply(Warp.F16, sums, COLUMNS, tile, atA + own + 32 * x, atA + ROWS * 128 + 32 * x, 1);
            }
            WarpGroup.commit();
            WarpGroup.await(1, sums, COLUMNS / 2);
        }
        WarpGroup.await(0, sums, COLUMNS / 2);
        int at = (firstRow + item / 32 * 16 + item % 32 / 4) * n + firstColumn + item % 4 * 2;
        for (int i = 0; i < COLUMNS / 2; i++) {
            Warp.store(c, at + i % 4 / 2 * 8 * n + i / 4 * 8 + i % 2, sums[i]);
        }
    }

    /** Starts the copy of {@code rows} rows, 64 deep. */
    static void load(int[] tile, int at, HalfFloatArray from, int first, int rows, int n, int item) {
        for (int i = 0; i < rows * 8 / ITEMS; i++) {
            int row = i * ITEMS / 8 + item / 8;
            Warp.copyAsync(tile, at + WarpGroup.chunk(row, item % 8), from, first + row * n + item % 8 * 8, 16);
        }
    }

    static void main(String[] arguments) {
        Example.run(TensorCoreMatrixProduct.class, "[SIZE]", arguments, TensorCoreMatrixProduct::product);
    }

    static void product(String[] arguments) throws TornadoExecutionPlanException {
        int n = Example.number(arguments, 0, 256, COLUMNS);
        if (n % COLUMNS != 0) {
            throw new IllegalArgumentException("The size is %d: it must be a multiple of %d.".formatted(n, COLUMNS));
        }
        ComputeDevice device = Devices.bestForTaskGraphs(); // installs the intrinsics, where there is a device for them
        if (!device.extension().level().include(Intrinsics.WARP_GROUP)) {
            System.out.printf(
                    "The device must be one of compute capability 9.0, or the simulator; here: %s %s%n",
                    device, device.extension().reason());
            return;
        }
        HalfFloatArray a = Tensor.random(DType.F16, 1, n, n).halfFloatArray();
        HalfFloatArray b = Tensor.random(DType.F16, 2, n, n).halfFloatArray();
        FloatArray c = new FloatArray(n * n);
        WorkerGrid1D grid = new WorkerGrid1D(n / ROWS * (n / COLUMNS) * ITEMS);
        grid.setLocalWork(ITEMS, 1, 1);
        TaskGraph graph = new TaskGraph("product")
                .transferToDevice(DataTransferMode.FIRST_EXECUTION, a, b)
                .task("multiply", TensorCoreMatrixProduct::multiply, new KernelContext(), a, b, c, n)
                .transferToHost(DataTransferMode.UNDER_DEMAND, c);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(device.handle())
                    .withGridScheduler(new GridScheduler("product.multiply", grid))
                    .withProfiler(ProfilerMode.SILENT);
            plan.execute().transferToHost(c);
            double error = largestError(a, b, c, n);
            System.out.printf(
                    "%d×%d on %s: largest error %.1e, %s%n", n, n, device, error, error < 4e-6 * n ? "ok" : "WRONG");
            long[] times = new long[device.isSimulator() ? 1 : 20];
            for (int i = 0; i < times.length; i++) {
                times[i] = plan.execute().getProfilerResult().getDeviceKernelTime();
            }
            Arrays.sort(times);
            double seconds = times[times.length / 2] / 1e9;
            System.out.printf("%.3f ms, %.3f TFLOP/s%n", 1e3 * seconds, 2.0 * n * n * n / seconds / 1e12);
        }
    }

    /** Against float64, at some elements of all rows of tiles and all columns of tiles. */
    static double largestError(HalfFloatArray a, HalfFloatArray b, FloatArray c, int n) {
        double largest = 0;
        for (int row = 0; row < n; row += 37) {
            for (int column = row % 41; column < n; column += Math.max(41, n / 8 + 1)) {
                double sum = 0;
                for (int k = 0; k < n; k++) {
                    sum += (double) a.get(row * n + k).getFloat32()
                            * b.get(column * n + k).getFloat32();
                }
                double error = Math.abs(c.get(row * n + column) - sum);
                largest = Double.isNaN(error) ? Double.POSITIVE_INFINITY : Math.max(largest, error);
            }
        }
        return largest;
    }
}
