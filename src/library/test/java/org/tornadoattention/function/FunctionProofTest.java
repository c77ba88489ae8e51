package org.tornadoattention.function;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassTransform;
import java.lang.classfile.instruction.ConstantInstruction;
import java.util.function.Supplier;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.TestDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** A function that the device computes otherwise than the JVM raises, and never yields a number. */
class FunctionProofTest {

    private static final String NAME = Planted.class.getName();

    /** Defines the class as it is, and serves its file with another number in it. */
    private static final class TwoFaced extends ClassLoader {

        private final boolean altered;

        TwoFaced(boolean altered) {
            super(Planted.class.getClassLoader());
            this.altered = altered;
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (!name.equals(NAME) || findLoadedClass(name) != null) {
                return super.loadClass(name, resolve);
            }
            byte[] bytes = original();
            return defineClass(name, bytes, 0, bytes.length);
        }

        private static byte[] original() {
            try (InputStream stream = Planted.class.getResourceAsStream("Planted.class")) {
                return stream.readAllBytes();
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        }

        @Override
        public InputStream getResourceAsStream(String name) {
            if (!name.equals(NAME.replace('.', '/') + ".class")) {
                return super.getResourceAsStream(name);
            }
            ClassTransform change = ClassTransform.transformingMethodBodies((code, element) -> {
                if (altered
                        && element instanceof ConstantInstruction constant
                        && constant.constantValue().equals(7.5f)) {
                    code.loadConstant(8.75f);
                } else {
                    code.with(element);
                }
            });
            return new ByteArrayInputStream(
                    ClassFile.of().transformClass(ClassFile.of().parse(original()), change));
        }
    }

    private static AttentionResult forward(int which, boolean altered) throws ReflectiveOperationException {
        Supplier<?> functions = (Supplier<?>)
                new TwoFaced(altered).loadClass(NAME).getConstructor().newInstance();
        AttentionOptions options = ((AttentionOptions[]) functions.get())[which];
        Tensor x = Tensor.random(DType.F32, 1, 1, 1, 30, 8);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            return attention.forward(x, x, x, options);
        }
    }

    /** Of a score function and of a mask function, whose planted numbers differ at some pairs only. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void aMiscompiledFunctionRaises(int which) throws ReflectiveOperationException {
        assertThat(forward(which, false).output().toFloatArray()).doesNotContain(Float.NaN);
        assertThatThrownBy(() -> forward(which, true))
                .isInstanceOf(AttentionException.class)
                .hasMessageContaining("computes another function than was written: for score")
                .hasMessageMatching("(?s).*, query \\d+ and key \\d+ the score is .* there and .* on the JVM.*");
    }

    /** Past the end of an array a device reads anything; so the JVM is asked first. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aFunctionThatThrowsIsToldBeforeADeviceRunsIt(boolean isMask) {
        FloatArray few = FloatArray.fromElements(1, 2, 3);
        AttentionOptions options = isMask
                ? AttentionOptions.defaults().withMask(Mask.of((b, h, i, j) -> few.get(j) > 2))
                : AttentionOptions.defaults().withScore((s, b, h, i, j) -> s * few.get(i));
        Tensor x = Tensor.random(DType.F32, 1, 1, 1, 30, 8);
        try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> attention.forward(x, x, x, options))
                    .withMessageMatching("(?s)The functions of the options throw \\w*IndexOutOfBoundsException"
                            + " \\(FunctionProofTest\\.java:\\d+\\) on the JVM, for score .*, query \\d+ and key \\d+, when asked"
                            + " for the score\\..*");
        }
    }
}
