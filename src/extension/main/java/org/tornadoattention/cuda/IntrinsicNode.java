package org.tornadoattention.cuda;

import java.util.List;
import jdk.graal.compiler.core.common.type.StampFactory;
import jdk.graal.compiler.graph.NodeClass;
import jdk.graal.compiler.graph.NodeInputList;
import jdk.graal.compiler.lir.gen.LIRGeneratorTool;
import jdk.graal.compiler.nodeinfo.NodeInfo;
import jdk.graal.compiler.nodes.ConstantNode;
import jdk.graal.compiler.nodes.FixedWithNextNode;
import jdk.graal.compiler.nodes.ValueNode;
import jdk.graal.compiler.nodes.calc.AddNode;
import jdk.graal.compiler.nodes.memory.SingleMemoryKill;
import jdk.graal.compiler.nodes.spi.LIRLowerable;
import jdk.graal.compiler.nodes.spi.NodeLIRBuilderTool;
import jdk.vm.ci.meta.JavaKind;
import jdk.vm.ci.meta.Value;
import org.graalvm.word.LocationIdentity;
import uk.ac.manchester.tornado.api.common.Access;
import uk.ac.manchester.tornado.runtime.graal.nodes.interfaces.MarkArrayParameterAccess;

/**
 * A call to an intrinsic in Graal's graph of a kernel. It stays where it stands in the order of effects, and it may
 * change any array, so that no load of a private array moves past it. What it does to the kernel's own arrays it has to
 * say: TornadoVM brings no array back to the host that it does not see written.
 */
@NodeInfo
public final class IntrinsicNode extends FixedWithNextNode
        implements LIRLowerable, SingleMemoryKill, MarkArrayParameterAccess {

    /** For Graal. */
    public static final NodeClass<IntrinsicNode> TYPE = NodeClass.create(IntrinsicNode.class);

    @Input
    private NodeInputList<ValueNode> arguments;

    private final IntrinsicText text;
    private final int read;
    private final int written;

    /** {@code read} and {@code written} are the positions of the kernel's arrays among the arguments, -1 for none. */
    IntrinsicNode(JavaKind result, IntrinsicText text, int read, int written, ValueNode... arguments) {
        super(TYPE, result == JavaKind.Void ? StampFactory.forVoid() : StampFactory.forKind(result));
        this.text = text;
        this.read = read;
        this.written = written;
        this.arguments = new NodeInputList<>(this, arguments);
    }

    @Override
    public LocationIdentity getKilledLocationIdentity() {
        return LocationIdentity.any();
    }

    @Override
    public Access getArrayParameterAccess(ValueNode parameter) {
        if (written >= 0 && isAt(written, parameter)) {
            return Access.READ_WRITE;
        }
        return read >= 0 && isAt(read, parameter) ? Access.READ_ONLY : Access.NONE;
    }

    private boolean isAt(int position, ValueNode parameter) {
        return MarkArrayParameterAccess.unwrapPi(arguments.get(position)) == parameter;
    }

    @Override
    public void generate(NodeLIRBuilderTool builder) {
        if (text instanceof ElementText element) {
            generateRead(builder, element);
        } else {
            generateCall(builder);
        }
    }

    private void generateCall(NodeLIRBuilderTool builder) {
        Value[] operands = new Value[arguments.size()];
        int[] added = new int[operands.length];
        for (int i = 0; i < operands.length; i++) {
            ValueNode argument = arguments.get(i);
            if (argument instanceof AddNode sum
                    && sum.getY() instanceof ConstantNode term
                    && sum.getStackKind() == JavaKind.Int) {
                added[i] = term.asJavaConstant().asInt();
                argument = sum.getX();
            }
            operands[i] = builder.operand(argument);
        }
        append(builder, operands, added, text);
    }

    /** The variables of the index stand behind the arguments. */
    private void generateRead(NodeLIRBuilderTool builder, ElementText element) {
        IndexSum index = IndexSum.of(arguments.get(element.position()));
        int count = arguments.size();
        Value[] operands = new Value[count + index.terms().size()];
        for (int i = 0; i < operands.length; i++) {
            operands[i] = builder.operand(
                    i < count ? arguments.get(i) : index.terms().get(i - count).node());
        }
        List<Integer> signs = index.terms().stream().map(IndexSum.Term::sign).toList();
        append(builder, operands, new int[operands.length], element.ofSum(count, signs, index.distance()));
    }

    private void append(NodeLIRBuilderTool builder, Value[] operands, int[] added, IntrinsicText statement) {
        LIRGeneratorTool tool = builder.getLIRGeneratorTool();
        if (getStackKind() == JavaKind.Void) {
            tool.append(new IntrinsicStatement(Value.ILLEGAL, operands, added, statement));
        } else {
            Value result = tool.newVariable(tool.getLIRKind(stamp));
            tool.append(new IntrinsicStatement(result, operands, added, statement));
            builder.setResult(this, result);
        }
    }
}
