package org.tornadoattention.simulator.instrument;

import java.lang.classfile.CodeElement;
import java.lang.classfile.Instruction;
import java.lang.classfile.Opcode;
import java.lang.classfile.TypeKind;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.ConstantInstruction;
import java.lang.classfile.instruction.IncrementInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LoadInstruction;
import java.lang.classfile.instruction.ReturnInstruction;
import java.lang.classfile.instruction.StoreInstruction;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.tornadoattention.simulator.instrument.ControlFlow.NaturalLoop;

/**
 * Looks for loops of which TornadoVM 5.2 makes other ones, without a word, where it writes structured code, OpenCL C or
 * CUDA C. There a loop is {@code for (;;) { if (!condition) break; … }}, and:
 *
 * <ul>
 *   <li>the first branch after the loop's beginning is taken for the loop's condition, whatever it decides;
 *   <li>what only one way out of a loop has to do, such as to give a variable its value, is done on all ways out;
 *   <li>a loop that begins with another loop loses what comes after it if it has two ways out;
 *   <li>variables get the values of the next turn one after the other, so that {@code a = b; b = a} reads the new a.
 * </ul>
 */
final class DeviceLoops {

    private static final String CURE_OF_EXITS = "; put what ends the loop into its condition, such as"
            + " `for (…; i < n && found < 0; i++)`, and leave it nowhere else";

    /** Where a loop's way out begins and ends. */
    private record Exit(int from, int to) {}

    /** A value that a variable has at some place: two that are equal are the same. */
    private record Value(String kind, int first, Object second) {

        static final String TURN = "turn";

        static Value atTurn(int header, int slot) {
            return new Value(TURN, header, slot);
        }
    }

    private final MethodAnalysis method;
    private final ControlFlow flow;
    private final boolean kernel;
    private final Function<InvokeInstruction, MethodAnalysis> callee;
    private final List<NaturalLoop> loops;
    private final Map<Integer, Map<Integer, Value>> after = new HashMap<>();
    /** By load, what it pushes. */
    private final Map<Integer, Value> loaded = new HashMap<>();

    private DeviceLoops(MethodAnalysis method, boolean kernel, Function<InvokeInstruction, MethodAnalysis> callee) {
        this.method = method;
        this.flow = new ControlFlow(method);
        this.kernel = kernel;
        this.callee = callee;
        this.loops = flow.loops();
    }

    /**
     * What is found.
     *
     * @param line the line of source
     * @param what what a message says of it
     */
    record Finding(int line, String what) {}

    /**
     * Returns the first loop of a method that becomes another one, or null.
     *
     * @param kernel whether the method is the kernel itself, and so nothing comes after its end
     * @param callee finds the code of a method that is compiled with this one, or null
     */
    static Finding of(MethodAnalysis method, boolean kernel, Function<InvokeInstruction, MethodAnalysis> callee) {
        if (method.elements().stream().noneMatch(BranchInstruction.class::isInstance)) {
            return null;
        }
        return new DeviceLoops(method, kernel, callee).first();
    }

    private Finding first() {
        if (loops.isEmpty()) {
            return null;
        }
        follow();
        for (NaturalLoop loop : loops) {
            Finding found = inLoop(loop);
            if (found != null) {
                return found;
            }
        }
        return null;
    }

    private Finding inLoop(NaturalLoop loop) {
        List<Exit> exits = exits(loop);
        int block = loop.header();
        while (true) {
            for (Instruction instruction : flow.instructions(block)) {
                if (instruction instanceof InvokeInstruction invoke
                        && !isOfConstants(invoke)
                        && branches(invoke, new HashSet<>())) {
                    return new Finding(
                            line(loop),
                            "decides whether its loop goes on by "
                                    + invoke.name().stringValue()
                                    + ", which has branches: TornadoVM takes its first branch for the loop's condition;"
                                    + " compute what the condition needs before it, in the turn before");
                }
            }
            BranchInstruction condition = flow.condition(block);
            int join = condition == null ? -1 : joinOfChoice(block);
            if (condition != null && join < 0) {
                return flow.successors(block).stream().allMatch(loop::contains)
                        ? branchFirst(loop)
                        : byExits(loop, exits, block);
            }
            int next = condition != null
                    ? join
                    : flow.successors(block).size() == 1
                            ? flow.successors(block).getFirst()
                            : -1;
            if (next < 0 || !loop.contains(next) || next == loop.header()) {
                return handedOn(loop);
            }
            int inner = next;
            if (loops.stream().anyMatch(other -> other.header() == inner)) {
                return beginsWithLoop(loop, exits, inner);
            }
            block = next;
        }
    }

    private Finding branchFirst(NaturalLoop loop) {
        return new Finding(
                line(loop),
                "has a loop in which a branch comes before the one that ends it: TornadoVM takes the first branch for the"
                        + " loop's condition; let the loop begin with a plain comparison, such as `while (i < n)`, without ?:"
                        + " and ||");
    }

    private Finding beginsWithLoop(NaturalLoop loop, List<Exit> exits, int inner) {
        NaturalLoop first = loops.stream()
                .filter(other -> other.header() == inner)
                .findFirst()
                .orElseThrow();
        long ways = exits.stream()
                .filter(exit -> !endsKernel(exit))
                .map(Exit::from)
                .distinct()
                .count();
        if (ways > 1 && !mayBeUnrolled(first)) {
            return new Finding(
                    line(loop),
                    "has a loop that begins with another loop and ends in " + ways
                            + " places: TornadoVM loses what comes after it" + CURE_OF_EXITS);
        }
        return handedOn(loop);
    }

    private Finding byExits(NaturalLoop loop, List<Exit> exits, int conditionBlock) {
        Exit regular = exits.stream()
                .filter(exit -> exit.from() == conditionBlock)
                .findFirst()
                .orElseThrow();
        for (Exit exit : exits) {
            if (exit.equals(regular) || endsKernel(exit)) {
                continue;
            }
            Finding found = byExit(loop, regular, exit);
            if (found != null) {
                return found;
            }
        }
        return handedOn(loop);
    }

    private Finding byExit(NaturalLoop loop, Exit regular, Exit exit) {
        int goal = regular.to();
        int last = regular.from();
        Set<Integer> own = own(loop, exit, goal);
        int behind = behindPlainCode(goal);
        if (exit.to() != goal && behind >= 0 && (exit.to() == behind || own.contains(behind))) {
            last = goal;
            goal = behind;
            own = own(loop, exit, goal);
        }
        int line = flow.line(flow.block(exit.from()).to());
        List<Integer> returns = own.stream().filter(this::isReturn).toList();
        if (!kernel && !returns.isEmpty() && !isPlainReturn(goal)) {
            Value result = isReturn(goal) ? pushed(goal) : null;
            if (result == null || !returns.stream().allMatch(block -> result.equals(pushed(block)))) {
                return new Finding(
                        line,
                        "returns from within a loop: TornadoVM does on each way out what belongs to one"
                                + CURE_OF_EXITS);
            }
            return null;
        }
        Set<Integer> afterwards = reachable(loop, goal, -1);
        if (own.stream().anyMatch(block -> afterwards.contains(block) && !isReturn(block))) {
            return new Finding(
                    line,
                    "leaves two loops at once, or passes over what comes after one: TornadoVM leaves the inner one and goes on"
                            + " behind it" + CURE_OF_EXITS);
        }
        List<Integer> ends = exit.to() == goal ? List.of(exit.from()) : endsAt(goal, own);
        for (int end : ends) {
            String other = otherValue(last, end, goal);
            if (other != null) {
                return new Finding(
                        flow.line(flow.block(end).to()),
                        "leaves a loop with another value in " + other
                                + " than the loop's condition leaves it with: TornadoVM gives it one of them on each way out"
                                + CURE_OF_EXITS);
            }
        }
        return null;
    }

    private Set<Integer> own(NaturalLoop loop, Exit exit, int goal) {
        return exit.to() == goal ? Set.of() : reachable(loop, exit.to(), goal);
    }

    private List<Integer> endsAt(int goal, Set<Integer> blocks) {
        return blocks.stream()
                .filter(block -> flow.successors(block).contains(goal))
                .toList();
    }

    /** The name of what has another value after one block than after another, of what is read behind them; or null. */
    private String otherValue(int one, int other, int goal) {
        BitSet variables = flow.readAfter(goal);
        for (int slot = variables.nextSetBit(0); slot >= 0; slot = variables.nextSetBit(slot + 1)) {
            Value left = after.get(one).get(slot);
            Value right = after.get(other).get(slot);
            if (left != null && right != null && !left.equals(right)) {
                return method.variableName(slot, flow.block(goal).from() + 1);
            }
        }
        Value left = pushed(one);
        Value right = pushed(other);
        return left == null || right == null || left.equals(right) ? null : "the result";
    }

    /** The block behind one that does nothing but give variables values, or -1. */
    private int behindPlainCode(int block) {
        boolean plain = flow.instructions(block).stream().allMatch(instruction -> switch (instruction) {
            case LoadInstruction _, StoreInstruction _, ConstantInstruction _, BranchInstruction _ -> true;
            default -> false;
        });
        return plain && flow.successors(block).size() == 1
                ? flow.successors(block).getFirst()
                : -1;
    }

    /** The value that a block leaves behind for the next, or returns, where that is a variable's or a constant. */
    private Value pushed(int block) {
        if (flow.condition(block) != null) {
            return null;
        }
        for (int i = flow.block(block).to(); i >= flow.block(block).from(); i--) {
            switch (method.elements().get(i)) {
                case BranchInstruction _, ReturnInstruction _ -> {
                    // what was pushed comes before
                }
                case LoadInstruction _ -> {
                    return loaded.get(i);
                }
                case ConstantInstruction constant -> {
                    return new Value("constant", 0, constant.constantValue());
                }
                case Instruction _ -> {
                    return null;
                }
                default -> {
                    // no instruction
                }
            }
        }
        return null;
    }

    /** Looks for variables that hand on their values to others which have lost them by then. */
    private Finding handedOn(NaturalLoop loop) {
        if (mayBeUnrolled(loop)) {
            return null;
        }
        BitSet carried = flow.readAfter(loop.header());
        for (int latch : loop.latches()) {
            Map<Integer, Value> values = after.get(latch);
            for (int slot = carried.nextSetBit(0); slot >= 0; slot = carried.nextSetBit(slot + 1)) {
                int earlier = heldAtTurn(loop.header(), values.get(slot));
                if (earlier >= 0
                        && earlier < slot
                        && carried.get(earlier)
                        && !values.get(slot).equals(values.get(earlier))) {
                    return new Finding(
                            line(loop),
                            "hands the value of "
                                    + method.variableName(
                                            earlier, flow.block(latch).to()) + " on to "
                                    + method.variableName(
                                            slot, flow.block(latch).to())
                                    + " in a loop: TornadoVM writes the first before it reads it for the second; declare "
                                    + method.variableName(
                                            slot, flow.block(latch).to())
                                    + " first, or keep both in a private array");
                }
            }
        }
        return null;
    }

    /** The variable that holds a value when a turn of a loop begins, or -1 where the value is no such one. */
    private static int heldAtTurn(int header, Value value) {
        boolean atTurn = value != null && value.kind().equals(Value.TURN) && value.first() == header;
        return atTurn ? (Integer) value.second() : -1;
    }

    /** Whether the loop may be written out turn by turn: it is counted by a constant and has no other branch. */
    private boolean mayBeUnrolled(NaturalLoop loop) {
        int conditions = 0;
        boolean constant = false;
        for (int block = loop.body().nextSetBit(0);
                block >= 0;
                block = loop.body().nextSetBit(block + 1)) {
            if (flow.condition(block) != null) {
                conditions++;
                List<Instruction> code = flow.instructions(block);
                constant = isConstant(code, code.size() - 2);
            }
        }
        return conditions == 1 && constant;
    }

    private boolean isConstant(List<Instruction> code, int at) {
        if (at < 0) {
            return false;
        }
        return switch (code.get(at)) {
            case ConstantInstruction _ -> true;
            case LoadInstruction load -> method.isParameter(load.slot());
            case InvokeInstruction invoke -> invoke.name().equalsString("intValue") && isConstant(code, at - 1);
            default -> false;
        };
    }

    private List<Exit> exits(NaturalLoop loop) {
        List<Exit> exits = new ArrayList<>();
        for (int block = loop.body().nextSetBit(0);
                block >= 0;
                block = loop.body().nextSetBit(block + 1)) {
            for (int next : flow.successors(block)) {
                if (!loop.contains(next)) {
                    exits.add(new Exit(block, behindJumps(next)));
                }
            }
        }
        return exits;
    }

    /** Returns the block that a block leads to which does nothing else, as that of a {@code break} does. */
    private int behindJumps(int block) {
        int at = block;
        while (flow.successors(at).size() == 1
                && flow.instructions(at).stream().allMatch(BranchInstruction.class::isInstance)) {
            at = flow.successors(at).getFirst();
        }
        return at;
    }

    /** Whether nothing but returns comes after a way out. */
    private boolean endsKernel(Exit exit) {
        int block = exit.to();
        while (flow.successors(block).size() == 1 && flow.predecessors(block).size() == 1) {
            block = flow.successors(block).getFirst();
        }
        return kernel
                && flow.successors(block).isEmpty()
                && flow.predecessors(block).size() == 1;
    }

    private boolean isReturn(int block) {
        return method.elements().get(flow.block(block).to()) instanceof ReturnInstruction;
    }

    private boolean isPlainReturn(int block) {
        List<Instruction> code = flow.instructions(block);
        return code.size() == 1 && code.getFirst().opcode() == Opcode.RETURN;
    }

    /**
     * The blocks outside a loop that come after one of them, up to a goal, and to the next turn of a loop around it.
     */
    private Set<Integer> reachable(NaturalLoop loop, int from, int goal) {
        Set<Integer> found = new HashSet<>();
        Deque<Integer> open = new ArrayDeque<>(List.of(from));
        while (!open.isEmpty()) {
            int block = open.pop();
            if (block == goal || loop.contains(block) || !found.add(block)) {
                continue;
            }
            boolean nextTurn =
                    loops.stream().anyMatch(other -> other.header() == block && other.contains(loop.header()));
            if (!nextTurn) {
                open.addAll(flow.successors(block));
            }
        }
        return found;
    }

    /**
     * Returns the block behind a choice that compilers make without a branch, or -1: one of two constants, or the
     * smaller or larger of two variables.
     */
    private int joinOfChoice(int block) {
        List<Integer> ways = flow.successors(block);
        if (ways.size() != 2 || !isPlainValue(ways.get(0), block) || !isPlainValue(ways.get(1), block)) {
            return -1;
        }
        List<Integer> next = flow.successors(ways.getFirst());
        boolean joins = next.size() == 1 && next.equals(flow.successors(ways.getLast()));
        return joins ? next.getFirst() : -1;
    }

    private boolean isPlainValue(int arm, int choice) {
        if (flow.predecessors(arm).size() != 1) {
            return false;
        }
        List<Instruction> code = flow.instructions(arm).stream()
                .filter(instruction -> !(instruction instanceof BranchInstruction))
                .toList();
        if (code.size() != 1) {
            return false;
        }
        return switch (code.getFirst()) {
            case ConstantInstruction _ -> true;
            case LoadInstruction load -> {
                List<Instruction> test = flow.instructions(choice);
                int last = test.size() - 1;
                yield load.typeKind() == TypeKind.INT
                        && last >= 2
                        && test.subList(last - 2, last).stream()
                                .allMatch(instruction -> instruction instanceof LoadInstruction)
                        && test.subList(last - 2, last).stream()
                                .anyMatch(instruction -> ((LoadInstruction) instruction).slot() == load.slot());
            }
            default -> false;
        };
    }

    /** Whether all arguments of a call may be known to a compiler, which decides its branches then. */
    private boolean isOfConstants(InvokeInstruction invoke) {
        return method.calls().stream()
                .filter(call -> call.invoke() == invoke)
                .flatMap(call -> call.arguments().stream())
                .allMatch(argument -> argument >= 0
                        && switch (method.elements().get(argument)) {
                            case ConstantInstruction _ -> true;
                            case LoadInstruction load ->
                                load.typeKind() != TypeKind.REFERENCE && method.isParameter(load.slot());
                            default -> false;
                        });
    }

    /** Whether a method that is compiled with this one has branches that are left as such. */
    private boolean branches(InvokeInstruction invoke, Set<MethodAnalysis> seen) {
        MethodAnalysis called = callee.apply(invoke);
        if (called == null || !seen.add(called)) {
            return false;
        }
        DeviceLoops inside = new DeviceLoops(called, false, callee);
        for (int block : inside.flow.order()) {
            boolean choice = inside.flow.condition(block) == null || inside.isChoice(block);
            if (!choice
                    || inside.flow.instructions(block).stream()
                            .anyMatch(instruction ->
                                    instruction instanceof InvokeInstruction inner && inside.branches(inner, seen))) {
                return true;
            }
        }
        return false;
    }

    private boolean isChoice(int block) {
        if (joinOfChoice(block) >= 0) {
            return true;
        }
        List<Integer> ways = flow.successors(block);
        return ways.size() == 2 && ways.stream().allMatch(this::returnsConstant);
    }

    private boolean returnsConstant(int block) {
        List<Instruction> code = flow.instructions(block);
        return code.size() == 2
                && flow.predecessors(block).size() == 1
                && code.getFirst() instanceof ConstantInstruction
                && code.getLast() instanceof ReturnInstruction;
    }

    private int line(NaturalLoop loop) {
        return flow.firstLine(loop.header());
    }

    /** Follows the values of all variables through the method. */
    private void follow() {
        for (int block : flow.order()) {
            Map<Integer, Value> values = before(block);
            for (int i = flow.block(block).from(); i <= flow.block(block).to(); i++) {
                CodeElement element = method.elements().get(i);
                switch (element) {
                    case LoadInstruction load ->
                        loaded.put(i, values.computeIfAbsent(load.slot(), slot -> new Value("given", slot, 0)));
                    case IncrementInstruction increment -> values.put(increment.slot(), new Value("computed", i, 0));
                    case StoreInstruction store -> {
                        int origin = method.originOfStore(i);
                        Value value = loaded.get(origin);
                        if (value == null
                                && origin >= 0
                                && method.elements().get(origin) instanceof ConstantInstruction constant) {
                            value = new Value("constant", 0, constant.constantValue());
                        }
                        values.put(store.slot(), value == null ? new Value("computed", i, 0) : value);
                    }
                    default -> {
                        // gives no variable a value
                    }
                }
            }
            after.put(block, values);
        }
    }

    private Map<Integer, Value> before(int block) {
        List<Map<Integer, Value>> known = flow.predecessors(block).stream()
                .filter(after::containsKey)
                .map(after::get)
                .toList();
        Map<Integer, Value> values = known.isEmpty() ? new HashMap<>() : new HashMap<>(known.getFirst());
        for (Map<Integer, Value> other : known.subList(Math.min(1, known.size()), known.size())) {
            values.replaceAll((slot, value) -> value.equals(other.get(slot)) ? value : new Value("met", block, slot));
        }
        for (NaturalLoop loop : loops) {
            if (loop.header() == block) {
                changed(loop).forEach(slot -> values.put(slot, Value.atTurn(block, slot)));
            }
        }
        return values;
    }

    private Set<Integer> changed(NaturalLoop loop) {
        Set<Integer> slots = new HashSet<>();
        for (int block = loop.body().nextSetBit(0);
                block >= 0;
                block = loop.body().nextSetBit(block + 1)) {
            for (Instruction instruction : flow.instructions(block)) {
                switch (instruction) {
                    case StoreInstruction store -> slots.add(store.slot());
                    case IncrementInstruction increment -> slots.add(increment.slot());
                    default -> {
                        // gives no variable a value
                    }
                }
            }
        }
        return slots;
    }
}
