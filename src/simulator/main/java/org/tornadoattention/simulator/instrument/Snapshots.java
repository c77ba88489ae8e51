package org.tornadoattention.simulator.instrument;

import java.lang.classfile.CodeBuilder;
import java.lang.classfile.CodeElement;
import java.lang.classfile.Label;
import java.lang.classfile.Opcode;
import java.lang.classfile.TypeKind;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LocalVariable;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Puts into a kernel what keeps the values of its variables, for pictures: before each barrier, and at the end of each
 * turn of loops that are around a barrier or another loop, and in at most one other such loop; if there are none, of
 * all outermost ones.
 */
final class Snapshots {

    private static final ClassDesc FLOATS = ConstantDescs.CD_float.arrayType();

    private final MethodAnalysis method;
    private final CostSites sites;
    private final int item;
    private final Set<Integer> turns = new HashSet<>();

    Snapshots(MethodAnalysis method, List<ParallelLoop> parallel, CostSites sites, int item) {
        this.method = method;
        this.sites = sites;
        this.item = item;
        List<Loop> all = Loop.of(method).stream()
                .filter(loop -> parallel.isEmpty() || !sites.endsParallelLoop(loop.to()))
                .toList();
        List<Loop> large = all.stream()
                .filter(loop -> all.stream().anyMatch(other -> isAround(loop, other)) || hasBarrier(loop))
                .toList();
        all.stream()
                .filter(loop -> large.isEmpty() ? depth(loop, all) == 0 : large.contains(loop) && depth(loop, all) <= 1)
                .forEach(loop -> turns.addAll(loop.jumps()));
    }

    private static long depth(Loop loop, List<Loop> all) {
        return all.stream().filter(other -> isAround(other, loop)).count();
    }

    private static boolean isAround(Loop outer, Loop inner) {
        return outer.from() <= inner.from() && outer.to() >= inner.to() && !outer.equals(inner);
    }

    private boolean hasBarrier(Loop loop) {
        return method.elements().subList(loop.from(), loop.to()).stream().anyMatch(Snapshots::isBarrier);
    }

    private static boolean isBarrier(CodeElement element) {
        return element instanceof InvokeInstruction invoke
                && invoke.owner().asSymbol().equals(Names.KERNEL_CONTEXT)
                && invoke.name().equalsString("localBarrier");
    }

    /** Emits what comes before an element. */
    void before(CodeBuilder code, CodeElement element, int index) {
        if (isBarrier(element) || element instanceof BranchInstruction && turns.contains(index)) {
            snapshot(code, index);
        } else if (element instanceof InvokeInstruction invoke
                && invoke.opcode() == Opcode.INVOKESTATIC
                && !CostSites.mayTouchMemory(invoke)
                && NativeOperation.of(invoke) == null) {
            sites.call(code);
        }
    }

    private void snapshot(CodeBuilder code, int index) {
        Label unwanted = code.newLabel();
        code.aload(item).loadConstant(sites.here());
        code.invokestatic(Names.TRACE_HOOKS, "snapshot", Names.TRACE_SNAPSHOT).ifeq(unwanted);
        for (CodeElement element : method.elements()) {
            if (element instanceof LocalVariable variable && isShown(variable, index)) {
                ClassDesc type = variable.typeSymbol();
                code.loadLocal(TypeKind.from(type), variable.slot())
                        .loadConstant(variable.name().stringValue())
                        .aload(item);
                code.invokestatic(Names.TRACE_HOOKS, "value", Names.traceValue(type));
            }
        }
        code.labelBinding(unwanted);
    }

    private boolean isShown(LocalVariable variable, int index) {
        ClassDesc type = variable.typeSymbol();
        boolean number = type.equals(ConstantDescs.CD_float)
                || type.equals(ConstantDescs.CD_double)
                || type.equals(ConstantDescs.CD_int)
                || type.equals(FLOATS);
        return number
                && !method.isParameter(variable.slot())
                && method.position(variable.startScope()) <= index
                && method.position(variable.endScope()) > index;
    }
}
