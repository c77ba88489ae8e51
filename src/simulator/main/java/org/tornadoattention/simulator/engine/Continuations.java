package org.tornadoattention.simulator.engine;

import java.lang.classfile.ClassBuilder;
import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeBuilder;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.management.ManagementFactory;
import java.util.function.Consumer;

/**
 * The JDK's continuations, of which virtual threads are made. To change from one to another costs a quarter of what it
 * costs between virtual threads, since no scheduler comes between. They are there with
 * {@code --add-exports=java.base/jdk.internal.vm=ALL-UNNAMED}, unless a debugger is.
 */
final class Continuations {

    private static final Calls CALLS = calls();

    private static final boolean AVAILABLE = CALLS != null && !isDebugged();

    private Continuations() {}

    /**
     * What is called of the JDK, in a class that is made at run time since no compiler lets one name it: with method
     * handles each change from one continuation to another would go through several frames more.
     */
    interface Calls {

        Object create(Runnable body);

        void run(Object continuation);

        void yieldNow();

        StackTraceElement[] stackTrace(Object continuation);
    }

    static boolean isDebugged() {
        return ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .anyMatch(argument -> argument.matches("-(agentlib:|agentpath:.*|Xrun)jdwp.*"));
    }

    static boolean available() {
        return AVAILABLE;
    }

    static Object create(Runnable body) {
        return CALLS.create(body);
    }

    /** Runs a continuation until it yields or ends. */
    static void run(Object continuation) {
        CALLS.run(continuation);
    }

    /** Returns to who runs the present continuation, until that one runs it again. */
    static void yield() {
        CALLS.yieldNow();
    }

    /** Returns where a continuation is that has yielded. */
    static StackTraceElement[] stackTrace(Object continuation) {
        return CALLS.stackTrace(continuation);
    }

    /** Returns null where continuations are not exported to the simulator, or are another JDK's. */
    private static Calls calls() {
        try {
            MethodHandles.Lookup lookup = MethodHandles.lookup();
            Class<?> continuation = Class.forName("jdk.internal.vm.Continuation");
            Class<?> scope = Class.forName("jdk.internal.vm.ContinuationScope");
            Object scopeOfItems = scope.getConstructor(String.class).newInstance("work-items");
            // Asked here, where one that is missing is an exception; the class would fail when it is called.
            lookup.findConstructor(continuation, MethodType.methodType(void.class, scope, Runnable.class));
            lookup.findVirtual(continuation, "run", MethodType.methodType(void.class));
            lookup.findStatic(continuation, "yield", MethodType.methodType(boolean.class, scope));
            lookup.findVirtual(continuation, "getStackTrace", MethodType.methodType(StackTraceElement[].class));
            return (Calls) lookup.defineHiddenClass(
                            classOfCalls(
                                    continuation.describeConstable().orElseThrow(),
                                    scope.describeConstable().orElseThrow()),
                            true)
                    .lookupClass()
                    .getConstructor(Object.class)
                    .newInstance(scopeOfItems);
        } catch (ReflectiveOperationException | LinkageError _) {
            return null;
        }
    }

    private static byte[] classOfCalls(ClassDesc continuation, ClassDesc scope) {
        ClassDesc calls = ClassDesc.of(Continuations.class.getName() + "OfTheJdk");
        ClassDesc object = ConstantDescs.CD_Object;
        ClassDesc stack = StackTraceElement[].class.describeConstable().orElseThrow();
        return ClassFile.of().build(calls, builder -> {
            builder.withFlags(ClassFile.ACC_FINAL | ClassFile.ACC_SUPER)
                    .withInterfaceSymbols(Calls.class.describeConstable().orElseThrow())
                    .withField("scope", scope, ClassFile.ACC_PRIVATE | ClassFile.ACC_FINAL);
            method(
                    builder,
                    ConstantDescs.INIT_NAME,
                    MethodTypeDesc.of(ConstantDescs.CD_void, object),
                    code -> code.aload(0)
                            .invokespecial(object, ConstantDescs.INIT_NAME, ConstantDescs.MTD_void)
                            .aload(0)
                            .aload(1)
                            .checkcast(scope)
                            .putfield(calls, "scope", scope)
                            .return_());
            ClassDesc runnable = Runnable.class.describeConstable().orElseThrow();
            method(
                    builder,
                    "create",
                    MethodTypeDesc.of(object, runnable),
                    code -> code.new_(continuation)
                            .dup()
                            .aload(0)
                            .getfield(calls, "scope", scope)
                            .aload(1)
                            .invokespecial(
                                    continuation,
                                    ConstantDescs.INIT_NAME,
                                    MethodTypeDesc.of(ConstantDescs.CD_void, scope, runnable))
                            .areturn());
            method(
                    builder,
                    "run",
                    MethodTypeDesc.of(ConstantDescs.CD_void, object),
                    code -> code.aload(1)
                            .checkcast(continuation)
                            .invokevirtual(continuation, "run", ConstantDescs.MTD_void)
                            .return_());
            method(
                    builder,
                    "yieldNow",
                    ConstantDescs.MTD_void,
                    code -> code.aload(0)
                            .getfield(calls, "scope", scope)
                            .invokestatic(continuation, "yield", MethodTypeDesc.of(ConstantDescs.CD_boolean, scope))
                            .pop()
                            .return_());
            method(
                    builder,
                    "stackTrace",
                    MethodTypeDesc.of(stack, object),
                    code -> code.aload(1)
                            .checkcast(continuation)
                            .invokevirtual(continuation, "getStackTrace", MethodTypeDesc.of(stack))
                            .areturn());
        });
    }

    private static void method(
            ClassBuilder builder, String name, MethodTypeDesc type, Consumer<? super CodeBuilder> code) {
        builder.withMethodBody(name, type, ClassFile.ACC_PUBLIC, code::accept);
    }
}
