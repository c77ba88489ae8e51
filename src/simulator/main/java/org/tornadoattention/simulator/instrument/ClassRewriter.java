package org.tornadoattention.simulator.instrument;

import java.lang.classfile.AccessFlags;
import java.lang.classfile.Attributes;
import java.lang.classfile.ClassBuilder;
import java.lang.classfile.ClassElement;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassHierarchyResolver;
import java.lang.classfile.ClassModel;
import java.lang.classfile.CodeModel;
import java.lang.classfile.CodeTransform;
import java.lang.classfile.Interfaces;
import java.lang.classfile.MethodModel;
import java.lang.classfile.MethodTransform;
import java.lang.classfile.Superclass;
import java.lang.classfile.attribute.CodeAttribute;
import java.lang.classfile.attribute.PermittedSubclassesAttribute;
import java.lang.classfile.attribute.RecordAttribute;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.lang.reflect.AccessFlag;
import java.util.List;

/** Makes the instrumented copy of one class. */
final class ClassRewriter {

    private final KernelCode whole;
    private final KernelCode.Part part;
    private final String kernel;
    private final Instrumentation wanted;
    private final ClassLoader loader;
    private final MethodRewriter.Sites sites;
    private KernelMethod kernelMethod;

    /** Creates a rewriter; {@code kernel} is the kernel method's name and descriptor, or null if it is elsewhere. */
    ClassRewriter(
            KernelCode whole,
            KernelCode.Part part,
            String kernel,
            Instrumentation wanted,
            ClassLoader loader,
            MethodRewriter.Sites sites) {
        this.whole = whole;
        this.part = part;
        this.kernel = kernel;
        this.wanted = wanted;
        this.loader = loader;
        this.sites = sites;
    }

    byte[] rewrite() {
        ClassModel model = part.model();
        ClassHierarchyResolver hierarchy =
                ClassHierarchyResolver.ofResourceParsing(loader).orElse(ClassHierarchyResolver.defaultResolver());
        return ClassFile.of(ClassFile.ClassHierarchyResolverOption.of(hierarchy))
                .build(model.thisClass().asSymbol(), builder -> {
                    for (ClassElement element : model) {
                        switch (element) {
                            case MethodModel method -> {
                                if (part.needs(method)) {
                                    builder.transformMethod(method, transform(method));
                                }
                            }
                            case Superclass _, Interfaces _, RecordAttribute _, PermittedSubclassesAttribute _ -> {
                                if (part.isWhole()) {
                                    builder.with(element);
                                }
                            }
                            default -> builder.with(element);
                        }
                    }
                    if (hasInstanceKernel() && !part.isWhole()) {
                        withConstructor(builder);
                    }
                });
    }

    private boolean hasInstanceKernel() {
        return part.model().methods().stream()
                .anyMatch(method ->
                        KernelCode.key(method).equals(kernel) && !method.flags().has(AccessFlag.STATIC));
    }

    /** Adds a constructor that does nothing, for the object of a kernel that is an instance method. */
    private static void withConstructor(ClassBuilder builder) {
        builder.withMethodBody(
                ConstantDescs.INIT_NAME,
                MethodTypeDesc.of(ConstantDescs.CD_void, Names.WORK_ITEM),
                ClassFile.ACC_PUBLIC,
                code -> code.aload(0)
                        .invokespecial(ConstantDescs.CD_Object, ConstantDescs.INIT_NAME, ConstantDescs.MTD_void)
                        .return_());
    }

    /** Returns what was found out about the kernel method, after {@link #rewrite()}. */
    KernelMethod kernelMethod() {
        return kernelMethod;
    }

    private MethodTransform transform(MethodModel method) {
        return (builder, element) -> {
            switch (element) {
                case CodeModel code -> builder.transformCode(code, transform(method, code));
                // Another class calls it.
                case AccessFlags flags
                when KernelCode.key(method).equals(kernel) ->
                    builder.withFlags(flags.flagsMask() & ~(ClassFile.ACC_PRIVATE | ClassFile.ACC_PROTECTED)
                            | ClassFile.ACC_PUBLIC);
                default -> builder.with(element);
            }
        };
    }

    private CodeTransform transform(MethodModel method, CodeModel code) {
        boolean isKernel = KernelCode.key(method).equals(kernel);
        MethodAnalysis analysis = whole.analysis(method).orElse(null);
        if (analysis == null) {
            // Not what javac makes of Java; it runs as it is, unchecked.
            return new IntrinsicCalls();
        }
        boolean hasContext = analysis.parameterOfType(Names.KERNEL_CONTEXT) >= 0;
        List<ParallelLoop> loops = isKernel && !hasContext ? ParallelLoop.of(analysis) : List.of();
        Instrumentation here =
                isKernel ? wanted : wanted.forHelpers(method.methodName().equalsString("<clinit>"));
        MethodRewriter rewriter =
                new MethodRewriter(analysis, ((CodeAttribute) code).maxLocals(), here, loops, sites, sourceFile(part));
        if (isKernel) {
            kernelMethod = new KernelMethod(
                    analysis.parameterSlots().stream()
                            .map(analysis::parameterName)
                            .toList(),
                    loops.stream().map(ParallelLoop::name).toList(),
                    KernelText.of(sourceFile(part), method.methodName().stringValue(), analysis),
                    hasContext && rewriter.needsItem());
        }
        return rewriter.andThen(new IntrinsicCalls());
    }

    static String sourceFile(KernelCode.Part part) {
        return part.model()
                .findAttribute(Attributes.sourceFile())
                .map(file -> file.sourceFile().stringValue())
                .orElse("unknown source");
    }

    /**
     * What was found out about a kernel method.
     *
     * @param parameterNames the names of its parameters
     * @param parallelLoops the variables of its parallel loops
     * @param text where its source is
     * @param asksContextFirst whether its copy begins with the work-item of its context
     */
    record KernelMethod(
            List<String> parameterNames, List<String> parallelLoops, KernelText text, boolean asksContextFirst) {}
}
