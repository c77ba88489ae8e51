package org.tornadoattention.architecture;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tornadoattention.device.Platform;

/**
 * What the simulator declares of TornadoVM's API is what TornadoVM declares: every public and protected class, method,
 * constructor and constant, with its types, modifiers and exceptions. The simulator may leave things out; it may not
 * have anything of its own, since a kernel that uses it would not link against TornadoVM.
 */
class ApiDriftTest {

    private static final Path SIMULATOR_SOURCES = Path.of("src/simulator/main/java");
    private static final String API = "uk.ac.manchester.tornado.api";

    @TempDir
    Path directory;

    @Test
    void theSimulatorDeclaresWhatTornadoVmDeclares() throws IOException {
        assumeFalse(
                Platform.current().simulator(),
                "There is no TornadoVM here to compare the simulator with: set TORNADOVM_HOME to an SDK");
        compileSimulator();
        List<String> drifts = new ArrayList<>();
        int compared = 0;
        // The platform's class loader knows TornadoVM's module, so the simulator's classes need a loader without it.
        ClassLoader justJava = null;
        try (URLClassLoader simulator =
                new URLClassLoader(new URL[] {directory.toUri().toURL()}, justJava)) {
            for (String name : apiClasses()) {
                Class<?> declared = load(name, simulator);
                assertThat(declared.getClassLoader()).isSameAs(simulator);
                if (isVisible(declared.getModifiers())) {
                    compared++;
                    drifts.addAll(drifts(declared, load(name, getClass().getClassLoader())));
                }
            }
        }
        assertThat(drifts).isEmpty();
        assertThat(compared).isGreaterThan(50);
    }

    private void compileSimulator() throws IOException {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null);
                Stream<Path> simulator = Files.walk(SIMULATOR_SOURCES)) {
            List<Path> java =
                    simulator.filter(file -> file.toString().endsWith(".java")).toList();
            // Nothing of the SDK may be seen, or the simulator's classes would be compiled against it.
            List<String> options = List.of(
                    "-proc:none", "-nowarn", "-parameters", "-cp", directory.toString(), "-d", directory.toString());
            assertThat(compiler.getTask(null, files, null, options, null, files.getJavaFileObjectsFromPaths(java))
                            .call())
                    .as("the simulator compiles with nothing else")
                    .isTrue();
        }
    }

    private List<String> apiClasses() throws IOException {
        Path root = directory.resolve(API.replace('.', '/'));
        try (Stream<Path> files = Files.walk(root)) {
            return files.map(file -> directory.relativize(file).toString())
                    .filter(file -> file.endsWith(".class"))
                    .map(file -> file.substring(0, file.length() - ".class".length())
                            .replace('/', '.')
                            .replace('\\', '.'))
                    .sorted()
                    .toList();
        }
    }

    /** The class, or null if there is none. */
    private static Class<?> load(String name, ClassLoader loader) {
        try {
            return Class.forName(name, false, loader);
        } catch (ClassNotFoundException e) {
            return null;
        }
    }

    private static List<String> drifts(Class<?> simulated, Class<?> real) {
        if (real == null || !isVisible(real.getModifiers())) {
            return List.of(simulated.getName() + ": TornadoVM has no such class");
        }
        Set<String> extra = new TreeSet<>(members(simulated));
        extra.removeAll(members(real));
        return extra.stream()
                .map(member -> "%s: %s; TornadoVM has %s"
                        .formatted(simulated.getName(), member, similar(member, members(real))))
                .toList();
    }

    private static List<String> similar(String member, Set<String> real) {
        Predicate<String> sameName = other -> nameOf(other).equals(nameOf(member));
        return real.stream().filter(sameName).toList();
    }

    private static String nameOf(String member) {
        String beforeParameters = member.replaceFirst("[(=].*", "").strip();
        return beforeParameters.substring(beforeParameters.lastIndexOf(' ') + 1);
    }

    /** All that a user of a class can name, each as a line; of what it inherits only methods. */
    private static Set<String> members(Class<?> type) {
        Set<String> members = new TreeSet<>();
        members.add(kind(type) + " class" + typeParameters(type.getTypeParameters()));
        if (type.getGenericSuperclass() != null) {
            members.add("extends " + type.getGenericSuperclass().getTypeName());
        }
        for (Type parent : type.getGenericInterfaces()) {
            members.add("implements " + parent.getTypeName());
        }
        for (Constructor<?> constructor : type.getDeclaredConstructors()) {
            if (isVisible(constructor.getModifiers()) && !constructor.isSynthetic()) {
                members.add(line(constructor, "", "new"));
            }
        }
        for (Field field : type.getDeclaredFields()) {
            if (isVisible(field.getModifiers()) && !field.isSynthetic()) {
                members.add("%s %s %s%s"
                        .formatted(
                                modifiers(field.getModifiers()),
                                field.getGenericType().getTypeName(),
                                field.getName(),
                                constant(field)));
            }
        }
        Stream.concat(Arrays.stream(type.getMethods()), Arrays.stream(type.getDeclaredMethods()))
                .filter(method -> isVisible(method.getModifiers()) && !method.isSynthetic())
                .filter(method -> method.getDeclaringClass().getName().startsWith(API))
                .forEach(method ->
                        members.add(line(method, method.getGenericReturnType().getTypeName(), method.getName())));
        return members;
    }

    private static String kind(Class<?> type) {
        return Stream.of(
                        modifiers(type.getModifiers() & ~Modifier.FINAL),
                        type.isInterface() ? "interface" : "",
                        type.isEnum() ? "enum" : "",
                        type.isRecord() ? "record" : "")
                .filter(word -> !word.isEmpty())
                .collect(Collectors.joining(" "));
    }

    private static String line(Executable executable, String result, String name) {
        return "%s%s %s %s(%s)%s"
                .formatted(
                        modifiers(executable.getModifiers() & ~Modifier.FINAL & ~Modifier.ABSTRACT),
                        typeParameters(executable.getTypeParameters()),
                        result,
                        name,
                        names(executable.getGenericParameterTypes()) + (executable.isVarArgs() ? "..." : ""),
                        executable.getExceptionTypes().length == 0
                                ? ""
                                : " throws " + names(executable.getGenericExceptionTypes()));
    }

    /** The value of a constant that javac copies into its users. */
    private static String constant(Field field) {
        boolean copied = Modifier.isStatic(field.getModifiers())
                && Modifier.isFinal(field.getModifiers())
                && (field.getType().isPrimitive() || field.getType() == String.class);
        try {
            return copied && field.trySetAccessible() ? " = " + field.get(null) : "";
        } catch (IllegalAccessException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String typeParameters(TypeVariable<?>... variables) {
        return variables.length == 0
                ? ""
                : Arrays.stream(variables)
                        .map(variable -> variable + " extends " + names(variable.getBounds()))
                        .collect(Collectors.joining(", ", " <", ">"));
    }

    private static String names(Type... types) {
        return Arrays.stream(types).map(Type::getTypeName).collect(Collectors.joining(", "));
    }

    private static String modifiers(int modifiers) {
        int seen = Modifier.PUBLIC | Modifier.PROTECTED | Modifier.STATIC | Modifier.FINAL | Modifier.ABSTRACT;
        return Modifier.toString(modifiers & seen);
    }

    private static boolean isVisible(int modifiers) {
        return Modifier.isPublic(modifiers) || Modifier.isProtected(modifiers);
    }
}
