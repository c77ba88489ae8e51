package org.tornadoattention.simulator.engine;

import java.lang.invoke.MethodType;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.time.Duration;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * Finds the method behind a functional object such as {@code Kernels::matmul}. Such objects do not tell; but called
 * with null for every array they soon throw, and the stack of the exception has the method right above the call. So has
 * that of the exception that an intrinsic throws where no lane runs. Where none comes, the kernel is busy with
 * something that touches no array, and its thread's stack has the method.
 */
final class KernelFinder {

    private static final Duration PATIENCE = Duration.ofMillis(200);

    private KernelFinder() {}

    /**
     * Finds the method that {@code function} calls with these arguments, captured ones among them; whoever calls must
     * have captured arrays closed to the thread that looks for it.
     */
    static Finding find(TaskFunction function, ClassLoader loader, Object... arguments) {
        Object[] probe = new Object[arguments.length];
        for (int i = 0; i < probe.length; i++) {
            probe[i] = isConstant(arguments[i]) ? arguments[i] : null;
        }
        AtomicReference<Finding> found = new AtomicReference<>();
        Thread prober = Thread.ofPlatform()
                .daemon()
                .name("looks for the method of " + function.name())
                .priority(Thread.MIN_PRIORITY)
                .unstarted(() -> found.set(probe(function, loader, probe, arguments)));
        Map<TornadoNativeArray, HostGuard> guards = close(prober, arguments);
        prober.start();
        boolean interrupted = false;
        while (found.get() == null) {
            try {
                prober.join(PATIENCE);
                Method busy = prober.isAlive() ? method(prober.getStackTrace(), loader, arguments) : null;
                if (busy != null) {
                    found.compareAndSet(null, new Finding(busy, false));
                }
            } catch (InterruptedException _) {
                interrupted = true;
            }
        }
        guards.forEach(NativeArrays::guard);
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        return found.get();
    }

    /** Has arrays of the host throw when {@code prober} comes to them; returns the guards that they had. */
    private static Map<TornadoNativeArray, HostGuard> close(Thread prober, Object... arguments) {
        Map<TornadoNativeArray, HostGuard> guards = new IdentityHashMap<>();
        for (Object argument : arguments) {
            if (argument instanceof TornadoNativeArray array && !guards.containsKey(array)) {
                HostGuard before = NativeArrays.guard(array);
                guards.put(array, before);
                NativeArrays.guard(array, new Closed(prober, before));
            }
        }
        return guards;
    }

    /** Keeps the prober away from an array of the host. */
    private record Closed(Thread prober, HostGuard before) implements HostGuard {

        @Override
        public void beforeHostRead() {
            throwIfProber();
            if (before != null) {
                before.beforeHostRead();
            }
        }

        @Override
        public void beforeHostWrite() {
            throwIfProber();
            if (before != null) {
                before.beforeHostWrite();
            }
        }

        private void throwIfProber() {
            if (Thread.currentThread() == prober) {
                throw new IllegalStateException("the kernel has come to an array");
            }
        }
    }

    private static Finding probe(TaskFunction function, ClassLoader loader, Object[] probe, Object... arguments) {
        try {
            function.run(probe);
            return new Finding(null, true);
        } catch (NullPointerException | IllegalStateException e) {
            return new Finding(method(e.getStackTrace(), loader, arguments), false);
        } catch (Throwable _) {
            // A kernel that fails in another way first is run as it is.
            return new Finding(null, false);
        }
    }

    /**
     * What was found.
     *
     * @param method the kernel method, or null
     * @param touchesNothing whether the kernel ran to its end, so that with these constants it touches no array
     */
    record Finding(Method method, boolean touchesNothing) {}

    static boolean isConstant(Object argument) {
        return argument instanceof Number
                || argument instanceof Boolean
                || argument instanceof Character
                || argument instanceof HalfFloat;
    }

    private static Method method(StackTraceElement[] trace, ClassLoader loader, Object... arguments) {
        for (int i = 1; i < trace.length; i++) {
            if (trace[i].getClassName().equals(TaskFunction.class.getName())) {
                return method(trace[i - 1], loader, arguments);
            }
        }
        return null;
    }

    private static Method method(StackTraceElement frame, ClassLoader loader, Object... arguments) {
        try {
            Class<?> owner = Class.forName(frame.getClassName(), false, loader);
            List<Method> candidates = Arrays.stream(owner.getDeclaredMethods())
                    .filter(method -> method.getName().equals(frame.getMethodName()))
                    .filter(method -> accepts(method, false, arguments))
                    .toList();
            List<Method> exact = candidates.stream()
                    .filter(method -> accepts(method, true, arguments))
                    .toList();
            return exact.size() == 1 ? exact.getFirst() : candidates.size() == 1 ? candidates.getFirst() : null;
        } catch (ClassNotFoundException _) {
            return null;
        }
    }

    private static boolean accepts(Method method, boolean exactly, Object... arguments) {
        MethodType type = MethodType.methodType(void.class, method.getParameterTypes());
        if (!Modifier.isStatic(method.getModifiers())) {
            type = type.insertParameterTypes(0, method.getDeclaringClass());
        }
        Class<?>[] types = type.wrap().parameterArray();
        if (types.length != arguments.length) {
            return false;
        }
        for (int i = 0; i < types.length; i++) {
            boolean widened = !exactly
                    && isConstant(arguments[i])
                    && type.parameterType(i).isPrimitive();
            if (!types[i].isInstance(arguments[i]) && !widened) {
                return false;
            }
        }
        return true;
    }
}
