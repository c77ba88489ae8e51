package org.tornadoattention.forge;

import java.util.Map;

/**
 * What a form of a kernel differs in from the text.
 *
 * @param kernel the text
 * @param arrays the class of the array in each parameter whose class differs from the text's
 * @param constants the value of each parameter that is a constant
 * @param replaced classes whose static methods are called in place of those, with the same names and types, of others
 */
record Form(
        Kernel kernel, Map<String, Class<?>> arrays, Map<String, Number> constants, Map<Class<?>, Class<?>> replaced) {

    Form {
        arrays = Map.copyOf(arrays);
        constants = Map.copyOf(constants);
        replaced = Map.copyOf(replaced);
    }

    /** Whether the text itself is this form. */
    boolean isText() {
        return arrays.isEmpty() && constants.isEmpty() && replaced.isEmpty();
    }
}
