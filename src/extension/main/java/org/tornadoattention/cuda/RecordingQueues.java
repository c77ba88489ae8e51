package org.tornadoattention.cuda;

import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import uk.ac.manchester.tornado.drivers.cuda.CUDACommandQueue;
import uk.ac.manchester.tornado.drivers.cuda.CUDACommandQueueTable;
import uk.ac.manchester.tornado.drivers.cuda.CUDAContext;
import uk.ac.manchester.tornado.drivers.cuda.CUDATargetDevice;

/**
 * TornadoVM's map from execution plans to their queues: every table that it puts here is replaced by one that records.
 */
final class RecordingQueues extends ConcurrentHashMap<Long, CUDACommandQueueTable> {

    private static final long serialVersionUID = 1L;

    @Override
    public CUDACommandQueueTable put(Long plan, CUDACommandQueueTable plain) {
        return super.put(plan, new Table(plain));
    }

    /** The queues of a plan, one for each thread that executed it. */
    static final class Table extends CUDACommandQueueTable {

        private final CUDACommandQueueTable plain;
        private final Map<Long, RecordingQueue> queues = new ConcurrentHashMap<>();
        private final Map<Long, Long> addresses = new ConcurrentHashMap<>();
        private volatile boolean closed;

        Table(CUDACommandQueueTable plain) {
            this.plain = plain;
        }

        @Override
        public CUDACommandQueue get(CUDATargetDevice device, CUDAContext context) {
            CUDACommandQueue queue = plain.get(device, context);
            return queues.computeIfAbsent(queue.getCommandQueuePtr(), any -> new RecordingQueue(queue, this));
        }

        /** TornadoVM does so when it frees a plan's memory and code. */
        @Override
        public void cleanup(CUDATargetDevice device) {
            closed = true;
            queues.clear();
            plain.cleanup(device);
        }

        @Override
        public int size() {
            return plain.size();
        }

        /** Keeps where on the device the bytes of an address of the host lie. */
        void remember(long host, long device) {
            addresses.put(host, device);
        }

        /** Where on the device the bytes of an address of the host were brought last, if they were. */
        Optional<Long> addressOf(long host) {
            return Optional.ofNullable(addresses.get(host));
        }

        /** Whether the plan's memory, code and queues are freed. */
        boolean isClosed() {
            return closed;
        }
    }
}
