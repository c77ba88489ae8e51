package gpt;

import gpt.Parameters.Parameter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.device.ReplayedPlan;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.kernel.MatrixProduct;
import org.tornadoattention.kernel.WarpGroupProduct;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * A GPT in one task graph: forward pass, backward pass and AdamW's step. Weights and activations stay on the device; a
 * step takes tokens in and brings the loss out.
 *
 * <pre>{@code
 * x = E[token] + B[token before] + P[position]
 * each layer:  x = x + attention(norm(x) Wqkv) Wout          causal attention, through this library
 *              x = x + gelu(norm(x) Wup) Wdown
 * logits = norm(x) Eᵀ
 * }</pre>
 *
 * <p>The token before is given, and need not be found by a first layer of attention: what remains to be learnt is to
 * look for a key in the whole stream. The norms have no gain and no bias and the matrices no bias, as in OLMo.
 *
 * <p>Matrices are {@code [rows, width]} with {@code rows = batch · sequence}. A name that begins with d is the gradient
 * of the loss with respect to what follows.
 */
public final class Gpt implements AutoCloseable {

    private static final int GROUP_SIZE = 64;
    private static final int PARTIAL_SUMS = 64;
    private static final ShortArray NONE = new ShortArray(1);
    /** Rows that one part of a weight's gradient sums, on a GPU. */
    private static final int ROWS_OF_A_PART = 512;
    /**
     * What writing and adding up an element of a part costs, by the time of a tile for each row: from memory's speed.
     */
    private static final double SUMS_OF_A_PART = 1.4e-4;

    private final FlashAttention attention;
    private final Parameters parameters;
    private final Parameters.Shape shape;
    private final int sequence;
    private final int batch;
    private final int asked;
    private final int rows;
    private final Products products;
    private final boolean warpGroups;
    private final AttentionOptions mask;

    private final IntArray tokens;
    private final IntArray targets;
    private final FloatArray schedule = new FloatArray(4);
    private final FloatArray totals = new FloatArray(2 * PARTIAL_SUMS);
    private final FloatArray hit;

    /** Factors in 16 bits that the very next products read, by their size. */
    private final Map<Integer, ShortArray> narrowFactors = new HashMap<>();

    private final TaskGraph graph = new TaskGraph("gpt");
    private final GridScheduler grids = new GridScheduler();
    private final TornadoExecutionPlan plan;
    private Optional<TornadoExecutionResult> lastStep = Optional.empty();
    private boolean replaying;
    private Optional<ReplayedPlan> replayed = Optional.empty();
    private KernelChoice attentionKernel;

    /** How matrices are multiplied. */
    public enum Products {
        /** In F32, a row for each work-item: for CPUs and the simulator. */
        ROWS,
        /** In F32, in tiles in local memory, and rows by groups of work-items: for GPUs. */
        TILES,
        /** On tensor cores, factors rounded to BF16, and attention in BF16; weights, moments and all sums stay F32. */
        BF16;

        /** The best for a device in F32. */
        public static Products inF32(ComputeDevice device) {
            return device.type() == TornadoDeviceType.GPU ? TILES : ROWS;
        }

        /** @throws UnsupportedOnDeviceException if a device has no tensor cores for it */
        void requireOn(ComputeDevice device) {
            if (this == BF16 && !device.extension().level().include(Intrinsics.WARP)) {
                throw new UnsupportedOnDeviceException(device, "products on tensor cores", "leave --products at f32");
            }
        }
    }

    /** The mean loss of a batch, in nats, and the fraction of its questions that were answered right. */
    public record Result(double loss, double accuracy) {}

    /**
     * Builds the graph for batches of one size.
     *
     * @param attention where to run and with which kernel of attention
     * @param parameters what to train
     * @param batch sequences of a batch
     * @param sequence tokens of each
     * @param asked tokens of a batch that have a target
     */
    public Gpt(FlashAttention attention, Parameters parameters, int batch, int sequence, int asked) {
        this(
                attention,
                parameters,
                batch,
                sequence,
                asked,
                Products.inF32(attention.device()),
                AttentionOptions.causal());
    }

    /**
     * Builds the graph for batches of one size, with products of a kind and a mask.
     *
     * @param attention where to run and with which kernel of attention
     * @param parameters what to train
     * @param batch sequences of a batch
     * @param sequence tokens of each
     * @param asked tokens of a batch that have a target
     * @param products how matrices are multiplied, and which type attention has
     * @param mask causal, or what else attention takes in graphs: without one it is BERT's
     */
    public Gpt(
            FlashAttention attention,
            Parameters parameters,
            int batch,
            int sequence,
            int asked,
            Products products,
            AttentionOptions mask) {
        products.requireOn(attention.device());
        this.attention = attention;
        this.parameters = parameters;
        this.shape = parameters.shape();
        this.batch = batch;
        this.sequence = sequence;
        this.asked = asked;
        this.rows = Math.multiplyExact(batch, sequence);
        this.products = products;
        this.warpGroups = products == Products.BF16
                && attention.device().extension().level().include(Intrinsics.WARP_GROUP)
                && rows % WarpGroupProduct.DEPTH == 0
                && shape.width() % WarpGroupProduct.DEPTH == 0
                && shape.hidden() % WarpGroupProduct.DEPTH == 0
                && shape.vocabulary() % 2 == 0;
        this.mask = mask;
        this.tokens = new IntArray(rows);
        this.targets = new IntArray(rows);
        this.hit = activation(rows);

        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, tokens, targets, schedule, totals);
        for (FloatArray array : parameters.state()) {
            graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, array);
        }
        for (Parameter parameter : parameters.all()) {
            graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, parameter.gradient());
        }
        appendForwardAndBackward();
        for (Parameter p : parameters.all()) {
            graph.task(
                    "adamw-" + p.name().replace('.', '-'),
                    Kernels::adamW,
                    p.value(),
                    p.gradient(),
                    p.firstMoment(),
                    p.secondMoment(),
                    schedule);
            grid("adamw-" + p.name().replace('.', '-'), p.value().getSize());
        }
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, totals)
                .transferToHost(DataTransferMode.UNDER_DEMAND, hit);
        for (Parameter parameter : parameters.all()) {
            graph.transferToHost(
                    DataTransferMode.UNDER_DEMAND,
                    parameter.value(),
                    parameter.gradient(),
                    parameter.firstMoment(),
                    parameter.secondMoment());
        }
        this.plan = new TornadoExecutionPlan(graph.snapshot());
        plan.withDevice(attention.device().handle()).withGridScheduler(grids);
    }

    // -- the model --

    /** What the backward pass of a layer needs of its forward pass. */
    private final class Layer {
        final int index;
        final Factor attentionNorm = new Factor(rows, shape.width());
        final FloatArray attentionDeviation = activation(rows);
        final Tensor q = heads();
        final Tensor k = heads();
        final Tensor v = heads();
        final Tensor o = heads();
        final Tensor logSumExp = Tensor.wrap(activation(rows * shape.heads()), batch, shape.heads(), sequence);
        final Factor mixed = new Factor(rows, shape.width());
        final Factor mlpNorm = new Factor(rows, shape.width());
        final FloatArray mlpDeviation = activation(rows);
        final FloatArray up = activation(rows * shape.hidden());
        final Factor bent = new Factor(rows, shape.hidden());
        final Factor qkvWeight;
        final Factor outWeight;
        final Factor upWeight;
        final Factor downWeight;

        Layer(int index) {
            this.index = index;
            qkvWeight = new Factor(weight("qkv"), shape.width(), 3 * shape.width()).narrowed(name("qkv-weight"));
            outWeight = new Factor(weight("out"), shape.width(), shape.width()).narrowed(name("out-weight"));
            upWeight = new Factor(weight("up"), shape.width(), shape.hidden()).narrowed(name("up-weight"));
            downWeight = new Factor(weight("down"), shape.hidden(), shape.width()).narrowed(name("down-weight"));
        }

        String name(String task) {
            return "layer" + index + "-" + task;
        }

        Parameter weight(String matrix) {
            return parameters.get(index, matrix);
        }
    }

    /**
     * A matrix that is multiplied. Warp groups read it in 16 bits, transposed for some products, so it then has both
     * copies, which a task of its own makes whenever the matrix was written.
     */
    private final class Factor {
        final FloatArray matrix;
        final int rows;
        final int columns;
        final ShortArray same;
        final ShortArray turned;

        /** An activation, whose copy that is not turned is read at once and then no more. */
        Factor(int rows, int columns) {
            this(
                    activation(rows * columns),
                    rows,
                    columns,
                    warpGroups ? narrowFactors.computeIfAbsent(rows * columns, Gpt.this::narrowMatrix) : NONE);
        }

        Factor(Parameter weight, int rows, int columns) {
            this(weight.value(), rows, columns, warpGroups ? narrowMatrix(rows * columns) : NONE);
        }

        private Factor(FloatArray matrix, int rows, int columns, ShortArray same) {
            this.matrix = matrix;
            this.rows = rows;
            this.columns = columns;
            this.same = same;
            this.turned = warpGroups ? narrowMatrix(rows * columns) : same;
        }

        /** Appends the task that makes the copies, behind that which writes the matrix. */
        Factor narrowed(String task) {
            if (warpGroups) {
                graph.task(
                        task + "-narrow",
                        WarpGroupProduct::narrow,
                        new KernelContext(),
                        matrix,
                        same,
                        turned,
                        rows,
                        columns,
                        3,
                        Warp.BF16);
                grid(
                        task + "-narrow",
                        WarpGroupProduct.GROUP * WarpGroupProduct.groupsToNarrow(rows, columns),
                        WarpGroupProduct.GROUP);
            }
            return this;
        }
    }

    private ShortArray narrowMatrix(int size) {
        ShortArray array = new ShortArray(size);
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, array);
        return array;
    }

    private void appendForwardAndBackward() {
        int width = shape.width();
        int vocabulary = shape.vocabulary();
        Parameter token = parameters.get("token");
        Parameter before = parameters.get("before");
        Parameter position = parameters.get("position");
        FloatArray x = activation(rows * width);
        Factor qkv = new Factor(rows, 3 * width);
        Factor norm = new Factor(rows, width);
        FloatArray deviation = activation(rows);
        Factor logits = new Factor(rows, vocabulary);
        Factor tokenTable = new Factor(token, vocabulary, width);
        FloatArray loss = activation(rows);

        graph.task(
                "embed", Kernels::embed, tokens, token.value(), before.value(), position.value(), x, sequence, width);
        grid("embed", x.getSize());
        List<Layer> layers = new ArrayList<>();
        for (int index = 0; index < shape.layers(); index++) {
            Layer layer = new Layer(index);
            forward(layer, x, qkv.matrix);
            layers.add(layer);
        }
        normalise("norm", x, norm.matrix, deviation);
        norm.narrowed("norm");
        timesTransposed("logits", norm, tokenTable.narrowed("tokens"), logits.matrix);
        graph.task("loss", Kernels::crossEntropy, logits.matrix, targets, loss, hit, vocabulary, asked);
        grid("loss", rows);
        graph.task("totals", Kernels::totals, loss, hit, totals);
        grid("totals", PARTIAL_SUMS);

        Factor dLogits = logits.narrowed("loss"); // crossEntropy wrote them there
        FloatArray dNorm = activation(rows * width);
        Factor dX = new Factor(rows, width);
        transposedTimes("logits-dw", dLogits, norm, token.gradient());
        times("logits-dx", dLogits, tokenTable, dNorm, 0);
        normaliseGradient("norm-dx", dNorm, norm.matrix, deviation, dX.matrix, 0);
        Workspace workspace = new Workspace(qkv, dNorm, dX);
        for (Layer layer : layers.reversed()) {
            backward(layer, workspace);
        }
        embeddingGradient("token-dw", dX.matrix, token.gradient(), 0, 1); // the logits have put theirs in already
        embeddingGradient("before-dw", dX.matrix, before.gradient(), 1, 0);
        graph.task("position-dw", Kernels::positionGradient, dX.matrix, position.gradient(), batch, sequence, width);
        grid("position-dw", position.gradient().getSize());
    }

    private void forward(Layer layer, FloatArray x, FloatArray qkv) {
        int width = shape.width();
        normalise(layer.name("norm1"), x, layer.attentionNorm.matrix, layer.attentionDeviation);
        times(layer.name("qkv"), layer.attentionNorm.narrowed(layer.name("norm1")), layer.qkvWeight, qkv, 0);
        toHeads(layer.name("q"), qkv, layer.q, 3 * width, 0);
        toHeads(layer.name("k"), qkv, layer.k, 3 * width, width);
        toHeads(layer.name("v"), qkv, layer.v, 3 * width, 2 * width);
        attentionKernel = attention.appendTo(
                graph, grids, layer.name("attention"), layer.q, layer.k, layer.v, layer.o, layer.logSumExp, mask);
        fromHeads(layer.name("o"), layer.o, layer.mixed.matrix, width, 0);
        times(layer.name("out"), layer.mixed.narrowed(layer.name("o")), layer.outWeight, x, 1);

        normalise(layer.name("norm2"), x, layer.mlpNorm.matrix, layer.mlpDeviation);
        times(layer.name("up"), layer.mlpNorm.narrowed(layer.name("norm2")), layer.upWeight, layer.up, 0);
        graph.task(layer.name("gelu"), Kernels::gelu, layer.up, layer.bent.matrix);
        grid(layer.name("gelu"), layer.bent.matrix.getSize());
        times(layer.name("down"), layer.bent.narrowed(layer.name("gelu")), layer.downWeight, x, 1);
    }

    /** Arrays that all layers' backward passes use in turn. */
    private final class Workspace {
        final Factor dQkv;
        final FloatArray dNorm;
        final Factor dX;
        final Factor dHidden = new Factor(rows, shape.hidden());
        final Tensor dO = heads();
        final Tensor dQ = heads();
        final Tensor dK = heads();
        final Tensor dV = heads();

        Workspace(Factor dQkv, FloatArray dNorm, Factor dX) {
            this.dQkv = dQkv;
            this.dNorm = dNorm;
            this.dX = dX;
        }
    }

    /** The forward pass from its last line to its first; dX comes in as the gradient of the layer's result. */
    private void backward(Layer layer, Workspace w) {
        int width = shape.width();
        FloatArray dX = w.dX.matrix;

        w.dX.narrowed(layer.name("down-dy"));
        transposedTimes(
                layer.name("down-dw"), layer.bent, w.dX, layer.weight("down").gradient());
        timesTransposed(layer.name("down-dx"), w.dX, layer.downWeight, w.dHidden.matrix);
        graph.task(layer.name("gelu-dx"), Kernels::geluGradient, layer.up, w.dHidden.matrix);
        grid(layer.name("gelu-dx"), w.dHidden.matrix.getSize());
        w.dHidden.narrowed(layer.name("gelu-dx"));
        transposedTimes(
                layer.name("up-dw"),
                layer.mlpNorm,
                w.dHidden,
                layer.weight("up").gradient());
        timesTransposed(layer.name("up-dx"), w.dHidden, layer.upWeight, w.dNorm);
        normaliseGradient(layer.name("norm2-dx"), w.dNorm, layer.mlpNorm.matrix, layer.mlpDeviation, dX, 1);

        w.dX.narrowed(layer.name("out-dy"));
        transposedTimes(
                layer.name("out-dw"), layer.mixed, w.dX, layer.weight("out").gradient());
        timesTransposed(layer.name("out-dx"), w.dX, layer.outWeight, w.dNorm);
        toHeads(layer.name("do"), w.dNorm, w.dO, width, 0);
        attention.appendBackwardTo(
                graph,
                grids,
                layer.name("attention-dx"),
                BackwardTensors.builder()
                        .q(layer.q)
                        .k(layer.k)
                        .v(layer.v)
                        .output(layer.o)
                        .logSumExp(layer.logSumExp)
                        .dOut(w.dO)
                        .dQ(w.dQ)
                        .dK(w.dK)
                        .dV(w.dV)
                        .build(),
                mask);
        fromHeads(layer.name("dq"), w.dQ, w.dQkv.matrix, 3 * width, 0);
        fromHeads(layer.name("dk"), w.dK, w.dQkv.matrix, 3 * width, width);
        fromHeads(layer.name("dv"), w.dV, w.dQkv.matrix, 3 * width, 2 * width);
        w.dQkv.narrowed(layer.name("dqkv"));
        transposedTimes(
                layer.name("qkv-dw"),
                layer.attentionNorm,
                w.dQkv,
                layer.weight("qkv").gradient());
        timesTransposed(layer.name("qkv-dx"), w.dQkv, layer.qkvWeight, w.dNorm);
        normaliseGradient(layer.name("norm1-dx"), w.dNorm, layer.attentionNorm.matrix, layer.attentionDeviation, dX, 1);
    }

    // -- its tasks --

    /** {@code y[rows, columns] = x[rows, depth] w[depth, columns]}, added to y if {@code accumulate} is 1. */
    private void times(String task, Factor x, Factor w, FloatArray y, int accumulate) {
        if (warpGroups && w.rows % WarpGroupProduct.DEPTH == 0) {
            warpGroupProduct(task, x.same, w.turned, y, rows, w.columns, w.rows, 1, accumulate);
        } else {
            product(task, x.matrix, w.matrix, y, rows, w.columns, w.rows, w.rows, 1, w.columns, 1, accumulate);
        }
    }

    /** {@code y[rows, columns] = x[rows, depth] w[columns, depth]ᵀ}. */
    private void timesTransposed(String task, Factor x, Factor w, FloatArray y) {
        if (warpGroups) {
            warpGroupProduct(task, x.same, w.same, y, rows, w.rows, w.columns, 1, 0);
        } else {
            product(task, x.matrix, w.matrix, y, rows, w.rows, w.columns, w.columns, 1, 1, w.columns, 0);
        }
    }

    /** {@code w[left, right] = x[rows, left]ᵀ y[rows, right]}: the gradient of a weight. */
    private void transposedTimes(String task, Factor x, Factor y, FloatArray w) {
        int left = x.columns;
        int right = y.columns;
        int parts = products == Products.ROWS ? 1 : Math.ceilDiv(rows, ROWS_OF_A_PART);
        if (warpGroups) {
            int tiles = WarpGroupProduct.groups(left, right, WarpGroupProduct.wide(right), 1);
            parts = parts(tiles, left * right, attention.device().computeUnits());
        }
        FloatArray partial = parts == 1 ? w : activation(parts * left * right);
        String product = parts == 1 ? task : task + "-parts";
        if (warpGroups) {
            warpGroupProduct(product, x.turned, y.turned, partial, left, right, rows, parts, 0);
        } else if (parts == 1) {
            product(product, x.matrix, y.matrix, partial, left, right, rows, 1, left, right, 1, 0);
        } else {
            tiledProduct(product, x.matrix, y.matrix, partial, left, right, rows, 1, left, right, 1, parts, 0);
        }
        if (parts > 1) {
            graph.task(task, MatrixProduct::addParts, partial, w, parts);
            grid(task, w.getSize());
        }
    }

    /**
     * Into how many parts of the rows a weight's gradient is cut: few enough that adding them up costs little, many
     * enough that no multiprocessor waits. A tile of all rows is taken for the unit of time.
     */
    private int parts(int tiles, int size, int multiprocessors) {
        int best = 1;
        double least = Double.MAX_VALUE;
        for (int parts = 1; parts <= Math.min(16, rows / WarpGroupProduct.DEPTH); parts++) {
            double products = (double) Math.ceilDiv(tiles * parts, multiprocessors) / parts;
            double sums = parts == 1 ? 0 : SUMS_OF_A_PART * parts * size / rows;
            if (products + sums < least) {
                least = products + sums;
                best = parts;
            }
        }
        return best;
    }

    private void warpGroupProduct(
            String task, ShortArray a, ShortArray b, FloatArray c, int m, int n, int depth, int parts, int accumulate) {
        int wide = WarpGroupProduct.wide(n);
        graph.task(
                task,
                WarpGroupProduct::multiply,
                new KernelContext(),
                a,
                b,
                c,
                c,
                m,
                n,
                depth,
                wide,
                parts,
                accumulate,
                Warp.BF16);
        grid(task, WarpGroupProduct.GROUP * WarpGroupProduct.groups(m, n, wide, parts), WarpGroupProduct.GROUP);
    }

    private void product(
            String task,
            FloatArray a,
            FloatArray b,
            FloatArray c,
            int m,
            int n,
            int depth,
            int aRow,
            int aColumn,
            int bRow,
            int bColumn,
            int accumulate) {
        if (products == Products.ROWS) {
            graph.task(task, RowProduct::byRows, a, b, c, n, depth, aRow, aColumn, bRow, bColumn, accumulate);
            grid(task, m);
        } else {
            tiledProduct(task, a, b, c, m, n, depth, aRow, aColumn, bRow, bColumn, 1, accumulate);
        }
    }

    private void tiledProduct(
            String task,
            FloatArray a,
            FloatArray b,
            FloatArray c,
            int m,
            int n,
            int depth,
            int aRow,
            int aColumn,
            int bRow,
            int bColumn,
            int parts,
            int accumulate) {
        int groups = products == Products.BF16 ? MatrixProduct.groupsOnTensorCores(m, n, depth, aRow, bRow, parts) : 0;
        if (groups > 0) {
            graph.task(
                    task,
                    MatrixProduct::onTensorCores,
                    new KernelContext(),
                    a,
                    b,
                    b,
                    c,
                    m,
                    n,
                    depth,
                    aRow,
                    aColumn,
                    bRow,
                    bColumn,
                    parts,
                    accumulate,
                    Warp.BF16);
            grid(task, MatrixProduct.GROUP * groups, MatrixProduct.GROUP);
        } else {
            graph.task(
                    task,
                    MatrixProduct::tiled,
                    new KernelContext(),
                    a,
                    b,
                    b,
                    c,
                    m,
                    n,
                    depth,
                    aRow,
                    aColumn,
                    bRow,
                    bColumn,
                    parts,
                    accumulate);
            grid(task, MatrixProduct.GROUP * MatrixProduct.groups(m, n, parts), MatrixProduct.GROUP);
        }
    }

    private void normalise(String task, FloatArray x, FloatArray y, FloatArray deviation) {
        if (products == Products.ROWS) {
            graph.task(task, Kernels::normalise, x, y, deviation, shape.width());
            grid(task, rows);
        } else {
            graph.task(task, Kernels::normaliseInGroups, new KernelContext(), x, y, deviation, shape.width());
            grid(task, rows * Kernels.ROW_GROUP, Kernels.ROW_GROUP);
        }
    }

    private void normaliseGradient(
            String task, FloatArray dY, FloatArray y, FloatArray deviation, FloatArray dX, int accumulate) {
        if (products == Products.ROWS) {
            graph.task(task, Kernels::normaliseGradient, dY, y, deviation, dX, shape.width(), accumulate);
            grid(task, rows);
        } else {
            graph.task(
                    task,
                    Kernels::normaliseGradientInGroups,
                    new KernelContext(),
                    dY,
                    y,
                    deviation,
                    dX,
                    shape.width(),
                    accumulate);
            grid(task, rows * Kernels.ROW_GROUP, Kernels.ROW_GROUP);
        }
    }

    private void toHeads(String task, FloatArray matrix, Tensor heads, int width, int first) {
        if (products == Products.BF16) {
            graph.task(
                    task,
                    Kernels::toHeadsInBFloat16,
                    new KernelContext(),
                    matrix,
                    heads.bfloat16Bits(),
                    width,
                    first,
                    shape.heads(),
                    sequence,
                    shape.headDim());
            grid(task, heads.numberOfElements() / 2);
            return;
        }
        graph.task(
                task,
                Kernels::toHeads,
                matrix,
                heads.floatArray(),
                width,
                first,
                shape.heads(),
                sequence,
                shape.headDim());
        grid(task, heads.numberOfElements());
    }

    private void fromHeads(String task, Tensor heads, FloatArray matrix, int width, int first) {
        if (products == Products.BF16) {
            graph.task(
                    task,
                    Kernels::fromHeadsInBFloat16,
                    new KernelContext(),
                    heads.bfloat16Bits(),
                    matrix,
                    width,
                    first,
                    shape.heads(),
                    sequence,
                    shape.headDim());
            grid(task, heads.numberOfElements());
            return;
        }
        graph.task(
                task,
                Kernels::fromHeads,
                heads.floatArray(),
                matrix,
                width,
                first,
                shape.heads(),
                sequence,
                shape.headDim());
        grid(task, heads.numberOfElements());
    }

    private void embeddingGradient(String task, FloatArray dX, FloatArray dTable, int back, int accumulate) {
        graph.task(task, Kernels::embeddingGradient, tokens, dX, dTable, sequence, shape.width(), back, accumulate);
        grid(task, dTable.getSize());
    }

    private void grid(String task, int workItems) {
        grid(task, Math.ceilDiv(workItems, GROUP_SIZE) * GROUP_SIZE, GROUP_SIZE);
    }

    private void grid(String task, int workItems, int groupSize) {
        WorkerGrid1D grid = new WorkerGrid1D(workItems);
        grid.setLocalWork(groupSize, 1, 1);
        grids.addWorkerGrid(graph.getTaskGraphName() + "." + task, grid);
    }

    private Tensor heads() {
        if (products == Products.BF16) {
            Tensor heads = Tensor.allocate(DType.BF16, batch, shape.heads(), sequence, shape.headDim());
            graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, heads.array());
            return heads;
        }
        return Tensor.wrap(activation(rows * shape.width()), batch, shape.heads(), sequence, shape.headDim());
    }

    /** An array that lives on the device only. TornadoVM frees what a graph transfers, so it is transferred, once. */
    private FloatArray activation(int size) {
        FloatArray array = new FloatArray(size);
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, array);
        return array;
    }

    // -- its use --

    /** The tokens {@code [batch, sequence]} of the next step, to be filled by the caller. */
    public IntArray tokens() {
        return tokens;
    }

    /**
     * The token that should follow each of {@link #tokens}, or below 0 where nothing is asked; filled by the caller.
     */
    public IntArray targets() {
        return targets;
    }

    /**
     * Forward pass, backward pass and one step of AdamW over {@link #tokens}.
     *
     * @param step the number of this step, from 1
     * @return loss and accuracy before the step
     * @throws ArithmeticException if the loss is not a number
     */
    public Result train(int step, float learningRate, float weightDecay) {
        Kernels.schedule(schedule, step, learningRate, weightDecay);
        totals.init(Float.NaN); // so that a launch that failed without a word shows
        lastStep = Optional.of(execute());
        double loss = 0;
        double hits = 0;
        for (int part = 0; part < PARTIAL_SUMS; part++) {
            loss += totals.get(2 * part);
            hits += totals.get(2 * part + 1);
        }
        if (!Double.isFinite(loss)) {
            throw new ArithmeticException(
                    "The loss of step %d is %s: if standard error has no message of the driver, lower the learning rate."
                            .formatted(step, loss));
        }
        return new Result(loss / asked, hits / asked);
    }

    /**
     * From the third step on, gives the driver what the second one gave it, without TornadoVM's interpreter in between.
     *
     * @return this
     */
    public Gpt replayed() {
        replaying = true;
        return this;
    }

    /** @throws IllegalStateException if steps are to be replayed, and the device does not record */
    private TornadoExecutionResult execute() {
        if (!replaying || lastStep.isEmpty()) {
            return plan.execute();
        }
        if (replayed.isPresent()) {
            replayed.get().execute();
            return replayed.get().result();
        }
        ReplayedPlan recorded = ReplayedPlan.ofExecuted(plan, attention.device());
        if (!recorded.isRecorded()) {
            throw new IllegalStateException("Steps cannot be replayed: " + recorded.reason());
        }
        replayed = Optional.of(recorded);
        return recorded.result();
    }

    /** Brings weights and moments to the host, after {@link #train}. */
    public void fetchParameters() {
        for (FloatArray array : parameters.state()) {
            lastStep.orElseThrow().transferToHost(array);
        }
    }

    /** Brings the last step's gradients to the host. */
    public void fetchGradients() {
        for (Parameter parameter : parameters.all()) {
            lastStep.orElseThrow().transferToHost(parameter.gradient());
        }
    }

    /** Whether each token of the last step was followed by the right one: 1 or 0, {@code [batch, sequence]}. */
    public FloatArray fetchHits() {
        lastStep.orElseThrow().transferToHost(hit);
        return hit;
    }

    /** The kernel of attention, and why it. */
    public KernelChoice attentionKernel() {
        return attentionKernel;
    }

    /** Bytes that the graph holds on the device after a first step: weights, activations and what attention keeps. */
    public long deviceBytes() {
        return plan.getCurrentDeviceMemoryUsage();
    }

    /** Frees the device's memory; what was not fetched is lost. */
    @Override
    public void close() {
        try {
            plan.close();
        } catch (TornadoExecutionPlanException e) {
            throw new IllegalStateException("TornadoVM could not free the device's memory.", e);
        }
    }
}
