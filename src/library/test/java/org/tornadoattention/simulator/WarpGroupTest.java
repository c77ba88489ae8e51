package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.Random;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.intrinsic.Bits;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.WorkerGrid;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/** Asynchronous products of warp groups against plain matrix products. */
@Isolated
class WarpGroupTest {

    private final Random random = new Random(2);

    /** C = A · Bᵀ, for 64 rows of A a warp group, both in local memory. */
    static void tiles(
            KernelContext context,
            ShortArray a,
            ShortArray b,
            FloatArray c,
            int rows,
            int columns,
            int rowBytes,
            int type) {
        int[] tile = context.allocateIntLocalArray((rowBytes + 127) / 128 * 32 * (rows + columns));
        int atB = (rowBytes + 127) / 128 * 128 * rows;
        load(tile, 0, a, rows, rowBytes / 2, context.localIdx, 2 * rows);
        load(tile, atB, b, columns, rowBytes / 2, context.localIdx, 2 * rows);
        WarpGroup.fenceLocalMemory();
        context.localBarrier();
        float[] sums = new float[columns / 2];
        for (int i = 0; i < columns / 2; i++) {
            sums[i] = 7f;
        }
        int ownRows = context.localIdx / WarpGroup.LANES * 64 * WarpGroup.ROW_BYTES;
        WarpGroup.fence();
        for (int k = 0; k < rowBytes / 32; k++) {
            int block = k / 4 * WarpGroup.ROW_BYTES;
            int at = k % 4 * 32;
            WarpGroup.multiply(type, sums, columns, tile, ownRows + block * rows + at, atB + block * columns + at, k);
        }
        WarpGroup.commit();
        WarpGroup.await(0, sums, columns / 2);
        store(c, sums, columns, context.localIdx);
    }

    /** C = 1 + A · B, for 64 rows of A in registers, and B in local memory. */
    static void registers(
            KernelContext context, ShortArray a, ShortArray b, FloatArray c, int columns, int depth, int type) {
        int[] tile = context.allocateIntLocalArray((columns + 63) / 64 * 32 * depth);
        load(tile, 0, b, depth, columns, context.localIdx, 128);
        WarpGroup.fenceLocalMemory();
        context.localBarrier();
        int row = context.localIdx / 32 * 16 + context.localIdx % 32 / 4;
        int[] operand = new int[depth / 4];
        for (int i = 0; i < depth / 4; i++) {
            int at = (row + i % 2 * 8) * depth + 16 * (i / 4) + 8 * (i % 4 / 2) + 2 * (context.localIdx % 4);
            operand[i] = a.get(at) & 0xffff | a.get(at + 1) << 16;
        }
        float[] sums = new float[columns / 2];
        for (int i = 0; i < columns / 2; i++) {
            sums[i] = 1f;
        }
        WarpGroup.fence();
        for (int k = 0; k < depth / 16; k++) {
            int at = k * 16 * WarpGroup.ROW_BYTES;
            WarpGroup.multiply(type, sums, columns, operand, 4 * k, tile, at, depth * WarpGroup.ROW_BYTES, 1);
        }
        WarpGroup.commit();
        WarpGroup.await(0, sums, columns / 2);
        store(c, sums, columns, context.localIdx);
    }

    /** C = 1 + A · Bᵀ, for 64 rows of A in registers, and B in local memory. */
    static void registersByRows(
            KernelContext context, ShortArray a, ShortArray b, FloatArray c, int columns, int rowBytes, int type) {
        int[] tile = context.allocateIntLocalArray((rowBytes + 127) / 128 * 32 * columns);
        load(tile, 0, b, columns, rowBytes / 2, context.localIdx, 128);
        WarpGroup.fenceLocalMemory();
        context.localBarrier();
        int row = context.localIdx / 32 * 16 + context.localIdx % 32 / 4;
        int[] operand = new int[rowBytes / 8];
        for (int i = 0; i < rowBytes / 8; i++) {
            int at = (row + i % 2 * 8) * (rowBytes / 2) + 16 * (i / 4) + 8 * (i % 4 / 2) + 2 * (context.localIdx % 4);
            operand[i] = a.get(at) & 0xffff | a.get(at + 1) << 16;
        }
        float[] sums = new float[columns / 2];
        for (int i = 0; i < columns / 2; i++) {
            sums[i] = 1f;
        }
        WarpGroup.fence();
        for (int k = 0; k < rowBytes / 32; k++) {
            int at = k / 4 * columns * WarpGroup.ROW_BYTES + k % 4 * 32;
            WarpGroup.multiplyTransposed(type, sums, columns, operand, 4 * k, tile, at, 1);
        }
        WarpGroup.commit();
        WarpGroup.await(0, sums, columns / 2);
        store(c, sums, columns, context.localIdx);
    }

    /** C = Aᵀ · B, with a row of A and of B in local memory for each step of the depth. */
    static void byRows(
            KernelContext context, ShortArray a, ShortArray b, FloatArray c, int columns, int depth, int type) {
        int[] tile = context.allocateIntLocalArray(2 * 32 * depth);
        int atB = 128 * depth;
        load(tile, 0, a, depth, 64, context.localIdx, 128);
        load(tile, atB, b, depth, columns, context.localIdx, 128);
        WarpGroup.fenceLocalMemory();
        context.localBarrier();
        float[] sums = new float[columns / 2];
        for (int i = 0; i < columns / 2; i++) {
            sums[i] = 7f;
        }
        WarpGroup.fence();
        for (int k = 0; k < depth / 16; k++) {
            int at = k * 16 * WarpGroup.ROW_BYTES;
            WarpGroup.multiplyByRows(type, sums, columns, tile, at, atB + at, k);
        }
        WarpGroup.commit();
        WarpGroup.await(0, sums, columns / 2);
        store(c, sums, columns, context.localIdx);
    }

    /**
     * C = A · B, for 64 rows of C and any columns, B with a row for each step of the depth in blocks of 64 columns, and
     * A as it is, or likewise if {@code turned} is 1.
     */
    static void blocks(
            KernelContext context,
            ShortArray a,
            ShortArray b,
            FloatArray c,
            int columns,
            int depth,
            int turned,
            int type) {
        int[] tile = context.allocateIntLocalArray((64 * depth + (columns + 63) / 64 * 64 * depth) / 2);
        int atB = 64 * 2 * depth;
        if (turned == 1) {
            load(tile, 0, a, depth, 64, context.localIdx, 128);
        } else {
            load(tile, 0, a, 64, depth, context.localIdx, 128);
        }
        load(tile, atB, b, depth, columns, context.localIdx, 128);
        WarpGroup.fenceLocalMemory();
        context.localBarrier();
        float[] sums = new float[columns / 2];
        for (int i = 0; i < columns / 2; i++) {
            sums[i] = 7f;
        }
        int stride = depth * WarpGroup.ROW_BYTES;
        WarpGroup.fence();
        for (int k = 0; k < depth / 16; k++) {
            int down = k * 16 * WarpGroup.ROW_BYTES;
            if (turned == 1) {
                WarpGroup.multiplyByRows(type, sums, columns, tile, down, atB + down, stride, k);
            } else {
                int along = k / 4 * 64 * WarpGroup.ROW_BYTES + k % 4 * 32;
                WarpGroup.multiply(type, sums, columns, tile, along, atB + down, stride, k);
            }
        }
        WarpGroup.commit();
        WarpGroup.await(0, sums, columns / 2);
        store(c, sums, columns, context.localIdx);
    }

    @ParameterizedTest
    @CsvSource({"128, 64, 0, 0", "256, 128, 1, 0", "24, 64, 1, 0", "192, 64, 1, 1", "72, 128, 0, 1", "64, 64, 1, 1"})
    void aProductWithBlocksOfColumns(int columns, int depth, int type, int turned) {
        float[] a = new float[64 * depth];
        float[] b = new float[depth * columns];
        ShortArray bitsOfA = bits(type, a);
        ShortArray bitsOfB = bits(type, b);
        FloatArray c = new FloatArray(64 * columns);
        Plans.run(
                new TaskGraph("blocks")
                        .transferToDevice(EVERY_EXECUTION, bitsOfA, bitsOfB)
                        .task(
                                "kernel",
                                WarpGroupTest::blocks,
                                new KernelContext(),
                                bitsOfA,
                                bitsOfB,
                                c,
                                columns,
                                depth,
                                turned,
                                type)
                        .transferToHost(EVERY_EXECUTION, c),
                Plans.grid(128, 128));
        for (int i = 0; i < 64; i++) {
            for (int j = 0; j < columns; j++) {
                double expected = 0;
                for (int k = 0; k < depth; k++) {
                    expected += (double) a[turned == 1 ? k * 64 + i : i * depth + k] * b[k * columns + j];
                }
                assertThat((double) c.get(i * columns + j)).isCloseTo(expected, Offset.offset(1e-4));
            }
        }
    }

    /** Rows in blocks of 64 columns, one behind the other. */
    private static void load(int[] tile, int at, ShortArray source, int rows, int columns, int item, int items) {
        int chunks = columns / 8;
        for (int i = item; i < rows * chunks; i += items) {
            int block = i % chunks / 8 * rows * WarpGroup.ROW_BYTES;
            Warp.copy(tile, at + block + WarpGroup.chunk(i / chunks, i % chunks % 8), source, 8 * i, 8);
        }
    }

    private static void store(FloatArray c, float[] sums, int columns, int item) {
        int row = item / 32 * 16 + item % 32 / 4;
        for (int i = 0; i < columns / 2; i++) {
            int at = (row + i % 4 / 2 * 8) * columns + i / 4 * 8 + item % 4 * 2 + i % 2;
            Warp.store(c, at, sums[i]);
        }
    }

    @ParameterizedTest
    @CsvSource({"8, 16, 0", "24, 48, 1", "64, 64, 0", "40, 128, 1"})
    void aProductByRows(int columns, int depth, int type) {
        float[] a = new float[depth * 64];
        float[] b = new float[depth * columns];
        ShortArray bitsOfA = bits(type, a);
        ShortArray bitsOfB = bits(type, b);
        FloatArray c = new FloatArray(64 * columns);
        Plans.run(
                new TaskGraph("rows")
                        .transferToDevice(EVERY_EXECUTION, bitsOfA, bitsOfB)
                        .task(
                                "kernel",
                                WarpGroupTest::byRows,
                                new KernelContext(),
                                bitsOfA,
                                bitsOfB,
                                c,
                                columns,
                                depth,
                                type)
                        .transferToHost(EVERY_EXECUTION, c),
                Plans.grid(128, 128));
        for (int i = 0; i < 64; i++) {
            for (int j = 0; j < columns; j++) {
                double expected = 0;
                for (int k = 0; k < depth; k++) {
                    expected += (double) a[k * 64 + i] * b[k * columns + j];
                }
                assertThat((double) c.get(i * columns + j)).isCloseTo(expected, Offset.offset(1e-4));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "64, 8, 16, 0",
        "64, 24, 48, 1",
        "64, 64, 64, 0",
        "64, 96, 80, 1",
        "64, 128, 128, 0",
        "64, 256, 16, 0",
        "128, 32, 96, 0",
        "192, 16, 64, 1",
        "64, 8, 32, 3",
        "128, 72, 160, 3",
        "64, 256, 256, 3"
    })
    void aProductOfTiles(int rows, int columns, int depth, int type) {
        float[] a = new float[rows * depth];
        float[] b = new float[columns * depth];
        ShortArray bitsOfA = bits(type, a);
        ShortArray bitsOfB = bits(type, b);
        FloatArray c = new FloatArray(rows * columns);
        KernelStatistics statistics = Plans.run(
                new TaskGraph("tiles")
                        .transferToDevice(EVERY_EXECUTION, bitsOfA, bitsOfB)
                        .task(
                                "kernel",
                                WarpGroupTest::tiles,
                                new KernelContext(),
                                bitsOfA,
                                bitsOfB,
                                c,
                                rows,
                                columns,
                                depth * elementBytes(type),
                                type)
                        .transferToHost(EVERY_EXECUTION, c),
                Plans.grid(2 * rows, 2 * rows));
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < columns; column++) {
                double sum = 0;
                for (int k = 0; k < depth; k++) {
                    sum += (double) a[row * depth + k] * b[column * depth + k];
                }
                assertThat(c.get(row * columns + column))
                        .as("row %d, column %d", row, column)
                        .isCloseTo((float) sum, Offset.offset(1e-4f));
            }
        }
        assertThat(statistics.mmaOperations())
                .isEqualTo((long) rows / 16 * columns / 8 * depth * elementBytes(type) / 32);
    }

    @ParameterizedTest
    @CsvSource({"8, 16, 0", "24, 48, 1", "64, 64, 0", "96, 80, 1", "128, 128, 0", "256, 64, 1"})
    void aProductOfRegistersAndATile(int columns, int depth, int type) {
        float[] a = new float[64 * depth];
        float[] b = new float[depth * columns];
        ShortArray bitsOfA = bits(type, a);
        ShortArray bitsOfB = bits(type, b);
        FloatArray c = new FloatArray(64 * columns);
        Plans.run(
                new TaskGraph("registers")
                        .transferToDevice(EVERY_EXECUTION, bitsOfA, bitsOfB)
                        .task(
                                "kernel",
                                WarpGroupTest::registers,
                                new KernelContext(),
                                bitsOfA,
                                bitsOfB,
                                c,
                                columns,
                                depth,
                                type)
                        .transferToHost(EVERY_EXECUTION, c),
                group());
        for (int row = 0; row < 64; row++) {
            for (int column = 0; column < columns; column++) {
                double sum = 1;
                for (int k = 0; k < depth; k++) {
                    sum += (double) a[row * depth + k] * b[k * columns + column];
                }
                assertThat(c.get(row * columns + column))
                        .as("row %d, column %d", row, column)
                        .isCloseTo((float) sum, Offset.offset(1e-4f));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"8, 32, 3", "24, 96, 3", "128, 128, 3", "256, 256, 3", "16, 48, 0", "72, 80, 1"})
    void aProductOfRegistersAndTheRowsOfATile(int columns, int depth, int type) {
        float[] a = new float[64 * depth];
        float[] b = new float[columns * depth];
        ShortArray bitsOfA = bits(type, a);
        ShortArray bitsOfB = bits(type, b);
        FloatArray c = new FloatArray(64 * columns);
        Plans.run(
                new TaskGraph("rows")
                        .transferToDevice(EVERY_EXECUTION, bitsOfA, bitsOfB)
                        .task(
                                "kernel",
                                WarpGroupTest::registersByRows,
                                new KernelContext(),
                                bitsOfA,
                                bitsOfB,
                                c,
                                columns,
                                depth * elementBytes(type),
                                type)
                        .transferToHost(EVERY_EXECUTION, c),
                group());
        for (int row = 0; row < 64; row++) {
            for (int column = 0; column < columns; column++) {
                double sum = 1;
                for (int k = 0; k < depth; k++) {
                    sum += (double) a[row * depth + k] * b[column * depth + k];
                }
                assertThat(c.get(row * columns + column))
                        .as("row %d, column %d", row, column)
                        .isCloseTo((float) sum, Offset.offset(1e-4f));
            }
        }
    }

    private static int elementBytes(int type) {
        return type == Warp.E4M3 ? 1 : 2;
    }

    /** Fills with numbers that the type can hold, the elements of a byte two to a short. */
    private ShortArray bits(int type, float[] values) {
        if (type == Warp.E4M3) {
            ShortArray pairs = new ShortArray(values.length / 2);
            for (int i = 0; i < values.length; i++) {
                int bits = Bits.encode(type, (float) random.nextGaussian());
                pairs.set(i / 2, (short) (pairs.get(i / 2) | bits << Byte.SIZE * (i % 2)));
                values[i] = Bits.decode(type, bits);
            }
            return pairs;
        }
        ShortArray bits = new ShortArray(values.length);
        for (int i = 0; i < values.length; i++) {
            bits.set(i, (short) Bits.encode(type, (float) random.nextGaussian()));
            values[i] = Bits.decode(type, Short.toUnsignedInt(bits.get(i)));
        }
        return bits;
    }

    private static WorkerGrid group() {
        return Plans.grid(WarpGroup.LANES, WarpGroup.LANES);
    }

    /** A is 1 everywhere, B 2: products are 32. Two groups under way, and what the accumulators hold at each step. */
    static void twoGroups(KernelContext context, FloatArray out) {
        int[] tile = context.allocateIntLocalArray(32 * 16);
        for (int i = context.localIdx; i < 32 * 16; i += 128) {
            tile[i] = Warp.pack(Warp.F16, 2f, 2f);
        }
        WarpGroup.fenceLocalMemory();
        context.localBarrier();
        int one = Warp.pack(Warp.F16, 1f, 1f);
        int[] a = {one, one, one, one};
        float[] first = {1f, 1f, 1f, 1f};
        float[] second = {3f, 3f, 3f, 3f};
        WarpGroup.fence();
        WarpGroup.multiply(Warp.F16, first, 8, a, 0, tile, 0, 0, 1);
        WarpGroup.commit();
        WarpGroup.multiply(Warp.F16, second, 8, a, 0, tile, 0, 0, 1);
        WarpGroup.multiply(Warp.F16, second, 8, a, 0, tile, 0, 0, 1);
        WarpGroup.commit();
        out.set(6 * context.localIdx, first[0]);
        out.set(6 * context.localIdx + 1, second[3]);
        WarpGroup.await(1, first, 4);
        out.set(6 * context.localIdx + 2, first[0]);
        out.set(6 * context.localIdx + 3, second[3]);
        WarpGroup.await(0, second, 4);
        out.set(6 * context.localIdx + 4, first[0]);
        out.set(6 * context.localIdx + 5, second[3]);
    }

    @Test
    void accumulatorsHoldNothingUntilTheirGroupIsAwaited() {
        FloatArray out = new FloatArray(6 * WarpGroup.LANES);
        Plans.run(
                new TaskGraph("two")
                        .task("kernel", WarpGroupTest::twoGroups, new KernelContext(), out)
                        .transferToHost(EVERY_EXECUTION, out),
                group());
        for (int lane = 0; lane < WarpGroup.LANES; lane++) {
            assertThat(out.get(6 * lane)).as("first, before").isNaN();
            assertThat(out.get(6 * lane + 1)).as("second, before").isNaN();
            assertThat(out.get(6 * lane + 2)).as("first, after the first wait").isEqualTo(33f);
            assertThat(out.get(6 * lane + 3)).as("second, after the first wait").isNaN();
            assertThat(out.get(6 * lane + 4)).as("first, at the end").isEqualTo(33f);
            assertThat(out.get(6 * lane + 5)).as("second, at the end").isEqualTo(67f);
        }
    }

    /** As long as a product is under way its operand in registers must stay; here it does not. */
    static void changesItsOperand(KernelContext context, FloatArray out) {
        int[] tile = context.allocateIntLocalArray(32 * 16);
        for (int i = context.localIdx; i < 32 * 16; i += 128) {
            tile[i] = Warp.pack(Warp.BF16, 2f, 2f);
        }
        WarpGroup.fenceLocalMemory();
        context.localBarrier();
        int one = Warp.pack(Warp.BF16, 1f, 1f);
        int[] a = {one, one, one, one};
        float[] sums = new float[4];
        WarpGroup.fence();
        WarpGroup.multiply(Warp.BF16, sums, 8, a, 0, tile, 0, 0, 0);
        WarpGroup.commit();
        a[0] = 0;
        a[2] = 0;
        WarpGroup.await(0, sums, 4);
        out.set(2 * context.localIdx, sums[0]);
        out.set(2 * context.localIdx + 1, sums[2]);
    }

    @Test
    void anOperandThatIsChangedTooEarlySpoilsTheProduct() {
        FloatArray out = new FloatArray(2 * WarpGroup.LANES);
        Plans.run(
                new TaskGraph("early")
                        .task("kernel", WarpGroupTest::changesItsOperand, new KernelContext(), out)
                        .transferToHost(EVERY_EXECUTION, out),
                group());
        assertThat(out.get(0)).isZero();
        assertThat(out.get(1)).isEqualTo(32f);
    }
}
