package org.tornadoattention.forge;

import static java.util.stream.Collectors.joining;
import static java.util.stream.Collectors.toMap;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.lang.classfile.Attributes;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.CodeElement;
import java.lang.classfile.CodeModel;
import java.lang.classfile.MethodModel;
import java.lang.classfile.attribute.LocalVariableInfo;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LineNumber;
import java.lang.classfile.instruction.StoreInstruction;
import java.lang.management.ManagementFactory;
import java.lang.reflect.Parameter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.function.FunctionForm;
import org.tornadoattention.kernel.AppendTokens;
import org.tornadoattention.kernel.BackwardRowTerms;
import org.tornadoattention.kernel.Element;
import org.tornadoattention.kernel.IfGiven;
import org.tornadoattention.kernel.MergePartials;
import org.tornadoattention.kernel.SplitKeyAttention;
import org.tornadoattention.kernel.TiledFlashAttention;
import org.tornadoattention.kernel.TiledKeyValueGradients;
import org.tornadoattention.kernel.TiledQueryGradient;
import org.tornadoattention.kernel.WarpFlashAttention;
import org.tornadoattention.kernel.WarpGroupFlashAttention;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/** The forms that the library's kernels have for 16-bit tensors: what a debugger needs of them, and what they cost. */
class FormOfKernelTest {

    private static final int ROUNDS = 30;

    static Stream<Kernel> kernels() {
        return Stream.of(
                        TiledFlashAttention.class,
                        TiledQueryGradient.class,
                        TiledKeyValueGradients.class,
                        BackwardRowTerms.class,
                        SplitKeyAttention.class,
                        AppendTokens.class,
                        MergePartials.class,
                        WarpFlashAttention.class,
                        WarpGroupFlashAttention.class)
                .map(Kernel::of);
    }

    /** Raw bits in each parameter that takes them. */
    /** With 16-bit floats as raw bits, and without the arrays that no form has together. */
    private static Form form(Kernel kernel) {
        Map<String, Class<?>> arrays = kernel.parameters().stream()
                .filter(parameter ->
                        parameter.isAnnotationPresent(Element.class) || parameter.isAnnotationPresent(IfGiven.class))
                .collect(toMap(
                        Parameter::getName,
                        parameter -> parameter.isAnnotationPresent(Element.class) ? ShortArray.class : Form.NONE));
        return new Form(kernel, arrays, Map.of(), Map.of(), FunctionForm.NONE);
    }

    private static ClassModel read(Class<?> owner, ClassLoader loader) throws IOException {
        String name = owner.getName().replace('.', '/') + ".class";
        try (InputStream bytes = Objects.requireNonNull(loader.getResourceAsStream(name), name)) {
            return ClassFile.of().parse(bytes.readAllBytes());
        }
    }

    private static MethodModel method(ClassModel owner, String name) {
        List<MethodModel> methods = owner.methods().stream()
                .filter(method -> method.methodName().equalsString(name))
                .toList();
        assertThat(methods).hasSize(1);
        return methods.getFirst();
    }

    private static Set<Integer> lines(MethodModel method) {
        return method.code()
                .orElseThrow()
                .elementStream()
                .filter(LineNumber.class::isInstance)
                .map(element -> ((LineNumber) element).line())
                .collect(Collectors.toCollection(TreeSet::new));
    }

    /** The names of parameters, and of the variables that begin on these lines. */
    private static Set<String> variables(MethodModel method, Set<Integer> lines) {
        CodeModel code = method.code().orElseThrow();
        NavigableMap<Integer, Integer> lineAt = new TreeMap<>();
        code.findAttribute(Attributes.lineNumberTable())
                .orElseThrow()
                .lineNumbers()
                .forEach(number -> lineAt.put(number.startPc(), number.lineNumber()));
        return code.findAttribute(Attributes.localVariableTable()).orElseThrow().localVariables().stream()
                .filter(variable -> variable.startPc() <= lineAt.firstKey()
                        || lines.contains(lineAt.lowerEntry(variable.startPc()).getValue()))
                .map(LocalVariableInfo::name)
                .map(Object::toString)
                .collect(Collectors.toCollection(TreeSet::new));
    }

    /** The names of variables that hold register tiles, whose elements are variables without names. */
    private static Set<String> registerTiles(MethodModel method) {
        Set<Integer> slots = new TreeSet<>();
        boolean made = false;
        for (CodeElement element : method.code().orElseThrow()) {
            if (made && element instanceof StoreInstruction store) {
                slots.add(store.slot());
            }
            made = element instanceof InvokeInstruction call && ClassCopies.makesRegisterTile(call);
        }
        return method
                .code()
                .orElseThrow()
                .findAttribute(Attributes.localVariableTable())
                .orElseThrow()
                .localVariables()
                .stream()
                .filter(variable -> slots.contains(variable.slot()))
                .map(variable -> variable.name().stringValue())
                .collect(Collectors.toSet());
    }

    /** A breakpoint in the kernel's file holds in the form, and each variable can be looked at by its name. */
    @ParameterizedTest
    @MethodSource("kernels")
    void aFormHasTheFileTheLinesAndTheVariablesOfTheText(Kernel kernel) throws IOException {
        Class<?> owner = kernel.method().getDeclaringClass();
        ForgedKernel form = KernelForge.make(form(kernel));
        ClassModel text = read(owner, owner.getClassLoader());
        ClassModel copy = read(owner, form.loader());
        assertThat(copy.findAttribute(Attributes.sourceFile())
                        .orElseThrow()
                        .sourceFile()
                        .stringValue())
                .isEqualTo(owner.getSimpleName() + ".java");
        MethodModel ofText = method(text, kernel.method().getName());
        MethodModel ofForm = method(copy, kernel.method().getName());
        assertThat(ofForm.methodType().stringValue())
                .contains("ShortArray")
                .isNotEqualTo(ofText.methodType().stringValue());
        Set<Integer> linesOfFile = text.methods().stream()
                .flatMap(method -> lines(method).stream())
                .collect(Collectors.toSet());
        assertThat(lines(ofForm)).hasSizeGreaterThan(5).isSubsetOf(linesOfFile);
        Set<String> variables = variables(ofText, lines(ofForm));
        variables.removeAll(registerTiles(ofText));
        assertThat(variables(ofForm, lines(ofForm))).containsAll(variables);
    }

    /** Of this thread, so that what else the machine does counts little. */
    private static long cpuNanos() {
        return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    }

    /** What it costs is printed: the first form of all, with what the JVM loads for it, and the usual one. */
    @Test
    void aFormIsMadeOfTheSameBytesEachTime() throws IOException {
        long start = cpuNanos();
        KernelForge.make(form(Kernel.of(TiledFlashAttention.class)));
        double first = (cpuNanos() - start) / 1e6;
        List<String> costs = new ArrayList<>();
        for (Kernel kernel : kernels().toList()) {
            Class<?> owner = kernel.method().getDeclaringClass();
            double[] times = new double[ROUNDS];
            byte[] bytes = null;
            for (int round = 0; round < ROUNDS; round++) {
                start = cpuNanos();
                ForgedKernel form = KernelForge.make(form(kernel));
                times[round] = (cpuNanos() - start) / 1e6;
                try (InputStream copy = Objects.requireNonNull(
                        form.loader().getResourceAsStream(owner.getName().replace('.', '/') + ".class"))) {
                    byte[] made = copy.readAllBytes();
                    assertThat(bytes == null || Arrays.equals(made, bytes)).isTrue();
                    bytes = made;
                }
            }
            Arrays.sort(times);
            costs.add("%s %.1f".formatted(owner.getSimpleName(), times[ROUNDS / 2]));
        }
        System.out.printf(
                "A form in ms of a processor: the first of this JVM %.1f; the median of %d: %s%n",
                first, ROUNDS, costs.stream().collect(joining(", ")));
    }
}
