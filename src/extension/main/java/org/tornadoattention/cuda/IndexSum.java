package org.tornadoattention.cuda;

import java.util.ArrayList;
import java.util.List;
import jdk.graal.compiler.nodes.ConstantNode;
import jdk.graal.compiler.nodes.ValueNode;
import jdk.graal.compiler.nodes.calc.AddNode;
import jdk.graal.compiler.nodes.calc.SubNode;
import jdk.vm.ci.meta.JavaKind;

/**
 * An int of Graal's graph as a sum of others and a constant. Sums of ints wrap around, so their order is free.
 *
 * @param terms what is added or subtracted
 * @param distance the constant
 */
record IndexSum(List<Term> terms, int distance) {

    /** Sums of more terms are left as they are. */
    private static final int MOST = 8;

    /** Distances up to which an array's size and one of them are an int. */
    private static final int FARTHEST = 1 << 20;

    /** What is added, or subtracted where the sign is -1. */
    record Term(int sign, ValueNode node) {}

    static IndexSum of(ValueNode index) {
        List<Term> terms = new ArrayList<>();
        int distance = add(terms, 1, index);
        if (terms.size() > MOST || Math.abs(distance) > FARTHEST) {
            return new IndexSum(List.of(new Term(1, index)), 0);
        }
        return new IndexSum(List.copyOf(terms), distance);
    }

    private static int add(List<Term> terms, int sign, ValueNode node) {
        if (node instanceof ConstantNode constant && node.getStackKind() == JavaKind.Int) {
            return sign * constant.asJavaConstant().asInt();
        }
        if (node.getStackKind() == JavaKind.Int && terms.size() <= MOST) {
            if (node instanceof AddNode sum) {
                return add(terms, sign, sum.getX()) + add(terms, sign, sum.getY());
            }
            if (node instanceof SubNode difference) {
                return add(terms, sign, difference.getX()) + add(terms, -sign, difference.getY());
            }
        }
        terms.add(new Term(sign, node));
        return 0;
    }
}
