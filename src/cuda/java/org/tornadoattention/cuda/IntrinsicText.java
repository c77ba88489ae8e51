package org.tornadoattention.cuda;

/** The CUDA C of a call to an intrinsic. */
@FunctionalInterface
interface IntrinsicText {

    /**
     * Writes a statement.
     *
     * @param result the variable that takes the result, or null
     * @param arguments the arguments as CUDA C: variables, or literals where the compiler knows the value
     */
    String of(String result, String... arguments);
}
