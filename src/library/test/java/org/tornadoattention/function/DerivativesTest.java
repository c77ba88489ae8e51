package org.tornadoattention.function;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Gradients;
import org.tornadoattention.ScoreFunction;
import org.tornadoattention.Scores;
import org.tornadoattention.TestDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The derivatives that are found by rewriting bytecode, against central differences in float64 of the same formula,
 * written a second time: the oracle differentiates by the rewritten function too, so that it would not see a wrong one.
 */
class DerivativesTest {

    private static final int BATCH = 1;
    private static final int HEAD = 2;
    private static final int QUERY = 5;
    private static final int KEY = 3;

    /** Scores at both sides of every kink of the functions below, and at none of them. */
    private static final float[] SCORES = {-3.3f, -1.2f, -0.7f, -0.15f, 0.1f, 0.35f, 0.8f, 1.3f, 2.6f, 4.1f};

    /** Those in (0, 1), for functions with a domain. */
    private static final float[] FRACTIONS = {0.05f, 0.2f, 0.45f, 0.7f, 0.93f};

    private static final float[] ABOVE_ONE = {1.05f, 1.4f, 2.2f, 6};

    private record Case(ScoreFunction function, DoubleUnaryOperator formula, float... scores) {}

    private static float polynomial(float x, float a, int power) {
        float y = a;
        for (int k = 0; k < 4; k++) {
            y = y * x + k * power;
        }
        return y;
    }

    private static double wide(double x, double y) {
        double z = x * y;
        return z - y / (2 + x * x);
    }

    private static float steps(float s, int i) {
        switch (i % 4) {
            case 0:
                return s;
            case 1:
                s = 3 * s * s;
                break;
            default:
                s = -s;
        }
        return s + 1;
    }

    private static float leaky(float s, float slope) {
        if (s < 0) {
            return slope * s;
        }
        float t = s;
        if (s > 2) {
            t = t * t / 2;
        }
        return t;
    }

    private static float reused(float s, int i) {
        float sum = 0;
        {
            int count = i + 1;
            sum += count;
        }
        {
            float square = s * s;
            sum += square;
        }
        for (int k = 0; k < 3; k++) {
            float before = sum;
            sum = s;
            s = 0.5f * before;
        }
        return sum + s;
    }

    private static float handedOn(float s) {
        float x = s;
        float y = 1;
        for (int k = 0; k < 3; k++) {
            float before = x;
            x = y + 0.5f * x;
            y = before;
        }
        return x;
    }

    private static Map<String, Case> arithmetic() {
        Map<String, Case> cases = new LinkedHashMap<>();
        FloatArray table = FloatArray.fromElements(0.5f, -1.25f, 2, 0.75f, -0.5f, 1.5f, 3, -2);
        int n = 7;
        float factor = 0.3f;
        double precise = 0.1;
        cases.put("identity", new Case((s, b, h, i, j) -> s, s -> s));
        cases.put("constant", new Case((s, b, h, i, j) -> i - j, s -> QUERY - KEY));
        cases.put("2 s", new Case((s, b, h, i, j) -> 2 * s, s -> 2 * s));
        cases.put("s - c", new Case((s, b, h, i, j) -> s - factor, s -> s - 0.3f));
        cases.put("c - s", new Case((s, b, h, i, j) -> factor - s, s -> 0.3f - s));
        cases.put("-s", new Case((s, b, h, i, j) -> -s, s -> -s));
        cases.put("s² - s", new Case((s, b, h, i, j) -> s * s - s, s -> s * s - s));
        cases.put("s / c", new Case((s, b, h, i, j) -> s / n, s -> s / 7));
        cases.put("c / s", new Case((s, b, h, i, j) -> n / s, s -> 7 / s));
        cases.put("quotient", new Case((s, b, h, i, j) -> (s + 1) / (s * s + 2), s -> (s + 1) / (s * s + 2)));
        cases.put(
                "s % c", new Case((s, b, h, i, j) -> 3 * s % 2.5f, s -> 3 * s % 2.5, -3.3f, -1.2f, -0.7f, 0.35f, 1.3f));
        cases.put("a table", new Case((s, b, h, i, j) -> s * table.get(i) + table.get(j), s -> s * 1.5f + 0.75f));
        cases.put(
                "in float64",
                new Case((s, b, h, i, j) -> (float) (precise * s * s - s / 3d), s -> 0.1 * s * s - s / 3));
        cases.put("to an int and back", new Case((s, b, h, i, j) -> s * (int) s, s -> s * (int) s));
        cases.put("loop", new Case((s, b, h, i, j) -> polynomial(s, 0.25f, j), s -> {
            double y = 0.25;
            for (int k = 0; k < 4; k++) {
                y = y * s + k * KEY;
            }
            return y;
        }));
        cases.put(
                "values handed on in a loop of constant end",
                new Case((s, b, h, i, j) -> handedOn(s), s -> 1.25 + 1.125 * s));
        cases.put("helper of a helper", new Case((s, b, h, i, j) -> polynomial(leaky(s, 0.2f), s, b), s -> {
            double x = s < 0 ? 0.2f * s : s > 2 ? s * s / 2 : s;
            double y = s;
            for (int k = 0; k < 4; k++) {
                y = y * x + k * BATCH;
            }
            return y;
        }));
        cases.put(
                "helper in float64",
                new Case((s, b, h, i, j) -> (float) wide(s, 3 * s), s -> 3 * s * s - 3 * s / (2 + s * s)));
        cases.put("choice", new Case((s, b, h, i, j) -> j <= i ? s * s : s, s -> s * s));
        cases.put("other choice", new Case((s, b, h, i, j) -> j > i ? s * s : 4, s -> 4));
        cases.put(
                "choice by the score",
                new Case((s, b, h, i, j) -> s > 0 && s < 1 ? s * s * s : -s, s -> s > 0 && s < 1 ? s * s * s : -s));
        cases.put(
                "nested choices",
                new Case(
                        (s, b, h, i, j) -> 2 * (s > 1 ? s : (h > 1 ? s * s : 7)) + (i > j ? 1 : s),
                        s -> 2 * (s > 1 ? s : s * s) + 1));
        cases.put("switch", new Case((s, b, h, i, j) -> steps(s, i), s -> 3 * s * s + 1));
        cases.put("other switch", new Case((s, b, h, i, j) -> steps(s, j), s -> 1 - s));
        cases.put(
                "switch's value",
                new Case(
                        (s, b, h, i, j) -> s
                                * switch (h) {
                                    case 0 -> 1;
                                    case 2 -> s;
                                    default -> 5;
                                },
                        s -> s * s));
        cases.put(
                "leaky", new Case((s, b, h, i, j) -> leaky(s, 0.01f), s -> s < 0 ? 0.01f * s : s > 2 ? s * s / 2 : s));
        cases.put("variables that change places", new Case((s, b, h, i, j) -> reused(s, i), s -> {
            double sum = QUERY + 1 + s * s;
            double t = s;
            for (int k = 0; k < 3; k++) {
                double before = sum;
                sum = t;
                t = 0.5 * before;
            }
            return sum + t;
        }));
        return cases;
    }

    private static Map<String, Case> mathematics() {
        Map<String, Case> cases = new LinkedHashMap<>();
        cases.put("exp", new Case((s, b, h, i, j) -> TornadoMath.exp(s / 2), s -> Math.exp(s / 2)));
        cases.put("Math.exp", new Case((s, b, h, i, j) -> (float) Math.exp(-s * s), s -> Math.exp(-s * s)));
        cases.put("log", new Case((s, b, h, i, j) -> TornadoMath.log(1 + s * s), s -> Math.log(1 + s * s)));
        cases.put(
                "softplus",
                new Case((s, b, h, i, j) -> (float) Math.log(1 + Math.exp(s)), s -> Math.log(1 + Math.exp(s))));
        cases.put("sqrt", new Case((s, b, h, i, j) -> TornadoMath.sqrt(3 + s * s), s -> Math.sqrt(3 + s * s)));
        cases.put("min", new Case((s, b, h, i, j) -> Math.min(s * s, 1 - s), s -> Math.min(s * s, 1 - s)));
        cases.put(
                "max",
                new Case(
                        (s, b, h, i, j) -> TornadoMath.max(0.5f, s) + Math.max(3 * s, 1),
                        s -> Math.max(0.5, s) + Math.max(3 * s, 1)));
        cases.put("abs", new Case((s, b, h, i, j) -> Math.abs(s - 1) * s, s -> Math.abs(s - 1) * s));
        cases.put("power", new Case((s, b, h, i, j) -> TornadoMath.pow(s, 3f), s -> s * s * s));
        cases.put("exponent", new Case((s, b, h, i, j) -> TornadoMath.pow(2.5f, s), s -> Math.pow(2.5, s)));
        cases.put("both", new Case((s, b, h, i, j) -> (float) Math.pow(s, 2 * s), s -> Math.pow(s, 2 * s), ABOVE_ONE));
        cases.put(
                "sin, cos",
                new Case(
                        (s, b, h, i, j) -> TornadoMath.sin(s) * TornadoMath.cos(2 * s),
                        s -> Math.sin(s) * Math.cos(2 * s)));
        cases.put("tan", new Case((s, b, h, i, j) -> TornadoMath.tan(s / 3), s -> Math.tan(s / 3)));
        cases.put("tanh", new Case((s, b, h, i, j) -> 3 * TornadoMath.tanh(s / 3), s -> 3 * Math.tanh(s / 3)));
        cases.put("Math.tanh", new Case((s, b, h, i, j) -> (float) (s * Math.tanh(s)), s -> s * Math.tanh(s)));
        cases.put(
                "asin, acos",
                new Case(
                        (s, b, h, i, j) -> TornadoMath.asin(s) * TornadoMath.acos(s * s),
                        s -> Math.asin(s) * Math.acos(s * s),
                        FRACTIONS));
        cases.put("atan", new Case((s, b, h, i, j) -> TornadoMath.atan(2 * s), s -> Math.atan(2 * s)));
        cases.put("atan2 (y)", new Case((s, b, h, i, j) -> TornadoMath.atan2(s, 0.5f), s -> Math.atan2(s, 0.5)));
        cases.put("atan2 (x)", new Case((s, b, h, i, j) -> TornadoMath.atan2(0.5f, s), s -> Math.atan2(0.5, s)));
        cases.put(
                "atan2 (both)",
                new Case((s, b, h, i, j) -> TornadoMath.atan2(s, s * s + 1), s -> Math.atan2(s, s * s + 1)));
        cases.put("asinh", new Case((s, b, h, i, j) -> TornadoMath.asinh(s), s -> Math.log(s + Math.sqrt(s * s + 1))));
        cases.put(
                "acosh",
                new Case((s, b, h, i, j) -> TornadoMath.acosh(s), s -> Math.log(s + Math.sqrt(s * s - 1)), ABOVE_ONE));
        cases.put(
                "sinpi, cospi",
                new Case(
                        (s, b, h, i, j) -> TornadoMath.sinpi(s) + 2 * TornadoMath.cospi(s / 3),
                        s -> Math.sin(Math.PI * s) + 2 * Math.cos(Math.PI * s / 3)));
        cases.put("toRadians", new Case((s, b, h, i, j) -> TornadoMath.toRadians(s * s), s -> s * s * Math.PI / 180));
        cases.put(
                "floor, ceil",
                new Case(
                        (s, b, h, i, j) -> s * TornadoMath.floor(s) + TornadoMath.ceil(s) * s * s,
                        s -> s * Math.floor(s) + Math.ceil(s) * s * s));
        cases.put("sigmoid", new Case((s, b, h, i, j) -> s / (1 + TornadoMath.exp(-s)), s -> s / (1 + Math.exp(-s))));
        return cases;
    }

    private static Map<String, Case> readyMade() {
        FloatArray table = new FloatArray(4 * 5 * 8 * 55);
        for (int i = 0; i < table.getSize(); i++) {
            table.set(i, (i * 37 % 64) / 32f - 1);
        }
        IntArray none = new IntArray(1);
        Map<String, Case> cases = new LinkedHashMap<>();
        cases.put("Scores.relative", new Case(Scores.relative(table, 2), s -> s));
        cases.put("Scores.t5", new Case(Scores.t5(table, 8, 20, true), s -> s));
        cases.put("Scores.relative2d", new Case(Scores.relative2d(table, 3, 6), s -> s));
        cases.put("Scores.alibi", new Case(Scores.alibi(table), s -> s));
        cases.put("Scores.softcap", new Case(Scores.softcap(1.5f), s -> 1.5 * Math.tanh(s / 1.5)));
        cases.put("of an empty array", new Case((s, b, h, i, j) -> s * none.getSize(), s -> s));
        return cases;
    }

    static Stream<Arguments> cases() {
        return Stream.of(arithmetic(), mathematics(), readyMade())
                .flatMap(cases -> cases.entrySet().stream())
                .map(entry -> Arguments.of(entry.getKey(), entry.getValue()));
    }

    /** (8 (f(s + h) − f(s − h)) − (f(s + 2h) − f(s − 2h))) / 12 h */
    private static double difference(DoubleUnaryOperator f, double s) {
        double h = 1e-3;
        return (8 * (f.applyAsDouble(s + h) - f.applyAsDouble(s - h))
                        - (f.applyAsDouble(s + 2 * h) - f.applyAsDouble(s - 2 * h)))
                / (12 * h);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void isTheFiniteDifference(String name, Case given) {
        ScoreFunction slope = ScoreSlope.of(given.function());
        for (float s : given.scores().length > 0 ? given.scores() : SCORES) {
            double expected = difference(given.formula(), s);
            assertThat((double) slope.apply(s, BATCH, HEAD, QUERY, KEY))
                    .as("d/ds at %s", s)
                    .isCloseTo(expected, within(2e-6 * Math.max(1, Math.abs(expected))));
        }
    }

    /** A derivative has the loops of its function: TornadoVM writes out those whose end is a constant. */
    @Test
    void valuesHandedOnInALoopOfConstantEndGoThroughADevice() {
        Tensor x = Tensor.random(DType.F32, 1, 1, 1, 6, 8);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            Gradients whole = attention.backward(
                    attention.forward(x, x, x, AttentionOptions.defaults().withScore((s, b, h, i, j) -> handedOn(s))),
                    x);
            Gradients plain = attention.backward(
                    attention.forward(x, x, x, AttentionOptions.defaults().withScore((s, b, h, i, j) -> 1.125f * s)),
                    x);
            assertThat(whole.dQ().toFloatArray()).containsExactly(plain.dQ().toFloatArray(), within(1e-5f));
        }
    }

    /** Every ready-made function is among the cases. */
    @Test
    void noneOfTheReadyMadeIsLeftOut() {
        assertThat(Stream.of(Scores.class.getDeclaredMethods())
                        .filter(method -> method.getReturnType() == ScoreFunction.class
                                && java.lang.reflect.Modifier.isPublic(method.getModifiers()))
                        .map(method -> "Scores." + method.getName()))
                .isNotEmpty()
                .allMatch(readyMade()::containsKey);
    }

    private static float gradient(ScoreFunction function) {
        Tensor x = Tensor.random(DType.F32, 1, 1, 1, 4, 8);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            AttentionResult result =
                    attention.forward(x, x, x, AttentionOptions.defaults().withScore(function));
            Gradients gradients = attention.backward(result, x);
            return gradients.dQ().get(0, 0, 1, 2);
        }
    }

    /** A derivative that was given is used, even a wrong one. */
    @Test
    void aGivenDerivativeWins() {
        float right = gradient((s, b, h, i, j) -> 2 * s);
        float given = gradient(ScoreFunction.withDerivative((s, b, h, i, j) -> 2 * s, (s, b, h, i, j) -> 2f));
        float other = gradient(ScoreFunction.withDerivative((s, b, h, i, j) -> 2 * s, (s, b, h, i, j) -> 6f));
        assertThat(right).isNotZero().isEqualTo(given);
        assertThat(other).isCloseTo(3 * right, within(1e-5f * Math.abs(right)));
    }

    @Test
    void whereThereIsNoneBackwardSaysSoAndForwardWorks() {
        Tensor x = Tensor.random(DType.F32, 1, 1, 1, 4, 8);
        AttentionOptions options = AttentionOptions.defaults().withScore((s, b, h, i, j) -> 2.5f % s);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            AttentionResult result = attention.forward(x, x, x, options);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.backward(result, x))
                    .withMessageContaining("The score function has no derivative: it takes a remainder")
                    .withMessageContaining("DerivativesTest.java:")
                    .withMessageContaining("ScoreFunction.withDerivative");
        }
    }
}
