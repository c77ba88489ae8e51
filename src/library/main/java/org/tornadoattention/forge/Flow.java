package org.tornadoattention.forge;

import java.lang.classfile.Instruction;
import java.lang.classfile.Opcode;
import java.lang.classfile.TypeKind;
import java.lang.classfile.instruction.ArrayLoadInstruction;
import java.lang.classfile.instruction.ArrayStoreInstruction;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.ConstantInstruction;
import java.lang.classfile.instruction.ConvertInstruction;
import java.lang.classfile.instruction.FieldInstruction;
import java.lang.classfile.instruction.IncrementInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LoadInstruction;
import java.lang.classfile.instruction.LookupSwitchInstruction;
import java.lang.classfile.instruction.NewMultiArrayInstruction;
import java.lang.classfile.instruction.NewObjectInstruction;
import java.lang.classfile.instruction.NewPrimitiveArrayInstruction;
import java.lang.classfile.instruction.NewReferenceArrayInstruction;
import java.lang.classfile.instruction.NopInstruction;
import java.lang.classfile.instruction.OperatorInstruction;
import java.lang.classfile.instruction.ReturnInstruction;
import java.lang.classfile.instruction.StackInstruction;
import java.lang.classfile.instruction.StoreInstruction;
import java.lang.classfile.instruction.TableSwitchInstruction;
import java.lang.classfile.instruction.TypeCheckInstruction;
import java.lang.constant.ClassDesc;
import java.lang.constant.MethodTypeDesc;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Which variables and which operands on the stack are arrays with another type than the text gives them, at one point
 * of a method.
 */
final class Flow {

    private final Map<Integer, ClassDesc> variables;

    /** What is known of each slot of the stack, null for all that keeps its type; long and double take two. */
    private final List<@Nullable Operand> stack;

    /** What is known of an operand on the stack. */
    sealed interface Operand {}

    /** An array of another type than the text gives it. */
    private record Retyped(ClassDesc type) implements Operand {}

    /** A number, and which instruction of the output put it on the stack: left out, it is not there; −1 for none. */
    record Known(int value, int instruction) implements Operand {}

    /** An array that the copy has not: its elements are variables, in slots from the first one on. */
    record RegisterElements(int firstSlot, int size) implements Operand {}

    Flow() {
        this(new HashMap<>(), new ArrayList<>());
    }

    private Flow(Map<Integer, ClassDesc> variables, List<@Nullable Operand> stack) {
        this.variables = variables;
        this.stack = stack;
    }

    Flow copy() {
        return new Flow(new HashMap<>(variables), new ArrayList<>(stack));
    }

    /** What is known where two paths meet: variables that differ are not used after it. */
    Flow merge(Flow other) {
        Flow merged = copy();
        merged.variables.entrySet().removeIf(entry -> !entry.getValue().equals(other.variables.get(entry.getKey())));
        merged.forgetNumbers(0);
        other.forgetNumbers(0);
        if (!merged.stack.equals(other.stack)) {
            throw new UnsupportedOperationException("chooses between arrays of two types");
        }
        return merged;
    }

    /** Whether a jump back to here, where this was known, brings the same. */
    boolean holdsAfter(Flow jump) {
        return variables.entrySet().stream()
                .allMatch(entry -> entry.getValue().equals(jump.variables.get(entry.getKey())));
    }

    void setVariable(int slot, @Nullable ClassDesc type) {
        if (type == null) {
            variables.remove(slot);
        } else {
            variables.put(slot, type);
        }
    }

    @Nullable
    ClassDesc variable(int slot) {
        return variables.get(slot);
    }

    void push(TypeKind kind, @Nullable ClassDesc type) {
        for (int i = 0; i < kind.slotSize(); i++) {
            stack.add(type == null ? null : new Retyped(type));
        }
    }

    /** Pushes an operand of one slot. */
    void push(Operand operand) {
        stack.add(operand);
    }

    @Nullable
    ClassDesc pop(TypeKind kind) {
        @Nullable ClassDesc top = null;
        for (int i = 0; i < kind.slotSize(); i++) {
            top = typeOf(stack.removeLast());
        }
        return top;
    }

    /** Pops one slot, which may hold any operand. */
    @Nullable
    Operand pop() {
        return stack.removeLast();
    }

    @Nullable
    ClassDesc top() {
        return typeOf(stack.getLast());
    }

    /** What is known of a slot that so many others are above. */
    @Nullable
    Operand peek(int above) {
        int at = stack.size() - 1 - above;
        return at < 0 ? null : stack.get(at);
    }

    private static @Nullable ClassDesc typeOf(@Nullable Operand operand) {
        return switch (operand) {
            case Retyped array -> array.type();
            case RegisterElements _ ->
                throw new UnsupportedOperationException(
                        "uses a register tile for something else than an element of a known index");
            case Known _ -> null;
            case null -> null;
        };
    }

    /**
     * From so many slots below the top on, or all for 0, numbers are no longer known, so that their instructions stay.
     */
    private void forgetNumbers(int slots) {
        for (int i = slots == 0 ? 0 : Math.max(0, stack.size() - slots); i < stack.size(); i++) {
            if (stack.get(i) instanceof Known) {
                stack.set(i, null);
            }
        }
    }

    /** Pops the arguments of a call and returns their types: the declared ones, but for arrays with others. */
    List<ClassDesc> popArguments(MethodTypeDesc type) {
        List<ClassDesc> actual = new ArrayList<>(type.parameterList());
        for (int i = actual.size() - 1; i >= 0; i--) {
            TypeKind kind = TypeKind.from(actual.get(i));
            if (stack.getLast() instanceof RegisterElements) {
                stack.removeLast();
                continue;
            }
            ClassDesc other = pop(kind);
            if (other != null) {
                actual.set(i, other);
            }
        }
        return actual;
    }

    private void pop(int slots) {
        for (int i = 0; i < slots; i++) {
            typeOf(stack.removeLast());
        }
    }

    /** The effect of an instruction other than a call, an access of a variable and one that ends a path. */
    void apply(Instruction instruction) {
        switch (instruction) {
            case ConstantInstruction constant -> push(constant.typeKind(), null);
            case OperatorInstruction operator -> apply(operator);
            case ConvertInstruction convert -> {
                pop(convert.fromType());
                push(convert.toType(), null);
            }
            case FieldInstruction field -> apply(field);
            case ArrayLoadInstruction load -> {
                pop(2);
                push(load.typeKind(), null);
            }
            case ArrayStoreInstruction store -> pop(2 + store.typeKind().slotSize());
            case BranchInstruction branch -> pop(operands(branch.opcode()));
            case TableSwitchInstruction _, LookupSwitchInstruction _ -> pop(1);
            case TypeCheckInstruction check -> {
                ClassDesc type = pop(TypeKind.REFERENCE);
                push(TypeKind.REFERENCE, check.opcode() == Opcode.CHECKCAST ? type : null);
            }
            case NewObjectInstruction _ -> push(TypeKind.REFERENCE, null);
            case NewPrimitiveArrayInstruction _, NewReferenceArrayInstruction _ -> {
                pop(1);
                push(TypeKind.REFERENCE, null);
            }
            case NewMultiArrayInstruction array -> {
                pop(array.dimensions());
                push(TypeKind.REFERENCE, null);
            }
            case StackInstruction shuffle -> apply(shuffle.opcode());
            case ReturnInstruction result -> pop(result.typeKind());
            case IncrementInstruction _, NopInstruction _ -> {
                // leave the stack as it is
            }
            case InvokeInstruction _, LoadInstruction _, StoreInstruction _ ->
                throw new IllegalArgumentException(instruction.toString());
            default -> throw new UnsupportedOperationException("uses " + instruction.opcode());
        }
    }

    private void apply(OperatorInstruction operator) {
        TypeKind kind = operator.typeKind();
        switch (operator.opcode()) {
            case ARRAYLENGTH -> {
                pop(1);
                push(TypeKind.INT, null);
            }
            case INEG, LNEG, FNEG, DNEG -> {
                // leave the stack as it is
            }
            case ISHL, ISHR, IUSHR, LSHL, LSHR, LUSHR -> pop(1);
            case LCMP, FCMPL, FCMPG, DCMPL, DCMPG -> {
                pop(2 * kind.slotSize());
                push(TypeKind.INT, null);
            }
            default -> pop(kind.slotSize());
        }
        forgetNumbers(1);
    }

    private void apply(FieldInstruction field) {
        TypeKind kind = TypeKind.from(field.typeSymbol());
        switch (field.opcode()) {
            case GETSTATIC -> push(kind, null);
            case PUTSTATIC -> pop(kind);
            case GETFIELD -> {
                pop(1);
                push(kind, null);
            }
            default -> pop(1 + kind.slotSize());
        }
    }

    private static int operands(Opcode branch) {
        return switch (branch) {
            case GOTO, GOTO_W -> 0;
            case IF_ICMPEQ, IF_ICMPNE, IF_ICMPLT, IF_ICMPGE, IF_ICMPGT, IF_ICMPLE, IF_ACMPEQ, IF_ACMPNE -> 2;
            default -> 1;
        };
    }

    private void apply(Opcode shuffle) {
        forgetNumbers(4);
        stack.reversed().stream().limit(2).forEach(Flow::typeOf);
        int size = stack.size();
        switch (shuffle) {
            case POP -> pop(1);
            case POP2 -> pop(2);
            case DUP -> stack.add(stack.getLast());
            case DUP_X1 -> stack.add(size - 2, stack.getLast());
            case DUP_X2 -> stack.add(size - 3, stack.getLast());
            case DUP2 -> insertTwo(size);
            case DUP2_X1 -> insertTwo(size - 3);
            case DUP2_X2 -> insertTwo(size - 4);
            default -> stack.add(size - 2, stack.removeLast());
        }
    }

    private void insertTwo(int at) {
        stack.addAll(at, new ArrayList<>(stack.subList(stack.size() - 2, stack.size())));
    }
}
