package org.tornadoattention.cuda;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Text that reads an element of an array. Its index is written as a sum of variables, the same for all elements that
 * lie at constant distances, and that distance: NVRTC, which takes sums of ints as Graal left them, then computes one
 * address for all of them, and reads once what two of them have in common.
 *
 * @param position of the index among the arguments
 * @param text writes the statement
 */
record ElementText(int position, IntrinsicText text) implements IntrinsicText {

    @Override
    public String of(String result, String... arguments) {
        return text.of(result, arguments);
    }

    /**
     * The same where the index's variables stand behind the arguments, of which there are {@code count}.
     *
     * @param signs of the variables
     * @param distance what is added to their sum
     */
    IntrinsicText ofSum(int count, List<Integer> signs, int distance) {
        return (result, operands) -> {
            String[] arguments = Arrays.copyOf(operands, count);
            String sum = IntStream.range(0, signs.size())
                    .mapToObj(term -> (signs.get(term) > 0 ? " + " : " - ") + operands[count + term])
                    .collect(Collectors.joining());
            arguments[position] = "(0" + sum + ")" + PLUS + distance;
            return text.of(result, arguments);
        };
    }
}
