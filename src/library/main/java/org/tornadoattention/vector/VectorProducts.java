package org.tornadoattention.vector;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * {@link Lanes#product} on vectors: a few rows by a few vectors of sums in registers, written out for each number of
 * them.
 *
 * <p>The loops over the sum are what most time goes to, and a register that the JIT lacks there costs a sixth of it. So
 * places are products of the loop's variable, where matrices lie in panels with a constant stride; then no bounds are
 * checked inside and one register holds the place of all rows.
 */
final class VectorProducts {

    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    private static final int LENGTH = SPECIES.length();
    private static final boolean FMA = Fused.FAST;
    private static final int PANEL = Lanes.PANEL;

    /** Four vectors of six rows fit into 32 registers, two into 16. */
    static final int WIDEST = Math.clamp(PANEL / LENGTH, 1, LENGTH == 16 ? 4 : 2);

    private VectorProducts() {}

    static void product(
            float[] a,
            int aAt,
            int aRow,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int cAt,
            int cRow,
            int rows,
            int columns,
            int depth,
            float[] factors,
            int factorsAt) {
        boolean packed = bRow == PANEL && (aStep == 1 ? aRow == PANEL : aStep == PANEL);
        int most = packed ? WIDEST : 2;
        // What is left behind a multiple of twelve is one or two times four rows.
        int sixes = rows / 12 * 12;
        for (int column = 0; column < columns; ) {
            int left = (columns - column) / LENGTH;
            int vectors = left >= most ? most : left >= 2 ? 2 : 1;
            int row = 0;
            while (row < rows) {
                boolean six = vectors > 1 && row < sixes;
                int from = aAt + row * aRow;
                int at = bAt + column;
                int to = cAt + row * cRow + column;
                int factor = factorsAt + row;
                if (vectors == 4) {
                    byFour(six, aStep == 1, a, from, b, at, c, to, cRow, depth, factors, factor);
                } else if (six && aStep == 1) {
                    alongSixByTwo(a, from, aRow, b, at, bRow, c, to, cRow, depth, factors, factor);
                } else if (six) {
                    acrossSixByTwo(a, from, aStep, b, at, bRow, c, to, cRow, depth, factors, factor);
                } else {
                    four(vectors, a, from, aRow, aStep, b, at, bRow, c, to, cRow, depth, factors, factor);
                }
                row += six ? 6 : Lanes.ROWS;
            }
            column += vectors * LENGTH;
        }
    }

    /** Six or four rows by four vectors, in panels. */
    private static void byFour(
            boolean six,
            boolean along,
            float[] a,
            int aAt,
            float[] b,
            int bAt,
            float[] c,
            int cAt,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        if (six && along) {
            alongSixByFour(a, aAt, b, bAt, c, cAt, cRow, depth, factors, factorsAt);
        } else if (six) {
            acrossSixByFour(a, aAt, b, bAt, c, cAt, cRow, depth, factors, factorsAt);
        } else if (along) {
            alongFourByFour(a, aAt, b, bAt, c, cAt, cRow, depth, factors, factorsAt);
        } else {
            acrossFourByFour(a, aAt, b, bAt, c, cAt, cRow, depth, factors, factorsAt);
        }
    }

    /** Four rows by one or two vectors. */
    private static void four(
            int vectors,
            float[] a,
            int aAt,
            int aRow,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int cAt,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        if (aStep == 1 && vectors == 2) {
            alongFourByTwo(a, aAt, aRow, b, bAt, bRow, c, cAt, cRow, depth, factors, factorsAt);
        } else if (aStep == 1) {
            alongFourByOne(a, aAt, aRow, b, bAt, bRow, c, cAt, cRow, depth, factors, factorsAt);
        } else if (vectors == 2) {
            acrossFourByTwo(a, aAt, aStep, b, bAt, bRow, c, cAt, cRow, depth, factors, factorsAt);
        } else {
            acrossFourByOne(a, aAt, aStep, b, bAt, bRow, c, cAt, cRow, depth, factors, factorsAt);
        }
    }

    /** Six rows that run along the sum by four vectors, all {@link #PANEL} apart. */
    private static void alongSixByFour(
            float[] a,
            int aAt,
            float[] b,
            int bAt,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        FloatVector s20 = zero, s21 = zero, s22 = zero, s23 = zero;
        FloatVector s30 = zero, s31 = zero, s32 = zero, s33 = zero;
        FloatVector s40 = zero, s41 = zero, s42 = zero, s43 = zero;
        FloatVector s50 = zero, s51 = zero, s52 = zero, s53 = zero;
        for (int k = 0; k < depth; k++) {
            int at = aAt + k;
            int from = bAt + k * PANEL;
            FloatVector b0 = FloatVector.fromArray(SPECIES, b, from);
            FloatVector b1 = FloatVector.fromArray(SPECIES, b, from + LENGTH);
            FloatVector b2 = FloatVector.fromArray(SPECIES, b, from + 2 * LENGTH);
            FloatVector b3 = FloatVector.fromArray(SPECIES, b, from + 3 * LENGTH);
            FloatVector x = FloatVector.broadcast(SPECIES, a[at]);
            s00 = FMA ? x.fma(b0, s00) : x.mul(b0).add(s00);
            s01 = FMA ? x.fma(b1, s01) : x.mul(b1).add(s01);
            s02 = FMA ? x.fma(b2, s02) : x.mul(b2).add(s02);
            s03 = FMA ? x.fma(b3, s03) : x.mul(b3).add(s03);
            x = FloatVector.broadcast(SPECIES, a[at + PANEL]);
            s10 = FMA ? x.fma(b0, s10) : x.mul(b0).add(s10);
            s11 = FMA ? x.fma(b1, s11) : x.mul(b1).add(s11);
            s12 = FMA ? x.fma(b2, s12) : x.mul(b2).add(s12);
            s13 = FMA ? x.fma(b3, s13) : x.mul(b3).add(s13);
            x = FloatVector.broadcast(SPECIES, a[at + 2 * PANEL]);
            s20 = FMA ? x.fma(b0, s20) : x.mul(b0).add(s20);
            s21 = FMA ? x.fma(b1, s21) : x.mul(b1).add(s21);
            s22 = FMA ? x.fma(b2, s22) : x.mul(b2).add(s22);
            s23 = FMA ? x.fma(b3, s23) : x.mul(b3).add(s23);
            x = FloatVector.broadcast(SPECIES, a[at + 3 * PANEL]);
            s30 = FMA ? x.fma(b0, s30) : x.mul(b0).add(s30);
            s31 = FMA ? x.fma(b1, s31) : x.mul(b1).add(s31);
            s32 = FMA ? x.fma(b2, s32) : x.mul(b2).add(s32);
            s33 = FMA ? x.fma(b3, s33) : x.mul(b3).add(s33);
            x = FloatVector.broadcast(SPECIES, a[at + 4 * PANEL]);
            s40 = FMA ? x.fma(b0, s40) : x.mul(b0).add(s40);
            s41 = FMA ? x.fma(b1, s41) : x.mul(b1).add(s41);
            s42 = FMA ? x.fma(b2, s42) : x.mul(b2).add(s42);
            s43 = FMA ? x.fma(b3, s43) : x.mul(b3).add(s43);
            x = FloatVector.broadcast(SPECIES, a[at + 5 * PANEL]);
            s50 = FMA ? x.fma(b0, s50) : x.mul(b0).add(s50);
            s51 = FMA ? x.fma(b1, s51) : x.mul(b1).add(s51);
            s52 = FMA ? x.fma(b2, s52) : x.mul(b2).add(s52);
            s53 = FMA ? x.fma(b3, s53) : x.mul(b3).add(s53);
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        int c4 = c3 + cRow;
        int c5 = c4 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            s01 = FloatVector.fromArray(SPECIES, c, c0 + LENGTH).mul(f).add(s01);
            s02 = FloatVector.fromArray(SPECIES, c, c0 + 2 * LENGTH).mul(f).add(s02);
            s03 = FloatVector.fromArray(SPECIES, c, c0 + 3 * LENGTH).mul(f).add(s03);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            s11 = FloatVector.fromArray(SPECIES, c, c1 + LENGTH).mul(f).add(s11);
            s12 = FloatVector.fromArray(SPECIES, c, c1 + 2 * LENGTH).mul(f).add(s12);
            s13 = FloatVector.fromArray(SPECIES, c, c1 + 3 * LENGTH).mul(f).add(s13);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            s21 = FloatVector.fromArray(SPECIES, c, c2 + LENGTH).mul(f).add(s21);
            s22 = FloatVector.fromArray(SPECIES, c, c2 + 2 * LENGTH).mul(f).add(s22);
            s23 = FloatVector.fromArray(SPECIES, c, c2 + 3 * LENGTH).mul(f).add(s23);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
            s31 = FloatVector.fromArray(SPECIES, c, c3 + LENGTH).mul(f).add(s31);
            s32 = FloatVector.fromArray(SPECIES, c, c3 + 2 * LENGTH).mul(f).add(s32);
            s33 = FloatVector.fromArray(SPECIES, c, c3 + 3 * LENGTH).mul(f).add(s33);
            f = factors[factorsAt + 4];
            s40 = FloatVector.fromArray(SPECIES, c, c4).mul(f).add(s40);
            s41 = FloatVector.fromArray(SPECIES, c, c4 + LENGTH).mul(f).add(s41);
            s42 = FloatVector.fromArray(SPECIES, c, c4 + 2 * LENGTH).mul(f).add(s42);
            s43 = FloatVector.fromArray(SPECIES, c, c4 + 3 * LENGTH).mul(f).add(s43);
            f = factors[factorsAt + 5];
            s50 = FloatVector.fromArray(SPECIES, c, c5).mul(f).add(s50);
            s51 = FloatVector.fromArray(SPECIES, c, c5 + LENGTH).mul(f).add(s51);
            s52 = FloatVector.fromArray(SPECIES, c, c5 + 2 * LENGTH).mul(f).add(s52);
            s53 = FloatVector.fromArray(SPECIES, c, c5 + 3 * LENGTH).mul(f).add(s53);
        }
        s00.intoArray(c, c0);
        s01.intoArray(c, c0 + LENGTH);
        s02.intoArray(c, c0 + 2 * LENGTH);
        s03.intoArray(c, c0 + 3 * LENGTH);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LENGTH);
        s12.intoArray(c, c1 + 2 * LENGTH);
        s13.intoArray(c, c1 + 3 * LENGTH);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LENGTH);
        s22.intoArray(c, c2 + 2 * LENGTH);
        s23.intoArray(c, c2 + 3 * LENGTH);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LENGTH);
        s32.intoArray(c, c3 + 2 * LENGTH);
        s33.intoArray(c, c3 + 3 * LENGTH);
        s40.intoArray(c, c4);
        s41.intoArray(c, c4 + LENGTH);
        s42.intoArray(c, c4 + 2 * LENGTH);
        s43.intoArray(c, c4 + 3 * LENGTH);
        s50.intoArray(c, c5);
        s51.intoArray(c, c5 + LENGTH);
        s52.intoArray(c, c5 + 2 * LENGTH);
        s53.intoArray(c, c5 + 3 * LENGTH);
    }

    /** Four rows that run along the sum by four vectors, all {@link #PANEL} apart. */
    private static void alongFourByFour(
            float[] a,
            int aAt,
            float[] b,
            int bAt,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        FloatVector s20 = zero, s21 = zero, s22 = zero, s23 = zero;
        FloatVector s30 = zero, s31 = zero, s32 = zero, s33 = zero;
        for (int k = 0; k < depth; k++) {
            int at = aAt + k;
            int from = bAt + k * PANEL;
            FloatVector b0 = FloatVector.fromArray(SPECIES, b, from);
            FloatVector b1 = FloatVector.fromArray(SPECIES, b, from + LENGTH);
            FloatVector b2 = FloatVector.fromArray(SPECIES, b, from + 2 * LENGTH);
            FloatVector b3 = FloatVector.fromArray(SPECIES, b, from + 3 * LENGTH);
            FloatVector x = FloatVector.broadcast(SPECIES, a[at]);
            s00 = FMA ? x.fma(b0, s00) : x.mul(b0).add(s00);
            s01 = FMA ? x.fma(b1, s01) : x.mul(b1).add(s01);
            s02 = FMA ? x.fma(b2, s02) : x.mul(b2).add(s02);
            s03 = FMA ? x.fma(b3, s03) : x.mul(b3).add(s03);
            x = FloatVector.broadcast(SPECIES, a[at + PANEL]);
            s10 = FMA ? x.fma(b0, s10) : x.mul(b0).add(s10);
            s11 = FMA ? x.fma(b1, s11) : x.mul(b1).add(s11);
            s12 = FMA ? x.fma(b2, s12) : x.mul(b2).add(s12);
            s13 = FMA ? x.fma(b3, s13) : x.mul(b3).add(s13);
            x = FloatVector.broadcast(SPECIES, a[at + 2 * PANEL]);
            s20 = FMA ? x.fma(b0, s20) : x.mul(b0).add(s20);
            s21 = FMA ? x.fma(b1, s21) : x.mul(b1).add(s21);
            s22 = FMA ? x.fma(b2, s22) : x.mul(b2).add(s22);
            s23 = FMA ? x.fma(b3, s23) : x.mul(b3).add(s23);
            x = FloatVector.broadcast(SPECIES, a[at + 3 * PANEL]);
            s30 = FMA ? x.fma(b0, s30) : x.mul(b0).add(s30);
            s31 = FMA ? x.fma(b1, s31) : x.mul(b1).add(s31);
            s32 = FMA ? x.fma(b2, s32) : x.mul(b2).add(s32);
            s33 = FMA ? x.fma(b3, s33) : x.mul(b3).add(s33);
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            s01 = FloatVector.fromArray(SPECIES, c, c0 + LENGTH).mul(f).add(s01);
            s02 = FloatVector.fromArray(SPECIES, c, c0 + 2 * LENGTH).mul(f).add(s02);
            s03 = FloatVector.fromArray(SPECIES, c, c0 + 3 * LENGTH).mul(f).add(s03);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            s11 = FloatVector.fromArray(SPECIES, c, c1 + LENGTH).mul(f).add(s11);
            s12 = FloatVector.fromArray(SPECIES, c, c1 + 2 * LENGTH).mul(f).add(s12);
            s13 = FloatVector.fromArray(SPECIES, c, c1 + 3 * LENGTH).mul(f).add(s13);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            s21 = FloatVector.fromArray(SPECIES, c, c2 + LENGTH).mul(f).add(s21);
            s22 = FloatVector.fromArray(SPECIES, c, c2 + 2 * LENGTH).mul(f).add(s22);
            s23 = FloatVector.fromArray(SPECIES, c, c2 + 3 * LENGTH).mul(f).add(s23);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
            s31 = FloatVector.fromArray(SPECIES, c, c3 + LENGTH).mul(f).add(s31);
            s32 = FloatVector.fromArray(SPECIES, c, c3 + 2 * LENGTH).mul(f).add(s32);
            s33 = FloatVector.fromArray(SPECIES, c, c3 + 3 * LENGTH).mul(f).add(s33);
        }
        s00.intoArray(c, c0);
        s01.intoArray(c, c0 + LENGTH);
        s02.intoArray(c, c0 + 2 * LENGTH);
        s03.intoArray(c, c0 + 3 * LENGTH);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LENGTH);
        s12.intoArray(c, c1 + 2 * LENGTH);
        s13.intoArray(c, c1 + 3 * LENGTH);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LENGTH);
        s22.intoArray(c, c2 + 2 * LENGTH);
        s23.intoArray(c, c2 + 3 * LENGTH);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LENGTH);
        s32.intoArray(c, c3 + 2 * LENGTH);
        s33.intoArray(c, c3 + 3 * LENGTH);
    }

    /** Six rows that run along the sum by two vectors. */
    private static void alongSixByTwo(
            float[] a,
            int aAt,
            int aRow,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero;
        FloatVector s10 = zero, s11 = zero;
        FloatVector s20 = zero, s21 = zero;
        FloatVector s30 = zero, s31 = zero;
        FloatVector s40 = zero, s41 = zero;
        FloatVector s50 = zero, s51 = zero;
        int a1 = aAt + aRow;
        int a2 = a1 + aRow;
        int a3 = a2 + aRow;
        int a4 = a3 + aRow;
        int a5 = a4 + aRow;
        for (int k = 0; k < depth; k++) {
            int from = bAt + k * bRow;
            FloatVector b0 = FloatVector.fromArray(SPECIES, b, from);
            FloatVector b1 = FloatVector.fromArray(SPECIES, b, from + LENGTH);
            FloatVector x = FloatVector.broadcast(SPECIES, a[aAt + k]);
            s00 = FMA ? x.fma(b0, s00) : x.mul(b0).add(s00);
            s01 = FMA ? x.fma(b1, s01) : x.mul(b1).add(s01);
            x = FloatVector.broadcast(SPECIES, a[a1 + k]);
            s10 = FMA ? x.fma(b0, s10) : x.mul(b0).add(s10);
            s11 = FMA ? x.fma(b1, s11) : x.mul(b1).add(s11);
            x = FloatVector.broadcast(SPECIES, a[a2 + k]);
            s20 = FMA ? x.fma(b0, s20) : x.mul(b0).add(s20);
            s21 = FMA ? x.fma(b1, s21) : x.mul(b1).add(s21);
            x = FloatVector.broadcast(SPECIES, a[a3 + k]);
            s30 = FMA ? x.fma(b0, s30) : x.mul(b0).add(s30);
            s31 = FMA ? x.fma(b1, s31) : x.mul(b1).add(s31);
            x = FloatVector.broadcast(SPECIES, a[a4 + k]);
            s40 = FMA ? x.fma(b0, s40) : x.mul(b0).add(s40);
            s41 = FMA ? x.fma(b1, s41) : x.mul(b1).add(s41);
            x = FloatVector.broadcast(SPECIES, a[a5 + k]);
            s50 = FMA ? x.fma(b0, s50) : x.mul(b0).add(s50);
            s51 = FMA ? x.fma(b1, s51) : x.mul(b1).add(s51);
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        int c4 = c3 + cRow;
        int c5 = c4 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            s01 = FloatVector.fromArray(SPECIES, c, c0 + LENGTH).mul(f).add(s01);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            s11 = FloatVector.fromArray(SPECIES, c, c1 + LENGTH).mul(f).add(s11);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            s21 = FloatVector.fromArray(SPECIES, c, c2 + LENGTH).mul(f).add(s21);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
            s31 = FloatVector.fromArray(SPECIES, c, c3 + LENGTH).mul(f).add(s31);
            f = factors[factorsAt + 4];
            s40 = FloatVector.fromArray(SPECIES, c, c4).mul(f).add(s40);
            s41 = FloatVector.fromArray(SPECIES, c, c4 + LENGTH).mul(f).add(s41);
            f = factors[factorsAt + 5];
            s50 = FloatVector.fromArray(SPECIES, c, c5).mul(f).add(s50);
            s51 = FloatVector.fromArray(SPECIES, c, c5 + LENGTH).mul(f).add(s51);
        }
        s00.intoArray(c, c0);
        s01.intoArray(c, c0 + LENGTH);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LENGTH);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LENGTH);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LENGTH);
        s40.intoArray(c, c4);
        s41.intoArray(c, c4 + LENGTH);
        s50.intoArray(c, c5);
        s51.intoArray(c, c5 + LENGTH);
    }

    /** Four rows that run along the sum by two vectors. */
    private static void alongFourByTwo(
            float[] a,
            int aAt,
            int aRow,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero;
        FloatVector s10 = zero, s11 = zero;
        FloatVector s20 = zero, s21 = zero;
        FloatVector s30 = zero, s31 = zero;
        int a1 = aAt + aRow;
        int a2 = a1 + aRow;
        int a3 = a2 + aRow;
        for (int k = 0; k < depth; k++) {
            int from = bAt + k * bRow;
            FloatVector b0 = FloatVector.fromArray(SPECIES, b, from);
            FloatVector b1 = FloatVector.fromArray(SPECIES, b, from + LENGTH);
            FloatVector x = FloatVector.broadcast(SPECIES, a[aAt + k]);
            s00 = FMA ? x.fma(b0, s00) : x.mul(b0).add(s00);
            s01 = FMA ? x.fma(b1, s01) : x.mul(b1).add(s01);
            x = FloatVector.broadcast(SPECIES, a[a1 + k]);
            s10 = FMA ? x.fma(b0, s10) : x.mul(b0).add(s10);
            s11 = FMA ? x.fma(b1, s11) : x.mul(b1).add(s11);
            x = FloatVector.broadcast(SPECIES, a[a2 + k]);
            s20 = FMA ? x.fma(b0, s20) : x.mul(b0).add(s20);
            s21 = FMA ? x.fma(b1, s21) : x.mul(b1).add(s21);
            x = FloatVector.broadcast(SPECIES, a[a3 + k]);
            s30 = FMA ? x.fma(b0, s30) : x.mul(b0).add(s30);
            s31 = FMA ? x.fma(b1, s31) : x.mul(b1).add(s31);
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            s01 = FloatVector.fromArray(SPECIES, c, c0 + LENGTH).mul(f).add(s01);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            s11 = FloatVector.fromArray(SPECIES, c, c1 + LENGTH).mul(f).add(s11);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            s21 = FloatVector.fromArray(SPECIES, c, c2 + LENGTH).mul(f).add(s21);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
            s31 = FloatVector.fromArray(SPECIES, c, c3 + LENGTH).mul(f).add(s31);
        }
        s00.intoArray(c, c0);
        s01.intoArray(c, c0 + LENGTH);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LENGTH);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LENGTH);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LENGTH);
    }

    /** Four rows that run along the sum by one vector. */
    private static void alongFourByOne(
            float[] a,
            int aAt,
            int aRow,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero;
        FloatVector s10 = zero;
        FloatVector s20 = zero;
        FloatVector s30 = zero;
        int a1 = aAt + aRow;
        int a2 = a1 + aRow;
        int a3 = a2 + aRow;
        for (int k = 0; k < depth; k++) {
            int from = bAt + k * bRow;
            FloatVector b0 = FloatVector.fromArray(SPECIES, b, from);
            FloatVector x = FloatVector.broadcast(SPECIES, a[aAt + k]);
            s00 = FMA ? x.fma(b0, s00) : x.mul(b0).add(s00);
            x = FloatVector.broadcast(SPECIES, a[a1 + k]);
            s10 = FMA ? x.fma(b0, s10) : x.mul(b0).add(s10);
            x = FloatVector.broadcast(SPECIES, a[a2 + k]);
            s20 = FMA ? x.fma(b0, s20) : x.mul(b0).add(s20);
            x = FloatVector.broadcast(SPECIES, a[a3 + k]);
            s30 = FMA ? x.fma(b0, s30) : x.mul(b0).add(s30);
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
        }
        s00.intoArray(c, c0);
        s10.intoArray(c, c1);
        s20.intoArray(c, c2);
        s30.intoArray(c, c3);
    }

    /** Six rows side by side by four vectors, all {@link #PANEL} apart. */
    private static void acrossSixByFour(
            float[] a,
            int aAt,
            float[] b,
            int bAt,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        FloatVector s20 = zero, s21 = zero, s22 = zero, s23 = zero;
        FloatVector s30 = zero, s31 = zero, s32 = zero, s33 = zero;
        FloatVector s40 = zero, s41 = zero, s42 = zero, s43 = zero;
        FloatVector s50 = zero, s51 = zero, s52 = zero, s53 = zero;
        for (int k = 0; k < depth; k++) {
            int at = aAt + k * PANEL;
            int from = bAt + k * PANEL;
            FloatVector b0 = FloatVector.fromArray(SPECIES, b, from);
            FloatVector b1 = FloatVector.fromArray(SPECIES, b, from + LENGTH);
            FloatVector b2 = FloatVector.fromArray(SPECIES, b, from + 2 * LENGTH);
            FloatVector b3 = FloatVector.fromArray(SPECIES, b, from + 3 * LENGTH);
            FloatVector x = FloatVector.broadcast(SPECIES, a[at]);
            s00 = FMA ? x.fma(b0, s00) : x.mul(b0).add(s00);
            s01 = FMA ? x.fma(b1, s01) : x.mul(b1).add(s01);
            s02 = FMA ? x.fma(b2, s02) : x.mul(b2).add(s02);
            s03 = FMA ? x.fma(b3, s03) : x.mul(b3).add(s03);
            x = FloatVector.broadcast(SPECIES, a[at + 1]);
            s10 = FMA ? x.fma(b0, s10) : x.mul(b0).add(s10);
            s11 = FMA ? x.fma(b1, s11) : x.mul(b1).add(s11);
            s12 = FMA ? x.fma(b2, s12) : x.mul(b2).add(s12);
            s13 = FMA ? x.fma(b3, s13) : x.mul(b3).add(s13);
            x = FloatVector.broadcast(SPECIES, a[at + 2]);
            s20 = FMA ? x.fma(b0, s20) : x.mul(b0).add(s20);
            s21 = FMA ? x.fma(b1, s21) : x.mul(b1).add(s21);
            s22 = FMA ? x.fma(b2, s22) : x.mul(b2).add(s22);
            s23 = FMA ? x.fma(b3, s23) : x.mul(b3).add(s23);
            x = FloatVector.broadcast(SPECIES, a[at + 3]);
            s30 = FMA ? x.fma(b0, s30) : x.mul(b0).add(s30);
            s31 = FMA ? x.fma(b1, s31) : x.mul(b1).add(s31);
            s32 = FMA ? x.fma(b2, s32) : x.mul(b2).add(s32);
            s33 = FMA ? x.fma(b3, s33) : x.mul(b3).add(s33);
            x = FloatVector.broadcast(SPECIES, a[at + 4]);
            s40 = FMA ? x.fma(b0, s40) : x.mul(b0).add(s40);
            s41 = FMA ? x.fma(b1, s41) : x.mul(b1).add(s41);
            s42 = FMA ? x.fma(b2, s42) : x.mul(b2).add(s42);
            s43 = FMA ? x.fma(b3, s43) : x.mul(b3).add(s43);
            x = FloatVector.broadcast(SPECIES, a[at + 5]);
            s50 = FMA ? x.fma(b0, s50) : x.mul(b0).add(s50);
            s51 = FMA ? x.fma(b1, s51) : x.mul(b1).add(s51);
            s52 = FMA ? x.fma(b2, s52) : x.mul(b2).add(s52);
            s53 = FMA ? x.fma(b3, s53) : x.mul(b3).add(s53);
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        int c4 = c3 + cRow;
        int c5 = c4 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            s01 = FloatVector.fromArray(SPECIES, c, c0 + LENGTH).mul(f).add(s01);
            s02 = FloatVector.fromArray(SPECIES, c, c0 + 2 * LENGTH).mul(f).add(s02);
            s03 = FloatVector.fromArray(SPECIES, c, c0 + 3 * LENGTH).mul(f).add(s03);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            s11 = FloatVector.fromArray(SPECIES, c, c1 + LENGTH).mul(f).add(s11);
            s12 = FloatVector.fromArray(SPECIES, c, c1 + 2 * LENGTH).mul(f).add(s12);
            s13 = FloatVector.fromArray(SPECIES, c, c1 + 3 * LENGTH).mul(f).add(s13);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            s21 = FloatVector.fromArray(SPECIES, c, c2 + LENGTH).mul(f).add(s21);
            s22 = FloatVector.fromArray(SPECIES, c, c2 + 2 * LENGTH).mul(f).add(s22);
            s23 = FloatVector.fromArray(SPECIES, c, c2 + 3 * LENGTH).mul(f).add(s23);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
            s31 = FloatVector.fromArray(SPECIES, c, c3 + LENGTH).mul(f).add(s31);
            s32 = FloatVector.fromArray(SPECIES, c, c3 + 2 * LENGTH).mul(f).add(s32);
            s33 = FloatVector.fromArray(SPECIES, c, c3 + 3 * LENGTH).mul(f).add(s33);
            f = factors[factorsAt + 4];
            s40 = FloatVector.fromArray(SPECIES, c, c4).mul(f).add(s40);
            s41 = FloatVector.fromArray(SPECIES, c, c4 + LENGTH).mul(f).add(s41);
            s42 = FloatVector.fromArray(SPECIES, c, c4 + 2 * LENGTH).mul(f).add(s42);
            s43 = FloatVector.fromArray(SPECIES, c, c4 + 3 * LENGTH).mul(f).add(s43);
            f = factors[factorsAt + 5];
            s50 = FloatVector.fromArray(SPECIES, c, c5).mul(f).add(s50);
            s51 = FloatVector.fromArray(SPECIES, c, c5 + LENGTH).mul(f).add(s51);
            s52 = FloatVector.fromArray(SPECIES, c, c5 + 2 * LENGTH).mul(f).add(s52);
            s53 = FloatVector.fromArray(SPECIES, c, c5 + 3 * LENGTH).mul(f).add(s53);
        }
        s00.intoArray(c, c0);
        s01.intoArray(c, c0 + LENGTH);
        s02.intoArray(c, c0 + 2 * LENGTH);
        s03.intoArray(c, c0 + 3 * LENGTH);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LENGTH);
        s12.intoArray(c, c1 + 2 * LENGTH);
        s13.intoArray(c, c1 + 3 * LENGTH);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LENGTH);
        s22.intoArray(c, c2 + 2 * LENGTH);
        s23.intoArray(c, c2 + 3 * LENGTH);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LENGTH);
        s32.intoArray(c, c3 + 2 * LENGTH);
        s33.intoArray(c, c3 + 3 * LENGTH);
        s40.intoArray(c, c4);
        s41.intoArray(c, c4 + LENGTH);
        s42.intoArray(c, c4 + 2 * LENGTH);
        s43.intoArray(c, c4 + 3 * LENGTH);
        s50.intoArray(c, c5);
        s51.intoArray(c, c5 + LENGTH);
        s52.intoArray(c, c5 + 2 * LENGTH);
        s53.intoArray(c, c5 + 3 * LENGTH);
    }

    /** Four rows side by side by four vectors, all {@link #PANEL} apart. */
    private static void acrossFourByFour(
            float[] a,
            int aAt,
            float[] b,
            int bAt,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero, s02 = zero, s03 = zero;
        FloatVector s10 = zero, s11 = zero, s12 = zero, s13 = zero;
        FloatVector s20 = zero, s21 = zero, s22 = zero, s23 = zero;
        FloatVector s30 = zero, s31 = zero, s32 = zero, s33 = zero;
        for (int k = 0; k < depth; k++) {
            int at = aAt + k * PANEL;
            int from = bAt + k * PANEL;
            FloatVector b0 = FloatVector.fromArray(SPECIES, b, from);
            FloatVector b1 = FloatVector.fromArray(SPECIES, b, from + LENGTH);
            FloatVector b2 = FloatVector.fromArray(SPECIES, b, from + 2 * LENGTH);
            FloatVector b3 = FloatVector.fromArray(SPECIES, b, from + 3 * LENGTH);
            FloatVector x = FloatVector.broadcast(SPECIES, a[at]);
            s00 = FMA ? x.fma(b0, s00) : x.mul(b0).add(s00);
            s01 = FMA ? x.fma(b1, s01) : x.mul(b1).add(s01);
            s02 = FMA ? x.fma(b2, s02) : x.mul(b2).add(s02);
            s03 = FMA ? x.fma(b3, s03) : x.mul(b3).add(s03);
            x = FloatVector.broadcast(SPECIES, a[at + 1]);
            s10 = FMA ? x.fma(b0, s10) : x.mul(b0).add(s10);
            s11 = FMA ? x.fma(b1, s11) : x.mul(b1).add(s11);
            s12 = FMA ? x.fma(b2, s12) : x.mul(b2).add(s12);
            s13 = FMA ? x.fma(b3, s13) : x.mul(b3).add(s13);
            x = FloatVector.broadcast(SPECIES, a[at + 2]);
            s20 = FMA ? x.fma(b0, s20) : x.mul(b0).add(s20);
            s21 = FMA ? x.fma(b1, s21) : x.mul(b1).add(s21);
            s22 = FMA ? x.fma(b2, s22) : x.mul(b2).add(s22);
            s23 = FMA ? x.fma(b3, s23) : x.mul(b3).add(s23);
            x = FloatVector.broadcast(SPECIES, a[at + 3]);
            s30 = FMA ? x.fma(b0, s30) : x.mul(b0).add(s30);
            s31 = FMA ? x.fma(b1, s31) : x.mul(b1).add(s31);
            s32 = FMA ? x.fma(b2, s32) : x.mul(b2).add(s32);
            s33 = FMA ? x.fma(b3, s33) : x.mul(b3).add(s33);
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            s01 = FloatVector.fromArray(SPECIES, c, c0 + LENGTH).mul(f).add(s01);
            s02 = FloatVector.fromArray(SPECIES, c, c0 + 2 * LENGTH).mul(f).add(s02);
            s03 = FloatVector.fromArray(SPECIES, c, c0 + 3 * LENGTH).mul(f).add(s03);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            s11 = FloatVector.fromArray(SPECIES, c, c1 + LENGTH).mul(f).add(s11);
            s12 = FloatVector.fromArray(SPECIES, c, c1 + 2 * LENGTH).mul(f).add(s12);
            s13 = FloatVector.fromArray(SPECIES, c, c1 + 3 * LENGTH).mul(f).add(s13);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            s21 = FloatVector.fromArray(SPECIES, c, c2 + LENGTH).mul(f).add(s21);
            s22 = FloatVector.fromArray(SPECIES, c, c2 + 2 * LENGTH).mul(f).add(s22);
            s23 = FloatVector.fromArray(SPECIES, c, c2 + 3 * LENGTH).mul(f).add(s23);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
            s31 = FloatVector.fromArray(SPECIES, c, c3 + LENGTH).mul(f).add(s31);
            s32 = FloatVector.fromArray(SPECIES, c, c3 + 2 * LENGTH).mul(f).add(s32);
            s33 = FloatVector.fromArray(SPECIES, c, c3 + 3 * LENGTH).mul(f).add(s33);
        }
        s00.intoArray(c, c0);
        s01.intoArray(c, c0 + LENGTH);
        s02.intoArray(c, c0 + 2 * LENGTH);
        s03.intoArray(c, c0 + 3 * LENGTH);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LENGTH);
        s12.intoArray(c, c1 + 2 * LENGTH);
        s13.intoArray(c, c1 + 3 * LENGTH);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LENGTH);
        s22.intoArray(c, c2 + 2 * LENGTH);
        s23.intoArray(c, c2 + 3 * LENGTH);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LENGTH);
        s32.intoArray(c, c3 + 2 * LENGTH);
        s33.intoArray(c, c3 + 3 * LENGTH);
    }

    /** Six rows side by side by two vectors. */
    private static void acrossSixByTwo(
            float[] a,
            int aAt,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero;
        FloatVector s10 = zero, s11 = zero;
        FloatVector s20 = zero, s21 = zero;
        FloatVector s30 = zero, s31 = zero;
        FloatVector s40 = zero, s41 = zero;
        FloatVector s50 = zero, s51 = zero;
        for (int k = 0; k < depth; k++) {
            int at = aAt + k * aStep;
            int from = bAt + k * bRow;
            FloatVector b0 = FloatVector.fromArray(SPECIES, b, from);
            FloatVector b1 = FloatVector.fromArray(SPECIES, b, from + LENGTH);
            FloatVector x = FloatVector.broadcast(SPECIES, a[at]);
            s00 = FMA ? x.fma(b0, s00) : x.mul(b0).add(s00);
            s01 = FMA ? x.fma(b1, s01) : x.mul(b1).add(s01);
            x = FloatVector.broadcast(SPECIES, a[at + 1]);
            s10 = FMA ? x.fma(b0, s10) : x.mul(b0).add(s10);
            s11 = FMA ? x.fma(b1, s11) : x.mul(b1).add(s11);
            x = FloatVector.broadcast(SPECIES, a[at + 2]);
            s20 = FMA ? x.fma(b0, s20) : x.mul(b0).add(s20);
            s21 = FMA ? x.fma(b1, s21) : x.mul(b1).add(s21);
            x = FloatVector.broadcast(SPECIES, a[at + 3]);
            s30 = FMA ? x.fma(b0, s30) : x.mul(b0).add(s30);
            s31 = FMA ? x.fma(b1, s31) : x.mul(b1).add(s31);
            x = FloatVector.broadcast(SPECIES, a[at + 4]);
            s40 = FMA ? x.fma(b0, s40) : x.mul(b0).add(s40);
            s41 = FMA ? x.fma(b1, s41) : x.mul(b1).add(s41);
            x = FloatVector.broadcast(SPECIES, a[at + 5]);
            s50 = FMA ? x.fma(b0, s50) : x.mul(b0).add(s50);
            s51 = FMA ? x.fma(b1, s51) : x.mul(b1).add(s51);
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        int c4 = c3 + cRow;
        int c5 = c4 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            s01 = FloatVector.fromArray(SPECIES, c, c0 + LENGTH).mul(f).add(s01);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            s11 = FloatVector.fromArray(SPECIES, c, c1 + LENGTH).mul(f).add(s11);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            s21 = FloatVector.fromArray(SPECIES, c, c2 + LENGTH).mul(f).add(s21);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
            s31 = FloatVector.fromArray(SPECIES, c, c3 + LENGTH).mul(f).add(s31);
            f = factors[factorsAt + 4];
            s40 = FloatVector.fromArray(SPECIES, c, c4).mul(f).add(s40);
            s41 = FloatVector.fromArray(SPECIES, c, c4 + LENGTH).mul(f).add(s41);
            f = factors[factorsAt + 5];
            s50 = FloatVector.fromArray(SPECIES, c, c5).mul(f).add(s50);
            s51 = FloatVector.fromArray(SPECIES, c, c5 + LENGTH).mul(f).add(s51);
        }
        s00.intoArray(c, c0);
        s01.intoArray(c, c0 + LENGTH);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LENGTH);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LENGTH);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LENGTH);
        s40.intoArray(c, c4);
        s41.intoArray(c, c4 + LENGTH);
        s50.intoArray(c, c5);
        s51.intoArray(c, c5 + LENGTH);
    }

    /** Four rows side by side by two vectors. */
    private static void acrossFourByTwo(
            float[] a,
            int aAt,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero, s01 = zero;
        FloatVector s10 = zero, s11 = zero;
        FloatVector s20 = zero, s21 = zero;
        FloatVector s30 = zero, s31 = zero;
        for (int k = 0; k < depth; k++) {
            int at = aAt + k * aStep;
            int from = bAt + k * bRow;
            FloatVector b0 = FloatVector.fromArray(SPECIES, b, from);
            FloatVector b1 = FloatVector.fromArray(SPECIES, b, from + LENGTH);
            FloatVector x = FloatVector.broadcast(SPECIES, a[at]);
            s00 = FMA ? x.fma(b0, s00) : x.mul(b0).add(s00);
            s01 = FMA ? x.fma(b1, s01) : x.mul(b1).add(s01);
            x = FloatVector.broadcast(SPECIES, a[at + 1]);
            s10 = FMA ? x.fma(b0, s10) : x.mul(b0).add(s10);
            s11 = FMA ? x.fma(b1, s11) : x.mul(b1).add(s11);
            x = FloatVector.broadcast(SPECIES, a[at + 2]);
            s20 = FMA ? x.fma(b0, s20) : x.mul(b0).add(s20);
            s21 = FMA ? x.fma(b1, s21) : x.mul(b1).add(s21);
            x = FloatVector.broadcast(SPECIES, a[at + 3]);
            s30 = FMA ? x.fma(b0, s30) : x.mul(b0).add(s30);
            s31 = FMA ? x.fma(b1, s31) : x.mul(b1).add(s31);
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            s01 = FloatVector.fromArray(SPECIES, c, c0 + LENGTH).mul(f).add(s01);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            s11 = FloatVector.fromArray(SPECIES, c, c1 + LENGTH).mul(f).add(s11);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            s21 = FloatVector.fromArray(SPECIES, c, c2 + LENGTH).mul(f).add(s21);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
            s31 = FloatVector.fromArray(SPECIES, c, c3 + LENGTH).mul(f).add(s31);
        }
        s00.intoArray(c, c0);
        s01.intoArray(c, c0 + LENGTH);
        s10.intoArray(c, c1);
        s11.intoArray(c, c1 + LENGTH);
        s20.intoArray(c, c2);
        s21.intoArray(c, c2 + LENGTH);
        s30.intoArray(c, c3);
        s31.intoArray(c, c3 + LENGTH);
    }

    /** Four rows side by side by one vector. */
    private static void acrossFourByOne(
            float[] a,
            int aAt,
            int aStep,
            float[] b,
            int bAt,
            int bRow,
            float[] c,
            int c0,
            int cRow,
            int depth,
            float[] factors,
            int factorsAt) {
        FloatVector zero = FloatVector.zero(SPECIES);
        FloatVector s00 = zero;
        FloatVector s10 = zero;
        FloatVector s20 = zero;
        FloatVector s30 = zero;
        for (int k = 0; k < depth; k++) {
            int at = aAt + k * aStep;
            int from = bAt + k * bRow;
            FloatVector b0 = FloatVector.fromArray(SPECIES, b, from);
            FloatVector x = FloatVector.broadcast(SPECIES, a[at]);
            s00 = FMA ? x.fma(b0, s00) : x.mul(b0).add(s00);
            x = FloatVector.broadcast(SPECIES, a[at + 1]);
            s10 = FMA ? x.fma(b0, s10) : x.mul(b0).add(s10);
            x = FloatVector.broadcast(SPECIES, a[at + 2]);
            s20 = FMA ? x.fma(b0, s20) : x.mul(b0).add(s20);
            x = FloatVector.broadcast(SPECIES, a[at + 3]);
            s30 = FMA ? x.fma(b0, s30) : x.mul(b0).add(s30);
        }
        int c1 = c0 + cRow;
        int c2 = c1 + cRow;
        int c3 = c2 + cRow;
        if (factors != null) {
            float f = factors[factorsAt];
            s00 = FloatVector.fromArray(SPECIES, c, c0).mul(f).add(s00);
            f = factors[factorsAt + 1];
            s10 = FloatVector.fromArray(SPECIES, c, c1).mul(f).add(s10);
            f = factors[factorsAt + 2];
            s20 = FloatVector.fromArray(SPECIES, c, c2).mul(f).add(s20);
            f = factors[factorsAt + 3];
            s30 = FloatVector.fromArray(SPECIES, c, c3).mul(f).add(s30);
        }
        s00.intoArray(c, c0);
        s10.intoArray(c, c1);
        s20.intoArray(c, c2);
        s30.intoArray(c, c3);
    }
}
