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
 * A BERT encoder over sequences of different lengths, packed one behind the other without padding.
 *
 * <p>All but attention takes each row by itself, so a block of rows goes from one attention to the next in one piece, its numbers
 * in the caches of a core.
 */
final class BertEncoder implements AutoCloseable {

    /** Rows of a block at most: a panel of weights is used by so many before the next one is read. */
    private static final int BLOCK = 64;

    private final BertWeights weights;
    private final RaggedAttention attention;
    private final ForkJoinPool pool;

    /**
     * An encoder on a device.
     *
     * @param device computes attention; products are computed on the JVM
     */
    BertEncoder(BertWeights weights, ComputeDevice device, int threads) {
        this.weights = weights;
        this.attention = new RaggedAttention(device);
        this.pool = new ForkJoinPool(threads);
    }

    BertWeights weights() {
        return weights;
    }

    /**
     * The last layer's rows.
     *
     * @param tokens of all sequences, one behind the other, each from 0 to the vocabulary's size
     * @param offsets where each sequence begins, and where the last one ends
     * @return a row for each token
     */
    float[] encode(int[] tokens, int[] offsets) {
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
            float[] position = new float[count * width];
            for (int row = 0; row < count; row++) {
                System.arraycopy(weights.words(), tokens[first + row] * width, x, row * width, width);
                System.arraycopy(weights.positions(), positions[first + row] * width, position, row * width, width);
            }
            weights.embeddingNorm().addAndNormalise(x, position, width, count);
            System.arraycopy(x, 0, rows, first * width, x.length);
            project(weights.layers().getFirst(), x, first, count, queriesKeysValues);
        });
        for (int layer = 0; layer < weights.layers().size(); layer++) {
            int now = layer;
            MemorySegment attended = attention
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

    private void eachBlock(int rows, int block, IntConsumer body) {
        pool.submit(() -> IntStream.range(0, Math.ceilDiv(rows, block))
                        .parallel()
                        .forEach(index -> body.accept(index * block)))
                .join();
    }

    /** Queries, keys and values of the rows from {@code first} on. */
    private void project(BertWeights.Layer layer, float[] x, int first, int count, Tensor[] queriesKeysValues) {
        int width = weights.width();
        PackedMatrix matrix = layer.queriesKeysValues();
        float[] projected = new float[count * matrix.rowLength()];
        matrix.product(x, count, projected);
        for (int part = 0; part < queriesKeysValues.length; part++) {
            MemorySegment target = queriesKeysValues[part].array().getSegment();
            for (int row = 0; row < count; row++) {
                MemorySegment.copy(
                        projected,
                        row * matrix.rowLength() + part * width,
                        target,
                        ValueLayout.JAVA_FLOAT,
                        (long) (first + row) * width * Float.BYTES,
                        width);
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
        RowFunctions.gelu(inner, inner.length);
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

    /** Ends its threads and frees the device's memory. */
    @Override
    public void close() {
        pool.close();
        attention.close();
    }
}
