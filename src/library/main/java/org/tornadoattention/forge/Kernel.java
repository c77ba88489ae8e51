package org.tornadoattention.forge;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Parameter;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.tornadoattention.kernel.Constant;
import org.tornadoattention.kernel.Element;
import org.tornadoattention.kernel.IfGiven;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * The text of a kernel: a public static method, whose arguments are bound by the names of its parameters.
 *
 * @param method the method
 */
public record Kernel(Method method) {

    /**
     * Checks that the method can be a kernel.
     *
     * @throws IllegalArgumentException if it is not public, static and without a result, takes something other than
     *     arrays, numbers and a context, or was compiled without parameter names
     */
    public Kernel {
        Objects.requireNonNull(method, "method");
        int wanted = Modifier.PUBLIC | Modifier.STATIC;
        if ((method.getModifiers() & wanted) != wanted || method.getReturnType() != void.class) {
            throw new IllegalArgumentException("A kernel is a public static void method, unlike " + method);
        }
        for (Parameter parameter : method.getParameters()) {
            if (!parameter.isNamePresent()) {
                throw new IllegalArgumentException(
                        "%s was compiled without the names of its parameters: use javac -parameters -g"
                                .formatted(method));
            }
            boolean array = TornadoNativeArray.class.isAssignableFrom(parameter.getType());
            boolean number = parameter.getType().isPrimitive();
            if (!array && !number && parameter.getType() != KernelContext.class
                    || (parameter.isAnnotationPresent(Element.class) || parameter.isAnnotationPresent(IfGiven.class))
                            && !array
                    || parameter.isAnnotationPresent(Constant.class) && !number) {
                throw new IllegalArgumentException(
                        "Parameter %s of kernel %s.%s: @Element and @IfGiven mark arrays, @Constant numbers"
                                .formatted(parameter, method.getDeclaringClass().getName(), method.getName()));
            }
        }
    }

    /**
     * Returns the only kernel of a class.
     *
     * @throws IllegalArgumentException if it has none or several
     */
    public static Kernel of(Class<?> owner) {
        List<Method> kernels = Arrays.stream(owner.getDeclaredMethods())
                .filter(method -> Modifier.isPublic(method.getModifiers()) && method.getReturnType() == void.class)
                .toList();
        if (kernels.size() != 1) {
            throw new IllegalArgumentException(
                    "%s has %d kernels; name one".formatted(owner.getName(), kernels.size()));
        }
        return new Kernel(kernels.getFirst());
    }

    /**
     * Returns a kernel of a class.
     *
     * @throws IllegalArgumentException if there is not exactly one public method of that name
     */
    public static Kernel of(Class<?> owner, String name) {
        List<Method> kernels = Arrays.stream(owner.getDeclaredMethods())
                .filter(method -> Modifier.isPublic(method.getModifiers())
                        && method.getName().equals(name))
                .toList();
        if (kernels.size() != 1) {
            throw new IllegalArgumentException(
                    "%s has %d public methods %s".formatted(owner.getName(), kernels.size(), name));
        }
        return new Kernel(kernels.getFirst());
    }

    /** Returns the parameters, in order. */
    public List<Parameter> parameters() {
        return List.of(method.getParameters());
    }

    @Override
    public String toString() {
        return method.getDeclaringClass().getSimpleName() + "." + method.getName();
    }
}
