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
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.ExceptionCatch;
import java.lang.classfile.instruction.FieldInstruction;
import java.lang.classfile.instruction.IncrementInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LabelTarget;
import java.lang.classfile.instruction.LineNumber;
import java.lang.classfile.instruction.LoadInstruction;
import java.lang.classfile.instruction.LocalVariable;
import java.lang.classfile.instruction.LookupSwitchInstruction;
import java.lang.classfile.instruction.ReturnInstruction;
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

/**
 * A static method as a form has it: instructions that touch an array of another type, calls that such an array is given
 * to, and variables in other slots.
 *
 * <p>The text is read once, from the first instruction to the last. Where a method that takes one array and always gives
 * the same, such as "is this an array of halves?", decides a condition, the other branch is left out.
 */
final class MethodCopy {

    private final ClassCopies copies;
    private final ClassDesc owner;
    private final MethodModel text;
    private final Parameters parameters;
    private final Optional<ParallelLoop> loop;
    private final List<CodeElement> elements;
    private final List<Consumer<CodeBuilder>> output = new ArrayList<>();

    /** What is known at labels that a jump leads to, and at those that were passed. */
    private final Map<Label, Flow> jumps = new HashMap<>();

    private final Map<Label, @Nullable Flow> passed = new HashMap<>();

    /** Types of variables other than parameters, by the text's slots. */
    private final Map<Integer, ClassDesc> variables = new HashMap<>();

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
            nameAdded();
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
                if (flow != null) {
                    emit(code -> code.with(number));
                }
            }
            case LocalVariable variable -> emit(code -> declare(code, variable));
            case ExceptionCatch _ -> throw new UnsupportedOperationException("catches an exception");
            case Instruction instruction
            when flow != null -> {
                int next = foldCondition(index);
                if (next > index) {
                    return next;
                }
                translate(instruction);
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
        emit(code -> code.with(target));
    }

    /** TornadoVM asks for the names of parameters where the method begins. What nothing reaches has no variables. */
    private void declare(CodeBuilder code, LocalVariable variable) {
        int slot = variable.slot();
        if (!parameters.isKept(slot)
                && passed.containsKey(variable.startScope())
                && passed.get(variable.startScope()) == null) {
            return;
        }
        ClassDesc type = parameters.isParameter(slot)
                ? parameters.type(slot)
                : variables.getOrDefault(slot, variable.typeSymbol());
        code.localVariable(
                parameters.slot(slot),
                variable.name().stringValue(),
                type,
                parameters.isKept(slot) ? code.startLabel() : variable.startScope(),
                variable.endScope());
    }

    /** What is known at an instruction that something reaches. */
    private Flow here() {
        return Objects.requireNonNull(flow, "flow");
    }

    private void translate(Instruction instruction) {
        switch (instruction) {
            case LoadInstruction load -> {
                here().push(load.typeKind(), here().variable(load.slot()));
                emit(code -> code.loadLocal(load.typeKind(), parameters.slot(load.slot())));
            }
            case StoreInstruction store -> {
                ClassDesc type = here().pop(store.typeKind());
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
                emit(code -> code.with(branch));
                if (branch.opcode() == Opcode.GOTO || branch.opcode() == Opcode.GOTO_W) {
                    flow = null;
                }
            }
            case TableSwitchInstruction choice -> {
                here().apply(choice);
                jump(choice.defaultTarget());
                choice.cases().stream().map(SwitchCase::target).forEach(this::jump);
                emit(code -> code.with(choice));
                flow = null;
            }
            case LookupSwitchInstruction choice -> {
                here().apply(choice);
                jump(choice.defaultTarget());
                choice.cases().stream().map(SwitchCase::target).forEach(this::jump);
                emit(code -> code.with(choice));
                flow = null;
            }
            case ReturnInstruction result -> {
                if (result.typeKind() != TypeKind.VOID && here().top() != null) {
                    throw new UnsupportedOperationException("returns an array");
                }
                emit(code -> code.with(result));
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
        List<ClassDesc> actual = here().popArguments(declared);
        Integer answer = call.opcode() == Opcode.INVOKESTATIC ? copies.answer(type, name, declared) : null;
        if (answer != null) {
            emit(code -> code.loadConstant(answer));
        } else if (call.opcode() == Opcode.INVOKESTATIC) {
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

    private void loadArrays(CodeBuilder code) {
        for (int i = 0; i < parameters.arrays(); i++) {
            code.aload(parameters.firstArray() + i);
        }
    }

    /**
     * Leaves out {@code if (C.is(array))}, or {@code if (C.is())}, where the answer is known; returns the number of the element
     * after it.
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
                    emit(code -> code.goto_(branch.target()));
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
