package org.tornadoattention.forge;

import java.lang.reflect.Parameter;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Which numbers of a form share a parameter. A task of TornadoVM's takes {@link #MOST} arguments; where captured arrays
 * make them more, two ints travel as one long. TornadoVM makes constants of numbers, so that taking them apart costs
 * nothing.
 *
 * @param pairs the numbers of the parameters that share one, the first in the lower half
 */
record Packing(List<Pair> pairs) {

    /** Arguments of a task. */
    static final int MOST = 20;

    /** Two parameters of the text. */
    record Pair(int low, int high) {}

    /**
     * The packing of a form.
     *
     * @param addsContext whether the form has a parameter that the text has not
     * @throws IllegalArgumentException if there are too many arrays
     */
    static Packing of(Form form, boolean addsContext) {
        List<Integer> ints = ints(form);
        int excess = excess(form, addsContext);
        if (excess > ints.size() / 2) {
            int arrays = form.functions().arrays().size();
            throw new IllegalArgumentException(
                    "The functions captured %d arrays, and kernel %s has room for %d: put several arrays into one, or choose another kernel."
                            .formatted(arrays, form.kernel(), arrays - excess + ints.size() / 2));
        }
        List<Pair> pairs = new ArrayList<>();
        for (int i = 0; i < excess; i++) {
            pairs.add(new Pair(ints.get(2 * i), ints.get(2 * i + 1)));
        }
        return new Packing(pairs);
    }

    /** Whether a task has arguments enough for a form, with a context added. */
    static boolean hasRoom(Form form) {
        return excess(form, true) <= ints(form).size() / 2;
    }

    /** By how many the arguments are too many. */
    private static int excess(Form form, boolean addsContext) {
        long kept = form.kernel().parameters().stream()
                .filter(parameter -> form.keeps(parameter.getName()))
                .count();
        return (int) kept + (addsContext ? 1 : 0) + form.functions().arrays().size() - MOST;
    }

    /** The numbers of the parameters that can share one. */
    private static List<Integer> ints(Form form) {
        List<Parameter> parameters = form.kernel().parameters();
        return IntStream.range(0, parameters.size())
                .filter(i -> parameters.get(i).getType() == int.class)
                .filter(i -> form.keeps(parameters.get(i).getName()))
                .boxed()
                .toList();
    }

    /** Whether a parameter of the text shares one. */
    boolean contains(int parameter) {
        return pairs.stream().anyMatch(pair -> pair.low() == parameter || pair.high() == parameter);
    }

    /** Two numbers as one argument. */
    static long pack(int low, int high) {
        return low & 0xffffffffL | (long) high << Integer.SIZE;
    }
}
