package org.tornadoattention.spark;

import java.io.Serial;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** Which keys were added to a sum: all, and each once, or the sum is of another problem. */
final class KeyRanges implements Serializable {

    @Serial
    private static final long serialVersionUID = 1;

    private final ArrayList<int[]> ranges = new ArrayList<>();

    void add(KeyValues part) {
        ranges.add(new int[] {part.from(), part.to()});
    }

    void add(KeyRanges others) {
        ranges.addAll(others.ranges);
    }

    /** @throws IllegalArgumentException if a key is missing or was there twice */
    void requireAll(int seqK) {
        List<int[]> sorted = new ArrayList<>(ranges);
        sorted.sort(Comparator.<int[]>comparingInt(range -> range[0]).thenComparingInt(range -> range[1]));
        int next = 0;
        for (int[] range : sorted) {
            if (range[0] != next) {
                break;
            }
            next = range[1];
        }
        long keys = sorted.stream().mapToLong(range -> range[1] - range[0]).sum();
        if (next != seqK || keys != seqK) {
            throw new IllegalArgumentException(
                    "The parts have %,d keys, in a row up to key %,d, and the shape says %,d: each key must be in one part."
                            .formatted(keys, next, seqK));
        }
    }
}
