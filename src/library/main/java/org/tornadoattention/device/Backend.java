package org.tornadoattention.device;

import static org.tornadoattention.internal.Arguments.required;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;

/**
 * What compiles and runs the kernels, best first, with what its compiler can really translate.
 *
 * <p>TornadoVM does not refuse a {@code KernelContext} call that a backend lacks: it compiles the Java stub, which
 * computes garbage. This table is asked before anything is compiled.
 */
public enum Backend {
    /** NVIDIA GPUs, through CUDA C and NVRTC. */
    CUDA(TornadoVMBackendType.CUDA, true, true, true),
    /** Anything with an OpenCL driver. */
    OPENCL(TornadoVMBackendType.OPENCL, false, false, false),
    /** NVIDIA GPUs, through PTX. */
    PTX(TornadoVMBackendType.PTX, true, true, false),
    /** Apple GPUs. */
    METAL(TornadoVMBackendType.METAL, true, false, false),
    /** Level Zero or OpenCL devices, through SPIR-V. */
    SPIRV(TornadoVMBackendType.SPIRV, false, false, false),
    /** This process itself: the JVM's vector units, on all cores. It runs no task graphs. */
    JVM,
    /** This project's simulator, on the JVM. */
    SIMULATOR(TornadoVMBackendType.JAVA, true, true, false);

    private final Optional<TornadoVMBackendType> type;
    private final boolean warpCollectives;
    private final boolean matrixInstructions;
    private final boolean bfloat16;

    Backend(TornadoVMBackendType type, boolean warpCollectives, boolean matrixInstructions, boolean bfloat16) {
        this.type = Optional.of(type);
        this.warpCollectives = warpCollectives;
        this.matrixInstructions = matrixInstructions;
        this.bfloat16 = bfloat16;
    }

    Backend() {
        type = Optional.empty();
        warpCollectives = false;
        matrixInstructions = false;
        bfloat16 = false;
    }

    /** {@return whether {@code simdSum}, {@code simdShuffleDown} and {@code simdBroadcastFirst} are translated} */
    public boolean hasWarpCollectives() {
        return warpCollectives;
    }

    /** {@return whether {@code mma} and its loads and stores are translated; the device must have tensor cores too} */
    public boolean hasMatrixInstructions() {
        return matrixInstructions;
    }

    /** {@return whether the compiler decodes a bfloat16 by itself; the simulator does as the backends that do not} */
    public boolean hasBFloat16() {
        return bfloat16;
    }

    /** Whether all of its devices are NVIDIA's, which have a compute capability. */
    boolean isNvidiaOnly() {
        return this == CUDA || this == PTX;
    }

    /** The backend for TornadoVM's type, empty for types that compile nothing. */
    static Optional<Backend> of(TornadoVMBackendType type) {
        return Arrays.stream(values())
                .filter(backend -> backend.type.equals(Optional.of(type)))
                .findFirst();
    }

    /**
     * The name as used on the command line: {@code cuda}, {@code opencl}, …
     *
     * @return a name such as {@code cuda}
     */
    public String id() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * The backend with this {@link #id}.
     *
     * @param id a name such as {@code cuda}
     * @return the backend
     * @throws IllegalArgumentException naming the known ones
     */
    public static Backend parse(String id) {
        required(id, "id");
        return Arrays.stream(values())
                .filter(backend -> backend.id().equals(id.toLowerCase(Locale.ROOT)))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("There is no backend '%s': choose one of %s."
                        .formatted(id, Arrays.stream(values()).map(Backend::id).collect(Collectors.joining(", ")))));
    }
}
