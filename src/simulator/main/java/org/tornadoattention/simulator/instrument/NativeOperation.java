package org.tornadoattention.simulator.instrument;

import java.lang.classfile.TypeKind;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/**
 * A method of a native array that reads or writes elements, and what becomes of it on the array's Java storage.
 *
 * @param owner the class of the native array
 * @param storage the kind of the storage's elements
 * @param write whether it writes
 * @param elements how many elements it touches
 * @param value the kind of the value that is read or written, as it is on the operand stack
 * @param conversion turns stored elements into values, or values into stored elements; null if they are the same
 */
record NativeOperation(
        ClassDesc owner, TypeKind storage, boolean write, int elements, TypeKind value, Conversion conversion) {

    private static final String ARRAYS = "uk.ac.manchester.tornado.api.types.arrays.";
    private static final String TYPES = "uk.ac.manchester.tornado.api.types.";
    private static final ClassDesc HALF_FLOAT = ClassDesc.of(TYPES + "HalfFloat");
    private static final ClassDesc BFLOAT16 = ClassDesc.of(TYPES + "BFloat16");
    private static final ClassDesc FP8 = ClassDesc.of(TYPES + "FP8");

    private static final Map<String, NativeOperation> OPERATIONS = new HashMap<>();
    private static final Map<ClassDesc, TypeKind> STORAGE = new HashMap<>();

    static {
        plain("FloatArray", TypeKind.FLOAT);
        plain("DoubleArray", TypeKind.DOUBLE);
        plain("IntArray", TypeKind.INT);
        plain("LongArray", TypeKind.LONG);
        plain("ShortArray", TypeKind.SHORT);
        plain("CharArray", TypeKind.CHAR);
        plain("ByteArray", TypeKind.BYTE);
        plain("Int8Array", TypeKind.BYTE);
        plain("BFloat16Array", TypeKind.SHORT);
        plain("FP8Array", TypeKind.BYTE);
        STORAGE.put(array("HalfFloatArray"), TypeKind.SHORT);
        converted(
                "HalfFloatArray",
                "get",
                "set",
                HALF_FLOAT,
                new Conversion(Names.HOOKS, "half", false),
                new Conversion(HALF_FLOAT, "getHalfFloatValue", true));
        converted(
                "BFloat16Array",
                "getFloat",
                "setFloat",
                ConstantDescs.CD_float,
                new Conversion(BFLOAT16, "bf16ToFloat", false),
                new Conversion(BFLOAT16, "bf16FromFloat", false));
        for (String format : new String[] {"E4M3", "E5M2"}) {
            String prefix = format.toLowerCase(Locale.ROOT);
            converted(
                    "FP8Array",
                    "get" + format,
                    "set" + format,
                    ConstantDescs.CD_float,
                    new Conversion(FP8, prefix + "ToFloat", false),
                    new Conversion(FP8, prefix + "FromFloat", false));
        }
        wide("HalfFloatArray", "getHalf2", false, TypeKind.SHORT);
        wide("HalfFloatArray", "setHalf2", true, TypeKind.SHORT);
        wide("ByteArray", "getHalfFloat", false, TypeKind.BYTE);
        wide("ByteArray", "setHalfFloat", true, TypeKind.BYTE);
    }

    /** Returns what {@code invocation} does to a native array, or null if it does not touch elements. */
    static NativeOperation of(InvokeInstruction invocation) {
        return OPERATIONS.get(
                key(invocation.owner().asSymbol(), invocation.name().stringValue()));
    }

    /** Returns the kind of the elements in which a native array is stored, or null for any other class. */
    static TypeKind storageOf(ClassDesc type) {
        return STORAGE.get(type);
    }

    /** Returns whether the operation can be done on the storage directly. */
    boolean isDirect() {
        return elements == 1;
    }

    private static void plain(String name, TypeKind kind) {
        STORAGE.put(array(name), kind);
        put(name, "get", new NativeOperation(array(name), kind, false, 1, kind, null));
        put(name, "set", new NativeOperation(array(name), kind, true, 1, kind, null));
    }

    private static void converted(
            String name, String get, String set, ClassDesc value, Conversion toValue, Conversion fromValue) {
        TypeKind storage = STORAGE.get(array(name));
        TypeKind kind = TypeKind.from(value);
        put(name, get, new NativeOperation(array(name), storage, false, 1, kind, toValue.with(storage, value)));
        put(name, set, new NativeOperation(array(name), storage, true, 1, kind, fromValue.with(value, storage)));
    }

    private static void wide(String name, String method, boolean write, TypeKind storage) {
        put(name, method, new NativeOperation(array(name), storage, write, 2, TypeKind.REFERENCE, null));
    }

    private static void put(String name, String method, NativeOperation operation) {
        OPERATIONS.put(key(array(name), method), operation);
    }

    private static String key(ClassDesc owner, String method) {
        return owner.descriptorString() + method;
    }

    private static ClassDesc array(String name) {
        return ClassDesc.of(ARRAYS + name);
    }

    /** A method that converts an element. */
    record Conversion(ClassDesc owner, String name, boolean virtual, MethodTypeDesc type) {

        Conversion(ClassDesc owner, String name, boolean virtual) {
            this(owner, name, virtual, null);
        }

        Conversion with(TypeKind from, ClassDesc to) {
            return new Conversion(owner, name, virtual, MethodTypeDesc.of(to, from.upperBound()));
        }

        Conversion with(ClassDesc from, TypeKind to) {
            MethodTypeDesc type =
                    virtual ? MethodTypeDesc.of(to.upperBound()) : MethodTypeDesc.of(to.upperBound(), from);
            return new Conversion(owner, name, virtual, type);
        }
    }
}
