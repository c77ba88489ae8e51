package org.tornadoattention.forge;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.function.FunctionForm;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** Arguments of kernels by the names of their parameters. A kernel takes those that it has parameters for. */
public final class Arguments {

    private final Map<String, Object> values;
    private final FunctionForm functions;
    private final List<TornadoNativeArray> captured;
    private final Map<String, Integer> answers;

    private Arguments(
            Map<String, Object> values,
            FunctionForm functions,
            List<TornadoNativeArray> captured,
            Map<String, Integer> answers) {
        this.values = values;
        this.functions = functions;
        this.captured = captured;
        this.answers = answers;
    }

    /** No arguments yet. */
    public static Arguments none() {
        return new Arguments(Map.of(), FunctionForm.NONE, List.of(), Map.of());
    }

    /**
     * Returns these arguments and one more.
     *
     * @param value an array or a number; null stands for no argument
     */
    public Arguments with(String parameter, @Nullable Object value) {
        Map<String, Object> more = new HashMap<>(values);
        more.put(parameter, value);
        return new Arguments(more, functions, captured, answers);
    }

    /**
     * Returns these arguments, and functions of a user's for the kernels that ask any.
     *
     * @param form the functions
     * @param arrays that they captured, in the form's order
     */
    public Arguments withFunctions(FunctionForm form, List<TornadoNativeArray> arrays) {
        return new Arguments(values, form, List.copyOf(arrays), answers);
    }

    /**
     * Returns these arguments, and numbers that static methods without parameters are to give: constants of the kernels
     * that call them.
     *
     * @param owner the class of the methods
     * @param numbers by the methods' names, 0 or 1 for false and true
     */
    public Arguments answering(Class<?> owner, Map<String, Integer> numbers) {
        Map<String, Integer> more = new HashMap<>(answers);
        numbers.forEach((method, number) -> more.put(Form.key(owner.getName(), method), number));
        return new Arguments(values, functions, captured, more);
    }

    Map<String, Integer> answers() {
        return answers;
    }

    FunctionForm functions() {
        return functions;
    }

    List<TornadoNativeArray> captured() {
        return captured;
    }

    /**
     * The argument for a parameter.
     *
     * @throws IllegalArgumentException if there is none
     */
    public Object given(String parameter) {
        Object value = values.get(parameter);
        if (value == null) {
            throw new IllegalArgumentException(
                    "There is no argument %s among %s".formatted(parameter, values.keySet()));
        }
        return value;
    }

    @Nullable
    Object get(String parameter) {
        return values.get(parameter);
    }
}
