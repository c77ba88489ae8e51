package org.tornadoattention.file;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFileAttributes;
import java.util.Objects;
import java.util.UUID;

/**
 * A file that is going to be written: {@link #at} refuses a path that cannot be, so that this is known before the work,
 * and {@link #write} writes it whole or not at all.
 *
 * <p>A symbolic link is followed and stays. What is there before keeps its permissions, and its owner where the system
 * lets it. The content is written beside the target first and then moved over it, so the directory must be writable, a
 * reader never meets half of a file, and a full disk leaves the old file and nothing else.
 */
public final class ResultFile {

    private static final int MOST_LINKS = 40;

    private final Path path;
    private final Path target;

    private ResultFile(Path path, Path target) {
        this.path = path;
        this.target = target;
    }

    /** What puts the bytes into a file. */
    @FunctionalInterface
    public interface Content {
        /** Writes to a new file from its beginning. */
        void writeTo(FileChannel channel) throws IOException;
    }

    /**
     * A file that can be written, now or after some work.
     *
     * @throws UnusableFileException if the path is a directory, a device or a pipe, its directory does not exist, or
     *     there is no permission
     */
    public static ResultFile at(Path path) throws IOException {
        if (Files.isDirectory(path)) {
            throw new UnusableFileException(path, "this is a directory: name a file in it");
        }
        if (Files.exists(path) && !Files.isRegularFile(path)) {
            throw new UnusableFileException(path, "this is a device or a pipe: name a regular file");
        }
        if (Files.exists(path) && !Files.isWritable(path)) {
            throw new UnusableFileException(path, "no permission to replace this file: name another");
        }
        ResultFile file = new ResultFile(path, withoutLinks(path));
        Path directory = file.target.getParent();
        if (directory == null || !Files.isDirectory(directory)) {
            throw new UnusableFileException(path, "there is no directory %s: create it first".formatted(directory));
        }
        file.write(channel -> {}, unfinished -> {});
        return file;
    }

    /**
     * Checks that files can be written into a folder, which need not be there yet.
     *
     * @param folder where files will be written
     * @throws UnusableFileException if it is no folder and cannot become one, or there is no permission
     */
    public static void requireFolder(Path folder) throws UnusableFileException {
        Path there = folder.toAbsolutePath();
        while (there.getParent() != null && !Files.exists(there)) {
            there = there.getParent();
        }
        if (!Files.isDirectory(there)) {
            throw new UnusableFileException(folder, "this is no directory: name one for the files that are written");
        }
        if (!Files.isWritable(there)) {
            throw new UnusableFileException(folder, "no permission to write in %s: name another".formatted(there));
        }
    }

    private static Path withoutLinks(Path path) throws IOException {
        Path target = path.toAbsolutePath();
        for (int links = 0; Files.isSymbolicLink(target); links++) {
            if (links == MOST_LINKS) {
                throw new UnusableFileException(path, "its links lead in a circle: name a file");
            }
            target = target.resolveSibling(Files.readSymbolicLink(target));
        }
        return target;
    }

    /** The path as it was given. */
    public Path path() {
        return path;
    }

    /** Whether there is a file already. */
    public boolean exists() {
        return Files.exists(target);
    }

    /** Writes text in UTF-8. */
    public void write(String text) throws IOException {
        write(channel -> {
            ByteBuffer bytes = StandardCharsets.UTF_8.encode(text);
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
        });
    }

    /**
     * Writes the file, replacing what is there.
     *
     * @throws IOException if that fails; then what was there before is still there, and nothing else
     */
    public void write(Content content) throws IOException {
        write(content, this::replaceTarget);
    }

    /** What becomes of the written file. */
    @FunctionalInterface
    private interface Finish {
        void of(Path unfinished) throws IOException;
    }

    private void write(Content content, Finish finish) throws IOException {
        Path unfinished = target.resolveSibling(".attention-%s.part".formatted(UUID.randomUUID()));
        try {
            try (FileChannel channel = created(unfinished)) {
                keepAttributes(unfinished);
                content.writeTo(channel);
            }
            finish.of(unfinished);
        } catch (UnusableFileException fault) {
            throw fault;
        } catch (IOException fault) {
            throw new IOException("%s was not written: %s".formatted(path, fault.getMessage()), fault);
        } finally {
            Files.deleteIfExists(unfinished);
        }
    }

    private FileChannel created(Path unfinished) throws IOException {
        try {
            return FileChannel.open(unfinished, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
        } catch (AccessDeniedException fault) {
            throw new UnusableFileException(
                    path, "no permission to write in directory %s: name another".formatted(target.getParent()), fault);
        } catch (FileSystemException fault) {
            throw new UnusableFileException(
                    path,
                    "directory %s takes no such file: %s"
                            .formatted(
                                    target.getParent(), Objects.requireNonNullElse(fault.getReason(), "name another")),
                    fault);
        }
    }

    private void keepAttributes(Path unfinished) throws IOException {
        PosixFileAttributeView to = Files.getFileAttributeView(unfinished, PosixFileAttributeView.class);
        if (to == null || !Files.exists(target)) {
            return;
        }
        PosixFileAttributes from = Files.readAttributes(target, PosixFileAttributes.class);
        PosixFileAttributes own = to.readAttributes();
        if (!own.owner().equals(from.owner()) || !own.group().equals(from.group())) {
            try {
                to.setGroup(from.group());
                to.setOwner(from.owner());
            } catch (FileSystemException fault) {
                // Only root gives files away: it becomes the writer's, as with any program that replaces a file.
            }
        }
        to.setPermissions(from.permissions());
    }

    private void replaceTarget(Path unfinished) throws IOException {
        try {
            Files.move(unfinished, target, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException fault) {
            Files.move(unfinished, target, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    @Override
    public String toString() {
        return path.toString();
    }
}
