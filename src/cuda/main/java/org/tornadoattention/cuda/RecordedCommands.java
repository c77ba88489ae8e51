package org.tornadoattention.cuda;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.tornadoattention.device.Recording;

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
        if (queue.isClosed()) {
            throw new IllegalStateException("the plan is closed, or its memory on the device was freed");
        }
        Driver.setContext(context);
        for (Command command : commands) {
            command.issue(stream);
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
