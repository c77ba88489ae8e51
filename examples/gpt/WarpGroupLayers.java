package gpt;

import static org.tornadoattention.kernel.WarpGroupProduct.A_BY_DEPTH;
import static org.tornadoattention.kernel.WarpGroupProduct.A_IN_HEADS;
import static org.tornadoattention.kernel.WarpGroupProduct.B_BY_DEPTH;
import static org.tornadoattention.kernel.WarpGroupProduct.B_IN_HEADS;
import static org.tornadoattention.kernel.WarpGroupProduct.C_IN_HEADS;
import static org.tornadoattention.kernel.WarpGroupProduct.NARROW;
import static org.tornadoattention.kernel.WarpGroupProduct.OF_THREE;

import gpt.Parameters.Parameter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.kernel.MatrixProduct;
import org.tornadoattention.kernel.WarpGroupProduct;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * The layers of a GPT in BF16 with products by warp groups. What goes from a task to the next is BF16 and is written
 * once, as the next wants it: products read factors either way round, write queries, keys and values as attention has
 * them and read its output so, and end with GELU, its slope, or the sum into the stream. The stream {@code x}, its
 * gradient, weights with their moments, and all sums are F32. Standard attention has no BF16: tensors are widened for
 * it.
 */
final class WarpGroupLayers {

    /** What writing and adding up an element of a part costs, by the time of a row of a tile: from memory's speed. */
    private static final double SUMS_OF_A_PART = 0.018;

    private static final int MOST_PARTS = 16;

    private final FlashAttention attention;
    private final GraphChain chain;
    private final Parameters parameters;
    private final Parameters.Shape shape;
    private final int batch;
    private final int sequence;
    private final int rows;
    private final AttentionOptions mask;
    private final FloatArray schedule;
    private final boolean standard;

    private final List<Layer> layers = new ArrayList<>();
    private final Map<String, ShortArray> rounded = new HashMap<>();
    /** Arrays that all layers use in turn. */
    private final Map<String, TornadoNativeArray> shared = new HashMap<>();
    /** In place of what a product does not write: TornadoVM waits forever where a task writes one array as two. */
    private final ShortArray[] notWritten = {new ShortArray(8), new ShortArray(8), new ShortArray(8)};

    private final FloatArray notUsed = new FloatArray(8);
    private final FloatArray noBias = new FloatArray(8);

    /** What the backward pass of a layer needs of its forward pass. */
    private final class Layer {
        final int index;
        final ShortArray attentionNorm = narrow(shape.width());
        final FloatArray attentionDeviation = chain.keep(new FloatArray(rows));
        final Tensor q = heads(DType.BF16);
        final Tensor k = heads(DType.BF16);
        final Tensor v = heads(DType.BF16);
        final Tensor o = heads(DType.BF16);
        final Tensor logSumExp =
                Tensor.wrap(chain.keep(new FloatArray(rows * shape.heads())), batch, shape.heads(), sequence);
        /** Query, keys, values and output in F32, where attention wants them. */
        final List<Tensor> wide = new ArrayList<>();

        final ShortArray mlpNorm = narrow(shape.width());
        final FloatArray mlpDeviation = chain.keep(new FloatArray(rows));
        final ShortArray up = narrow(shape.hidden());
        final ShortArray bent = narrow(shape.hidden());

        Layer(int index) {
            this.index = index;
            for (int i = 0; standard && i < 4; i++) {
                wide.add(heads(DType.F32));
            }
        }

        String name(String task) {
            return "layer" + index + "-" + task;
        }

        Parameter weight(String matrix) {
            return parameters.get(index, matrix);
        }

        List<TornadoNativeArray> arrays() {
            List<TornadoNativeArray> arrays = new ArrayList<>(
                    List.of(attentionNorm, attentionDeviation, mlpNorm, mlpDeviation, up, bent, logSumExp.array()));
            List.of(q, k, v, o).forEach(tensor -> arrays.add(tensor.array()));
            wide.forEach(tensor -> arrays.add(tensor.array()));
            for (String matrix : Parameters.MATRICES) {
                arrays.add(rounded.get(weight(matrix).name()));
            }
            return arrays;
        }
    }

    /**
     * Layers whose tasks are appended to a chain.
     *
     * @param schedule what AdamW reads at a step
     */
    WarpGroupLayers(
            FlashAttention attention,
            GraphChain chain,
            Parameters parameters,
            int batch,
            int sequence,
            AttentionOptions mask,
            FloatArray schedule) {
        this.attention = attention;
        this.chain = chain;
        this.parameters = parameters;
        this.shape = parameters.shape();
        this.batch = batch;
        this.sequence = sequence;
        this.rows = batch * sequence;
        this.mask = mask;
        this.schedule = schedule;
        AttentionShape ofHeads = new AttentionShape(
                batch, shape.heads(), shape.heads(), sequence, sequence, shape.headDim(), shape.headDim());
        standard = attention.choose(ofHeads, DType.F32, mask).kernel() == AttentionKernel.STANDARD;
    }

    /** Whether there are warp groups, and sizes are whole slices of a product. */
    static boolean areFor(ComputeDevice device, Parameters.Shape shape, int rows) {
        return device.extension().level().include(Intrinsics.WARP_GROUP)
                && rows % WarpGroupProduct.DEPTH == 0
                && shape.width() % WarpGroupProduct.DEPTH == 0
                && shape.hidden() % WarpGroupProduct.DEPTH == 0
                && shape.headDim() % 8 == 0;
    }

    /** Appends the forward pass of the next layer, which adds to x. */
    KernelChoice forward(FloatArray x) {
        for (ShortArray array : notWritten) {
            chain.keep(array);
        }
        chain.keep(notUsed);
        chain.keep(noBias);
        Layer layer = new Layer(layers.size());
        layers.add(layer);
        int width = shape.width();
        int hidden = shape.hidden();
        normalise(layer.name("norm1"), x, layer.attentionNorm, layer.attentionDeviation);
        new Product(layer.name("qkv"), rows, 3 * width, width)
                .of(layer.attentionNorm, weight(layer, "qkv"), B_BY_DEPTH)
                .toHeads(layer.q, layer.k, layer.v)
                .append();
        KernelChoice kernel = attend(layer);
        new Product(layer.name("out"), rows, width, width)
                .of(layer.o.bfloat16Bits(), weight(layer, "out"), B_BY_DEPTH + A_IN_HEADS)
                .to(x, MatrixProduct.ADD)
                .append();
        normalise(layer.name("norm2"), x, layer.mlpNorm, layer.mlpDeviation);
        new Product(layer.name("up"), rows, hidden, width)
                .of(layer.mlpNorm, weight(layer, "up"), B_BY_DEPTH)
                .toGelu(layer.up, layer.bent)
                .append();
        new Product(layer.name("down"), rows, width, hidden)
                .of(layer.bent, weight(layer, "down"), B_BY_DEPTH)
                .to(x, MatrixProduct.ADD)
                .append();
        return kernel;
    }

    private KernelChoice attend(Layer layer) {
        List<Tensor> tensors = List.of(layer.q, layer.k, layer.v, layer.o);
        for (int i = 0; standard && i < 3; i++) {
            widen(layer.name("wide" + i), tensors.get(i), layer.wide.get(i));
        }
        List<Tensor> given = standard ? layer.wide : tensors;
        KernelChoice kernel = attention.appendTo(
                chain.graph(),
                chain.grids(),
                layer.name("attention"),
                given.get(0),
                given.get(1),
                given.get(2),
                given.get(3),
                layer.logSumExp,
                mask);
        if (standard) {
            narrow(layer.name("narrow"), layer.wide.get(3), layer.o);
        }
        return kernel;
    }

    /** Appends what comes before the first {@link #backward}: the stream's gradient is rounded. */
    void beginBackward(FloatArray dX) {
        ShortArray rounded = sharedNarrow("dX", rows * shape.width());
        chain.graph().task("dx-rounded", WarpKernels::narrow, new KernelContext(), dX, rounded);
        ofPairs("dx-rounded", dX.getSize());
    }

    /** Appends the backward pass of the last layer that has none yet, with AdamW for its weights. */
    void backward(FloatArray dX) {
        Layer layer = layers.removeLast();
        int width = shape.width();
        int hidden = shape.hidden();
        ShortArray roundedDX = sharedNarrow("dX", rows * width);
        ShortArray dHidden = sharedNarrow("dHidden", rows * hidden);
        ShortArray dNorm = sharedNarrow("dNorm", rows * width);

        new Product(layer.name("down-dx"), rows, hidden, width)
                .of(roundedDX, weight(layer, "down"), 0)
                .toSlope(layer.up, dHidden)
                .append();
        int ofDown = gradient(layer, "down", hidden, width, layer.bent, roundedDX, 0);
        new Product(layer.name("up-dx"), rows, width, hidden)
                .of(dHidden, weight(layer, "up"), 0)
                .to(dNorm)
                .append();
        int ofUp = gradient(layer, "up", width, hidden, layer.mlpNorm, dHidden, 0);
        normaliseGradient(layer.name("norm2-dx"), dNorm, layer.mlpNorm, layer.mlpDeviation, dX, roundedDX);

        Tensor dO = sharedHeads("dO");
        Tensor dQ = sharedHeads("dQ");
        Tensor dK = sharedHeads("dK");
        Tensor dV = sharedHeads("dV");
        new Product(layer.name("out-dx"), rows, width, width)
                .of(roundedDX, weight(layer, "out"), 0)
                .toHeads(dO)
                .append();
        int ofOut = gradient(layer, "out", width, width, layer.o.bfloat16Bits(), roundedDX, A_IN_HEADS);
        attendBackward(layer, dO, dQ, dK, dV);
        new Product(layer.name("qkv-dx"), rows, width, 3 * width)
                .of(dQ.bfloat16Bits(), weight(layer, "qkv"), A_IN_HEADS + OF_THREE)
                .more(dK.bfloat16Bits(), dV.bfloat16Bits())
                .to(dNorm)
                .append();
        int ofQkv = gradient(
                layer,
                "qkv",
                width,
                3 * width,
                layer.attentionNorm,
                dQ.bfloat16Bits(),
                B_IN_HEADS + OF_THREE,
                dK.bfloat16Bits(),
                dV.bfloat16Bits());
        normaliseGradient(layer.name("norm1-dx"), dNorm, layer.attentionNorm, layer.attentionDeviation, dX, roundedDX);
        adamW(layer, "down", ofDown);
        adamW(layer, "up", ofUp);
        adamW(layer, "out", ofOut);
        adamW(layer, "qkv", ofQkv);
        chain.forget(layer.arrays());
    }

    private void attendBackward(Layer layer, Tensor dO, Tensor dQ, Tensor dK, Tensor dV) {
        List<Tensor> inputs = List.of(layer.q, layer.k, layer.v, layer.o);
        List<Tensor> narrow = List.of(dO, dQ, dK, dV);
        List<Tensor> gradients = narrow;
        if (standard) {
            inputs = layer.wide;
            gradients = new ArrayList<>();
            for (String name : List.of("dO", "dQ", "dK", "dV")) {
                gradients.add(Tensor.wrap(
                        sharedWide(name, dO.numberOfElements()), batch, shape.heads(), sequence, shape.headDim()));
            }
            widen(layer.name("wide-do"), dO, gradients.getFirst());
        }
        attention.appendBackwardTo(
                chain.graph(),
                chain.grids(),
                layer.name("attention-dx"),
                BackwardTensors.builder()
                        .q(inputs.get(0))
                        .k(inputs.get(1))
                        .v(inputs.get(2))
                        .output(inputs.get(3))
                        .logSumExp(layer.logSumExp)
                        .dOut(gradients.get(0))
                        .dQ(gradients.get(1))
                        .dK(gradients.get(2))
                        .dV(gradients.get(3))
                        .build(),
                mask);
        for (int i = 1; standard && i < 4; i++) {
            narrow(layer.name("narrow-d" + i), gradients.get(i), narrow.get(i));
        }
    }

    /** The gradient {@code [left, right]} of a weight, in the fewest parts that leave few multiprocessors idle. */
    private int gradient(
            Layer layer, String matrix, int left, int right, ShortArray a, ShortArray b, int form, ShortArray... more) {
        Parameter weight = layer.weight(matrix);
        chain.keepHere(weight.gradient());
        int parts = parts(left, right);
        Product product = new Product(layer.name(matrix + "-dw"), left, right, rows)
                .of(a, b, A_BY_DEPTH + B_BY_DEPTH + form)
                .to(parts == 1 ? weight.gradient() : partsOf(matrix, parts * left * right), MatrixProduct.SET)
                .inParts(parts);
        if (more.length > 0) {
            product.more(more[0], more[1]);
        }
        product.append();
        return parts;
    }

    private FloatArray partsOf(String matrix, int size) {
        return sharedWide("parts-" + matrix, size);
    }

    private int parts(int left, int right) {
        int multiprocessors = attention.device().computeUnits();
        int best = 1;
        double least = Double.MAX_VALUE;
        for (int parts = 1; parts <= Math.min(MOST_PARTS, rows / WarpGroupProduct.DEPTH); parts++) {
            int tile = WarpGroupProduct.tile(left, right, A_BY_DEPTH, parts, multiprocessors);
            double products = (double) WarpGroupProduct.waves(left, right, tile, parts, multiprocessors) / parts;
            double sums = parts == 1 ? 0 : SUMS_OF_A_PART * parts * left * right / rows;
            if (products + sums < least) {
                least = products + sums;
                best = parts;
            }
        }
        return best;
    }

    private void adamW(Layer layer, String matrix, int parts) {
        Parameter p = layer.weight(matrix);
        String task = layer.name(matrix + "-adamw");
        int size = p.value().getSize();
        chain.bringEachTime(schedule);
        chain.keepHere(p.value(), p.firstMoment(), p.secondMoment());
        chain.graph()
                .task(
                        task,
                        WarpKernels::adamW,
                        new KernelContext(),
                        p.value(),
                        parts == 1 ? p.gradient() : partsOf(matrix, parts * size),
                        parts == 1 ? notUsed : p.gradient(),
                        p.firstMoment(),
                        p.secondMoment(),
                        weight(layer, matrix),
                        schedule,
                        size,
                        parts);
        chain.grid(task, Math.ceilDiv(size / 4, WarpKernels.GROUP) * WarpKernels.GROUP, WarpKernels.GROUP);
    }

    private void normalise(String task, FloatArray x, ShortArray y, FloatArray deviation) {
        chain.graph().task(task, WarpKernels::normalise, new KernelContext(), x, y, deviation, rows, shape.width());
        chain.grid(task, WarpKernels.GROUP * WarpKernels.groups(rows), WarpKernels.GROUP);
    }

    private void normaliseGradient(
            String task, ShortArray dY, ShortArray y, FloatArray deviation, FloatArray dX, ShortArray roundedDX) {
        chain.graph()
                .task(
                        task,
                        WarpKernels::normaliseGradient,
                        new KernelContext(),
                        dY,
                        y,
                        deviation,
                        dX,
                        roundedDX,
                        rows,
                        shape.width());
        chain.grid(task, WarpKernels.GROUP * WarpKernels.groups(rows), WarpKernels.GROUP);
    }

    private void widen(String task, Tensor narrow, Tensor wide) {
        chain.graph().task(task, WarpKernels::widen, new KernelContext(), narrow.bfloat16Bits(), wide.floatArray());
        ofPairs(task, wide.numberOfElements());
    }

    private void narrow(String task, Tensor wide, Tensor narrow) {
        chain.graph().task(task, WarpKernels::narrow, new KernelContext(), wide.floatArray(), narrow.bfloat16Bits());
        ofPairs(task, wide.numberOfElements());
    }

    private void ofPairs(String task, int elements) {
        chain.grid(task, Math.ceilDiv(elements / 2, WarpKernels.GROUP) * WarpKernels.GROUP, WarpKernels.GROUP);
    }

    /** A product by warp groups, and where its factors and its result lie. */
    private final class Product {
        private final String task;
        private final int m;
        private final int n;
        private final int depth;
        private ShortArray a;
        private ShortArray b;
        private ShortArray second;
        private ShortArray third;
        private FloatArray wide = notUsed;
        private final ShortArray[] narrow = notWritten.clone();
        private int form;
        private int ending = MatrixProduct.SET;
        private int parts = 1;

        Product(String task, int m, int n, int depth) {
            this.task = task;
            this.m = m;
            this.n = n;
            this.depth = depth;
        }

        Product of(ShortArray a, ShortArray b, int form) {
            this.a = a;
            this.b = b;
            this.second = a;
            this.third = a;
            this.form += form;
            return this;
        }

        Product more(ShortArray second, ShortArray third) {
            this.second = second;
            this.third = third;
            return this;
        }

        Product to(FloatArray c, int ending) {
            wide = c;
            this.ending = ending;
            return this;
        }

        Product to(ShortArray c) {
            narrow[0] = c;
            form += NARROW;
            return this;
        }

        Product toHeads(Tensor... heads) {
            for (int i = 0; i < heads.length; i++) {
                narrow[i] = heads[i].bfloat16Bits();
            }
            form += NARROW + C_IN_HEADS + (heads.length == 3 ? OF_THREE : 0);
            return this;
        }

        Product toGelu(ShortArray c, ShortArray gelu) {
            narrow[1] = gelu;
            ending = WarpGroupProduct.GELU;
            return to(c);
        }

        Product toSlope(ShortArray at, ShortArray c) {
            second = at;
            ending = WarpGroupProduct.GELU_GRADIENT;
            return to(c);
        }

        Product inParts(int parts) {
            this.parts = parts;
            return this;
        }

        void append() {
            int tile =
                    WarpGroupProduct.tile(m, n, form, parts, attention.device().computeUnits());
            chain.graph()
                    .task(
                            task,
                            WarpGroupProduct::multiply,
                            new KernelContext(),
                            a,
                            b,
                            second,
                            third,
                            noBias,
                            wide,
                            narrow[0],
                            narrow[1],
                            narrow[2],
                            m,
                            n,
                            depth,
                            tile,
                            parts,
                            form,
                            ending,
                            Warp.BF16,
                            sequence,
                            shape.headDim());
            int group = WarpGroupProduct.group(tile);
            chain.grid(task, group * WarpGroupProduct.groups(m, n, tile, parts), group);
        }
    }

    // -- its arrays --

    /** A weight as products read it; AdamW rounds it anew. */
    private ShortArray weight(Layer layer, String matrix) {
        Parameter weight = layer.weight(matrix);
        return chain.keep(rounded.computeIfAbsent(
                weight.name(),
                any -> Tensor.wrap(weight.value(), weight.value().getSize())
                        .as(DType.BF16)
                        .bfloat16Bits()));
    }

    private ShortArray narrow(int columns) {
        return chain.keep(new ShortArray(rows * columns));
    }

    private Tensor heads(DType type) {
        Tensor heads = Tensor.allocate(type, batch, shape.heads(), sequence, shape.headDim());
        chain.keep(heads.array());
        return heads;
    }

    private ShortArray sharedNarrow(String use, int size) {
        return (ShortArray) shared.computeIfAbsent(use, any -> chain.keep(new ShortArray(size)));
    }

    private FloatArray sharedWide(String use, int size) {
        return (FloatArray) shared.computeIfAbsent("wide-" + use, any -> chain.keep(new FloatArray(size)));
    }

    private Tensor sharedHeads(String use) {
        return Tensor.wrapBFloat16(
                sharedNarrow(use, rows * shape.width()), batch, shape.heads(), sequence, shape.headDim());
    }
}
