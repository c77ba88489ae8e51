package org.tornadoattention.plan;

import java.util.List;
import java.util.Optional;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;

/**
 * Which kernel runs a problem on a device, with which tile, and why.
 *
 * @param kernel the kernel
 * @param tile its tile, empty for kernels without tiles
 * @param reason a clause that says why, for people
 */
public record KernelChoice(AttentionKernel kernel, Optional<Tile> tile, String reason) {

    /**
     * Chooses; this is the only place that does.
     *
     * @param wanted the kernel that the caller insists on, or empty for the best
     * @throws IllegalArgumentException if the wanted kernel does not take the problem's type
     * @throws UnsupportedOnDeviceException if the device is too small for the kernel
     */
    public static KernelChoice choose(
            AttentionProblem problem, ComputeDevice device, Optional<AttentionKernel> wanted) {
        if (wanted.isPresent()) {
            return with(wanted.get(), problem, device, "asked for");
        }
        if (problem.dtype() != DType.F32) {
            return for16Bits(problem, device);
        }
        if (device.isSimulator()) {
            return with(AttentionKernel.ONLINE, problem, device, "the fastest where work-groups are simulated");
        }
        return with(AttentionKernel.TILED, problem, device, "the fastest on every device of TornadoVM");
    }

    private static KernelChoice for16Bits(AttentionProblem problem, ComputeDevice device) {
        if (device.isSimulator()) {
            return with(
                    AttentionKernel.TILED, problem, device, "the fastest for 16 bits where work-groups are simulated");
        }
        for (AttentionKernel kernel : List.of(AttentionKernel.WARP_GROUP, AttentionKernel.WARP)) {
            Optional<WarpTile> tile = WarpTiling.choose(kernel, problem, device);
            if (tile.isPresent()) {
                return new KernelChoice(kernel, Optional.of(tile.get()), "the fastest on this device");
            }
        }
        String reason = device.extension().reason();
        Optional<TensorCoreTile> tile = TensorCoreTile.choose(problem.shape(), device);
        if (AttentionKernel.TENSOR_CORE.supports(device)
                && device.extension().computeCapability() > 0
                && !problem.dropout()
                && tile.isPresent()) {
            return new KernelChoice(
                    AttentionKernel.TENSOR_CORE,
                    Optional.of(tile.get()),
                    "the fastest without own instructions: " + reason);
        }
        return with(AttentionKernel.TILED, problem, device, "no tensor-core kernel: " + reason);
    }

    private static KernelChoice with(
            AttentionKernel kernel, AttentionProblem problem, ComputeDevice device, String reason) {
        if (!kernel.supports(problem.dtype())) {
            throw new IllegalArgumentException("The kernel %s takes %s only, and the tensors are %s: choose %s."
                    .formatted(
                            kernel.id(),
                            kernel.supports(DType.F32) ? "F32" : "F16 and BF16",
                            problem.dtype(),
                            AttentionKernel.TILED.id()));
        }
        if (problem.dropout() && !kernel.supportsDropout()) {
            throw new IllegalArgumentException(
                    "The kernel %s has no dropout: choose %s.".formatted(kernel.id(), AttentionKernel.TILED.id()));
        }
        if (kernel == AttentionKernel.TENSOR_CORE && !kernel.supports(device)) {
            throw new UnsupportedOnDeviceException(
                    device.toString(),
                    "tensor cores that TornadoVM can reach (its CUDA backend on compute capability 8.0 or later)",
                    "use the kernel tiled, or the backend cuda");
        }
        return switch (kernel) {
            case STANDARD, ONLINE -> new KernelChoice(kernel, Optional.empty(), reason);
            case TILED -> new KernelChoice(kernel, Optional.of(tile(problem, device)), reason);
            case WARP, WARP_GROUP, WARP_TF32, WARP_GROUP_FP8 ->
                new KernelChoice(kernel, Optional.of(warpTile(kernel, problem, device)), reason);
            case TENSOR_CORE -> new KernelChoice(kernel, Optional.of(tensorCoreTile(problem, device)), reason);
        };
    }

    /**
     * This choice with a tile of the caller's.
     *
     * @throws IllegalArgumentException if the tile is not one of the kernel's
     * @throws UnsupportedOnDeviceException if the tile is too large for the device
     */
    KernelChoice withTile(Tile given, AttentionProblem problem, ComputeDevice device) {
        boolean ofKernel = switch (given) {
            case TileShape _ -> kernel == AttentionKernel.TILED;
            case TensorCoreTile _ -> kernel == AttentionKernel.TENSOR_CORE;
            case WarpTile tile -> kernel == tile.kernel();
            default -> false;
        };
        if (!ofKernel) {
            throw new IllegalArgumentException("The kernel %s takes no tile of yours: leave the tile out, or choose %s."
                    .formatted(
                            kernel.id(),
                            given instanceof WarpTile tile ? tile.kernel().id() : AttentionKernel.TILED.id()));
        }
        int headDim = problem.shape().headDim();
        if (!fits(given, headDim, device)) {
            throw new UnsupportedOnDeviceException(
                    device.toString(),
                    "room for a tile %s of head dimension %d: it needs %,d bytes of local memory and %d work-items"
                            .formatted(given, headDim, given.localMemoryBytes(headDim), given.groupSize(headDim)),
                    "use a smaller tile");
        }
        return new KernelChoice(kernel, Optional.of(given), "tile asked for");
    }

    /** Whether a device has the instructions, the registers and the local memory for a tile. */
    public static boolean fits(Tile tile, int headDim, ComputeDevice device) {
        return switch (tile) {
            case WarpTile warps -> WarpTiling.fits(warps, headDim, device);
            default ->
                tile.localMemoryBytes(headDim) <= device.localMemoryBytes()
                        && tile.groupSize(headDim) <= device.maxGroupSize();
        };
    }

    private static WarpTile warpTile(AttentionKernel kernel, AttentionProblem problem, ComputeDevice device) {
        return WarpTiling.choose(kernel, problem, device)
                .orElseThrow(() -> new UnsupportedOnDeviceException(
                        device.toString(),
                        "what the kernel %s needs for head dimension %d: %s"
                                .formatted(
                                        kernel.id(),
                                        problem.shape().headDim(),
                                        device.extension().reason().isEmpty()
                                                ? "it has instructions '%s' and %,d bytes of local memory"
                                                        .formatted(
                                                                device.extension()
                                                                        .level(),
                                                                device.extension()
                                                                        .localMemoryBytes())
                                                : device.extension().reason()),
                        "use the kernel tiled, or another device"));
    }

    private static TileShape tile(AttentionProblem problem, ComputeDevice device) {
        return TileChooser.choose(problem.shape().headDim(), problem.shape().seqQ(), device)
                .orElseThrow(() -> tooSmall(problem, device));
    }

    private static TensorCoreTile tensorCoreTile(AttentionProblem problem, ComputeDevice device) {
        return TensorCoreTile.choose(problem.shape(), device).orElseThrow(() -> tooSmall(problem, device));
    }

    private static UnsupportedOnDeviceException tooSmall(AttentionProblem problem, ComputeDevice device) {
        return new UnsupportedOnDeviceException(
                device.toString(),
                "local memory or group size for the smallest tile of head dimension %d (it has %,d bytes and %d work-items)"
                        .formatted(problem.shape().headDim(), device.localMemoryBytes(), device.maxGroupSize()),
                "use the kernel online, or another device");
    }
}
