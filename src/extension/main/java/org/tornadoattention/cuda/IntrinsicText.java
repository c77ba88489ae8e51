package org.tornadoattention.cuda;

/** The CUDA C of a call to an intrinsic. */
@FunctionalInterface
interface IntrinsicText {

    /** Between a variable and a constant that is added to it. */
    String PLUS = " + ";

    /**
     * Writes a statement.
     *
     * @param result the variable that takes the result, empty where there is none
     * @param arguments the arguments as CUDA C: variables, literals where the compiler knows the value, or a variable,
     *     {@link #PLUS} and a literal
     */
    String of(String result, String... arguments);
}
