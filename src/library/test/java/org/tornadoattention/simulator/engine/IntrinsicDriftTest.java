package org.tornadoattention.simulator.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.invoke.MethodType;
import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.intrinsic.Bits;
import org.tornadoattention.intrinsic.Turn;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpBarrier;
import org.tornadoattention.intrinsic.WarpGroup;

/** The simulator knows the library's intrinsics by name only; here the two are compared. */
class IntrinsicDriftTest {

    private record Pair(Class<?> library, Class<?> simulator) {}

    private static Stream<Pair> pairs() {
        return Stream.of(
                new Pair(Warp.class, WarpIntrinsics.class),
                new Pair(WarpGroup.class, WarpGroupIntrinsics.class),
                new Pair(WarpBarrier.class, WarpBarrierIntrinsics.class),
                new Pair(Turn.class, TurnIntrinsics.class));
    }

    /** What is no arithmetic in Java throws outside of kernels; just that must the simulator replace. */
    @ParameterizedTest
    @MethodSource("pairs")
    void theSimulatorReplacesWhatIsNotPlainJava(Pair pair) {
        List<String> notJava = publicMethods(pair.library)
                .filter(IntrinsicDriftTest::throwsOutsideOfKernels)
                .map(IntrinsicDriftTest::signature)
                .sorted()
                .toList();
        assertThat(publicMethods(pair.simulator)
                        .map(IntrinsicDriftTest::signature)
                        .sorted()
                        .toList())
                .isNotEmpty()
                .isEqualTo(notJava);
    }

    @ParameterizedTest
    @MethodSource("pairs")
    void theConstantsAreTheSame(Pair pair) throws IllegalAccessException {
        assertThat(constants(pair.simulator)).isEqualTo(constants(pair.library));
        assertThat(constants(pair.library).isEmpty()).isEqualTo(pair.library == Turn.class);
    }

    @Test
    void theSimulatorDecodesWhatTheLibraryEncodes() {
        for (int type : new int[] {Warp.F16, Warp.BF16, Warp.E4M3}) {
            assertThat(IntStream.range(0, 1 << Operand.bits(type)))
                    .as("type %d", type)
                    .allSatisfy(bits ->
                            assertThat(Operand.decode(type, bits)).isEqualTo(Float.valueOf(Bits.decode(type, bits))));
        }
        int[] floats = {0, 0x3f801000, 0x3f800fff, 0x3f802fff, 0xbf803000, 0x7f7fffff, 0x7f800000, 0x7fc00001, 1, 0x1fff
        };
        assertThat(Arrays.stream(floats))
                .allSatisfy(bits -> assertThat(Operand.decode(Warp.TF32, bits))
                        .isEqualTo(Float.valueOf(Bits.roundToTF32(Float.intBitsToFloat(bits)))));
    }

    private static Stream<Method> publicMethods(Class<?> type) {
        return Arrays.stream(type.getDeclaredMethods()).filter(method -> Modifier.isPublic(method.getModifiers()));
    }

    private static String signature(Method method) {
        return method.getName()
                + MethodType.methodType(method.getReturnType(), method.getParameterTypes())
                        .descriptorString();
    }

    private static boolean throwsOutsideOfKernels(Method method) {
        Object[] zeros = Arrays.stream(method.getParameterTypes())
                .map(type -> type.isPrimitive() ? Array.get(Array.newInstance(type, 1), 0) : null)
                .toArray();
        try {
            method.invoke(null, zeros);
            return false;
        } catch (InvocationTargetException e) {
            assertThat(e.getCause()).isInstanceOf(IllegalStateException.class);
            return true;
        } catch (IllegalAccessException e) {
            throw new AssertionError(e);
        }
    }

    private static Map<String, Object> constants(Class<?> type) throws IllegalAccessException {
        Map<String, Object> constants = new TreeMap<>();
        for (Field field : type.getDeclaredFields()) {
            if (Modifier.isStatic(field.getModifiers()) && !Modifier.isPrivate(field.getModifiers())) {
                field.setAccessible(true);
                constants.put(field.getName(), field.get(null));
            }
        }
        return constants;
    }
}
