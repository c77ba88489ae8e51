package org.tornadoattention.simulator;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What the work-items of a launch did, step by step: which elements the lanes of each warp touched together, from
 * barrier to barrier, what that cost, and what variables held. Of many groups some are kept, spread over the grid.
 *
 * @param task the task, as {@code graph.task}
 * @param kernel the name of the kernel method
 * @param grid how many work-items it had, in words
 * @param json all of it as JSON, as the page's script reads it
 */
public record KernelTrace(String task, String kernel, String grid, String json) {

    /** A name in the template, in whose place a value goes. */
    private static final Pattern NAME = Pattern.compile("\\{\\{(\\w+)}}");

    /** Returns it as one page of HTML that needs no network and no other file. */
    public String toHtml() {
        Map<String, String> values = Map.of(
                "title", "Kernel " + kernel + ", step by step",
                "style", resource("page.css") + resource("trace.css"),
                "body", resource("trace.html"),
                "script",
                        "const trace = " + json.replace("<", "\\u003c") + ";\n" + resource("page.js")
                                + resource("trace.js"));
        return NAME.matcher(resource("page.html"))
                .replaceAll(name -> Matcher.quoteReplacement(values.get(name.group(1))));
    }

    private static String resource(String name) {
        try (InputStream stream = KernelTrace.class.getResourceAsStream(name)) {
            if (stream == null) {
                throw new IllegalStateException(name + " is missing from the jar");
            }
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
