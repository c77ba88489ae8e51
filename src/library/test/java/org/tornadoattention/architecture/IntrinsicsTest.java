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
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.intrinsic.Turn;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.intrinsic.WarpBarrier;
import org.tornadoattention.intrinsic.WarpGroup;

/**
 * Every intrinsic is registered with TornadoVM's CUDA compiler; one that is not would be compiled as its Java body. The
 * registration is compiled with an SDK only, so its text is looked at, here as everywhere.
 */
class IntrinsicsTest {

    private static final Path REGISTRATION = Path.of("src/extension/main/java/org/tornadoattention/cuda/WarpPlugins.java");

    @ParameterizedTest
    @ValueSource(classes = {Warp.class, WarpGroup.class, WarpBarrier.class, Turn.class})
    void everyIntrinsicIsRegistered(Class<?> owner) throws IOException {
        String text = Files.readString(REGISTRATION);
        Matcher call = Pattern.compile("\\b%s\\.class\\)\\.(\\w+)\\(\\);".formatted(owner.getSimpleName()))
                .matcher(text);
        assertThat(call.find()).isTrue();
        String part = text.substring(text.indexOf("private void %s()".formatted(call.group(1))));
        String ofOwner = part.substring(0, part.indexOf("\n    }\n"));
        assertThat(Arrays.stream(owner.getDeclaredMethods())
                        .filter(method -> Modifier.isPublic(method.getModifiers()))
                        .map(Method::getName)
                        .filter(name -> !name.equals("chunk"))) // arithmetic, which every compiler knows
                .isNotEmpty()
                .allSatisfy(name -> assertThat(ofOwner).contains("\"" + name + "\""));
    }
}
