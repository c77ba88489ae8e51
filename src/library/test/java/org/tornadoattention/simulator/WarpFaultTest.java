package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.time.Duration;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpGroup;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task2;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task3;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/** Planted mistakes with {@link Warp} and {@link WarpGroup}, each of which must be found and explained. */
@Isolated
class WarpFaultTest {

    private static SimulatorFaultException fault(int items, Task2<KernelContext, ShortArray> kernel) {
        ShortArray array = new ShortArray(256);
        TaskGraph graph = new TaskGraph("planted")
                .transferToDevice(EVERY_EXECUTION, array)
                .task("kernel", kernel, new KernelContext(), array);
        SimulatorFaultException fault = Assertions.assertTimeoutPreemptively(
                Duration.ofMinutes(2), () -> Plans.fault(graph, Plans.grid(items, items)));
        assertThat(fault).as("the planted fault").isNotNull();
        return fault;
    }

    private static SimulatorFaultException fault(Task3<KernelContext, ShortArray, Integer> kernel, int argument) {
        ShortArray array = new ShortArray(256);
        TaskGraph graph = new TaskGraph("planted")
                .transferToDevice(EVERY_EXECUTION, array)
                .task("kernel", kernel, new KernelContext(), array, argument);
        SimulatorFaultException fault = Plans.fault(graph, Plans.grid(128, 128));
        assertThat(fault).as("the planted fault").isNotNull();
        return fault;
    }

    private static void assertFault(SimulatorFaultException fault, FaultKind kind, String... parts) {
        assertThat(fault.kind()).as(fault.getMessage()).isEqualTo(kind);
        for (String part : parts) {
            assertThat(fault).hasMessageContaining(part);
        }
    }

    static void loadsAt(KernelContext context, ShortArray array, int byteOffset) {
        int[] tile = context.allocateIntLocalArray(128);
        tile[context.localIdx] = 0;
        context.localBarrier();
        int[] registers = new int[4];
        Warp.loadMatrices(registers, 0, tile, byteOffset);
        array.set(context.globalIdx, (short) registers[0]);
    }

    static void readsEightAnywhere(KernelContext context, ShortArray array) {
        int[] registers = new int[4];
        Warp.loadEight(registers, 0, array, context.globalIdx, 8, 0);
        array.set(context.globalIdx, (short) registers[0]);
    }

    @Test
    void eightElementsAreReadFromAMultipleOfEight() {
        assertFault(
                fault(32, WarpFaultTest::readsEightAnywhere), FaultKind.ILLEGAL_OPERATION, "must be multiples of 8");
    }

    @Test
    void aRowOfAMatrixStartsAtAMultipleOf16Bytes() {
        assertFault(
                fault(WarpFaultTest::loadsAt, 8),
                FaultKind.ILLEGAL_OPERATION,
                "in kernel loadsAt (WarpFaultTest.java:",
                "loads a row of a matrix from tile at byte 8; the offset must be a multiple of 16");
    }

    @Test
    void aRowOfAMatrixLiesInItsTile() {
        assertFault(
                fault(WarpFaultTest::loadsAt, 512),
                FaultKind.OUT_OF_BOUNDS,
                "loads a row of a matrix from tile[128…131], which has 128 elements");
        assertFault(fault(WarpFaultTest::loadsAt, -16), FaultKind.OUT_OF_BOUNDS, "tile[-4…-1]");
    }

    static void loadsFromRegisters(KernelContext context, ShortArray array) {
        int[] mine = new int[128];
        int[] registers = new int[4];
        Warp.loadMatricesTransposed(registers, 0, mine, 0);
        array.set(context.globalIdx, (short) registers[0]);
    }

    static void copiesToRegisters(KernelContext context, ShortArray array) {
        int[] mine = new int[128];
        Warp.copyAsync(mine, 0, array, 0, 16);
        context.asyncCopyCommit();
        context.asyncCopyWaitGroup(0);
    }

    @Test
    void aTileIsInLocalMemory() {
        String advice = "an array that is not in local memory; allocate it with the KernelContext";
        assertFault(
                fault(32, WarpFaultTest::loadsFromRegisters),
                FaultKind.ILLEGAL_OPERATION,
                "loads matrices from " + advice);
        assertFault(fault(32, WarpFaultTest::copiesToRegisters), FaultKind.ILLEGAL_OPERATION, "copies to " + advice);
    }

    static void copiesFrom(KernelContext context, ShortArray array, int index) {
        int[] tile = context.allocateIntLocalArray(512);
        Warp.copyAsync(tile, 16 * context.localIdx, array, index, 16);
    }

    static void copiesBytes(KernelContext context, ShortArray array, int bytes) {
        int[] tile = context.allocateIntLocalArray(512);
        Warp.copyAsync(tile, 16 * context.localIdx, array, 0, bytes);
    }

    static void copiesTo(KernelContext context, ShortArray array, int byteOffset) {
        int[] tile = context.allocateIntLocalArray(512);
        Warp.copy(tile, byteOffset, array, 0, 8);
    }

    @Test
    void asynchronousCopiesAreOf16AlignedBytes() {
        assertFault(
                fault(WarpFaultTest::copiesFrom, 4),
                FaultKind.ILLEGAL_OPERATION,
                "copies 16 bytes from element 4; it must be a multiple of 8");
        assertFault(fault(WarpFaultTest::copiesFrom, 256), FaultKind.OUT_OF_BOUNDS, "misses array");
        for (int bytes : new int[] {-2, 3, 18}) {
            assertFault(
                    fault(WarpFaultTest::copiesBytes, bytes),
                    FaultKind.ILLEGAL_OPERATION,
                    "copies " + bytes + " of 16 bytes; it must be from 0 to 16 and whole elements");
        }
        assertFault(
                fault(WarpFaultTest::copiesTo, 4),
                FaultKind.ILLEGAL_OPERATION,
                "copies 16 bytes to tile at byte 4; the offset must be a multiple of 16");
        assertFault(fault(WarpFaultTest::copiesTo, 2048), FaultKind.OUT_OF_BOUNDS, "tile[512…515]");
    }

    static void shuffles(KernelContext context, ShortArray array, int mask) {
        array.set(context.globalIdx, (short) Warp.shuffleXor(1f, mask));
    }

    @Test
    void aMaskNamesAnotherLaneOfTheWarp() {
        for (int mask : new int[] {-1, 0, 32}) {
            assertFault(
                    fault(WarpFaultTest::shuffles, mask),
                    FaultKind.ILLEGAL_OPERATION,
                    "shuffles with the mask " + mask + "; it must be from 1 to 31");
        }
    }

    static void saysThatItsWarpHas(KernelContext context, ShortArray array, int apart) {
        array.set(context.globalIdx, (short) Warp.uniform(context.localIdx / apart));
    }

    @Test
    void aNumberOfAWarpIsTheSameInAllLanes() {
        assertFault(
                fault(WarpFaultTest::saysThatItsWarpHas, 31),
                FaultKind.ILLEGAL_OPERATION,
                "says that its 1 is the number of all lanes of its warp; lane 0 has 0");
    }

    static void shufflesOnce(KernelContext context, ShortArray array) {
        array.set(context.globalIdx, (short) Warp.shuffleXor(1f, 1));
    }

    @Test
    void aGroupIsOfWholeWarps() {
        assertFault(
                fault(48, WarpFaultTest::shufflesOnce),
                FaultKind.ILLEGAL_OPERATION,
                "in a group of 48×1×1 work-items; it needs whole warps of 32 along the first dimension");
    }

    static void saysItsSize(KernelContext context, ShortArray array, int items) {
        Warp.requireGroupSize(items);
        array.set(context.globalIdx, (short) 1);
    }

    @Test
    void aGroupHasTheSizeThatItsKernelWasCompiledFor() {
        assertFault(
                fault(WarpFaultTest::saysItsSize, 64),
                FaultKind.ILLEGAL_OPERATION,
                "says that its group has 64 work-items; it has 128");
    }

    static void shufflesInABranch(KernelContext context, ShortArray array) {
        if (context.localIdx < 20) {
            array.set(context.globalIdx, (short) Warp.shuffleXor(1f, 1));
        }
    }

    static void shufflesAndMultiplies(KernelContext context, ShortArray array) {
        float[] c = {0f, 0f, 0f, 0f};
        int[] operands = {0, 0, 0, 0};
        if (context.localIdx < 16) {
            c[0] = Warp.shuffleXor(1f, 1);
        } else {
            Warp.multiply(Warp.F16, c, 0, operands, 0, operands, 0);
        }
        array.set(context.globalIdx, (short) c[0]);
    }

    @Test
    void allLanesReachAnOperationTogether() {
        assertFault(
                fault(32, WarpFaultTest::shufflesInABranch),
                FaultKind.DIVERGENT_COLLECTIVE,
                "work-items 0-19 wait in shuffleXor at ",
                "work-items 20-31 returned",
                "keep collectives out of branches");
        assertFault(
                fault(32, WarpFaultTest::shufflesAndMultiplies),
                FaultKind.DIVERGENT_COLLECTIVE,
                "wait in shuffleXor",
                "wait in multiply");
    }

    static void readsBeforeTheBarrier(KernelContext context, ShortArray array) {
        int[] tile = context.allocateIntLocalArray(128);
        Warp.copy(tile, 16 * context.localIdx, array, 8 * context.localIdx, 8);
        int[] registers = new int[4];
        Warp.loadMatrices(registers, 0, tile, context.localIdx == 0 ? 0 : 16 * (context.localIdx - 1));
        array.set(context.globalIdx, (short) registers[0]);
    }

    static void overwritesWhatOthersRead(KernelContext context, ShortArray array) {
        int[] tile = context.allocateIntLocalArray(128);
        Warp.copy(tile, 16 * context.localIdx, array, 8 * context.localIdx, 8);
        context.localBarrier();
        int[] registers = new int[4];
        Warp.loadMatrices(registers, 0, tile, 16 * (context.localIdx ^ 1));
        Warp.copy(tile, 16 * context.localIdx, array, 0, 8);
        array.set(context.globalIdx, (short) registers[0]);
    }

    static void overwritesWhatAProductReads(KernelContext context, ShortArray array) {
        int[] tile = context.allocateIntLocalArray(32 * 16);
        Warp.copy(tile, 16 * context.localIdx, array, 0, 8);
        WarpGroup.fenceLocalMemory();
        context.localBarrier();
        float[] c = {0f, 0f, 0f, 0f};
        int[] a = {0, 0, 0, 0};
        WarpGroup.multiply(Warp.F16, c, 8, a, 0, tile, 0, 0, 0);
        WarpGroup.commit();
        WarpGroup.await(0, c, 4);
        Warp.copy(tile, 16 * context.localIdx, array, 0, 8);
    }

    @Test
    void aTileIsGuardedByBarriers() {
        assertFault(
                fault(32, WarpFaultTest::readsBeforeTheBarrier),
                FaultKind.LOCAL_RACE,
                "reads tile[",
                "put a localBarrier() between the write and the read");
        assertFault(
                fault(32, WarpFaultTest::overwritesWhatOthersRead),
                FaultKind.LOCAL_RACE,
                "writes tile[",
                "read since the last barrier");
        assertFault(
                fault(128, WarpFaultTest::overwritesWhatAProductReads),
                FaultKind.LOCAL_RACE,
                "writes tile[",
                "several work-items read since the last barrier");
    }

    static void storesAPairAt(KernelContext context, ShortArray array, int index) {
        Warp.store(array, index, 0, 2);
    }

    static void storesThree(KernelContext context, ShortArray array) {
        Warp.store(array, 0, 0, 3);
    }

    @Test
    void aPairIsStoredAtAnEvenElement() {
        assertFault(
                fault(WarpFaultTest::storesAPairAt, 3),
                FaultKind.ILLEGAL_OPERATION,
                "stores a pair at element 3; it must be even");
        assertFault(fault(WarpFaultTest::storesAPairAt, 256), FaultKind.OUT_OF_BOUNDS, "misses array");
        assertFault(
                fault(32, WarpFaultTest::storesThree),
                FaultKind.ILLEGAL_OPERATION,
                "stores 3 packed elements; it must be 1 or 2");
    }

    static void multipliesColumns(KernelContext context, ShortArray array, int columns) {
        int[] tile = context.allocateIntLocalArray(32 * 16);
        float[] c = new float[64];
        WarpGroup.multiply(Warp.F16, c, columns, tile, 0, 0, 0);
        array.set(context.globalIdx, (short) c[0]);
    }

    static void multipliesAsAGroup(KernelContext context, ShortArray array) {
        int[] tile = context.allocateIntLocalArray(32 * 16);
        WarpGroup.multiply(Warp.F16, new float[4], 8, tile, 0, 0, 0);
        array.set(context.globalIdx, (short) 0);
    }

    static void multipliesAt(KernelContext context, ShortArray array, int byteOffset) {
        int[] tile = context.allocateIntLocalArray(32 * 64);
        for (int i = context.localIdx; i < 32 * 64; i += 128) {
            tile[i] = 0;
        }
        WarpGroup.fenceLocalMemory();
        context.localBarrier();
        float[] c = new float[4];
        WarpGroup.multiply(Warp.F16, c, 8, tile, 0, byteOffset, 0);
        WarpGroup.commit();
        WarpGroup.await(0, c, 4);
        array.set(context.globalIdx, (short) c[0]);
    }

    @Test
    void aWarpGroupMultipliesWhatItCan() {
        for (int columns : new int[] {0, 12, 264}) {
            assertFault(
                    fault(WarpFaultTest::multipliesColumns, columns),
                    FaultKind.ILLEGAL_OPERATION,
                    "multiplies " + columns + " columns; it must be a multiple of 8 up to 256");
        }
        assertFault(
                fault(WarpFaultTest::multipliesColumns, 136),
                FaultKind.ILLEGAL_OPERATION,
                "multiplies 136 columns into 64 accumulators; it needs half as many as columns");
        assertFault(
                fault(64, WarpFaultTest::multipliesAsAGroup),
                FaultKind.ILLEGAL_OPERATION,
                "multiplies as a warp group in a group of 64 work-items; it needs a multiple of 128");
        assertFault(
                fault(WarpFaultTest::multipliesAt, 64 * 128),
                FaultKind.OUT_OF_BOUNDS,
                "multiplies from tile[2048], which has 2048 elements");
        for (int offset : new int[] {2, 8, 1032}) {
            assertFault(
                    fault(WarpFaultTest::multipliesAt, offset),
                    FaultKind.ILLEGAL_OPERATION,
                    "multiplies from tile at byte " + offset + "; the offset must be a multiple of 16");
        }
    }

    static void forgetsTheFence(KernelContext context, ShortArray array) {
        int[] tile = context.allocateIntLocalArray(32 * 16);
        Warp.copyAsync(tile, 16 * context.localIdx, array, 0, 16);
        context.asyncCopyCommit();
        context.asyncCopyWaitGroup(0);
        if (context.localIdx != 5) {
            WarpGroup.fenceLocalMemory();
        }
        context.localBarrier();
        float[] c = new float[4];
        WarpGroup.multiply(Warp.F16, c, 8, new int[4], 0, tile, 0, 0, 0);
        WarpGroup.commit();
        WarpGroup.await(0, c, 4);
        array.set(context.globalIdx, (short) c[0]);
    }

    @Test
    void whatWasCopiedIsFencedBeforeAProductReadsIt() {
        assertFault(
                fault(128, WarpFaultTest::forgetsTheFence),
                FaultKind.ILLEGAL_OPERATION,
                "multiplies from tile, to which work-item 5 has copied without WarpGroup.fenceLocalMemory()",
                "call it between the wait and the barrier");
    }

    static void multipliesDifferently(KernelContext context, ShortArray array) {
        int[] tile = context.allocateIntLocalArray(32 * 16);
        for (int i = context.localIdx; i < 32 * 16; i += 128) {
            tile[i] = 0;
        }
        WarpGroup.fenceLocalMemory();
        context.localBarrier();
        float[] c = new float[4];
        WarpGroup.multiply(Warp.F16, c, 8, new int[4], 0, tile, 0, 0, context.localIdx % 2);
        WarpGroup.commit();
        WarpGroup.await(0, c, 4);
        array.set(context.globalIdx, (short) c[0]);
    }

    @Test
    void allLanesStartTheSameProducts() {
        assertFault(
                fault(128, WarpFaultTest::multipliesDifferently),
                FaultKind.ILLEGAL_OPERATION,
                "all lanes of a warp group must start the same ones");
    }
}
