package org.tornadoattention.file;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** Reads a text file that the caller named. */
public final class InputFile {

    private InputFile() {}

    /**
     * The text of a file in UTF-8.
     *
     * @throws UnusableFileException if there is none, it is a directory, may not be read or is no text
     */
    public static String text(Path path) throws IOException {
        if (Files.isDirectory(path)) {
            throw new UnusableFileException(path, "this is a directory: name a file in it");
        }
        try {
            return Files.readString(path);
        } catch (NoSuchFileException fault) {
            throw new UnusableFileException(path, "there is no such file: check the path", fault);
        } catch (AccessDeniedException fault) {
            throw new UnusableFileException(path, "no permission to read this file", fault);
        } catch (CharacterCodingException fault) {
            throw new UnusableFileException(path, "this is no text in UTF-8: name another file", fault);
        }
    }
}
