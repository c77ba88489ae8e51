package org.tornadoattention.simulator.instrument;

import java.lang.classfile.TypeKind;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;

/** The names and types that instrumented code refers to. */
final class Names {

    private static final String ENGINE = "org.tornadoattention.simulator.engine.";
    private static final String API = "uk.ac.manchester.tornado.api.";

    static final ClassDesc HOOKS = ClassDesc.of(ENGINE + "Hooks");
    static final ClassDesc LOCAL_HOOKS = ClassDesc.of(ENGINE + "LocalHooks");
    static final ClassDesc PRIVATE_HOOKS = ClassDesc.of(ENGINE + "PrivateHooks");
    static final ClassDesc COST_HOOKS = ClassDesc.of(ENGINE + "CostHooks");
    static final ClassDesc TRACE_HOOKS = ClassDesc.of(ENGINE + "TraceHooks");
    static final ClassDesc WORK_ITEM = ClassDesc.of(ENGINE + "WorkItem");
    static final ClassDesc LOCAL_ARRAY = ClassDesc.of(ENGINE + "LocalArray");
    static final ClassDesc LOCAL_VIEW = ClassDesc.of(ENGINE + "LocalView");
    static final ClassDesc FAULT = ClassDesc.of("org.tornadoattention.simulator.SimulatorFaultException");
    static final ClassDesc KERNEL_CONTEXT = ClassDesc.of(API + "KernelContext");
    static final ClassDesc NATIVE_ARRAY = ClassDesc.of(API + "types.arrays.TornadoNativeArray");
    static final ClassDesc PARALLEL = ClassDesc.of(API + "annotations.Parallel");
    static final ClassDesc INDEX_OUT_OF_BOUNDS = ClassDesc.of("java.lang.IndexOutOfBoundsException");
    static final ClassDesc RECORD = ClassDesc.of(ENGINE + "GlobalRecord");

    static final MethodTypeDesc ITEM_OF_CONTEXT = MethodTypeDesc.of(WORK_ITEM, KERNEL_CONTEXT);
    static final MethodTypeDesc CURRENT_ITEM = MethodTypeDesc.of(WORK_ITEM);
    static final MethodTypeDesc STORAGE = MethodTypeDesc.of(ConstantDescs.CD_Object, NATIVE_ARRAY);
    static final MethodTypeDesc RECORD_OF = MethodTypeDesc.of(RECORD, NATIVE_ARRAY);
    static final MethodTypeDesc LOCAL =
            MethodTypeDesc.of(LOCAL_VIEW, ConstantDescs.CD_Object, ConstantDescs.CD_String, WORK_ITEM);
    static final MethodTypeDesc READ_GLOBAL =
            MethodTypeDesc.of(ConstantDescs.CD_void, ConstantDescs.CD_int, RECORD, WORK_ITEM);
    static final MethodTypeDesc BEFORE_GLOBAL = MethodTypeDesc.of(
            ConstantDescs.CD_void, NATIVE_ARRAY, ConstantDescs.CD_int, ConstantDescs.CD_int, WORK_ITEM);
    static final MethodTypeDesc BEFORE_LOCAL =
            MethodTypeDesc.of(ConstantDescs.CD_void, ConstantDescs.CD_Object, ConstantDescs.CD_int, WORK_ITEM);
    static final MethodTypeDesc COUNT_GLOBAL = MethodTypeDesc.of(
            ConstantDescs.CD_void, NATIVE_ARRAY, ConstantDescs.CD_long, ConstantDescs.CD_long, WORK_ITEM);
    static final MethodTypeDesc LOCAL_ARRAY_OF = MethodTypeDesc.of(LOCAL_ARRAY, ConstantDescs.CD_Object, WORK_ITEM);
    static final MethodTypeDesc BEFORE_KNOWN_LOCAL =
            MethodTypeDesc.of(ConstantDescs.CD_void, ConstantDescs.CD_int, LOCAL_ARRAY, WORK_ITEM);
    static final MethodTypeDesc COUNT_LOCAL =
            MethodTypeDesc.of(ConstantDescs.CD_void, LOCAL_VIEW, ConstantDescs.CD_long, ConstantDescs.CD_long);
    static final MethodTypeDesc OUT_OF_BOUNDS =
            MethodTypeDesc.of(FAULT, INDEX_OUT_OF_BOUNDS, ConstantDescs.CD_String, WORK_ITEM);
    static final MethodTypeDesc BARRIER_SITE =
            MethodTypeDesc.of(ConstantDescs.CD_void, WORK_ITEM, ConstantDescs.CD_int);
    static final MethodTypeDesc BEFORE_SHIFT =
            MethodTypeDesc.of(ConstantDescs.CD_void, ConstantDescs.CD_int, ConstantDescs.CD_int, WORK_ITEM);
    static final MethodTypeDesc TURNED = MethodTypeDesc.of(
            ConstantDescs.CD_void,
            WORK_ITEM,
            ConstantDescs.CD_int,
            ConstantDescs.CD_int,
            ConstantDescs.CD_int,
            ConstantDescs.CD_int);
    static final MethodTypeDesc WORKER = MethodTypeDesc.of(ConstantDescs.CD_int, WORK_ITEM, ConstantDescs.CD_int);
    static final MethodTypeDesc ITERATION =
            MethodTypeDesc.of(ConstantDescs.CD_void, ConstantDescs.CD_int, WORK_ITEM, ConstantDescs.CD_int);

    static final MethodTypeDesc COST_GLOBAL = MethodTypeDesc.of(
            ConstantDescs.CD_void,
            ConstantDescs.CD_int,
            NATIVE_ARRAY,
            WORK_ITEM,
            ConstantDescs.CD_int,
            ConstantDescs.CD_int);
    static final MethodTypeDesc COST_LOCAL = MethodTypeDesc.of(
            ConstantDescs.CD_void,
            ConstantDescs.CD_int,
            LOCAL_VIEW,
            WORK_ITEM,
            ConstantDescs.CD_int,
            ConstantDescs.CD_int);
    static final MethodTypeDesc COST_SITE = MethodTypeDesc.of(ConstantDescs.CD_void, WORK_ITEM, ConstantDescs.CD_int);
    static final MethodTypeDesc COST_OPERATIONS =
            MethodTypeDesc.of(ConstantDescs.CD_void, ConstantDescs.CD_long, WORK_ITEM);
    static final MethodTypeDesc COST_PRIVATE =
            MethodTypeDesc.of(ConstantDescs.CD_void, ConstantDescs.CD_Object, WORK_ITEM);

    static final MethodTypeDesc TRACE_SNAPSHOT =
            MethodTypeDesc.of(ConstantDescs.CD_boolean, WORK_ITEM, ConstantDescs.CD_int);

    private Names() {}

    /** Returns the type of the hook that writes to device memory. */
    static MethodTypeDesc putGlobal(TypeKind kind) {
        return MethodTypeDesc.of(
                ConstantDescs.CD_void, arrayOf(kind), ConstantDescs.CD_int, kind.upperBound(), RECORD, WORK_ITEM);
    }

    /** Returns the name of the hook that reads local memory through a view; such hooks differ in the result only. */
    static String viewRead(TypeKind kind) {
        return switch (kind) {
            case FLOAT -> "readFloat";
            case DOUBLE -> "readDouble";
            case INT -> "readInt";
            case LONG -> "readLong";
            case BYTE -> "readByte";
            default -> "readObject";
        };
    }

    /** Returns the type of the hook that reads local memory, through a view or from an array that has one. */
    static MethodTypeDesc readLocal(TypeKind kind, boolean viewed) {
        return viewed
                ? MethodTypeDesc.of(kind.upperBound(), LOCAL_VIEW, ConstantDescs.CD_int)
                : MethodTypeDesc.of(kind.upperBound(), arrayOf(kind), ConstantDescs.CD_int, LOCAL_VIEW);
    }

    /** Returns the type of the hook that writes local memory, through a view or to an array that has one. */
    static MethodTypeDesc writeLocal(TypeKind kind, boolean viewed) {
        return viewed
                ? MethodTypeDesc.of(ConstantDescs.CD_void, LOCAL_VIEW, ConstantDescs.CD_int, kind.upperBound())
                : MethodTypeDesc.of(
                        ConstantDescs.CD_void, arrayOf(kind), ConstantDescs.CD_int, kind.upperBound(), LOCAL_VIEW);
    }

    /** Returns whether elements of this kind can hold a pattern that says that they were never written. */
    static boolean canBeMarked(TypeKind kind) {
        return switch (kind) {
            case FLOAT, DOUBLE, INT, LONG -> true;
            default -> false;
        };
    }

    /** Returns the type of the hook that marks the elements of a new private array as never written. */
    static MethodTypeDesc markPrivate(TypeKind kind) {
        return MethodTypeDesc.of(ConstantDescs.CD_void, arrayOf(kind));
    }

    /** Returns the type of the hook that reads a private array. */
    static MethodTypeDesc readPrivate(TypeKind kind) {
        return MethodTypeDesc.of(
                kind.upperBound(), arrayOf(kind), ConstantDescs.CD_int, ConstantDescs.CD_String, WORK_ITEM);
    }

    /** Returns the type of the hook that looks at a number before it is written to a private array. */
    static MethodTypeDesc beforePrivateWrite(TypeKind kind) {
        return MethodTypeDesc.of(ConstantDescs.CD_void, kind.upperBound(), WORK_ITEM);
    }

    /** Returns the type of the hook that keeps the value of a variable of that type. */
    static MethodTypeDesc traceValue(ClassDesc type) {
        return MethodTypeDesc.of(ConstantDescs.CD_void, type, ConstantDescs.CD_String, WORK_ITEM);
    }

    static ClassDesc arrayOf(TypeKind kind) {
        return kind.upperBound().arrayType();
    }
}
