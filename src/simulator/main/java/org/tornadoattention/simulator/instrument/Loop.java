package org.tornadoattention.simulator.instrument;

import java.lang.classfile.CodeElement;
import java.lang.classfile.Instruction;
import java.lang.classfile.instruction.LineNumber;
import java.lang.classfile.instruction.ReturnInstruction;
import java.lang.classfile.instruction.ThrowInstruction;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A loop of a method.
 *
 * @param from the label at which each turn begins
 * @param to the last jump to it
 * @param jumps the jumps to it
 * @param exits whether there is a way out
 * @param line the line of source at which it begins, or 0
 */
record Loop(int from, int to, List<Integer> jumps, boolean exits, int line) {

    Loop {
        jumps = List.copyOf(jumps);
    }

    /**
     * What is known of a loop's end.
     *
     * @param sure whether it comes
     * @param store if not, but for what is stored here, or -1
     * @param slot in this variable
     * @param direction by 1 if it grows, by -1 if it shrinks
     */
    record End(boolean sure, int store, int slot, int direction) {

        static final End SURE = new End(true, -1, -1, 0);
        static final End UNKNOWN = new End(false, -1, -1, 0);

        boolean dependsOnStore() {
            return store >= 0;
        }
    }

    /** Returns the loops of a method. */
    static List<Loop> of(MethodAnalysis method) {
        Map<Integer, List<Integer>> jumps = new TreeMap<>();
        for (int i = 0; i < method.elements().size(); i++) {
            for (int target : method.targets(i)) {
                if (target < i) {
                    jumps.computeIfAbsent(target, _ -> new ArrayList<>()).add(i);
                }
            }
        }
        List<Loop> loops = new ArrayList<>();
        jumps.forEach((from, all) ->
                loops.add(new Loop(from, all.getLast(), all, exits(method, from, all.getLast()), line(method, from))));
        return loops;
    }

    boolean contains(int place) {
        return place >= from && place <= to;
    }

    private static boolean exits(MethodAnalysis method, int from, int to) {
        for (int i = from; i <= to; i++) {
            CodeElement element = method.elements().get(i);
            if (element instanceof ReturnInstruction || element instanceof ThrowInstruction) {
                return true;
            }
            for (int target : method.targets(i)) {
                if (target < from || target > to) {
                    return true;
                }
            }
        }
        return method.fallsThrough(to);
    }

    /** The line of source of the first instruction from a place on. */
    private static int line(MethodAnalysis method, int from) {
        int begin = from;
        while (begin > 0 && !(method.elements().get(begin) instanceof LineNumber)) {
            begin--;
        }
        int line = 0;
        for (int i = begin; i < method.elements().size(); i++) {
            CodeElement element = method.elements().get(i);
            if (element instanceof LineNumber number) {
                line = number.line();
            } else if (i >= from && element instanceof Instruction) {
                return line;
            }
        }
        return line;
    }
}
