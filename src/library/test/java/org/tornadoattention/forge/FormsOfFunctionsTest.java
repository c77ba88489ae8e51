package org.tornadoattention.forge;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.Mask;
import org.tornadoattention.function.UserFunctions;
import org.tornadoattention.kernel.TiledFlashAttention;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;

/** TornadoVM keeps what it compiled, so the number of forms must not grow with the number of problems. */
class FormsOfFunctionsTest {

    private static final Kernel TILED = Kernel.of(TiledFlashAttention.class);

    private static AttentionOptions options(FloatArray table, int n) {
        return AttentionOptions.defaults()
                .withScore((s, b, h, i, j) -> s + table.get(j - i + n))
                .withMask(Mask.of((b, h, i, j) -> table.get(j) > 0));
    }

    private static ForgedKernel forge(AttentionOptions options, boolean half) {
        Map<String, Class<?>> arrays = half
                ? Map.of(
                        "query", HalfFloatArray.class,
                        "key", HalfFloatArray.class,
                        "value", HalfFloatArray.class,
                        "output", HalfFloatArray.class)
                : Map.of();
        return KernelForge.forge(new Form(
                TILED, arrays, Map.of(), Map.of(), UserFunctions.of(options).form()));
    }

    /** Other arrays of other lengths, made by the same lines: one form for each type of tensors. */
    @Test
    void tenThousandProblemsHaveTwoForms() {
        List<ClassLoader> loaders = new ArrayList<>();
        List<ForgedKernel> held = new ArrayList<>();
        for (int problem = 0; problem < 10_000; problem++) {
            ForgedKernel kernel = forge(options(new FloatArray(1 + problem % 100), 5), problem % 2 == 0);
            held.add(kernel);
            if (!loaders.contains(kernel.loader())) {
                loaders.add(kernel.loader());
            }
        }
        assertThat(loaders).hasSize(2);
        assertThat(held).hasSize(10_000);
    }

    @Test
    void anotherNumberIsAnotherForm() {
        FloatArray table = new FloatArray(9);
        assertThat(forge(options(table, 5), false)).isSameAs(forge(options(table, 5), false));
        assertThat(forge(options(table, 5), false)).isNotSameAs(forge(options(table, 6), false));
    }

    /** Kernels are known again between runs by their class files; what a caller's functions read is in none. */
    @Test
    void onlyFormsWithoutFunctionsTellTheirClassFiles() throws ClassNotFoundException {
        String owner = TiledFlashAttention.class.getName();
        Class<?> plain = forge(AttentionOptions.defaults(), true).loader().loadClass(owner);
        Class<?> asking = forge(options(new FloatArray(9), 5), true).loader().loadClass(owner);
        assertThat(KernelForge.classFiles(plain))
                .hasValueSatisfying(files -> assertThat(files).containsKey(owner));
        assertThat(KernelForge.classFiles(asking)).isEmpty();
        assertThat(KernelForge.classFiles(TiledFlashAttention.class)).hasValue(Map.of());
        assertThat(KernelForge.classFiles(FormsOfFunctionsTest.class)).isEmpty();
        assertThat(KernelForge.classFiles(String.class)).isEmpty();
    }
}
