package org.tornadoattention.simulator.engine;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import org.tornadoattention.simulator.KernelTrace;

/** Writes pages of pictures, for each kernel one for each of its grids: a program may launch one a thousand times. */
public final class TracePages {

    private final Set<String> drawn = new HashSet<>();
    private final Set<Path> written = new HashSet<>();

    /** Writes a page, unless there is one of this kernel and grid, and returns where it is. */
    public synchronized Optional<Path> write(Path folder, KernelTrace trace) {
        if (!drawn.add(trace.task() + " " + trace.kernel() + " " + trace.grid())) {
            return Optional.empty();
        }
        String name = (trace.task() + "-" + trace.kernel()).replaceAll("[^A-Za-z0-9._-]", "_");
        Path page = folder.resolve(name + ".html");
        for (int again = 2; !written.add(page); again++) {
            page = folder.resolve(name + "-" + again + ".html");
        }
        try {
            Files.createDirectories(folder);
            Files.writeString(page, trace.toHtml());
        } catch (IOException e) {
            throw new UncheckedIOException("The page " + page + " cannot be written: " + e, e);
        }
        return Optional.of(page);
    }
}
