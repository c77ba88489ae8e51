package org.tornadoattention.simulator.instrument;

import java.lang.classfile.CodeElement;
import java.lang.classfile.CodeModel;
import java.lang.classfile.Instruction;
import java.lang.classfile.Label;
import java.lang.classfile.MethodModel;
import java.lang.classfile.Opcode;
import java.lang.classfile.TypeKind;
import java.lang.classfile.instruction.ArrayLoadInstruction;
import java.lang.classfile.instruction.ArrayStoreInstruction;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.ConvertInstruction;
import java.lang.classfile.instruction.ExceptionCatch;
import java.lang.classfile.instruction.FieldInstruction;
import java.lang.classfile.instruction.IncrementInstruction;
import java.lang.classfile.instruction.InvokeDynamicInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LabelTarget;
import java.lang.classfile.instruction.LoadInstruction;
import java.lang.classfile.instruction.LocalVariable;
import java.lang.classfile.instruction.LookupSwitchInstruction;
import java.lang.classfile.instruction.NewMultiArrayInstruction;
import java.lang.classfile.instruction.NewPrimitiveArrayInstruction;
import java.lang.classfile.instruction.NewReferenceArrayInstruction;
import java.lang.classfile.instruction.OperatorInstruction;
import java.lang.classfile.instruction.ReturnInstruction;
import java.lang.classfile.instruction.StoreInstruction;
import java.lang.classfile.instruction.SwitchCase;
import java.lang.classfile.instruction.TableSwitchInstruction;
import java.lang.classfile.instruction.ThrowInstruction;
import java.lang.constant.ClassDesc;
import java.lang.reflect.AccessFlag;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * Finds out, for each access of a method to an array, which variable the array came from. One pass over the code with a
 * model of the operand stack is enough, since compilers keep the stack empty across backward branches.
 */
final class MethodAnalysis {

    private final List<CodeElement> elements;
    private final Map<Label, Integer> positions = new HashMap<>();
    private final Map<Integer, ClassDesc> parameters = new TreeMap<>();
    private final Map<Integer, List<Integer>> storesOfSlot = new HashMap<>();
    private final Map<Integer, Integer> storedBy = new HashMap<>();
    private final Map<Integer, Integer> originsOfStores = new HashMap<>();
    private final Map<Integer, Integer> receivers = new TreeMap<>();
    /** By variable, which instructions gave the ints that it holds. */
    private final Map<Integer, List<Integer>> numbersOfSlot = new HashMap<>();

    private final Map<Integer, List<Integer>> operands = new HashMap<>();
    private final Set<Integer> reached = new HashSet<>();
    private final Set<Integer> used = new HashSet<>();
    private final Set<Integer> escaped = new TreeSet<>();
    private final List<Call> calls = new ArrayList<>();
    private final Map<Integer, Access> accesses = new TreeMap<>();
    private final Map<Integer, Integer> redirected = new HashMap<>();
    private final Map<Label, int[]> stackAt = new HashMap<>();
    /** By load of an object, the store whose value it pushes; negative if that is none or one of several. */
    private final Map<Integer, Integer> reachingStores;

    private final OperandStack stack = new OperandStack(this::use);

    MethodAnalysis(MethodModel method, CodeModel code) {
        this.elements = code.elementList();
        for (int i = 0; i < elements.size(); i++) {
            if (elements.get(i) instanceof LabelTarget target) {
                positions.put(target.label(), i);
            }
        }
        int slot = firstParameter(method);
        for (ClassDesc type : method.methodTypeSymbol().parameterList()) {
            parameters.put(slot, type);
            slot += TypeKind.from(type).slotSize();
        }
        walk(code);
        this.reachingStores = new ReachingStores(this, code).ofLoads();
        classify();
    }

    /** Returns the slot of a method's first parameter. */
    static int firstParameter(MethodModel method) {
        return method.flags().has(AccessFlag.STATIC) ? 0 : 1;
    }

    /**
     * A call of a method that is no access to an array.
     *
     * @param arguments for each argument, which instruction pushed it
     */
    record Call(InvokeInstruction invoke, List<Integer> arguments) {

        Call {
            arguments = List.copyOf(arguments);
        }

        String owner() {
            return KernelCode.name(invoke.owner().asSymbol());
        }

        String name() {
            return invoke.name().stringValue();
        }

        String key() {
            return name() + invoke.type().stringValue();
        }

        boolean isStatic() {
            return invoke.opcode() == Opcode.INVOKESTATIC;
        }

        boolean passesArray(int argument) {
            return NativeOperation.storageOf(invoke.typeSymbol().parameterType(argument)) != null;
        }
    }

    /** Returns the calls of methods that are no accesses to arrays, in the order of the code. */
    List<Call> calls() {
        return calls;
    }

    /** Returns the instructions that push something that is kept where this analysis does not see it. */
    Set<Integer> escaped() {
        return escaped;
    }

    List<CodeElement> elements() {
        return elements;
    }

    /** Returns the access that the element at {@code index} makes, or null. */
    Access access(int index) {
        return accesses.get(index);
    }

    /** Returns all accesses, in the order of the code. */
    Iterable<Access> accesses() {
        return accesses.values();
    }

    /**
     * Returns the variable of which the load at {@code index} pushes an array for accesses only, so that it may push
     * something else in its place; or null.
     */
    Integer redirected(int index) {
        return redirected.get(index);
    }

    boolean isParameter(int slot) {
        return parameters.containsKey(slot);
    }

    /** Returns which instruction gave what the store at {@code index} keeps; negative if it is one of several. */
    int originOfStore(int index) {
        return originsOfStores.getOrDefault(index, OperandStack.UNKNOWN);
    }

    /** Returns whether the store at {@code index} keeps an array that was just allocated in local memory. */
    boolean isLocalArrayStore(int index) {
        return elements.get(index) instanceof StoreInstruction store
                && isLocalArray(store.slot())
                && storedBy.containsKey(index);
    }

    /** Returns the slots of the variables that hold local arrays. */
    List<Integer> localArraySlots() {
        return storesOfSlot.keySet().stream()
                .filter(this::isLocalArray)
                .sorted()
                .toList();
    }

    /** Returns the slot of the parameter of that type, or -1. */
    int parameterOfType(ClassDesc type) {
        for (Map.Entry<Integer, ClassDesc> parameter : parameters.entrySet()) {
            if (parameter.getValue().equals(type)) {
                return parameter.getKey();
            }
        }
        return -1;
    }

    /** Returns the slots of the parameters, in order. */
    List<Integer> parameterSlots() {
        return List.copyOf(parameters.keySet());
    }

    ClassDesc parameterType(int slot) {
        return parameters.get(slot);
    }

    /** Returns the name of the variable that is in {@code slot} at {@code index}, or a made-up one. */
    String variableName(int slot, int index) {
        for (CodeElement element : elements) {
            if (element instanceof LocalVariable variable
                    && variable.slot() == slot
                    && position(variable.startScope()) <= index + 2
                    && position(variable.endScope()) >= index) {
                return variable.name().stringValue();
            }
        }
        return "variable " + slot;
    }

    /** Returns the name of the parameter in {@code slot}, or a made-up one. */
    String parameterName(int slot) {
        for (CodeElement element : elements) {
            if (element instanceof LocalVariable variable && variable.slot() == slot) {
                return variable.name().stringValue();
            }
        }
        return "parameter " + parameterSlots().indexOf(slot);
    }

    /** Returns the place of a label among the elements. */
    int position(Label label) {
        return positions.getOrDefault(label, elements.size());
    }

    /** Returns the places to which the element at {@code index} may jump. */
    List<Integer> targets(int index) {
        return switch (elements.get(index)) {
            case BranchInstruction branch -> List.of(position(branch.target()));
            case TableSwitchInstruction choice -> targets(choice.defaultTarget(), choice.cases());
            case LookupSwitchInstruction choice -> targets(choice.defaultTarget(), choice.cases());
            default -> List.of();
        };
    }

    private List<Integer> targets(Label otherwise, List<SwitchCase> cases) {
        return Stream.concat(Stream.of(otherwise), cases.stream().map(SwitchCase::target))
                .map(this::position)
                .toList();
    }

    /** Returns whether the instruction at {@code index} can be reached. */
    boolean isReached(int index) {
        return reached.contains(index);
    }

    /**
     * Returns whether the array that is made at {@code index} has a size that follows for sure from data or from an id.
     */
    boolean isArraySizeFromData(int index) {
        return operands.containsKey(index) && isFromData(operands.get(index).getFirst(), new HashSet<>());
    }

    private boolean isFromData(int origin, Set<Integer> seen) {
        if (origin == OperandStack.UNKNOWN || !seen.add(origin)) {
            return false;
        }
        return switch (elements.get(origin)) {
            case FieldInstruction field ->
                field.opcode() == Opcode.GETFIELD
                        && field.owner().asSymbol().equals(Names.KERNEL_CONTEXT)
                        && field.name().stringValue().matches("(global|local|group)Id[xyz]");
            case LoadInstruction load -> {
                List<Integer> numbers = numbersOfSlot.getOrDefault(load.slot(), List.of());
                yield numbers.size() == 1 && isFromData(numbers.getFirst(), seen);
            }
            case Instruction instruction ->
                isAccess(instruction)
                        || operands.getOrDefault(origin, List.of()).stream()
                                .anyMatch(operand -> isFromData(operand, seen));
            default -> false;
        };
    }

    /** Returns whether what comes after the element at {@code index} may be run next. */
    boolean fallsThrough(int index) {
        return switch (elements.get(index)) {
            case BranchInstruction branch -> branch.opcode() != Opcode.GOTO && branch.opcode() != Opcode.GOTO_W;
            case TableSwitchInstruction _, LookupSwitchInstruction _, ReturnInstruction _, ThrowInstruction _ -> false;
            default -> true;
        };
    }

    private void walk(CodeModel code) {
        for (ExceptionCatch handler : code.exceptionHandlers()) {
            stackAt.put(handler.handler(), new int[] {OperandStack.UNKNOWN});
        }
        boolean reachable = true;
        for (int i = 0; i < elements.size(); i++) {
            switch (elements.get(i)) {
                case LabelTarget target -> {
                    arriveAt(target.label(), reachable);
                    reachable = true;
                }
                case Instruction instruction -> reachable = reachable && step(instruction, i);
                default -> {
                    // debug information does nothing to the stack
                }
            }
        }
    }

    private void arriveAt(Label label, boolean reachable) {
        int[] recorded = stackAt.get(label);
        if (!reachable) {
            stack.restore(recorded == null ? new int[0] : recorded);
        } else if (recorded != null) {
            stack.restore(merge(stack.snapshot(), recorded));
        }
    }

    private static int[] merge(int[] one, int[] other) {
        if (one.length != other.length) {
            throw new UnsupportedOperationException("operand stacks of different depth meet");
        }
        for (int i = 0; i < one.length; i++) {
            if (one[i] != other[i]) {
                one[i] = OperandStack.UNKNOWN;
            }
        }
        return one;
    }

    private boolean step(Instruction instruction, int index) {
        reached.add(index);
        if (instruction instanceof StoreInstruction) {
            originsOfStores.put(index, stack.peek(0));
        }
        int receiver = OperandStack.UNKNOWN;
        switch (instruction) {
            case InvokeInstruction invoke
            when NativeOperation.of(invoke) != null -> receiver = stack.peek(receiverDepth(NativeOperation.of(invoke)));
            case ArrayLoadInstruction _ -> receiver = stack.peek(1);
            case ArrayStoreInstruction store ->
                receiver = stack.peek(1 + store.typeKind().slotSize());
            case StoreInstruction store
            when store.typeKind() == TypeKind.REFERENCE -> {
                storesOfSlot
                        .computeIfAbsent(store.slot(), _ -> new ArrayList<>())
                        .add(index);
                storedBy.put(index, stack.peek(0));
            }
            case StoreInstruction store
            when store.typeKind() == TypeKind.INT -> noteNumber(store.slot(), stack.peek(0));
            case IncrementInstruction increment -> noteNumber(increment.slot(), OperandStack.UNKNOWN);
            case OperatorInstruction operator
            when operator.typeKind() == TypeKind.INT && stack.depth() >= 2 ->
                operands.put(index, List.of(stack.peek(1), stack.peek(0)));
            case InvokeInstruction invoke
            when invoke.name().equalsString("intValue") -> operands.put(index, List.of(stack.peek(0)));
            case ConvertInstruction _, NewPrimitiveArrayInstruction _ -> operands.put(index, List.of(stack.peek(0)));
            default -> {
                // nothing to remember
            }
        }
        boolean isAccess = isAccess(instruction);
        noteUse(instruction, isAccess);
        if (isAccess) {
            receivers.put(index, receiver);
        }
        int[] receiverSeen = {isAccess ? receiver : OperandStack.UNKNOWN};
        stack.apply(instruction, index, origin -> {
            if (origin == receiverSeen[0]) {
                receiverSeen[0] = OperandStack.UNKNOWN;
            } else {
                use(origin);
            }
        });
        return flow(instruction);
    }

    private void noteNumber(int slot, int origin) {
        numbersOfSlot.computeIfAbsent(slot, _ -> new ArrayList<>()).add(origin);
    }

    /** Notes where objects go. */
    private void noteUse(Instruction instruction, boolean isAccess) {
        switch (instruction) {
            case InvokeInstruction invoke
            when !isAccess -> {
                Integer[] arguments = new Integer[invoke.typeSymbol().parameterCount()];
                int above = 0;
                for (int i = arguments.length - 1; i >= 0; i--) {
                    above += TypeKind.from(invoke.typeSymbol().parameterType(i)).slotSize();
                    arguments[i] = stack.peek(above - 1);
                }
                calls.add(new Call(invoke, List.of(arguments)));
                boolean tells = invoke.name().stringValue().startsWith("get");
                if (invoke.opcode() != Opcode.INVOKESTATIC
                        && !tells
                        && NativeOperation.storageOf(invoke.owner().asSymbol()) != null) {
                    escaped.add(stack.peek(above));
                }
            }
            case InvokeDynamicInstruction invoke -> {
                int above = 0;
                for (int i = invoke.typeSymbol().parameterCount() - 1; i >= 0; i--) {
                    ClassDesc type = invoke.typeSymbol().parameterType(i);
                    above += TypeKind.from(type).slotSize();
                    if (NativeOperation.storageOf(type) != null) {
                        escaped.add(stack.peek(above - 1));
                    }
                }
            }
            case FieldInstruction field
            when (field.opcode() == Opcode.PUTFIELD || field.opcode() == Opcode.PUTSTATIC)
                    && NativeOperation.storageOf(field.typeSymbol()) != null -> escaped.add(stack.peek(0));
            case ReturnInstruction result when result.opcode() == Opcode.ARETURN -> escaped.add(stack.peek(0));
            case ArrayStoreInstruction store when store.typeKind() == TypeKind.REFERENCE -> escaped.add(stack.peek(0));
            default -> {
                // keeps no object
            }
        }
    }

    private static boolean isAccess(Instruction instruction) {
        return instruction instanceof ArrayLoadInstruction
                || instruction instanceof ArrayStoreInstruction
                || instruction instanceof InvokeInstruction invoke && NativeOperation.of(invoke) != null;
    }

    private static int receiverDepth(NativeOperation operation) {
        return 1 + (operation.write() ? operation.value().slotSize() : 0);
    }

    /** Notes where the stack goes from here and returns whether the next instruction is reached. */
    private boolean flow(Instruction instruction) {
        switch (instruction) {
            case BranchInstruction branch -> {
                leaveTo(branch.target());
                return switch (branch.opcode()) {
                    case GOTO, GOTO_W -> false;
                    default -> true;
                };
            }
            case TableSwitchInstruction choice -> {
                leaveTo(choice.defaultTarget());
                choice.cases().stream().map(SwitchCase::target).forEach(this::leaveTo);
                return false;
            }
            case LookupSwitchInstruction choice -> {
                leaveTo(choice.defaultTarget());
                choice.cases().stream().map(SwitchCase::target).forEach(this::leaveTo);
                return false;
            }
            case ReturnInstruction _, ThrowInstruction _ -> {
                return false;
            }
            default -> {
                return true;
            }
        }
    }

    private void leaveTo(Label label) {
        stackAt.merge(label, stack.snapshot(), MethodAnalysis::merge);
    }

    private void use(int origin) {
        used.add(origin);
    }

    private void classify() {
        receivers.forEach((index, receiver) -> accesses.put(
                index,
                switch (elements.get(index)) {
                    case InvokeInstruction invoke -> classify(NativeOperation.of(invoke), receiver);
                    case ArrayLoadInstruction load -> classify(load.typeKind(), false, receiver);
                    case ArrayStoreInstruction store -> classify(store.typeKind(), true, receiver);
                    default -> throw new AssertionError(elements.get(index));
                }));
    }

    private Access classify(NativeOperation operation, int receiver) {
        Integer slot = operation.isDirect() && !used.contains(receiver) ? parameterBehind(receiver) : null;
        if (slot == null || !operation.owner().equals(parameters.get(slot))) {
            return new Access.OfSomeNativeArray(operation);
        }
        redirected.put(receiver, slot);
        return new Access.OfParameter(slot, operation);
    }

    private Access classify(TypeKind kind, boolean write, int receiver) {
        if (receiver != OperandStack.UNKNOWN) {
            if (isPrivateArray(receiver)) {
                return new Access.OfPrivateArray(-1, kind, write);
            }
            if (elements.get(receiver) instanceof LoadInstruction load) {
                int variable = variableBehind(receiver);
                if (isLocalArray(variable)) {
                    boolean viewed = !used.contains(receiver);
                    if (viewed) {
                        redirected.put(receiver, variable);
                    }
                    return new Access.OfLocalArray(variable, kind, write, viewed);
                }
                if (holdsPrivateArrays(variable) || isPrivateArray(originOf(receiver))) {
                    return new Access.OfPrivateArray(load.slot(), kind, write);
                }
            }
        }
        Integer parameter = parameterBehind(receiver);
        return new Access.OfSomeArray(parameter == null ? -1 : parameter, kind, write);
    }

    /** Returns the parameter that a load pushes, itself or through other variables, or null. */
    Integer parameterBehind(int loadIndex) {
        if (loadIndex == OperandStack.UNKNOWN || !reachingStores.containsKey(loadIndex)) {
            return null;
        }
        int variable = variableBehind(loadIndex);
        return parameters.containsKey(variable) && !storesOfSlot.containsKey(variable) ? variable : null;
    }

    /** Returns the instruction that gave what a load pushes, if only one can have. */
    private int originOf(int loadIndex) {
        int store = reachingStores.get(loadIndex);
        return storedBy.getOrDefault(store, OperandStack.UNKNOWN);
    }

    /** Returns the variable that had what a load pushes before it was stored in others, one after the other. */
    private int variableBehind(int loadIndex) {
        int load = loadIndex;
        for (int store = reachingStores.get(load); store >= 0; store = reachingStores.get(load)) {
            int origin = storedBy.getOrDefault(store, OperandStack.UNKNOWN);
            if (origin == OperandStack.UNKNOWN || !(elements.get(origin) instanceof LoadInstruction)) {
                break;
            }
            load = origin;
        }
        return ((LoadInstruction) elements.get(load)).slot();
    }

    private boolean isLocalArray(int slot) {
        List<Integer> stores = storesOfSlot.getOrDefault(slot, List.of());
        return stores.size() == 1
                && !parameters.containsKey(slot)
                && storedBy.get(stores.getFirst()) != OperandStack.UNKNOWN
                && elements.get(storedBy.get(stores.getFirst())) instanceof InvokeInstruction invoke
                && isLocalAllocation(invoke);
    }

    /** Returns the class of the elements of the local array in {@code slot}. */
    ClassDesc localElementType(int slot) {
        int allocation = storedBy.get(storesOfSlot.get(slot).getFirst());
        return ((InvokeInstruction) elements.get(allocation))
                .typeSymbol()
                .returnType()
                .componentType();
    }

    static boolean isLocalAllocation(InvokeInstruction invoke) {
        String name = invoke.name().stringValue();
        return invoke.owner().asSymbol().equals(Names.KERNEL_CONTEXT)
                && name.startsWith("allocate")
                && name.endsWith("LocalArray");
    }

    private boolean holdsPrivateArrays(int slot) {
        List<Integer> stores = storesOfSlot.getOrDefault(slot, List.of());
        return !stores.isEmpty()
                && !parameters.containsKey(slot)
                && stores.stream().allMatch(store -> isPrivateArray(storedBy.get(store)));
    }

    private boolean isPrivateArray(int origin) {
        if (origin == OperandStack.UNKNOWN) {
            return false;
        }
        return switch (elements.get(origin)) {
            case NewPrimitiveArrayInstruction _, NewReferenceArrayInstruction _, NewMultiArrayInstruction _ -> true;
            default -> false;
        };
    }
}
