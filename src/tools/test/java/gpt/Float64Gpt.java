package gpt;

import gpt.Parameters.Parameter;
import java.util.HashMap;
import java.util.Map;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** The loss of {@link Gpt} in float64, as plain as its formula: what finite differences are taken of. */
final class Float64Gpt {

    private final Parameters.Shape shape;
    private final int width;
    private final Map<String, double[]> weights = new HashMap<>();

    Float64Gpt(Parameters parameters) {
        this.shape = parameters.shape();
        this.width = shape.width();
        for (Parameter parameter : parameters.all()) {
            double[] values = new double[parameter.value().getSize()];
            for (int i = 0; i < values.length; i++) {
                values[i] = parameter.value().get(i);
            }
            weights.put(parameter.name(), values);
        }
    }

    /** The derivative of the loss by one weight, by a central difference. */
    double derivative(String name, int index, IntArray tokens, IntArray targets, int sequence) {
        double step = 1e-5;
        double[] values = weights.get(name);
        double value = values[index];
        values[index] = value + step;
        double above = loss(tokens, targets, sequence);
        values[index] = value - step;
        double below = loss(tokens, targets, sequence);
        values[index] = value;
        return (above - below) / (2 * step);
    }

    double loss(IntArray tokens, IntArray targets, int sequence) {
        double sum = 0;
        int asked = 0;
        for (int start = 0; start < tokens.getSize(); start += sequence) {
            double[][] x = stream(tokens, start, sequence);
            for (int i = 0; i < sequence; i++) {
                int target = targets.get(start + i);
                if (target >= 0) {
                    sum += crossEntropy(norm(x[i]), target);
                    asked++;
                }
            }
        }
        return sum / asked;
    }

    private double[][] stream(IntArray tokens, int start, int sequence) {
        double[][] x = new double[sequence][width];
        for (int i = 0; i < sequence; i++) {
            for (int c = 0; c < width; c++) {
                x[i][c] = weights.get("token")[tokens.get(start + i) * width + c]
                        + weights.get("position")[i * width + c];
                if (i > 0) {
                    x[i][c] += weights.get("before")[tokens.get(start + i - 1) * width + c];
                }
            }
        }
        for (int layer = 0; layer < shape.layers(); layer++) {
            double[][] qkv = new double[sequence][];
            for (int i = 0; i < sequence; i++) {
                qkv[i] = times(norm(x[i]), weights.get("layer" + layer + ".qkv"));
            }
            for (int i = 0; i < sequence; i++) {
                add(x[i], times(attention(qkv, i), weights.get("layer" + layer + ".out")));
                double[] hidden = times(norm(x[i]), weights.get("layer" + layer + ".up"));
                for (int h = 0; h < hidden.length; h++) {
                    double a = hidden[h];
                    hidden[h] = 0.5 * a * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (a + 0.044715 * a * a * a)));
                }
                add(x[i], times(hidden, weights.get("layer" + layer + ".down")));
            }
        }
        return x;
    }

    private double[] attention(double[][] qkv, int i) {
        double[] mixed = new double[width];
        int headDim = shape.headDim();
        for (int first = 0; first < width; first += headDim) {
            double[] p = new double[i + 1];
            double sum = 0;
            for (int j = 0; j <= i; j++) {
                double s = 0;
                for (int c = first; c < first + headDim; c++) {
                    s += qkv[i][c] * qkv[j][width + c];
                }
                p[j] = Math.exp(s / Math.sqrt(headDim));
                sum += p[j];
            }
            for (int j = 0; j <= i; j++) {
                for (int c = first; c < first + headDim; c++) {
                    mixed[c] += p[j] / sum * qkv[j][2 * width + c];
                }
            }
        }
        return mixed;
    }

    private double crossEntropy(double[] x, int target) {
        double sum = 0;
        double wanted = 0;
        for (int token = 0; token < shape.vocabulary(); token++) {
            double logit = 0;
            for (int c = 0; c < width; c++) {
                logit += x[c] * weights.get("token")[token * width + c];
            }
            sum += Math.exp(logit);
            wanted = token == target ? logit : wanted;
        }
        return Math.log(sum) - wanted;
    }

    private static double[] norm(double[] x) {
        double mean = 0;
        for (double value : x) {
            mean += value / x.length;
        }
        double variance = 0;
        for (double value : x) {
            variance += (value - mean) * (value - mean) / x.length;
        }
        double[] y = new double[x.length];
        for (int c = 0; c < x.length; c++) {
            y[c] = (x[c] - mean) / Math.sqrt(variance + 1e-5);
        }
        return y;
    }

    private static double[] times(double[] x, double[] w) {
        double[] y = new double[w.length / x.length];
        for (int i = 0; i < x.length; i++) {
            for (int j = 0; j < y.length; j++) {
                y[j] += x[i] * w[i * y.length + j];
            }
        }
        return y;
    }

    private static void add(double[] x, double[] y) {
        for (int c = 0; c < x.length; c++) {
            x[c] += y[c];
        }
    }
}
