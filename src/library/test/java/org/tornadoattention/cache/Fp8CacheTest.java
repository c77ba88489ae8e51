package org.tornadoattention.cache;

import org.tornadoattention.tensor.CacheType;

/** A cache in E4M3 keeps four bits of each number, whatever its size, and attention over it is exact. */
class Fp8CacheTest extends QuantizedCaches {

    @Override
    CacheType type() {
        return CacheType.E4M3;
    }

    @Override
    float[] exactNumbers() {
        return new float[] {448, -416, 1, 1.125f, -0.0625f, 0x1p-8f, 0, 15};
    }

    /** Half a unit in the fourth bit, or half of the smallest step that the largest number of a page leaves. */
    @Override
    double bound(float number, float largest) {
        return Math.max(Math.abs(number) / 15, largest / 448 * 0x1p-8);
    }
}
