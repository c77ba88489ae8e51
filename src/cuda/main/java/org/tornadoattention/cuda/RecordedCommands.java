package org.tornadoattention.cuda;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.tornadoattention.device.Recording;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** What one execution of a plan gave its queue, to be given to the same stream again. */
final class RecordedCommands implements Recording {

    private final RecordingQueue queue;
    private final MemorySegment stream;
    private final MemorySegment context;
    private final Command[] commands;

    RecordedCommands(RecordingQueue queue, List<Command> commands) {
        this.queue = queue;
        this.stream = queue.stream();
        this.context = queue.context();
        this.commands = commands.toArray(Command[]::new);
    }

    @Override
    public void launch() {
        requireOpen();
        Driver.setContext(context);
        for (Command command : commands) {
            command.issue(stream);
        }
    }

    @Override
    public void send(TornadoNativeArray array, Recording receiver, TornadoNativeArray target) {
        if (!(receiver instanceof RecordedCommands other)) {
            throw new IllegalArgumentException("The receiver is not a recording of this backend.");
        }
        requireOpen();
        other.requireOpen();
        long bytes = array.getSegmentWithHeader().byteSize();
        if (target.getSegmentWithHeader().byteSize() != bytes) {
            throw new IllegalArgumentException("The target has %,d bytes, and the array %,d: they must be as large."
                    .formatted(target.getSegmentWithHeader().byteSize(), bytes));
        }
        Driver.Place from = place(array);
        Driver.Place to = other.place(target);
        if (!context.equals(other.context)) {
            Driver.setContext(other.context);
            Driver.reach(context);
            Driver.setContext(context);
            Driver.reach(other.context);
        } else {
            Driver.setContext(context);
        }
        Driver.copyToPeer(to, from, bytes, stream);
    }

    private Driver.Place place(TornadoNativeArray array) {
        return queue.place(array)
                .orElseThrow(() -> new IllegalArgumentException(
                        "The plan brings no such array to its device: transfer it there once, or each time."));
    }

    private void requireOpen() {
        if (queue.isClosed()) {
            throw new IllegalStateException("the plan is closed, or its memory on the device was freed");
        }
    }

    @Override
    public void await() {
        if (!queue.isClosed()) {
            Driver.setContext(context);
            Driver.synchronize(stream);
        }
    }
}
