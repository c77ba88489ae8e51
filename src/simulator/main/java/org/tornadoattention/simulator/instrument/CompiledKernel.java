package org.tornadoattention.simulator.instrument;

import java.lang.invoke.MethodHandle;
import java.util.List;

/**
 * An instrumented kernel.
 *
 * @param handle takes the arguments as an array
 * @param parameterNames the names of the parameters
 * @param parallelLoops the variables of the parallel loops, outermost first
 */
public record CompiledKernel(MethodHandle handle, List<String> parameterNames, List<String> parallelLoops) {

    /** Copies the lists. */
    public CompiledKernel {
        parameterNames = List.copyOf(parameterNames);
        parallelLoops = List.copyOf(parallelLoops);
    }
}
