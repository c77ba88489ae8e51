package org.tornadoattention.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemNotFoundException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.Optional;
import java.util.stream.Stream;

/** Tells programs apart by where their code comes from. */
final class CodeOrigin {

    private CodeOrigin() {}

    /** A class file as a text, a character for each byte. */
    static String text(Class<?> type) {
        String name = type.getName().substring(type.getPackageName().length() + 1) + ".class";
        try (InputStream file = type.getResourceAsStream(name)) {
            if (file == null) {
                throw new IllegalStateException("The class file of " + type.getName() + " is missing");
            }
            return new String(file.readAllBytes(), StandardCharsets.ISO_8859_1);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The jar that a class is from, with its size and the time of its last change, or empty where it is from none. */
    static Optional<String> jar(Class<?> type) {
        CodeSource source = type.getProtectionDomain().getCodeSource();
        try {
            return source == null ? Optional.empty() : jar(source.getLocation().toURI());
        } catch (URISyntaxException e) {
            return Optional.empty();
        }
    }

    /** Likewise for each module that is not the JVM's own. */
    static Stream<Optional<String>> modules() {
        return ModuleLayer.boot().configuration().modules().stream()
                .flatMap(module -> module.reference().location().stream())
                .filter(location -> !"jrt".equals(location.getScheme()))
                .sorted()
                .map(CodeOrigin::jar);
    }

    private static Optional<String> jar(URI location) {
        try {
            Path jar = Path.of(location);
            return Files.isRegularFile(jar)
                    ? Optional.of("%s %d %s".formatted(jar, Files.size(jar), Files.getLastModifiedTime(jar)))
                    : Optional.empty();
        } catch (IOException | IllegalArgumentException | FileSystemNotFoundException e) {
            return Optional.empty();
        }
    }
}
