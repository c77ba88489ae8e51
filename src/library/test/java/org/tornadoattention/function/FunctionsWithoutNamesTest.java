package org.tornadoattention.function;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeModel;
import java.lang.classfile.instruction.LocalVariable;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.BlockMask;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.MaskFunction;
import org.tornadoattention.ScoreFunction;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.Backward;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Functions whose class was compiled by {@code javac} as it comes, or with {@code -g:none}: TornadoVM wants the names
 * of variables of a kernel, and of nothing that the kernel calls.
 */
class FunctionsWithoutNamesTest {

    private static final String SOURCE = """
            import org.tornadoattention.MaskFunction;
            import org.tornadoattention.ScoreFunction;
            import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

            public class Nameless {
                private static float helper(float s, int distance, FloatArray table) {
                    float weight = table.get(distance & 7);
                    float sum = 0;
                    for (int n = 0; n < 3; n++) {
                        sum += weight * n;
                    }
                    return distance > 3 ? s + 0.1f * sum : s * 0.5f;
                }

                public static ScoreFunction score(FloatArray table) {
                    return (s, b, h, i, j) -> {
                        float changed = helper(s, j - i, table);
                        return changed + 0.25f * h;
                    };
                }

                public static MaskFunction mask() {
                    return (b, h, i, j) -> {
                        int distance = i - j;
                        boolean near = distance < 9 && distance > -9;
                        return near || j < 3;
                    };
                }
            }
            """;

    @TempDir
    private static Path directory;

    private static URLClassLoader loader;
    private static Class<?> nameless;

    @BeforeAll
    static void compile() throws IOException, ReflectiveOperationException {
        Path source = directory.resolve("Nameless.java");
        Files.writeString(source, SOURCE);
        String path = System.getProperty("java.class.path")
                + System.getProperty("path.separator")
                + System.getProperty("jdk.module.path", "");
        int failed = ToolProvider.getSystemJavaCompiler()
                .run(
                        null,
                        null,
                        null,
                        "-g:none",
                        "-proc:none",
                        "-cp",
                        path,
                        "-d",
                        directory.toString(),
                        source.toString());
        assertThat(failed).isZero();
        boolean named = ClassFile.of().parse(directory.resolve("Nameless.class")).methods().stream()
                .flatMap(method -> method.code().stream())
                .flatMap(CodeModel::elementStream)
                .anyMatch(LocalVariable.class::isInstance);
        assertThat(named).as("the class has names of variables").isFalse();
        loader = new URLClassLoader(
                new URL[] {directory.toUri().toURL()}, FunctionsWithoutNamesTest.class.getClassLoader());
        nameless = loader.loadClass("Nameless");
    }

    @AfterAll
    static void close() throws IOException {
        loader.close();
    }

    static Stream<AttentionKernel> kernels() {
        return Stream.of(AttentionKernel.values())
                .filter(kernel -> kernel.spec().functions() && TestDevice.tries(kernel));
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void areWhatTheOracleComputes(AttentionKernel kernel) throws ReflectiveOperationException {
        FloatArray table = FloatArray.fromElements(-1, 0.5f, 0.25f, 1, -0.75f, 2, 0, 1.5f);
        ScoreFunction score =
                (ScoreFunction) nameless.getMethod("score", FloatArray.class).invoke(null, table);
        MaskFunction mask = (MaskFunction) nameless.getMethod("mask").invoke(null);
        AttentionOptions options = AttentionOptions.defaults()
                .withScore(score)
                .withMask(Mask.blocks(BlockMask.of(mask, 1, 1, 37, 53, 8, 8)).or(Mask.of(mask)));
        DType dtype = kernel.supports(DType.F32) ? DType.F32 : DType.F16;
        Tensor q = Tensor.random(dtype, 1, 1, 2, 37, 16);
        Tensor k = Tensor.random(dtype, 2, 1, 2, 53, 16);
        Tensor v = Tensor.random(dtype, 3, 1, 2, 53, 16);
        Tensor dOut = Tensor.random(dtype, 4, 1, 2, 37, 16);
        AccuracyCheck check = AccuracyCheck.of(q, k, v, dOut, options);
        try (FlashAttention attention = FlashAttention.on(TestDevice.of(kernel), kernel)) {
            AttentionResult result = attention.forward(q, k, v, options);
            assertThat(check.forward(result.output(), result.logSumExp())).allMatch(Comparison::passed);
            if (kernel.spec().backward() instanceof Backward.Own) {
                assertThat(check.gradients(attention.backward(result, dOut))).allMatch(Comparison::passed);
            }
        }
    }
}
