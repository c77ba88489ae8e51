package uk.ac.manchester.tornado.api;

import org.tornadoattention.simulator.engine.Contexts;
import org.tornadoattention.simulator.engine.Swizzle;
import org.tornadoattention.simulator.engine.Tiles;
import org.tornadoattention.simulator.engine.WorkItem;
import uk.ac.manchester.tornado.api.enums.MMAShape;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.ByteArray;
import uk.ac.manchester.tornado.api.types.arrays.DoubleArray;
import uk.ac.manchester.tornado.api.types.arrays.FP8Array;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;
import uk.ac.manchester.tornado.api.types.matrix.Matrix8x8Float;
import uk.ac.manchester.tornado.api.types.vectors.Half2;

/**
 * The work-item that runs a kernel: where it is in the grid, and what it does together with its group.
 *
 * <p>A program creates one and passes it as a task's argument; the kernel then gets another instance for each
 * work-item, with that work-item's ids. On an instance that a program created, all ids are 0 and barriers do nothing.
 */
public class KernelContext implements ExecutionContext {

    /** Id in the grid, first dimension. */
    public final Integer globalIdx;

    /** Id in the grid, second dimension. */
    public final Integer globalIdy;

    /** Id in the grid, third dimension. */
    public final Integer globalIdz;

    /** Id of the group, first dimension. */
    public final Integer groupIdx;

    /** Id of the group, second dimension. */
    public final Integer groupIdy;

    /** Id of the group, third dimension. */
    public final Integer groupIdz;

    /** Id in the group, first dimension. */
    public final Integer localIdx;

    /** Id in the group, second dimension. */
    public final Integer localIdy;

    /** Id in the group, third dimension. */
    public final Integer localIdz;

    /** Size of the grid, first dimension. */
    public final Integer globalGroupSizeX;

    /** Size of the grid, second dimension. */
    public final Integer globalGroupSizeY;

    /** Size of the grid, third dimension. */
    public final Integer globalGroupSizeZ;

    /** Size of a group, first dimension. */
    public final Integer localGroupSizeX;

    /** Size of a group, second dimension. */
    public final Integer localGroupSizeY;

    /** Size of a group, third dimension. */
    public final Integer localGroupSizeZ;

    static {
        Contexts.install(new Contexts.Bridge() {
            @Override
            public KernelContext create(WorkItem item) {
                return new KernelContext(item);
            }

            @Override
            public WorkItem itemOf(KernelContext context) {
                return context.item;
            }
        });
    }

    private static final int HALF_BYTES = 2;

    private final WorkItem item;

    /** Creates the instance that a task graph takes as the kernel's argument. */
    public KernelContext() {
        this(WorkItem.OUTSIDE);
    }

    private KernelContext(WorkItem item) {
        this.item = item;
        this.globalIdx = item.globalId(0);
        this.globalIdy = item.globalId(1);
        this.globalIdz = item.globalId(2);
        this.groupIdx = item.groupId(0);
        this.groupIdy = item.groupId(1);
        this.groupIdz = item.groupId(2);
        this.localIdx = item.localId(0);
        this.localIdy = item.localId(1);
        this.localIdz = item.localId(2);
        this.globalGroupSizeX = item.globalSize(0);
        this.globalGroupSizeY = item.globalSize(1);
        this.globalGroupSizeZ = item.globalSize(2);
        this.localGroupSizeX = item.localSize(0);
        this.localGroupSizeY = item.localSize(1);
        this.localGroupSizeZ = item.localSize(2);
    }

    @Override
    public void localBarrier() {
        item.barrier();
    }

    @Override
    public void globalBarrier() {
        item.barrier();
    }

    @Override
    public int[] allocateIntLocalArray(int size) {
        return item.allocate(int[].class, size);
    }

    @Override
    public byte[] allocateByteLocalArray(int size) {
        return item.allocate(byte[].class, size);
    }

    @Override
    public HalfFloat[] allocateHalfFloatLocalArray(int size) {
        return item.allocate(HalfFloat[].class, size);
    }

    @Override
    public Half2[] allocateHalf2LocalArray(int size) {
        return item.allocate(Half2[].class, size);
    }

    @Override
    public long[] allocateLongLocalArray(int size) {
        return item.allocate(long[].class, size);
    }

    @Override
    public float[] allocateFloatLocalArray(int size) {
        return item.allocate(float[].class, size);
    }

    @Override
    public double[] allocateDoubleLocalArray(int size) {
        return item.allocate(double[].class, size);
    }

    /** Returns the sum of {@code val} over the warp, in every lane. */
    public float simdSum(float val) {
        return item.simdSum(val);
    }

    /** Returns the {@code val} of the lane that is {@code delta} further; its own in the last lanes. */
    public float simdShuffleDown(float val, int delta) {
        return item.simdShuffleDown(val, delta);
    }

    /** Returns the {@code val} of the first lane. */
    public float simdBroadcastFirst(float val) {
        return item.simdBroadcastFirst(val);
    }

    /** Stores the product of an 8×k band of {@code a} and a k×8 band of {@code b} as an 8×8 tile of {@code c}. */
    public void matrixMultiply8x8(
            FloatArray a,
            int aBase,
            int lda,
            FloatArray b,
            int bBase,
            int ldb,
            FloatArray c,
            int cBase,
            int ldc,
            int k) {
        Matrix8x8Float sum = simdgroupMatrixZero();
        for (int step = 0; step < k; step += 8) {
            sum = simdgroupMatrixMultiplyAccumulate(
                    simdgroupMatrixLoad(a, aBase + step, lda), simdgroupMatrixLoad(b, bBase + step * ldb, ldb), sum);
        }
        simdgroupMatrixStore(sum, c, cBase, ldc);
    }

    /** Returns an 8×8 tile of zeros. */
    public Matrix8x8Float simdgroupMatrixZero() {
        return new Matrix8x8Float();
    }

    /** Returns the 8×8 tile at {@code base}, rows {@code stride} elements apart. */
    public Matrix8x8Float simdgroupMatrixLoad(FloatArray a, int base, int stride) {
        return Tiles.load(item, a, base, stride);
    }

    /** Returns the 8×8 tile at {@code base} of a local array, rows {@code stride} elements apart. */
    public Matrix8x8Float simdgroupMatrixLoad(float[] a, int base, int stride) {
        return Tiles.load(item, a, base, stride);
    }

    /** Returns {@code a · b + c} for 8×8 tiles. */
    public Matrix8x8Float simdgroupMatrixMultiplyAccumulate(Matrix8x8Float a, Matrix8x8Float b, Matrix8x8Float c) {
        return Tiles.multiplyAdd(a, b, c);
    }

    /** Stores an 8×8 tile at {@code base}, rows {@code stride} elements apart. */
    public void simdgroupMatrixStore(Matrix8x8Float m, FloatArray c, int base, int stride) {
        Tiles.store(item, m, c, base, stride);
    }

    @Override
    public void atomicAdd(IntArray array, int index, int val) {
        item.atomicAdd(array, index, val);
    }

    @Override
    public void atomicAdd(int[] array, int index, int val) {
        item.atomicAdd(array, index, val);
    }

    @Override
    public void atomicAdd(LongArray array, int index, long val) {
        item.atomicAdd(array, index, val);
    }

    @Override
    public void atomicAdd(FloatArray array, int index, float val) {
        item.atomicAdd(array, index, val);
    }

    @Override
    public void atomicAdd(DoubleArray array, int index, double val) {
        item.atomicAdd(array, index, val);
    }

    /** Reads an element of a tile of halves whose wide rows are permuted against bank conflicts. */
    public HalfFloat swizzleLoadFp16Stride32(HalfFloat[] arr, int row, int col, int stride) {
        return item.load(arr, Swizzle.wideHalf(row, col, stride));
    }

    /** Writes an element of a tile of halves whose wide rows are permuted against bank conflicts. */
    public void swizzleStoreFp16Stride32(HalfFloat[] arr, int row, int col, int stride, HalfFloat v) {
        item.store(arr, Swizzle.wideHalf(row, col, stride), v);
    }

    /** Reads an element of a tile of halves whose narrow rows are permuted against bank conflicts. */
    public HalfFloat swizzleLoadFp16Stride16(HalfFloat[] arr, int row, int col, int stride) {
        return item.load(arr, Swizzle.narrowHalf(row, col, stride));
    }

    /** Writes an element of a tile of halves whose narrow rows are permuted against bank conflicts. */
    public void swizzleStoreFp16Stride16(HalfFloat[] arr, int row, int col, int stride, HalfFloat v) {
        item.store(arr, Swizzle.narrowHalf(row, col, stride), v);
    }

    /** Reads an element of a tile of bytes whose rows are permuted against bank conflicts. */
    public byte swizzleLoadInt8(byte[] arr, int row, int col, int stride) {
        return item.load(arr, Swizzle.bytes(row, col, stride));
    }

    /** Writes an element of a tile of bytes whose rows are permuted against bank conflicts. */
    public void swizzleStoreInt8(byte[] arr, int row, int col, int stride, byte v) {
        item.store(arr, Swizzle.bytes(row, col, stride), v);
    }

    /** Returns this lane's part of a 16×8 accumulator tile, all elements {@code v}. */
    public float[] mmaFragment(float v) {
        return item.tensorLane().fragment(v);
    }

    /** Returns this lane's part of a 16×16 A tile of 16-bit values, two to an int, rows of {@code wmmaK}. */
    public HalfFloat[] mmaLoadA(int[] aTile, int wmmaK) {
        return item.tensorLane().loadA16(aTile, wmmaK, 0);
    }

    /** Returns this lane's part of a 16×8 B tile of 16-bit values, two to an int, row by row. */
    public HalfFloat[] mmaLoadB(int[] bTile, int wmmaK) {
        return item.tensorLane().loadB16(bTile, wmmaK, 0);
    }

    /** Returns this lane's part of a 16×8 B tile of halves that {@link #swizzleStoreFp16Stride32} wrote. */
    public HalfFloat[] mmaLoadBSwizzled(HalfFloat[] bTile, int wmmaK) {
        return item.tensorLane().loadB16Swizzled(bTile, wmmaK, 0);
    }

    /** Returns {@code A · B + C} of the warp's tiles, with half operands and float sums. */
    public float[] mma(HalfFloat[] fragA, HalfFloat[] fragB, float[] fragC, MMAShape mmaShape) {
        return item.tensorLane().mmaHalf(fragA, fragB, fragC, mmaShape);
    }

    /** Stores the warp's accumulator tile as tile (tileRow, tileCol) of a matrix with rows of {@code dimN}. */
    public void mmaStore(float[] fragD, FloatArray c, int tileRow, int tileCol, int dimN) {
        item.tensorLane().store(fragD, c, tileRow, tileCol, dimN);
    }

    /** Returns {@code A · B + C} of the warp's tiles, with bfloat16 operands and float sums. */
    public float[] mmaBF16(HalfFloat[] fragA, HalfFloat[] fragB, float[] fragC, MMAShape mmaShape) {
        return item.tensorLane().mmaBFloat16(fragA, fragB, fragC, mmaShape);
    }

    /** Returns this lane's part of a 16×8 accumulator tile of ints, all elements {@code initValue}. */
    public int[] mmaFragmentInt(int initValue) {
        return item.tensorLane().fragment(initValue);
    }

    /** Returns this lane's part of a 16×32 A tile of bytes, four to an int, row by row. */
    public byte[] mmaLoadAInt8(int[] aTile, int tileK) {
        return item.tensorLane().loadA8(aTile, tileK);
    }

    /** Returns this lane's part of a 32×8 B tile of bytes, four to an int, column by column. */
    public byte[] mmaLoadBInt8(int[] bTile, int tileK) {
        return item.tensorLane().loadB8(bTile, tileK);
    }

    /** Returns {@code A · B + C} of the warp's tiles of bytes, with int sums. */
    public int[] mmaInt8(byte[] fragA, byte[] fragB, int[] fragC, MMAShape shape) {
        return item.tensorLane().mmaInt8(fragA, fragB, fragC, shape);
    }

    /** Stores the warp's accumulator tile of ints as tile (row, col) of a matrix with rows of {@code stride}. */
    public void mmaStoreInt(int[] fragD, IntArray out, int row, int col, int stride) {
        item.tensorLane().store(fragD, out, row, col, stride);
    }

    /** Returns this lane's part of a 16×32 A tile of 8-bit floats, four to an int, row by row. */
    public byte[] mmaLoadAFP8(int[] aTile, int tileK) {
        return item.tensorLane().loadA8(aTile, tileK);
    }

    /** Returns this lane's part of a 32×8 B tile of 8-bit floats, four to an int, column by column. */
    public byte[] mmaLoadBFP8(int[] bTile, int tileK) {
        return item.tensorLane().loadB8(bTile, tileK);
    }

    /** Returns {@code A · B + C} of the warp's tiles of E4M3 floats, with float sums. */
    public float[] mmaFP8E4M3(byte[] fragA, byte[] fragB, float[] fragC, MMAShape shape) {
        return item.tensorLane().mmaE4M3(fragA, fragB, fragC, shape);
    }

    /** Returns {@code A · B + C} of the warp's tiles of E5M2 floats, with float sums. */
    public float[] mmaFP8E5M2(byte[] fragA, byte[] fragB, float[] fragC, MMAShape shape) {
        return item.tensorLane().mmaE5M2(fragA, fragB, fragC, shape);
    }

    /** As {@link #mmaLoadA(int[], int)}, from byte {@code byteOffset} of the array on. */
    public HalfFloat[] mmaLoadA(int[] aTile, int wmmaK, int byteOffset) {
        return item.tensorLane().loadA16(aTile, wmmaK, byteOffset);
    }

    /** As {@link #mmaLoadB(int[], int)}, from byte {@code byteOffset} of the array on. */
    public HalfFloat[] mmaLoadB(int[] bTile, int wmmaK, int byteOffset) {
        return item.tensorLane().loadB16(bTile, wmmaK, byteOffset);
    }

    /** As {@link #mmaLoadBSwizzled(HalfFloat[], int)}, from byte {@code byteOffset} of the array on. */
    public HalfFloat[] mmaLoadBSwizzled(HalfFloat[] bTile, int wmmaK, int byteOffset) {
        return item.tensorLane().loadB16Swizzled(bTile, wmmaK, byteOffset);
    }

    /** Starts a copy of two halves from {@code srcIndex} on to the int at {@code dstIndex}. */
    public void asyncCopyToLocal(int[] dstTile, int dstIndex, HalfFloatArray src, int srcIndex) {
        item.asyncCopy(dstTile, dstIndex, src, srcIndex);
    }

    /** Starts a copy of four 8-bit floats from {@code srcIndex} on to the int at {@code dstIndex}. */
    public void asyncCopyToLocal(int[] dstTile, int dstIndex, FP8Array src, int srcIndex) {
        item.asyncCopy(dstTile, dstIndex, src, srcIndex);
    }

    /** Starts a copy of four bytes from {@code srcIndex} on to the int at {@code dstIndex}. */
    public void asyncCopyToLocal(int[] dstTile, int dstIndex, ByteArray src, int srcIndex) {
        item.asyncCopy(dstTile, dstIndex, src, srcIndex);
    }

    /** Closes the group of copies that this work-item started since the last call. */
    public void asyncCopyCommit() {
        item.asyncCopyCommit();
    }

    /** Waits until at most {@code groups} of the closed groups of copies are under way. */
    public void asyncCopyWaitGroup(int groups) {
        item.asyncCopyWaitGroup(groups);
    }

    /** Writes an element of the permuted tile of halves that starts at byte {@code byteOffset} of the array. */
    public void mmaStoreBSwizzled(HalfFloat[] arr, int row, int col, int stride, HalfFloat value, int byteOffset) {
        item.store(arr, Swizzle.wideHalf(row, col, stride) + byteOffset / HALF_BYTES, value);
    }
}
