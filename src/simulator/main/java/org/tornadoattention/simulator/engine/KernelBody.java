package org.tornadoattention.simulator.engine;

import java.util.List;
import org.tornadoattention.simulator.instrument.KernelText;
import org.tornadoattention.simulator.instrument.ParameterUse;

/** A kernel that can be run: the method itself, or an instrumented copy of it. */
interface KernelBody {

    /** Returns the name of the kernel method. */
    String name();

    /** Returns whether accesses are checked and counted. */
    boolean isInstrumented();

    /** Returns the name of each parameter. */
    List<String> parameterNames();

    /** Returns which parameters are read and written, as far as that is known. */
    ParameterUse use();

    /** Returns the variables of the {@code @Parallel} loops, outermost first. */
    List<String> parallelLoops();

    /** Returns the lines of source of the places in the code that costs are told of. */
    List<String> costPlaces();

    /** Returns where the source is. */
    KernelText text();

    /** Runs the kernel for one work-item. */
    void run(Object... arguments) throws Throwable;
}
