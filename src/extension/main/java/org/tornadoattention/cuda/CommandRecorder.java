package org.tornadoattention.cuda;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.device.CompilerExtension.Recorded;
import uk.ac.manchester.tornado.drivers.cuda.CUDAKernel;
import uk.ac.manchester.tornado.runtime.common.TornadoOptions;

/** Writes down what the queue of one execution is given. A thread has one at most. */
final class CommandRecorder {

    private static final ThreadLocal<@Nullable CommandRecorder> CURRENT = new ThreadLocal<>();

    /** What TornadoVM launches where nobody named a size. */
    private static final int DEFAULT_GROUP = 256;

    private final List<Command> commands = new ArrayList<>();
    private final Set<Long> frames = new HashSet<>();
    private @Nullable RecordingQueue queue;
    private String refusal = "";

    private CommandRecorder() {}

    /** The recorder of what this thread executes now. */
    static Optional<CommandRecorder> ofThisThread() {
        return Optional.ofNullable(CURRENT.get());
    }

    /** Runs an execution of a plan and writes down what it gave its queue. */
    static Recorded record(Runnable execution) {
        if (CURRENT.get() != null) {
            throw new IllegalStateException("An execution within an execution cannot be recorded.");
        }
        CommandRecorder recorder = new CommandRecorder();
        CURRENT.set(recorder);
        try {
            execution.run();
        } finally {
            CURRENT.remove();
        }
        return recorder.recorded();
    }

    /** The queue that the next command is for. */
    void use(RecordingQueue next) {
        if (queue == null) {
            queue = next;
        } else if (queue != next) {
            refuse("the plan uses several queues");
        }
        if (TornadoOptions.isProfilerEnabled()) {
            refuse("the plan's profiler is on");
        }
    }

    /** Says why this execution cannot be told again; the first reason counts. */
    void refuse(String reason) {
        refusal = refusal.isEmpty() ? reason : refusal;
    }

    /**
     * A kernel.
     *
     * @param items work-items along each axis
     * @param group those of a group, if given
     */
    void launch(CUDAKernel kernel, long[] items, long @Nullable [] group) {
        if (!(kernel instanceof RecordingKernel recording)) {
            refuse("the kernel " + kernel.getName() + " was compiled before recording was possible");
            return;
        }
        List<byte[]> arguments = recording.arguments();
        frames.add(ByteBuffer.wrap(arguments.getFirst())
                .order(ByteOrder.nativeOrder())
                .getLong());
        Driver.Extent block = new Driver.Extent(
                Math.min(group == null ? DEFAULT_GROUP : size(group, 0), size(items, 0)),
                group == null ? 1 : size(group, 1),
                group == null ? 1 : size(group, 2));
        Driver.Extent grid = new Driver.Extent(
                groups(items, 0, block.x()), groups(items, 1, block.y()), groups(items, 2, block.z()));
        commands.add(Command.launch(function(kernel), grid, block, arguments));
    }

    private static int size(long[] sizes, int axis) {
        return axis < sizes.length ? Math.toIntExact(sizes[axis]) : 1;
    }

    private static int groups(long[] items, int axis, int group) {
        return Math.ceilDiv(size(items, axis), group);
    }

    /** TornadoVM's handle of a kernel points to a structure that begins with the driver's. */
    @SuppressWarnings("restricted")
    private static MemorySegment function(CUDAKernel kernel) {
        return MemorySegment.ofAddress(kernel.getOclKernelID())
                .reinterpret(ValueLayout.ADDRESS.byteSize())
                .get(ValueLayout.ADDRESS, 0);
    }

    /** Bytes from the host. */
    void write(long device, long host, long bytes) {
        commands.add(new Command.Write(device, MemorySegment.ofAddress(host), bytes));
    }

    /** Bytes to the host. */
    void read(long device, long host, long bytes) {
        commands.add(new Command.Read(device, MemorySegment.ofAddress(host), bytes));
    }

    /** A graph of CUDA's that was captured before. */
    void launchGraph(long graph) {
        commands.add(new Command.Graph(MemorySegment.ofAddress(graph)));
    }

    private Recorded recorded() {
        if (refusal.isEmpty() && queue == null) {
            refuse("nothing was executed by this thread");
        }
        if (queue == null || !refusal.isEmpty()) {
            return Recorded.refused(refusal);
        }
        // What TornadoVM tells a kernel about its grid is on the device already, and stays what it is.
        commands.removeIf(command -> command instanceof Command.Write write && frames.contains(write.device()));
        return Recorded.of(new RecordedCommands(queue, commands));
    }
}
