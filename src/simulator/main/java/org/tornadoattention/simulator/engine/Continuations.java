package org.tornadoattention.simulator.engine;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.management.ManagementFactory;

/**
 * The JDK's continuations, of which virtual threads are made. To change from one to another costs a quarter of what it
 * costs between virtual threads, since no scheduler comes between. They are there with
 * {@code --add-exports=java.base/jdk.internal.vm=ALL-UNNAMED}, unless a debugger is.
 */
final class Continuations {

    private static final MethodHandle NEW;
    private static final MethodHandle RUN;
    private static final MethodHandle YIELD;
    private static final MethodHandle STACK;

    static {
        MethodHandle create = null;
        MethodHandle run = null;
        MethodHandle yield = null;
        MethodHandle stack = null;
        try {
            Class<?> continuation = Class.forName("jdk.internal.vm.Continuation");
            Class<?> scope = Class.forName("jdk.internal.vm.ContinuationScope");
            Object scopeOfItems = scope.getConstructor(String.class).newInstance("work-items");
            MethodHandles.Lookup lookup = MethodHandles.lookup();
            create = lookup.findConstructor(continuation, MethodType.methodType(void.class, scope, Runnable.class))
                    .bindTo(scopeOfItems)
                    .asType(MethodType.methodType(Object.class, Runnable.class));
            run = lookup.findVirtual(continuation, "run", MethodType.methodType(void.class))
                    .asType(MethodType.methodType(void.class, Object.class));
            yield = lookup.findStatic(continuation, "yield", MethodType.methodType(boolean.class, scope))
                    .bindTo(scopeOfItems)
                    .asType(MethodType.methodType(void.class));
            stack = lookup.findVirtual(continuation, "getStackTrace", MethodType.methodType(StackTraceElement[].class))
                    .asType(MethodType.methodType(StackTraceElement[].class, Object.class));
        } catch (ReflectiveOperationException _) {
            // Not exported to the simulator, or another JDK's: threads do.
            run = null;
        }
        NEW = create;
        RUN = run;
        YIELD = yield;
        STACK = stack;
    }

    private static final boolean AVAILABLE = RUN != null && STACK != null && !isDebugged();

    private Continuations() {}

    static boolean isDebugged() {
        return ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .anyMatch(argument -> argument.matches("-(agentlib:|agentpath:.*|Xrun)jdwp.*"));
    }

    static boolean available() {
        return AVAILABLE;
    }

    static Object create(Runnable body) {
        try {
            return NEW.invokeExact(body);
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    /** Runs a continuation until it yields or ends. */
    static void run(Object continuation) {
        try {
            RUN.invokeExact(continuation);
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    /** Returns to who runs the present continuation, until that one runs it again. */
    static void yield() {
        try {
            YIELD.invokeExact();
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    /** Returns where a continuation is that has yielded. */
    static StackTraceElement[] stackTrace(Object continuation) {
        try {
            return (StackTraceElement[]) STACK.invokeExact(continuation);
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    private static RuntimeException unchecked(Throwable thrown) {
        if (thrown instanceof Error error) {
            throw error;
        }
        return thrown instanceof RuntimeException exception ? exception : new IllegalStateException(thrown);
    }
}
