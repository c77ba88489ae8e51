package org.tornadoattention.simulator.instrument;

import java.lang.classfile.Attributes;
import java.lang.classfile.ClassModel;
import java.lang.classfile.CodeElement;
import java.lang.classfile.MethodModel;
import java.lang.classfile.Opcode;
import java.lang.classfile.instruction.FieldInstruction;
import java.lang.classfile.instruction.InvokeDynamicInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LineNumber;
import java.lang.classfile.instruction.MonitorInstruction;
import java.lang.classfile.instruction.NewMultiArrayInstruction;
import java.lang.classfile.instruction.NewPrimitiveArrayInstruction;
import java.lang.classfile.instruction.NewReferenceArrayInstruction;
import java.lang.classfile.instruction.OperatorInstruction;
import java.lang.classfile.instruction.ThrowInstruction;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Looks in the code of a kernel for what TornadoVM 5.2 refuses to compile, or takes for something else. Each of these
 * was tried on it; what was not, is left alone.
 */
final class DeviceCompiler {

    private static final String LANG = "java.lang.";

    /** Classes of the JDK of which a device compiler knows methods. */
    private static final Set<String> PARTLY_KNOWN = Set.of(
            LANG + "Math",
            LANG + "StrictMath",
            LANG + "Integer",
            LANG + "Long",
            LANG + "Short",
            LANG + "Byte",
            LANG + "Character",
            LANG + "Boolean",
            LANG + "Float",
            LANG + "Double",
            LANG + "Number",
            LANG + "Object",
            LANG + "Record");

    /** Methods of theirs that it refused or took for something else, by name or by name and descriptor. */
    private static final Set<String> REFUSED = Set.of(
            "Math.random",
            "Math.abs(I)I",
            "Math.addExact",
            "Math.cbrt",
            "Math.ceil",
            "Math.expm1",
            "Math.floor",
            "Math.fma",
            "Math.hypot",
            "Math.log10",
            "Math.rint",
            "Math.round",
            "Integer.compare",
            "Integer.highestOneBit",
            "Integer.numberOfLeadingZeros",
            "Integer.numberOfTrailingZeros",
            "Integer.reverse",
            "Integer.rotateLeft",
            "Float.compare",
            "Float.float16ToFloat",
            "Float.floatToFloat16",
            "Float.floatToIntBits");

    /** Words of OpenCL C, which TornadoVM takes for no method's name, on any backend. */
    private static final Set<String> WORDS = Set.of(
            "kernel",
            "__kernel",
            "global",
            "__global",
            "local",
            "__local",
            "private",
            "__private",
            "half",
            "dot",
            "uniform",
            "pipe",
            "auto",
            "cross",
            "distance",
            "normalize",
            "complex",
            "channel",
            "printf",
            "atomic_add",
            "atomic_sub",
            "atomic_xchg",
            "atomic_inc",
            "atomic_dec",
            "atomic_min",
            "atomic_max",
            "atomic_and",
            "atomic_or",
            "atomic_xor",
            "atomic_cmpxchg");

    /** Functions that CUDA C declares before a kernel's text begins, as NVRTC 13.0 told; those of floats end with f. */
    private static final Set<String> OF_CUDA = words("""
            abs labs llabs fabs min fmin max fmax umin umax llmin llmax sin cos tan sincos sinpi cospi asin acos atan
            atan2 sinh cosh tanh asinh acosh atanh exp exp2 exp10 expm1 log log2 log10 log1p logb ilogb pow sqrt rsqrt
            cbrt rcbrt hypot rhypot norm norm3d norm4d ceil floor trunc round lround llround rint lrint llrint nearbyint
            fmod remainder remquo modf frexp ldexp scalbn scalbln copysign nextafter nan fdim fma erf erfc erfinv erfcx
            erfcinv normcdf normcdfinv lgamma tgamma j0 j1 jn y0 y1 yn malloc free clock64""");

    /** Words of C++, in which CUDA's kernels are written, that Java has no use for. */
    private static final Set<String> OF_C_PLUS_PLUS = words("""
            and and_eq asm bitand bitor bool compl const_cast constexpr decltype delete dynamic_cast explicit export
            extern friend inline mutable namespace noexcept not not_eq nullptr operator or or_eq register
            reinterpret_cast signed sizeof static_assert static_cast struct template typedef typeid typename union
            unsigned using virtual wchar_t xor xor_eq""");

    private static Set<String> words(String text) {
        return Set.of(text.strip().split("\\s+"));
    }

    private final KernelCode code;
    /** The kernel's class and method. */
    private final String start;

    private final Map<String, Set<String>> calls = new TreeMap<>();

    private DeviceCompiler(KernelCode code, String start) {
        this.code = code;
        this.start = start;
    }

    /**
     * Returns the first thing in the code that starts at a method which is not for a device, as {@code File.java:12:
     * what}, or null.
     */
    static String obstacle(KernelCode code, String owner, String kernel) {
        DeviceCompiler compiler = new DeviceCompiler(code, owner + "." + kernel);
        String taken = taken(kernel.substring(0, kernel.indexOf('(')));
        if (taken != null) {
            return compiler.place(owner, kernel) + "has a name that is " + taken + "; give the method another";
        }
        Set<String> reached = new LinkedHashSet<>();
        String first = compiler.obstacleFrom(owner, kernel, reached);
        return first == null ? compiler.recursion() : first;
    }

    /** What a device's language has a name for already, or null. */
    private static String taken(String name) {
        if (WORDS.contains(name)) {
            return "a word of OpenCL C";
        }
        boolean ofFloats = name.endsWith("f") && OF_CUDA.contains(name.substring(0, name.length() - 1));
        if (OF_CUDA.contains(name) || ofFloats) {
            return "that of a function of CUDA's";
        }
        return OF_C_PLUS_PLUS.contains(name) ? "a word of C++, which CUDA's kernels are written in" : null;
    }

    /** Where a method begins, as {@code (File.java:12): }. */
    private String place(String owner, String key) {
        return code.parts().get(owner).model().methods().stream()
                .filter(method -> KernelCode.key(method).equals(key))
                .flatMap(method -> method.code().stream())
                .flatMap(body -> body.elementStream())
                .filter(LineNumber.class::isInstance)
                .findFirst()
                .map(number -> place(owner, code.parts().get(owner).model(), ((LineNumber) number).line()))
                .orElse(": ");
    }

    private static String place(String name, ClassModel owner, int line) {
        String file = owner.findAttribute(Attributes.sourceFile())
                .map(attribute -> attribute.sourceFile().stringValue())
                .orElse(name);
        return "(" + file + ":" + line + "): ";
    }

    private String obstacleFrom(String owner, String key, Set<String> reached) {
        KernelCode.Part part = code.parts().get(owner);
        if (part == null || !reached.add(owner + "." + key)) {
            return null;
        }
        for (MethodModel method : part.model().methods()) {
            if (KernelCode.key(method).equals(key) && method.code().isPresent()) {
                String found = obstacleIn(part.model(), method);
                if (found != null) {
                    return found;
                }
            }
        }
        for (String callee : calls.getOrDefault(owner + "." + key, Set.of())) {
            int dot = callee.lastIndexOf('.', callee.indexOf('('));
            String found = obstacleFrom(callee.substring(0, dot), callee.substring(dot + 1), reached);
            if (found != null) {
                return found;
            }
        }
        return null;
    }

    private String obstacleIn(ClassModel owner, MethodModel method) {
        String name = KernelCode.name(owner.thisClass().asSymbol());
        Set<String> callees = calls.computeIfAbsent(name + "." + KernelCode.key(method), _ -> new LinkedHashSet<>());
        MethodAnalysis analysis = code.analysis(method).orElse(null);
        if (analysis == null) {
            return null;
        }
        int line = 0;
        for (int i = 0; i < analysis.elements().size(); i++) {
            CodeElement element = analysis.elements().get(i);
            if (element instanceof LineNumber number) {
                line = number.line();
            }
            if (element instanceof InvokeInstruction invoke
                    && code.parts().containsKey(KernelCode.name(invoke.owner().asSymbol()))) {
                callees.add(KernelCode.name(invoke.owner().asSymbol()) + "."
                        + invoke.name().stringValue() + invoke.type().stringValue());
            }
            String what = obstacle(element, i, analysis);
            if (what != null) {
                return place(name, owner, line) + what;
            }
        }
        boolean isKernel = start.equals(name + "." + KernelCode.key(method));
        DeviceLoops.Finding loop = DeviceLoops.of(analysis, isKernel, this::analysis);
        return loop == null ? null : place(name, owner, loop.line()) + loop.what();
    }

    /** Returns the code of a method that is compiled with the kernel, or null. */
    private MethodAnalysis analysis(InvokeInstruction invoke) {
        KernelCode.Part part = code.parts().get(KernelCode.name(invoke.owner().asSymbol()));
        if (part == null) {
            return null;
        }
        String key = invoke.name().stringValue() + invoke.type().stringValue();
        return part.model().methods().stream()
                .filter(method -> KernelCode.key(method).equals(key))
                .findFirst()
                .flatMap(code::analysis)
                .orElse(null);
    }

    private static String obstacle(CodeElement element, int index, MethodAnalysis method) {
        return switch (element) {
            case InvokeInstruction invoke ->
                obstacle(
                        KernelCode.name(invoke.owner().asSymbol()),
                        invoke.name().stringValue(),
                        invoke.type().stringValue());
            case FieldInstruction field -> obstacle(field, method);
            case ThrowInstruction _
            when method.isReached(index) && !asserts(method) ->
                "throws an exception; a device has none: write a result that says it";
            case MonitorInstruction _ -> "synchronizes; use barriers, or atomicAdd";
            case OperatorInstruction operator
            when operator.opcode() == Opcode.FREM || operator.opcode() == Opcode.DREM ->
                "takes the remainder of numbers that are not whole; write x - y * (int) (x / y)";
            case InvokeDynamicInstruction _ -> "makes a lambda or joins strings; write it out";
            case NewMultiArrayInstruction _ -> "makes an array of arrays; make one and compute the index";
            case NewReferenceArrayInstruction array
            when !KernelCode.name(array.componentType().asSymbol()).startsWith("uk.ac.manchester.tornado.api.") ->
                "makes an array of objects; use an array of numbers for each of their fields";
            case NewPrimitiveArrayInstruction _
            when method.isArraySizeFromData(index) ->
                "makes an array of a size that is only known when the kernel runs; give it the largest size that it may have, a"
                        + " constant or a primitive argument";
            default -> null;
        };
    }

    /** Whether the method has assertions, which a device compiler leaves out. */
    private static boolean asserts(MethodAnalysis method) {
        return method.elements().stream()
                .anyMatch(element -> element instanceof FieldInstruction field
                        && field.name().equalsString("$assertionsDisabled"));
    }

    private static String obstacle(String owner, String name, String type) {
        if (owner.startsWith("java.io.Print")) {
            return "prints; write to an array instead, and print that on the host";
        }
        String call = owner.substring(owner.lastIndexOf('.') + 1) + "." + name;
        boolean refused;
        if (PARTLY_KNOWN.contains(owner)) {
            refused = REFUSED.contains(call) || REFUSED.contains(call + type);
        } else {
            boolean ofTheJdk = owner.startsWith("java.") && !owner.equals("java.");
            refused = ofTheJdk && !name.equals("<init>") && !call.equals("Arrays.fill");
        }
        String advice = owner.equals(LANG + "Math") ? "; what a device has is in TornadoMath" : "";
        return refused ? "calls " + call + ", which TornadoVM does not compile" + advice : null;
    }

    private static String obstacle(FieldInstruction field, MethodAnalysis method) {
        String name = field.name().stringValue();
        return switch (field.opcode()) {
            case PUTSTATIC -> "writes the static variable " + name + "; a device has none: pass an array";
            case GETSTATIC ->
                field.typeSymbol().isArray()
                        ? "reads the static array " + name + "; pass it as an argument, as a native array"
                        : null;
            default -> null;
        };
    }

    /** Returns the obstacle that a method calls itself, over others perhaps, or null. */
    private String recursion() {
        for (String method : calls.keySet()) {
            if (reaches(method, method, new HashSet<>())) {
                return ": " + method.substring(0, method.indexOf('(')) + " calls itself; write it as a loop";
            }
        }
        return null;
    }

    private boolean reaches(String from, String target, Set<String> seen) {
        for (String callee : calls.getOrDefault(from, Set.of())) {
            if (callee.equals(target) || seen.add(callee) && reaches(callee, target, seen)) {
                return true;
            }
        }
        return false;
    }
}
