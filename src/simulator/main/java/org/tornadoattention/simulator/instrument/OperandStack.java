package org.tornadoattention.simulator.instrument;

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
import java.lang.classfile.instruction.InvokeDynamicInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
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
import java.lang.classfile.instruction.TypeCheckInstruction;
import java.lang.constant.MethodTypeDesc;
import java.util.Arrays;
import java.util.function.IntConsumer;

/**
 * The operand stack of a method, word by word, as far as it matters here: for each word, which instruction pushed it.
 */
final class OperandStack {

    /** Stands for a word of which the instruction is not known. */
    static final int UNKNOWN = -1;

    private final IntConsumer duplicated;
    private int[] words = new int[16];
    private int depth;

    /** Creates an empty stack; {@code duplicated} is told of each word that gets a second copy. */
    OperandStack(IntConsumer duplicated) {
        this.duplicated = duplicated;
    }

    int depth() {
        return depth;
    }

    /** Returns the instruction that pushed the word that has {@code above} words above it. */
    int peek(int above) {
        return words[depth - 1 - above];
    }

    int[] snapshot() {
        return Arrays.copyOf(words, depth);
    }

    void restore(int... snapshot) {
        words = Arrays.copyOf(snapshot, Math.max(16, snapshot.length));
        depth = snapshot.length;
    }

    /** Pushes a word. */
    void push(int origin) {
        if (depth == words.length) {
            words = Arrays.copyOf(words, 2 * depth);
        }
        words[depth++] = origin;
    }

    /**
     * Does what the instruction at {@code index} does to the stack; {@code popped} is told of each word that it takes.
     */
    void apply(Instruction instruction, int index, IntConsumer popped) {
        if (instruction instanceof StackInstruction) {
            rearrange(instruction.opcode());
            return;
        }
        int before = wordsTaken(instruction);
        for (int i = 0; i < before; i++) {
            popped.accept(words[--depth]);
        }
        int after = wordsGiven(instruction);
        for (int i = 0; i < after; i++) {
            push(index);
        }
    }

    private static int wordsTaken(Instruction instruction) {
        return switch (instruction) {
            case LoadInstruction _,
                    ConstantInstruction _,
                    NewObjectInstruction _,
                    IncrementInstruction _,
                    NopInstruction _ -> 0;
            case StoreInstruction store -> store.typeKind().slotSize();
            case ArrayLoadInstruction _ -> 2;
            case ArrayStoreInstruction store -> 2 + store.typeKind().slotSize();
            case FieldInstruction field -> wordsTaken(field);
            case InvokeInstruction invoke ->
                words(invoke.typeSymbol()) + (invoke.opcode() == Opcode.INVOKESTATIC ? 0 : 1);
            case InvokeDynamicInstruction invoke -> words(invoke.typeSymbol());
            case NewPrimitiveArrayInstruction _,
                    NewReferenceArrayInstruction _,
                    TypeCheckInstruction _,
                    TableSwitchInstruction _,
                    LookupSwitchInstruction _,
                    ThrowInstruction _,
                    MonitorInstruction _ -> 1;
            case NewMultiArrayInstruction array -> array.dimensions();
            case OperatorInstruction operator -> wordsTaken(operator);
            case ConvertInstruction convert -> convert.fromType().slotSize();
            case BranchInstruction branch -> wordsTaken(branch);
            case ReturnInstruction result -> result.typeKind().slotSize();
            default -> throw new UnsupportedOperationException(instruction.toString());
        };
    }

    private static int wordsGiven(Instruction instruction) {
        return switch (instruction) {
            case LoadInstruction load -> load.typeKind().slotSize();
            case ConstantInstruction constant -> constant.typeKind().slotSize();
            case ArrayLoadInstruction load -> load.typeKind().slotSize();
            case FieldInstruction field ->
                field.opcode() == Opcode.GETSTATIC || field.opcode() == Opcode.GETFIELD
                        ? TypeKind.from(field.typeSymbol()).slotSize()
                        : 0;
            case InvokeInstruction invoke ->
                TypeKind.from(invoke.typeSymbol().returnType()).slotSize();
            case InvokeDynamicInstruction invoke ->
                TypeKind.from(invoke.typeSymbol().returnType()).slotSize();
            case NewObjectInstruction _,
                    NewPrimitiveArrayInstruction _,
                    NewReferenceArrayInstruction _,
                    NewMultiArrayInstruction _,
                    TypeCheckInstruction _ -> 1;
            case OperatorInstruction operator -> wordsGiven(operator);
            case ConvertInstruction convert -> convert.toType().slotSize();
            default -> 0;
        };
    }

    private static int wordsTaken(FieldInstruction field) {
        int value = TypeKind.from(field.typeSymbol()).slotSize();
        return switch (field.opcode()) {
            case GETSTATIC -> 0;
            case GETFIELD -> 1;
            case PUTSTATIC -> value;
            default -> 1 + value;
        };
    }

    private static int wordsTaken(BranchInstruction branch) {
        return switch (branch.opcode()) {
            case GOTO, GOTO_W -> 0;
            case IFEQ, IFNE, IFLT, IFGE, IFGT, IFLE, IFNULL, IFNONNULL -> 1;
            default -> 2;
        };
    }

    private static int wordsTaken(OperatorInstruction operator) {
        return switch (operator.opcode()) {
            case ARRAYLENGTH, INEG, FNEG -> 1;
            case LNEG, DNEG -> 2;
            case ISHL, ISHR, IUSHR -> 2;
            case LSHL, LSHR, LUSHR -> 3;
            case FCMPL, FCMPG -> 2;
            case LCMP, DCMPL, DCMPG -> 4;
            default -> 2 * operator.typeKind().slotSize();
        };
    }

    private static int wordsGiven(OperatorInstruction operator) {
        return switch (operator.opcode()) {
            case ARRAYLENGTH, FCMPL, FCMPG, LCMP, DCMPL, DCMPG -> 1;
            default -> operator.typeKind().slotSize();
        };
    }

    private static int words(MethodTypeDesc type) {
        int words = 0;
        for (int i = 0; i < type.parameterCount(); i++) {
            words += TypeKind.from(type.parameterType(i)).slotSize();
        }
        return words;
    }

    private void rearrange(Opcode opcode) {
        switch (opcode) {
            case POP -> depth--;
            case POP2 -> depth -= 2;
            case DUP -> insertCopy(1, 0);
            case DUP_X1 -> insertCopy(1, 1);
            case DUP_X2 -> insertCopy(1, 2);
            case DUP2 -> insertCopy(2, 0);
            case DUP2_X1 -> insertCopy(2, 1);
            case DUP2_X2 -> insertCopy(2, 2);
            case SWAP -> {
                int top = words[depth - 1];
                words[depth - 1] = words[depth - 2];
                words[depth - 2] = top;
            }
            default -> throw new UnsupportedOperationException(opcode.toString());
        }
    }

    /** Copies the top {@code count} words to below the {@code skipped} words that are under them. */
    private void insertCopy(int count, int skipped) {
        for (int i = 0; i < count; i++) {
            push(UNKNOWN);
        }
        int top = depth - count;
        int[] copy = Arrays.copyOfRange(words, top - count, top);
        System.arraycopy(words, top - count - skipped, words, top - skipped, count + skipped);
        System.arraycopy(copy, 0, words, top - count - skipped, count);
        for (int origin : copy) {
            duplicated.accept(origin);
        }
    }
}
