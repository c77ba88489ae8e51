package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;

class DemoCommandTest {

    @Test
    void showsTimeMemoryErrorsAndWhatItRead() {
        Invocation demo = Invocation.of("demo", "--length", "200");
        assertThat(demo.exitCode()).isZero();
        assertThat(demo.err()).isEmpty();
        assertThat(demo.out().lines().findFirst().orElseThrow()).startsWith("Running on ");
        assertThat(demo.out())
                .contains("8 heads × 200 × 64, F32, causal", "FLOP/s", "standard attention takes 2.4")
                .containsPattern("error of output .*: ok")
                .containsPattern("error of log-sum-exp .*: ok")
                .containsPattern("right( +\\d+%){9}");
    }

    @Test
    void headsForeseeWhatRepeats() {
        String text = "to be or not to be, that is ".repeat(4);
        InductionHeads heads = new InductionHeads(text);
        AttentionResult result;
        try (FlashAttention attention = FlashAttention.create()) {
            result = attention.forward(heads.queries(), heads.keys(), heads.values(), heads.options());
        }
        // Three of four repeats have been seen before; one character is too little to tell what follows.
        assertThat(heads.accuracy(heads.predictions(result, 7))).isBetween(0.7, 1.0);
        assertThat(heads.accuracy(heads.predictions(result, 0))).isLessThan(0.7);
        assertThat(heads.accuracy(heads.predictions(result))).isBetween(0.75, 1.0);
        assertThat(heads.predictions(result).substring(60, 84)).isEqualTo(text.substring(61, 85));
    }
}
