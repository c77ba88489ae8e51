package org.tornadoattention.cuda;

import java.util.Arrays;
import jdk.graal.compiler.nodes.ValueNode;
import jdk.graal.compiler.nodes.graphbuilderconf.GraphBuilderContext;
import jdk.graal.compiler.nodes.graphbuilderconf.InvocationPlugin;
import jdk.graal.compiler.nodes.graphbuilderconf.InvocationPlugin.Receiver;
import jdk.graal.compiler.nodes.graphbuilderconf.InvocationPlugins;
import jdk.vm.ci.meta.JavaKind;
import jdk.vm.ci.meta.ResolvedJavaMethod;
import org.tornadoattention.intrinsic.Reinterpret;
import org.tornadoattention.intrinsic.Turn;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpBarrier;
import org.tornadoattention.intrinsic.WarpGroup;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/** Registers each intrinsic with TornadoVM's CUDA compiler: the call becomes a node, and the node CUDA C. */
final class WarpPlugins {

    private static final Class<?> INT = int.class;
    private static final Class<?> FLOAT = float.class;
    private static final Class<?> INTS = int[].class;
    private static final Class<?> FLOATS = float[].class;

    private final InvocationPlugins plugins;
    private final Class<?> owner;

    private WarpPlugins(InvocationPlugins plugins, Class<?> owner) {
        this.plugins = plugins;
        this.owner = owner;
    }

    static void register(InvocationPlugins plugins) {
        new WarpPlugins(plugins, Warp.class).warp();
        new WarpPlugins(plugins, WarpGroup.class).warpGroup();
        new WarpPlugins(plugins, WarpBarrier.class).warpBarrier();
        new WarpPlugins(plugins, Turn.class).turn();
        new WarpPlugins(plugins, Reinterpret.class).reinterpret();
    }

    private void warp() {
        effect("requireGroupSize", (r, a) -> CudaText.requireGroupSize(a[0]), INT);
        effect("unrollLoops", (r, a) -> CudaText.MARK + CudaText.UNROLL_LOOPS);
        value("shuffleXor", JavaKind.Float, (r, a) -> CudaText.shuffleXor(r, a[0], a[1]), FLOAT, INT);
        value("shuffleXor", JavaKind.Int, (r, a) -> CudaText.shuffleXor(r, a[0], a[1]), INT, INT);
        value("uniform", JavaKind.Int, (r, a) -> CudaText.uniform(r, a[0]), INT);
        value("any", JavaKind.Int, (r, a) -> CudaText.any(r, a[0]), INT);
        effect("settle", (r, a) -> CudaText.settle(a[0]), FLOAT);
        value("exp2", JavaKind.Float, (r, a) -> CudaText.exp2(r, a[0]), FLOAT);
        value("pack", JavaKind.Int, (r, a) -> CudaText.pack(r, a[0], a[1], a[2]), INT, FLOAT, FLOAT);
        value("unpack", JavaKind.Float, (r, a) -> CudaText.unpack(r, a[0], a[1], a[2]), INT, INT, INT);
        value(
                "packE4M3",
                JavaKind.Int,
                (r, a) -> CudaText.packE4M3(r, a[0], a[1], a[2], a[3]),
                FLOAT,
                FLOAT,
                FLOAT,
                FLOAT);
        value("roundToTF32", JavaKind.Float, (r, a) -> CudaText.roundToTF32(r, a[0]), FLOAT);
        effect("loadMatrices", (r, a) -> CudaText.loadMatrices(false, a[0], a[1], a[2], a[3]), INTS, INT, INTS, INT);
        effect(
                "loadMatricesTransposed",
                (r, a) -> CudaText.loadMatrices(true, a[0], a[1], a[2], a[3]),
                INTS,
                INT,
                INTS,
                INT);
        effect("storeMatrices", (r, a) -> CudaText.storeMatrices(a[0], a[1], a[2], a[3]), INTS, INT, INTS, INT);
        effect("elements", (r, a) -> CudaText.elements(a[0], a[1], a[2], a[3]), FLOATS, INT, INTS, INT);
        reading(2, "loadFour", (r, a) -> CudaText.loadFour(a[0], a[1], a[2], a[3]), FLOATS, INT, FloatArray.class, INT);
        writing(
                0,
                "storeFour",
                (r, a) -> CudaText.storeFour(a[0], a[1], a[2], a[3]),
                FloatArray.class,
                INT,
                FLOATS,
                INT);
        writing(0, "addFour", (r, a) -> CudaText.addFour(a[0], a[1], a[2], a[3]), FloatArray.class, INT, FLOATS, INT);
        effect(
                "multiply",
                (r, a) -> CudaText.multiply(a[0], a[1], a[2], a[3], a[4], a[5], a[6]),
                INT,
                FLOATS,
                INT,
                INTS,
                INT,
                INTS,
                INT);
        effect("awaitCopies", (r, a) -> CudaText.awaitCopies(a[0]), INT);
        for (Class<?> array :
                new Class<?>[] {HalfFloatArray.class, ShortArray.class, FloatArray.class, IntArray.class}) {
            boolean words = array == FloatArray.class || array == IntArray.class;
            int elementBytes = words ? Integer.BYTES : Short.BYTES;
            reading(
                    2,
                    "copyAsync",
                    (r, a) -> CudaText.copyAsync(elementBytes, a[0], a[1], a[2], a[3], a[4]),
                    INTS,
                    INT,
                    array,
                    INT,
                    INT);
        }
        value("element", JavaKind.Float, (r, a) -> CudaText.element(r, a[0], a[1]), INTS, INT);
        for (Class<?> array : new Class<?>[] {HalfFloatArray.class, ShortArray.class}) {
            register("load", JavaKind.Float, (r, a) -> CudaText.load(r, a[0], a[1], a[2]), 1, -1, INT, array, INT);
        }
        value("tanh", JavaKind.Float, (r, a) -> CudaText.tanh(r, a[0]), FLOAT);
        value("divide", JavaKind.Float, (r, a) -> CudaText.divide(r, a[0], a[1]), FLOAT, FLOAT);
        reading(
                2,
                "loadEight",
                (r, a) -> CudaText.loadEight(a[0], a[1], a[2], a[3], a[4], a[5]),
                INTS,
                INT,
                ShortArray.class,
                INT,
                INT,
                INT);
        register(
                "load",
                JavaKind.Float,
                new ElementText(1, (r, a) -> CudaText.loadWord("float", r, a[0], a[1])),
                0,
                -1,
                FloatArray.class,
                INT);
        register(
                "load",
                JavaKind.Int,
                new ElementText(1, (r, a) -> CudaText.loadWord("int", r, a[0], a[1])),
                0,
                -1,
                IntArray.class,
                INT);
        value("loadInt", JavaKind.Int, (r, a) -> CudaText.loadInt(r, a[0], a[1]), INTS, INT);
        effect("storeInt", (r, a) -> CudaText.storeInt(a[0], a[1], a[2]), INTS, INT, INT);
        reading(
                2,
                "copy",
                (r, a) -> CudaText.copyFloats(a[0], a[1], a[2], a[3], a[4]),
                INTS,
                INT,
                FloatArray.class,
                INT,
                INT);
        writing(0, "store", (r, a) -> CudaText.store(a[0], a[1], a[2]), FloatArray.class, INT, FLOAT);
        for (Class<?> array : new Class<?>[] {HalfFloatArray.class, ShortArray.class}) {
            reading(2, "copy", (r, a) -> CudaText.copy(a[0], a[1], a[2], a[3], a[4]), INTS, INT, array, INT, INT);
            writing(0, "store", (r, a) -> CudaText.store(a[0], a[1], a[2], a[3]), array, INT, INT, INT);
            writing(0, "storeEight", (r, a) -> CudaText.storeEight(a[0], a[1], a[2], a[3]), array, INT, INTS, INT);
        }
    }

    private void warpGroup() {
        effect("requireMultiprocessor", (r, a) -> CudaText.requireMultiprocessor());
        effect("fenceLocalMemory", (r, a) -> CudaText.fenceLocalMemory());
        effect("fence", (r, a) -> CudaText.fence());
        effect("commit", (r, a) -> CudaText.commit());
        effect("giveRegisters", (r, a) -> CudaText.setRegisters(false, a[0]), INT);
        effect("takeRegisters", (r, a) -> CudaText.setRegisters(true, a[0]), INT);
        effect("await", (r, a) -> CudaText.await(a[0], a[1], a[2]), INT, FLOATS, INT);
        effect(
                "multiply",
                (r, a) -> CudaText.multiplyTiles(a[0], a[1], a[2], a[3], a[4], a[5], a[6]),
                INT,
                FLOATS,
                INT,
                INTS,
                INT,
                INT,
                INT);
        effect(
                "multiply",
                (r, a) -> CudaText.multiplyRegisters(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8]),
                INT,
                FLOATS,
                INT,
                INTS,
                INT,
                INTS,
                INT,
                INT,
                INT);
        effect(
                "multiplyByRows",
                (r, a) -> CudaText.multiplyByRows(a[0], a[1], a[2], a[3], a[4], a[5], "0", a[6]),
                INT,
                FLOATS,
                INT,
                INTS,
                INT,
                INT,
                INT);
        effect(
                "multiplyByRows",
                (r, a) -> CudaText.multiplyByRows(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]),
                INT,
                FLOATS,
                INT,
                INTS,
                INT,
                INT,
                INT,
                INT);
        effect(
                "multiply",
                (r, a) -> CudaText.multiplyTiles(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]),
                INT,
                FLOATS,
                INT,
                INTS,
                INT,
                INT,
                INT,
                INT);
        effect(
                "multiplyTransposed",
                (r, a) -> CudaText.multiplyTransposed(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]),
                INT,
                FLOATS,
                INT,
                INTS,
                INT,
                INTS,
                INT,
                INT);
    }

    private void warpBarrier() {
        effect("init", (r, a) -> CudaText.initBarrier(a[0], a[1], a[2]), INTS, INT, INT);
        effect("initForCopies", (r, a) -> CudaText.initBarrier(a[0], a[1], "32 * (" + a[2] + ")"), INTS, INT, INT);
        effect("arriveWithCopies", (r, a) -> CudaText.arriveWithCopies(a[0], a[1]), INTS, INT);
        effect("arrive", (r, a) -> CudaText.arrive(a[0], a[1]), INTS, INT);
        effect("await", (r, a) -> CudaText.awaitBarrier(a[0], a[1], a[2]), INTS, INT, INT);
    }

    private void turn() {
        writing(0, "await", (r, a) -> CudaText.awaitTurn(a[0], a[1], a[2]), IntArray.class, INT, INT);
        writing(0, "pass", (r, a) -> CudaText.passTurn(a[0], a[1], a[2]), IntArray.class, INT, INT);
        register(
                "arrive",
                JavaKind.Int,
                (r, a) -> CudaText.arrive(r, a[0], a[1], a[2]),
                -1,
                0,
                IntArray.class,
                INT,
                INT);
    }

    private void reinterpret() {
        value("asFloat", JavaKind.Float, (r, a) -> CudaText.asFloat(r, a[0]), INT);
        value("asInt", JavaKind.Int, (r, a) -> CudaText.asInt(r, a[0]), FLOAT);
    }

    private void value(String name, JavaKind result, IntrinsicText text, Class<?>... parameters) {
        register(name, result, text, -1, -1, parameters);
    }

    private void effect(String name, IntrinsicText text, Class<?>... parameters) {
        register(name, JavaKind.Void, text, -1, -1, parameters);
    }

    private void reading(int array, String name, IntrinsicText text, Class<?>... parameters) {
        register(name, JavaKind.Void, text, array, -1, parameters);
    }

    private void writing(int array, String name, IntrinsicText text, Class<?>... parameters) {
        register(name, JavaKind.Void, text, -1, array, parameters);
    }

    private void register(
            String name, JavaKind result, IntrinsicText text, int read, int written, Class<?>... parameters) {
        requireDeclared(name, parameters);
        plugins.register(owner, new InvocationPlugin(name, (java.lang.reflect.Type[]) parameters) {
            @Override
            public boolean execute(
                    GraphBuilderContext builder, ResolvedJavaMethod method, Receiver receiver, ValueNode[] arguments) {
                IntrinsicNode node = new IntrinsicNode(result, text, read, written, arguments);
                if (result == JavaKind.Void) {
                    builder.add(node);
                } else {
                    builder.addPush(result, node);
                }
                return true;
            }
        });
    }

    /** A plugin for a method that does not exist would be silent, and the kernel would run the Java body. */
    private void requireDeclared(String name, Class<?>... parameters) {
        try {
            owner.getMethod(name, parameters);
        } catch (NoSuchMethodException e) {
            throw new AssertionError(owner.getName() + "." + name + Arrays.toString(parameters), e);
        }
    }
}
