package org.tornadoattention.plan;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.WeakHashMap;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.Execution;
import org.tornadoattention.PlanStatistics;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * The plans of one device, one for each problem seen, the least recently used closed when there are too many. Not
 * synchronised: its owner is.
 */
public final class PlanCache implements AutoCloseable {

    private static final int CAPACITY = 16;

    /** What of a problem a plan computes. */
    private enum Pass {
        FORWARD,
        BACKWARD,
        BACKWARD_WITH_LSE
    }

    private record Key(AttentionProblem problem, Pass pass) {}

    private final ComputeDevice device;
    private final Optional<AttentionKernel> wanted;
    private final Optional<Tile> tile;
    private final Map<Key, DevicePlan> plans = new LinkedHashMap<>(CAPACITY, 0.75f, true);
    private final Map<TaskGraph, List<AttentionArrays>> seeded = new WeakHashMap<>();
    private long hits;
    private long misses;

    /**
     * An empty cache.
     *
     * @param wanted the kernel for all problems, or empty to choose for each
     * @param tile the tile for all problems, or empty to choose for each
     */
    public PlanCache(ComputeDevice device, Optional<AttentionKernel> wanted, Optional<Tile> tile) {
        this.device = device;
        this.wanted = wanted;
        this.tile = tile;
    }

    /** Which kernel a problem gets here. */
    public KernelChoice choose(AttentionProblem problem) {
        KernelChoice choice = KernelChoice.choose(problem, device, wanted);
        return tile.map(given -> choice.withTile(given, problem, device)).orElse(choice);
    }

    /** Which kernel a problem's backward pass gets here. */
    public KernelChoice chooseBackward(AttentionProblem problem) {
        return KernelChoice.chooseBackward(problem, device, wanted);
    }

    /** Runs a problem, building its plan if it has none. A plan that failed is closed and forgotten. */
    public Execution execute(
            AttentionProblem problem,
            Tensor q,
            Tensor k,
            Tensor v,
            AttentionOptions options,
            Tensor output,
            Tensor logSumExp) {
        return execute(
                new Key(problem, Pass.FORWARD),
                AttentionPlan.class,
                () -> new AttentionPlan(problem, choose(problem), device),
                plan -> plan.execute(q, k, v, options, output, logSumExp));
    }

    /** Runs a backward pass, building its plan if it has none. A plan that failed is closed and forgotten. */
    public Execution executeBackward(BackwardTensors tensors, AttentionOptions options) {
        AttentionProblem problem = problem(tensors, options);
        return execute(
                new Key(problem, tensors.dLse().isPresent() ? Pass.BACKWARD_WITH_LSE : Pass.BACKWARD),
                BackwardPlan.class,
                () -> new BackwardPlan(problem, tensors, chooseBackward(problem), device),
                plan -> plan.execute(tensors, options));
    }

    private static AttentionProblem problem(BackwardTensors tensors, AttentionOptions options) {
        AttentionShape shape = AttentionShape.of(tensors.q(), tensors.k(), tensors.v(), options);
        return AttentionProblem.of(shape, tensors.q().dtype(), options);
    }

    private <P extends DevicePlan> Execution execute(
            Key key, Class<P> type, Supplier<P> build, Function<P, Execution> run) {
        P plan = type.cast(plans.get(key));
        if (plan == null) {
            misses++;
            evict(CAPACITY - 1);
            plan = build.get();
            plans.put(key, plan);
        } else {
            hits++;
        }
        try {
            return run.apply(plan);
        } catch (RuntimeException | Error e) {
            plans.remove(key);
            closeAfter(plan, e::addSuppressed);
            throw e;
        }
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
        AttentionProblem problem = AttentionProblem.of(AttentionShape.of(q, k, v, options), q.dtype(), options);
        requireTask(problem, q, k);
        KernelChoice choice = choose(problem);
        DeviceMemory.of(problem, choice).requireFitting(device);
        AttentionArrays arrays = AttentionArrays.of(problem, q, k, v, output, logSumExp, device.halfFloats());
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
        AttentionProblem problem = problem(tensors, options);
        requireTask(problem, tensors.q(), tensors.k());
        KernelChoice choice = chooseBackward(problem);
        DeviceMemory.ofBackward(problem, choice.kernel()).requireFitting(device);
        FloatArray rowTerms = new FloatArray(Math.toIntExact(2 * problem.shape().queryRows()));
        BackwardArrays arrays = BackwardArrays.of(problem, tensors, rowTerms, device.halfFloats());
        transferOptions(graph, problem, arrays.forward(), options);
        // TornadoVM frees only what a graph transfers, so the row terms are transferred, once.
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, rowTerms);
        if (!arrays.hasLogSumExpGradient()) {
            graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, arrays.logSumExpGradient());
        }
        BackwardTasks.append(graph, grids, name, problem, choice, device, arrays);
        return choice;
    }

    /** Slopes and lengths stay as they are; the seed of dropout may change from one execution to the next. */
    private void transferOptions(
            TaskGraph graph, AttentionProblem problem, AttentionArrays arrays, AttentionOptions options) {
        arrays.fill(options);
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, arrays.headTerms());
        graph.transferToDevice(
                problem.dropout() ? DataTransferMode.EVERY_EXECUTION : DataTransferMode.FIRST_EXECUTION,
                arrays.keyLengths());
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
        if (problem.dtype() == DType.F16 && !device.halfFloats()) {
            throw new UnsupportedOnDeviceException(
                    device, "16-bit floats for HalfFloatArrays", "use F32 or BF16 tensors in task graphs here");
        }
    }

    /** Calls that found their plan, calls that had to build one, and plans held now. */
    public PlanStatistics statistics() {
        return new PlanStatistics(hits, misses, plans.size());
    }

    /** Closes all plans. */
    @Override
    public void close() {
        evict(0);
    }

    private void evict(int keep) {
        var oldestFirst = plans.values().iterator();
        for (int surplus = plans.size() - keep; surplus > 0; surplus--) {
            DevicePlan oldest = oldestFirst.next();
            oldestFirst.remove();
            oldest.close();
        }
    }

    private static void closeAfter(DevicePlan plan, Consumer<Throwable> failure) {
        try {
            plan.close();
        } catch (RuntimeException | Error e) {
            failure.accept(e);
        }
    }
}
