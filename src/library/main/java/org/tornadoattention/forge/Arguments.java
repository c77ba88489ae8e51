package org.tornadoattention.forge;

import java.util.HashMap;
import java.util.Map;

/** Arguments of kernels by the names of their parameters. A kernel takes those that it has parameters for. */
public final class Arguments {

    private final Map<String, Object> values;

    private Arguments(Map<String, Object> values) {
        this.values = values;
    }

    /** No arguments yet. */
    public static Arguments none() {
        return new Arguments(Map.of());
    }

    /**
     * Returns these arguments and one more.
     *
     * @param value an array or a number; null stands for no argument
     */
    public Arguments with(String parameter, Object value) {
        Map<String, Object> more = new HashMap<>(values);
        more.put(parameter, value);
        return new Arguments(more);
    }

    /** The argument for a parameter, or null if there is none. */
    public Object get(String parameter) {
        return values.get(parameter);
    }
}
