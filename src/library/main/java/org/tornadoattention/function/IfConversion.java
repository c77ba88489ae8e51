package org.tornadoattention.function;

import static org.tornadoattention.function.FunctionClass.NAME;

import java.lang.classfile.Attributes;
import java.lang.classfile.ClassBuilder;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.CodeElement;
import java.lang.classfile.Label;
import java.lang.classfile.MethodModel;
import java.lang.classfile.Opcode;
import java.lang.classfile.attribute.SourceFileAttribute;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LabelTarget;
import java.lang.classfile.instruction.LookupSwitchInstruction;
import java.lang.classfile.instruction.TableSwitchInstruction;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * If-conversion (Allen, Kennedy, Porterfield and Warren, 1983) of functions: conditions of several comparisons become
 * numbers, 0 or 1, joined by and and or, where javac has jumps.
 *
 * <p>Of jumps that share a target TornadoVM makes conditions of its own, joined by {@code ||}, and on CUDA forgets to
 * negate those inside others. Comparisons that are numbers it leaves as they are.
 *
 * <p>What stood behind a jump is then computed whether or not it is needed, with what could fail made harmless where it
 * is not: an array is read at 0, a divisor is 1. A method that is called there has a second form with a guard, a
 * further parameter that is 0 where the result is not needed. Methods with loops or switches keep their jumps.
 */
final class IfConversion {

    /** What the name of a method with a guard ends with. */
    static final String GUARDED = "$if";

    /** Conditional jumps of which TornadoVM makes one condition. */
    private static final int JUMPS = 2;

    private final ClassModel text;
    private final Map<String, Set<Integer>> functions;
    private final Map<String, MethodModel> methods = new HashMap<>();
    private final Set<String> guarded = new HashSet<>();
    private final Deque<String> pending = new ArrayDeque<>();

    private IfConversion(ClassModel text, Map<String, Set<Integer>> functions) {
        this.text = text;
        this.functions = functions;
        text.methods().forEach(method -> methods.put(method.methodName().stringValue(), method));
    }

    /**
     * Converts some methods of a class, which calls forms with a guard by their names.
     *
     * @param functions the names of these methods, with the slots of the parameters that are known not to be 0
     */
    static byte[] of(byte[] classFile, Map<String, Set<Integer>> functions) {
        return new IfConversion(ClassFile.of().parse(classFile), functions).bytes();
    }

    private byte[] bytes() {
        return ClassFile.of().build(NAME, builder -> {
            builder.withFlags(text.flags().flagsMask());
            text.findAttribute(Attributes.sourceFile())
                    .ifPresent(source -> builder.with(SourceFileAttribute.of(source.sourceFile())));
            for (MethodModel method : text.methods()) {
                method.code().orElseThrow().forEach(this::findCall);
                write(builder, method, false);
            }
            while (!pending.isEmpty()) {
                write(builder, Objects.requireNonNull(methods.get(pending.remove())), true);
            }
        });
    }

    private void findCall(CodeElement element) {
        if (element instanceof InvokeInstruction call
                && isOwn(call)
                && call.name().stringValue().endsWith(GUARDED)) {
            String name = call.name().stringValue();
            guard(name.substring(0, name.length() - GUARDED.length()));
        }
    }

    static boolean isOwn(InvokeInstruction call) {
        return call.opcode() == Opcode.INVOKESTATIC && call.owner().asSymbol().equals(NAME);
    }

    /** The name of the form with a guard, which there will be. */
    String guard(String name) {
        if (guarded.add(name)) {
            pending.add(name);
        }
        return name + GUARDED;
    }

    static MethodTypeDesc withGuard(MethodTypeDesc type) {
        return type.insertParameterTypes(type.parameterCount(), ConstantDescs.CD_int);
    }

    private void write(ClassBuilder builder, MethodModel method, boolean guard) {
        String name = method.methodName().stringValue();
        List<CodeElement> elements = method.code().orElseThrow().elementList();
        Set<Integer> notZero = isConvertible(elements) ? functions.get(name) : null;
        if (!guard && notZero == null) {
            builder.with(method);
            return;
        }
        MethodTypeDesc type = method.methodTypeSymbol();
        builder.withMethodBody(
                guard ? name + GUARDED : name,
                guard ? withGuard(type) : type,
                method.flags().flagsMask(),
                code -> {
                    if (notZero != null) {
                        new Predication(this, code, type, guard, notZero).write(elements);
                    } else {
                        new GuardedCopy(this, code, type).write(elements);
                    }
                });
    }

    private static boolean isConvertible(List<CodeElement> elements) {
        Set<Label> passed = new HashSet<>();
        int jumps = 0;
        for (CodeElement element : elements) {
            switch (element) {
                case LabelTarget target -> passed.add(target.label());
                case BranchInstruction branch -> {
                    if (passed.contains(branch.target())) {
                        return false;
                    }
                    jumps += isConditional(branch) ? 1 : 0;
                }
                case TableSwitchInstruction _, LookupSwitchInstruction _ -> {
                    return false;
                }
                default -> {
                    // in a line
                }
            }
        }
        return jumps >= JUMPS;
    }

    static boolean isConditional(BranchInstruction branch) {
        return branch.opcode() != Opcode.GOTO && branch.opcode() != Opcode.GOTO_W;
    }
}
