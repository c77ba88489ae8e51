package org.tornadoattention.plan;

import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.Execution;
import org.tornadoattention.PlanStatistics;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.UnwrittenMemory;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import org.tornadoattention.vector.VectorBackward;
import org.tornadoattention.vector.VectorForward;
import org.tornadoattention.vector.VectorRun;
import org.tornadoattention.vector.Workers;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** The JVM's vector units: there is nothing to compile or to copy, so it keeps no plans, only its threads. */
public final class VectorEngine implements Engine {

    private final ComputeDevice device;
    private final Optional<AttentionKernel> wanted;
    private final Optional<Tile> tile;
    private final Workers workers;

    /**
     * An engine on the threads of its device.
     *
     * @param wanted the kernel for all problems, or empty for the only one that there is here
     * @param tile the tile that was asked for, which is refused: it has none of the ladder's
     */
    VectorEngine(ComputeDevice device, Optional<AttentionKernel> wanted, Optional<Tile> tile) {
        this.device = device;
        this.wanted = wanted;
        this.tile = tile;
        this.workers = Workers.of(device);
    }

    @Override
    public KernelChoice choose(AttentionProblem problem) {
        KernelChoice choice = KernelChoice.choose(problem, device, wanted);
        return tile.map(given -> choice.withTile(given, problem, device)).orElse(choice);
    }

    @Override
    public KernelChoice chooseBackward(AttentionProblem problem) {
        return KernelChoice.chooseBackward(problem, device, wanted);
    }

    /** The threads that compute an output make its pages. */
    @Override
    public Tensor allocate(DType dtype, int... shape) {
        double elements = Arrays.stream(shape).asDoubleStream().reduce(1, (one, other) -> one * other);
        return elements > Tensor.MAX_ELEMENTS // refused there
                ? Tensor.allocate(dtype, shape)
                : UnwrittenMemory.allocate(TornadoNativeArray.ARRAY_HEADER, (long) elements * dtype.byteSize())
                        .map(memory -> DeviceStorage.over(memory, dtype, shape))
                        .orElseGet(() -> Tensor.allocate(dtype, shape));
    }

    @Override
    public Execution execute(
            AttentionProblem problem,
            Tensor q,
            Tensor k,
            Tensor v,
            AttentionOptions options,
            Tensor output,
            Tensor logSumExp) {
        KernelChoice choice = choose(problem);
        return execution(choice, VectorForward.run(workers, problem.shape(), options, q, k, v, output, logSumExp));
    }

    @Override
    public Execution executeBackward(BackwardTensors tensors, AttentionOptions options) {
        KernelChoice choice = chooseBackward(AttentionProblem.of(tensors, options));
        return execution(choice, VectorBackward.run(workers, tensors, options));
    }

    private Execution execution(KernelChoice choice, VectorRun run) {
        Duration time = Duration.ofNanos(run.nanoseconds());
        return new Execution(
                device,
                choice.kernel().id(),
                Optional.of(run.blockQ() + "x" + run.blockK()),
                choice.reason(),
                time,
                Duration.ZERO,
                time,
                run.bytes());
    }

    @Override
    public PlanStatistics statistics() {
        return new PlanStatistics(0, 0, 0);
    }

    @Override
    public void close() {
        workers.close();
        UnwrittenMemory.freeKept();
    }
}
