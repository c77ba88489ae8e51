package org.tornadoattention.embeddings;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.ForkJoinPool;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.cache.RaggedAttention;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * An encoder on the JVM's vector units.
 *
 * <p>All but attention takes each row by itself, so a block of rows goes from one attention to the next in one piece, its numbers
 * in the caches of a core.
 */
final class VectorEncoder implements Encoder {

    /** Rows of a block at most: a panel of weights is used by so many before the next one is read. */
    private static final int BLOCK = 64;

    private final BertWeights weights;
    private final Pooling pooling;
    private final RaggedAttention attention;
    private final ForkJoinPool pool;

    /** An encoder with so many threads for products. */
    VectorEncoder(BertWeights weights, Pooling pooling, ComputeDevice jvm, int threads) {
        this.weights = weights;
        this.pooling = pooling;
        this.attention = new RaggedAttention(jvm);
        this.pool = new ForkJoinPool(threads);
    }

    @Override
    public int sequencesAtOnce() {
        return Integer.MAX_VALUE;
    }

    @Override
    public Vectors encode(int[] tokens, int[] offsets) {
        // Within the pool its threads compute from the beginning: none waits for another to wake.
        float[] rows = pool.submit(() -> tokens.length < BLOCK * pool.getParallelism() && pool.getParallelism() > 1
                        ? rowsByColumns(tokens, offsets)
                        : rows(tokens, offsets))
                .join();
        float[][] unit = new float[offsets.length - 1][];
        float[] lengths = new float[unit.length];
        for (int i = 0; i < unit.length; i++) {
            unit[i] = pooling.of(rows, weights.width(), offsets[i], offsets[i + 1]);
            double squares = 0;
            for (float value : unit[i]) {
                squares += (double) value * value;
            }
            lengths[i] = (float) Math.sqrt(squares);
            for (int d = 0; d < unit[i].length; d++) {
                unit[i][d] /= lengths[i];
            }
        }
        return new Vectors(unit, lengths);
    }

    /** The last layer's rows, one for each token. */
    private float[] rows(int[] tokens, int[] offsets) {
        int width = weights.width();
        int headDim = width / weights.heads();
        Tensor[] queriesKeysValues = new Tensor[3];
        for (int i = 0; i < queriesKeysValues.length; i++) {
            queriesKeysValues[i] = Tensor.allocate(DType.F32, tokens.length, weights.heads(), headDim);
        }
        float[] rows = new float[tokens.length * width];
        IntArray where = IntArray.fromArray(offsets);
        int[] positions = positions(offsets);
        int block = blockRows(tokens.length);
        eachBlock(tokens.length, block, first -> {
            int count = Math.min(block, tokens.length - first);
            float[] x = new float[count * width];
            embed(tokens, positions, first, count, x);
            System.arraycopy(x, 0, rows, first * width, x.length);
            project(weights.layers().getFirst(), x, first, count, queriesKeysValues);
        });
        for (int layer = 0; layer < weights.layers().size(); layer++) {
            int now = layer;
            MemorySegment attended = attended(queriesKeysValues, where);
            eachBlock(tokens.length, block, first -> {
                int count = Math.min(block, tokens.length - first);
                float[] x = new float[count * width];
                System.arraycopy(rows, first * width, x, 0, x.length);
                float[] heads = new float[count * width];
                MemorySegment.copy(
                        attended, ValueLayout.JAVA_FLOAT, (long) first * width * Float.BYTES, heads, 0, heads.length);
                afterAttention(weights.layers().get(now), x, heads, count);
                System.arraycopy(x, 0, rows, first * width, x.length);
                if (now + 1 < weights.layers().size()) {
                    project(weights.layers().get(now + 1), x, first, count, queriesKeysValues);
                }
            });
        }
        return rows;
    }

    private static int[] positions(int[] offsets) {
        int[] positions = new int[offsets[offsets.length - 1]];
        for (int sequence = 1; sequence < offsets.length; sequence++) {
            for (int i = offsets[sequence - 1]; i < offsets[sequence]; i++) {
                positions[i] = i - offsets[sequence - 1];
            }
        }
        return positions;
    }

    /** A multiple of 8, so that all threads have a block where there are few rows. */
    private int blockRows(int rows) {
        int each = Math.ceilDiv(rows, pool.getParallelism());
        return Math.min(BLOCK, Math.max(1, Math.ceilDiv(each, 8)) * 8);
    }

    private static void eachBlock(int rows, int block, IntConsumer body) {
        IntStream.range(0, Math.ceilDiv(rows, block)).parallel().forEach(index -> body.accept(index * block));
    }

    /** Of few tokens: threads divide the columns of a product, so that each weight is read once, whatever their number. */
    private float[] rowsByColumns(int[] tokens, int[] offsets) {
        int width = weights.width();
        int count = tokens.length;
        Tensor[] queriesKeysValues = new Tensor[3];
        for (int i = 0; i < queriesKeysValues.length; i++) {
            queriesKeysValues[i] = Tensor.allocate(DType.F32, count, weights.heads(), width / weights.heads());
        }
        IntArray where = IntArray.fromArray(offsets);
        float[] x = new float[count * width];
        embed(tokens, positions(offsets), 0, count, x);
        BertWeights.Layer any = weights.layers().getFirst();
        float[] projected = new float[count * any.queriesKeysValues().rowLength()];
        float[] heads = new float[count * width];
        float[] output = new float[count * any.attentionOutput().rowLength()];
        float[] inner = new float[count * any.intermediate().rowLength()];
        for (BertWeights.Layer layer : weights.layers()) {
            eachColumns(layer.queriesKeysValues(), (from, to) -> {
                layer.queriesKeysValues().product(x, count, projected, from, to);
                scatter(projected, layer.queriesKeysValues(), from, to, 0, count, queriesKeysValues);
            });
            MemorySegment attended = attended(queriesKeysValues, where);
            MemorySegment.copy(attended, ValueLayout.JAVA_FLOAT, 0, heads, 0, heads.length);
            eachColumns(
                    layer.attentionOutput(),
                    (from, to) -> layer.attentionOutput().product(heads, count, output, from, to));
            layer.attentionNorm()
                    .addAndNormalise(x, output, layer.attentionOutput().rowLength(), count);
            int innerRow = layer.intermediate().rowLength();
            eachColumns(layer.intermediate(), (from, to) -> {
                layer.intermediate().product(x, count, inner, from, to);
                for (int row = 0; row < count; row++) {
                    RowFunctions.gelu(inner, row * innerRow + from, row * innerRow + to);
                }
            });
            float[] narrow = narrowed(inner, count, layer.intermediate());
            eachColumns(layer.output(), (from, to) -> layer.output().product(narrow, count, output, from, to));
            layer.outputNorm().addAndNormalise(x, output, layer.output().rowLength(), count);
        }
        return x;
    }

    /** Does something with the columns of a matrix, a part for each thread. */
    private void eachColumns(PackedMatrix matrix, Columns body) {
        int panels = matrix.rowLength() / PackedMatrix.PANEL;
        int parts = Math.min(panels, pool.getParallelism());
        IntStream.range(0, parts)
                .parallel()
                .forEach(part -> body.accept(
                        panels * part / parts * PackedMatrix.PANEL, panels * (part + 1) / parts * PackedMatrix.PANEL));
    }

    /** Something that is done with columns {@code from} to {@code to}. */
    @FunctionalInterface
    private interface Columns {
        void accept(int from, int to);
    }

    private MemorySegment attended(Tensor[] queriesKeysValues, IntArray where) {
        return attention
                .forward(
                        queriesKeysValues[0],
                        queriesKeysValues[1],
                        queriesKeysValues[2],
                        where,
                        where,
                        AttentionOptions.defaults())
                .output()
                .array()
                .getSegment();
    }

    /** The embeddings of the rows from {@code first} on. */
    private void embed(int[] tokens, int[] positions, int first, int count, float[] x) {
        int width = weights.width();
        float[] position = new float[count * width];
        for (int row = 0; row < count; row++) {
            System.arraycopy(weights.words(), tokens[first + row] * width, x, row * width, width);
            System.arraycopy(weights.positions(), positions[first + row] * width, position, row * width, width);
        }
        weights.embeddingNorm().addAndNormalise(x, position, width, count);
    }

    /** Queries, keys and values of the rows from {@code first} on. */
    private void project(BertWeights.Layer layer, float[] x, int first, int count, Tensor[] queriesKeysValues) {
        int width = weights.width();
        PackedMatrix matrix = layer.queriesKeysValues();
        float[] projected = new float[count * matrix.rowLength()];
        matrix.product(x, count, projected);
        scatter(projected, matrix, 0, matrix.columns(), first, count, queriesKeysValues);
    }

    /** Puts columns {@code from} to {@code to} of a product where they belong among queries, keys and values. */
    private void scatter(
            float[] projected,
            PackedMatrix matrix,
            int from,
            int to,
            int first,
            int count,
            Tensor[] queriesKeysValues) {
        int width = weights.width();
        for (int part = 0; part < queriesKeysValues.length; part++) {
            int begin = Math.max(from, part * width);
            int length = Math.min(to, (part + 1) * width) - begin;
            MemorySegment target = queriesKeysValues[part].array().getSegment();
            for (int row = 0; row < count && length > 0; row++) {
                MemorySegment.copy(
                        projected,
                        row * matrix.rowLength() + begin,
                        target,
                        ValueLayout.JAVA_FLOAT,
                        ((long) (first + row) * width + begin - part * width) * Float.BYTES,
                        length);
            }
        }
    }

    /** @param x the rows before attention, and after the layer */
    private static void afterAttention(BertWeights.Layer layer, float[] x, float[] heads, int count) {
        float[] output = new float[count * layer.attentionOutput().rowLength()];
        layer.attentionOutput().product(heads, count, output);
        layer.attentionNorm().addAndNormalise(x, output, layer.attentionOutput().rowLength(), count);
        float[] inner = new float[count * layer.intermediate().rowLength()];
        layer.intermediate().product(x, count, inner);
        RowFunctions.gelu(inner, 0, inner.length);
        float[] narrow = narrowed(inner, count, layer.intermediate());
        layer.output().product(narrow, count, output);
        layer.outputNorm().addAndNormalise(x, output, layer.output().rowLength(), count);
    }

    /** Rows without what a panel has more than the matrix. */
    private static float[] narrowed(float[] rows, int count, PackedMatrix matrix) {
        if (matrix.rowLength() == matrix.columns()) {
            return rows;
        }
        float[] narrow = new float[count * matrix.columns()];
        for (int row = 0; row < count; row++) {
            System.arraycopy(rows, row * matrix.rowLength(), narrow, row * matrix.columns(), matrix.columns());
        }
        return narrow;
    }

    /** Ends its threads. */
    @Override
    public void close() {
        pool.close();
        attention.close();
    }
}
