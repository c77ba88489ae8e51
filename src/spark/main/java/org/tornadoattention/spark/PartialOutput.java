package org.tornadoattention.spark;

import java.io.Serial;
import java.io.Serializable;
import org.tornadoattention.AttentionSums;

/** Attention of all queries over some keys, and which. */
final class PartialOutput implements Serializable {

    @Serial
    private static final long serialVersionUID = 1;

    final AttentionSums sums;
    final KeyRanges keys = new KeyRanges();

    PartialOutput(AttentionSums sums) {
        this.sums = sums;
    }

    /** Merges by log-sum-exp, into this one. */
    PartialOutput plus(PartialOutput other) {
        sums.add(other.sums);
        keys.add(other.keys);
        return this;
    }
}
