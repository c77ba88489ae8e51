package org.tornadoattention.cuda;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Optional;
import org.tornadoattention.device.Recording.Captured;

/** What streams of a context were given, as one of CUDA's graphs. */
final class DriverGraph implements Captured {

    private static final Logger LOG = System.getLogger(DriverGraph.class.getName());

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
    private static final AddressLayout POINTER = ValueLayout.ADDRESS;

    /** Other threads may do what they like meanwhile. */
    private static final int RELAXED = 2;

    private static final MethodHandle STREAM_WAIT_EVENT = Driver.function("cuStreamWaitEvent", POINTER, POINTER, INT);
    private static final MethodHandle STREAM_BEGIN_CAPTURE = Driver.function("cuStreamBeginCapture_v2", POINTER, INT);
    private static final MethodHandle STREAM_END_CAPTURE = Driver.function("cuStreamEndCapture", POINTER, POINTER);
    private static final MethodHandle GRAPH_INSTANTIATE =
            Driver.function("cuGraphInstantiateWithFlags", POINTER, POINTER, LONG);
    private static final MethodHandle GRAPH_DESTROY = Driver.function("cuGraphDestroy", POINTER);
    private static final MethodHandle GRAPH_EXEC_DESTROY = Driver.function("cuGraphExecDestroy", POINTER);

    private final MemorySegment context;
    private final MemorySegment stream;
    private final MemorySegment executable;

    private DriverGraph(MemorySegment context, MemorySegment stream, MemorySegment executable) {
        this.context = context;
        this.stream = stream;
        this.executable = executable;
    }

    /**
     * Captures what work gives to streams, the first of which the graph is launched in.
     *
     * @return none where the driver cannot capture something of it
     */
    static Optional<Captured> capture(MemorySegment context, List<MemorySegment> streams, Runnable work) {
        try {
            Driver.setContext(context);
            MemorySegment graph = captured(context, streams, work);
            try {
                return Optional.of(new DriverGraph(context, streams.getFirst(), instantiate(graph)));
            } finally {
                destroy("cuGraphDestroy", GRAPH_DESTROY, graph);
            }
        } catch (IllegalStateException e) {
            LOG.log(Level.DEBUG, "a device's work is given by single calls", e);
            return Optional.empty();
        }
    }

    private static MemorySegment captured(MemorySegment context, List<MemorySegment> streams, Runnable work) {
        MemorySegment first = streams.getFirst();
        MemorySegment graph;
        begin(first);
        try {
            streams.forEach(each -> follow(first, each));
            work.run();
            Driver.setContext(context);
            streams.forEach(each -> follow(each, first));
        } finally {
            graph = end(first);
        }
        return graph;
    }

    /** What the second stream is given from now on waits for what the first one has been given. */
    private static void follow(MemorySegment one, MemorySegment other) {
        if (one.equals(other)) {
            return;
        }
        try (DriverEvent event = new DriverEvent()) {
            event.record(one);
            Driver.require("cuStreamWaitEvent", (int) STREAM_WAIT_EVENT.invokeExact(other, event.handle(), 0));
        } catch (Throwable e) {
            throw Driver.unchecked(e);
        }
    }

    private static void begin(MemorySegment stream) {
        try {
            Driver.require("cuStreamBeginCapture", (int) STREAM_BEGIN_CAPTURE.invokeExact(stream, RELAXED));
        } catch (Throwable e) {
            throw Driver.unchecked(e);
        }
    }

    private static MemorySegment end(MemorySegment stream) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment graph = arena.allocate(POINTER);
            Driver.require("cuStreamEndCapture", (int) STREAM_END_CAPTURE.invokeExact(stream, graph));
            return graph.get(POINTER, 0);
        } catch (Throwable e) {
            throw Driver.unchecked(e);
        }
    }

    private static MemorySegment instantiate(MemorySegment graph) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment executable = arena.allocate(POINTER);
            Driver.require("cuGraphInstantiate", (int) GRAPH_INSTANTIATE.invokeExact(executable, graph, 0L));
            return executable.get(POINTER, 0);
        } catch (Throwable e) {
            throw Driver.unchecked(e);
        }
    }

    private static void destroy(String name, MethodHandle function, MemorySegment handle) {
        try {
            Driver.require(name, (int) function.invokeExact(handle));
        } catch (Throwable e) {
            throw Driver.unchecked(e);
        }
    }

    @Override
    public void launch() {
        Driver.setContext(context);
        Driver.launchGraph(executable, stream);
    }

    @Override
    public void close() {
        Driver.setContext(context);
        destroy("cuGraphExecDestroy", GRAPH_EXEC_DESTROY, executable);
    }
}
