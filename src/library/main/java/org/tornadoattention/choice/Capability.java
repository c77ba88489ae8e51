package org.tornadoattention.choice;

import java.util.function.Predicate;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Intrinsics;

/** What a kernel may need of a device's compiler. */
public enum Capability {
    /** TornadoVM's API, on any backend. */
    NONE("nothing", device -> true),
    /** TornadoVM's own tensor-core calls. They begin with compute capability 8.0; 0 is not known. */
    TENSOR_CORES(
            "tensor cores that TornadoVM can reach (its CUDA backend on compute capability 8.0 or later)",
            device -> device.isSimulator()
                    || device.backend() == Backend.CUDA
                            && (device.extension().computeCapability() == 0
                                    || device.extension().computeCapability() >= 80)),
    /** Instructions of {@link org.tornadoattention.intrinsic.Warp}. */
    WARP("warp intrinsics", device -> device.extension().level().include(Intrinsics.WARP)),
    /** Instructions of {@link org.tornadoattention.intrinsic.WarpGroup}. */
    WARP_GROUP("warp-group intrinsics", device -> device.extension().level().include(Intrinsics.WARP_GROUP)),
    /** The JVM's own vector units in place of work-groups. */
    JVM("the JVM engine (backend jvm)", ComputeDevice::isJvm);

    private final String description;
    private final Predicate<ComputeDevice> has;

    Capability(String description, Predicate<ComputeDevice> has) {
        this.description = description;
        this.has = has;
    }

    /**
     * {@return whether a device has it, or may have it where its kind is not known: a caller may try}
     *
     * @param device a device
     */
    public boolean isOn(ComputeDevice device) {
        return device.isJvm() == (this == JVM) && has.test(device);
    }

    /**
     * {@return whether a device is known to have it, so that kernels with it are chosen by themselves}
     *
     * @param device a device
     */
    public boolean isKnownOn(ComputeDevice device) {
        boolean known = this != TENSOR_CORES || device.extension().computeCapability() > 0;
        return known && isOn(device);
    }

    /** What a device lacks that has it not, with the device's own reason where there is one. */
    String lacking(ComputeDevice device) {
        if (device.isJvm()) {
            return "work-groups, which TornadoVM's devices and the simulator have";
        }
        String reason = device.extension().reason();
        return reason.isEmpty() || this == TENSOR_CORES ? description : description + ": " + reason;
    }
}
