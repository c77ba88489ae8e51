package org.tornadoattention.vector;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.tornadoattention.kernel.parts.Int8Pairs;
import org.tornadoattention.kernel.parts.LargeScores;
import org.tornadoattention.kernel.parts.Storage;
import org.tornadoattention.tensor.DType;

/** {@link Lanes} in plain loops, for a JVM that was started without the vector module. */
final class ScalarLanes implements Lanes {

    private static final int LENGTH = 16;

    private static final float NONE_SEEN = Float.NEGATIVE_INFINITY;

    @Override
    public Lanes another() {
        return this;
    }

    @Override
    public int length() {
        return LENGTH;
    }

    @Override
    public int widest() {
        return 4;
    }

    @Override
    public String description() {
        return "plain loops";
    }

    @Override
    public void product(
            float[] a,
            int aAt,
            int aRow,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int cAt,
            int cRow,
            int rows,
            int columns,
            int depth,
            float[] factors,
            int factorsAt) {
        float[] sum = new float[columns];
        for (int row = 0; row < rows; row++) {
            Arrays.fill(sum, 0);
            for (int k = 0; k < depth; k++) {
                addScaled(sum, a[aAt + row * aRow + k * aStep], b, bAt + k * bRow, columns);
            }
            int to = cAt + row * cRow;
            for (int column = 0; column < columns; column++) {
                c[to + column] =
                        factors == null ? sum[column] : c[to + column] * factors[factorsAt + row] + sum[column];
            }
        }
    }

    private static void addScaled(float[] sum, float factor, float[] b, int at, int count) {
        for (int i = 0; i < count; i++) {
            sum[i] = Fused.fma(factor, b[at + i], sum[i]);
        }
    }

    /** By {@link #LENGTH} chains side by side. */
    @Override
    public void dots(float[] k, float[] q, int stride, float[] s, int at, int width, int keys, int rows) {
        float[] sums = new float[LENGTH];
        for (int key = 0; key < keys; key++) {
            for (int row = 0; row < rows; row++) {
                Arrays.fill(sums, 0);
                for (int dim = 0; dim < stride; dim += LENGTH) {
                    for (int i = 0; i < LENGTH; i++) {
                        sums[i] = Fused.fma(k[key * stride + dim + i], q[row * stride + dim + i], sums[i]);
                    }
                }
                for (int half = LENGTH / 2; half > 0; half /= 2) {
                    for (int i = 0; i < half; i++) {
                        sums[i] += sums[i + half];
                    }
                }
                s[at + key * width + row] = sums[0];
            }
        }
    }

    @Override
    public void turn(float[] rows, int stride, int count, float[] target, int at, int width, int dims, float factor) {
        turn(rows, stride, 0, count, target, at, width, dims, factor);
    }

    /** From row {@code first} on. */
    void turn(
            float[] rows, int stride, int first, int count, float[] target, int at, int width, int dims, float factor) {
        for (int row = first; row < count; row++) {
            for (int dim = 0; dim < dims; dim++) {
                target[at + dim * width + row] = rows[row * stride + dim] * factor;
            }
        }
    }

    @Override
    public void softcap(float[] s, int count, float bound) {
        for (int i = 0; i < count; i++) {
            s[i] = Exp2.tanh(s[i]) * bound;
        }
    }

    @Override
    public void alibi(float[] s, int keys, int width, float[] slopes, float[] positions, int at) {
        for (int key = 0; key < keys; key++) {
            for (int lane = 0; lane < width; lane++) {
                int i = key * width + lane;
                s[i] = Fused.fma(Math.abs(positions[at + lane] - key), -slopes[at + lane], s[i]);
            }
        }
    }

    @Override
    public void mask(float[] s, int keys, int width, float[] from, float[] to, int at) {
        for (int key = 0; key < keys; key++) {
            for (int lane = 0; lane < width; lane++) {
                if (key < from[at + lane] || key >= to[at + lane]) {
                    s[key * width + lane] = Float.NEGATIVE_INFINITY;
                }
            }
        }
    }

    @Override
    public void softmax(float[] s, int keys, int width, float[] max, float[] sum, float[] factors, int at) {
        for (int lane = 0; lane < width; lane++) {
            float old = max[at + lane];
            float now = old;
            for (int key = 0; key < keys; key++) {
                float score = s[key * width + lane];
                now = now < score ? score : now;
            }
            max[at + lane] = now;
            // A lane that saw no key yet has −∞ − (−∞) below, which is to be 0.
            float base = now == NONE_SEEN ? 0 : now;
            float factor = Exp2.of(old - base);
            factors[at + lane] = factor;
            float added = 0;
            for (int key = 0; key < keys; key++) {
                float p = Exp2.of(s[key * width + lane] - base);
                s[key * width + lane] = p;
                added += p;
            }
            sum[at + lane] = Fused.fma(sum[at + lane], factor, added);
        }
    }

    /** What {@link LargeScores} says, in powers of two. */
    private static float exponent(float score, float logSumExp) {
        float size = Math.abs(logSumExp);
        return size < LargeScores.LEAST
                ? score - logSumExp
                : Math.min(0, score - (logSumExp - size * LargeScores.UNCERTAINTY));
    }

    @Override
    public void probabilities(float[] s, int keys, int width, float[] logSumExp, int at) {
        for (int key = 0; key < keys; key++) {
            for (int lane = 0; lane < width; lane++) {
                float score = s[key * width + lane];
                s[key * width + lane] =
                        score == Float.NEGATIVE_INFINITY ? 0 : Exp2.of(exponent(score, logSumExp[at + lane]));
            }
        }
    }

    @Override
    public void scoreGradients(float[] p, float[] dP, int keys, int width, float[] terms, int at) {
        for (int key = 0; key < keys; key++) {
            for (int lane = 0; lane < width; lane++) {
                int i = key * width + lane;
                dP[i] = p[i] == 0 ? 0 : (dP[i] - terms[at + lane]) * p[i];
            }
        }
    }

    @Override
    public void softcapGradients(float[] dS, float[] s, int count, float bound) {
        float inverse = 1 / bound;
        for (int i = 0; i < count; i++) {
            float ratio = s[i] * inverse;
            // Not −0 where rounding takes the factor below 0: hidden pairs have +0, whatever their scores are.
            dS[i] = dS[i] == 0 ? 0 : dS[i] * (1 - ratio * ratio) + 0f;
        }
    }

    @Override
    public boolean areFinite(float[] values, int from, int count) {
        int largest = 0;
        for (int i = from; i < from + count; i++) {
            largest = Math.max(largest, Float.floatToRawIntBits(values[i]) & Integer.MAX_VALUE);
        }
        return largest < Float.floatToRawIntBits(Float.POSITIVE_INFINITY);
    }

    @Override
    public void copyRows(
            MemorySegment memory,
            long from,
            long stride,
            int count,
            int width,
            float[] target,
            int at,
            int targetStride) {
        for (int i = 0; i < count; i++) {
            MemorySegment.copy(memory, ValueLayout.JAVA_FLOAT, from + i * stride, target, at + i * targetStride, width);
        }
    }

    @Override
    public void widen(DType dtype, short[] bits, int from, int count, float[] values, int at) {
        if (dtype == DType.F16) {
            for (int i = 0; i < count; i++) {
                values[at + i] = Float.float16ToFloat(bits[from + i]);
            }
        } else {
            for (int i = 0; i < count; i++) {
                values[at + i] = Float.intBitsToFloat(bits[from + i] << Short.SIZE);
            }
        }
    }

    @Override
    public void narrowToBf16(float[] values, int at, int count, short[] bits) {
        narrowToBf16(values, at, 0, count, bits);
    }

    /** From the element {@code first} on. */
    void narrowToBf16(float[] values, int at, int first, int count, short[] bits) {
        for (int i = first; i < count; i++) {
            bits[i] = (short) DType.BF16.encode(values[at + i]);
        }
    }

    @Override
    public void scale(float[] values, int at, int count, float factor) {
        for (int i = at; i < at + count; i++) {
            values[i] *= factor;
        }
    }

    @Override
    public void widenE4M3(MemorySegment memory, long from, int count, float factor, float[] values, int at) {
        for (int i = 0; i < count; i++) {
            values[at + i] = Storage.decodeE4M3(memory.get(ValueLayout.JAVA_BYTE, from + i)) * factor;
        }
    }

    @Override
    public void widenInt8(MemorySegment memory, long from, int count, float factor, float[] values, int at) {
        for (int i = 0; i < count; i++) {
            values[at + i] = Int8Pairs.decode(memory.get(ValueLayout.JAVA_BYTE, from + i)) * factor;
        }
    }
}
