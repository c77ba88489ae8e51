package org.tornadoattention.function;

import static org.tornadoattention.function.KnownMethods.describe;

import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassTransform;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.CodeElement;
import java.lang.classfile.Opcode;
import java.lang.classfile.instruction.ConvertInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.OperatorInstruction;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.util.Map;
import java.util.Set;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.kernel.parts.Softcap;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Functions for a compiler that knows the intrinsics of warps: what they call and these do in fewer instructions. A
 * kernel on tensor cores waits for its functions, so an exact division's dozen is felt.
 */
final class WarpCalls {

    private static final ClassDesc WARP = describe(Warp.class);
    private static final MethodTypeDesc TANH = MethodTypeDesc.of(ConstantDescs.CD_float, ConstantDescs.CD_float);
    private static final MethodTypeDesc DIVIDE =
            MethodTypeDesc.of(ConstantDescs.CD_float, ConstantDescs.CD_float, ConstantDescs.CD_float);

    /** Arrays of words, with what one of their elements is. */
    private static final Map<ClassDesc, ClassDesc> WORDS =
            Map.of(describe(FloatArray.class), ConstantDescs.CD_float, describe(IntArray.class), ConstantDescs.CD_int);

    /** Comparisons of floats, and what makes whole numbers of them. */
    private static final Set<Opcode> COMPARISONS = Set.of(Opcode.FCMPG, Opcode.FCMPL, Opcode.DCMPG, Opcode.DCMPL);

    private static final Set<Opcode> ROUNDINGS = Set.of(Opcode.F2I, Opcode.F2L, Opcode.D2I, Opcode.D2L);
    private static final Set<String> STEPS = Set.of("floor", "ceil");

    private WarpCalls() {}

    /**
     * The same class with calls of intrinsics.
     *
     * @param smooth whether quotients may be off by their last bits
     */
    static byte[] of(byte[] classFile, boolean smooth) {
        ClassFile file = ClassFile.of();
        return file.transformClass(
                file.parse(classFile),
                ClassTransform.transformingMethodBodies((code, element) -> write(code, element, smooth)));
    }

    private static void write(CodeBuilder code, CodeElement element, boolean smooth) {
        if (element instanceof OperatorInstruction operator && operator.opcode() == Opcode.FDIV && smooth) {
            code.invokestatic(WARP, "divide", DIVIDE);
        } else if (element instanceof InvokeInstruction call && isTanh(call)) {
            code.invokestatic(WARP, "tanh", TANH);
        } else if (element instanceof InvokeInstruction call && isRead(call)) {
            ClassDesc array = call.owner().asSymbol();
            code.invokestatic(WARP, "load", MethodTypeDesc.of(WORDS.get(array), array, ConstantDescs.CD_int));
        } else {
            code.with(element);
        }
    }

    private static boolean isTanh(InvokeInstruction call) {
        return call.opcode() == Opcode.INVOKESTATIC
                && call.owner().asSymbol().equals(describe(Softcap.class))
                && call.name().equalsString("tanh");
    }

    private static boolean isRead(InvokeInstruction call) {
        return call.opcode() == Opcode.INVOKEVIRTUAL
                && WORDS.containsKey(call.owner().asSymbol())
                && call.name().equalsString("get");
    }

    /** Whether an instruction may give quite another result for a number that is off by its last bit. */
    static boolean jumps(CodeElement element) {
        return switch (element) {
            case OperatorInstruction operator -> COMPARISONS.contains(operator.opcode());
            case ConvertInstruction convert -> ROUNDINGS.contains(convert.opcode());
            case InvokeInstruction call -> STEPS.contains(call.name().stringValue());
            default -> false;
        };
    }
}
