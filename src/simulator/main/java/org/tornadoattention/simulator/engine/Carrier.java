package org.tornadoattention.simulator.engine;

import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** Lets strands of a launch run. */
interface Carrier {

    /**
     * Returns those that a launch shares out its lanes among, one of which may carry several. A debugger shows threads,
     * and of continuations nothing.
     */
    static List<Carrier> carriers(int lanes) {
        return Continuations.available()
                ? Stream.<Carrier>generate(ContinuationCarrier::new)
                        .limit(Math.min(lanes, ContinuationCarrier.MOST))
                        .toList()
                : List.of(new ThreadCarrier());
    }

    /** Adds a strand, which calls {@code body} with itself. */
    void add(Consumer<Strand> body);

    /** Lets the first strands run, once all of them are added. */
    void go();
}
