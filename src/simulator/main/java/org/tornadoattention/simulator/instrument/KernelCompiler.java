package org.tornadoattention.simulator.instrument;

import java.lang.classfile.ClassFile;
import java.lang.classfile.attribute.CodeAttribute;
import java.lang.invoke.MethodType;
import java.lang.management.ManagementFactory;
import java.lang.reflect.Array;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tornadoattention.simulator.engine.KernelCall;
import org.tornadoattention.simulator.engine.WarpIntrinsics;

/**
 * Makes instrumented copies of kernels. The copies are classes of the same name in a class loader of their own, with
 * line numbers and variables, so that breakpoints set in the source hold in them.
 */
public final class KernelCompiler {

    /** HotSpot's limit for methods that it compiles. */
    private static final int LARGEST_COMPILED = 8000;

    private static final boolean COMPILES_ALL =
            ManagementFactory.getRuntimeMXBean().getInputArguments().contains("-XX:-DontCompileHugeMethods");

    private static final System.Logger LOG = System.getLogger("org.tornadoattention.simulator");

    private static final ClassValue<Map<Variant, CompiledKernel>> COMPILED = new ClassValue<>() {
        @Override
        protected Map<Variant, CompiledKernel> computeValue(Class<?> type) {
            return new ConcurrentHashMap<>();
        }
    };

    /** What is known of kernels of which there is no copy yet. */
    private static final ClassValue<Map<Method, KernelCode>> CODES = new ClassValue<>() {
        @Override
        protected Map<Method, KernelCode> computeValue(Class<?> type) {
            return new ConcurrentHashMap<>();
        }
    };

    private static final ClassValue<Map<Method, ParameterUse>> USES = new ClassValue<>() {
        @Override
        protected Map<Method, ParameterUse> computeValue(Class<?> type) {
            return new ConcurrentHashMap<>();
        }
    };

    private static final ClassValue<Map<Method, Optional<String>>> OBSTACLES = new ClassValue<>() {
        @Override
        protected Map<Method, Optional<String>> computeValue(Class<?> type) {
            return new ConcurrentHashMap<>();
        }
    };

    private KernelCompiler() {}

    /** Returns how a method uses its parameters, of which that of an instance method's object is the first. */
    public static ParameterUse use(Method kernel) {
        return USES.get(kernel.getDeclaringClass()).computeIfAbsent(kernel, KernelCompiler::findUse);
    }

    /** Returns the first thing in a method, or in what it calls, that is not for a device: place and what it is. */
    public static Optional<String> obstacle(Method kernel) {
        return OBSTACLES.get(kernel.getDeclaringClass()).computeIfAbsent(kernel, KernelCompiler::findObstacle);
    }

    private static Optional<String> findObstacle(Method kernel) {
        Class<?> owner = kernel.getDeclaringClass();
        KernelCode code = code(kernel);
        return code == null
                ? Optional.empty()
                : Optional.ofNullable(
                        DeviceCompiler.obstacle(code, owner.getName(), kernel.getName() + descriptor(kernel)));
    }

    private static ParameterUse findUse(Method kernel) {
        Class<?> owner = kernel.getDeclaringClass();
        KernelCode code = code(kernel);
        return code == null
                ? ParameterUse.UNKNOWN
                : ParameterUse.of(code, owner.getName(), kernel.getName() + descriptor(kernel))
                        .behind(Modifier.isStatic(kernel.getModifiers()) ? 0 : 1);
    }

    private static KernelCode code(Method kernel) {
        return CODES.get(kernel.getDeclaringClass())
                .computeIfAbsent(
                        kernel, _ -> KernelCode.of(kernel.getDeclaringClass(), kernel.getName(), descriptor(kernel)));
    }

    private static String descriptor(Method method) {
        return MethodType.methodType(method.getReturnType(), method.getParameterTypes())
                .descriptorString();
    }

    /**
     * Returns an instrumented copy of a method, or null if there is no class file to make it from or a copy does not
     * do.
     */
    public static CompiledKernel compile(Method kernel, Instrumentation wanted) {
        return COMPILED.get(kernel.getDeclaringClass())
                .computeIfAbsent(new Variant(kernel, wanted), _ -> instrument(kernel, wanted));
    }

    /** Returns an instrumented copy of a method that nobody else has, or null likewise. */
    public static CompiledKernel compileAnew(Method kernel, Instrumentation wanted) {
        return instrument(kernel, wanted);
    }

    private static CompiledKernel instrument(Method kernel, Instrumentation wanted) {
        Class<?> owner = kernel.getDeclaringClass();
        String descriptor = descriptor(kernel);
        KernelCode code = code(kernel);
        if (code == null) {
            return null;
        }
        Map<String, byte[]> classes = new HashMap<>();
        ClassRewriter.KernelMethod found = null;
        MethodRewriter.Sites sites = new MethodRewriter.Sites();
        for (Map.Entry<String, KernelCode.Part> part : code.parts().entrySet()) {
            boolean isOwner = part.getKey().equals(owner.getName());
            ClassRewriter rewriter = new ClassRewriter(
                    code,
                    part.getValue(),
                    isOwner ? kernel.getName() + descriptor : null,
                    wanted,
                    owner.getClassLoader(),
                    sites);
            classes.put(part.getKey(), rewriter.rewrite());
            found = isOwner ? rewriter.kernelMethod() : found;
        }
        CODES.get(owner).remove(kernel);
        if (!wanted.costs()) {
            warnIfTooLarge(kernel, classes.get(owner.getName()));
        }
        boolean isStatic = Modifier.isStatic(kernel.getModifiers());
        List<String> parameters = new ArrayList<>(isStatic ? List.of() : List.of("this"));
        parameters.addAll(
                found == null
                        ? IntStream.range(0, kernel.getParameterCount())
                                .mapToObj(i -> "parameter " + i)
                                .toList()
                        : found.parameterNames());
        try {
            classes.put(KernelCalls.name(kernel), KernelCalls.classFile(kernel));
            CopyLoader loader = new CopyLoader(owner, classes);
            Class<?> copiedOwner = Class.forName(owner.getName(), isStatic, loader);
            KernelCall call = (KernelCall)
                    loader.loadClass(KernelCalls.name(kernel)).getConstructor().newInstance();
            if (isStatic && found != null && found.asksContextFirst()) {
                callWithNothing(call, kernel);
            }
            return new CompiledKernel(
                    copiedOwner,
                    call,
                    parameters,
                    found == null ? List.of() : found.parallelLoops(),
                    sites.costPlaces(),
                    text(code, found));
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("The instrumented copy of " + kernel + " cannot be loaded", e);
        }
    }

    /**
     * Calls a copy twice with nothing, which ends where it asks its context for the work-item. A JVM that is told to
     * compile kernels by their second call, and to have callers wait for that, then runs each work-item compiled: all
     * of a group begin before one ends, and those that begin with the interpreter end with it.
     */
    private static void callWithNothing(KernelCall call, Method kernel) {
        Object[] nothing = Stream.of(kernel.getParameterTypes())
                .map(type -> Array.get(Array.newInstance(type, 1), 0))
                .toArray();
        for (int i = 0; i < 2; i++) {
            try {
                call.call(nothing);
            } catch (NullPointerException _) {
                // There is no context.
            } catch (Throwable e) {
                throw new IllegalStateException("The copy of " + kernel + " does not begin with its work-item", e);
            }
        }
    }

    private static KernelText text(KernelCode code, ClassRewriter.KernelMethod found) {
        Map<String, String> folders = new HashMap<>();
        code.parts().forEach((name, part) -> {
            int dot = name.lastIndexOf('.');
            folders.putIfAbsent(
                    ClassRewriter.sourceFile(part),
                    dot < 0 ? "" : name.substring(0, dot + 1).replace('.', '/'));
        });
        return found == null ? KernelText.NONE : found.text().withFolders(folders);
    }

    private static void warnIfTooLarge(Method kernel, byte[] owner) {
        if (COMPILES_ALL) {
            return;
        }
        ClassFile.of().parse(owner).methods().stream()
                .filter(method -> method.methodName().equalsString(kernel.getName()))
                .flatMap(method -> method.code().stream())
                .mapToInt(code -> ((CodeAttribute) code).codeLength())
                .filter(length -> length > LARGEST_COMPILED)
                .forEach(length -> LOG.log(
                        System.Logger.Level.WARNING,
                        "With its checks the kernel {0} has {1,number,#} bytes of code; the JVM compiles none over"
                                + " {2,number,#} and interprets it, slowly. Start Java with -XX:-DontCompileHugeMethods",
                        kernel.getName(),
                        length,
                        LARGEST_COMPILED));
    }

    private record Variant(Method kernel, Instrumentation wanted) {}

    private static final class CopyLoader extends ClassLoader {

        static {
            registerAsParallelCapable();
        }

        private final Class<?> original;
        private final Map<String, byte[]> classes;

        CopyLoader(Class<?> original, Map<String, byte[]> classes) {
            super("simulator:" + original.getSimpleName(), original.getClassLoader());
            this.original = original;
            this.classes = classes;
            // A copy calls the hooks from outside of this module.
            getClass().getModule().addExports(WarpIntrinsics.class.getPackageName(), getUnnamedModule());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (!classes.containsKey(name)) {
                return super.loadClass(name, resolve);
            }
            synchronized (getClassLoadingLock(name)) {
                Class<?> loaded = findLoadedClass(name);
                if (loaded == null) {
                    byte[] bytes = classes.get(name);
                    loaded = defineClass(name, bytes, 0, bytes.length, original.getProtectionDomain());
                }
                return loaded;
            }
        }
    }
}
