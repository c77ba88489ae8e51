package org.tornadoattention.plan;

import org.tornadoattention.choice.Launch;

/** Which gradients of a backward pass are computed. */
enum WantedGradients {
    ALL,
    /** That of queries, of a bias and of sinks: of queries whose keys are all there. */
    OF_QUERIES,
    /** Those of keys and values: of keys whose queries are all there. */
    OF_KEYS;

    boolean wants(Launch launch) {
        return switch (this) {
            case ALL -> true;
            case OF_QUERIES -> !launch.isOfKeyGradients();
            case OF_KEYS -> !launch.isOfQueryGradient();
        };
    }
}
