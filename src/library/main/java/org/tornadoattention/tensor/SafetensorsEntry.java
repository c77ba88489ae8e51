package org.tornadoattention.tensor;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a safetensors file says of one of its tensors. Entries of an opened file have been checked: the byte range
 * lies in the file and is as long as shape and type ask.
 *
 * @param name       the tensor's name
 * @param type       the element type as the file calls it, such as {@code BF16} or {@code I32}
 * @param shape      the dimensions, outermost first; empty for a single number
 * @param byteOffset where the elements begin, in bytes after the header
 * @param byteSize   the bytes that the elements take
 */
public record SafetensorsEntry(String name, String type, List<Long> shape, long byteOffset, long byteSize) {
    private static final Map<String, Integer> BITS = Map.ofEntries(
            Map.entry("BOOL", 8),
            Map.entry("U8", 8),
            Map.entry("I8", 8),
            Map.entry("F8_E5M2", 8),
            Map.entry("F8_E4M3", 8),
            Map.entry("F8_E8M0", 8),
            Map.entry("F6_E2M3", 6),
            Map.entry("F6_E3M2", 6),
            Map.entry("F4", 4),
            Map.entry("I16", 16),
            Map.entry("U16", 16),
            Map.entry("F16", 16),
            Map.entry("BF16", 16),
            Map.entry("I32", 32),
            Map.entry("U32", 32),
            Map.entry("F32", 32),
            Map.entry("I64", 64),
            Map.entry("U64", 64),
            Map.entry("F64", 64),
            Map.entry("C64", 64));

    /** Copies the shape. */
    public SafetensorsEntry {
        shape = List.copyOf(shape);
    }

    /** The type that a {@link Tensor} would have, or nothing where attention does not compute with the file's. */
    public Optional<DType> dtype() {
        return DType.ofSafetensors(type);
    }

    /** The number of elements: the product of the dimensions. */
    public long numberOfElements() {
        return shape.stream().reduce(1L, Math::multiplyExact);
    }

    /** The bits that an element of a type takes, or nothing where the format has no such type. */
    static Optional<Integer> bitsPerElement(String type) {
        return Optional.ofNullable(BITS.get(type));
    }

    /** The bytes that shape and type ask for, or nothing where that is no whole number below 2<sup>60</sup>. */
    Optional<Long> requiredBytes() {
        try {
            long bits = Math.multiplyExact(numberOfElements(), (long) BITS.get(type));
            return bits % 8 == 0 ? Optional.of(bits / 8) : Optional.empty();
        } catch (ArithmeticException overflow) {
            return Optional.empty();
        }
    }
}
