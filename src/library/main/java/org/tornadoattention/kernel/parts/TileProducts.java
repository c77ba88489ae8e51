package org.tornadoattention.kernel.parts;

/**
 * Products of tiles in local memory on plain arithmetic units, in blocks of 4 queries by 4 keys: 8 reads for 16
 * multiply-adds. The rows of a block stand a quarter of the tile apart, so that neighbouring work-items read
 * neighbouring rows.
 */
// spotless:off: blocks are written in rows
public final class TileProducts {

    private TileProducts() {}

    /**
     * A block of {@code S = scale · Q Kᵀ}.
     *
     * @param q where its first query lies in the tile of queries
     * @param k where its first key lies in the tile of keys
     * @param queryStep from one of its queries to the next in the tile
     * @param keyStep from one of its keys to the next in the tile
     * @param s where its first score goes
     * @param down from one of its queries to the next among the scores
     * @param across from one of its keys to the next among the scores
     */
    @Phase
    public static void scores(
            float[] queryTile,
            float[] keyTile,
            int q,
            int k,
            int queryStep,
            int keyStep,
            int dims,
            float scale,
            float[] scores,
            int s,
            int down,
            int across) {
        float s00 = 0f, s01 = 0f, s02 = 0f, s03 = 0f;
        float s10 = 0f, s11 = 0f, s12 = 0f, s13 = 0f;
        float s20 = 0f, s21 = 0f, s22 = 0f, s23 = 0f;
        float s30 = 0f, s31 = 0f, s32 = 0f, s33 = 0f;
        for (int x = 0; x < dims; x++) {
            float q0 = queryTile[q + x];
            float q1 = queryTile[q + queryStep + x];
            float q2 = queryTile[q + 2 * queryStep + x];
            float q3 = queryTile[q + 3 * queryStep + x];
            float k0 = keyTile[k + x];
            float k1 = keyTile[k + keyStep + x];
            float k2 = keyTile[k + 2 * keyStep + x];
            float k3 = keyTile[k + 3 * keyStep + x];
            s00 += q0 * k0;
            s01 += q0 * k1;
            s02 += q0 * k2;
            s03 += q0 * k3;
            s10 += q1 * k0;
            s11 += q1 * k1;
            s12 += q1 * k2;
            s13 += q1 * k3;
            s20 += q2 * k0;
            s21 += q2 * k1;
            s22 += q2 * k2;
            s23 += q2 * k3;
            s30 += q3 * k0;
            s31 += q3 * k1;
            s32 += q3 * k2;
            s33 += q3 * k3;
        }
        put(scores, s, across, scale * s00, scale * s01, scale * s02, scale * s03);
        put(scores, s + down, across, scale * s10, scale * s11, scale * s12, scale * s13);
        put(scores, s + 2 * down, across, scale * s20, scale * s21, scale * s22, scale * s23);
        put(scores, s + 3 * down, across, scale * s30, scale * s31, scale * s32, scale * s33);
    }

    /**
     * Which part of the dimensions a unit computes, of as many blocks as {@code quarter * quarter} for each part. Of
     * four units that follow one another, two have the same key and two the same query, which local memory then reads
     * for both.
     */
    public static int part(int unit, int quarter) {
        return unit / (quarter * quarter);
    }

    /** Which keys. */
    public static int across(int unit, int quarter) {
        return unit / 2 % quarter;
    }

    /** Which queries. */
    public static int down(int unit, int quarter) {
        return (unit / (2 * quarter) - part(unit, quarter) * (quarter / 2)) * 2 + unit % 2;
    }

    /**
     * A block of {@code S = Q Kᵀ} and of {@code dP = dO Vᵀ}, or a part of both: over every {@code parts}-th four
     * dimensions, which a compiler loads at once. Parameters as {@link #scores} has them, with one step for all tiles.
     */
    @Phase
    public static void scoresAndGradients(
            float[] queryTile,
            float[] gradientTile,
            float[] keyTile,
            float[] valueTile,
            int q,
            int k,
            int step,
            int part,
            int parts,
            int dims,
            float[] scores,
            float[] gradients,
            int s,
            int down,
            int across) {
        float s00 = 0f, s01 = 0f, s02 = 0f, s03 = 0f;
        float s10 = 0f, s11 = 0f, s12 = 0f, s13 = 0f;
        float s20 = 0f, s21 = 0f, s22 = 0f, s23 = 0f;
        float s30 = 0f, s31 = 0f, s32 = 0f, s33 = 0f;
        float p00 = 0f, p01 = 0f, p02 = 0f, p03 = 0f;
        float p10 = 0f, p11 = 0f, p12 = 0f, p13 = 0f;
        float p20 = 0f, p21 = 0f, p22 = 0f, p23 = 0f;
        float p30 = 0f, p31 = 0f, p32 = 0f, p33 = 0f;
        for (int first = 4 * part; first < dims; first += 4 * parts) {
            for (int x = first; x < first + 4; x++) {
                int qx = q + x;
                int kx = k + x;
                float q0 = queryTile[qx], q1 = queryTile[qx + step];
                float q2 = queryTile[qx + 2 * step], q3 = queryTile[qx + 3 * step];
                float d0 = gradientTile[qx], d1 = gradientTile[qx + step];
                float d2 = gradientTile[qx + 2 * step], d3 = gradientTile[qx + 3 * step];
                float k0 = keyTile[kx], k1 = keyTile[kx + step];
                float k2 = keyTile[kx + 2 * step], k3 = keyTile[kx + 3 * step];
                float v0 = valueTile[kx], v1 = valueTile[kx + step];
                float v2 = valueTile[kx + 2 * step], v3 = valueTile[kx + 3 * step];
                s00 += q0 * k0;
                s01 += q0 * k1;
                s02 += q0 * k2;
                s03 += q0 * k3;
                s10 += q1 * k0;
                s11 += q1 * k1;
                s12 += q1 * k2;
                s13 += q1 * k3;
                s20 += q2 * k0;
                s21 += q2 * k1;
                s22 += q2 * k2;
                s23 += q2 * k3;
                s30 += q3 * k0;
                s31 += q3 * k1;
                s32 += q3 * k2;
                s33 += q3 * k3;
                p00 += d0 * v0;
                p01 += d0 * v1;
                p02 += d0 * v2;
                p03 += d0 * v3;
                p10 += d1 * v0;
                p11 += d1 * v1;
                p12 += d1 * v2;
                p13 += d1 * v3;
                p20 += d2 * v0;
                p21 += d2 * v1;
                p22 += d2 * v2;
                p23 += d2 * v3;
                p30 += d3 * v0;
                p31 += d3 * v1;
                p32 += d3 * v2;
                p33 += d3 * v3;
            }
        }
        put(scores, s, across, s00, s01, s02, s03);
        put(scores, s + down, across, s10, s11, s12, s13);
        put(scores, s + 2 * down, across, s20, s21, s22, s23);
        put(scores, s + 3 * down, across, s30, s31, s32, s33);
        put(gradients, s, across, p00, p01, p02, p03);
        put(gradients, s + down, across, p10, p11, p12, p13);
        put(gradients, s + 2 * down, across, p20, p21, p22, p23);
        put(gradients, s + 3 * down, across, p30, p31, p32, p33);
    }

    /** A row of a block, which stands in every so many elements. */
    @Phase
    private static void put(float[] scores, int at, int step, float s0, float s1, float s2, float s3) {
        scores[at] = s0;
        scores[at + step] = s1;
        scores[at + 2 * step] = s2;
        scores[at + 3 * step] = s3;
    }
}
