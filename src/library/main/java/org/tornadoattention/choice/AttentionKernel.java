package org.tornadoattention.choice;

import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.Supplier;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;

/**
 * The kernels, from the first rung of the ladder to the last. What there is to know of one stands in its
 * {@link KernelSpec}.
 */
public enum AttentionKernel {
    /** Three kernels, with S and P stored: the baseline. F32; only where it is asked for. */
    STANDARD(StandardSpec::new),
    /** One pass with the online softmax, one row of Q per work-item. F32. */
    ONLINE(OnlineSpec::new),
    /** FlashAttention-2's order with K and V tiles in local memory and register-tiled products. All types. */
    TILED(TiledSpec::new),
    /** FlashAttention-2's order with both products on tensor cores, through TornadoVM's own calls. F16 and BF16. */
    TENSOR_CORE(TensorCoreSpec::new),
    /** FlashAttention-2 in the registers of warps, on tensor cores. F16 and BF16. */
    WARP(WarpSpec::new),
    /** Asynchronous tensor cores, softmax under the products. F16 and BF16. */
    WARP_GROUP(WarpGroupSpec::new),
    /** The warp kernel for F32, each product in three of TF32. F32; only where it is asked for. */
    WARP_TF32(WarpTf32Spec::new),
    /** The warp-group kernel for F32, each product in three of F16. F32. */
    WARP_GROUP_F32(WarpGroupF32Spec::new),
    /**
     * The warp-group kernel with products of 8 bits, after a rounding of Q, K and V. F16 and BF16; only where asked
     * for.
     */
    WARP_GROUP_FP8(WarpGroupFp8Spec::new),
    /** On the JVM's vector units, in no task graph. All types. */
    VECTOR(VectorSpec::new);

    /** Made when first asked for: a description names kernels, so that these come before it. */
    private static final class Specs {

        private static final Map<AttentionKernel, KernelSpec> ALL = new EnumMap<>(AttentionKernel.class);

        static {
            Arrays.stream(values()).forEach(kernel -> ALL.put(kernel, kernel.description.get()));
        }
    }

    private final Supplier<KernelSpec> description;

    AttentionKernel(Supplier<KernelSpec> description) {
        this.description = description;
    }

    /** {@return what it says of itself} */
    public KernelSpec spec() {
        return Objects.requireNonNull(Specs.ALL.get(this), "spec");
    }

    /** {@return what it does, in a few words} */
    public String summary() {
        return spec().summary();
    }

    /**
     * {@return whether it takes tensors of this type}
     *
     * @param dtype a type of tensors
     */
    public boolean supports(DType dtype) {
        return spec().dtypes().contains(dtype);
    }

    /**
     * {@return whether it takes heads of so many elements}
     *
     * @param headDim elements of a head
     */
    public boolean supports(int headDim) {
        return headDim <= spec().widestHead();
    }

    /** {@return whether its results can be differentiated} */
    public boolean supportsBackward() {
        return !(spec().backward() instanceof Backward.None);
    }

    /** {@return whether its products are of 8-bit numbers, so that its results are judged as such} */
    public boolean isFp8() {
        return spec().fp8();
    }

    /** {@return whether it can drop probabilities} */
    public boolean supportsDropout() {
        return spec().dropout();
    }

    /**
     * {@return whether the device's compiler has the instructions that it is written with}
     *
     * @param device a device
     */
    public boolean supports(ComputeDevice device) {
        return spec().capability().isOn(device);
    }

    /**
     * A tile of this kernel.
     *
     * @param blockQ queries in it (Br)
     * @param blockK keys in it (Bc)
     * @return a tile, which may yet be too large for a device
     * @throws IllegalArgumentException if it does not work on tiles, or not on such
     */
    public Tile tile(int blockQ, int blockK) {
        return requireTiling().tile(blockQ, blockK, 0, 0);
    }

    /**
     * A tile of this kernel, one of those that divide the queries among warps.
     *
     * @param blockQ queries in it (Br)
     * @param blockK keys in it (Bc)
     * @param warps that compute
     * @param rescaleThreshold by how much a row's maximum may grow before O is rescaled, in powers of two, 0 to 8
     * @return a tile, which may yet be too large for a device
     * @throws IllegalArgumentException if it does not work on tiles, or not on such
     */
    public Tile tile(int blockQ, int blockK, int warps, int rescaleThreshold) {
        return requireTiling().tile(blockQ, blockK, warps, rescaleThreshold);
    }

    /**
     * The tile of this kernel that {@link Tile#toString} wrote, such as {@code 64x32}.
     *
     * @param text queries by keys, and warps where it has any, such as {@code 64x32} or {@code 128x64/4}
     * @return that tile
     * @throws IllegalArgumentException if it is none
     */
    public Tile tile(String text) {
        return requireTiling().tile(text);
    }

    private Tiling requireTiling() {
        return spec().tiling()
                .orElseThrow(() -> new IllegalArgumentException(
                        "The kernel %s works on no tiles: leave the tile out, or choose another kernel."
                                .formatted(id())));
    }

    /**
     * The name as used on the command line: {@code standard}, {@code online}, {@code tiled}, {@code tensor-core},
     * {@code warp}, {@code warp-group}, {@code warp-tf32}, {@code warp-group-f32}, {@code warp-group-fp8},
     * {@code vector}.
     *
     * @return the name
     */
    public String id() {
        return KernelNames.id(this);
    }

    /**
     * The kernel with this {@link #id}.
     *
     * @param id a name such as {@code warp-group}
     * @return the name
     * @throws IllegalArgumentException naming the known ones
     */
    public static AttentionKernel parse(String id) {
        return KernelNames.parse(id, "kernel", values());
    }
}
