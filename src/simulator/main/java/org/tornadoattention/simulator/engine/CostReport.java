package org.tornadoattention.simulator.engine;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.tornadoattention.simulator.KernelCosts;
import org.tornadoattention.simulator.SimulatorSettings;

/** Prints what kernels cost, each once for each of its grids: a program may launch one a thousand times. */
final class CostReport {

    private static final Set<String> PRINTED = ConcurrentHashMap.newKeySet();

    private CostReport() {}

    static void print(KernelBody body, KernelCosts costs, SimulatorSettings settings) {
        if (PRINTED.add(body + " " + costs.groups() + " " + costs.groupSize())) {
            settings.costs().ifPresent(gpu -> System.out.print(costs.describe(gpu)));
        }
    }
}
