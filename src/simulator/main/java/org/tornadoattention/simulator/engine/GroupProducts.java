package org.tornadoattention.simulator.engine;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.tornadoattention.simulator.FaultKind;
import org.tornadoattention.simulator.SimulatorFaultException;

/**
 * The asynchronous matrix products of a lane of a warp group. They read registers and local memory when they are
 * awaited, and until then the accumulators hold NaN, so that a kernel that forgets to wait, or changes an operand too
 * early, gets as wrong a result as on a device.
 */
final class GroupProducts {

    /**
     * A product as its lane started it. {@code a} is null if A lies in local memory, at byte {@code atA};
     * {@code transposed} says that B's rows are C's columns, {@code rowsAlongDepth} that rows of A in local memory are
     * C's columns.
     */
    record Product(
            int type,
            float[] c,
            int columns,
            int[] a,
            int atA,
            LocalArray array,
            int[] tile,
            int atB,
            int strideB,
            boolean transposed,
            boolean rowsAlongDepth,
            boolean accumulate) {

        int elementBytes() {
            return type == WarpIntrinsics.E4M3 ? Byte.BYTES : Short.BYTES;
        }

        int depth() {
            return OPERAND_BYTES / elementBytes();
        }

        /** Bytes of local memory that operands, and the blocks of B behind the first, begin at. */
        int[] addresses() {
            return new int[] {a == null ? atA : 0, atB, columns > BLOCK_COLUMNS ? strideB : 0};
        }

        boolean sameAs(Product other) {
            return type == other.type
                    && columns == other.columns
                    && (a == null) == (other.a == null)
                    && atA == other.atA
                    && tile == other.tile
                    && atB == other.atB
                    && strideB == other.strideB
                    && transposed == other.transposed
                    && rowsAlongDepth == other.rowsAlongDepth
                    && accumulate == other.accumulate;
        }
    }

    /** Bytes of a row of an operand, whatever its type. */
    private static final int OPERAND_BYTES = 32;

    /** Operands begin at whole chunks, of which an address in a matrix descriptor is the number. */
    private static final int CHUNK_BYTES = 16;

    private static final int BLOCK_COLUMNS = 64;
    private static final int MAX_COLUMNS = 256;

    private final WorkItem item;
    private final boolean watched;
    private final Deque<List<Product>> committed = new ArrayDeque<>();
    private final Map<float[], float[]> underWay = new IdentityHashMap<>();
    private List<Product> open = new ArrayList<>();
    private int started;

    GroupProducts(WorkItem item) {
        this.item = item;
        this.watched = item.launch().options().watchesLocalMemory();
    }

    int started() {
        return started;
    }

    void start(Product product) {
        started++;
        if (item.localSize(0) % WarpGroupIntrinsics.LANES != 0) {
            throw illegal("multiplies as a warp group in a group of " + item.localSize(0)
                    + " work-items; it needs a multiple of " + WarpGroupIntrinsics.LANES);
        }
        if (product.columns % 8 != 0 || product.columns < 8 || product.columns > MAX_COLUMNS) {
            throw illegal("multiplies " + product.columns + " columns; it must be a multiple of 8 up to 256");
        }
        if (product.rowsAlongDepth && product.columns > BLOCK_COLUMNS && product.strideB == 0) {
            throw illegal("multiplies " + product.columns + " columns by rows; it must be at most " + BLOCK_COLUMNS
                    + ", or several blocks of B");
        }
        for (int address : product.addresses()) {
            if (address % CHUNK_BYTES != 0) {
                throw illegal("multiplies from " + product.array.name() + " at byte " + address
                        + "; the offset must be a multiple of " + CHUNK_BYTES);
            }
        }
        if (product.c.length < product.columns / 2) {
            throw illegal("multiplies " + product.columns + " columns into " + product.c.length
                    + " accumulators; it needs half as many as columns");
        }
        underWay.computeIfAbsent(product.c, c -> {
            float[] values = c.clone();
            Arrays.fill(c, Float.NaN);
            return values;
        });
        open.add(product);
    }

    void commit() {
        committed.add(open);
        open = new ArrayList<>();
    }

    void await(int pending) {
        while (committed.size() > pending) {
            List<Product> products = committed.remove();
            Warp warp = item.warp();
            Object[] lanes = warp.meet(item, "await", products);
            if (lanes != null) {
                warp.answer(item, multiply(lanes));
            }
            Object[] sums = (Object[]) warp.answer(item);
            for (int i = 0; i < products.size(); i++) {
                Product product = products.get(i);
                float[] values = underWay.get(product.c);
                float[] sum = (float[]) sums[i];
                if (product.accumulate) {
                    for (int j = 0; j < sum.length; j++) {
                        values[j] += sum[j];
                    }
                } else {
                    System.arraycopy(sum, 0, values, 0, sum.length);
                }
            }
            for (Product product : products) {
                float[] values = underWay.get(product.c);
                if (values != null && !isUnderWay(product.c)) {
                    System.arraycopy(values, 0, product.c, 0, values.length);
                    underWay.remove(product.c);
                }
            }
        }
    }

    private boolean isUnderWay(float[] c) {
        for (List<Product> products : committed) {
            if (isSummedIn(c, products)) {
                return true;
            }
        }
        return isSummedIn(c, open);
    }

    private static boolean isSummedIn(float[] c, List<Product> products) {
        for (int i = 0; i < products.size(); i++) {
            if (products.get(i).c == c) {
                return true;
            }
        }
        return false;
    }

    /** The products of a warp: for each lane, for each product, its part of A · B. */
    @SuppressWarnings("unchecked")
    private Object[] multiply(Object[] lanes) {
        List<Product> first = (List<Product>) lanes[0];
        Object[] results = new Object[lanes.length];
        for (int lane = 0; lane < lanes.length; lane++) {
            List<Product> own = (List<Product>) lanes[lane];
            boolean same = own.size() == first.size();
            for (int i = 0; same && i < own.size(); i++) {
                same = own.get(i).sameAs(first.get(i));
            }
            if (!same) {
                throw illegal("and the first lane of its warp awaits other products than lane " + lane
                        + "; all lanes of a warp group must start the same ones");
            }
            results[lane] = new Object[first.size()];
        }
        if (!first.isEmpty()) {
            requireFenced(first.getFirst());
        }
        for (int i = 0; i < first.size(); i++) {
            Product product = first.get(i);
            double[] a = product.a == null ? tileOfA(product) : registersOfA(lanes, i);
            double[] b = product.transposed ? columnsOfB(product) : rowsOfB(product);
            for (int lane = 0; lane < lanes.length; lane++) {
                ((Object[]) results[lane])[i] = sums(lane, a, b, product.depth());
            }
            for (int n = 0; n < product.columns / 8; n++) {
                item.counters().mma(product.depth());
            }
        }
        return results;
    }

    private void requireFenced(Product product) {
        for (WorkItem other : item.group().items()) {
            if (other.asyncCopies().unfenced()) {
                throw illegal("multiplies from " + product.array.name() + ", to which work-item "
                        + item.group().itemName(other.id())
                        + " has copied without WarpGroup.fenceLocalMemory(); call it between the wait and the barrier");
            }
        }
    }

    /**
     * Returns what a lane holds of A · B, whose sums go along the depth: of A there is one row after the other, of B
     * one column after the other.
     */
    static float[] sums(int lane, double[] a, double[] b, int depth) {
        float[] sums = new float[b.length / depth / 2];
        int upper = TensorCore.row(lane, 0) * depth;
        int lower = TensorCore.row(lane, 2) * depth;
        for (int e = 0; e < sums.length; e += 4) {
            int left = (2 * e + TensorCore.column(lane, 0)) * depth;
            int right = (2 * e + TensorCore.column(lane, 1)) * depth;
            double upperLeft = 0;
            double upperRight = 0;
            double lowerLeft = 0;
            double lowerRight = 0;
            for (int k = 0; k < depth; k++) {
                upperLeft += a[upper + k] * b[left + k];
                upperRight += a[upper + k] * b[right + k];
                lowerLeft += a[lower + k] * b[left + k];
                lowerRight += a[lower + k] * b[right + k];
            }
            sums[e] = (float) upperLeft;
            sums[e + 1] = (float) upperRight;
            sums[e + 2] = (float) lowerLeft;
            sums[e + 3] = (float) lowerRight;
        }
        return sums;
    }

    private double[] tileOfA(Product product) {
        int row = item.id() / Warp.SIZE % (WarpGroupIntrinsics.LANES / Warp.SIZE) * TensorCore.ROWS;
        if (product.rowsAlongDepth) {
            return alongDepth(product, product.atA + Short.BYTES * row, 0, TensorCore.ROWS);
        }
        return rows(product, product.atA, row, TensorCore.ROWS);
    }

    private double[] columnsOfB(Product product) {
        return rows(product, product.atB, 0, product.columns);
    }

    /** Rows of an operand from a block, whose chunks are permuted by the row's place in memory. */
    private double[] rows(Product product, int start, int firstRow, int count) {
        double[] rows = new double[count * product.depth()];
        int perWord = Integer.BYTES / product.elementBytes();
        int at = 0;
        for (int r = 0; r < count; r++) {
            int row = start + (firstRow + r) * WarpGroupIntrinsics.ROW_BYTES;
            for (int place = 0; place < OPERAND_BYTES; place += Integer.BYTES) {
                Operand.decode(product.type, word(product, row + place), rows, at, 1);
                at += perWord;
            }
        }
        return rows;
    }

    private double[] rowsOfB(Product product) {
        return alongDepth(product, product.atB, product.strideB, product.columns);
    }

    /** Columns of an operand of which a row in local memory is a step of the depth. */
    private double[] alongDepth(Product product, int start, int stride, int count) {
        int depth = product.depth();
        double[] columns = new double[count * depth];
        for (int n = 0; n < count; n += 2) {
            int column = start + n / BLOCK_COLUMNS * stride + Short.BYTES * (n % BLOCK_COLUMNS);
            for (int k = 0; k < depth; k++) {
                int word = word(product, column + k * WarpGroupIntrinsics.ROW_BYTES);
                Operand.decode(product.type, word, columns, n * depth + k, depth);
            }
        }
        return columns;
    }

    @SuppressWarnings("unchecked")
    private static double[] registersOfA(Object[] lanes, int index) {
        int depth = ((List<Product>) lanes[0]).get(index).depth();
        double[] a = new double[TensorCore.ROWS * depth];
        for (int lane = 0; lane < lanes.length; lane++) {
            Product product = ((List<Product>) lanes[lane]).get(index);
            for (int r = 0; r < TensorCore.A_REGISTERS; r++) {
                Operand.decode(product.type, product.a[product.atA + r], a, TensorCore.placeInA(lane, r, depth), 1);
            }
        }
        return a;
    }

    /** The word at a byte address of the plain layout; the hardware permutes bits 4 to 6 by bits 7 to 9. */
    private int word(Product product, int address) {
        int index = (address ^ (address / WarpGroupIntrinsics.ROW_BYTES % 8) * 16) / Integer.BYTES;
        if (index < 0 || index >= product.array.length()) {
            throw item.fault(
                    FaultKind.OUT_OF_BOUNDS,
                    "multiplies from " + product.array.name() + "[" + index + "], which has " + product.array.length()
                            + " elements");
        }
        if (watched) {
            product.array.read(index, item.warp().item(0), item.warp().item(Warp.SIZE - 1));
        }
        return product.tile[index];
    }

    private SimulatorFaultException illegal(String detail) {
        return item.fault(FaultKind.ILLEGAL_OPERATION, detail);
    }
}
