package org.tornadoattention.function;

import java.lang.classfile.CodeElement;
import java.lang.classfile.Opcode;
import java.lang.classfile.constantpool.ConstantPoolBuilder;
import java.lang.classfile.instruction.ConvertInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.OperatorInstruction;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.tornadoattention.kernel.parts.Remainder;
import org.tornadoattention.kernel.parts.Softcap;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.HalfFloat;

/** What functions may call besides methods of their own: what every backend of TornadoVM compiles. */
final class KnownMethods {

    static final ClassDesc TORNADO_MATH = describe(TornadoMath.class);
    private static final ClassDesc MATH = describe(Math.class);
    private static final ClassDesc HALF_FLOAT = describe(HalfFloat.class);
    private static final String ARRAYS = "uk.ac.manchester.tornado.api.types.arrays.";
    private static final MethodTypeDesc OF_FLOAT = MethodTypeDesc.ofDescriptor("(F)F");
    private static final MethodTypeDesc OF_DOUBLE = MethodTypeDesc.ofDescriptor("(D)D");

    private static final ClassDesc REMAINDER = describe(Remainder.class);

    private static final Set<String> MATH_NAMES = Set.of(
            "abs",
            "min",
            "max",
            "clamp",
            "sqrt",
            "exp",
            "log",
            "floor",
            "ceil",
            "pow",
            "sin",
            "cos",
            "tan",
            "asin",
            "acos",
            "atan",
            "atan2",
            "tanh",
            "asinh",
            "acosh",
            "sinpi",
            "cospi",
            "toRadians");

    private static final Set<String> OF_ALL_INTEGERS = Set.of("abs", "min", "max", "clamp");

    private static final Set<String> BOXES = Stream.of(
                    Byte.class,
                    Short.class,
                    Integer.class,
                    Long.class,
                    Float.class,
                    Double.class,
                    Character.class,
                    Boolean.class)
            .map(Class::descriptorString)
            .collect(Collectors.toUnmodifiableSet());

    private KnownMethods() {}

    /**
     * A static method that a call becomes in a kernel.
     *
     * @param name of a method of {@code TornadoMath}, which a derivative is known by
     */
    record Target(ClassDesc owner, String name, MethodTypeDesc type) {}

    /** What a call of a static method of {@code Math} or {@code TornadoMath} becomes, if kernels can have it. */
    static Optional<Target> mathematics(InvokeInstruction call) {
        ClassDesc owner = call.owner().asSymbol();
        String name = call.name().stringValue();
        MethodTypeDesc type = call.typeSymbol();
        if (owner.equals(REMAINDER)) {
            return Optional.of(new Target(REMAINDER, "remainder", type));
        }
        if (call.opcode() != Opcode.INVOKESTATIC
                || !owner.equals(MATH) && !owner.equals(TORNADO_MATH)
                || !MATH_NAMES.contains(name)
                || !exists(name, type)) {
            return Optional.empty();
        }
        return Optional.of(new Target(TORNADO_MATH, name, type));
    }

    /** What is called for it: of the hardware's tanh PTX has 11 bits only. */
    static Target exact(Target target) {
        if (target.owner().equals(REMAINDER)) {
            return new Target(REMAINDER, "of", target.type());
        }
        return target.name().equals("tanh") && target.type().equals(OF_FLOAT)
                ? new Target(describe(Softcap.class), "tanh", OF_FLOAT)
                : target;
    }

    /**
     * Code in which {@code (float) Math.tanh(x)} of a float, and others like it, are computed in float: between the two
     * conversions a double serves rounding alone, and devices take many times as long for it. Remainders of numbers
     * that are not whole are calls of {@link Remainder}.
     */
    static List<CodeElement> narrowed(List<CodeElement> code) {
        List<CodeElement> narrowed = new ArrayList<>();
        for (int i = 0; i < code.size(); i++) {
            Optional<CodeElement> inFloat =
                    i + 2 < code.size() ? inFloat(code.get(i), code.get(i + 1), code.get(i + 2)) : Optional.empty();
            narrowed.add(inFloat.orElse(withoutRemainder(code.get(i))));
            if (inFloat.isPresent()) {
                i += 2;
            }
        }
        return narrowed;
    }

    private static Optional<CodeElement> inFloat(CodeElement widening, CodeElement called, CodeElement narrowing) {
        if (widening instanceof ConvertInstruction first
                && first.opcode() == Opcode.F2D
                && called instanceof InvokeInstruction call
                && narrowing instanceof ConvertInstruction last
                && last.opcode() == Opcode.D2F
                && call.typeSymbol().equals(OF_DOUBLE)
                && mathematics(call).isPresent()
                && exists(call.name().stringValue(), OF_FLOAT)) {
            return Optional.of(InvokeInstruction.of(
                    Opcode.INVOKESTATIC,
                    ConstantPoolBuilder.of()
                            .methodRefEntry(TORNADO_MATH, call.name().stringValue(), OF_FLOAT)));
        }
        return Optional.empty();
    }

    private static CodeElement withoutRemainder(CodeElement element) {
        return element instanceof OperatorInstruction operator
                ? switch (operator.opcode()) {
                    case FREM -> remainder(ConstantDescs.CD_float);
                    case DREM -> remainder(ConstantDescs.CD_double);
                    default -> element;
                }
                : element;
    }

    private static CodeElement remainder(ClassDesc number) {
        return InvokeInstruction.of(
                Opcode.INVOKESTATIC,
                ConstantPoolBuilder.of().methodRefEntry(REMAINDER, "of", MethodTypeDesc.of(number, number, number)));
    }

    private static boolean exists(String name, MethodTypeDesc type) {
        boolean real = type.returnType().descriptorString().matches("[FD]");
        boolean whole = type.returnType().descriptorString().matches("[IJ]");
        if (name.equals("clamp") ? !whole : !real && !(whole && OF_ALL_INTEGERS.contains(name))) {
            return false;
        }
        return java.util.Arrays.stream(TornadoMath.class.getMethods())
                .anyMatch(method -> method.getName().equals(name)
                        && java.lang.invoke.MethodType.methodType(method.getReturnType(), method.getParameterTypes())
                                .descriptorString()
                                .equals(type.descriptorString()));
    }

    /** Names of the methods that functions may call, for messages. */
    static String names() {
        return MATH_NAMES.stream()
                .sorted()
                .map(name -> name.equals("clamp") ? "clamp (of whole numbers)" : name)
                .collect(Collectors.joining(", "));
    }

    /** Whether it is one of TornadoVM's arrays. */
    static boolean isArray(ClassDesc type) {
        return type.descriptorString().startsWith("L" + ARRAYS.replace('.', '/'));
    }

    /** Whether functions compute with it: a number, an array of TornadoVM's, or an element of one. */
    static boolean isValue(ClassDesc type) {
        return type.isPrimitive() && !type.equals(ConstantDescs.CD_void) || isArray(type) || type.equals(HALF_FLOAT);
    }

    /** Whether it is an object that holds a number. */
    static boolean isBox(ClassDesc type) {
        return BOXES.contains(type.descriptorString());
    }

    /** Whether a call reads an array of TornadoVM's, or its size, or turns a half into a float. */
    static boolean isRead(InvokeInstruction call) {
        String name = call.name().stringValue();
        if (call.opcode() != Opcode.INVOKEVIRTUAL) {
            return false;
        }
        return isArray(call.owner().asSymbol()) && (name.equals("get") || name.equals("getSize"))
                || call.owner().asSymbol().equals(HALF_FLOAT) && name.equals("getFloat32");
    }

    static ClassDesc describe(Class<?> type) {
        return type.describeConstable().orElseThrow();
    }
}
