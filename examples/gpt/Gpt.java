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
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.kernel.MatrixProduct;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
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

    private static final int GROUP_SIZE = 256;
    private static final int PARTIAL_SUMS = 512;
    /** Rows that one part of the gradient of an embedding sums, on a GPU. */
    private static final int ROWS_OF_A_TABLE = 128;
    /** Rows that one part of a weight's gradient sums, on a GPU. */
    private static final int ROWS_OF_A_PART = 512;
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

    private final List<Tensor> sharedHeads = new ArrayList<>();
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
        final FloatArray attentionNorm = activation(rows * shape.width());
        final FloatArray attentionDeviation = activation(rows);
        final Tensor q = heads();
        final Tensor k = heads();
        final Tensor v = heads();
        final Tensor o = heads();
        final Tensor logSumExp = Tensor.wrap(activation(rows * shape.heads()), batch, shape.heads(), sequence);
        final FloatArray mixed = activation(rows * shape.width());
        final FloatArray mlpNorm = activation(rows * shape.width());
        final FloatArray mlpDeviation = activation(rows);
        final FloatArray up = activation(rows * shape.hidden());
        final FloatArray bent = activation(rows * shape.hidden());

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
            List<TornadoNativeArray> arrays =
                    new ArrayList<>(List.of(attentionNorm, attentionDeviation, mixed, mlpNorm, mlpDeviation, up, bent));
            for (Tensor tensor : List.of(q, k, v, o, logSumExp)) {
                arrays.add(tensor.array());
            }
            for (String matrix : Parameters.MATRICES) {
                arrays.add(weight(matrix).value());
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
        boolean warpGroups = products == Products.BF16 && WarpGroupLayers.areFor(attention.device(), shape, rows);
        Optional<WarpGroupLayers> narrow = warpGroups
                ? Optional.of(new WarpGroupLayers(attention, chain, parameters, batch, sequence, mask, schedule))
                : Optional.empty();
        List<Layer> layers = new ArrayList<>();
        for (int index = 0; index < shape.layers(); index++) {
            nextGraph("forward" + index);
            if (narrow.isPresent()) {
                attentionKernel = narrow.get().forward(x);
            } else {
                layers.add(new Layer(index));
                forward(layers.getLast(), x);
            }
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
        crossEntropy(logits, loss, vocabulary);
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
        narrow.ifPresent(inBFloat16 -> inBFloat16.beginBackward(dX));
        for (int index = shape.layers() - 1; index >= 0; index--) {
            nextGraph("backward" + index);
            if (narrow.isPresent()) {
                narrow.get().backward(dX);
            } else {
                backward(layers.get(index), dX);
                chain.forget(layers.get(index).arrays());
            }
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
        normalise(layer.name("norm1"), x, layer.attentionNorm, layer.attentionDeviation);
        times(layer, "qkv", layer.attentionNorm, qkv, width, 3 * width, 0);
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
        fromHeads(layer.name("o"), layer.o, layer.mixed, width, 0);
        times(layer, "out", layer.mixed, x, width, width, 1);

        normalise(layer.name("norm2"), x, layer.mlpNorm, layer.mlpDeviation);
        times(layer, "up", layer.mlpNorm, layer.up, width, hidden, 0);
        chain.graph().task(layer.name("gelu"), Kernels::gelu, layer.up, layer.bent);
        grid(layer.name("gelu"), layer.up.getSize());
        times(layer, "down", layer.bent, x, hidden, width, 1);
    }

    /** The forward pass from its last line to its first; dX comes in as the gradient of the layer's result. */
    private void backward(Layer layer, FloatArray dX) {
        int width = shape.width();
        int hidden = shape.hidden();
        FloatArray dHidden = shared("dHidden", rows * hidden);
        FloatArray dNorm = shared("dNorm", rows * width);
        FloatArray dQkv = shared("qkv", rows * 3 * width);

        gradients(layer, "down", layer.bent, dX, dHidden, hidden, width);
        chain.graph().task(layer.name("gelu-dx"), Kernels::geluGradient, layer.up, dHidden);
        grid(layer.name("gelu-dx"), dHidden.getSize());
        gradients(layer, "up", layer.mlpNorm, dHidden, dNorm, width, hidden);
        normaliseGradient(layer.name("norm2-dx"), dNorm, layer.mlpNorm, layer.mlpDeviation, dX, 1);

        gradients(layer, "out", layer.mixed, dX, dNorm, width, width);
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
        gradients(layer, "qkv", layer.attentionNorm, dQkv, dNorm, width, 3 * width);
        normaliseGradient(layer.name("norm1-dx"), dNorm, layer.attentionNorm, layer.attentionDeviation, dX, 1);
        for (String matrix : Parameters.MATRICES) {
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
    private void times(Layer layer, String matrix, FloatArray x, FloatArray y, int depth, int columns, int accumulate) {
        FloatArray w = chain.keep(layer.weight(matrix).value());
        times(layer.name(matrix), x, w, y, depth, columns, accumulate);
    }

    /** Both gradients of {@code y[rows, columns] = x W}: that of W, and that of x in {@code dX}. */
    private void gradients(
            Layer layer, String matrix, FloatArray x, FloatArray dY, FloatArray dX, int depth, int columns) {
        Parameter weight = layer.weight(matrix);
        chain.keepHere(weight.gradient());
        transposedTimes(layer.name(matrix + "-dw"), x, dY, weight.gradient(), depth, columns);
        timesTransposed(layer.name(matrix + "-dx"), dY, weight.value(), dX, columns, depth);
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

    private void crossEntropy(FloatArray logits, FloatArray loss, int vocabulary) {
        if (products == Products.ROWS) {
            chain.graph().task("loss", Kernels::crossEntropy, logits, targets, loss, hit, vocabulary, asked);
            grid("loss", rows);
        } else {
            chain.graph()
                    .task(
                            "loss",
                            Kernels::crossEntropyInGroups,
                            new KernelContext(),
                            logits,
                            targets,
                            loss,
                            hit,
                            vocabulary,
                            asked);
            grid("loss", rows * Kernels.ROW_GROUP, Kernels.ROW_GROUP);
        }
    }

    private void embeddingGradient(String task, FloatArray dX, FloatArray dTable, int back, int accumulate) {
        int width = shape.width();
        if (products == Products.ROWS
                || !Kernels.isInLocalMemory(shape.vocabulary())
                || width % Kernels.CHANNELS != 0) {
            chain.graph().task(task, Kernels::embeddingGradient, tokens, dX, dTable, sequence, width, back, accumulate);
            grid(task, dTable.getSize());
            return;
        }
        int parts = Math.ceilDiv(rows, ROWS_OF_A_TABLE);
        FloatArray partial =
                parts + accumulate == 1 ? dTable : shared("tableParts", (parts + accumulate) * dTable.getSize());
        chain.graph()
                .task(
                        task + "-parts",
                        Kernels::embeddingGradientParts,
                        new KernelContext(),
                        tokens,
                        dX,
                        partial,
                        accumulate,
                        ROWS_OF_A_TABLE,
                        shape.vocabulary(),
                        sequence,
                        width,
                        back);
        grid(task + "-parts", parts * width, Kernels.CHANNELS);
        if (accumulate == 1) { // what the table's gradient holds goes before the parts
            chain.graph().task(task + "-before", Kernels::copyFirst, dTable, partial);
            grid(task + "-before", dTable.getSize());
        }
        addParts(task, partial, dTable, parts + accumulate);
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
