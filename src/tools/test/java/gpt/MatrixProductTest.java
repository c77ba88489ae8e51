package gpt;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.TestDevice;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** The product in tiles against one in float64, at sizes that no tile divides. */
class MatrixProductTest {

    @ParameterizedTest
    @CsvSource({
        // rows, columns, depth, transposed A, transposed B, parts, accumulate
        "64, 64, 16, false, false, 1, 0",
        "65, 63, 17, false, false, 1, 1",
        "1, 1, 1, false, false, 1, 0",
        "100, 7, 33, false, true, 1, 0",
        "3, 130, 70, true, false, 1, 1",
        "20, 66, 100, true, false, 3, 0",
        "9, 5, 7, true, false, 4, 0"
    })
    void agreesWithFloat64(
            int rows, int columns, int depth, boolean transposedA, boolean transposedB, int parts, int accumulate)
            throws TornadoExecutionPlanException {
        FloatArray a = random(1, rows * depth);
        FloatArray b = random(2, depth * columns);
        FloatArray before = random(3, rows * columns);
        FloatArray c = new FloatArray(parts * rows * columns);
        FloatArray sum = new FloatArray(rows * columns);
        c.init(Float.NaN);
        sum.init(Float.NaN);
        if (accumulate == 1) {
            for (int i = 0; i < rows * columns; i++) {
                c.set(i, before.get(i));
            }
        }
        int aRow = transposedA ? 1 : depth;
        int aColumn = transposedA ? rows : 1;
        int bRow = transposedB ? 1 : columns;
        int bColumn = transposedB ? depth : 1;

        TaskGraph graph = new TaskGraph("product")
                .transferToDevice(DataTransferMode.EVERY_EXECUTION, a, b, c, sum)
                .task(
                        "tiled",
                        MatrixProduct::tiled,
                        new KernelContext(),
                        a,
                        b,
                        c,
                        rows,
                        columns,
                        depth,
                        aRow,
                        aColumn,
                        bRow,
                        bColumn,
                        parts,
                        accumulate)
                .task("sum", MatrixProduct::addParts, c, sum, parts)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, sum);
        GridScheduler grids = new GridScheduler();
        grids.addWorkerGrid("product.tiled", grid(MatrixProduct.groups(rows, columns, parts), MatrixProduct.GROUP));
        grids.addWorkerGrid("product.sum", grid(Math.ceilDiv(rows * columns, 64), 64));
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(TestDevice.get().handle()).withGridScheduler(grids).execute();
        }

        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                double expected = accumulate * (double) before.get(i * columns + j);
                for (int k = 0; k < depth; k++) {
                    expected += (double) a.get(i * aRow + k * aColumn) * b.get(k * bRow + j * bColumn);
                }
                assertThat((double) sum.get(i * columns + j)).isCloseTo(expected, within(1e-4));
            }
        }
    }

    private static WorkerGrid1D grid(int groups, int size) {
        WorkerGrid1D grid = new WorkerGrid1D(groups * size);
        grid.setLocalWork(size, 1, 1);
        return grid;
    }

    private static FloatArray random(long seed, int size) {
        SplittableRandom random = new SplittableRandom(seed);
        FloatArray array = new FloatArray(size);
        for (int i = 0; i < size; i++) {
            array.set(i, (float) random.nextGaussian());
        }
        return array;
    }
}
