package org.tornadoattention.forge;

import java.util.Map;
import org.tornadoattention.function.FunctionForm;

/**
 * What a form of a kernel differs in from the text.
 *
 * @param kernel the text
 * @param arrays the class of the array in each parameter whose class differs from the text's, {@link #NONE} where there
 *     is none
 * @param constants the value of each parameter that is a constant
 * @param replaced classes whose static methods are called in place of those, with the same names and types, of others
 * @param functions a user's, in place of those that change nothing
 * @param answers what static methods without parameters give in place of what their texts say, by {@link #key}
 */
record Form(
        Kernel kernel,
        Map<String, Class<?>> arrays,
        Map<String, Number> constants,
        Map<Class<?>, Class<?>> replaced,
        FunctionForm functions,
        Map<String, Integer> answers) {

    /** In place of an array's class: the form does without the parameter. */
    static final Class<?> NONE = void.class;

    Form {
        arrays = Map.copyOf(arrays);
        constants = Map.copyOf(constants);
        replaced = Map.copyOf(replaced);
        answers = Map.copyOf(answers);
    }

    /** The name of a static method among answers. */
    static String key(String owner, String method) {
        return owner + "." + method;
    }

    /** A form without functions and answers. */
    Form(Kernel kernel, Map<String, Class<?>> arrays, Map<String, Number> constants, Map<Class<?>, Class<?>> replaced) {
        this(kernel, arrays, constants, replaced, FunctionForm.NONE);
    }

    /** A form without answers. */
    Form(
            Kernel kernel,
            Map<String, Class<?>> arrays,
            Map<String, Number> constants,
            Map<Class<?>, Class<?>> replaced,
            FunctionForm functions) {
        this(kernel, arrays, constants, replaced, functions, Map.of());
    }

    /** Whether a parameter of the text is one of the form too. */
    boolean keeps(String parameter) {
        return !constants.containsKey(parameter) && arrays.get(parameter) != NONE;
    }

    /** Whether the text itself, with its phases written out if it has any, is this form. */
    boolean isText() {
        return arrays.isEmpty()
                && constants.isEmpty()
                && replaced.isEmpty()
                && functions.isEmpty()
                && answers.isEmpty();
    }
}
