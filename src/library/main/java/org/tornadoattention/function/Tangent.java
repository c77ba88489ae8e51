package org.tornadoattention.function;

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
import java.lang.classfile.instruction.LookupSwitchInstruction;
import java.lang.classfile.instruction.NopInstruction;
import java.lang.classfile.instruction.OperatorInstruction;
import java.lang.classfile.instruction.ReturnInstruction;
import java.lang.classfile.instruction.StackInstruction;
import java.lang.classfile.instruction.StoreInstruction;
import java.lang.classfile.instruction.SwitchCase;
import java.lang.classfile.instruction.TableSwitchInstruction;
import java.lang.constant.ClassDesc;
import java.lang.constant.MethodTypeDesc;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Forward-mode differentiation of a method: the same code, in which each floating-point number that depends on an
 * active parameter has its derivative beside it.
 *
 * <p>Operands that the text has on the stack are local variables here, one for each depth, so that a number and its
 * derivative can both be used as often as a rule needs them. A number that cannot depend on an active parameter has no
 * derivative: not even a 0, which times an infinity would be NaN.
 */
final class Tangent {

    /**
     * What is differentiated.
     *
     * @param method the method
     * @param active for each parameter, whether its derivative is given
     */
    record Key(Method method, List<Boolean> active) {

        Key {
            active = List.copyOf(active);
        }

        /** The derivative of a score function with respect to the score, the first parameter after what it captured. */
        static Key ofScore(Code score) {
            List<Boolean> active = new ArrayList<>();
            for (int i = 0; i < score.type().parameterCount(); i++) {
                active.add(i == score.captured().size());
            }
            return new Key(Method.of(score), active);
        }

        /**
         * Takes the parameters of the method, then the derivatives of the active ones, and gives that of the result.
         */
        MethodTypeDesc type() {
            MethodTypeDesc type = method.type();
            List<ClassDesc> parameters = new ArrayList<>(type.parameterList());
            for (int i = 0; i < active.size(); i++) {
                if (active.get(i)) {
                    parameters.add(type.parameterType(i));
                }
            }
            return MethodTypeDesc.of(type.returnType(), parameters);
        }
    }

    /** An operand: its kind, and whether it has a derivative. */
    private record Operand(TypeKind kind, boolean active) {}

    /** A local variable of the text, or an operand at a depth of the stack. */
    private record Place(boolean stack, int index, TypeKind kind, boolean derivative) {}

    /** What has no derivative that is known, with the line. */
    private static final class NotDifferentiable extends RuntimeException {

        private static final long serialVersionUID = 1L;

        NotDifferentiable(String why) {
            super(why, null, false, false);
        }
    }

    private final Key key;
    private final @Nullable FunctionClass names;
    private final Map<Place, Integer> slots = new HashMap<>();
    private final Map<Label, List<Operand>> states = new HashMap<>();

    /** Variables of the text that may hold a number with a derivative. */
    private final Set<Place> activeVariables = new HashSet<>();

    private List<Operand> stack = new ArrayList<>();

    /** Whole numbers of the text that are operands, by depth; one in a variable would hide that a loop is counted. */
    private final Map<Integer, Integer> constants = new HashMap<>();

    private @Nullable CodeBuilder code;

    /** Whether something leads here. */
    private boolean reached = true;

    private int line;

    /** @param names of other methods' copies and derivatives, or null to see only whether there is a derivative */
    Tangent(Key key, @Nullable FunctionClass names) {
        this.key = key;
        this.names = names;
    }

    /** Why there is no derivative, empty if there is one. */
    static Optional<String> obstacle(Key key) {
        return obstacle(key, new HashSet<>());
    }

    private static Optional<String> obstacle(Key key, Set<Key> seen) {
        Tangent tangent = new Tangent(key, null);
        try {
            Set<Key> called = tangent.findActiveVariables();
            for (Key other : called) {
                if (seen.add(other)) {
                    Optional<String> obstacle = obstacle(other, seen);
                    if (obstacle.isPresent()) {
                        return obstacle;
                    }
                }
            }
            return Optional.empty();
        } catch (NotDifferentiable e) {
            return Optional.of("%s (%s:%d)"
                    .formatted(
                            e.getMessage(), SourceClass.of(key.method().owner()).file(), tangent.line));
        }
    }

    private final Set<Key> calls = new HashSet<>();

    /** Goes through the text without writing, until no further variable turns out to be active. */
    private Set<Key> findActiveVariables() {
        int before;
        do {
            before = activeVariables.size();
            translate();
        } while (activeVariables.size() > before);
        return calls;
    }

    void write(CodeBuilder builder) {
        findActiveVariables();
        code = builder;
        MethodTypeDesc type = key.method().type();
        int slot = 0;
        int derivative = type.parameterList().stream()
                .mapToInt(parameter -> TypeKind.from(parameter).slotSize())
                .sum();
        List<Integer> zeroed = new ArrayList<>();
        for (int i = 0; i < type.parameterCount(); i++) {
            TypeKind kind = TypeKind.from(type.parameterType(i)).asLoadable();
            slots.put(new Place(false, slot, kind, false), slot);
            if (key.active().get(i)) {
                slots.put(new Place(false, slot, kind, true), derivative);
                derivative += kind.slotSize();
            } else if (activeVariables.contains(new Place(false, slot, kind, true))) {
                zeroed.add(slot);
            }
            slot += kind.slotSize();
        }
        for (int parameter : zeroed) {
            for (TypeKind kind : List.of(TypeKind.FLOAT, TypeKind.DOUBLE)) {
                Place place = new Place(false, parameter, kind, true);
                if (activeVariables.contains(place) && slots.containsKey(new Place(false, parameter, kind, false))) {
                    zero(kind);
                    put(place);
                }
            }
        }
        translate();
    }

    private void translate() {
        stack = new ArrayList<>();
        constants.clear();
        reached = true;
        states.clear();
        int slot = 0;
        MethodTypeDesc type = key.method().type();
        for (int i = 0; i < type.parameterCount(); i++) {
            TypeKind kind = TypeKind.from(type.parameterType(i)).asLoadable();
            if (key.active().get(i)) {
                activeVariables.add(new Place(false, slot, kind, true));
            }
            slot += kind.slotSize();
        }
        for (CodeElement element : key.method().code()) {
            switch (element) {
                case LabelTarget target -> pass(target);
                case LineNumber number -> {
                    line = number.line();
                    if (code != null) {
                        code.with(number);
                    }
                }
                case Instruction instruction when reached -> translate(instruction);
                default -> {
                    // unreachable, or made anew
                }
            }
        }
    }

    private static boolean real(TypeKind kind) {
        return kind == TypeKind.FLOAT || kind == TypeKind.DOUBLE;
    }

    // Operands and variables

    private void get(Place place) {
        if (code != null) {
            code.loadLocal(place.kind(), slot(place));
        }
    }

    private void put(Place place) {
        emit(c -> c.storeLocal(place.kind(), slots.computeIfAbsent(place, added -> c.allocateLocal(added.kind()))));
    }

    private int slot(Place place) {
        return Objects.requireNonNull(slots.get(place), "place");
    }

    private Place value(int depth) {
        return new Place(true, depth, stack.get(depth).kind(), false);
    }

    private Place derivative(int depth) {
        return new Place(true, depth, stack.get(depth).kind(), true);
    }

    private Operand pop() {
        return stack.removeLast();
    }

    /** Takes what the real stack has on top as a new operand. */
    private void push(TypeKind kind, boolean active) {
        stack.add(new Operand(kind, active));
        constants.remove(stack.size() - 1);
        put(value(stack.size() - 1));
    }

    private void emit(java.util.function.Consumer<CodeBuilder> what) {
        if (code != null) {
            what.accept(code);
        }
    }

    private void zero(TypeKind kind) {
        emit(c -> c.loadConstant(kind == TypeKind.FLOAT ? (java.lang.constant.ConstantDesc) 0f : 0d));
    }

    /** Where paths meet, every real number on the stack has a derivative. */
    private void settle() {
        for (int depth = 0; depth < stack.size(); depth++) {
            Operand operand = stack.get(depth);
            if (real(operand.kind()) && !operand.active()) {
                zero(operand.kind());
                put(derivative(depth));
                stack.set(depth, new Operand(operand.kind(), true));
            }
        }
    }

    private void pass(LabelTarget target) {
        constants.clear();
        List<Operand> arriving = states.get(target.label());
        if (reached) {
            settle();
        } else if (arriving != null) {
            stack = new ArrayList<>(arriving);
            reached = true;
        }
        if (code != null) {
            code.with(target);
        }
    }

    private void jump(Label target) {
        states.put(target, List.copyOf(stack));
    }

    // Instructions

    private void translate(Instruction instruction) {
        switch (instruction) {
            case ConstantInstruction constant -> {
                emit(c -> c.loadConstant(constant.constantValue()));
                push(constant.typeKind().asLoadable(), false);
                if (constant.constantValue() instanceof Integer number) {
                    constants.put(stack.size() - 1, number);
                }
            }
            case LoadInstruction load -> {
                Place variable = new Place(false, load.slot(), load.typeKind(), false);
                Place tangent = new Place(false, load.slot(), load.typeKind(), true);
                get(variable);
                boolean active = activeVariables.contains(tangent);
                push(load.typeKind(), active);
                if (active) {
                    get(tangent);
                    put(derivative(stack.size() - 1));
                }
            }
            case StoreInstruction store -> {
                int depth = stack.size() - 1;
                Place variable = new Place(false, store.slot(), store.typeKind(), false);
                Place tangent = new Place(false, store.slot(), store.typeKind(), true);
                get(value(depth));
                put(variable);
                if (stack.get(depth).active()) {
                    activeVariables.add(tangent);
                    get(derivative(depth));
                    put(tangent);
                } else if (activeVariables.contains(tangent)) {
                    zero(store.typeKind());
                    put(tangent);
                }
                pop();
            }
            case IncrementInstruction increment ->
                emit(c -> c.iinc(slot(new Place(false, increment.slot(), TypeKind.INT, false)), increment.constant()));
            case OperatorInstruction operator -> operator(operator);
            case ConvertInstruction convert -> convert(convert);
            case StackInstruction shuffle -> {
                constants.clear();
                shuffle(shuffle.opcode());
            }
            case InvokeInstruction call -> call(call);
            case BranchInstruction branch -> branch(branch);
            case TableSwitchInstruction choice -> choose(choice, choice.defaultTarget(), choice.cases());
            case LookupSwitchInstruction choice -> choose(choice, choice.defaultTarget(), choice.cases());
            case ReturnInstruction result -> {
                int depth = stack.size() - 1;
                if (stack.get(depth).active()) {
                    get(derivative(depth));
                } else {
                    emit(c -> c.loadConstant(
                            result.typeKind() == TypeKind.DOUBLE ? (java.lang.constant.ConstantDesc) 0d : 0f));
                }
                emit(c -> c.return_(result.typeKind()));
                reached = false;
            }
            case NopInstruction _ -> {
                // nothing
            }
            default -> throw new NotDifferentiable("uses " + instruction.opcode());
        }
    }

    private void branch(BranchInstruction branch) {
        int operands = switch (branch.opcode()) {
            case GOTO, GOTO_W -> 0;
            case IF_ICMPEQ, IF_ICMPNE, IF_ICMPLT, IF_ICMPGE, IF_ICMPGT, IF_ICMPLE -> 2;
            default -> 1;
        };
        int first = stack.size() - operands;
        List<Place> compared = new ArrayList<>();
        for (int i = 0; i < operands; i++) {
            compared.add(value(first + i));
        }
        for (int i = 0; i < operands; i++) {
            pop();
        }
        settle();
        for (int i = 0; i < operands; i++) {
            Place place = compared.get(i);
            Integer constant = constants.get(first + i);
            if (constant == null) {
                get(place);
            } else {
                emit(c -> c.loadConstant(constant));
            }
        }
        jump(branch.target());
        emit(c -> c.with(branch));
        if (operands == 0) {
            reached = false;
        }
    }

    private void choose(Instruction choice, Label otherwise, List<SwitchCase> cases) {
        Place chosen = value(stack.size() - 1);
        pop();
        settle();
        get(chosen);
        jump(otherwise);
        cases.forEach(each -> jump(each.target()));
        emit(c -> c.with(choice));
        reached = false;
    }

    private void convert(ConvertInstruction convert) {
        int depth = stack.size() - 1;
        boolean active = stack.get(depth).active() && real(convert.toType());
        Place from = value(depth);
        Place tangent = derivative(depth);
        pop();
        if (active) {
            get(tangent);
            emit(c -> c.with(convert));
            put(new Place(true, depth, convert.toType().asLoadable(), true));
        }
        get(from);
        emit(c -> c.with(convert));
        push(convert.toType().asLoadable(), active);
    }

    /** Each operand of the new stack's top is a copy of one of the old. */
    private void shuffle(Opcode opcode) {
        int top = stack.size() - 1;
        boolean wide = stack.get(top).kind().slotSize() == 2;
        boolean wideBelow = top > 0 && stack.get(top - 1).kind().slotSize() == 2;
        switch (opcode) {
            case POP -> pop();
            case POP2 -> {
                pop();
                if (!wide) {
                    pop();
                }
            }
            case DUP -> rearrange(1, 0, 0);
            case DUP_X1 -> rearrange(2, 1, 0, 1);
            case DUP_X2 -> {
                if (wideBelow) {
                    rearrange(2, 1, 0, 1);
                } else {
                    rearrange(3, 2, 0, 1, 2);
                }
            }
            case DUP2 -> {
                if (wide) {
                    rearrange(1, 0, 0);
                } else {
                    rearrange(2, 0, 1, 0, 1);
                }
            }
            case SWAP -> rearrange(2, 1, 0);
            default -> throw new NotDifferentiable("uses " + opcode);
        }
    }

    /** Takes so many operands away and puts copies of them, by their number from the deepest, in their place. */
    private void rearrange(int taken, int... copies) {
        int base = stack.size() - taken;
        List<Operand> old = new ArrayList<>(stack.subList(base, stack.size()));
        for (int copy : copies) {
            get(value(base + copy));
            if (old.get(copy).active()) {
                get(derivative(base + copy));
            }
        }
        for (int i = 0; i < taken; i++) {
            pop();
        }
        for (int copy : copies) {
            stack.add(old.get(copy));
        }
        for (int i = copies.length - 1; i >= 0; i--) {
            if (stack.get(base + i).active()) {
                put(derivative(base + i));
            }
            put(value(base + i));
        }
    }

    private void operator(OperatorInstruction operator) {
        Opcode opcode = operator.opcode();
        boolean unary = switch (opcode) {
            case INEG, LNEG, FNEG, DNEG -> true;
            default -> false;
        };
        int depth = stack.size() - (unary ? 1 : 2);
        Rule rule = new Rule(depth, unary ? 1 : 2);
        TypeKind result = switch (opcode) {
            case LCMP, FCMPL, FCMPG, DCMPL, DCMPG -> TypeKind.INT;
            default -> operator.typeKind().asLoadable();
        };
        boolean active = rule.active() && real(result);
        if (active) {
            switch (opcode) {
                case FADD, DADD -> rule.sum(false);
                case FSUB, DSUB -> rule.sum(true);
                case FMUL, DMUL -> rule.product();
                case FDIV, DDIV -> rule.quotient();
                case FNEG, DNEG -> rule.negation();
                default -> throw new NotDifferentiable("uses " + opcode);
            }
        }
        rule.finish(result, active, c -> c.with(operator));
    }

    private void call(InvokeInstruction call) {
        MethodTypeDesc type = call.typeSymbol();
        TypeKind result = TypeKind.from(type.returnType()).asLoadable();
        Optional<KnownMethods.Target> known = KnownMethods.mathematics(call);
        Optional<Method> own = key.method().called(call);
        int count = type.parameterCount() + (call.opcode() == Opcode.INVOKESTATIC ? 0 : 1);
        Rule rule = new Rule(stack.size() - count, count);
        boolean active = rule.active() && real(result);
        if (known.isPresent()) {
            KnownMethods.Target target = KnownMethods.exact(known.get());
            boolean flat = Set.of("floor", "ceil").contains(target.name());
            if (active && !flat) {
                rule.mathematics(known.get().name());
            }
            rule.finish(result, active && !flat, c -> c.invokestatic(target.owner(), target.name(), target.type()));
        } else if (own.isPresent()) {
            if (active) {
                Key other = new Key(own.get(), rule.activeOperands());
                calls.add(other);
                rule.loadAll();
                rule.loadDerivatives();
                emit(c -> c.invokestatic(
                        FunctionClass.NAME, Objects.requireNonNull(names).tangent(other), other.type()));
                rule.keep();
            }
            rule.finish(
                    result,
                    active,
                    c -> c.invokestatic(
                            FunctionClass.NAME,
                            Objects.requireNonNull(names).name(own.get()),
                            own.get().type()));
        } else {
            rule.finish(result, false, c -> c.with(call));
        }
    }

    /** The derivative of what is computed from the topmost operands. */
    private final class Rule {

        private final int base;
        private final int count;
        private final TypeKind kind;
        private int kept = -1;

        Rule(int base, int count) {
            this.base = base;
            this.count = count;
            this.kind = count == 0 ? TypeKind.INT : stack.get(stack.size() - 1).kind();
        }

        boolean active() {
            return activeOperands().contains(true);
        }

        List<Boolean> activeOperands() {
            return stack.subList(base, base + count).stream()
                    .map(Operand::active)
                    .toList();
        }

        private boolean isActive(int operand) {
            return stack.get(base + operand).active();
        }

        private void x(int operand) {
            get(value(base + operand));
        }

        private void dx(int operand) {
            get(derivative(base + operand));
        }

        void loadAll() {
            for (int i = 0; i < count; i++) {
                x(i);
            }
        }

        void loadDerivatives() {
            for (int i = 0; i < count; i++) {
                if (isActive(i)) {
                    dx(i);
                }
            }
        }

        private TypeKind number() {
            for (int i = 0; i < count; i++) {
                if (isActive(i)) {
                    return stack.get(base + i).kind();
                }
            }
            return kind;
        }

        /** Puts what the real stack has on top aside, as the result's derivative. */
        void keep() {
            if (code != null) {
                TypeKind of = number();
                kept = code.allocateLocal(of);
                code.storeLocal(of, kept);
            }
        }

        private void keepAs(TypeKind of) {
            if (code != null) {
                kept = code.allocateLocal(of);
                code.storeLocal(of, kept);
            }
        }

        /** Computes the value, and puts it with its derivative in place of the operands. */
        void finish(TypeKind result, boolean active, java.util.function.Consumer<CodeBuilder> compute) {
            loadAll();
            emit(compute);
            for (int i = 0; i < count; i++) {
                pop();
            }
            push(result, active);
            if (active && code != null) {
                code.loadLocal(result, kept);
                put(derivative(base));
            }
        }

        private boolean isFloat() {
            return number() == TypeKind.FLOAT;
        }

        private void add() {
            emit(c -> {
                if (isFloat()) {
                    c.fadd();
                } else {
                    c.dadd();
                }
            });
        }

        private void sub() {
            emit(c -> {
                if (isFloat()) {
                    c.fsub();
                } else {
                    c.dsub();
                }
            });
        }

        private void mul() {
            emit(c -> {
                if (isFloat()) {
                    c.fmul();
                } else {
                    c.dmul();
                }
            });
        }

        private void div() {
            emit(c -> {
                if (isFloat()) {
                    c.fdiv();
                } else {
                    c.ddiv();
                }
            });
        }

        private void neg() {
            emit(c -> {
                if (isFloat()) {
                    c.fneg();
                } else {
                    c.dneg();
                }
            });
        }

        private void number(double value) {
            emit(c -> c.loadConstant(isFloat() ? (java.lang.constant.ConstantDesc) (float) value : value));
        }

        private void function(String name) {
            TypeKind of = number();
            ClassDesc type = of == TypeKind.FLOAT
                    ? java.lang.constant.ConstantDescs.CD_float
                    : java.lang.constant.ConstantDescs.CD_double;
            boolean two = name.equals("pow");
            KnownMethods.Target target = KnownMethods.exact(new KnownMethods.Target(
                    KnownMethods.TORNADO_MATH,
                    name,
                    two ? MethodTypeDesc.of(type, type, type) : MethodTypeDesc.of(type, type)));
            emit(c -> c.invokestatic(target.owner(), target.name(), target.type()));
        }

        void sum(boolean difference) {
            if (isActive(0) && isActive(1)) {
                dx(0);
                dx(1);
                if (difference) {
                    sub();
                } else {
                    add();
                }
            } else if (isActive(0)) {
                dx(0);
            } else {
                dx(1);
                if (difference) {
                    neg();
                }
            }
            keep();
        }

        /**
         * {@code da b − a (−db)}, which is {@code da b + a db}: of the sum of one and the same product with itself, as
         * a square has it, TornadoVM's CUDA and PTX compilers make no fused multiply-add, but an exception.
         */
        void product() {
            boolean both = isActive(0) && isActive(1);
            if (isActive(0)) {
                dx(0);
                x(1);
                mul();
            }
            if (isActive(1)) {
                x(0);
                dx(1);
                if (both) {
                    neg();
                }
                mul();
            }
            if (both) {
                sub();
            }
            keep();
        }

        /** (da − (a / b) db) / b */
        void quotient() {
            if (isActive(0)) {
                dx(0);
            }
            if (isActive(1)) {
                x(0);
                x(1);
                div();
                dx(1);
                mul();
                if (isActive(0)) {
                    sub();
                } else {
                    neg();
                }
            }
            x(1);
            div();
            keep();
        }

        void negation() {
            dx(0);
            neg();
            keep();
        }

        void remainder() {
            if (isActive(1)) {
                throw new NotDifferentiable("takes a remainder of a division by what depends on the score");
            }
            dx(0);
            keep();
        }

        /** Chooses between the derivatives of two operands. */
        private void choice(boolean least) {
            TypeKind of = number();
            Label second = code == null ? null : code.newLabel();
            Label end = code == null ? null : code.newLabel();
            x(0);
            x(1);
            emit(c -> {
                if (of == TypeKind.FLOAT) {
                    c.fcmpl();
                } else {
                    c.dcmpl();
                }
                if (least) {
                    c.ifgt(second);
                } else {
                    c.iflt(second);
                }
            });
            part(0, of);
            emit(c -> c.goto_(end).labelBinding(second));
            part(1, of);
            emit(c -> c.labelBinding(end));
            keepAs(of);
        }

        private void part(int operand, TypeKind of) {
            if (isActive(operand)) {
                dx(operand);
            } else {
                zero(of);
            }
        }

        void mathematics(String name) {
            switch (name) {
                case "min" -> {
                    choice(true);
                    return;
                }
                case "max" -> {
                    choice(false);
                    return;
                }
                case "abs" -> {
                    absolute();
                    return;
                }
                case "pow" -> {
                    power();
                    return;
                }
                case "atan2" -> {
                    angle();
                    return;
                }
                case "remainder" -> {
                    remainder();
                    return;
                }
                default -> dx(0);
            }
            switch (name) {
                case "exp" -> {
                    x(0);
                    function("exp");
                    mul();
                }
                case "log" -> {
                    x(0);
                    div();
                }
                case "sqrt" -> {
                    number(2);
                    x(0);
                    function("sqrt");
                    mul();
                    div();
                }
                case "sin" -> {
                    x(0);
                    function("cos");
                    mul();
                }
                case "cos" -> {
                    x(0);
                    function("sin");
                    mul();
                    neg();
                }
                case "tan" -> {
                    x(0);
                    function("cos");
                    div();
                    x(0);
                    function("cos");
                    div();
                }
                case "tanh" -> {
                    number(1);
                    x(0);
                    function("tanh");
                    x(0);
                    function("tanh");
                    mul();
                    sub();
                    mul();
                }
                case "asin", "acos" -> {
                    number(1);
                    square();
                    sub();
                    function("sqrt");
                    div();
                    if (name.equals("acos")) {
                        neg();
                    }
                }
                case "atan" -> {
                    number(1);
                    square();
                    add();
                    div();
                }
                case "asinh", "acosh" -> {
                    square();
                    number(name.equals("asinh") ? 1 : -1);
                    add();
                    function("sqrt");
                    div();
                }
                case "sinpi", "cospi" -> {
                    x(0);
                    function(name.equals("sinpi") ? "cospi" : "sinpi");
                    number(name.equals("sinpi") ? Math.PI : -Math.PI);
                    mul();
                    mul();
                }
                case "toRadians" -> {
                    number(Math.PI / 180);
                    mul();
                }
                default -> throw new NotDifferentiable("calls %s, whose derivative is not known".formatted(name));
            }
            keep();
        }

        private void square() {
            x(0);
            x(0);
            mul();
        }

        private void absolute() {
            TypeKind of = number();
            Label negative = code == null ? null : code.newLabel();
            Label end = code == null ? null : code.newLabel();
            x(0);
            zero(of);
            emit(c -> {
                if (of == TypeKind.FLOAT) {
                    c.fcmpg();
                } else {
                    c.dcmpg();
                }
                c.iflt(negative);
            });
            dx(0);
            emit(c -> c.goto_(end).labelBinding(negative));
            dx(0);
            neg();
            emit(c -> c.labelBinding(end));
            keepAs(of);
        }

        /** b a^(b − 1) da + a^b ln a db */
        private void power() {
            if (isActive(0)) {
                x(1);
                x(0);
                x(1);
                number(1);
                sub();
                function("pow");
                mul();
                dx(0);
                mul();
            }
            if (isActive(1)) {
                x(0);
                x(1);
                function("pow");
                x(0);
                function("log");
                mul();
                dx(1);
                mul();
            }
            if (isActive(0) && isActive(1)) {
                add();
            }
            keep();
        }

        /** (x dy − y dx) / (x² + y²), of y and x in this order */
        private void angle() {
            if (isActive(0)) {
                x(1);
                dx(0);
                mul();
            }
            if (isActive(1)) {
                x(0);
                dx(1);
                mul();
                if (isActive(0)) {
                    sub();
                } else {
                    neg();
                }
            }
            x(0);
            x(0);
            mul();
            x(1);
            x(1);
            mul();
            add();
            div();
            keep();
        }
    }
}
