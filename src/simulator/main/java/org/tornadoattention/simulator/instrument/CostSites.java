package org.tornadoattention.simulator.instrument;

import java.lang.classfile.CodeBuilder;
import java.lang.classfile.CodeElement;
import java.lang.classfile.TypeKind;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LineNumber;
import java.lang.classfile.instruction.OperatorInstruction;
import java.lang.classfile.instruction.ReturnInstruction;
import java.lang.constant.MethodTypeDesc;
import java.util.List;

/** Puts into a method what notes accesses, turns of loops and operations, for what warps cost. */
final class CostSites {

    private final MethodAnalysis method;
    private final List<ParallelLoop> loops;
    private final MethodRewriter.Sites sites;
    private final String sourceFile;
    private final int item;
    private final int operations;
    private int pending;
    private int line;

    CostSites(
            MethodAnalysis method,
            List<ParallelLoop> loops,
            MethodRewriter.Sites sites,
            String sourceFile,
            int item,
            Slots slots) {
        this.method = method;
        this.loops = loops;
        this.sites = sites;
        this.sourceFile = sourceFile;
        this.item = item;
        this.operations = slots.allocate(2);
    }

    void atStart(CodeBuilder code) {
        code.lconst_0().lstore(operations);
    }

    /** Emits what comes before an element. */
    void before(CodeBuilder code, CodeElement element, int index, boolean endsStraightCode) {
        switch (element) {
            case LineNumber number -> line = number.line();
            case OperatorInstruction operator -> pending += operations(operator);
            case InvokeInstruction invoke -> {
                pending += operations(invoke);
                if (mayTouchMemory(invoke)) {
                    at(code);
                }
            }
            default -> {
                // costs nothing by itself
            }
        }
        if (endsStraightCode && pending > 0) {
            code.lload(operations).loadConstant((long) pending).ladd().lstore(operations);
            pending = 0;
        }
        if (element instanceof BranchInstruction branch
                && method.position(branch.target()) <= index
                && !endsParallelLoop(index)) {
            code.aload(item).loadConstant(site()).invokestatic(Names.COST_HOOKS, "turn", Names.COST_SITE);
        }
        if (element instanceof ReturnInstruction) {
            code.lload(operations).aload(item).invokestatic(Names.COST_HOOKS, "operations", Names.COST_OPERATIONS);
        }
    }

    /** Emits the note that an access comes; on the stack are the index and what stands for the array. */
    void access(CodeBuilder code, String hook, MethodTypeDesc type, boolean write) {
        code.aload(item).loadConstant(site()).loadConstant(write ? 1 : 0);
        code.invokestatic(Names.COST_HOOKS, hook, type);
    }

    /** Emits the note where the code is. */
    void at(CodeBuilder code) {
        code.aload(item).loadConstant(site()).invokestatic(Names.COST_HOOKS, "at", Names.COST_SITE);
    }

    private int site() {
        return sites.nextCost(sourceFile + ":" + line);
    }

    /** Emits the note that the kernel calls a method of its own here. */
    void call(CodeBuilder code) {
        code.aload(item).loadConstant(site()).invokestatic(Names.TRACE_HOOKS, "call", Names.COST_SITE);
    }

    /** Returns the number of this place in the code. */
    int here() {
        return site();
    }

    /** Whether the jump at {@code index} goes back to the test of a parallel loop, whose turns are work-items. */
    boolean endsParallelLoop(int index) {
        return loops.stream()
                .anyMatch(loop -> loop.increment() < index
                        && method.elements().subList(loop.increment() + 1, index).stream()
                                .noneMatch(BranchInstruction.class::isInstance));
    }

    static boolean mayTouchMemory(InvokeInstruction invoke) {
        String owner = KernelCode.name(invoke.owner().asSymbol());
        return invoke.owner().asSymbol().equals(Names.KERNEL_CONTEXT) || owner.startsWith(IntrinsicCalls.PACKAGE);
    }

    private static boolean isFloating(TypeKind kind) {
        return kind == TypeKind.FLOAT || kind == TypeKind.DOUBLE;
    }

    private static int operations(OperatorInstruction operator) {
        return switch (operator.opcode()) {
            case FADD, FSUB, FMUL, FDIV, FREM, DADD, DSUB, DMUL, DDIV, DREM -> 1;
            default -> 0;
        };
    }

    private static int operations(InvokeInstruction invoke) {
        String owner = KernelCode.name(invoke.owner().asSymbol());
        boolean mathematics = owner.endsWith(".TornadoMath") || owner.equals("java.lang.Math");
        if (!mathematics || !isFloating(TypeKind.from(invoke.typeSymbol().returnType()))) {
            return 0;
        }
        return invoke.name().equalsString("fma") ? 2 : 1;
    }
}
