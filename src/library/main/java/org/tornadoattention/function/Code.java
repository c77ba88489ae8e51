package org.tornadoattention.function;

import java.lang.constant.MethodTypeDesc;
import java.util.List;

/**
 * The code of a function, and what its first parameters are given.
 *
 * @param owner the class that has it
 * @param method a static method
 * @param descriptor its type
 * @param captured what the first parameters are given, in order
 */
public record Code(Class<?> owner, String method, String descriptor, List<Captured> captured) {

    /** What a parameter is given. */
    public sealed interface Captured permits Array, Constant {}

    /**
     * An array, whichever a problem brings.
     *
     * @param type its class
     */
    public record Array(Class<?> type) implements Captured {}

    /**
     * The same number always.
     *
     * @param value the number
     */
    public record Constant(Number value) implements Captured {}

    /** Keeps a copy of the list. */
    public Code {
        captured = List.copyOf(captured);
    }

    MethodTypeDesc type() {
        return MethodTypeDesc.ofDescriptor(descriptor);
    }

    List<Class<?>> arrays() {
        return captured.stream()
                .filter(Array.class::isInstance)
                .<Class<?>>map(array -> ((Array) array).type())
                .toList();
    }
}
