package org.tornadoattention.forge;

import java.lang.ref.ReferenceQueue;
import java.lang.ref.WeakReference;
import java.security.CodeSource;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.tornadoattention.function.FunctionForm;

/**
 * Makes forms of kernels. A form is kept as long as something uses it, such as a task of a plan, and made once for all
 * that use it at the same time.
 */
public final class KernelForge {

    private static final Map<Form, Kept> FORMS = new HashMap<>();
    private static final ReferenceQueue<ForgedKernel> UNUSED = new ReferenceQueue<>();
    private static final ClassValue<ClassText.Library> LIBRARIES = new ClassValue<>() {
        @Override
        protected ClassText.Library computeValue(Class<?> owner) {
            return new ClassText.Library(owner.getClassLoader());
        }
    };

    /** Which kernels ask functions, whatever those are, once somebody has asked. */
    private static final ClassValue<Map<Kernel, Boolean>> ASKING = new ClassValue<>() {
        @Override
        protected Map<Kernel, Boolean> computeValue(Class<?> owner) {
            return new ConcurrentHashMap<>();
        }
    };

    private KernelForge() {}

    /** Whether a kernel asks functions of a user's. */
    static boolean asks(Kernel kernel, FunctionForm functions) {
        if (functions.isEmpty()) {
            return false;
        }
        Class<?> owner = kernel.method().getDeclaringClass();
        return ASKING.get(owner).computeIfAbsent(kernel, _ -> {
            Form form = new Form(kernel, Map.of(), Map.of(), Map.of(), functions);
            return new ClassCopies(form, LIBRARIES.get(owner))
                    .asks(ClassCopies.describe(owner), kernel.method().getName());
        });
    }

    /** Returns a form of a kernel. */
    static ForgedKernel forge(Form form) {
        synchronized (FORMS) {
            for (Object unused = UNUSED.poll(); unused != null; unused = UNUSED.poll()) {
                FORMS.remove(((Kept) unused).form, unused);
            }
            Kept kept = FORMS.get(form);
            ForgedKernel known = kept == null ? null : kept.get();
            if (known == null) {
                known = make(form);
                FORMS.put(form, new Kept(form, known));
            }
            return known;
        }
    }

    /**
     * The class files that a kernel consists of beside those in this library's jar, by name: none for a kernel that is
     * run as it is written.
     *
     * @param owner the class of the method that a task runs
     * @return the files, or empty where the kernel is none of this library's, or asks functions of a caller's, which
     *     may read what no file tells
     */
    public static Optional<Map<String, byte[]>> classFiles(Class<?> owner) {
        CodeSource library = KernelForge.class.getProtectionDomain().getCodeSource();
        if (library == null || !library.equals(owner.getProtectionDomain().getCodeSource())) {
            return Optional.empty();
        }
        return owner.getClassLoader() instanceof CopyLoader loader ? loader.ownClasses() : Optional.of(Map.of());
    }

    /** How many forms are in use, or were until a moment ago. */
    static int size() {
        synchronized (FORMS) {
            return FORMS.size();
        }
    }

    /** The forms in use, and those that nothing uses but the JVM has not collected yet. */
    static List<ForgedKernel> inUse() {
        synchronized (FORMS) {
            return FORMS.values().stream()
                    .map(WeakReference::get)
                    .flatMap(Stream::ofNullable)
                    .toList();
        }
    }

    /** Makes a form, whether or not there is one. */
    static ForgedKernel make(Form form) {
        Class<?> owner = form.kernel().method().getDeclaringClass();
        ClassCopies copies = new ClassCopies(form, LIBRARIES.get(owner));
        if (form.isText() && !copies.hasPhases()) {
            return ForgedKernel.ofText(form);
        }
        CopyLoader loader = new CopyLoader(owner, copies.make());
        return ForgedKernel.of(form, loader, copies.addsContext());
    }

    private static final class Kept extends WeakReference<ForgedKernel> {

        private final Form form;

        Kept(Form form, ForgedKernel kernel) {
            super(kernel, UNUSED);
            this.form = form;
        }
    }
}
