package org.tornadoattention.choice;

import java.util.HashMap;
import java.util.Map;
import org.tornadoattention.kernel.parts.PartialSums;

/**
 * One launch of a kernel, as its description has it: what the kernel gets beyond what all kernels of a pass know by the
 * names of their parameters, and its grid. Each has a group size of its own: with one of TornadoVM's choosing, a kernel
 * that needs many registers fails to launch without an exception.
 *
 * @param suffix what its task's name ends with
 * @param owner the class of the kernel
 * @param method the kernel's name
 * @param numbers arguments by the parameter that gets them
 * @param arrays for a parameter that is not named like it, the array of the pass or the {@link Scratch} that it gets
 * @param answers by a class of the kernel's parts, numbers that its methods without parameters are to give
 * @param featuresAdded bits that its {@code features} have beyond those of the pass
 * @param featuresLeftOut bits of the pass that they lack
 * @param sumsMany whether it adds so many terms that {@code PartialSums} joins runs of them
 * @param groups work-groups
 * @param groupSize work-items in each
 */
public record Launch(
        String suffix,
        Class<?> owner,
        String method,
        Map<String, Number> numbers,
        Map<String, String> arrays,
        Map<Class<?>, Map<String, Integer>> answers,
        int featuresAdded,
        int featuresLeftOut,
        boolean sumsMany,
        long groups,
        int groupSize) {

    /** Keeps copies. */
    public Launch {
        numbers = Map.copyOf(numbers);
        arrays = Map.copyOf(arrays);
        answers = Map.copyOf(answers);
    }

    /** A launch without a grid yet. */
    static Launch of(String suffix, Class<?> owner, String method) {
        return new Launch(suffix, owner, method, Map.of(), Map.of(), Map.of(), 0, 0, false, 0, 0);
    }

    private Launch with(
            Map<String, Number> ofNumbers, Map<String, String> ofArrays, Map<Class<?>, Map<String, Integer>> ofParts) {
        return new Launch(
                suffix,
                owner,
                method,
                ofNumbers,
                ofArrays,
                ofParts,
                featuresAdded,
                featuresLeftOut,
                sumsMany,
                groups,
                groupSize);
    }

    private Launch with(int added, int leftOut, boolean many) {
        return new Launch(suffix, owner, method, numbers, arrays, answers, added, leftOut, many, groups, groupSize);
    }

    /** The same with a number for a parameter. */
    Launch with(String parameter, Number number) {
        Map<String, Number> more = new HashMap<>(numbers);
        more.put(parameter, number);
        return with(more, arrays, answers);
    }

    /** The same with an array, by its name, for a parameter. */
    Launch with(String parameter, String array) {
        Map<String, String> more = new HashMap<>(arrays);
        more.put(parameter, array);
        return with(numbers, more, answers);
    }

    /** The same with constants of one of the kernel's parts. */
    Launch answering(Class<?> part, Map<String, Integer> constants) {
        Map<Class<?>, Map<String, Integer>> more = new HashMap<>(answers);
        more.put(part, Map.copyOf(constants));
        return with(numbers, arrays, more);
    }

    /** The same with more bits in {@code features}. */
    Launch adding(int features) {
        return with(featuresAdded | features, featuresLeftOut, sumsMany);
    }

    /** The same without some bits in {@code features}. */
    Launch leavingOut(int features) {
        return with(featuresAdded, featuresLeftOut | features, sumsMany);
    }

    /** The same of a kernel that adds so many terms to a sum. */
    Launch summing(long terms) {
        return with(featuresAdded, featuresLeftOut, terms >= PartialSums.MANY);
    }

    /** The same with a number of groups. */
    Launch groups(long count, int size) {
        return new Launch(
                suffix, owner, method, numbers, arrays, answers, featuresAdded, featuresLeftOut, sumsMany, count, size);
    }

    /** The same with a work-item for each of so many elements. */
    Launch overElements(long elements, int size) {
        return groups(Math.ceilDiv(elements, size), size);
    }

    /**
     * {@return the bits that the kernel gets where the pass has these}
     *
     * @param ofPass the bits of the pass, of {@code kernel.parts.Features}
     */
    public int features(int ofPass) {
        return ofPass & ~featuresLeftOut | featuresAdded;
    }

    /** {@return whether it computes the gradient of queries and nothing else that is asked for} */
    public boolean isOfQueryGradient() {
        return suffix.equals("-dq");
    }

    /**
     * {@return whether it computes the gradients of keys and values, or one of them, and nothing else that is asked
     * for}
     */
    public boolean isOfKeyGradients() {
        return suffix.equals("-dkdv") || suffix.equals("-dk") || suffix.equals("-dv");
    }
}
