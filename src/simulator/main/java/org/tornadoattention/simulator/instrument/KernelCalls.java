package org.tornadoattention.simulator.instrument;

import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.TypeKind;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.lang.invoke.MethodType;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import org.tornadoattention.simulator.engine.KernelCall;

/**
 * Makes what calls a copy of a kernel with an array of arguments. A method handle would do it through several frames
 * and classes of its own for each signature, and changes from one work-item to another copy frames.
 */
final class KernelCalls {

    private KernelCalls() {}

    /** Returns the name of the class that calls the copy of a kernel, which is beside that of its class. */
    static String name(Method kernel) {
        return kernel.getDeclaringClass().getName() + "$$Call";
    }

    /** Returns the class file. In the copy the kernel is public. */
    static byte[] classFile(Method kernel) {
        ClassDesc owner = descriptor(kernel.getDeclaringClass());
        MethodTypeDesc call = MethodTypeDesc.of(ConstantDescs.CD_void, ConstantDescs.CD_Object.arrayType());
        return ClassFile.of()
                .build(
                        ClassDesc.of(name(kernel)),
                        builder -> builder.withFlags(ClassFile.ACC_PUBLIC | ClassFile.ACC_FINAL | ClassFile.ACC_SUPER)
                                .withInterfaceSymbols(descriptor(KernelCall.class))
                                .withMethodBody(
                                        ConstantDescs.INIT_NAME,
                                        ConstantDescs.MTD_void,
                                        ClassFile.ACC_PUBLIC,
                                        code -> code.aload(0)
                                                .invokespecial(
                                                        ConstantDescs.CD_Object,
                                                        ConstantDescs.INIT_NAME,
                                                        ConstantDescs.MTD_void)
                                                .return_())
                                .withMethodBody(
                                        "call", call, ClassFile.ACC_PUBLIC, code -> write(code, kernel, owner)));
    }

    private static void write(CodeBuilder code, Method kernel, ClassDesc owner) {
        boolean isStatic = Modifier.isStatic(kernel.getModifiers());
        int at = 0;
        if (!isStatic) {
            code.aload(1).loadConstant(at++).aaload().checkcast(owner);
        }
        for (Class<?> type : kernel.getParameterTypes()) {
            code.aload(1).loadConstant(at++).aaload();
            Class<?> boxed = MethodType.methodType(type).wrap().returnType();
            code.checkcast(descriptor(boxed));
            if (type.isPrimitive()) {
                code.invokevirtual(descriptor(boxed), type.getName() + "Value", MethodTypeDesc.of(descriptor(type)));
            }
        }
        MethodTypeDesc signature = MethodType.methodType(kernel.getReturnType(), kernel.getParameterTypes())
                .describeConstable()
                .orElseThrow();
        boolean ofInterface = kernel.getDeclaringClass().isInterface();
        if (isStatic) {
            code.invokestatic(owner, kernel.getName(), signature, ofInterface);
        } else if (ofInterface) {
            code.invokeinterface(owner, kernel.getName(), signature);
        } else {
            code.invokevirtual(owner, kernel.getName(), signature);
        }
        TypeKind result = TypeKind.from(kernel.getReturnType());
        if (result.slotSize() == 1) {
            code.pop();
        } else if (result.slotSize() == 2) {
            code.pop2();
        }
        code.return_();
    }

    private static ClassDesc descriptor(Class<?> type) {
        return type.describeConstable().orElseThrow();
    }
}
