package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import java.time.Duration;
import java.util.Optional;
import org.tornadoattention.device.ComputeDevice;

/**
 * How one call ran.
 *
 * @param device where
 * @param kernel the kernel's name, such as {@code tiled}
 * @param tile its tile, such as {@code 64x64}, empty for kernels without tiles
 * @param reason why this kernel was chosen, a clause for people
 * @param kernelTime time of the kernels alone, by the device's clock
 * @param compileTime time that TornadoVM spent compiling in this call, zero from the second call of a plan on
 * @param wallTime time of the whole call, transfers included
 * @param deviceBytes memory that the plan holds on the device, in bytes
 */
public record Execution(
        ComputeDevice device,
        String kernel,
        Optional<String> tile,
        String reason,
        Duration kernelTime,
        Duration compileTime,
        Duration wallTime,
        long deviceBytes) {

    /**
     * Checks that everything is given.
     *
     * @throws IllegalArgumentException if something is null
     */
    public Execution {
        required(device, "device");
        required(kernel, "kernel");
        required(tile, "tile", "use Optional.empty() for none");
        required(reason, "reason");
        required(kernelTime, "kernelTime");
        required(compileTime, "compileTime");
        required(wallTime, "wallTime");
    }
}
