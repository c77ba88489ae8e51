package org.tornadoattention.embeddings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.tensor.DType;

/** How threads divide their work changes no bit. */
class VectorEncoderTest {

    private static final int WIDTH = 128;
    private static final int HEADS = 4;
    private static final int INNER = 200;
    private static final int VOCABULARY = 50;
    private static final int POSITIONS = 200;

    private final SplittableRandom random = new SplittableRandom(7);

    private float[] numbers(int count, double around) {
        float[] numbers = new float[count];
        for (int i = 0; i < count; i++) {
            numbers[i] = (float) (around + random.nextDouble(-0.1, 0.1));
        }
        return numbers;
    }

    private BertWeights.Dense dense(int depth, int columns) {
        return new BertWeights.Dense(depth, columns, numbers(depth * columns, 0), numbers(columns, 0));
    }

    private BertWeights.Norm norm() {
        return new BertWeights.Norm(numbers(WIDTH, 1), numbers(WIDTH, 0));
    }

    private BertWeights weights(int inner) {
        List<BertWeights.Layer> layers = Stream.generate(() -> new BertWeights.Layer(
                        dense(WIDTH, 3 * WIDTH),
                        dense(WIDTH, WIDTH),
                        norm(),
                        dense(WIDTH, inner),
                        dense(inner, WIDTH),
                        norm()))
                .limit(2)
                .toList();
        return new BertWeights(
                numbers(VOCABULARY * WIDTH, 0), numbers(POSITIONS * WIDTH, 0), WIDTH, HEADS, norm(), layers);
    }

    /** A graph whose products are those of warp groups, where there are any, computes what threads do. */
    @ParameterizedTest
    @ValueSource(ints = {INNER, 192})
    void aGraphInF16ComputesTheSame(int inner) {
        ComputeDevice device = Devices.bestForTaskGraphs();
        assumeTrue(device.extension().level().include(Intrinsics.WARP), "no tensor cores");
        BertWeights weights = weights(inner);
        int[] offsets = {0, 1, 18, 88, 90};
        int[] tokens = random.ints(90, 0, VOCABULARY).toArray();
        try (Encoder threads = new VectorEncoder(weights, Pooling.MEAN, 1);
                Encoder graph = new GraphEncoder(weights, Pooling.MEAN, device, DType.F16, 90)) {
            float[][] expected = threads.encode(tokens, offsets).unit();
            float[][] computed = graph.encode(tokens, offsets).unit();
            for (int i = 0; i < expected.length; i++) {
                assertThat(computed[i]).usingComparatorWithPrecision(5e-3f).containsExactly(expected[i]);
            }
        }
    }

    /**
     * One sequence, a few, and more than threads: those that threads compute together, and those that each computes by
     * itself.
     */
    @Test
    void vectorsAreTheSameBitsForAnyNumberOfThreadsAndHoweverSequencesArePacked() {
        BertWeights weights = weights(INNER);
        List<int[]> sequences = new ArrayList<>();
        for (int length : new int[] {1, 2, 5, 13, 40, 97, 200, 7, 61, 120, 31}) {
            sequences.add(random.ints(length, 0, VOCABULARY).toArray());
        }
        float[][] expected = new float[sequences.size()][];
        try (VectorEncoder one = new VectorEncoder(weights, Pooling.MEAN, 1)) {
            for (int i = 0; i < expected.length; i++) {
                expected[i] = encode(one, sequences.subList(i, i + 1))[0];
            }
        }
        for (int threads : new int[] {1, 2, 5}) {
            try (VectorEncoder encoder = new VectorEncoder(weights, Pooling.MEAN, threads)) {
                for (int i = 0; i < expected.length; i++) {
                    assertThat(encode(encoder, sequences.subList(i, i + 1))[0])
                            .as("%d tokens, %d threads", sequences.get(i).length, threads)
                            .containsExactly(expected[i]);
                }
                assertThat(encode(encoder, sequences)).isDeepEqualTo(expected);
            }
        }
    }

    private static float[][] encode(VectorEncoder encoder, List<int[]> sequences) {
        int[] offsets = new int[sequences.size() + 1];
        for (int i = 0; i < sequences.size(); i++) {
            offsets[i + 1] = offsets[i] + sequences.get(i).length;
        }
        return encoder.encode(sequences.stream().flatMapToInt(Arrays::stream).toArray(), offsets)
                .unit();
    }

    @Test
    void whatFailsInOneThreadIsRaisedAndTheEncoderGoesOn() {
        try (VectorEncoder encoder = new VectorEncoder(weights(INNER), Pooling.FIRST, 3)) {
            List<int[]> good = List.of(random.ints(30, 0, VOCABULARY).toArray());
            float[][] before = encode(encoder, good);
            int[] bad = random.ints(30, 0, VOCABULARY).toArray();
            bad[29] = VOCABULARY;
            assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> encode(encoder, List.of(bad)));
            assertThat(encode(encoder, good)).isDeepEqualTo(before);
        }
    }
}
