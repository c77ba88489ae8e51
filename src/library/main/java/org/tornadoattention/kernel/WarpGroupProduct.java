package org.tornadoattention.kernel;

import org.tornadoattention.intrinsic.Reinterpret;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import org.tornadoattention.kernel.parts.TanhGelu;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * {@code C = A B} on Hopper's tensor cores, with A {@code [rows, depth]} and B {@code [depth, columns]} of 16 bits and
 * C {@code [rows, columns]}: the products of a model around attention, faster than {@link MatrixProduct}, whose factors
 * are F32 and are read twice as long.
 *
 * <p><b>Factors</b> are read as they lie, since the tensor cores take either direction: A as it is or as {@code [depth,
 * rows]}, B as it is or as {@code [columns, depth]}. So a matrix serves the product and both of its gradients, without
 * a copy. {@code form}, a sum of the constants here, says which.
 *
 * <p><b>Attention's arrays.</b> A matrix {@code [batch * sequence, heads * headDim]} may lie as {@code [batch, heads,
 * sequence, headDim]}, and its columns may be those of three such arrays, one behind the other: queries, keys and
 * values.
 *
 * <p><b>What becomes of a product</b> is its {@code ending}, in F32, or in 16 bits with {@link #NARROW}: one of
 * {@link MatrixProduct}, {@link #GELU} or {@link #GELU_GRADIENT}.
 *
 * <p>A group has a warp group for each 64 of its 128 or 192 rows of C, and 128 or 256 columns. Slices of A and B, 64
 * deep, have four places in local memory: one is multiplied, one may still be read by the product before, two are on
 * their way. It needs {@link WarpGroup}, and 224 KiB of local memory at most. Rows, columns and {@code headDim} are
 * multiples of 8.
 */
public final class WarpGroupProduct {

    /** How deep a slice is; the depth of a product is a multiple of it. */
    public static final int DEPTH = 64;

    /** A lies as {@code [depth, rows]}, and B by rows too; a constant for {@code form}. */
    public static final int A_BY_DEPTH = 1;

    /** B lies as {@code [depth, columns]}, otherwise as {@code [columns, depth]}; a constant for {@code form}. */
    public static final int B_BY_DEPTH = 2;

    /** A's columns are heads of attention's arrays; a constant for {@code form}. */
    public static final int A_IN_HEADS = 4;

    /** B's columns are heads of attention's arrays; a constant for {@code form}. */
    public static final int B_IN_HEADS = 8;

    /** C's columns are heads of attention's arrays; a constant for {@code form}. */
    public static final int C_IN_HEADS = 16;

    /** The columns of the matrix that is in heads are those of three arrays; a constant for {@code form}. */
    public static final int OF_THREE = 32;

    /** C is of 16 bits; a constant for {@code form}. */
    public static final int NARROW = 64;

    /** C in one array, and {@code gelu(C)}, by the hyperbolic tangent, in another; a constant for {@code ending}. */
    public static final int GELU = 4;

    /** C times the slope of that function at another matrix; a constant for {@code ending}. */
    public static final int GELU_GRADIENT = 5;

    private static final int WIDEST = 256;
    private static final int PLACES = 4;
    /** Rows of C of a warp group. */
    private static final int ROWS = 64;
    /** Bytes of 64 rows, or columns, of a slice. */
    private static final int BLOCK = 64 * WarpGroup.ROW_BYTES;
    /** Sums of a work-item that are written by one loop. */
    private static final int PIECE = 16;
    /** Where numbers whose slopes are taken begin, behind those that are written. */
    private static final int SLOPES = 4;
    /** What rows are multiplied with in a tile's number. */
    private static final int TALL = 512;

    private WarpGroupProduct() {}

    /**
     * What a group computes of C, so that few multiprocessors wait for others: 128 or 192 rows, 128 or 256 columns.
     *
     * @param rows of C
     * @param columns of C
     * @param form a sum of the constants here
     * @param parts of the depth
     * @param multiprocessors of the device
     * @return the tile's number, for {@code tile}
     */
    public static int tile(int rows, int columns, int form, int parts, int multiprocessors) {
        int wide = columns % WIDEST == 0 ? WIDEST : WIDEST / 2;
        int low = 2 * ROWS * TALL + wide;
        int tall = 3 * ROWS * TALL + wide;
        boolean fewer =
                waves(rows, columns, tall, parts, multiprocessors) < waves(rows, columns, low, parts, multiprocessors);
        return fewer && form % 2 == 0 ? tall : low; // by depth, 192 rows have too few registers
    }

    /**
     * How long a product takes, by the time of a row of a tile and a part of the depth.
     *
     * @param rows of C
     * @param columns of C
     * @param tile of {@link #tile}
     * @param parts of the depth
     * @param multiprocessors of the device
     * @return rows that a multiprocessor computes one behind the other, of parts
     */
    public static int waves(int rows, int columns, int tile, int parts, int multiprocessors) {
        return Math.ceilDiv(groups(rows, columns, tile, parts), multiprocessors) * (tile / TALL);
    }

    /**
     * The groups that {@link #multiply} wants.
     *
     * @param rows of C
     * @param columns of C
     * @param tile of {@link #tile}
     * @param parts of the depth
     * @return groups of {@link #group} work-items
     */
    public static int groups(int rows, int columns, int tile, int parts) {
        return parts * Math.ceilDiv(rows, tile / TALL) * Math.ceilDiv(columns, tile % TALL);
    }

    /**
     * How many work-items a group of {@link #multiply} has.
     *
     * @param tile of {@link #tile}
     * @return 256 or 384
     */
    public static int group(int tile) {
        return 2 * (tile / TALL);
    }

    /**
     * The product, or its parts in F32, {@code [parts, rows, columns]}, for {@link MatrixProduct#addParts} to add up.
     *
     * @param context the work-item
     * @param a factor, raw bits of its type
     * @param b factor, likewise
     * @param second the second array of a factor {@link #OF_THREE}; with {@link #GELU_GRADIENT} where the slope is
     *     taken
     * @param third the third array of a factor {@link #OF_THREE}
     * @param bias {@code [columns]} where the ending wants one, otherwise any array
     * @param c the product in F32
     * @param narrow the product in 16 bits, or the first of three
     * @param narrowSecond the second of three; with {@link #GELU} the function of the product
     * @param narrowThird the third of three
     * @param rows of C
     * @param columns of C
     * @param depth of both factors, a multiple of {@link #DEPTH}
     * @param tile of {@link #tile}
     * @param parts that the depth is cut into, 1 with {@link #NARROW}
     * @param form a sum of the constants here
     * @param ending what becomes of the product
     * @param type {@link Warp#F16} or {@link Warp#BF16}
     * @param sequence tokens of a sequence, of matrices in heads; otherwise any number above 0
     * @param headDim elements of a head, likewise
     */
    public static void multiply(
            KernelContext context,
            ShortArray a,
            ShortArray b,
            ShortArray second,
            ShortArray third,
            FloatArray bias,
            FloatArray c,
            ShortArray narrow,
            ShortArray narrowSecond,
            ShortArray narrowThird,
            int rows,
            int columns,
            int depth,
            int tile,
            int parts,
            int form,
            int ending,
            int type,
            int sequence,
            int headDim) {
        Warp.requireGroupSize(2 * (tile / TALL));
        int wide = tile % TALL;
        int tall = tile / TALL;
        int[] slices = context.allocateIntLocalArray(PLACES * (tall + wide) * WarpGroup.ROW_BYTES / 4);
        float[] sums = new float[wide / 2];
        float[] written = new float[8];
        int[] packed = new int[20];
        int item = context.localIdx;
        int down = (rows + tall - 1) / tall;
        int across = (columns + wide - 1) / wide;
        int part = context.groupIdx / (across * down);
        int firstRow = context.groupIdx % down * tall;
        int firstColumn = context.groupIdx / down % across * wide;
        int from = part * ((depth / DEPTH + parts - 1) / parts * DEPTH);
        int to = TornadoMath.min(depth, from + (depth / DEPTH + parts - 1) / parts * DEPTH);
        int place = (tall + wide) * WarpGroup.ROW_BYTES;
        int own = Warp.uniform(item / WarpGroup.LANES) * BLOCK;
        int beyondA = tall * WarpGroup.ROW_BYTES;
        for (int i = 0; i < wide / 2; i++) {
            sums[i] = 0f;
        }
        // spotless:off: calls in rows
        for (int ahead = 0; ahead < PLACES - 2; ahead++) {
            int k = from + ahead * DEPTH;
            if (k < to) {
                int at = ahead * place;
                loadA(slices, at, a, second, third, firstRow, rows, k, depth, tile, form, sequence, headDim, item);
                at = at + beyondA;
                loadB(
                        slices, at, b, second, third, firstColumn, columns, k, depth, tile, form, sequence,
                        headDim, item);
            }
            context.asyncCopyCommit();
        }
        for (int k = from; k < to; k += DEPTH) {
            context.asyncCopyWaitGroup(PLACES - 3); // this slice is here, and
            WarpGroup.fenceLocalMemory();
            context.localBarrier(); // the slice before the last one has been multiplied by all
            int next = k + (PLACES - 2) * DEPTH;
            if (next < to) {
                int at = (next - from) / DEPTH % PLACES * place;
                loadA(slices, at, a, second, third, firstRow, rows, next, depth, tile, form, sequence, headDim, item);
                at = at + beyondA;
                loadB(
                        slices, at, b, second, third, firstColumn, columns, next, depth, tile, form, sequence,
                        headDim, item);
            }
            context.asyncCopyCommit();
            int atA = (k - from) / DEPTH % PLACES * place;
            int atB = atA + beyondA;
            WarpGroup.fence();
            for (int x = 0; x < DEPTH / 16; x++) {
                if (form % 2 == 1) {
                    WarpGroup.multiplyByRows(
                            type, sums, wide, slices, atA + own + BLOCK / 4 * x, atB + BLOCK / 4 * x, BLOCK, 1);
                } else if (form / B_BY_DEPTH % 2 == 1) {
                    WarpGroup.multiply(type, sums, wide, slices, atA + own + 32 * x, atB + BLOCK / 4 * x, BLOCK, 1);
                } else {
                    WarpGroup.multiply(type, sums, wide, slices, atA + own + 32 * x, atB + 32 * x, 1);
                }
            }
            WarpGroup.commit();
            WarpGroup.await(1, sums, wide / 2);
        }
        WarpGroup.await(0, sums, wide / 2);
        // After lanes have exchanged sums, each has four columns side by side of one row, or eight.
        int row = firstRow + item / 32 * 16 + item % 32 / 4 + item % 2 * 8;
        if (form / NARROW % 2 == 0) {
            int column = firstColumn + item % 4 / 2 * 4;
            int before = part * rows;
            end(c, bias, sums, 0, written, before, row, column, rows, columns, ending, item);
            end(c, bias, sums, PIECE, written, before, row, column, rows, columns, ending, item);
            end(c, bias, sums, 2 * PIECE, written, before, row, column, rows, columns, ending, item);
            end(c, bias, sums, 3 * PIECE, written, before, row, column, rows, columns, ending, item);
            if (wide == WIDEST) {
                end(c, bias, sums, 4 * PIECE, written, before, row, column, rows, columns, ending, item);
                end(c, bias, sums, 5 * PIECE, written, before, row, column, rows, columns, ending, item);
                end(c, bias, sums, 6 * PIECE, written, before, row, column, rows, columns, ending, item);
                end(c, bias, sums, 7 * PIECE, written, before, row, column, rows, columns, ending, item);
            }
        } else {
            int column = firstColumn + item % 4 / 2 * 8;
            readSlopes(packed, 0, second, row, column, rows, columns, ending);
            endNarrow(
                    narrow, narrowSecond, narrowThird, second, bias, sums, 0, written, packed, row, column, rows,
                    columns, wide, form, ending, type, sequence, headDim, item);
            endNarrow(
                    narrow, narrowSecond, narrowThird, second, bias, sums, PIECE, written, packed, row, column,
                    rows, columns, wide, form, ending, type, sequence, headDim, item);
            endNarrow(
                    narrow, narrowSecond, narrowThird, second, bias, sums, 2 * PIECE, written, packed, row, column,
                    rows, columns, wide, form, ending, type, sequence, headDim, item);
            endNarrow(
                    narrow, narrowSecond, narrowThird, second, bias, sums, 3 * PIECE, written, packed, row, column,
                    rows, columns, wide, form, ending, type, sequence, headDim, item);
            if (wide == WIDEST) {
                endNarrow(
                        narrow, narrowSecond, narrowThird, second, bias, sums, 4 * PIECE, written, packed, row,
                        column, rows, columns, wide, form, ending, type, sequence, headDim, item);
                endNarrow(
                        narrow, narrowSecond, narrowThird, second, bias, sums, 5 * PIECE, written, packed, row,
                        column, rows, columns, wide, form, ending, type, sequence, headDim, item);
                endNarrow(
                        narrow, narrowSecond, narrowThird, second, bias, sums, 6 * PIECE, written, packed, row,
                        column, rows, columns, wide, form, ending, type, sequence, headDim, item);
                endNarrow(
                        narrow, narrowSecond, narrowThird, second, bias, sums, 7 * PIECE, written, packed, row,
                        column, rows, columns, wide, form, ending, type, sequence, headDim, item);
            }
        }
        // spotless:on
    }

    /**
     * Writes {@link #PIECE} sums of each lane in F32. A loop over all of them is not unrolled, and they would not stay
     * in registers. Lanes come to have four columns side by side: even ones of their first row, odd ones of that 8
     * below. Adding is left to L2, since a lane would wait for what it reads; every element is added to once.
     */
    private static void end(
            FloatArray c,
            FloatArray bias,
            float[] sums,
            int first,
            float[] four,
            int rowsBefore,
            int row,
            int firstColumn,
            int rows,
            int columns,
            int ending,
            int item) {
        int odd = -(item % 2);
        for (int i = 0; i < PIECE; i += 4) {
            float left = Warp.shuffleXor(either(odd, sums[first + i], sums[first + i + 2]), 1);
            float right = Warp.shuffleXor(either(odd, sums[first + i + 1], sums[first + i + 3]), 1);
            four[0] = either(odd, left, sums[first + i]);
            four[1] = either(odd, right, sums[first + i + 1]);
            four[2] = either(odd, sums[first + i + 2], left);
            four[3] = either(odd, sums[first + i + 3], right);
            int column = firstColumn + (first + i) * 2;
            int inside = TornadoMath.min(rows - row, columns - column);
            if (inside > 0) {
                if (ending == MatrixProduct.BIAS || ending == MatrixProduct.BIAS_GELU) {
                    for (int j = 0; j < 4; j++) {
                        four[j] += Warp.load(bias, column + j);
                    }
                }
                if (ending == MatrixProduct.BIAS_GELU) {
                    for (int j = 0; j < 4; j++) {
                        four[j] = MatrixProduct.gelu(four[j]);
                    }
                }
                if (ending == MatrixProduct.ADD) {
                    Warp.addFour(c, (rowsBefore + row) * columns + column, four, 0);
                } else {
                    Warp.storeFour(c, (rowsBefore + row) * columns + column, four, 0);
                }
            }
        }
    }

    /**
     * Likewise in 16 bits: eight columns side by side, of an accumulator for the lower lanes and the next for others.
     */
    private static void endNarrow(
            ShortArray narrow,
            ShortArray narrowSecond,
            ShortArray narrowThird,
            ShortArray slopeAt,
            FloatArray bias,
            float[] sums,
            int first,
            float[] eight,
            int[] packed,
            int row,
            int firstColumn,
            int rows,
            int columns,
            int wide,
            int form,
            int ending,
            int type,
            int sequence,
            int headDim,
            int item) {
        int odd = -(item % 2);
        int upper = -(item % 4 / 2);
        if (first + PIECE < wide / 2) {
            readSlopes(packed, first + PIECE, slopeAt, row, firstColumn, rows, columns, ending);
        }
        for (int i = 0; i < PIECE; i += 8) {
            for (int j = 0; j < 8; j += 4) {
                float left = Warp.shuffleXor(either(odd, sums[first + i + j], sums[first + i + j + 2]), 1);
                float right = Warp.shuffleXor(either(odd, sums[first + i + j + 1], sums[first + i + j + 3]), 1);
                eight[j] = either(odd, left, sums[first + i + j]);
                eight[j + 1] = either(odd, right, sums[first + i + j + 1]);
                eight[j + 2] = either(odd, sums[first + i + j + 2], left);
                eight[j + 3] = either(odd, sums[first + i + j + 3], right);
            }
            for (int j = 0; j < 4; j++) {
                float other = Warp.shuffleXor(either(upper, eight[j], eight[j + 4]), 2);
                float own = either(upper, eight[j + 4], eight[j]);
                eight[j] = either(upper, other, own);
                eight[j + 4] = either(upper, own, other);
            }
            int column = firstColumn + (first + i) * 2;
            int inside = TornadoMath.min(rows - row, columns - column);
            if (inside > 0) {
                int at = row * columns + column;
                if (ending == MatrixProduct.BIAS || ending == MatrixProduct.BIAS_GELU) {
                    for (int j = 0; j < 8; j++) {
                        eight[j] += Warp.load(bias, column + j);
                    }
                }
                if (ending == MatrixProduct.BIAS_GELU) {
                    for (int j = 0; j < 8; j++) {
                        eight[j] = MatrixProduct.gelu(eight[j]);
                    }
                }
                if (ending == GELU_GRADIENT) {
                    for (int j = 0; j < 4; j++) {
                        int z = packed[SLOPES + first % (2 * PIECE) / 2 + i / 2 + j];
                        eight[2 * j] *= TanhGelu.fastSlope(Warp.unpack(type, z, 0));
                        eight[2 * j + 1] *= TanhGelu.fastSlope(Warp.unpack(type, z, 1));
                    }
                }
                for (int j = 0; j < 4; j++) {
                    packed[j] = Warp.pack(type, eight[2 * j], eight[2 * j + 1]);
                }
                storeInHeads(narrow, narrowSecond, narrowThird, packed, row, column, columns, form, sequence, headDim);
                if (ending == GELU) {
                    for (int j = 0; j < 4; j++) {
                        packed[j] = Warp.pack(type, TanhGelu.fast(eight[2 * j]), TanhGelu.fast(eight[2 * j + 1]));
                    }
                    Warp.storeEight(narrowSecond, at, packed, 0);
                }
            }
        }
    }

    /** Starts to read where the slopes of a piece are taken, while the piece before is written. */
    private static void readSlopes(
            int[] packed, int first, ShortArray at, int row, int firstColumn, int rows, int columns, int ending) {
        if (ending == GELU_GRADIENT) {
            for (int i = 0; i < PIECE; i += 8) {
                int column = firstColumn + (first + i) * 2;
                int inside = TornadoMath.min(rows - row, columns - column);
                int place = SLOPES + first % (2 * PIECE) / 2 + i / 2;
                Warp.loadEight(packed, place, at, inside > 0 ? row * columns + column : 0, 0, 0);
            }
        }
    }

    /** The first if all bits of the mask are set, the second if none is: without a branch. */
    private static float either(int mask, float ifSet, float otherwise) {
        return Reinterpret.asFloat(Reinterpret.asInt(ifSet) & mask | Reinterpret.asInt(otherwise) & ~mask);
    }

    private static void storeInHeads(
            ShortArray first,
            ShortArray second,
            ShortArray third,
            int[] packed,
            int row,
            int column,
            int columns,
            int form,
            int sequence,
            int headDim) {
        if (form / C_IN_HEADS % 2 == 0) {
            Warp.storeEight(first, row * columns + column, packed, 0);
        } else if (form / OF_THREE % 2 == 0) {
            Warp.storeEight(first, inHeads(row, column, columns, sequence, headDim), packed, 0);
        } else {
            int at = inHeads(row, column % (columns / 3), columns / 3, sequence, headDim);
            int which = column / (columns / 3);
            if (which == 0) {
                Warp.storeEight(first, at, packed, 0);
            }
            if (which == 1) {
                Warp.storeEight(second, at, packed, 0);
            }
            if (which == 2) {
                Warp.storeEight(third, at, packed, 0);
            }
        }
    }

    /** Where an element of a matrix lies in attention's {@code [batch, heads, sequence, headDim]}. */
    private static int inHeads(int row, int column, int columns, int sequence, int headDim) {
        int head = row / sequence * (columns / headDim) + column / headDim;
        return (head * sequence + row % sequence) * headDim + column % headDim;
    }

    /** Starts the copy of A's part of a slice; past the last row it is one of the last again. */
    private static void loadA(
            int[] slices,
            int at,
            ShortArray a,
            ShortArray second,
            ShortArray third,
            int first,
            int rows,
            int k,
            int depth,
            int tile,
            int form,
            int sequence,
            int headDim,
            int item) {
        int tall = tile / TALL;
        int items = 2 * tall;
        for (int i = 0; i < 4; i++) { // 8 chunks for each row, half a row for each work-item
            int chunk = i * items + item;
            if (form % 2 == 0) {
                int row = first + chunk / 8;
                if (rows % tall != 0) {
                    row = TornadoMath.min(row, rows - 1);
                }
                int to = at + WarpGroup.chunk(chunk / 8, chunk % 8);
                int column = k + chunk % 8 * 8;
                copyRow(slices, to, a, second, third, row, column, depth, form / A_IN_HEADS, form, sequence, headDim);
            } else {
                int step = chunk / (tall / 8);
                int along = chunk % (tall / 8);
                int column = first + along * 8;
                if (rows % tall != 0) {
                    column = TornadoMath.min(column, rows - 8);
                }
                int to = at + along / 8 * BLOCK + WarpGroup.chunk(step, along % 8);
                copyStep(
                        slices,
                        to,
                        a,
                        second,
                        third,
                        k,
                        step,
                        column,
                        rows,
                        form / A_IN_HEADS,
                        form,
                        sequence,
                        headDim);
            }
        }
    }

    /** The same for B. */
    private static void loadB(
            int[] slices,
            int at,
            ShortArray b,
            ShortArray second,
            ShortArray third,
            int first,
            int columns,
            int k,
            int depth,
            int tile,
            int form,
            int sequence,
            int headDim,
            int item) {
        int wide = tile % TALL;
        int items = 2 * (tile / TALL);
        for (int i = 0; i < (8 * wide + items - 1) / items; i++) {
            int chunk = i * items + item;
            if (chunk < 8 * wide) {
                if (form / B_BY_DEPTH % 2 == 0) {
                    int row = first + chunk / 8;
                    if (columns % wide != 0) {
                        row = TornadoMath.min(row, columns - 1);
                    }
                    int to = at + WarpGroup.chunk(chunk / 8, chunk % 8);
                    Warp.copyAsync(slices, to, b, row * depth + k + chunk % 8 * 8, 16);
                } else {
                    int step = chunk / (wide / 8);
                    int along = chunk % (wide / 8);
                    int column = first + along * 8;
                    if (columns % wide != 0) {
                        column = TornadoMath.min(column, columns - 8);
                    }
                    int to = at + along / 8 * BLOCK + WarpGroup.chunk(step, along % 8);
                    copyStep(
                            slices,
                            to,
                            b,
                            second,
                            third,
                            k,
                            step,
                            column,
                            columns,
                            form / B_IN_HEADS,
                            form,
                            sequence,
                            headDim);
                }
            }
        }
    }

    /**
     * Starts the copy of eight elements of row {@code k + step}; {@code inHeads} is odd if the matrix lies as heads.
     */
    private static void copyStep(
            int[] slices,
            int to,
            ShortArray one,
            ShortArray second,
            ShortArray third,
            int k,
            int step,
            int column,
            int columns,
            int inHeads,
            int form,
            int sequence,
            int headDim) {
        if (inHeads % 2 == 0) {
            Warp.copyAsync(slices, to, one, (k + step) * columns + column, 16);
        } else if (sequence % DEPTH == 0) { // a slice is of one sequence
            int own = ofOne(columns, form);
            int from = inHeads(k, column % own, own, sequence, headDim) + step * headDim;
            copy(slices, to, one, second, third, from, column / own, form);
        } else {
            int own = ofOne(columns, form);
            int from = inHeads(k + step, column % own, own, sequence, headDim);
            copy(slices, to, one, second, third, from, column / own, form);
        }
    }

    /** Starts the copy of eight elements of a row. */
    private static void copyRow(
            int[] slices,
            int to,
            ShortArray one,
            ShortArray second,
            ShortArray third,
            int row,
            int column,
            int columns,
            int inHeads,
            int form,
            int sequence,
            int headDim) {
        if (inHeads % 2 == 0) {
            Warp.copyAsync(slices, to, one, row * columns + column, 16);
        } else {
            int own = ofOne(columns, form);
            int from = inHeads(row, column % own, own, sequence, headDim);
            copy(slices, to, one, second, third, from, column / own, form);
        }
    }

    /** Columns that one array has. */
    private static int ofOne(int columns, int form) {
        return form / OF_THREE % 2 == 0 ? columns : columns / 3;
    }

    private static void copy(
            int[] slices, int to, ShortArray one, ShortArray second, ShortArray third, int from, int which, int form) {
        if (form / OF_THREE % 2 == 0) {
            Warp.copyAsync(slices, to, one, from, 16);
        } else {
            if (which == 0) {
                Warp.copyAsync(slices, to, one, from, 16);
            }
            if (which == 1) {
                Warp.copyAsync(slices, to, second, from, 16);
            }
            if (which == 2) {
                Warp.copyAsync(slices, to, third, from, 16);
            }
        }
    }
}
