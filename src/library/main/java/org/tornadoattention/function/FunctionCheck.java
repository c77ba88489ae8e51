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
import java.lang.classfile.instruction.MonitorInstruction;
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
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/** Whether a function can become part of a kernel, before anything is compiled. */
final class FunctionCheck {

    static final String NO_BOXES = "capture a number, such as a float, not the object that holds it";

    private static final String NO_OBJECTS = "compute with numbers alone";
    private static final String NO_LOCKS = "kernels have no locks; leave it out";

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
        path.add(method);
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
            return new UnusableFunctionException(
                    "%s (%s%s)".formatted(what, method, Method.place(method.owner(), line)), found, cure);
        }

        void check() {
            line = method.line().orElse(0);
            if (method.isSynchronized()) {
                throw refusal("is synchronized", NO_LOCKS);
            }
            checkType();
            for (int i = 0; i < elements.size(); i++) {
                check(i);
            }
            // They stand at the head, before all lines.
            elements.stream()
                    .filter(ExceptionCatch.class::isInstance)
                    .map(ExceptionCatch.class::cast)
                    .findFirst()
                    .ifPresent(caught -> {
                        line = lineAfter(Objects.requireNonNull(labels.get(caught.tryStart())));
                        throw refusal("catches an exception", "kernels have none; test the case");
                    });
        }

        private int lineAfter(int index) {
            return elements.stream()
                    .skip(index)
                    .filter(LineNumber.class::isInstance)
                    .mapToInt(element -> ((LineNumber) element).line())
                    .findFirst()
                    .orElse(line);
        }

        /** What goes in and comes out. */
        private void checkType() {
            for (ClassDesc parameter : method.type().parameterList()) {
                if (!KnownMethods.isValue(parameter)) {
                    throw refusal(
                            "takes an object of class " + parameter.displayName(),
                            KnownMethods.isBox(parameter) ? NO_BOXES : "give it numbers and arrays of TornadoVM's");
                }
            }
            ClassDesc result = method.type().returnType();
            if (result.equals(ConstantDescs.CD_void)) {
                throw refusal("gives nothing back", "have it return a number, or leave it out");
            }
            if (!KnownMethods.isValue(result)) {
                throw refusal("gives back an object of class " + result.displayName(), "have it return a number");
            }
        }

        private void check(int index) {
            switch (elements.get(index)) {
                case LineNumber number -> line = number.line();
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
                case InvokeDynamicInstruction made -> throw refusal(made);
                case MonitorInstruction _ -> throw refusal("has a synchronized block", NO_LOCKS);
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
                if (path.contains(own.get())) {
                    throw refusal(
                            "calls itself, by way of "
                                    + path.stream()
                                            .dropWhile(Predicate.not(own.get()::equals))
                                            .map(Method::toString)
                                            .collect(Collectors.joining(", ")),
                            "kernels have no recursion; write a loop");
                }
                FunctionCheck.this.check(own.get());
                return;
            }
            String name = "%s.%s(%s)"
                    .formatted(
                            call.owner().asSymbol().displayName(),
                            call.name().stringValue(),
                            call.typeSymbol().parameterList().stream()
                                    .map(ClassDesc::displayName)
                                    .collect(Collectors.joining(", ")));
            throw refusal("calls " + name, cure(call));
        }

        private static String cure(InvokeInstruction call) {
            ClassDesc owner = call.owner().asSymbol();
            if (KnownMethods.isBox(owner) && call.name().equalsString("valueOf")) {
                return "compute with numbers, not with objects that hold them";
            }
            if (KnownMethods.isBox(owner) && call.opcode() == Opcode.INVOKEVIRTUAL) {
                return NO_BOXES;
            }
            return KnownMethods.isArray(owner)
                    ? "functions only read arrays, with get and getSize"
                    : "functions may call the static methods of their own class, and of Math and TornadoMath "
                            + KnownMethods.names();
        }

        private UnusableFunctionException refusal(InvokeDynamicInstruction made) {
            String maker = made.bootstrapMethod().owner().displayName();
            return switch (maker) {
                case "LambdaMetafactory" ->
                    refusal("makes another function", "call a static method of the function's own class");
                case "StringConcatFactory" -> refusal("makes a string", NO_OBJECTS);
                case "SwitchBootstraps" -> refusal("has a switch over objects", NO_OBJECTS);
                default -> refusal("calls " + maker, NO_OBJECTS);
            };
        }

        private UnusableFunctionException refusal(FieldInstruction field) {
            String name = field.name().stringValue();
            ClassDesc type = field.typeSymbol();
            if (name.equals("$assertionsDisabled")) {
                return refusal("makes an assertion", "leave it out");
            }
            String cure = "copy it into a local variable before the lambda, or make it a constant";
            if (type.isArray()) {
                cure = "copy it into an array of TornadoVM's before the lambda, such as FloatArray.fromArray(array)";
            } else if (KnownMethods.isArray(type)) {
                cure = "copy it into a local variable before the lambda";
            } else if (!type.isPrimitive()) {
                cure = "it is an object; take the numbers that are needed out of it before the lambda";
            }
            return refusal(
                    "uses the field %s.%s".formatted(field.owner().asSymbol().displayName(), name), cure);
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
