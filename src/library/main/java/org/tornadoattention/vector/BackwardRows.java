package org.tornadoattention.vector;

/**
 * What a backward pass reads and writes.
 *
 * @param rowTerms {@code rowsum(dO ∘ O) - dL}
 */
record BackwardRows(
        HeadRows q,
        HeadRows k,
        HeadRows v,
        HeadRows output,
        HeadRows logSumExp,
        HeadRows dOut,
        HeadRows rowTerms,
        HeadRows dQ,
        HeadRows dK,
        HeadRows dV) {}
