package org.tornadoattention.vector;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
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
                            int columns = vectors * lanes.length();
                            check(lanes, random, rows, columns, depth, adding, across, false);
                            if (columns <= Lanes.PANEL) {
                                check(lanes, random, rows, columns, depth, adding, across, true);
                            }
                        }
                    }
                }
            }
        }
    }

    private static void check(
            Lanes lanes,
            Random random,
            int rows,
            int columns,
            int depth,
            boolean adding,
            boolean across,
            boolean panels) {
        int aStride = panels ? Lanes.PANEL : across ? rows + 2 : depth + 3;
        int aRow = across ? 1 : aStride;
        int aStep = across ? aStride : 1;
        int bRow = panels ? Lanes.PANEL : columns + 5;
        float[] a = random(random, 2 + ((across ? depth : rows) + 1) * aStride);
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
    void wholeNumbersOfEightBitsAreWidenedExactly(Lanes lanes) {
        byte[] bits = new byte[256];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = (byte) i;
        }
        for (float factor : new float[] {1, 0.3f}) {
            float[] values = new float[bits.length + 2];
            lanes.widenInt8(MemorySegment.ofArray(bits), 1, 255, factor, values, 2);
            for (int i = 1; i < bits.length; i++) {
                float expected = i == 128 ? Float.NaN : (byte) i * factor;
                assertThat(values[i + 1]).as("byte %d times %s", i, factor).isEqualTo(Float.valueOf(expected));
            }
            assertThat(values[1]).isZero();
        }
    }

    /** Behind a header that aligns nothing; the last keys of a tile that is not full are read more than once. */
    @ParameterizedTest
    @EnumSource(DType.class)
    void streamsAreThoseOfFloat64(DType dtype) {
        assumeTrue(new VectorLanes().streams().isPresent(), "narrower vectors than 512 bits have no streams");
        Streams streams = new VectorLanes().streams().orElseThrow();
        int dims = 128;
        int width = 16;
        int header = 24;
        float[] values = random(new Random(6), 64 * dims);
        MemorySegment memory = MemorySegment.ofArray(new byte[header + dtype.byteSize() * values.length]);
        StoredRows stored = new StoredRows(memory, dtype, dims, dims);
        assertThat(streams.takes(stored)).isTrue();
        for (int i = 0; i < values.length; i++) {
            store(memory, dtype, header, i, dtype.encode(values[i]));
            values[i] = dtype.round(values[i]);
        }
        long[] places = new long[64];
        Arrays.setAll(places, row -> header + (63L - row) * dims * dtype.byteSize());
        for (int rows : new int[] {4, 8}) {
            for (int count : new int[] {1, 3, 4, 61, 64}) {
                float[] q = random(new Random(7), rows * dims);
                streams.load(dtype, q, dims, rows);
                float[] s = new float[64 * width];
                assertThat(streams.dots(places(stored, places, 1, count), 0, rows))
                        .isTrue();
                streams.spread(count, s, width, rows);
                float[] factors = random(new Random(8), rows);
                float[] before = random(new Random(9), rows * dims);
                float[] o = before.clone();
                streams.gather(count, s, width, rows);
                streams.apart(dtype, o, o.length);
                assertThat(streams.add(places(stored, places, 1, count), 0, o, factors, rows))
                        .isTrue();
                streams.together(dtype, o, o.length);
                double[] sums = new double[o.length];
                for (int row = 0; row < rows; row++) {
                    for (int key = 0; key < count; key++) {
                        double sum = 0;
                        for (int dim = 0; dim < dims; dim++) {
                            sum += (double) values[(63 - key) * dims + dim] * q[row * dims + dim];
                            sums[row * dims + dim] += (double) values[(63 - key) * dims + dim] * s[key * width + row];
                        }
                        assertThat((double) s[key * width + row]).isCloseTo(sum, Offset.offset(1e-5));
                    }
                    for (int at = row * dims; at < (row + 1) * dims; at++) {
                        assertThat((double) o[at])
                                .isCloseTo(sums[at] + (double) before[at] * factors[row], Offset.offset(1e-5));
                    }
                }
            }
        }
    }

    /**
     * Each has a quarter of its keys from each quarter of the keys of all; a key is as far from another as it likes.
     */
    @Test
    void streamsTakeTilesTogether() {
        assumeTrue(new VectorLanes().streams().isPresent(), "narrower vectors than 512 bits have no streams");
        Streams streams = new VectorLanes().streams().orElseThrow();
        int tiles = 3;
        int width = 16;
        MemorySegment memory = MemorySegment.ofArray(new float[tiles * 64 * 64]);
        StoredRows stored = new StoredRows(memory, DType.F32, 64, 64);
        long[] places = new long[tiles * 64];
        for (int key = 0; key < places.length; key++) {
            places[key] = key * 35L % places.length * 64 * Float.BYTES;
            memory.set(ValueLayout.JAVA_FLOAT_UNALIGNED, places[key], key);
        }
        float[] q = new float[4 * 64];
        q[0] = 1;
        streams.load(DType.F32, q, 64, 4);
        for (int tile = 0; tile < tiles; tile++) {
            float[] s = new float[64 * width];
            streams.expect(places(stored, places, tiles, 64), tile);
            assertThat(streams.dots(places(stored, places, tiles, 64), tile, 4)).isTrue();
            streams.spread(64, s, width, 4);
            float[] o = new float[4 * 64];
            double sum = 0;
            for (int key = 0; key < 64; key++) {
                int expected = (key / 16 * tiles + tile) * 16 + key % 16;
                assertThat(s[key * width]).isEqualTo(expected);
                sum += (double) expected * expected;
            }
            assertThat(streams.add(places(stored, places, tiles, 64), tile, o, new float[4], 4))
                    .isTrue();
            assertThat((double) o[0]).isCloseTo(sum, Offset.offset(1e-6 * sum));
        }
    }

    @ParameterizedTest
    @MethodSource("lanes")
    void rowsThatAreApartAreCopied(Lanes lanes) {
        int width = 2 * lanes.length();
        float[] values = random(new Random(10), 5 * 3 * width);
        MemorySegment memory = MemorySegment.ofArray(values);
        float[] target = new float[1 + 4 * (width + 1)];
        lanes.copyRows(memory, Float.BYTES * 3L, Float.BYTES * 3L * width, 4, width, target, 1, width + 1);
        float[] expected = new float[target.length];
        for (int row = 0; row < 4; row++) {
            System.arraycopy(values, 3 + row * 3 * width, expected, 1 + row * (width + 1), width);
        }
        assertThat(target).containsExactly(expected);
    }

    private static TilePlaces places(StoredRows stored, long[] bytes, int tiles, int count) {
        TilePlaces places = new TilePlaces();
        places.set(stored, bytes, tiles, count);
        return places;
    }

    private static void store(MemorySegment memory, DType dtype, int header, int index, int bits) {
        if (dtype == DType.F32) {
            memory.set(ValueLayout.JAVA_INT_UNALIGNED, header + 4L * index, bits);
        } else {
            memory.set(ValueLayout.JAVA_SHORT_UNALIGNED, header + 2L * index, (short) bits);
        }
    }

    /** Every F16: those that are not finite are told of, all others are exact. */
    @Test
    void streamsTellOfWhatIsNotFinite() {
        assumeTrue(new VectorLanes().streams().isPresent(), "narrower vectors than 512 bits have no streams");
        Streams streams = new VectorLanes().streams().orElseThrow();
        MemorySegment memory = MemorySegment.ofArray(new byte[2 * 64]);
        StoredRows stored = new StoredRows(memory, DType.F16, 64, 64);
        float[] q = new float[4 * 64];
        q[37] = 1;
        streams.load(DType.F16, q, 64, 4);
        float[] s = new float[4 * 16];
        for (int bits = 0; bits < 1 << 16; bits++) {
            memory.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2 * 37, (short) bits);
            boolean finite = streams.dots(places(stored, new long[1], 1, 1), 0, 4);
            streams.spread(1, s, 16, 4);
            assertThat(finite).isEqualTo(Float.isFinite(DType.F16.decode(bits)));
            if (finite) {
                assertThat(s[0]).isEqualTo(DType.F16.decode(bits) + 0f);
            }
        }
    }

    /** Powers and maxima are those of other lanes to the last bit; a row sums them in another order. */
    @Test
    void streamsHaveTheSoftmaxOfLanes() {
        assumeTrue(new VectorLanes().streams().isPresent(), "narrower vectors than 512 bits have no streams");
        Streams streams = new VectorLanes().streams().orElseThrow();
        int width = 16;
        // Keys of one element that counts, so that products are scores.
        float[] k = new float[64 * 64];
        MemorySegment memory = MemorySegment.ofArray(k);
        StoredRows stored = new StoredRows(memory, DType.F32, 64, 64);
        long[] places = new long[64];
        Arrays.setAll(places, key -> 64L * Float.BYTES * key);
        for (int rows : new int[] {4, 8}) {
            for (int count : new int[] {1, 2, 7, 16, 33, 64}) {
                Random random = new Random(count);
                for (int key = 0; key < count; key++) {
                    k[64 * key] = 20 * random.nextFloat() - 10;
                }
                float[] q = new float[rows * 64];
                for (int row = 0; row < rows; row++) {
                    q[64 * row] = row - 2.5f;
                }
                streams.load(DType.F32, q, 64, rows);
                float[] max = random(random, width);
                max[0] = Float.NEGATIVE_INFINITY;
                max[3] = 100;
                float[] sum = random(random, width);
                float[] factors = new float[width];
                float[] otherMax = max.clone();
                float[] otherSum = sum.clone();
                float[] otherFactors = new float[width];
                assertThat(streams.dots(places(stored, places, 1, count), 0, rows))
                        .isTrue();
                float[] expected = new float[64 * width];
                streams.spread(count, expected, width, rows);
                new VectorLanes().softmax(expected, count, width, otherMax, otherSum, otherFactors, 0);
                streams.softmax(count, max, sum, factors, rows);
                float[] p = new float[64 * width];
                streams.spread(count, p, width, rows);
                for (int row = 0; row < rows; row++) {
                    assertThat(max[row]).isEqualTo(otherMax[row]);
                    assertThat(factors[row]).isEqualTo(otherFactors[row]);
                    assertThat(sum[row]).isCloseTo(otherSum[row], Offset.offset(1e-5f * Math.max(1, otherSum[row])));
                    for (int key = 0; key < count; key++) {
                        assertThat(p[key * width + row]).isEqualTo(expected[key * width + row]);
                    }
                }
            }
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
