package org.tornadoattention.report;

import java.util.ArrayList;
import java.util.List;

/** A number for each name, in order of appearance: its colour and mark on all charts of a page. */
final class Palette {

    private final List<String> names = new ArrayList<>();

    /** The number of a name. */
    int number(String name) {
        if (!names.contains(name)) {
            names.add(name);
        }
        return names.indexOf(name);
    }
}
