package org.tornadoattention.simulator.engine;

import java.lang.reflect.Method;
import java.util.BitSet;
import java.util.Optional;
import org.tornadoattention.simulator.FaultKind;
import org.tornadoattention.simulator.SimulatorFaultException;
import org.tornadoattention.simulator.instrument.CompiledKernel;
import org.tornadoattention.simulator.instrument.Instrumentation;
import org.tornadoattention.simulator.instrument.KernelCompiler;
import org.tornadoattention.simulator.instrument.ParameterUse;

/** Finds the method behind a task and makes what can be run of it. */
final class KernelLoader {

    private static final System.Logger LOG = System.getLogger("org.tornadoattention.simulator");

    private static final ClassValue<CodeMethod> METHODS = new ClassValue<>() {
        @Override
        protected CodeMethod computeValue(Class<?> type) {
            return new CodeMethod();
        }
    };

    private final GraphDefinition.TaskDefinition task;
    private final TaskFunction function;
    private final BitSet tracked = new BitSet();

    KernelLoader(GraphDefinition.TaskDefinition task) {
        this.task = task;
        this.function = new TaskFunction(task.code(), task.arguments().length, task.id());
    }

    /** Returns the kernel method, if it can be found. */
    Optional<Method> find() {
        CodeMethod known = METHODS.get(task.code().getClass());
        synchronized (known) {
            if (known.method == null) {
                KernelFinder.Finding finding =
                        KernelFinder.find(function, task.code().getClass().getClassLoader(), task.arguments());
                known.method = finding.method();
                known.harmless =
                        finding.touchesNothing() && task.code().getClass().getDeclaredFields().length == 0;
            }
            if (known.method == null && !known.harmless && !known.warned) {
                known.warned = true;
                LOG.log(
                        System.Logger.Level.WARNING,
                        "The kernel method of task {0} cannot be found, so it runs without checks, counters and parallel"
                                + " loops; pass a static method, or a lambda that captures nothing",
                        task.fullName());
            }
            return Optional.ofNullable(known.method);
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
        for (int i = 0; i < binding.arguments().length; i++) {
            if (binding.holdsGaps(i) || binding.isAnyParameter(i, use.written())) {
                tracked.set(i);
            }
        }
        Instrumentation wanted = new Instrumentation(
                options.bounds(),
                options.watchesLocalMemory(),
                options.uninitialized(),
                options.barriers(),
                options.watchesDeviceMemory(),
                options.counting(),
                options.watchesDeviceMemory() ? tracked : new BitSet());
        CompiledKernel compiled = KernelCompiler.compile(method, wanted);
        return compiled == null ? function : new InstrumentedKernel(method, compiled);
    }

    private static final class CodeMethod {

        private Method method;
        private boolean harmless;
        private boolean warned;
    }
}
