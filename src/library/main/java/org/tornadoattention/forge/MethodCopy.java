package org.tornadoattention.forge;

import java.lang.classfile.ClassBuilder;
import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.CodeElement;
import java.lang.classfile.Instruction;
import java.lang.classfile.Label;
import java.lang.classfile.MethodModel;
import java.lang.classfile.Opcode;
import java.lang.classfile.TypeKind;
import java.lang.classfile.attribute.CodeAttribute;
import java.lang.classfile.instruction.ArrayLoadInstruction;
import java.lang.classfile.instruction.ArrayStoreInstruction;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.ConstantInstruction;
import java.lang.classfile.instruction.ExceptionCatch;
import java.lang.classfile.instruction.FieldInstruction;
import java.lang.classfile.instruction.IncrementInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LabelTarget;
import java.lang.classfile.instruction.LineNumber;
import java.lang.classfile.instruction.LoadInstruction;
import java.lang.classfile.instruction.LocalVariable;
import java.lang.classfile.instruction.LookupSwitchInstruction;
import java.lang.classfile.instruction.OperatorInstruction;
import java.lang.classfile.instruction.ReturnInstruction;
import java.lang.classfile.instruction.StackInstruction;
import java.lang.classfile.instruction.StoreInstruction;
import java.lang.classfile.instruction.SwitchCase;
import java.lang.classfile.instruction.TableSwitchInstruction;
import java.lang.classfile.instruction.ThrowInstruction;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.kernel.parts.RegisterTile;

/**
 * A static method as a form has it: instructions that touch an array of another type, calls that such an array is given
 * to, and variables in other slots.
 *
 * <p>A phase of a kernel has no method of its own: its code is put where it is called, with variables in slots that the
 * caller has no use for.
 *
 * <p>The text is read once, from the first instruction to the last. Where a method that takes one array and always
 * gives the same, such as "is this an array of halves?", decides a condition, the other branch is left out.
 */
final class MethodCopy {

    /** Where a phase ends, among its labels. */
    private static final Object END = new Object();

    private final ClassCopies copies;
    private final ClassDesc owner;
    private final MethodModel text;
    private final Parameters parameters;
    private final Optional<ParallelLoop> loop;
    private final List<CodeElement> elements;
    private final List<Consumer<CodeBuilder>> output;

    /** Whose code a phase is a part of; null for a method of its own. */
    private final @Nullable MethodCopy caller;

    /** The labels of a phase, which may be written out more than once, in the method that is being built. */
    private final Map<Object, Label> labels = new HashMap<>();

    private @Nullable CodeBuilder labelled;

    /** The number of the last instruction: behind that of a phase its caller goes on. */
    private final int last;

    /** What is known at labels that a jump leads to, and at those that were passed. */
    private final Map<Label, Flow> jumps = new HashMap<>();

    private final Map<Label, @Nullable Flow> passed = new HashMap<>();

    /** Types of variables other than parameters, by the text's slots. */
    private final Map<Integer, ClassDesc> variables = new HashMap<>();

    /** Register tiles that variables hold, and numbers that parameters of a phase are, by the text's slots. */
    private final Map<Integer, Flow.RegisterElements> tiles = new HashMap<>();

    private final Map<Integer, Integer> numbers = new HashMap<>();

    /** The first slot of the copy that nothing of this method has. */
    private int free;

    /** What is known here; null after a jump. */
    private @Nullable Flow flow;

    private int line;

    MethodCopy(ClassCopies copies, ClassDesc owner, MethodModel text, Parameters parameters) {
        this(
                copies,
                owner,
                text,
                text.code()
                        .orElseThrow(
                                () -> new IllegalStateException("A native method in a kernel: " + ClassText.key(text)))
                        .elementList(),
                parameters,
                Optional.empty());
    }

    MethodCopy(
            ClassCopies copies,
            ClassDesc owner,
            MethodModel text,
            List<CodeElement> elements,
            Parameters parameters,
            Optional<ParallelLoop> loop) {
        this.copies = copies;
        this.owner = owner;
        this.text = text;
        this.elements = elements;
        this.parameters = parameters;
        this.loop = loop;
        this.output = new ArrayList<>();
        this.caller = null;
        this.last = last(elements);
        this.free = parameters.slot(slots(text));
    }

    /** A phase, which becomes a part of the method that calls it. */
    private MethodCopy(ClassCopies.PhaseText phase, Parameters parameters, MethodCopy caller) {
        this.copies = caller.copies;
        this.owner = phase.owner();
        this.text = phase.text();
        this.elements = text.code().orElseThrow().elementList();
        this.parameters = parameters;
        this.loop = Optional.empty();
        this.output = caller.output;
        this.caller = caller;
        this.last = last(elements);
        this.free = parameters.slot(slots(text));
    }

    private static int last(List<CodeElement> elements) {
        int last = elements.size() - 1;
        while (!(elements.get(last) instanceof Instruction)) {
            last--;
        }
        return last;
    }

    private static int slots(MethodModel text) {
        return text.code().map(code -> ((CodeAttribute) code).maxLocals()).orElse(0);
    }

    /** The name and the descriptor of the copy. */
    String key() {
        return text.methodName().stringValue() + parameters.type().descriptorString();
    }

    void write(ClassBuilder builder) {
        boolean initializer = text.methodName().equalsString(ConstantDescs.CLASS_INIT_NAME);
        builder.withMethodBody(
                text.methodName().stringValue(),
                parameters.type(),
                initializer ? ClassFile.ACC_STATIC : ClassFile.ACC_PUBLIC | ClassFile.ACC_STATIC,
                code -> output.forEach(element -> element.accept(code)));
    }

    void translate() {
        flow = parameters.entry();
        if (loop.isPresent()) {
            emit(ParallelLoop::declareContext);
        }
        parameters.constants().forEach(this::setConstant);
        parameters.packed().forEach(this::unpack);
        try {
            for (int i = 0; i < elements.size(); ) {
                i = translate(i);
            }
            if (caller == null) {
                nameAdded();
            } else {
                emit(code -> code.labelBinding(label(code, END)));
            }
        } catch (UnsupportedOperationException e) {
            throw new IllegalStateException(
                    "No form of %s.%s: at line %d it %s"
                            .formatted(ClassText.name(owner), text.methodName(), line, e.getMessage()),
                    e);
        }
    }

    private void setConstant(int slot, @Nullable Number value) {
        emit(code -> (value == null ? code.aconst_null() : code.loadConstant((ConstantDesc) value))
                .storeLocal(TypeKind.from(parameters.type(slot)), parameters.slot(slot)));
    }

    private void unpack(Parameters.Packed pair) {
        emit(code -> code.lload(pair.slot())
                .l2i()
                .istore(parameters.slot(pair.low()))
                .lload(pair.slot())
                .loadConstant(Integer.SIZE)
                .lshr()
                .l2i()
                .istore(parameters.slot(pair.high())));
    }

    /** TornadoVM asks for the names of a kernel's parameters, and takes them in the order of this table. */
    private void nameAdded() {
        List<ClassDesc> types = parameters.type().parameterList();
        int named = types.size() - parameters.packed().size() - parameters.arrays();
        for (int i = 0; i < parameters.arrays(); i++) {
            int number = i;
            emit(code -> code.localVariable(
                    parameters.firstArray() + number,
                    "captured" + number,
                    types.get(named + number),
                    code.startLabel(),
                    code.endLabel()));
        }
        for (Parameters.Packed pair : parameters.packed()) {
            emit(code -> code.localVariable(
                    pair.slot(), "packed" + pair.slot(), ConstantDescs.CD_long, code.startLabel(), code.endLabel()));
        }
    }

    private void emit(Consumer<CodeBuilder> element) {
        output.add(element);
    }

    /** Translates one element, or a few at once, and returns the number of the next. */
    private int translate(int index) {
        CodeElement element = elements.get(index);
        switch (element) {
            case LabelTarget target -> pass(target);
            case LineNumber number -> {
                line = number.line();
                if (flow != null && isOfFile()) {
                    emit(code -> code.with(number));
                }
            }
            case LocalVariable variable -> {
                if (isOfFile()) {
                    emit(code -> declare(code, variable));
                }
            }
            case ExceptionCatch _ -> throw new UnsupportedOperationException("catches an exception");
            case Instruction instruction
            when flow != null -> {
                int next = foldCondition(index);
                if (next > index) {
                    return next;
                }
                translate(instruction, index);
            }
            default -> {
                // unreachable, or generated anew
            }
        }
        return index + 1;
    }

    private void pass(LabelTarget target) {
        Flow jump = jumps.get(target.label());
        if (flow == null) {
            flow = jump;
        } else if (jump != null) {
            flow = flow.merge(jump);
        }
        passed.put(target.label(), flow == null ? null : flow.copy());
        emit(code -> code.labelBinding(label(code, target.label())));
    }

    /** A label of the text in the method that is being built. */
    private Label label(CodeBuilder code, Object ofText) {
        if (caller == null) {
            return (Label) ofText;
        }
        if (labelled != code) {
            labels.clear();
            labelled = code;
        }
        return labels.computeIfAbsent(ofText, _ -> code.newLabel());
    }

    /** Whether lines are those of the file that the method being built names: a phase may be of another. */
    private boolean isOfFile() {
        return caller == null || owner.equals(caller.owner) && caller.isOfFile();
    }

    /**
     * TornadoVM asks for the names of parameters where the method begins. What nothing reaches has no variables;
     * elements of a register tile have the tile's name and their number.
     */
    private void declare(CodeBuilder code, LocalVariable variable) {
        int slot = variable.slot();
        if (numbers.containsKey(slot)) {
            return;
        }
        if (!parameters.isKept(slot)
                && passed.containsKey(variable.startScope())
                && passed.get(variable.startScope()) == null) {
            return;
        }
        Flow.RegisterElements tile = tiles.get(slot);
        if (tile != null && variable.typeSymbol().isArray()) {
            for (int i = 0; i < tile.size(); i++) {
                code.localVariable(
                        tile.firstSlot() + i,
                        variable.name().stringValue() + i,
                        ConstantDescs.CD_float,
                        label(code, variable.startScope()),
                        label(code, variable.endScope()));
            }
            return;
        }
        ClassDesc type = parameters.isParameter(slot)
                ? parameters.type(slot)
                : variables.getOrDefault(slot, variable.typeSymbol());
        code.localVariable(
                parameters.slot(slot),
                variable.name().stringValue(),
                type,
                parameters.isKept(slot) && caller == null ? code.startLabel() : label(code, variable.startScope()),
                label(code, variable.endScope()));
    }

    /** What is known at an instruction that something reaches. */
    private Flow here() {
        return Objects.requireNonNull(flow, "flow");
    }

    private void translate(Instruction instruction, int number) {
        switch (instruction) {
            case LoadInstruction load when tiles.containsKey(load.slot()) -> here().push(tile(load.slot()));
            case LoadInstruction load
            when numbers.containsKey(load.slot()) -> pushKnown(Objects.requireNonNull(numbers.get(load.slot())));
            case ConstantInstruction constant
            when constant.constantValue() instanceof Integer value -> pushKnown(value);
            case OperatorInstruction operator when foldNumbers(operator) -> {
                // its result is on the stack
            }
            case ArrayLoadInstruction load
            when here().peek(1) instanceof Flow.RegisterElements -> {
                int slot = element();
                emit(code -> code.fload(slot));
                here().push(TypeKind.FLOAT, null);
            }
            case ArrayStoreInstruction _
            when here().peek(2) instanceof Flow.RegisterElements -> {
                here().pop(TypeKind.FLOAT);
                int slot = element();
                emit(code -> code.fstore(slot));
            }
            case StackInstruction shuffle
            when shuffle.opcode() == Opcode.DUP2
                    && here().peek(1) instanceof Flow.RegisterElements tile
                    && here().peek(0) instanceof Flow.Known index -> {
                here().push(tile);
                here().push(new Flow.Known(index.value(), -1));
            }
            case StoreInstruction store
            when here().peek(0) instanceof Flow.RegisterElements tile -> {
                here().pop();
                tiles.put(store.slot(), tile);
            }
            case LoadInstruction load -> {
                here().push(load.typeKind(), here().variable(load.slot()));
                emit(code -> code.loadLocal(load.typeKind(), parameters.slot(load.slot())));
            }
            case StoreInstruction store -> {
                ClassDesc type = here().pop(store.typeKind());
                tiles.remove(store.slot());
                here().setVariable(store.slot(), type);
                if (type != null) {
                    variables.put(store.slot(), type);
                }
                if (loop.isPresent() && loop.get().start() == store) {
                    emit(ParallelLoop::addId);
                }
                emit(code -> code.storeLocal(store.typeKind(), parameters.slot(store.slot())));
            }
            case IncrementInstruction increment
            when loop.isPresent() && loop.get().increment() == increment ->
                emit(code -> ParallelLoop.addSize(code, parameters.slot(increment.slot()), increment.constant()));
            case IncrementInstruction increment ->
                emit(code -> code.iinc(parameters.slot(increment.slot()), increment.constant()));
            case InvokeInstruction call -> call(call);
            case BranchInstruction branch -> {
                here().apply(branch);
                jump(branch.target());
                emit(code -> code.branch(branch.opcode(), label(code, branch.target())));
                if (branch.opcode() == Opcode.GOTO || branch.opcode() == Opcode.GOTO_W) {
                    flow = null;
                }
            }
            case TableSwitchInstruction choice -> {
                here().apply(choice);
                jump(choice.defaultTarget());
                choice.cases().stream().map(SwitchCase::target).forEach(this::jump);
                emit(code -> code.tableswitch(
                        choice.lowValue(),
                        choice.highValue(),
                        label(code, choice.defaultTarget()),
                        cases(code, choice.cases())));
                flow = null;
            }
            case LookupSwitchInstruction choice -> {
                here().apply(choice);
                jump(choice.defaultTarget());
                choice.cases().stream().map(SwitchCase::target).forEach(this::jump);
                emit(code -> code.lookupswitch(label(code, choice.defaultTarget()), cases(code, choice.cases())));
                flow = null;
            }
            case ReturnInstruction result -> {
                if (result.typeKind() != TypeKind.VOID && here().top() != null) {
                    throw new UnsupportedOperationException("returns an array");
                }
                if (caller == null) {
                    emit(code -> code.with(result));
                } else if (number < last) {
                    emit(code -> code.goto_(label(code, END)));
                }
                flow = null;
            }
            case ThrowInstruction thrown -> {
                emit(code -> code.with(thrown));
                flow = null;
            }
            case FieldInstruction field -> {
                if (field.opcode() == Opcode.GETSTATIC || field.opcode() == Opcode.PUTSTATIC) {
                    copies.useStaticsOf(field.owner().asSymbol());
                }
                here().apply(field);
                emit(code -> code.with(field));
            }
            default -> {
                here().apply(instruction);
                emit(code -> code.with(instruction));
            }
        }
    }

    private Flow.RegisterElements tile(int slot) {
        return Objects.requireNonNull(tiles.get(slot), "tile");
    }

    private void pushKnown(int value) {
        here().push(new Flow.Known(value, output.size()));
        emit(code -> code.loadConstant(value));
    }

    /** Computes with two known numbers; returns whether it did. */
    private boolean foldNumbers(OperatorInstruction operator) {
        if (!(here().peek(0) instanceof Flow.Known second && here().peek(1) instanceof Flow.Known first)) {
            return false;
        }
        int result;
        switch (operator.opcode()) {
            case IADD -> result = first.value() + second.value();
            case ISUB -> result = first.value() - second.value();
            case IMUL -> result = first.value() * second.value();
            default -> {
                return false;
            }
        }
        here().pop();
        here().pop();
        leaveOut(first);
        leaveOut(second);
        pushKnown(result);
        return true;
    }

    private void leaveOut(Flow.Known number) {
        if (number.instruction() >= 0) {
            output.set(number.instruction(), _ -> {});
        }
    }

    /** Pops an index and the register tile under it; returns the slot of the element. */
    private int element() {
        if (!(here().pop() instanceof Flow.Known index && here().pop() instanceof Flow.RegisterElements tile)) {
            throw new UnsupportedOperationException("indexes a register tile with a number that is not known");
        }
        if (index.value() < 0 || index.value() >= tile.size()) {
            throw new UnsupportedOperationException(
                    "uses element %d of a register tile of %d".formatted(index.value(), tile.size()));
        }
        leaveOut(index);
        return tile.firstSlot() + index.value();
    }

    /** A register tile in place of an array. */
    private void makeTile() {
        Flow.RegisterElements tile = new Flow.RegisterElements(free, RegisterTile.zeros().length);
        free += tile.size();
        emit(code -> {
            for (int i = 0; i < tile.size(); i++) {
                code.fconst_0().fstore(tile.firstSlot() + i);
            }
        });
        here().push(tile);
    }

    private List<SwitchCase> cases(CodeBuilder code, List<SwitchCase> ofText) {
        return ofText.stream()
                .map(choice -> SwitchCase.of(choice.caseValue(), label(code, choice.target())))
                .toList();
    }

    private void jump(Label target) {
        Flow there = passed.get(target);
        if (there == null && passed.containsKey(target)) {
            throw new UnsupportedOperationException("jumps back to code that nothing before it reaches");
        }
        if (there != null && !there.holdsAfter(here())) {
            throw new UnsupportedOperationException("gives a variable an array of another type in a loop");
        }
        Flow other = jumps.get(target);
        jumps.put(target, other == null ? here().copy() : other.merge(here()));
    }

    private void call(InvokeInstruction call) {
        MethodTypeDesc declared = call.typeSymbol();
        ClassDesc type = call.owner().asSymbol();
        String name = call.name().stringValue();
        if (ClassCopies.makesRegisterTile(call)) {
            makeTile();
            return;
        }
        List<Flow.@Nullable Operand> operands = operands(declared);
        List<ClassDesc> actual = here().popArguments(declared);
        boolean isStatic = call.opcode() == Opcode.INVOKESTATIC;
        Integer answer = isStatic ? copies.answer(type, name, declared) : null;
        ClassCopies.PhaseText phase = isStatic && answer == null ? copies.phase(type, name, declared, actual) : null;
        if (answer != null) {
            emit(code -> code.loadConstant(answer));
        } else if (phase != null) {
            writeOut(phase, actual, operands);
        } else if (operands.stream().anyMatch(Flow.RegisterElements.class::isInstance)) {
            throw new UnsupportedOperationException("gives a register tile to " + name + ", which is not a phase");
        } else if (isStatic) {
            ClassCopies.Target target = copies.target(owner, type, name, declared, actual);
            if (target.type().parameterCount() > declared.parameterCount()) {
                emit(this::loadArrays);
            }
            emit(code -> code.invokestatic(target.owner(), name, target.type(), call.isInterface()));
        } else {
            ClassDesc array = here().pop(TypeKind.REFERENCE);
            ClassDesc receiver = array == null ? type : array;
            MethodTypeDesc wanted = MethodTypeDesc.of(declared.returnType(), actual);
            if (!receiver.equals(type) || !wanted.equals(declared)) {
                copies.requireMethod(receiver, name, wanted, type, declared);
            }
            emit(code -> code.invoke(call.opcode(), receiver, name, wanted, call.isInterface()));
        }
        if (!declared.returnType().equals(ConstantDescs.CD_void)) {
            here().push(TypeKind.from(declared.returnType()), null);
        }
    }

    /** What is known of the arguments of a call. */
    private List<Flow.@Nullable Operand> operands(MethodTypeDesc type) {
        List<Flow.@Nullable Operand> operands = new ArrayList<>();
        int above = 0;
        for (ClassDesc parameter : type.parameterList().reversed()) {
            operands.addFirst(here().peek(above));
            above += TypeKind.from(parameter).slotSize();
        }
        return operands;
    }

    /**
     * Puts the arguments, which are on the stack, into variables that nothing else has at this time, and the code
     * behind them.
     */
    private void writeOut(ClassCopies.PhaseText phase, List<ClassDesc> actual, List<Flow.@Nullable Operand> operands) {
        MethodCopy written = new MethodCopy(phase, parameters.ofPhase(phase.text(), actual, free), this);
        List<TypeKind> kinds = actual.stream().map(TypeKind::from).toList();
        int slot = kinds.stream().mapToInt(TypeKind::slotSize).sum();
        for (int i = kinds.size() - 1; i >= 0; i--) {
            TypeKind kind = kinds.get(i);
            slot -= kind.slotSize();
            if (operands.get(i) instanceof Flow.RegisterElements tile) {
                written.tiles.put(slot, tile);
            } else if (operands.get(i) instanceof Flow.Known number && !written.changes(slot)) {
                leaveOut(number);
                written.numbers.put(slot, number.value());
            } else {
                int to = free + slot;
                emit(code -> code.storeLocal(kind, to));
            }
        }
        written.translate();
        if (isOfFile()) {
            int callLine = line;
            emit(code -> code.lineNumber(callLine));
        }
    }

    /** Whether the text gives a variable another value. */
    private boolean changes(int slot) {
        return elements.stream()
                .anyMatch(element -> element instanceof StoreInstruction store && store.slot() == slot
                        || element instanceof IncrementInstruction increment && increment.slot() == slot);
    }

    private void loadArrays(CodeBuilder code) {
        for (int i = 0; i < parameters.arrays(); i++) {
            code.aload(parameters.firstArray() + i);
        }
    }

    /**
     * Leaves out {@code if (C.is(array))}, or {@code if (C.is())}, where the answer is known; returns the number of the
     * element after it.
     */
    private int foldCondition(int index) {
        boolean ofArray = elements.get(index) instanceof LoadInstruction load && load.typeKind() == TypeKind.REFERENCE;
        int second = ofArray ? nextInstruction(index + 1) : index;
        int third = nextInstruction(second + 1);
        if (third < elements.size()
                && elements.get(second) instanceof InvokeInstruction call
                && call.opcode() == Opcode.INVOKESTATIC
                && call.typeSymbol().returnType().equals(ConstantDescs.CD_boolean)
                && call.typeSymbol().parameterCount() == (ofArray ? 1 : 0)
                && elements.get(third) instanceof BranchInstruction branch
                && (branch.opcode() == Opcode.IFEQ || branch.opcode() == Opcode.IFNE)) {
            ClassDesc array = ofArray ? here().variable(((LoadInstruction) elements.get(index)).slot()) : null;
            Integer result = copies.knownResult(
                    call.owner().asSymbol(),
                    call.name().stringValue(),
                    call.typeSymbol(),
                    array == null ? call.typeSymbol().parameterList() : List.of(array));
            if (result != null) {
                if ((result == 0) == (branch.opcode() == Opcode.IFEQ)) {
                    jump(branch.target());
                    emit(code -> code.goto_(label(code, branch.target())));
                    flow = null;
                }
                return third + 1;
            }
        }
        return index;
    }

    private int nextInstruction(int index) {
        int next = index;
        while (next < elements.size() && elements.get(next) instanceof LineNumber) {
            next++;
        }
        return next;
    }
}
