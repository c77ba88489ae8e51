package org.tornadoattention.tensor;

/** How keys and values are stored in a cache. */
public enum CacheType {
    /** In the type of the tokens that are appended. */
    UNQUANTIZED,
    /**
     * In 8 bits: E4M3 with a power of two as scale for each head of each page, half the bytes of F16. Keys and values
     * are rounded to 4 bits of significand, or to multiples of a 100,000th of the largest of their head in their page,
     * or of 2⁻¹⁰⁹. NaN stays NaN, and ∞ becomes NaN, since E4M3 has none; neither changes the scale of the others.
     */
    E4M3,
    /**
     * In 8 bits: whole numbers from −127 to 127 with a scale for each head of each page, half the bytes of F16. Keys
     * and values are rounded to multiples of the scale, which is a 127th of the largest of their head in their page
     * where one append fills the page, and grows twofold or more when larger ones come: each is off by less than a 63rd
     * of the largest, by half of a 127th where one append fills the page. NaN and ∞ are −128, which is NaN; neither
     * changes the scale of the others.
     */
    INT8;

    /** {@return whether keys and values are bytes with a scale for each head of each page} */
    public boolean isQuantized() {
        return this != UNQUANTIZED;
    }
}
