package org.tornadoattention.tensor;

import static org.tornadoattention.internal.Arguments.required;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a safetensors file says of one of its tensors. Entries of an opened file have been checked: the byte range lies
 * in the file and is as long as shape and type ask. A type that this version does not know, as newer writers may have,
 * is taken as it is, with the bytes that the file gives it.
 *
 * @param name the tensor's name
 * @param type the element type as the file calls it, such as {@code BF16} or {@code I32}
 * @param shape the dimensions, outermost first; empty for a single number
 * @param byteOffset where the elements begin, in bytes after the header
 * @param byteSize the bytes that the elements take
 */
public record SafetensorsEntry(String name, String type, List<Long> shape, long byteOffset, long byteSize) {
    private static final Map<String, Integer> BITS = Map.ofEntries(
            Map.entry("BOOL", 8),
            Map.entry("U8", 8),
            Map.entry("I8", 8),
            Map.entry("F8_E5M2", 8),
            Map.entry("F8_E4M3", 8),
            Map.entry("F8_E8M0", 8),
            Map.entry("F8_E4M3FNUZ", 8),
            Map.entry("F8_E5M2FNUZ", 8),
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
        required(name, "name");
        required(type, "type");
        required(shape, "shape");
        shape = List.copyOf(shape);
    }

    /**
     * {@return the type that a {@link Tensor} would have, or nothing where attention does not compute with the file's}
     */
    public Optional<DType> dtype() {
        return Arrays.stream(DType.values())
                .filter(dtype -> typeOf(dtype).equals(type))
                .findFirst();
    }

    /** What a file calls a tensor's type. */
    static String typeOf(DType dtype) {
        return switch (dtype) {
            case F32 -> "F32";
            case F16 -> "F16";
            case BF16 -> "BF16";
        };
    }

    /** {@return the number of elements: the product of the dimensions} */
    public long numberOfElements() {
        return shape.stream().reduce(1L, Math::multiplyExact);
    }

    /**
     * The bytes that shape and type ask for, those of the file where the type is not known; nothing where there are
     * 2<sup>63</sup> elements or more, or no whole number of bytes.
     */
    Optional<Long> requiredBytes() {
        try {
            long elements = numberOfElements();
            Integer bits = BITS.get(type);
            if (bits == null) {
                return Optional.of(byteSize);
            }
            long all = Math.multiplyExact(elements, (long) bits);
            return all % 8 == 0 ? Optional.of(all / 8) : Optional.empty();
        } catch (ArithmeticException overflow) {
            return Optional.empty();
        }
    }
}
