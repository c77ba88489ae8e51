package org.tornadoattention.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.intrinsic.Reinterpret;
import org.tornadoattention.intrinsic.Turn;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpBarrier;
import org.tornadoattention.intrinsic.WarpGroup;

/**
 * Every intrinsic is registered with the compilers that have it; one that is not would be compiled as its Java body.
 * The registration is compiled with an SDK only, so its text is looked at, here as everywhere.
 */
class IntrinsicsTest {

    private static final Path REGISTRATION =
            Path.of("src/extension/main/java/org/tornadoattention/cuda/WarpPlugins.java");
    private static final Path OTHER_COMPILERS =
            Path.of("src/extension/main/java/org/tornadoattention/extension/ReinterpretPlugins.java");

    @ParameterizedTest
    @ValueSource(classes = {Warp.class, WarpGroup.class, WarpBarrier.class, Turn.class, Reinterpret.class})
    void everyIntrinsicIsRegistered(Class<?> owner) throws IOException {
        String text = Files.readString(REGISTRATION);
        Matcher call = Pattern.compile("\\b%s\\.class\\)\\.(\\w+)\\(\\);".formatted(owner.getSimpleName()))
                .matcher(text);
        assertThat(call.find()).isTrue();
        String part = text.substring(text.indexOf("private void %s()".formatted(call.group(1))));
        assertRegisters(part.substring(0, part.indexOf("\n    }\n")), owner);
    }

    @Test
    void soIsReinterpretWithOtherCompilers() throws IOException {
        assertRegisters(Files.readString(OTHER_COMPILERS), Reinterpret.class);
    }

    private static void assertRegisters(String text, Class<?> owner) {
        assertThat(Arrays.stream(owner.getDeclaredMethods())
                        .filter(method -> Modifier.isPublic(method.getModifiers()))
                        .map(Method::getName)
                        .filter(name -> !name.equals("chunk"))) // arithmetic, which every compiler knows
                .isNotEmpty()
                .allSatisfy(name -> assertThat(text).contains("\"" + name + "\""));
    }
}
