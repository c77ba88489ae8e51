package gpt;

import gpt.Parameters.Parameter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.kernel.MatrixProduct;
import org.tornadoattention.kernel.WarpGroupProduct;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * A GPT on the device: forward pass, backward pass and AdamW's step, in one task graph or, where that would be larger
 * than TornadoVM allows, in a {@link GraphChain}. Weights and activations stay on the device; a step takes tokens in
 * and brings the loss out.
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
    /** Rows that one part of a weight's gradient sums, on a GPU. */
    private static final int ROWS_OF_A_PART = 512;
    /**
     * What writing and adding up an element of a part costs, by the time of a tile for each row: from memory's speed.
     */
    private static final double SUMS_OF_A_PART = 1.4e-4;
    /** Layers, forward and backward, that one graph has room for together with all else. */
    private static final int LAYERS_OF_ONE_GRAPH = 2;

    private final FlashAttention attention;
    private final Parameters parameters;
    private final Parameters.Shape shape;
    private final int sequence;
    private final int batch;
    private final int asked;
    private final int rows;
    private final Products products;
    private final boolean warpGroups;
    private final boolean oneGraph;
    private final AttentionOptions mask;

    private final IntArray tokens;
    private final IntArray targets;
    private final FloatArray schedule = new FloatArray(4);
    private final FloatArray totals = new FloatArray(2 * PARTIAL_SUMS);
    private final FloatArray hit;

    private final GraphChain chain;
    /** Arrays that all layers use in turn, by what they are for and their size. */
    private final Map<String, FloatArray> sharedFloats = new HashMap<>();

    private final Map<Integer, ShortArray> sharedFactors = new HashMap<>();
    private final Map<Integer, ShortArray> sharedOthers = new HashMap<>();
    private final List<Tensor> sharedHeads = new ArrayList<>();
    /**
     * In place of a copy that is not wanted: TornadoVM waits forever where a task writes one array as two arguments.
     */
    private final ShortArray notWanted = new ShortArray(1);

    private KernelChoice attentionKernel;
    private int graphsOfForward;

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
     * Builds the graphs for batches of one size.
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
     * Builds the graphs for batches of one size, with products of a kind and a mask.
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
        this(
                attention,
                parameters,
                batch,
                sequence,
                asked,
                products,
                mask,
                parameters.shape().layers() <= LAYERS_OF_ONE_GRAPH && products != Products.BF16);
    }

    /** For tests: in one graph, or in a chain of one for each layer of each pass. */
    Gpt(
            FlashAttention attention,
            Parameters parameters,
            int batch,
            int sequence,
            int asked,
            Products products,
            AttentionOptions mask,
            boolean oneGraph) {
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
                && shape.hidden() % WarpGroupProduct.DEPTH == 0;
        this.oneGraph = oneGraph;
        this.mask = mask;
        this.tokens = new IntArray(rows);
        this.targets = new IntArray(rows);
        this.hit = new FloatArray(rows);
        this.chain = new GraphChain("gpt", attention.device());
        appendStep();
        chain.build();
    }

    // -- the model --

    /** What the backward pass of a layer needs of its forward pass. */
    private final class Layer {
        final int index;
        final Input attentionNorm = new Input(true, shape.width());
        final FloatArray attentionDeviation = activation(rows);
        final Tensor q = heads();
        final Tensor k = heads();
        final Tensor v = heads();
        final Tensor o = heads();
        final Tensor logSumExp = Tensor.wrap(activation(rows * shape.heads()), batch, shape.heads(), sequence);
        final Input mixed = new Input(false, shape.width());
        final Input mlpNorm = new Input(true, shape.width());
        final FloatArray mlpDeviation = activation(rows);
        final FloatArray up = activation(rows * shape.hidden());
        final Input bent = new Input(false, shape.hidden());

        Layer(int index) {
            this.index = index;
        }

        String name(String task) {
            return "layer" + index + "-" + task;
        }

        Parameter weight(String matrix) {
            return parameters.get(index, matrix);
        }

        List<TornadoNativeArray> arrays() {
            List<TornadoNativeArray> arrays = new ArrayList<>(List.of(attentionDeviation, mlpDeviation, up));
            for (Tensor tensor : List.of(q, k, v, o, logSumExp)) {
                arrays.add(tensor.array());
            }
            for (Input input : List.of(attentionNorm, mixed, mlpNorm, bent)) {
                arrays.addAll(input.ofLayer());
            }
            for (String matrix : List.of("qkv", "out", "up", "down")) {
                arrays.add(weight(matrix).value());
            }
            return arrays;
        }
    }

    /**
     * A matrix {@code [rows, columns]} that a weight is multiplied with. Warp groups read it in 16 bits, and for the
     * weight's gradient transposed; both copies are made when the matrix was written, and the backward pass wants the
     * transposed one alone, and of a norm the matrix.
     */
    private final class Input {
        final FloatArray matrix;
        final int columns;
        final boolean matrixIsWanted;
        final ShortArray rounded;
        final ShortArray turned;

        Input(boolean matrixIsWanted, int columns) {
            this.columns = columns;
            this.matrixIsWanted = matrixIsWanted || !warpGroups;
            this.matrix = this.matrixIsWanted ? activation(rows * columns) : shared("input", rows * columns);
            this.rounded = warpGroups ? sharedFactor(rows * columns) : notWanted;
            this.turned = warpGroups ? chain.keep(new ShortArray(rows * columns)) : notWanted;
        }

        /** Appends the task that makes the copies, behind that which writes the matrix. */
        Input copied(String task) {
            if (warpGroups) {
                turn(task, matrix, rounded, turned, rows, columns, 1);
            }
            return this;
        }

        List<TornadoNativeArray> ofLayer() {
            List<TornadoNativeArray> arrays = new ArrayList<>();
            if (matrixIsWanted) {
                arrays.add(matrix);
            }
            if (warpGroups) {
                arrays.add(turned);
            }
            return arrays;
        }
    }

    private void appendStep() {
        int width = shape.width();
        int vocabulary = shape.vocabulary();
        Parameter token = parameters.get("token");
        Parameter before = parameters.get("before");
        Parameter position = parameters.get("position");

        chain.bringEachTime(tokens);
        chain.keep(token.value());
        chain.keep(before.value());
        chain.keep(position.value());
        FloatArray x = activation(rows * width);
        chain.graph()
                .task(
                        "embed",
                        Kernels::embed,
                        tokens,
                        token.value(),
                        before.value(),
                        position.value(),
                        x,
                        sequence,
                        width);
        grid("embed", x.getSize());
        List<Layer> layers = new ArrayList<>();
        for (int index = 0; index < shape.layers(); index++) {
            nextGraph("forward" + index);
            Layer layer = new Layer(index);
            forward(layer, x);
            layers.add(layer);
        }

        nextGraph("head");
        chain.bringEachTime(targets);
        chain.bringEachTime(totals);
        chain.keepHere(hit);
        FloatArray norm = activation(rows * width);
        FloatArray deviation = activation(rows);
        FloatArray logits = activation(rows * vocabulary);
        FloatArray loss = activation(rows);
        normalise("norm", x, norm, deviation);
        timesTransposed("logits", norm, token.value(), logits, width, vocabulary);
        chain.graph().task("loss", Kernels::crossEntropy, logits, targets, loss, hit, vocabulary, asked);
        grid("loss", rows);
        chain.graph().task("totals", Kernels::totals, loss, hit, totals);
        grid("totals", PARTIAL_SUMS);
        chain.graph().transferToHost(DataTransferMode.EVERY_EXECUTION, totals);

        graphsOfForward = chain.size();
        nextGraph("headGradients");
        FloatArray dX = activation(rows * width);
        FloatArray dLogits = logits; // crossEntropy wrote them there
        FloatArray dNorm = shared("dNorm", rows * width);
        chain.keep(token.gradient());
        transposedTimes("logits-dw", dLogits, norm, token.gradient(), vocabulary, width);
        times("logits-dx", dLogits, token.value(), dNorm, vocabulary, width, 0);
        normaliseGradient("norm-dx", dNorm, norm, deviation, dX, 0);
        chain.forget(List.of(x));
        for (Layer layer : layers.reversed()) {
            nextGraph("backward" + layer.index);
            backward(layer, dX);
            chain.forget(layer.arrays());
        }

        nextGraph("embeddings");
        chain.keepHere(before.gradient(), position.gradient());
        embeddingGradient("token-dw", dX, token.gradient(), 0, 1); // the logits have put theirs in already
        embeddingGradient("before-dw", dX, before.gradient(), 1, 0);
        chain.graph().task("position-dw", Kernels::positionGradient, dX, position.gradient(), batch, sequence, width);
        grid("position-dw", position.gradient().getSize());
        List.of(token, before, position).forEach(this::adamW);
    }

    private void nextGraph(String name) {
        if (!oneGraph) {
            chain.next(name);
        }
    }

    private void forward(Layer layer, FloatArray x) {
        int width = shape.width();
        int hidden = shape.hidden();
        FloatArray qkv = shared("qkv", rows * 3 * width);
        normalise(layer.name("norm1"), x, layer.attentionNorm.matrix, layer.attentionDeviation);
        times(layer, "qkv", layer.attentionNorm.copied(layer.name("norm1-copies")), qkv, 3 * width, 0);
        toHeads(layer.name("q"), qkv, layer.q, 3 * width, 0);
        toHeads(layer.name("k"), qkv, layer.k, 3 * width, width);
        toHeads(layer.name("v"), qkv, layer.v, 3 * width, 2 * width);
        attentionKernel = attention.appendTo(
                chain.graph(),
                chain.grids(),
                layer.name("attention"),
                layer.q,
                layer.k,
                layer.v,
                layer.o,
                layer.logSumExp,
                mask);
        fromHeads(layer.name("o"), layer.o, layer.mixed.matrix, width, 0);
        times(layer, "out", layer.mixed.copied(layer.name("o-copies")), x, width, 1);

        normalise(layer.name("norm2"), x, layer.mlpNorm.matrix, layer.mlpDeviation);
        times(layer, "up", layer.mlpNorm.copied(layer.name("norm2-copies")), layer.up, hidden, 0);
        chain.graph().task(layer.name("gelu"), Kernels::gelu, layer.up, layer.bent.matrix);
        grid(layer.name("gelu"), layer.up.getSize());
        times(layer, "down", layer.bent.copied(layer.name("gelu-copies")), x, width, 1);
    }

    /** The forward pass from its last line to its first; dX comes in as the gradient of the layer's result. */
    private void backward(Layer layer, FloatArray dX) {
        int width = shape.width();
        int hidden = shape.hidden();
        FloatArray dHidden = shared("dHidden", rows * hidden);
        FloatArray dNorm = shared("dNorm", rows * width);
        FloatArray dQkv = shared("qkv", rows * 3 * width);

        gradients(layer, "down", layer.bent, dX, dHidden, width);
        chain.graph().task(layer.name("gelu-dx"), Kernels::geluGradient, layer.up, dHidden);
        grid(layer.name("gelu-dx"), dHidden.getSize());
        gradients(layer, "up", layer.mlpNorm, dHidden, dNorm, hidden);
        normaliseGradient(layer.name("norm2-dx"), dNorm, layer.mlpNorm.matrix, layer.mlpDeviation, dX, 1);

        gradients(layer, "out", layer.mixed, dX, dNorm, width);
        Tensor dO = sharedHeads(0);
        Tensor dQ = sharedHeads(1);
        Tensor dK = sharedHeads(2);
        Tensor dV = sharedHeads(3);
        toHeads(layer.name("do"), dNorm, dO, width, 0);
        attention.appendBackwardTo(
                chain.graph(),
                chain.grids(),
                layer.name("attention-dx"),
                BackwardTensors.builder()
                        .q(layer.q)
                        .k(layer.k)
                        .v(layer.v)
                        .output(layer.o)
                        .logSumExp(layer.logSumExp)
                        .dOut(dO)
                        .dQ(dQ)
                        .dK(dK)
                        .dV(dV)
                        .build(),
                mask);
        fromHeads(layer.name("dq"), dQ, dQkv, 3 * width, 0);
        fromHeads(layer.name("dk"), dK, dQkv, 3 * width, width);
        fromHeads(layer.name("dv"), dV, dQkv, 3 * width, 2 * width);
        gradients(layer, "qkv", layer.attentionNorm, dQkv, dNorm, 3 * width);
        normaliseGradient(layer.name("norm1-dx"), dNorm, layer.attentionNorm.matrix, layer.attentionDeviation, dX, 1);
        for (String matrix : List.of("qkv", "out", "up", "down")) {
            adamW(layer.weight(matrix));
        }
    }

    private void adamW(Parameter p) {
        String task = "adamw-" + p.name().replace('.', '-');
        chain.bringEachTime(schedule);
        chain.keepHere(p.firstMoment(), p.secondMoment());
        chain.graph().task(task, Kernels::adamW, p.value(), p.gradient(), p.firstMoment(), p.secondMoment(), schedule);
        grid(task, p.value().getSize());
    }

    // -- its tasks --

    /** A layer's product with a weight, {@code y[rows, columns] = x W}, added to y if {@code accumulate} is 1. */
    private void times(Layer layer, String matrix, Input x, FloatArray y, int columns, int accumulate) {
        FloatArray w = chain.keep(layer.weight(matrix).value());
        if (!warpGroups) {
            times(layer.name(matrix), x.matrix, w, y, x.columns, columns, accumulate);
            return;
        }
        ShortArray turned = sharedOther(w.getSize());
        turn(layer.name(matrix + "-turned"), w, chain.keep(notWanted), turned, x.columns, columns, 0);
        warpGroupProduct(layer.name(matrix), x.rounded, turned, y, rows, columns, x.columns, 1, accumulate);
    }

    /** Both gradients of {@code y[rows, columns] = x W}: that of W, and that of x in {@code dX}. */
    private void gradients(Layer layer, String matrix, Input x, FloatArray dY, FloatArray dX, int columns) {
        Parameter weight = layer.weight(matrix);
        String dw = layer.name(matrix + "-dw");
        String dx = layer.name(matrix + "-dx");
        chain.keepHere(weight.gradient());
        if (!warpGroups) {
            transposedTimes(dw, x.matrix, dY, weight.gradient(), x.columns, columns);
            timesTransposed(dx, dY, weight.value(), dX, columns, x.columns);
            return;
        }
        ShortArray rounded = sharedFactor(dY.getSize());
        ShortArray turned = sharedOther(dY.getSize());
        turn(layer.name(matrix + "-dy-copies"), dY, rounded, turned, rows, columns, 1);
        int tiles = WarpGroupProduct.groups(x.columns, columns, WarpGroupProduct.wide(columns), 1);
        int parts = parts(tiles, weight.value().getSize());
        FloatArray partial = parts == 1
                ? weight.gradient()
                : shared("parts", parts * weight.value().getSize());
        warpGroupProduct(
                parts == 1 ? dw : dw + "-parts", x.turned, turned, partial, x.columns, columns, rows, parts, 0);
        addParts(dw, partial, weight.gradient(), parts);
        ShortArray w = sharedOther(weight.value().getSize());
        chain.graph()
                .task(
                        layer.name(matrix + "-rounded"),
                        WarpGroupProduct::narrow,
                        new KernelContext(),
                        weight.value(),
                        w,
                        x.columns,
                        columns,
                        Warp.BF16);
        grid(
                layer.name(matrix + "-rounded"),
                WarpGroupProduct.GROUP * WarpGroupProduct.groupsToNarrow(x.columns, columns),
                WarpGroupProduct.GROUP);
        warpGroupProduct(dx, rounded, w, dX, rows, x.columns, columns, 1, 0);
    }

    /** {@code y[rows, columns] = x[rows, depth] w[depth, columns]}, added to y if {@code accumulate} is 1. */
    private void times(String task, FloatArray x, FloatArray w, FloatArray y, int depth, int columns, int accumulate) {
        product(task, x, w, y, rows, columns, depth, depth, 1, columns, 1, accumulate);
    }

    /** {@code y[rows, columns] = x[rows, depth] w[columns, depth]ᵀ}. */
    private void timesTransposed(String task, FloatArray x, FloatArray w, FloatArray y, int depth, int columns) {
        product(task, x, w, y, rows, columns, depth, depth, 1, 1, depth, 0);
    }

    /** {@code w[left, right] = x[rows, left]ᵀ y[rows, right]}: the gradient of a weight. */
    private void transposedTimes(String task, FloatArray x, FloatArray y, FloatArray w, int left, int right) {
        int parts = products == Products.ROWS ? 1 : Math.ceilDiv(rows, ROWS_OF_A_PART);
        if (parts == 1) {
            product(task, x, y, w, left, right, rows, 1, left, right, 1, 0);
            return;
        }
        FloatArray partial = shared("parts", parts * left * right);
        tiledProduct(task + "-parts", x, y, partial, left, right, rows, 1, left, right, 1, parts, 0);
        addParts(task, partial, w, parts);
    }

    private void addParts(String task, FloatArray partial, FloatArray sum, int parts) {
        if (parts > 1) {
            chain.graph().task(task, MatrixProduct::addParts, partial, sum, parts);
            grid(task, sum.getSize());
        }
    }

    /**
     * Into how many parts of the rows a weight's gradient is cut: few enough that adding them up costs little, many
     * enough that no multiprocessor waits. A tile of all rows is taken for the unit of time.
     */
    private int parts(int tiles, int size) {
        int multiprocessors = attention.device().computeUnits();
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

    /** A matrix transposed in 16 bits, and if {@code both} is 1 also as it lies. */
    private void turn(
            String task, FloatArray matrix, ShortArray rounded, ShortArray turned, int down, int across, int both) {
        chain.graph()
                .task(
                        task,
                        WarpGroupProduct::turn,
                        new KernelContext(),
                        matrix,
                        rounded,
                        turned,
                        down,
                        across,
                        both,
                        Warp.BF16);
        grid(task, WarpGroupProduct.GROUP * WarpGroupProduct.groupsToNarrow(down, across), WarpGroupProduct.GROUP);
    }

    /** {@code c[m, n] = a[m, depth] b[n, depth]ᵀ}, or its parts, or added to c. */
    private void warpGroupProduct(
            String task, ShortArray a, ShortArray b, FloatArray c, int m, int n, int depth, int parts, int accumulate) {
        int wide = WarpGroupProduct.wide(n);
        chain.graph()
                .task(
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
            chain.graph().task(task, RowProduct::byRows, a, b, c, n, depth, aRow, aColumn, bRow, bColumn, accumulate);
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
            chain.graph()
                    .task(
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
            chain.graph()
                    .task(
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
            chain.graph().task(task, Kernels::normalise, x, y, deviation, shape.width());
            grid(task, rows);
        } else {
            chain.graph().task(task, Kernels::normaliseInGroups, new KernelContext(), x, y, deviation, shape.width());
            grid(task, rows * Kernels.ROW_GROUP, Kernels.ROW_GROUP);
        }
    }

    private void normaliseGradient(
            String task, FloatArray dY, FloatArray y, FloatArray deviation, FloatArray dX, int accumulate) {
        if (products == Products.ROWS) {
            chain.graph().task(task, Kernels::normaliseGradient, dY, y, deviation, dX, shape.width(), accumulate);
            grid(task, rows);
        } else {
            chain.graph()
                    .task(
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
            chain.graph()
                    .task(
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
        chain.graph()
                .task(
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
            chain.graph()
                    .task(
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
        chain.graph()
                .task(
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
        chain.graph()
                .task(task, Kernels::embeddingGradient, tokens, dX, dTable, sequence, shape.width(), back, accumulate);
        grid(task, dTable.getSize());
    }

    private void grid(String task, int workItems) {
        grid(task, Math.ceilDiv(workItems, GROUP_SIZE) * GROUP_SIZE, GROUP_SIZE);
    }

    private void grid(String task, int workItems, int groupSize) {
        chain.grid(task, workItems, groupSize);
    }

    // -- its arrays --

    private Tensor heads() {
        Tensor heads = Tensor.allocate(
                products == Products.BF16 ? DType.BF16 : DType.F32, batch, shape.heads(), sequence, shape.headDim());
        chain.keep(heads.array());
        return heads;
    }

    /** One of those that all layers use in turn. */
    private Tensor sharedHeads(int which) {
        while (sharedHeads.size() <= which) {
            sharedHeads.add(heads());
        }
        return sharedHeads.get(which);
    }

    /** An array that lives on the device only. */
    private FloatArray activation(int size) {
        return chain.keep(new FloatArray(size));
    }

    /** An array that all layers use in turn. */
    private FloatArray shared(String use, int size) {
        return sharedFloats.computeIfAbsent(use + size, any -> activation(size));
    }

    /** The same for what is multiplied with a weight, and for gradients of what came of it. */
    private ShortArray sharedFactor(int size) {
        return sharedFactors.computeIfAbsent(size, elements -> chain.keep(new ShortArray(elements)));
    }

    /** The same for the other factor of such a product. */
    private ShortArray sharedOther(int size) {
        return sharedOthers.computeIfAbsent(size, elements -> chain.keep(new ShortArray(elements)));
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
        return execute("step " + step, chain.size());
    }

    /**
     * The forward pass over {@link #tokens} alone, which changes no weight.
     *
     * @return loss and accuracy
     * @throws IllegalStateException if a step is one graph, which cannot be executed in part
     * @throws ArithmeticException if the loss is not a number
     */
    public Result evaluate() {
        if (oneGraph) {
            throw new IllegalStateException(
                    "A step of %d layers in F32 is one graph: only larger models have forward passes alone."
                            .formatted(shape.layers()));
        }
        return execute("a forward pass", graphsOfForward);
    }

    private Result execute(String what, int graphs) {
        totals.init(Float.NaN); // so that a launch that failed without a word shows
        chain.execute(graphs);
        double loss = 0;
        double hits = 0;
        for (int part = 0; part < PARTIAL_SUMS; part++) {
            loss += totals.get(2 * part);
            hits += totals.get(2 * part + 1);
        }
        if (!Double.isFinite(loss)) {
            throw new ArithmeticException(
                    "The loss of %s is %s: if standard error has no message of the driver, lower the learning rate."
                            .formatted(what, loss));
        }
        return new Result(loss / asked, hits / asked);
    }

    /**
     * From the third step on, gives the driver what the second one gave it, without TornadoVM's interpreter in between.
     *
     * @return this
     */
    public Gpt replayed() {
        chain.replay();
        return this;
    }

    /** Brings weights and moments to the host, after {@link #train}. */
    public void fetchParameters() {
        parameters.state().forEach(chain::fetch);
    }

    /** Brings the last step's gradients to the host. */
    public void fetchGradients() {
        parameters.all().forEach(parameter -> chain.fetch(parameter.gradient()));
    }

    /** Whether each token of the last step was followed by the right one: 1 or 0, {@code [batch, sequence]}. */
    public FloatArray fetchHits() {
        chain.fetch(hit);
        return hit;
    }

    /** The kernel of attention, and why it. */
    public KernelChoice attentionKernel() {
        return attentionKernel;
    }

    /**
     * Bytes that the graph holds on the device after a first step: weights, activations and what attention keeps; 0
     * where there are several graphs.
     */
    public long deviceBytes() {
        return chain.deviceBytes();
    }

    /** How many graphs a step has. */
    public int graphs() {
        return chain.size();
    }

    /** Frees the device's memory; what was not fetched is lost. */
    @Override
    public void close() {
        chain.close();
    }
}
