package org.tornadoattention.choice;

import java.util.List;
import java.util.Optional;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.Tensor;

/**
 * Device memory of one problem.
 *
 * @param tensorBytes q, k, v and the output
 * @param extraBytes what the kernel needs beyond them: the log-sum-exp and its scratch memory, but for the sums of
 *     tiles that work-groups divide, at most 14 MB on a device of 132 multiprocessors
 * @param largestBuffer the largest single buffer
 */
public record DeviceMemory(long tensorBytes, long extraBytes, long largestBuffer) {

    /**
     * {@return the memory that a kernel needs for a problem, but for what depends on its tile}
     *
     * @param problem what is computed: shape, type, options
     * @param kernel the kernel
     */
    public static DeviceMemory of(AttentionProblem problem, AttentionKernel kernel) {
        return of(problem, kernel, Optional.empty());
    }

    /**
     * {@return the memory that a problem needs with a kernel and its tile}
     *
     * @param problem what is computed: shape, type, options
     * @param choice the kernel and its tile
     */
    public static DeviceMemory of(AttentionProblem problem, KernelChoice choice) {
        return of(problem, choice.kernel(), choice.tile());
    }

    private static DeviceMemory of(AttentionProblem problem, AttentionKernel kernel, Optional<Tile> tile) {
        return of(problem, kernel.spec().scratch(problem.shape(), tile));
    }

    private static DeviceMemory of(AttentionProblem problem, List<Scratch> scratch) {
        AttentionShape shape = problem.shape();
        int size = problem.dtype().byteSize();
        long keyRows = (long) shape.batch() * shape.kvHeads() * shape.seqK();
        long extra = shape.queryRows() * Float.BYTES;
        long largest = Math.max(shape.queryRows(), keyRows) * shape.widestDim() * size;
        for (Scratch array : scratch) {
            extra += array.bytes();
            largest = Math.max(largest, array.bytes());
        }
        return new DeviceMemory(
                (shape.queryRows() + keyRows) * (shape.headDim() + shape.valueDim()) * size, extra, largest);
    }

    /**
     * {@return the memory that a backward pass needs: the tensors and their gradients, the log-sum-exp and the row
     * terms}
     *
     * @param problem what is computed: shape, type, options
     * @param kernel the kernel
     */
    public static DeviceMemory ofBackward(AttentionProblem problem, AttentionKernel kernel) {
        DeviceMemory forward = of(
                problem,
                kernel.spec().backward() instanceof Backward.Own own
                        ? own.scratch().of(problem)
                        : List.of());
        long rowTerms = 2 * problem.shape().queryRows() * Float.BYTES;
        return new DeviceMemory(
                2 * forward.tensorBytes, forward.extraBytes + rowTerms, Math.max(forward.largestBuffer, rowTerms));
    }

    /** {@return all bytes} */
    public long totalBytes() {
        return tensorBytes + extraBytes;
    }

    /**
     * Checks that a device has room for it.
     *
     * @param device where it is to fit
     * @throws UnsupportedOnDeviceException if the device, or an array, is too small for it
     */
    public void requireFitting(ComputeDevice device) {
        if (largestBuffer / Float.BYTES > Tensor.MAX_ELEMENTS) {
            throw new UnsupportedOnDeviceException(
                    device,
                    "room for S and P: each would have %,d elements, and an array holds %,d"
                            .formatted(largestBuffer / Float.BYTES, Tensor.MAX_ELEMENTS),
                    "use the kernel online or tiled, which store neither");
        }
        if (totalBytes() > device.globalMemoryBytes() || largestBuffer > device.maxAllocationBytes()) {
            throw new UnsupportedOnDeviceException(
                    device,
                    "memory: the problem needs %,d bytes, the largest buffer %,d, and it has %,d, %,d in one piece"
                            .formatted(
                                    totalBytes(),
                                    largestBuffer,
                                    device.globalMemoryBytes(),
                                    device.maxAllocationBytes()),
                    "split the batch or the heads over several calls");
        }
    }
}
