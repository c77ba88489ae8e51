package org.tornadoattention.simulator.engine;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tornadoattention.simulator.instrument.KernelText;

/** Finds the sources of kernels in some folders, as far as they are there. */
final class SourceText {

    private static final int MOST_VISITED = 50_000;
    private static final Set<String> LEFT_OUT = Set.of("target", "build", "out", "bin", "node_modules");

    private final List<Path> folders;
    private final KernelText kernel;
    private final Map<String, List<String>> files = new HashMap<>();

    SourceText(List<Path> folders, KernelText kernel) {
        this.folders = folders;
        this.kernel = kernel;
    }

    /** Returns the lines of a file, or none where it is not found. */
    List<String> lines(String file) {
        return files.computeIfAbsent(file, _ -> {
            String name = kernel.folders().getOrDefault(file, "") + file;
            return folders.stream()
                    .map(folder -> find(folder, Path.of(name)))
                    .filter(lines -> !lines.isEmpty())
                    .findFirst()
                    .orElse(List.of());
        });
    }

    /** Returns a line of a file, without the blanks around it, or nothing where it is not found. */
    String line(String file, int number) {
        List<String> lines = lines(file);
        return number >= 1 && number <= lines.size() ? lines.get(number - 1).strip() : "";
    }

    /** Returns the first line of the kernel's method, from 1 on, where its name stands before its parameters. */
    int firstLine() {
        for (int number = kernel.firstLine(); number > 0; number--) {
            if (line(kernel.file(), number).matches(".*\\b" + kernel.method() + "\\s*\\(.*")) {
                return number;
            }
        }
        return kernel.firstLine();
    }

    private static List<String> find(Path folder, Path name) {
        try {
            Path direct = folder.resolve(name);
            if (Files.isRegularFile(direct)) {
                return Files.readAllLines(direct);
            }
            Finder finder = new Finder(folder, name);
            Files.walkFileTree(folder, finder);
            return finder.found == null ? List.of() : Files.readAllLines(finder.found);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Looks below a folder for a file whose path ends with a name. */
    private static final class Finder extends SimpleFileVisitor<Path> {

        private final Path root;
        private final Path name;
        private Path found;
        private int visited;

        Finder(Path root, Path name) {
            this.root = root;
            this.name = name;
        }

        @Override
        public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes) {
            String last = String.valueOf(folder.getFileName());
            boolean leftOut = !folder.equals(root) && (last.startsWith(".") || LEFT_OUT.contains(last));
            return leftOut ? FileVisitResult.SKIP_SUBTREE : FileVisitResult.CONTINUE;
        }

        @Override
        public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
            if (file.endsWith(name)) {
                found = file;
            }
            visited++;
            return found != null || visited == MOST_VISITED ? FileVisitResult.TERMINATE : FileVisitResult.CONTINUE;
        }

        @Override
        public FileVisitResult visitFileFailed(Path file, IOException e) {
            return FileVisitResult.CONTINUE;
        }
    }
}
