package org.tornadoattention.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.SplittableRandom;
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
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/** Matrices made narrow, as they are or turned, and multiplied by warp groups, against float64, with every ending. */
class WarpGroupProductTest {

    private final TaskGraph graph = new TaskGraph("product");
    private final GridScheduler grids = new GridScheduler();

    /** Factors that 16 bits hold leave only the sums to round, which are F32. */
    @ParameterizedTest
    @CsvSource({
        // type, rows, columns, depth, turned A, turned B, parts, ending
        "0, 128, 256, 64, false, false, 1, 2",
        "1, 130, 130, 192, true, false, 1, 1",
        "0, 6, 256, 320, false, true, 1, 3",
        "1, 66, 20, 448, true, true, 3, 0",
        "1, 2, 2, 64, true, true, 2, 0"
    })
    void agreesWithFloat64(
            int type, int rows, int columns, int depth, boolean turnedA, boolean turnedB, int parts, int ending)
            throws TornadoExecutionPlanException {
        assumeTrue(TestDevice.get().extension().level().include(Intrinsics.WARP_GROUP), "no warp groups");
        FloatArray a = random(1, rows * depth);
        FloatArray b = random(2, columns * depth);
        FloatArray bias = random(3, columns);
        FloatArray before = random(4, rows * columns);
        FloatArray c = new FloatArray(parts * rows * columns);
        FloatArray sum = new FloatArray(rows * columns);
        c.init(Float.NaN);
        sum.init(Float.NaN);
        if (ending == MatrixProduct.ADD) {
            for (int i = 0; i < rows * columns; i++) {
                c.set(i, before.get(i));
            }
        }
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, a, b, bias, c, sum);
        ShortArray narrowA = narrow("a", a, rows, depth, turnedA, type);
        ShortArray narrowB = narrow("b", b, columns, depth, turnedB, type);
        int wide = WarpGroupProduct.wide(columns);
        graph.task(
                        "multiply",
                        WarpGroupProduct::multiply,
                        new KernelContext(),
                        narrowA,
                        narrowB,
                        bias,
                        c,
                        rows,
                        columns,
                        depth,
                        wide,
                        parts,
                        ending,
                        type)
                .task("sum", MatrixProduct::addParts, c, sum, parts)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, sum);
        grid("multiply", WarpGroupProduct.groups(rows, columns, wide, parts));
        grid("sum", Math.ceilDiv(rows * columns, WarpGroupProduct.GROUP));
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(TestDevice.get().handle()).withGridScheduler(grids).execute();
        }
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                double expected = ending == MatrixProduct.ADD ? before.get(i * columns + j) : 0;
                for (int k = 0; k < depth; k++) {
                    expected += (double) a.get(turnedA ? k * rows + i : i * depth + k)
                            * b.get(turnedB ? k * columns + j : j * depth + k);
                }
                expected += ending >= MatrixProduct.BIAS ? bias.get(j) : 0;
                expected = ending == MatrixProduct.BIAS_GELU ? MatrixProductTest.gelu(expected) : expected;
                assertThat((double) sum.get(i * columns + j))
                        .as("row %d, column %d", i, j)
                        .isCloseTo(expected, within(1e-4));
            }
        }
    }

    /** A factor {@code [rows, depth]} of one that lies so, or the other way. */
    private ShortArray narrow(String name, FloatArray matrix, int rows, int depth, boolean turned, int type) {
        ShortArray same = new ShortArray(matrix.getSize());
        ShortArray other = new ShortArray(matrix.getSize());
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, same, other);
        if (turned) {
            graph.task(name, WarpGroupProduct::turn, new KernelContext(), matrix, same, other, depth, rows, 0, type);
            grid(name, WarpGroupProduct.groupsToNarrow(depth, rows));
            return other;
        }
        if (name.equals("a")) {
            graph.task(name, WarpGroupProduct::turn, new KernelContext(), matrix, same, other, rows, depth, 1, type);
        } else {
            graph.task(name, WarpGroupProduct::narrow, new KernelContext(), matrix, same, rows, depth, type);
        }
        grid(name, WarpGroupProduct.groupsToNarrow(rows, depth));
        return same;
    }

    private void grid(String task, int groups) {
        WorkerGrid1D grid = new WorkerGrid1D(groups * WarpGroupProduct.GROUP);
        grid.setLocalWork(WarpGroupProduct.GROUP, 1, 1);
        grids.addWorkerGrid("product." + task, grid);
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
