package org.tornadoattention.simulator.instrument;

import java.lang.classfile.CodeBuilder;
import java.lang.classfile.CodeElement;
import java.lang.classfile.CodeTransform;
import java.lang.classfile.Opcode;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.constant.ClassDesc;
import java.lang.invoke.MethodType;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tornadoattention.simulator.engine.TurnIntrinsics;
import org.tornadoattention.simulator.engine.WarpBarrierIntrinsics;
import org.tornadoattention.simulator.engine.WarpGroupIntrinsics;
import org.tornadoattention.simulator.engine.WarpIntrinsics;

/**
 * Sends calls of warp intrinsics to the simulator, as a GPU's compiler replaces them by instructions. Their classes are
 * known by name only: the simulator does without them, and they without the simulator.
 */
final class IntrinsicCalls implements CodeTransform {

    static final String PACKAGE = "org.tornadoattention.intrinsic.";

    /** Simulated methods: owner, name and descriptor, and the class that has the method of the same name and type. */
    private static final Map<String, ClassDesc> SIMULATED = new HashMap<>();

    static {
        for (Class<?> simulated : List.of(
                WarpIntrinsics.class, WarpGroupIntrinsics.class, WarpBarrierIntrinsics.class, TurnIntrinsics.class)) {
            String owner = PACKAGE + simulated.getSimpleName().replace("Intrinsics", "");
            for (Method method : simulated.getDeclaredMethods()) {
                if (Modifier.isPublic(method.getModifiers())) {
                    String descriptor = MethodType.methodType(method.getReturnType(), method.getParameterTypes())
                            .descriptorString();
                    SIMULATED.put(
                            ClassDesc.of(owner).descriptorString() + method.getName() + descriptor,
                            simulated.describeConstable().orElseThrow());
                }
            }
        }
    }

    @Override
    public void accept(CodeBuilder code, CodeElement element) {
        if (element instanceof InvokeInstruction invoke && invoke.opcode() == Opcode.INVOKESTATIC) {
            ClassDesc simulated = SIMULATED.get(invoke.owner().asSymbol().descriptorString()
                    + invoke.name().stringValue()
                    + invoke.type().stringValue());
            if (simulated != null) {
                code.invokestatic(simulated, invoke.name().stringValue(), invoke.typeSymbol());
                return;
            }
        }
        code.with(element);
    }
}
