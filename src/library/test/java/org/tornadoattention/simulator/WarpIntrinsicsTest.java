package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.Random;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.intrinsic.Bits;
import org.tornadoattention.intrinsic.Reinterpret;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.FP8;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/** The operations of {@link Warp}: layouts as documented, against plain arithmetic. */
@Isolated
class WarpIntrinsicsTest {

    private static final int LANES = 32;

    private final Random random = new Random(1);

    /** Stores matrices and reads them again, by fours. */
    static void stored(KernelContext context, IntArray out, FloatArray floats) {
        int[] tile = context.allocateIntLocalArray(4 * LANES);
        int lane = context.localIdx;
        int[] held = new int[4];
        int[] loaded = new int[4];
        float[] four = new float[4];
        for (int m = 0; m < 4; m++) {
            held[m] = 100 * m + lane;
        }
        Warp.storeMatrices(tile, 16 * (LANES - 1 - lane), held, 0);
        context.localBarrier();
        Warp.loadMatrices(loaded, 0, tile, 16 * (LANES - 1 - lane));
        Warp.elements(four, 0, tile, 16 * lane);
        for (int m = 0; m < 4; m++) {
            out.set(4 * lane + m, loaded[m]);
        }
        Warp.storeFour(floats, 4 * lane, four, 0);
    }

    @Test
    void whatIsStoredAsMatricesIsLoadedAgain() {
        IntArray out = new IntArray(4 * LANES);
        FloatArray floats = new FloatArray(4 * LANES);
        Plans.run(
                new TaskGraph("stored")
                        .task("kernel", WarpIntrinsicsTest::stored, new KernelContext(), out, floats)
                        .transferToHost(EVERY_EXECUTION, out, floats),
                Plans.grid(LANES, LANES));
        for (int lane = 0; lane < LANES; lane++) {
            int giver = LANES - 1 - lane; // who gave the place of this row: matrix giver / 8, row giver % 8
            for (int i = 0; i < 4; i++) {
                assertThat(out.get(4 * lane + i)).isEqualTo(100 * i + lane);
                assertThat(Float.floatToRawIntBits(floats.get(4 * lane + i)))
                        .isEqualTo(100 * (giver / 8) + giver % 8 * 4 + i);
            }
        }
    }

    /**
     * A matrix of 16×16 elements that hold their own numbers, two to an int; a lane's registers of its four quarters.
     */
    static void quarters(KernelContext context, IntArray plain, IntArray transposed) {
        int[] tile = context.allocateIntLocalArray(128);
        int lane = context.localIdx;
        for (int i = lane; i < 128; i += 32) {
            tile[i] = 2 * i | 2 * i + 1 << 16;
        }
        context.localBarrier();
        int[] registers = new int[8];
        int row = lane % 16 * 32 + lane / 16 * 16;
        Warp.loadMatrices(registers, 0, tile, row);
        Warp.loadMatricesTransposed(registers, 4, tile, row);
        for (int m = 0; m < 4; m++) {
            plain.set(4 * lane + m, registers[m]);
            transposed.set(4 * lane + m, registers[4 + m]);
        }
    }

    @Test
    void matricesAreLoadedInTheLayoutOfOperands() {
        IntArray plain = new IntArray(4 * LANES);
        IntArray transposed = new IntArray(4 * LANES);
        KernelStatistics statistics = Plans.run(
                new TaskGraph("quarters")
                        .task("kernel", WarpIntrinsicsTest::quarters, new KernelContext(), plain, transposed)
                        .transferToHost(EVERY_EXECUTION, plain, transposed),
                Plans.grid(LANES, LANES));
        for (int lane = 0; lane < LANES; lane++) {
            int g = lane / 4;
            int t = lane % 4;
            for (int m = 0; m < 4; m++) {
                int corner = 16 * 8 * (m % 2) + 8 * (m / 2);
                int along = corner + 16 * g + 2 * t;
                int down = corner + 16 * 2 * t + g;
                assertThat(plain.get(4 * lane + m)).isEqualTo(along | along + 1 << 16);
                assertThat(transposed.get(4 * lane + m)).isEqualTo(down | down + 16 << 16);
            }
        }
        assertThat(statistics.array("tile").bytesRead()).isEqualTo(2 * 16 * 16 * 2);
    }

    /** A has 16 rows of 8 ints and B 8 columns of 8 ints, each int two elements or one of TF32. C += A · B, twice. */
    static void multiplyTwice(KernelContext context, IntArray a, IntArray b, FloatArray c, int type) {
        int g = context.localIdx / 4;
        int t = context.localIdx % 4;
        int[] operandA = new int[4];
        int[] operandB = new int[2];
        float[] sums = new float[4];
        for (int i = 0; i < 2; i++) {
            operandA[2 * i] = a.get(8 * g + t + 4 * i);
            operandA[2 * i + 1] = a.get(8 * (g + 8) + t + 4 * i);
            operandB[i] = b.get(8 * g + t + 4 * i);
        }
        for (int i = 0; i < 4; i++) {
            sums[i] = 0.5f;
        }
        Warp.multiply(type, sums, 0, operandA, 0, operandB, 0);
        Warp.multiply(type, sums, 0, operandA, 0, operandB, 0);
        for (int i = 0; i < 4; i++) {
            c.set(8 * (g + i / 2 * 8) + 2 * t + i % 2, sums[i]);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {Warp.F16, Warp.BF16, Warp.TF32})
    void aProductIsThatOfPlainMatrices(int type) {
        int depth = type == Warp.TF32 ? 8 : 16;
        float[] a = new float[16 * depth];
        float[] b = new float[8 * depth];
        IntArray packedA = operand(type, a);
        IntArray packedB = operand(type, b);
        FloatArray c = new FloatArray(16 * 8);
        KernelStatistics statistics = Plans.run(
                new TaskGraph("product")
                        .transferToDevice(EVERY_EXECUTION, packedA, packedB)
                        .task(
                                "kernel",
                                WarpIntrinsicsTest::multiplyTwice,
                                new KernelContext(),
                                packedA,
                                packedB,
                                c,
                                type)
                        .transferToHost(EVERY_EXECUTION, c),
                Plans.grid(LANES, LANES));
        for (int row = 0; row < 16; row++) {
            for (int column = 0; column < 8; column++) {
                double sum = 0.5;
                for (int k = 0; k < depth; k++) {
                    sum += 2.0 * a[row * depth + k] * b[column * depth + k];
                }
                assertThat(c.get(8 * row + column)).isCloseTo((float) sum, Offset.offset(1e-5f));
            }
        }
        assertThat(statistics.mmaOperations()).isEqualTo(2);
    }

    /** Fills with numbers that the type can hold, and packs them. */
    private IntArray operand(int type, float[] values) {
        int perInt = type == Warp.TF32 ? 1 : 2;
        IntArray packed = new IntArray(values.length / perInt);
        for (int i = 0; i < packed.getSize(); i++) {
            if (type == Warp.TF32) {
                values[i] = Warp.roundToTF32((float) random.nextGaussian());
                packed.set(i, Reinterpret.asInt(values[i]));
            } else {
                packed.set(i, Warp.pack(type, (float) random.nextGaussian(), (float) random.nextGaussian()));
                values[2 * i] = Bits.decode(type, packed.get(i) & 0xffff);
                values[2 * i + 1] = Bits.decode(type, packed.get(i) >>> 16);
            }
        }
        return packed;
    }

    static void exchange(KernelContext context, FloatArray out, int mask) {
        Warp.requireGroupSize(64);
        out.set(context.globalIdx, Warp.shuffleXor(context.globalIdx, mask));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 5, 16, 31})
    void lanesExchangeWithinTheirWarp(int mask) {
        FloatArray out = new FloatArray(64);
        Plans.run(
                new TaskGraph("exchange")
                        .task("kernel", WarpIntrinsicsTest::exchange, new KernelContext(), out, mask)
                        .transferToHost(EVERY_EXECUTION, out),
                Plans.grid(64, 64));
        for (int i = 0; i < 64; i++) {
            assertThat(out.get(i)).isEqualTo(i ^ mask);
        }
    }

    static void number(KernelContext context, FloatArray out) {
        Warp.requireGroupSize(64);
        out.set(context.globalIdx, Warp.uniform(context.globalIdx / 32 * 5 + 7));
    }

    @Test
    void aNumberOfAWarpIsWhatItIs() {
        FloatArray out = new FloatArray(128);
        Plans.run(
                new TaskGraph("uniform")
                        .task("kernel", WarpIntrinsicsTest::number, new KernelContext(), out)
                        .transferToHost(EVERY_EXECUTION, out),
                Plans.grid(128, 64));
        for (int i = 0; i < 128; i++) {
            assertThat(out.get(i)).isEqualTo(i / 32 * 5 + 7);
        }
    }

    static void any(KernelContext context, FloatArray out) {
        Warp.requireGroupSize(64);
        out.set(context.globalIdx, Warp.any(context.globalIdx % 64 == 45 ? 4 : 0));
    }

    @Test
    void allLanesHearWhatOneSays() {
        FloatArray out = new FloatArray(128);
        Plans.run(
                new TaskGraph("any")
                        .task("kernel", WarpIntrinsicsTest::any, new KernelContext(), out)
                        .transferToHost(EVERY_EXECUTION, out),
                Plans.grid(128, 64));
        for (int i = 0; i < 128; i++) {
            assertThat(out.get(i)).isEqualTo(i / 32 % 2);
        }
    }

    @ParameterizedTest
    @CsvSource({
        "0x1.001fp0, 0x1.0p0, below half",
        "0x1.002p0, 0x1.0p0, a tie goes to the even neighbour",
        "0x1.006p0, 0x1.008p0, a tie goes to the even neighbour",
        "-0x1.0021p0, -0x1.004p0, above half",
        "65519, 65504, the largest",
        "65520, Infinity, too large",
        "0x1.0p-24, 0x1.0p-24, the smallest",
        "0x1.0p-25, 0, a tie with 0",
        "-Infinity, -Infinity, as it is",
        "NaN, NaN, as it is"
    })
    void packRoundsToNearestEvenF16(float value, float rounded, String why) {
        assertPacks(Warp.F16, value, rounded, why);
    }

    @ParameterizedTest
    @CsvSource({
        "0x1.01p0, 0x1.0p0, a tie goes to the even neighbour",
        "0x1.03p0, 0x1.04p0, a tie goes to the even neighbour",
        "-0x1.0101p0, -0x1.02p0, above half",
        "0x1.fep127, 0x1.fep127, the largest",
        "0x1.ffp127, Infinity, too large",
        "-Infinity, -Infinity, as it is",
        "NaN, NaN, as it is"
    })
    void packRoundsToNearestEvenBF16(float value, float rounded, String why) {
        assertPacks(Warp.BF16, value, rounded, why);
    }

    private static void assertPacks(int type, float value, float rounded, String why) {
        int packed = Warp.pack(type, value, 1f);
        assertThat(Bits.decode(type, packed & 0xffff)).as(why).isEqualTo(Float.valueOf(rounded));
        assertThat(Bits.decode(type, packed >>> 16)).isEqualTo(1f);
        assertThat(Bits.decode(type, Warp.pack(type, 1f, value) >>> 16)).as(why).isEqualTo(Float.valueOf(rounded));
    }

    @Test
    void unpackGivesBackWhatWasPacked() {
        for (int type : new int[] {Warp.F16, Warp.BF16}) {
            int packed = Warp.pack(type, 1.5f, -3f);
            assertThat(Warp.unpack(type, packed, 0)).isEqualTo(1.5f);
            assertThat(Warp.unpack(type, packed, 1)).isEqualTo(-3f);
        }
    }

    /** All numbers of E4M3, what lies between them, and what lies beyond. */
    @Test
    void packE4M3RoundsToNearestEven() {
        for (int bits = 0; bits < 0x7f; bits++) {
            float value = FP8.e4m3ToFloat((byte) bits);
            assertThat(Bits.decode(Warp.E4M3, bits)).isEqualTo(value);
            assertPacksE4M3(value, bits);
            if (bits < 0x7e) {
                float next = FP8.e4m3ToFloat((byte) (bits + 1));
                float middle = (value + next) / 2;
                assertPacksE4M3(Math.nextDown(middle), bits);
                assertPacksE4M3(middle, bits % 2 == 0 ? bits : bits + 1);
                assertPacksE4M3(Math.nextUp(middle), bits + 1);
            }
        }
        for (float large : new float[] {449f, 464f, 500f, 1e30f, Float.POSITIVE_INFINITY}) {
            assertPacksE4M3(large, 0x7e);
        }
        assertThat(Warp.packE4M3(Float.NaN, 1f, 2f, 0f) & 0x7f).isEqualTo(0x7f);
        assertThat(Bits.decode(Warp.E4M3, 0x7f)).isNaN();
        assertThat(Bits.decode(Warp.E4M3, 0xff)).isNaN();
    }

    private static void assertPacksE4M3(float value, int bits) {
        assertThat(Warp.packE4M3(value, -value, 1f, value))
                .isEqualTo(bits | (bits | 0x80) << 8 | 0x38 << 16 | bits << 24);
    }

    @ParameterizedTest
    @CsvSource({
        "0x1.002p0, 0x1.004p0, a tie goes away from zero",
        "-0x1.002p0, -0x1.004p0, a tie goes away from zero",
        "0x1.001fp0, 0x1.0p0, below half",
        "0x1.ffep0, 0x1.0p1, into the next power",
        "3e38, 0x1.c38p127, an exponent that F16 does not have",
        "Infinity, Infinity, as it is",
        "NaN, NaN, as it is"
    })
    void tf32HasTenBitsOfMantissa(float value, float rounded, String why) {
        assertThat(Warp.roundToTF32(value)).as(why).isEqualTo(Float.valueOf(rounded));
    }

    @Test
    void exp2IsExactOnWholeNumbersAndFlushesWhatIsTooSmall() {
        assertThat(Warp.exp2(0f)).isEqualTo(1f);
        assertThat(Warp.exp2(-126f)).isEqualTo(Float.MIN_NORMAL);
        assertThat(Warp.exp2(-127f)).isZero();
        assertThat(Warp.exp2(Float.NEGATIVE_INFINITY)).isZero();
        assertThat(Warp.exp2(128f)).isInfinite();
        assertThat(Warp.exp2(Float.NaN)).isNaN();
        assertThat(Warp.exp2(0.5f)).isCloseTo((float) Math.sqrt(2), Offset.offset(Math.ulp(1f)));
    }

    @Test
    void tanhAndQuotientsAreThoseOfTheJvm() {
        assertThat(Warp.tanh(0.3f)).isCloseTo((float) Math.tanh(0.3f), Offset.offset(Math.ulp(0.3f)));
        assertThat(Warp.tanh(Float.NEGATIVE_INFINITY)).isEqualTo(-1f);
        assertThat(Warp.tanh(Float.NaN)).isNaN();
        assertThat(Warp.divide(1f, 3f)).isEqualTo(1f / 3f);
        assertThat(Warp.divide(Float.NEGATIVE_INFINITY, 20f)).isEqualTo(Float.NEGATIVE_INFINITY);
    }

    /**
     * Lane i copies i % 9 elements of eight, for each type of array; {@code first} to see what is there before the
     * wait.
     */
    static void copies(
            KernelContext context,
            ShortArray shorts,
            HalfFloatArray halves,
            FloatArray floats,
            IntArray ints,
            IntArray first,
            IntArray out,
            int pending) {
        int[] tile = context.allocateIntLocalArray(4 * 32 * 4);
        int lane = context.localIdx;
        for (int i = 0; i < 16; i++) {
            tile[i * 32 + lane] = -1;
        }
        context.localBarrier();
        Warp.copyAsync(tile, 16 * lane, shorts, 8 * lane, 2 * (lane % 9));
        Warp.copyAsync(tile, 16 * (32 + lane), halves, 8 * lane, 2 * (lane % 9));
        context.asyncCopyCommit();
        Warp.copyAsync(tile, 16 * (64 + lane), floats, 4 * lane, 4 * (lane % 5));
        Warp.copyAsync(tile, 16 * (96 + lane), ints, 4 * lane, 4 * (lane % 5));
        context.asyncCopyCommit();
        for (int i = 0; i < 16; i++) {
            first.set(i * 32 + lane, tile[(i / 4 * 32 + lane) * 4 + i % 4]);
        }
        Warp.awaitCopies(pending);
        first.set(16 * 32 + lane, tile[(32 + lane) * 4]);
        first.set(17 * 32 + lane, tile[(64 + lane) * 4]);
        context.asyncCopyWaitGroup(0);
        context.localBarrier();
        for (int i = 0; i < 16; i++) {
            out.set(i * 32 + lane, tile[i * 32 + lane]);
        }
    }

    @Test
    void copiesArriveWhenTheyAreAwaitedWithZerosForTheRest() {
        ShortArray shorts = new ShortArray(8 * LANES);
        HalfFloatArray halves = new HalfFloatArray(8 * LANES);
        FloatArray floats = new FloatArray(4 * LANES);
        IntArray ints = new IntArray(4 * LANES);
        for (int i = 0; i < 8 * LANES; i++) {
            shorts.set(i, (short) (i + 1));
            halves.set(i, new HalfFloat((short) (i + 1001)));
            floats.set(i / 2, i / 2 + 1);
            ints.set(i / 2, -1000 - i / 2);
        }
        IntArray first = new IntArray(18 * LANES);
        IntArray out = new IntArray(16 * LANES);
        Plans.run(
                new TaskGraph("copies")
                        .transferToDevice(EVERY_EXECUTION, shorts, halves, floats, ints)
                        .task(
                                "kernel",
                                WarpIntrinsicsTest::copies,
                                new KernelContext(),
                                shorts,
                                halves,
                                floats,
                                ints,
                                first,
                                out,
                                1)
                        .transferToHost(EVERY_EXECUTION, first, out),
                Plans.grid(LANES, LANES));
        for (int i = 0; i < 16 * LANES; i++) {
            assertThat(first.get(i)).as("before any wait").isEqualTo(-1);
        }
        for (int lane = 0; lane < LANES; lane++) {
            assertThat(first.get(16 * LANES + lane)).as("the first group").isNotEqualTo(-1);
            assertThat(first.get(17 * LANES + lane)).as("the second group").isEqualTo(-1);
            for (int e = 0; e < 8; e++) {
                boolean copied = e < lane % 9;
                assertThat(half(out, 8 * lane + e)).isEqualTo(copied ? 8 * lane + e + 1 : 0);
                assertThat(half(out, 8 * (LANES + lane) + e)).isEqualTo(copied ? 8 * lane + e + 1001 : 0);
            }
            for (int e = 0; e < 4; e++) {
                float expected = e < lane % 5 ? 4 * lane + e + 1 : 0;
                assertThat(Float.intBitsToFloat(out.get(4 * (2 * LANES + lane) + e)))
                        .isEqualTo(expected);
                assertThat(out.get(4 * (3 * LANES + lane) + e)).isEqualTo(e < lane % 5 ? -1000 - 4 * lane - e : 0);
            }
        }
    }

    private static int half(IntArray packed, int index) {
        return packed.get(index / 2) >>> 16 * (index % 2) & 0xffff;
    }

    /** Lane i copies i % 9 elements from wherever that is in the row, and so often at the very end of the array. */
    static void copiesFromAnywhere(KernelContext context, ShortArray shorts, HalfFloatArray halves, IntArray out) {
        int[] tile = context.allocateIntLocalArray(2 * 32 * 4);
        int lane = context.localIdx;
        int elements = lane % 9;
        Warp.copy(tile, 16 * lane, shorts, 263 - 7 * lane - elements, elements);
        Warp.copy(tile, 16 * (32 + lane), halves, 263 - 7 * lane - elements, elements);
        context.localBarrier();
        for (int i = 0; i < 8; i++) {
            out.set(i * 32 + lane, tile[i * 32 + lane]);
        }
    }

    @Test
    void aCopyAtOnceMayStartAnywhere() {
        ShortArray shorts = new ShortArray(263);
        HalfFloatArray halves = new HalfFloatArray(263);
        for (int i = 0; i < 263; i++) {
            shorts.set(i, (short) (i - 200));
            halves.set(i, new HalfFloat((short) (i + 60_000)));
        }
        IntArray out = new IntArray(8 * LANES);
        Plans.run(
                new TaskGraph("odd")
                        .transferToDevice(EVERY_EXECUTION, shorts, halves)
                        .task(
                                "kernel",
                                WarpIntrinsicsTest::copiesFromAnywhere,
                                new KernelContext(),
                                shorts,
                                halves,
                                out)
                        .transferToHost(EVERY_EXECUTION, out),
                Plans.grid(LANES, LANES));
        for (int lane = 0; lane < LANES; lane++) {
            int from = 263 - 7 * lane - lane % 9;
            for (int e = 0; e < 8; e++) {
                boolean copied = e < lane % 9;
                assertThat(half(out, 8 * lane + e)).isEqualTo(copied ? from + e - 200 & 0xffff : 0);
                assertThat(half(out, 8 * (LANES + lane) + e)).isEqualTo(copied ? from + e + 60_000 : 0);
            }
        }
    }

    /** A method that gets a local array, which only intrinsics may index there. */
    private static void reverse(int[] tile, int lane) {
        Warp.storeInt(tile, 4 * (31 - lane), 1000 + lane);
    }

    /** Ints through local memory, and elements of each kind of array from a lane's own place on. */
    static void reads(
            KernelContext context, ShortArray bits, FloatArray floats, IntArray ints, IntArray out, FloatArray read) {
        int[] tile = context.allocateIntLocalArray(32);
        int lane = context.localIdx;
        reverse(tile, lane);
        context.localBarrier();
        out.set(lane, Warp.loadInt(tile, 4 * lane));
        out.set(32 + lane, Warp.load(ints, 2 * lane));
        int[] eight = new int[4];
        Warp.loadEight(eight, 0, bits, 8 * (lane % 4), 8, 16);
        out.set(64 + lane, Warp.shuffleXor(eight[lane / 8], 3));
        read.set(lane, Warp.load(floats, 31 - lane));
        read.set(32 + lane, Warp.load(Warp.F16, bits, lane + 1));
        read.set(64 + lane, Warp.load(Warp.BF16, bits, lane + 1));
    }

    @Test
    void elementsAndPairsAreReadFromWhereTheyLie() {
        ShortArray bits = new ShortArray(68);
        IntArray ints = new IntArray(64);
        FloatArray floats = new FloatArray(LANES);
        for (int i = 0; i < 68; i++) {
            bits.set(i, (short) (i % 2 == 0 ? 15_000 + i : -15_000 - i));
        }
        for (int i = 0; i < 64; i++) {
            ints.set(i, 7 * i - 100);
        }
        for (int i = 0; i < LANES; i++) {
            floats.set(i, 0.5f * i);
        }
        IntArray out = new IntArray(3 * LANES);
        FloatArray read = new FloatArray(3 * LANES);
        KernelStatistics statistics = Plans.run(
                new TaskGraph("reads")
                        .transferToDevice(EVERY_EXECUTION, bits, floats, ints)
                        .task("kernel", WarpIntrinsicsTest::reads, new KernelContext(), bits, floats, ints, out, read)
                        .transferToHost(EVERY_EXECUTION, out, read),
                Plans.grid(LANES, LANES));
        for (int lane = 0; lane < LANES; lane++) {
            int first = 8 * (3 - lane % 4) + 8 + lane / 8 * 2;
            int pair = bits.get(first) & 0xffff | bits.get(first + 1) << 16;
            assertThat(out.get(lane)).isEqualTo(1000 + 31 - lane);
            assertThat(out.get(LANES + lane)).isEqualTo(14 * lane - 100);
            assertThat(out.get(2 * LANES + lane)).isEqualTo(pair);
            assertThat(read.get(lane)).isEqualTo(0.5f * (31 - lane));
            assertThat(read.get(LANES + lane)).isEqualTo(Float.float16ToFloat(bits.get(lane + 1)));
            assertThat(read.get(2 * LANES + lane)).isEqualTo(Float.intBitsToFloat(bits.get(lane + 1) << 16));
        }
        assertThat(statistics.array("bits").elementsRead()).isEqualTo(10 * LANES);
        assertThat(statistics.array("ints").elementsRead()).isEqualTo(LANES);
        assertThat(statistics.array("floats").elementsRead()).isEqualTo(LANES);
    }

    /** A pair from each lane, then single elements, three apart. */
    static void stores(KernelContext context, HalfFloatArray halves, ShortArray shorts, FloatArray floats) {
        int lane = context.localIdx;
        int packed = Warp.pack(Warp.F16, lane, -lane);
        Warp.store(halves, 2 * lane, packed, 2);
        Warp.store(shorts, 2 * lane, packed, 2);
        Warp.store(halves, 64 + 3 * lane, packed, 1);
        Warp.store(shorts, 64 + 3 * lane, packed, 1);
        Warp.store(floats, 31 - lane, lane);
        int[] eight = new int[4];
        for (int i = 0; i < 4; i++) {
            eight[i] = Warp.pack(Warp.F16, 8 * lane + 2 * i, 8 * lane + 2 * i + 1);
        }
        Warp.storeEight(halves, 160 + 8 * lane, eight, 0);
        Warp.storeEight(shorts, 160 + 8 * lane, eight, 0);
    }

    @Test
    void storesWritePairsAndSingleElements() {
        HalfFloatArray halves = new HalfFloatArray(160 + 8 * LANES);
        ShortArray shorts = new ShortArray(160 + 8 * LANES);
        FloatArray floats = new FloatArray(LANES);
        halves.init(new HalfFloat(99f));
        shorts.init((short) 99);
        KernelStatistics statistics = Plans.run(
                new TaskGraph("stores")
                        .transferToDevice(EVERY_EXECUTION, halves, shorts)
                        .task("kernel", WarpIntrinsicsTest::stores, new KernelContext(), halves, shorts, floats)
                        .transferToHost(EVERY_EXECUTION, halves, shorts, floats),
                Plans.grid(LANES, LANES));
        for (int lane = 0; lane < LANES; lane++) {
            assertThat(halves.get(2 * lane).getFloat32()).isEqualTo(lane);
            assertThat(halves.get(2 * lane + 1).getFloat32()).isEqualTo(-lane);
            assertThat(halves.get(64 + 3 * lane).getFloat32()).isEqualTo(lane);
            assertThat(halves.get(65 + 3 * lane).getFloat32()).as("between").isEqualTo(99f);
            assertThat(Float.float16ToFloat(shorts.get(2 * lane + 1))).isEqualTo(-lane);
            assertThat(Float.float16ToFloat(shorts.get(64 + 3 * lane))).isEqualTo(lane);
            assertThat(shorts.get(66 + 3 * lane)).as("between").isEqualTo((short) 99);
            assertThat(floats.get(31 - lane)).isEqualTo(lane);
            for (int i = 8 * lane; i < 8 * lane + 8; i++) {
                assertThat(halves.get(160 + i).getFloat32()).isEqualTo(i);
                assertThat(Float.float16ToFloat(shorts.get(160 + i))).isEqualTo(i);
            }
        }
        assertThat(statistics.array("halves").elementsWritten()).isEqualTo(11 * LANES);
    }

    @Test
    void outsideOfKernelsAnOperationOfLanesIsRefused() {
        String message = "Warp intrinsics mean something only inside a kernel";
        assertThatIllegalStateException()
                .isThrownBy(() -> Warp.shuffleXor(1f, 1))
                .withMessageContainingAll(message, "./attention devices", "simulator");
        assertThatIllegalStateException()
                .isThrownBy(() -> Warp.loadMatrices(new int[4], 0, new int[128], 0))
                .withMessageContaining(message);
        assertThatIllegalStateException()
                .isThrownBy(() -> Warp.store(new FloatArray(1), 0, 1f))
                .withMessageContaining(message);
        assertThatIllegalStateException()
                .isThrownBy(() -> WarpGroup.await(0, new float[4], 4))
                .withMessageContaining(message);
        assertThatIllegalStateException().isThrownBy(WarpGroup::fence).withMessageContaining(message);
    }
}
