package org.tornadoattention.plan;

import org.tornadoattention.AttentionException;
import org.tornadoattention.device.ComputeDevice;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/**
 * An execution plan on a device, whose failures say what failed and where.
 *
 * @param subject what it does, as the beginning of a sentence
 */
record LoudPlan(TornadoExecutionPlan plan, String subject, ComputeDevice device) implements AutoCloseable {

    /**
     * Runs the graphs that the plan is set to.
     *
     * @throws AttentionException if the device, its driver or the compiler fails and says so
     */
    TornadoExecutionResult execute() {
        try {
            return plan.execute();
        } catch (VirtualMachineError e) {
            throw e;
        } catch (RuntimeException | Error e) { // TornadoVM's internal errors are Errors
            throw failure(firstLine(e), e);
        }
    }

    /** What to throw when it did not do what it was to do. */
    AttentionException failure(String what, Throwable cause) {
        return new AttentionException(
                "%s failed on %s: %s. TornadoVM's own message, if any, is above this one."
                        .formatted(subject, device, what),
                cause);
    }

    /** The same, where nothing else was thrown. */
    AttentionException failure(String what) {
        return failure(what, null);
    }

    private static String firstLine(Throwable error) {
        String message = String.valueOf(error.getMessage()).replaceAll("\u001B\\[[;\\d]*m", "");
        return error.getClass().getSimpleName() + ": " + message.strip().replaceAll("\\R\\s*", " ");
    }

    /** Bytes that its arrays take on the device. */
    long deviceBytes() {
        return plan.getCurrentDeviceMemoryUsage();
    }

    /** Frees the device's memory. */
    @Override
    public void close() {
        try {
            plan.freeDeviceMemory();
            plan.close();
        } catch (TornadoExecutionPlanException e) {
            throw new AttentionException("The memory of a plan on %s could not be freed.".formatted(device), e);
        }
    }
}
