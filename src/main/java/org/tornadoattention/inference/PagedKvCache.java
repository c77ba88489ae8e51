package org.tornadoattention.inference;

import org.tornadoattention.plan.CacheShape;

public final class PagedKvCache extends KeyValueCache {
    PagedKvCache(CacheShape s, CacheOptions o) {
        super(s, o);
    }

    @Override
    void reserve(int... newTokens) {}

    @Override
    int[][] tables() {
        return new int[0][];
    }

    @Override
    void requireUploaded() {}
}
