package org.tornadoattention.simulator.engine;

import java.lang.reflect.Field;
import java.lang.reflect.InaccessibleObjectException;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.List;

/**
 * What a lambda, or a method reference with an object in front, has captured. TornadoVM passes these values to the
 * kernel in front of the task's arguments, as the method behind a lambda takes them, and so does the simulator.
 */
final class Captures {

    private static final Object[] NONE = {};

    private Captures() {}

    /** Returns what {@code code} has captured; nothing if that cannot be seen, as in a module that opens nothing. */
    static Object[] of(Object code) {
        if (!code.getClass().isHidden()) {
            return NONE;
        }
        List<Object> values = new ArrayList<>();
        try {
            for (Field field : code.getClass().getDeclaredFields()) {
                if (!Modifier.isStatic(field.getModifiers())) {
                    field.setAccessible(true);
                    values.add(field.get(code));
                }
            }
        } catch (InaccessibleObjectException | IllegalAccessException _) {
            return NONE;
        }
        return values.toArray();
    }
}
