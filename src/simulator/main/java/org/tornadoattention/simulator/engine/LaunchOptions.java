package org.tornadoattention.simulator.engine;

import org.tornadoattention.simulator.Check;
import org.tornadoattention.simulator.SimulatorSettings;

/**
 * The checks of a launch, as flags; equal options share an instrumented kernel.
 *
 * @param races whether to look for races
 * @param barriers whether to look for divergent barriers
 * @param bounds whether to name the array that an index misses
 * @param uninitialized whether to look for reads of local memory that holds nothing
 * @param transfers whether to look for reads of device memory that holds nothing
 * @param compilable whether to look for what TornadoVM does not compile
 * @param limits whether some arrays may not be written everywhere
 * @param counting whether to count traffic
 * @param costs whether to find out what warps cost
 * @param trace whether to keep what warps did, for a picture
 * @param numbers whether to look for NaN made of numbers and for sums that stay what they are
 */
record LaunchOptions(
        boolean races,
        boolean barriers,
        boolean bounds,
        boolean uninitialized,
        boolean transfers,
        boolean compilable,
        boolean limits,
        boolean counting,
        boolean costs,
        boolean trace,
        boolean numbers) {

    static LaunchOptions of(SimulatorSettings settings) {
        return new LaunchOptions(
                settings.checks().contains(Check.RACES),
                settings.checks().contains(Check.BARRIERS),
                settings.checks().contains(Check.BOUNDS),
                settings.checks().contains(Check.UNINITIALIZED),
                settings.checks().contains(Check.TRANSFERS),
                settings.checks().contains(Check.COMPILABLE),
                WriteLimits.any(),
                settings.counters()
                        || settings.checks().contains(Check.TRANSFERS)
                        || settings.checks().contains(Check.RACES),
                settings.costs().isPresent() || settings.trace().isPresent(),
                settings.trace().isPresent(),
                settings.numbers());
    }

    boolean watchesDeviceMemory() {
        return races || transfers || limits || numbers;
    }

    boolean watchesLocalMemory() {
        return races || uninitialized;
    }
}
