package org.tornadoattention.spark;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.device.ComputeDevice;

/**
 * The attentions of an executor, which keep what was compiled from task to task. Each is one task's at a time, so that
 * tasks on the JVM's cores do not wait for each other.
 */
final class Attentions {

    private static final Map<String, Deque<FlashAttention>> IDLE = new HashMap<>();

    private Attentions() {}

    /** An attention for a task alone, until it is closed. */
    record Lease(String device, FlashAttention attention) implements AutoCloseable {

        @Override
        public void close() {
            synchronized (IDLE) {
                IDLE.computeIfAbsent(device, any -> new ArrayDeque<>()).push(attention);
            }
        }
    }

    static Lease on(ComputeDevice device) {
        String key = device.backend().id() + ":" + device.deviceIndex();
        synchronized (IDLE) {
            Deque<FlashAttention> idle = IDLE.get(key);
            if (idle != null && !idle.isEmpty()) {
                return new Lease(key, idle.pop());
            }
        }
        return new Lease(key, FlashAttention.on(device));
    }
}
