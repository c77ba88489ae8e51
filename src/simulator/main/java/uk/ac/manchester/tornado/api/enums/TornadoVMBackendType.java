package uk.ac.manchester.tornado.api.enums;

/** The backends that TornadoVM knows; the simulator's is {@link #JAVA}. */
public enum TornadoVMBackendType {
    /** OpenCL C. */
    OPENCL,
    /** Apple Metal. */
    METAL,
    /** NVIDIA PTX assembly. */
    PTX,
    /** CUDA C. */
    CUDA,
    /** SPIR-V. */
    SPIRV,
    /** Java on the JVM. */
    JAVA,
    /** No device at all. */
    VIRTUAL
}
