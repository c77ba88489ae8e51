package org.tornadoattention.function;

import java.lang.classfile.CodeElement;
import java.lang.classfile.Label;
import java.lang.classfile.Opcode;
import java.lang.classfile.TypeKind;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.ConstantInstruction;
import java.lang.classfile.instruction.ConvertInstruction;
import java.lang.classfile.instruction.ExceptionCatch;
import java.lang.classfile.instruction.FieldInstruction;
import java.lang.classfile.instruction.IncrementInstruction;
import java.lang.classfile.instruction.InvokeDynamicInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LabelTarget;
import java.lang.classfile.instruction.LineNumber;
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
import java.lang.classfile.instruction.ThrowInstruction;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** Whether a function can become part of a kernel, before anything is compiled. */
final class FunctionCheck {

    private static final String NO_OBJECTS = "compute with numbers alone";

    private final String what;
    private final Set<Method> path = new LinkedHashSet<>();
    private final Set<Method> checked = new HashSet<>();

    private FunctionCheck(String what) {
        this.what = what;
    }

    /**
     * Checks a function and all that it calls.
     *
     * @param what it is called in messages, such as {@code The score function}
     * @throws UnusableFunctionException if it cannot
     */
    static void check(Code code, String what) {
        new FunctionCheck(what).check(Method.of(code));
    }

    private void check(Method method) {
        if (!path.add(method)) {
            throw new UnusableFunctionException(
                    "%s (%s)".formatted(what, method),
                    "calls itself, by way of "
                            + path.stream().map(Method::toString).collect(Collectors.joining(", ")),
                    "kernels have no recursion; write a loop");
        }
        if (checked.add(method)) {
            new Body(method).check();
        }
        path.remove(method);
    }

    /** The instructions of one method. */
    private final class Body {

        private final Method method;
        private final List<CodeElement> elements;
        private final Map<Label, Integer> labels = new HashMap<>();
        private int line;

        Body(Method method) {
            this.method = method;
            this.elements = method.code();
            for (int i = 0; i < elements.size(); i++) {
                if (elements.get(i) instanceof LabelTarget target) {
                    labels.put(target.label(), i);
                }
            }
        }

        private UnusableFunctionException refusal(String found, String cure) {
            String where = "%s (%s, %s:%d)"
                    .formatted(what, method, SourceClass.of(method.owner()).file(), line);
            return new UnusableFunctionException(where, found, cure);
        }

        void check() {
            if (method.isSynchronized()) {
                throw refusal("is synchronized", "kernels have no locks; leave it out");
            }
            for (int i = 0; i < elements.size(); i++) {
                check(i);
            }
        }

        private void check(int index) {
            switch (elements.get(index)) {
                case LineNumber number -> line = number.line();
                case ExceptionCatch _ -> throw refusal("catches an exception", "kernels have none; test the case");
                case ConstantInstruction constant -> {
                    if (!(constant.constantValue() instanceof Number)) {
                        throw refusal("has a constant that is no number", NO_OBJECTS);
                    }
                }
                case OperatorInstruction operator -> {
                    if (operator.opcode() == Opcode.ARRAYLENGTH) {
                        throw refusal("uses an array of Java's", "use arrays of TornadoVM's, such as FloatArray");
                    }
                }
                case BranchInstruction branch -> check(branch, index);
                case InvokeInstruction call -> check(call);
                case InvokeDynamicInstruction _ -> throw refusal("makes a string or another function", NO_OBJECTS);
                case FieldInstruction field -> throw refusal(field);
                case NewObjectInstruction made ->
                    throw refusal(
                            "makes an object of class "
                                    + made.className().asSymbol().displayName(),
                            NO_OBJECTS);
                case NewPrimitiveArrayInstruction _, NewReferenceArrayInstruction _, NewMultiArrayInstruction _ ->
                    throw refusal("makes an array", "make it before the lambda, as an array of TornadoVM's");
                case ThrowInstruction _ -> throw refusal("throws an exception", "kernels have none; return a number");
                case LoadInstruction _,
                        StoreInstruction _,
                        IncrementInstruction _,
                        ConvertInstruction _,
                        StackInstruction _,
                        ReturnInstruction _,
                        NopInstruction _,
                        TableSwitchInstruction _,
                        LookupSwitchInstruction _ -> {
                    // numbers, and arrays that were captured
                }
                case java.lang.classfile.Instruction other ->
                    throw refusal("has the instruction " + other.opcode(), NO_OBJECTS);
                default -> {
                    // labels and names
                }
            }
        }

        private void check(InvokeInstruction call) {
            if (KnownMethods.mathematics(call).isPresent() || KnownMethods.isRead(call)) {
                return;
            }
            Optional<Method> own = method.called(call);
            if (own.isPresent()) {
                FunctionCheck.this.check(own.get());
                return;
            }
            String name = "%s.%s(%s)"
                    .formatted(
                            call.owner().asSymbol().displayName(),
                            call.name().stringValue(),
                            call.typeSymbol().parameterList().stream()
                                    .map(java.lang.constant.ClassDesc::displayName)
                                    .collect(Collectors.joining(", ")));
            boolean unboxes = call.name().stringValue().endsWith("Value")
                    && call.typeSymbol().parameterCount() == 0
                    && call.typeSymbol().returnType().isPrimitive();
            throw refusal(
                    "calls " + name,
                    unboxes
                            ? "capture a number, such as a float, not the object that holds it"
                            : "kernels know methods of TornadoMath, those of Math that TornadoMath has too, get and getSize of arrays, and static methods of the function's own class");
        }

        private UnusableFunctionException refusal(FieldInstruction field) {
            String name = field.name().stringValue();
            return name.equals("$assertionsDisabled")
                    ? refusal("makes an assertion", "leave it out")
                    : refusal(
                            "uses the field %s.%s"
                                    .formatted(field.owner().asSymbol().displayName(), name),
                            "copy it into a local variable before the lambda, or make it a constant");
        }

        private void check(BranchInstruction branch, int index) {
            switch (branch.opcode()) {
                case IFNULL, IFNONNULL, IF_ACMPEQ, IF_ACMPNE -> throw refusal("compares objects", NO_OBJECTS);
                default -> {
                    int target = Objects.requireNonNull(labels.get(branch.target()));
                    if (target < index && !isCounted(target, index)) {
                        throw refusal(
                                "has a loop whose end is not known",
                                "count with a variable that only k++ or k += constant changes, up to a bound that the loop leaves alone");
                    }
                }
            }
        }

        /** Whether some condition compares a variable that grows by constants with what the loop does not change. */
        private boolean isCounted(int from, int to) {
            Set<Integer> stored = new HashSet<>();
            Set<Integer> counted = new HashSet<>();
            for (CodeElement element : elements.subList(from, to + 1)) {
                if (element instanceof StoreInstruction store) {
                    stored.add(store.slot());
                }
                if (element instanceof IncrementInstruction increment && increment.constant() != 0) {
                    counted.add(increment.slot());
                }
            }
            counted.removeAll(stored);
            for (int i = from; i <= to; i++) {
                if (elements.get(i) instanceof BranchInstruction branch && isOrder(branch.opcode())) {
                    int target = Objects.requireNonNull(labels.get(branch.target()));
                    boolean ends = target < from || target > to || i == to;
                    if (ends && comparesCounter(i, counted, stored)) {
                        return true;
                    }
                }
            }
            return false;
        }

        private static boolean isOrder(Opcode opcode) {
            return switch (opcode) {
                case IF_ICMPLT, IF_ICMPGE, IF_ICMPGT, IF_ICMPLE, IFLT, IFGE, IFGT, IFLE -> true;
                default -> false;
            };
        }

        private boolean comparesCounter(int branch, Set<Integer> counted, Set<Integer> stored) {
            boolean found = false;
            for (int i = branch - 1; i >= 0; i--) {
                switch (elements.get(i)) {
                    case LoadInstruction load -> {
                        if (counted.contains(load.slot())) {
                            found = true;
                        } else if (stored.contains(load.slot())) {
                            return false;
                        }
                    }
                    case ConstantInstruction _, LineNumber _ -> {
                        // does not change
                    }
                    case OperatorInstruction operator when operator.typeKind() == TypeKind.INT -> {
                        // of what is looked at next
                    }
                    case InvokeInstruction call when call.name().equalsString("getSize") -> {
                        // does not change
                    }
                    default -> {
                        return found;
                    }
                }
            }
            return found;
        }
    }

    /** A function and all that it calls, itself first. */
    static List<Method> methods(Code code) {
        Set<Method> found = new LinkedHashSet<>();
        List<Method> pending = new ArrayList<>(List.of(Method.of(code)));
        while (!pending.isEmpty()) {
            Method method = pending.removeFirst();
            if (found.add(method)) {
                for (CodeElement element : method.code()) {
                    if (element instanceof InvokeInstruction call
                            && KnownMethods.mathematics(call).isEmpty()) {
                        method.called(call).ifPresent(pending::add);
                    }
                }
            }
        }
        return List.copyOf(found);
    }
}
