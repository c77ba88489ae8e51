package org.tornadoattention.intrinsic;

/**
 * The Java bodies of calls that mean something to a GPU's compiler and to the simulator only; both replace the calls.
 */
final class OutsideOfKernels {

    private OutsideOfKernels() {}

    /** What a call throws that nobody has replaced: on the host, or in a kernel that runs as sequential Java. */
    static IllegalStateException call() {
        return new IllegalStateException("Warp intrinsics mean something only inside a kernel: on a GPU whose compiler"
                + " has been taught them (./attention devices says which), or in the simulator.");
    }
}
