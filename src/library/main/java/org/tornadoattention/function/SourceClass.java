package org.tornadoattention.function;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.classfile.Attributes;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.MethodModel;
import java.lang.classfile.instruction.LineNumber;
import java.util.Optional;

/** The class file of a class whose functions are used. */
final class SourceClass {

    private static final ClassValue<SourceClass> KNOWN = new ClassValue<>() {
        @Override
        protected SourceClass computeValue(Class<?> type) {
            return new SourceClass(type);
        }
    };

    private final Class<?> type;
    private final ClassModel model;

    private SourceClass(Class<?> type) {
        this.type = type;
        String resource = type.getName().replace('.', '/') + ".class";
        ClassLoader loader = type.getClassLoader();
        try (InputStream stream = loader == null
                ? ClassLoader.getSystemResourceAsStream(resource)
                : loader.getResourceAsStream(resource)) {
            if (stream == null) {
                throw new IllegalArgumentException(
                        "The class file of %s, which has a function, is not to be found: its class loader must serve %s."
                                .formatted(type.getName(), resource));
            }
            model = ClassFile.of().parse(stream.readAllBytes());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static SourceClass of(Class<?> type) {
        return KNOWN.get(type);
    }

    Optional<MethodModel> method(String name, String descriptor) {
        return model.methods().stream()
                .filter(method -> method.methodName().equalsString(name)
                        && method.methodType().equalsString(descriptor))
                .findFirst();
    }

    /** The first line of what it declares, 0 if the class file tells none. */
    int line() {
        return model.methods().stream()
                .filter(method -> !method.methodName().equalsString("<init>"))
                .flatMap(method -> method.code().stream())
                .flatMap(code -> code.elementList().stream())
                .filter(LineNumber.class::isInstance)
                .mapToInt(element -> ((LineNumber) element).line())
                .min()
                .orElse(0);
    }

    /** The name of the source file, such as {@code Main.java}. */
    String file() {
        return model.findAttribute(Attributes.sourceFile())
                .map(attribute -> attribute.sourceFile().stringValue())
                .orElse(type.getSimpleName());
    }

    Class<?> type() {
        return type;
    }
}
