package org.tornadoattention.function;

import static org.tornadoattention.function.FunctionClass.NAME;

import java.lang.classfile.CodeBuilder;
import java.lang.classfile.CodeElement;
import java.lang.classfile.Instruction;
import java.lang.classfile.Label;
import java.lang.classfile.Opcode;
import java.lang.classfile.TypeKind;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.ConstantInstruction;
import java.lang.classfile.instruction.ConvertInstruction;
import java.lang.classfile.instruction.IncrementInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LabelTarget;
import java.lang.classfile.instruction.LineNumber;
import java.lang.classfile.instruction.LoadInstruction;
import java.lang.classfile.instruction.NopInstruction;
import java.lang.classfile.instruction.OperatorInstruction;
import java.lang.classfile.instruction.ReturnInstruction;
import java.lang.classfile.instruction.StackInstruction;
import java.lang.classfile.instruction.StoreInstruction;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The text of a method without loops, in a line: every instruction has a predicate, 1 where the text would come to it.
 * What differs where paths meet is chosen by predicates. No number changes once it is made.
 */
final class Predication {

    /** The predicate of what the text always comes to. */
    private static final int ALWAYS = -1;

    /** That of what it never comes to. */
    private static final int NEVER = -2;

    /**
     * A number.
     *
     * @param slot that it is in, or below 0 if it is a constant
     * @param bit whether it is 0 or 1
     * @param notZero whether it is known not to be 0
     */
    private record Operand(
            TypeKind kind, int slot, @Nullable ConstantDesc constant, boolean bit, boolean notZero) {

        static Operand in(int slot, TypeKind kind) {
            return new Operand(kind, slot, null, false, false);
        }

        static Operand bit(int slot) {
            return new Operand(TypeKind.INT, slot, null, true, false);
        }

        boolean is(int number) {
            return Integer.valueOf(number).equals(constant);
        }
    }

    private record Variable(int slot, TypeKind kind) {}

    /** What the jumps to a label bring. */
    private record Arrival(int predicate, List<Operand> stack) {}

    private final IfConversion names;
    private final CodeBuilder code;
    private final Map<Variable, Operand> variables = new HashMap<>();
    private final Map<Label, Arrival> arrivals = new HashMap<>();
    private final int all;
    private List<Operand> stack = new ArrayList<>();
    private int live;
    private @Nullable Arrival end;

    /**
     * @param type of the text, without a guard
     * @param notZero slots of parameters that are known not to be 0
     */
    Predication(IfConversion names, CodeBuilder code, MethodTypeDesc type, boolean guard, Set<Integer> notZero) {
        this.names = names;
        this.code = code;
        int slot = 0;
        for (ClassDesc parameter : type.parameterList()) {
            TypeKind kind = TypeKind.from(parameter).asLoadable();
            variables.put(new Variable(slot, kind), new Operand(kind, slot, null, false, notZero.contains(slot)));
            slot += kind.slotSize();
        }
        this.all = guard ? slot : ALWAYS;
        this.live = all;
    }

    void write(List<CodeElement> elements) {
        for (CodeElement element : elements) {
            switch (element) {
                case LabelTarget target -> arrive(target.label());
                case LineNumber number when live != NEVER -> code.with(number);
                case Instruction instruction when live != NEVER -> translate(instruction);
                default -> {
                    // unreachable, or made anew
                }
            }
        }
        Operand result = Objects.requireNonNull(end).stack().getLast();
        get(result);
        code.return_(result.kind());
    }

    // Paths

    private void jump(Label target, int predicate) {
        if (predicate != NEVER) {
            Arrival before = arrivals.get(target);
            arrivals.put(target, before == null ? new Arrival(predicate, List.copyOf(stack)) : meet(predicate, before));
        }
    }

    private void arrive(Label label) {
        Arrival arrival = arrivals.remove(label);
        if (arrival != null) {
            Arrival met = live == NEVER ? arrival : meet(live, arrival);
            stack = new ArrayList<>(met.stack());
            boolean onlyPath = arrivals.isEmpty() && end == null;
            live = onlyPath ? all : met.predicate();
        }
    }

    /** What there is where this path, of a predicate, meets another. */
    private Arrival meet(int predicate, Arrival other) {
        List<Operand> chosen = new ArrayList<>();
        for (int depth = 0; depth < stack.size(); depth++) {
            chosen.add(choose(predicate, stack.get(depth), other.stack().get(depth)));
        }
        return new Arrival(or(predicate, other.predicate()), chosen);
    }

    // Predicates

    private int made() {
        int slot = code.allocateLocal(TypeKind.INT);
        code.istore(slot);
        return slot;
    }

    private int not(int predicate) {
        if (predicate < 0) {
            return predicate == ALWAYS ? NEVER : ALWAYS;
        }
        code.iload(predicate).iconst_1().ixor();
        return made();
    }

    private int and(int one, int other) {
        if (one == ALWAYS || other == NEVER) {
            return other;
        }
        if (other == ALWAYS || one == NEVER) {
            return one;
        }
        code.iload(one).iload(other).iand();
        return made();
    }

    private int or(int one, int other) {
        return one == ALWAYS || other == ALWAYS ? ALWAYS : either(one, other);
    }

    private int either(int one, int other) {
        code.iload(one).iload(other).ior();
        return made();
    }

    // Numbers

    private void get(Operand operand) {
        if (operand.constant() == null) {
            code.loadLocal(operand.kind(), operand.slot());
        } else {
            code.loadConstant(operand.constant());
        }
    }

    private Operand made(TypeKind kind) {
        int slot = code.allocateLocal(kind);
        code.storeLocal(kind, slot);
        return Operand.in(slot, kind);
    }

    private Operand pop() {
        return stack.removeLast();
    }

    /** One number where a predicate is 1, else another. */
    private Operand choose(int predicate, Operand one, Operand other) {
        if (predicate == ALWAYS || one.equals(other)) {
            return one;
        }
        if (one.bit() && other.bit()) {
            return chooseBit(predicate, one, other);
        }
        Label otherwise = code.newLabel();
        Label chosen = code.newLabel();
        code.iload(predicate).ifeq(otherwise);
        get(one);
        code.goto_(chosen).labelBinding(otherwise);
        get(other);
        code.labelBinding(chosen);
        return made(one.kind());
    }

    private Operand chooseBit(int predicate, Operand one, Operand other) {
        int opposite = one.is(0) || other.is(1) ? not(predicate) : predicate;
        if (one.constant() != null && other.constant() != null) {
            return Operand.bit(opposite);
        }
        if (one.is(1) || other.is(1)) {
            code.iload(opposite);
            get(one.is(1) ? other : one);
            code.ior();
        } else if (one.is(0) || other.is(0)) {
            code.iload(opposite);
            get(one.is(0) ? other : one);
            code.iand();
        } else {
            code.iload(predicate);
            get(one);
            code.iand();
            code.iload(not(predicate));
            get(other);
            code.iand().ior();
        }
        return Operand.bit(made());
    }

    private void set(Variable variable, Operand value) {
        Operand before = variables.get(variable);
        variables.put(variable, live == all || before == null ? value : choose(live, value, before));
    }

    // Instructions

    private void translate(Instruction instruction) {
        switch (instruction) {
            case ConstantInstruction constant -> {
                ConstantDesc value = constant.constantValue();
                boolean bit = value.equals(0) || value.equals(1);
                boolean notZero = GuardedCopy.isNotZero(value);
                stack.add(new Operand(constant.typeKind().asLoadable(), -1, value, bit, notZero));
            }
            case LoadInstruction load ->
                stack.add(Objects.requireNonNull(
                        variables.get(new Variable(load.slot(), load.typeKind().asLoadable()))));
            case StoreInstruction store ->
                set(new Variable(store.slot(), store.typeKind().asLoadable()), pop());
            case IncrementInstruction increment -> {
                Variable variable = new Variable(increment.slot(), TypeKind.INT);
                get(Objects.requireNonNull(variables.get(variable)));
                code.loadConstant(increment.constant()).iadd();
                set(variable, made(TypeKind.INT));
            }
            case OperatorInstruction operator -> operator(operator);
            case ConvertInstruction convert -> {
                get(pop());
                code.with(convert);
                stack.add(made(convert.toType().asLoadable()));
            }
            case StackInstruction shuffle -> shuffle(shuffle.opcode());
            case InvokeInstruction call -> call(call);
            case BranchInstruction branch -> branch(branch);
            case ReturnInstruction _ -> {
                stack = new ArrayList<>(List.of(stack.getLast()));
                end = end == null ? new Arrival(live, List.copyOf(stack)) : meet(live, end);
                live = NEVER;
            }
            case NopInstruction _ -> {
                // nothing
            }
            default -> throw new IllegalStateException("A function has the instruction " + instruction.opcode());
        }
    }

    private void branch(BranchInstruction branch) {
        if (!IfConversion.isConditional(branch)) {
            jump(branch.target(), live);
            live = NEVER;
            return;
        }
        boolean two = switch (branch.opcode()) {
            case IFEQ, IFNE, IFLT, IFGE, IFGT, IFLE -> false;
            default -> true;
        };
        Operand last = pop();
        if (two) {
            get(pop());
        }
        get(last);
        Label taken = code.newLabel();
        Label known = code.newLabel();
        code.branch(branch.opcode(), taken)
                .iconst_1()
                .goto_(known)
                .labelBinding(taken)
                .iconst_0()
                .labelBinding(known);
        int passed = made();
        jump(branch.target(), and(live, not(passed)));
        live = and(live, passed);
    }

    private void operator(OperatorInstruction operator) {
        Opcode opcode = operator.opcode();
        boolean unary = switch (opcode) {
            case INEG, LNEG, FNEG, DNEG -> true;
            default -> false;
        };
        TypeKind result = switch (opcode) {
            case LCMP, FCMPL, FCMPG, DCMPL, DCMPG -> TypeKind.INT;
            default -> operator.typeKind().asLoadable();
        };
        Operand last = pop();
        boolean bit = false;
        if (!unary) {
            Operand first = pop();
            get(first);
            bit = first.bit() && last.bit() && isLogic(opcode);
        }
        get(last);
        if (GuardedCopy.isDivision(opcode) && live != ALWAYS && !last.notZero()) {
            GuardedCopy.makeDivisor(code, operator.typeKind(), live);
        }
        code.with(operator);
        Operand made = made(result);
        stack.add(bit ? Operand.bit(made.slot()) : made);
    }

    private static boolean isLogic(Opcode opcode) {
        return opcode == Opcode.IAND || opcode == Opcode.IOR || opcode == Opcode.IXOR;
    }

    private void call(InvokeInstruction call) {
        MethodTypeDesc type = call.typeSymbol();
        int count = type.parameterCount() + (call.opcode() == Opcode.INVOKESTATIC ? 0 : 1);
        List<Operand> operands = stack.subList(stack.size() - count, stack.size());
        operands.forEach(this::get);
        operands.clear();
        if (live != ALWAYS && IfConversion.isOwn(call)) {
            code.iload(live).invokestatic(NAME, names.guard(call.name().stringValue()), IfConversion.withGuard(type));
        } else {
            if (live != ALWAYS && GuardedCopy.readsElement(call)) {
                GuardedCopy.makeIndex(code, live);
            }
            code.with(call);
        }
        Operand made = made(TypeKind.from(type.returnType()).asLoadable());
        boolean bit = type.returnType().equals(ConstantDescs.CD_boolean);
        stack.add(bit ? Operand.bit(made.slot()) : made);
    }

    private void shuffle(Opcode opcode) {
        boolean wide = stack.getLast().kind().slotSize() == 2;
        boolean wideBelow =
                stack.size() > 1 && stack.get(stack.size() - 2).kind().slotSize() == 2;
        switch (opcode) {
            case POP -> pop();
            case POP2 -> {
                pop();
                if (!wide) {
                    pop();
                }
            }
            case DUP -> copy(1, 0);
            case DUP_X1 -> copy(1, 1);
            case DUP_X2 -> copy(1, wideBelow ? 1 : 2);
            case DUP2 -> copy(wide ? 1 : 2, 0);
            case DUP2_X1 -> copy(wide ? 1 : 2, 1);
            case DUP2_X2 -> {
                int top = wide ? 1 : 2;
                boolean below = stack.get(stack.size() - top - 1).kind().slotSize() == 2;
                copy(top, below ? 1 : 2);
            }
            default -> stack.add(stack.size() - 1, pop());
        }
    }

    /** Puts copies of the topmost operands below so many others. */
    private void copy(int top, int others) {
        stack.addAll(stack.size() - top - others, new ArrayList<>(stack.subList(stack.size() - top, stack.size())));
    }
}
