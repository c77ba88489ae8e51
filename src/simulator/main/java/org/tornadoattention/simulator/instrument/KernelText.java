package org.tornadoattention.simulator.instrument;

import java.lang.classfile.CodeElement;
import java.lang.classfile.instruction.LineNumber;
import java.util.Map;

/**
 * Where the source of a kernel is.
 *
 * @param file the name of the file, without folders; empty if nothing is known
 * @param method the name of the method
 * @param firstLine the first line of its body with code, from 1 on
 * @param lastLine the last one
 * @param folders for each file of the kernel and of what it calls, the folder of its package with a slash at its end
 */
public record KernelText(String file, String method, int firstLine, int lastLine, Map<String, String> folders) {

    /** Nothing is known. */
    public static final KernelText NONE = new KernelText("", "", 0, 0, Map.of());

    /** Copies the map. */
    public KernelText {
        folders = Map.copyOf(folders);
    }

    static KernelText of(String file, String method, MethodAnalysis analysis) {
        int first = Integer.MAX_VALUE;
        int last = 0;
        for (CodeElement element : analysis.elements()) {
            if (element instanceof LineNumber number) {
                first = Math.min(first, number.line());
                last = Math.max(last, number.line());
            }
        }
        return last == 0 ? NONE : new KernelText(file, method, first, last, Map.of());
    }

    KernelText withFolders(Map<String, String> all) {
        return new KernelText(file, method, firstLine, lastLine, all);
    }

    /** Returns whether a place, as {@code File.java:12}, is in the method. */
    public boolean holds(String place) {
        int colon = place.lastIndexOf(':');
        int line = Integer.parseInt(place.substring(colon + 1));
        return place.substring(0, colon).equals(file) && line >= firstLine && line <= lastLine;
    }
}
