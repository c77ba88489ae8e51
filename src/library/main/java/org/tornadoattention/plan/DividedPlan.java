package org.tornadoattention.plan;

import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionPart;
import org.tornadoattention.AttentionPart.Range;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.DeviceBuffer;
import org.tornadoattention.device.Recording.Captured;
import org.tornadoattention.device.Recording.Runs;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;

/**
 * A pass of a problem whose sequence is divided among devices. Each owns some queries, keys and values and all that has
 * a row for each of these; nobody else writes it. To compute its queries it brings keys and values of the others, for
 * some heads at a time, into a stage; to compute gradients of its keys it brings queries likewise. So nothing is ever
 * merged or summed: a row of a result is computed once, by its owner, in the order in which one device would. Memory of
 * a device is its share and the stages.
 *
 * <p>Where executions can be recorded, shares stay on the devices and are copied from one to another; each pass brings
 * what it needs on a queue of its own, while that of the device's other piece computes. What needs no rows of others,
 * as the first piece's queries under a causal mask, is computed in the share itself, all heads at once. From the second
 * run on, what a device is given is one graph of its driver. Elsewhere shares are with the host.
 */
public final class DividedPlan implements AutoCloseable {

    /** Rows of a tile, more or less, that a compute unit works on. */
    private static final int TILE = 128;

    /** The part of its compute units that has to have a tile for a GPU to be busy. */
    private static final double BUSY = 0.75;

    /** A tensor of a pass, and whether it has a row for each query or for each key. */
    public enum Role {
        QUERY(true),
        KEY(false),
        VALUE(false),
        OUTPUT(true),
        LOG_SUM_EXP(true),
        OUTPUT_GRADIENT(true),
        QUERY_GRADIENT(true),
        KEY_GRADIENT(false),
        VALUE_GRADIENT(false);

        private final boolean ofQueries;

        Role(boolean ofQueries) {
            this.ofQueries = ofQueries;
        }
    }

    private static final Set<Role> FORWARD_INPUTS = Set.of(Role.QUERY, Role.KEY, Role.VALUE);
    private static final Set<Role> FORWARD_OUTPUTS = Set.of(Role.OUTPUT, Role.LOG_SUM_EXP);
    private static final Set<Role> BACKWARD_INPUTS =
            Set.of(Role.QUERY, Role.KEY, Role.VALUE, Role.OUTPUT, Role.LOG_SUM_EXP, Role.OUTPUT_GRADIENT);
    private static final Set<Role> KEY_GRADIENTS = Set.of(Role.KEY_GRADIENT, Role.VALUE_GRADIENT);
    private static final Set<Role> GRADIENTS = Set.of(Role.QUERY_GRADIENT, Role.KEY_GRADIENT, Role.VALUE_GRADIENT);

    /**
     * A piece of the sequence.
     *
     * @param device the owner's position among the devices
     * @param queries its queries
     * @param keys its keys and values
     */
    public record Piece(int device, Range queries, Range keys) {}

    /**
     * Batch entries and heads, whose sequence some devices divide.
     *
     * @param batch batch entries
     * @param kvHeads heads of keys and values
     * @param pieces of the sequence, one where it is not divided
     */
    public record Cell(Range batch, Range kvHeads, List<Piece> pieces) {

        /** Keeps a copy. */
        public Cell {
            pieces = List.copyOf(pieces);
        }
    }

    /** Bytes that are moved between a share and a stage, as they lie on the way to the stage. */
    private record Move(Share share, long shareByte, Tensor stage, long stageByte, Runs runs) {}

    /** What a pass does for some heads. */
    private record Round(List<Move> inputs, List<Move> outputs) {}

    /** A pass on a device, and what it does. */
    private record Worker(int device, StagedPass pass, List<Round> rounds) {}

    private final AttentionShape whole;
    private final AttentionOptions options;
    private final List<ComputeDevice> devices;
    private final Map<Role, Tensor> tensors;
    private final Set<Role> results;
    private final boolean stays;
    private final List<ExecutorService> threads;
    private final List<PlanCache> plans;
    private final List<Worker> workers = new ArrayList<>();
    private final Map<Cell, List<Map<Role, Share>>> shares = new LinkedHashMap<>();
    private final Map<Integer, Captured> captured = new ConcurrentHashMap<>();
    private boolean hasRun;

    private DividedPlan(
            AttentionShape whole,
            AttentionOptions options,
            List<ComputeDevice> devices,
            List<Cell> cells,
            Map<Role, Tensor> tensors,
            Set<Role> results,
            boolean stays) {
        this.whole = whole;
        this.options = options;
        this.devices = devices;
        this.tensors = tensors;
        this.results = results;
        this.stays = stays;
        // One for each device, as long as it has work: TornadoVM keeps a queue for each thread that it meets.
        threads = devices.stream()
                .map(device -> Executors.newSingleThreadExecutor(Thread.ofPlatform()
                        .daemon()
                        .name("tornado-attention-" + device)
                        .factory()))
                .toList();
        plans = devices.stream()
                .map(device -> new PlanCache(device, Optional.empty(), Optional.empty()))
                .toList();
        try {
            for (Cell cell : cells) {
                List<Map<Role, Share>> own =
                        cell.pieces.stream().map(piece -> shares(cell, piece)).toList();
                shares.put(cell, own);
                // One after another: TornadoVM's compiler is not made for several at once.
                for (int piece = 0; piece < own.size(); piece++) {
                    int index = piece;
                    on(cell.pieces.get(piece).device, () -> addWorkers(cell, index));
                }
            }
            if (isOnDevices()) {
                bringShares();
            }
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    /**
     * A forward pass.
     *
     * @param cells which divide the problem
     * @throws IllegalArgumentException if the options cannot be divided so
     */
    public static DividedPlan forward(
            AttentionShape whole,
            AttentionOptions options,
            List<ComputeDevice> devices,
            List<Cell> cells,
            Tensor q,
            Tensor k,
            Tensor v) {
        Map<Role, Tensor> tensors = new EnumMap<>(Role.class);
        tensors.put(Role.QUERY, q);
        tensors.put(Role.KEY, k);
        tensors.put(Role.VALUE, v);
        tensors.put(Role.OUTPUT, Tensor.allocate(q.dtype(), whole.outputShape()));
        Tensor logSumExp = Tensor.allocate(DType.F32, whole.logSumExpShape());
        logSumExp.fill(Float.NEGATIVE_INFINITY); // where no key is seen, nothing is computed
        tensors.put(Role.LOG_SUM_EXP, logSumExp);
        return of(whole, options, devices, cells, tensors, FORWARD_OUTPUTS);
    }

    /**
     * A backward pass, whose gradients go to tensors of {@code all}, which are zero before.
     *
     * @param cells which divide the problem
     * @throws IllegalArgumentException if the options cannot be divided so
     */
    public static DividedPlan backward(
            AttentionShape whole,
            AttentionOptions options,
            List<ComputeDevice> devices,
            List<Cell> cells,
            BackwardTensors all) {
        Map<Role, Tensor> tensors = new EnumMap<>(Role.class);
        tensors.put(Role.QUERY, all.q());
        tensors.put(Role.KEY, all.k());
        tensors.put(Role.VALUE, all.v());
        tensors.put(Role.OUTPUT, all.output());
        tensors.put(Role.LOG_SUM_EXP, all.logSumExp());
        tensors.put(Role.OUTPUT_GRADIENT, all.dOut());
        tensors.put(Role.QUERY_GRADIENT, all.dQ());
        tensors.put(Role.KEY_GRADIENT, all.dK());
        tensors.put(Role.VALUE_GRADIENT, all.dV());
        return of(whole, options, devices, cells, tensors, GRADIENTS);
    }

    private static DividedPlan of(
            AttentionShape whole,
            AttentionOptions options,
            List<ComputeDevice> devices,
            List<Cell> cells,
            Map<Role, Tensor> tensors,
            Set<Role> results) {
        if (devices.stream().map(ComputeDevice::backend).distinct().count() == 1
                && CompilerExtension.canRecord(devices.getFirst().backend())) {
            DividedPlan plan = new DividedPlan(whole, options, devices, cells, tensors, results, true);
            if (plan.isOnDevices()) {
                return plan;
            }
            plan.close();
        }
        return new DividedPlan(whole, options, devices, cells, tensors, results, false);
    }

    /** Whether shares stay on the devices and are copied from one to another; else they are with the host. */
    public boolean isOnDevices() {
        return stays
                && workers.stream().allMatch(worker -> worker.pass.isOnDevice())
                && allShares().allMatch(share -> !workersOf(share.device()).isEmpty());
    }

    /** Bytes of the shares that a device owns, wherever they are. */
    public long shareBytes(int device) {
        return allShares()
                .filter(share -> share.device() == device)
                .mapToLong(Share::bytes)
                .sum();
    }

    /** Bytes of a device's stages; where nothing is divided, the share is the stage, and this is 0. */
    public long stageBytes(int device) {
        return workers.stream()
                .filter(worker -> worker.device == device
                        && !worker.rounds.getFirst().inputs.isEmpty())
                .mapToLong(worker -> worker.pass.bytes())
                .sum();
    }

    private static <K, V> V given(Map<K, V> map, K key) {
        return Objects.requireNonNull(map.get(key));
    }

    private Stream<Share> allShares() {
        return shares.values().stream().flatMap(List::stream).flatMap(each -> each.values().stream());
    }

    private Map<Role, Share> shares(Cell cell, Piece piece) {
        Map<Role, Share> own = new EnumMap<>(Role.class);
        tensors.forEach((role, tensor) -> {
            Range rows = role.ofQueries ? piece.queries : piece.keys;
            int[] to = tensor.shape();
            Range heads = heads(role, cell.kvHeads);
            to[0] = cell.batch.to();
            to[1] = heads.to();
            to[2] = rows.to();
            own.put(role, new Share(piece.device, rows, tensor.block(start(role, tensor, cell, rows), to)));
        });
        return own;
    }

    private int[] start(Role role, Tensor tensor, Cell cell, Range rows) {
        int[] from = new int[tensor.rank()];
        from[0] = cell.batch.from();
        from[1] = heads(role, cell.kvHeads).from();
        from[2] = rows.from();
        return from;
    }

    private Range heads(Role role, Range kvHeads) {
        int group = role.ofQueries ? whole.groupSize() : 1;
        return new Range(kvHeads.from() * group, kvHeads.to() * group);
    }

    private boolean isBackward() {
        return tensors.containsKey(Role.OUTPUT_GRADIENT);
    }

    /** The passes of a piece: one, or where the sequence is divided, one more for the gradients of keys. */
    private void addWorkers(Cell cell, int index) {
        Piece piece = cell.pieces.get(index);
        if (cell.pieces.size() == 1) {
            AttentionPart part = AttentionPart.of(whole, options, cell.batch, cell.kvHeads, piece.keys);
            Map<Role, Tensor> own = new EnumMap<>(Role.class);
            given(shares, cell).getFirst().forEach((role, share) -> own.put(role, share.host()));
            if (!part.isEmpty()) {
                StagedPass pass = pass(part, piece.device, own, results, WantedGradients.ALL);
                workers.add(new Worker(piece.device, pass, List.of(new Round(List.of(), List.of()))));
            }
            return;
        }
        requireAlikeHeads();
        Turns turns = turns(cell, piece);
        Range heads = new Range(0, turns.heads);
        Range one = new Range(0, 1);
        boolean inShare = false;
        if (piece.queries.length() > 0) {
            Set<Role> outputs = isBackward() ? Set.of(Role.QUERY_GRADIENT) : results;
            AttentionPart all = AttentionPart.ofQueries(whole, options, cell.batch, cell.kvHeads, piece.queries);
            inShare = needsNobody(piece, all);
            if (inShare) {
                addInShare(cell, index, all, outputs, WantedGradients.OF_QUERIES);
            } else {
                AttentionPart part = AttentionPart.ofQueries(whole, options, one, heads, piece.queries);
                addLanes(cell, piece, turns.lanes, part, outputs, WantedGradients.OF_QUERIES);
            }
        }
        if (isBackward() && piece.keys.length() > 0) {
            AttentionPart all = AttentionPart.of(whole, options, cell.batch, cell.kvHeads, piece.keys);
            if (!inShare && needsNobody(piece, all)) { // one pass has the share's memory
                addInShare(cell, index, all, KEY_GRADIENTS, WantedGradients.OF_KEYS);
            } else {
                AttentionPart part = AttentionPart.of(whole, options, one, heads, piece.keys);
                addLanes(cell, piece, turns.lanes, part, KEY_GRADIENTS, WantedGradients.OF_KEYS);
            }
        }
    }

    /** Whether a piece's pass reads the piece's own rows, all of them, and no others, where they stay on the device. */
    private boolean needsNobody(Piece piece, AttentionPart all) {
        return stays
                && !all.isEmpty()
                && all.queries().equals(piece.queries)
                && all.keys().equals(piece.keys);
    }

    private void addInShare(Cell cell, int index, AttentionPart all, Set<Role> outputs, WantedGradients gradients) {
        Map<Role, Tensor> own = new EnumMap<>(Role.class);
        given(shares, cell).get(index).forEach((role, share) -> own.put(role, share.host()));
        int device = cell.pieces.get(index).device;
        StagedPass pass = pass(all, device, own, outputs, gradients);
        workers.add(new Worker(device, pass, List.of(new Round(List.of(), List.of()))));
    }

    /** A plan is compiled for the options of all heads and batch entries. */
    private void requireAlikeHeads() {
        if (options.hasKeyLengths()
                || options.bias().isPresent()
                || options.sinks().isPresent()) {
            throw new IllegalArgumentException(
                    "The options have key lengths, a bias or sinks, and the sequence is to be divided on devices: divide heads only, or use DistributedAttention's forward and backward.");
        }
    }

    private void addLanes(
            Cell cell, Piece piece, int lanes, AttentionPart part, Set<Role> outputs, WantedGradients gradients) {
        if (part.isEmpty()) {
            return;
        }
        int together = part.kvHeads().length();
        int perEntry = cell.kvHeads.length() / together;
        for (int lane = 0; lane < lanes; lane++) {
            Map<Role, Tensor> stage = stage(part);
            List<Round> rounds = new ArrayList<>();
            for (int turn = lane; turn < cell.batch.length() * perEntry; turn += lanes) {
                int entry = turn / perEntry;
                int first = turn % perEntry * together;
                Range heads = new Range(first, first + together);
                rounds.add(new Round(
                        moves(cell, part, stage, isBackward() ? BACKWARD_INPUTS : FORWARD_INPUTS, entry, heads),
                        moves(cell, part, stage, outputs, entry, heads)));
            }
            workers.add(new Worker(piece.device, pass(part, piece.device, stage, outputs, gradients), rounds));
        }
    }

    private Map<Role, Tensor> stage(AttentionPart part) {
        Map<Role, Tensor> stage = new EnumMap<>(Role.class);
        tensors.forEach((role, tensor) -> {
            int[] shape = tensor.shape();
            shape[0] = 1;
            shape[1] = heads(role, part.kvHeads()).length();
            shape[2] = rows(role, part).length();
            stage.put(role, Tensor.allocate(tensor.dtype(), shape));
        });
        return stage;
    }

    private static Range rows(Role role, AttentionPart part) {
        return role.ofQueries ? part.queries() : part.keys();
    }

    private StagedPass pass(
            AttentionPart part, int device, Map<Role, Tensor> stage, Set<Role> outputs, WantedGradients gradients) {
        Collection<Tensor> inputs = (isBackward() ? BACKWARD_INPUTS : FORWARD_INPUTS)
                .stream().sorted().map(role -> given(stage, role)).toList();
        Map<String, Tensor> written = new LinkedHashMap<>();
        outputs.stream().sorted().forEach(role -> written.put(role.name(), given(stage, role)));
        Set<String> checked = isBackward() ? written.keySet() : Set.of(Role.LOG_SUM_EXP.name());
        AttentionOptions own = part.options(options);
        return new StagedPass(
                devices.get(device),
                "Attention of a part",
                stays,
                inputs,
                written,
                checked,
                (graph, grids) -> append(graph, grids, plans.get(device), stage, own, gradients));
    }

    private void append(
            TaskGraph graph,
            GridScheduler grids,
            PlanCache cache,
            Map<Role, Tensor> stage,
            AttentionOptions own,
            WantedGradients gradients) {
        if (!isBackward()) {
            cache.append(
                    graph,
                    grids,
                    "forward",
                    given(stage, Role.QUERY),
                    given(stage, Role.KEY),
                    given(stage, Role.VALUE),
                    given(stage, Role.OUTPUT),
                    given(stage, Role.LOG_SUM_EXP),
                    own);
            return;
        }
        BackwardTensors named = BackwardTensors.builder()
                .q(given(stage, Role.QUERY))
                .k(given(stage, Role.KEY))
                .v(given(stage, Role.VALUE))
                .output(given(stage, Role.OUTPUT))
                .logSumExp(given(stage, Role.LOG_SUM_EXP))
                .dOut(given(stage, Role.OUTPUT_GRADIENT))
                .dQ(given(stage, Role.QUERY_GRADIENT))
                .dK(given(stage, Role.KEY_GRADIENT))
                .dV(given(stage, Role.VALUE_GRADIENT))
                .build();
        cache.appendBackward(graph, grids, "backward", named, own, gradients);
    }

    /**
     * How a pass takes the heads of its piece.
     *
     * @param heads of keys and values at a time, the fewer, the smaller the stage
     * @param lanes passes that take them in turns, so that one is brought its next heads while the other computes
     */
    private record Turns(int heads, int lanes) {}

    /**
     * Long pieces keep a GPU busy by one head; of shorter ones several heads, in two lanes, do. Forward, where a pass
     * is shorter, a single head has so many lanes that the others keep the GPU busy while one is brought its next head.
     */
    private Turns turns(Cell cell, Piece piece) {
        ComputeDevice device = devices.get(piece.device);
        double units = device.type() == TornadoDeviceType.GPU ? BUSY * device.computeUnits() : 1;
        int all = cell.kvHeads.length();
        int tiles = isBackward()
                ? Math.ceilDiv(Math.max(1, piece.keys.length()), TILE)
                : whole.groupSize() * Math.ceilDiv(Math.max(1, piece.queries.length()), TILE);
        int two = tiles < units && stays ? 2 : 1;
        int heads = IntStream.rangeClosed(1, all)
                .filter(some -> all % some == 0 && ((double) some * tiles * two >= units || some == all))
                .findFirst()
                .orElseThrow();
        int lanes = heads == 1 && stays && !isBackward() ? 1 + (int) Math.ceil(units / tiles) : two;
        return new Turns(heads, Math.min(lanes, cell.batch.length() * all / heads));
    }

    /** The bytes of these tensors, of one batch entry and some heads of the cell, that lie in shares of its pieces. */
    private List<Move> moves(
            Cell cell, AttentionPart part, Map<Role, Tensor> stage, Set<Role> roles, int entry, Range kvHeads) {
        List<Move> moves = new ArrayList<>();
        roles.stream().sorted().forEach(role -> {
            Range wanted = rows(role, part);
            for (Map<Role, Share> owner : given(shares, cell)) {
                addMoves(moves, given(owner, role), given(stage, role), wanted, entry, heads(role, kvHeads));
            }
        });
        return moves;
    }

    private static void addMoves(List<Move> moves, Share share, Tensor stage, Range wanted, int entry, Range heads) {
        int from = Math.max(wanted.from(), share.rows().from());
        int to = Math.min(wanted.to(), share.rows().to());
        if (from >= to) {
            return;
        }
        int rows = share.rows().length();
        long row = share.rowBytes();
        long first = (long) entry * share.host().dimension(1) + heads.from();
        Runs runs = to - from == rows && to - from == wanted.length()
                ? Runs.one(heads.length() * rows * row)
                : new Runs(heads.length(), (to - from) * row, rows * row, wanted.length() * row);
        moves.add(new Move(
                share, (first * rows + from - share.rows().from()) * row, stage, (from - wanted.from()) * row, runs));
    }

    /** Each device gets memory for its shares, but where a stage is the share, and the shares. */
    private void bringShares() {
        shares.forEach((cell, pieces) -> {
            for (int piece = 0; piece < pieces.size(); piece++) {
                int device = cell.pieces.get(piece).device;
                for (Share share : pieces.get(piece).values()) {
                    on(device, () -> keep(share, workersOf(device).getFirst().pass));
                }
            }
        });
        awaitAll();
    }

    private void keep(Share share, StagedPass any) {
        if (share.bytes() == 0) {
            return;
        }
        DeviceBuffer buffer = workersOf(share.device()).stream()
                .flatMap(worker -> worker.pass.buffer(share.host()).stream())
                .findFirst()
                .or(() -> any.allocate(share.bytes()))
                .orElseThrow();
        share.keepIn(buffer);
        any.write(share.host(), buffer);
    }

    private List<Worker> workersOf(int device) {
        return workers.stream().filter(worker -> worker.device == device).toList();
    }

    /** Computes the pass, all devices at the same time, and returns when all are done. */
    public void run() {
        if (stays || hasRun) {
            onAll(this::runOn);
            awaitAll();
        } else {
            // As above: the first execution compiles.
            eachDevice(this::runOn);
        }
        if (!hasRun && isOnDevices()) {
            eachDevice(this::capture);
        }
        hasRun = true;
    }

    private void eachDevice(IntConsumer work) {
        IntStream.range(0, devices.size()).forEach(device -> on(device, () -> work.accept(device)));
    }

    /** A call for each copy and each kernel would take the host longer than some of them take the device. */
    private void capture(int device) {
        List<StagedPass> passes =
                workersOf(device).stream().map(worker -> worker.pass).toList();
        StagedPass.capture(passes, () -> giveOn(device)).ifPresent(all -> captured.put(device, all));
    }

    private void runOn(int device) {
        Captured all = captured.get(device);
        if (all == null) {
            giveOn(device);
        } else {
            all.launch();
        }
    }

    private void giveOn(int device) {
        List<Worker> own = workersOf(device);
        int most = own.stream().mapToInt(worker -> worker.rounds.size()).max().orElse(0);
        for (int i = 0; i < most; i++) {
            for (Worker worker : own) {
                if (i < worker.rounds.size()) { // of an odd number of turns one lane has more
                    execute(worker, worker.rounds.get(i));
                }
            }
        }
    }

    private static void execute(Worker worker, Round round) {
        round.inputs.forEach(move -> bring(worker, move));
        worker.pass.execute();
        round.outputs.forEach(
                move -> worker.pass.give(move.stage, move.stageByte, move.share, move.shareByte, move.runs.turned()));
    }

    private static void bring(Worker worker, Move move) {
        worker.pass.bring(move.share, move.shareByte, move.stage, move.stageByte, move.runs);
    }

    /** Moves what devices need of others in a run, and nothing else. */
    public void exchange() {
        onAll(device -> workersOf(device)
                .forEach(worker -> worker.rounds.stream()
                        .flatMap(round -> round.inputs.stream())
                        .filter(move -> move.share.device() != device)
                        .forEach(move -> bring(worker, move))));
        awaitAll();
    }

    /** Bytes that devices get of others in a run. */
    public long exchangedBytes() {
        return workers.stream()
                .mapToLong(worker -> worker.rounds.stream()
                        .flatMap(round -> round.inputs.stream())
                        .filter(move -> move.share.device() != worker.device)
                        .mapToLong(move -> move.runs.count() * move.runs.bytes())
                        .sum())
                .sum();
    }

    /** The tensor of a result, as the last run left it. */
    public Tensor result(Role role) {
        Tensor result = given(tensors, role);
        shares.forEach((cell, pieces) -> pieces.forEach(each -> {
            Share share = given(each, role);
            if (share.isOnDevice()) {
                on(share.device(), () -> fetch(share));
            }
            result.copyBlock(start(role, result, cell, share.rows()), share.host());
        }));
        return result;
    }

    private void fetch(Share share) {
        StagedPass any = workersOf(share.device()).getFirst().pass;
        any.read(share.buffer(), share.host());
        any.await();
    }

    private void awaitAll() {
        workers.forEach(worker -> worker.pass.await());
    }

    private void on(int device, Runnable work) {
        try {
            CompletableFuture.runAsync(work, threads.get(device)).join();
        } catch (CompletionException e) {
            raise(Objects.requireNonNullElse(e.getCause(), e));
        }
    }

    /** All devices at the same time; all have ended when one's failure is raised. */
    private void onAll(IntConsumer work) {
        List<CompletableFuture<Void>> running = IntStream.range(0, devices.size())
                .mapToObj(device -> CompletableFuture.runAsync(() -> work.accept(device), threads.get(device)))
                .toList();
        Optional<Throwable> failure = Optional.empty();
        for (CompletableFuture<Void> each : running) {
            try {
                each.join();
            } catch (CompletionException e) {
                Throwable cause = Objects.requireNonNullElse(e.getCause(), e);
                failure.ifPresent(first -> first.addSuppressed(cause));
                failure = failure.or(() -> Optional.of(cause));
            }
        }
        failure.ifPresent(DividedPlan::raise);
    }

    private static void raise(Throwable failure) {
        if (failure instanceof Error error) {
            throw error;
        }
        throw (RuntimeException) failure;
    }

    /** Frees the devices' memory. */
    @Override
    public void close() {
        captured.values().forEach(Captured::close);
        allShares().forEach(Share::close);
        for (Worker worker : workers) {
            on(worker.device, worker.pass::close);
        }
        plans.forEach(PlanCache::close);
        threads.forEach(ExecutorService::close);
    }
}
