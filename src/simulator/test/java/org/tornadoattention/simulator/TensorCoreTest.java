package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.Random;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task2;
import uk.ac.manchester.tornado.api.enums.MMAShape;
import uk.ac.manchester.tornado.api.types.BFloat16;
import uk.ac.manchester.tornado.api.types.FP8;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.BFloat16Array;
import uk.ac.manchester.tornado.api.types.arrays.ByteArray;
import uk.ac.manchester.tornado.api.types.arrays.FP8Array;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Tensor-core operations against plain matrix products, and the layout of their fragments. */
class TensorCoreTest {

    private static final Random RANDOM = new Random(42);

    /** A is 16×16 and B 16×8, both row by row; two halves share an int of the tile. */
    static void multiplyHalves(KernelContext context, HalfFloatArray a, HalfFloatArray b, FloatArray c) {
        int[] aTile = context.allocateIntLocalArray(128);
        int[] bTile = context.allocateIntLocalArray(64);
        int lane = context.localIdx;
        for (int i = lane; i < 128; i += 32) {
            aTile[i] = (a.get(2 * i).getHalfFloatValue() & 0xFFFF)
                    | (a.get(2 * i + 1).getHalfFloatValue() << 16);
        }
        for (int i = lane; i < 64; i += 32) {
            bTile[i] = (b.get(2 * i).getHalfFloatValue() & 0xFFFF)
                    | (b.get(2 * i + 1).getHalfFloatValue() << 16);
        }
        context.localBarrier();
        HalfFloat[] fragmentA = context.mmaLoadA(aTile, 16);
        HalfFloat[] fragmentB = context.mmaLoadB(bTile, 16);
        float[] sum = context.mmaFragment(0.5f);
        sum = context.mma(fragmentA, fragmentB, sum, MMAShape.M16N8K16);
        sum = context.mma(fragmentA, fragmentB, sum, MMAShape.M16N8K16);
        context.mmaStore(sum, c, 0, 0, 8);
    }

    @Test
    void halves() {
        HalfFloatArray a = new HalfFloatArray(256);
        HalfFloatArray b = new HalfFloatArray(128);
        float[] plainA = new float[256];
        float[] plainB = new float[128];
        fill(plainA, value -> value);
        fill(plainB, value -> value);
        for (int i = 0; i < 256; i++) {
            a.set(i, new HalfFloat(plainA[i]));
            plainA[i] = a.get(i).getFloat32();
        }
        for (int i = 0; i < 128; i++) {
            b.set(i, new HalfFloat(plainB[i]));
            plainB[i] = b.get(i).getFloat32();
        }
        FloatArray c = new FloatArray(128);
        KernelStatistics statistics = Plans.run(
                new TaskGraph("halves")
                        .transferToDevice(EVERY_EXECUTION, a, b)
                        .task("kernel", TensorCoreTest::multiplyHalves, new KernelContext(), a, b, c)
                        .transferToHost(EVERY_EXECUTION, c),
                Plans.grid(32, 32));
        assertProduct(c, plainA, plainB, 16, 2f, 0.5f);
        assertThat(statistics.mmaOperations()).isEqualTo(2);
        assertThat(statistics.array("aTile").bytesRead()).isEqualTo(16 * 16 * 2);
        assertThat(statistics.array("bTile").bytesRead()).isEqualTo(16 * 8 * 2);
        assertThat(statistics.array("c").elementsWritten()).isEqualTo(128);
    }

    /** Four warps, each with a band of A, store to a matrix with rows of 24; tiles come by asynchronous copies. */
    static void bandsOfBrainFloats(KernelContext context, HalfFloatArray a, HalfFloatArray b, FloatArray c) {
        int[] aTile = context.allocateIntLocalArray(512);
        int[] bTile = context.allocateIntLocalArray(64);
        int id = context.localIdx;
        for (int i = id; i < 512; i += 128) {
            context.asyncCopyToLocal(aTile, i, a, 2 * i);
        }
        for (int i = id; i < 64; i += 128) {
            context.asyncCopyToLocal(bTile, i, b, 2 * i);
        }
        context.asyncCopyCommit();
        context.asyncCopyWaitGroup(0);
        context.localBarrier();
        int warp = id / 32;
        HalfFloat[] fragmentA = context.mmaLoadA(aTile, 16, warp * 16 * 32);
        HalfFloat[] fragmentB = context.mmaLoadB(bTile, 16, 0);
        float[] sum = context.mmaBF16(fragmentA, fragmentB, context.mmaFragment(0f), MMAShape.M16N8K16);
        context.mmaStore(sum, c, 16 * warp, 8, 24);
    }

    @Test
    void brainFloatsOfFourWarps() {
        float[] plainA = new float[1024];
        float[] plainB = new float[128];
        fill(plainA, value -> BFloat16.bf16ToFloat(BFloat16.bf16FromFloat(value)));
        fill(plainB, value -> BFloat16.bf16ToFloat(BFloat16.bf16FromFloat(value)));
        HalfFloatArray a = new HalfFloatArray(1024);
        HalfFloatArray b = new HalfFloatArray(128);
        BFloat16Array bits = BFloat16Array.fromFloats(plainA);
        for (int i = 0; i < 1024; i++) {
            a.set(i, new HalfFloat(bits.get(i)));
        }
        for (int i = 0; i < 128; i++) {
            b.set(i, new HalfFloat(BFloat16.bf16FromFloat(plainB[i])));
        }
        FloatArray c = new FloatArray(64 * 24);
        KernelStatistics statistics = Plans.run(
                new TaskGraph("bands")
                        .transferToDevice(EVERY_EXECUTION, a, b, c)
                        .task("kernel", TensorCoreTest::bandsOfBrainFloats, new KernelContext(), a, b, c)
                        .transferToHost(EVERY_EXECUTION, c),
                Plans.grid(128, 128));
        for (int row = 0; row < 64; row++) {
            for (int column = 0; column < 24; column++) {
                float expected = column < 8 || column >= 16 ? 0f : product(plainA, plainB, 16, row, column - 8);
                assertThat(c.get(row * 24 + column)).isCloseTo(expected, within(expected));
            }
        }
        assertThat(statistics.array("a").bytesRead()).isEqualTo(1024 * 2);
        assertThat(statistics.array("aTile").elementsWritten()).isEqualTo(512);
    }

    static void forgetsToWait(KernelContext context, HalfFloatArray a, FloatArray out) {
        int[] tile = context.allocateIntLocalArray(32);
        context.asyncCopyToLocal(tile, context.localIdx, a, 2 * context.localIdx);
        context.asyncCopyCommit();
        context.asyncCopyWaitGroup(1);
        context.localBarrier();
        out.set(context.localIdx, tile[context.localIdx]);
    }

    @Test
    void aCopyThatIsNotWaitedForHasNotArrived() {
        SimulatorFaultException fault = Plans.fault(
                new TaskGraph("hasty")
                        .transferToDevice(EVERY_EXECUTION, new HalfFloatArray(1))
                        .transferToDevice(EVERY_EXECUTION, HALVES)
                        .task("kernel", TensorCoreTest::forgetsToWait, new KernelContext(), HALVES, new FloatArray(32)),
                Plans.grid(32, 32));
        assertThat(fault.kind()).isEqualTo(FaultKind.UNINITIALIZED_LOCAL);
        assertThat(fault).hasMessageContaining("reads tile[0]");
    }

    static void crookedCopy(KernelContext context, HalfFloatArray a, FloatArray out) {
        int[] tile = context.allocateIntLocalArray(32);
        context.asyncCopyToLocal(tile, context.localIdx, a, 2 * context.localIdx + 1);
        context.asyncCopyCommit();
        context.asyncCopyWaitGroup(0);
        context.localBarrier();
        out.set(context.localIdx, tile[context.localIdx]);
    }

    static void crookedCopyOfBytes(KernelContext context, ByteArray a, FloatArray out) {
        int[] tile = context.allocateIntLocalArray(32);
        context.asyncCopyToLocal(tile, context.localIdx, a, 4 * context.localIdx + 2);
        context.asyncCopyCommit();
        context.asyncCopyWaitGroup(0);
        out.set(context.localIdx, tile[context.localIdx]);
    }

    @Test
    void copiesThatDoNotBeginAtFourBytes() {
        SimulatorFaultException ofHalves = Plans.fault(
                new TaskGraph("crooked")
                        .transferToDevice(EVERY_EXECUTION, HALVES)
                        .task("kernel", TensorCoreTest::crookedCopy, new KernelContext(), HALVES, new FloatArray(32)),
                Plans.grid(32, 32));
        assertThat(ofHalves.kind()).isEqualTo(FaultKind.ILLEGAL_OPERATION);
        assertThat(ofHalves)
                .hasMessageContaining("work-item 0 of group (0,0,0) copies 2 elements asynchronously from element 1; it"
                        + " must be a multiple of 2");
        ByteArray bytes = new ByteArray(256);
        SimulatorFaultException ofBytes = Plans.fault(
                new TaskGraph("crooked")
                        .transferToDevice(EVERY_EXECUTION, bytes)
                        .task(
                                "kernel",
                                TensorCoreTest::crookedCopyOfBytes,
                                new KernelContext(),
                                bytes,
                                new FloatArray(32)),
                Plans.grid(32, 32));
        assertThat(ofBytes).hasMessageContaining("from element 2; it must be a multiple of 4");
    }

    private static final HalfFloatArray HALVES = new HalfFloatArray(64);

    /** B is staged with the swizzled store, in the second half of the array. */
    static void multiplySwizzled(KernelContext context, HalfFloatArray a, HalfFloatArray b, FloatArray c) {
        int[] aTile = context.allocateIntLocalArray(128);
        HalfFloat[] bTile = context.allocateHalfFloatLocalArray(256);
        int lane = context.localIdx;
        for (int i = lane; i < 128; i += 32) {
            context.asyncCopyToLocal(aTile, i, a, 2 * i);
            context.mmaStoreBSwizzled(bTile, i / 8, i % 8, 8, b.get(i), 256);
        }
        context.asyncCopyCommit();
        context.asyncCopyWaitGroup(0);
        context.localBarrier();
        HalfFloat[] fragmentB = context.mmaLoadBSwizzled(bTile, 16, 256);
        float[] sum = context.mma(context.mmaLoadA(aTile, 16), fragmentB, context.mmaFragment(0f), MMAShape.M16N8K16);
        context.mmaStore(sum, c, 0, 0, 8);
    }

    @Test
    void aSwizzledTile() {
        HalfFloatArray a = new HalfFloatArray(256);
        HalfFloatArray b = new HalfFloatArray(128);
        float[] plainA = new float[256];
        float[] plainB = new float[128];
        for (int i = 0; i < 256; i++) {
            plainA[i] = RANDOM.nextInt(-8, 9);
            a.set(i, new HalfFloat(plainA[i]));
        }
        for (int i = 0; i < 128; i++) {
            plainB[i] = RANDOM.nextInt(-8, 9);
            b.set(i, new HalfFloat(plainB[i]));
        }
        FloatArray c = new FloatArray(128);
        Plans.run(
                new TaskGraph("swizzled")
                        .transferToDevice(EVERY_EXECUTION, a, b)
                        .task("kernel", TensorCoreTest::multiplySwizzled, new KernelContext(), a, b, c)
                        .transferToHost(EVERY_EXECUTION, c),
                Plans.grid(32, 32));
        assertProduct(c, plainA, plainB, 16, 1f, 0f);
    }

    static void swizzles(KernelContext context, IntArray out) {
        HalfFloat[] wide = context.allocateHalfFloatLocalArray(256);
        byte[] bytes = context.allocateByteLocalArray(256);
        int id = context.localIdx;
        for (int i = id; i < 256; i += 32) {
            context.swizzleStoreFp16Stride32(wide, i / 16, i % 16, 16, new HalfFloat((short) i));
            context.swizzleStoreInt8(bytes, i / 32, i % 32, 32, (byte) i);
        }
        context.localBarrier();
        for (int i = id; i < 256; i += 32) {
            out.set(i, wide[i].getHalfFloatValue());
            out.set(256 + i, bytes[i] & 0xFF);
            out.set(
                    512 + i,
                    context.swizzleLoadFp16Stride32(wide, i / 16, i % 16, 16).getHalfFloatValue());
        }
    }

    @Test
    void swizzlesPermuteAsDocumented() {
        IntArray out = new IntArray(768);
        Plans.run(
                new TaskGraph("swizzles")
                        .task("kernel", TensorCoreTest::swizzles, new KernelContext(), out)
                        .transferToHost(EVERY_EXECUTION, out),
                Plans.grid(32, 32));
        for (int i = 0; i < 256; i++) {
            int halfByte = 2 * i;
            assertThat(out.get((halfByte ^ ((halfByte >> 7 & 7) << 4)) / 2)).isEqualTo(i);
            assertThat(out.get(256 + (i ^ ((i >> 7 & 7) << 4)))).isEqualTo(i);
            assertThat(out.get(512 + i)).isEqualTo(i);
        }
    }

    /** A is 16×32 bytes row by row; B is 32×8 with pairs of rows next to each other, four bytes to an int. */
    static void multiplyBytes(
            KernelContext context, ByteArray a, FP8Array b, IntArray ints, FloatArray e4m3, FloatArray e5m2) {
        int[] aTile = context.allocateIntLocalArray(128);
        int[] bTile = context.allocateIntLocalArray(64);
        int lane = context.localIdx;
        for (int i = lane; i < 128; i += 32) {
            context.asyncCopyToLocal(aTile, i, a, 4 * i);
        }
        for (int i = lane; i < 64; i += 32) {
            context.asyncCopyToLocal(bTile, i, b, 4 * i);
        }
        context.asyncCopyCommit();
        context.asyncCopyWaitGroup(0);
        context.localBarrier();
        int[] sum = context.mmaInt8(
                context.mmaLoadAInt8(aTile, 32),
                context.mmaLoadBInt8(bTile, 32),
                context.mmaFragmentInt(7),
                MMAShape.M16N8K32);
        context.mmaStoreInt(sum, ints, 0, 0, 8);
        byte[] fragmentA = context.mmaLoadAFP8(aTile, 32);
        byte[] fragmentB = context.mmaLoadBFP8(bTile, 32);
        float[] zero = context.mmaFragment(0f);
        context.mmaStore(context.mmaFP8E4M3(fragmentA, fragmentB, zero, MMAShape.M16N8K32), e4m3, 0, 0, 8);
        context.mmaStore(context.mmaFP8E5M2(fragmentA, fragmentB, zero, MMAShape.M16N8K32), e5m2, 0, 0, 8);
    }

    @Test
    void bytes() {
        ByteArray a = new ByteArray(512);
        FP8Array b = new FP8Array(256);
        for (int i = 0; i < 512; i++) {
            a.set(i, (byte) RANDOM.nextInt(0x20, 0x50));
        }
        for (int i = 0; i < 256; i++) {
            b.set(i, (byte) (RANDOM.nextInt(0x20, 0x50) | RANDOM.nextInt(2) << 7));
        }
        IntArray ints = new IntArray(128);
        FloatArray e4m3 = new FloatArray(128);
        FloatArray e5m2 = new FloatArray(128);
        Plans.run(
                new TaskGraph("bytes")
                        .transferToDevice(EVERY_EXECUTION, a, b)
                        .task("kernel", TensorCoreTest::multiplyBytes, new KernelContext(), a, b, ints, e4m3, e5m2)
                        .transferToHost(EVERY_EXECUTION, ints, e4m3, e5m2),
                Plans.grid(32, 32));
        for (int row = 0; row < 16; row++) {
            for (int column = 0; column < 8; column++) {
                int sum = 7;
                float sumE4 = 0f;
                float sumE5 = 0f;
                for (int k = 0; k < 32; k++) {
                    byte left = a.get(32 * row + k);
                    byte right = b.get(k / 2 * 16 + 2 * column + k % 2);
                    sum += left * right;
                    sumE4 += FP8.e4m3ToFloat(left) * FP8.e4m3ToFloat(right);
                    sumE5 += FP8.e5m2ToFloat(left) * FP8.e5m2ToFloat(right);
                }
                assertThat(ints.get(8 * row + column)).isEqualTo(sum);
                assertThat(e4m3.get(8 * row + column)).isCloseTo(sumE4, within(sumE4));
                assertThat(e5m2.get(8 * row + column)).isCloseTo(sumE5, within(sumE5));
            }
        }
    }

    /** Writes each lane's part of A, B and the accumulator, so that the layout itself can be looked at. */
    static void fragments(KernelContext context, IntArray a, IntArray b) {
        int[] aTile = context.allocateIntLocalArray(128);
        int[] bTile = context.allocateIntLocalArray(64);
        int lane = context.localIdx;
        for (int i = lane; i < 128; i += 32) {
            aTile[i] = 2 * i | 2 * i + 1 << 16;
        }
        for (int i = lane; i < 64; i += 32) {
            bTile[i] = 2 * i | 2 * i + 1 << 16;
        }
        context.localBarrier();
        HalfFloat[] partA = context.mmaLoadA(aTile, 16);
        HalfFloat[] partB = context.mmaLoadB(bTile, 16);
        for (int i = 0; i < 8; i++) {
            a.set(8 * lane + i, partA[i].getHalfFloatValue());
        }
        for (int i = 0; i < 4; i++) {
            b.set(4 * lane + i, partB[i].getHalfFloatValue());
        }
    }

    @Test
    void fragmentsAreLaidOutAsInPtx() {
        IntArray a = new IntArray(256);
        IntArray b = new IntArray(128);
        Plans.run(
                new TaskGraph("layout")
                        .task("kernel", TensorCoreTest::fragments, new KernelContext(), a, b)
                        .transferToHost(EVERY_EXECUTION, a, b),
                Plans.grid(32, 32));
        for (int lane = 0; lane < 32; lane++) {
            for (int i = 0; i < 8; i++) {
                int row = lane / 4 + (i / 2 % 2 == 0 ? 0 : 8);
                int column = 2 * (lane % 4) + i % 2 + (i < 4 ? 0 : 8);
                assertThat(a.get(8 * lane + i)).isEqualTo(16 * row + column);
            }
            for (int i = 0; i < 4; i++) {
                int row = 2 * (lane % 4) + i % 2 + (i < 2 ? 0 : 8);
                assertThat(b.get(4 * lane + i)).isEqualTo(8 * row + lane / 4);
            }
        }
    }

    static void wrongShape(KernelContext context, FloatArray c) {
        int[] tile = context.allocateIntLocalArray(128);
        for (int i = context.localIdx; i < 128; i += 32) {
            tile[i] = 0;
        }
        context.localBarrier();
        HalfFloat[] a = context.mmaLoadA(tile, 16);
        HalfFloat[] b = context.mmaLoadB(tile, 16);
        context.mmaStore(context.mma(a, b, context.mmaFragment(0f), MMAShape.M16N8K32), c, 0, 0, 8);
    }

    static void swappedFragments(KernelContext context, FloatArray c) {
        int[] tile = context.allocateIntLocalArray(128);
        for (int i = context.localIdx; i < 128; i += 32) {
            tile[i] = 0;
        }
        context.localBarrier();
        HalfFloat[] a = context.mmaLoadA(tile, 16);
        HalfFloat[] b = context.mmaLoadB(tile, 16);
        context.mmaStore(context.mma(b, a, context.mmaFragment(0f), MMAShape.M16N8K16), c, 0, 0, 8);
    }

    static void crookedOffset(KernelContext context, FloatArray c) {
        int[] tile = context.allocateIntLocalArray(160);
        for (int i = context.localIdx; i < 160; i += 32) {
            tile[i] = 0;
        }
        context.localBarrier();
        c.set(context.globalIdx, context.mmaLoadA(tile, 16, 8).length);
    }

    static void crookedNeighbour(KernelContext context, FloatArray c) {
        int[] tile = context.allocateIntLocalArray(128);
        int[] flag = context.allocateIntLocalArray(1);
        for (int i = context.localIdx; i < 128; i += 32) {
            tile[i] = 0;
        }
        if (context.localIdx == 0) {
            flag[0] = 1;
        }
        context.localBarrier();
        c.set(context.globalIdx, context.mmaLoadA(tile, 16).length);
    }

    static void tileTooSmall(KernelContext context, FloatArray c) {
        int[] tile = context.allocateIntLocalArray(64);
        tile[context.localIdx] = 0;
        tile[context.localIdx + 32] = 0;
        context.localBarrier();
        c.set(context.globalIdx, context.mmaLoadA(tile, 16).length);
    }

    static void halfAWarp(KernelContext context, FloatArray c) {
        c.set(context.globalIdx, context.mmaFragment(1f)[0]);
    }

    @Test
    void whatTheHardwareDoesNotAllow() {
        assertIllegal(TensorCoreTest::wrongShape, 32, "mma with shape M16N8K32; it needs M16N8K16");
        assertIllegal(TensorCoreTest::swappedFragments, 32, "a fragment A to mma that does not have 8 elements");
        assertIllegal(TensorCoreTest::crookedOffset, 32, "at byte 8; the offset must be a multiple of 16");
        assertIllegal(TensorCoreTest::crookedNeighbour, 32, "since flag has 1 elements: make every local array's size");
        assertIllegal(TensorCoreTest::halfAWarp, 16, "whole warps of 32");
        SimulatorFaultException fault = Plans.fault(
                new TaskGraph("small")
                        .task("kernel", TensorCoreTest::tileTooSmall, new KernelContext(), new FloatArray(32)),
                Plans.grid(32, 32));
        assertThat(fault.kind()).isEqualTo(FaultKind.OUT_OF_BOUNDS);
        assertThat(fault).hasMessageContaining("loads a fragment from tile[64], which has 64 elements");
    }

    private static void assertIllegal(Task2<KernelContext, FloatArray> kernel, int size, String message) {
        SimulatorFaultException fault = Plans.fault(
                new TaskGraph("illegal").task("kernel", kernel, new KernelContext(), new FloatArray(128)),
                Plans.grid(size, size));
        assertThat(fault).isNotNull();
        assertThat(fault.kind()).isEqualTo(FaultKind.ILLEGAL_OPERATION);
        assertThat(fault).hasMessageContaining(message);
    }

    static void eightByEight(KernelContext context, FloatArray a, FloatArray b, FloatArray c) {
        context.matrixMultiply8x8(a, 0, 16, b, 0, 8, c, 0, 8, 16);
    }

    @Test
    void simdGroupMatrices() {
        FloatArray a = new FloatArray(128);
        FloatArray b = new FloatArray(128);
        for (int i = 0; i < 128; i++) {
            a.set(i, RANDOM.nextInt(-4, 5));
            b.set(i, RANDOM.nextInt(-4, 5));
        }
        FloatArray c = new FloatArray(64);
        Plans.run(
                new TaskGraph("tiles")
                        .transferToDevice(EVERY_EXECUTION, a, b)
                        .task("kernel", TensorCoreTest::eightByEight, new KernelContext(), a, b, c)
                        .transferToHost(EVERY_EXECUTION, c),
                Plans.grid(32, 32));
        for (int row = 0; row < 8; row++) {
            for (int column = 0; column < 8; column++) {
                assertThat(c.get(8 * row + column))
                        .isEqualTo(product(a.toHeapArray(), b.toHeapArray(), 16, row, column));
            }
        }
    }

    private interface Rounding {

        float round(float value);
    }

    private static void fill(float[] values, Rounding rounding) {
        for (int i = 0; i < values.length; i++) {
            values[i] = rounding.round((float) RANDOM.nextGaussian());
        }
    }

    private static void assertProduct(FloatArray c, float[] a, float[] b, int depth, float factor, float start) {
        for (int row = 0; row < 16; row++) {
            for (int column = 0; column < 8; column++) {
                float expected = start + factor * product(a, b, depth, row, column);
                assertThat(c.get(8 * row + column)).isCloseTo(expected, within(expected));
            }
        }
    }

    private static float product(float[] a, float[] b, int depth, int row, int column) {
        double sum = 0.0;
        for (int k = 0; k < depth; k++) {
            sum += (double) a[row * depth + k] * b[k * 8 + column];
        }
        return (float) sum;
    }

    private static Offset<Float> within(float expected) {
        return Offset.offset(1e-5f * Math.max(1f, Math.abs(expected)));
    }
}
