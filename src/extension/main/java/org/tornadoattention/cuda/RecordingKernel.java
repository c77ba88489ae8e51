package org.tornadoattention.cuda;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import uk.ac.manchester.tornado.drivers.cuda.CUDADeviceContext;
import uk.ac.manchester.tornado.drivers.cuda.CUDAKernel;

/** A kernel of TornadoVM's that remembers the arguments of its next launch. */
final class RecordingKernel extends CUDAKernel {

    private final List<byte[]> arguments = new ArrayList<>();

    /** The same kernel as one of TornadoVM's, which goes on to own it. */
    RecordingKernel(CUDAKernel kernel, CUDADeviceContext context) {
        super(kernel.getOclKernelID(), context);
    }

    @Override
    public void setArg(int index, ByteBuffer buffer) {
        super.setArg(index, buffer);
        remember(index, buffer.array());
    }

    @Override
    public void setArgUnused(int index) {
        super.setArgUnused(index);
        remember(index, new byte[Long.BYTES]);
    }

    /** Memory of a size that a launch chooses, which no kernel has here. */
    @Override
    public void setLocalRegion(int index, long size) {
        throw new UnsupportedOperationException("local memory as an argument");
    }

    private void remember(int index, byte[] bytes) {
        while (arguments.size() <= index) {
            arguments.add(new byte[0]);
        }
        if (!Arrays.equals(arguments.get(index), bytes)) {
            arguments.set(index, bytes.clone());
        }
    }

    /** The bytes of each argument. */
    List<byte[]> arguments() {
        return List.copyOf(arguments);
    }
}
