package org.tornadoattention.plan;

import java.util.Optional;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;

/** Which kernel runs a problem's backward pass on a device, with which tile, and why; the only place that chooses. */
final class BackwardChoice {

    private BackwardChoice() {}

    /**
     * Chooses.
     *
     * @param wanted the kernel of the forward pass that the caller insists on: its backward pass is taken, or the tiled one
     *     where it has none of its own
     * @throws IllegalArgumentException if the wanted kernel does not take the problem's type
     * @throws UnsupportedOnDeviceException if the device is too small for the kernel
     */
    static KernelChoice choose(AttentionProblem problem, ComputeDevice device, Optional<AttentionKernel> wanted) {
        if (wanted.isPresent()) {
            return switch (wanted.get()) {
                case STANDARD, ONLINE -> untiled(wanted.get(), problem, "asked for");
                case WARP_TF32 ->
                    throw new IllegalArgumentException(
                            "The kernel warp-tf32 has no backward pass: what three products lose of F32, its log-sum-exp carries into the gradients of large scores. Choose tiled.");
                case WARP_GROUP_FP8 ->
                    throw new IllegalArgumentException(
                            "The kernel warp-group-fp8 has no backward pass: its log-sum-exp is that of rounded scores. Choose warp-group.");
                case WARP_GROUP ->
                    warpGroup(problem, device, "asked for").orElseGet(() -> tiled(problem, device, "asked for"));
                default -> tiled(problem, device, "asked for");
            };
        }
        if (problem.dtype() != DType.F32) {
            Optional<KernelChoice> warpGroup =
                    device.isSimulator() ? Optional.empty() : warpGroup(problem, device, "the fastest on this device");
            return warpGroup.orElseGet(() -> tiled(problem, device, "the only other one for " + problem.dtype()));
        }
        if (device.isSimulator()) {
            return untiled(AttentionKernel.ONLINE, problem, "the fastest where work-groups are simulated");
        }
        return tiled(problem, device, "the fastest on every device of TornadoVM");
    }

    private static KernelChoice untiled(AttentionKernel kernel, AttentionProblem problem, String reason) {
        if (!kernel.supports(problem.dtype())) {
            throw new IllegalArgumentException("The kernel %s takes F32 only, and the tensors are %s: choose %s."
                    .formatted(kernel.id(), problem.dtype(), AttentionKernel.TILED.id()));
        }
        return new KernelChoice(kernel, Optional.empty(), reason);
    }

    private static Optional<KernelChoice> warpGroup(AttentionProblem problem, ComputeDevice device, String reason) {
        if (!AttentionKernel.WARP_GROUP.supports(problem.dtype())) {
            return Optional.empty();
        }
        return WarpBackwardTile.choose(problem.shape().headDim(), device)
                .map(tile -> new KernelChoice(AttentionKernel.WARP_GROUP, Optional.of(tile), reason));
    }

    private static KernelChoice tiled(AttentionProblem problem, ComputeDevice device, String reason) {
        int headDim = problem.shape().headDim();
        BackwardTile tile = BackwardTileChooser.choose(headDim, device)
                .orElseThrow(() -> new UnsupportedOnDeviceException(
                        device.toString(),
                        "local memory or group size for the smallest backward tile of head dimension %d (it has %,d bytes and %d work-items)"
                                .formatted(headDim, device.localMemoryBytes(), device.maxGroupSize()),
                        "use the kernel online, or another device"));
        return new KernelChoice(AttentionKernel.TILED, Optional.of(tile), reason);
    }
}
