package org.tornadoattention.plan;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.WeakHashMap;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.Execution;
import org.tornadoattention.PlanStatistics;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.DeviceMemory;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.choice.Views;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.function.FunctionForm;
import org.tornadoattention.function.UserFunctions;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * The plans of one device, one for each problem seen, the least recently used closed when there are too many. Not
 * synchronised: its owner is.
 */
public final class PlanCache implements Engine {

    private static final int CAPACITY = 16;

    /** From so many bytes on, making the pages of memory takes longer than having other threads do it. */
    private static final long BYTES_FOR_MANY_THREADS = 128 << 10;

    /** The kernel that functions are the least of. */
    private static final Optional<AttentionKernel> ROOMIEST = Optional.of(AttentionKernel.TILED);

    /** What a backward pass is compiled for. */
    private record BackwardProblem(
            AttentionProblem forward,
            boolean logSumExpGradient,
            Optional<List<Integer>> biasShape,
            boolean sinkGradient) {

        static BackwardProblem of(AttentionProblem forward, BackwardTensors tensors) {
            return new BackwardProblem(
                    forward,
                    tensors.dLse().isPresent(),
                    tensors.dBias()
                            .map(tensor -> Arrays.stream(tensor.shape()).boxed().toList()),
                    tensors.dSinks().isPresent());
        }
    }

    private final ComputeDevice device;
    private final Optional<AttentionKernel> wanted;
    private final Optional<Tile> tile;
    private final Plans plans = new Plans(CAPACITY);
    private final FunctionProof proof;
    private final Set<FunctionForm> tooLarge = new HashSet<>();
    private final Map<TaskGraph, List<AttentionArrays>> seeded = new WeakHashMap<>();

    /**
     * An empty cache.
     *
     * @param wanted the kernel for all problems, or empty to choose for each
     * @param tile the tile for all problems, or empty to choose for each
     */
    public PlanCache(ComputeDevice device, Optional<AttentionKernel> wanted, Optional<Tile> tile) {
        this.device = device;
        this.proof = new FunctionProof(device);
        this.wanted = wanted;
        this.tile = tile;
    }

    /** Which kernel a problem gets here. */
    @Override
    public KernelChoice choose(AttentionProblem problem) {
        if (isTooLarge(problem)) {
            return tooLarge(KernelChoice.choose(problem, device, ROOMIEST));
        }
        KernelChoice choice = KernelChoice.choose(problem, device, wanted);
        return tile.map(given -> choice.withTile(given, problem, device)).orElse(choice);
    }

    /** Which kernel a problem's backward pass gets here. */
    @Override
    public KernelChoice chooseBackward(AttentionProblem problem) {
        return isTooLarge(problem)
                ? tooLarge(KernelChoice.chooseBackward(problem, device, ROOMIEST))
                : KernelChoice.chooseBackward(problem, device, wanted);
    }

    private boolean isTooLarge(AttentionProblem problem) {
        return tooLarge.contains(problem.functions().form());
    }

    private static KernelChoice tooLarge(KernelChoice choice) {
        return new KernelChoice(
                choice.kernel(), choice.tiles(), "TornadoVM does not inline functions this large on tensor cores");
    }

    /**
     * Runs a pass; with functions that TornadoVM finds too large to inline, once more by the kernel that leaves them
     * the most room.
     */
    private Execution run(AttentionProblem problem, Supplier<Execution> pass) {
        try {
            return pass.get();
        } catch (RuntimeException | Error e) { // TornadoVM's internal errors are Errors
            if (!turnsToRoomiest(problem, e)) {
                throw e;
            }
            return pass.get();
        }
    }

    /**
     * The kernel for tasks of a caller's graph: the one that is chosen, or with functions that are too large for it the
     * one that leaves them the most room. TornadoVM says so while a task is added, so they are added to a graph that
     * nobody runs first.
     */
    private KernelChoice chooseTasks(
            AttentionProblem problem, Supplier<KernelChoice> choose, Consumer<KernelChoice> trial) {
        KernelChoice choice = choose.get();
        if (problem.functions().isEmpty()) {
            return choice;
        }
        try {
            trial.accept(choice);
            return choice;
        } catch (RuntimeException | Error e) { // as above
            if (!turnsToRoomiest(problem, e)) {
                throw e;
            }
            return chooseTasks(problem, choose, trial);
        }
    }

    /**
     * Whether a pass failed because its functions are too large; from then on their kernel is the one with the most
     * room.
     *
     * @throws UnsupportedOnDeviceException if it was that kernel that failed, or one that was asked for by name
     */
    private boolean turnsToRoomiest(AttentionProblem problem, Throwable failure) {
        FunctionForm form = problem.functions().form();
        if (form.isEmpty() || !FunctionProof.isOfInlining(failure)) {
            return false;
        }
        if (wanted.isPresent() || !tooLarge.add(form)) {
            UnsupportedOnDeviceException refusal = new UnsupportedOnDeviceException(
                    device,
                    "a compiler that inlines functions as large as these into the kernel",
                    "use the kernel tiled, or shorter functions");
            refusal.initCause(failure);
            throw refusal;
        }
        return true;
    }

    /** Runs a problem, building its plan if it has none. A plan that failed is closed and forgotten. */
    @Override
    public Execution execute(
            AttentionProblem problem,
            Tensor q,
            Tensor k,
            Tensor v,
            AttentionOptions options,
            Tensor output,
            Tensor logSumExp) {
        proof.findTiles(options);
        return run(
                problem,
                () -> PiecewisePlan.takes(problem, device, q, k, v, output)
                                && (plans.holds(PiecewisePlan.class, problem)
                                        || !choose(problem).kernel().spec().writesOutputApart())
                        ? plans.use(
                                PiecewisePlan.class,
                                problem,
                                () -> new PiecewisePlan(problem, choose(problem), device),
                                plan -> plan.execute(q, k, v, options, output, logSumExp))
                        : plans.use(
                                AttentionPlan.class,
                                problem,
                                () -> {
                                    KernelChoice choice = choose(problem);
                                    proof.require(problem, options, false);
                                    return new AttentionPlan(problem, choice, device);
                                },
                                plan -> plan.execute(q, k, v, options, output, logSumExp)));
    }

    /** Of a large tensor the pages are made by other threads, where that can be had. */
    @Override
    public Tensor allocate(DType dtype, int... shape) {
        long bytes = DeviceStorage.bytes(dtype, shape);
        return bytes < BYTES_FOR_MANY_THREADS
                ? Tensor.allocate(dtype, shape)
                : CompilerExtension.unwritten(device.backend(), TornadoNativeArray.ARRAY_HEADER + bytes)
                        .map(memory -> DeviceStorage.over(memory, dtype, shape))
                        .orElseGet(() -> Tensor.allocate(dtype, shape));
    }

    @Override
    public Tensor allocatePinned(DType dtype, int... shape) {
        // Tensor.allocate refuses what is no shape of a tensor's.
        double elements = Arrays.stream(shape).asDoubleStream().reduce(1, (one, other) -> one * other);
        boolean some = Arrays.stream(shape).allMatch(dimension -> dimension > 0) && elements <= Tensor.MAX_ELEMENTS;
        return some ? DeviceStorage.pinned(device, dtype, shape) : Tensor.allocate(dtype, shape);
    }

    /** Runs a backward pass, building its plan if it has none. A plan that failed is closed and forgotten. */
    @Override
    public Execution executeBackward(BackwardTensors tensors, AttentionOptions options) {
        AttentionProblem problem = AttentionProblem.of(tensors, options);
        proof.findTiles(options);
        return run(
                problem,
                () -> plans.use(
                        BackwardPlan.class,
                        BackwardProblem.of(problem, tensors),
                        () -> {
                            KernelChoice choice = chooseBackward(problem);
                            proof.require(problem, options, true);
                            return new BackwardPlan(problem, tensors, choice, device);
                        },
                        plan -> plan.execute(tensors, options)));
    }

    /**
     * Appends a problem to a graph of the caller's, over the tensors' own arrays.
     *
     * @throws UnsupportedOnDeviceException if the device cannot read F16 arrays, or is too small
     */
    public KernelChoice append(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            Tensor q,
            Tensor k,
            Tensor v,
            Tensor output,
            Tensor logSumExp,
            AttentionOptions options) {
        AttentionProblem problem = AttentionProblem.of(AttentionShape.ofTask(q, k, v, options), q.dtype(), options)
                .with(Views.of(q, k, v, output));
        requireTask(problem, q, k);
        proof.findTiles(options);
        AttentionArrays arrays = AttentionArrays.of(
                problem, q, k, v, output, logSumExp, UserFunctions.arrays(options), device.halfFloats());
        KernelChoice choice = chooseTasks(problem, () -> choose(problem), tried -> {
            proof.require(problem, options, false);
            AttentionTasks.append(new TaskGraph("trial"), new GridScheduler(), "trial", problem, tried, device, arrays);
        });
        DeviceMemory.of(problem, choice).requireFitting(device);
        transferOptions(graph, problem, arrays, options);
        AttentionTasks.append(graph, grids, name, problem, choice, device, arrays);
        return choice;
    }

    /**
     * Appends a backward pass to a graph of the caller's, over the tensors' own arrays.
     *
     * @throws UnsupportedOnDeviceException if the device cannot read F16 arrays, or is too small
     */
    public KernelChoice appendBackward(
            TaskGraph graph, GridScheduler grids, String name, BackwardTensors tensors, AttentionOptions options) {
        return appendBackward(graph, grids, name, tensors, options, WantedGradients.ALL);
    }

    /** Likewise some of the gradients; of the others only the shapes matter. */
    KernelChoice appendBackward(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            BackwardTensors tensors,
            AttentionOptions options,
            WantedGradients gradients) {
        AttentionProblem problem = AttentionProblem.of(tensors, options).with(Views.of(tensors));
        requireTask(problem, tensors.q(), tensors.k());
        if (problem.views().isPresent() && tensors.dBias().isPresent()) {
            throw new IllegalArgumentException(
                    "The gradient of a bias is computed from contiguous tensors only, and some of these are views: leave dBias out, or copy them with contiguous().");
        }
        proof.findTiles(options);
        FloatArray rowTerms = new FloatArray(Math.toIntExact(2 * problem.shape().queryRows()));
        BackwardArrays arrays =
                BackwardArrays.of(problem, tensors, rowTerms, UserFunctions.arrays(options), device.halfFloats());
        Supplier<KernelChoice> choose = () -> gradients == WantedGradients.ALL
                ? chooseBackward(problem)
                : KernelChoice.chooseBackwardApart(problem, device, wanted);
        KernelChoice choice = chooseTasks(problem, choose, tried -> {
            proof.require(problem, options, true);
            BackwardTasks.append(
                    new TaskGraph("trial"), new GridScheduler(), "trial", problem, tried, device, arrays, gradients);
        });
        DeviceMemory.ofBackward(problem, choice.kernel()).requireFitting(device);
        transferOptions(graph, problem, arrays.forward(), options);
        // TornadoVM frees only what a graph transfers, so the row terms are transferred, once.
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, rowTerms);
        if (!arrays.hasLogSumExpGradient()) {
            graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, arrays.logSumExpGradient());
        }
        BackwardTasks.append(graph, grids, name, problem, choice, device, arrays, gradients);
        return choice;
    }

    /**
     * Slopes and lengths stay as they are; captured arrays and the seed of dropout may change from one execution to the
     * next.
     */
    private void transferOptions(
            TaskGraph graph, AttentionProblem problem, AttentionArrays arrays, AttentionOptions options) {
        arrays.fill(problem, options);
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, arrays.headTerms());
        graph.transferToDevice(
                problem.dropout() ? DataTransferMode.EVERY_EXECUTION : DataTransferMode.FIRST_EXECUTION,
                arrays.keyLengths());
        if (!arrays.captured().isEmpty()) {
            graph.transferToDevice(
                    DataTransferMode.EVERY_EXECUTION, arrays.captured().toArray());
        }
        if (problem.dropout()) {
            seeded.computeIfAbsent(graph, any -> new ArrayList<>()).add(arrays);
        }
    }

    /**
     * Changes the seed of all dropout that was appended to a graph.
     *
     * @throws IllegalArgumentException if there is none
     */
    public void reseed(TaskGraph graph, long seed) {
        List<AttentionArrays> arrays = seeded.get(graph);
        if (arrays == null) {
            throw new IllegalArgumentException(
                    "Nothing with dropout was appended to the task graph: append attention with options.withDropout first.");
        }
        arrays.forEach(each -> each.reseed(seed));
    }

    private void requireTask(AttentionProblem problem, Tensor q, Tensor k) {
        if (problem.isTrivial()) {
            throw new IllegalArgumentException(
                    "There is no query or no key in q %s and k %s: a task graph cannot hold an empty task; leave it out."
                            .formatted(q, k));
        }
        if (problem.types().contains(DType.F16) && !device.halfFloats()) {
            throw new UnsupportedOnDeviceException(
                    device, "16-bit floats for HalfFloatArrays", "use F32 or BF16 tensors in task graphs here");
        }
    }

    /** Calls that found their plan, calls that had to build one, and plans held now. */
    @Override
    public PlanStatistics statistics() {
        return plans.statistics();
    }

    /** Closes all plans. */
    @Override
    public void close() {
        try (proof) {
            plans.close();
        }
    }
}
