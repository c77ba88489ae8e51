package org.tornadoattention.plan;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;

/**
 * The plans of one device, one for each problem seen, the least recently used closed when there are too many. Not
 * synchronised: its owner is.
 */
public final class PlanCache implements AutoCloseable {

    private static final int CAPACITY = 16;

    private final ComputeDevice device;
    private final Optional<AttentionKernel> wanted;
    private final Optional<TileShape> tile;
    private final Map<AttentionProblem, AttentionPlan> plans = new LinkedHashMap<>(CAPACITY, 0.75f, true);
    private long hits;
    private long misses;

    /**
     * An empty cache.
     *
     * @param wanted the kernel for all problems, or empty to choose for each
     * @param tile the tile for all problems, or empty to choose for each
     */
    public PlanCache(ComputeDevice device, Optional<AttentionKernel> wanted, Optional<TileShape> tile) {
        this.device = device;
        this.wanted = wanted;
        this.tile = tile;
    }

    /** Which kernel a problem gets here. */
    public KernelChoice choose(AttentionProblem problem) {
        KernelChoice choice = KernelChoice.choose(problem, device, wanted);
        return tile.map(given -> choice.withTile(given, problem, device)).orElse(choice);
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
        AttentionPlan plan = plans.get(problem);
        if (plan == null) {
            misses++;
            KernelChoice choice = choose(problem);
            evict(CAPACITY - 1);
            plan = new AttentionPlan(problem, choice, device);
            plans.put(problem, plan);
        } else {
            hits++;
        }
        try {
            return plan.execute(q, k, v, options, output, logSumExp);
        } catch (RuntimeException | Error e) {
            plans.remove(problem);
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
        if (problem.isTrivial()) {
            throw new IllegalArgumentException(
                    "There is no query or no key in q %s and k %s: a task graph cannot hold an empty task; leave it out."
                            .formatted(q, k));
        }
        if (q.dtype() == DType.F16 && !device.halfFloats()) {
            throw new UnsupportedOnDeviceException(
                    device.toString(),
                    "16-bit floats for HalfFloatArrays",
                    "use F32 or BF16 tensors in task graphs here");
        }
        KernelChoice choice = choose(problem);
        DeviceMemory.of(problem, choice.kernel()).requireFitting(device);
        AttentionArrays arrays = AttentionArrays.of(problem, q, k, v, output, logSumExp, device.halfFloats());
        arrays.fill(options.alibiSlopes(), options.keyLengths());
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, arrays.alibiSlopes(), arrays.keyLengths());
        AttentionTasks.append(graph, grids, name, problem, choice, device, arrays);
        return choice;
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
            AttentionPlan oldest = oldestFirst.next();
            oldestFirst.remove();
            oldest.close();
        }
    }

    private static void closeAfter(AttentionPlan plan, Consumer<Throwable> failure) {
        try {
            plan.close();
        } catch (RuntimeException | Error e) {
            failure.accept(e);
        }
    }
}
