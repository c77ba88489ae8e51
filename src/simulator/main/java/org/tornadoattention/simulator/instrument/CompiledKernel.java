package org.tornadoattention.simulator.instrument;

import java.util.List;
import org.tornadoattention.simulator.engine.KernelCall;

/**
 * An instrumented kernel.
 *
 * @param owner the copy of the kernel's class
 * @param call calls it
 * @param parameterNames the names of the parameters
 * @param parallelLoops the variables of the parallel loops, outermost first
 * @param costPlaces the lines of source of the places that the code names when costs are asked for
 * @param text where the kernel's source is
 */
public record CompiledKernel(
        Class<?> owner,
        KernelCall call,
        List<String> parameterNames,
        List<String> parallelLoops,
        List<String> costPlaces,
        KernelText text) {

    /** Copies the lists. */
    public CompiledKernel {
        parameterNames = List.copyOf(parameterNames);
        parallelLoops = List.copyOf(parallelLoops);
        costPlaces = List.copyOf(costPlaces);
    }
}
