package org.tornadoattention.tensor;

import java.io.IOException;
import java.nio.file.Path;

/** A safetensors file that cannot be read or written; the message names the file, the tensor and what is wrong. */
public final class SafetensorsException extends IOException {
    private static final long serialVersionUID = 1L;
    private static final int LONGEST_QUOTE = 80;

    /**
     * A fault of the file as a whole.
     *
     * @param file the file
     * @param problem what is wrong with it, and what to do
     */
    public SafetensorsException(Path file, String problem) {
        super(file + ": " + problem);
    }

    /**
     * A fault of the file as a whole that something below reported.
     *
     * @param file the file
     * @param problem what is wrong with it, and what to do
     * @param cause what was reported
     */
    public SafetensorsException(Path file, String problem, Throwable cause) {
        super(file + ": " + problem, cause);
    }

    /**
     * A fault of one tensor.
     *
     * @param file the file
     * @param tensor the tensor's name
     * @param problem what is wrong with it, and what to do
     */
    public SafetensorsException(Path file, String tensor, String problem) {
        super(file + ": tensor " + quoted(tensor) + ": " + problem);
    }

    /** Text of a file that may be hostile, shortened and without control characters, in quotes. */
    static String quoted(String text) {
        StringBuilder shown = new StringBuilder("'");
        for (int i = 0; i < Math.min(text.length(), LONGEST_QUOTE); i++) {
            char c = text.charAt(i);
            boolean plain = !Character.isISOControl(c) && Character.getType(c) != Character.FORMAT;
            shown.append(plain ? c : '?');
        }
        return shown.append(text.length() > LONGEST_QUOTE ? "…'" : "'").toString();
    }
}
