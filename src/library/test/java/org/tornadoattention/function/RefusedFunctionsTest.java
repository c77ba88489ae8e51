package org.tornadoattention.function;

import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.math.RoundingMode;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.ScoreFunction;
import org.tornadoattention.TestDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * What cannot become part of a kernel is refused before anything is compiled, with the method, the line and what to do.
 */
class RefusedFunctionsTest {

    private static final int[] TABLE = {1, 2};

    private static final FloatArray ARRAY = new FloatArray(2);

    private static float changing = 2;

    private final float factor = Float.parseFloat("3");

    /** A class of functions. */
    private record Scaled(float by) implements ScoreFunction {
        @Override
        public float apply(float score, int batch, int head, int query, int key) {
            return by * score;
        }
    }

    private static float recursive(float s, int left) {
        return left == 0 ? s : recursive(s, left - 1);
    }

    private static float unbounded(float s) {
        float x = s;
        while (x > 1) {
            x *= 0.5f;
        }
        return x;
    }

    private static float asserting(float score) {
        assert score > 0;
        return score;
    }

    private static float caught(float s, int i) {
        try {
            return s / (1 / i);
        } catch (ArithmeticException e) {
            return s;
        }
    }

    private static float thrown(float s) {
        if (s > 9) {
            throw new IllegalStateException();
        }
        return s;
    }

    private static float ofObject(float s, Integer number) {
        return s;
    }

    private static float ofNothing(float s) {
        nothing();
        return s;
    }

    private static void nothing() {}

    private static RoundingMode mode(int i) {
        return i > 0 ? RoundingMode.UP : RoundingMode.DOWN;
    }

    private static float locked(float s, FloatArray lock) {
        synchronized (lock) {
            return s;
        }
    }

    private float own(float s, int b, int h, int i, int j) {
        return factor * s;
    }

    private static Map<String, ScoreFunction> refused(RefusedFunctionsTest test) {
        float[] array = {1, 2};
        StringBuilder text = new StringBuilder("x");
        Map<String, ScoreFunction> refused = new LinkedHashMap<>();
        refused.put("captured an object of class [F: capture an array of TornadoVM's", (s, b, h, i, j) -> s + array[0]);
        refused.put("captured an object of class java.lang.StringBuilder", (s, b, h, i, j) -> s + text.length());
        refused.put("is an object of a class: write it as a lambda", new Scaled(2));
        refused.put("own, RefusedFunctionsTest.java:", test::own);
        refused.put("makes an array", (s, b, h, i, j) -> s + new float[] {1, 2}[i % 2]);
        refused.put("makes an object of class StringBuilder", (s, b, h, i, j) -> s + new StringBuilder(i).capacity());
        refused.put("makes an object of class FloatArray", (s, b, h, i, j) -> s + new FloatArray(1).get(0));
        refused.put("has a constant that is no number", (s, b, h, i, j) -> s + "abc".length());
        refused.put("uses the field RefusedFunctionsTest.changing", (s, b, h, i, j) -> s * changing);
        refused.put("calls itself", (s, b, h, i, j) -> recursive(s, i));
        refused.put("has a loop whose end is not known", (s, b, h, i, j) -> unbounded(s));
        refused.put("catches an exception", (s, b, h, i, j) -> caught(s, i));
        refused.put("makes an object of class IllegalStateException", (s, b, h, i, j) -> thrown(s));
        refused.put("calls Math.cbrt(double)", (s, b, h, i, j) -> (float) Math.cbrt(s));
        refused.put("calls Integer.bitCount(int)", (s, b, h, i, j) -> s + Integer.bitCount(i));
        Float boxed = 0.5f;
        refused.put("capture a number, such as a float, not the object", (s, b, h, i, j) -> s + boxed);
        refused.put("makes an assertion: leave it out", (s, b, h, i, j) -> asserting(s));
        refused.put("makes a string: compute", (s, b, h, i, j) -> s + ("" + i).length());
        refused.put("makes another function: call a static method", (s, b, h, i, j) -> {
            DoubleUnaryOperator twice = x -> 2 * x;
            return (float) twice.applyAsDouble(s);
        });
        ScoreFunction another = (s, b, h, i, j) -> 2 * s;
        refused.put(
                "static methods of its own class, not another lambda", (s, b, h, i, j) -> another.apply(s, b, h, i, j));
        refused.put("calls Integer.valueOf(int): compute with numbers", (s, b, h, i, j) -> ofObject(s, i));
        Integer object = 7;
        refused.put("takes an object of class Integer: capture a number", (s, b, h, i, j) -> ofObject(s, object));
        refused.put("gives nothing back: have it return a number", (s, b, h, i, j) -> ofNothing(s));
        refused.put("gives back an object of class RoundingMode", (s, b, h, i, j) -> s + mode(i).ordinal());
        refused.put("RoundingMode.UP: it is an object", (s, b, h, i, j) -> s + RoundingMode.UP.ordinal());
        refused.put("TABLE: copy it into an array of TornadoVM's", (s, b, h, i, j) -> s + TABLE[i]);
        refused.put("ARRAY: copy it into a local variable", (s, b, h, i, j) -> s + ARRAY.get(i));
        FloatArray written = new FloatArray(1);
        refused.put("functions only read arrays", (s, b, h, i, j) -> {
            written.set(0, s);
            return s;
        });
        refused.put("has a synchronized block: kernels have no locks", (s, b, h, i, j) -> locked(s, written));
        refused.put("clamp (of whole numbers)", (s, b, h, i, j) -> Math.clamp(s, -1f, 1f));
        refused.put("Math and TornadoMath abs, acos", (s, b, h, i, j) -> s + Math.floorMod(i - j, 3));
        refused.put(
                "captured null",
                new Object() {
                    private ScoreFunction of(FloatArray none) {
                        return (s, b, h, i, j) -> s + none.get(i);
                    }
                }.of(null));
        return refused;
    }

    /** Whose lambda needs the object that it is made in. */
    private final class Inner {
        private final ScoreFunction captured = (s, b, h, i, j) -> s * factor;
    }

    static Stream<Arguments> functions() {
        RefusedFunctionsTest test = new RefusedFunctionsTest();
        Map<String, ScoreFunction> refused = refused(test);
        refused.put("uses an object (this", test.new Inner().captured);
        return refused.entrySet().stream().map(entry -> Arguments.of(entry.getKey(), entry.getValue()));
    }

    @ParameterizedTest
    @MethodSource("functions")
    void areRefusedByName(String message, ScoreFunction function) {
        Tensor x = Tensor.random(DType.F32, 1, 1, 1, 4, 8);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.forward(
                            x, x, x, AttentionOptions.defaults().withScore(function)))
                    .withMessageContaining(message)
                    .withMessageMatching("(?s)The score function \\(.*, RefusedFunctionsTest\\.java:\\d+\\) .*: .*\\.");
        }
    }

    @ParameterizedTest
    @MethodSource("lines")
    void theLineIsNamed(String method, ScoreFunction function) {
        Tensor x = Tensor.random(DType.F32, 1, 1, 1, 4, 8);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.forward(
                            x, x, x, AttentionOptions.defaults().withScore(function)))
                    .withMessageMatching(
                            ".*\\(RefusedFunctionsTest\\." + method + ", RefusedFunctionsTest\\.java:\\d+\\).*");
        }
    }

    static Stream<Arguments> lines() {
        ScoreFunction loop = (s, b, h, i, j) -> unbounded(s);
        ScoreFunction exception = (s, b, h, i, j) -> thrown(s);
        ScoreFunction itself = (s, b, h, i, j) -> recursive(s, i);
        ScoreFunction handler = (s, b, h, i, j) -> caught(s, i);
        return Stream.of(
                Arguments.of("unbounded", loop),
                Arguments.of("thrown", exception),
                Arguments.of("recursive", itself),
                Arguments.of("caught", handler));
    }

    @Test
    void masksToo() {
        AttentionOptions options = AttentionOptions.defaults().withMask(Mask.of((b, h, i, j) -> recursive(1, i) > 0));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> UserFunctions.of(options))
                .withMessageContaining("The mask function (");
    }
}
