/**
 * The simulator in the place of TornadoVM's API: it has the name of that module, since the two are never on one path.
 */
module tornado.api {
    requires java.management;
    // For tests with @SimulatedKernels alone.
    requires static org.junit.jupiter.api;

    exports org.tornadoattention.simulator;
    exports org.tornadoattention.simulator.junit;
    exports uk.ac.manchester.tornado.api;
    exports uk.ac.manchester.tornado.api.annotations;
    exports uk.ac.manchester.tornado.api.common;
    exports uk.ac.manchester.tornado.api.enums;
    exports uk.ac.manchester.tornado.api.exceptions;
    exports uk.ac.manchester.tornado.api.math;
    exports uk.ac.manchester.tornado.api.profiler;
    exports uk.ac.manchester.tornado.api.runtime;
    exports uk.ac.manchester.tornado.api.types;
    exports uk.ac.manchester.tornado.api.types.arrays;
    exports uk.ac.manchester.tornado.api.types.matrix;
    exports uk.ac.manchester.tornado.api.types.vectors;

    opens org.tornadoattention.simulator.junit to
            org.junit.platform.commons;
}
