package org.tornadoattention.forge;

import java.util.Map;
import org.tornadoattention.function.FunctionForm;

/**
 * What a form of a kernel differs in from the text.
 *
 * @param kernel the text
 * @param arrays the class of the array in each parameter whose class differs from the text's
 * @param constants the value of each parameter that is a constant
 * @param replaced classes whose static methods are called in place of those, with the same names and types, of others
 * @param functions a user's, in place of those that change nothing
 */
record Form(
        Kernel kernel,
        Map<String, Class<?>> arrays,
        Map<String, Number> constants,
        Map<Class<?>, Class<?>> replaced,
        FunctionForm functions) {

    Form {
        arrays = Map.copyOf(arrays);
        constants = Map.copyOf(constants);
        replaced = Map.copyOf(replaced);
    }

    /** A form without functions. */
    Form(Kernel kernel, Map<String, Class<?>> arrays, Map<String, Number> constants, Map<Class<?>, Class<?>> replaced) {
        this(kernel, arrays, constants, replaced, FunctionForm.NONE);
    }

    /** Whether the text itself is this form. */
    boolean isText() {
        return arrays.isEmpty() && constants.isEmpty() && replaced.isEmpty() && functions.isEmpty();
    }
}
