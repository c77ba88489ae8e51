package org.tornadoattention.spark;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.api.java.function.Function;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.embeddings.TextEncoder;

/**
 * The encoders of an executor, which stay open from task to task, as to read a model takes seconds. Each is one task's
 * at a time. Those of one {@link CorpusEmbedding} are kept: an encoder of another closes them.
 */
final class OpenEncoders {

    /** What an encoder was opened for. */
    record Key(String embedding, String device) {}

    private static final Map<Key, Deque<TextEncoder>> IDLE = new HashMap<>();

    private OpenEncoders() {}

    /** An encoder for a task alone, until it is closed. */
    record Lease(Key key, TextEncoder encoder) implements AutoCloseable {

        @Override
        public void close() {
            synchronized (IDLE) {
                IDLE.computeIfAbsent(key, any -> new ArrayDeque<>()).push(encoder);
            }
        }
    }

    static Lease of(String embedding, ComputeDevice device, Function<ComputeDevice, TextEncoder> opener)
            throws Exception {
        Key key = new Key(embedding, device.backend().id() + ":" + device.deviceIndex());
        List<TextEncoder> others = new ArrayList<>();
        try {
            synchronized (IDLE) {
                IDLE.forEach((of, encoders) -> {
                    if (!of.embedding.equals(embedding)) {
                        others.addAll(encoders);
                    }
                });
                IDLE.keySet().removeIf(of -> !of.embedding.equals(embedding));
                Deque<TextEncoder> idle = IDLE.get(key);
                if (idle != null && !idle.isEmpty()) {
                    return new Lease(key, idle.pop());
                }
            }
        } finally {
            others.forEach(TextEncoder::close);
        }
        return new Lease(key, opener.call(device));
    }
}
