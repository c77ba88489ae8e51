package org.tornadoattention.function;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.List;
import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.ScoreFunction;
import org.tornadoattention.kernel.parts.Functions;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** The derivative of a score function on the JVM: the given one, or the one that kernels have. */
public final class ScoreSlope {

    private static final MethodType TYPE =
            MethodType.methodType(float.class, float.class, int.class, int.class, int.class, int.class, int.class);

    private final MethodHandle found;

    private ScoreSlope(MethodHandle found) {
        this.found = found;
    }

    /**
     * The derivative of a function with respect to the score.
     *
     * @throws IllegalArgumentException if none was given and none can be found
     */
    public static ScoreFunction of(ScoreFunction function) {
        if (function instanceof ScoreFunction.Differentiated(var _, var derivative)) {
            return derivative;
        }
        AttentionOptions options = AttentionOptions.defaults().withScore(function);
        UserFunctions functions = UserFunctions.of(options);
        functions.requireDerivative();
        ScoreSlope slope = new ScoreSlope(define(functions.form(), UserFunctions.arrays(options)));
        return slope::apply;
    }

    private static MethodHandle define(FunctionForm form, List<TornadoNativeArray> arrays) {
        try {
            MethodHandles.Lookup inside = MethodHandles.privateLookupIn(Functions.class, MethodHandles.lookup())
                    .defineHiddenClass(form.classFile(), false);
            MethodHandle slope = inside.findStatic(
                    inside.lookupClass(), FunctionClass.SLOPE, TYPE.appendParameterTypes(form.arrays()));
            return MethodHandles.insertArguments(slope, TYPE.parameterCount(), arrays.toArray());
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("The derivative of a function cannot be used", e);
        }
    }

    private float apply(float score, int batch, int head, int query, int key) {
        try {
            return (float) found.invokeExact(score, batch, head, query, key, 0);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException("A derivative failed", e);
        }
    }

    /** What a function's derivative is, empty where there is no function. */
    public static Optional<ScoreFunction> of(AttentionOptions options) {
        return options.score().map(ScoreSlope::of);
    }
}
