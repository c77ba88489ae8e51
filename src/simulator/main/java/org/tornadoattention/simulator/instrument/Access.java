package org.tornadoattention.simulator.instrument;

import java.lang.classfile.TypeKind;

/** An instruction that reads or writes an array, and what is known about the array before the kernel runs. */
sealed interface Access {

    /** A native array that is the parameter in {@code slot}. */
    record OfParameter(int slot, NativeOperation operation) implements Access {}

    /** A native array that is only known when the kernel runs. */
    record OfSomeNativeArray(NativeOperation operation) implements Access {}

    /**
     * An array that the variable in {@code slot} got from one of the context's methods for local memory; {@code viewed}
     * if the array's view can be pushed in place of the array.
     */
    record OfLocalArray(int slot, TypeKind kind, boolean write, boolean viewed) implements Access {}

    /** An array of the work-item's own, in the variable in {@code slot}. */
    record OfPrivateArray(int slot, TypeKind kind, boolean write) implements Access {}

    /**
     * A Java array that is only known when the kernel runs: that in the parameter in {@code slot}, or any if it is
     * negative.
     */
    record OfSomeArray(int slot, TypeKind kind, boolean write) implements Access {}
}
