package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.AttentionPart.Range;
import org.tornadoattention.DistributedAttention.Division;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** Attention divided among devices: heads give the same bits, keys give the same numbers. */
class DistributedAttentionTest {

    private static final AttentionShape SHAPE = new AttentionShape(2, 6, 3, 21, 45, 16);

    private static final Tensor SINKS = Tensor.random(DType.F32, 7, SHAPE.heads());

    /** As many devices of one kind as wanted; where there are fewer, some get several parts. */
    private static List<ComputeDevice> devices(ComputeDevice first, int count) {
        List<ComputeDevice> alike = Devices.all().stream()
                .filter(device -> device.backend() == first.backend())
                .toList();
        return IntStream.range(0, count)
                .mapToObj(i -> alike.get(i % alike.size()))
                .toList();
    }

    private static Tensor bias(int batch, int heads) {
        return Tensor.random(DType.F32, 5, batch, heads, SHAPE.seqQ(), SHAPE.seqK());
    }

    static Stream<AttentionOptions> ofAnyDivision() {
        AttentionOptions all = AttentionOptions.defaults();
        return Stream.of(
                all.withScale(0.3),
                all.withKeyLengths(45, 11),
                all.withBias(bias(1, 6)),
                all.withBias(bias(2, 1)).withCausal(),
                AttentionOptions.causal().withSinks(SINKS),
                all.withWindow(9, 3).withSoftcap(2).withSinks(SINKS),
                all.withWindow(4, -1));
    }

    static Stream<Arguments> problems() {
        return CoveringArray.today(allProblems());
    }

    private static Stream<Arguments> allProblems() {
        return Stream.of(TestDevice.get(), TestDevice.jvm())
                .flatMap(device -> ofAnyDivision().map(options -> Arguments.of(device, options)));
    }

    static Stream<Arguments> problemsOfHeads() {
        AttentionOptions more = AttentionOptions.causal()
                .withAlibi(AttentionOptions.alibiSlopes(6))
                .withKeyLengths(45, 30);
        return CoveringArray.today(Stream.concat(
                allProblems(),
                Stream.of(TestDevice.get(), TestDevice.jvm()).map(device -> Arguments.of(device, more))));
    }

    @ParameterizedTest
    @MethodSource("problemsOfHeads")
    void headsOnAnyNumberOfDevicesGiveTheBitsOfOne(ComputeDevice device, AttentionOptions options) {
        AttentionCase problem = AttentionCase.of(SHAPE, DType.F32, options);
        Tensor dLse = Tensor.random(DType.F32, 9, SHAPE.logSumExpShape());
        try (FlashAttention one = FlashAttention.on(device)) {
            AttentionResult expected = problem.run(one);
            Gradients gradients = one.backward(expected, problem.dO(), dLse);
            for (int count : new int[] {1, 2, 4, 5, 6}) {
                try (DistributedAttention several = DistributedAttention.on(devices(device, count))) {
                    AttentionResult result = several.forward(problem.q(), problem.k(), problem.v(), options);
                    Gradients divided = several.backward(result, problem.dO(), dLse);
                    assertSameBits(result.output(), expected.output());
                    assertSameBits(result.logSumExp(), expected.logSumExp());
                    assertSameBits(divided.dQ(), gradients.dQ());
                    assertSameBits(divided.dK(), gradients.dK());
                    assertSameBits(divided.dV(), gradients.dV());
                    assertClose(divided.dBias(), gradients.dBias());
                    assertClose(divided.dSinks(), gradients.dSinks());
                    assertThat(several.parts(SHAPE, options)).allMatch(parts -> parts.size() <= 1);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("problems")
    void keysGiveTheSameNumbersAndInEachRunTheSameBits(ComputeDevice device, AttentionOptions options) {
        for (DType dtype : List.of(DType.F32, DType.BF16)) {
            AttentionCase problem = AttentionCase.of(SHAPE, dtype, options);
            Tensor dLse = Tensor.random(DType.F32, 9, SHAPE.logSumExpShape());
            AccuracyCheck check = AccuracyCheck.of(problem.q(), problem.k(), problem.v(), problem.dO(), dLse, options);
            for (int count : dtype == DType.F32 ? new int[] {2, 3, 7} : new int[] {2}) {
                try (DistributedAttention several = DistributedAttention.on(devices(device, count), Division.KEYS)) {
                    AttentionResult result = several.forward(problem.q(), problem.k(), problem.v(), options);
                    assertThat(check.forward(result.output(), result.logSumExp()))
                            .allMatch(Comparison::passed);
                    Gradients gradients = several.backward(result, problem.dO(), dLse);
                    assertThat(check.gradients(gradients)).allMatch(Comparison::passed);
                    AttentionResult again = several.forward(problem.q(), problem.k(), problem.v(), options);
                    assertSameBits(again.output(), result.output());
                    assertSameBits(again.logSumExp(), result.logSumExp());
                    assertSameBits(several.backward(again, problem.dO(), dLse).dQ(), gradients.dQ());
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("problems")
    void sequencesGiveTheSameNumbersAndInEachRunTheSameBits(ComputeDevice device, AttentionOptions options) {
        AttentionCase problem = AttentionCase.of(SHAPE, DType.F32, options);
        Tensor dLse = Tensor.random(DType.F32, 9, SHAPE.logSumExpShape());
        AccuracyCheck check = AccuracyCheck.of(problem.q(), problem.k(), problem.v(), problem.dO(), dLse, options);
        for (int count : new int[] {2, 5}) {
            try (DistributedAttention several = DistributedAttention.on(devices(device, count), Division.SEQUENCE)) {
                AttentionResult result = several.forward(problem.q(), problem.k(), problem.v(), options);
                assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
                Gradients gradients = several.backward(result, problem.dO(), dLse);
                assertThat(check.gradients(gradients)).allMatch(Comparison::passed);
                assertSameBits(several.backward(result, problem.dO(), dLse).dK(), gradients.dK());
            }
        }
    }

    /** More devices than heads: a grid of heads by keys. */
    @Tag("second-tier")
    @ParameterizedTest
    @ValueSource(ints = {2, 3, 4, 6})
    void devicesThatAreLeftOverDivideTheKeys(int count) {
        AttentionShape shape = new AttentionShape(1, 4, 2, 300, 700, 16);
        AttentionCase problem = AttentionCase.of(shape, DType.F32, AttentionOptions.causal());
        try (DistributedAttention several = DistributedAttention.on(devices(TestDevice.jvm(), count))) {
            List<List<AttentionPart>> parts = several.parts(shape, problem.options());
            assertThat(parts).hasSize(count).noneMatch(List::isEmpty);
            int keys = count == 2 ? 1 : count == 3 ? 3 : count / 2;
            assertThat(parts.getFirst()).hasSize(keys == 1 ? 1 : 3);
            // Queries times keys, which no device has more than a fifth above the mean of.
            double[] work = parts.stream()
                    .mapToDouble(own -> own.stream()
                            .mapToDouble(part -> part.kvHeads().length() * seenPairs(part))
                            .sum())
                    .toArray();
            double mean = IntStream.range(0, count)
                    .mapToDouble(i -> work[i])
                    .average()
                    .orElseThrow();
            assertThat(Arrays.stream(work).boxed()).allMatch(each -> each < 1.2 * mean);
            AttentionResult result = several.forward(problem.q(), problem.k(), problem.v(), problem.options());
            Gradients gradients = several.backward(result, problem.dO());
            AccuracyCheck check =
                    AccuracyCheck.of(problem.q(), problem.k(), problem.v(), problem.dO(), problem.options());
            assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
            assertThat(check.gradients(gradients)).allMatch(Comparison::passed);
        }
    }

    private static double seenPairs(AttentionPart part) {
        long pairs = 0;
        for (int query = part.queries().from(); query < part.queries().to(); query++) {
            int end = Math.min(
                    part.keys().to(), query + part.whole().seqK() - part.whole().seqQ() + 1);
            pairs += Math.max(0, end - part.keys().from());
        }
        return pairs;
    }

    @Test
    void everyPairOfAQueryAndAKeyIsInOnePart() {
        for (Mask mask : List.of(
                Mask.none(),
                Mask.causal(),
                Mask.window(5, 2),
                Mask.window(0, -1),
                Mask.window(-1, Integer.MAX_VALUE - 1),
                Mask.window(Integer.MAX_VALUE - 1, 2))) {
            for (int seqQ : new int[] {1, 30, 90}) {
                AttentionShape shape = new AttentionShape(1, 2, 1, seqQ, 60, 8);
                AttentionOptions options = AttentionOptions.defaults().withMask(mask);
                for (Division division : Division.values()) {
                    try (DistributedAttention several =
                            DistributedAttention.on(devices(TestDevice.jvm(), 4), division)) {
                        requireEachPairOnce(several, shape, options);
                    }
                }
            }
        }
    }

    private static void requireEachPairOnce(
            DistributedAttention several, AttentionShape shape, AttentionOptions options) {
        int[][] times = new int[shape.seqQ()][shape.seqK()];
        for (AttentionPart part :
                several.parts(shape, options).stream().flatMap(List::stream).toList()) {
            Mask own = part.options(options).mask();
            Range queries = part.queries();
            Range keys = part.keys();
            for (int i = queries.from(); i < queries.to(); i++) {
                for (int j = keys.from(); j < keys.to(); j++) {
                    if (own.allows(i - queries.from(), j - keys.from(), queries.length(), keys.length())) {
                        times[i][j] += part.kvHeads().length();
                    }
                }
            }
        }
        Mask mask = options.mask();
        for (int i = 0; i < shape.seqQ(); i++) {
            for (int j = 0; j < shape.seqK(); j++) {
                assertThat(times[i][j])
                        .as("%s, %s, query %d, key %d", several, mask, i, j)
                        .isEqualTo(mask.allows(i, j, shape.seqQ(), shape.seqK()) ? shape.kvHeads() : 0);
            }
        }
    }

    @Test
    void whatCannotBeDividedIsRefusedWithAdvice() {
        AttentionCase problem = AttentionCase.of(SHAPE, DType.F32, AttentionOptions.defaults());
        AttentionOptions dropout = problem.options().withDropout(0.5, 1);
        AttentionOptions function = problem.options().withScore((s, b, h, i, j) -> s * 2);
        AttentionOptions alibi = problem.options().withAlibi(AttentionOptions.alibiSlopes(6));
        AttentionOptions lengths = AttentionOptions.causal().withKeyLengths(3, 4);
        List<ComputeDevice> two = devices(TestDevice.jvm(), 2);
        try (DistributedAttention heads = DistributedAttention.on(two);
                DistributedAttention keys = DistributedAttention.on(two, Division.KEYS);
                DistributedAttention one = DistributedAttention.on(List.of(TestDevice.jvm()))) {
            for (AttentionOptions options : List.of(dropout, function)) {
                assertThatIllegalArgumentException()
                        .isThrownBy(() -> heads.forward(problem.q(), problem.k(), problem.v(), options))
                        .withMessageContaining("use one device");
                assertThat(one.forward(problem.q(), problem.k(), problem.v(), options))
                        .isNotNull();
            }
            for (AttentionOptions options : List.of(alibi, lengths)) {
                assertThatIllegalArgumentException()
                        .isThrownBy(() -> keys.forward(problem.q(), problem.k(), problem.v(), options))
                        .withMessageContaining("divide heads only");
            }
        }
        assertThatIllegalArgumentException()
                .isThrownBy(() -> DistributedAttention.on(List.of()))
                .withMessageContaining("Devices.all()");
        DistributedAttention closed = DistributedAttention.on(two);
        closed.close();
        closed.close();
        assertThatIllegalStateException().isThrownBy(() -> closed.forward(problem.q(), problem.k(), problem.v()));
    }

    @Test
    void aSequenceWithoutKeysAndOneShorterThanTheDevicesAreComputed() {
        for (int keys : new int[] {0, 1, 3}) {
            AttentionShape shape = new AttentionShape(1, 2, 2, 5, keys, 8);
            AttentionCase problem = AttentionCase.of(
                    shape, DType.F32, AttentionOptions.causal().withSinks(Tensor.random(DType.F32, 3, 2)));
            try (DistributedAttention several = DistributedAttention.on(devices(TestDevice.jvm(), 5), Division.KEYS)) {
                AttentionResult result = several.forward(problem.q(), problem.k(), problem.v(), problem.options());
                AccuracyCheck check =
                        AccuracyCheck.of(problem.q(), problem.k(), problem.v(), problem.dO(), problem.options());
                assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
                assertThat(check.gradients(several.backward(result, problem.dO())))
                        .allMatch(Comparison::passed);
            }
        }
    }

    private static void assertSameBits(Tensor computed, Tensor expected) {
        assertThat(computed.shape()).isEqualTo(expected.shape());
        assertThat(computed.array()
                        .getSegment()
                        .asSlice(0, computed.byteSize())
                        .mismatch(expected.array().getSegment().asSlice(0, expected.byteSize())))
                .isEqualTo(-1);
    }

    /** Sums over parts, which another order rounds otherwise. */
    private static void assertClose(Optional<Tensor> computed, Optional<Tensor> expected) {
        assertThat(computed.isPresent()).isEqualTo(expected.isPresent());
        float[] all = expected.map(Tensor::toFloatArray).orElse(new float[0]);
        float[] sums = computed.map(Tensor::toFloatArray).orElse(new float[0]);
        for (int i = 0; i < all.length; i++) {
            assertThat(Math.abs(sums[i] - all[i])).isLessThan(1e-5f * (1 + Math.abs(all[i])));
        }
    }

    /** What serialization makes of it on another machine. */
    private static Object sent(Object object) throws IOException, ClassNotFoundException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            out.writeObject(object);
        }
        try (ObjectInputStream in = new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
            return in.readObject();
        }
    }

    @Test
    void partsAndSumsCanBeSent() throws IOException, ClassNotFoundException {
        AttentionCase problem = AttentionCase.of(SHAPE, DType.F32, AttentionOptions.defaults());
        AttentionSums sums = new AttentionSums(SHAPE);
        try (FlashAttention attention = FlashAttention.on(TestDevice.jvm())) {
            for (Range keys : List.of(new Range(0, 7), new Range(7, SHAPE.seqK()))) {
                AttentionPart part = AttentionPart.of(
                        SHAPE, problem.options(), new Range(0, SHAPE.batch()), new Range(0, SHAPE.kvHeads()), keys);
                assertThat(sent(part)).isEqualTo(part);
                AttentionSums own = new AttentionSums(SHAPE)
                        .add(
                                part,
                                attention.forward(
                                        problem.q(),
                                        part.keysOf(problem.k()),
                                        part.keysOf(problem.v()),
                                        part.options(problem.options())));
                sums.add((AttentionSums) sent(own));
            }
        }
        AttentionResult result = sums.result(DType.F32);
        AccuracyCheck check = AccuracyCheck.of(problem.q(), problem.k(), problem.v(), problem.options());
        assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
    }

    @Test
    void sumsOfOtherProblemsAreRefused() {
        AttentionSums sums = new AttentionSums(SHAPE);
        AttentionSums other = new AttentionSums(new AttentionShape(2, 6, 3, 20, 45, 16));
        assertThatIllegalArgumentException().isThrownBy(() -> sums.add(other));
        AttentionPart part = AttentionPart.of(
                SHAPE, AttentionOptions.defaults(), new Range(0, 1), new Range(0, 3), new Range(0, 45));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> sums.add(part, other.result(DType.F32)))
                .withMessageContaining("must fit");
        assertThat(sums.result(DType.F32).logSumExp().toFloatArray()).containsOnly(Float.NEGATIVE_INFINITY);
    }
}
