package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.DistributedAttention.Division;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;

/** A problem that was brought to several devices: each owns its share, and what they compute is what one would. */
class DividedPassTest {

    private static final AttentionShape SHAPE = new AttentionShape(2, 4, 2, 44, 44, 16);

    /** As many devices of one kind as wanted; where there are fewer, some get several parts. */
    private static List<ComputeDevice> devices(int count) {
        List<ComputeDevice> alike = Devices.all().stream()
                .filter(device -> device.backend() == TestDevice.get().backend())
                .toList();
        return IntStream.range(0, count)
                .mapToObj(i -> alike.get(i % alike.size()))
                .toList();
    }

    static Stream<Arguments> sequences() {
        AttentionOptions all = AttentionOptions.defaults();
        AttentionShape fewQueries = new AttentionShape(1, 2, 1, 13, 50, 8);
        AttentionShape fewKeys = new AttentionShape(1, 2, 2, 30, 11, 8);
        AttentionShape oddTurns = new AttentionShape(3, 2, 2, 40, 40, 8); // for two lanes
        Stream<Arguments> table = Stream.of(
                        Arguments.of(2, SHAPE, all),
                        Arguments.of(2, SHAPE, AttentionOptions.causal()),
                        Arguments.of(3, SHAPE, AttentionOptions.causal().withSoftcap(2)),
                        Arguments.of(4, SHAPE, all.withWindow(9, 3).withScale(0.3)),
                        Arguments.of(2, SHAPE, all.withWindow(6, -1)),
                        Arguments.of(3, SHAPE, all.withWindow(7, 0)),
                        Arguments.of(2, fewQueries, AttentionOptions.causal()),
                        Arguments.of(2, oddTurns, AttentionOptions.causal()),
                        // Queries before the first key see none, and some pieces none at all.
                        Arguments.of(2, fewKeys, AttentionOptions.causal()),
                        Arguments.of(3, fewKeys, all.withWindow(4, 4)))
                .flatMap(row -> Stream.of(DType.F32, DType.BF16)
                        .map(dtype -> Arguments.of(row.get()[0], row.get()[1], row.get()[2], dtype)));
        return CoveringArray.today(table);
    }

    @ParameterizedTest
    @MethodSource("sequences")
    void aSequenceIsDividedAndNothingIsMerged(int count, AttentionShape shape, AttentionOptions options, DType dtype) {
        AttentionCase problem = AttentionCase.of(shape, dtype, options);
        AccuracyCheck check = AccuracyCheck.of(problem.q(), problem.k(), problem.v(), problem.dO(), options);
        try (DistributedAttention attention = DistributedAttention.on(devices(count), Division.SEQUENCE)) {
            AttentionResult result = run(attention, problem);
            assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
            try (DividedPass<Gradients> pass = attention.bring(result, problem.dO())) {
                pass.run();
                Gradients gradients = pass.result();
                assertThat(check.gradients(gradients)).allMatch(Comparison::passed);
                pass.run();
                assertSameBits(pass.result().dQ(), gradients.dQ());
                assertSameBits(pass.result().dK(), gradients.dK());
                assertSameBits(pass.result().dV(), gradients.dV());
            }
        }
    }

    private static AttentionResult run(DistributedAttention attention, AttentionCase problem) {
        try (DividedPass<AttentionResult> pass =
                attention.bring(problem.q(), problem.k(), problem.v(), problem.options())) {
            pass.run();
            AttentionResult first = pass.result();
            pass.run(); // on GPUs, one graph of the driver's from here on
            AttentionResult second = pass.result();
            assertSameBits(second.output(), first.output());
            assertSameBits(second.logSumExp(), first.logSumExp());
            return second;
        }
    }

    @Test
    void headsHaveTheBitsOfOneDevice() {
        AttentionOptions options =
                AttentionOptions.causal().withKeyLengths(44, 30).withAlibi(AttentionOptions.alibiSlopes(SHAPE.heads()));
        AttentionCase problem = AttentionCase.of(SHAPE, DType.F32, options);
        try (FlashAttention one = FlashAttention.on(TestDevice.get())) {
            AttentionResult expected = problem.run(one);
            Gradients gradients = one.backward(expected, problem.dO());
            for (int count : new int[] {1, 2, 4}) {
                try (DistributedAttention attention = DistributedAttention.on(devices(count));
                        DividedPass<Gradients> backward = attention.bring(expected, problem.dO())) {
                    AttentionResult result = run(attention, problem);
                    assertSameBits(result.output(), expected.output());
                    assertSameBits(result.logSumExp(), expected.logSumExp());
                    backward.run();
                    assertSameBits(backward.result().dQ(), gradients.dQ());
                    assertSameBits(backward.result().dK(), gradients.dK());
                    assertSameBits(backward.result().dV(), gradients.dV());
                    assertThat(backward.exchange()).isZero();
                }
            }
        }
    }

    /** More devices than heads: of each head's devices every one owns some of the sequence. */
    @Test
    void devicesThatAreLeftOverDivideTheSequence() {
        AttentionShape shape = new AttentionShape(1, 2, 2, 40, 40, 8);
        AttentionCase problem = AttentionCase.of(shape, DType.F32, AttentionOptions.causal());
        try (DistributedAttention attention = DistributedAttention.on(devices(4))) {
            AttentionResult result = run(attention, problem);
            AccuracyCheck check =
                    AccuracyCheck.of(problem.q(), problem.k(), problem.v(), problem.dO(), problem.options());
            assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
            try (DividedPass<Gradients> pass = attention.bring(result, problem.dO())) {
                pass.run();
                assertThat(check.gradients(pass.result())).allMatch(Comparison::passed);
            }
        }
    }

    /** The figures of docs/performance.md, by the bytes of the arrays. */
    @Test
    void eachDeviceOwnsItsShareOfEverything() {
        AttentionShape shape = new AttentionShape(1, 8, 8, 512, 512, 8);
        AttentionCase problem = AttentionCase.of(shape, DType.F32, AttentionOptions.causal());
        long tensors = 4L * 8 * 512 * 8 * Float.BYTES + 8 * 512 * Float.BYTES;
        for (int count : new int[] {1, 2, 4}) {
            try (DistributedAttention attention = DistributedAttention.on(devices(count), Division.SEQUENCE);
                    DividedPass<AttentionResult> pass =
                            attention.bring(problem.q(), problem.k(), problem.v(), problem.options())) {
                assertThat(pass.memory()).hasSize(count).allMatch(memory -> memory.share() == tensors / count);
                // Of each head: its keys and values, of two pieces that see 1 + 1 / (2 count) of them, queries and
                // output. A GPU takes all of such short ones at a time, others one of eight.
                long most = TestDevice.get().type() == TornadoDeviceType.GPU ? tensors : tensors / 8;
                assertThat(pass.memory()).allMatch(memory -> count == 1 ? memory.stage() == 0 : memory.stage() < most);
                // All but the owner get a key, those who do not see it excepted.
                long keys = 2L * 8 * 512 * 8 * Float.BYTES;
                assertThat(pass.exchange()).isBetween(keys * (count - 1) / 2, 2 * keys * (count - 1));
            }
        }
    }

    @Test
    void whatCannotBeBroughtIsRefusedWithAdvice() {
        AttentionCase problem = AttentionCase.of(SHAPE, DType.F32, AttentionOptions.defaults());
        Tensor q = problem.q();
        Tensor k = problem.k();
        Tensor v = problem.v();
        try (DistributedAttention sequence = DistributedAttention.on(devices(2), Division.SEQUENCE);
                DistributedAttention keys = DistributedAttention.on(devices(2), Division.KEYS);
                DistributedAttention jvm = DistributedAttention.on(List.of(TestDevice.jvm()))) {
            AttentionOptions lengths = problem.options().withKeyLengths(44, 3);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> sequence.bring(q, k, v, lengths))
                    .withMessageContaining("divide heads only");
            AttentionOptions alibi = problem.options().withAlibi(AttentionOptions.alibiSlopes(4));
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> sequence.bring(q, k, v, alibi))
                    .withMessageContaining("divide heads only");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> keys.bring(q, k, v, problem.options()))
                    .withMessageContaining("Division.SEQUENCE");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> jvm.bring(q, k, v, problem.options()))
                    .withMessageContaining("runs no task graphs");
            Tensor none = Tensor.allocate(DType.F32, 2, 2, 0, 16);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> sequence.bring(q, none, none, problem.options()))
                    .withMessageContaining("no query or no key");
            DividedPass<AttentionResult> pass = sequence.bring(q, k, v, problem.options());
            assertThatIllegalStateException().isThrownBy(pass::result).withMessageContaining("call run first");
            pass.close();
            pass.close();
            assertThatIllegalStateException().isThrownBy(pass::run).withMessageContaining("closed");
        }
    }

    private static void assertSameBits(Tensor computed, Tensor expected) {
        assertThat(computed.shape()).isEqualTo(expected.shape());
        assertThat(computed.memory().mismatch(expected.memory())).isEqualTo(-1);
    }
}
