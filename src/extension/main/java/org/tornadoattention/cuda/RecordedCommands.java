package org.tornadoattention.cuda;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.device.DeviceBuffer;
import org.tornadoattention.device.Recording;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** What one execution of a plan gave its queue, to be given to the same stream again. */
final class RecordedCommands implements Recording {

    /** Pairs of contexts that were let reach each other. */
    private static final Set<Set<Long>> REACHED = ConcurrentHashMap.newKeySet();

    private final RecordingQueue queue;
    private final MemorySegment stream;
    private final MemorySegment context;
    private final Command[] commands;
    private @Nullable DriverCopies copies;

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
    public Running start(Map<TornadoNativeArray, MemorySegment> places) {
        requireOpen();
        List<Command> all = inPlaces(places);
        List<Command> kernels =
                all.stream().filter(Command.Launch.class::isInstance).toList();
        if (kernels.isEmpty()) {
            throw new IllegalStateException("the execution launched no kernel");
        }
        Driver.setContext(context);
        Given given = new Given(context, DriverEvent.timed(), DriverEvent.timed(), DriverEvent.timed());
        try {
            for (Command command : all) {
                if (command == kernels.getFirst()) {
                    given.first.record(stream);
                }
                command.issue(stream);
                if (command == kernels.getLast()) {
                    given.last.record(stream);
                }
            }
            given.done.record(stream);
        } catch (RuntimeException | Error e) {
            // Nobody else's memory is read or written once this fails.
            given.close();
            Driver.synchronize(stream);
            throw e;
        }
        return given;
    }

    /** Work that the stream was given: where its kernels begin and end, and where all of it is done. */
    private record Given(MemorySegment context, DriverEvent first, DriverEvent last, DriverEvent done)
            implements Running {
        @Override
        public Duration await() {
            Driver.setContext(context);
            try {
                done.await();
                return first.until(last);
            } finally {
                close();
            }
        }

        private void close() {
            first.close();
            last.close();
            done.close();
        }
    }

    /** The same commands with other memory of the host in the places of arrays, whose headers the device has. */
    private List<Command> inPlaces(Map<TornadoNativeArray, MemorySegment> places) {
        Map<Long, MemorySegment> byAddress = new HashMap<>();
        places.forEach((array, memory) -> {
            if (memory.byteSize() != array.getSegment().byteSize()) {
                throw new IllegalArgumentException("The memory has %,d bytes and the array %,d: they must be as many."
                        .formatted(memory.byteSize(), array.getSegment().byteSize()));
            }
            byAddress.put(array.getSegmentWithHeader().address(), memory);
        });
        Set<Long> met = new HashSet<>();
        List<Command> all = new ArrayList<>();
        for (Command command : commands) {
            long host = command.host().address();
            MemorySegment memory = byAddress.get(host);
            if (memory == null) {
                all.add(command);
            } else {
                all.add(command.at(memory));
                met.add(host);
            }
        }
        if (!met.equals(byAddress.keySet())) {
            throw new IllegalArgumentException(
                    "The execution brings no such array to its device or back: transfer it in every execution.");
        }
        return all;
    }

    @Override
    public void send(TornadoNativeArray array, Recording receiver, TornadoNativeArray target) {
        RecordedCommands other = of(receiver);
        requireOpen();
        other.requireOpen();
        long bytes = array.getSegmentWithHeader().byteSize();
        if (target.getSegmentWithHeader().byteSize() != bytes) {
            throw new IllegalArgumentException("The target has %,d bytes, and the array %,d: they must be as large."
                    .formatted(target.getSegmentWithHeader().byteSize(), bytes));
        }
        DriverBuffer from = bufferOf(array);
        copy(from, 0, other.bufferOf(target), 0, Runs.one(from.bytes()));
    }

    @Override
    public DriverBuffer allocate(long bytes) {
        requireOpen();
        if (bytes < 1) {
            throw new IllegalArgumentException("%,d bytes of device memory: there must be 1 or more.".formatted(bytes));
        }
        Driver.setContext(context);
        return new DriverBuffer(new Driver.Place(context, Driver.allocate(bytes)), bytes, true);
    }

    /** TornadoVM brings an array with its header. */
    @Override
    public DriverBuffer bufferOf(TornadoNativeArray array) {
        requireOpen();
        Driver.Place place = queue.place(array)
                .orElseThrow(() -> new IllegalArgumentException(
                        "The plan brings no such array to its device: transfer it there once, or each time."));
        long bytes = array.getSegment().byteSize();
        long header = array.getSegmentWithHeader().byteSize() - bytes;
        return new DriverBuffer(place.plus(header), bytes, false);
    }

    @Override
    public void copy(DeviceBuffer from, long fromByte, DeviceBuffer to, long toByte, Runs runs) {
        requireOpen();
        Driver.Place source = DriverBuffer.of(from).at(fromByte, runs.fromBytes());
        Driver.Place target = DriverBuffer.of(to).at(toByte, runs.toBytes());
        Driver.setContext(context);
        if (source.context().equals(target.context())) {
            copies().onDevice(target, source, runs, stream);
        } else {
            reach(source.context(), target.context());
            Driver.setContext(context);
            copies().toPeer(target, source, runs, stream);
        }
    }

    /** A driver that lacks functions for it does all else. */
    private DriverCopies copies() {
        DriverCopies made = copies;
        if (made == null) {
            made = new DriverCopies();
            copies = made;
        }
        return made;
    }

    /** The driver is asked once for each pair: it then takes the way over peers, where the hardware has one. */
    private static void reach(MemorySegment one, MemorySegment other) {
        if (!one.equals(other) && REACHED.add(Set.of(one.address(), other.address()))) {
            Driver.setContext(one);
            Driver.reach(other);
            Driver.setContext(other);
            Driver.reach(one);
        }
    }

    @Override
    public void write(MemorySegment from, DeviceBuffer to) {
        requireOpen();
        Driver.Place target = DriverBuffer.of(to).at(0, from.byteSize());
        requireAsLarge(from, to);
        Driver.setContext(context);
        Driver.copyToDevice(target.address(), from, from.byteSize(), stream);
    }

    @Override
    public void read(DeviceBuffer from, MemorySegment to) {
        requireOpen();
        Driver.Place source = DriverBuffer.of(from).at(0, to.byteSize());
        requireAsLarge(to, from);
        Driver.setContext(context);
        Driver.copyToHost(to, source.address(), to.byteSize(), stream);
    }

    private static void requireAsLarge(MemorySegment host, DeviceBuffer device) {
        if (host.byteSize() != device.bytes()) {
            throw new IllegalArgumentException("The host has %,d bytes and the device %,d: they must be as many."
                    .formatted(host.byteSize(), device.bytes()));
        }
    }

    @Override
    public Optional<Captured> capture(List<Recording> all, Runnable work) {
        List<MemorySegment> streams = all.stream()
                .map(each -> {
                    RecordedCommands own = of(each);
                    own.requireOpen();
                    return own.stream;
                })
                .toList();
        return DriverGraph.capture(context, streams, work);
    }

    private static RecordedCommands of(Recording recording) {
        if (recording instanceof RecordedCommands own) {
            return own;
        }
        throw new IllegalArgumentException("The recording is not one of this backend.");
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
