package org.tornadoattention.function;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.ScoreFunction;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * The functions of a problem, as far as a compiled plan depends on them: their code, the numbers that they captured,
 * and the types and sizes of the arrays, but not which arrays they are.
 *
 * @param form what forms of kernels depend on
 * @param sizes elements of each captured array
 */
public record UserFunctions(FunctionForm form, List<Integer> sizes) {

    /** No functions. */
    public static final UserFunctions NONE = new UserFunctions(FunctionForm.NONE, List.of());

    private static final String SCORE_FUNCTION = "The score function";
    private static final String DERIVATIVE = "The score function's derivative";
    private static final String MASK_FUNCTION = "The mask function";

    /** Keeps a copy of the sizes. */
    public UserFunctions {
        sizes = List.copyOf(sizes);
    }

    /** Functions, and the arrays that they captured. */
    private record Captured(FunctionForm form, List<TornadoNativeArray> arrays) {

        static Captured of(AttentionOptions options) {
            List<TornadoNativeArray> arrays = new ArrayList<>();
            Optional<Code> score = Optional.empty();
            Optional<Code> derivative = Optional.empty();
            if (options.score().isPresent()) {
                switch (options.score().get()) {
                    case ScoreFunction.Differentiated(var function, var given) -> {
                        score = Optional.of(code(Lambda.of(function, SCORE_FUNCTION), arrays));
                        derivative = Optional.of(code(Lambda.of(given, DERIVATIVE), arrays));
                    }
                    case ScoreFunction function ->
                        score = Optional.of(code(Lambda.of(function, SCORE_FUNCTION), arrays));
                }
            }
            Optional<Term> mask = options.mask().condition().map(condition -> Term.of(condition, arrays));
            options.bias().ifPresent(bias -> arrays.addAll(Bias.of(bias)));
            return new Captured(
                    new FunctionForm(score, derivative, mask, options.bias().map(Tensor::dtype), true, false), arrays);
        }

        private static Code code(Lambda lambda, List<TornadoNativeArray> arrays) {
            arrays.addAll(lambda.arrays());
            return lambda.code();
        }
    }

    /**
     * The functions among options.
     *
     * @throws IllegalArgumentException if one cannot become part of a kernel, with the line and what to do
     */
    public static UserFunctions of(AttentionOptions options) {
        if (options.score().isEmpty()
                && options.mask().condition().isEmpty()
                && options.bias().isEmpty()) {
            return NONE;
        }
        Captured captured = Captured.of(options);
        FunctionForm form = captured.form();
        form.score().ifPresent(code -> FunctionCheck.check(code, SCORE_FUNCTION));
        form.derivative().ifPresent(code -> FunctionCheck.check(code, DERIVATIVE));
        form.mask().ifPresent(mask -> mask.codes().forEach(code -> FunctionCheck.check(code, MASK_FUNCTION)));
        return new UserFunctions(
                form,
                captured.arrays().stream().map(TornadoNativeArray::getSize).toList());
    }

    /** The arrays that the functions among options captured, in the order of {@link FunctionForm#arrays}. */
    public static List<TornadoNativeArray> arrays(AttentionOptions options) {
        return Captured.of(options).arrays();
    }

    /** Whether there is none. */
    public boolean isEmpty() {
        return form.isEmpty();
    }

    /**
     * Checks that the score function, if there is one, has a derivative.
     *
     * @throws IllegalArgumentException if none was given and none can be found
     */
    public void requireDerivative() {
        if (form.score().isPresent() && form.derivative().isEmpty()) {
            Tangent.obstacle(Tangent.Key.ofScore(form.score().get())).ifPresent(obstacle -> {
                throw new IllegalArgumentException(
                        "The score function has no derivative: it %s. Give one with ScoreFunction.withDerivative(function, derivative)."
                                .formatted(obstacle));
            });
        }
    }
}
