package org.tornadoattention.choice;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Strided;
import org.tornadoattention.tensor.Tensor;

/**
 * Where the tensors of a task lie, some of which are views over arrays of the caller's or of another type than the
 * others: constants of its kernels.
 *
 * @param types of all tensors
 * @param numbers what the methods of {@link Layout} give, by their names
 */
public record Views(Set<DType> types, Map<String, Integer> numbers) {

    private static final String OUTPUT_GRADIENT = "outputGradient";

    /** Keeps copies. */
    public Views {
        types = Set.copyOf(types);
        numbers = Map.copyOf(numbers);
    }

    /**
     * Where four tensors {@code [batch, heads, seq, headDim]} lie.
     *
     * @param query the queries
     * @param key the keys
     * @param value the values
     * @param output the output
     * @return empty if none is a view and all are of one type
     * @throws IllegalArgumentException if the elements of a row do not follow one another
     */
    public static Optional<Views> of(Tensor query, Tensor key, Tensor value, Tensor output) {
        Views all = ofAll(query, key, value, output);
        boolean plain =
                all.types().size() == 1 && Stream.of(query, key, value, output).noneMatch(Tensor::isView);
        return plain ? Optional.empty() : Optional.of(all);
    }

    /**
     * Where four tensors lie, be they views or not; keys and values may be bytes, which are of no type.
     *
     * @param query {@code [batch, heads, seq, headDim]}
     * @param key likewise, or pages {@code [pages, kvHeads, pageSize, headDim]}
     * @param value likewise
     * @param output like the queries
     * @return their places
     * @throws IllegalArgumentException if the elements of a row do not follow one another
     */
    public static Views ofAll(Tensor query, Strided key, Strided value, Tensor output) {
        Map<String, Integer> numbers = new HashMap<>(Map.of("isStrided", 1));
        add(numbers, "query", query);
        add(numbers, "key", key);
        add(numbers, "value", value);
        add(numbers, "output", output);
        Set<DType> types = Stream.of(query, key, value, output)
                .filter(Tensor.class::isInstance)
                .map(tensor -> ((Tensor) tensor).dtype())
                .collect(Collectors.toSet());
        return new Views(types, numbers);
    }

    /**
     * Where the tensors of a backward pass lie.
     *
     * @param tensors of the pass
     * @return empty if none but the log-sum-exps and gradients of options is a view; those may not be
     * @throws IllegalArgumentException if the elements of a row do not follow one another
     */
    public static Optional<Views> of(BackwardTensors tensors) {
        Views forward = ofAll(tensors.q(), tensors.k(), tensors.v(), tensors.output());
        Map<String, Integer> numbers = new HashMap<>(forward.numbers());
        Map<String, Tensor> gradients = Map.of(
                OUTPUT_GRADIENT,
                tensors.dOut(),
                "queryGradient",
                tensors.dQ(),
                "keyGradient",
                tensors.dK(),
                "valueGradient",
                tensors.dV());
        gradients.forEach((name, tensor) -> add(numbers, name, tensor));
        boolean plain = gradients.values().stream().noneMatch(Tensor::isView)
                && of(tensors.q(), tensors.k(), tensors.v(), tensors.output()).isEmpty();
        return plain ? Optional.empty() : Optional.of(new Views(forward.types(), numbers));
    }

    /** {@return whether these are the tensors of a backward pass} */
    public boolean areOfBackward() {
        return numbers.containsKey(OUTPUT_GRADIENT + "Offset");
    }

    /** {@return whether all rows begin at even elements of their arrays} */
    public boolean isEven() {
        return numbers.entrySet().stream()
                .allMatch(number -> number.getKey().equals("isStrided") || number.getValue() % 2 == 0);
    }

    /**
     * Whether the rows of a tensor begin at multiples of so many elements of its array.
     *
     * @param tensor one of {@code query}, {@code key}, {@code value}, {@code output}
     * @param elements how many
     * @return whether they do
     */
    public boolean isMultiple(String tensor, int elements) {
        return Stream.of("Offset", "Batch", "Head", "Row")
                .allMatch(place -> numbers.getOrDefault(tensor + place, 1) % elements == 0);
    }

    /**
     * Whether the heads of a key, and those of a value, lie one behind the other.
     *
     * @param headDim elements per head
     * @return whether they do
     */
    public boolean areHeadsTogether(int headDim) {
        return Stream.of("keyHead", "valueHead").allMatch(place -> numbers.getOrDefault(place, 0) == headDim);
    }

    private static void add(Map<String, Integer> numbers, String name, Strided tensor) {
        if (tensor.stride(3) != 1) {
            throw new IllegalArgumentException(
                    "The elements of a row of %s, %s, are %d apart in its array: the last stride must be 1; copy it with contiguous()."
                            .formatted(name, tensor, tensor.stride(3)));
        }
        numbers.put(name + "Offset", tensor.offset());
        numbers.put(name + "Batch", tensor.stride(0));
        numbers.put(name + "Head", tensor.stride(1));
        numbers.put(name + "Row", tensor.stride(2));
    }
}
