package org.tornadoattention.simulator.instrument;

import java.lang.classfile.CodeBuilder;
import java.lang.classfile.CodeElement;
import java.lang.classfile.Label;
import java.lang.classfile.Opcode;
import java.lang.classfile.instruction.BranchInstruction;
import java.util.HashMap;
import java.util.Map;

/**
 * The loops of a method of which its code does not tell that they end. They count their turns, and say so now and then,
 * for {@link org.tornadoattention.simulator.engine.WorkItem} to lose patience.
 */
final class OpenLoops {

    /** A power of two. */
    private static final int TURNS_BETWEEN_REPORTS = 128;

    private final int item;
    private final Map<Integer, Open> byEntry = new HashMap<>();
    private final Map<Integer, Open> byJump = new HashMap<>();
    private final Map<Integer, Open> counted = new HashMap<>();
    private final Map<Integer, Open> byStore = new HashMap<>();

    private static final class Open {

        private final Loop loop;
        private final Loop.End end;
        private final int site;
        private final int counter;
        private Label turn;

        Open(Loop loop, Loop.End end, int site, int counter) {
            this.loop = loop;
            this.end = end;
            this.site = site;
            this.counter = counter;
        }

        /** The label at which turns begin. */
        Label turn(CodeBuilder code) {
            if (turn == null) {
                turn = code.newLabel();
            }
            return turn;
        }
    }

    OpenLoops(MethodAnalysis method, int item, Slots slots, MethodRewriter.Sites sites) {
        this.item = item;
        for (Loop loop : Loop.of(method)) {
            Loop.End end = new CountedLoop(method, loop).end();
            if (!end.sure()) {
                Open open = new Open(loop, end, sites.next(), slots.allocate(1));
                byEntry.put(loop.from(), open);
                loop.jumps().forEach(jump -> byJump.put(jump, open));
                if (end.dependsOnStore()) {
                    byStore.put(end.store(), open);
                } else {
                    loop.jumps().forEach(jump -> counted.put(jump, open));
                }
            }
        }
    }

    boolean isEmpty() {
        return byEntry.isEmpty();
    }

    void atStart(CodeBuilder code) {
        byEntry.values().forEach(open -> code.iconst_0().istore(open.counter));
    }

    /** Emits what counts before the element at {@code index}; returns true if that takes the place of the element. */
    boolean element(CodeBuilder code, CodeElement element, int index) {
        if (byStore.containsKey(index)) {
            countIfNotNearer(code, byStore.get(index));
        }
        if (counted.containsKey(index)) {
            count(code, counted.get(index));
        }
        if (byEntry.containsKey(index)) {
            // Who comes to the loop passes by the zero, who takes another turn does not.
            code.with(element).iconst_0().istore(byEntry.get(index).counter);
            code.labelBinding(byEntry.get(index).turn(code));
            return true;
        }
        if (byJump.containsKey(index) && element instanceof BranchInstruction branch) {
            code.branch(branch.opcode(), byJump.get(index).turn(code));
            return true;
        }
        return false;
    }

    private void countIfNotNearer(CodeBuilder code, Open open) {
        Label nearer = code.newLabel();
        code.dup().iload(open.end.slot());
        code.branch(open.end.direction() > 0 ? Opcode.IF_ICMPGT : Opcode.IF_ICMPLT, nearer);
        count(code, open);
        code.labelBinding(nearer);
    }

    private void count(CodeBuilder code, Open open) {
        Label goOn = code.newLabel();
        code.iinc(open.counter, 1)
                .iload(open.counter)
                .loadConstant(TURNS_BETWEEN_REPORTS - 1)
                .iand();
        code.ifne(goOn);
        code.aload(item).iload(open.counter).loadConstant(open.site).loadConstant(open.loop.line());
        code.loadConstant(open.loop.exits() ? 1 : 0).invokestatic(Names.HOOKS, "turned", Names.TURNED);
        code.labelBinding(goOn);
    }
}
