package org.tornadoattention.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.tornadoattention.AttentionException;
import org.tornadoattention.tensor.DType;

class PeerTest {

    private static final BenchSession.Settings SETTINGS = new BenchSession.Settings(1, 7, 1);

    @Test
    void roundsOfAProblemBecomeTheMiddleOneWithTheNoiseBetweenThem() {
        BenchCase first = BenchFiles.problem(DType.F16, 512, true);
        BenchCase second = BenchFiles.problem(DType.F16, 1024, true);
        try (Peer peer = Peer.start(MadeUpPeer.command("well"))) {
            assertThat(peer.runtime()).isEqualTo("Made up 1.0");
            for (BenchCase each : List.of(first, first, first, second)) {
                peer.measure(each, SETTINGS);
            }
            BenchFile file = peer.file("by hand", true);
            assertThat(file.environment().device()).isEqualTo("a device");
            assertThat(file.results()).extracting(BenchResult::measured).containsExactly(first, second);
            Timing together = file.results().getFirst().timing();
            assertThat(together.kernelMilliseconds()).isEqualTo(2);
            assertThat(together.repetitions()).isEqualTo(7);
            assertThat(together.repeatability()).isEqualTo((3.0 - 1.0) / 2);
            assertThat(together.noisy()).isTrue();
            assertThat(file.results().getLast().timing().noisy()).isFalse();
        }
    }

    @Test
    void aPeerThatEndsOrSaysSomethingElseIsNamed() {
        assertThatThrownBy(() -> Peer.start(MadeUpPeer.command("mute")))
                .isInstanceOf(AttentionException.class)
                .hasMessageContaining("MadeUpPeer mute' has ended without an answer: exit code 3");
        assertThatThrownBy(() -> Peer.start(MadeUpPeer.command("odd")))
                .isInstanceOf(AttentionException.class)
                .hasMessageContaining("said 'Hello!', which is no answer");
        assertThatThrownBy(() -> Peer.start("no-such-program --serve"))
                .isInstanceOf(AttentionException.class)
                .hasMessageContaining("'no-such-program --serve' could not be started");
    }

    @Test
    void whatOneRoundFoundWrongCountsForAll() {
        BenchResult right = BenchFiles.ours().results().getFirst();
        BenchResult wrong = new BenchResult(
                right.measured(),
                right.provider(),
                right.kernel(),
                null,
                right.status(),
                null,
                right.timing(),
                null,
                new Accuracy(1, 1e-5, 1, false),
                null,
                null);
        assertThat(Rounds.together(List.of(right, wrong, right)).good()).isFalse();
        assertThat(Rounds.together(List.of(right)).timing()).isEqualTo(right.timing());
    }
}
