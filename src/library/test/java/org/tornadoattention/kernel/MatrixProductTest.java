package org.tornadoattention.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.Intrinsics;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Products in tiles and on tensor cores against float64, at sizes that no tile divides, with every ending. */
class MatrixProductTest {

    /** Rows, columns, depth, transposed A, transposed B, parts. */
    private record Problem(int rows, int columns, int depth, boolean transposedA, boolean transposedB, int parts) {
        int aRow() {
            return transposedA ? 1 : depth;
        }

        int aColumn() {
            return transposedA ? rows : 1;
        }

        int bRow() {
            return transposedB ? 1 : columns;
        }

        int bColumn() {
            return transposedB ? depth : 1;
        }
    }

    @ParameterizedTest
    @CsvSource({
        // rows, columns, depth, transposed A, transposed B, parts, ending
        "64, 64, 16, false, false, 1, 0",
        "65, 63, 17, false, false, 1, 1",
        "1, 1, 1, false, false, 1, 2",
        "100, 7, 33, false, true, 1, 3",
        "3, 130, 70, true, false, 1, 1",
        "20, 66, 100, true, false, 3, 0",
        "9, 5, 7, true, false, 4, 0"
    })
    void tilesAgreeWithFloat64(
            int rows, int columns, int depth, boolean transposedA, boolean transposedB, int parts, int ending)
            throws TornadoExecutionPlanException {
        Problem problem = new Problem(rows, columns, depth, transposedA, transposedB, parts);
        require(problem, ending, 1e-4, (graph, a, b, bias, c) -> {
            graph.task(
                    "product",
                    MatrixProduct::tiled,
                    new KernelContext(),
                    a,
                    b,
                    bias,
                    c,
                    rows,
                    columns,
                    depth,
                    problem.aRow(),
                    problem.aColumn(),
                    problem.bRow(),
                    problem.bColumn(),
                    parts,
                    ending);
            return MatrixProduct.groups(rows, columns, parts);
        });
    }

    /** Factors that 16 bits hold leave only the sums to round, which are F32. */
    @ParameterizedTest
    @CsvSource({
        // type, rows, columns, depth, transposed A, transposed B, parts, ending
        "0, 130, 132, 68, false, false, 1, 2",
        "0, 7, 20, 36, false, true, 1, 3",
        "1, 12, 140, 33, true, false, 1, 1",
        "1, 132, 8, 70, true, false, 3, 0",
        "1, 4, 4, 4, true, true, 1, 0"
    })
    void tensorCoresAgreeWithFloat64(
            int type, int rows, int columns, int depth, boolean transposedA, boolean transposedB, int parts, int ending)
            throws TornadoExecutionPlanException {
        assumeTrue(TestDevice.get().extension().level().include(Intrinsics.WARP), "no tensor cores");
        Problem problem = new Problem(rows, columns, depth, transposedA, transposedB, parts);
        require(problem, ending, 1e-4, (graph, a, b, bias, c) -> {
            graph.task(
                    "product",
                    MatrixProduct::onTensorCores,
                    new KernelContext(),
                    a,
                    b,
                    bias,
                    c,
                    rows,
                    columns,
                    depth,
                    problem.aRow(),
                    problem.aColumn(),
                    problem.bRow(),
                    problem.bColumn(),
                    parts,
                    ending,
                    type);
            return MatrixProduct.groupsOnTensorCores(rows, columns, depth, problem.aRow(), problem.bRow(), parts);
        });
    }

    @Test
    void tensorCoresTakeWhatComesInFours() {
        assertThat(MatrixProduct.groupsOnTensorCores(3, 8, 12, 12, 8, 1)).isEqualTo(1);
        assertThat(MatrixProduct.groupsOnTensorCores(130, 8, 12, 12, 8, 3)).isEqualTo(6);
        assertThat(MatrixProduct.groupsOnTensorCores(8, 3, 8, 8, 1, 1)).isEqualTo(1);
        assertThat(MatrixProduct.groupsOnTensorCores(8, 6, 12, 12, 6, 1)).isZero();
        assertThat(MatrixProduct.groupsOnTensorCores(8, 8, 6, 6, 8, 1)).isZero();
        assertThat(MatrixProduct.groupsOnTensorCores(6, 8, 8, 1, 8, 1)).isZero();
    }

    /** Adds the task {@code product} to a graph and tells its groups. */
    private interface Kernel {
        int append(TaskGraph graph, FloatArray a, FloatArray b, FloatArray bias, FloatArray c);
    }

    private static void require(Problem problem, int ending, double tolerance, Kernel kernel)
            throws TornadoExecutionPlanException {
        int rows = problem.rows;
        int columns = problem.columns;
        FloatArray a = random(1, rows * problem.depth);
        FloatArray b = random(2, problem.depth * columns);
        FloatArray bias = random(4, columns);
        FloatArray before = random(3, rows * columns);
        FloatArray c = new FloatArray(problem.parts * rows * columns);
        FloatArray sum = new FloatArray(rows * columns);
        c.init(Float.NaN);
        sum.init(Float.NaN);
        if (ending == MatrixProduct.ADD) {
            for (int i = 0; i < rows * columns; i++) {
                c.set(i, before.get(i));
            }
        }
        TaskGraph graph =
                new TaskGraph("product").transferToDevice(DataTransferMode.EVERY_EXECUTION, a, b, bias, c, sum);
        int groups = kernel.append(graph, a, b, bias, c);
        graph.task("sum", MatrixProduct::addParts, c, sum, problem.parts)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, sum);
        GridScheduler grids = new GridScheduler();
        grids.addWorkerGrid("product.product", grid(groups, MatrixProduct.GROUP));
        grids.addWorkerGrid("product.sum", grid(Math.ceilDiv(rows * columns, 64), 64));
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(TestDevice.get().handle()).withGridScheduler(grids).execute();
        }
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                double expected = ending == MatrixProduct.ADD ? before.get(i * columns + j) : 0;
                for (int k = 0; k < problem.depth; k++) {
                    expected += (double) a.get(i * problem.aRow() + k * problem.aColumn())
                            * b.get(k * problem.bRow() + j * problem.bColumn());
                }
                expected += ending >= MatrixProduct.BIAS ? bias.get(j) : 0;
                expected = ending == MatrixProduct.BIAS_GELU ? gelu(expected) : expected;
                assertThat((double) sum.get(i * columns + j))
                        .as("row %d, column %d", i, j)
                        .isCloseTo(expected, within(tolerance));
            }
        }
    }

    /** By the midpoint rule of the error function's integral. */
    static double gelu(double x) {
        int steps = 2000;
        double width = x / Math.sqrt(2) / steps;
        double integral = 0;
        for (int i = 0; i < steps; i++) {
            double t = (i + 0.5) * width;
            integral += Math.exp(-t * t) * width;
        }
        return x / 2 * (1 + 2 / Math.sqrt(Math.PI) * integral);
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
            array.set(i, Math.round(random.nextGaussian() * 32) / 32f); // F16 and BF16 hold it
        }
        return array;
    }
}
