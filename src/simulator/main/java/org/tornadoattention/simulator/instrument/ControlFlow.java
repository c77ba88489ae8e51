package org.tornadoattention.simulator.instrument;

import java.lang.classfile.CodeElement;
import java.lang.classfile.Instruction;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.IncrementInstruction;
import java.lang.classfile.instruction.LineNumber;
import java.lang.classfile.instruction.LoadInstruction;
import java.lang.classfile.instruction.StoreInstruction;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.TreeSet;

/** The blocks of a method that are reached, what comes after each, its loops, and which variables are still read. */
final class ControlFlow {

    /**
     * Elements that run one after the other, the last of which may jump.
     *
     * @param from its first element
     * @param to its last element
     * @param successors the blocks that may come next; where the block ends in a condition, the first is what follows
     *     in the code and the second is where the condition leads
     */
    record Block(int from, int to, List<Integer> successors) {

        Block {
            successors = List.copyOf(successors);
        }
    }

    /**
     * A loop.
     *
     * @param header the block at which each turn begins
     * @param body its blocks
     * @param latches the blocks that jump to the header
     */
    record NaturalLoop(int header, BitSet body, List<Integer> latches) {

        NaturalLoop {
            latches = List.copyOf(latches);
        }

        boolean contains(int block) {
            return body.get(block);
        }
    }

    private final MethodAnalysis method;
    private final List<Block> blocks = new ArrayList<>();
    private final List<List<Integer>> predecessors = new ArrayList<>();
    private final int[] blockOfElement;
    /** Blocks in an order in which each comes after those that lead to it, but for jumps back. */
    private final List<Integer> order;

    private final int[] dominators;
    private final BitSet[] read;
    /** By block, once somebody has asked for them. */
    private final List<List<Instruction>> instructions;

    ControlFlow(MethodAnalysis method) {
        this.method = method;
        this.blockOfElement = new int[method.elements().size() + 1];
        Arrays.fill(blockOfElement, -1);
        split();
        for (int block = 0; block < blocks.size(); block++) {
            predecessors.add(new ArrayList<>());
        }
        this.order = reversePostorder();
        for (int block : order) {
            blocks.get(block).successors.forEach(next -> predecessors.get(next).add(block));
        }
        this.dominators = dominators();
        this.instructions = new ArrayList<>(Collections.nCopies(blocks.size(), null));
        this.read = readLater();
    }

    List<Integer> order() {
        return order;
    }

    Block block(int block) {
        return blocks.get(block);
    }

    List<Integer> successors(int block) {
        return blocks.get(block).successors;
    }

    List<Integer> predecessors(int block) {
        return predecessors.get(block);
    }

    /** Returns the variables whose values at the beginning of a block are read in it or after it. */
    BitSet readAfter(int block) {
        return read[block];
    }

    /** Returns the branch with a condition at the end of a block, or null. */
    BranchInstruction condition(int block) {
        CodeElement last = method.elements().get(blocks.get(block).to);
        return last instanceof BranchInstruction branch && method.fallsThrough(blocks.get(block).to) ? branch : null;
    }

    /** Returns the instructions of a block. */
    List<Instruction> instructions(int block) {
        List<Instruction> found = instructions.get(block);
        if (found == null) {
            found = new ArrayList<>();
            for (int i = blocks.get(block).from; i <= blocks.get(block).to; i++) {
                if (method.elements().get(i) instanceof Instruction instruction) {
                    found.add(instruction);
                }
            }
            instructions.set(block, found);
        }
        return found;
    }

    /** Returns the line of source of an element. */
    int line(int element) {
        for (int i = element; i >= 0; i--) {
            if (method.elements().get(i) instanceof LineNumber number) {
                return number.line();
            }
        }
        return 0;
    }

    /** Returns the loops, outer ones before those inside them. */
    List<NaturalLoop> loops() {
        List<NaturalLoop> loops = new ArrayList<>();
        for (int header : order) {
            List<Integer> latches = predecessors.get(header).stream()
                    .filter(block -> dominates(header, block))
                    .toList();
            if (!latches.isEmpty()) {
                loops.add(new NaturalLoop(header, body(header, latches), latches));
            }
        }
        return loops;
    }

    private BitSet body(int header, List<Integer> latches) {
        BitSet body = new BitSet();
        body.set(header);
        Deque<Integer> open = new ArrayDeque<>(latches);
        while (!open.isEmpty()) {
            int block = open.pop();
            if (!body.get(block)) {
                body.set(block);
                open.addAll(predecessors.get(block));
            }
        }
        return body;
    }

    private void split() {
        TreeSet<Integer> starts = new TreeSet<>();
        starts.add(0);
        for (int i = 0; i < method.elements().size(); i++) {
            starts.addAll(method.targets(i));
            if (!method.targets(i).isEmpty() || !method.fallsThrough(i)) {
                starts.add(i + 1);
            }
        }
        List<Integer> list = new ArrayList<>(starts.headSet(method.elements().size()));
        for (int block = 0; block < list.size(); block++) {
            int end = block + 1 < list.size()
                    ? list.get(block + 1)
                    : method.elements().size();
            Arrays.fill(blockOfElement, list.get(block), end, block);
        }
        for (int block = 0; block < list.size(); block++) {
            int end = block + 1 < list.size()
                    ? list.get(block + 1)
                    : method.elements().size();
            int last = end - 1;
            while (last > list.get(block) && !(method.elements().get(last) instanceof Instruction)) {
                last--;
            }
            List<Integer> next = new ArrayList<>();
            if (method.fallsThrough(last) && end < method.elements().size()) {
                next.add(blockOfElement[end]);
            }
            method.targets(last).forEach(target -> next.add(blockOfElement[target]));
            blocks.add(new Block(
                    list.get(block),
                    last,
                    next.stream().filter(b -> b >= 0).distinct().toList()));
        }
    }

    private List<Integer> reversePostorder() {
        List<Integer> found = new ArrayList<>();
        BitSet seen = new BitSet();
        Deque<int[]> path = new ArrayDeque<>();
        path.push(new int[] {0, 0});
        seen.set(0);
        while (!path.isEmpty()) {
            int[] top = path.peek();
            List<Integer> next = blocks.get(top[0]).successors;
            if (top[1] == next.size()) {
                found.add(path.pop()[0]);
                continue;
            }
            int successor = next.get(top[1]++);
            if (!seen.get(successor)) {
                seen.set(successor);
                path.push(new int[] {successor, 0});
            }
        }
        Collections.reverse(found);
        return found;
    }

    private int[] dominators() {
        int[] place = new int[blocks.size()];
        for (int i = 0; i < order.size(); i++) {
            place[order.get(i)] = i;
        }
        int[] nearest = new int[blocks.size()];
        Arrays.fill(nearest, -1);
        nearest[0] = 0;
        boolean changed = true;
        while (changed) {
            changed = false;
            for (int block : order.subList(1, order.size())) {
                int common = -1;
                for (int before : predecessors.get(block)) {
                    if (nearest[before] >= 0) {
                        common = common < 0 ? before : meet(before, common, nearest, place);
                    }
                }
                changed |= nearest[block] != common;
                nearest[block] = common;
            }
        }
        return nearest;
    }

    private static int meet(int one, int other, int[] nearest, int[] place) {
        int left = one;
        int right = other;
        while (left != right) {
            if (place[left] > place[right]) {
                left = nearest[left];
            } else {
                right = nearest[right];
            }
        }
        return left;
    }

    private boolean dominates(int block, int other) {
        int at = other;
        while (at != block && at != 0) {
            at = dominators[at];
        }
        return at == block;
    }

    private BitSet[] readLater() {
        BitSet[] later = new BitSet[blocks.size()];
        BitSet[] stored = new BitSet[blocks.size()];
        Arrays.setAll(later, _ -> new BitSet());
        for (int block : order) {
            stored[block] = new BitSet();
            noteVariables(block, later[block], stored[block]);
        }
        boolean changed = true;
        while (changed) {
            changed = false;
            for (int i = order.size() - 1; i >= 0; i--) {
                int block = order.get(i);
                BitSet live = new BitSet();
                for (int next : blocks.get(block).successors) {
                    live.or(later[next]);
                }
                live.andNot(stored[block]);
                live.or(later[block]);
                changed |= !live.equals(later[block]);
                later[block] = live;
            }
        }
        return later;
    }

    /** Notes which variables a block reads before it gives them values, and to which it gives some. */
    private void noteVariables(int block, BitSet readFirst, BitSet stored) {
        for (Instruction instruction : instructions(block)) {
            switch (instruction) {
                case StoreInstruction store -> stored.set(store.slot());
                case LoadInstruction load -> noteRead(load.slot(), readFirst, stored);
                case IncrementInstruction increment -> noteRead(increment.slot(), readFirst, stored);
                default -> {
                    // touches no variable
                }
            }
        }
    }

    private static void noteRead(int slot, BitSet readFirst, BitSet stored) {
        if (!stored.get(slot)) {
            readFirst.set(slot);
        }
    }

    /** Returns the line of source at which a block begins. */
    int firstLine(int block) {
        int first = blocks.get(block).from;
        while (!(method.elements().get(first) instanceof Instruction) && first < blocks.get(block).to) {
            first++;
        }
        return line(first);
    }
}
