package org.tornadoattention.forge;

import java.lang.classfile.Attributes;
import java.lang.classfile.ClassBuilder;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassHierarchyResolver;
import java.lang.classfile.CodeElement;
import java.lang.classfile.CodeModel;
import java.lang.classfile.FieldModel;
import java.lang.classfile.Instruction;
import java.lang.classfile.MethodModel;
import java.lang.classfile.Opcode;
import java.lang.classfile.attribute.SourceFileAttribute;
import java.lang.classfile.instruction.ConstantInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.ReturnInstruction;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Parameter;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.Phase;
import org.tornadoattention.kernel.parts.RegisterTile;

/**
 * The classes that one form of a kernel consists of: the kernel's own and those of the static methods that it calls,
 * each with the methods that are reached and no others.
 *
 * <p>A method that gets an array of another type than its text says becomes its overload for that type, or, where there
 * is none, a copy of its text with that type. A {@link Phase} is written out where it is called.
 */
final class ClassCopies {

    /** A static method of the copies that gives a {@link MethodHandles.Lookup} of the kernel's copy. */
    static final String LOOKUP = "lookup";

    private static final ClassDesc FUNCTIONS = describe(Functions.class);
    private static final ClassDesc PHASE = describe(Phase.class);
    private static final ClassDesc REGISTER_TILE = describe(RegisterTile.class);

    private static final MethodTypeDesc LOOKUP_TYPE = MethodTypeDesc.of(ConstantDescs.CD_MethodHandles_Lookup);
    /** Methods of {@link Functions}, which have the captured arrays as parameters where there are functions. */
    private static final Set<String> ASKING = Set.of(
            "score",
            "ofSeen",
            "ofSeenWith",
            "ofBiased",
            "areEights",
            "elementOfBias",
            "loadEight",
            "copyEight",
            "slope",
            "slopeOfSeen",
            "weight",
            "stateOfTile",
            "nextKey",
            "nextQuery");

    private static final int STATIC = ClassFile.ACC_PUBLIC | ClassFile.ACC_STATIC;

    private final Form form;
    private final ClassText.Library library;
    private final ClassDesc owner;
    private final Map<ClassDesc, Map<String, MethodCopy>> methods = new LinkedHashMap<>();
    private final Map<ClassDesc, Boolean> statics = new HashMap<>();
    private final Deque<MethodCopy> pending = new ArrayDeque<>();
    private final List<ClassDesc> arrays;
    private final Map<String, Boolean> asking = new HashMap<>();
    private final Optional<ClassText> functions;
    private boolean addsContext;

    ClassCopies(Form form, ClassText.Library library) {
        this.form = form;
        this.library = library;
        this.owner = describe(form.kernel().method().getDeclaringClass());
        this.arrays =
                form.functions().arrays().stream().map(ClassCopies::describe).toList();
        this.functions = form.functions().isEmpty()
                ? Optional.empty()
                : Optional.of(ClassText.of(form.functions().classFile()));
    }

    /** Returns the bytes of each class by its name. */
    Map<String, byte[]> make() {
        add(owner, kernel());
        while (!pending.isEmpty()) {
            pending.remove().translate();
        }
        Map<String, byte[]> classes = new HashMap<>();
        methods.forEach((type, copies) -> classes.put(ClassText.name(type), write(type, copies.values())));
        return classes;
    }

    /** Whether the kernel's copy has a context as its first parameter that the text has not. */
    boolean addsContext() {
        return addsContext;
    }

    private MethodCopy kernel() {
        Parameter[] parameters = form.kernel().method().getParameters();
        List<ClassDesc> types = new ArrayList<>();
        List<ClassDesc> actual = new ArrayList<>();
        Map<Integer, @Nullable Number> constants = new HashMap<>();
        for (int i = 0; i < parameters.length; i++) {
            ClassDesc type = describe(parameters[i].getType());
            Class<?> array = form.arrays().get(parameters[i].getName());
            types.add(type);
            boolean kept = form.keeps(parameters[i].getName());
            actual.add(array == null || !kept ? type : describe(array));
            if (!kept) {
                constants.put(i, form.constants().get(parameters[i].getName()));
            }
        }
        String name = form.kernel().method().getName();
        MethodModel text = get(owner)
                .method(name, MethodTypeDesc.of(ConstantDescs.CD_void, types).descriptorString())
                .orElseThrow(() -> new IllegalStateException("The class file of " + form.kernel() + " lacks it"));
        List<CodeElement> elements = text.code().orElseThrow().elementList();
        Optional<ParallelLoop> loop = ParallelLoop.of(text, elements);
        addsContext = loop.isPresent();
        return new MethodCopy(
                this,
                owner,
                text,
                elements,
                new Parameters(
                        text,
                        actual,
                        constants,
                        addsContext ? List.of(ParallelLoop.CONTEXT) : List.of(),
                        arrays,
                        Packing.of(form, addsContext)),
                loop);
    }

    /** A static method as the copies call it. */
    record Target(ClassDesc owner, MethodTypeDesc type) {}

    /** Returns what a call of a static method becomes when its arguments have these types. */
    Target target(ClassDesc caller, ClassDesc type, String name, MethodTypeDesc declared, List<ClassDesc> actual) {
        MethodTypeDesc wanted = MethodTypeDesc.of(declared.returnType(), actual);
        ClassDesc called = replacement(type, name, wanted);
        if (ClassText.isShared(called)) {
            if (!wanted.equals(declared)) {
                requireMethod(called, name, wanted, type, declared);
            }
            return new Target(called, wanted);
        }
        List<ClassDesc> further = !caller.equals(FUNCTIONS) && asks(called, name) ? arrays : List.of();
        MethodTypeDesc extended = wanted.insertParameterTypes(actual.size(), further.toArray(ClassDesc[]::new));
        if (!methods.getOrDefault(called, Map.of()).containsKey(name + extended.descriptorString())) {
            // The class that stands in for Functions has the arrays in its text already.
            boolean made = called.equals(FUNCTIONS) && !further.isEmpty();
            MethodModel text = made ? text(called, name, extended, extended) : text(called, name, declared, wanted);
            add(
                    called,
                    new MethodCopy(
                            this,
                            called,
                            text,
                            made
                                    ? Parameters.of(text, extended.parameterList(), List.of())
                                    : Parameters.of(text, actual, further)));
        }
        return new Target(called, extended);
    }

    /** A phase of a kernel as a call reaches it. */
    record PhaseText(ClassDesc owner, MethodModel text) {}

    /** Returns the phase that a call of a static method reaches, or null where it reaches another method. */
    @Nullable
    PhaseText phase(ClassDesc type, String name, MethodTypeDesc declared, List<ClassDesc> actual) {
        MethodTypeDesc wanted = MethodTypeDesc.of(declared.returnType(), actual);
        ClassDesc called = replacement(type, name, wanted);
        if (ClassText.isShared(called) || called.equals(FUNCTIONS)) {
            return null;
        }
        MethodModel text = text(called, name, declared, wanted);
        return isPhase(text) ? new PhaseText(called, text) : null;
    }

    /** Whether the kernel has phases or register tiles: then its text is none of its forms. */
    boolean hasPhases() {
        String name = form.kernel().method().getName();
        return get(owner).model().methods().stream()
                .filter(method -> method.methodName().equalsString(name))
                .flatMap(method -> method.code().stream())
                .flatMap(CodeModel::elementStream)
                .anyMatch(element -> element instanceof InvokeInstruction call
                        && call.opcode() == Opcode.INVOKESTATIC
                        && (makesRegisterTile(call)
                                || phase(
                                                call.owner().asSymbol(),
                                                call.name().stringValue(),
                                                call.typeSymbol(),
                                                call.typeSymbol().parameterList())
                                        != null));
    }

    /** Whether a call is {@link RegisterTile#zeros}. */
    static boolean makesRegisterTile(InvokeInstruction call) {
        return call.owner().asSymbol().equals(REGISTER_TILE) && call.name().equalsString("zeros");
    }

    private static boolean isPhase(MethodModel method) {
        return method.findAttribute(Attributes.runtimeInvisibleAnnotations()).stream()
                .flatMap(annotations -> annotations.annotations().stream())
                .anyMatch(annotation -> annotation.classSymbol().equals(PHASE));
    }

    /** The arrays that functions captured. */
    List<ClassDesc> arrays() {
        return arrays;
    }

    /** Whether a method asks functions, itself or by way of others, so that it has their arrays as parameters. */
    boolean asks(ClassDesc type, String name) {
        if (functions.isEmpty() || ClassText.isShared(type)) {
            return false;
        }
        if (type.equals(FUNCTIONS)) {
            return ASKING.contains(name);
        }
        String key = ClassText.name(type) + "." + name;
        Boolean known = asking.putIfAbsent(key, false);
        if (known == null) {
            known = get(type).model().methods().stream()
                    .filter(method -> method.methodName().equalsString(name))
                    .flatMap(method -> method.code().stream())
                    .flatMap(CodeModel::elementStream)
                    .anyMatch(element -> element instanceof InvokeInstruction call
                            && call.opcode() == Opcode.INVOKESTATIC
                            && asks(call.owner().asSymbol(), call.name().stringValue()));
            asking.put(key, known);
        }
        return known;
    }

    private ClassText get(ClassDesc type) {
        return type.equals(FUNCTIONS) ? functions.orElseGet(() -> library.get(type)) : library.get(type);
    }

    /** What a method without parameters is to give in this form, or null. */
    @Nullable
    Integer answer(ClassDesc type, String name, MethodTypeDesc declared) {
        return declared.parameterCount() == 0 ? form.answers().get(Form.key(ClassText.name(type), name)) : null;
    }

    /** Returns what a method is known to give, whatever its arguments, or null. */
    @Nullable
    Integer knownResult(ClassDesc type, String name, MethodTypeDesc declared, List<ClassDesc> actual) {
        Integer answer = answer(type, name, declared);
        if (answer != null) {
            return answer;
        }
        MethodTypeDesc wanted = MethodTypeDesc.of(declared.returnType(), actual);
        ClassDesc called = replacement(type, name, wanted);
        if (ClassText.isShared(called)) {
            return null;
        }
        List<Instruction> body = text(called, name, declared, wanted)
                .code()
                .orElseThrow()
                .elementStream()
                .filter(Instruction.class::isInstance)
                .map(Instruction.class::cast)
                .toList();
        return body.size() == 2
                        && body.getFirst() instanceof ConstantInstruction constant
                        && constant.constantValue() instanceof Integer value
                        && body.getLast() instanceof ReturnInstruction
                ? value
                : null;
    }

    private ClassDesc replacement(ClassDesc type, String name, MethodTypeDesc wanted) {
        for (Map.Entry<Class<?>, Class<?>> replaced : form.replaced().entrySet()) {
            ClassDesc by = describe(replaced.getValue());
            if (describe(replaced.getKey()).equals(type)
                    && library.get(by).method(name, wanted.descriptorString()).isPresent()) {
                return by;
            }
        }
        return type;
    }

    private MethodModel text(ClassDesc type, String name, MethodTypeDesc declared, MethodTypeDesc wanted) {
        ClassText text = get(type);
        return text.method(name, wanted.descriptorString())
                .or(() -> text.method(name, declared.descriptorString()))
                .orElseThrow(() -> new IllegalStateException(
                        "%s has no method %s%s".formatted(ClassText.name(type), name, declared.displayDescriptor())));
    }

    private void add(ClassDesc type, MethodCopy copy) {
        methods.computeIfAbsent(type, _ -> new LinkedHashMap<>()).put(copy.key(), copy);
        pending.add(copy);
    }

    /** A method of a copy reads a static field of a class: if it is a copied one, the class keeps its fields. */
    void useStaticsOf(ClassDesc type) {
        if (!ClassText.isShared(type) && statics.put(type, true) == null) {
            methods.computeIfAbsent(type, _ -> new LinkedHashMap<>());
            get(type)
                    .method(ConstantDescs.CLASS_INIT_NAME, "()V")
                    .ifPresent(text ->
                            add(type, new MethodCopy(this, type, text, Parameters.of(text, List.of(), List.of()))));
        }
    }

    /** Checks that TornadoVM or the JDK has a method for the types given, where the text calls one for others. */
    void requireMethod(
            ClassDesc type, String name, MethodTypeDesc wanted, ClassDesc declaredIn, MethodTypeDesc declared) {
        boolean found;
        try {
            Class<?>[] parameters = new Class<?>[wanted.parameterCount()];
            for (int i = 0; i < parameters.length; i++) {
                parameters[i] = resolve(wanted.parameterType(i), library.loader());
            }
            Class<?> called = Class.forName(ClassText.name(type), false, library.loader());
            found = describe(called.getMethod(name, parameters).getReturnType()).equals(wanted.returnType());
        } catch (ReflectiveOperationException _) {
            found = false;
        }
        if (!found) {
            throw new UnsupportedOperationException("calls %s.%s%s, and there is no %s.%s%s"
                    .formatted(
                            declaredIn.displayName(),
                            name,
                            declared.displayDescriptor(),
                            type.displayName(),
                            name,
                            wanted.displayDescriptor()));
        }
    }

    private static Class<?> resolve(ClassDesc type, ClassLoader loader) throws ClassNotFoundException {
        return type.isPrimitive()
                ? MethodType.fromMethodDescriptorString("()" + type.descriptorString(), loader)
                        .returnType()
                : Class.forName(
                        type.isArray() ? type.descriptorString().replace('/', '.') : ClassText.name(type),
                        false,
                        loader);
    }

    private byte[] write(ClassDesc type, Iterable<MethodCopy> copies) {
        ClassText text = get(type);
        ClassFile file = ClassFile.of(
                ClassFile.ClassHierarchyResolverOption.of(ClassHierarchyResolver.ofResourceParsing(library.loader())
                        .orElse(ClassHierarchyResolver.ofClassLoading(library.loader()))));
        return file.build(type, builder -> {
            builder.withVersion(text.model().majorVersion(), text.model().minorVersion());
            builder.withFlags(text.model().flags().flagsMask() | ClassFile.ACC_PUBLIC);
            text.model()
                    .findAttribute(Attributes.sourceFile())
                    .map(source -> SourceFileAttribute.of(source.sourceFile()))
                    .ifPresent(builder::with);
            if (statics.containsKey(type)) {
                text.model().fields().stream().filter(ClassCopies::isStatic).forEach(builder::with);
            }
            copies.forEach(copy -> copy.write(builder));
            if (type.equals(owner)) {
                addLookup(builder);
            }
        });
    }

    private static boolean isStatic(FieldModel field) {
        return (field.flags().flagsMask() & ClassFile.ACC_STATIC) != 0;
    }

    /** LambdaMetafactory takes a lookup only from the class itself. */
    private static void addLookup(ClassBuilder builder) {
        builder.withMethodBody(
                LOOKUP,
                LOOKUP_TYPE,
                STATIC,
                code -> code.invokestatic(ConstantDescs.CD_MethodHandles, "lookup", LOOKUP_TYPE)
                        .areturn());
    }

    static ClassDesc describe(Class<?> type) {
        return type.describeConstable().orElseThrow();
    }
}
