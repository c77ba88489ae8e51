package org.tornadoattention.function;

/** A function that cannot become part of a kernel, with the place in its source and what to do. */
final class UnusableFunctionException extends IllegalArgumentException {

    private static final long serialVersionUID = 1L;

    UnusableFunctionException(String where, String what, String cure) {
        super("%s %s: %s.".formatted(where, what, cure));
    }
}
