package org.tornadoattention.vector;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.tornadoattention.kernel.parts.Storage;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Rows of bytes with a scale for each head of each page, as {@code kernel.QuantizeTokens} keeps them.
 *
 * @param stride bytes from one row to the next
 * @param width elements of a row
 * @param coding what a byte is
 * @param scales {@code [pages, kvHeads, 2]}, of keys and of values
 * @param which 0 for those of keys, 1 for those of values
 */
record QuantizedRows(MemorySegment memory, int stride, int width, ByteCoding coding, FloatArray scales, int which)
        implements CachedRows {

    @Override
    public void read(long row, int pageHead, int count, float[] target, int at, int stride, short[] bits, Lanes lanes) {
        float scale = scales.get(pageHead * 2 + which);
        for (int i = 0; i < count; i++) {
            coding.widen(memory, (row + i) * this.stride, width, scale, target, at + i * stride, lanes);
            Arrays.fill(target, at + i * stride + width, at + (i + 1) * stride, 0);
        }
    }

    @Override
    public void write(long row, int pageHead, int slot, int count, float[] source, short[] bits, Lanes lanes) {
        float max = 0;
        for (int i = 0; i < count * width; i++) {
            max = Math.max(max, Storage.finiteMagnitude(source[i]));
        }
        float old = slot > 0 ? scales.get(pageHead * 2 + which) : 0;
        float scale = coding.scale(old, max);
        for (long i = (row - slot) * stride; i < row * stride && scale > old; i++) {
            float there = coding.decode(memory.get(ValueLayout.JAVA_BYTE, i));
            memory.set(ValueLayout.JAVA_BYTE, i, (byte) coding.encode(there * (old / scale)));
        }
        for (int i = 0; i < count; i++) {
            for (int x = 0; x < width; x++) {
                byte encoded = (byte) coding.encode(source[i * width + x] / scale);
                memory.set(ValueLayout.JAVA_BYTE, (row + i) * stride + x, encoded);
            }
        }
        scales.set(pageHead * 2 + which, scale);
    }
}
