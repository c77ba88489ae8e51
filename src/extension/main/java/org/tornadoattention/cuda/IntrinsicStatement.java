package org.tornadoattention.cuda;

import jdk.graal.compiler.lir.LIRInstruction;
import jdk.graal.compiler.lir.LIRInstructionClass;
import jdk.graal.compiler.lir.asm.CompilationResultBuilder;
import jdk.vm.ci.meta.Value;
import uk.ac.manchester.tornado.drivers.cuda.graal.asm.CUDAAssembler;
import uk.ac.manchester.tornado.drivers.cuda.graal.compiler.CUDACompilationResultBuilder;

/** The statement that a call to an intrinsic becomes in TornadoVM's CUDA C. */
public final class IntrinsicStatement extends LIRInstruction {

    /** For Graal. */
    public static final LIRInstructionClass<IntrinsicStatement> TYPE =
            LIRInstructionClass.create(IntrinsicStatement.class);

    /** The variable that takes the result. */
    @Def({OperandFlag.REG, OperandFlag.ILLEGAL})
    protected Value result;

    /** The arguments. */
    @Use({OperandFlag.REG, OperandFlag.CONST, OperandFlag.ILLEGAL, OperandFlag.COMPOSITE})
    protected Value[] arguments;

    private final int[] added;
    private final IntrinsicText text;

    /** {@code added} are constants to be added to the arguments. */
    IntrinsicStatement(Value result, Value[] arguments, int[] added, IntrinsicText text) {
        super(TYPE);
        this.result = result;
        this.arguments = arguments;
        this.added = added;
        this.text = text;
    }

    @Override
    public void emitCode(CompilationResultBuilder builder) {
        CUDACompilationResultBuilder code = (CUDACompilationResultBuilder) builder;
        CUDAAssembler assembler = (CUDAAssembler) builder.asm;
        String[] operands = new String[arguments.length];
        for (int i = 0; i < operands.length; i++) {
            operands[i] =
                    assembler.getStringValue(code, arguments[i]) + (added[i] == 0 ? "" : IntrinsicText.PLUS + added[i]);
        }
        String target = result.equals(Value.ILLEGAL) ? "" : assembler.getStringValue(code, result);
        assembler.indent();
        assembler.emit("%s", text.of(target, operands));
        assembler.eol();
    }
}
