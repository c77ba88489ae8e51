package org.tornadoattention.plan;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.DeviceBuffer;
import org.tornadoattention.device.Recording;
import org.tornadoattention.device.Recording.Captured;
import org.tornadoattention.device.Recording.Runs;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;

/**
 * A pass over tensors of its own, its stage, into and out of which bytes are moved. Either the stage is the host's, and
 * each execution takes it to the device and back; or it stays on the device, executions are given to the driver as they
 * were recorded, and bytes are moved between buffers of devices.
 */
final class StagedPass implements DevicePlan {

    private final LaunchGuard guard;
    private final @Nullable Recording recording;
    private final Map<Tensor, DeviceBuffer> buffers = new IdentityHashMap<>();
    private final long bytes;

    /**
     * Builds the pass, and compiles it where its stage is to stay on the device.
     *
     * @param stays whether it is to; {@link #isOnDevice} tells whether it does
     * @param inputs what tasks read
     * @param outputs what they write, by names for messages
     * @param checked those of the outputs that tasks write whole
     * @param tasks appends them to the graph
     */
    StagedPass(
            ComputeDevice device,
            String subject,
            boolean stays,
            Collection<Tensor> inputs,
            Map<String, Tensor> outputs,
            Collection<String> checked,
            BiConsumer<TaskGraph, GridScheduler> tasks) {
        List<Tensor> all = new ArrayList<>(inputs);
        all.addAll(outputs.values());
        bytes = all.stream().mapToLong(Tensor::byteSize).sum();
        TaskGraph graph = new TaskGraph("attention");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(
                stays ? DataTransferMode.FIRST_EXECUTION : DataTransferMode.EVERY_EXECUTION, arrays(all));
        tasks.accept(graph, grids);
        graph.transferToHost(
                stays ? DataTransferMode.UNDER_DEMAND : DataTransferMode.EVERY_EXECUTION, arrays(outputs.values()));
        LaunchGuard plain = LaunchGuard.of(graph, grids, subject, device);
        if (!stays) {
            Map<String, Tensor> poisoned = new HashMap<>(outputs);
            poisoned.keySet().retainAll(checked);
            guard = plain.poisoning(poisoned);
            recording = null;
            return;
        }
        guard = plain;
        try {
            guard.execute();
            guard.execute(); // the second is recorded
        } catch (RuntimeException | Error e) {
            guard.close();
            throw e;
        }
        recording = guard.recording().orElse(null);
        if (recording != null) {
            all.forEach(tensor -> buffers.put(tensor, recording.bufferOf(tensor.array())));
        }
    }

    private static Object[] arrays(Collection<Tensor> tensors) {
        return tensors.stream().map(Tensor::array).toArray();
    }

    /** Bytes of the stage. */
    long bytes() {
        return bytes;
    }

    /** Whether the stage stays on the device. */
    boolean isOnDevice() {
        return recording != null;
    }

    /** Memory of a tensor, if it is of the stage and stays on the device. */
    Optional<DeviceBuffer> buffer(Tensor tensor) {
        return Optional.ofNullable(buffers.get(tensor));
    }

    private DeviceBuffer bufferOf(Tensor stage) {
        return buffer(stage).orElseThrow();
    }

    /** Memory on the pass's device for whoever wants it. */
    Optional<DeviceBuffer> allocate(long size) {
        return Optional.ofNullable(recording).map(given -> given.allocate(size));
    }

    /** Brings bytes of the host to the device. */
    void write(Tensor from, DeviceBuffer to) {
        if (recording != null) {
            recording.write(from.memory(), to);
        }
    }

    /** Brings bytes of the device to the host. */
    void read(DeviceBuffer from, Tensor to) {
        if (recording != null) {
            recording.read(from, to.memory());
        }
    }

    /** Moves bytes of a share to the stage. */
    void bring(Share share, long shareByte, Tensor stage, long stageByte, Runs runs) {
        if (recording != null) {
            recording.copy(share.buffer(), shareByte, bufferOf(stage), stageByte, runs);
        } else {
            copy(share.host(), shareByte, stage, stageByte, runs);
        }
    }

    /** Moves bytes of the stage to a share. */
    void give(Tensor stage, long stageByte, Share share, long shareByte, Runs runs) {
        if (recording != null) {
            recording.copy(bufferOf(stage), stageByte, share.buffer(), shareByte, runs);
        } else {
            copy(stage, stageByte, share.host(), shareByte, runs);
        }
    }

    private static void copy(Tensor from, long fromByte, Tensor to, long toByte, Runs runs) {
        for (int run = 0; run < runs.count(); run++) {
            long source = fromByte + run * runs.fromStep();
            MemorySegment.copy(from.memory(), source, to.memory(), toByte + run * runs.toStep(), runs.bytes());
        }
    }

    /** Executes the pass; where its stage stays on the device, this only begins it. */
    void execute() {
        if (recording != null) {
            recording.launch();
        } else {
            guard.execute();
        }
    }

    /**
     * What work gives to passes of a device, which are at rest, to be given at once; nothing is carried out now.
     *
     * @param passes one or more, whose stages stay on the device
     * @return none where the driver takes no such thing
     */
    static Optional<Captured> capture(List<StagedPass> passes, Runnable work) {
        List<Recording> recordings = passes.stream()
                .flatMap(pass -> Optional.ofNullable(pass.recording).stream())
                .toList();
        return recordings.isEmpty() ? Optional.empty() : recordings.getFirst().capture(recordings, work);
    }

    /** Waits for all that was given to the device. */
    void await() {
        if (recording != null) {
            recording.await();
        }
    }

    @Override
    public void close() {
        guard.close();
    }
}
