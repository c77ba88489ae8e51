package org.tornadoattention.function;

import java.io.IOException;
import java.io.ObjectOutputStream;
import java.io.OutputStream;
import java.io.Serializable;
import java.lang.invoke.MethodHandleInfo;
import java.lang.invoke.SerializedLambda;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.WeakHashMap;
import org.jspecify.annotations.Nullable;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * A lambda or a method reference: where its code is, and what it captured.
 *
 * @param code the code
 * @param arrays that it captured, in the order of the code's parameters
 */
record Lambda(Code code, List<TornadoNativeArray> arrays) {

    /** What is known of a function by now; functions are equal only to themselves. */
    private static final Map<Serializable, Lambda> KNOWN = Collections.synchronizedMap(new WeakHashMap<>());

    Lambda {
        arrays = List.copyOf(arrays);
    }

    /**
     * Looks into a function.
     *
     * @param what it is called in messages
     * @throws UnusableFunctionException if it is no lambda of static code, or captured what kernels cannot have
     */
    static Lambda of(Serializable function, String what) {
        if (!function.getClass().isHidden()) {
            return read(function, what);
        }
        Lambda known = KNOWN.get(function);
        if (known == null) {
            known = read(function, what);
            KNOWN.put(function, known);
        }
        return known;
    }

    private static Lambda read(Serializable function, String what) {
        SerializedLambda lambda = serialized(function, what);
        Class<?> owner;
        try {
            owner = Class.forName(
                    lambda.getImplClass().replace('/', '.'),
                    false,
                    function.getClass().getClassLoader());
        } catch (ClassNotFoundException e) {
            throw new IllegalStateException("The class of a function is not to be found", e);
        }
        String where = where(what, new Method(owner, lambda.getImplMethodName(), lambda.getImplMethodSignature()));
        if (lambda.getImplMethodKind() != MethodHandleInfo.REF_invokeStatic) {
            throw new UnusableFunctionException(
                    where,
                    "uses an object (this, or that of a method reference)",
                    "copy what it needs of the object into local variables before the lambda, or refer to a static method");
        }
        List<Code.Captured> captured = new ArrayList<>();
        List<TornadoNativeArray> arrays = new ArrayList<>();
        for (int i = 0; i < lambda.getCapturedArgCount(); i++) {
            switch (lambda.getCapturedArg(i)) {
                case TornadoNativeArray array -> {
                    captured.add(new Code.Array(array.getClass()));
                    arrays.add(array);
                }
                case Number number
                when number.getClass().getName().startsWith("java.lang.") -> captured.add(new Code.Constant(number));
                case Boolean flag -> captured.add(new Code.Constant(flag ? 1 : 0));
                case Character character -> captured.add(new Code.Constant((int) character));
                case null ->
                    throw new UnusableFunctionException(where, "captured null", "capture an array or a number");
                case Object other ->
                    throw new UnusableFunctionException(
                            where,
                            "captured an object of class " + other.getClass().getName(),
                            cure(other.getClass()));
            }
        }
        return new Lambda(
                new Code(owner, lambda.getImplMethodName(), lambda.getImplMethodSignature(), captured), arrays);
    }

    private static String cure(Class<?> captured) {
        if (captured.isArray()) {
            return "capture an array of TornadoVM's, such as FloatArray.fromArray(array)";
        }
        return captured.isHidden()
                ? "a function can call static methods of its own class, not another lambda"
                : "capture numbers and arrays of TornadoVM's only, such as FloatArray";
    }

    private static String where(String what, Method method) {
        return "%s (%s%s)"
                .formatted(
                        what, method, Method.place(method.owner(), method.line().orElse(0)));
    }

    /** Serializing a lambda goes by what it is made of, even out of a module that is closed to reflection. */
    private static SerializedLambda serialized(Serializable function, String what) {
        SerializedLambda[] found = new SerializedLambda[1];
        try (ObjectOutputStream stream = new ObjectOutputStream(OutputStream.nullOutputStream()) {
            {
                enableReplaceObject(true);
            }

            @Override
            protected @Nullable Object replaceObject(Object object) {
                if (object instanceof SerializedLambda lambda) {
                    found[0] = lambda;
                }
                return null;
            }
        }) {
            stream.writeObject(function);
        } catch (IOException e) {
            throw new IllegalStateException("What a function captured cannot be read", e);
        }
        if (found[0] == null) {
            int line = function.getClass().isHidden()
                    ? 0
                    : SourceClass.of(function.getClass()).line();
            throw new UnusableFunctionException(
                    "%s (%s%s)".formatted(what, function.getClass().getName(), Method.place(function.getClass(), line)),
                    "is an object of a class",
                    "write it as a lambda, or as a reference to a static method");
        }
        return found[0];
    }
}
