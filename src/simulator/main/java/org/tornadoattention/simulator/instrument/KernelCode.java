package org.tornadoattention.simulator.instrument;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.CodeElement;
import java.lang.classfile.CodeModel;
import java.lang.classfile.MethodModel;
import java.lang.classfile.Opcode;
import java.lang.classfile.instruction.FieldInstruction;
import java.lang.classfile.instruction.InvokeDynamicInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.NewObjectInstruction;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDesc;
import java.lang.constant.DirectMethodHandleDesc;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The classes that a kernel needs copies of: its own, and those of the methods that it calls. Of each class only the
 * methods that the kernel can reach are copied, unless the kernel makes objects of it.
 */
final class KernelCode {

    private static final String[] SHARED = {
        "java.",
        "javax.",
        "jdk.",
        "sun.",
        "uk.ac.manchester.tornado.api.",
        "org.tornadoattention.simulator.engine.",
        IntrinsicCalls.PACKAGE
    };

    private final ClassLoader loader;
    private final Map<String, Part> parts = new LinkedHashMap<>();
    private final Deque<Member> pending = new ArrayDeque<>();
    /** By method, once somebody has asked for it; empty where it is not what javac makes of Java. */
    private final Map<MethodModel, Optional<MethodAnalysis>> analyses = new ConcurrentHashMap<>();

    private KernelCode(ClassLoader loader) {
        this.loader = loader;
    }

    /** Returns the code that starts at a method, or null if there is no class file of its class. */
    static KernelCode of(Class<?> owner, String method, String descriptor) {
        KernelCode code = new KernelCode(owner.getClassLoader());
        if (code.part(owner.getName()) == null) {
            return null;
        }
        code.reach(owner.getName(), method, descriptor);
        while (!code.pending.isEmpty()) {
            Member member = code.pending.remove();
            code.scan(member);
        }
        return code;
    }

    Map<String, Part> parts() {
        return parts;
    }

    /** Returns what a method's code does, or nothing where it has none, or one that is not what javac makes of Java. */
    Optional<MethodAnalysis> analysis(MethodModel method) {
        return analyses.computeIfAbsent(method, KernelCode::analyze);
    }

    private static Optional<MethodAnalysis> analyze(MethodModel method) {
        try {
            return method.code().map(code -> new MethodAnalysis(method, code));
        } catch (UnsupportedOperationException _) {
            return Optional.empty();
        }
    }

    private void scan(Member member) {
        Part part = part(member.owner);
        for (MethodModel method : part.model.methods()) {
            boolean wanted = part.whole || member.is(method);
            if (wanted && part.scanned.add(key(method))) {
                method.code().ifPresent(this::scan);
            }
        }
    }

    private void scan(CodeModel code) {
        for (CodeElement element : code) {
            switch (element) {
                case InvokeInstruction invoke
                when invoke.opcode() == Opcode.INVOKESTATIC ->
                    reach(
                            name(invoke.owner().asSymbol()),
                            invoke.name().stringValue(),
                            invoke.type().stringValue());
                case InvokeInstruction invoke -> reachWhole(name(invoke.owner().asSymbol()));
                case FieldInstruction field -> reachStatics(name(field.owner().asSymbol()));
                case NewObjectInstruction creation ->
                    reachWhole(name(creation.className().asSymbol()));
                case InvokeDynamicInstruction dynamic -> dynamic.bootstrapArgs().forEach(this::reachHandle);
                default -> {
                    // refers to no other method
                }
            }
        }
    }

    private void reachHandle(ConstantDesc argument) {
        if (argument instanceof DirectMethodHandleDesc handle) {
            reach(name(handle.owner()), handle.methodName(), handle.lookupDescriptor());
        }
    }

    private void reach(String owner, String method, String descriptor) {
        Part part = part(owner);
        if (part != null && part.methods.add(method + descriptor)) {
            pending.add(new Member(owner, method, descriptor));
        }
    }

    private void reachStatics(String owner) {
        Part part = part(owner);
        if (part != null) {
            reach(owner, "<clinit>", "()V");
        }
    }

    private void reachWhole(String owner) {
        Part part = part(owner);
        if (part != null && !part.whole) {
            part.whole = true;
            part.model.superclass().ifPresent(superclass -> reachWhole(name(superclass.asSymbol())));
            pending.add(new Member(owner, "", ""));
        }
    }

    /** Returns the part of the code that is in a class, or null for classes that are shared with the program. */
    private Part part(String className) {
        for (String prefix : SHARED) {
            if (className.startsWith(prefix)) {
                return null;
            }
        }
        Part part = parts.get(className);
        if (part == null) {
            byte[] bytes = read(className);
            if (bytes == null) {
                return null;
            }
            part = new Part(ClassFile.of().parse(bytes));
            parts.put(className, part);
        }
        return part;
    }

    private byte[] read(String className) {
        String resource = className.replace('.', '/') + ".class";
        try (InputStream stream = loader == null
                ? ClassLoader.getSystemResourceAsStream(resource)
                : loader.getResourceAsStream(resource)) {
            return stream == null ? null : stream.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static String name(ClassDesc type) {
        String descriptor = type.descriptorString();
        return type.isClassOrInterface()
                ? descriptor.substring(1, descriptor.length() - 1).replace('/', '.')
                : "java.";
    }

    static String key(MethodModel method) {
        return method.methodName().stringValue() + method.methodType().stringValue();
    }

    private record Member(String owner, String name, String descriptor) {

        boolean is(MethodModel method) {
            return key(method).equals(name + descriptor);
        }
    }

    /** What is needed of one class. */
    static final class Part {

        private final ClassModel model;
        private final Set<String> methods = new HashSet<>();
        private final Set<String> scanned = new HashSet<>();
        private boolean whole;

        Part(ClassModel model) {
            this.model = model;
        }

        ClassModel model() {
            return model;
        }

        boolean isWhole() {
            return whole;
        }

        boolean needs(MethodModel method) {
            return whole || methods.contains(key(method));
        }
    }
}
