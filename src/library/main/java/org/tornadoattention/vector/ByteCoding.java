package org.tornadoattention.vector;

import java.lang.foreign.MemorySegment;
import org.tornadoattention.kernel.parts.Int8Pairs;
import org.tornadoattention.kernel.parts.Storage;
import org.tornadoattention.tensor.CacheType;

/** What the bytes of a quantised cache mean, before they are multiplied by their scale: as the kernels have it. */
public enum ByteCoding {
    /** FP8 numbers. */
    E4M3 {
        @Override
        public float decode(int bits) {
            return Storage.decodeE4M3(bits);
        }

        @Override
        int encode(float value) {
            return Storage.encodeE4M3(value);
        }

        @Override
        float scale(float old, float max) {
            return Storage.scaleOfBytes(old, max);
        }

        @Override
        void widen(MemorySegment memory, long from, int count, float factor, float[] values, int at, Lanes lanes) {
            lanes.widenE4M3(memory, from, count, factor, values, at);
        }
    },
    /** Whole numbers. */
    INT8 {
        @Override
        public float decode(int bits) {
            return Int8Pairs.decode(bits);
        }

        @Override
        int encode(float value) {
            return Int8Pairs.encode(value);
        }

        @Override
        float scale(float old, float max) {
            return Int8Pairs.scaleOfBytes(old, max);
        }

        @Override
        void widen(MemorySegment memory, long from, int count, float factor, float[] values, int at, Lanes lanes) {
            lanes.widenInt8(memory, from, count, factor, values, at);
        }
    };

    /** Of a cache that is quantised. */
    public static ByteCoding of(CacheType type) {
        return switch (type) {
            case E4M3 -> E4M3;
            case INT8 -> INT8;
            case UNQUANTIZED -> throw new IllegalArgumentException(type + " has no bytes with scales.");
        };
    }

    /** The number that a byte is; higher bits may be anything. */
    public abstract float decode(int bits);

    /** The byte, in the low bits, that is nearest to a number. */
    abstract int encode(float value);

    /**
     * The scale of a page's head when further numbers come.
     *
     * @param old the scale of those that are there, 0 for none
     * @param max the largest magnitude of the further ones
     */
    abstract float scale(float old, float max);

    /** The numbers of bytes of memory, times a factor. */
    abstract void widen(MemorySegment memory, long from, int count, float factor, float[] values, int at, Lanes lanes);
}
