package org.tornadoattention.forge;

import java.lang.invoke.MethodType;
import java.lang.reflect.Parameter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.function.FunctionForm;
import org.tornadoattention.kernel.Constant;
import org.tornadoattention.kernel.Element;
import org.tornadoattention.kernel.IfGiven;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * Appends kernels to a task graph: arguments are bound by the names of the kernel's parameters, the form for them is
 * made, and each task gets a grid with an explicit group size.
 *
 * <pre>{@code
 * launcher.task("attention", TILED).with("query", q).with("heads", 8)…groups(count, size);
 * }</pre>
 */
public final class KernelLauncher {

    private static final ScopedValue<List<String>> DESCRIPTIONS = ScopedValue.newInstance();

    private final TaskGraph graph;
    private final GridScheduler grids;
    private final Arguments shared;

    /**
     * A launcher for one graph.
     *
     * @param shared arguments of any of the kernels, so that each takes what it has parameters for
     */
    public KernelLauncher(TaskGraph graph, GridScheduler grids, Arguments shared) {
        this.graph = graph;
        this.grids = grids;
        this.shared = shared;
    }

    /**
     * Describes each task that is appended while something runs: its grid, its form's signature and the numbers that it
     * gets.
     *
     * @return descriptions of several lines, in the order of the tasks
     */
    public static List<String> described(Runnable appending) {
        List<String> descriptions = new ArrayList<>();
        ScopedValue.where(DESCRIPTIONS, descriptions).run(appending);
        return List.copyOf(descriptions);
    }

    /** Begins a task; it is appended when its grid is given. */
    public Task task(String name, Kernel kernel) {
        return new Task(name, kernel);
    }

    /** A task that gets its arguments. */
    public final class Task {

        private final String name;
        private final Kernel kernel;
        private final Map<String, @Nullable Object> own = new HashMap<>();
        private final Map<Class<?>, Class<?>> replaced = new HashMap<>();

        private Task(String name, Kernel kernel) {
            this.name = name;
            this.kernel = kernel;
        }

        /**
         * Gives an argument.
         *
         * @param value an array or a number; null stands for no argument
         * @throws IllegalArgumentException if the kernel has no parameter of that name
         */
        public Task with(String parameter, @Nullable Object value) {
            if (kernel.parameters().stream().noneMatch(known -> known.getName().equals(parameter))) {
                throw new IllegalArgumentException("Kernel %s has no parameter %s; it has %s"
                        .formatted(
                                kernel,
                                parameter,
                                kernel.parameters().stream()
                                        .map(Parameter::getName)
                                        .collect(Collectors.joining(", "))));
            }
            own.put(parameter, value);
            return this;
        }

        /** Has the static methods of one class called in place of those of another, where names and types agree. */
        public Task replacing(Class<?> replacedClass, Class<?> by) {
            replaced.put(replacedClass, by);
            return this;
        }

        /** Appends the task, for a work-item for each of so many elements. */
        public void overElements(long elements, int groupSize) {
            groups(Math.ceilDiv(elements, groupSize), groupSize);
        }

        /**
         * Appends the task, for a number of groups.
         *
         * @throws IllegalArgumentException if an argument is missing or does not fit its parameter
         */
        public void groups(long groups, int groupSize) {
            ForgedKernel form = form();
            List<Object> arguments = new ArrayList<>();
            for (int i = 0; i < form.parameters().size(); i++) {
                arguments.add(
                        form.isContext(i)
                                ? new KernelContext()
                                : actual(form.parameters().get(i)));
            }
            form.append(graph, name, arguments.toArray());
            WorkerGrid1D grid = new WorkerGrid1D(Math.toIntExact(Math.multiplyExact(groups, groupSize)));
            grid.setLocalWork(groupSize, 1, 1);
            grids.addWorkerGrid(graph.getTaskGraphName() + "." + name, grid);
            if (DESCRIPTIONS.isBound()) {
                DESCRIPTIONS.get().add(describe(form, arguments, groups, groupSize));
            }
        }

        private String describe(ForgedKernel form, List<Object> arguments, long groups, int groupSize) {
            String numbers = IntStream.range(0, arguments.size())
                    .filter(i -> arguments.get(i) instanceof Number)
                    .mapToObj(i -> form.parameters().get(i) + " = " + arguments.get(i))
                    .collect(Collectors.joining(", "));
            return "task %s: %,d work-groups of %d work-items%n%s%n  numbers, which TornadoVM compiles in: %s"
                    .formatted(name, groups, groupSize, form.describe(), numbers);
        }

        private ForgedKernel form() {
            Map<String, Class<?>> arrays = new HashMap<>();
            Map<String, Number> constants = new HashMap<>();
            Map<String, Class<?>> elements = new HashMap<>();
            for (Parameter parameter : kernel.parameters()) {
                if (parameter.isAnnotationPresent(Constant.class)) {
                    constants.put(parameter.getName(), (Number) argument(parameter));
                }
                if (parameter.isAnnotationPresent(IfGiven.class) && given(parameter) == null) {
                    arrays.put(parameter.getName(), Form.NONE);
                    continue;
                }
                Element element = parameter.getAnnotation(Element.class);
                if (element != null) {
                    Class<?> type = argument(parameter).getClass();
                    Class<?> other = elements.putIfAbsent(element.value(), type);
                    if (other != null && other != type) {
                        throw mismatch(
                                parameter,
                                "is a %s where others are %s".formatted(type.getSimpleName(), other.getSimpleName()));
                    }
                    if (type != parameter.getType()) {
                        arrays.put(parameter.getName(), type);
                    }
                }
            }
            boolean asks = KernelForge.asks(kernel, shared.functions());
            FunctionForm functions = asks ? shared.functions() : FunctionForm.NONE;
            Form form = new Form(kernel, arrays, constants, replaced, functions, shared.answers());
            if (!Packing.hasRoom(form)) {
                // More captured arrays than a task has arguments for: the numbers are compiled in, and leave theirs.
                kernel.parameters().stream()
                        .filter(parameter -> parameter.getType().isPrimitive())
                        .forEach(parameter -> constants.put(parameter.getName(), (Number) argument(parameter)));
                form = new Form(kernel, arrays, constants, replaced, functions, shared.answers());
            }
            return KernelForge.forge(form);
        }

        /** The argument of a parameter of a form, which may be a captured array, or two numbers. */
        private Object actual(String name) {
            if (name.startsWith(ForgedKernel.CAPTURED)) {
                return shared.captured().get(Integer.parseInt(name.substring(ForgedKernel.CAPTURED.length())));
            }
            int at = name.indexOf(ForgedKernel.PACKED);
            return at < 0
                    ? argument(name)
                    : (Object) Packing.pack(
                            (Integer) argument(name.substring(0, at)), (Integer) argument(name.substring(at + 1)));
        }

        private Object argument(String name) {
            return kernel.parameters().stream()
                    .filter(parameter -> parameter.getName().equals(name))
                    .map(this::argument)
                    .findFirst()
                    .orElseThrow();
        }

        private @Nullable Object given(Parameter parameter) {
            return own.containsKey(parameter.getName())
                    ? own.get(parameter.getName())
                    : shared.get(parameter.getName());
        }

        private Object argument(Parameter parameter) {
            Object value = given(parameter);
            if (value == null) {
                throw mismatch(parameter, "has no value");
            }
            boolean fits = parameter.isAnnotationPresent(Element.class)
                    ? value instanceof TornadoNativeArray
                    : MethodType.methodType(parameter.getType())
                            .wrap()
                            .returnType()
                            .isInstance(value);
            if (!fits) {
                throw mismatch(parameter, "is a " + value.getClass().getSimpleName());
            }
            return value;
        }

        private IllegalArgumentException mismatch(Parameter parameter, String what) {
            return new IllegalArgumentException("Task %s: argument %s of kernel %s, a %s, %s"
                    .formatted(
                            name,
                            parameter.getName(),
                            kernel,
                            parameter.getType().getSimpleName(),
                            what));
        }
    }
}
