package org.tornadoattention.simulator.instrument;

import java.lang.classfile.Instruction;
import java.lang.classfile.Opcode;
import java.lang.classfile.TypeKind;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.ConstantInstruction;
import java.lang.classfile.instruction.FieldInstruction;
import java.lang.classfile.instruction.IncrementInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LoadInstruction;
import java.lang.classfile.instruction.OperatorInstruction;
import java.lang.classfile.instruction.StoreInstruction;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Set;

/**
 * Looks for the reason why a loop ends: at its top it compares an int variable, which each turn brings nearer, with
 * something that the loop does not change.
 */
final class CountedLoop {

    private static final Set<String> OF_THEIR_ARGUMENTS_ONLY = Set.of("getSize", "intValue", "min", "max", "abs");

    /** What is known of an int that the loop computes: how it follows the variable, or that it does not. */
    private record Value(int slot, int direction, Integer constant) {

        private static final int NONE = -1;

        static final Value FIXED = new Value(NONE, 0, null);

        boolean isFixed() {
            return slot == NONE;
        }

        Value reversed() {
            return new Value(slot, -direction, null);
        }
    }

    private final MethodAnalysis method;
    private final Loop loop;

    CountedLoop(MethodAnalysis method, Loop loop) {
        this.method = method;
        this.loop = loop;
    }

    /**
     * Finds out what can be said of the loop's end.
     *
     * @return {@link Loop.End#SURE}, {@link Loop.End#UNKNOWN}, or what to look at in each turn
     */
    Loop.End end() {
        List<Instruction> test = new ArrayList<>();
        for (int i = loop.from(); i <= loop.to(); i++) {
            if (method.elements().get(i) instanceof Instruction instruction) {
                if (instruction instanceof BranchInstruction branch) {
                    return loop.contains(method.position(branch.target())) ? Loop.End.UNKNOWN : end(test, branch);
                }
                test.add(instruction);
            }
        }
        return Loop.End.UNKNOWN;
    }

    private Loop.End end(List<Instruction> test, BranchInstruction exit) {
        Deque<Value> stack = evaluate(test);
        boolean withZero = comparesWithZero(exit.opcode());
        if (stack == null || stack.size() != (withZero ? 1 : 2)) {
            return Loop.End.UNKNOWN;
        }
        Value right = withZero ? Value.FIXED : stack.pop();
        Value left = stack.pop();
        if (left.isFixed() == right.isFixed()) {
            return Loop.End.UNKNOWN;
        }
        Value variable = left.isFixed() ? right.reversed() : left;
        int wanted = variable.direction()
                * switch (exit.opcode()) {
                    case IF_ICMPGE, IF_ICMPGT, IFGE, IFGT -> 1;
                    case IF_ICMPLE, IF_ICMPLT, IFLE, IFLT -> -1;
                    default -> 0;
                };
        return wanted == 0 ? Loop.End.UNKNOWN : endBy(variable.slot(), wanted);
    }

    private static boolean comparesWithZero(Opcode opcode) {
        return switch (opcode) {
            case IFEQ, IFNE, IFLT, IFGE, IFGT, IFLE -> true;
            default -> false;
        };
    }

    private Loop.End endBy(int slot, int wanted) {
        int change = -1;
        for (int i = loop.from(); i <= loop.to(); i++) {
            if (method.elements().get(i) instanceof Instruction instruction && changes(instruction, slot)) {
                if (change >= 0) {
                    return Loop.End.UNKNOWN;
                }
                change = i;
            }
        }
        if (change < 0 || !happensInEachTurn(change)) {
            return Loop.End.UNKNOWN;
        }
        if (method.elements().get(change) instanceof IncrementInstruction increment) {
            return increment.constant() * wanted > 0 ? Loop.End.SURE : Loop.End.UNKNOWN;
        }
        return new Loop.End(false, change, slot, wanted);
    }

    private boolean changes(Instruction instruction, int slot) {
        return switch (instruction) {
            case IncrementInstruction increment -> increment.slot() == slot;
            case StoreInstruction store ->
                slot >= store.slot() && slot < store.slot() + store.typeKind().slotSize();
            default -> false;
        };
    }

    private boolean isFixed(int slot) {
        for (int i = loop.from(); i <= loop.to(); i++) {
            if (method.elements().get(i) instanceof Instruction instruction && changes(instruction, slot)) {
                return false;
            }
        }
        return true;
    }

    /** Whether no jump within the loop leads around an instruction, or back over it. */
    private boolean happensInEachTurn(int place) {
        for (int i = loop.from(); i <= loop.to(); i++) {
            for (int target : method.targets(i)) {
                boolean around = i < place && target > place && target <= loop.to();
                boolean nextTurn = i < place && target == loop.from();
                boolean inner = i > place && target > loop.from() && target <= place;
                if (around || nextTurn || inner) {
                    return false;
                }
            }
        }
        return true;
    }

    /** Returns the operand stack after straight code, or null if the code does what is not understood here. */
    private Deque<Value> evaluate(List<Instruction> code) {
        Deque<Value> stack = new ArrayDeque<>();
        for (Instruction instruction : code) {
            if (!apply(instruction, stack)) {
                return null;
            }
        }
        return stack;
    }

    private boolean apply(Instruction instruction, Deque<Value> stack) {
        switch (instruction) {
            case ConstantInstruction constant
            when constant.typeKind() == TypeKind.INT ->
                stack.push(new Value(Value.NONE, 0, (Integer) constant.constantValue()));
            case LoadInstruction load
            when load.typeKind() == TypeKind.REFERENCE || load.typeKind() == TypeKind.INT -> {
                boolean fixed = isFixed(load.slot());
                if (!fixed && load.typeKind() == TypeKind.REFERENCE) {
                    return false;
                }
                stack.push(fixed ? Value.FIXED : new Value(load.slot(), 1, null));
            }
            case FieldInstruction field
            when field.opcode() == Opcode.GETFIELD && field.owner().asSymbol().equals(Names.KERNEL_CONTEXT) -> {
                stack.pop();
                stack.push(Value.FIXED);
            }
            case InvokeInstruction invoke
            when OF_THEIR_ARGUMENTS_ONLY.contains(invoke.name().stringValue()) -> {
                int taken = invoke.typeSymbol().parameterCount() + (invoke.opcode() == Opcode.INVOKESTATIC ? 0 : 1);
                for (int i = 0; i < taken; i++) {
                    if (stack.isEmpty() || !stack.pop().isFixed()) {
                        return false;
                    }
                }
                stack.push(Value.FIXED);
            }
            case OperatorInstruction operator when operator.opcode() == Opcode.ARRAYLENGTH -> {
                // of an array that is fixed
            }
            case OperatorInstruction operator
            when operator.typeKind() == TypeKind.INT && stack.size() >= 2 -> {
                Value right = stack.pop();
                Value left = stack.pop();
                Value result = result(operator.opcode(), left, right);
                if (result == null) {
                    return false;
                }
                stack.push(result);
            }
            default -> {
                return false;
            }
        }
        return true;
    }

    private static Value result(Opcode opcode, Value left, Value right) {
        if (left.isFixed() && right.isFixed()) {
            return Value.FIXED;
        }
        if (!left.isFixed() && !right.isFixed()) {
            return null;
        }
        boolean positive = right.constant() != null && right.constant() > 0;
        return switch (opcode) {
            case IADD -> left.isFixed() ? right : left;
            case ISUB -> left.isFixed() ? right.reversed() : left;
            case IMUL -> positive ? left : left.constant() != null && left.constant() > 0 ? right : null;
            case IDIV, ISHL, ISHR -> positive ? left : null;
            default -> null;
        };
    }
}
