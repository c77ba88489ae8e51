package org.tornadoattention.report;

/** Text as HTML and SVG take it. */
final class Html {

    private Html() {}

    /** Text with what HTML reserves written as entities; right in attributes too. */
    static String escape(String text) {
        return text.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }
}
