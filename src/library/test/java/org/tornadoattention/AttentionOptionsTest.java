package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class AttentionOptionsTest {
    @Test
    void defaultsArePlainAttention() {
        AttentionOptions options = AttentionOptions.defaults();
        assertThat(options.scaleFor(64)).isEqualTo(0.125);
        assertThat(options.scale()).isEmpty();
        assertThat(options.mask()).isEqualTo(Mask.none());
        assertThat(options.hasSoftcap()).isFalse();
        assertThat(options.hasAlibi()).isFalse();
        assertThat(options.hasKeyLengths()).isFalse();
        assertThat(options.alibiSlope(3)).isZero();
        assertThat(options.keyLength(3, 17)).isEqualTo(17);
        assertThat(options).hasToString("defaults");
    }

    @Test
    void partsAreSetOneByOneAndTakenBack() {
        AttentionOptions options = AttentionOptions.causal()
                .withScale(0.5)
                .withSoftcap(30)
                .withAlibi(1, 0.5f)
                .withKeyLengths(3, 0);
        assertThat(options.mask()).isEqualTo(Mask.causal());
        assertThat(options.scaleFor(64)).isEqualTo(0.5);
        assertThat(options.softcap()).isEqualTo(30);
        assertThat(options.alibiSlope(1)).isEqualTo(0.5f);
        assertThat(options.keyLength(1, 9)).isZero();
        assertThat(options).hasToString("scale=0.5, mask=causal, softcap=30.0, alibi=[1.0, 0.5], keyLengths=[3, 0]");
        assertThat(options.withWindow(4, 2).withCausal().mask()).isEqualTo(Mask.window(4, 0));
        assertThat(options.withDefaultScale()
                        .withMask(Mask.none())
                        .withSoftcap(0)
                        .withoutAlibi()
                        .withoutKeyLengths())
                .isEqualTo(AttentionOptions.defaults());
    }

    @Test
    void arraysGoInAndOutAsCopies() {
        float[] slopes = {1, 2};
        int[] lengths = {3, 4};
        AttentionOptions options = AttentionOptions.defaults().withAlibi(slopes).withKeyLengths(lengths);
        AttentionOptions same = AttentionOptions.defaults().withAlibi(1, 2).withKeyLengths(3, 4);
        slopes[0] = 9;
        lengths[0] = 9;
        options.alibiSlopes()[1] = 9;
        options.keyLengths()[1] = 9;
        assertThat(options).isEqualTo(same).hasSameHashCodeAs(same);
        assertThat(options).isNotEqualTo(same.withKeyLengths(3, 5)).isNotEqualTo(same.withAlibi(1, 3));
    }

    @Test
    void slopesAreThoseOfThePaper() {
        assertThat(AttentionOptions.alibiSlopes(8))
                .containsExactly(0.5f, 0.25f, 0.125f, 0.0625f, 0.03125f, 0.015625f, 0.0078125f, 0.00390625f);
        assertThat(AttentionOptions.alibiSlopes(1)).containsExactly(1 / 256f);
        float[] sixteen = AttentionOptions.alibiSlopes(16);
        assertThat((double) sixteen[0]).isCloseTo(Math.sqrt(0.5), within(1e-7));
        assertThat(sixteen[15]).isEqualTo(1 / 256f);
        // 12 heads: the 8 of 8 heads, then the 1st, 3rd, 5th and 7th of 16.
        assertThat(AttentionOptions.alibiSlopes(12))
                .startsWith(AttentionOptions.alibiSlopes(8))
                .endsWith(sixteen[0], sixteen[2], sixteen[4], sixteen[6]);
        assertThatIllegalArgumentException().isThrownBy(() -> AttentionOptions.alibiSlopes(0));
    }

    @ParameterizedTest
    @ValueSource(doubles = {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, 1e39, -1e300})
    void numbersThatF32CannotHoldAreRefused(double value) {
        AttentionOptions options = AttentionOptions.defaults();
        assertThatIllegalArgumentException()
                .isThrownBy(() -> options.withScale(value))
                .withMessageContaining("scale is " + value)
                .withMessageContaining("finite F32 number");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> options.withSoftcap(value))
                .withMessageContaining("softcap is " + value);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> options.withAlibi(1, (float) value))
                .withMessageContaining("slope of head 1");
    }

    static Stream<Runnable> mistakes() {
        AttentionOptions options = AttentionOptions.defaults();
        return Stream.of(
                () -> options.withSoftcap(-1),
                () -> options.withSoftcap(1e-45),
                () -> options.withSoftcap(Double.MIN_VALUE),
                () -> options.withKeyLengths(3, -1),
                options::withKeyLengths,
                options::withAlibi,
                () -> options.withKeyLengths((int[]) null),
                () -> options.withAlibi((float[]) null),
                () -> options.withMask(null),
                () -> options.withWindow(-2, 0));
    }

    @ParameterizedTest
    @MethodSource("mistakes")
    void mistakesAreRefused(Runnable mistake) {
        assertThatIllegalArgumentException().isThrownBy(mistake::run).withMessageMatching(".+: .+\\.");
    }

    @Test
    void scalesMayBeZeroOrNegative() {
        assertThat(AttentionOptions.defaults().withScale(-2).scaleFor(64)).isEqualTo(-2);
        assertThat(AttentionOptions.defaults().withScale(0).scaleFor(64)).isZero();
    }
}
