package org.tornadoattention.extension;

import jdk.graal.compiler.nodes.ValueNode;
import jdk.graal.compiler.nodes.graphbuilderconf.GraphBuilderContext;
import jdk.graal.compiler.nodes.graphbuilderconf.InvocationPlugin;
import jdk.graal.compiler.nodes.graphbuilderconf.InvocationPlugin.Receiver;
import jdk.graal.compiler.nodes.graphbuilderconf.InvocationPlugins;
import jdk.vm.ci.meta.JavaKind;
import jdk.vm.ci.meta.ResolvedJavaMethod;
import org.tornadoattention.intrinsic.Reinterpret;
import uk.ac.manchester.tornado.runtime.TornadoAcceleratorBackend;
import uk.ac.manchester.tornado.runtime.TornadoCoreRuntime;

/**
 * What a compiler makes of the methods of {@link Reinterpret}.
 *
 * @param compiler TornadoVM's backend
 */
public record ReinterpretPlugins(
        Class<? extends TornadoAcceleratorBackend> compiler,
        ReinterpretNode.Statement asFloat,
        ReinterpretNode.Statement asInt) {

    void register() {
        InvocationPlugins plugins = TornadoCoreRuntime.getTornadoRuntime()
                .getBackend(compiler)
                .getProviders()
                .getReplacements()
                .getGraphBuilderPlugins()
                .getInvocationPlugins();
        plugins.register(Reinterpret.class, plugin("asFloat", JavaKind.Float, asFloat, int.class));
        plugins.register(Reinterpret.class, plugin("asInt", JavaKind.Int, asInt, float.class));
    }

    private static InvocationPlugin plugin(
            String name, JavaKind result, ReinterpretNode.Statement statement, Class<?> parameter) {
        return new InvocationPlugin(name, parameter) {
            @Override
            public boolean apply(
                    GraphBuilderContext builder, ResolvedJavaMethod method, Receiver receiver, ValueNode value) {
                builder.addPush(result, new ReinterpretNode(result, statement, value));
                return true;
            }
        };
    }
}
