package org.tornadoattention.simulator.engine;

import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.InaccessibleObjectException;
import java.lang.reflect.Modifier;

/** Objects of which kernels are instance methods: the copy of a kernel's class needs an object of its own. */
final class Receivers {

    private Receivers() {}

    /**
     * Returns an object of the copied class with the fields that {@code original} has now.
     *
     * @throws ReflectiveOperationException if there can be none
     */
    static Object copy(Object original, Class<?> copied) throws ReflectiveOperationException {
        try {
            Constructor<?> constructor = copied.getDeclaredConstructor(WorkItem.class);
            constructor.setAccessible(true);
            Object copy = constructor.newInstance((WorkItem) null);
            for (Field target : copied.getDeclaredFields()) {
                if (!Modifier.isStatic(target.getModifiers())) {
                    Field field = declaring(original.getClass(), copied).getDeclaredField(target.getName());
                    field.setAccessible(true);
                    target.setAccessible(true);
                    Object value = field.get(original);
                    if (value == null
                            || target.getType().isPrimitive()
                            || target.getType().isInstance(value)) {
                        target.set(copy, value);
                    }
                }
            }
            return copy;
        } catch (InaccessibleObjectException | LinkageError e) {
            throw new ReflectiveOperationException(e);
        }
    }

    /** Returns the class, or the one above it, of which {@code copied} is the copy. */
    private static Class<?> declaring(Class<?> type, Class<?> copied) throws ReflectiveOperationException {
        Class<?> candidate = type;
        while (!candidate.getName().equals(copied.getName())) {
            candidate = candidate.getSuperclass();
            if (candidate == null) {
                throw new ClassNotFoundException(copied.getName());
            }
        }
        return candidate;
    }
}
