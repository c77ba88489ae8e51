package org.tornadoattention.forge;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Defines the copies that one form of a kernel consists of, and serves their bytes to those who look for class files.
 */
final class CopyLoader extends ClassLoader {

    static {
        registerAsParallelCapable();
    }

    private final Class<?> original;
    private final Map<String, byte[]> classes;

    /** The cache of forms is weak: whoever holds a copy holds its form. */
    private @Nullable ForgedKernel form;

    CopyLoader(Class<?> original, Map<String, byte[]> classes) {
        super("forge:" + original.getSimpleName(), original.getClassLoader());
        this.original = original;
        this.classes = Map.copyOf(classes);
    }

    void hold(ForgedKernel kernel) {
        this.form = kernel;
    }

    /** The class files by name, unless functions of a caller's are among them. */
    Optional<Map<String, byte[]>> ownClasses() {
        return Optional.ofNullable(form).filter(ForgedKernel::asksNobody).map(_ -> classes);
    }

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
        byte[] bytes = classes.get(name);
        if (bytes == null) {
            return super.loadClass(name, resolve);
        }
        synchronized (getClassLoadingLock(name)) {
            Class<?> loaded = findLoadedClass(name);
            return loaded != null ? loaded : defineClass(name, bytes, 0, bytes.length, original.getProtectionDomain());
        }
    }

    @Override
    public @Nullable InputStream getResourceAsStream(String name) {
        byte[] bytes = name.endsWith(".class")
                ? classes.get(
                        name.substring(0, name.length() - ".class".length()).replace('/', '.'))
                : null;
        return bytes == null ? super.getResourceAsStream(name) : new ByteArrayInputStream(bytes);
    }

    @Override
    public String toString() {
        return getName() + " " + form;
    }
}
