package gpt;

import gpt.Parameters.Parameter;
import java.util.ArrayList;
import java.util.List;
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
    /** Rows that one part of a weight's gradient sums, on a GPU. */
    private static final int ROWS_OF_A_PART = 512;

    private final FlashAttention attention;
    private final Parameters parameters;
    private final Parameters.Shape shape;
    private final int sequence;
    private final int batch;
    private final int asked;
    private final int rows;
    private final Products products;
    private final AttentionOptions mask;

    private final IntArray tokens;
    private final IntArray targets;
    private final FloatArray schedule = new FloatArray(4);
    private final FloatArray totals = new FloatArray(2 * PARTIAL_SUMS);
    private final FloatArray hit;

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
    }

    private void appendForwardAndBackward() {
        int width = shape.width();
        int vocabulary = shape.vocabulary();
        Parameter token = parameters.get("token");
        Parameter before = parameters.get("before");
        Parameter position = parameters.get("position");
        FloatArray x = activation(rows * width);
        FloatArray qkv = activation(rows * 3 * width);
        FloatArray norm = activation(rows * width);
        FloatArray deviation = activation(rows);
        FloatArray logits = activation(rows * vocabulary);
        FloatArray loss = activation(rows);

        graph.task(
                "embed", Kernels::embed, tokens, token.value(), before.value(), position.value(), x, sequence, width);
        grid("embed", x.getSize());
        List<Layer> layers = new ArrayList<>();
        for (int index = 0; index < shape.layers(); index++) {
            Layer layer = new Layer(index);
            forward(layer, x, qkv);
            layers.add(layer);
        }
        normalise("norm", x, norm, deviation);
        timesTransposed("logits", norm, token.value(), logits, width, vocabulary);
        graph.task("loss", Kernels::crossEntropy, logits, targets, loss, hit, vocabulary, asked);
        grid("loss", rows);
        graph.task("totals", Kernels::totals, loss, hit, totals);
        grid("totals", PARTIAL_SUMS);

        FloatArray dLogits = logits; // crossEntropy wrote them there
        FloatArray dNorm = activation(rows * width);
        FloatArray dX = activation(rows * width);
        transposedTimes("logits-dw", dLogits, norm, token.gradient(), vocabulary, width);
        times("logits-dx", dLogits, token.value(), dNorm, vocabulary, width, 0);
        normaliseGradient("norm-dx", dNorm, norm, deviation, dX, 0);
        Workspace workspace = new Workspace(qkv, dNorm, dX);
        for (Layer layer : layers.reversed()) {
            backward(layer, workspace);
        }
        embeddingGradient("token-dw", dX, token.gradient(), 0, 1); // the logits have put theirs in already
        embeddingGradient("before-dw", dX, before.gradient(), 1, 0);
        graph.task("position-dw", Kernels::positionGradient, dX, position.gradient(), batch, sequence, width);
        grid("position-dw", position.gradient().getSize());
    }

    private void forward(Layer layer, FloatArray x, FloatArray qkv) {
        int width = shape.width();
        normalise(layer.name("norm1"), x, layer.attentionNorm, layer.attentionDeviation);
        times(layer.name("qkv"), layer.attentionNorm, layer.weight("qkv").value(), qkv, width, 3 * width, 0);
        toHeads(layer.name("q"), qkv, layer.q, 3 * width, 0);
        toHeads(layer.name("k"), qkv, layer.k, 3 * width, width);
        toHeads(layer.name("v"), qkv, layer.v, 3 * width, 2 * width);
        attentionKernel = attention.appendTo(
                graph, grids, layer.name("attention"), layer.q, layer.k, layer.v, layer.o, layer.logSumExp, mask);
        fromHeads(layer.name("o"), layer.o, layer.mixed, width, 0);
        times(layer.name("out"), layer.mixed, layer.weight("out").value(), x, width, width, 1);

        normalise(layer.name("norm2"), x, layer.mlpNorm, layer.mlpDeviation);
        times(layer.name("up"), layer.mlpNorm, layer.weight("up").value(), layer.up, width, shape.hidden(), 0);
        graph.task(layer.name("gelu"), Kernels::gelu, layer.up, layer.bent);
        grid(layer.name("gelu"), layer.bent.getSize());
        times(layer.name("down"), layer.bent, layer.weight("down").value(), x, shape.hidden(), width, 1);
    }

    /** Arrays that all layers' backward passes use in turn. */
    private final class Workspace {
        final FloatArray dQkv;
        final FloatArray dNorm;
        final FloatArray dX;
        final FloatArray dHidden = activation(rows * shape.hidden());
        final Tensor dO = heads();
        final Tensor dQ = heads();
        final Tensor dK = heads();
        final Tensor dV = heads();

        Workspace(FloatArray dQkv, FloatArray dNorm, FloatArray dX) {
            this.dQkv = dQkv;
            this.dNorm = dNorm;
            this.dX = dX;
        }
    }

    /** The forward pass from its last line to its first; dX comes in as the gradient of the layer's result. */
    private void backward(Layer layer, Workspace w) {
        int width = shape.width();
        int hidden = shape.hidden();
        Parameter down = layer.weight("down");
        Parameter up = layer.weight("up");
        Parameter out = layer.weight("out");
        Parameter qkv = layer.weight("qkv");

        transposedTimes(layer.name("down-dw"), layer.bent, w.dX, down.gradient(), hidden, width);
        timesTransposed(layer.name("down-dx"), w.dX, down.value(), w.dHidden, width, hidden);
        graph.task(layer.name("gelu-dx"), Kernels::geluGradient, layer.up, w.dHidden);
        grid(layer.name("gelu-dx"), w.dHidden.getSize());
        transposedTimes(layer.name("up-dw"), layer.mlpNorm, w.dHidden, up.gradient(), width, hidden);
        timesTransposed(layer.name("up-dx"), w.dHidden, up.value(), w.dNorm, hidden, width);
        normaliseGradient(layer.name("norm2-dx"), w.dNorm, layer.mlpNorm, layer.mlpDeviation, w.dX, 1);

        transposedTimes(layer.name("out-dw"), layer.mixed, w.dX, out.gradient(), width, width);
        timesTransposed(layer.name("out-dx"), w.dX, out.value(), w.dNorm, width, width);
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
        fromHeads(layer.name("dq"), w.dQ, w.dQkv, 3 * width, 0);
        fromHeads(layer.name("dk"), w.dK, w.dQkv, 3 * width, width);
        fromHeads(layer.name("dv"), w.dV, w.dQkv, 3 * width, 2 * width);
        transposedTimes(layer.name("qkv-dw"), layer.attentionNorm, w.dQkv, qkv.gradient(), width, 3 * width);
        timesTransposed(layer.name("qkv-dx"), w.dQkv, qkv.value(), w.dNorm, 3 * width, width);
        normaliseGradient(layer.name("norm1-dx"), w.dNorm, layer.attentionNorm, layer.attentionDeviation, w.dX, 1);
    }

    // -- its tasks --

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
        FloatArray partial = activation(parts * left * right);
        tiledProduct(task + "-parts", x, y, partial, left, right, rows, 1, left, right, 1, parts, 0);
        graph.task(task, MatrixProduct::addParts, partial, w, parts);
        grid(task, w.getSize());
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
