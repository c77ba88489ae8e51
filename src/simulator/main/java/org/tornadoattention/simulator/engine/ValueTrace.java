package org.tornadoattention.simulator.engine;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The values of one work-item's variables, at barriers and at the ends of turns of loops, for a picture. */
final class ValueTrace {

    /** How many moments are kept; what comes later is not in the picture. */
    static final int MOST_MOMENTS = 256;

    private final List<Moment> moments = new ArrayList<>();
    private int phase;

    /**
     * What variables held at a moment.
     *
     * @param place where in the code it was
     * @param phase how many barriers had been passed
     * @param values for each name the value, of an array its elements
     */
    record Moment(int place, int phase, Map<String, float[]> values) {}

    void phase(int newPhase) {
        phase = newPhase;
    }

    /** Begins a moment, if there is room for one. */
    boolean begin(int place) {
        if (moments.size() == MOST_MOMENTS) {
            return false;
        }
        moments.add(new Moment(place, phase, new LinkedHashMap<>()));
        return true;
    }

    void keep(String name, float... values) {
        moments.getLast().values.put(name, values);
    }

    List<Moment> moments() {
        return moments;
    }
}
