package org.tornadoattention.file;

import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** A path that cannot be read or written as was asked: the caller named the wrong one, or has to mend it first. */
public final class UnusableFileException extends IOException {
    private static final long serialVersionUID = 1L;

    private final String problem;

    /**
     * A path and what is wrong with it.
     *
     * @param problem what is wrong and what to do, without the path
     */
    public UnusableFileException(Path path, String problem, @Nullable Throwable cause) {
        super(path + ": " + problem, cause);
        this.problem = problem;
    }

    /** As above, where nothing below reported it. */
    public UnusableFileException(Path path, String problem) {
        this(path, problem, null);
    }

    /** What is wrong and what to do, without the path. */
    public String problem() {
        return problem;
    }
}
