package org.tornadoattention.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.tornadoattention.kernel.WarpGroupProduct.A_BY_DEPTH;
import static org.tornadoattention.kernel.WarpGroupProduct.A_IN_HEADS;
import static org.tornadoattention.kernel.WarpGroupProduct.B_BY_DEPTH;
import static org.tornadoattention.kernel.WarpGroupProduct.B_IN_HEADS;
import static org.tornadoattention.kernel.WarpGroupProduct.C_IN_HEADS;
import static org.tornadoattention.kernel.WarpGroupProduct.NARROW;
import static org.tornadoattention.kernel.WarpGroupProduct.OF_THREE;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.intrinsic.Warp;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * Products by warp groups against float64: factors of every direction and place, tiles of both heights, every ending.
 */
class WarpGroupProductTest {

    private static final int SHORT_SEQUENCE = 16;
    private static final int SEQUENCE = 64;
    private static final int HEAD_DIM = 8;
    /** Multiprocessors for which both heights of a tile are chosen below. */
    private static final int MULTIPROCESSORS = 1;

    /** Factors that 16 bits hold leave only the sums to round, which are F32. */
    @ParameterizedTest
    @CsvSource({
        // type, rows, columns, depth, form, parts, ending
        "0, 128, 256, 64, 0, 1, 2",
        "1, 136, 136, 192, 0, 1, 1",
        "0, 8, 256, 320, 2, 1, 3",
        "1, 264, 128, 128, 2, 1, 0",
        "1, 72, 24, 448, 3, 3, 0",
        "1, 200, 264, 128, 3, 2, 0",
        "0, 48, 64, 64, 4, 1, 0",
        "1, 64, 72, 128, 7, 1, 0",
        "1, 48, 40, 192, 36, 1, 0",
        "1, 72, 96, 128, 43, 1, 0",
        "1, 64, 72, 192, 7, 2, 0",
        "1, 72, 96, 64, 43, 1, 0",
        "1, 384, 128, 64, 2, 1, 1"
    })
    void agreesWithFloat64(int type, int rows, int columns, int depth, int form, int parts, int ending)
            throws TornadoExecutionPlanException {
        check(type, rows, columns, depth, form, parts, ending);
    }

    /** Products whose results have 16 bits: rounded, and within a unit of the last of them. */
    @ParameterizedTest
    @CsvSource({
        "1, 128, 256, 64, 66, 1, 0",
        "0, 136, 136, 64, 64, 1, 2",
        "0, 40, 64, 64, 64, 1, 3",
        "1, 200, 128, 64, 66, 1, 4",
        "1, 56, 72, 128, 64, 1, 5",
        "1, 48, 64, 64, 80, 1, 0",
        "1, 48, 192, 64, 114, 1, 0",
        "1, 32, 48, 192, 100, 1, 0"
    })
    void agreesInSixteenBits(int type, int rows, int columns, int depth, int form, int parts, int ending)
            throws TornadoExecutionPlanException {
        check(type, rows, columns, depth, form, parts, ending);
    }

    @Test
    void takesTheTileThatLeavesFewMultiprocessorsWithoutWork() {
        assertThat(WarpGroupProduct.group(WarpGroupProduct.tile(8192, 768, 0, 1, 132)))
                .isEqualTo(384);
        assertThat(WarpGroupProduct.groups(8192, 768, WarpGroupProduct.tile(8192, 768, 0, 1, 132), 1))
                .isEqualTo(129);
        assertThat(WarpGroupProduct.group(WarpGroupProduct.tile(8192, 1024, 0, 1, 132)))
                .isEqualTo(256);
        assertThat(WarpGroupProduct.groups(8192, 1024, WarpGroupProduct.tile(8192, 1024, 0, 1, 132), 1))
                .isEqualTo(256);
    }

    private static void check(int type, int rows, int columns, int depth, int form, int parts, int ending)
            throws TornadoExecutionPlanException {
        assumeTrue(TestDevice.get().extension().level().include(Intrinsics.WARP_GROUP), "no warp groups");
        boolean byDepth = has(form, A_BY_DEPTH);
        int sequence = (byDepth ? depth : rows) % SEQUENCE == 0 ? SEQUENCE : SHORT_SEQUENCE;
        float[][] a = random(1, rows, depth);
        float[][] b = random(2, depth, columns);
        float[][] other = random(4, rows, columns);
        FloatArray bias = FloatArray.fromArray(random(3, 1, columns)[0]);
        boolean narrow = has(form, NARROW);
        FloatArray c = new FloatArray(narrow ? 8 : parts * rows * columns);
        FloatArray sum = new FloatArray(rows * columns);
        c.init(Float.NaN);
        sum.init(Float.NaN);
        if (ending == MatrixProduct.ADD) {
            for (int i = 0; i < rows * columns; i++) {
                c.set(i, other[i / columns][i % columns]);
            }
        }
        ShortArray[] factorA =
                arrays(type, byDepth ? transposed(a) : a, has(form, A_IN_HEADS), has(form, OF_THREE), sequence);
        ShortArray[] factorB = arrays(
                type, has(form, B_BY_DEPTH) ? b : transposed(b), has(form, B_IN_HEADS), has(form, OF_THREE), sequence);
        ShortArray[] more = has(form, A_IN_HEADS) ? factorA : factorB;
        ShortArray slopes = arrays(type, other, false, false, sequence)[0];
        boolean threeResults = has(form, C_IN_HEADS) && has(form, OF_THREE);
        ShortArray[] results = new ShortArray[3];
        for (int i = 0; i < 3; i++) {
            results[i] = new ShortArray(narrow ? rows * columns / (threeResults ? 3 : 1) : 8);
        }
        ShortArray second = ending == WarpGroupProduct.GELU_GRADIENT ? slopes : more[1];
        int tile = WarpGroupProduct.tile(rows, columns, form, parts, MULTIPROCESSORS);
        TaskGraph graph = new TaskGraph("product")
                .transferToDevice(
                        DataTransferMode.EVERY_EXECUTION,
                        factorA[0],
                        factorB[0],
                        second,
                        more[2],
                        bias,
                        c,
                        sum,
                        results[0],
                        results[1],
                        results[2])
                .task(
                        "multiply",
                        WarpGroupProduct::multiply,
                        new KernelContext(),
                        factorA[0],
                        factorB[0],
                        second,
                        more[2],
                        bias,
                        c,
                        results[0],
                        results[1],
                        results[2],
                        rows,
                        columns,
                        depth,
                        tile,
                        parts,
                        form,
                        ending,
                        type,
                        sequence,
                        HEAD_DIM);
        GridScheduler grids = new GridScheduler();
        grid(grids, "multiply", WarpGroupProduct.groups(rows, columns, tile, parts), WarpGroupProduct.group(tile));
        if (!narrow) {
            graph.task("sum", MatrixProduct::addParts, c, sum, parts);
            grid(grids, "sum", Math.ceilDiv(rows * columns, 256), 256);
        }
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, sum, results[0], results[1], results[2]);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(TestDevice.get().handle()).withGridScheduler(grids).execute();
        }
        double unit = type == Warp.F16 ? 0x1p-10 : 0x1p-7;
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                double expected = ending == MatrixProduct.ADD ? other[i][j] : 0;
                for (int k = 0; k < depth; k++) {
                    expected += (double) a[i][k] * b[k][j];
                }
                if (ending == MatrixProduct.BIAS || ending == MatrixProduct.BIAS_GELU) {
                    expected += bias.get(j);
                }
                if (ending == MatrixProduct.BIAS_GELU) {
                    expected = MatrixProductTest.gelu(expected);
                }
                if (ending == WarpGroupProduct.GELU_GRADIENT) {
                    expected *= (tanhGelu(other[i][j] + 1e-5) - tanhGelu(other[i][j] - 1e-5)) / 2e-5;
                }
                double found = narrow
                        ? element(type, results, i, j, columns, has(form, C_IN_HEADS), has(form, OF_THREE), sequence)
                        : sum.get(i * columns + j);
                double tolerance = narrow ? Math.max(1e-3, Math.abs(expected) * unit) : 1e-4;
                assertThat(found).as("row %d, column %d", i, j).isCloseTo(expected, within(tolerance));
                if (ending == WarpGroupProduct.GELU) {
                    double function = tanhGelu(expected);
                    assertThat((double) decoded(type, results[1].get(i * columns + j)))
                            .as("its function, row %d, column %d", i, j)
                            .isCloseTo(function, within(Math.max(1e-3, Math.abs(function) * unit)));
                }
            }
        }
    }

    private static double tanhGelu(double x) {
        return x / 2 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
    }

    private static boolean has(int form, int constant) {
        return (form & constant) != 0;
    }

    private static float[][] transposed(float[][] matrix) {
        float[][] other = new float[matrix[0].length][matrix.length];
        for (int i = 0; i < matrix.length; i++) {
            for (int j = 0; j < other.length; j++) {
                other[j][i] = matrix[i][j];
            }
        }
        return other;
    }

    /** A matrix as it lies: one array, or three. */
    private static ShortArray[] arrays(int type, float[][] matrix, boolean inHeads, boolean ofThree, int sequence) {
        boolean divided = inHeads && ofThree;
        int columns = matrix[0].length / (divided ? 3 : 1);
        ShortArray[] arrays = new ShortArray[3];
        for (int i = 0; i < 3; i++) {
            arrays[i] = new ShortArray(i == 0 || divided ? matrix.length * columns : 8);
        }
        for (int i = 0; i < matrix.length; i++) {
            for (int j = 0; j < matrix[0].length; j++) {
                int at = inHeads ? inHeads(i, j % columns, columns, sequence) : i * columns + j;
                float value = matrix[i][j];
                arrays[j / columns].set(
                        at,
                        type == Warp.F16
                                ? Float.floatToFloat16(value)
                                : (short) (Float.floatToRawIntBits(value) >>> 16));
            }
        }
        return arrays;
    }

    private static int inHeads(int row, int column, int columns, int sequence) {
        int head = row / sequence * (columns / HEAD_DIM) + column / HEAD_DIM;
        return (head * sequence + row % sequence) * HEAD_DIM + column % HEAD_DIM;
    }

    private static float element(
            int type,
            ShortArray[] results,
            int row,
            int column,
            int columns,
            boolean inHeads,
            boolean ofThree,
            int sequence) {
        int own = columns / (inHeads && ofThree ? 3 : 1);
        int at = inHeads ? inHeads(row, column % own, own, sequence) : row * own + column;
        return decoded(type, results[column / own].get(at));
    }

    private static float decoded(int type, short bits) {
        return type == Warp.F16 ? Float.float16ToFloat(bits) : Float.intBitsToFloat(bits << 16);
    }

    private static void grid(GridScheduler grids, String task, int groups, int group) {
        WorkerGrid1D grid = new WorkerGrid1D(groups * group);
        grid.setLocalWork(group, 1, 1);
        grids.addWorkerGrid("product." + task, grid);
    }

    private static float[][] random(long seed, int rows, int columns) {
        SplittableRandom random = new SplittableRandom(seed);
        float[][] matrix = new float[rows][columns];
        for (int i = 0; i < rows * columns; i++) {
            matrix[i / columns][i % columns] = Math.round(random.nextGaussian() * 32) / 32f; // F16 and BF16 hold it
        }
        return matrix;
    }
}
