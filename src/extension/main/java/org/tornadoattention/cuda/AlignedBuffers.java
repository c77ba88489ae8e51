package org.tornadoattention.cuda;

import static java.util.Objects.requireNonNull;

import java.util.HashMap;
import java.util.Map;
import uk.ac.manchester.tornado.api.common.Access;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;
import uk.ac.manchester.tornado.drivers.common.TornadoBufferProvider;
import uk.ac.manchester.tornado.drivers.cuda.CUDADeviceContext;
import uk.ac.manchester.tornado.drivers.cuda.runtime.CUDABufferProvider;

/**
 * TornadoVM's device memory, with arrays laid so that their elements begin at a multiple of 128 bytes. CUDA's memory
 * begins at one, and TornadoVM's arrays with a header of 16 bytes, so that every row of 128 bytes lay in two of the
 * lines that the L2 cache answers with: {@code ncu} counted 1,075 MB on their way to the multiprocessors for 537 MB of
 * keys and values. What is only read begins at a multiple of 256: a decoding step reads rows of so many bytes 2 to 5 %
 * faster. What is written does not: sums of gradients of 64 columns took 3 % longer (docs/performance.md).
 */
final class AlignedBuffers extends CUDABufferProvider {

    private static final long LINE_BYTES = 128;
    private static final long ROW_BYTES = 256;

    private final TornadoBufferProvider former;

    /** What lies before each buffer of ours. */
    private final Map<Long, Long> skipped = new HashMap<>();

    /** What {@code former} has given out, it takes back. */
    AlignedBuffers(CUDADeviceContext context, TornadoBufferProvider former) {
        super(context);
        this.former = former;
    }

    @Override
    public synchronized long allocateBuffer(long size, Access access) {
        long bytes =
                Math.floorMod(-TornadoNativeArray.ARRAY_HEADER, access == Access.READ_ONLY ? ROW_BYTES : LINE_BYTES);
        long buffer = super.allocateBuffer(size + bytes, access) + bytes;
        skipped.put(buffer, bytes);
        return buffer;
    }

    @Override
    protected synchronized void releaseBuffer(long buffer) {
        super.releaseBuffer(buffer - requireNonNull(skipped.remove(buffer)));
    }

    @Override
    public synchronized void markBufferReleased(long buffer, Access access) {
        if (skipped.containsKey(buffer)) {
            super.markBufferReleased(buffer, access);
        } else {
            former.markBufferReleased(buffer, access);
        }
    }

    @Override
    public synchronized long deallocate(Access access) {
        return super.deallocate(access) + former.deallocate(access);
    }
}
