package org.tornadoattention.cli;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;

/**
 * A device as {@code attention devices} shows it.
 *
 * @param globalMemoryBytes all of its memory; null where its backend does not know
 * @param maxAllocationBytes its largest buffer; null where its backend does not know
 * @param halfFloats whether its compiler takes 16-bit floats
 * @param warpCollectives whether its backend translates warp collectives
 * @param matrixInstructions whether its backend translates tensor-core instructions
 * @param intrinsics this project's own instructions that its compiler knows: none, warp or warp-group
 * @param intrinsicsReason why not more, or empty
 * @param choices the kernels for typical problems
 */
record DeviceReport(
        String backend,
        int index,
        String name,
        String type,
        int computeUnits,
        @Nullable Long globalMemoryBytes,
        @Nullable Long maxAllocationBytes,
        long localMemoryBytes,
        long maxGroupSize,
        boolean halfFloats,
        boolean warpCollectives,
        boolean matrixInstructions,
        String intrinsics,
        String intrinsicsReason,
        List<Choice> choices) {

    /**
     * The kernel for a problem.
     *
     * @param kernel the kernel's name, {@code none} where the device can run none
     * @param tile null for kernels without tiles
     */
    record Choice(
            String dtype,
            int headDim,
            String kernel,
            @Nullable String tile,
            String reason) {}

    static DeviceReport of(ComputeDevice device) {
        return new DeviceReport(
                device.backend().id(),
                device.deviceIndex(),
                device.name(),
                String.valueOf(device.type()),
                device.computeUnits(),
                known(device.globalMemoryBytes()),
                known(device.maxAllocationBytes()),
                device.localMemoryBytes(),
                device.maxGroupSize(),
                device.halfFloats(),
                device.backend().hasWarpCollectives(),
                device.backend().hasMatrixInstructions(),
                device.extension().level().name().toLowerCase(Locale.ROOT).replace('_', '-'),
                device.extension().reason(),
                Stream.of(DType.F32, DType.F16)
                        .flatMap(dtype -> Stream.of(64, 128).map(headDim -> choice(device, dtype, headDim)))
                        .toList());
    }

    private static @Nullable Long known(long bytes) {
        return bytes == ComputeDevice.UNKNOWN_BYTES ? null : bytes;
    }

    private static Choice choice(ComputeDevice device, DType dtype, int headDim) {
        AttentionShape shape = new AttentionShape(1, 16, 16, 4096, 4096, headDim);
        AttentionProblem problem = AttentionProblem.of(shape, dtype, AttentionOptions.defaults());
        try {
            KernelChoice choice = KernelChoice.choose(problem, device, Optional.empty());
            return new Choice(
                    dtype.name(),
                    headDim,
                    choice.kernel().id(),
                    choice.tile().map(Tile::toString).orElse(null),
                    choice.reason());
        } catch (UnsupportedOnDeviceException e) {
            return new Choice(dtype.name(), headDim, "none", null, Failures.message(e));
        }
    }
}
