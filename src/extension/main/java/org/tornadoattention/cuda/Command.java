package org.tornadoattention.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** Something that a stream is given. */
sealed interface Command {

    /** Gives it to a stream of the current context. */
    void issue(MemorySegment stream);

    /** The host's memory that it reads or writes, if any. */
    default MemorySegment host() {
        return MemorySegment.NULL;
    }

    /** The same with an array's elements in other memory of the host, where its header need not travel again. */
    default Command at(MemorySegment elements) {
        return this;
    }

    /**
     * A kernel.
     *
     * @param function the driver's handle
     * @param grid groups
     * @param block work-items of a group
     * @param parameters an address for each of the kernel's parameters, and what is there
     */
    record Launch(MemorySegment function, Driver.Extent grid, Driver.Extent block, MemorySegment parameters)
            implements Command {
        @Override
        public void issue(MemorySegment stream) {
            Driver.launch(function, grid, block, stream, parameters);
        }
    }

    /** The launch of a kernel with these arguments. */
    static Launch launch(MemorySegment function, Driver.Extent grid, Driver.Extent block, List<byte[]> arguments) {
        long pointers = arguments.size() * ValueLayout.ADDRESS.byteSize();
        long values = arguments.stream().mapToLong(Command::room).sum();
        MemorySegment parameters = Arena.ofAuto().allocate(pointers + values, Long.BYTES);
        long next = pointers;
        for (int i = 0; i < arguments.size(); i++) {
            MemorySegment value = parameters.asSlice(next, room(arguments.get(i)));
            MemorySegment.copy(MemorySegment.ofArray(arguments.get(i)), 0, value, 0, arguments.get(i).length);
            parameters.setAtIndex(ValueLayout.ADDRESS, i, value);
            next += value.byteSize();
        }
        return new Launch(function, grid, block, parameters);
    }

    private static long room(byte[] argument) {
        return Math.ceilDiv(argument.length, Long.BYTES) * (long) Long.BYTES;
    }

    /** Bytes from the host to an address of the device. */
    record Write(long device, MemorySegment host, long bytes) implements Command {
        @Override
        public void issue(MemorySegment stream) {
            Driver.copyToDevice(device, host, bytes, stream);
        }

        @Override
        public Command at(MemorySegment elements) {
            return new Write(device + bytes - elements.byteSize(), elements, elements.byteSize());
        }
    }

    /** Bytes from an address of the device to the host. */
    record Read(long device, MemorySegment host, long bytes) implements Command {
        @Override
        public void issue(MemorySegment stream) {
            Driver.copyToHost(host, device, bytes, stream);
        }

        @Override
        public Command at(MemorySegment elements) {
            return new Read(device + bytes - elements.byteSize(), elements, elements.byteSize());
        }
    }

    /** A graph of CUDA's. */
    record Graph(MemorySegment graph) implements Command {
        @Override
        public void issue(MemorySegment stream) {
            Driver.launchGraph(graph, stream);
        }
    }
}
