package org.tornadoattention.function;

import static org.tornadoattention.function.FunctionClass.NAME;

import java.lang.classfile.CodeBuilder;
import java.lang.classfile.CodeElement;
import java.lang.classfile.Instruction;
import java.lang.classfile.Opcode;
import java.lang.classfile.TypeKind;
import java.lang.classfile.instruction.ConstantInstruction;
import java.lang.classfile.instruction.IncrementInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LabelTarget;
import java.lang.classfile.instruction.LineNumber;
import java.lang.classfile.instruction.LoadInstruction;
import java.lang.classfile.instruction.OperatorInstruction;
import java.lang.classfile.instruction.StoreInstruction;
import java.lang.constant.MethodTypeDesc;
import java.util.List;

/** A method with its jumps and a guard: where that is 0, arrays are read at 0, and divisors are 1. */
final class GuardedCopy {

    private final IfConversion names;
    private final CodeBuilder code;
    private final int guard;

    GuardedCopy(IfConversion names, CodeBuilder code, MethodTypeDesc type) {
        this.names = names;
        this.code = code;
        this.guard = type.parameterList().stream()
                .mapToInt(parameter -> TypeKind.from(parameter).slotSize())
                .sum();
    }

    /** Local variables of the text stand behind its parameters, where the guard is now. */
    private int shifted(int slot) {
        return slot < guard ? slot : slot + 1;
    }

    void write(List<CodeElement> elements) {
        boolean constant = false;
        for (CodeElement element : elements) {
            switch (element) {
                case LoadInstruction load -> code.loadLocal(load.typeKind(), shifted(load.slot()));
                case StoreInstruction store -> code.storeLocal(store.typeKind(), shifted(store.slot()));
                case IncrementInstruction increment -> code.iinc(shifted(increment.slot()), increment.constant());
                case OperatorInstruction operator -> {
                    if (!constant && isDivision(operator.opcode())) {
                        makeDivisor(code, operator.typeKind(), guard);
                    }
                    code.with(operator);
                }
                case InvokeInstruction call
                when IfConversion.isOwn(call) ->
                    code.iload(guard)
                            .invokestatic(
                                    NAME,
                                    names.guard(call.name().stringValue()),
                                    IfConversion.withGuard(call.typeSymbol()));
                case InvokeInstruction call -> {
                    if (readsElement(call)) {
                        makeIndex(code, guard);
                    }
                    code.with(call);
                }
                case LabelTarget _, LineNumber _, Instruction _ -> code.with(element);
                default -> {
                    // made anew
                }
            }
            constant = element instanceof ConstantInstruction number && isNotZero(number.constantValue());
        }
    }

    static boolean isNotZero(Object number) {
        return number instanceof Integer value && value != 0 || number instanceof Long wide && wide != 0;
    }

    static boolean isDivision(Opcode opcode) {
        return switch (opcode) {
            case IDIV, IREM, LDIV, LREM -> true;
            default -> false;
        };
    }

    static boolean readsElement(InvokeInstruction call) {
        return call.opcode() == Opcode.INVOKEVIRTUAL
                && call.name().equalsString("get")
                && call.typeSymbol().parameterCount() == 1;
    }

    /** Makes the index on the stack 0 where a predicate is 0. */
    static void makeIndex(CodeBuilder code, int predicate) {
        code.iload(predicate).ineg().iand();
    }

    /** Makes the divisor on the stack 1 where a predicate is 0. */
    static void makeDivisor(CodeBuilder code, TypeKind kind, int predicate) {
        if (kind == TypeKind.LONG) {
            code.iload(predicate).i2l().lneg().land();
            code.iload(predicate).iconst_1().ixor().i2l().lor();
        } else {
            code.iload(predicate).ineg().iand();
            code.iload(predicate).iconst_1().ixor().ior();
        }
    }
}
