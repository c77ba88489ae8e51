package org.tornadoattention.bench;

import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionException;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.DeviceCeiling;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Drives a device's caches empty of what the next execution reads, by a copy that is larger than they are. In the
 * simulator and on the JVM nothing is done.
 */
final class CacheFlush implements AutoCloseable {

    /** Read and written, each more than the second-level cache of any GPU of today. */
    private static final int BYTES = 96 << 20;

    private static final int GROUP_SIZE = 256;

    private final @Nullable TornadoExecutionPlan plan;

    CacheFlush(ComputeDevice device) {
        if (device.isSimulator() || device.isJvm()) {
            plan = null;
            return;
        }
        int elements = BYTES / Float.BYTES;
        FloatArray from = new FloatArray(elements);
        FloatArray to = new FloatArray(elements);
        TaskGraph graph = new TaskGraph("flush")
                .transferToDevice(DataTransferMode.FIRST_EXECUTION, from, to)
                .task("run", DeviceCeiling::copy, from, to)
                .transferToHost(DataTransferMode.UNDER_DEMAND, to);
        WorkerGrid1D grid = new WorkerGrid1D(elements);
        grid.setLocalWork(Math.min(GROUP_SIZE, device.maxGroupSize()), 1, 1);
        plan = new TornadoExecutionPlan(graph.snapshot());
        plan.withDevice(device.handle()).withGridScheduler(new GridScheduler("flush.run", grid));
    }

    /** Bytes that are read, and as many written, before each execution that counts; 0 where nothing is flushed. */
    long bytes() {
        return plan == null ? 0 : BYTES;
    }

    void run() {
        if (plan != null) {
            plan.execute();
        }
    }

    @Override
    public void close() {
        try {
            if (plan != null) {
                plan.freeDeviceMemory();
                plan.close();
            }
        } catch (TornadoExecutionPlanException e) {
            throw new AttentionException("The memory of the cache flush could not be freed.", e);
        }
    }
}
