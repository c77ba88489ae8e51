package org.tornadoattention.simulator.engine;

import java.lang.management.ManagementFactory;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.BitSet;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Optional;
import org.tornadoattention.simulator.FaultKind;
import org.tornadoattention.simulator.SimulatorFaultException;
import org.tornadoattention.simulator.instrument.CompiledKernel;
import org.tornadoattention.simulator.instrument.Instrumentation;
import org.tornadoattention.simulator.instrument.KernelCompiler;
import org.tornadoattention.simulator.instrument.ParameterUse;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** Finds the method behind a task and makes what can be run of it. */
final class KernelLoader {

    private static final System.Logger LOG = System.getLogger("org.tornadoattention.simulator");

    /**
     * The launch of a task from which on it has a copy of its kernel for itself; making one takes as long as some
     * launches.
     */
    private static final int FIRST_OWN_LAUNCH = 4;

    /** Whether the JVM compiles a copy by what it has seen it do, which its first tier of compiling does not. */
    private static final boolean COMPILES_BY_PROFILE = !"-XX:TieredStopAtLevel=1"
            .equals(ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                    .filter(argument -> argument.startsWith("-XX:TieredStopAtLevel="))
                    .reduce("", (_, last) -> last));

    private static final ClassValue<CodeMethod> METHODS = new ClassValue<>() {
        @Override
        protected CodeMethod computeValue(Class<?> type) {
            return new CodeMethod();
        }
    };

    private final GraphDefinition.TaskDefinition task;
    private final TaskFunction function;
    private final Object[] arguments;
    private final BitSet tracked = new BitSet();
    private final Map<Instrumentation, Integer> launches = new HashMap<>();
    private final Map<Instrumentation, CompiledKernel> own = new HashMap<>();

    /** Creates the loader of a task; the first {@code captured} of the {@code arguments} are captured ones. */
    KernelLoader(GraphDefinition.TaskDefinition task, int captured, Object... arguments) {
        this.task = task;
        this.arguments = arguments;
        this.function = new TaskFunction(task.code(), captured, arguments.length - captured, task.id());
    }

    /** Returns the kernel method, if it can be found. */
    Optional<Method> find() {
        CodeMethod known = METHODS.get(task.code().getClass());
        synchronized (known) {
            if (known.method == null) {
                KernelFinder.Finding finding =
                        KernelFinder.find(function, task.code().getClass().getClassLoader(), arguments);
                known.method = finding.method();
                known.harmless =
                        finding.touchesNothing() && task.code().getClass().getDeclaredFields().length == 0;
            }
            if (known.method == null && !known.harmless) {
                warn(known);
            }
            return Optional.ofNullable(known.method);
        }
    }

    private void warn(CodeMethod known) {
        if (!known.warned) {
            known.warned = true;
            LOG.log(
                    System.Logger.Level.WARNING,
                    "The kernel method of task {0} cannot be found, or not copied, so it runs without checks, counters and"
                            + " parallel loops; pass a static method",
                    task.fullName());
        }
    }

    /** Returns the kernel with the checks of {@code options}, or without any if its method cannot be found. */
    KernelBody load(LaunchOptions options, Binding binding) {
        Method method = find().orElse(null);
        if (method == null) {
            return function;
        }
        if (options.compilable()) {
            KernelCompiler.obstacle(method).ifPresent(obstacle -> {
                throw new SimulatorFaultException(
                        FaultKind.NOT_COMPILABLE, "kernel " + method.getName() + " " + obstacle);
            });
        }
        ParameterUse use = KernelCompiler.use(method);
        int first = Modifier.isStatic(method.getModifiers()) ? 0 : 1;
        if (options.compilable()) {
            refuseOneArrayWrittenTwice(method, use, binding.arguments());
        }
        for (int i = 0; i < binding.arguments().length; i++) {
            if (i >= first && (binding.holdsGaps(i) || binding.isAnyParameter(i, use.written()))) {
                tracked.set(i - first);
            }
        }
        Instrumentation wanted = new Instrumentation(
                options.bounds(),
                options.watchesLocalMemory(),
                options.uninitialized(),
                options.barriers(),
                options.compilable(),
                options.watchesDeviceMemory(),
                options.counting(),
                options.costs(),
                options.trace(),
                options.watchesDeviceMemory() ? tracked : new BitSet());
        CompiledKernel compiled = compile(method, wanted);
        if (compiled == null || first > 0 && !receive(compiled, binding)) {
            CodeMethod known = METHODS.get(task.code().getClass());
            synchronized (known) {
                warn(known);
            }
            return function;
        }
        return new InstrumentedKernel(method, compiled);
    }

    /** TornadoVM 5.2 never ends where a task writes one array as two of its arguments. */
    private static void refuseOneArrayWrittenTwice(Method method, ParameterUse use, Object[] arguments) {
        Map<Object, Integer> seen = new IdentityHashMap<>();
        use.stored().stream().filter(i -> i < arguments.length).forEach(i -> {
            Integer before = arguments[i] instanceof TornadoNativeArray ? seen.put(arguments[i], i) : null;
            if (before != null) {
                throw new SimulatorFaultException(
                        FaultKind.NOT_COMPILABLE,
                        "kernel " + method.getName() + ": writes one array as two of its parameters, "
                                + method.getParameters()[before].getName() + " and "
                                + method.getParameters()[i].getName()
                                + ": TornadoVM orders such a graph for ever; pass it once");
            }
        });
    }

    /**
     * Returns the copy that all tasks share, and from some launch on one for this task alone. Where the JVM compiles a
     * copy by what it has seen it do, and a kernel is called with another mask or length, what it had compiled is given
     * up, and what it compiles then may be several times slower for good.
     */
    private CompiledKernel compile(Method method, Instrumentation wanted) {
        return !COMPILES_BY_PROFILE || launches.merge(wanted, 1, Integer::sum) < FIRST_OWN_LAUNCH
                ? KernelCompiler.compile(method, wanted)
                : own.computeIfAbsent(wanted, _ -> KernelCompiler.compileAnew(method, wanted));
    }

    /** Puts the copy of the kernel's object in its place; returns whether there is one. */
    private static boolean receive(CompiledKernel compiled, Binding binding) {
        try {
            Object[] bound = binding.arguments();
            bound[0] = Receivers.copy(bound[0], compiled.owner());
            return true;
        } catch (ReflectiveOperationException _) {
            return false;
        }
    }

    private static final class CodeMethod {

        private Method method;
        private boolean harmless;
        private boolean warned;
    }
}
