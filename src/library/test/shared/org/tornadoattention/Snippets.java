package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import javax.tools.ToolProvider;

/** What a page shows as Java compiles as it stands, between declarations of the names that its text speaks of. */
public final class Snippets {

    private static final Pattern BLOCK = Pattern.compile("(?ms)^```java\\n(.*?)^```$");

    private Snippets() {}

    /** The blocks of a page, in order. */
    public static List<String> of(Path page) {
        try {
            return BLOCK.matcher(Files.readString(page))
                    .results()
                    .map(block -> block.group(1))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Compiles each block of a page as statements of a method.
     *
     * @param imports packages and classes, such as {@code java.util.*}
     * @param fields declarations of what the statements use
     * @param directory for what is compiled
     */
    public static void compile(Path page, List<String> imports, String fields, Path directory) throws IOException {
        List<String> blocks = of(page);
        assertThat(blocks).as("Java in %s", page).isNotEmpty();
        for (int i = 0; i < blocks.size(); i++) {
            String program = imports.stream().map("import %s;%n"::formatted).collect(Collectors.joining())
                    + "class Snippet {%n%s%nstatic void run() throws Exception {%n%s}%n}%n"
                            .formatted(fields, blocks.get(i));
            compile(page + ", block " + (i + 1), program, directory);
        }
    }

    /** Compiles a program. */
    public static void compile(String name, String program, Path directory) throws IOException {
        Path file = Files.writeString(directory.resolve("Snippet.java"), program);
        ByteArrayOutputStream messages = new ByteArrayOutputStream();
        int compiled = ToolProvider.getSystemJavaCompiler()
                .run(
                        null,
                        messages,
                        messages,
                        "-proc:none",
                        "-d",
                        directory.toString(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        file.toString());
        assertThat(compiled).as("%s:%n%s%n%s", name, program, messages).isZero();
    }
}
