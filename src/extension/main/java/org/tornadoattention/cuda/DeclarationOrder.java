package org.tornadoattention.cuda;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Puts the names that a function declares at its beginning in order. TornadoVM keeps them in a set whose order is
 * another in each run of the JVM, so that without this a kernel of before would not be known again.
 */
final class DeclarationOrder {

    private static final String BODY = "\n{\n";
    private static final String SEPARATOR = ", ";

    private DeclarationOrder() {}

    /** The same text, with the names in order. */
    static String of(String source) {
        StringBuilder text = new StringBuilder(source.length());
        int done = 0;
        for (int body = source.indexOf(BODY); body >= 0; body = source.indexOf(BODY, done)) {
            text.append(source, done, body + BODY.length());
            done = body + BODY.length();
            List<String> declarations = new ArrayList<>();
            for (int end = source.indexOf('\n', done); end >= 0; end = source.indexOf('\n', done)) {
                String line = source.substring(done, end);
                if (!declares(line)) {
                    break;
                }
                declarations.add(inOrder(line));
                done = end + 1;
            }
            declarations.stream().sorted().forEach(line -> text.append(line).append('\n'));
        }
        return text.append(source, done, source.length()).toString();
    }

    /** Whether a line gives names a type and nothing more, such as {@code int i_1, i_2;}. */
    private static boolean declares(String line) {
        return line.startsWith("  ")
                && line.stripTrailing().endsWith(";")
                && line.chars().noneMatch(c -> c == '=' || c == '[' || c == '(' || c == '*');
    }

    private static String inOrder(String line) {
        String[] names = line.strip().replace(";", "").split(SEPARATOR);
        int type = names[0].lastIndexOf(' ') + 1;
        String typeName = names[0].substring(0, type);
        names[0] = names[0].substring(type);
        Arrays.sort(names);
        return "  " + typeName + String.join(SEPARATOR, names) + ";";
    }
}
