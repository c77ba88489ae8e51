package org.tornadoattention.plan;

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
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** Who computes a problem: kernels in task graphs on a device of TornadoVM's, or this process itself. */
public sealed interface Engine extends AutoCloseable permits PlanCache, VectorEngine {

    /**
     * The engine of a device.
     *
     * @param wanted the kernel for all problems, or empty to choose for each
     * @param tile the tile for all problems, or empty to choose for each
     */
    static Engine of(ComputeDevice device, Optional<AttentionKernel> wanted, Optional<Tile> tile) {
        return device.isJvm() ? new VectorEngine(device, wanted, tile) : new PlanCache(device, wanted, tile);
    }

    /** Which kernel a problem gets here. */
    KernelChoice choose(AttentionProblem problem);

    /** Which kernel a problem's backward pass gets here. */
    KernelChoice chooseBackward(AttentionProblem problem);

    /** A tensor that a problem's output is to be written to, all of it; until then its elements are anything. */
    default Tensor allocate(DType dtype, int... shape) {
        return Tensor.allocate(dtype, shape);
    }

    /** A tensor of zeros whose memory the device reads and writes itself, where that can be had. */
    default Tensor allocatePinned(DType dtype, int... shape) {
        return Tensor.allocate(dtype, shape);
    }

    /** Runs a problem. */
    Execution execute(
            AttentionProblem problem,
            Tensor q,
            Tensor k,
            Tensor v,
            AttentionOptions options,
            Tensor output,
            Tensor logSumExp);

    /** Runs a backward pass. */
    Execution executeBackward(BackwardTensors tensors, AttentionOptions options);

    /** Calls that found their plan, calls that had to build one, and plans held now. */
    PlanStatistics statistics();

    /** Frees what it holds. */
    @Override
    void close();
}
