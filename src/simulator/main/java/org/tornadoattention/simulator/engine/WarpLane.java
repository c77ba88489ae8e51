package org.tornadoattention.simulator.engine;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.function.BooleanSupplier;
import org.tornadoattention.simulator.FaultKind;
import org.tornadoattention.simulator.SimulatorFaultException;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** One work-item's part in warp intrinsics. */
final class WarpLane {

    private static final int CHUNK_BYTES = 16;
    private static final int CHUNK_INTS = CHUNK_BYTES / Integer.BYTES;
    private static final int MATRICES = 4;
    private static final int FOUR = 4;
    private static final int EIGHT = 8;
    private static final long TURN_NANOS = 60_000_000_000L;
    private static final VarHandle TURNS = MethodHandles.arrayElementVarHandle(int[].class);
    private static final int MATRIX_ROWS = 8;
    private static final int MIN_REGISTERS = 24;
    private static final int MAX_REGISTERS = 256;
    private static final int REGISTERS_OF_A_GROUP = 65_536;

    private final WorkItem item;
    private final Warp warp;
    private final GroupProducts products;
    private WarpBarriers.Place awaited;
    private int awaitedPhase;
    private int registers;
    private boolean unfenced;

    WarpLane(WorkItem item) {
        this.item = item;
        this.warp = item.warp();
        this.products = new GroupProducts(item);
        if (!warp.isFull() || item.localSize(1) * item.localSize(2) != 1) {
            throw illegal("uses a warp intrinsic in a group of " + item.localSize(0) + "×" + item.localSize(1) + "×"
                    + item.localSize(2) + " work-items; it needs whole warps of " + Warp.SIZE
                    + " along the first dimension");
        }
    }

    int groupProducts() {
        return products.started();
    }

    void requireGroupSize(int items) {
        if (item.localSize(0) != items) {
            throw illegal("says that its group has " + items + " work-items; it has " + item.localSize(0));
        }
    }

    float shuffleXor(float value, int mask) {
        if (mask < 1 || mask >= Warp.SIZE) {
            throw illegal("shuffles with the mask " + mask + "; it must be from 1 to " + (Warp.SIZE - 1));
        }
        return warp.shuffleXor(item, value, mask);
    }

    int uniform(int value) {
        Object first = warp.exchange(item, "uniform", value, Warp::ofFirst);
        if (!first.equals(value)) {
            throw illegal("says that its " + value + " is the number of all lanes of its warp; lane 0 has " + first);
        }
        return value;
    }

    int any(int value) {
        return (int) warp.exchange(item, "any", value, Warp::any);
    }

    void loadMatrices(int[] registers, int at, int[] tile, int byteOffset, boolean transposed) {
        LocalArray array = localArray(tile, "loads matrices from");
        int first = chunkIndex(array, byteOffset, "loads a row of a matrix from");
        int[] row = new int[CHUNK_INTS];
        for (int i = 0; i < CHUNK_INTS; i++) {
            if (item.launch().options().watchesLocalMemory()) {
                array.read(first + i, item);
            }
            row[i] = tile[first + i];
        }
        item.counters().local(array.index(), CHUNK_INTS, 0);
        Object[] rows = warp.meet(item, transposed ? "loadMatricesTransposed" : "loadMatrices", row);
        if (rows != null) {
            warp.answer(item, distribute(rows, transposed));
        }
        int[] loaded = (int[]) warp.answer(item);
        for (int value : loaded) {
            PrivateHooks.beforeWrite(value, item);
        }
        System.arraycopy(loaded, 0, registers, at, MATRICES);
    }

    void storeMatrices(int[] tile, int byteOffset, int[] registers, int at) {
        LocalArray array = localArray(tile, "stores matrices to");
        int first = chunkIndex(array, byteOffset, "stores a row of a matrix to");
        int[] held = new int[MATRICES];
        for (int m = 0; m < MATRICES; m++) {
            held[m] = PrivateHooks.read(registers, at + m, "matrix", item);
        }
        int[] row = (int[]) warp.exchange(item, "storeMatrices", held, WarpLane::collect);
        for (int i = 0; i < CHUNK_INTS; i++) {
            LocalHooks.beforeLocalWrite(tile, first + i, item);
            tile[first + i] = row[i];
        }
    }

    /** The rows that the lanes give the places of, from what all of them hold. */
    private static Object[] collect(Object[] held) {
        Object[] rows = new Object[Warp.SIZE];
        for (int lane = 0; lane < Warp.SIZE; lane++) {
            int[] row = new int[CHUNK_INTS];
            for (int t = 0; t < CHUNK_INTS; t++) {
                row[t] = ((int[]) held[lane % MATRIX_ROWS * CHUNK_INTS + t])[lane / MATRIX_ROWS];
            }
            rows[lane] = row;
        }
        return rows;
    }

    private static Object[] distribute(Object[] rows, boolean transposed) {
        Object[] registers = new Object[Warp.SIZE];
        for (int lane = 0; lane < Warp.SIZE; lane++) {
            int[] loaded = new int[MATRICES];
            for (int m = 0; m < MATRICES; m++) {
                int first = MATRIX_ROWS * m;
                loaded[m] = transposed
                        ? half(rows[first + 2 * (lane % 4)], lane / 4)
                                | half(rows[first + 2 * (lane % 4) + 1], lane / 4) << Short.SIZE
                        : ((int[]) rows[first + lane / 4])[lane % 4];
            }
            registers[lane] = loaded;
        }
        return registers;
    }

    private static int half(Object row, int index) {
        return ((int[]) row)[index / 2] >>> Short.SIZE * (index % 2) & 0xffff;
    }

    void multiply(int type, float[] c, int atC, int[] a, int atA, int[] b, int atB) {
        if (type == WarpIntrinsics.E4M3) {
            throw illegal("multiplies E4M3 in a warp; that takes a warp group: WarpGroup.multiply");
        }
        int[] operands = new int[TensorCore.A_REGISTERS + TensorCore.B_REGISTERS];
        for (int i = 0; i < operands.length; i++) {
            boolean ofA = i < TensorCore.A_REGISTERS;
            operands[i] = ofA
                    ? PrivateHooks.read(a, atA + i, "operand A", item)
                    : PrivateHooks.read(b, atB + i - TensorCore.A_REGISTERS, "operand B", item);
        }
        Object[] all = warp.meet(item, "multiply", operands);
        if (all != null) {
            warp.answer(item, product(all, type));
        }
        float[] products = (float[]) warp.answer(item);
        for (int i = 0; i < products.length; i++) {
            c[atC + i] = PrivateHooks.read(c, atC + i, "accumulator", item) + products[i];
        }
    }

    /** A · B of the operands that the lanes hold in four and two registers. */
    private Object[] product(Object[] operands, int type) {
        int depth = 8 * Integer.SIZE / Operand.bits(type);
        double[] a = new double[TensorCore.ROWS * depth];
        double[] b = new double[TensorCore.COLUMNS * depth];
        for (int lane = 0; lane < Warp.SIZE; lane++) {
            int[] held = (int[]) operands[lane];
            for (int r = 0; r < TensorCore.A_REGISTERS; r++) {
                Operand.decode(type, held[r], a, TensorCore.placeInA(lane, r, depth), 1);
            }
            for (int r = 0; r < TensorCore.B_REGISTERS; r++) {
                Operand.decode(type, held[TensorCore.A_REGISTERS + r], b, TensorCore.placeInB(lane, r, depth), 1);
            }
        }
        Object[] results = new Object[Warp.SIZE];
        for (int lane = 0; lane < Warp.SIZE; lane++) {
            results[lane] = GroupProducts.sums(lane, a, b, depth);
        }
        item.counters().mma(depth);
        return results;
    }

    void copyAsync(int[] tile, int byteOffset, TornadoNativeArray source, int index, int bytes) {
        LocalArray array = localArray(tile, "copies to");
        int first = chunkIndex(array, byteOffset, "copies 16 bytes to");
        int elementBytes = elementBytes(source);
        if (index * (long) elementBytes % CHUNK_BYTES != 0) {
            throw illegal("copies 16 bytes from element " + index + "; it must be a multiple of "
                    + CHUNK_BYTES / elementBytes);
        }
        if (bytes < 0 || bytes > CHUNK_BYTES || bytes % elementBytes != 0) {
            throw illegal("copies " + bytes + " of 16 bytes; it must be from 0 to 16 and whole elements");
        }
        int[] values = new int[CHUNK_INTS];
        if (bytes > 0) {
            Hooks.beforeGet(source, index, bytes / elementBytes, item);
        }
        for (int e = 0; e < bytes / elementBytes; e++) {
            int bits = rawBits(source, index + e);
            values[e * elementBytes / Integer.BYTES] |= bits << Byte.SIZE * (e * elementBytes % Integer.BYTES);
        }
        item.asyncCopies().start(tile, first, values);
    }

    void awaitCopies(int pending) {
        item.asyncCopyWaitGroup(pending);
    }

    void copy(int[] tile, int byteOffset, TornadoNativeArray source, int index, int elements) {
        LocalArray array = localArray(tile, "copies to");
        int first = chunkIndex(array, byteOffset, "copies 16 bytes to");
        if (elements > 0) {
            Hooks.beforeGet(source, index, elements, item);
        }
        int elementBytes = elementBytes(source);
        int[] values = new int[CHUNK_INTS];
        for (int e = 0; e < elements; e++) {
            int place = e * elementBytes;
            values[place / Integer.BYTES] |= rawBits(source, index + e) << Byte.SIZE * (place % Integer.BYTES);
        }
        for (int i = 0; i < CHUNK_INTS; i++) {
            LocalHooks.beforeLocalWrite(tile, first + i, item);
            tile[first + i] = values[i];
        }
    }

    float element(int[] tile, int byteOffset) {
        return Float.intBitsToFloat(loadInt(tile, byteOffset));
    }

    int loadInt(int[] tile, int byteOffset) {
        int index = wordIndex(tile, byteOffset, "reads an element of");
        LocalHooks.beforeLocalRead(tile, index, item);
        return tile[index];
    }

    void storeInt(int[] tile, int byteOffset, int value) {
        int index = wordIndex(tile, byteOffset, "writes an element of");
        LocalHooks.beforeLocalWrite(tile, index, item);
        tile[index] = value;
    }

    private int wordIndex(int[] tile, int byteOffset, String operation) {
        LocalArray array = localArray(tile, operation);
        if (byteOffset % Integer.BYTES != 0) {
            throw illegal(operation + " " + array.name() + " at byte " + byteOffset
                    + "; the offset must be a multiple of " + Integer.BYTES);
        }
        return byteOffset / Integer.BYTES;
    }

    void elements(float[] registers, int at, int[] tile, int byteOffset) {
        LocalArray array = localArray(tile, "reads elements of");
        int first = chunkIndex(array, byteOffset, "reads 16 bytes of");
        for (int i = 0; i < CHUNK_INTS; i++) {
            LocalHooks.beforeLocalRead(tile, first + i, item);
            registers[at + i] = Float.intBitsToFloat(tile[first + i]);
        }
    }

    void loadFour(float[] registers, int at, FloatArray source, int index) {
        requireFour(index, "reads");
        Hooks.beforeGet(source, index, FOUR, item);
        for (int i = 0; i < FOUR; i++) {
            registers[at + i] = source.get(index + i);
        }
    }

    void loadEight(int[] registers, int at, ShortArray source, int row, int column, int ahead) {
        if (row % EIGHT != 0 || column % EIGHT != 0 || ahead % EIGHT != 0) {
            throw illegal("reads eight elements from " + row + " + " + column + " and " + ahead
                    + " on; all must be multiples of " + EIGHT);
        }
        Hooks.beforeGet(source, row + column, EIGHT, item);
        for (int i = 0; i < EIGHT / 2; i++) {
            int index = row + column + 2 * i;
            registers[at + i] = source.get(index) & 0xffff | source.get(index + 1) << Short.SIZE;
        }
    }

    void storeFour(FloatArray target, int index, float[] registers, int at) {
        requireFour(index, "writes");
        for (int i = 0; i < FOUR; i++) {
            store(target, index + i, PrivateHooks.read(registers, at + i, "float to write", item));
        }
    }

    void addFour(FloatArray target, int index, float[] registers, int at) {
        requireFour(index, "adds");
        for (int i = 0; i < FOUR; i++) {
            Atomics.add(item, target, index + i, PrivateHooks.read(registers, at + i, "float to add", item));
        }
    }

    private void requireFour(int index, String action) {
        if (index % FOUR != 0) {
            throw illegal(action + " four floats from element " + index + "; it must be a multiple of " + FOUR);
        }
    }

    void awaitTurn(IntArray turns, int index, int turn) {
        meetAtTurn("Turn.await", turns, index, turn);
        DeviceArray array = NativeArrays.deviceArray(turns);
        if (item.id() % Warp.SIZE == 0) {
            Hooks.beforeAtomic(turns, index, item);
        }
        long began = System.nanoTime();
        BooleanSupplier come = () -> (int) TURNS.getVolatile((int[]) array.storage(), index) == turn;
        BooleanSupplier forLong =
                () -> System.nanoTime() - Math.max(began, item.launch().turns().lastPassed()) > TURN_NANOS;
        while (!come.getAsBoolean()) {
            if (forLong.getAsBoolean()) {
                throw item.fault(
                        FaultKind.ENDLESS_LOOP,
                        "waits for turn " + turn + " of " + item.launch().arrayName(array) + "[" + index
                                + "], which is "
                                + TURNS.getVolatile((int[]) array.storage(), index)
                                + "; no group has passed a turn for a minute");
            }
            item.group().awaitTurn(item, () -> come.getAsBoolean() || forLong.getAsBoolean());
        }
        warp.learnOfOthers(item.launch().turns().before(array, index));
    }

    void passTurn(IntArray turns, int index, int turn) {
        DeviceArray array = NativeArrays.deviceArray(turns);
        if (item.id() % Warp.SIZE == 0) {
            Hooks.beforeAtomic(turns, index, item);
        }
        item.group().warpBarriers();
        warp.exchange(item, "Turn.pass", new TurnArguments(array, index, turn), all -> {
            requireSameTurn(all);
            int warps = item.group().warps().length;
            item.launch().turns().pass(array, index, warp, item.part, warps, () -> {
                item.group().nextEpoch(warp);
                TURNS.setVolatile((int[]) array.storage(), index, turn);
            });
            return all;
        });
    }

    int arrive(IntArray turns, int index, int last) {
        DeviceArray array = NativeArrays.deviceArray(turns);
        if (item.id() % Warp.SIZE == 0) {
            Hooks.beforeAtomic(turns, index, item);
        }
        item.group().warpBarriers();
        return (int) warp.exchange(item, "Turn.arrive", new TurnArguments(array, index, last), all -> {
            requireSameTurn(all);
            int before = item.launch()
                    .turns()
                    .arrive(array, index, last, warp, item.part, item.group().warps().length);
            item.group().nextEpoch(warp);
            Arrays.fill(all, before);
            return all;
        });
    }

    private record TurnArguments(DeviceArray array, int index, int turn) {}

    private void meetAtTurn(String operation, IntArray turns, int index, int turn) {
        warp.exchange(item, operation, new TurnArguments(NativeArrays.deviceArray(turns), index, turn), all -> {
            requireSameTurn(all);
            return all;
        });
    }

    private void requireSameTurn(Object[] all) {
        for (Object other : all) {
            if (!other.equals(all[0])) {
                throw illegal(
                        "and the first lane of its warp use different turns; all lanes of a warp must use the same");
            }
        }
    }

    private static int elementBytes(TornadoNativeArray array) {
        return array instanceof FloatArray || array instanceof IntArray ? Integer.BYTES : Short.BYTES;
    }

    private static int rawBits(TornadoNativeArray source, int index) {
        return switch (source) {
            case FloatArray floats -> Float.floatToRawIntBits(floats.get(index));
            case IntArray ints -> ints.get(index);
            case HalfFloatArray halves -> Short.toUnsignedInt(halves.get(index).getHalfFloatValue());
            case ShortArray shorts -> Short.toUnsignedInt(shorts.get(index));
            default -> throw new AssertionError(source.getClass());
        };
    }

    void store(TornadoNativeArray target, int index, int packed, int elements) {
        if (elements < 1 || elements > 2) {
            throw illegal("stores " + elements + " packed elements; it must be 1 or 2");
        }
        if (elements == 2 && index % 2 != 0) {
            throw illegal("stores a pair at element " + index + "; it must be even");
        }
        Hooks.set(
                target,
                index,
                elements,
                item,
                at -> (short) rawBits(target, at) == part(packed, at - index),
                at -> storeBits(target, at, part(packed, at - index)));
    }

    void storeEight(TornadoNativeArray target, int index, int[] registers, int at) {
        if (index % EIGHT != 0) {
            throw illegal("stores eight elements from " + index + " on; it must be a multiple of " + EIGHT);
        }
        for (int i = 0; i < EIGHT / 2; i++) {
            store(target, index + 2 * i, PrivateHooks.read(registers, at + i, "elements to write", item), 2);
        }
    }

    private static short part(int packed, int element) {
        return (short) (packed >>> Short.SIZE * element);
    }

    private static void storeBits(TornadoNativeArray target, int index, short bits) {
        switch (target) {
            case HalfFloatArray halves -> halves.set(index, new HalfFloat(bits));
            case ShortArray shorts -> shorts.set(index, bits);
            default -> throw new AssertionError(target.getClass());
        }
    }

    void store(FloatArray target, int index, float value) {
        int bits = Float.floatToRawIntBits(value);
        Hooks.set(target, index, 1, item, at -> rawBits(target, at) == bits, at -> target.set(at, value));
    }

    void fenceLocalMemory() {
        unfenced = false;
        item.asyncCopies().fence();
    }

    void multiplyTiles(int type, float[] c, int columns, int[] tile, int atA, int atB, int accumulate) {
        LocalArray array = localArray(tile, "multiplies tiles from");
        requireFenced(array);
        products.start(new GroupProducts.Product(
                type, c, columns, null, atA, array, tile, atB, 0, true, false, accumulate != 0));
    }

    void multiplyRegisters(
            int type, float[] c, int columns, int[] a, int atA, int[] tile, int atB, int strideB, int accumulate) {
        if (type == WarpIntrinsics.E4M3) {
            throw illegal(
                    "multiplies by E4M3 along the rows of a tile; the tensor cores read 8-bit operands along their"
                            + " columns only: WarpGroup.multiplyTransposed");
        }
        LocalArray array = localArray(tile, "multiplies a tile from");
        requireFenced(array);
        products.start(new GroupProducts.Product(
                type, c, columns, a, atA, array, tile, atB, strideB, false, false, accumulate != 0));
    }

    void multiplyTransposed(int type, float[] c, int columns, int[] a, int atA, int[] tile, int atB, int accumulate) {
        LocalArray array = localArray(tile, "multiplies a tile from");
        requireFenced(array);
        products.start(
                new GroupProducts.Product(type, c, columns, a, atA, array, tile, atB, 0, true, false, accumulate != 0));
    }

    void multiplyByRows(int type, float[] c, int columns, int[] tile, int atA, int atB, int strideB, int accumulate) {
        requireSixteenBits(type);
        LocalArray array = localArray(tile, "multiplies tiles from");
        requireFenced(array);
        products.start(new GroupProducts.Product(
                type, c, columns, null, atA, array, tile, atB, strideB, false, true, accumulate != 0));
    }

    /** A has a row for each row of C, B one for each step of the depth. */
    void multiplyTiles(int type, float[] c, int columns, int[] tile, int atA, int atB, int strideB, int accumulate) {
        requireSixteenBits(type);
        LocalArray array = localArray(tile, "multiplies tiles from");
        requireFenced(array);
        products.start(new GroupProducts.Product(
                type, c, columns, null, atA, array, tile, atB, strideB, false, false, accumulate != 0));
    }

    private void requireSixteenBits(int type) {
        if (type == WarpIntrinsics.E4M3) {
            throw illegal("multiplies E4M3 by rows; the tensor cores read 8-bit operands along their columns only:"
                    + " WarpGroup.multiply");
        }
    }

    void commit() {
        products.commit();
    }

    void await(int pending, float[] c, int registers) {
        products.await(pending);
    }

    void setRegisters(int count) {
        if (count < MIN_REGISTERS || count > MAX_REGISTERS || count % 8 != 0) {
            throw illegal("sets its registers to " + count + "; it must be a multiple of 8 from " + MIN_REGISTERS
                    + " to " + MAX_REGISTERS);
        }
        registers = count;
        int sum = 0;
        for (WorkItem other : item.group().items()) {
            int ofOther = other.warpLane().registers;
            if (ofOther == 0) {
                return;
            }
            sum += ofOther;
        }
        if (sum > REGISTERS_OF_A_GROUP) {
            throw illegal("sets its registers to " + count + ", and with it the group's to " + sum + "; there are "
                    + REGISTERS_OF_A_GROUP);
        }
    }

    void initBarrier(int[] barriers, int index, int warps, boolean forCopies) {
        WarpBarriers.Place place = barrier(barriers, index, "makes a barrier in");
        if (warps < 1) {
            throw illegal("makes a barrier for " + warps + " warps; it needs one at least");
        }
        for (int i = 0; i < WarpBarrierIntrinsics.INTS; i++) {
            LocalHooks.beforeLocalWrite(barriers, index + i, item);
            barriers[index + i] = 0;
        }
        item.group().warpBarriers().make(place, warps, forCopies);
    }

    void arrive(int[] barriers, int index) {
        WarpBarriers.Place place = barrier(barriers, index, "arrives at a barrier in");
        LocalHooks.beforeLocalRead(barriers, index, item);
        Object[] places = warp.meet(item, "WarpBarrier.arrive", place);
        if (places != null) {
            requireSame(places);
            item.group().warpBarriers().arrive(item, place, false);
            warp.answer(item, places);
        }
    }

    void arriveWithCopies(int[] barriers, int index) {
        WarpBarriers.Place place = barrier(barriers, index, "arrives at a barrier in");
        LocalHooks.beforeLocalRead(barriers, index, item);
        Object[] places = warp.meet(item, "WarpBarrier.arriveWithCopies", place);
        if (places != null) {
            requireSame(places);
            for (int lane = 0; lane < Warp.SIZE; lane++) {
                warp.item(lane).asyncCopies().awaitForOthers();
            }
            item.group().warpBarriers().arrive(item, place, true);
            warp.answer(item, places);
        }
    }

    void await(int[] barriers, int index, int phase) {
        WarpBarriers.Place place = barrier(barriers, index, "waits at a barrier in");
        LocalHooks.beforeLocalRead(barriers, index, item);
        Object[] places = warp.meet(item, "WarpBarrier.await", place);
        if (places != null) {
            requireSame(places);
            warp.answer(item, places);
        }
        awaited = place;
        awaitedPhase = phase;
        while (!item.group().warpBarriers().hasEnded(item, place, phase)) {
            item.state(WorkItem.State.AT_WARP_BARRIER);
            item.group().giveWay(item);
        }
        awaited = null;
        unfenced |= item.group().warpBarriers().isForCopies(place);
    }

    boolean awaits(WarpBarriers.Place place) {
        return place.equals(awaited);
    }

    /** What this lane waits for, as messages say it. */
    String awaited() {
        return "phase " + awaitedPhase + " of the barrier " + awaited + " ("
                + item.group().warpBarriers().progress(awaited) + ")";
    }

    private void requireFenced(LocalArray array) {
        if (unfenced) {
            throw illegal("multiplies from " + array.name() + " after it has waited for copies of others without"
                    + " WarpGroup.fenceLocalMemory(); call it between the wait and the product");
        }
    }

    private void requireSame(Object... places) {
        for (Object place : places) {
            if (!place.equals(places[0])) {
                throw illegal("and the first lane of its warp use different barriers, " + place + " and " + places[0]
                        + "; all lanes of a warp must use the same");
            }
        }
    }

    private WarpBarriers.Place barrier(int[] barriers, int index, String action) {
        LocalArray array = localArray(barriers, action);
        if (index % WarpBarrierIntrinsics.INTS != 0) {
            throw illegal(action + " " + array.name() + "[" + index + "]; the index must be even");
        }
        return new WarpBarriers.Place(array, index);
    }

    private LocalArray localArray(int[] tile, String action) {
        LocalArray array = item.group().localArray(tile);
        if (array == null) {
            throw illegal(action + " an array that is not in local memory; allocate it with the KernelContext");
        }
        return array;
    }

    private int chunkIndex(LocalArray array, int byteOffset, String action) {
        if (byteOffset % CHUNK_BYTES != 0) {
            throw illegal(action + " " + array.name() + " at byte " + byteOffset + "; the offset must be a multiple of "
                    + CHUNK_BYTES);
        }
        LocalArray crooked = item.group().crooked();
        if (crooked != null) {
            throw illegal(action + " " + array.name() + ", which need not begin at a multiple of " + CHUNK_BYTES
                    + " bytes, since " + crooked.name() + " has " + crooked.length() + " elements: make every local"
                    + " array's size a multiple of " + CHUNK_BYTES + " bytes");
        }
        int first = byteOffset / Integer.BYTES;
        if (first < 0 || first + CHUNK_INTS > array.length()) {
            throw item.fault(
                    FaultKind.OUT_OF_BOUNDS,
                    action + " " + array.name() + "[" + first + "…" + (first + CHUNK_INTS - 1) + "], which has "
                            + array.length() + " elements");
        }
        return first;
    }

    private SimulatorFaultException illegal(String detail) {
        return item.fault(FaultKind.ILLEGAL_OPERATION, detail);
    }
}
