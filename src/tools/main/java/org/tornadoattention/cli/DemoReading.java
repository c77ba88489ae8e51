package org.tornadoattention.cli;

import java.io.PrintWriter;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.tornadoattention.AttentionResult;

/** What the demonstration's heads read: how often they are right, and a line of the text with what they expected. */
final class DemoReading {

    private static final int SHOWN = 72;

    private DemoReading() {}

    static void print(PrintWriter out, InductionHeads heads, String text, AttentionResult result) {
        out.println("Next character predicted right, by length of context:");
        out.println("  context   "
                + IntStream.rangeClosed(1, InductionHeads.HEADS)
                        .mapToObj("%6d"::formatted)
                        .collect(Collectors.joining())
                + "   all together");
        String together = heads.predictions(result);
        out.println("  right     "
                + IntStream.range(0, InductionHeads.HEADS)
                        .mapToObj(head -> "%5.0f%%".formatted(100 * heads.accuracy(heads.predictions(result, head))))
                        .collect(Collectors.joining())
                + "   %11.0f%%".formatted(100 * heads.accuracy(together)));
        int start = Math.max(1, text.length() - SHOWN);
        StringBuilder marks = new StringBuilder();
        for (int position = start; position < text.length(); position++) {
            marks.append(together.charAt(position - 1) == text.charAt(position) ? text.charAt(position) : '.');
        }
        out.println("The last %d characters, and those of them that were foreseen:".formatted(text.length() - start));
        out.println("  " + text.substring(start));
        out.println("  " + marks);
        out.flush();
    }
}
