package org.tornadoattention.forge;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.kernel.Constant;
import org.tornadoattention.kernel.Element;
import org.tornadoattention.kernel.parts.Phase;
import org.tornadoattention.kernel.parts.RegisterTile;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

@Isolated
class KernelForgeTest {

    private static final int SIZE = 24;

    @BeforeEach
    void forgetOthers() {
        KeptForms.forget();
    }

    private static final Kernel WEIGHTED = Kernel.of(Kernels.class, "weighted");
    private static final Kernel PARALLEL = Kernel.of(Kernels.class, "parallel");
    private static final Kernel DIRECT = Kernel.of(Kernels.class, "direct");
    private static final Kernel MIXED = Kernel.of(Kernels.class, "mixed");
    private static final Kernel PHASED = Kernel.of(Kernels.class, "phased");
    private static final Kernel LOOSE = Kernel.of(Kernels.class, "loose");
    private static final Kernel ESCAPING = Kernel.of(Kernels.class, "escaping");

    /** Kernels as a problem would have them, except that their helpers are in {@link Cells}. */
    public static final class Kernels {

        private Kernels() {}

        /** {@code out[i] = scale · (a[i] + a[i + 1]) + add}, the second term at the end a[i] again. */
        public static void weighted(
                KernelContext context,
                @Element FloatArray a,
                FloatArray out,
                @Constant int add,
                int size,
                @Constant float scale) {
            int i = context.globalIdx;
            if (i < size) {
                int next = i + 1 < size ? i + 1 : i;
                float sum = Cells.sum(a, i, next);
                if (Cells.holdsQuarters(a)) {
                    sum = sum / 4f;
                }
                out.set(i, scale * sum + add);
            }
        }

        /** Adds to what is there, so that an element that is computed twice is wrong. */
        public static void parallel(@Element FloatArray a, FloatArray out, int size) {
            for (@Parallel int i = 0; i < out.getSize(); i++) {
                float sum = 0f;
                for (int j = 0; j <= i; j++) {
                    sum += Cells.load(a, j) * size;
                }
                out.set(i, out.get(i) + sum);
            }
        }

        public static void direct(KernelContext context, @Element FloatArray a, FloatArray out) {
            out.set(context.globalIdx, a.get(context.globalIdx));
        }

        public static void mixed(KernelContext context, @Element FloatArray a, @Element FloatArray b, FloatArray out) {
            FloatArray chosen = out.getSize() > 8 ? a : b;
            out.set(context.globalIdx, Cells.load(chosen, context.globalIdx));
        }

        /** {@code out[i]}: a polynomial of a[i] and of its group's sums, by way of local memory and registers. */
        public static void phased(KernelContext context, @Element FloatArray a, FloatArray out) {
            float[] group = context.allocateFloatLocalArray(8);
            float[] tiles = context.allocateFloatLocalArray(8 * 32);
            float[] tile = RegisterTile.zeros();
            int item = context.localIdx;
            Phases.load(a, context.globalIdx, group, item);
            context.localBarrier();
            for (int j = 0; j < 8; j++) {
                float x = group[j];
                RegisterTile.add(tile, 1f, 2f, 3f, 4f, 5f, 6f, 7f, 8f, x, 2f * x, 3f * x, 4f * x);
                RegisterTile.addSeen(tile, 7, group[item] - 1f, 1f, x, x, x, x);
            }
            RegisterTile.put(tile, tiles, 32 * item, 4);
            out.set(context.globalIdx, Phases.sum(tiles, 32 * item, 3) + Phases.sum(tiles, 32 * item, 32));
        }

        public static void loose(KernelContext context, @Element FloatArray a, FloatArray out) {
            float[] tile = RegisterTile.zeros();
            out.set(context.globalIdx, tile[context.globalIdx % 32]);
        }

        public static void escaping(KernelContext context, @Element FloatArray a, FloatArray out) {
            float[] tile = RegisterTile.zeros();
            out.set(context.globalIdx, Phases.first(tile));
        }
    }

    /** Parts of kernels in a class of their own. */
    static final class Phases {

        private Phases() {}

        @Phase
        static void load(FloatArray array, int from, float[] local, int to) {
            local[to] = Cells.load(array, from);
        }

        /** The sum of some elements, which never are more than 32. */
        @Phase
        static float sum(float[] local, int first, int count) {
            float sum = 0f;
            for (int i = first; i < first + 32; i++) {
                if (i == first + count) {
                    return sum;
                }
                sum += local[i];
            }
            return sum;
        }

        static float first(float[] tile) {
            return tile[0];
        }
    }

    /** What kernels do with elements: loads have a form for each type, sums one text for all. */
    static final class Cells {

        private Cells() {}

        static float load(FloatArray array, int index) {
            return array.get(index);
        }

        static float load(ShortArray array, int index) {
            return array.get(index);
        }

        static float load(IntArray array, int index) {
            return 2f * array.get(index);
        }

        static float sum(FloatArray array, int first, int second) {
            return load(array, first) + load(array, second);
        }

        static boolean holdsQuarters(FloatArray array) {
            return false;
        }

        static boolean holdsQuarters(IntArray array) {
            return true;
        }

        static boolean holdsQuarters(ShortArray array) {
            return false;
        }
    }

    /** Stands in for {@link Cells} where it has a method of the same name and type. */
    static final class Tripled {

        private Tripled() {}

        static float load(FloatArray array, int index) {
            return 3f * array.get(index);
        }
    }

    @Test
    void oneTextServesArraysOfOtherTypes() throws Exception {
        ShortArray shorts = new ShortArray(SIZE);
        IntArray ints = new IntArray(SIZE);
        FloatArray floats = new FloatArray(SIZE);
        for (int i = 0; i < SIZE; i++) {
            shorts.set(i, (short) (i * i));
            ints.set(i, i * i);
            floats.set(i, i * i);
        }
        assertThat(weighted(floats, 5, 0.5f)).containsExactly(expected(1f, 5, 0.5f));
        assertThat(weighted(shorts, -3, 2f)).containsExactly(expected(1f, -3, 2f));
        assertThat(weighted(ints, 0, 1f)).containsExactly(expected(0.5f, 0, 1f));
    }

    private static float[] weighted(TornadoNativeArray a, int add, float scale) throws Exception {
        return run(
                WEIGHTED,
                a,
                task -> task.with("add", add)
                        .with("scale", scale)
                        .with("size", SIZE)
                        .overElements(SIZE, 8));
    }

    private static float[] expected(float unit, int add, float scale) {
        float[] expected = new float[SIZE];
        for (int i = 0; i < SIZE; i++) {
            int next = Math.min(i + 1, SIZE - 1);
            float sum = unit == 1f ? i * i + next * next : (2f * i * i + 2f * next * next) / 4f;
            expected[i] = scale * sum + add;
        }
        return expected;
    }

    @Test
    void parallelLoopsRunInTheTextAndInACopy() throws Exception {
        FloatArray floats = new FloatArray(SIZE);
        ShortArray shorts = new ShortArray(SIZE);
        float[] expected = new float[SIZE];
        for (int i = 0; i < SIZE; i++) {
            floats.set(i, i);
            shorts.set(i, (short) i);
            expected[i] = 2f * i * (i + 1) / 2;
        }
        assertThat(run(PARALLEL, floats, task -> task.with("size", 2).overElements(SIZE, 8)))
                .containsExactly(expected);
        assertThat(run(PARALLEL, shorts, task -> task.with("size", 2).overElements(SIZE, 8)))
                .containsExactly(expected);
        // Fewer work-items than elements: each takes several.
        assertThat(run(PARALLEL, shorts, task -> task.with("size", 2).groups(1, 5)))
                .containsExactly(expected);
    }

    @Test
    void methodsOfAnotherClassStandIn() throws Exception {
        FloatArray ones = new FloatArray(SIZE);
        ones.init(1f);
        float[] out = run(
                WEIGHTED,
                ones,
                task -> task.with("add", 0)
                        .with("scale", 1f)
                        .with("size", SIZE)
                        .replacing(Cells.class, Tripled.class)
                        .overElements(SIZE, 8));
        assertThat(out).containsOnly(6f);
    }

    @Test
    void phasesAreWrittenOutAndRegisterTilesBecomeVariables() throws Exception {
        FloatArray floats = new FloatArray(SIZE);
        ShortArray shorts = new ShortArray(SIZE);
        float[] expected = new float[SIZE];
        for (int i = 0; i < SIZE; i++) {
            floats.set(i, i % 8);
            shorts.set(i, (short) (i % 8));
            // Element (r, c) of the tile is (r + 1)(c + 1) times 0 + 1 + ... + 7, and the last row has one more of it,
            // unless
            // the work-item's own number is 0, where a P that a mask hides would be.
            float more = i % 8 == 0 ? 0f : 4f * 28f;
            expected[i] = (1f + 2f + 3f) * 28f + 36f * 10f * 28f + more;
        }
        assertThat(run(PHASED, floats, task -> task.groups(SIZE / 8, 8))).containsExactly(expected);
        assertThat(run(PHASED, shorts, task -> task.groups(SIZE / 8, 8))).containsExactly(expected);
    }

    @Test
    void whatAFormCannotKeepInVariablesIsRefused() {
        assertThatThrownBy(() -> KernelForge.forge(new Form(LOOSE, Map.of(), Map.of(), Map.of())))
                .hasMessageMatching("No form of .*Kernels.loose: at line \\d+ it indexes a register tile with a number"
                        + " that is not known");
        assertThatThrownBy(() -> KernelForge.forge(new Form(ESCAPING, Map.of(), Map.of(), Map.of())))
                .hasMessageMatching("No form of .*Kernels.escaping: at line \\d+ it gives a register tile to first,"
                        + " which is not a phase");
    }

    private static float[] run(Kernel kernel, TornadoNativeArray a, Consumer<KernelLauncher.Task> launch)
            throws TornadoExecutionPlanException {
        FloatArray out = new FloatArray(SIZE);
        out.init(kernel.equals(PARALLEL) ? 0f : Float.NaN);
        TaskGraph graph = new TaskGraph("forged");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, a, out);
        launch.accept(new KernelLauncher(graph, grids, Arguments.none().with("out", out))
                .task("task", kernel)
                .with("a", a));
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, out);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(TestDevice.get().handle()).withGridScheduler(grids).execute();
        }
        return out.toHeapArray();
    }

    @Test
    void argumentsAreBoundByName() {
        KernelLauncher launcher = new KernelLauncher(new TaskGraph("g"), new GridScheduler(), Arguments.none());
        assertThatThrownBy(() -> launcher.task("t", WEIGHTED).with("Scale", 1f))
                .hasMessage("Kernel Kernels.weighted has no parameter Scale;"
                        + " it has context, a, out, add, size, scale");
        assertThatThrownBy(() -> launcher.task("t", WEIGHTED)
                        .with("a", new FloatArray(1))
                        .with("add", 1)
                        .overElements(1, 1))
                .hasMessage("Task t: argument scale of kernel Kernels.weighted, a float, has no value");
        assertThatThrownBy(() -> launcher.task("t", DIRECT)
                        .with("a", new FloatArray(1))
                        .with("out", new IntArray(1))
                        .overElements(1, 1))
                .hasMessage("Task t: argument out of kernel Kernels.direct, a FloatArray, is a IntArray");
        assertThatThrownBy(() -> launcher.task("t", MIXED)
                        .with("a", new FloatArray(1))
                        .with("b", new IntArray(1))
                        .overElements(1, 1))
                .hasMessage("Task t: argument b of kernel Kernels.mixed, a FloatArray,"
                        + " is a IntArray where others are FloatArray");
    }

    @Test
    void aTextThatHasNoFormForATypeSaysWhere() {
        int line = DIRECT_LINE;
        assertThatThrownBy(() -> KernelForge.forge(new Form(DIRECT, Map.of("a", ShortArray.class), Map.of(), Map.of())))
                .hasMessage(
                        "No form of %s.direct: at line %d it calls FloatArray.get(int)float,"
                                + " and there is no ShortArray.get(int)float",
                        Kernels.class.getName(), line);
    }

    /** The line of {@code direct}'s only statement. */
    private static final int DIRECT_LINE = directLine();

    private static int directLine() {
        try {
            Kernels.direct(new KernelContext(), null, null);
            throw new AssertionError("null was taken for an array");
        } catch (NullPointerException e) {
            return e.getStackTrace()[0].getLineNumber();
        }
    }

    @Test
    void aVariableThatHoldsEitherOfTwoArraysKeepsTheirType() throws Exception {
        ShortArray shorts = new ShortArray(SIZE);
        for (int i = 0; i < SIZE; i++) {
            shorts.set(i, (short) i);
        }
        float[] out = run(MIXED, shorts, task -> task.with("b", shorts).overElements(SIZE, 8));
        for (int i = 0; i < SIZE; i++) {
            assertThat(out[i]).isEqualTo(i);
        }
    }

    @Test
    void aFormIsDescribedByItsSignatureAndItsConstants() {
        ForgedKernel form = KernelForge.forge(
                new Form(WEIGHTED, Map.of("a", ShortArray.class), Map.of("add", 7, "scale", 0.5f), Map.of()));
        assertThat(form.describe())
                .isEqualTo("Kernels.weighted(KernelContext context, ShortArray a, FloatArray out, int size)\n"
                        + "  constants: add = 7, scale = 0.5");
    }

    @Test
    void tasksAreDescribedAsTheyAreAppended() {
        assumeTrue(TestDevice.get().halfFloats(), "no 16-bit floats");
        Tensor q = Tensor.random(DType.F16, 1, 1, 2, 20, 64);
        Tensor logSumExp = Tensor.allocate(DType.F32, 1, 2, 20);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), AttentionKernel.TILED)) {
            List<String> tasks = KernelLauncher.described(() -> attention.appendTo(
                    new TaskGraph("g"),
                    new GridScheduler(),
                    "t",
                    q,
                    q,
                    q,
                    Tensor.allocate(DType.F16, q.shape()),
                    logSumExp,
                    AttentionOptions.causal().withScale(0.25f)));
            assertThat(tasks)
                    .singleElement()
                    .asString()
                    .contains("task t: ", " work-items", "TiledFlashAttention.attention(KernelContext ")
                    .containsPattern("(HalfFloat|Short)Array query, ")
                    .contains("heads = 2", "seqQ = 20", "headDim = 64", "windowRight = 0", "scale = 0.25");
        }
    }

    @Test
    void aFormIsMadeOnceAndGoesWithItsLastUser() throws Exception {
        Form form = new Form(WEIGHTED, Map.of("a", ShortArray.class), Map.of("add", 8, "scale", 0.5f), Map.of());
        ForgedKernel first = KernelForge.forge(form);
        assertThat(KernelForge.forge(
                        new Form(WEIGHTED, Map.of("a", ShortArray.class), Map.of("add", 8, "scale", 0.5f), Map.of())))
                .isSameAs(first);
        WeakReference<ForgedKernel> unused = new WeakReference<>(first);
        first = null;
        for (int i = 0; i < 100 && unused.get() != null; i++) {
            System.gc();
            Thread.sleep(20);
        }
        assertThat(unused.get()).isNull();
    }

    /** How many problems are forged and run one after the other; {@code -Dattention.forms=10000} for many. */
    private static final int FORMS = Integer.getInteger("attention.forms", 100);

    @Test
    void formsOfManyProblemsLeaveNoClassLoadersBehind() throws Exception {
        assumeTrue(TestDevice.get().isSimulator(), "TornadoVM 5.2 keeps what it sketched of each method for ever");
        ShortArray shorts = new ShortArray(SIZE);
        List<WeakReference<ClassLoader>> loaders = new ArrayList<>();
        for (int n = 0; n < FORMS; n++) {
            int add = 1000 + n;
            float[] out = run(WEIGHTED, shorts, task -> {
                Form form =
                        new Form(WEIGHTED, Map.of("a", ShortArray.class), Map.of("add", add, "scale", 1f), Map.of());
                ForgedKernel forged = KernelForge.forge(form);
                loaders.add(new WeakReference<>(forged.loader()));
                task.with("add", add).with("scale", 1f).with("size", SIZE).overElements(SIZE, 8);
            });
            assertThat(out).containsOnly(add);
        }
        for (int i = 0; i < 100 && loaders.stream().anyMatch(loader -> loader.get() != null); i++) {
            System.gc();
            Thread.sleep(20);
        }
        assertThat(loaders.stream().filter(loader -> loader.get() != null).count())
                .isZero();
        // A form is forgotten with the first one forged after the JVM has told that it is unused.
        for (int i = 0; i < 100 && KernelForge.size() >= 20; i++) {
            Thread.sleep(20);
            KernelForge.forge(
                    new Form(WEIGHTED, Map.of("a", ShortArray.class), Map.of("add", i, "scale", 1f), Map.of()));
        }
        assertThat(KernelForge.size()).isLessThan(20);
    }
}
