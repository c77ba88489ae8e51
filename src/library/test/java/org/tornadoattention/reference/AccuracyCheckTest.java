package org.tornadoattention.reference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.Gradients;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

class AccuracyCheckTest {
    private static final float NEVER = Float.NEGATIVE_INFINITY;
    private static final Tolerance TWICE = new Tolerance(2, 0.01);

    @Test
    void theLimitIsTheRuleOfTheField() {
        double[] reference = {1, -4, 2};
        Comparison comparison =
                TWICE.compare("o", new float[] {1.5f, -4, 2}, reference, new float[] {1, -4.25f, 2.125f});
        assertThat(comparison.maxError()).isEqualTo(0.5);
        assertThat(comparison.naiveError()).isEqualTo(0.25);
        assertThat(comparison.limit()).isEqualTo(2 * 0.25 + 0.01 * 4);
        assertThat(comparison.passed()).isTrue();
        assertThat(comparison.worstIndex()).isZero();
        assertThat(comparison.rmse()).isCloseTo(0.5 / Math.sqrt(3), within(1e-15));
        assertThat(comparison.relativeError()).isCloseTo(0.5 / Math.sqrt(21), within(1e-15));
        assertThat(comparison)
                .hasToString("o: max error 5.00e-01 of 5.40e-01 allowed (naive 2.50e-01), relative 1.09e-01");

        Comparison failed = TWICE.compare("o", new float[] {1, -4, 2.6f}, reference, new float[] {1, -4.25f, 2});
        assertThat(failed.passed()).isFalse();
        assertThat(failed.toString()).contains("element 2 is 2.5", "expected 2.0");
        assertThat(TWICE.withFactor(5)
                        .compare("o", new float[] {1, -4, 2.6f}, reference, new float[] {1, -4.25f, 2})
                        .passed())
                .isTrue();
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    void numbersThatAreNoneNeverPassForFiniteOnes(float value) {
        Comparison comparison = TWICE.compare("o", new float[] {1, value}, new double[] {1, 1}, new float[] {1, 1});
        assertThat(comparison.passed()).isFalse();
        assertThat(comparison.worstIndex()).isEqualTo(1);
        assertThat(comparison.worstValue()).isEqualTo(Double.valueOf(value));
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, -1e30f, 0})
    void minusInfinityMustBeMinusInfinity(float value) {
        double[] reference = {1, Double.NEGATIVE_INFINITY};
        assertThat(TWICE.compare("lse", new float[] {1, NEVER}, reference, new float[] {1, NEVER})
                        .passed())
                .isTrue();
        assertThat(TWICE.compare("lse", new float[] {1, value}, reference, new float[] {1, NEVER})
                        .passed())
                .isFalse();
    }

    @Test
    void aNaNInTheReferenceNeverPasses() {
        assertThat(TWICE.compare("o", new float[] {Float.NaN}, new double[] {Double.NaN}, new float[] {1})
                        .passed())
                .isFalse();
        assertThat(TWICE.compare("o", new float[] {1}, new double[] {Double.NaN}, new float[] {1})
                        .passed())
                .isFalse();
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    void aBrokenYardstickDoesNotLoosenTheLimit(float naive) {
        Comparison comparison = TWICE.compare("o", new float[] {1.1f}, new double[] {1}, new float[] {naive});
        assertThat(comparison.limit()).isEqualTo(0.01);
        assertThat(comparison.passed()).isFalse();
    }

    @Test
    void nothingIsAsItShouldBe() {
        Comparison comparison = TWICE.compare("o", new float[0], new double[0], new float[0]);
        assertThat(comparison.passed()).isTrue();
        assertThat(comparison.worstIndex()).isEqualTo(-1);
        assertThat(comparison.rmse()).isZero();
        assertThat(comparison.relativeError()).isZero();
    }

    @Test
    void arraysOfDifferentLengthsAndSenselessRulesAreRefused() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> TWICE.compare("o", new float[2], new double[3], new float[3]))
                .withMessageContaining("o: 2 values and 3 reference values");
        assertThatIllegalArgumentException().isThrownBy(() -> new Tolerance(-1, 0));
        assertThatIllegalArgumentException().isThrownBy(() -> new Tolerance(2, Double.NaN));
    }

    @Test
    void floorsAndFactorsAreThoseOfTheField() {
        assertThat(Tolerance.forward(DType.F32)).isEqualTo(new Tolerance(2, 1e-5));
        assertThat(Tolerance.forward(DType.F16)).isEqualTo(new Tolerance(2, 2e-4));
        assertThat(Tolerance.gradients(DType.BF16)).isEqualTo(new Tolerance(3, 2e-3));
    }

    @ParameterizedTest
    @EnumSource
    void roundedExactResultsPassAndOneWrongElementFails(DType dtype) {
        Tensor q = Tensor.random(dtype, 1, 2, 4, 9, 16);
        Tensor k = Tensor.random(dtype, 2, 2, 2, 13, 16);
        Tensor v = Tensor.random(dtype, 3, 2, 2, 13, 16);
        Tensor dO = Tensor.random(dtype, 4, 2, 4, 9, 16);
        AttentionOptions options = AttentionOptions.causal().withKeyLengths(13, 4);
        AccuracyCheck check = AccuracyCheck.of(q, k, v, dO, options);
        Tensor output = Tensor.of(dtype, narrowed(check.reference().output()), q.shape());
        Tensor logSumExp = Tensor.of(narrowed(check.reference().logSumExp()), 2, 4, 9);
        var exact = ReferenceAttention.backward(q, k, v, dO, options);
        Gradients gradients = Gradients.of(
                Tensor.of(dtype, narrowed(exact.dQ()), q.shape()),
                Tensor.of(dtype, narrowed(exact.dK()), k.shape()),
                Tensor.of(dtype, narrowed(exact.dV()), v.shape()));

        List<Comparison> forward = check.forward(output, logSumExp);
        assertThat(forward).extracting(Comparison::name).containsExactly("o", "lse");
        assertThat(forward).allMatch(Comparison::passed);
        assertThat(check.gradients(gradients)).extracting(Comparison::name).containsExactly("dq", "dk", "dv");
        assertThat(check.gradients(gradients)).allMatch(Comparison::passed);
        assertThat(check.naive().output()).hasSize(output.numberOfElements());

        output.setFlat(700, output.getFlat(700) + 0.1f);
        gradients.dV().setFlat(5, Float.NaN);
        assertThat(check.forward(output, logSumExp))
                .extracting(Comparison::passed)
                .containsExactly(false, true);
        assertThat(check.gradients(gradients)).extracting(Comparison::passed).containsExactly(true, true, false);
    }

    @Test
    void productsOf8BitsAreJudgedByTheirOwnRule() {
        Tensor q = Tensor.random(DType.F16, 1, 1, 2, 40, 32);
        AccuracyCheck check = AccuracyCheck.of(q, q, q, AttentionOptions.causal());
        var rounded = NaiveAttention.forwardFp8(q, q, q, AttentionOptions.causal());
        Tensor output = Tensor.of(DType.F16, rounded.output(), q.shape());
        Tensor logSumExp = Tensor.of(rounded.logSumExp(), 1, 2, 40);
        assertThat(check.ofProducts(false)).isSameAs(check);
        assertThat(check.forward(output, logSumExp).getFirst().passed()).isFalse();
        assertThat(check.ofProducts(true).forward(output, logSumExp)).allMatch(Comparison::passed);
        assertThat(check.ofProducts(true).naive().output()).isEqualTo(rounded.output());
        output.setFlat(70, output.getFlat(70) + 2);
        assertThat(check.ofProducts(true).forward(output, logSumExp).getFirst().passed())
                .isFalse();
    }

    @Test
    void wrongShapesAndMissingGradientsAreNamed() {
        Tensor q = Tensor.random(DType.F32, 1, 1, 1, 2, 4);
        AccuracyCheck check = AccuracyCheck.of(q, q, q, AttentionOptions.defaults());
        assertThatIllegalArgumentException()
                .isThrownBy(() -> check.forward(q, q))
                .withMessage("lse is F32[1, 1, 2, 4]: its shape must be [1, 1, 2].");
        assertThatIllegalStateException()
                .isThrownBy(() -> check.gradients(Gradients.of(q, q, q)))
                .withMessageContaining("dO");
    }

    private static float[] narrowed(double[] values) {
        float[] narrow = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            narrow[i] = (float) values[i];
        }
        return narrow;
    }
}
