package org.tornadoattention.forge;

import java.lang.classfile.Attributes;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.CodeElement;
import java.lang.classfile.Instruction;
import java.lang.classfile.MethodModel;
import java.lang.classfile.TypeAnnotation;
import java.lang.classfile.TypeKind;
import java.lang.classfile.attribute.CodeAttribute;
import java.lang.classfile.instruction.IncrementInstruction;
import java.lang.classfile.instruction.LabelTarget;
import java.lang.classfile.instruction.StoreInstruction;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.util.List;
import java.util.Optional;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.annotations.Parallel;

/**
 * The loop of a kernel whose variable is annotated with {@code @Parallel}. TornadoVM reads the annotation from the
 * class file of the text, so in a copy it has no meaning; the copy takes a {@link KernelContext} and says what
 * TornadoVM would make of it: the variable starts at the work-item's number and grows by the number of work-items.
 *
 * @param start the instruction that sets the variable's first value
 * @param increment the one that adds to it
 */
record ParallelLoop(StoreInstruction start, IncrementInstruction increment) {

    static final ClassDesc CONTEXT = ClassCopies.describe(KernelContext.class);

    static final String CONTEXT_NAME = "context";

    private static final ClassDesc PARALLEL = ClassCopies.describe(Parallel.class);

    /**
     * Returns the loop of a method, if it has one.
     *
     * @param elements the method's code as it is copied: reading it once more gives other objects
     * @throws UnsupportedOperationException if it has several, or one of another form than {@code for (@Parallel int i
     *     = 0; i < n; i++)}
     */
    static Optional<ParallelLoop> of(MethodModel method, List<CodeElement> elements) {
        CodeAttribute code = (CodeAttribute) method.code().orElseThrow();
        List<TypeAnnotation.LocalVarTargetInfo> ranges =
                code.findAttribute(Attributes.runtimeVisibleTypeAnnotations()).stream()
                        .flatMap(annotations -> annotations.annotations().stream())
                        .filter(annotation ->
                                annotation.annotation().classSymbol().equals(PARALLEL))
                        .flatMap(annotation ->
                                ((TypeAnnotation.LocalVarTarget) annotation.targetInfo()).table().stream())
                        .toList();
        if (ranges.isEmpty()) {
            return Optional.empty();
        }
        if (ranges.size() > 1) {
            throw new UnsupportedOperationException(
                    method.methodName() + " has several parallel loops, so it has no other forms");
        }
        return Optional.of(find(ranges.getFirst(), elements));
    }

    private static ParallelLoop find(TypeAnnotation.LocalVarTargetInfo range, List<CodeElement> elements) {
        StoreInstruction start = null;
        IncrementInstruction increment = null;
        Instruction last = null;
        boolean inside = false;
        for (CodeElement element : elements) {
            if (element instanceof LabelTarget target && target.label().equals(range.startLabel())) {
                inside = true;
                if (last instanceof StoreInstruction store && store.slot() == range.index()) {
                    start = store;
                }
            }
            if (element instanceof LabelTarget target && target.label().equals(range.endLabel())) {
                inside = false;
            }
            if (inside && element instanceof IncrementInstruction candidate && candidate.slot() == range.index()) {
                increment = candidate;
            }
            last = element instanceof Instruction instruction ? instruction : last;
        }
        if (start == null || increment == null) {
            throw new UnsupportedOperationException("a parallel loop is to be for (@Parallel int i = 0; i < n; i++)");
        }
        return new ParallelLoop(start, increment);
    }

    /** Names the added parameter: TornadoVM asks for the names of all. */
    static void declareContext(CodeBuilder code) {
        code.localVariable(0, CONTEXT_NAME, CONTEXT, code.startLabel(), code.endLabel());
    }

    /** Adds the work-item's number to the number on the stack. */
    static void addId(CodeBuilder code) {
        load(code, "globalIdx");
        code.iadd();
    }

    /** Adds the number of work-items, {@code step} times, to a variable. */
    static void addSize(CodeBuilder code, int slot, int step) {
        code.loadLocal(TypeKind.INT, slot);
        load(code, "globalGroupSizeX");
        if (step != 1) {
            code.loadConstant(step).imul();
        }
        code.iadd().storeLocal(TypeKind.INT, slot);
    }

    private static void load(CodeBuilder code, String field) {
        code.aload(0)
                .getfield(CONTEXT, field, ConstantDescs.CD_Integer)
                .invokevirtual(ConstantDescs.CD_Integer, "intValue", MethodTypeDesc.of(ConstantDescs.CD_int));
    }
}
