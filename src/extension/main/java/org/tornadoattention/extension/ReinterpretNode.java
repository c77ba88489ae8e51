package org.tornadoattention.extension;

import jdk.graal.compiler.core.common.LIRKind;
import jdk.graal.compiler.core.common.type.StampFactory;
import jdk.graal.compiler.graph.NodeClass;
import jdk.graal.compiler.lir.LIRInstruction;
import jdk.graal.compiler.lir.Variable;
import jdk.graal.compiler.lir.gen.LIRGeneratorTool;
import jdk.graal.compiler.nodeinfo.NodeInfo;
import jdk.graal.compiler.nodes.ValueNode;
import jdk.graal.compiler.nodes.calc.FloatingNode;
import jdk.graal.compiler.nodes.spi.LIRLowerable;
import jdk.graal.compiler.nodes.spi.NodeLIRBuilderTool;
import jdk.vm.ci.meta.JavaKind;
import jdk.vm.ci.meta.Value;

/** A call of {@code Reinterpret} in Graal's graph of a kernel. Graal's own node has no code in TornadoVM's backends. */
@NodeInfo
public final class ReinterpretNode extends FloatingNode implements LIRLowerable {

    /** For Graal. */
    public static final NodeClass<ReinterpretNode> TYPE = NodeClass.create(ReinterpretNode.class);

    @Input
    private ValueNode value;

    private final Statement statement;

    /** What a backend makes of it. */
    @FunctionalInterface
    public interface Statement {

        /** {@code result}, of the kind, is what {@code value}'s bits mean there. */
        LIRInstruction of(Variable result, LIRKind kind, Value value);
    }

    ReinterpretNode(JavaKind result, Statement statement, ValueNode value) {
        super(TYPE, StampFactory.forKind(result));
        this.statement = statement;
        this.value = value;
    }

    @Override
    public void generate(NodeLIRBuilderTool builder) {
        LIRGeneratorTool tool = builder.getLIRGeneratorTool();
        LIRKind kind = tool.getLIRKind(stamp);
        Variable result = tool.newVariable(kind);
        tool.append(statement.of(result, kind, builder.operand(value)));
        builder.setResult(this, result);
    }
}
