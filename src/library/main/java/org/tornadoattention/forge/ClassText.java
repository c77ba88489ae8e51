package org.tornadoattention.forge;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.MethodModel;
import java.lang.constant.ClassDesc;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/** A class as its file has it: what copies are made from. */
final class ClassText {

    /** Classes that all forms share: TornadoVM and the simulator translate calls of their methods one by one. */
    private static final String[] SHARED = {
        "java.", "javax.", "jdk.", "uk.ac.manchester.tornado.api.", "org.tornadoattention.intrinsic."
    };

    private final ClassModel model;
    private final Map<String, MethodModel> methods = new HashMap<>();

    private ClassText(ClassModel model) {
        this.model = model;
        model.methods().forEach(method -> methods.put(key(method), method));
    }

    /** A class that was made. */
    static ClassText of(byte[] classFile) {
        return new ClassText(ClassFile.of().parse(classFile));
    }

    /** The classes that a class loader finds, read once for all forms of its kernels. */
    static final class Library {

        private final ClassLoader loader;
        private final Map<String, ClassText> texts = new ConcurrentHashMap<>();

        Library(ClassLoader loader) {
            this.loader = loader;
        }

        ClassLoader loader() {
            return loader;
        }

        /** Returns a class that forms copy. */
        ClassText get(ClassDesc type) {
            return texts.computeIfAbsent(name(type), this::read);
        }

        private ClassText read(String name) {
            String resource = name.replace('.', '/') + ".class";
            try (InputStream stream = loader.getResourceAsStream(resource)) {
                if (stream == null) {
                    throw new IllegalStateException("There is no class file of " + name + " to make kernels from");
                }
                return new ClassText(ClassFile.of().parse(stream.readAllBytes()));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    static boolean isShared(ClassDesc type) {
        String name = name(type);
        for (String prefix : SHARED) {
            if (name.startsWith(prefix)) {
                return true;
            }
        }
        return false;
    }

    ClassModel model() {
        return model;
    }

    Optional<MethodModel> method(String name, String descriptor) {
        return Optional.ofNullable(methods.get(name + descriptor));
    }

    static String key(MethodModel method) {
        return method.methodName().stringValue() + method.methodType().stringValue();
    }

    static String name(ClassDesc type) {
        String descriptor = type.descriptorString();
        return descriptor.substring(1, descriptor.length() - 1).replace('/', '.');
    }
}
