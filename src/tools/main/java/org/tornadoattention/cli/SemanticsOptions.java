package org.tornadoattention.cli;

import java.io.IOException;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.Mask;
import org.tornadoattention.tensor.Safetensors;
import org.tornadoattention.tensor.Tensor;
import picocli.CommandLine.Option;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

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
    private @Nullable Double scale;

    @Option(names = "--softcap", paramLabel = "C", description = "Scores s become C·tanh(s/C). Default: they do not.")
    private double softcap;

    @Option(names = "--alibi", description = "The ALiBi paper's slopes; the input's alibi_slopes count without it.")
    private boolean alibi;

    @Option(names = "--mask", paramLabel = "MASK", description = MaskNames.HELP)
    private Optional<String> mask = Optional.empty();

    @Option(
            names = "--ids",
            paramLabel = "NAME",
            description = "The input's tensor of whole numbers, one a token, for --mask (default ids).")
    private Optional<String> ids = Optional.empty();

    @Option(names = "--score", paramLabel = "SCORE", description = ScoreNames.HELP)
    private Optional<String> score = Optional.empty();

    @Option(
            names = "--table",
            paramLabel = "NAME",
            description = "The input's tensor, F32, for --score (default table).")
    private Optional<String> table = Optional.empty();

    @Option(
            names = "--bias",
            paramLabel = "NAME",
            arity = "0..1",
            fallbackValue = "bias",
            description =
                    "Adds the input's tensor of this name (${FALLBACK-VALUE}), [1 or batch, 1 or heads, seqQ, seqK].")
    private Optional<String> bias = Optional.empty();

    @Option(
            names = "--sinks",
            paramLabel = "NAME",
            arity = "0..1",
            fallbackValue = "sinks",
            description = "A logit for each head that only enters the softmax's sum: the input's tensor of this name"
                    + " (${FALLBACK-VALUE}), F32 [heads].")
    private Optional<String> sinks = Optional.empty();

    /** The options, with the slopes and key lengths that the input has. */
    AttentionOptions options(Safetensors input, Tensor q, Tensor k) throws IOException {
        AttentionOptions options = AttentionOptions.defaults()
                .withMask(mask(input, q.seqLength(), k.seqLength()))
                .withSoftcap(softcap);
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
        if (score.isPresent()) {
            options = options.withScore(ScoreNames.parse(
                    score.get(), Math.max(q.seqLength(), k.seqLength()), () -> table(input, q.heads())));
        }
        if (table.isPresent() && score.filter(ScoreNames::hasTable).isEmpty()) {
            throw new IllegalArgumentException(
                    "--table without a score function that has one: leave it out, or add --score relative, t5, swin or alibi.");
        }
        if (bias.isPresent()) {
            options = options.withBias(input.tensor(bias.get()));
        }
        if (sinks.isPresent()) {
            options = options.withSinks(input.tensor(sinks.get()));
        }
        return options;
    }

    private FloatArray table(Safetensors input, int heads) throws IOException {
        String name = table.orElse("table");
        Tensor values = input.tensor(name);
        if (values.rank() == 0 || values.dimension(0) != heads) {
            throw new IllegalArgumentException("%s: tensor '%s' is %s: its first dimension must be the %d query heads."
                    .formatted(input.path(), name, values, heads));
        }
        return FloatArray.fromArray(values.toFloatArray());
    }

    private Mask mask(Safetensors input, int queries, int keys) throws IOException {
        if (ids.isPresent()) {
            MaskNames.requireUse(mask);
        }
        return mask.isEmpty()
                ? window()
                : window().and(MaskNames.parse(mask.get(), queries, keys, () -> input.ints(ids.orElse("ids"))));
    }

    private Mask window() {
        if (window.size() != 2) {
            throw new IllegalArgumentException(
                    "--window takes two numbers, such as --window 256,0; -1 stands for all keys.");
        }
        Mask edges = Mask.window(window.get(0), window.get(1));
        return causal ? edges.andCausal() : edges;
    }
}
