package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import java.util.List;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.tornadoattention.plan.DividedPlan;

/**
 * A pass of a problem that was {@linkplain DistributedAttention#bring brought} to several devices: run it as often as
 * you like, ask for its result, close it.
 *
 * <pre>{@code
 * try (DistributedAttention attention = DistributedAttention.on(gpus, Division.SEQUENCE);
 *         DividedPass<AttentionResult> pass = attention.bring(q, k, v, AttentionOptions.causal())) {
 *     pass.run();
 *     AttentionResult result = pass.result();
 * }
 * }</pre>
 *
 * <p>The same tensors give the same bits in each run. One thread at a time may use it.
 *
 * @param <T> what it gives: {@link AttentionResult} or {@link Gradients}
 */
public final class DividedPass<T> implements AutoCloseable {

    /**
     * What tensors take on a device. A kernel may need scratch memory of its own besides.
     *
     * @param share bytes of the device's share of all inputs and results; they are the host's where the pass is not
     *     {@link #isOnDevices on devices}
     * @param stage bytes for what it computes with at a time, of its own and of others' shares; 0 where that is the
     *     share
     */
    public record Memory(long share, long stage) {

        /**
         * Both.
         *
         * @return bytes
         */
        public long total() {
            return share + stage;
        }
    }

    private final DividedPlan plan;
    private final int devices;
    private final Supplier<T> result;
    private boolean hasRun;
    private boolean closed;

    DividedPass(DividedPlan plan, int devices, Supplier<T> result) {
        this.plan = required(plan, "plan");
        this.devices = devices;
        this.result = required(result, "result");
    }

    /**
     * Computes, all devices at the same time, and returns when all are done.
     *
     * @throws IllegalStateException if the pass is closed
     * @throws AttentionException if a device, its driver or the compiler fails; all have ended then
     */
    public void run() {
        requireOpen();
        plan.run();
        hasRun = true;
    }

    /**
     * What the last run gave.
     *
     * @return new tensors, on the host
     * @throws IllegalStateException if there was no run, or the pass is closed
     */
    public T result() {
        requireOpen();
        if (!hasRun) {
            throw new IllegalStateException("Nothing was computed yet: call run first.");
        }
        return result.get();
    }

    /**
     * Whether the shares are on the devices, which copy what they need from each other; else they are the host's, and
     * each run takes what it needs to the devices.
     *
     * @return whether nothing goes through the host
     */
    public boolean isOnDevices() {
        return plan.isOnDevices();
    }

    /**
     * Copies what devices need of others in a run, and nothing else: to measure what dividing costs.
     *
     * @return how many bytes devices got of others
     * @throws IllegalStateException if the pass is closed
     */
    public long exchange() {
        requireOpen();
        plan.exchange();
        return plan.exchangedBytes();
    }

    /**
     * What tensors take on each device.
     *
     * @return in the order of {@link DistributedAttention#devices}
     */
    public List<Memory> memory() {
        return IntStream.range(0, devices)
                .mapToObj(device -> new Memory(plan.shareBytes(device), plan.stageBytes(device)))
                .toList();
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("This pass is closed: bring the problem to the devices again.");
        }
    }

    /** Frees its memory on the devices. Closing twice does nothing. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            plan.close();
        }
    }
}
