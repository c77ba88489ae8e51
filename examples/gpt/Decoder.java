package gpt;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.cache.CacheOptions;
import org.tornadoattention.cache.KvCache;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * The model of {@link Gpt} token by token: each layer has a cache of the keys and values of the tokens so far, so that
 * a step computes one row. Products run on the caller's thread, attention on the caches' device.
 */
public final class Decoder implements AutoCloseable {

    private static final float VARIANCE_FLOOR = 1e-5f;

    private final Parameters.Shape shape;
    private final float[] tokenTable;
    private final float[] beforeTable;
    private final float[] positionTable;
    private final List<Layer> layers = new ArrayList<>();
    private int position;
    private int before;

    /** A layer's weights and its cache. */
    private record Layer(float[] qkv, float[] out, float[] up, float[] down, KvCache cache) {}

    /** A decoder that has seen no token yet, with copies of the weights. */
    public Decoder(Parameters parameters, ComputeDevice device) {
        shape = parameters.shape();
        tokenTable = parameters.get("token").value().toHeapArray();
        beforeTable = parameters.get("before").value().toHeapArray();
        positionTable = parameters.get("position").value().toHeapArray();
        for (int layer = 0; layer < shape.layers(); layer++) {
            layers.add(new Layer(
                    parameters.get(layer, "qkv").value().toHeapArray(),
                    parameters.get(layer, "out").value().toHeapArray(),
                    parameters.get(layer, "up").value().toHeapArray(),
                    parameters.get(layer, "down").value().toHeapArray(),
                    KvCache.builder()
                            .batch(1)
                            .heads(shape.heads(), shape.heads())
                            .headDim(shape.headDim())
                            .capacity(shape.positions())
                            .options(CacheOptions.of(DType.F32).on(device))
                            .build()));
        }
    }

    /** Tokens that were given. */
    public int position() {
        return position;
    }

    /**
     * Takes a token.
     *
     * @return the logits of the token that follows
     * @throws IllegalStateException if the model has no more positions
     */
    public float[] next(int token) {
        if (position == shape.positions()) {
            throw new IllegalStateException(
                    "The model has %d positions, and all are taken: begin with a new decoder.".formatted(position));
        }
        int width = shape.width();
        float[] x = new float[width];
        for (int c = 0; c < width; c++) {
            x[c] = tokenTable[token * width + c] + positionTable[position * width + c];
            if (position > 0) {
                x[c] += beforeTable[before * width + c];
            }
        }
        for (Layer layer : layers) {
            float[] qkv = times(normalised(x), layer.qkv, 3 * width);
            Tensor attended = layer.cache
                    .forward(heads(qkv, 0), heads(qkv, 1), heads(qkv, 2), AttentionOptions.causal())
                    .output();
            add(x, times(attended.toFloatArray(), layer.out, width));
            float[] inner = times(normalised(x), layer.up, shape.hidden());
            for (int c = 0; c < inner.length; c++) {
                inner[c] = gelu(inner[c]);
            }
            add(x, times(inner, layer.down, width));
        }
        before = token;
        position++;
        float[] last = normalised(x);
        float[] logits = new float[shape.vocabulary()];
        for (int t = 0; t < logits.length; t++) {
            for (int c = 0; c < width; c++) {
                logits[t] += last[c] * tokenTable[t * width + c];
            }
        }
        return logits;
    }

    private Tensor heads(float[] qkv, int part) {
        int width = shape.width();
        return Tensor.of(
                Arrays.copyOfRange(qkv, part * width, (part + 1) * width), 1, shape.heads(), 1, shape.headDim());
    }

    private static float[] times(float[] x, float[] matrix, int columns) {
        float[] y = new float[columns];
        for (int k = 0; k < x.length; k++) {
            for (int j = 0; j < columns; j++) {
                y[j] += x[k] * matrix[k * columns + j];
            }
        }
        return y;
    }

    private static void add(float[] x, float[] y) {
        for (int c = 0; c < x.length; c++) {
            x[c] += y[c];
        }
    }

    private static float[] normalised(float[] x) {
        float mean = 0;
        for (float value : x) {
            mean += value / x.length;
        }
        float variance = 0;
        for (float value : x) {
            variance += (value - mean) * (value - mean) / x.length;
        }
        float inverse = (float) (1 / Math.sqrt(variance + VARIANCE_FLOOR));
        float[] y = new float[x.length];
        for (int c = 0; c < x.length; c++) {
            y[c] = (x[c] - mean) * inverse;
        }
        return y;
    }

    /** In the form that {@link Kernels#gelu} has. */
    private static float gelu(float x) {
        double argument = 1.59576912 * (x + 0.044715 * x * x * x);
        return (float) (x / (1 + Math.exp(-argument)));
    }

    /** Frees the caches. */
    @Override
    public void close() {
        layers.forEach(layer -> layer.cache.close());
    }
}
