package org.tornadoattention.function;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tornadoattention.tensor.DType;

/**
 * What the forms of kernels with a problem's functions depend on.
 *
 * @param score the score function
 * @param derivative of the score function, where it was given
 * @param mask what hides keys
 * @param bias the type of a dense bias
 * @param skips whether kernels step over the empty tiles of a block mask, rather than ask in them
 * @param intrinsics whether the compiler knows those of warps
 */
public record FunctionForm(
        Optional<Code> score,
        Optional<Code> derivative,
        Optional<Term> mask,
        Optional<DType> bias,
        boolean skips,
        boolean intrinsics) {

    /** No functions. */
    public static final FunctionForm NONE =
            new FunctionForm(Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty(), true, false);

    /** The same for a device whose compiler does not take loops between barriers. */
    public FunctionForm withoutSkips() {
        return isEmpty() ? this : new FunctionForm(score, derivative, mask, bias, false, intrinsics);
    }

    /** The same for a compiler that knows the intrinsics of warps. */
    public FunctionForm withIntrinsics() {
        return isEmpty() ? this : new FunctionForm(score, derivative, mask, bias, skips, true);
    }

    /** Whether kernels step over tiles that a block mask leaves empty. */
    public boolean leavesTilesOut() {
        return skips && mask.map(term -> !term.decisive().isEmpty()).orElse(false);
    }

    /** Whether scores get a bias that tensor-core kernels may read by eights. */
    public boolean hasNarrowBias() {
        return bias.filter(dtype -> dtype != DType.F32).isPresent();
    }

    /** Whether scores are changed, and not only hidden. */
    public boolean changesScores() {
        return score.isPresent() || bias.isPresent();
    }

    /** Whether there is no function. */
    public boolean isEmpty() {
        return equals(NONE);
    }

    /** The functions, in the order of their arrays. */
    List<Code> codes() {
        List<Code> codes = new ArrayList<>();
        score.ifPresent(codes::add);
        derivative.ifPresent(codes::add);
        mask.ifPresent(term -> codes.addAll(term.codes()));
        return codes;
    }

    /**
     * The classes of the arrays that all functions captured, and of the bias's, in the order in which kernels take
     * them.
     */
    public List<Class<?>> arrays() {
        List<Class<?>> arrays = new ArrayList<>();
        score.ifPresent(code -> arrays.addAll(code.arrays()));
        derivative.ifPresent(code -> arrays.addAll(code.arrays()));
        mask.ifPresent(term -> arrays.addAll(term.arrays()));
        bias.ifPresent(dtype -> arrays.addAll(Bias.arrays(dtype)));
        return arrays;
    }

    /** The class that stands in for {@link org.tornadoattention.kernel.parts.Functions}, as a class file. */
    public byte[] classFile() {
        return new FunctionClass(this).bytes();
    }
}
