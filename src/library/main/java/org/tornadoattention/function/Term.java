package org.tornadoattention.function;

import java.util.ArrayList;
import java.util.List;
import org.tornadoattention.Mask;
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
            case Mask.Window(int left, int right) -> new Window(left, right);
            case Mask.And(var one, var other) -> new And(of(one, arrays), of(other, arrays));
            case Mask.Or(var one, var other) -> new Or(of(one, arrays), of(other, arrays));
            case Mask.Not(var negated) -> new Not(of(negated, arrays));
        };
    }

    /** The functions in it. */
    default List<Code> codes() {
        List<Code> codes = new ArrayList<>();
        switch (this) {
            case Call(Code code, int _) -> codes.add(code);
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
