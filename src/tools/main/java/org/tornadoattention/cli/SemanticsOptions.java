package org.tornadoattention.cli;

import java.io.IOException;
import java.util.List;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.Mask;
import org.tornadoattention.tensor.Safetensors;
import org.tornadoattention.tensor.Tensor;
import picocli.CommandLine.Option;

/** What is computed besides softmax(QKᵀ)V, as options of a command. */
final class SemanticsOptions {

    @Option(names = "--causal", description = "Query i sees the keys j <= i + seqK - seqQ.")
    private boolean causal;

    @Option(
            names = "--window",
            paramLabel = "LEFT,RIGHT",
            split = ",",
            description = "Each query sees so many keys before and after its own position; -1 for all.")
    private List<Integer> window = List.of(Mask.UNBOUNDED, Mask.UNBOUNDED);

    @Option(names = "--scale", paramLabel = "S", description = "The factor on q·k. Default: 1/sqrt(headDim).")
    private Double scale;

    @Option(names = "--softcap", paramLabel = "C", description = "Scores s become C·tanh(s/C). Default: they do not.")
    private double softcap;

    @Option(names = "--alibi", description = "The ALiBi paper's slopes; the input's alibi_slopes count without it.")
    private boolean alibi;

    /** The options, with the slopes and key lengths that the input has. */
    AttentionOptions options(Safetensors input, Tensor q) throws IOException {
        AttentionOptions options = AttentionOptions.defaults().withMask(mask()).withSoftcap(softcap);
        if (scale != null) {
            options = options.withScale(scale);
        }
        if (input.contains("alibi_slopes")) {
            if (alibi) {
                throw new IllegalArgumentException(
                        "%s has alibi_slopes of its own: leave out --alibi.".formatted(input.path()));
            }
            options = options.withAlibi(input.tensor("alibi_slopes").toFloatArray());
        } else if (alibi) {
            options = options.withAlibi(AttentionOptions.alibiSlopes(q.heads()));
        }
        if (input.contains("key_lengths")) {
            options = options.withKeyLengths(input.ints("key_lengths"));
        }
        return options;
    }

    private Mask mask() {
        if (window.size() != 2) {
            throw new IllegalArgumentException(
                    "--window takes two numbers, such as --window 256,0; -1 stands for all keys.");
        }
        Mask mask = Mask.window(window.get(0), window.get(1));
        return causal ? mask.andCausal() : mask;
    }
}
