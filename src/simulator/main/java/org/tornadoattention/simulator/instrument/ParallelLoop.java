package org.tornadoattention.simulator.instrument;

import java.lang.classfile.CodeElement;
import java.lang.classfile.Instruction;
import java.lang.classfile.TypeAnnotation;
import java.lang.classfile.TypeKind;
import java.lang.classfile.attribute.RuntimeVisibleTypeAnnotationsAttribute;
import java.lang.classfile.instruction.IncrementInstruction;
import java.lang.classfile.instruction.StoreInstruction;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * A loop whose variable is annotated with {@code @Parallel}.
 *
 * @param slot the slot of the variable
 * @param name the name of the variable
 * @param start the element that sets the variable's first value
 * @param increment the element that adds to the variable
 * @param step what it adds
 */
record ParallelLoop(int slot, String name, int start, int increment, int step) {

    static final int MAX_LOOPS = 3;

    /** Returns the parallel loops of a method, outermost first; loops that have another form stay as they are. */
    static List<ParallelLoop> of(MethodAnalysis method) {
        List<ParallelLoop> loops = new ArrayList<>();
        for (CodeElement element : method.elements()) {
            if (element instanceof RuntimeVisibleTypeAnnotationsAttribute annotations) {
                annotations.annotations().forEach(annotation -> addLoops(annotation, method, loops));
            }
        }
        loops.sort(Comparator.comparingInt(ParallelLoop::start));
        return loops.subList(0, Math.min(MAX_LOOPS, loops.size()));
    }

    private static void addLoops(TypeAnnotation annotation, MethodAnalysis method, List<ParallelLoop> loops) {
        if (annotation.annotation().classSymbol().equals(Names.PARALLEL)
                && annotation.targetInfo() instanceof TypeAnnotation.LocalVarTarget target) {
            for (TypeAnnotation.LocalVarTargetInfo range : target.table()) {
                find(range, method).ifPresent(loops::add);
            }
        }
    }

    private static Optional<ParallelLoop> find(TypeAnnotation.LocalVarTargetInfo range, MethodAnalysis method) {
        List<CodeElement> elements = method.elements();
        int from = method.position(range.startLabel());
        int to = method.position(range.endLabel());
        int start = from - 1;
        while (start >= 0 && !(elements.get(start) instanceof Instruction)) {
            start--;
        }
        if (start < 0
                || !(elements.get(start) instanceof StoreInstruction store)
                || store.slot() != range.index()
                || store.typeKind() != TypeKind.INT) {
            return Optional.empty();
        }
        int increment = -1;
        for (int i = from; i < to; i++) {
            switch (elements.get(i)) {
                case StoreInstruction other
                when other.slot() == range.index() -> {
                    return Optional.empty();
                }
                case IncrementInstruction candidate
                when candidate.slot() == range.index() -> {
                    if (increment >= 0) {
                        return Optional.empty();
                    }
                    increment = i;
                }
                default -> {
                    // does not change the variable
                }
            }
        }
        if (increment < 0) {
            return Optional.empty();
        }
        int step = ((IncrementInstruction) elements.get(increment)).constant();
        return Optional.of(
                new ParallelLoop(range.index(), method.variableName(range.index(), from), start, increment, step));
    }
}
