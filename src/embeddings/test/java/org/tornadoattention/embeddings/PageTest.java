package org.tornadoattention.embeddings;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the page about embeddings shows as Java compiles. */
class PageTest {

    @Test
    void itsSnippetCompiles(@TempDir Path directory) throws IOException {
        List<String> snippets = Pattern.compile("(?ms)^```java\\n(.*?)^```$")
                .matcher(Files.readString(Path.of("docs/embeddings.md")))
                .results()
                .map(block -> block.group(1))
                .toList();
        assertThat(snippets).hasSize(1);
        String program = """
                import dev.langchain4j.data.embedding.*;
                import org.tornadoattention.embeddings.*;
                void main() {
                %s}
                """.formatted(snippets.getFirst());
        Path file = Files.writeString(directory.resolve("Snippet.java"), program);
        String classPath = System.getProperty("java.class.path");
        ByteArrayOutputStream messages = new ByteArrayOutputStream();
        assertThat(ToolProvider.getSystemJavaCompiler()
                        .run(null, messages, messages, "-proc:none", "-cp", classPath, file.toString()))
                .as("%s%n%s", program, messages)
                .isZero();
    }
}
