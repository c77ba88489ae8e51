package org.tornadoattention.forge;

import java.lang.invoke.LambdaMetafactory;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Method;
import java.lang.reflect.Parameter;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.tornadoattention.internal.Snapshots;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.common.TornadoFunctions;

/** A form of a kernel: what a task of a graph runs. */
public final class ForgedKernel {

    /** What the name of a captured array begins with; no parameter's name has it. */
    static final String CAPTURED = "captured ";

    /** What is between two names that share a parameter. */
    static final String PACKED = "+";

    private final Form form;
    private final List<String> parameters;
    private final MethodType type;
    private final Object function;

    private ForgedKernel(Form form, MethodHandles.Lookup lookup, Class<?> owner, boolean addsContext) throws Throwable {
        this.form = form;
        List<String> names = new ArrayList<>();
        List<Class<?>> types = new ArrayList<>();
        if (addsContext) {
            names.add(ParallelLoop.CONTEXT_NAME);
            types.add(KernelContext.class);
        }
        Packing packing = Packing.of(form, addsContext);
        List<Parameter> text = form.kernel().parameters();
        for (int i = 0; i < text.size(); i++) {
            String name = text.get(i).getName();
            if (form.keeps(name) && !packing.contains(i)) {
                names.add(name);
                types.add(form.arrays().getOrDefault(name, text.get(i).getType()));
            }
        }
        List<Class<?>> captured = form.functions().arrays();
        for (int i = 0; i < captured.size(); i++) {
            names.add(CAPTURED + i);
            types.add(captured.get(i));
        }
        for (Packing.Pair pair : packing.pairs()) {
            names.add(text.get(pair.low()).getName()
                    + PACKED
                    + text.get(pair.high()).getName());
            types.add(long.class);
        }
        this.parameters = names;
        this.type = MethodType.methodType(void.class, types);
        MethodHandle method = lookup.findStatic(owner, form.kernel().method().getName(), type);
        this.function = LambdaMetafactory.metafactory(
                        lookup,
                        "apply",
                        MethodType.methodType(functionType(type.parameterCount())),
                        MethodType.genericMethodType(type.parameterCount()).changeReturnType(void.class),
                        method,
                        type.wrap().changeReturnType(void.class))
                .getTarget()
                .invoke();
    }

    /** The text itself as a form. */
    static ForgedKernel ofText(Form form) {
        Class<?> owner = form.kernel().method().getDeclaringClass();
        return make(form, MethodHandles.lookup(), owner, false);
    }

    /** A form whose classes are given. */
    static ForgedKernel of(Form form, CopyLoader loader, boolean addsContext) {
        try {
            Class<?> owner =
                    loader.loadClass(form.kernel().method().getDeclaringClass().getName());
            Method lookup = owner.getMethod(ClassCopies.LOOKUP);
            ForgedKernel kernel = make(form, (MethodHandles.Lookup) lookup.invoke(null), owner, addsContext);
            loader.hold(kernel);
            return kernel;
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("The copy of " + form.kernel() + " cannot be used", e);
        }
    }

    private static ForgedKernel make(Form form, MethodHandles.Lookup lookup, Class<?> owner, boolean addsContext) {
        try {
            return new ForgedKernel(form, lookup, owner, addsContext);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException("No task can be made of " + form.kernel(), e);
        }
    }

    private static Class<?> functionType(int parameters) throws ClassNotFoundException {
        return Class.forName(TornadoFunctions.class.getName() + "$Task" + parameters);
    }

    /** Returns the names of the parameters, in order. */
    List<String> parameters() {
        return parameters;
    }

    /** The class loader that all classes of this form are in. */
    ClassLoader loader() {
        return function.getClass().getClassLoader();
    }

    /** Whether no functions of a caller's are in it. */
    boolean asksNobody() {
        return form.functions().isEmpty();
    }

    boolean isContext(int parameter) {
        return type.parameterType(parameter) == KernelContext.class;
    }

    /** Appends a task to a graph, with an argument for each parameter. */
    void append(TaskGraph graph, String name, Object... arguments) {
        try {
            Class<?> functions = functionType(arguments.length);
            MethodType call = MethodType.genericMethodType(arguments.length)
                    .changeReturnType(TaskGraph.class)
                    .insertParameterTypes(0, String.class, functions);
            MethodHandle task = MethodHandles.publicLookup()
                    .findVirtual(TaskGraph.class, "task", call)
                    .bindTo(graph)
                    .bindTo(name)
                    .bindTo(function)
                    .asSpreader(Object[].class, arguments.length);
            Snapshots.append(name, () -> task.invoke(arguments));
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException("No task can be made of " + form.kernel(), e);
        }
    }

    /** The signature of this form and its constants, a line each. */
    public String describe() {
        String arguments = IntStream.range(0, parameters.size())
                .mapToObj(i -> type.parameterType(i).getSimpleName() + " " + parameters.get(i))
                .collect(Collectors.joining(", "));
        String constants = form.kernel().parameters().stream()
                .map(Parameter::getName)
                .filter(form.constants()::containsKey)
                .map(name -> name + " = " + form.constants().get(name))
                .collect(Collectors.joining(", "));
        return "%s(%s)".formatted(form.kernel(), arguments)
                + (constants.isEmpty() ? "" : "\n  constants: " + constants);
    }

    @Override
    public String toString() {
        return describe();
    }
}
