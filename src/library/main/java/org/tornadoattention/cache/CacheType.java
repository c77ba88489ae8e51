package org.tornadoattention.cache;

/** How keys and values are stored in a cache. */
public enum CacheType {
    /** In the type of the tokens that are appended. */
    UNQUANTIZED,
    /**
     * In 8 bits: E4M3 with a power of two as scale for each head of each page, half the bytes of F16. Keys and values are
     * rounded to 4 bits of significand, or to multiples of a 100,000th of the largest of their head in their page, or of
     * 2⁻¹⁰⁹. NaN stays NaN, and ∞ becomes NaN, since E4M3 has none; neither changes the scale of the others.
     */
    E4M3
}
