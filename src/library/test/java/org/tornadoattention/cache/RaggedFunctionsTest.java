package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.BlockMask;
import org.tornadoattention.Gradients;
import org.tornadoattention.Mask;
import org.tornadoattention.MaskFunction;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.reference.ReferenceAttention;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Functions, bias, sinks and gradients of packed sequences: each is what it is alone. */
class RaggedFunctionsTest {

    private static final int HEADS = 4;
    private static final int KV_HEADS = 2;
    private static final int DIM = 12;
    private static final int[] QUERIES = {0, 5, 5, 22, 29};
    private static final int[] KEYS = {0, 9, 12, 12, 43};
    private static final int LONGEST_QUERIES = 17;
    private static final int LONGEST_KEYS = 31;

    /** What is computed, of all sequences from {@code first} on, whose functions count them from 0. */
    @FunctionalInterface
    private interface Composition {
        AttentionOptions of(int first, int queries, int keys);
    }

    private static Tensor bias(int entries, int first, int queries, int keys) {
        Tensor all = Tensor.random(DType.F32, 9, entries, HEADS, LONGEST_QUERIES, LONGEST_KEYS);
        if (queries == LONGEST_QUERIES && keys == LONGEST_KEYS && first == 0) {
            return all;
        }
        Tensor own = Tensor.allocate(DType.F32, 1, HEADS, queries, keys);
        for (int head = 0; head < HEADS; head++) {
            for (int i = 0; i < queries; i++) {
                for (int j = 0; j < keys; j++) {
                    own.set(all.get(Math.min(first, entries - 1), head, i, j), 0, head, i, j);
                }
            }
        }
        return own;
    }

    private static Map<String, Composition> compositions() {
        AttentionOptions plain = AttentionOptions.defaults();
        FloatArray table = FloatArray.fromElements(0.5f, -1, 2, 0.25f, -0.75f, 1.5f, 1);
        Tensor sinks = Tensor.of(new float[] {0.5f, -2, 3, 1}, HEADS);
        Map<String, Composition> all = new LinkedHashMap<>();
        all.put("plain", (first, queries, keys) -> plain);
        all.put(
                "causal, softcap, ALiBi",
                (first, queries, keys) ->
                        AttentionOptions.causal().withSoftcap(5).withAlibi(AttentionOptions.alibiSlopes(HEADS)));
        all.put("window", (first, queries, keys) -> plain.withWindow(4, 2));
        all.put(
                "score",
                (first, queries, keys) ->
                        plain.withScore((s, b, h, i, j) -> s * s + table.get((i + 2 * j + b + first) % 7) * h));
        all.put(
                "mask",
                (first, queries, keys) -> AttentionOptions.causal()
                        .withMask(Mask.causal().and(Mask.of((b, h, i, j) -> (i + j + h) % 3 != (b + first) % 2))));
        all.put(
                "mask or window",
                (first, queries, keys) ->
                        plain.withMask(Mask.window(2, 1).or(Mask.of((b, h, i, j) -> j < 2 + b + first))));
        all.put("blocks", (first, queries, keys) -> {
            MaskFunction function = (b, h, i, j) -> (i / 4 + j / 4 + b + first) % 2 == 0;
            int entries = queries == LONGEST_QUERIES && keys == LONGEST_KEYS ? QUERIES.length - 1 : 1;
            return plain.withMask(Mask.blocks(BlockMask.of(function, entries, 1, queries, keys, 4, 4)));
        });
        all.put("sinks", (first, queries, keys) -> AttentionOptions.causal().withSinks(sinks));
        all.put(
                "bias of each sequence",
                (first, queries, keys) -> plain.withBias(bias(QUERIES.length - 1, first, queries, keys)));
        all.put(
                "all",
                (first, queries, keys) -> AttentionOptions.causal()
                        .withMask(Mask.window(9, 3).and(Mask.of((b, h, i, j) -> j % 5 != (b + first) % 3)))
                        .withScore((s, b, h, i, j) -> s > 0 ? s * 0.5f : s + table.get(j % 7))
                        .withBias(bias(1, first, queries, keys))
                        .withSinks(sinks)
                        .withSoftcap(4)
                        .withAlibi(AttentionOptions.alibiSlopes(HEADS)));
        return all;
    }

    static Stream<Arguments> devicesTypesAndCompositions() {
        return Stream.of(TestDevice.get(), TestDevice.jvm())
                .flatMap(device -> Stream.of(DType.F32, DType.F16)
                        .flatMap(dtype ->
                                compositions().keySet().stream().map(name -> Arguments.of(device, dtype, name))));
    }

    /** The tokens of a sequence as a tensor {@code [1, heads, tokens, headDim]}. */
    private static Tensor alone(Tensor packed, int from, int to) {
        Tensor own = Tensor.allocate(packed.dtype(), 1, packed.dimension(1), to - from, packed.dimension(2));
        for (int token = from; token < to; token++) {
            for (int head = 0; head < packed.dimension(1); head++) {
                for (int x = 0; x < packed.dimension(2); x++) {
                    own.set(packed.get(token, head, x), 0, head, token - from, x);
                }
            }
        }
        return own;
    }

    @ParameterizedTest
    @MethodSource("devicesTypesAndCompositions")
    void eachSequenceIsWhatItIsAlone(ComputeDevice device, DType dtype, String name) {
        Composition composition = compositions().get(name);
        Tensor q = Tensor.random(dtype, 1, QUERIES[4], HEADS, DIM);
        Tensor k = Tensor.random(dtype, 2, KEYS[4], KV_HEADS, DIM);
        Tensor v = Tensor.random(dtype, 3, KEYS[4], KV_HEADS, DIM);
        Tensor dOut = Tensor.random(dtype, 4, QUERIES[4], HEADS, DIM);
        IntArray queries = IntArray.fromArray(QUERIES);
        IntArray keys = IntArray.fromArray(KEYS);
        AttentionOptions options = composition.of(0, LONGEST_QUERIES, LONGEST_KEYS);
        try (RaggedAttention ragged = new RaggedAttention(device)) {
            AttentionResult result = ragged.forward(q, k, v, queries, keys, options);
            Gradients gradients = ragged.backward(q, k, v, queries, keys, options, result, dOut);
            double[] dSinks = new double[HEADS];
            Map<String, Double> dBias = new HashMap<>();
            for (int sequence = 0; sequence < QUERIES.length - 1; sequence++) {
                int from = QUERIES[sequence];
                int to = QUERIES[sequence + 1];
                int first = KEYS[sequence];
                int end = KEYS[sequence + 1];
                if (from == to || first == end) {
                    continue;
                }
                AttentionOptions own = composition.of(sequence, to - from, end - first);
                Tensor ownQ = alone(q, from, to);
                Tensor ownK = alone(k, first, end);
                Tensor ownV = alone(v, first, end);
                Tensor ownDOut = alone(dOut, from, to);
                AccuracyCheck check = AccuracyCheck.of(ownQ, ownK, ownV, ownDOut, own);
                Tensor lse = Tensor.allocate(DType.F32, 1, HEADS, to - from);
                for (int token = from; token < to; token++) {
                    for (int head = 0; head < HEADS; head++) {
                        lse.set(result.logSumExp().get(token, head), 0, head, token - from);
                    }
                }
                assertThat(check.forward(alone(result.output(), from, to), lse))
                        .as("sequence %d", sequence)
                        .allMatch(Comparison::passed);
                assertThat(check.gradients(Gradients.of(
                                alone(gradients.dQ(), from, to),
                                alone(gradients.dK(), first, end),
                                alone(gradients.dV(), first, end))))
                        .as("gradients of sequence %d", sequence)
                        .allMatch(Comparison::passed);
                add(ReferenceAttention.backward(ownQ, ownK, ownV, ownDOut, own), own, sequence, options, dSinks, dBias);
            }
            gradients.dSinks().ifPresent(tensor -> {
                for (int head = 0; head < HEADS; head++) {
                    assertThat((double) tensor.get(head)).isCloseTo(dSinks[head], within(2e-3));
                }
            });
            gradients.dBias().ifPresent(tensor -> {
                double[] sum = new double[1];
                dBias.forEach((place, expected) -> {
                    int[] at = Arrays.stream(place.split(" "))
                            .mapToInt(Integer::parseInt)
                            .toArray();
                    assertThat((double) tensor.get(at)).as(place).isCloseTo(expected, within(2e-3));
                    sum[0] += Math.abs(expected);
                });
                assertThat(sum[0]).isPositive();
            });
            assertThat(gradients.dBias().isPresent()).isEqualTo(options.bias().isPresent());
            assertThat(gradients.dSinks().isPresent()).isEqualTo(options.sinks().isPresent());
        }
    }

    /** Adds what a sequence gives to the gradients that sequences share. */
    private static void add(
            ReferenceAttention.Backward own,
            AttentionOptions options,
            int sequence,
            AttentionOptions ofAll,
            double[] dSinks,
            Map<String, Double> dBias) {
        for (int head = 0; head < own.dSinks().length; head++) {
            dSinks[head] += own.dSinks()[head];
        }
        options.bias().ifPresent(bias -> {
            int entry = Math.min(sequence, ofAll.bias().orElseThrow().dimension(0) - 1);
            for (int element = 0; element < own.dBias().length; element++) {
                int j = element % bias.dimension(3);
                int i = element / bias.dimension(3) % bias.dimension(2);
                int head = element / bias.dimension(3) / bias.dimension(2);
                dBias.merge("%d %d %d %d".formatted(entry, head, i, j), own.dBias()[element], Double::sum);
            }
        });
    }

    /** Rows of several heads that are together as long as a padded row of one. */
    @ParameterizedTest
    @CsvSource({"2, 4", "2, 8", "4, 4", "4, 2", "1, 16"})
    void rowsOfShortHeadsAreNotTakenForOthers(int heads, int headDim) {
        int tokens = 13;
        Tensor q = Tensor.random(DType.F32, 1, tokens, heads, headDim);
        Tensor k = Tensor.random(DType.F32, 2, tokens, heads, headDim);
        Tensor v = Tensor.random(DType.F32, 3, tokens, heads, headDim);
        IntArray offsets = IntArray.fromElements(0, tokens);
        AttentionOptions options = AttentionOptions.causal();
        Tensor ownQ = alone(q, 0, tokens);
        AccuracyCheck check = AccuracyCheck.of(ownQ, alone(k, 0, tokens), alone(v, 0, tokens), ownQ, options);
        try (RaggedAttention ragged = new RaggedAttention(TestDevice.jvm())) {
            AttentionResult result = ragged.forward(q, k, v, offsets, offsets, options);
            Gradients gradients = ragged.backward(q, k, v, offsets, offsets, options, result, q);
            assertThat(check.gradients(Gradients.of(
                            alone(gradients.dQ(), 0, tokens),
                            alone(gradients.dK(), 0, tokens),
                            alone(gradients.dV(), 0, tokens))))
                    .allMatch(Comparison::passed);
        }
    }

    /** Another batch of nearly the same size is computed by the same plans. */
    @Test
    void lengthsMayChangeWithoutCompiling() {
        AttentionOptions options = AttentionOptions.causal().withScore((s, b, h, i, j) -> 2 * s);
        try (RaggedAttention ragged = new RaggedAttention(TestDevice.get())) {
            for (int tokens = 10; tokens < 14; tokens++) {
                Tensor q = Tensor.random(DType.F32, tokens, tokens, 2, 8);
                IntArray offsets = IntArray.fromElements(0, tokens - 7, tokens);
                AttentionResult result = ragged.forward(q, q, q, offsets, offsets, options);
                ragged.backward(q, q, q, offsets, offsets, options, result, q);
            }
            assertThat(ragged.statistics().misses()).isEqualTo(2);
        }
    }

    @Test
    void mistakesAreRefused() {
        Tensor q = Tensor.random(DType.F32, 1, 10, 2, 8);
        IntArray offsets = IntArray.fromElements(0, 4, 10);
        try (RaggedAttention ragged = new RaggedAttention(TestDevice.get())) {
            AttentionResult result = ragged.forward(q, q, q, offsets, offsets, AttentionOptions.causal());
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> ragged.backward(
                            q,
                            q,
                            q,
                            offsets,
                            offsets,
                            AttentionOptions.causal(),
                            result,
                            Tensor.random(DType.F32, 1, 9, 2, 8)))
                    .withMessageContaining("they must be alike");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> ragged.forward(
                            q,
                            q,
                            q,
                            offsets,
                            offsets,
                            AttentionOptions.defaults().withBias(Tensor.random(DType.F32, 1, 1, 1, 10, 10))))
                    .withMessageContaining("bias")
                    .withMessageContaining("6, 6");
        }
    }
}
