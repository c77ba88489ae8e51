package org.tornadoattention.simulator.engine;

import java.lang.reflect.Array;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.tornadoattention.simulator.FaultKind;
import org.tornadoattention.simulator.MemoryAccess;
import org.tornadoattention.simulator.SimulatorFaultException;
import org.tornadoattention.simulator.engine.ContinuationCarrier.CarrierThread;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.ByteArray;
import uk.ac.manchester.tornado.api.types.arrays.DoubleArray;
import uk.ac.manchester.tornado.api.types.arrays.FP8Array;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.LongArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * One work-item of a group, or one chunk of a kernel with {@code @Parallel} loops.
 *
 * <p>Within a group exactly one work-item runs at any time; {@link WorkGroup} says which.
 */
public final class WorkItem {

    /** Stands for code that runs on the host: ids are 0, barriers do nothing. */
    public static final WorkItem OUTSIDE = new WorkItem(null, null, 0, 0, 0, new Counters(0));

    private static final ThreadLocal<WorkItem> CURRENT = new ThreadLocal<>();

    private static final int SEVERAL_ITERATIONS = Integer.MAX_VALUE - 1;
    private static final int LAST_ITERATION = SEVERAL_ITERATIONS - 1;

    /**
     * What part of the time that a loop may take is counted at most from one look at the clock to the next: threads
     * stall.
     */
    private static final int LONGEST_PART = 8;

    /** Where a work-item stands. */
    enum State {
        READY,
        RUNNING,
        AT_BARRIER,
        AT_COLLECTIVE,
        AT_WARP_BARRIER,
        AWAITS_TURN,
        DONE
    }

    /** A stamp from which on accesses may be of the present phase between barriers; see {@link LocalArray}. */
    int epoch = LocalArray.FIRST_EPOCH;
    /** This work-item's stamp in the present phase. */
    int stamp;

    /** The number of the group or chunk, plus one: what records of device memory call it. */
    final int part;

    /** What this work-item leaves in a {@link GlobalRecord}: its part, and its stamp or the number of its iteration. */
    long tag;

    private final Launch launch;
    private final WorkGroup group;
    private final int id;
    private final int turn;
    private final Counters counters;
    private final int[] localId;

    private State state = State.READY;
    private BooleanSupplier turnHasCome = () -> true;
    private Strand strand;
    private int allocations;
    private int barrierSite;
    private TensorLane tensorLane;
    private AsyncCopies asyncCopies;
    private WarpLane warpLane;
    private ParallelPosition parallel;
    private int iterations;
    private Map<Integer, OpenLoop> openLoops;
    private boolean writtenMark;
    /** Null unless costs are asked for; of iterations of parallel loops, the lane of the present one. */
    private CostTrace costTrace;

    private List<CostTrace> costsOfIterations;
    private int costSite;
    private int callSite = -1;
    /** Null unless somebody wants a picture in which this work-item is; of parallel loops, the present iteration's. */
    private ValueTrace values;

    /** Of parallel loops, what pictures of warps of iterations are made of. */
    private GroupTrace pictureOfIterations;

    private long privateBytes;

    WorkItem(Launch launch, WorkGroup group, int id, int turn, Counters counters) {
        this(launch, group, id, group.flatId() + 1, turn, counters);
    }

    private WorkItem(Launch launch, WorkGroup group, int id, int part, int turn, Counters counters) {
        this.launch = launch;
        this.group = group;
        this.id = id;
        this.turn = turn;
        this.counters = counters;
        this.part = part;
        enterEpoch(LocalArray.FIRST_EPOCH);
        this.localId = group == null ? new int[Grid.DIMENSIONS] : group.grid().localId(id);
        if (launch != null && launch.options().costs()) {
            costTrace = newCostTrace();
            values = group == null || group.picture() == null
                    ? null
                    : group.picture().values(id);
        }
    }

    private CostTrace newCostTrace() {
        CostTrace trace = new CostTrace();
        if (launch.options().trace()) {
            trace.keepCallers();
        }
        return trace;
    }

    static WorkItem chunk(Launch launch, int turn, Counters counters, ParallelPosition position) {
        WorkItem item = new WorkItem(launch, null, 0, position.chunk() + 1, turn, counters);
        item.parallel = position;
        if (launch.options().costs()) {
            item.costsOfIterations = new ArrayList<>(List.of(item.costTrace));
            item.beginPicture();
        }
        item.leaveIteration();
        return item;
    }

    static WorkItem current() {
        return Thread.currentThread() instanceof CarrierThread carrier ? carrier.item() : CURRENT.get();
    }

    static void restore(WorkItem outer) {
        if (outer == null) {
            CURRENT.remove();
        } else {
            CURRENT.set(outer);
        }
    }

    void becomeCurrent() {
        if (Thread.currentThread() instanceof CarrierThread carrier) {
            carrier.item(this);
        } else {
            CURRENT.set(this);
        }
    }

    /** Returns the id in the grid. */
    public int globalId(int dimension) {
        return group == null
                ? 0
                : group.grid().offset()[dimension]
                        + group.id(dimension) * group.grid().local()[dimension]
                        + localId[dimension];
    }

    /** Returns the id of the group. */
    public int groupId(int dimension) {
        return group == null ? 0 : group.id(dimension);
    }

    /** Returns the id in the group. */
    public int localId(int dimension) {
        return localId[dimension];
    }

    /** Returns the size of the grid. */
    public int globalSize(int dimension) {
        return group == null ? 0 : group.grid().global()[dimension];
    }

    /** Returns the size of a group. */
    public int localSize(int dimension) {
        return group == null ? 0 : group.grid().local()[dimension];
    }

    /** Waits for the group. */
    public void barrier() {
        if (!isAlone("a barrier")) {
            group.barrier(this);
        }
    }

    /** Returns the array that the group shares for this call; all work-items must make the same calls. */
    public <A> A allocate(Class<A> type, int size) {
        return type.cast(
                isAlone("local memory")
                        ? Array.newInstance(type.getComponentType(), size)
                        : group.allocate(this, allocations++, type, size).elements());
    }

    /** Returns the sum over the warp. */
    public float simdSum(float value) {
        return isAlone("a warp collective") ? value : warp().sum(this, value);
    }

    /** Returns the value of the lane {@code delta} further, or the own where there is none. */
    public float simdShuffleDown(float value, int delta) {
        return isAlone("a warp collective") ? value : warp().shuffleDown(this, value, delta);
    }

    /** Returns the value of the first lane. */
    public float simdBroadcastFirst(float value) {
        return isAlone("a warp collective") ? value : warp().broadcastFirst(this, value);
    }

    /** Returns this work-item's part in tensor-core operations. */
    public TensorLane tensorLane() {
        if (group == null) {
            throw notInGroup("a tensor-core operation");
        }
        if (tensorLane == null) {
            tensorLane = new TensorLane(this, warp());
        }
        return tensorLane;
    }

    /** Reads an element of a local array. */
    public <T> T load(T[] array, int index) {
        LocalHooks.beforeLocalRead(array, index, this);
        return array[index];
    }

    /** Reads an element of a local array. */
    public byte load(byte[] array, int index) {
        LocalHooks.beforeLocalRead(array, index, this);
        return array[index];
    }

    /** Writes an element of a local array. */
    public <T> void store(T[] array, int index, T value) {
        LocalHooks.beforeLocalWrite(array, index, this);
        array[index] = value;
    }

    /** Writes an element of a local array. */
    public void store(byte[] array, int index, byte value) {
        LocalHooks.beforeLocalWrite(array, index, this);
        array[index] = value;
    }

    /** Adds atomically. */
    public void atomicAdd(IntArray array, int index, int value) {
        Atomics.add(this, array, index, value);
    }

    /** Adds atomically to an element of a local array. */
    public void atomicAdd(int[] array, int index, int value) {
        Atomics.add(this, array, index, value);
    }

    /** Adds atomically. */
    public void atomicAdd(LongArray array, int index, long value) {
        Atomics.add(this, array, index, value);
    }

    /** Adds atomically. */
    public void atomicAdd(FloatArray array, int index, float value) {
        Atomics.add(this, array, index, value);
    }

    /** Adds atomically. */
    public void atomicAdd(DoubleArray array, int index, double value) {
        Atomics.add(this, array, index, value);
    }

    /** Starts a copy of two halves. */
    public void asyncCopy(int[] tile, int tileIndex, HalfFloatArray source, int sourceIndex) {
        requireAligned(source, sourceIndex);
        int low = Short.toUnsignedInt(
                readAll(source, sourceIndex, 2).get(sourceIndex).getHalfFloatValue());
        int high = source.get(sourceIndex + 1).getHalfFloatValue();
        asyncCopies().start(tile, tileIndex, low | high << 16);
    }

    /** Starts a copy of four 8-bit floats. */
    public void asyncCopy(int[] tile, int tileIndex, FP8Array source, int sourceIndex) {
        requireAligned(source, sourceIndex);
        readAll(source, sourceIndex, 4);
        int packed = 0;
        for (int i = 3; i >= 0; i--) {
            packed = packed << 8 | Byte.toUnsignedInt(source.get(sourceIndex + i));
        }
        asyncCopies().start(tile, tileIndex, packed);
    }

    /** Starts a copy of four bytes. */
    public void asyncCopy(int[] tile, int tileIndex, ByteArray source, int sourceIndex) {
        requireAligned(source, sourceIndex);
        readAll(source, sourceIndex, 4);
        int packed = 0;
        for (int i = 3; i >= 0; i--) {
            packed = packed << 8 | Byte.toUnsignedInt(source.get(sourceIndex + i));
        }
        asyncCopies().start(tile, tileIndex, packed);
    }

    private void requireAligned(TornadoNativeArray source, int index) {
        int elements = Integer.BYTES / source.getElementSize();
        if (launch != null && index % elements != 0) {
            throw fault(
                    FaultKind.ILLEGAL_OPERATION,
                    "copies " + elements + " elements asynchronously from element " + index
                            + "; it must be a multiple of " + elements
                            + ", since the hardware copies 4 bytes that begin"
                            + " at a multiple of 4");
        }
    }

    /** Closes the group of copies started since the last call. */
    public void asyncCopyCommit() {
        asyncCopies().commit();
    }

    /** Waits until at most that many groups of copies are under way. */
    public void asyncCopyWaitGroup(int groups) {
        asyncCopies().await(groups);
    }

    private <A extends TornadoNativeArray> A readAll(A source, int from, int count) {
        Hooks.beforeGet(source, from, count, this);
        return source;
    }

    /** Returns this work-item's part in the library's own warp operations. */
    WarpLane warpLane() {
        if (group == null) {
            throw notInGroup("a warp intrinsic");
        }
        if (warpLane == null) {
            warpLane = new WarpLane(this);
        }
        return warpLane;
    }

    int groupProducts() {
        return warpLane == null ? 0 : warpLane.groupProducts();
    }

    AsyncCopies asyncCopies() {
        if (asyncCopies == null) {
            asyncCopies = new AsyncCopies(this);
        }
        return asyncCopies;
    }

    Launch launch() {
        return launch;
    }

    WorkGroup group() {
        return group;
    }

    int id() {
        return id;
    }

    /** The place of its group or chunk in the order in which those of the launch begin. */
    int turn() {
        return turn;
    }

    Counters counters() {
        return counters;
    }

    Warp warp() {
        return group.warp(id / Warp.SIZE);
    }

    ParallelPosition parallel() {
        return parallel;
    }

    TensorLane tensorLaneOrNull() {
        return tensorLane;
    }

    State state() {
        return state;
    }

    /** Waits until a turn has come. */
    void awaitTurn(BooleanSupplier come) {
        state = State.AWAITS_TURN;
        turnHasCome = come;
    }

    boolean turnHasCome() {
        return turnHasCome.getAsBoolean();
    }

    void state(State newState) {
        state = newState;
    }

    /** Returns what it runs on, or null before it has begun. */
    Strand strand() {
        return strand;
    }

    int barrierSite() {
        return barrierSite;
    }

    void barrierSite(int site) {
        barrierSite = site;
    }

    void enterEpoch(int newEpoch) {
        enterEpoch(newEpoch, newEpoch);
    }

    /** Enters an epoch of its warp; other epochs from {@code oldest} on may run at the same time. */
    void enterEpoch(int oldest, int ownEpoch) {
        epoch = oldest;
        stamp = ownEpoch + id + 1;
        tag = (long) part << Integer.SIZE | stamp;
    }

    /** Begins an iteration of the innermost parallel loop, which is a work-item on a device. */
    void enterIteration() {
        iterations = iterations == LAST_ITERATION ? 1 : iterations + 1;
        epoch = 1;
        tag = (long) part << Integer.SIZE | iterations;
        if (costTrace != null && costTrace.size() > 0) {
            nextLane();
        }
    }

    /** Iterations are the lanes of warps, in order. */
    private void nextLane() {
        if (costsOfIterations.size() == Warp.SIZE) {
            tallyIterations();
        }
        costTrace = newCostTrace();
        if (costsOfIterations.isEmpty()) {
            beginPicture();
        } else if (pictureOfIterations != null) {
            values = pictureOfIterations.values(costsOfIterations.size());
        }
        costsOfIterations.add(costTrace);
        privateBytes = 0;
    }

    /** Begins the picture of the warp of iterations that comes next. */
    private void beginPicture() {
        pictureOfIterations = launch.picture() == null ? null : launch.picture().nextWarp();
        values = pictureOfIterations == null ? null : pictureOfIterations.values(0);
    }

    /** Puts together what the iterations so far cost. */
    void tallyIterations() {
        if (costsOfIterations != null) {
            if (launch.picture() != null && costsOfIterations.stream().allMatch(trace -> trace.size() == 0)) {
                launch.picture().forgetLastWarp();
                pictureOfIterations = null;
            }
            counters.costs()
                    .warp(costsOfIterations, pictureOfIterations == null ? null : pictureOfIterations.warp(0, 0));
            costsOfIterations.clear();
        }
    }

    CostTrace costTrace() {
        return costTrace;
    }

    /** Notes where in the code the next access is. */
    void costAt(int site) {
        costSite = site;
    }

    int costSite() {
        return costSite;
    }

    /** Notes where the kernel calls a method of its own. */
    void callAt(int site) {
        callSite = site;
    }

    /** Returns where values of variables are kept; null unless somebody wants a picture. */
    ValueTrace values() {
        return values;
    }

    void noteTurn(int site) {
        costTrace.turn(site);
    }

    void noteGlobal(DeviceArray array, MemoryAccess access, int index, int elements) {
        if (costTrace != null) {
            int bytes = array.host().getElementSize();
            costTrace.access(
                    costSite,
                    callSite,
                    access,
                    array.slot(),
                    bytes * elements,
                    TornadoNativeArray.ARRAY_HEADER + (long) bytes * Math.max(index, 0));
        }
    }

    void noteLocal(LocalArray array, MemoryAccess access, int index) {
        if (costTrace != null) {
            int bytes = array.elementBytes();
            costTrace.access(
                    costSite,
                    callSite,
                    access,
                    array.index(),
                    bytes,
                    array.offset() + (long) bytes * Math.max(index, 0));
        }
    }

    void notePrivate(long bytes) {
        privateBytes += bytes;
        counters.costs().privateBytes(privateBytes);
    }

    /** Runs code around the innermost parallel loop: what it does is not held against any iteration. */
    void leaveIteration() {
        epoch = Integer.MAX_VALUE;
        tag = (long) part << Integer.SIZE;
    }

    /**
     * Whether what has left this tag is not ordered with what this work-item does now by the end of a launch or a
     * barrier.
     */
    boolean isConcurrent(long otherTag) {
        return (int) (otherTag >>> Integer.SIZE) != part || (int) otherTag >= epoch;
    }

    /** What several work-items or iterations of this part leave together. */
    long tagOfSeveral() {
        return (long) part << Integer.SIZE
                | (group == null
                        ? SEVERAL_ITERATIONS
                        : stamp / LocalArray.EPOCH * LocalArray.EPOCH + LocalArray.SEVERAL);
    }

    /** Whether several of this part have left this tag together, at whatever time. */
    boolean isTagOfSeveral(long otherTag) {
        int low = (int) otherTag;
        return group == null ? low == SEVERAL_ITERATIONS : low % LocalArray.EPOCH == LocalArray.SEVERAL;
    }

    /** What this work-item leaves if it adds atomically. */
    long tagOfAdder() {
        return tag + LocalArray.ADDED;
    }

    /** What several work-items of this part leave that add atomically. */
    long tagOfSeveralAdders() {
        return (long) part << Integer.SIZE | stamp / LocalArray.EPOCH * LocalArray.EPOCH + LocalArray.ATOMIC;
    }

    /**
     * Notes that a loop, of which the code does not tell that it ends, has turned so often since the work-item came to
     * it.
     *
     * @param loop the number of the loop in the kernel
     * @param line the line of source where the loop begins
     * @param exits whether there is a way out of it
     */
    void turned(int turns, int loop, int line, boolean exits) {
        launch.stopAfterFailure(turn);
        if (!exits) {
            throw faultAt(
                    SourceLine.inFileOfCurrent(line),
                    FaultKind.ENDLESS_LOOP,
                    "is in a loop that there is no way out of");
        }
        long now = System.nanoTime();
        if (openLoops == null) {
            openLoops = new HashMap<>();
        }
        OpenLoop known = openLoops.get(loop);
        long limit = TimeUnit.SECONDS.toNanos(launch.settings().loopSeconds());
        boolean begins = known == null || known.turns >= turns;
        long spent = begins ? 0 : known.spent + Math.min(now - known.last, limit / LONGEST_PART);
        openLoops.put(loop, new OpenLoop(turns, now, spent));
        if (spent > limit) {
            throw faultAt(
                    SourceLine.inFileOfCurrent(line),
                    FaultKind.ENDLESS_LOOP,
                    "has turned %,d times in a loop for %d s; find out why the loop does not come to its end (work-items run one after the other, so that none can wait in a loop for what another writes), or allow more with -Dtornadoattention.simulator.loopSeconds"
                            .formatted(turns, launch.settings().loopSeconds()));
        }
    }

    /** When a loop had turned so often, and the nanoseconds that it took until then. */
    private record OpenLoop(int turns, long last, long spent) {}

    /** Notes that a number is in use that looks like the mark of {@link PrivateHooks}. */
    void writesMark() {
        writtenMark = true;
    }

    boolean hasWrittenMark() {
        return writtenMark;
    }

    /** Begins to run on a strand. */
    void runOn(Strand runner) {
        strand = runner;
        runner.show(this);
        becomeCurrent();
    }

    /** Returns what the thread of this work-item is called. */
    String threadName() {
        return "kernel " + launch.kernelName() + " group " + group.name() + " item " + group.itemName(id);
    }

    KernelContext newContext() {
        return Contexts.create(this);
    }

    /**
     * Returns a fault that this work-item ran into, at the source line where it is now. It fails the launch, even if
     * the kernel catches it.
     */
    SimulatorFaultException fault(FaultKind kind, String detail) {
        return faultAt(SourceLine.current(), kind, detail);
    }

    private SimulatorFaultException faultAt(String place, FaultKind kind, String detail) {
        SimulatorFaultException fault = new SimulatorFaultException(kind, where(place) + detail);
        launch.fail(fault, this);
        return fault;
    }

    /** Returns the beginning of a message: kernel, source line, group and work-item. */
    String where(String line) {
        String kernel = "in kernel " + launch.kernelName() + " (" + line + "): ";
        if (group != null) {
            return kernel + "work-item " + group.itemName(id) + " of group " + group.name() + " ";
        }
        return parallel == null ? kernel : kernel + parallel + " ";
    }

    /** Returns true outside of kernels; throws in a kernel without groups. */
    private boolean isAlone(String what) {
        if (group == null && launch != null) {
            throw notInGroup(what);
        }
        return group == null;
    }

    private SimulatorFaultException notInGroup(String what) {
        String detail = what + " needs a kernel that runs in work-groups; give it a KernelContext parameter and a grid";
        return launch == null
                ? new SimulatorFaultException(FaultKind.ILLEGAL_OPERATION, detail)
                : fault(FaultKind.ILLEGAL_OPERATION, "uses " + detail);
    }
}
