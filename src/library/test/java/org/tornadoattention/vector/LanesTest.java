package org.tornadoattention.vector;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.kernel.parts.Storage;
import org.tornadoattention.tensor.DType;

/** Vectors and plain loops against float64, at sizes that do not divide. */
@Tag("second-tier")
class LanesTest {

    static Stream<Lanes> lanes() {
        return Stream.of(new VectorLanes(), new ScalarLanes());
    }

    @Test
    void theTestsRunWithTheModule() {
        assertThat(LaneChoice.best()).isInstanceOf(VectorLanes.class);
    }

    /** Every 65,537th float from −127 to 127 through both, by way of a softmax whose maximum is 0. */
    @ParameterizedTest
    @MethodSource("lanes")
    void powersOfTwoAreTwoUnitsOffAtMost(Lanes lanes) {
        int width = lanes.length();
        float[] given = new float[2 * width];
        float[] max = new float[width];
        float[] sum = new float[width];
        float[] factors = new float[width];
        int tried = 0;
        for (long bits = 0; bits < Integer.MAX_VALUE; bits += 1021) {
            float x = -Float.intBitsToFloat((int) bits);
            if (!(x >= -126)) {
                break;
            }
            given[tried++ % width] = x;
            if (tried % width == 0) {
                float[] p = given.clone();
                Arrays.fill(max, 0);
                lanes.softmax(p, 1, width, max, sum, factors, 0);
                for (int lane = 0; lane < width; lane++) {
                    double exact = Math.pow(2, given[lane]);
                    assertThat(Math.abs(p[lane] - exact))
                            .as("2^%s", given[lane])
                            .isLessThanOrEqualTo(2 * Math.ulp((float) exact));
                    assertThat(Exp2.of(given[lane]))
                            .as("2^%s, scalar", given[lane])
                            .isEqualTo(p[lane]);
                }
            }
        }
        assertThat(tried).isGreaterThan(1_000_000);
    }

    @ParameterizedTest
    @MethodSource("lanes")
    void infinityIsHiddenAndNaNIsNot(Lanes lanes) {
        int width = lanes.length();
        float[] s = new float[2 * width];
        Arrays.fill(s, 1);
        s[0] = Float.NEGATIVE_INFINITY;
        s[width] = Float.NEGATIVE_INFINITY;
        s[1] = Float.NaN;
        float[] max = new float[width];
        Arrays.fill(max, Float.NEGATIVE_INFINITY);
        float[] sum = new float[width];
        lanes.softmax(s, 2, width, max, sum, new float[width], 0);
        assertThat(sum[0]).isZero();
        assertThat(s[0]).isZero();
        assertThat(sum[1]).isNaN();
        assertThat(sum[2]).isEqualTo(2);
        assertThat(max[2]).isEqualTo(1);
    }

    @ParameterizedTest
    @MethodSource("lanes")
    void productsAreThoseOfFloat64(Lanes lanes) {
        Random random = new Random(1);
        for (int vectors = 1; vectors <= 7; vectors++) {
            for (int rows : new int[] {4, 8, 28}) {
                for (int depth : new int[] {0, 1, 7, 64}) {
                    for (boolean adding : new boolean[] {false, true}) {
                        for (boolean across : new boolean[] {false, true}) {
                            check(lanes, random, rows, vectors * lanes.length(), depth, adding, across);
                        }
                    }
                }
            }
        }
    }

    private static void check(
            Lanes lanes, Random random, int rows, int columns, int depth, boolean adding, boolean across) {
        int aRow = across ? 1 : depth + 3;
        int aStep = across ? rows + 2 : 1;
        int bRow = columns + 5;
        float[] a = random(random, 2 + (rows + 2) * (depth + 3));
        float[] b = random(random, 1 + (depth + 1) * bRow);
        float[] c = random(random, 3 + rows * (columns + 1));
        float[] factors = adding ? random(random, rows + 1) : null;
        float[] before = c.clone();
        lanes.product(a, 2, aRow, aStep, b, 1, bRow, c, 3, columns + 1, rows, columns, depth, factors, 1);
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column <= columns; column++) {
                int at = 3 + row * (columns + 1) + column;
                if (column == columns) {
                    assertThat(c[at]).as("behind row %d", row).isEqualTo(before[at]);
                    continue;
                }
                double sum = adding ? (double) before[at] * factors[1 + row] : 0;
                for (int k = 0; k < depth; k++) {
                    sum += (double) a[2 + row * aRow + k * aStep] * b[1 + k * bRow + column];
                }
                assertThat((double) c[at])
                        .as("row %d of %d, column %d of %d, depth %d", row, rows, column, columns, depth)
                        .isCloseTo(sum, Offset.offset(1e-5));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("lanes")
    void rowsBecomeLanes(Lanes lanes) {
        int width = 2 * lanes.length();
        int dims = 5;
        for (int count : new int[] {1, lanes.length(), lanes.length() + 3, width}) {
            float[] rows = random(new Random(3), count * (dims + 2));
            float[] target = new float[2 + dims * width];
            Arrays.fill(target, 9);
            lanes.turn(rows, dims + 2, count, target, 2, width, dims, 0.3f);
            for (int dim = 0; dim < dims; dim++) {
                for (int row = 0; row < width; row++) {
                    assertThat(target[2 + dim * width + row])
                            .as("dimension %d of row %d of %d", dim, row, count)
                            .isEqualTo(row < count ? rows[row * (dims + 2) + dim] * 0.3f : 9);
                }
            }
        }
    }

    private static float[] random(Random random, int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = random.nextFloat() - 0.5f;
        }
        return values;
    }

    @ParameterizedTest
    @MethodSource("lanes")
    void softcapIsExactForSmallAndLargeScores(Lanes lanes) {
        int width = lanes.length();
        for (float size = 1e-20f; size < 100; size *= 1.01f) {
            float[] s = new float[width];
            s[0] = size;
            s[1] = -size;
            lanes.softcap(s, width, 3);
            double exact = 3 * Math.tanh(size);
            assertThat(Math.abs(s[0] - exact)).as("tanh %s", size).isLessThan(1e-6 * exact);
            assertThat(s[1]).isEqualTo(-s[0]);
        }
    }

    @ParameterizedTest
    @MethodSource("lanes")
    void bitsOfSixteenAreWidenedExactly(Lanes lanes) {
        for (DType dtype : new DType[] {DType.F16, DType.BF16}) {
            short[] bits = new short[1 << 16];
            for (int i = 0; i < bits.length; i++) {
                bits[i] = (short) i;
            }
            float[] values = new float[bits.length + 1];
            lanes.widen(dtype, bits, 0, bits.length - 3, values, 1);
            for (int i = 0; i < bits.length - 3; i++) {
                assertThat(Float.compare(values[i + 1], dtype.decode(bits[i]))).isZero();
            }
            assertThat(values[bits.length - 2]).isZero();
        }
    }

    /** Halves between two bits of BF16, to both sides of them, infinities and NaN. */
    @ParameterizedTest
    @MethodSource("lanes")
    void bf16IsRoundedAsTheTypeSays(Lanes lanes) {
        for (int low : new int[] {0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF}) {
            float[] values = new float[(1 << 16) + 1];
            for (int i = 0; i < 1 << 16; i++) {
                values[i + 1] = Float.intBitsToFloat(i << 16 | low);
            }
            short[] bits = new short[1 << 16];
            lanes.narrowToBf16(values, 1, bits.length - 3, bits);
            for (int i = 0; i < bits.length; i++) {
                int right = i < bits.length - 3 ? DType.BF16.encode(values[i + 1]) : 0;
                if ((bits[i] & 0xFFFF) != right) {
                    throw new AssertionError("%x %x: %x, not %x".formatted(i, low, bits[i], right));
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("lanes")
    void bitsOfEightAreWidenedExactly(Lanes lanes) {
        byte[] bits = new byte[256];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = (byte) i;
        }
        for (float factor : new float[] {1, 0x1p-100f, 0x1p110f}) {
            float[] values = new float[bits.length + 2];
            lanes.widenE4M3(MemorySegment.ofArray(bits), 1, 255, factor, values, 2);
            for (int i = 1; i < bits.length; i++) {
                assertThat(Float.compare(values[i + 1], Storage.decodeE4M3(i) * factor))
                        .as("byte %d times %s is %s", i, factor, values[i + 1])
                        .isZero();
            }
            assertThat(values[1]).isZero();
        }
    }

    @ParameterizedTest
    @MethodSource("lanes")
    void dotsAreThoseOfFloat64(Lanes lanes) {
        Random random = new Random(2);
        int width = 16;
        for (int vectors = 1; vectors <= 5; vectors++) {
            int stride = vectors * lanes.length();
            float[] k = random(random, 6 * stride);
            float[] q = random(random, 8 * stride);
            float[] s = new float[6 * width];
            lanes.dots(k, q, stride, s, 0, width, 5, 7);
            for (int key = 0; key < 5; key++) {
                for (int row = 0; row < 7; row++) {
                    double sum = 0;
                    for (int i = 0; i < stride; i++) {
                        sum += (double) k[key * stride + i] * q[row * stride + i];
                    }
                    assertThat((double) s[key * width + row]).isCloseTo(sum, Offset.offset(1e-5));
                }
            }
        }
    }
}
