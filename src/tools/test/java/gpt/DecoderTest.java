package gpt;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.tornadoattention.TestDevice;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** The example that writes: token by token it is the model that was trained. */
class DecoderTest {

    @Test
    void stepsOverACacheHaveTheLossOfTheWholeSequence() {
        Parameters parameters = new Parameters(new Parameters.Shape(20, 11, 2, 2, 8), 3);
        IntArray tokens = new IntArray(11);
        IntArray targets = new IntArray(11);
        for (int i = 0; i < 11; i++) {
            tokens.set(i, (7 * i + 3) % 20);
            targets.set(i, (7 * i + 10) % 20);
        }
        double expected = new Float64Gpt(parameters).loss(tokens, targets, 11);
        try (Decoder decoder = new Decoder(parameters, TestDevice.jvm())) {
            double loss = 0;
            for (int i = 0; i < 11; i++) {
                float[] logits = decoder.next(tokens.get(i));
                double sum = 0;
                for (float logit : logits) {
                    sum += Math.exp(logit);
                }
                loss += (Math.log(sum) - logits[targets.get(i)]) / 11;
            }
            assertThat(loss).isCloseTo(expected, within(1e-5));
            assertThatIllegalStateException().isThrownBy(() -> decoder.next(0)).withMessageContaining("11 positions");
        }
    }
}
