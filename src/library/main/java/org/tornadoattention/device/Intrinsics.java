package org.tornadoattention.device;

import static org.tornadoattention.internal.Arguments.required;

/** Which of this project's own instructions a device's compiler knows, each level with those before it. */
public enum Intrinsics {
    /** None: kernels use TornadoVM's API only. */
    NONE,
    /** {@link org.tornadoattention.intrinsic.Reinterpret}: the bits of an int as a float. */
    REINTERPRET,
    /** {@link org.tornadoattention.intrinsic.Warp}: tensor cores of compute capability 8.0. */
    WARP,
    /** {@link org.tornadoattention.intrinsic.WarpGroup}: asynchronous tensor cores of compute capability 9.0. */
    WARP_GROUP;

    /**
     * {@return whether kernels may use this level}
     *
     * @param level what a kernel needs
     */
    public boolean include(Intrinsics level) {
        required(level, "level");
        return compareTo(level) >= 0;
    }
}
