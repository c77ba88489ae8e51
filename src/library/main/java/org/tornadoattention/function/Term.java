package org.tornadoattention.function;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.tornadoattention.Mask;
import org.tornadoattention.kernel.parts.BlockTiles;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** A mask, as far as it is not a window that bounds the keys of every query. */
public sealed interface Term {

    /**
     * What a function says.
     *
     * @param code the function
     * @param firstArray the number of its first array among those of all functions
     */
    record Call(Code code, int firstArray) implements Term {}

    /**
     * What the function of a block mask says, or its tiles, if it has none.
     *
     * @param function that tiles were made of
     * @param sizes the numbers before the states of the tiles, as {@link BlockTiles} has them
     * @param firstArray the number of the array of tiles, before those of the function
     */
    record Blocks(Optional<Code> function, List<Integer> sizes, int firstArray) implements Term {

        /** Batch entries that have tiles of their own, 1 where all share them. */
        int batch() {
            return sizes.get(0);
        }

        /** Heads likewise. */
        int heads() {
            return sizes.get(1);
        }
    }

    /**
     * A window around a query's position.
     *
     * @param left keys before, or −1 for all
     * @param right keys after, or −1 for all
     */
    record Window(int left, int right) implements Term {}

    /** What both see. */
    record And(Term one, Term other) implements Term {}

    /** What either sees. */
    record Or(Term one, Term other) implements Term {}

    /** What it does not see. */
    record Not(Term negated) implements Term {}

    /** Translates a condition, and adds the arrays of its functions. */
    static Term of(Mask.Condition condition, List<TornadoNativeArray> arrays) {
        return switch (condition) {
            case Mask.Function(var function) -> {
                Lambda lambda = Lambda.of(function, "The mask function");
                int first = arrays.size();
                arrays.addAll(lambda.arrays());
                yield new Call(lambda.code(), first);
            }
            case Mask.Blocks(var mask) -> {
                int first = arrays.size();
                arrays.add(mask.tiles());
                Optional<Lambda> lambda = mask.function().map(function -> Lambda.of(function, "The mask function"));
                lambda.ifPresent(found -> arrays.addAll(found.arrays()));
                List<Integer> sizes = IntStream.range(0, BlockTiles.HEADER)
                        .mapToObj(mask.tiles()::get)
                        .toList();
                yield new Blocks(lambda.map(Lambda::code), sizes, first);
            }
            case Mask.Window(int left, int right) -> new Window(left, right);
            case Mask.And(var one, var other) -> new And(of(one, arrays), of(other, arrays));
            case Mask.Or(var one, var other) -> new Or(of(one, arrays), of(other, arrays));
            case Mask.Not(var negated) -> new Not(of(negated, arrays));
        };
    }

    /** The block masks that hide keys whatever the rest of it says. */
    default List<Blocks> decisive() {
        return switch (this) {
            case Blocks blocks -> List.of(blocks);
            case And(Term one, Term other) -> {
                List<Blocks> both = new ArrayList<>(one.decisive());
                both.addAll(other.decisive());
                yield both;
            }
            case Call _, Window _, Or _, Not _ -> List.of();
        };
    }

    /** Whether block masks alone decide it, each of which hides keys whatever the others say. */
    default boolean isOfBlocks() {
        return switch (this) {
            case Blocks _ -> true;
            case And(Term one, Term other) -> one.isOfBlocks() && other.isOfBlocks();
            case Call _, Window _, Or _, Not _ -> false;
        };
    }

    /** The classes of its arrays, in order. */
    default List<Class<?>> arrays() {
        List<Class<?>> arrays = new ArrayList<>();
        switch (this) {
            case Call(Code code, int _) -> arrays.addAll(code.arrays());
            case Blocks(Optional<Code> function, List<Integer> _, int _) -> {
                arrays.add(IntArray.class);
                function.ifPresent(code -> arrays.addAll(code.arrays()));
            }
            case Window _ -> {
                // has none
            }
            case And(Term one, Term other) -> {
                arrays.addAll(one.arrays());
                arrays.addAll(other.arrays());
            }
            case Or(Term one, Term other) -> {
                arrays.addAll(one.arrays());
                arrays.addAll(other.arrays());
            }
            case Not(Term negated) -> arrays.addAll(negated.arrays());
        }
        return arrays;
    }

    /** The functions in it. */
    default List<Code> codes() {
        List<Code> codes = new ArrayList<>();
        switch (this) {
            case Call(Code code, int _) -> codes.add(code);
            case Blocks(Optional<Code> function, List<Integer> _, int _) -> function.ifPresent(codes::add);
            case Window _ -> {
                // has none
            }
            case And(Term one, Term other) -> {
                codes.addAll(one.codes());
                codes.addAll(other.codes());
            }
            case Or(Term one, Term other) -> {
                codes.addAll(one.codes());
                codes.addAll(other.codes());
            }
            case Not(Term negated) -> codes.addAll(negated.codes());
        }
        return codes;
    }
}
