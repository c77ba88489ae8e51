package uk.ac.manchester.tornado.api;

import org.tornadoattention.simulator.engine.GraphDefinition;

/** A task graph that no longer changes, ready for a {@link TornadoExecutionPlan}. */
public class ImmutableTaskGraph {

    private final GraphDefinition definition;

    ImmutableTaskGraph(GraphDefinition definition) {
        this.definition = definition;
    }

    GraphDefinition definition() {
        return definition;
    }
}
