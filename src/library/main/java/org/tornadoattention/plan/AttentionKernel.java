package org.tornadoattention.plan;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.tensor.DType;

/** The kernels, from the first rung of the ladder to the last. */
public enum AttentionKernel {
    /** Three kernels, with S and P stored: the baseline. F32. */
    STANDARD("three kernels, S and P stored"),
    /** One pass with the online softmax, a row of Q a work-item. F32. */
    ONLINE("online softmax, a row a work-item"),
    /** FlashAttention-2's order with K and V tiles in local memory and register-tiled products. All types. */
    TILED("tiles in local memory, products in registers"),
    /** FlashAttention-2's order with both products on tensor cores, through TornadoVM's own calls. F16 and BF16. */
    TENSOR_CORE("products on tensor cores, S through scratch memory"),
    /** FlashAttention-2 in the registers of warps, on tensor cores. F16 and BF16. */
    WARP("tensor cores, S and P in a warp's registers"),
    /** Asynchronous tensor cores, softmax under the products. F16 and BF16. */
    WARP_GROUP("asynchronous tensor cores, softmax under the products"),
    /** The warp kernel for F32, each product in three of TF32. F32; only where it is asked for. */
    WARP_TF32("tensor cores for F32, three products for one"),
    /** The warp-group kernel with products of 8 bits, after a rounding of Q, K and V. F16 and BF16; only where asked for. */
    WARP_GROUP_FP8("asynchronous tensor cores, products of 8 bits");

    private final String summary;

    AttentionKernel(String summary) {
        this.summary = summary;
    }

    /** What it does, in a few words. */
    public String summary() {
        return summary;
    }

    /** Whether it takes tensors of this type. */
    public boolean supports(DType dtype) {
        return switch (this) {
            case STANDARD, ONLINE, WARP_TF32 -> dtype == DType.F32;
            case TILED -> true;
            case TENSOR_CORE, WARP, WARP_GROUP, WARP_GROUP_FP8 -> dtype != DType.F32;
        };
    }

    /**
     * Whether its results can be differentiated: three TF32 products, and all the more 8 bits, leave too little of the
     * log-sum-exp for that.
     */
    public boolean supportsBackward() {
        return this != WARP_TF32 && this != WARP_GROUP_FP8;
    }

    /** Whether its products are of 8-bit numbers, so that its results are judged as such. */
    public boolean isFp8() {
        return this == WARP_GROUP_FP8;
    }

    /** Whether it can drop probabilities. */
    public boolean supportsDropout() {
        return this != TENSOR_CORE && this != WARP_TF32 && this != WARP_GROUP_FP8;
    }

    /** Whether the device's compiler has the instructions that it is written with. */
    public boolean supports(ComputeDevice device) {
        return switch (this) {
            case STANDARD, ONLINE, TILED -> true;
            case WARP, WARP_TF32 -> device.extension().level().include(Intrinsics.WARP);
            case TENSOR_CORE -> device.isSimulator() || device.backend() == Backend.CUDA && reachesTensorCores(device);
            case WARP_GROUP, WARP_GROUP_FP8 -> device.extension().level().include(Intrinsics.WARP_GROUP);
        };
    }

    /** TornadoVM's tensor-core calls begin with compute capability 8.0; 0 is not known. */
    private static boolean reachesTensorCores(ComputeDevice device) {
        int capability = device.extension().computeCapability();
        return capability == 0 || capability >= 80;
    }

    /**
     * The name as used on the command line: {@code standard}, {@code online}, {@code tiled}, {@code tensor-core}, {@code
     * warp}, {@code warp-group}, {@code warp-tf32}, {@code warp-group-fp8}.
     */
    public String id() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /**
     * The kernel with this {@link #id}.
     *
     * @throws IllegalArgumentException naming the known ones
     */
    public static AttentionKernel parse(String id) {
        return Arrays.stream(values())
                .filter(kernel -> kernel.id().equals(id.toLowerCase(Locale.ROOT).replace('_', '-')))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("There is no kernel '%s': choose one of %s."
                        .formatted(
                                id,
                                Arrays.stream(values()).map(AttentionKernel::id).collect(Collectors.joining(", ")))));
    }
}
