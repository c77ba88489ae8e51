package org.tornadoattention.reference;

import static org.tornadoattention.internal.Arguments.required;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.Mask;
import org.tornadoattention.tensor.Safetensors;
import org.tornadoattention.tensor.SafetensorsException;
import org.tornadoattention.tensor.Tensor;

/**
 * An attention problem with its known solution, from a safetensors file.
 *
 * <p>The file has the tensors {@code q}, {@code k} and {@code v}, {@code o} and {@code lse} as F32 or F64, for
 * gradients {@code do}, {@code dq}, {@code dk} and {@code dv}, and where used {@code alibi_slopes [heads]} and
 * {@code key_lengths [batch]}. Its metadata may have {@code causal} ({@code True} or {@code False}),
 * {@code window_left} and {@code window_right} (-1 for unbounded), {@code softcap} (0 for none) and {@code scale};
 * {@code dtype}, {@code batch}, {@code heads}, {@code kv_heads}, {@code seq_q}, {@code seq_k} and {@code head_dim} must
 * be those of the tensors.
 *
 * @param name the file's name without {@code .safetensors}
 * @param q the queries
 * @param k the keys
 * @param v the values
 * @param options what is computed
 * @param expected the output and log-sum-exp
 * @param gradients the gradients, where the file has them
 */
public record GoldenCase(
        String name,
        Tensor q,
        Tensor k,
        Tensor v,
        AttentionOptions options,
        ReferenceAttention.Forward expected,
        Optional<ExpectedGradients> gradients) {

    /**
     * Checks that everything is given.
     *
     * @throws IllegalArgumentException if something is null
     */
    public GoldenCase {
        required(name, "name");
        required(q, "q");
        required(k, "k");
        required(v, "v");
        required(options, "options");
        required(expected, "expected");
        required(gradients, "gradients", "use Optional.empty() for none");
    }

    /**
     * The gradients of a golden case.
     *
     * @param dO the gradient with respect to the output
     * @param expected the gradients with respect to the inputs
     */
    public record ExpectedGradients(Tensor dO, ReferenceAttention.Backward expected) {
        /**
         * Checks that everything is given.
         *
         * @throws IllegalArgumentException if something is null
         */
        public ExpectedGradients {
            required(dO, "dO");
            required(expected, "expected");
        }
    }

    /**
     * Reads a golden case.
     *
     * @param path a safetensors file
     * @return the case
     * @throws SafetensorsException if the file is not sound, lacks a tensor, or contradicts itself
     * @throws IOException if reading fails
     */
    public static GoldenCase load(Path path) throws IOException {
        required(path, "path");
        try (Safetensors file = Safetensors.open(path)) {
            return new Loading(file).load();
        }
    }

    /** {@return the sizes of the problem} */
    public AttentionShape shape() {
        return AttentionShape.of(q, k, v, options);
    }

    /** {@return a check of computed results against this case, at the tolerances of its type} */
    public AccuracyCheck check() {
        return AccuracyCheck.of(this);
    }

    /** One pass through one file. */
    private record Loading(Safetensors file) {
        private static final String SUFFIX = ".safetensors";

        GoldenCase load() throws IOException {
            Tensor q = file.tensor("q");
            Tensor k = file.tensor("k");
            Tensor v = file.tensor("v");
            AttentionOptions options = options();
            AttentionShape shape = shape(q, k, v, options);
            requireMetadata("dtype", q.dtype().name().toLowerCase(Locale.ROOT));
            requireMetadata("batch", shape.batch());
            requireMetadata("heads", shape.heads());
            requireMetadata("kv_heads", shape.kvHeads());
            requireMetadata("seq_q", shape.seqQ());
            requireMetadata("seq_k", shape.seqK());
            requireMetadata("head_dim", shape.headDim());
            requireMetadata("causal_alignment", "bottom-right");
            requireMetadata("layout", "batch,heads,seq,dim");
            ReferenceAttention.Forward expected = new ReferenceAttention.Forward(
                    doubles("o", shape.outputShape()), doubles("lse", shape.logSumExpShape()));
            String fileName = file.path().getFileName().toString();
            String name =
                    fileName.endsWith(SUFFIX) ? fileName.substring(0, fileName.length() - SUFFIX.length()) : fileName;
            return new GoldenCase(name, q, k, v, options, expected, gradients(q, shape));
        }

        private Optional<ExpectedGradients> gradients(Tensor q, AttentionShape shape) throws IOException {
            if (!file.contains("do")) {
                return Optional.empty();
            }
            requireShape("do", shape.outputShape());
            Tensor dO = file.tensor("do");
            if (dO.dtype() != q.dtype()) {
                throw new SafetensorsException(
                        file.path(), "do", "it is of type %s, but q is %s".formatted(dO.dtype(), q.dtype()));
            }
            return Optional.of(new ExpectedGradients(
                    dO,
                    new ReferenceAttention.Backward(
                            doubles("dq", shape.queryShape()),
                            doubles("dk", shape.keyShape()),
                            doubles("dv", shape.valueShape()))));
        }

        private AttentionOptions options() throws IOException {
            try {
                Mask window = Mask.window(wholeNumber("window_left"), wholeNumber("window_right"));
                AttentionOptions options =
                        AttentionOptions.defaults().withMask(isCausal() ? window.andCausal() : window);
                if (file.metadata().containsKey("softcap")) {
                    options = options.withSoftcap(number("softcap"));
                }
                if (file.metadata().containsKey("scale")) {
                    options = options.withScale(number("scale"));
                }
                if (file.contains("alibi_slopes")) {
                    options = options.withAlibi(file.tensor("alibi_slopes").toFloatArray());
                }
                if (file.contains("key_lengths")) {
                    options = options.withKeyLengths(file.ints("key_lengths"));
                }
                return options;
            } catch (IllegalArgumentException fault) {
                throw new SafetensorsException(file.path(), String.valueOf(fault.getMessage()), fault);
            }
        }

        private AttentionShape shape(Tensor q, Tensor k, Tensor v, AttentionOptions options)
                throws SafetensorsException {
            try {
                return AttentionShape.of(q, k, v, options);
            } catch (IllegalArgumentException fault) {
                throw new SafetensorsException(file.path(), String.valueOf(fault.getMessage()), fault);
            }
        }

        private boolean isCausal() {
            String value = file.metadata().getOrDefault("causal", "False");
            return switch (value.toLowerCase(Locale.ROOT)) {
                case "true" -> true;
                case "false" -> false;
                default ->
                    throw new IllegalArgumentException(
                            "The metadata says causal = '%s': it must be True or False.".formatted(value));
            };
        }

        private int wholeNumber(String key) {
            String value = file.metadata().getOrDefault(key, Integer.toString(Mask.UNBOUNDED));
            try {
                return Integer.parseInt(value);
            } catch (NumberFormatException fault) {
                throw new IllegalArgumentException(
                        "The metadata says %s = '%s': it must be a whole number.".formatted(key, value), fault);
            }
        }

        private double number(String key) {
            String value = file.metadata().get(key);
            try {
                return Double.parseDouble(value);
            } catch (NumberFormatException fault) {
                throw new IllegalArgumentException(
                        "The metadata says %s = '%s': it must be a number.".formatted(key, value), fault);
            }
        }

        private void requireMetadata(String key, Object actual) throws SafetensorsException {
            Map<String, String> metadata = file.metadata();
            if (metadata.containsKey(key) && !metadata.get(key).equals(actual.toString())) {
                throw new SafetensorsException(
                        file.path(),
                        "the metadata says %s = '%s', but it is %s".formatted(key, metadata.get(key), actual));
            }
        }

        private double[] doubles(String name, int[] shape) throws IOException {
            requireShape(name, shape);
            return file.doubles(name);
        }

        private void requireShape(String name, int[] shape) throws SafetensorsException {
            List<Long> given = file.entry(name).shape();
            List<Long> required = Arrays.stream(shape).asLongStream().boxed().toList();
            if (!given.equals(required)) {
                throw new SafetensorsException(
                        file.path(), name, "its shape is %s, but the problem's is %s".formatted(given, required));
            }
        }
    }
}
