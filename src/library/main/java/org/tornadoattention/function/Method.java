package org.tornadoattention.function;

import java.lang.classfile.CodeElement;
import java.lang.classfile.MethodModel;
import java.lang.classfile.Opcode;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LineNumber;
import java.lang.constant.MethodTypeDesc;
import java.lang.reflect.AccessFlag;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A static method of a user's that is part of a function.
 *
 * @param owner the class that has it
 * @param name its name
 * @param descriptor its type
 */
record Method(Class<?> owner, String name, String descriptor) {

    static Method of(Code code) {
        return new Method(code.owner(), code.method(), code.descriptor());
    }

    MethodTypeDesc type() {
        return MethodTypeDesc.ofDescriptor(descriptor);
    }

    MethodModel model() {
        return SourceClass.of(owner)
                .method(name, descriptor)
                .orElseThrow(() -> new IllegalStateException("The class file lacks " + this));
    }

    List<CodeElement> code() {
        return KnownMethods.narrowed(model().code()
                .orElseThrow(() -> new UnusableFunctionException(
                        toString(), "is a native method", "functions are compiled from Java"))
                .elementList());
    }

    /** The static method of the same class, or of one nested with it, that a call is of. */
    Optional<Method> called(InvokeInstruction call) {
        if (call.opcode() != Opcode.INVOKESTATIC) {
            return Optional.empty();
        }
        String type = call.owner().asInternalName().replace('/', '.');
        try {
            Class<?> other = type.equals(owner.getName()) ? owner : Class.forName(type, false, owner.getClassLoader());
            if (other.getNestHost() != owner.getNestHost()) {
                return Optional.empty();
            }
            return Optional.of(
                    new Method(other, call.name().stringValue(), call.type().stringValue()));
        } catch (ClassNotFoundException _) {
            return Optional.empty();
        }
    }

    /** The first line of its body, if the class file tells it. */
    OptionalInt line() {
        return SourceClass.of(owner)
                .method(name, descriptor)
                .flatMap(MethodModel::code)
                .map(code -> code.elementList().stream()
                        .filter(LineNumber.class::isInstance)
                        .mapToInt(element -> ((LineNumber) element).line())
                        .findFirst())
                .orElse(OptionalInt.empty());
    }

    /** A line for messages, which follows a name; nothing where the class file tells none. */
    static String place(Class<?> owner, int line) {
        return line == 0 ? "" : ", %s:%d".formatted(SourceClass.of(owner).file(), line);
    }

    boolean isSynchronized() {
        return model().flags().has(AccessFlag.SYNCHRONIZED);
    }

    @Override
    public String toString() {
        return owner.getSimpleName() + "." + name;
    }
}
