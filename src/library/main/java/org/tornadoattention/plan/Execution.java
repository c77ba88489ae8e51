package org.tornadoattention.plan;

import java.time.Duration;
import org.tornadoattention.device.ComputeDevice;

/**
 * How one call ran.
 *
 * @param device where
 * @param choice with which kernel and tile
 * @param kernelTime time of the kernels alone, by the device's clock
 * @param compileTime time that TornadoVM spent compiling in this call, zero from the second call of a plan on
 * @param wallTime time of the whole call, transfers included
 * @param deviceBytes memory that the plan holds on the device
 */
public record Execution(
        ComputeDevice device,
        KernelChoice choice,
        Duration kernelTime,
        Duration compileTime,
        Duration wallTime,
        long deviceBytes) {}
