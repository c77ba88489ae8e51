package org.tornadoattention.internal;

import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The checks that every public method begins with: one rule, and one form of message. */
public final class Arguments {

    private Arguments() {}

    /**
     * The argument, if it was given.
     *
     * @param <T> its type
     * @param argument what the caller gave
     * @param name the parameter's name
     * @param advice what to do, as a sentence without its beginning and its full stop
     * @return the argument, not null
     * @throws IllegalArgumentException if it is null
     */
    public static <T> T required(@Nullable T argument, String name, String advice) {
        if (argument == null) {
            throw new IllegalArgumentException("%s is null: %s.".formatted(name, advice));
        }
        return argument;
    }

    /**
     * The argument, if it was given.
     *
     * @param <T> its type
     * @param argument what the caller gave
     * @param name the parameter's name
     * @return the argument, not null
     * @throws IllegalArgumentException if it is null
     */
    public static <T> T required(@Nullable T argument, String name) {
        return required(argument, name, "it must be given");
    }

    /**
     * Refuses memory for two purposes: what a task writes must not overlap anything else that it reads or writes. What
     * is only read may.
     *
     * @param written what is written, by the parameters' names
     * @param read what is read, by the parameters' names
     * @throws IllegalArgumentException if two overlap, naming both
     */
    public static void requireApart(Map<String, MemorySegment> written, Map<String, MemorySegment> read) {
        Map<String, MemorySegment> others = new LinkedHashMap<>(read);
        written.forEach((name, segment) -> {
            others.forEach((other, occupied) -> {
                if (segment.asOverlappingSlice(occupied).isPresent()) {
                    throw new IllegalArgumentException(
                            "%s and %s share memory: %s is written, so it must overlap nothing else; make it with Tensor.allocate."
                                    .formatted(name, other, name));
                }
            });
            others.put(name, segment);
        });
    }
}
