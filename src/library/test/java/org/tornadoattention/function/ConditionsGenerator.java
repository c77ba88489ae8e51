package org.tornadoattention.function;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.tornadoattention.Mask;
import org.tornadoattention.MaskFunction;
import org.tornadoattention.ScoreFunction;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Random functions of nested conditions, as texts and compiled by javac; each never fails, whatever it is asked. */
final class ConditionsGenerator {

    private static final String NAME = "GeneratedConditions";
    private static final int IDS = 30;
    private static final int FEW = 7;

    private final SplittableRandom random;
    private final List<String> masks = new ArrayList<>();
    private final List<String> scores = new ArrayList<>();
    private MaskFunction[] maskFunctions = {};
    private ScoreFunction[] scoreFunctions = {};

    private ConditionsGenerator(SplittableRandom random) {
        this.random = random;
    }

    static ConditionsGenerator compile(long seed, int count) throws ReflectiveOperationException {
        ConditionsGenerator generator = new ConditionsGenerator(new SplittableRandom(seed));
        for (int n = 0; n < count; n++) {
            generator.masks.add("(b, h, i, j) -> " + generator.body(generator::condition));
            generator.scores.add("(s, b, h, i, j) -> " + generator.body(generator::real));
        }
        generator.compile();
        return generator;
    }

    Mask mask(int number) {
        return Mask.of(maskFunctions[number]);
    }

    ScoreFunction score(int number) {
        return scoreFunctions[number];
    }

    String textOfMask(int number) {
        return masks.get(number);
    }

    String textOfScore(int number) {
        return scores.get(number);
    }

    @FunctionalInterface
    private interface Expression {
        String of(int depth);
    }

    /** The body of a lambda: an expression, or statements that return at several places. */
    private String body(Expression result) {
        return switch (random.nextInt(5)) {
            case 0 ->
                "{ int x = %s; if (%s) { x = %s; } else if (%s) { x += 3; } return x > %s ? %s : %s; }"
                        .formatted(
                                number(2),
                                condition(2),
                                number(2),
                                condition(1),
                                number(1),
                                result.of(2),
                                result.of(2));
            case 1 ->
                "{ if (%s) { return %s; } if (%s) { if (%s) { return %s; } } return %s; }"
                        .formatted(condition(2), result.of(1), condition(1), condition(1), result.of(1), result.of(2));
            case 2 ->
                "{ int n = 0; for (int k = 0; k < 4; k++) { if (%s && k < 3 || %s) { n += k; } } return n > 2 ? %s : %s; }"
                        .formatted(condition(1), condition(1), result.of(1), result.of(1));
            default -> result.of(3);
        };
    }

    private String condition(int depth) {
        int kinds = depth == 0 ? 3 : 14;
        return switch (random.nextInt(kinds)) {
            case 0 -> "%s %s %s".formatted(number(0), comparison(), number(depth));
            case 1 -> "%s * 0.5f %s %s".formatted(number(0), comparison(), number(0));
            case 2 -> "(long) %s * 7 %s %s".formatted(number(0), comparison(), number(0));
            case 3, 4, 5 -> "(%s && %s)".formatted(condition(depth - 1), condition(depth - 1));
            case 6, 7 -> "(%s || %s)".formatted(condition(depth - 1), condition(depth - 1));
            case 8 -> "!(%s || %s)".formatted(condition(depth - 1), condition(depth - 1));
            case 9 -> "(%s ? %s : %s)".formatted(condition(depth - 1), condition(depth - 1), condition(depth - 1));
            case 10 ->
                "((%s) %s (%s))"
                        .formatted(
                                condition(depth - 1),
                                List.of("&", "|", "^").get(random.nextInt(3)),
                                condition(depth - 1));
            case 11 -> {
                String divisor = number(1);
                yield "(%s != 0 && %s / (%s) == %s)".formatted(divisor, number(0), divisor, number(0));
            }
            case 12 -> {
                String index = number(1);
                yield "(%s >= 0 && %s < few.getSize() && few.get(%s) %s %s)"
                        .formatted(index, index, index, comparison(), number(0));
            }
            default -> "(j < few.getSize() && %s && isNear(few, %s, j))".formatted(condition(depth - 1), number(0));
        };
    }

    private String comparison() {
        return List.of("<", "<=", ">", ">=", "==", "!=").get(random.nextInt(6));
    }

    private String number(int depth) {
        return switch (random.nextInt(depth == 0 ? 6 : 10)) {
            case 0, 1 -> "i";
            case 2, 3 -> "j";
            case 4 -> List.of("b", "h", "three", "zero").get(random.nextInt(4));
            case 5 -> Integer.toString(random.nextInt(9));
            case 6 -> "(i - %s)".formatted(number(depth - 1));
            case 7 -> "ids.get(%s)".formatted(random.nextBoolean() ? "i" : "j");
            case 8 -> "Math.abs(%s - %s)".formatted(number(depth - 1), number(depth - 1));
            default -> "(%s ? %s : %s)".formatted(condition(depth - 1), number(depth - 1), number(depth - 1));
        };
    }

    private String real(int depth) {
        return switch (random.nextInt(depth == 0 ? 3 : 6)) {
            case 0 -> "s";
            case 1 -> "(s * %s)".formatted(number(0));
            case 2 -> "(float) %s".formatted(number(depth));
            case 3 -> "Math.max(%s, %s)".formatted(real(depth - 1), real(depth - 1));
            default -> "(%s ? %s : %s)".formatted(condition(depth - 1), real(depth - 1), real(depth - 1));
        };
    }

    private String source() {
        return """
                import org.tornadoattention.*;
                import uk.ac.manchester.tornado.api.types.arrays.IntArray;
                public final class %s {
                    private static boolean isNear(IntArray few, int i, int j) {
                        return few.get(j) > 2 && (i - j < 3 || few.get(j) == i);
                    }
                    public static MaskFunction[] masks(IntArray ids, IntArray few, int three, int zero) {
                        return new MaskFunction[] {
                %s
                        };
                    }
                    public static ScoreFunction[] scores(IntArray ids, IntArray few, int three, int zero) {
                        return new ScoreFunction[] {
                %s
                        };
                    }
                }
                """.formatted(NAME, String.join(",\n", masks), String.join(",\n", scores));
    }

    private void compile() throws ReflectiveOperationException {
        Map<String, ByteArrayOutputStream> classes = new HashMap<>();
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        StandardJavaFileManager standard = compiler.getStandardFileManager(null, null, null);
        JavaFileManager files = new ForwardingJavaFileManager<>(standard) {
            @Override
            public JavaFileObject getJavaFileForOutput(
                    Location location, String name, JavaFileObject.Kind kind, FileObject sibling) {
                return new SimpleJavaFileObject(URI.create("memory:///" + name + ".class"), kind) {
                    @Override
                    public OutputStream openOutputStream() {
                        return classes.computeIfAbsent(name, _ -> new ByteArrayOutputStream());
                    }
                };
            }
        };
        String source = source();
        JavaFileObject file =
                new SimpleJavaFileObject(URI.create("memory:///" + NAME + ".java"), JavaFileObject.Kind.SOURCE) {
                    @Override
                    public CharSequence getCharContent(boolean ignoreEncodingErrors) {
                        return source;
                    }
                };
        String path = System.getProperty("java.class.path")
                + System.getProperty("path.separator")
                + System.getProperty("jdk.module.path", "");
        if (!compiler.getTask(null, files, null, List.of("-cp", path, "-proc:none"), null, List.of(file))
                .call()) {
            throw new IllegalStateException(source);
        }
        ClassLoader loader = new ClassLoader(getClass().getClassLoader()) {
            @Override
            protected Class<?> findClass(String name) throws ClassNotFoundException {
                if (!classes.containsKey(name)) {
                    throw new ClassNotFoundException(name);
                }
                byte[] bytes = classes.get(name).toByteArray();
                return defineClass(name, bytes, 0, bytes.length);
            }

            @Override
            public InputStream getResourceAsStream(String name) {
                ByteArrayOutputStream bytes = classes.get(name.replace(".class", ""));
                return bytes == null ? super.getResourceAsStream(name) : new ByteArrayInputStream(bytes.toByteArray());
            }
        };
        IntArray ids = new IntArray(IDS);
        for (int i = 0; i < IDS; i++) {
            ids.set(i, i * 5 % 7);
        }
        IntArray few = new IntArray(FEW);
        for (int i = 0; i < FEW; i++) {
            few.set(i, i * 3 % 5);
        }
        Class<?> made = loader.loadClass(NAME);
        Class<?>[] types = {IntArray.class, IntArray.class, int.class, int.class};
        maskFunctions = (MaskFunction[]) made.getMethod("masks", types).invoke(null, ids, few, 3, 0);
        scoreFunctions = (ScoreFunction[]) made.getMethod("scores", types).invoke(null, ids, few, 3, 0);
    }
}
