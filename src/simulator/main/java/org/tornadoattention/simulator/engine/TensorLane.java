package org.tornadoattention.simulator.engine;

import java.lang.reflect.Array;
import java.util.Arrays;
import org.tornadoattention.simulator.FaultKind;
import org.tornadoattention.simulator.SimulatorFaultException;
import uk.ac.manchester.tornado.api.enums.MMAShape;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * One lane's part in tensor-core operations. Loads follow {@code ldmatrix}: tiles are made of 8×8 matrices of 16-bit
 * elements, 32 bytes to a row of A and 16 bytes to a row of B; B is transposed on the way.
 */
public final class TensorLane {

    private static final int A_ROW_BYTES = 32;
    private static final int B_ROW_BYTES = 16;
    private static final int MATRIX_ROWS = 8;
    private static final int ALIGNMENT = 16;

    private final WorkItem item;
    private final Warp warp;
    private final int group;
    private final int thread;
    private int operations;

    TensorLane(WorkItem item, Warp warp) {
        this.item = item;
        this.warp = warp;
        this.group = item.id() % Warp.SIZE / 4;
        this.thread = item.id() % 4;
        boolean lanesFollowX = item.localSize(1) * item.localSize(2) == 1 || item.localSize(0) % Warp.SIZE == 0;
        if (!warp.isFull() || !lanesFollowX) {
            throw illegal("does a tensor-core operation in a group of " + item.localSize(0) + "×" + item.localSize(1)
                    + "×" + item.localSize(2) + " work-items; they need whole warps of " + Warp.SIZE
                    + " along the first dimension");
        }
    }

    int operations() {
        return operations;
    }

    /** Returns an accumulator with equal elements. */
    public float[] fragment(float value) {
        float[] fragment = new float[TensorCore.ACCUMULATORS];
        Arrays.fill(fragment, value);
        return fragment;
    }

    /** Returns an accumulator with equal elements. */
    public int[] fragment(int value) {
        int[] fragment = new int[TensorCore.ACCUMULATORS];
        Arrays.fill(fragment, value);
        return fragment;
    }

    /** Loads A with 16-bit elements. */
    public HalfFloat[] loadA16(int[] tile, int depth, int byteOffset) {
        LocalArray array = begin(tile, byteOffset);
        HalfFloat[] fragment = new HalfFloat[2 * TensorCore.A_REGISTERS];
        for (int r = 0; r < TensorCore.A_REGISTERS; r++) {
            int packed = tile[check(array, addressInA(r) + byteOffset)];
            fragment[2 * r] = new HalfFloat((short) packed);
            fragment[2 * r + 1] = new HalfFloat((short) (packed >>> 16));
        }
        item.counters().local(array.index(), TensorCore.A_REGISTERS, 0);
        return fragment;
    }

    /** Loads B with 16-bit elements. */
    public HalfFloat[] loadB16(int[] tile, int depth, int byteOffset) {
        LocalArray array = begin(tile, byteOffset);
        HalfFloat[] fragment = new HalfFloat[2 * TensorCore.B_REGISTERS];
        for (int e = 0; e < fragment.length; e++) {
            fragment[e] = new HalfFloat(pair(tile, array, addressInB(e) + byteOffset));
        }
        item.counters().local(array.index(), TensorCore.B_REGISTERS, 0);
        return fragment;
    }

    /** Loads B with 16-bit elements from a permuted tile. */
    public HalfFloat[] loadB16Swizzled(HalfFloat[] tile, int depth, int byteOffset) {
        LocalArray array = begin(tile, byteOffset);
        HalfFloat[] fragment = new HalfFloat[2 * TensorCore.B_REGISTERS];
        for (int e = 0; e < fragment.length; e++) {
            int address = Swizzle.permute16(addressInB(e)) + byteOffset;
            checkIndex(array, address / Short.BYTES);
            fragment[e] = tile[address / Short.BYTES];
        }
        item.counters().local(array.index(), fragment.length, 0);
        return fragment;
    }

    /** Loads A with 8-bit elements. */
    public byte[] loadA8(int[] tile, int depth) {
        LocalArray array = begin(tile, 0);
        byte[] fragment = new byte[4 * TensorCore.A_REGISTERS];
        for (int r = 0; r < TensorCore.A_REGISTERS; r++) {
            int packed = tile[check(array, addressInA(r))];
            for (int j = 0; j < 4; j++) {
                fragment[4 * r + j] = (byte) (packed >>> 8 * j);
            }
        }
        item.counters().local(array.index(), TensorCore.A_REGISTERS, 0);
        return fragment;
    }

    /** Loads B with 8-bit elements. */
    public byte[] loadB8(int[] tile, int depth) {
        LocalArray array = begin(tile, 0);
        byte[] fragment = new byte[4 * TensorCore.B_REGISTERS];
        for (int e = 0; e < 2 * TensorCore.B_REGISTERS; e++) {
            short pair = pair(tile, array, addressInB(e));
            fragment[2 * e] = (byte) pair;
            fragment[2 * e + 1] = (byte) (pair >>> 8);
        }
        item.counters().local(array.index(), TensorCore.B_REGISTERS, 0);
        return fragment;
    }

    /** Multiplies halves. */
    public float[] mmaHalf(HalfFloat[] a, HalfFloat[] b, float[] c, MMAShape shape) {
        return (float[]) multiply(TensorCore.HALF, a, b, c, shape);
    }

    /** Multiplies bfloat16 values. */
    public float[] mmaBFloat16(HalfFloat[] a, HalfFloat[] b, float[] c, MMAShape shape) {
        return (float[]) multiply(TensorCore.BFLOAT16, a, b, c, shape);
    }

    /** Multiplies bytes. */
    public int[] mmaInt8(byte[] a, byte[] b, int[] c, MMAShape shape) {
        return (int[]) multiply(TensorCore.INT8, a, b, c, shape);
    }

    /** Multiplies E4M3 floats. */
    public float[] mmaE4M3(byte[] a, byte[] b, float[] c, MMAShape shape) {
        return (float[]) multiply(TensorCore.E4M3, a, b, c, shape);
    }

    /** Multiplies E5M2 floats. */
    public float[] mmaE5M2(byte[] a, byte[] b, float[] c, MMAShape shape) {
        return (float[]) multiply(TensorCore.E5M2, a, b, c, shape);
    }

    /** Stores an accumulator. */
    public void store(float[] fragment, FloatArray target, int row, int column, int stride) {
        operations++;
        for (int i = 0; i < TensorCore.ACCUMULATORS; i++) {
            int index = address(i, row, column, stride);
            float value = fragment[i];
            Hooks.set(
                    target,
                    index,
                    1,
                    item,
                    at -> Float.floatToRawIntBits(target.get(at)) == Float.floatToRawIntBits(value),
                    at -> target.set(at, value));
        }
    }

    /** Stores an accumulator. */
    public void store(int[] fragment, IntArray target, int row, int column, int stride) {
        operations++;
        for (int i = 0; i < TensorCore.ACCUMULATORS; i++) {
            int index = address(i, row, column, stride);
            int value = fragment[i];
            Hooks.set(target, index, 1, item, at -> target.get(at) == value, at -> target.set(at, value));
        }
    }

    private Object multiply(TensorCore operation, Object a, Object b, Object c, MMAShape shape) {
        if (shape != operation.shape()) {
            throw illegal("calls " + operation.label() + " with shape " + shape + "; it needs " + operation.shape());
        }
        requireElements(a, operation.elementsOfA(), "A", operation);
        requireElements(b, operation.elementsOfB(), "B", operation);
        requireElements(c, TensorCore.ACCUMULATORS, "C", operation);
        TensorTiles part = new TensorTiles(a, b, c);
        warp.multiply(item, part, operation);
        return part.d();
    }

    private void requireElements(Object fragment, int elements, String name, TensorCore operation) {
        if (fragment == null || Array.getLength(fragment) != elements) {
            throw illegal("passes a fragment " + name + " to " + operation.label() + " that does not have " + elements
                    + " elements; load it with the method for this type and operand");
        }
    }

    private LocalArray begin(Object tile, int byteOffset) {
        operations++;
        LocalArray array = item.group().localArray(tile);
        if (array == null) {
            throw illegal("loads a fragment from an array that is not in local memory; allocate it with the"
                    + " KernelContext");
        }
        if (byteOffset % ALIGNMENT != 0) {
            throw illegal("loads a fragment from " + array.name() + " at byte " + byteOffset
                    + "; the offset must be a multiple of " + ALIGNMENT);
        }
        LocalArray crooked = item.group().crooked();
        if (crooked != null) {
            throw illegal("loads a fragment from " + array.name() + ", which need not begin at a multiple of "
                    + ALIGNMENT
                    + " bytes, since " + crooked.name() + " has " + crooked.length() + " elements: make every local"
                    + " array's size a multiple of " + ALIGNMENT + " bytes");
        }
        return array;
    }

    private int address(int accumulator, int row, int column, int stride) {
        int lane = item.id() % Warp.SIZE;
        return (row + TensorCore.row(lane, accumulator)) * stride + column + TensorCore.column(lane, accumulator);
    }

    private int addressInA(int register) {
        int row = group + MATRIX_ROWS * (register % 2);
        return row * A_ROW_BYTES + register / 2 * (A_ROW_BYTES / 2) + Integer.BYTES * thread;
    }

    private int addressInB(int element) {
        int row = MATRIX_ROWS * (element / 2) + 2 * thread + element % 2;
        return row * B_ROW_BYTES + Short.BYTES * group;
    }

    private short pair(int[] tile, LocalArray array, int address) {
        return (short) (tile[check(array, address)] >>> 8 * (address % Integer.BYTES));
    }

    private int check(LocalArray array, int address) {
        int index = address / Integer.BYTES;
        checkIndex(array, index);
        return index;
    }

    private void checkIndex(LocalArray array, int index) {
        if (index < 0 || index >= array.length()) {
            throw item.fault(
                    FaultKind.OUT_OF_BOUNDS,
                    "loads a fragment from " + array.name() + "[" + index + "], which has " + array.length()
                            + " elements");
        }
        if (item.launch().options().watchesLocalMemory()) {
            array.read(index, item);
        }
    }

    private SimulatorFaultException illegal(String detail) {
        return item.fault(FaultKind.ILLEGAL_OPERATION, detail);
    }
}
